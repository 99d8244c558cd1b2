"""Periodic duties, claimed in the database: the clock may run twice, or pause, and no duty is done twice."""

from sqlalchemy import Connection, text

_RESTING = text("SELECT name FROM duties WHERE due_at > now()")


def resting(db: Connection) -> set[str]:
    """Those that nobody need try to claim yet."""
    return {row.name for row in db.execute(_RESTING)}


_CLAIM = text("""
    INSERT INTO duties (name, due_at) VALUES (:name, now() + make_interval(secs => :every))
    ON CONFLICT (name) DO UPDATE SET due_at = now() + make_interval(secs => :every) WHERE duties.due_at <= now()
""")


def claim(db: Connection, name: str, every: float) -> bool:
    """Whether the duty is due and now ours; the next one is due `every` seconds from now."""
    return db.execute(_CLAIM, {"name": name, "every": every}).rowcount == 1
