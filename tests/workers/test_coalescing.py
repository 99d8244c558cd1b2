"""Many deliveries about one thing are one write, and only the newest body is read."""

from collections import Counter

from workers.turns import within_memory

MUG = 7001


def test_five_hundred_deliveries_of_one_product_are_one_write(floor, witness):
    written = witness("products")
    floor.store(floor.body(MUG, second, title=f"Mug of {second}") for second in range(500))

    outcomes = floor.turn()

    assert Counter(outcomes.values()) == {"superseded": 499, "applied": 1}
    assert [row["core"]["title"] for row in written()] == ["Mug of 499"]


def test_the_bodies_of_the_overtaken_are_never_read(floor):
    ids = floor.store(floor.body(MUG, second) for second in range(50))
    floor.execute("UPDATE deliveries SET body = 'no JSON at all' WHERE webhook_id <> :newest", newest=ids[-1])

    outcomes = floor.turn()

    assert outcomes == dict.fromkeys(ids[:-1], "superseded") | {ids[-1]: "applied"}


def test_the_newest_counts_wherever_it_stands_in_the_queue(floor):
    seconds = [*range(0, 100, 2), *range(99, 0, -2)]
    floor.store(floor.body(MUG, second, title=f"Mug of {second}") for second in seconds)

    floor.turn()

    assert floor.product(MUG).core.title == "Mug of 99"


def test_products_are_told_apart_within_one_turn(floor, witness):
    written = witness("products")
    floor.store(floor.body(product, second) for second in range(10) for product in range(1, 31))

    outcomes = floor.turn()

    assert Counter(outcomes.values()) == {"superseded": 270, "applied": 30}
    assert Counter(row["id"] for row in written()) == dict.fromkeys(range(1, 31), 1)


def test_a_turn_takes_no_more_bodies_than_fit_in_memory(floor):
    from adapters import inbox
    from domain.deliveries import fold

    floor.store(floor.body(product, 1, body_html="x" * 10_000) for product in range(1, 11))
    with floor.db.connect() as db:
        folds = fold(inbox.peek(db, "live", floor.shop, 500))

    assert [len(within_memory(folds, most)) for most in (1, 35_000, 10**9)] == [1, 3, 10]
