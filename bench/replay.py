"""A replay of very many dead deliveries beside live mail: does Shopify have to wait longer for its 200?"""

import json
import subprocess
import time
from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection

from adapters import database, inbox
from adapters.chosen import Filter
from bench import mail
from bench.live import Live, compared, know_metafields
from bench.measures import Bench, Figures
from bench.memory import Memory
from bench.spread import latencies
from bench.stage import BIN, CHECKOUT, COMMAND_SECONDS, Lost, Side, number
from devstore.bodies import encode

DEAD = ("--outcome", "dead")
LOOKS = 10


def replay(bench: Bench) -> Figures:
    """Dead deliveries of products that the mirror knows by their metafields alone, as after a bug in a schema."""
    side, size = bench.contest.data_sync, bench.size
    bench.contest.settle()
    _make_dead(bench)
    found: Figures = {"deliveries": size.replay_deliveries, "live_per_second": size.live_per_second}
    bench.note("replay: looking through the dead")
    found["looking"] = _look_through(side)
    bench.note("replay: the forecast")
    found["forecast"] = _forecast(side)
    live = _live(bench)
    alone = live.alone(lambda what: bench.note(f"replay: {what}"))
    memory = Memory(side.family)
    with memory.watching():
        id_of_it = _flask(side, "replays", "start", *DEAD, "--name", "bench", "--yes")["replay"]["id"]
        bench.note("replay: live mail beside it")
        running = f"SELECT count(*) FROM replays WHERE id = {id_of_it} AND state = 'running'"  # noqa: S608  # a number
        during = list(live.beside(lambda: number(side.db, running) > 0))
    found |= compared(alone, during)
    found |= {"memory": memory.quarters(), **_verified(bench, id_of_it)}
    return found


def _make_dead(bench: Bench) -> None:
    side, count = bench.contest.data_sync, bench.size.replay_deliveries
    bench.note(f"replay: {count:,} deliveries die")
    same = ("products/update", "products", "webhook", "live", "closed", "dead", "could not be applied: KeyError")
    with side.db.cursor() as cursor, cursor.copy(_COPY) as rows:
        for n in range(count):
            body = encode(mail.product(n))
            own = (bench.contest.shops[n % len(bench.contest.shops)], f"bench-dead-{n}", mail.product_id(n))
            rows.write_row((*own, *[mail.CHANGED_AT] * 3, body, len(body), *same))
    know_metafields(side.db, bench.contest.shops, count)
    for statement in ("ANALYZE deliveries", "ANALYZE products", "CHECKPOINT"):
        side.db.execute(statement.encode())


_COPY = """
    COPY deliveries (shop, webhook_id, resource_id, changed_at, triggered_at, closed_at, body, body_bytes,
                     topic, feed, source, lane, state, outcome, reason) FROM STDIN
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


def _live(bench: Bench) -> Live:
    size, contest = bench.size, bench.contest
    port, path = contest.data_sync.port, contest.folder / "live"
    return Live(path, port, contest.secret, contest.shops, size.live_per_second, size.window_seconds)


def _verified(bench: Bench, replay_id: int) -> Figures:
    """It finished, nothing failed, every product is there, and the live mail was applied as well."""
    side = bench.contest.data_sync
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
        command, check=False, cwd=CHECKOUT, env=environment, capture_output=True, text=True, timeout=COMMAND_SECONDS
    )
    if done.returncode > 1:
        raise Lost(f"`flask {' '.join(arguments)}` ended with {done.returncode}: {done.stderr[-500:]}")
    return json.loads(done.stdout)
