"""One thread's kept connections: POST, no redirects, 1 s to connect, 5 s in all."""

import http.client
import time
from urllib.parse import urlsplit

from devstore.ledger import Attempt


class Postman:
    def __init__(self, *, connect_seconds: float = 1.0, whole_seconds: float = 5.0) -> None:
        self._connect_seconds = connect_seconds
        self._whole_seconds = whole_seconds
        self._kept: dict[str, http.client.HTTPConnection] = {}

    def post(self, url: str, headers: dict[str, str], body: bytes) -> Attempt:
        """Never raises for what the other side does: a failure is an attempt without a status."""
        at, start = time.time(), time.perf_counter()
        try:
            status = self._exchange(url, headers, body, start + self._whole_seconds)
        except (OSError, http.client.HTTPException) as problem:
            self._drop(url)
            return Attempt(at, None, _ms_since(start), type(problem).__name__)
        return Attempt(at, status, _ms_since(start))

    def close(self) -> None:
        for connection in self._kept.values():
            connection.close()
        self._kept.clear()

    def _exchange(self, url: str, headers: dict[str, str], body: bytes, deadline: float) -> int:
        kept = _origin(url) in self._kept
        try:
            return self._ask(url, headers, body, deadline)
        except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
            # A kept connection may have been closed while idle, which says nothing about this delivery.
            if not kept:
                raise
            self._drop(url)
            return self._ask(url, headers, body, deadline)

    def _ask(self, url: str, headers: dict[str, str], body: bytes, deadline: float) -> int:
        connection = self._connection(url)
        assert connection.sock is not None
        connection.sock.settimeout(max(0.01, deadline - time.perf_counter()))
        parts = urlsplit(url)
        connection.request("POST", parts.path + (f"?{parts.query}" if parts.query else ""), body, headers)
        answer = connection.getresponse()
        answer.read()
        if answer.will_close:
            self._drop(url)
        return answer.status

    def _connection(self, url: str) -> http.client.HTTPConnection:
        origin = _origin(url)
        if origin not in self._kept:
            parts = urlsplit(url)
            kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
            connection = kind(parts.hostname or "", parts.port, timeout=self._connect_seconds)
            connection.connect()
            self._kept[origin] = connection
        return self._kept[origin]

    def _drop(self, url: str) -> None:
        connection = self._kept.pop(_origin(url), None)
        if connection is not None:
            connection.close()


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _ms_since(start: float) -> float:
    return (time.perf_counter() - start) * 1000
