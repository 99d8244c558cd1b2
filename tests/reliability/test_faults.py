"""What the product stands on breaks while webhooks come in, and mends again. Nobody lifts a hand at the product."""

import contextlib
import os
import secrets
import subprocess
import time

import psutil
import pytest
import redis as redis_client

SHOP = "northwind-trade.myshopify.com"
TROUBLE = 8.0  # seconds
RUNS = {"RECONCILE_SECONDS": "5", "COMPLETE_RUN_SECONDS": "10"}  # for what no webhook tells
CLEAN = {"lost": 0, "closed_twice": 0, "wrongly_removed": 0}  # what `breaches() == []` says


@pytest.fixture(scope="module")
def standing(installation):
    """The Procfile's processes as they are, on a Postgres that keeps what it says; a shop at work, and runs."""
    with installation("faults", durable=True, **RUNS) as made:
        made.open_shop(SHOP, products=8, customers=8, b2b=1.0)
        yield made


@pytest.fixture(scope="module")
def astray(installation):
    """The same, by clocks that may go wrong."""
    with installation("astray", through="astray", **RUNS) as made:
        made.open_shop(SHOP, products=8, customers=8, b2b=1.0)
        yield made


# Each breaks something, and mends it when it is left.


@contextlib.contextmanager
def postgres_restarted(made):
    made.postgres.restart()
    yield


@contextlib.contextmanager
def postgres_killed(made):
    made.postgres.kill()
    made.postgres.start()
    yield


@contextlib.contextmanager
def postgres_away(made):
    made.postgres.stop()
    yield
    made.postgres.start()


@contextlib.contextmanager
def postgres_read_only(made):
    """As one is that has become the second of two."""
    made.alter_postgres("default_transaction_read_only", "on")
    made.cut_connections()
    yield
    made.alter_postgres("default_transaction_read_only", "off")
    made.cut_connections()


@contextlib.contextmanager
def postgres_hanging(made):
    with suspended(made.postgres):
        yield


@contextlib.contextmanager
def connections_cut(made):
    made.cut_connections()
    yield made.cut_connections
    made.cut_connections()


@contextlib.contextmanager
def redis_flushed(made):
    with client(made) as redis:
        redis.flushall()
        yield redis.flushall


@contextlib.contextmanager
def redis_restarted(made):
    made.valkey.restart()
    yield


@contextlib.contextmanager
def redis_away(made):
    made.valkey.kill()
    yield
    made.valkey.start()


@contextlib.contextmanager
def redis_hanging(made):
    with suspended(made.valkey):
        yield


@contextlib.contextmanager
def redis_full(made):
    """Every command that needs room is refused (OOM)."""
    with client(made) as redis:
        redis.config_set("maxmemory", "1mb")
        yield
        redis.config_set("maxmemory", "0")


@contextlib.contextmanager
def redis_read_only(made):
    """The second of two, whose first nobody can reach."""
    with client(made) as redis:
        redis.replicaof("127.0.0.1", "1")
        yield
        redis.replicaof("NO", "ONE")


def shopify(kind, **wanted):
    @contextlib.contextmanager
    def answers(made):
        for place in ("graphql", "oauth", "bulk"):
            made.store.fault(kind, times=1_000_000, place=place, **wanted)
        yield
        made.store.clear_faults()

    return answers


def clock_moved(kind, seconds):
    """Of the web processes, or of the workers' and the clock's."""

    @contextlib.contextmanager
    def moved(made):
        file = made.folder / f"clock of {kind}"
        file.with_suffix(".new").write_text(str(seconds))
        file.with_suffix(".new").rename(file)
        yield
        file.unlink()

    return moved


HOURS = 3 * 3_600.0  # more than a token lives
CLOCKS = {
    f"clock of {kind} {HOURS / 3600:.0f} hours {word}": clock_moved(kind, seconds)
    for kind in ("web", "workers")
    for word, seconds in (("ahead", HOURS), ("behind", -HOURS))
}
FAULTS = {
    "Postgres restarted": postgres_restarted,
    "Postgres killed": postgres_killed,
    "Postgres away": postgres_away,
    "Postgres hanging": postgres_hanging,
    "Postgres read-only": postgres_read_only,
    "connections to Postgres cut": connections_cut,
    "Redis flushed": redis_flushed,
    "Redis restarted": redis_restarted,
    "Redis away": redis_away,
    "Redis hanging": redis_hanging,
    "Redis full": redis_full,
    "Redis read-only": redis_read_only,
    "Shopify answers 500": shopify("500"),
    "Shopify answers garbage": shopify("garbage"),
    "Shopify answers half a body": shopify("half_body"),
    "Shopify answers nothing for 4 s": shopify("timeout", seconds=4.0),
    "Shopify answers each question after 3 s": shopify("slow", seconds=3.0),
    "Shopify answers byte by byte, for 45 s": shopify("drip", seconds=45.0),
    "Shopify throttles all": shopify("throttled"),
}


