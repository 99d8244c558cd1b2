"""One journey with all processes, members, strangers, and everything that goes wrong; then all is searched."""

import base64
import gzip
import json
import socket
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import psutil
import psycopg
import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
SHOP = "northwind-trade.myshopify.com"
TOKEN = "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"
SECRET = "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"
MEMBER, STRANGER, POISON, LEAVING, UNREADABLE = 810_001, 820_002, 830_003, 840_004, 850_005


def person(mark, number, tags):
    """Every field that is a person's; each holds a word that stands nowhere else."""
    address = {
        "first_name": f"Adr{mark}",
        "last_name": f"Ado{mark}",
        "address1": f"17 Street{mark}",
        "city": f"City{mark}",
    }
    return {
        "id": number,
        "first_name": f"First{mark}",
        "last_name": f"Last{mark}",
        "email": f"mail{mark}@biller-probe.example",
        "phone": f"+1514{number}7",
        "note": f"Note{mark}",
        "tags": tags,
        "addresses": [address | {"phone": f"+4420{number}8"}],
    }


PEOPLE = {
    "member": person("Quackenbush", MEMBER, ["b2b"]),
    "stranger": person("Wimplewick", STRANGER, ["retail"]),
    "poison": person("Zerlindana", POISON, ["b2b"]),
    "leaving": person("Featherstone", LEAVING, ["b2b"]),
}


def words_of(one):
    values = [value for name, value in one.items() if name not in ("id", "tags", "addresses")]
    values += [value for address in one["addresses"] for value in address.values()]
    return [value.removeprefix("+") for value in values]


