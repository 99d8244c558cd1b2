"""Many at once, and neighbours that are gone or hang: 200 always means stored, and an answer never takes long."""

import http.client
import os
import signal
import socket
import subprocess
import threading
import time
from contextlib import closing, contextmanager
from pathlib import Path

import psutil
import pytest
from sqlalchemy import text

from adapters import database as databases
from devstore.servers import Postgres, Valkey, free_port

ROOT = Path(__file__).parent.parent.parent
QUICK = 2.0  # seconds


@contextmanager
def table_locked(engine):
    """Nobody gets at the inbox meanwhile: Postgres answers connections and hangs on statements."""
    with engine.connect() as db:
        db.execute(text("LOCK TABLE deliveries IN ACCESS EXCLUSIVE MODE"))
        yield


def timed(knock):
    started = time.monotonic()
    answer = knock()
    return answer, time.monotonic() - started


# -- many at once


def test_the_same_delivery_in_32_threads_at_once_is_one_row_and_32_times_200(door, product, wait_for):
    answers = door.at_once(32, lambda _: door.post(product(), webhook_id="the-same"))

    assert [answer.status_code for answer in answers] == [200] * 32
    assert [answer.text for answer in answers].count("stored\n") == 1
    wait_for(lambda: door.only_row()["copies"] == 32)


def test_whatever_was_answered_200_is_in_the_table(door, product):
    answers = door.at_once(48, lambda n: (n, door.post(product(1_000 + n), webhook_id=f"n-{n}")))

    stored = {row["webhook_id"]: (row["resource_id"], row["state"]) for row in door.rows()}
    assert stored == {f"n-{n}": (1_000 + n, "waiting") for n, answer in answers if answer.status_code == 200}
    assert len(stored) == 48


def test_concurrent_deliveries_share_transactions(door, product, wait_for):
    door.post(product(), webhook_id="first")
    with table_locked(door.engine):
        arrivals = door.app.extensions["office"].frontdesk._arrivals
        pool = threading.Thread(target=door.at_once, args=(32, lambda n: door.post(product(), webhook_id=f"n-{n}")))
        pool.start()
        # one, or a few, went to wait for the lock; the rest gather meanwhile
        wait_for(lambda: arrivals.qsize() >= 16)
    pool.join()

    with door.engine.connect() as db:
        # xmin: the transaction that wrote the row
        rows, transactions = db.execute(text("SELECT count(*), count(DISTINCT xmin::text) FROM deliveries")).one()
    assert rows == 33
    assert transactions <= 8


# -- Redis away


@pytest.fixture
def own_valkey(server_folder):
    with Valkey(server_folder) as server:
        yield server


def test_without_redis_a_delivery_is_stored_and_answered_at_once(build, database, door_of, product):
    door = door_of(build(REDIS_URL=f"redis://127.0.0.1:{free_port()}/0"), database)

    answers = [timed(lambda n=n: door.post(product(), webhook_id=f"n-{n}")) for n in range(5)]

    assert [answer.status_code for answer, _ in answers] == [200] * 5
    assert max(seconds for _, seconds in answers) < QUICK
    assert len(door.rows()) == 5


def test_while_redis_hangs_deliveries_are_stored_and_answered_at_once(build, database, door_of, product, own_valkey):
    door = door_of(build(REDIS_URL=own_valkey.url), database)
    door.post(product())
    os.kill(own_valkey._child.pid, signal.SIGSTOP)
    try:
        answers = [timed(lambda: door.post(product())) for _ in range(5)]
    finally:
        os.kill(own_valkey._child.pid, signal.SIGCONT)

    assert [answer.status_code for answer, _ in answers] == [200] * 5
    assert max(seconds for _, seconds in answers) < QUICK
    assert len(door.rows()) == 6


def test_figures_of_the_time_without_redis_are_handed_over_when_it_is_back(
    build, database, door_of, product, own_valkey, wait_for
):
    door = door_of(build(REDIS_URL=own_valkey.url), database)
    own_valkey.stop()
    door.post(product())
    assert "datasync_ingress_total{" not in door.app.test_client().get("/metrics").text

    own_valkey.start()

    line = 'datasync_ingress_total{answer="200",topic="products/update"} 1.0'
    wait_for(lambda: line in door.app.test_client().get("/metrics").text)


# -- Postgres away


@pytest.fixture
def own_postgres(server_folder):
    server = Postgres(server_folder, durable=False)
    with server:
        databases.migrate(alchemy(server.url))
        yield server
    server.remove()


def alchemy(url):
    return url.replace("postgresql://", "postgresql+psycopg://")


@pytest.fixture
def own_door(build, door_of, own_postgres):
    engine = databases.connect(alchemy(own_postgres.url), pool=1)
    yield door_of(build(DATABASE_URL=own_postgres.url), engine)
    engine.dispose()


