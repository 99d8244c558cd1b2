import copy
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from devstore.demo_compare import (
    CORE,
    LOST,
    METAFIELDS,
    SILENT,
    TOMBSTONE,
    Resource,
    Silence,
    differences,
    unhearable,
    unknowable,
)
from devstore.demo_stage import ROOT, inhabitants

SHOP = "alpha.myshopify.com"
MUG, ADA, OLD, GONE = (
    Resource(SHOP, "products", 1),
    Resource(SHOP, "customers", 2),
    Resource(SHOP, "products", 3),
    Resource(SHOP, "customers", 4),
)
METAFIELD = {"namespace": "sparklayer", "key": "pack_size", "type": "number_integer", "value": "6"}
SECRET = {"namespace": "sparklayer", "key": "authentication", "type": "single_line_text_field", "value": "hush"}
FOREIGN = {"namespace": "reviews", "key": "stars", "type": "number_integer", "value": "5"}
PRODUCT = {
    "id": 1,
    "title": "Mug",
    "handle": "mug",
    "status": "active",
    "vendor": "Northwind",
    "tags": ["kitchen"],
    "updated_at": "2026-11-01T10:00:00Z",
    "variants": [
        {
            "id": number,
            "sku": f"MUG-{number}",
            "barcode": "5012345678900",
            "title": "Red",
            "price": "4.00",
            "position": number - 10,
            "inventory_quantity": 7,
            "metafields": [METAFIELD, FOREIGN],
        }
        for number in (11, 12)
    ],
}
CUSTOMER = {
    "id": 2,
    "email": "ada@example.com",
    "first_name": "Ada",
    "last_name": "Biller",
    "phone": "+447000000000",
    "tags": [" B2B "],
    "state": "enabled",
    "updated_at": "2026-11-01T10:00:00Z",
    "metafields": [SECRET, METAFIELD],
}
TRUTH = {SHOP: {"products": [PRODUCT], "customers": [CUSTOMER], "deleted": {"products": [3], "customers": [4]}}}


def raw(metafields):
    ours = [m for m in metafields if m["namespace"] == "sparklayer"]
    return {m["key"]: "…" if m["key"] == "authentication" else m["value"] for m in ours}


def answer(record):
    return {"results": [{"id": record["id"], "record": copy.deepcopy(record)}], "absent": None}


def absent(state):
    return {"results": [], "absent": {"state": state, "sentence": "It is not here.", "since": None}}


def faithful():
    """What the lookup answers when the mirror is right."""
    variants = [variant | {"metafields": raw(variant["metafields"])} for variant in PRODUCT["variants"]]
    customer = CUSTOMER | {"metafields": raw(CUSTOMER["metafields"]), "eligibility": {"rule": "tag"}}
    return {
        MUG: answer(PRODUCT | {"variants": variants}),
        ADA: answer(customer),
        OLD: absent("removed"),
        GONE: absent("removed"),
    }


def record_of(mirror, resource):
    return mirror[resource]["results"][0]["record"]


def test_a_mirror_that_holds_what_the_store_holds_has_no_differences():
    assert differences(TRUTH, faithful()) == []


@pytest.mark.parametrize("name", ["title", "handle", "status", "vendor", "tags", "updated_at"])
def test_every_field_of_a_product_is_compared(name):
    mirror = faithful()
    record_of(mirror, MUG)[name] = "something else"

    (found,) = differences(TRUTH, mirror)

    assert (found.resource, found.facet, found.where) == (MUG, CORE, name)
    assert str(found) == f"alpha, product 1, {name}: {PRODUCT[name]!r} in the store, 'something else' in the mirror"


@pytest.mark.parametrize("name", ["sku", "barcode", "title", "price", "position", "inventory_quantity"])
def test_every_field_of_a_variant_is_compared(name):
    mirror = faithful()
    record_of(mirror, MUG)["variants"][1][name] = None

    (found,) = differences(TRUTH, mirror)

    assert (found.facet, found.where) == (CORE, f"{name} of variant 12")


@pytest.mark.parametrize("seen", [None, {}, {"pack_size": "7"}, {"pack_size": 6}, {"pack_size": "6", "rrp": "9"}])
def test_metafields_that_are_unknown_missing_other_or_too_many_are_differences(seen):
    mirror = faithful()
    record_of(mirror, MUG)["variants"][0]["metafields"] = seen

    (found,) = differences(TRUTH, mirror)

    assert (found.facet, found.where) == (METAFIELDS, "metafields of variant 11")


