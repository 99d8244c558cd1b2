"""Run the Procfile of the current folder until told to stop: `release` once, then every other line as long as we live.

What `make up` and the demo start. The keeping is done by supervisord in this very process; here is only what the
Procfile means to it. What dies is started again a second later, for ever. SIGTERM, SIGINT and a closed terminal let
all of them drain, leave nothing behind, and end with 0.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread
from types import FrameType
from typing import TYPE_CHECKING

from supervisor import supervisord
from supervisor.options import ServerOptions

if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENCE = 15  # seconds from SIGTERM to SIGKILL
FORMATION = "live=2"  # of two, a shop that answers slowly holds one; and they keep two cores busy where one keeps 1.6


def main() -> int:
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    processes = read_procfile(Path("Procfile").read_text())
    release = processes.pop("release", None)
    processes = in_formation(processes, os.environ.get("FORMATION") or FORMATION)
    status = run_release(release)
    if status == 0:
        with run_folder() as folder, unbreakable_output():
            keep(configure(processes, folder))
    return status


def read_procfile(text: str) -> dict[str, str]:
    """Names and command lines, in their order."""
    lines = [line.partition(":") for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return {name.strip(): command.strip() for name, _, command in lines}


def in_formation(processes: dict[str, str], formation: str) -> dict[str, str]:
    """As many of each as `name=number,…` says (the word is foreman's, and so is its form); one of those it leaves out.

    Of several each has a number: `live.1`, `live.2`. SystemExit with a sentence where it cannot be meant.
    """
    counts = dict.fromkeys(processes, 1)
    for part in formation.split(","):
        name, _, number = (word.strip() for word in part.partition("="))
        if not number.isdecimal():
            wanted = "FORMATION is to say how many run of each, such as live=2,bulk=1"
            raise SystemExit(f"{wanted}, and not {part.strip()!r}.")
        if name in counts:  # the default names what another Procfile may not have
            counts[name] = int(number)
        elif formation != FORMATION:
            raise SystemExit(f"FORMATION names {name!r}; the Procfile has {', '.join(processes)}.")
    return {
        name if count == 1 else f"{name}.{number}": processes[name]
        for name, count in counts.items()
        for number in range(1, count + 1)
    }


def run_release(command: str | None) -> int:
    """The exit status of the release line, which is ended first when we are told to stop meanwhile."""
    if command is None:
        return 0
    before = signal.signal(signal.SIGTERM, _leave)
    with subprocess.Popen(["/bin/sh", "-c", f"exec {command}"]) as release:  # noqa: S603  # the Procfile is ours
        try:
            return release.wait()
        finally:
            release.terminate()
            signal.signal(signal.SIGTERM, before)


def _leave(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


@contextmanager
def run_folder() -> "Iterator[Path]":
    """A folder of this run's own, as two may run at once. Whatever still lives when it closes is killed.

    Should we be killed ourselves, a shell that reads a pipe which only we hold reads its end, and stops the others.
    """
    Path(".run").mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="up-", dir=".run")).resolve()
    watch = ["/bin/sh", "-c", _WATCHER, str(folder)]
    with subprocess.Popen(watch, stdin=subprocess.PIPE, start_new_session=True) as watcher:  # noqa: S603  # constants
        try:
            yield folder
        finally:
            watcher.kill()
            for mark in folder.glob("*.group"):
                with suppress(ProcessLookupError, PermissionError):  # macOS says the latter of a group of zombies
                    os.killpg(int(mark.read_text()), signal.SIGKILL)
            shutil.rmtree(folder)


@contextmanager
def unbreakable_output() -> "Iterator[None]":
    """Put a pipe of our own, read by a thread, between everybody and the real standard output.

    supervisord opens it by name for every process, which fails for a socket and for another user's pipe or terminal,
    and falls over when nobody reads it any more: `make up | head` must not leave orphans.
    """
    real = os.dup(1)
    reader, writer = os.pipe()
    os.dup2(writer, 1)
    os.dup2(writer, 2)
    os.close(writer)
    thread = Thread(target=_relay, args=(reader, real), daemon=True)
    thread.start()
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(real, 1)
        os.dup2(real, 2)
        thread.join(5)


def _relay(reader: int, real: int) -> None:
    while chunk := os.read(reader, 65536):
        with suppress(OSError):
            while chunk:
                chunk = chunk[os.write(real, chunk) :]


def keep(configuration: Path) -> None:
    options = ServerOptions()
    options.realize(["--nodaemon", "--configuration", str(configuration)])
    options.first, options.test = True, False
    supervisord.go(options)  # not main(): that one begins anew at SIGHUP, without the terminal that has just gone


def configure(processes: dict[str, str], folder: Path) -> Path:
    """Write supervisord's configuration, and a script for each process, into `folder`."""
    for name, command in processes.items():
        (folder / f"{name}.sh").write_text(_SCRIPT.format(mark=folder / f"{name}.group", command=command))
    here = str(folder).replace("%", "%%")
    user = "user=root" if os.geteuid() == 0 else ""  # otherwise root is told off
    sections = [
        _SUPERVISORD.format(folder=here, user=user, names=",".join(processes)),
        *(_PROGRAM.format(folder=here, name=name, patience=PATIENCE) for name in processes),
    ]
    path = folder / "supervisord.conf"
    path.write_text("\n".join(sections))
    return path


_WATCHER = """\
read -r _
for mark in "$0"/*.group; do kill -s TERM -- "-$(cat "$mark")"; done 2>/dev/null
rm -rf -- "$0"
"""

# One group, since supervisord stops groups one after the other and a group's programs all at once.
_SUPERVISORD = """\
[supervisord]
logfile=/dev/null
logfile_maxbytes=0
loglevel=warn
pidfile={folder}/supervisord.pid
nocleanup=true
{user}

[group:app]
programs={names}
"""

# startsecs=0: a process counts as started at once, so supervisord never gives one up and never waits longer each time.
# Only the process itself is told to stop, since granian stops its own workers; whoever stays after that is killed.
_PROGRAM = """\
[program:{name}]
command=/bin/sh "{folder}/{name}.sh"
autorestart=true
startsecs=0
stopsignal=TERM
stopwaitsecs={patience}
killasgroup=true
redirect_stderr=true
stdout_logfile=/dev/fd/1
stdout_logfile_maxbytes=0
"""

# The second time on: end what the dead one left (granian's workers outlive a kill -9 of their parent and would keep the
# port), and breathe, so that a process that cannot start does not eat the machine.
_SCRIPT = """\
if [ -e '{mark}' ]; then
    kill -s KILL -- "-$(cat '{mark}')" 2>/dev/null
    sleep 1
fi
echo $$ > '{mark}'
exec {command}
"""


if __name__ == "__main__":
    sys.exit(main())
