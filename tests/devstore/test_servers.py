import os
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import psycopg
import pytest
import redis

from devstore.servers import Postgres, ServerError, Valkey

ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder(server_folder):
    return server_folder


def remember(url, word):
    with psycopg.connect(url, autocommit=True) as db:
        db.execute("CREATE TABLE IF NOT EXISTS words (word text)")
        db.execute("INSERT INTO words VALUES (%s)", [word])


def remembered(url):
    with psycopg.connect(url) as db:
        return [word for (word,) in db.execute("SELECT word FROM words")]


def test_postgres_keeps_its_port_and_what_it_was_told_over_a_restart(folder):
    with Postgres(folder) as server:
        url = server.url
        remember(url, "kept")

        server.restart()

        assert server.url == url
        assert remembered(url) == ["kept"]


def test_postgres_starts_again_after_a_power_cut_with_all_that_was_committed(folder):
    with Postgres(folder) as server:
        remember(server.url, "committed")
        server.kill()

        server.start()

        assert remembered(server.url) == ["committed"]


def test_postgres_is_not_held_up_by_a_lock_whose_number_now_belongs_to_another_process(folder):
    with Postgres(folder) as server:
        remember(server.url, "kept")
        server.kill()
        lock = (folder / "cluster" / "postmaster.pid").read_text().splitlines()
        (folder / "cluster" / "postmaster.pid").write_text("\n".join([str(os.getpid()), *lock[1:]]) + "\n")

        server.start()

        assert remembered(server.url) == ["kept"]


def test_postgres_left_running_in_the_same_folder_is_stopped_first(folder):
    earlier = Postgres(folder)
    earlier.start()
    remember(earlier.url, "kept")

    with Postgres(folder) as server:
        assert remembered(server.url) == ["kept"]
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(earlier.url)
    earlier.stop()


def test_postgres_starts_in_a_folder_that_only_its_owner_may_enter(folder):
    private = folder / "private"
    private.mkdir(mode=0o700)
    server = Postgres(private / "postgres", durable=False)

    with server:
        remember(server.url, "kept")
        server.restart()
        assert remembered(server.url) == ["kept"]

    server.remove()
    assert list(private.iterdir()) == []


def test_postgres_knows_capital_letters_beyond_ascii_and_sorts_as_bytes_do(folder):
    with Postgres(folder, durable=False) as server, psycopg.connect(server.url) as db:
        assert db.execute(
            "SELECT lower('É'), 'a' > 'B', pg_encoding_to_char(encoding) FROM pg_database"
        ).fetchone() == (
            "é",
            True,
            "UTF8",
        )


def test_postgres_gives_up_fsync_only_when_told_to(folder):
    def fsync(server):
        with server, psycopg.connect(server.url) as db:
            return db.execute("SHOW fsync").fetchone()

    assert fsync(Postgres(folder)) == ("on",)
    assert fsync(Postgres(folder, durable=False)) == ("off",)


def test_servers_started_at_the_same_moment_do_not_meet(folder):
    servers = [Valkey(folder / str(number)) for number in range(6)] + [Postgres(folder / "a"), Postgres(folder / "b")]

    with ThreadPoolExecutor(len(servers)) as pool:
        list(pool.map(lambda server: server.start(), servers))

    assert len({server.port for server in servers}) == len(servers)
    for server in servers:
        server.stop()


def test_valkey_refuses_to_forget_jobs_for_room_and_is_empty_after_a_restart(folder):
    with Valkey(folder) as server:
        with redis.Redis.from_url(server.url) as client:
            assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
            assert client.config_get("save") == {"save": ""}
            client.set("word", "lost")
        url = server.url

        server.restart()

        assert server.url == url
        with redis.Redis.from_url(url) as client:
            assert client.get("word") is None


def test_a_killed_valkey_answers_nobody(folder):
    with Valkey(folder) as server:
        server.kill()

        with redis.Redis.from_url(server.url, retry=None) as client, pytest.raises(redis.ConnectionError):
            client.ping()


def test_a_port_that_was_asked_for_and_is_taken_is_an_error_that_says_so(folder):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        server = Valkey(folder, taken.getsockname()[1])

        with pytest.raises(ServerError, match="Address already in use"):
            server.start()


def test_servers_end_when_the_process_that_started_them_is_killed(folder):
    program = """
import sys, pathlib
from devstore.servers import Postgres, Valkey
servers = Postgres(pathlib.Path(sys.argv[1])), Valkey(pathlib.Path(sys.argv[1]))
for server in servers:
    server.start()
print(*(server._child.pid for server in servers), flush=True)
sys.stdin.read()
"""
    command = [sys.executable, "-c", program, str(folder)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:
        pids = [int(pid) for pid in parent.stdout.readline().split()]
        servers = [psutil.Process(pid) for pid in pids]

        parent.send_signal(signal.SIGKILL)

        _, alive = psutil.wait_procs(servers, timeout=30)
        assert len(pids) == 2
        assert alive == []
