"""What stands where, taken now and then by a clock, so that no scrape counts a table: it reads some dozens of rows.

What waits is the exception: up to a thousand of a lane are counted on the spot, for a lane that has run dry must say so
at once; beyond, ten seconds more or less are nothing.
"""

from collections.abc import Iterable, Mapping

from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import Double, Text

from adapters.figures import Meaning
from domain.alerts import Facts

WAITING = Meaning("waiting", "Deliveries waiting, by lane", ("lane",))
OLDEST = Meaning("oldest_waiting_seconds", "Age of the oldest delivery waiting, by lane", ("lane",))
DEAD = Meaning("dead", "Dead deliveries, by what was decided about their failure", ("state",))
REPLAYS = Meaning("replays", "Replays, by state", ("state",))
REPLAYING = Meaning("replay_remaining", "Deliveries that running replays have still to open")
WORKERS = Meaning("workers", "Worker processes alive, by lane", ("lane",))
FAILED_JOBS = Meaning("failed_jobs", "Jobs that RQ itself lists as failed, by lane, at most fifty", ("lane",))
FEEDS = Meaning("feeds", "Feeds, by state", ("feed", "state"))
SHOPS = Meaning("shops", "Shops, by state", ("state",))
FINDINGS = Meaning("shop_findings", "Shops with this finding of their health check", ("code",))
GAPS = Meaning("gaps_last_hour", "Changes that runs repaired in the last hour, by cause", ("feed", "cause"))
HELD = Meaning("runs_held", "Feeds whose last run waits for `flask runs confirm`")
TOKENS = Meaning("token_expires_seconds", "Until the first access or refresh token ends", ("kind",))
POINTS_LEFT = Meaning("api_points_left_ratio", "The smallest share of API points that a shop has left")
GAUGES = (
    *(WAITING, OLDEST, DEAD, REPLAYS, REPLAYING, WORKERS, FAILED_JOBS),
    *(FEEDS, SHOPS, FINDINGS, GAPS, HELD, TOKENS, POINTS_LEFT),
)

Levels = Mapping[tuple[str, tuple[str, ...]], float]

# Snoozed until a moment that has passed is open again, whoever says so first.
_DEAD = text("""
    SELECT CASE WHEN f.state IS NULL OR (f.state = 'snoozed' AND f.snoozed_until <= now()) THEN 'open'
                ELSE f.state END AS state, count(*) AS n
    FROM deliveries d LEFT JOIN failures f ON f.fingerprint = d.fingerprint
    WHERE d.outcome = 'dead' GROUP BY 1
""")
# One that has ended is news for a day.
_REPLAYS = text("""
    SELECT state, count(*) AS n, coalesce(sum(greatest(total - opened - passed_over, 0)), 0) AS left FROM replays
    WHERE state = 'running' OR finished_at > now() - interval '1 day' GROUP BY state
""")


def of_inbox(db: Connection) -> dict[tuple[str, tuple[str, ...]], float]:
    """What is dead, and what replays have still to do."""
    levels: dict[tuple[str, tuple[str, ...]], float] = {(DEAD.name, ("open",)): 0.0, (REPLAYING.name, ()): 0.0}
    for row in db.execute(_DEAD):
        levels[DEAD.name, (row.state,)] = float(row.n)
    for row in db.execute(_REPLAYS):
        levels[REPLAYS.name, (row.state,)] = float(row.n)
        if row.state == "running":
            levels[REPLAYING.name, ()] = float(row.left)
    return levels


_SHOPS = text("""
    SELECT state, count(*) AS n,
           extract(epoch FROM min(token_expires_at) - now())::float8 AS access,
           extract(epoch FROM min(refresh_expires_at) - now())::float8 AS refresh
    FROM shops GROUP BY state
""")
_FINDINGS = text("""
    SELECT i.code, count(DISTINCT s.domain) AS n
    FROM shops s CROSS JOIN (VALUES ('products'), ('customers')) AS kind (feed)
    CROSS JOIN LATERAL (SELECT DISTINCT code FROM issues
                        WHERE shop = s.domain AND feed = kind.feed AND resource_id = 0 AND resolved_at IS NULL) AS i
    WHERE s.state <> 'uninstalled' GROUP BY i.code
""")
_GAPS = text("""
    SELECT feed, cause, count(*) AS n FROM gaps WHERE repaired_at > now() - interval '1 hour' GROUP BY feed, cause
""")
_HELD = text("""
    SELECT count(*) FROM feeds f
    WHERE 'held' = (SELECT state FROM runs WHERE shop = f.shop AND feed = f.feed ORDER BY id DESC LIMIT 1)
""")