@pytest.mark.parametrize("variants", [[11], [11, 12, 13]])
def test_a_variant_too_few_or_too_many_is_told_once(variants):
    mirror = faithful()
    some = record_of(mirror, MUG)["variants"]
    record_of(mirror, MUG)["variants"] = [*some, some[0] | {"id": 13}][: len(variants)]

    (found,) = differences(TRUTH, mirror)

    assert (found.where, found.store, found.mirror) == ("variants", [11, 12], variants)


@pytest.mark.parametrize("name", ["email", "first_name", "last_name", "phone", "tags", "state", "updated_at"])
def test_every_field_of_a_customer_is_compared(name):
    mirror = faithful()
    record_of(mirror, ADA)[name] = None

    (found,) = differences(TRUTH, mirror)

    assert (found.resource, found.where) == (ADA, name)


def test_a_customers_metafields_are_compared_and_a_login_that_shows_is_a_difference():
    mirror = faithful()
    record_of(mirror, ADA)["metafields"]["authentication"] = "hush"

    (found,) = differences(TRUTH, mirror)

    assert found.where == "metafields"


def test_the_rule_by_which_a_customer_belongs_is_compared():
    mirror = faithful()
    record_of(mirror, ADA)["eligibility"] = {"rule": "metafield"}

    (found,) = differences(TRUTH, mirror)

    assert (found.where, found.store, found.mirror) == ("eligibility", "tag", "metafield")


@pytest.mark.parametrize("resource", [MUG, ADA])
def test_a_record_that_is_missing_is_a_difference(resource):
    (found,) = differences(TRUTH, faithful() | {resource: absent("never_seen")})

    assert (found.resource, found.facet, found.mirror) == (resource, CORE, "never_seen")


@pytest.mark.parametrize(("resource", "record"), [(OLD, PRODUCT), (GONE, CUSTOMER)])
def test_a_record_that_should_be_gone_is_a_difference(resource, record):
    (found,) = differences(TRUTH, faithful() | {resource: answer(record)})

    assert (found.resource, found.facet, found.mirror) == (resource, CORE, "here")


def test_a_deletion_that_is_not_remembered_as_one_is_a_difference():
    (found,) = differences(TRUTH, faithful() | {OLD: absent("never_seen")})

    assert (found.resource, found.facet) == (OLD, TOMBSTONE)


def test_a_customer_who_does_not_belong_must_not_be_there():
    stranger = CUSTOMER | {"tags": ["b2b-vip"], "metafields": [FOREIGN]}
    truth = {SHOP: TRUTH[SHOP] | {"customers": [stranger]}}

    assert [found.resource for found in differences(truth, faithful())] == [ADA]
    assert differences(truth, faithful() | {ADA: absent("not_eligible")}) == []


def test_only_the_part_that_is_excused_is_left_out():
    mirror = faithful()
    record_of(mirror, MUG)["title"] = "Old mug"
    record_of(mirror, MUG)["variants"][0]["metafields"] = {}

    left = differences(TRUTH, mirror, {(MUG, METAFIELDS): SILENT})

    assert [found.where for found in left] == ["title"]


def mail(resource, topic, second, fate="delivered", arrived=None):
    """A webhook of the ledger, triggered and, unless it says otherwise, posted in that second of a minute."""
    triggered = f"2026-11-01T10:00:{second:02d}.000000000Z"
    return {
        "shop": resource.shop,
        "resource": resource.gid,
        "topic": topic,
        "fate": fate,
        "triggered_at": triggered,
        "attempts": [{"at": moment(arrived or second)}] if fate == "delivered" else [],
    }


def moment(second):
    return 1_793_527_200.0 + second  # 2026-11-01T10:00:00Z


def test_a_lost_webhook_excuses_a_product_until_a_later_one_is_delivered():
    lost = mail(MUG, "products/update", 10, "lost")
    before, after = mail(MUG, "products/update", 5), mail(MUG, "products/update", 15)

    assert unhearable(TRUTH, [before, lost], []) == {(MUG, CORE): LOST, (MUG, TOMBSTONE): LOST}
    assert unhearable(TRUTH, [before, lost, after], []) == {}


def test_a_product_webhook_that_was_triggered_before_the_lost_one_mends_nothing_however_late_it_comes():
    late, lost = mail(MUG, "products/update", 5, arrived=30), mail(MUG, "products/update", 10, "lost")

    assert (MUG, CORE) in unhearable(TRUTH, [late, lost], [])


def test_any_later_word_about_a_customer_mends_what_was_lost_or_silent():
    lost = mail(ADA, "customer.tags_added", 10, "lost")
    silence = Silence(ADA, CORE, moment(20))
    late = mail(ADA, "customers/update", 5, arrived=30)

    assert unhearable(TRUTH, [lost], [])[ADA, CORE] == LOST
    assert unhearable(TRUTH, [], [silence]) == {(ADA, CORE): SILENT}
    assert unhearable(TRUTH, [lost, late], [silence]) == {}


