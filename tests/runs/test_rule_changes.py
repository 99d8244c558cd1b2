"""A merchant changes who is imported: all customers are judged anew, and nothing of it counts as a missed webhook."""

import threading
from dataclasses import replace

import pytest

from adapters import shop_settings
from adapters.shop_settings import ShopSettings
from workers import customer_turn
from workers.starts import start_due_runs

WHOLESALE = ShopSettings(tag="wholesale")
STRICT = ShopSettings(ignored_keys=frozenset({"authentication"}))


@pytest.fixture
def shop(scene):
    """Besides its stock: one customer with each tag, one with both, one with a login secret alone, one with nothing."""
    scene.people = {
        "b2b": person(scene, 1, "b2b"),
        "wholesale": person(scene, 2, "wholesale"),
        "both": person(scene, 3, "b2b", "wholesale"),
        "key": person(scene, 4),
        "nobody": person(scene, 5),
    }
    scene.change("edit_customer_metafield", id=4, key="authentication", value="secret")
    scene.run("customers", complete=True)
    return scene


def person(scene, number, *tags):
    scene.change("create_customer", id=number, tags=list(tags), email=f"{number}@shop.example")
    return number


def settle(scene, wishes, who="42"):
    """What the settings page does; then the run it asked for."""
    with scene.db.begin() as db:
        return shop_settings.change(db, scene.workshop.vault, scene.shop, wishes, who)


def names(scene):
    return {name for name, number in scene.people.items() if scene.customer(number).state == "member"}


def test_another_tag_swaps_the_members(shop):
    gaps = shop.gaps()
    assert names(shop) == {"b2b", "both", "key"}

    assert settle(shop, WHOLESALE)
    shop.work()

    assert names(shop) == {"wholesale", "both", "key"}
    run = shop.runs()[-1]
    assert (run["feed"], run["trigger"], run["who"], run["complete"], run["state"]) == (
        "customers",
        "refresh",
        "42",
        True,
        "finished",
    )
    assert shop.gaps() == gaps  # nothing happened in Shopify, so no webhook missed anything


def test_who_leaves_or_stays_outside_is_told_why_by_the_new_rule(shop):
    settle(shop, WHOLESALE)
    shop.work()

    left, stranger = shop.customer(shop.people["b2b"]), shop.customer(shop.people["nobody"])
    assert left.state == "removed"
    assert left.reason.startswith("This shop's settings for who is imported have changed. Not imported: ")
    assert "tag wholesale" in left.reason
    assert stranger.state == "not_eligible"
    assert "tag wholesale" in stranger.reason


def test_who_stays_has_the_grounds_and_the_issues_of_the_new_rule(shop):
    grouped = person(shop, 6, "b2b", "wholesale", "wholesale-gold", "wholesale-silver")
    assert "GROUP_TAG_CONFLICT" not in codes(shop, grouped)

    settle(shop, WHOLESALE)
    shop.work()

    both = shop.customer(shop.people["both"])
    assert (both.rule, both.matched) == ("tag", "wholesale")
    assert "GROUP_TAG_CONFLICT" in codes(shop, grouped)


def codes(scene, number):
    rows = scene.rows(
        "SELECT code FROM issues WHERE shop = :shop AND resource_id = :id AND resolved_at IS NULL", id=number
    )
    return {row["code"] for row in rows}


def test_the_next_complete_run_has_nothing_left_to_do(shop):
    settle(shop, WHOLESALE)
    shop.work()

    run = shop.run("customers", complete=True)

    assert (run["created"], run["changed"], run["removed"]) == (0, 0, 0)
    asked = {row["id"] for row in shop.rows("SELECT resource_id AS id FROM deliveries WHERE run = :r", r=run["id"])}
    assert asked <= set(shop.people.values())  # edited within the last seconds; the rest is not asked about again


def test_a_key_that_no_longer_counts_leaves_its_holders_out_until_it_counts_again(shop):
    settle(shop, STRICT)
    shop.work()
    assert names(shop) == {"b2b", "both"}
    assert "authentication" in shop.customer(shop.people["key"]).reason

    settle(shop, ShopSettings())
    shop.work()
    assert names(shop) == {"b2b", "both", "key"}
    assert shop.customer(shop.people["key"]).reason is None


