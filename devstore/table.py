"""One kind of record in one shop, twice: the truth, and the search index that lags behind it."""

from collections import deque
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar

from devstore.records import Customer, Product

SEARCHES = 8  # sorted results kept, for those who are paging just now
R = TypeVar("R", Product, Customer)


class Table(Generic[R]):
    """Not thread-safe: the shop's lock guards it."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self.truth: dict[int, R] = {}
        self.deleted: dict[int, None] = {}  # a set that keeps its order
        self._now = now
        self._index: dict[int, R] = {}
        self._unseen: deque[tuple[datetime, int, R | None]] = deque()
        self._searches: dict[Any, list[R]] = {}

    def stock(self, records: Iterable[R]) -> None:
        """Fill at once, index included: what was there before anybody looked."""
        fresh = {record.number: record for record in records}
        self.truth.update(fresh)
        self._index.update(fresh)
        self._searches.clear()

    def put(self, record: R) -> None:
        """Whoever was deleted may come back under its number."""
        self.truth[record.number] = record
        self.deleted.pop(record.number, None)
        self._unseen.append((self._now(), record.number, record))

    def remove(self, number: int) -> R:
        record = self.truth.pop(number)
        self.deleted[number] = None
        self._unseen.append((self._now(), number, None))
        return record

    def search(
        self, lag: float, name: Any, matches: Callable[[R], bool] | None, order: Callable[[R], Any], *, reverse: bool
    ) -> list[R]:
        """The index as it was `lag` seconds ago, filtered and sorted. Searches of one `name` are sorted once."""
        self._catch_up(lag)
        if name not in self._searches:
            if len(self._searches) >= SEARCHES:
                self._searches.clear()
            rows = self._index.values() if matches is None else filter(matches, self._index.values())
            self._searches[name] = sorted(rows, key=order, reverse=reverse)
        return self._searches[name]

    def indexed(self, lag: float) -> dict[int, R]:
        self._catch_up(lag)
        return dict(self._index)

    def _catch_up(self, lag: float) -> None:
        horizon = self._now() - timedelta(seconds=lag)
        while self._unseen and self._unseen[0][0] <= horizon:
            _, number, record = self._unseen.popleft()
            self._searches.clear()
            if record is None:
                self._index.pop(number, None)
            else:
                self._index[number] = record
