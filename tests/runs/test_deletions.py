"""Deletions: a complete read or an event raises the suspicion, Shopify is asked about each, too many need a word."""

import orjson
import pytest


@pytest.fixture
def forty(open_shop):
    """A shop of forty products, whose brake holds from more than five, which is more than a tenth."""
    scene = open_shop(changes={"REMOVAL_BRAKE_RECORDS": "5"}, products=40, customers=0)
    scene.install()
    return scene


def delete(scene, count):
    gone = [product["id"] for product in scene.products[-count:]]
    for product in gone:
        scene.lose("delete_product", id=product)
    return gone


def live(scene):
    return scene.value("SELECT count(*) FROM products WHERE shop = :shop AND removed_at IS NULL")


def test_an_incremental_run_removes_what_events_and_shopify_itself_call_gone(forty):
    (gone,) = delete(forty, 1)

    run = forty.run("products")

    assert (run["state"], run["removed"]) == ("finished", 1)
    assert forty.product(gone).removed_at is not None
    assert forty.gaps() == {("products", gone): "never_delivered"}


def test_an_event_alone_removes_nothing(forty, monkeypatch):
    from adapters import listing

    alive = forty.products[0]["id"]
    monkeypatch.setattr(listing, "deleted_products", lambda *_: ([f"gid://shopify/Product/{alive}"], None))

    run = forty.run("products")

    assert (run["state"], run["removed"]) == ("finished", 0)
    assert forty.product(alive).removed_at is None


def test_events_of_more_than_the_brake_allows_are_left_to_a_complete_run(forty):
    gone = delete(forty, 7)

    assert forty.run("products")["removed"] == 0
    assert all(forty.product(product).removed_at is None for product in gone)
    assert forty.run("products", complete=True)["state"] == "held"


def test_an_incremental_run_without_access_to_events_goes_on(forty, monkeypatch):
    from adapters import listing
    from domain.failures import AccessDenied

    def denied(*_):
        raise AccessDenied("The scope is missing.")

    monkeypatch.setattr(listing, "deleted_products", denied)
    (gone,) = delete(forty, 1)

    assert forty.run("products")["state"] == "finished"
    assert forty.product(gone).removed_at is None


def test_a_complete_run_leaves_a_tombstone_with_the_last_known_record(forty):
    (gone,) = delete(forty, 1)
    title = forty.product(gone).core.title

    run = forty.run("products", complete=True)

    assert (run["removed"], run["seen"], run["unchanged"]) == (1, 39, 39)
    assert forty.product(gone).removed_at is not None
    assert forty.product(gone).core.title == title


def test_what_is_missing_in_a_stale_index_but_exists_is_not_removed(forty):
    """Created a moment ago, told by its webhook, and not to be found by any search yet."""
    forty.devstore.settings(forty.shop, index_lag=3_600)
    forty.change("create_product", id=4711, title="Brand new")

    run = forty.run("products", complete=True)

    assert (run["state"], run["removed"], run["seen"]) == ("finished", 0, 41)
    assert forty.product(4711).removed_at is None
    assert forty.gaps() == {}


def test_half_an_index_does_not_remove_the_other_half(forty):
    forty.hide(product["id"] for product in forty.products[:20])

    run = forty.run("products", complete=True)

    assert (run["state"], run["removed"]) == ("finished", 0)
    assert forty.differences() == []


def test_a_listing_that_names_what_is_gone_does_not_keep_it(forty):
    """The stale index the other way round: what was deleted stands in it for a while."""
    forty.devstore.settings(forty.shop, index_lag=3_600)
    (gone,) = delete(forty, 1)

    run = forty.run("products", complete=True)

    assert run["removed"] == 1
    assert forty.product(gone).removed_at is not None


def test_more_than_the_brake_allows_waits_for_somebodys_word(forty):
    from adapters import runs

    gone = delete(forty, 6)
    before = forty.timetable("products")

    held = forty.run("products", complete=True)

    assert (held["state"], held["removed"], live(forty)) == ("held", 0, 40)
    assert held["reason"].startswith("6 of 40 records would be removed, more than 10 % and more than 5.")
    assert f"flask runs confirm {held['id']}" in held["reason"]
    after = forty.timetable("products")
    assert [after[name] for name in ("watermark", "last_import_at", "last_complete_at")] == [
        before[name] for name in ("watermark", "last_import_at", "last_complete_at")
    ]

    with forty.db.begin() as db:
        assert runs.confirm(db, held["id"]).id == held["id"]
    forty.work()

    run = forty.row(held["id"])
    assert (run["state"], run["removed"], live(forty)) == ("finished", 6, 34)
    assert all(forty.product(product).removed_at for product in gone)
    assert forty.differences() == []