def of_shops(db: Connection) -> dict[tuple[str, tuple[str, ...]], float]:
    """How the shops are: access, tokens, findings, gaps, held runs. A few index steps for each shop."""
    levels: dict[tuple[str, tuple[str, ...]], float] = {(SHOPS.name, (s,)): 0.0 for s in ("active", "needs_auth")}
    for row in db.execute(_SHOPS):
        levels[SHOPS.name, (row.state,)] = float(row.n)
        ends = {"access": row.access, "refresh": row.refresh} if row.state == "active" else {}
        levels |= {(TOKENS.name, (kind,)): end for kind, end in ends.items() if end is not None}
    levels |= {(FINDINGS.name, (row.code,)): float(row.n) for row in db.execute(_FINDINGS)}
    levels |= {(GAPS.name, (row.feed, row.cause)): float(row.n) for row in db.execute(_GAPS)}
    return levels | {(HELD.name, ()): float(db.execute(_HELD).scalar_one())}


_DROP = text("DELETE FROM stock WHERE name = ANY(:names)").bindparams(bindparam("names", type_=ARRAY(Text)))
_KEEP = text("""
    INSERT INTO stock (name, labels, value)
    SELECT name, string_to_array(labels, chr(31)), value
    FROM unnest(:names, :labels, :values) AS s (name, labels, value)
""").bindparams(
    bindparam("names", type_=ARRAY(Text)),
    bindparam("labels", type_=ARRAY(Text)),
    bindparam("values", type_=ARRAY(Double)),
)


def write(db: Connection, names: Iterable[str], levels: Levels) -> None:
    """Replace all levels of these names: what is not there any more has no level."""
    db.execute(_DROP, {"names": list(names)})
    if levels:
        columns = {
            "names": [name for name, _ in levels],
            "labels": ["\x1f".join(labels) for _, labels in levels],
            "values": list(levels.values()),
        }
        db.execute(_KEEP, columns)


_READ = text("SELECT name, labels, value, extract(epoch FROM now() - at)::float8 AS age FROM stock")


def read(db: Connection) -> tuple[dict[tuple[str, tuple[str, ...]], float], float | None]:
    """The levels as last taken, and the age in seconds of those that are taken most often; None before the first."""
    rows = db.execute(_READ).all()
    levels = {(row.name, tuple(row.labels)): float(row.value) for row in rows}
    return levels, min((row.age for row in rows), default=None)


MOST_COUNTED = 1_000
# In the order of the index of the waiting. Without it the planner, which takes a backlog in one lane for one in both,
# reads the whole table for the lane that has none.
_WAITING_NOW = text("""
    SELECT lane.name AS lane, count(w.received_at) AS n,
           coalesce(extract(epoch FROM now() - min(w.received_at))::float8, 0) AS oldest
    FROM (VALUES ('live'), ('bulk')) AS lane (name)
    LEFT JOIN LATERAL (SELECT received_at FROM deliveries WHERE lane = lane.name AND state = 'waiting'
                       ORDER BY shop, next_attempt_at, id LIMIT :most) AS w ON true
    GROUP BY lane.name
""")


def with_what_waits_now(db: Connection, levels: Levels) -> dict[tuple[str, tuple[str, ...]], float]:
    """The levels, with what waits as it is at this moment wherever that is cheap to know."""
    now = dict(levels)
    for row in db.execute(_WAITING_NOW, {"most": MOST_COUNTED}):
        waiting, oldest = (WAITING.name, (row.lane,)), (OLDEST.name, (row.lane,))
        many = row.n == MOST_COUNTED
        now[waiting] = max(now.get(waiting, 0.0), float(row.n)) if many else float(row.n)
        now[oldest] = max(now.get(oldest, 0.0), row.oldest) if many else row.oldest
    return now


SHOULD_NOT_BE = ("never_delivered", "dead", "wrongly_filtered")


def facts(levels: Levels, signature_failures: int | None) -> Facts:
    """What alerts are decided by: the same for whoever is told, and for whoever looks at the console."""
    gaps = (value for (name, labels), value in levels.items() if name == GAPS.name and labels[1] in SHOULD_NOT_BE)
    return Facts(
        dead=int(levels.get((DEAD.name, ("open",)), 0)),
        oldest_live_seconds=levels.get((OLDEST.name, ("live",)), 0.0),
        silent_shops=int(levels.get((FINDINGS.name, ("WEBHOOKS_SILENT",)), 0)),
        gaps_last_hour=int(sum(gaps)),
        signature_failures=signature_failures,
    )
