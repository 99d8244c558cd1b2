"""Every ten minutes: what changed since the last time, for a handful of queries."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from adapters import listing

TO_THE_SECOND = re.compile(r"updated_at:>='(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)'")


@pytest.fixture
def searches(monkeypatch):
    """Every search that listings send, as text (None: all)."""
    from adapters.admin import AdminClient

    sent = []
    query = AdminClient.query

    def overhear(self, shop, token, document, variables, *rest, **more):
        if document in (listing.documents.PRODUCT_LIST, listing.documents.CUSTOMER_LIST):
            sent.append(variables)
        return query(self, shop, token, document, variables, *rest, **more)

    monkeypatch.setattr(AdminClient, "query", overhear)
    return sent


@pytest.mark.parametrize("feed", ["products", "customers"])
def test_it_asks_by_a_quoted_utc_time_without_an_upper_bound_oldest_change_first(scene, searches, feed):
    watermark = scene.timetable(feed)["watermark"]

    scene.run(feed)

    (asked,) = searches
    bound = TO_THE_SECOND.fullmatch(asked["query"])
    assert bound, asked["query"]
    assert asked["sortKey"] == "UPDATED_AT"
    overlap = watermark - datetime.fromisoformat(bound[1])
    assert timedelta(seconds=1_200) <= overlap < timedelta(seconds=1_202)  # twice the interval, to the second below


def test_a_complete_run_searches_nothing_for_a_search_would_hide_what_it_does_not_match(scene, searches):
    scene.run("products", complete=True)

    assert [asked["query"] for asked in searches] == [None]


@pytest.mark.parametrize("feed", ["products", "customers"])
def test_a_lost_create_and_a_lost_update_are_found(scene, feed):
    if feed == "products":
        scene.lose("create_product", id=4711, title="New")
        scene.lose("edit_product", id=scene.products[0]["id"], title="Renamed")
    else:
        scene.lose("create_customer", id=4711, tags=["b2b"], email="new@shop.example")
        scene.lose("edit_customer", id=scene.members[0]["id"], first_name="Renamed")

    run = scene.run(feed)

    assert (run["state"], run["created"], run["changed"], run["removed"]) == ("finished", 1, 1, 0)
    assert scene.differences() == []


def test_what_was_delivered_is_no_difference(scene):
    scene.change("edit_product", id=scene.products[0]["id"], title="Renamed")
    scene.change("edit_customer", id=scene.members[0]["id"], first_name="Renamed")

    products, customers = scene.run("products"), scene.run("customers")

    assert [(run["seen"], run["unchanged"]) for run in (products, customers)] == [(1, 1), (1, 1)]
    assert scene.value("SELECT count(*) FROM deliveries WHERE run = :run", run=products["id"]) == 0
    assert scene.gaps() == {}


def test_a_customer_who_was_read_within_the_second_of_the_last_change_is_read_once_more(scene):
    """`updatedAt` knows no more than the second: a further change in it, whose webhook is lost, moves nothing."""
    customers = scene.devstore.world.tenants[scene.shop].shop.customers
    member = scene.members[0]["id"]
    scene.change("edit_customer", id=member, first_name="Ada")
    customers.indexed(0)
    earlier = customers.truth[member].updated_at - timedelta(minutes=10)
    customers.stock([replace(customers.truth[member], first_name="Bo", updated_at=earlier)])
    scene.execute(
        "UPDATE customers SET at = :at, seen = :at + interval '0.9 seconds' WHERE id = :id", id=member, at=earlier
    )
    scene.execute("UPDATE deliveries SET triggered_at = :at WHERE source = 'webhook'", at=earlier)

    first, second = scene.run("customers"), scene.run("customers")

    assert scene.customer(member).customer.first_name == "Bo"
    assert scene.gaps() == {("customers", member): "never_delivered"}
    asked = "SELECT count(*) FROM deliveries WHERE run = :run"
    assert [scene.value(asked, run=run["id"]) for run in (first, second)] == [1, 0]


def test_a_change_that_the_index_shows_late_is_found_by_the_overlap(scene):
    scene.devstore.settings(scene.shop, index_lag=3_600)
    scene.lose("edit_product", id=scene.products[0]["id"], title="Renamed")
    missed = scene.run("products")
    scene.change("edit_product", id=scene.products[1]["id"], title="Later")

    scene.devstore.settings(scene.shop, index_lag=0)
    found = scene.run("products")

    assert (missed["seen"], found["changed"]) == (0, 1)
    assert scene.differences() == []


def test_rows_older_than_the_bound_are_harmless(scene, monkeypatch):
    """Shopify may round the bound down, to the day or to nothing at all; whoever believes it would fetch everything."""
    page = listing.page
    monkeypatch.setattr(listing, "page", lambda *asked: page(*asked[:5], datetime(2001, 1, 1, tzinfo=UTC), *asked[6:]))
    scene.asked()

    products, customers = scene.run("products"), scene.run("customers")

    assert (products["seen"], products["changed"]) == (12, 0)
    assert (customers["seen"], customers["changed"]) == (20, 0)
    assert set(scene.asked()) == {"requests", "points", "ProductList", "DeletedProducts", "CustomerList"}
    assert scene.gaps() == {}


@pytest.mark.parametrize("products", [100, 10_000])
def test_a_quiet_cycle_is_three_queries_whatever_the_size_of_the_shop(open_shop, products):
    scene = open_shop(products=products, customers=20, variants=1)
    scene.execute("UPDATE feeds SET watermark = now() - interval '10 minutes', last_complete_at = now()")
    scene.asked()

    scene.run("products")
    scene.run("customers")

    asked = scene.asked()
    queries = {"ProductList": 1, "DeletedProducts": 1, "CustomerList": 1}
    assert asked == {"requests": 3, "points": asked["points"]} | queries
    assert asked["points"] < 1_200  # asked for; of an empty page hardly any is paid


def test_a_run_that_died_between_two_pages_goes_on_where_it_was(scene, monkeypatch):
    monkeypatch.setattr(listing, "PAGE", 4)
    for product in scene.products[:10]:
        scene.lose("edit_product", id=product["id"], title="Renamed")
    number = scene.start("products")
    scene.step()
    scene.step()
    assert scene.row(number)["seen"] == 4

    # Another process: nothing is left of this one but what lies in the database.
    scene.asked()
    scene.steps()
    scene.turns()

    run = scene.row(number)
    assert (run["state"], run["seen"], run["changed"]) == ("finished", 10, 10)
    assert scene.asked()["ProductList"] == 2
    assert scene.differences() == []


def test_only_a_finished_run_moves_the_watermark_and_only_to_what_it_read(scene):
    before = scene.timetable("products")["watermark"]
    scene.lose("edit_product", id=scene.products[0]["id"], title="Renamed")
    changed_at = next(p["updated_at"] for p in scene.products if p["title"] == "Renamed")

    scene.devstore.fault("access_denied", shop=scene.shop)
    assert scene.run("products")["state"] == "failed"
    assert scene.timetable("products")["watermark"] == before

    scene.run("products")
    assert scene.timetable("products")["watermark"] == max(before, datetime.fromisoformat(changed_at))


def test_beyond_the_depth_that_paging_allows_it_goes_on_by_time(scene, searches, monkeypatch):
    from workers import runs

    monkeypatch.setattr(listing, "PAGE", 3)
    monkeypatch.setattr(runs, "DEEPEST", 5)
    for n, product in enumerate(scene.products):
        scene.lose("edit_product", id=product["id"], title="Renamed")
        scene.backdate(product["id"], 60 * n)
    scene.execute("UPDATE feeds SET watermark = now() - interval '30 minutes'")

    run = scene.run("products")

    bounds = [asked["query"] for asked in searches]
    assert len(set(bounds)) > 1
    assert sorted(set(bounds)) == list(dict.fromkeys(bounds))
    assert run["state"] == "finished"
    assert scene.differences() == []
