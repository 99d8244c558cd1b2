"""What Postgres, Redis and Shopify say of themselves: settings that a promise rests on, and what time it is there."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx
import redis
from sqlalchemy import Connection, text

_SETTINGS = ("fsync", "synchronous_commit", "full_page_writes", "autovacuum", "max_connections", "TimeZone")


@dataclass(frozen=True, slots=True)
class PostgresFacts:
    """`version` is `server_version_num`; `skew_seconds` how far its clock is ahead of ours."""

    version: int
    settings: dict[str, str]
    connections: int
    skew_seconds: float


def postgres(db: Connection) -> PostgresFacts:
    """`synchronous_commit` is what our own sessions get: a role or a database may have been given another one."""
    before = time.time()
    there = float(db.execute(text("SELECT extract(epoch FROM clock_timestamp())::float8")).scalar_one())
    skew = there - (before + time.time()) / 2
    settings = {name: str(db.execute(text(f"SHOW {name}")).scalar_one()) for name in _SETTINGS}
    version = int(db.execute(text("SHOW server_version_num")).scalar_one())
    counted = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"
    return PostgresFacts(version, settings, int(db.execute(text(counted)).scalar_one()), skew)


def user(db: Connection) -> str:
    """Who we are there, ready to be pasted into a statement."""
    return str(db.execute(text("SELECT quote_ident(current_user)")).scalar_one())


@dataclass(frozen=True, slots=True)
class RedisFacts:
    """None: it does not tell, as hosted ones may not."""

    policy: str | None
    maxmemory: int
    persists: bool | None
    skew_seconds: float


def of_redis(client: redis.Redis) -> RedisFacts:
    """May raise RedisError."""
    before = time.time()
    seconds, micros = client.time()
    skew = seconds + micros / 1_000_000 - (before + time.time()) / 2
    try:
        told = client.config_get("maxmemory-policy", "maxmemory", "appendonly", "save")
    except redis.ResponseError:  # CONFIG is forbidden
        return RedisFacts(None, 0, None, skew)
    known = {_text(name): _text(value) for name, value in told.items()}
    persists = known.get("appendonly") == "yes" or bool(known.get("save"))
    return RedisFacts(known.get("maxmemory-policy"), int(known.get("maxmemory", "0")), persists, skew)


def _text(value: bytes | str | None) -> str:
    return value.decode() if isinstance(value, bytes) else value or ""


def shopify_skew(origin: str, shop: str) -> float | None:
    """How far Shopify's clock is ahead of ours, by the Date of an answer; None without one. To a second or two.

    Nothing of ours is sent: no token, no cookie, no redirect followed.
    """
    try:
        before = time.time()
        answer = httpx.head(origin.replace("{shop}", shop), timeout=3.0, follow_redirects=False)
        there = parsedate_to_datetime(answer.headers["Date"])
    except (httpx.HTTPError, httpx.InvalidURL, KeyError, ValueError, TypeError):
        return None
    there = there if there.tzinfo else there.replace(tzinfo=UTC)
    return there.timestamp() + 0.5 - (before + time.time()) / 2


_LATE = text("SELECT extract(epoch FROM now() - max(due_at))::float8 FROM duties WHERE name = ANY(:names)")


def clock_is_late(db: Connection, names: list[str]) -> float | None:
    """Seconds since the newest of these duties was due; None when none was ever done. Negative: it is still to come."""
    late: float | None = db.execute(_LATE, {"names": names}).scalar()
    return late


_HELD = text("""
    SELECT f.shop, f.feed, r.id FROM feeds f
    CROSS JOIN LATERAL (SELECT id, state FROM runs WHERE shop = f.shop AND feed = f.feed ORDER BY id DESC LIMIT 1) AS r
    WHERE r.state = 'held' AND (CAST(:shop AS text) IS NULL OR f.shop = :shop) ORDER BY 1, 2
""")


def held_runs(db: Connection, shop: str | None) -> list[tuple[str, str, int]]:
    """(shop, feed, run) of every run that waits for a word."""
    return [(row.shop, row.feed, row.id) for row in db.execute(_HELD, {"shop": shop})]


_REFRESH = text("SELECT refresh_expires_at FROM shops WHERE domain = :shop")


def refresh_ends(db: Connection, shop: str) -> datetime | None:
    """When the shop's refresh token ends; None for a lasting token."""
    ends: datetime | None = db.execute(_REFRESH, {"shop": shop}).scalar()
    return ends
