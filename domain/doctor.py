"""What a doctor says of an installation: each finding with a level, a sentence, and the remedy."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from domain.health import is_ending, version_ends

OK, WARNING, PROBLEM = "ok", "warning", "problem"
LEAST_POSTGRES, LEAST_SECRET = 150_000, 32
SKEW_SECONDS, BAD_SKEW_SECONDS = 5.0, 60.0
LAG_SECONDS, BULK_LAG_SECONDS = 300.0, 3_600.0
CLOCK_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Finding:
    """`check` names what was looked at. `unreachable`: it did not answer, so nothing more is known of it."""

    check: str
    level: str
    sentence: str
    fix: str | None = None
    shop: str | None = None
    unreachable: bool = False


def unreachable(check: str, sentence: str, fix: str, shop: str | None = None) -> Finding:
    return Finding(check, PROBLEM, sentence, fix, shop, unreachable=True)


def secrets(lengths: Sequence[int], *, local: bool) -> list[Finding]:
    """`lengths` of the webhook secrets, the current one first. Shopify's have 32 characters and more."""
    short = [place for place, length in enumerate(lengths) if length < LEAST_SECRET]
    if short and not local:
        names = " and ".join(("SHOPIFY_API_SECRET", "SHOPIFY_API_SECRET_PREVIOUS")[place] for place in short)
        return [
            Finding("secrets", PROBLEM, f"{names} is shorter than any of Shopify's.", "Copy it from the Dashboard.")
        ]
    return [Finding("secrets", OK, f"{_count(len(lengths), 'secret verifies', 'secrets verify')} webhooks.")]


def previous_secret(*, safe_to_remove: bool, last_hour: int) -> Finding:
    if safe_to_remove:
        sentence = "The previous secret has verified nothing for two days."
        return Finding("secrets", WARNING, sentence, "Remove SHOPIFY_API_SECRET_PREVIOUS and restart the processes.")
    return Finding("secrets", OK, f"The previous secret stays for now: it verified {last_hour} requests this hour.")


@dataclass(frozen=True, slots=True)
class Postgres:
    """As `SHOW` and the catalogue say it. `version` is `server_version_num`."""

    version: int
    settings: Mapping[str, str]
    connections: int
    is_current: bool
    skew_seconds: float


_SAFE = {
    "fsync": "what was acknowledged may be lost when the machine stops",
    "synchronous_commit": "the last moments of what was acknowledged may be lost when Postgres stops",
    "full_page_writes": "pages may be torn when the machine stops",
}


def postgres(facts: Postgres) -> list[Finding]:
    found = [_settings(facts.settings), _connections(facts)]
    if facts.version < LEAST_POSTGRES:
        found.append(Finding("postgres", PROBLEM, "Postgres is older than 15.", "Use Postgres 15 or newer."))
    if not facts.is_current:
        found.append(Finding("schema", PROBLEM, "The schema is not the newest.", "Run `flask migrate`."))
    else:
        found.append(Finding("schema", OK, "The schema is the newest."))
    if facts.settings.get("autovacuum") == "off":
        sentence = "Autovacuum is off: the inbox will grow and slow down."
        found.append(Finding("postgres", PROBLEM, sentence, "Set autovacuum = on."))
    return [*found, skew("Postgres'", facts.skew_seconds)]


def _settings(settings: Mapping[str, str]) -> Finding:
    off = {name: what for name, what in _SAFE.items() if settings.get(name) in ("off", "local")}
    if off:
        what = "; ".join(f"{name} is {settings[name]}: {what}" for name, what in off.items())
        return Finding("postgres", PROBLEM, f"200 does not mean stored: {what}.", f"Set {' and '.join(off)} = on.")
    return Finding("postgres", OK, "Postgres keeps what it has committed.")


def _connections(facts: Postgres) -> Finding:
    most = int(facts.settings.get("max_connections", "0"))
    sentence = f"{facts.connections} of {most} connections are taken."
    if most and facts.connections > 0.9 * most:
        return Finding("postgres", PROBLEM, sentence, "Raise max_connections, or start fewer processes.")
    return Finding("postgres", OK, sentence)


def redis(policy: str | None, maxmemory: int, *, persists: bool | None, skew_seconds: float) -> list[Finding]:
    """`policy` and `persists` None: a hosted Redis that does not tell."""
    found = []
    if policy not in (None, "noeviction") and maxmemory:
        sentence = f"Redis throws keys away when its memory is full ({policy}): jobs and bells may vanish."
        found.append(Finding("redis", PROBLEM, sentence, "Set maxmemory-policy noeviction."))
    elif policy not in (None, "noeviction"):
        sentence = f"Redis would throw keys away if it had a limit of memory ({policy})."
        found.append(Finding("redis", WARNING, sentence, "Set maxmemory-policy noeviction."))
    else:
        found.append(Finding("redis", OK, "Redis throws no key away."))
    kept = {True: "keeps its keys over a restart", False: "forgets its keys at a restart", None: "does not say more"}
    lost = "Either way nothing is lost but bells, which the sweep rings again, figures, and the API budget."
    found.append(Finding("redis", OK, f"Redis {kept[persists]}. {lost}"))
    return [*found, skew("Redis'", skew_seconds)]


def skew(whose: str, seconds: float) -> Finding:
    sentence = f"{whose} clock and this machine's differ by {abs(seconds):.0f} s."
    if abs(seconds) <= SKEW_SECONDS:
        return Finding("clock", OK, sentence)
    level = PROBLEM if abs(seconds) > BAD_SKEW_SECONDS else WARNING
    return Finding("clock", level, sentence, "Let all machines take their time from NTP.")