def test_a_stopped_postgres_is_503_in_time_and_200_again_when_it_is_back(own_door, own_postgres, product, wait_for):
    assert own_door.post(product(), webhook_id="before").status_code == 200
    own_door.engine.dispose()

    own_postgres.stop()
    refused = [timed(lambda: own_door.post(product(), webhook_id="during")) for _ in range(3)]
    own_postgres.start()

    for answer, seconds in refused:
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "10")
        assert seconds < QUICK
    wait_for(lambda: own_door.post(product(), webhook_id="after").status_code == 200)
    assert [row["webhook_id"] for row in own_door.rows()] == ["before", "after"]


def test_a_postgres_that_answers_nothing_is_503_in_time_and_200_again_when_it_does(
    own_door, own_postgres, product, wait_for
):
    assert own_door.post(product(), webhook_id="before").status_code == 200
    postmaster = psutil.Process(own_postgres._child.pid)
    stopped = [postmaster, *postmaster.children(recursive=True)]
    for process in stopped:
        process.suspend()
    try:
        refused = own_door.at_once(4, lambda n: timed(lambda: own_door.post(product(), webhook_id=f"during-{n}")))
    finally:
        for process in stopped:
            process.resume()

    for answer, seconds in refused:
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "10")
        assert seconds < QUICK
    wait_for(lambda: own_door.post(product(), webhook_id="after").status_code == 200)
    assert {row["webhook_id"] for row in own_door.rows()} >= {"before", "after"}


def test_while_the_table_is_locked_the_answer_is_503_in_time(door, product, wait_for):
    with table_locked(door.engine):
        answer, seconds = timed(lambda: door.post(product(), webhook_id="locked-out"))

    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "10")
    assert seconds < QUICK
    wait_for(lambda: door.post(product(), webhook_id="afterwards").status_code == 200)


def test_a_forgery_is_401_also_without_postgres(build, door_of, engine, product):
    door = door_of(build(DATABASE_URL=f"postgresql://postgres@127.0.0.1:{free_port()}/none"), engine)

    assert door.post(product(), secret="not ours").status_code == 401


# -- through the real server


@pytest.fixture(scope="module")
def web(full_environment, database_url, redis_url):
    """The web process as the Procfile starts it; its port."""
    port = free_port()
    command = [
        *("granian", "--interface", "wsgi", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
        *("--blocking-threads", "16", "--no-ws", "--log-level", "error", "--factory", "app:create_app"),
    ]
    environment = full_environment | {"MAX_BODY_BYTES": "4096"}
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as process:
        yield port
        process.terminate()
        process.communicate(timeout=30)


def ask(port, method, path, body=None, headers=None):
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
        connection.request(method, path, body=body, headers=headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read()


@pytest.fixture
def serving(web, wait_for, database, redis):
    def is_live():
        try:
            return ask(web, "GET", "/live")[0] == 200
        except OSError:
            return False

    wait_for(is_live, 30)
    return web


def rows_of(engine):
    with engine.connect() as db:
        return db.execute(text("SELECT webhook_id FROM deliveries")).scalars().all()


def test_the_real_server_stores_a_delivery(serving, database, headers_of):
    raw = b'{"id": 1}'

    status, told = ask(serving, "POST", "/webhooks", raw, headers_of(raw, "products/update", webhook_id="real"))

    assert (status, told) == (200, b"stored\n")
    assert rows_of(database) == ["real"]


@pytest.mark.parametrize(("length", "status"), [(4_000, 200), (4_097, 413), (6_000, 413)])
def test_the_real_server_reads_a_chunked_body_and_stops_at_the_cap(serving, database, headers_of, length, status):
    raw = b'{"id": 1, "title": "' + b"x" * (length - 22) + b'"}'
    chunks = [raw[start : start + 1_000] for start in range(0, length, 1_000)]
    head = "".join(f"{name}: {value}\r\n" for name, value in headers_of(raw, "products/update").items())
    sent = [f"POST /webhooks HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n{head}\r\n".encode()]
    sent += [b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in (*chunks, b"")]

    # In one piece: whoever is refused in the middle may find the connection closed before the rest is sent.
    with socket.create_connection(("127.0.0.1", serving), timeout=10) as connection:
        connection.sendall(b"".join(sent))
        answer = connection.recv(1_000)

    assert answer.startswith(f"HTTP/1.1 {status} ".encode())
    assert len(rows_of(database)) == (1 if status == 200 else 0)


def test_the_real_server_refuses_a_declared_length_beyond_the_cap_without_waiting_for_the_body(serving, headers_of):
    head = "".join(f"{name}: {value}\r\n" for name, value in headers_of(b"", "products/update").items())
    with socket.create_connection(("127.0.0.1", serving), timeout=10) as connection:
        connection.sendall(f"POST /webhooks HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n{head}\r\n".encode())
        answer = connection.recv(1_000)

    assert answer.startswith(b"HTTP/1.1 413")


@pytest.mark.parametrize("forged", ["é" * 44, "\x80\xff", "A" * 10_000])
def test_the_real_server_answers_401_to_a_signature_of_any_bytes(serving, database, headers_of, forged):
    headers = headers_of(b"{}", "products/update") | {"X-Shopify-Hmac-Sha256": forged.encode("latin-1", "replace")}

    status, _ = ask(serving, "POST", "/webhooks", b"{}", headers)

    assert status == 401
    assert rows_of(database) == []
