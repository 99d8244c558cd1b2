"""A complete run finds what moved no `updatedAt`, and proves that nothing else is wrong."""

import pytest

BY_BULK = {"BULK_RUN_RECORDS": "5"}


@pytest.fixture(params=[{}, BY_BULK], ids=["by pages", "by bulk operation"])
def proven(request, open_shop):
    """A shop that is imported, and whose complete runs go the one way or the other."""
    scene = open_shop(changes=request.param, products=12, customers=30)
    scene.install()
    return scene


def prove(scene):
    return {feed: scene.run(feed, complete=True) for feed in ("products", "customers")}


def changes(runs):
    return {feed: tuple(run[n] for n in ("created", "changed", "removed")) for feed, run in runs.items()}


NOTHING = {"products": (0, 0, 0), "customers": (0, 0, 0)}


def test_a_second_complete_run_changes_nothing(proven):
    assert changes(prove(proven)) == NOTHING
    assert proven.gaps() == {}


def test_what_webhooks_told_is_the_same_to_a_complete_run(proven):
    """Bodies and GraphQL's answers spell the same record differently: tags, times, numbers, empty texts."""
    for product in proven.products:
        proven.devstore.change(proven.shop, "edit_product", id=product["id"], vendor="Acme & Sons")
    for customer in proven.truth["customers"]:
        proven.devstore.change(proven.shop, "edit_customer", id=customer["id"], first_name="Ada")
    proven.change("create_product", variant_count=3)

    assert proven.differences() == []
    assert changes(prove(proven)) == NOTHING
    assert proven.gaps() == {}


def test_lost_creates_updates_and_deletes_are_repaired(proven):
    first, second, *_ = proven.products
    proven.lose("create_product", variant_count=2)
    proven.lose("edit_product", id=first["id"], title="Renamed")
    proven.lose("delete_product", id=second["id"])
    member, other, *_ = proven.members
    proven.lose("create_customer", tags=["b2b"], email="new@shop.example")
    proven.lose("edit_customer", id=member["id"], first_name="Renamed")
    proven.lose("delete_customer", id=other["id"])

    assert changes(prove(proven)) == {"products": (1, 1, 1), "customers": (1, 1, 1)}
    assert proven.differences() == []
    assert changes(prove(proven)) == NOTHING


def test_a_variants_metafield_that_moved_no_time_is_found(proven):
    product = proven.products[3]
    proven.change("edit_variant_metafield", id=product["variants"][0]["id"], key="pack_size", value="144")
    assert proven.differences() != []

    assert changes(prove(proven)) == NOTHING | {"products": (0, 1, 0)}
    assert proven.differences() == []
    assert changes(prove(proven)) == NOTHING


def test_a_variants_metafield_that_was_taken_away_is_found(proven):
    tagged = next(p for p in proven.products if p["variants"][0]["metafields"])
    variant = tagged["variants"][0]
    proven.change("edit_variant_metafield", id=variant["id"], key=variant["metafields"][0]["key"], value=None)
    assert proven.differences() != []

    assert changes(prove(proven)) == NOTHING | {"products": (0, 1, 0)}
    assert proven.differences() == []


@pytest.mark.parametrize("value", ["gold", None], ids=["changed", "taken away"])
def test_a_customers_metafield_that_moved_no_time_is_found(proven, value):
    member = next(c for c in proven.members if "b2b" in c["tags"] and proven.customer(c["id"]).rule == "tag")
    proven.devstore.change(proven.shop, "edit_customer_metafield", id=member["id"], key="group", value="trade")
    prove(proven)

    proven.change("edit_customer_metafield", id=member["id"], key="group", value=value)

    assert changes(prove(proven)) == NOTHING | {"customers": (0, 1, 0)}
    assert proven.differences() == []


