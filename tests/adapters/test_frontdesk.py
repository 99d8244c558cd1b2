"""Group commit: one refused row takes no other with it, nobody waits for Redis, the bell is rung for what was new."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from sqlalchemy import text

from adapters import bell, frontdesk
from adapters.database import connect
from adapters.figures import COPIES, Figures, read
from adapters.frontdesk import FrontDesk, NotStored
from adapters.inbox import Arrival
from devstore.servers import free_port

NOW = datetime(2026, 11, 23, 10, tzinfo=UTC)


def arrival(webhook_id, **changes):
    usual = {
        "shop": "northwind-trade.myshopify.com",
        "topic": "products/update",
        "feed": "products",
        "resource_id": 1,
        "triggered_at": NOW,
        "received_at": NOW,
        "body": b"{}",
    }
    return Arrival(webhook_id=webhook_id, **usual | changes)


@pytest.fixture
def wait_for():
    """wait_for(fact) → when `fact()` has become true."""

    def wait(fact):
        deadline = time.monotonic() + 10
        while not fact():
            assert time.monotonic() < deadline, "what was waited for did not happen"
            time.sleep(0.01)

    return wait


@pytest.fixture
def desk(database, redis):
    return FrontDesk(database, bell.Bell(redis), Figures(redis))


def stored(engine):
    with engine.connect() as db:
        return set(db.execute(text("SELECT webhook_id FROM deliveries")).scalars())


def in_one_batch(engine, desk, arrivals, wait_for):
    """What became of each, when all of them wait for the first one's transaction and so go together."""
    with ThreadPoolExecutor(len(arrivals) + 1) as threads:
        with engine.connect() as db:
            db.execute(text("LOCK TABLE deliveries IN ACCESS EXCLUSIVE MODE"))
            first = threads.submit(desk.accept, arrival("first"), 10)
            wait_for(lambda: desk._started and desk._arrivals.qsize() == 0 and is_blocked(engine))
            futures = [threads.submit(desk.accept, one, 10) for one in arrivals]
            wait_for(lambda: desk._arrivals.qsize() == len(arrivals))
        assert first.result(10) is True
        return [future.exception(10) or future.result() for future in futures]


def is_blocked(engine):
    with engine.connect() as db:
        return db.execute(text("SELECT count(*) FROM pg_locks WHERE NOT granted")).scalar()


def test_a_batch_is_one_transaction(database, desk, wait_for):
    answers = in_one_batch(database, desk, [arrival(f"n-{n}") for n in range(20)], wait_for)

    with database.connect() as db:
        transactions = db.execute(text("SELECT count(DISTINCT xmin::text) FROM deliveries")).scalar()
    assert answers == [True] * 20
    assert transactions == 2  # the first one's, and that of those who came meanwhile


def test_while_several_come_at_once_a_batch_gathers_for_a_moment(database, desk, wait_for, monkeypatch):
    monkeypatch.setattr(frontdesk, "PACE_SECONDS", 3)
    in_one_batch(database, desk, [arrival("n-1"), arrival("n-2")], wait_for)

    with pytest.raises(NotStored):
        desk.accept(arrival("still gathering"), 0.2)

    assert desk.accept(arrival("next"), 10) is True


def test_who_comes_alone_is_never_kept_waiting(desk, monkeypatch):
    monkeypatch.setattr(frontdesk, "PACE_SECONDS", 60)

    assert [desk.accept(arrival(f"n-{n}"), 10) for n in range(3)] == [True] * 3


@pytest.mark.parametrize(
    "wrong",
    [{"topic": "a\x00b"}, {"event_id": "\ud800"}, {"resource_id": 2**63}, {"source": "elsewhere"}, {"secret": 2**15}],
    ids=["NUL", "lone surrogate", "out of range", "not allowed", "too large for its column"],
)
def test_one_row_that_cannot_be_stored_is_refused_alone(database, desk, wait_for, wrong):
    arrivals = [arrival("sound-1"), arrival("wrong", **wrong), arrival("sound-2")]

    first, refused, last = in_one_batch(database, desk, arrivals, wait_for)

    assert (first, last) == (True, True)
    assert isinstance(refused, NotStored)
    assert stored(database) == {"first", "sound-1", "sound-2"}


def test_a_refused_row_does_not_end_the_desk(database, desk):
    with pytest.raises(NotStored):
        desk.accept(arrival("wrong", topic="\x00"), 10)

    assert desk.accept(arrival("sound"), 10) is True


