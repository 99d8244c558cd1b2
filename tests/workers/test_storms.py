"""A shop that repeats itself: few writes, nothing lost of what it said, and nobody else kept waiting."""

import time
from collections import Counter

import pytest

from domain.deliveries import Outcome, Verdict, rest_after

MUG, ONCE = 7001, 9001
APPLIED, OVERTAKEN = Verdict(Outcome.APPLIED), Verdict(Outcome.SUPERSEDED)


@pytest.fixture
def slices_of_400(monkeypatch):
    monkeypatch.setattr("workers.storms.SLICE", 400)


def turns(floor):
    """Until nothing waits. Each turn's outcomes, counted."""
    taken = []
    while floor.value("SELECT count(*) FROM deliveries WHERE state = 'waiting' AND lane = 'live'"):
        taken.append(Counter(floor.turn().values()))
        assert len(taken) < 40
    return taken


def test_of_a_storm_one_in_a_hundred_is_written_and_the_rest_is_closed_in_slices(floor, witness, slices_of_400):
    written = witness("products")
    floor.store(floor.body(MUG + n % 5, second, title=f"Mug of {second}") for n in range(5) for second in range(300))

    taken = turns(floor)

    # Stored in no particular order: the latest row is not always the latest state.
    assert sum(turn["applied"] for turn in taken) == len(written()) <= 15
    assert sum(turn["superseded"] for turn in taken) == 1_500 - len(written())
    assert all(sum(turn.values()) <= 500 + 400 for turn in taken)
    assert {floor.product(MUG + n).core.title for n in range(5)} == {"Mug of 299"}


def test_a_product_that_was_edited_once_does_not_wait_for_the_storm_to_end(floor):
    floor.store([floor.body(ONCE, 1, title="Edited once")])
    floor.store(floor.body(MUG, second) for second in range(1_500))

    floor.turn()

    assert floor.product(ONCE).core.title == "Edited once"


def test_only_the_strictly_older_is_overtaken(floor):
    from adapters import overtaken

    floor.store([floor.body(MUG, 10)])
    floor.turn()
    older, same, newer = floor.store([floor.body(MUG, 9), floor.body(MUG, 10), floor.body(MUG, 11, title="Cup")])
    with floor.db.begin() as db:
        closed = overtaken.close(db, floor.shop, 100)

    ids = {row["id"]: row["webhook_id"] for row in floor.rows("SELECT id, webhook_id FROM deliveries")}
    assert {ids[i]: verdict.outcome for i, verdict in closed.items()} == {older: "superseded"}
    assert floor.turn() == {same: "superseded", newer: "applied"}


def test_a_delete_in_a_storm_is_judged_by_its_turn(floor):
    from adapters import overtaken

    floor.store([floor.body(MUG, 10)])
    floor.turn()
    [late] = floor.store([{"id": MUG}], "products/delete", second=9)
    with floor.db.begin() as db:
        assert overtaken.close(db, floor.shop, 100) == {}

    assert floor.turn() == {late: "superseded"}


def test_a_calm_shop_never_rests():
    assert rest_after({}) == 0
    assert rest_after(dict.fromkeys(range(500), APPLIED)) == 0
    assert rest_after({1: APPLIED, 2: OVERTAKEN}) == 0.01


def test_late_copies_of_what_is_known_are_no_storm():
    assert rest_after(dict.fromkeys(range(500), OVERTAKEN)) == 0


def test_the_more_was_overtaken_the_longer_it_gathers_up_to_four_seconds():
    def turn(overtaken):
        return {n: OVERTAKEN if n else APPLIED for n in range(overtaken + 1)}

    assert [rest_after(turn(n)) for n in (10, 200, 400, 2_000)] == [0.1, 2.0, 4.0, 4.0]


def test_a_shop_that_rests_is_left_alone_whoever_rings_and_delays_nobody(floor):
    bell = floor.workshop.bell
    bell.ring("live", {"stormy": 1.0})
    turn = bell.take("live", "somebody")
    bell.give_back("live", turn, rest=30.0)
    bell.ring("live", {"stormy": 1.0, "calm": time.time()})

    assert bell.take("live", "somebody").shop == "calm"
    assert bell.take("live", "somebody") is None
    assert 0 < bell.redis.pttl("turn:live:stormy") <= 30_000


def test_after_a_turn_with_much_that_was_overtaken_its_shop_rests(floor):
    from workers import turns as serving

    floor.store(floor.body(MUG, second) for second in range(300))

    assert serving.serve_shop(floor.workshop, "live", floor.shop) == 2.99
    assert serving.serve_shop(floor.workshop, "live", floor.shop) == 0
