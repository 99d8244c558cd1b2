"""The floor of the front door: takes the bytes, verifies nothing, keeps nothing, answers 200.

granian … --factory bench.peers.bare:create_app
"""

from collections.abc import Callable, Iterable
from wsgiref.types import StartResponse, WSGIEnvironment


def create_app() -> Callable[[WSGIEnvironment, StartResponse], Iterable[bytes]]:
    return answer


def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Length", "0")])
    return []
