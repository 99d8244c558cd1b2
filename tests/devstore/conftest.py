"""A devstore on loopback, an app that receives what it sends, and the documents an app asks with."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from graphql import OperationDefinitionNode, parse, print_ast

from devstore.client import Devstore
from devstore.server import Server
from devstore.world import App, World

SHOP = "northwind.myshopify.com"
TOKEN = "shpat_lasting"
SECRET = "devstore-secret"


class Receiver:
    """An app's front door: keeps every delivery, answers the next of `statuses`, then 200."""

    def __init__(self):
        self.deliveries = []
        self.statuses = []
        self.before_answer = lambda: None
        self._lock = threading.Lock()
        door = self

        class Door(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status = door._receive(self.path, dict(self.headers), body)
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                """The deliveries are the log."""

        class Listener(ThreadingHTTPServer):
            request_queue_size = 64  # five by default: a courier's eight threads at once would have to try again

        self._server = Listener(("127.0.0.1", 0), Door)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _receive(self, path, headers, body):
        self.before_answer()
        with self._lock:
            self.deliveries.append((path, headers, body))
            return self.statuses.pop(0) if self.statuses else 200


class Asker:
    """An app asking one shop's Admin API over HTTP."""

    def __init__(self, url, documents):
        self._http = httpx.Client(base_url=url, timeout=10)
        self._documents = documents
        self.token = TOKEN

    def post(self, document, variables=None, shop=SHOP, version="2026-10"):
        text = self._documents.get(document, document)
        return self._http.post(
            f"/{shop}/admin/api/{version}/graphql.json",
            json={"query": text, "variables": variables or {}},
            headers={"X-Shopify-Access-Token": self.token},
        )

    def ask(self, document, **variables):
        answer = self.post(document, variables)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def data(self, document, **variables):
        answer = self.ask(document, **variables)
        assert "errors" not in answer, answer["errors"]
        return answer["data"]

    def grant(self, shop=SHOP, **asked):
        given = {"client_id": "devstore-key", "client_secret": SECRET, **asked}
        return self._http.post(f"/{shop}/admin/oauth/access_token", json=given)

    def close(self):
        self._http.close()


@pytest.fixture(scope="session")
def documents():
    """name → text of each operation in documents.graphql."""
    whole = parse((Path(__file__).parent / "documents.graphql").read_text())
    return {d.name.value: print_ast(d) for d in whole.definitions if isinstance(d, OperationDefinitionNode)}


@pytest.fixture
def receiver():
    with Receiver() as receiver:
        yield receiver


@pytest.fixture
def world(receiver):
    """Not yet served: for tests that look behind HTTP. `server` serves the same one."""
    return World(App(receiver.url, "devstore-key", SECRET), seed=7, retry_scale=0.000_01)


@pytest.fixture
def server(world):
    with Server(world) as server:
        yield server


@pytest.fixture
def devstore(server):
    with Devstore(server.url) as devstore:
        devstore.open_shop(SHOP, token=TOKEN, products=12, customers=20)
        devstore.settings(SHOP, index_lag=0)
        yield devstore


@pytest.fixture
def app(devstore, server, documents):
    app = Asker(server.url, documents)
    yield app
    app.close()


@pytest.fixture
def tenant(devstore, world):
    return world.tenants[SHOP]


@pytest.fixture
def shop(tenant):
    return tenant.shop
