"""Plain Flask + RQ, with RQ's default worker or its SimpleWorker; each pair of workers has a web process of its own."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import psycopg
import redis
from rq import Queue
from rq.registry import StartedJobRegistry

from bench.caller import Caller
from bench.peers.flask_rq import QUEUE, engine, metadata
from bench.stage import (
    CHECKOUT,
    LOOK,
    PATIENCE,
    PATIENT,
    START_SECONDS,
    Ground,
    Lost,
    Side,
    answers,
    create_database,
    granian_of_the_procfile,
    number,
    with_children,
)
from devstore.servers import Child, free_port

NAMES = {"Worker": "Flask + RQ", "SimpleWorker": "Flask + RQ, SimpleWorker"}


@contextmanager
def flask_rq(on: Ground, redis_number: int, kind: str, share: float) -> Iterator[Side]:
    port, url = free_port(), create_database(on.postgres, f"flask_rq_{kind.lower()}")
    redis_url = on.redis_url(redis_number)
    environment = {**on.environment, "DATABASE_URL": url, "REDIS_URL": redis_url}
    on.note(f"starting {NAMES[kind]}")
    create_tables(url)
    worker = [sys.executable, "-c", f"from bench.peers.flask_rq import work; work({kind!r})"]
    commands = [granian_of_the_procfile("bench.peers.flask_rq:create_app", port), worker, worker]
    with ExitStack() as stack:
        children = []
        for n, command in enumerate(commands):
            log = on.folder / f"flask_rq_{kind}_{n}.log"
            children.append(Child(command, log, cwd=CHECKOUT, environment=environment))
            stack.callback(children[-1].stop)
        web = children[0]
        if not web.becomes(lambda _: answers(port, "/shops/none/products?q=none"), START_SECONDS):
            raise RuntimeError(f"{NAMES[kind]} does not start:\n{web.log_text()[-2000:]}")
        db = stack.enter_context(psycopg.connect(url, autocommit=True, options=PATIENT))
        queue = Queue(QUEUE, connection=stack.enter_context(redis.Redis.from_url(redis_url, socket_timeout=60)))
        yield Side(
            NAMES[kind],
            port,
            db,
            lambda: {"web": with_children(web.pid)},
            lambda sent: sent - number(db, "SELECT count(*) FROM products"),
            lambda: number(db, "SELECT count(*) FROM products"),
            lambda: _clear(db, queue),
            Caller.finds_plainly,
            share=share,
        )


def create_tables(url: str) -> None:
    """The peers' tables, in whatever language they are."""
    os.environ["DATABASE_URL"] = url
    engine.cache_clear()
    metadata.create_all(engine())
    engine().dispose()


def _clear(db: psycopg.Connection[Any], queue: Queue) -> None:
    queue.empty()  # type: ignore[no-untyped-call]  # RQ says nothing of its types here
    started = StartedJobRegistry(queue=queue)
    deadline = time.monotonic() + PATIENCE
    while started.count:
        if time.monotonic() > deadline:
            raise Lost("Flask + RQ: a job does not end.")
        time.sleep(LOOK)
    db.execute("TRUNCATE products, variants")
