"""The floor: how fast the same machine takes the same bytes, and writes the same rows, when nobody thinks about them.

Below are a bare WSGI app on the same granian, and Postgres fed by COPY in C (libpq) over two connections, with
the very rows that Data Sync had written, into tables and indexes like its own, a commit every 500 deliveries.
"""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg

from bench.stage import CHECKOUT, PATIENT, START_SECONDS, Ground, Lost, Side, answers, granian_of_the_procfile, number
from devstore.servers import Child, free_port

BARE, POSTGRES = "floor: bare WSGI", "floor: COPY alone"
TABLES = ("deliveries", "products", "variants")
TURN = 500  # deliveries a commit: as many as a turn takes
CONNECTIONS = 2
HEADER, TRAILER = 19, b"\xff\xff"  # of a COPY in binary: signature, flags, length of nothing more; and the end
Part = dict[str, bytes]  # by table: what one transaction copies


@dataclass
class Floor:
    port: int
    url: str
    db: psycopg.Connection[Any]
    parts: list[Part] = field(default_factory=list)
    rows: int = (
        0  # in the inbox: besides what came in, Data Sync posts itself a word for each product it must ask about
    )

    def keep_rows(self, deliveries: int) -> None:
        """What Data Sync has in its tables now is what `write_rows` writes from here on."""
        count = max(1, deliveries // TURN)
        by_table = {table: list(_cut(self.db, table, count)) for table in TABLES}
        self.parts = [{table: by_table[table][n] for table in TABLES} for n in range(count)]
        self.rows = number(self.db, "SELECT count(*) FROM public.deliveries")

    def write_rows(self) -> float:
        """Seconds until all of it is committed."""
        with ThreadPoolExecutor(CONNECTIONS) as pool:
            ready = threading.Barrier(CONNECTIONS + 1)
            shares = [self.parts[n::CONNECTIONS] for n in range(CONNECTIONS)]
            done = [pool.submit(_write, self.url, share, ready) for share in shares]
            ready.wait(START_SECONDS)
            began = time.monotonic()
            for one in done:
                one.result()
        return time.monotonic() - began

    def verify(self) -> None:
        found = number(self.db, "SELECT count(*) FROM floor.deliveries")
        if found != self.rows:
            raise Lost(f"{POSTGRES}: {self.rows:,} rows were copied, {found:,} are there.")

    def clear(self) -> None:
        self.db.execute("TRUNCATE floor.deliveries, floor.products, floor.variants")


@contextmanager
def floor(on: Ground, ours: Side) -> Iterator[Floor]:
    on.note("starting the floor")
    port, url = free_port(), on.postgres.url_of("data_sync")
    command = granian_of_the_procfile("bench.peers.bare:create_app", port)
    web = Child(command, on.folder / "bare.log", cwd=CHECKOUT, environment=on.environment)
    try:
        if not web.becomes(lambda _: answers(port, "/"), START_SECONDS):
            raise RuntimeError(f"The bare WSGI app does not start:\n{web.log_text()[-2000:]}")
        ours.db.execute("CREATE SCHEMA floor")
        for table in TABLES:
            ours.db.execute(f"CREATE TABLE floor.{table} (LIKE public.{table} INCLUDING ALL)".encode())
        yield Floor(port, url, ours.db)
    finally:
        web.stop()


def _cut(db: psycopg.Connection[Any], table: str, count: int) -> Iterator[bytes]:
    """The table as `count` COPYs in binary. libpq hands over a row at a time, the header before the first."""
    with db.cursor() as cursor, cursor.copy(f"COPY public.{table} TO STDOUT (FORMAT binary)".encode()) as copy:
        rows = [bytes(row) for row in copy]
    header, rows = rows[0][:HEADER], [rows[0][HEADER:], *rows[1:-1]]
    for n in range(count):
        yield header + b"".join(rows[n * len(rows) // count : (n + 1) * len(rows) // count]) + TRAILER


def _write(url: str, parts: list[Part], ready: threading.Barrier) -> None:
    with psycopg.connect(url, options=PATIENT) as db:
        ready.wait(START_SECONDS)
        for part in parts:
            for table, content in part.items():
                with (
                    db.cursor() as cursor,
                    cursor.copy(f"COPY floor.{table} FROM STDIN (FORMAT binary)".encode()) as to,
                ):
                    to.write(content)
            db.commit()