@pytest.mark.parametrize(("count", "state"), [(4, "finished"), (5, "finished")])
def test_what_the_brake_allows_goes_on(forty, count, state):
    delete(forty, count)

    assert forty.run("products", complete=True)["state"] == state


def test_an_empty_answer_never_wipes_a_shop(forty):
    forty.hide(product["id"] for product in forty.products)

    held = forty.run("products", complete=True)

    assert (held["state"], live(forty)) == ("held", 40)
    assert held["reason"].startswith("Shopify listed nothing at all, and 40 records would be removed.")


def test_an_empty_bulk_file_never_wipes_a_shop(open_shop):
    scene = open_shop(changes={"BULK_RUN_RECORDS": "0"}, products=3, customers=0)
    scene.install()
    for product in scene.products:
        scene.lose("delete_product", id=product["id"])

    held = scene.run("products", complete=True)

    assert (held["state"], live(scene)) == ("held", 3)


def test_a_held_run_does_not_keep_the_next_one_from_starting(forty):
    delete(forty, 6)
    held = forty.run("products", complete=True)

    run = forty.run("products")

    assert (forty.row(held["id"])["state"], run["state"]) == ("held", "finished")


def test_what_came_back_before_the_word_was_given_is_not_removed(forty):
    from adapters import runs

    gone = delete(forty, 6)
    held = forty.run("products", complete=True)
    forty.lose("create_product", id=gone[0], title="Restored")

    with forty.db.begin() as db:
        runs.confirm(db, held["id"])
    forty.work()

    assert forty.product(gone[0]).removed_at is None
    assert forty.product(gone[0]).core.title == "Restored"
    assert live(forty) == 35


def test_of_several_held_runs_only_the_last_keeps_its_list_and_any_may_be_confirmed(forty):
    from adapters import runs

    delete(forty, 6)
    first, second = forty.run("products", complete=True), forty.run("products", complete=True)
    assert (first["state"], second["state"]) == ("held", "held")
    assert forty.rows("SELECT DISTINCT run FROM run_seen") == [{"run": second["id"]}]

    with forty.db.begin() as db:
        runs.confirm(db, first["id"])
    forty.work()

    assert (forty.row(first["id"])["state"], live(forty)) == ("finished", 34)
    assert forty.row(first["id"])["removed"] == 6
    assert forty.differences() == []


def test_no_run_can_be_confirmed_that_is_not_held(forty):
    from adapters import runs

    finished = forty.runs()[-1]["id"]

    with forty.db.begin() as db:
        assert (runs.confirm(db, finished), runs.confirm(db, 4711)) == (None, None)


def test_many_deletions_are_asked_about_in_portions(forty, monkeypatch):
    from workers import runs

    monkeypatch.setattr(runs, "CHECKED", 2)
    delete(forty, 5)
    forty.asked()

    run = forty.run("products", complete=True)

    assert (run["state"], run["removed"]) == ("finished", 5)
    assert forty.asked()["Existing"] == 3
    assert forty.differences() == []


def test_a_late_update_does_not_revive_what_a_run_removed(forty):
    product = forty.products[0]["id"]
    forty.hold("edit_product", id=product, title="Too late")
    forty.table.remove(product)  # and nothing is sent about it
    forty.run("products", complete=True)
    assert forty.product(product).removed_at is not None

    forty.arrive()

    assert forty.devstore.ledger(forty.shop)[-1]["fate"] == "delivered"
    assert forty.product(product).removed_at is not None


def test_a_customer_who_was_deleted_leaves_a_tombstone_without_personal_data(scene):
    member = scene.members[0]
    scene.lose("delete_customer", id=member["id"])

    run = scene.run("customers", complete=True)

    assert run["removed"] == 1
    known = scene.customer(member["id"])
    assert (known.state, known.customer, known.reason) == ("removed", None, "deleted in Shopify")


def test_a_listing_that_misses_half_of_the_members_removes_none(scene):
    customers = scene.devstore.world.tenants[scene.shop].shop.customers
    for member in scene.members[:3]:
        del customers._index[member["id"]]
    customers._searches.clear()

    run = scene.run("customers", complete=True)

    assert (run["state"], run["removed"]) == ("finished", 0)
    assert scene.differences() == []


def test_the_brake_of_the_settings_is_ten_percent_and_twenty_records(environment):
    from domain.difference import brake
    from settings import read_settings

    settings = read_settings(environment)
    limits = {"percent": settings.removal_brake_percent, "records": settings.removal_brake_records}

    assert limits == {"percent": 10, "records": 20}
    assert brake(21, 200, 179, **limits) is not None
    assert brake(20, 100, 80, **limits) is None
    assert brake(21, 210, 189, **limits) is None


def test_the_place_of_a_held_run_is_small(forty):
    delete(forty, 6)

    held = forty.run("products", complete=True)

    assert len(orjson.dumps(held["place"])) < 200
