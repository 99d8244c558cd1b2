"""The clock takes stock; /metrics shows it."""

from workers import stock as duty


def levels(floor):
    from adapters import stock

    with floor.db.connect() as db:
        return stock.read(db)[0]


def test_the_clock_counts_what_waits_and_who_works(floor):
    floor.store([floor.body(7, 0), floor.body(8, 0)])
    duty.take_stock(floor.workshop)

    taken = levels(floor)
    assert taken["waiting", ("live",)] == 2
    assert taken["workers", ("live",)] == 0
    assert taken["dead", ("open",)] == 0


def test_the_clock_counts_feeds_by_state_whether_their_merchant_wants_to_be_told_or_not(floor):
    duty.take_stock_of_shops(floor.workshop)

    taken = levels(floor)
    assert taken["feeds", ("products", "no_data")] == 1
    assert taken["feeds", ("products", "ok")] == 0
    assert taken["shops", ("active",)] == 1


def test_what_shopify_was_asked_is_counted_in_points(floor):
    from adapters import fetch, figures

    fetch.shop_facts(floor.workshop.admin, floor.shop, floor.token)
    floor.workshop.figures.hand_over()

    assert figures.read(floor.workshop.bell.redis)["api_points", "", ()] >= 1
