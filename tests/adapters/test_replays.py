"""Replays as rows: chosen once, opened in order, never twice; told when there is one already."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import orjson
import pytest
from sqlalchemy import text

from adapters import audit, inbox, replays
from adapters.inbox import Arrival, Filter
from domain.deliveries import Outcome, Verdict
from schemas.webhooks import read_identity

SHOP = "northwind-trade.myshopify.com"
OTHER = "contoso-outdoor.myshopify.com"
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
DEAD = Filter(outcome="dead")


@pytest.fixture
def put(database):
    """put(number, shop, **changes) stores dead deliveries of products 1, 2, 3 …; their ids come back."""

    def store(number, shop=SHOP, **changes):
        about = {"topic": "products/update", "feed": "products", "triggered_at": NOW, "received_at": NOW}
        arrivals = [
            Arrival(
                **{
                    **about,
                    "shop": shop,
                    "webhook_id": f"{shop}-{changes.get('tag', '')}-{n}",
                    "resource_id": n,
                    "body": orjson.dumps({"id": n}),
                    "dead_because": "a bug",
                    **{name: value for name, value in changes.items() if name != "tag"},
                }
            )
            for n in range(1, number + 1)
        ]
        with database.begin() as db:
            before = db.execute(text("SELECT coalesce(max(id), 0) FROM deliveries")).scalar_one()
            inbox.store(db, arrivals)
            return list(db.execute(text(f"SELECT id FROM deliveries WHERE id > {before} ORDER BY id")).scalars())

    return store


@pytest.fixture
def start(database):
    def begin(chosen=DEAD, key="a press", refreshed=False, name="the schema bug"):
        with database.begin() as db:
            return replays.start(db, name, "ada", "fixed in 1.2", chosen, refreshed=refreshed, key=key)

    return begin


@pytest.fixture
def step(database):
    """step(most): the replay that is due opens so many; the ids that are open now."""

    def open_some(most):
        with database.begin() as db:
            replay = replays.claim(db)
            replays.open_next(db, replay, most, read_identity)
        return waiting(database)

    return open_some


def waiting(database):
    with database.connect() as db:
        return list(db.execute(text("SELECT id FROM deliveries WHERE state = 'waiting' ORDER BY id")).scalars())


def found(database, replay):
    with database.connect() as db:
        return replays.find(db, replay.id)


def test_it_opens_what_matches_oldest_first_and_nothing_twice(database, put, start, step):
    ids = put(5)
    put(3, OTHER)
    replay, is_new = start(Filter(shop=SHOP, outcome="dead"))

    assert (is_new, replay.total) == (True, 5)
    assert step(2) == ids[:2]
    assert step(2) == ids[:4]
    assert step(2) == ids
    row = found(database, replay)
    assert (row["opened"], row["to_go"], row["outcomes"]) == (5, 0, {"waiting": 5})


def test_what_fails_again_or_arrives_later_is_not_opened_by_the_same_replay(database, put, start, step):
    ids = put(3)
    start()
    step(2)
    with database.begin() as db:
        inbox.close(db, {ids[0]: Verdict(Outcome.DEAD, "still the bug")})
    put(2, tag="later")

    assert step(10) == ids[1:]
    assert step(10) == ids[1:]


def test_it_keeps_how_each_had_closed(database, put, start, step):
    (delivery,) = put(1)
    start()
    step(1)

    with database.connect() as db:
        attempt = db.execute(text("SELECT delivery, outcome, sentence FROM attempts")).one()
    assert tuple(attempt) == (delivery, "dead", "a bug")


def test_one_press_is_one_replay_however_often_it_arrives(put, start, step):
    put(2)

    first, again = start(key="k"), start(key="k", chosen=Filter(shop=OTHER))

    assert (first[1], again[1]) == (True, False)
    assert again[0].id == first[0].id


def test_two_presses_at_the_same_moment_are_one_replay(put, start):
    put(20)

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: start(key="k"), range(8)))

    assert sum(is_new for _, is_new in answers) == 1
    assert len({replay.id for replay, _ in answers}) == 1


def test_the_same_filter_again_is_told_of_the_one_that_is_still_opening(put, start, step):
    put(4)
    first, _ = start(key="one")
    step(2)

    second, is_new = start(key="two")
    step(10)
    third, third_is_new = start(key="three")

    assert (second.id, is_new) == (first.id, False)
    assert (third.id != first.id, third_is_new) == (True, True)


def test_a_body_whose_id_can_be_read_today_is_opened_with_it(database, put, start, step):
    readable, not_yet = put(2, resource_id=None)
    with database.begin() as db:
        db.execute(text("UPDATE deliveries SET body = '{}' WHERE id = :id"), {"id": not_yet})
    replay, _ = start()

    assert (replay.total, step(10)) == (2, [readable])
    row = found(database, replay)
    assert (row["opened"], row["passed_over"], row["to_go"]) == (1, 1, 0)
    with database.connect() as db:
        assert db.execute(text("SELECT resource_id FROM deliveries WHERE id = :id"), {"id": readable}).scalar_one() == 1


def test_what_has_neither_id_nor_body_is_not_counted_in(put, start):
    put(3, topic="customers/update", feed="customers", resource_id=None, body=None)

    replay, _ = start()

    assert replay.total == 0


def test_a_step_that_dies_has_done_nothing_and_the_next_goes_on(database, put, start, step):
    ids = put(4)
    start()
    step(1)
    with database.connect() as db:
        replays.open_next(db, replays.claim(db), 2, read_identity)
        db.rollback()  # as Postgres does when its client is killed

    assert waiting(database) == ids[:1]
    assert step(2) == ids[:3]


def test_two_workers_never_take_a_step_of_one_replay_at_once(database, put, start):
    put(2)
    start()

    with database.begin() as one, database.begin() as other:
        assert replays.claim(one) is not None
        assert replays.claim(other) is None


def test_cancelled_it_opens_no_more_and_what_is_open_stays_so(database, put, start, step):
    ids = put(3)
    replay, _ = start()
    step(1)

    with database.begin() as db:
        assert replays.cancel(db, replay.id, "grace")
        assert not replays.cancel(db, replay.id, "grace")
        assert replays.claim(db) is None

    row = found(database, replay)
    assert (row["state"], row["reason"], row["to_go"]) == ("cancelled", "cancelled by grace", 2)
    assert waiting(database) == ids[:1]


def test_resumed_it_goes_on_where_it_ended_and_forgives_what_failed(database, put, start, step):
    ids = put(4)
    replay, _ = start()
    step(2)
    with database.begin() as db:
        inbox.close(db, {i: Verdict(Outcome.DEAD, "still the bug") for i in ids[:2]})
        replays.stop(db, replay.id, "too many")

    with database.begin() as db:
        assert replays.resume(db, replay.id, "grace")
        assert not replays.resume(db, replay.id, "grace")
        facts = replays.facts(db, replays.claim(db), 0.0)

    assert (facts.closed, facts.dead) == (0, 0)
    assert step(10) == ids[2:]


def test_it_is_not_resumed_beside_another_of_the_same_filter(database, put, start):
    put(3)
    replay, _ = start(key="one")
    with database.begin() as db:
        replays.cancel(db, replay.id, "grace")
    start(key="two")

    with database.begin() as db:
        assert not replays.resume(db, replay.id, "grace")


def test_what_came_of_it_stays_written_when_another_opens_the_same(database, put, start, step):
    ids = put(2)
    replay, _ = start(key="one")
    step(10)
    with database.begin() as db:
        inbox.close(db, {ids[0]: Verdict(Outcome.APPLIED), ids[1]: Verdict(Outcome.DEAD, "still the bug")})
        replays.finish(db, replays.claim(db))
    start(key="two")
    step(10)

    row = found(database, replay)
    assert (row["state"], row["outcomes"]) == ("finished", {"applied": 1, "dead": 1})


def test_its_filter_and_name_are_kept_as_they_were(database, put, start):
    put(1)
    chosen = Filter(shop=SHOP, outcome="dead", since=NOW, error="bug")

    replay, _ = start(chosen)

    row = found(database, replay)
    assert replay.chosen == chosen
    assert Filter.read(row["filter"]) == chosen
    assert (row["name"], row["who"], row["why"], row["mode"]) == ("the schema bug", "ada", "fixed in 1.2", "as_sent")


def test_every_act_is_in_the_audit(database, put, start):
    put(2)
    replay, _ = start()
    with database.begin() as db:
        replays.cancel(db, replay.id, "grace")
        replays.resume(db, replay.id, "grace")
        replays.stop(db, replay.id, "too many")

        acts = [(row["who"], row["act"], row["target"]) for row in audit.listed(db)]

    about = f"replay {replay.id}"
    assert acts == [
        ("replay", "replay stopped", about),
        ("grace", "replay resumed", about),
        ("grace", "replay cancelled", about),
        ("ada", "replay started", about),
    ]


def test_replays_are_listed_newest_first_by_state_and_page(database, put, start):
    put(3)
    first, _ = start(Filter(id=1, outcome="dead"), key="one")
    second, _ = start(Filter(id=2, outcome="dead"), key="two")
    with database.begin() as db:
        replays.cancel(db, first.id, "grace")

        assert [row["id"] for row in replays.listed(db)] == [second.id, first.id]
        assert [row["id"] for row in replays.listed(db, before=second.id)] == [first.id]
        assert [row["id"] for row in replays.listed(db, state="cancelled")] == [first.id]
        assert replays.find(db, 99) is None


def test_live_lag_is_how_long_the_oldest_live_mail_has_been_due(database, put, start):
    put(1)
    start()
    put(1, tag="live", dead_because=None)
    with database.begin() as db:
        replay = replays.claim(db)
        due = db.execute(text("SELECT extract(epoch FROM min(next_attempt_at)) FROM deliveries WHERE lane = 'live'"))
        moment = float(due.scalar_one())

        assert replays.facts(db, replay, moment + 7).live_lag == pytest.approx(7, abs=5)
        assert replays.facts(db, replay, moment - 7).live_lag == 0.0
