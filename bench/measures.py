"""Rates and answers of all who compete. Each empties the tables, sends, verifies that all of it arrived."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from bench import mail
from bench.contest import Contest
from bench.memory import Memory
from bench.progress import Note
from bench.scale import Reach
from bench.sender import send
from bench.sides.floor import BARE, POSTGRES
from bench.spread import spread
from bench.stage import Lost, Side

Figures = dict[str, Any]
Rates = tuple[
    float | None, float | None
]  # deliveries a second applied, and accepted; None where a side does no such thing


@dataclass(frozen=True, slots=True)
class Size:
    """How much of everything. A slow side gets its share of it, and rates are compared."""

    shops: int = 20
    rounds: int = 5
    deliveries: int = 12_000
    ack_seconds: float = 15.0
    idle_deliveries: int = 40
    storm_deliveries: int = 50_000
    storm_products: int = 100
    lookup_products: int = 50_000
    lookups: int = 500  # of each kind
    backfill_products: int = 50_000  # of five variants on average
    backfill_customers: int = 250_000  # of whom one in a hundred belongs
    bulk_above: int = 5_000  # Data Sync's own default
    quiet_shops: int = 200
    quiet_sizes: tuple[int, ...] = (100, 10_000, 50_000)  # products of one shop
    replay_deliveries: int = 100_000
    live_per_second: float = 100.0  # beside a replay, and beside a run
    window_seconds: float = 10.0
    run_products: int = 10_000
    reach: Reach | None = None  # of what is only measured when it is asked for


@dataclass(frozen=True)
class Bench:
    contest: Contest
    size: Size
    note: Note
    memory: Memory

    def count(self, side: Side) -> int:
        """A round's deliveries of this side."""
        return max(10, int(self.size.deliveries * side.share))

    def requests(self) -> Path:
        """The file with the signed requests, written when first asked for."""
        path = self.contest.folder / "requests"
        if not path.exists():
            self.note(f"signing {self.size.deliveries:,} deliveries")
            mail.write_requests(path, self.contest.secret, self.contest.shops, self.size.deliveries)
        return path


def warm_up(bench: Bench) -> None:
    """Caches, connections, lazily imported modules and compilers of all sides; and the rows of the floor."""
    for side in bench.contest.sides:
        _round(bench, side, max(bench.count(side) // 10, 10), f"{side.name}: warming up")
    ours = bench.contest.data_sync
    _round(bench, ours, bench.count(ours), f"{ours.name}: writing the rows of the floor")
    bench.contest.floor.keep_rows(bench.count(ours))


def end_to_end(bench: Bench) -> Figures:
    """Deliveries a second from the first POST to the last row committed, and to the last answer. Rounds in turn."""
    turns = list(_turns(bench))
    found: dict[str, list[Rates]] = {name: [] for name, *_ in turns}
    for number in range(1, bench.size.rounds + 1):
        for name, count, play in turns:
            what = f"end to end, round {number} of {bench.size.rounds}: {name}, {count:,} deliveries"
            found[name].append(play(what))
    return {name: _of_rounds(count, found[name]) for name, count, _ in turns}


def _turns(bench: Bench) -> Iterator[tuple[str, int, Callable[[str], Rates]]]:
    """Who, how many deliveries, and how a round of theirs goes."""
    for side in bench.contest.sides:
        count = bench.count(side)
        yield side.name, count, partial(_round, bench, side, count)
    yield BARE, bench.size.deliveries, partial(_bare_round, bench)
    yield POSTGRES, bench.size.deliveries, partial(_postgres_round, bench)


def _of_rounds(count: int, rounds: list[Rates]) -> Figures:
    applied = [to_rows for to_rows, _ in rounds if to_rows]
    accepted = [to_answers for _, to_answers in rounds if to_answers]
    return {
        "deliveries_a_round": count,
        **({"applied_per_second": asdict(spread(applied))} if applied else {}),
        **({"accepted_per_second": asdict(spread(accepted))} if accepted else {}),
        "lost": 0,  # a loss would have ended this
    }


def _round(bench: Bench, side: Side, count: int, what: str) -> Rates:
    requests = bench.requests()
    bench.contest.settle()
    bench.note(what)
    with bench.memory.watching():
        sent = send(requests, side.port, count)
        done = side.await_applied(count, lambda left: bench.note(what, f"{left:,} left"))
    side.verify(count, sent.statuses)
    return count / (done - sent.began), sent.per_second


def _bare_round(bench: Bench, what: str) -> Rates:
    bench.contest.settle()
    bench.note(what)
    count = bench.size.deliveries
    sent = send(bench.requests(), bench.contest.floor.port, count)
    if sent.statuses != {"200": count}:
        raise Lost(f"{BARE}: {count:,} sent, answers {sent.statuses}.")
    return None, sent.per_second


def _postgres_round(bench: Bench, what: str) -> Rates:
    bench.contest.settle()
    bench.note(what)
    seconds = bench.contest.floor.write_rows()
    bench.contest.floor.verify()
    return bench.size.deliveries / seconds, None


def acknowledgement(bench: Bench, rates: Mapping[str, float]) -> Figures:
    """Latency of the answer at half the peak accept rate, sent at their own times whatever the answers do."""
    found = {}
    for side in bench.contest.sides:
        rate = rates[side.name]
        count = max(10, min(int(rate * bench.size.ack_seconds), bench.size.deliveries))
        bench.contest.settle()
        bench.note(f"acknowledgement: {side.name}, {rate:,.0f} a second for {count / rate:.0f} s")
        with bench.memory.watching():
            sent = send(bench.requests(), side.port, count, connections=64, per_second=rate)
        if sent.statuses != {"200": count}:
            raise Lost(f"{side.name}: {count:,} sent, answers {sent.statuses}.")
        left = side.unapplied(count)
        if side.share == 1:  # a slow one would need minutes
            side.await_applied(count, lambda left: bench.note("acknowledgement: the rest is applied", f"{left:,} left"))
            side.verify(count, sent.statuses)
        found[side.name] = {"offered_per_second": round(rate, 1), "seconds": round(sent.seconds, 1), **sent.latency}
        found[side.name]["unapplied_at_the_end"] = left
    return found


def half_the_peak(rounds: Figures) -> dict[str, float]:
    """Deliveries a second, by side."""
    return {name: of["accepted_per_second"]["median"] / 2 for name, of in rounds.items() if "accepted_per_second" in of}
