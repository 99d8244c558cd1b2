"""What a demo stands on: a folder of its own, free ports, made-up secrets, and every process it starts."""

import base64
import fcntl
import json
import os
import secrets
import shlex
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import IO, Any

import httpx
import psutil
from werkzeug.security import generate_password_hash

from devstore.client import Devstore
from devstore.demo_patience import Patience, Stopped
from devstore.servers import Child, Postgres, Valkey

ROOT = Path(__file__).resolve().parent.parent
RUN = ROOT / ".run"
FIRST_PORT = 8101
MARK = "DATA_SYNC_DEMO"  # in the environment of everything a demo starts, with its folder as the value

Step = Callable[[str], None]


class StageError(Exception):
    """Something that the demo needs did not start, or refused; with the reason."""


@dataclass(frozen=True)
class Stage:
    """`environment` is the processes' own, and what `env` in `folder` exports. `app` are those processes."""

    folder: Path
    app_url: str
    store: Devstore
    environment: dict[str, str]
    app: Child

    @property
    def env_file(self) -> str:
        """Relative to the checkout."""
        return str((self.folder / "env").relative_to(ROOT))

    def flask(self, *words: str, exits: tuple[int, ...] = (0,)) -> Any:
        """What `flask WORDS --json` says."""
        command = [str(Path(sys.executable).with_name("flask")), *words, "--json"]
        done = subprocess.run(  # noqa: S603  # our own command
            command, cwd=ROOT, env=self.environment, stdin=subprocess.DEVNULL, capture_output=True, check=False
        )
        if done.returncode not in exits:
            raise StageError(f"flask {' '.join(words[:2])} ended with {done.returncode}: {done.stderr.decode()[-500:]}")
        return json.loads(done.stdout)

    def write_env_file(self, **more: str) -> None:
        """To be read with `.` by a shell: what the command line needs, and whatever else is given."""
        kept = {name: value for name, value in self.environment.items() if name not in ("PATH", "HOME", MARK)}
        lines = [f"export {name}={shlex.quote(value)}" for name, value in (kept | more).items()]
        path = self.folder / "env"
        path.touch(mode=0o600)
        path.write_text("\n".join(["# The demo's environment, for a shell in the checkout.", *lines, ""]))


@contextmanager
def stage(patience: Patience, step: Step, **more: str) -> Iterator[Stage]:
    """Everything started and answering, everything stopped afterwards. The folder stays if something went wrong.

    `more` is put into the environment of the app's processes.
    """
    with _own_folder() as (number, folder):
        try:
            with ExitStack() as stack:
                set_up = _set_up(stack, number, folder, patience, step, more)
                stack.callback(step, "Stopping everything")
                yield set_up
        except Stopped:
            _remove(folder)
            raise
        _remove(folder)


def _set_up(stack: ExitStack, number: int, folder: Path, patience: Patience, step: Step, more: dict[str, str]) -> Stage:
    step("Starting Postgres and Valkey")
    postgres, valkey = Postgres(folder / "postgres"), Valkey(folder / "valkey")
    for server in (postgres, valkey):
        stack.enter_context(server)
        patience.check("Postgres and Valkey")
    environment = _environment(folder, _port(number), postgres.url, valkey.url) | more
    step("Starting a pretend Shopify")
    store = stack.enter_context(Devstore(_start_store(stack, folder, environment), seconds=20))
    environment["SHOPIFY_ADMIN_ORIGIN"] = f"{store.url}/{{shop}}"
    step("Migrating the database, starting the app")
    app = start_app(stack, folder, environment, patience)
    return Stage(folder, environment["APP_URL"], store, environment, app)


@contextmanager
def _own_folder() -> Iterator[tuple[int, Path]]:
    """The first number that is free, in a folder that is ours as long as we hold its lock.

    A demo that was killed holds no lock any more. Its folder goes when the last process of its own has gone: their
    watchers stop them, which may take longer than the next `make demo`.
    """
    RUN.mkdir(exist_ok=True)
    with (RUN / "demo.lock").open("w") as choosing:
        fcntl.flock(choosing, fcntl.LOCK_EX)
        for old in RUN.glob("demo-*"):
            if _is_abandoned(old):
                _remove(old)
        number = next(n for n in count(1) if not (RUN / f"demo-{n}").exists())
        folder = RUN / f"demo-{number}"
        folder.mkdir()
        lock = _locked(folder)
    assert lock is not None
    with lock:
        yield number, folder


