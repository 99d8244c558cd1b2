import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

SUPERVISE = Path(__file__).resolve().parent.parent / "supervise.py"
WORKER = """
import os, pathlib, signal, sys, time
name = sys.argv[1]
def drain(*_):
    pathlib.Path(f"{name}.drained").touch()
    sys.exit(0)
signal.signal(signal.SIGTERM, drain)
with open(f"{name}.started", "a") as file:
    file.write(f"{os.getpid()}\\n")
while True:
    time.sleep(60)
"""


@pytest.fixture
def supervised(tmp_path):
    """supervised(procfile) starts supervise.py in `tmp_path`, which holds worker.py and what that writes."""
    (tmp_path / "worker.py").write_text(WORKER)
    processes = []

    def start(procfile, **options):
        (tmp_path / "Procfile").write_text(procfile)
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT} | options
        processes.append(subprocess.Popen([sys.executable, str(SUPERVISE)], cwd=tmp_path, text=True, **options))
        return processes[-1]

    yield start
    for process in processes:
        family = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
        with process:
            process.terminate()
        _, left = psutil.wait_procs(family, timeout=10)
        assert left == []


def until(fact):
    deadline = time.monotonic() + 30
    while not (found := fact()):
        assert time.monotonic() < deadline, "never became true"
        time.sleep(0.02)
    return found


def started(folder, name, times=1):
    """The processes that have run under this name, once there are so many."""

    def lines():
        path = folder / f"{name}.started"
        pids = path.read_text().splitlines() if path.exists() else []
        return pids if len(pids) >= times else None

    return [int(pid) for pid in until(lines)]


def test_sigterm_lets_every_process_drain_and_leaves_nothing_behind(supervised, tmp_path):
    supervisor = supervised("web: python worker.py web\nclock: python worker.py clock\n")
    pids = started(tmp_path, "web") + started(tmp_path, "clock")

    supervisor.terminate()

    assert supervisor.wait(30) == 0
    assert not any(psutil.pid_exists(pid) for pid in pids)
    assert (tmp_path / "web.drained").exists()
    assert (tmp_path / "clock.drained").exists()
    assert list((tmp_path / ".run").iterdir()) == []


def test_ctrl_c_stops_all_as_well(supervised, tmp_path):
    supervisor = supervised("web: python worker.py web\n")
    (pid,) = started(tmp_path, "web")

    supervisor.send_signal(signal.SIGINT)

    assert supervisor.wait(30) == 0
    assert not psutil.pid_exists(pid)


def test_a_process_that_dies_is_started_again(supervised, tmp_path):
    supervised("web: python worker.py web\n")
    (first,) = started(tmp_path, "web")

    os.kill(first, signal.SIGKILL)

    second = started(tmp_path, "web", times=2)[1]
    assert psutil.Process(second).cmdline()[1:] == ["worker.py", "web"]


def test_a_process_that_can_never_start_is_tried_again_and_again_and_hurts_no_other(supervised, tmp_path):
    supervised("web: python worker.py web\nbad: echo once >> bad.started; false\n")

    until(lambda: (tmp_path / "bad.started").exists() and (tmp_path / "bad.started").read_text().count("once") >= 4)

    assert len(started(tmp_path, "web")) == 1


def test_what_a_killed_process_leaves_is_ended_before_it_is_started_again(supervised, tmp_path):
    supervised("web: sh -c 'python worker.py child & python worker.py web'\n")
    (child,) = started(tmp_path, "child")
    (web,) = started(tmp_path, "web")
    parent = psutil.Process(web).ppid()

    os.kill(parent, signal.SIGKILL)

    started(tmp_path, "child", times=2)
    until(lambda: not psutil.pid_exists(child) and not psutil.pid_exists(web))