class Sink(BaseHTTPRequestHandler):
    """A Sentry that keeps every envelope."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        body = gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body
        self.server.received.append(body)
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_):
        """Not to the terminal."""


@pytest.fixture
def sentry():
    with ThreadingHTTPServer(("127.0.0.1", 0), Sink) as server:
        server.daemon_threads = True
        server.received = []
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def processes(guarded_environment, devstore, database, redis, sentry, tmp_path, until):
    """(address of the web process, the folder of their logs): web, live, bulk and clock, as the Procfile has them."""
    from adapters import runs, shops
    from adapters.vault import Vault

    devstore.move_app(secret=SECRET)
    devstore.open_shop(SHOP, token=TOKEN, products=2, customers=0)
    with database.begin() as db:
        shops.add(db, Vault([guarded_environment["ENCRYPTION_KEYS"]]), SHOP, TOKEN)
        runs.open_feeds(db, SHOP, again=True)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    named = {
        "SHOPIFY_ADMIN_ORIGIN": devstore.url + "/{shop}",
        "SENTRY_DSN": f"http://public@127.0.0.1:{sentry.server_port}/1",
        "RECONCILE_SECONDS": "5",
        "COMPLETE_RUN_SECONDS": "10",
        "PORT": port,
    }
    granian = ("granian", "--interface", "wsgi", "--host", "127.0.0.1", "--port", port, "--blocking-threads", "8")
    commands = [(*granian, "--factory", "app:create_app"), *(("workers", role) for role in ("live", "bulk", "clock"))]
    running = []
    try:
        for command in commands:
            with (tmp_path / f"{command[0]}-{command[-1].replace(':', '-')}.log").open("wb") as log:
                running.append(
                    subprocess.Popen(
                        [sys.executable, "-m", *command],
                        cwd=ROOT,
                        env=guarded_environment | named,
                        stdout=log,
                        stderr=log,
                    )
                )
        url = f"http://127.0.0.1:{port}"
        until(lambda: serves(url))
        devstore.move_app(url=url)
        yield url, tmp_path
    finally:
        for process in running:
            process.terminate()
        for process in running:
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:  # granian's worker as well
                for one in (*psutil.Process(process.pid).children(recursive=True), process):
                    one.kill()


def serves(url):
    try:
        return httpx.get(f"{url}/live").status_code == 200
    except httpx.HTTPError:
        return False


@pytest.fixture
def tables(database):
    """One customer cannot be written, one table is missed for a while: bugs, as the processes see them."""
    with database.begin() as db:
        db.exec_driver_sql(f"ALTER TABLE customers ADD CONSTRAINT probe CHECK (id <> {POISON}) NOT VALID")
    yield database
    with database.begin() as db:
        db.exec_driver_sql("ALTER TABLE customers DROP CONSTRAINT IF EXISTS probe")
        db.exec_driver_sql("ALTER TABLE IF EXISTS issues_away RENAME TO issues")


def outcome_of(database, number):
    with database.connect() as db:
        found = db.exec_driver_sql(f"SELECT outcome FROM deliveries WHERE resource_id = {number} AND state = 'closed'")
        return {row.outcome for row in found}


def live_through_it(url, devstore, database, signed, bearer, until):
    """Webhooks of all kinds, lookups by all words, failures of all kinds; what was answered to strangers."""
    for one in PEOPLE.values():
        devstore.change(SHOP, "create_customer", **one)
    devstore.settle(20)
    with httpx.Client(base_url=url, timeout=20) as client:
        until(lambda: "applied" in outcome_of(database, MEMBER) and "applied" in outcome_of(database, LEAVING))
        until(lambda: "filtered" in outcome_of(database, STRANGER) and "dead" in outcome_of(database, POISON))
        look_everywhere(client, bearer)
        break_things(client, devstore, database, signed, bearer)
        devstore.change(SHOP, "untag_customer", id=LEAVING, tags=["b2b"])
        until(lambda: "deleted" in outcome_of(database, LEAVING) or "filtered" in outcome_of(database, LEAVING))
        metrics = client.get("/metrics")
        time_of_a_run = time.time() + 6
        until(lambda: time.time() > time_of_a_run and finished_runs(database) >= 2)
        return metrics


def look_everywhere(client, bearer):
    for one in PEOPLE.values():
        for words in (
            one["email"],
            one["phone"],
            one["first_name"],
            f"{one['first_name']} {one['last_name']}",
            str(one["id"]),
        ):
            for address in (
                "/customers/lookup",
                "/explain",
                "/api/v1/customers",
                "/api/v1/explain",
                "/customers/issues",
            ):
                assert client.get(address, params={"q": words}, headers=bearer).status_code == 200
            client.post("/explain", data={"q": words}, headers=bearer)
            client.get("/nothing", params={"email": words})
            client.get(f"/{words}")
    found = client.get("/api/v1/customers", params={"q": PEOPLE["member"]["email"]}, headers=bearer).json()
    assert [result["id"] for result in found["results"]] == [MEMBER]
    assert not any(letter.isdigit() for letter in client.get("/live").headers.get("server", ""))  # no version


def break_things(client, devstore, database, signed, bearer):
    for one in PEOPLE.values():
        body = json.dumps(one).encode()
        for topic in ("customers/update", "customers/delete", "customers/data_request", "orders/paid", "shop/update"):
            for raw in (body, body[:-3], b"\xff" + body):
                number = {"id": UNREADABLE} if topic == "customers/delete" else {}
                raw = raw if topic != "customers/delete" else json.dumps(one | number).encode()  # noqa: PLW2901 — nobody is deleted
                assert client.post("/webhooks", content=raw, headers=signed(raw, topic)).status_code == 200
                client.post("/webhooks", content=raw, headers=signed(raw, topic, secret=f"wrong{SECRET}"))
    email = PEOPLE["member"]["email"]
    with database.begin() as db:
        db.exec_driver_sql("ALTER TABLE issues RENAME TO issues_away")
    for address in ("/customers/lookup", "/customers/issues", "/api/v1/customers"):
        assert client.get(address, params={"q": email, "shop": SHOP}, headers=bearer).status_code == 500
    with database.begin() as db:
        db.exec_driver_sql("ALTER TABLE issues_away RENAME TO issues")
    for fault in ("500", "garbage"):
        devstore.fault(fault, shop=SHOP, times=2)
        client.post(f"/customers/{MEMBER}/resync", headers=bearer)


def finished_runs(database):
    with database.connect() as db:
        return db.exec_driver_sql("SELECT count(*) FROM runs WHERE state = 'finished' AND feed = 'customers'").scalar()


def dump_of_postgres(url):
    """All rows of all tables as text, bytes readable."""
    with psycopg.connect(url.replace("+psycopg", ""), options="-c bytea_output=escape") as db:
        tables = db.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        return "\n".join(
            row for (table,) in tables for (row,) in db.execute(f'SELECT t::text FROM "{table}" AS t').fetchall()
        )


def dump_of_redis(client):
    """All keys with all they hold, jobs of RQ among them."""
    reads = {
        b"string": client.get,
        b"hash": client.hgetall,
        b"list": lambda key: client.lrange(key, 0, -1),
        b"set": client.smembers,
        b"zset": lambda key: client.zrange(key, 0, -1, withscores=True),
        b"stream": client.xrange,
    }
    return "\n".join(repr((key, reads[kind](key))) for key in client.scan_iter() if (kind := client.type(key)) in reads)


def traces(dump, words):
    """Those of the words that can be read in it: plainly, in hexadecimal, or in base64 wherever it was begun."""
    lowered = dump.lower()
    found = []
    for word in words:
        raw = word.encode()
        packed = [base64.b64encode(b"\0" * shift + raw + b"\0\0")[4 : -4 - 4].decode() for shift in range(3)]
        spellings = [word.lower(), raw.hex()]
        if any(spelling in lowered for spelling in spellings) or any(
            one and one in dump for one in packed if len(one) > 6
        ):
            found.append(word)
    return found


@pytest.mark.timeout(240)
def test_nothing_personal_and_no_secret_leaves_a_trace(
    processes, tables, devstore, signed, bearer, until, redis, sentry, database_url, guarded_environment
):
    url, folder = processes
    metrics = live_through_it(url, devstore, tables, signed, bearer, until)
    until(lambda: sentry.received)
    dumps = {
        "postgres": dump_of_postgres(database_url),
        "redis": dump_of_redis(redis),
        "sentry": "\n".join(body.decode(errors="replace") for body in sentry.received),
        "metrics": metrics.text,
        **{path.stem: path.read_text(errors="replace") for path in sorted(folder.glob("*.log"))},
    }

    people = [word for one in PEOPLE.values() for word in words_of(one)]
    secrets = [TOKEN, SECRET, guarded_environment["SHOPIFY_API_SECRET_PREVIOUS"], guarded_environment["SECRET_KEY"]]
    secrets += [guarded_environment["ENCRYPTION_KEYS"], bearer["Authorization"].removeprefix("Bearer ")]
    assert {name: traces(dump, people + secrets) for name, dump in dumps.items()} == {name: [] for name in dumps}
    looked_where_it_would_be(dumps)


def looked_where_it_would_be(dumps):
    """Each dump holds what it should hold: it was not empty, and the failures did happen."""
    assert str(MEMBER) in dumps["postgres"]
    assert str(STRANGER) in dumps["postgres"]  # its id and why it was left out, nothing else
    assert "CheckViolation" in dumps["postgres"]
    assert "rq:" in dumps["redis"]
    assert "CheckViolation" in dumps["sentry"]
    assert "UndefinedTable" in dumps["sentry"]
    assert "datasync_ingress_total" in dumps["metrics"]
    assert "delivery_dead" in dumps["workers-live"]
    assert "lookup" in dumps["granian-app-create_app"]
    assert "UndefinedTable" in dumps["granian-app-create_app"]
    assert all(json.loads(line)["event"] for line in dumps["workers-live"].splitlines())
    assert "started" in dumps["workers-bulk"]
    assert "started" in dumps["workers-clock"]


def test_the_search_would_find_it_however_it_is_written():
    word = "mailQuackenbush@biller-probe.example"
    for shift in range(3):
        assert traces(base64.b64encode(b"x" * shift + word.encode() + b"rest").decode(), [word]) == [word]
    assert traces(word.encode().hex(), [word]) == traces(word.upper(), [word]) == [word]
    assert traces("nothing of the kind", [word]) == []
