"""A replay of very many dead deliveries beside live mail: does Shopify have to wait longer for its 200?"""

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from statistics import median
from typing import Any

from sqlalchemy import Connection

from adapters import database, inbox
from adapters.chosen import Filter
from bench import mail
from bench.measures import Bench
from bench.memory import Memory
from bench.sender import send
from bench.spread import latencies
from bench.stage import BIN, CHECKOUT, Lost, Side, number, settle
from devstore.bodies import encode

Figures = dict[str, Any]
DEAD = ("--outcome", "dead")
IDLE_WINDOWS = 3
LOOKS = 10


def replay(bench: Bench) -> Figures:
    """Dead deliveries of products that the mirror knows by their metafields alone, as after a bug in a schema."""
    side, size = bench.stage.data_sync, bench.size
    settle(bench.stage)
    _make_dead(bench)
    found: Figures = {"deliveries": size.replay_deliveries, "live_per_second": size.replay_live_per_second}
    bench.note("replay: looking through the dead")
    found["looking"] = _look_through(side)
    bench.note("replay: the forecast")
    found["forecast"] = _forecast(side)
    idle = [_live(bench, f"replay: live mail alone, {n} of {IDLE_WINDOWS}") for n in range(1, IDLE_WINDOWS + 1)]
    memory = Memory(side.family)
    with memory.watching():
        number_of_it = _flask(side, "replays", "start", *DEAD, "--name", "bench", "--yes")["replay"]["id"]
        during = list(_windows_until_it_ends(bench, number_of_it))
    found |= {"idle_p99_ms": median(idle), "during_p99_ms": median(during), "during_windows": len(during)}
    found |= {"memory": memory.quarters(), **_verified(bench, number_of_it)}
    return found


def _make_dead(bench: Bench) -> None:
    side, count = bench.stage.data_sync, bench.size.replay_deliveries
    bench.note(f"replay: {count:,} deliveries die")
    same = ("products/update", "products", "webhook", "live", "closed", "dead", "could not be applied: KeyError")
    with side.db.cursor() as cursor, cursor.copy(_COPY) as rows:
        for n in range(count):
            body = encode(mail.product(n))
            own = (bench.stage.shops[n % len(bench.stage.shops)], f"bench-dead-{n}", mail.product_id(n))
            rows.write_row((*own, *[mail.CHANGED_AT] * 3, body, len(body), *same))
    side.db.execute(_KNOW_METAFIELDS, {"shops": bench.stage.shops, "of": len(bench.stage.shops), "count": count})
    for statement in ("ANALYZE deliveries", "ANALYZE products", "CHECKPOINT"):
        side.db.execute(statement.encode())


_COPY = """
    COPY deliveries (shop, webhook_id, resource_id, changed_at, triggered_at, closed_at, body, body_bytes,
                     topic, feed, source, lane, state, outcome, reason) FROM STDIN
"""
# Otherwise each would ask Shopify for its metafields, which nobody answers here: that is not what is measured.
_KNOW_METAFIELDS = """
    INSERT INTO products (shop, id, core_at, core_seen, metafields, metafields_seen)
    SELECT (CAST(%(shops)s AS text[]))[n %% %(of)s + 1], 8000000000000 + n * 1000, 'epoch', 'epoch',
           jsonb_build_object('product', '[]'::jsonb, 'variants',
                              (SELECT jsonb_object_agg((8000000000000 + n * 1000 + v)::text, '[]'::jsonb)
                               FROM generate_series(1, 5) AS v)), 'epoch'
    FROM generate_series(0, %(count)s - 1) AS n
"""


def _look_through(side: Side) -> Figures:
    """What a page of the console asks: the newest hundred, a filter by words, and how many there are."""
    about = side.db.info
    engine = database.connect(f"postgresql+psycopg://{about.user}@{about.host}:{about.port}/{about.dbname}")
    looks: dict[str, Callable[[Connection], object]] = {
        "list": lambda db: inbox.select(db, Filter(outcome="dead"), 100),
        "filter": lambda db: inbox.select(db, Filter(outcome="dead", error="keyerror"), 100),
        "filter without a match": lambda db: inbox.select(db, Filter(outcome="dead", error="no such words"), 100),
        "count": lambda db: inbox.count(db, Filter(outcome="dead")),
    }
    try:
        with engine.connect() as db:
            return {name: latencies([_timed(look, db) for _ in range(LOOKS)]) for name, look in looks.items()}
    finally:
        engine.dispose()


def _timed(look: Callable[[Connection], object], db: Connection) -> float:
    began = time.monotonic()
    look(db)
    return time.monotonic() - began


def _forecast(side: Side) -> Figures:
    began = time.monotonic()
    foreseen = _flask(side, "replays", "start", *DEAD)["forecast"]
    return {"seconds": round(time.monotonic() - began, 1), "considered": foreseen["considered"]}


def _live(bench: Bench, what: str) -> float:
    """A window of live mail at a steady rate; the p99 of its answers in milliseconds."""
    size, stage = bench.size, bench.stage
    path, count = stage.folder / "live", int(size.replay_live_per_second * size.replay_window_seconds)
    mail.write_requests(path, stage.secret, stage.shops, count)
    bench.note(what)
    sent = send(path, stage.data_sync.port, count, connections=64, per_second=size.replay_live_per_second)
    if sent.statuses != {"200": count}:
        raise Lost(f"Data Sync: {count:,} sent beside a replay, answers {sent.statuses}.")
    return sent.latency["p99_ms"]


def _windows_until_it_ends(bench: Bench, replay_id: int) -> Iterator[float]:
    """At least one, however fast it was."""
    db = bench.stage.data_sync.db
    running = f"SELECT count(*) FROM replays WHERE id = {replay_id} AND state = 'running'"  # noqa: S608  # a number
    opened = f"SELECT opened FROM replays WHERE id = {replay_id}"  # noqa: S608  # a number of ours
    goes_on = True
    while goes_on:
        yield _live(bench, f"replay: live mail beside it, {number(db, opened):,} open so far")
        goes_on = bool(number(db, running))


def _verified(bench: Bench, replay_id: int) -> Figures:
    """It finished, nothing failed, every product is there, and the live mail was applied as well."""
    side = bench.stage.data_sync
    side.await_applied(0, lambda left: bench.note("replay: the last live mail", f"{left:,} left"))
    row = _flask(side, "replays", "show", str(replay_id))
    there = number(side.db, "SELECT count(*) FROM products WHERE core IS NOT NULL")
    dead = number(side.db, "SELECT count(*) FROM deliveries WHERE outcome = 'dead'")
    if (row["state"], dead, there, row["opened"]) != ("finished", 0, *[bench.size.replay_deliveries] * 2):
        raise Lost(f"The replay: {row['state']}, {row['outcomes']}, {dead:,} dead, {there:,} products.")
    seconds = number(
        side.db,
        f"SELECT extract(epoch FROM finished_at - started_at) FROM replays WHERE id = {replay_id}",  # noqa: S608  # a number
    )
    return {"seconds": seconds, "outcomes": row["outcomes"]}


def _flask(side: Side, *arguments: str) -> Any:
    """The command line, with the environment of the processes that run."""
    environment = next(iter(side.family()["clock"])).environ()
    command = [str(BIN / "flask"), *arguments, "--json"]
    done = subprocess.run(  # noqa: S603  # a command put together here
        command, check=False, cwd=CHECKOUT, env=environment, capture_output=True, text=True
    )
    if done.returncode > 1:
        raise Lost(f"`flask {' '.join(arguments)}` ended with {done.returncode}: {done.stderr[-500:]}")
    return json.loads(done.stdout)
