"""How far a filter reaches: what must be said before anything is done to many deliveries."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection, text

from adapters.chosen import Filter, condition_of

NAMED = 3  # shops; of more their number is said


@dataclass(frozen=True, slots=True)
class Reach:
    """Closed deliveries by shop and by what stands of them now, and when the first and the last was received."""

    shops: Mapping[str, int]
    outcomes: Mapping[str, int]
    first: datetime | None
    last: datetime | None

    @property
    def sentence(self) -> str:
        """`54 dead, 2 applied, of alpha.myshopify.com, received from 2026-11-30 02:13:38 to …`"""
        if self.first is None or self.last is None:
            return "Nothing that is closed matches."
        what = ", ".join(f"{n:,} {outcome}" for outcome, n in self.outcomes.items())
        names = ", ".join(self.shops) if len(self.shops) <= NAMED else f"{len(self.shops):,} shops"
        return f"{what}, of {names}, received from {_moment(self.first)} to {_moment(self.last)} UTC."


def _moment(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def reach(db: Connection, chosen: Filter) -> Reach:
    where, values = condition_of(chosen)
    statement = text(f"""
        SELECT shop, outcome, count(*) AS n, min(received_at) AS first, max(received_at) AS last
        FROM deliveries WHERE {where} AND state = 'closed' GROUP BY shop, outcome
    """)  # noqa: S608 — conditions of ours, values bound
    rows = db.execute(statement, values).all()
    shops: Counter[str] = Counter()
    outcomes: Counter[str] = Counter()
    for row in rows:
        shops[row.shop] += row.n
        outcomes[row.outcome] += row.n
    first, last = min((row.first for row in rows), default=None), max((row.last for row in rows), default=None)
    return Reach(dict(shops.most_common()), dict(outcomes.most_common()), first, last)