def test_a_customer_who_belongs_by_a_metafield_alone_comes_and_goes_without_any_webhook(proven):
    stranger = proven.strangers[0]["id"]

    proven.change("edit_customer_metafield", id=stranger, key="group", value="trade")
    assert changes(prove(proven)) == NOTHING | {"customers": (1, 0, 0)}
    assert proven.customer(stranger).rule == "metafield"

    proven.change("edit_customer_metafield", id=stranger, key="group", value=None)
    assert changes(prove(proven)) == NOTHING | {"customers": (0, 1, 0)}
    assert proven.customer(stranger).state == "removed"
    assert proven.differences() == []


def test_a_lost_tag_that_moved_no_time_is_found_in_both_directions(proven):
    stranger, member = proven.strangers[0], next(c for c in proven.members if not c["metafields"])
    proven.lose("tag_customer", id=stranger["id"], tags=["b2b"])
    proven.lose("untag_customer", id=member["id"], tags=member["tags"])

    assert changes(prove(proven)) == NOTHING | {"customers": (1, 1, 0)}
    assert proven.differences() == []


def test_a_change_to_nothing_but_the_time_is_caught_up_with(proven):
    proven.lose("edit_product", id=proven.products[0]["id"], description_html="<p>Nothing that we keep</p>")

    assert changes(prove(proven)) == NOTHING | {"products": (0, 1, 0)}
    assert proven.differences() == []


def test_a_product_that_shopify_cannot_describe_is_counted_as_rejected(proven, monkeypatch):
    from schemas import nodes

    broken = proven.products[5]["id"]
    read = nodes.read_product_node

    def unreadable(node, at):
        return read({**node, "id": "nothing"} if node["id"].endswith(f"/{broken}") else node, at)

    monkeypatch.setattr(nodes, "read_product_node", unreadable)

    run = proven.run("products", complete=True)

    assert (run["state"], run["rejected"], run["unchanged"], run["removed"]) == ("finished", 1, 11, 0)
    assert proven.product(broken).removed_at is None


def test_a_record_that_a_webhook_made_newer_while_the_run_was_reading_stays_as_it_is(open_shop):
    scene = open_shop(changes=BY_BULK, products=12, customers=0)
    scene.install()
    product = scene.products[0]["id"]
    scene.start("products", complete=True)
    scene.steps(until=lambda: scene.runs()[-1]["place"].get("phase") == "read")
    scene.change("edit_product", id=product, title="Newer than the file")

    scene.work()

    assert scene.runs()[-1]["state"] == "finished"
    assert scene.product(product).core.title == "Newer than the file"
    assert scene.gaps() == {}


def test_a_small_budget_makes_a_complete_run_slow_not_endless(open_shop, until):
    """Less than a page of whole products costs: half a page, and half of that, until some fit."""
    scene = open_shop(products=25, customers=0, variants=3)
    scene.devstore.settings(scene.shop, bucket=150, restore_rate=400)

    run = scene.install()["products"]

    assert (run["state"], run["seen"], run["created"]) == ("finished", 25, 25)
    assert scene.differences() == []


def test_a_page_that_the_budget_never_holds_is_read_in_smaller_ones(open_shop, monkeypatch):
    from adapters import fetch
    from domain.failures import Throttled

    scene = open_shop(products=12, customers=0)
    products, asked = fetch.products, []

    def two_at_most(client, shop, token, ids):
        asked.append(len(ids))
        if len(ids) > 2:
            raise Throttled("the budget is spent", 0.01, products(client, shop, token, ids[:2]))
        return products(client, shop, token, ids)

    monkeypatch.setattr(fetch, "products", two_at_most)

    run = scene.install()["products"]

    assert (run["state"], run["seen"], run["created"]) == ("finished", 12, 12)
    assert scene.differences() == []
    assert asked[:5] == [12, 6, 3, 1, 2]


def test_a_customer_with_more_metafields_than_a_list_names_is_not_taken_for_changed(proven):
    member = proven.members[0]
    for n in range(25):
        proven.change("edit_customer_metafield", id=member["id"], key=f"extra_{n:02}", value="1")
    prove(proven)

    again = proven.run("customers", complete=True)

    assert (again["changed"], again["created"]) == (0, 0)