def test_the_release_line_runs_first_and_its_failure_starts_nothing(supervised, tmp_path):
    supervisor = supervised("release: sh -c 'echo no database; exit 3'\nweb: python worker.py web\n")

    output, _ = supervisor.communicate(timeout=30)

    assert supervisor.returncode == 3
    assert output == "no database\n"
    assert not (tmp_path / "web.started").exists()


def test_command_lines_read_the_environment_as_a_shell_would(supervised, tmp_path):
    environment = os.environ | {"PORT": "1234"}
    supervised("web: python worker.py port-$PORT-${WEB_WORKERS:-1}\n", env=environment)

    started(tmp_path, "port-1234-1")


def test_several_of_a_kind_run_where_the_formation_says_so(supervised, tmp_path):
    procfile = "live: python worker.py live\nclock: python worker.py clock\n"

    supervisor = supervised(procfile, env=os.environ | {"FORMATION": "live=3, clock=1"})

    assert len(started(tmp_path, "live", times=3)) == 3
    (first,) = started(tmp_path, "clock")
    supervisor.terminate()
    assert supervisor.wait(30) == 0
    assert not psutil.pid_exists(first)


def test_two_live_workers_run_unless_the_formation_says_otherwise(supervised, tmp_path):
    supervised("live: python worker.py live\n", env={k: v for k, v in os.environ.items() if k != "FORMATION"})

    assert len(started(tmp_path, "live", times=2)) == 2


@pytest.mark.parametrize(
    ("formation", "sentence"),
    [
        ("live", "FORMATION is to say how many run of each, such as live=2,bulk=1, and not 'live'.\n"),
        ("live=-1", "FORMATION is to say how many run of each, such as live=2,bulk=1, and not 'live=-1'.\n"),
        ("love=2", "FORMATION names 'love'; the Procfile has live.\n"),
    ],
)
def test_a_formation_that_cannot_be_meant_starts_nothing(supervised, tmp_path, formation, sentence):
    supervisor = supervised("live: python worker.py live\n", env=os.environ | {"FORMATION": formation})

    output, _ = supervisor.communicate(timeout=30)

    assert (supervisor.returncode, output) == (1, sentence)
    assert not (tmp_path / "live.started").exists()


def test_output_arrives_even_where_standard_output_is_a_socket(supervised, tmp_path):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        supervisor = supervised("web: echo hello from the web\n", stdout=theirs)
        theirs.close()
        ours.settimeout(30)

        with ours.makefile() as lines:
            assert any(line == "hello from the web\n" for line in lines)
            supervisor.terminate()
            assert supervisor.wait(30) == 0


def test_a_reader_of_the_output_who_goes_away_stops_nothing(supervised, tmp_path):
    supervisor = supervised("web: python worker.py web\n")
    (first,) = started(tmp_path, "web")
    supervisor.stdout.close()

    os.kill(first, signal.SIGKILL)

    assert len(started(tmp_path, "web", times=2)) == 2


def test_a_closed_terminal_stops_all(supervised, tmp_path):
    supervisor = supervised("web: python worker.py web\n")
    started(tmp_path, "web")

    supervisor.send_signal(signal.SIGHUP)

    assert supervisor.wait(30) == 0
    assert len(started(tmp_path, "web")) == 1


def test_processes_drain_even_when_the_supervisor_is_killed(supervised, tmp_path):
    supervisor = supervised("web: python worker.py web\n")
    started(tmp_path, "web")

    supervisor.kill()

    until((tmp_path / "web.drained").exists)
    until(lambda: not list((tmp_path / ".run").iterdir()))


def test_two_may_run_at_once_in_the_same_folder(supervised, tmp_path):
    first = supervised("web: python worker.py web\n")
    started(tmp_path, "web")
    second = supervised("web: python worker.py web\n")
    pids = started(tmp_path, "web", times=2)

    first.terminate()
    first.wait(30)

    assert [psutil.pid_exists(pid) for pid in pids] == [False, True]
    second.terminate()
    assert second.wait(30) == 0