def queue(lane: str, waiting: int, oldest_seconds: float, workers: int | None) -> list[Finding]:
    """`workers` None: Redis does not answer."""
    limit = LAG_SECONDS if lane == "live" else BULK_LAG_SECONDS
    sentence = f"Lane {lane}: {waiting:,} waiting, the oldest for {oldest_seconds:.0f} s."
    if oldest_seconds > limit:
        fix = f"See why with `flask deliveries list --outcome waiting`, or start more workers of the lane {lane}."
        found = [Finding("queues", PROBLEM, sentence, fix)]
    else:
        found = [Finding("queues", OK, sentence)]
    if workers == 0:
        found.append(
            Finding("workers", PROBLEM, f"No worker serves the lane {lane}.", f"Run `python -m workers {lane}`.")
        )
    elif workers:
        found.append(Finding("workers", OK, f"{_count(workers, 'worker serves', 'workers serve')} the lane {lane}."))
    return found


def timetable(late_seconds: float | None) -> Finding:
    """How late the clock's most frequent duty is; None: it has never been done."""
    if late_seconds is None or late_seconds > CLOCK_SECONDS:
        said = "has never run" if late_seconds is None else f"has done nothing for {late_seconds:.0f} s"
        return Finding("timetable", PROBLEM, f"The clock {said}: no runs, no sweep.", "Run `python -m workers clock`.")
    return Finding("timetable", OK, "The clock keeps its timetable.")


def dead(count: int) -> Finding:
    if count:
        fix = "See them with `flask issues list`, then replay them."
        return Finding("dead", PROBLEM, f"{_count(count, 'delivery is', 'deliveries are')} dead.", fix)
    return Finding("dead", OK, "No delivery is dead.")


LATE = timedelta(minutes=15)


def requests(undone: Sequence[tuple[int, str, datetime, datetime]], now: datetime) -> list[Finding]:
    """`undone`: (delivery, shop, asked for at, to be done until) of each request about somebody's data."""
    late = [one for one in undone if now - one[2] > LATE]
    found = [
        Finding(
            "requests",
            PROBLEM,
            f"Delivery {delivery} of {asked_at:%Y-%m-%d} asks about a person's data and is not done. Shopify wants it"
            f" done until {until:%Y-%m-%d}.",
            f"See why: flask deliveries show {delivery}. When that is cured: flask deliveries replay --id {delivery}.",
            shop,
        )
        for delivery, shop, asked_at, until in late
    ]
    return found or [Finding("requests", OK, "Every request about a person's data was done.")]


def keys(unreadable: int, sampled: int) -> Finding:
    if unreadable:
        fix = "Put back into ENCRYPTION_KEYS the key that they were sealed with."
        return Finding("keys", PROBLEM, f"{unreadable} of {sampled} sealed values do not open.", fix)
    return Finding("keys", OK, f"All of the {sampled} sealed values that were tried open.")


def wall(role: str, user: str, *, stands: bool, unprotected: Collection[str]) -> Finding:
    """Whether Postgres itself keeps merchants to their shops, besides our statements."""
    if not stands:
        sentence = "Postgres does not keep merchants to their own shops by itself; only our statements do."
        fix = f"As Postgres' administrator: CREATE ROLE {role} NOLOGIN; GRANT {role} TO {user}; then `flask migrate`."
        return Finding("second wall", WARNING, sentence, fix)
    if unprotected:
        sentence = f"Nothing in Postgres keeps merchants to their own rows of {', '.join(sorted(unprotected))}."
        return Finding("second wall", PROBLEM, sentence, "Run `flask migrate`.")
    return Finding("second wall", OK, "Postgres itself keeps each merchant to their own shop.")


def version(ours: str, now: datetime) -> Finding:
    ends = version_ends(ours)
    if ends is None:
        return Finding(
            "api version", WARNING, f"{ours} is no stable version.", "Set SHOPIFY_API_VERSION to a stable one."
        )
    said = f"Shopify answers {ours} until {ends:%Y-%m-%d}."
    if ends <= now:
        return Finding("api version", PROBLEM, f"{ours} ended on {ends:%Y-%m-%d}.", "Move to a newer version.")
    if is_ending(ours, now):
        return Finding("api version", WARNING, said, "Move to a newer version before that day.")
    return Finding("api version", OK, said)


def token(shop: str, state: str, refresh_ends: datetime | None, now: datetime) -> Finding:
    if state == "needs_auth":
        fix = "A merchant opens the app in Shopify's admin, or: flask shops add SHOP --token TOKEN."
        return Finding("token", PROBLEM, "Shopify no longer takes the token.", fix, shop)
    if refresh_ends is not None and refresh_ends - now < timedelta(days=7):
        sentence = f"The refresh token ends on {refresh_ends:%Y-%m-%d}, unless it is used before."
        return Finding("token", WARNING, sentence, "Have a merchant open the app in Shopify's admin.", shop)
    return Finding("token", OK, "Shopify takes the token.", None, shop)


def scopes(shop: str, wanted: Collection[str], granted: Collection[str]) -> Finding:
    """To write includes to read."""
    missing = sorted(s for s in wanted if s not in granted and s.replace("read_", "write_", 1) not in granted)
    if missing:
        fix = "Deploy shopify.app.toml with these scopes, and have the merchant open the app."
        return Finding("scopes", PROBLEM, f"The shop has not granted {', '.join(missing)}.", fix, shop)
    return Finding("scopes", OK, "All scopes are granted.", None, shop)


def held(shop: str, feed: str, run: int) -> Finding:
    sentence = f"Run {run} of {feed} would remove too much and is held."
    return Finding("runs", WARNING, sentence, f"Look at it, then: flask runs confirm {run}.", shop)


def _count(number: int, one: str, more: str) -> str:
    return f"{number:,} {one if number == 1 else more}"