def test_no_webhook_mends_a_silent_edit_of_a_variant():
    told = mail(MUG, "products/update", 30)

    assert unhearable(TRUTH, [told], [Silence(MUG, METAFIELDS, moment(10))]) == {(MUG, METAFIELDS): SILENT}


def test_a_delete_that_arrived_is_the_last_word():
    ledger = [mail(OLD, "products/delete", 5), mail(OLD, "products/update", 4, "lost")]

    assert unhearable(TRUTH, ledger, [Silence(OLD, METAFIELDS, moment(3))]) == {}
    assert (OLD, TOMBSTONE) not in unknowable(TRUTH, ledger, imported=[])


def test_what_was_imported_can_be_missed_even_if_its_delete_was_lost():
    assert (OLD, TOMBSTONE) in unknowable(TRUTH, [], imported=[])
    assert (OLD, TOMBSTONE) not in unknowable(TRUTH, [], imported=[OLD])


# The demo itself


@pytest.fixture
def demo():
    """demo(**environment) starts `python -m devstore.demo`; what is left of it afterwards is ended."""
    started = []

    def start(**environment):
        started.append(
            Demo({k: v for k, v in os.environ.items() if k not in ("ONCE", "CHANGES", "PORT")} | environment)
        )
        return started[-1]

    yield start
    for one in started:
        one.end()


class Demo:
    def __init__(self, environment):
        command = [sys.executable, "-m", "devstore.demo"]
        self.process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE)
        self.text = ""

    def read_until(self, words):
        """What it has printed, once these words are in it (None: all of it)."""
        while words is None or words not in self.text:
            chunk = os.read(self.process.stdout.fileno(), 65536).decode()
            assert chunk or words is None, f"it ended without {words!r}:\n{self.text}"
            if not chunk:
                break
            self.text += chunk
        return self.text

    def folder(self):
        return ROOT / re.search(r"^  \. (\.run/demo-\d+)/env$", self.read_until("/env\n"), re.MULTILINE)[1]

    def end(self):
        with self.process:
            self.process.terminate()


def gone(processes):
    return psutil.wait_procs(processes, timeout=30)[1] == []


@pytest.mark.timeout(300)
def test_a_bounded_demo_proves_that_the_mirror_equals_the_store_whatever_befalls_another_beside_it(demo):
    bounded, other = demo(ONCE="1", CHANGES="60"), demo()
    folder, others_folder = bounded.folder(), other.folder()
    family, others = inhabitants(folder), inhabitants(others_folder)

    other.process.send_signal(signal.SIGINT)
    told = bounded.read_until(None)

    assert other.process.wait(60) == 0
    assert bounded.process.wait() == 0, told
    table = dict(re.findall(r"^  ([a-z0-9 ]+?) +([\d,]+) *$", told, re.MULTILINE))
    assert table["changes"] == "60"
    assert {"sent", "lost", "doubled", "delayed", "reordered", "answered 200"} <= table.keys()
    assert {"applied", "unchanged", "filtered", "superseded", "deleted", "duplicates stored once"} <= table.keys()
    assert table["products in the mirror"] == table["products in the store that belong"]
    assert table["customers in the mirror"] == table["customers in the store that belong"]
    assert [table[name] for name in ("dead", "waiting", "differences")] == ["0", "0", "0"]
    assert "The mirror equals the store." in told
    for one in (family, others):
        assert len(one) >= 8  # two servers, the store, the supervisor, web, live, bulk, clock
        assert gone(one)
    assert not folder.exists()
    assert not others_folder.exists()


@pytest.mark.timeout(120)
def test_a_killed_demo_leaves_no_process_and_the_next_one_clears_its_folder(demo):
    killed = demo()
    killed.read_until("Migrating the database")
    family = psutil.Process(killed.process.pid).children(recursive=True)
    (folder,) = {Path(place) for one in family for place in re.findall(r"\S+/\.run/demo-\d+", " ".join(one.cmdline()))}
    (folder / "left over").touch()

    killed.process.kill()

    assert gone(family)
    assert gone(inhabitants(folder))  # those that were started since
    demo().read_until("Starting a pretend Shopify")
    assert not (folder / "left over").exists()


@pytest.mark.timeout(120)
def test_a_demo_that_is_stopped_while_it_starts_leaves_nothing_behind(demo):
    early = demo()
    early.read_until("Migrating the database")
    family = psutil.Process(early.process.pid).children(recursive=True)

    early.process.terminate()

    assert early.process.wait(60) == 0
    assert gone(family)