def test_of_two_copies_in_one_batch_one_is_new_and_the_other_is_counted(database, desk, wait_for):
    answers = in_one_batch(database, desk, [arrival("twice"), arrival("twice")], wait_for)

    assert sorted(answers) == [False, True]
    wait_for(lambda: copies_of(database, "twice") == 2)


def copies_of(engine, webhook_id):
    statement = text("SELECT copies FROM deliveries WHERE webhook_id = :id")
    with engine.connect() as db:
        return db.execute(statement, {"id": webhook_id}).scalar()


def test_copies_are_counted_in_the_row_and_in_the_figures(database, redis, desk, wait_for):
    assert [desk.accept(arrival("again"), 10) for _ in range(3)] == [True, False, False]

    wait_for(lambda: copies_of(database, "again") == 3)
    wait_for(lambda: read(redis).get((COPIES.name, "", ())) == 2)


def test_the_bell_is_rung_for_what_was_new_and_alive(redis, desk, wait_for):
    desk.accept(arrival("dead", shop="quiet.myshopify.com", dead_because="it cannot be read"), 10)
    desk.accept(arrival("new"), 10)

    wait_for(lambda: redis.zscore("mail:live", "northwind-trade.myshopify.com"))
    assert redis.zscore("mail:live", "quiet.myshopify.com") is None
    wait_for(lambda: redis.llen("rq:queue:live") == 1)


def test_a_bell_that_is_gone_delays_nobody(database):
    client = bell.connect(f"redis://127.0.0.1:{free_port()}/0")
    desk = FrontDesk(database, bell.Bell(client), Figures(client))

    assert [desk.accept(arrival(f"n-{n}"), 1) for n in range(5)] == [True] * 5


def test_who_gave_up_waiting_is_not_stored_later(database, desk, wait_for):
    with database.connect() as db:
        db.execute(text("LOCK TABLE deliveries IN ACCESS EXCLUSIVE MODE"))
        with ThreadPoolExecutor(1) as threads:
            first = threads.submit(desk.accept, arrival("first"), 10)
            wait_for(lambda: is_blocked(database))
            with pytest.raises(NotStored):
                desk.accept(arrival("gave-up"), 0.05)
            db.rollback()
            assert first.result(10) is True

    assert desk.accept(arrival("later"), 10) is True
    assert stored(database) == {"first", "later"}


def test_while_postgres_hangs_only_so_many_bodies_are_kept(database, desk, wait_for, monkeypatch):
    monkeypatch.setattr(frontdesk, "MOST_WAITING", 3)
    with database.connect() as db:
        db.execute(text("LOCK TABLE deliveries IN ACCESS EXCLUSIVE MODE"))
        with ThreadPoolExecutor(1) as threads:
            first = threads.submit(desk.accept, arrival("first"), 10)
            wait_for(lambda: is_blocked(database))
            for n in range(6):
                with pytest.raises(NotStored):
                    desk.accept(arrival(f"n-{n}"), 0.01)
            assert desk._arrivals.qsize() == 3
            db.rollback()
            assert first.result(10) is True


def test_a_connection_that_was_cut_in_the_pool_refuses_nobody(database, database_url, redis):
    own = connect(database_url, pool=1)
    desk = FrontDesk(own, bell.Bell(redis), Figures(redis))
    assert desk.accept(arrival("before"), 10) is True
    with own.connect() as db:
        mine = db.execute(text("SELECT pg_backend_pid()")).scalar_one()
    with database.begin() as db:
        db.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": mine})

    assert desk.accept(arrival("after"), 10) is True

    assert stored(database) == {"before", "after"}
    own.dispose()


def test_without_postgres_everybody_is_told(redis):
    away = connect(f"postgresql+psycopg://postgres@127.0.0.1:{free_port()}/none")
    desk = FrontDesk(away, bell.Bell(redis), Figures(redis))

    for n in range(3):
        with pytest.raises(NotStored):
            desk.accept(arrival(f"n-{n}"), 5)


def test_no_thread_is_started_before_it_opens(database, redis):
    before = threading.active_count()

    desk = FrontDesk(database, bell.Bell(redis), Figures(redis))
    assert threading.active_count() == before
    desk.open()
    desk.open()

    assert threading.active_count() == before + 2
