"""The first import: everything that belongs is there afterwards, and the run says how much that was."""

import pytest

BY_BULK = {"BULK_RUN_RECORDS": "5"}


@pytest.mark.parametrize("changes", [{}, BY_BULK], ids=["by pages", "by bulk operation"])
def test_the_first_import_makes_the_mirror_the_store(open_shop, changes):
    scene = open_shop(changes=changes, products=40, customers=60, variants=4)

    runs = scene.install()

    assert scene.differences() == []
    assert {(run["trigger"], run["complete"], run["state"]) for run in runs.values()} == {("install", True, "finished")}
    assert ("BulkRun" in scene.asked()) is bool(changes)


@pytest.mark.parametrize("changes", [{}, BY_BULK], ids=["by pages", "by bulk operation"])
def test_a_run_counts_what_it_saw_and_what_became_of_it(open_shop, changes):
    scene = open_shop(changes=changes, products=40, customers=60)
    members = len(scene.members)

    runs = scene.install()

    counters = ("seen", "created", "changed", "unchanged", "removed", "rejected")
    assert [runs["products"][name] for name in counters] == [40, 40, 0, 0, 0, 0]
    assert [runs["customers"][name] for name in counters] == [60, members, 0, 60 - members, 0, 0]
    assert 0 < members < 60


def test_both_feeds_are_green_with_their_counts_and_times(open_shop):
    scene = open_shop(products=3, customers=0)
    scene.lose("create_customer", tags=["b2b"], email="buyer@shop.example")

    scene.install()

    for name, count in (("products", 3), ("customers", 1)):
        feed = scene.feed(name)
        assert (feed["synchronised"], feed["expected"], feed["waiting"], feed["running"]) == (count, count, 0, None)
        assert feed["last_import_at"] == feed["last_complete_at"]
        assert feed["last_import_at"] is not None
    assert scene.feed("customers")["state"] in ("ok", "ok_with_errors")


def test_what_is_expected_of_customers_is_those_who_belong(open_shop):
    scene = open_shop(products=0, customers=60)

    scene.install()

    feed = scene.feed("customers")
    assert feed["expected"] == feed["synchronised"] == len(scene.members) < 60


@pytest.mark.parametrize("changes", [{}, {"BULK_RUN_RECORDS": "0"}], ids=["by pages", "by bulk operation"])
def test_an_empty_shop_is_imported_and_says_that_it_is_empty(open_shop, changes):
    scene = open_shop(changes=changes, products=0, customers=0)

    runs = scene.install()

    assert {run["state"] for run in runs.values()} == {"finished"}
    feed = scene.feed("products")
    assert (feed["state"], feed["reason"], feed["expected"]) == ("no_data", "source_empty", 0)
    assert feed["sentence"] == "The shop has no products yet. Add one in Shopify, and it appears here."
    assert feed["last_import_at"] is not None


def test_a_shop_without_an_eligible_customer_says_how_many_it_looked_at_and_what_to_do(open_shop):
    scene = open_shop(products=0, customers=0)
    for n in range(7):
        scene.lose("create_customer", tags=["newsletter"], email=f"n{n}@shop.example")

    scene.install()

    feed = scene.feed("customers")
    assert (feed["state"], feed["reason"], feed["synchronised"], feed["expected"]) == ("no_data", "source_empty", 0, 0)
    assert feed["sentence"].startswith("7 customers checked, 0 tagged b2b or with sparklayer metafields.")
    assert "Add the tag b2b" in feed["sentence"]
    assert feed["last_import_at"] is not None


def test_of_customers_who_do_not_belong_only_id_reason_and_time_are_kept(open_shop):
    scene = open_shop(products=0, customers=0)
    scene.lose("create_customer", id=77, tags=["b2b-vip"], email="near@miss.example")

    scene.install()

    assert (scene.customer(77).state, scene.customer(77).customer) == ("not_eligible", None)
    assert "b2b-vip" in scene.customer(77).reason
    dump = scene.rows("SELECT t::text AS row FROM customers t") + scene.rows("SELECT t::text AS row FROM deliveries t")
    assert "near@miss.example" not in str(dump)


def test_the_known_metafields_of_all_variants_are_there_after_the_import(open_shop):
    scene = open_shop(products=30, customers=0)

    scene.install()

    for product in scene.products:
        known = scene.product(product["id"]).metafields
        assert set(known.by_variant) == {variant["id"] for variant in product["variants"]}


def test_an_install_makes_no_gaps(open_shop):
    scene = open_shop(products=20, customers=20)

    scene.install()

    assert scene.gap_report()["gaps"] == []


def test_the_first_import_that_failed_is_tried_again_at_the_next_run_not_at_the_next_complete_one(open_shop):
    scene = open_shop(products=5, customers=0)
    scene.devstore.fault("access_denied", shop=scene.shop, times=2)
    assert {run["state"] for run in scene.install().values()} == {"failed"}
    assert scene.feed("products")["reason"] == "never_imported"

    scene.execute("UPDATE feeds SET next_run_at = now()")
    runs = scene.install()

    assert {(run["complete"], run["state"], run["trigger"]) for run in runs.values()} == {(True, "finished", "install")}
    assert scene.feed("products")["state"] in ("ok", "ok_with_errors")


def test_a_shop_added_again_is_imported_again(scene):
    scene.lose("edit_product", id=scene.products[0]["id"], title="Unheard of")

    scene.add()
    runs = scene.install()

    assert all(run["complete"] for run in runs.values())
    assert scene.differences() == []
