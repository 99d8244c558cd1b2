"""A server on loopback that answers what a test tells it to, and remembers what it was asked."""

import json
import threading
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

SHOP = "northwind-trade.myshopify.com"
TOKEN = "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"


class Scripted(ThreadingHTTPServer):
    """Answers come from `answers`, one a request; when they are used up, from `respond(body)`."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Line)
        self.answers = deque()
        self.respond = lambda body: {"data": {}}
        self.requests = []
        self.peers = set()
        self.closing = threading.Event()

    @property
    def origin(self):
        return f"http://127.0.0.1:{self.server_address[1]}/{{shop}}"

    def will(self, status=200, body=None, headers=None, raw=None, then=None):
        """The next answer. `raw`: exactly these bytes on the line. `then`: "hang" or "drip" before it hangs up."""
        self.answers.append((status, body, headers or {}, raw, then))

    def handle_error(self, request, client_address):
        """A client that hangs up early is what half of the tests are about."""


class Line(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.peers.add(self.client_address)
        self.server.requests.append({"path": self.path, "headers": dict(self.headers), "body": body})
        if not self.server.answers:
            self.answer(200, self.server.respond(body), {})
            return
        status, told, headers, raw, then = self.server.answers.popleft()
        if raw is None:
            self.answer(status, told, headers)
            return
        self.wfile.write(raw)
        self.close_connection = True
        while then == "drip":
            self.wfile.write(b" ")
            if self.server.closing.wait(0.02):
                return
        if then == "hang":
            self.server.closing.wait(30)

    def answer(self, status, body, headers):
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": len(content), **headers}.items():
            self.send_header(name, str(value))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        """Not to the terminal."""


@pytest.fixture
def shop():
    return SHOP


@pytest.fixture
def token():
    return TOKEN


@pytest.fixture
def shopify():
    with Scripted() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.closing.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def budget(redis):
    from adapters.budget import Budget

    return Budget(redis)


@pytest.fixture
def admin(shopify, budget, redis):
    """admin(**limits) → a client of the scripted server."""
    from adapters.admin import AdminClient
    from adapters.breaker import Breaker
    from adapters.wire import Limits

    clients = []

    def build(budget=budget, origin=shopify.origin, another_token=lambda _shop, _token: None, **limits):
        limited = Limits(**limits)
        clients.append(AdminClient(origin, "2026-10", budget, Breaker(redis), limited, another_token=another_token))
        return clients[-1]

    yield build
    for client in clients:
        client.close()
