"""Which alerts are on, and what was told of them by which way: each at once, then hourly, and once when it is over.

What comes back after its end was told is news, but not within five minutes of that: something may come and go.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import Text

LEASE_SECONDS = 60
FIRST_PAUSE = 15.0  # after an attempt that failed; doubled up to an hour, for as long as there is something to tell


@dataclass(frozen=True, slots=True)
class Due:
    """Something to tell. `firing` False: that it is over. `told_at`: it was told before, maybe of an earlier time."""

    name: str
    channel: str
    firing: bool
    sentence: str
    since: datetime
    told_at: datetime | None
    attempts: int

    @property
    def again(self) -> bool:
        """It was told before that this is on, and it has been since."""
        return self.told_at is not None and self.told_at >= self.since


_ON = text("""
    INSERT INTO alerts (name, channel, firing, sentence)
    SELECT a.name, c.channel, true, a.sentence
    FROM unnest(:names, :sentences) AS a (name, sentence) CROSS JOIN unnest(:channels) AS c (channel)
    ORDER BY 1, 2
    ON CONFLICT (name, channel) DO UPDATE
    SET firing = true, sentence = excluded.sentence,
        since = CASE WHEN alerts.firing THEN alerts.since ELSE now() END,
        attempts = CASE WHEN alerts.firing THEN alerts.attempts ELSE 0 END,
        next_attempt_at = CASE WHEN alerts.firing THEN alerts.next_attempt_at ELSE now() END
""").bindparams(*(bindparam(name, type_=ARRAY(Text)) for name in ("names", "sentences", "channels")))
_OVER = text("""
    UPDATE alerts SET firing = false, attempts = 0, next_attempt_at = now() WHERE firing AND name <> ALL(:still)
""").bindparams(bindparam("still", type_=ARRAY(Text)))


def note(db: Connection, on: Mapping[str, str], unknown: Collection[str], channels: Sequence[str]) -> None:
    """These are on, with their sentences; those that nobody knows of stay as they were; all others are over."""
    db.execute(_ON, {"names": list(on), "sentences": list(on.values()), "channels": list(channels)})
    db.execute(_OVER, {"still": [*on, *unknown]})


_IS_DUE = """
    next_attempt_at <= now() AND CASE
        WHEN firing THEN told_at IS NULL OR told_at <= now() - interval '1 hour'
                         OR resolved_at BETWEEN told_at AND now() - interval '5 minutes'
        ELSE told_at IS NOT NULL AND (resolved_at IS NULL OR resolved_at < told_at) END
"""
_CLAIM = text(f"""
    UPDATE alerts SET attempts = attempts + 1, next_attempt_at = now() + make_interval(secs => :lease)
    WHERE (name, channel) = (SELECT name, channel FROM alerts WHERE {_IS_DUE} ORDER BY next_attempt_at LIMIT 1
                             FOR UPDATE SKIP LOCKED)
    RETURNING name, channel, firing, sentence, since, told_at, attempts
""")  # noqa: S608 — put together from our own statements


def claim(db: Connection) -> Due | None:
    """What is to be told next, leased; this attempt is counted already."""
    row = db.execute(_CLAIM, {"lease": LEASE_SECONDS}).one_or_none()
    return Due(*row) if row is not None else None


def is_due(db: Connection) -> bool:
    statement = text(f"SELECT EXISTS (SELECT 1 FROM alerts WHERE {_IS_DUE})")  # noqa: S608 — put together from our own statement
    return bool(db.execute(statement).scalar_one())


def told(db: Connection, due: Due) -> None:
    column = "told_at" if due.firing else "resolved_at"
    statement = text(f"""
        UPDATE alerts SET {column} = now(), attempts = 0, trouble = NULL, next_attempt_at = now()
        WHERE name = :name AND channel = :channel
    """)  # noqa: S608 — one of two names of ours
    db.execute(statement, {"name": due.name, "channel": due.channel})


def failed(db: Connection, due: Due, trouble: str) -> None:
    """Again later: an alert is not given up while there is something to tell."""
    pause = min(FIRST_PAUSE * 2.0 ** min(due.attempts - 1, 10), 3_600.0)
    statement = text("""UPDATE alerts SET trouble = :trouble, next_attempt_at = now() + make_interval(secs => :pause)
                        WHERE name = :name AND channel = :channel""")
    db.execute(statement, {"name": due.name, "channel": due.channel, "trouble": trouble, "pause": pause})


def forget(db: Connection) -> None:
    """What has been over for a day, or was over before anybody was told."""
    db.execute(
        text("DELETE FROM alerts WHERE NOT firing AND (told_at IS NULL OR resolved_at < now() - interval '1 day')")
    )
