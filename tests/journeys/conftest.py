"""The product's own processes, started as the Procfile starts them, and what a test looks at them with."""

import socket
import subprocess
import sys
import time
import uuid
from pathlib import Path

import httpx
import orjson
import psutil
import pytest
from sqlalchemy import text

ROOT = Path(__file__).resolve().parent.parent.parent
TOKEN = "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"


@pytest.fixture
def start(surroundings, tmp_path, database, redis):
    """start(*command) runs a process of the product until the test's end."""
    running = []

    def run(*command, **more):
        with (tmp_path / f"{len(running)}.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", *command], cwd=ROOT, env=surroundings | more, stdout=log, stderr=log
            )
        running.append(process)
        return process

    yield run
    for process in running:
        process.terminate()
    for process in running:
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:  # granian's worker as well
            for one in (*psutil.Process(process.pid).children(recursive=True), process):
                one.kill()


@pytest.fixture
def web(start, devstore, until):
    """The web process's address, known to Shopify."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    where = ("--host", "127.0.0.1", "--port", str(port))
    start("granian", "--interface", "wsgi", *where, "--blocking-threads", "8", "--factory", "app:create_app")
    url = f"http://127.0.0.1:{port}"

    def serves():
        try:
            return httpx.get(f"{url}/live").status_code == 200
        except httpx.HTTPError:
            return False

    until(serves)
    devstore.move_app(url=url)
    return url


@pytest.fixture
def journey(database, workshop, devstore):
    return Journey(database, workshop, devstore)


class Journey:
    """What a test does to shops, and what it sees of them."""

    def __init__(self, db, workshop, devstore):
        self.db = db
        self.workshop = workshop
        self.devstore = devstore

    def install(self, *domains, **wanted):
        from adapters import shops

        for domain in domains:
            self.devstore.open_shop(domain, token=TOKEN, **wanted)
            with self.db.begin() as db:
                shops.add(db, self.workshop.vault, domain, TOKEN)

    def send(self, url, shop, topic, content, **headers):
        """A signed webhook; the answer's status and the webhook's id."""
        from devstore.courier import sign

        raw = content if isinstance(content, bytes) else orjson.dumps(content)
        webhook_id = str(uuid.uuid4())
        named = {
            "Content-Type": "application/json",
            "X-Shopify-Topic": topic,
            "X-Shopify-Hmac-Sha256": sign(raw, self.workshop.settings.shopify_api_secret),
            "X-Shopify-Shop-Domain": shop,
            "X-Shopify-Webhook-Id": webhook_id,
        }
        return httpx.post(f"{url}/webhooks", content=raw, headers=named | headers).status_code, webhook_id

    def store(self, shop, bodies):
        """Straight into the inbox, as the front door stores them."""
        from datetime import UTC, datetime

        from adapters import inbox
        from adapters.inbox import Arrival

        now = datetime.now(UTC)
        arrivals = [
            Arrival(
                shop, str(uuid.uuid4()), "products/update", "products", body["id"], now, now, body=orjson.dumps(body)
            )
            for body in bodies
        ]
        with self.db.begin() as db:
            inbox.store(db, arrivals)

    def ring(self, shop, lane="live"):
        self.workshop.bell.ring(lane, {shop: time.time()})

    def sweep(self):
        from workers.sweep import sweep

        sweep(self.workshop)

    def rows(self, statement, **values):
        with self.db.connect() as db:
            return [dict(row) for row in db.execute(text(statement), values).mappings()]

    def value(self, statement, **values):
        return next(iter(self.rows(statement, **values)[0].values()))

    def waiting(self, lane="live"):
        return self.value("SELECT count(*) FROM deliveries WHERE state = 'waiting' AND lane = :lane", lane=lane)

    def outcomes(self):
        found = self.rows("SELECT coalesce(outcome, state) AS what, count(*) AS n FROM deliveries GROUP BY 1")
        return {row["what"]: row["n"] for row in found}