def _locked(folder: Path) -> IO[str] | None:
    lock = (folder / "lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        return None
    return lock


def _is_abandoned(folder: Path) -> bool:
    lock = _locked(folder)
    if lock is None:
        return False
    with lock:
        return not inhabitants(folder)


def inhabitants(folder: Path) -> list[Any]:
    """The living processes that belong to a demo's folder."""
    elsewhere = folder / "postgres" / "elsewhere"
    places = [str(folder / "postgres"), str(folder / "valkey")]
    places += [str(elsewhere.readlink())] if elsewhere.is_symlink() else []
    found = []
    for process in psutil.process_iter(["cmdline", "environ"]):
        words, environ = process.info["cmdline"] or [], process.info["environ"] or {}
        if environ.get(MARK) == str(folder) or any(word.startswith(place) for word in words for place in places):
            found.append(process)
    return found


def _remove(folder: Path) -> None:
    Postgres(folder / "postgres").remove()
    shutil.rmtree(folder, ignore_errors=True)


def _port(number: int) -> int:
    """PORT, or one by the demo's number: two demos that start together must not both find the same one free."""
    if "PORT" in os.environ:
        return int(os.environ["PORT"])
    return next(port for port in range(FIRST_PORT + 20 * (number - 1), 65_536) if _is_free(port))


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # what the demo before left in TIME_WAIT is free
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _environment(folder: Path, port: int, database_url: str, redis_url: str) -> dict[str, str]:
    password = secrets.token_urlsafe(9)
    return {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
        "HOME": os.environ.get("HOME", str(folder)),
        MARK: str(folder),
        "APP_ENV": "development",
        "APP_URL": f"http://127.0.0.1:{port}",
        "PORT": str(port),
        "WEB_HOST": "127.0.0.1",
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "SHOPIFY_API_KEY": secrets.token_hex(16),
        "SHOPIFY_API_SECRET": secrets.token_hex(16),
        "SECRET_KEY": secrets.token_urlsafe(48),
        "ENCRYPTION_KEYS": base64.urlsafe_b64encode(os.urandom(32)).decode(),
        "OPS_USERS": f"demo:operator:{generate_password_hash(password)}",
        "OPS_PASSWORD": password,
        "RECONCILE_SECONDS": "20",  # ten minutes and an hour are too long to look on
        "COMPLETE_RUN_SECONDS": "60",
    }


def _start_store(stack: ExitStack, folder: Path, environment: dict[str, str]) -> str:
    key, secret = environment["SHOPIFY_API_KEY"], environment["SHOPIFY_API_SECRET"]
    words = ["--app-url", environment["APP_URL"], "--api-key", key, "--secret", secret]
    command = [sys.executable, "-m", "devstore", *words]
    child = Child(command, folder / "store.log", cwd=ROOT, environment=environment)
    stack.callback(child.stop)
    if not child.becomes(lambda store: store.log_text().endswith("}\n")):
        raise StageError(f"The pretend Shopify does not start:\n{child.log_text()[-2000:]}")
    return str(json.loads(child.log_text())["url"])


def start_app(
    stack: ExitStack, folder: Path, environment: dict[str, str], patience: Patience, where: Path = ROOT
) -> Child:
    """The processes of the Procfile in `where`, once they serve."""
    command = [sys.executable, str(ROOT / "supervise.py")]
    child = Child(command, folder / "app.log", cwd=where, environment=environment)
    stack.callback(child.stop)
    with httpx.Client(base_url=environment["APP_URL"], timeout=2) as client:

        def serves(_app: Child) -> bool:
            patience.check("the app's processes")
            return _answers(client, "/ready")

        if not child.becomes(serves):
            raise StageError(f"The app does not start:\n{child.log_text()[-2000:]}")
    return child


def _answers(client: httpx.Client, path: str) -> bool:
    try:
        return client.get(path).is_success
    except httpx.HTTPError:
        return False
