"""Looks at everything an installation stands on. Whoever does not answer is one finding; the others are asked on."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import redis
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from adapters import (
    access,
    database,
    fetch,
    ground,
    redaction,
    sealed,
    shops,
    signatures,
    stock,
    subscriptions,
    wall,
    workforce,
)
from adapters.bell import LANES
from adapters.shops import Shop
from adapters.vault import WrongKeys
from app.office import Office
from domain import doctor
from domain.doctor import OK, PROBLEM, WARNING, Finding, unreachable
from domain.failures import Permanent, Throttled, TokenDead, Transient
from domain.subscriptions import SCOPES, Ours, compare, desired

MOST_SHOPS = 200
AT_ONCE = 4  # fewer than the connections to Postgres
OFTEN = ["sweep", "wake", "start due runs"]  # duties that are due every few seconds


def examine(desk: Office, shop: Shop | None) -> list[Finding]:
    """All findings, those that are fine included. `shop`: ask only this one."""
    workers, of_redis = _redis(desk)
    found = [*_environment(desk), *of_redis]
    try:
        found += _postgres(desk)
        found += _work(desk, shop, workers)
        asked = [shop] if shop else _active(desk)
    except SQLAlchemyError:
        sentence, fix = (
            "Postgres does not answer: Shopify hears 503 and sends again.",
            "Check DATABASE_URL and Postgres.",
        )
        return [*found, unreachable("postgres", sentence, fix)]
    return [*found, *_shops(desk, asked)]


def _environment(desk: Office) -> list[Finding]:
    settings, now = desk.settings, datetime.now(UTC)
    lengths = [len(secret) for secret in settings.webhook_secrets]
    found = doctor.secrets(lengths, local=settings.app_env != "production")
    return [*found, doctor.version(settings.shopify_api_version, now)]


def _redis(desk: Office) -> tuple[dict[str, int] | None, list[Finding]]:
    """Workers by lane as well, None without Redis."""
    try:
        facts = ground.of_redis(desk.redis)
        lanes = [hand.lane for hand in workforce.hands(desk.redis)]
        uses = signatures.secrets_in_use(desk.redis, desk.settings.webhook_secrets, datetime.now(UTC))
    except redis.RedisError:
        sentence = "Redis does not answer: webhooks are stored, but nothing is applied before it is back."
        return None, [unreachable("redis", sentence, "Check REDIS_URL and Redis.")]
    found = doctor.redis(facts.policy, facts.maxmemory, persists=facts.persists, skew_seconds=facts.skew_seconds)
    for use in uses[1:]:
        found.append(doctor.previous_secret(safe_to_remove=use.safe_to_remove, last_hour=use.last_hour))
    return {lane: lanes.count(lane) for lane in LANES}, found


def _postgres(desk: Office) -> list[Finding]:
    with desk.db.connect() as db:
        facts = ground.postgres(db)
    is_current = database.is_current(desk.db)
    return doctor.postgres(
        doctor.Postgres(facts.version, facts.settings, facts.connections, is_current, facts.skew_seconds)
    )


def _work(desk: Office, shop: Shop | None, workers: dict[str, int] | None) -> list[Finding]:
    """Nothing can be said of it in a schema that is not there."""
    if not database.is_current(desk.db):
        return []
    with desk.db.connect() as db:
        levels = stock.with_what_waits_now(db, stock.read(db)[0])
        dead = stock.of_inbox(db)[stock.DEAD.name, ("open",)]
        late = ground.clock_is_late(db, OFTEN)
        held = ground.held_runs(db, shop.domain if shop else None)
        opened = sealed.opened_by(db, desk.settings.encryption_keys)
        undone = redaction.undone(db, shop.domain if shop else None)
        user, unprotected = ground.user(db), wall.unprotected(db)
    with database.of_shop(desk.db, "").connect() as db:
        stands = wall.is_put_on(db)
    found = [doctor.timetable(late), doctor.dead(int(dead)), *(doctor.held(*one) for one in held)]
    found.append(doctor.keys(opened.unreadable, opened.sampled))
    asked = [(one.delivery, one.shop, one.asked_at, one.until) for one in undone]
    found += doctor.requests(asked, datetime.now(UTC))
    found.append(doctor.wall(wall.ROLE, user, stands=stands, unprotected=unprotected))
    for lane in LANES:
        waiting, oldest = levels[stock.WAITING.name, (lane,)], levels[stock.OLDEST.name, (lane,)]
        found += doctor.queue(lane, int(waiting), oldest, workers[lane] if workers is not None else None)
    return found


def _active(desk: Office) -> list[Shop]:
    if not database.is_current(desk.db):
        return []
    with desk.db.connect() as db:
        known = [row["domain"] for row in shops.listed(db) if row["state"] != "uninstalled"]
        found = [_find(desk, db, domain) for domain in known]
    return [shop for shop in found if shop is not None]


def _find(desk: Office, db: Connection, domain: str) -> Shop | None:
    """None as well when its token cannot be opened, which the finding about keys says."""
    try:
        return shops.find(db, desk.vault, domain)
    except WrongKeys:
        return None


def _shops(desk: Office, asked: list[Shop]) -> Iterable[Finding]:
    with ThreadPoolExecutor(AT_ONCE) as threads:
        for found in threads.map(lambda shop: _shop(desk, shop), asked[:MOST_SHOPS]):
            yield from found
    if len(asked) > MOST_SHOPS:
        sentence = f"{len(asked) - MOST_SHOPS} more shops were not asked."
        yield Finding("shops", OK, f"{sentence} Name one to have it looked at.")
    if asked:
        yield _shopify_clock(desk, asked[0].domain)


def _shopify_clock(desk: Office, shop: str) -> Finding:
    seconds = ground.shopify_skew(desk.settings.shopify_admin_origin, shop)
    if seconds is None:
        return Finding("clock", WARNING, "Shopify gave no time to compare this machine's clock with.", "Try again.")
    return doctor.skew("Shopify's", seconds)


def _shop(desk: Office, shop: Shop) -> list[Finding]:
    now = datetime.now(UTC)
    try:
        with desk.db.connect() as db:
            ends = ground.refresh_ends(db, shop.domain)
        if shop.token is None:
            return [doctor.token(shop.domain, "needs_auth", ends, now)]
        fresh = access.with_fresh_token(desk.db, desk.vault, desk.tokens, shop, now)
        facts = fetch.shop_facts(desk.admin, shop.domain, fresh.token or "")
        return [
            Finding("reach", OK, "Shopify answers.", None, shop.domain),
            doctor.token(shop.domain, shop.state, ends, now),
            doctor.scopes(shop.domain, sorted(SCOPES.values()), facts.scopes),
            *_version(desk, shop.domain, facts.versions),
            *_subscriptions(desk, shop.domain, fresh.token or "", facts.scopes),
        ]
    except TokenDead:
        return [doctor.token(shop.domain, "needs_auth", None, now)]
    except Throttled as trouble:
        return [Finding("reach", WARNING, str(trouble), "Try again in a moment.", shop.domain)]
    except (Transient, Permanent) as trouble:
        fix = "Look at status.shopify.com and at SHOPIFY_ADMIN_ORIGIN; runs go on by themselves."
        return [unreachable("reach", str(trouble), fix, shop.domain)]
    except SQLAlchemyError:
        return [unreachable("postgres", "Postgres went away meanwhile.", "Try again.", shop.domain)]


def _version(desk: Office, shop: str, supported: frozenset[str]) -> list[Finding]:
    ours = desk.settings.shopify_api_version
    if supported and ours not in supported:
        sentence = f"Shopify no longer supports {ours}, and answers by its oldest instead."
        return [Finding("api version", PROBLEM, sentence, "Move to a newer version.", shop)]
    return []


def _subscriptions(desk: Office, shop: str, token: str, scopes: frozenset[str]) -> list[Finding]:
    settings = desk.settings
    ours = Ours(f"{settings.app_url}/webhooks", settings.shopify_api_version, settings.webhook_subscriptions)
    plan = compare(desired(ours, scopes), subscriptions.listed(desk.admin, shop, token), ours, datetime.now(UTC))
    if not plan.findings:
        return [Finding("subscriptions", OK, "The subscriptions are as they should be.", None, shop)]
    return [Finding("subscriptions", PROBLEM, one.cause, one.fix, shop) for one in plan.findings]