def test_a_deliberate_change_is_not_held_by_the_removal_brake(open_shop):
    scene = open_shop(changes={"REMOVAL_BRAKE_PERCENT": "1", "REMOVAL_BRAKE_RECORDS": "1"}, products=1, customers=40)
    scene.install()
    before = members(scene)
    assert before > 5

    settle(scene, ShopSettings(tag="nobody-has-this"))
    scene.work()

    assert scene.runs()[-1]["state"] == "finished"
    assert members(scene) == scene.value(
        "SELECT count(*) FROM customers WHERE shop = :shop AND state = 'member' AND rule = 'metafield'"
    )
    assert members(scene) < before


def members(scene):
    return scene.value("SELECT count(*) FROM customers WHERE shop = :shop AND state = 'member'")


def test_a_run_that_began_before_does_not_count_and_another_follows_it(shop):
    going = shop.start("customers", complete=True)
    shop.step()

    settle(shop, WHOLESALE)
    shop.work()
    start_due_runs(shop.workshop)
    shop.work()

    after = [run for run in shop.runs() if run["id"] > going and run["feed"] == "customers"]
    assert [run["complete"] for run in after] == [True]
    assert names(shop) == {"wholesale", "both", "key"}


def test_when_that_run_fails_the_next_one_is_complete_as_well(shop):
    settle(shop, WHOLESALE)
    shop.execute("UPDATE runs SET state = 'failed', finished_at = now() WHERE state = 'running'")
    shop.execute("UPDATE feeds SET next_run_at = now() WHERE feed = 'customers'")

    start_due_runs(shop.workshop)
    assert [run["complete"] for run in shop.runs() if run["state"] == "running"] == [True]
    shop.work()
    shop.execute("UPDATE feeds SET next_run_at = now() WHERE feed = 'customers'")
    start_due_runs(shop.workshop)

    assert [run["complete"] for run in shop.runs() if run["state"] == "running"] == [False]


def test_what_a_webhook_missed_is_a_gap_even_when_the_rule_changed_as_well(shop):
    shop.lose("edit_customer", id=shop.people["both"], tags=["b2b"])

    settle(shop, WHOLESALE)
    shop.work()

    assert shop.customer(shop.people["both"]).state == "removed"
    assert shop.gaps()["customers", shop.people["both"]] == "never_delivered"
    assert ("customers", shop.people["b2b"]) not in shop.gaps()


def test_a_turn_that_judged_by_the_old_rule_writes_nothing(shop):
    from adapters import shops
    from domain.deliveries import fold

    with shop.db.begin() as db:
        before = shops.find(db, shop.workshop.vault, shop.shop)
    shop.hold("edit_customer", id=shop.people["wholesale"], tags=["wholesale", "b2b"])
    shop.devstore.mood(outage="none")
    assert shop.devstore.settle(20)["settled"]
    found = customer_turn.gather(shop.workshop, before, fold(waiting(shop)))
    assert found.findings

    settle(shop, WHOLESALE)
    with shop.db.begin() as db:
        verdicts = customer_turn.write(db, shop.workshop.vault, before, found.findings)

    assert verdicts == {}
    assert shop.due("live")
    shop.work()
    assert shop.customer(shop.people["wholesale"]).matched == "wholesale"
    assert not shop.due("live")


def waiting(scene):
    from adapters import inbox

    with scene.db.connect() as db:
        return inbox.peek(db, "live", scene.shop, 500)


def test_a_change_waits_for_the_turn_that_is_writing(shop):
    from adapters import database

    done = threading.Event()

    def change():
        settle(shop, WHOLESALE)
        done.set()

    with shop.db.begin() as db:
        database.sole_writer(db, shop.shop, "customers")
        thread = threading.Thread(target=change)
        thread.start()
        assert not done.wait(0.3)
    assert done.wait(5)
    thread.join()


def test_the_same_words_in_other_letters_judge_nobody_anew(shop):
    runs = len(shop.runs())

    assert not settle(shop, replace(WHOLESALE, tag="B2B"))

    assert len(shop.runs()) == runs
