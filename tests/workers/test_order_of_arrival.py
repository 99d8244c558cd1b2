"""The version decides, never the order of arrival."""

from itertools import count, permutations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

MUG = 7001
CREATED = ("products/create", 1)
RENAMED = ("products/update", 2)
DELETED = ("products/delete", 3)
ids = count(10_000)


def arrive(floor, arrival):
    topic, second = arrival
    body = {"id": MUG} if topic == "products/delete" else floor.body(MUG, second, title=f"Mug of {second}")
    floor.send(topic, body, second)


@pytest.mark.parametrize("together", [False, True], ids=["a turn each", "one turn"])
@pytest.mark.parametrize("arrivals", list(permutations([CREATED, RENAMED, DELETED])))
def test_any_order_of_arrival_ends_in_the_same_mirror(floor, arrivals, together):
    for arrival in arrivals:
        for _ in range(2):
            arrive(floor, arrival)
            if not together:
                floor.turn()
    floor.serve()

    [row] = floor.rows("SELECT core_at, core_seen, removed_at FROM products")
    assert row == dict.fromkeys(("core_at", "core_seen", "removed_at"), floor.at(3))
    assert floor.rows("SELECT * FROM variants") == []
    assert "waiting" not in floor.outcomes()


@pytest.mark.parametrize("arrivals", list(permutations([CREATED, RENAMED])))
def test_without_the_delete_the_newest_name_stays(floor, arrivals):
    for arrival in arrivals:
        arrive(floor, arrival)
        arrive(floor, arrival)
        floor.turn()

    assert floor.product(MUG).core.title == "Mug of 2"


states = st.tuples(st.integers(0, 4), st.integers(0, 2), st.sampled_from("ABC"), st.booleans())


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(arrivals=st.lists(states, min_size=1, max_size=8))
def test_the_mirror_ends_at_the_highest_version_whatever_the_order_and_the_batches(floor, arrivals):
    product_id = next(ids)
    for changed, triggered, title, turn_follows in arrivals:
        floor.send("products/update", floor.body(product_id, changed, title=title), 10 + triggered)
        if turn_follows:
            floor.turn()
    floor.serve(lanes=("live",))

    # of equal versions the later arrival wins again
    changed, triggered, _, title = max((c, t, nr, title) for nr, (c, t, title, _) in enumerate(arrivals))
    row = floor.rows("SELECT core_at, core_seen FROM products WHERE id = :id", id=product_id)[0]
    assert row == {"core_at": floor.at(changed), "core_seen": floor.at(10 + triggered)}
    assert floor.product(product_id).core.title == title


def test_an_equal_version_wins_again(floor):
    floor.send("products/update", floor.body(MUG, 5, title="as a bug of ours wrote it"), 6)
    floor.turn()

    again = floor.send("products/update", floor.body(MUG, 5, title="right"), 6)

    assert floor.turn() == {again: "applied"}
    assert floor.product(MUG).core.title == "right"


def test_a_strictly_older_version_is_superseded(floor):
    floor.send("products/update", floor.body(MUG, 5, title="new"), 6)
    floor.turn()

    older = floor.send("products/update", floor.body(MUG, 5, title="old"), 5)

    assert floor.turn() == {older: "superseded"}
    assert floor.product(MUG).core.title == "new"
    assert floor.delivery(older)["reason"] == "the mirror already holds a newer state"


def test_unchanged_content_still_moves_the_version(floor):
    outcomes = []
    for second, title in ((1, "A"), (3, "A"), (2, "B")):
        floor.send("products/update", floor.body(MUG, second, title=title, updated_at=None), second)
        outcomes += floor.turn().values()

    assert outcomes == ["applied", "unchanged", "superseded"]
    assert floor.product(MUG).core.title == "A"
    assert floor.value("SELECT core_at FROM products") == floor.at(3)


def test_a_late_update_does_not_revive_a_deleted_product(floor):
    floor.send("products/create", floor.body(MUG, 1), 1)
    floor.turn()
    delete = floor.send("products/delete", {"id": MUG}, 5)
    assert floor.turn() == {delete: "deleted"}

    late = floor.send("products/update", floor.body(MUG, 4), 4)

    assert floor.turn() == {late: "superseded"}
    assert floor.product(MUG).removed_at == floor.at(5)
    assert floor.product(MUG).removed_reason == "deleted in Shopify"


def test_a_newer_state_revives_a_deleted_product(floor):
    floor.send("products/delete", {"id": MUG}, 5)
    floor.turn()

    floor.send("products/create", floor.body(MUG, 6), 6)
    floor.turn()

    assert floor.product(MUG).removed_at is None
    assert floor.rows("SELECT sku FROM variants") == [{"sku": f"SKU-{MUG}"}]


def test_a_product_that_was_never_seen_leaves_a_tombstone(floor):
    delete = floor.send("products/delete", {"id": MUG}, 5)

    assert floor.turn() == {delete: "deleted"}
    assert (floor.product(MUG).core, floor.product(MUG).removed_at) == (None, floor.at(5))


def test_a_webhook_that_comes_twice_is_one_delivery(floor, until):
    for _ in range(3):
        floor.send("products/update", floor.body(MUG, 1), 1, webhook_id="the-same")

    assert list(floor.turn().values()) == ["applied"]
    assert until(lambda: floor.delivery("the-same")["copies"] == 3)
