"""A replay beside live mail: old never beats new, it makes way, stops itself, and a crash costs nothing."""

import threading
from itertools import permutations

import pytest

from adapters import replays
from adapters.inbox import Filter
from domain import replays as pace
from workers import replays as steps


@pytest.fixture
def start(floor):
    """start(chosen) → a replay of the shop's dead deliveries, or of whatever else is chosen."""

    def begin(chosen=None, *, refreshed=False, key="a press"):
        chosen = chosen or Filter(shop=floor.shop, outcome="dead")
        with floor.db.begin() as db:
            replay, _ = replays.start(db, "the bug", "ada", "fixed", chosen, refreshed=refreshed, key=key)
        return replay.id

    return begin


def die(floor):
    """All that waits is dead, as a bug leaves it."""
    floor.execute("""UPDATE deliveries SET state = 'closed', outcome = 'dead', reason = 'a bug', closed_at = now()
                     WHERE shop = :shop AND state = 'waiting'""")


def found(floor, replay):
    with floor.db.connect() as db:
        return replays.find(db, replay)


def is_due(floor):
    floor.execute("UPDATE replays SET next_step_at = now() - interval '1 second'")


def to_the_end(floor, replay):
    """Steps and turns of the bulk lane until it has ended."""
    for _ in range(200):
        is_due(floor)
        steps.step(floor.workshop)
        floor.turn("bulk")
        if found(floor, replay)["state"] != "running":
            return found(floor, replay)
    raise AssertionError("It does not end.")


def test_what_was_dead_is_applied_and_the_replay_ends(floor, start):
    floor.store(floor.body(n, 1) for n in range(1, 31))
    die(floor)

    row = to_the_end(floor, start())

    assert (row["state"], row["opened"], row["to_go"]) == ("finished", 30, 0)
    assert row["outcomes"] == {"applied": 30}
    assert floor.value("SELECT count(*) FROM products") == 30


def test_a_step_rings_for_the_shops_whose_mail_it_opened(floor, start):
    floor.store([floor.body(1, 1)])
    die(floor)
    start()
    steps.step(floor.workshop)

    assert floor.workshop.bell.has_due_mail("bulk")
    assert not floor.workshop.bell.has_due_mail("live")


def test_without_a_replay_there_is_no_step(floor):
    assert not steps.step(floor.workshop)


def test_an_old_state_that_is_replayed_never_beats_a_newer_one(floor, start):
    floor.store([floor.body(1, 1, title="old")])
    die(floor)
    floor.store([floor.body(1, 5, title="new")])
    floor.serve()

    row = to_the_end(floor, start())

    assert row["outcomes"] == {"superseded": 1}
    assert floor.product(1).core.title == "new"


@pytest.mark.parametrize("order", list(permutations(["live", "bulk", "open"])))
def test_whoever_is_served_first_the_newer_state_wins(floor, start, order):
    floor.store([floor.body(1, 1, title="old"), floor.body(2, 1, title="old")])
    die(floor)
    replay = start()
    floor.store([floor.body(1, 5, title="new")])

    for who in order:
        if who == "open":
            steps.step(floor.workshop)
        else:
            floor.turn(who)
    to_the_end(floor, replay)
    floor.serve()

    assert (floor.product(1).core.title, floor.product(2).core.title) == ("new", "old")


def test_turns_of_both_lanes_at_the_same_moment_end_in_the_newer_state(floor, start):
    from workers.turns import take_turn

    numbers = range(1, 61)
    floor.store(floor.body(n, 1, title="old") for n in numbers)
    die(floor)
    start()
    steps.step(floor.workshop)
    floor.store(floor.body(n, 5, title="new") for n in numbers)

    turns = [threading.Thread(target=take_turn, args=(floor.workshop, lane, floor.shop)) for lane in ("live", "bulk")]
    for turn in turns:
        turn.start()
    for turn in turns:
        turn.join()
    floor.serve()

    assert floor.rows("SELECT DISTINCT core ->> 'title' AS title FROM products") == [{"title": "new"}]
    assert set(floor.outcomes()) <= {"applied", "superseded", "waiting"}


def test_a_removed_product_does_not_come_back_by_a_replay_of_what_was_before(floor, start):
    floor.store([floor.body(1, 1)])
    die(floor)
    floor.send("products/delete", {"id": 1}, 5)
    floor.serve()

    row = to_the_end(floor, start())

    assert row["outcomes"] == {"superseded": 1}
    assert floor.product(1).removed_at is not None


def test_it_stops_itself_when_too_many_fail_again(floor, start, sabotage):
    lift = sabotage("products", "NEW.id > 20")
    floor.store(floor.body(n, 1) for n in range(1, 1_101))
    die(floor)
    replay = start()

    stopped = to_the_end(floor, replay)
    lift()
    with floor.db.begin() as db:
        assert replays.resume(db, replay, "grace")
    ended = to_the_end(floor, replay)

    assert stopped["state"] == "stopped"
    assert "failed again" in stopped["reason"]
    assert stopped["to_go"] > 0
    assert (ended["state"], ended["opened"]) == ("finished", 1_100)
    assert ended["outcomes"]["dead"] == stopped["outcomes"]["dead"]