@contextlib.contextmanager
def suspended(server):
    process = psutil.Process(server._child.pid)
    family = [process, *process.children(recursive=True)]
    for one in family:
        one.suspend()
    yield
    for one in family:
        one.resume()


@contextlib.contextmanager
def client(made):
    with redis_client.Redis.from_url(made.valkey.url) as redis:
        yield redis


def work_through(made, fault, seconds):
    """The shop goes on changing all the while. Seconds from the mending to rest."""
    with fault(made) as again:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            made.store.random(SHOP, 3)
            if again:
                again()
            made.store.settle(0.3)
            time.sleep(0.1)  # the pace of a busy shop, not of a benchmark
    return made.comes_to_rest(240)


def test_a_few_short_faults_pass_without_a_trace(astray):
    """One installation for all of them: `make test` has little time."""
    clock = CLOCKS["clock of workers 3 hours ahead"]
    for fault in (connections_cut, redis_flushed, shopify("half_body"), clock):
        work_through(astray, fault, 1.0)
        assert astray.breaches() == []


@pytest.mark.long
@pytest.mark.timeout(400)
@pytest.mark.parametrize("name", FAULTS)
def test_every_fault_passes_without_a_trace(standing, name, note_figures):
    note_figures(name, figures_of(standing, FAULTS[name], TROUBLE))


@pytest.mark.long
@pytest.mark.timeout(400)
@pytest.mark.parametrize("name", CLOCKS)
def test_clocks_that_go_wrong_and_are_set_right_leave_no_trace(astray, name, note_figures):
    note_figures(name, figures_of(astray, CLOCKS[name], TROUBLE))


def figures_of(made, fault, trouble):
    before = made.store.counts()["delivered"]
    seconds = work_through(made, fault, trouble)
    assert made.breaches() == []
    figures = {"trouble_seconds": trouble, "seconds_to_converge": seconds}
    return figures | {"deliveries": made.store.counts()["delivered"] - before} | CLEAN


@pytest.fixture
def small_disk(installation, server_folder):
    """An installation whose Postgres lies on a disk of 160 MB; only root can make one."""
    disk = server_folder / "disk"
    disk.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", "size=160m,mode=755", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mounting, capture_output=True, check=False).returncode != 0:
        pytest.skip("a small disk can be made by root alone, on Linux")
    try:
        with installation("small disk", postgres_folder=disk / "postgres", durable=True, **RUNS) as made:
            made.open_shop(SHOP, products=8, customers=8, b2b=1.0)
            yield made, disk / "ballast"
    finally:
        subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.long
@pytest.mark.timeout(400)
def test_a_full_disk_refuses_and_loses_nothing(small_disk, note_figures):
    """Shopify is told to come again, and when there is room everything is there. A Postgres that gave up is started."""
    made, ballast = small_disk
    fill(ballast)
    made.until(lambda: is_refused(made), 90)
    for _ in range(10):
        made.store.random(SHOP, 3)
        made.store.settle(0.3)

    ballast.unlink()
    gave_up = made.postgres._child._process.poll() is not None
    if gave_up:
        made.postgres.start()
    seconds = made.comes_to_rest(120)

    assert made.breaches() == []
    figures = {
        "seconds_to_converge": seconds,
        "postgres_gave_up": gave_up,
        "deliveries": made.store.counts()["delivered"],
    }
    note_figures("disk of the database full", figures | CLEAN)


def fill(ballast):
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(64 * 1024))


def is_refused(made):
    """A large webhook more, until one is answered 503."""
    made.store.change(SHOP, "edit_product", description_html=secrets.token_hex(200_000))
    made.store.settle(0.5)
    return sum(attempt["status"] == 503 for entry in made.store.ledger() for attempt in entry["attempts"])
