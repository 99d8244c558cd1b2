"""The pretend Shopify on a port: `Server` for tests in the same process, `python -m devstore` for everybody else."""

import threading
from typing import Self

from flask import Flask
from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler, make_server

from devstore import admin, api, control
from devstore.world import World


class Server:
    """Serves a world on loopback until closed. `with Server(world) as server:` gives its `url`."""

    def __init__(self, world: World, port: int = 0) -> None:
        self.world = world
        self._http = make_server("127.0.0.1", port, create_app(world), threaded=True, request_handler=_Quiet)
        assert isinstance(self._http, ThreadedWSGIServer)
        self._http.daemon_threads = True  # a fault that hangs must not hold up the end
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()
        self.world.close()


def create_app(world: World) -> Flask:
    app = Flask(__name__)
    app.register_blueprint(control.blueprint(world))
    app.register_blueprint(api.blueprint(world))
    app.register_blueprint(admin.blueprint(world))
    return app


class _Quiet(WSGIRequestHandler):
    """Keeps connections, sends small answers at once, writes no line a request."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log(self, type: str, message: str, *args: object) -> None:  # noqa: A002  # werkzeug's name
        """A fault that was ordered is no news, and any other shows in the answer."""
