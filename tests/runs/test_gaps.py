"""Each miss of a webhook is told with its cause, once; what was delivered in time is none."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import orjson
import pytest

from workers.activity import count_activity


def complete(scene):
    for feed in ("products", "customers"):
        scene.run(feed, complete=True)


def test_what_was_delivered_in_time_is_no_gap(scene):
    product, member = scene.products[0], scene.members[0]
    scene.change("edit_product", id=product["id"], title="Renamed")
    scene.change("edit_customer", id=member["id"], first_name="Ada")
    scene.change("tag_customer", id=scene.strangers[0]["id"], tags=["b2b"])
    scene.change("untag_customer", id=member["id"], tags=member["tags"])
    scene.change("create_product")
    scene.change("delete_product", id=scene.products[1]["id"])

    complete(scene)

    assert scene.gaps() == {}


@pytest.mark.parametrize("whole", [False, True], ids=["incremental", "complete"])
def test_what_never_came_is_never_delivered(scene, whole):
    product, member, stranger = scene.products[0]["id"], scene.members[0]["id"], scene.strangers[0]["id"]
    scene.lose("create_product", id=4711, title="New")
    scene.lose("edit_product", id=product, title="Renamed")
    scene.lose("edit_customer", id=member, first_name="Ada")
    scene.lose("create_customer", id=4712, tags=["b2b"])
    scene.lose("edit_customer", id=stranger, note="no business of ours")

    for feed in ("products", "customers"):
        scene.run(feed, complete=whole)

    lost = [("products", 4711), ("products", product), ("customers", member), ("customers", 4712)]
    assert scene.gaps() == dict.fromkeys(lost, "never_delivered")


def test_a_delete_that_never_came_is_never_delivered(scene):
    product, member = scene.products[0]["id"], scene.members[0]["id"]
    scene.lose("delete_product", id=product)
    scene.lose("delete_customer", id=member)
    scene.lose("delete_customer", id=scene.strangers[0]["id"])

    complete(scene)

    assert scene.gaps() == dict.fromkeys([("products", product), ("customers", member)], "never_delivered")


def test_a_tag_that_never_came_is_never_delivered_in_either_direction(scene):
    stranger, member = scene.strangers[0], next(c for c in scene.members if not c["metafields"])
    scene.lose("tag_customer", id=stranger["id"], tags=["b2b"])
    scene.lose("untag_customer", id=member["id"], tags=member["tags"])

    complete(scene)

    lost = [("customers", stranger["id"]), ("customers", member["id"])]
    assert scene.gaps() == dict.fromkeys(lost, "never_delivered")


def test_a_change_of_nothing_but_the_time_was_not_delivered_either(scene):
    product, member = scene.products[0]["id"], scene.members[0]["id"]
    scene.lose("edit_product", id=product, description_html="<p>Nothing that we keep</p>")
    scene.lose("edit_customer", id=member, note="nor this")

    complete(scene)

    lost = [("products", product), ("customers", member)]
    assert scene.gaps() == dict.fromkeys(lost, "never_delivered")


def test_a_variants_metafield_names_its_product_and_has_no_webhook(scene):
    product = scene.products[2]
    scene.change("edit_variant_metafield", id=product["variants"][0]["id"], key="pack_size", value="144")

    complete(scene)

    assert scene.gaps() == {("products", product["id"]): "no_webhook"}


def test_a_customers_metafield_has_no_webhook_whatever_it_does_to_eligibility(scene):
    joining, leaving, *_ = [c["id"] for c in scene.strangers]
    staying = next(c["id"] for c in scene.members if scene.customer(c["id"]).rule == "tag")
    scene.devstore.change(scene.shop, "edit_customer_metafield", id=leaving, key="group", value="trade")
    scene.run("customers", complete=True, trigger="install")  # not to be told of
    for customer, value in ((joining, "gold"), (leaving, None), (staying, "platinum")):
        scene.change("edit_customer_metafield", id=customer, key="group", value=value)

    complete(scene)

    assert scene.gaps() == dict.fromkeys([("customers", i) for i in (joining, leaving, staying)], "no_webhook")


def test_a_silent_edit_is_told_even_if_a_webhook_overtook_the_run(scene):
    product = scene.products[2]
    scene.change("edit_variant_metafield", id=product["variants"][0]["id"], key="pack_size", value="144")
    scene.start("products", complete=True)
    scene.steps()

    scene.change("edit_product", id=product["id"], title="Meanwhile")

    assert scene.differences() == []
    assert scene.gaps() == {("products", product["id"]): "no_webhook"}


def test_a_lost_edit_of_a_products_own_metafield_had_a_webhook(scene):
    product = scene.products[2]["id"]
    scene.lose("edit_product_metafield", id=product, key="pack_size", value="6")

    complete(scene)

    assert scene.gaps() == {("products", product): "never_delivered"}


def test_metafields_that_were_unknown_until_now_are_no_gap(scene):
    scene.devstore.change(scene.shop, "create_product", id=4711, title="New", variant_count=2)
    assert scene.devstore.settle(20)["settled"]
    from workers.turns import take_turn

    take_turn(scene.workshop, "live", scene.shop)  # and not yet the lane in which metafields are fetched
    assert scene.product(4711).metafields is None

    complete(scene)

    assert scene.gaps() == {}
    assert scene.differences() == []


def test_a_webhook_that_still_waits_when_the_run_repairs_is_late(scene):
    product = scene.products[0]["id"]
    scene.devstore.change(scene.shop, "edit_product", id=product, title="Renamed")
    assert scene.devstore.settle(20)["settled"]
    scene.execute("UPDATE deliveries SET next_attempt_at = now() + interval '1 hour' WHERE source = 'webhook'")

    complete(scene)

    assert scene.product(product).core.title == "Renamed"
    assert scene.gaps() == {("products", product): "late"}


@pytest.mark.parametrize("kind", ["edit_product", "delete_product", "tag_customer"])
def test_a_webhook_that_arrives_after_the_run_was_late_not_lost(scene, kind):
    feed, record = ("customers", scene.strangers[0]) if kind == "tag_customer" else ("products", scene.products[0])
    wishes = {"edit_product": {"title": "Renamed"}, "tag_customer": {"tags": ["b2b"]}}.get(kind, {})
    scene.hold(kind, id=record["id"], **wishes)
    complete(scene)
    assert scene.gaps() == {(feed, record["id"]): "never_delivered"}

    scene.arrive()

    assert scene.gaps() == {(feed, record["id"]): "late"}
    assert scene.differences() == []


def test_a_late_word_about_something_older_does_not_excuse_what_never_came(scene):
    product = scene.products[0]["id"]
    scene.hold("edit_product", id=product, title="First, on its way")
    later = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=2)
    body = {"id": product, "title": "Second, in time", "handle": "h", "updated_at": later.isoformat(), "variants": []}
    scene.send("products/update", body, later)
    scene.turns()
    third = replace(scene.table.truth[product], title="Third, lost", updated_at=later + timedelta(seconds=2))
    scene.table.stock([third])
    complete(scene)
    assert scene.gaps() == {("products", product): "never_delivered"}

    scene.arrive()

    assert scene.gaps() == {("products", product): "never_delivered"}


def test_a_webhook_that_is_dead_is_the_cause(scene):
    product = scene.products[0]["id"]
    scene.lose("edit_product", id=product, title="Renamed")
    changed_at = next(p["updated_at"] for p in scene.products if p["id"] == product)
    scene.send("products/update", {"id": product, "updated_at": changed_at, "title": "Renamed"})
    scene.execute("UPDATE deliveries SET body = NULL WHERE source = 'webhook' AND state = 'waiting'")
    scene.turns()
    assert scene.value("SELECT outcome FROM deliveries WHERE source = 'webhook' ORDER BY id DESC LIMIT 1") == "dead"

    complete(scene)

    assert scene.gaps() == {("products", product): "dead"}


def test_a_webhook_that_was_closed_without_being_applied_was_wrongly_filtered(scene):
    from adapters import inbox
    from adapters.inbox import Filter

    product = scene.products[0]["id"]
    scene.lose("edit_product", id=product, title="Renamed")
    changed_at = next(p["updated_at"] for p in scene.products if p["id"] == product)
    scene.send("products/update", {"id": product, "updated_at": changed_at, "title": "Renamed"})
    scene.execute("UPDATE deliveries SET body = NULL WHERE source = 'webhook' AND state = 'waiting'")
    scene.turns()
    with scene.db.begin() as db:
        assert inbox.dismiss(db, Filter(shop=scene.shop, outcome="dead"), "somebody thought it did not matter") == 1

    complete(scene)

    assert scene.gaps() == {("products", product): "wrongly_filtered"}


def test_what_one_run_repaired_is_not_told_by_the_next(scene):
    product = scene.products[0]["id"]
    scene.lose("edit_product", id=product, title="Renamed")
    scene.start("products")
    scene.steps()  # posted, not applied yet
    scene.start("products", complete=True)
    scene.steps()

    scene.turns()
    complete(scene)

    assert scene.gaps() == {("products", product): "never_delivered"}


def test_another_run_is_never_claimed(scene):
    scene.lose("edit_product", id=scene.products[0]["id"], title="Renamed")
    for _ in range(2):
        complete(scene)
        scene.run("products")

    assert set(scene.gaps().values()) == {"never_delivered"}


def test_changes_from_before_the_installation_are_nobodys_miss(open_shop):
    scene = open_shop(products=5, customers=0)
    scene.install()
    scene.execute("DELETE FROM products")

    scene.run("products", complete=True)

    assert scene.gaps() == {}


def test_the_report_counts_by_cause_and_day_and_says_it_in_a_sentence(scene):
    product = scene.products[2]
    for n in (0, 1, 3):
        scene.lose("edit_product", id=scene.products[n]["id"], title="Renamed")
    scene.change("edit_variant_metafield", id=product["variants"][0]["id"], key="pack_size", value="144")
    scene.change("edit_product", id=scene.products[4]["id"], title="Heard of")
    complete(scene)
    count_activity(scene.workshop)

    report = scene.gap_report()

    assert report["counts"] == {"never_delivered": 3, "no_webhook": 1}
    assert report["days"] == {f"{datetime.now(UTC):%Y-%m-%d}": {"products/update": 3, "no webhook exists": 1}}
    assert report["sentence"].startswith(
        "In the last 24 h Shopify made 5 changes that we know of; 3 webhooks did not arrive; "
        "for 1 of them Shopify sends none; repaired after "
    )
    (gap, *_) = report["gaps"]
    assert set(gap) == {"feed", "id", "cause", "topic", "changed_at", "repaired_at", "run"}
    assert orjson.dumps(report)


def test_a_day_without_gaps_says_so(scene):
    scene.change("edit_product", id=scene.products[4]["id"], title="Heard of")
    count_activity(scene.workshop)

    assert scene.gap_report()["sentence"] == (
        "In the last 24 h Shopify made 1 change that we know of; every webhook arrived."
    )


def test_a_gap_says_when_it_changed_and_when_it_was_repaired(scene):
    product = scene.products[0]["id"]
    scene.lose("edit_product", id=product, title="Renamed")
    changed_at = datetime.fromisoformat(next(p["updated_at"] for p in scene.products if p["id"] == product))
    complete(scene)

    (gap,) = scene.gap_report()["gaps"]

    assert gap["changed_at"] == changed_at
    assert timedelta(0) < gap["repaired_at"] - changed_at < timedelta(minutes=1)
    assert scene.row(gap["run"])["complete"]