def test_no_more_is_open_at_once_than_is_allowed(floor, start):
    floor.store(floor.body(n, 1) for n in range(1, pace.MOST_WAITING + 51))
    die(floor)
    replay = start()

    for _ in range(4):
        is_due(floor)
        steps.step(floor.workshop)

    assert found(floor, replay)["opened"] == pace.MOST_WAITING
    assert floor.due("bulk") == pace.MOST_WAITING


def test_while_live_mail_is_late_a_replay_only_trickles(floor, start):
    floor.store(floor.body(n, 1) for n in range(1, 101))
    die(floor)
    replay = start()
    floor.store([floor.body(500, 1)])
    floor.execute("UPDATE deliveries SET next_attempt_at = now() - interval '1 minute' WHERE resource_id = 500")

    for _ in range(3):
        is_due(floor)
        steps.step(floor.workshop)
    while_late = found(floor, replay)["opened"]
    floor.serve(["live"])
    is_due(floor)
    steps.step(floor.workshop)

    assert while_late == pace.TRICKLE
    assert found(floor, replay)["opened"] == 100


def test_after_a_cancel_what_is_open_is_decided_and_the_rest_stays_dead(floor, start):
    floor.store(floor.body(n, 1) for n in range(1, pace.MOST_OPENED + 11))
    die(floor)
    replay = start()
    steps.step(floor.workshop)
    with floor.db.begin() as db:
        replays.cancel(db, replay, "grace")
    is_due(floor)

    assert not steps.step(floor.workshop)
    floor.serve()
    assert floor.outcomes()["dead"] == 10
    assert found(floor, replay)["outcomes"] == {"applied": pace.MOST_OPENED}


def test_refreshed_shopify_is_asked_and_the_bodies_do_not_count(floor, start):
    floor.change("create_product", id=1, title="As it is now")
    floor.serve()
    floor.execute("TRUNCATE products, variants")
    floor.execute("UPDATE deliveries SET body = '{' WHERE topic LIKE 'products/%'")
    floor.execute("UPDATE deliveries SET state = 'closed', outcome = 'dead' WHERE topic LIKE 'products/%'")
    floor.store([floor.body(2, 1, title="Shopify never had it")])
    die(floor)

    row = to_the_end(floor, start(refreshed=True))

    assert floor.product(1).core.title == "As it is now"
    assert floor.product(2).removed_at is not None
    assert "dead" not in row["outcomes"]
    assert row["mode"] == "refreshed"


def test_a_delete_that_is_refreshed_removes_nothing_that_is_still_there(floor, start):
    floor.change("create_product", id=1, title="Back again")
    floor.serve()
    floor.send("products/delete", {"id": 1}, 3_000)
    die(floor)

    to_the_end(floor, start(refreshed=True))

    assert floor.product(1).removed_at is None


def test_sent_again_as_it_was_after_a_refresh_the_body_counts_again(floor, start):
    floor.store([floor.body(7, 1, title="As sent")])
    die(floor)
    to_the_end(floor, start(refreshed=True, key="one"))
    floor.execute("TRUNCATE products, variants")

    to_the_end(floor, start(Filter(shop=floor.shop, topic="products/update"), key="two"))

    assert floor.product(7).core.title == "As sent"


def test_a_bug_in_a_step_stops_that_replay_and_no_other(floor, start, monkeypatch):
    floor.store([floor.body(1, 1), floor.body(2, 1)])
    floor.execute("UPDATE deliveries SET resource_id = NULL WHERE id = 1")
    die(floor)
    broken = start(Filter(shop=floor.shop, outcome="dead", id=1), key="broken")
    sound = start(Filter(shop=floor.shop, outcome="dead", id=2), key="sound")

    def bug(*_):
        raise TypeError("Secret plan")

    monkeypatch.setattr(steps, "read_identity", bug)
    to_the_end(floor, broken)
    to_the_end(floor, sound)

    stopped = found(floor, broken)
    assert stopped["state"] == "stopped"
    assert "TypeError" in stopped["reason"]
    assert "Secret" not in stopped["reason"]
    assert found(floor, sound)["state"] == "finished"


def test_while_the_database_refuses_a_replay_waits_and_is_not_stopped(floor, start, sabotage):
    floor.store([floor.body(1, 1)])
    die(floor)
    replay = start()
    lift = sabotage("deliveries", "true", sqlstate="57P01")

    assert not steps.step(floor.workshop)
    lift()
    assert to_the_end(floor, replay)["outcomes"] == {"applied": 1}


def test_the_clock_wakes_a_worker_for_the_next_step(floor, start, redis):
    from workers.starts import wake_for_what_is_due

    floor.store([floor.body(1, 1)])
    die(floor)
    start()
    redis.flushall()

    wake_for_what_is_due(floor.workshop)

    assert floor.workshop.bell.state()["bulk"]["jobs"] == 1


def test_a_replay_is_late_by_its_nature_and_no_lag(floor, start, redis):
    from adapters import figures

    floor.store([floor.body(1, 1)])
    die(floor)

    to_the_end(floor, start())

    measured = {name for name, _, _ in figures.read(redis)}
    assert figures.OUTCOMES.name in measured
    assert figures.FRESHNESS.name not in measured
