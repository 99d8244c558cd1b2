"""Mail about the shop itself: uninstalled, redacted, asked for a person's data."""

from itertools import permutations

import pytest
from sqlalchemy import text

ADA = 5001
EMAIL = "ada@corner.example"


@pytest.fixture
def stocked(floor):
    """A shop with a product and a member."""
    floor.send("products/update", floor.body(1, 1), 1)
    floor.change("create_customer", id=ADA, tags=["b2b"], last_name="Quillfeather", email=EMAIL)
    floor.serve()
    return floor


def receipts(floor):
    return floor.rows("SELECT topic, resource_id, counts FROM receipts WHERE shop = :shop ORDER BY id")


def test_mail_for_a_shop_that_never_installed_is_kept_and_filtered(floor):
    sent = floor.send("products/update", floor.body(1, 1), 1, shop="nobody.myshopify.com")
    floor.shop = "nobody.myshopify.com"

    assert floor.turn() == {sent: "filtered"}
    assert floor.delivery(sent)["reason"] == "the shop is not known: it has not installed the app"
    assert floor.rows("SELECT * FROM products") == []


def test_after_an_uninstall_mail_is_filtered(stocked):
    stocked.change("uninstall")
    late = stocked.send("products/update", stocked.body(2, 1), 1)

    outcomes = stocked.turn()

    assert outcomes.pop(late) == "filtered"
    assert list(outcomes.values()) == ["applied"]
    assert stocked.state() == "uninstalled"
    assert stocked.value("SELECT token FROM shops WHERE domain = :shop") is None
    assert stocked.delivery(late)["reason"] == "the shop has uninstalled the app"
    assert stocked.product(2) is None


def test_a_late_notice_from_before_a_reinstall_changes_nothing(stocked):
    from adapters import shops

    stocked.change("uninstall")
    stocked.turn()
    with stocked.db.begin() as db:
        shops.add(db, stocked.workshop.vault, stocked.shop, "shpat_after_the_reinstall")

    late = stocked.send("app/uninstalled", {"id": 1}, 10)

    assert stocked.turn() == {late: "superseded"}
    assert stocked.state() == "active"


HOUR = 3_600
UNINSTALLED = -49 * HOUR  # two days and two hours ago
REDACTED = UNINSTALLED + 48 * HOUR


def uninstall_notice(floor):
    floor.send("app/uninstalled", {"id": 1}, UNINSTALLED)


def redact_notice(floor):
    floor.send("shop/redact", {"shop_domain": floor.shop}, REDACTED)


def reinstall(floor):
    from adapters import shops

    with floor.db.begin() as db:
        shops.add(db, floor.workshop.vault, floor.shop, "shpat_after_the_reinstall")


@pytest.fixture
def elder(stocked):
    """A shop that was let in long ago."""
    stocked.execute("UPDATE shops SET access_proven_at = now() - interval '60 hours', installed_at = access_proven_at")
    return stocked


@pytest.mark.parametrize("order", list(permutations([uninstall_notice, redact_notice, reinstall])))
@pytest.mark.parametrize("lost", [None, uninstall_notice, redact_notice])
def test_a_shop_that_came_back_stays_whatever_is_late_or_lost(elder, order, lost):
    for happens in order:
        if happens is not lost:
            happens(elder)
            elder.turn()

    assert elder.state() == "active"
    assert elder.value("SELECT token IS NOT NULL FROM shops WHERE domain = :shop")


@pytest.mark.parametrize("late", [uninstall_notice, redact_notice])
def test_a_late_notice_about_a_shop_that_came_back_erases_nothing(elder, late):
    reinstall(elder)
    late(elder)
    elder.turn()

    assert elder.product(1).core.title == "Mug"


@pytest.mark.parametrize("order", list(permutations([uninstall_notice, redact_notice])))
@pytest.mark.parametrize("lost", [None, uninstall_notice])
def test_a_shop_that_went_for_good_is_erased_whatever_is_late_or_lost(elder, order, lost):
    for happens in order:
        if happens is not lost:
            happens(elder)
            elder.turn()

    assert elder.rows("SELECT * FROM shops") == elder.rows("SELECT * FROM products") == []


def test_a_shop_that_came_back_and_then_lost_its_access_is_erased(elder):
    elder.execute("UPDATE shops SET access_proven_at = now() - interval '10 hours', state = 'needs_auth'")

    redact_notice(elder)
    elder.turn()

    assert elder.rows("SELECT * FROM shops") == []


def test_a_doubtful_notice_has_the_token_tried_at_once(stocked):
    stocked.execute("INSERT INTO health (shop, next_check_at) VALUES (:shop, now() + interval '1 hour')")

    uninstall_notice(stocked)
    stocked.turn()

    assert stocked.value("SELECT next_check_at < now() FROM health")


def test_what_only_concerns_settings_is_noted(stocked):
    sent = [stocked.send(topic, {"id": 1}) for topic in ("shop/update", "app/scopes_update")]

    assert stocked.turn() == dict.fromkeys(sent, "unchanged")


def test_a_customers_redaction_erases_everything_but_the_receipt(stocked):
    stocked.send("customers/redact", {"customer": {"id": ADA, "email": EMAIL, "phone": None}})

    assert list(stocked.turn().values()) == ["applied"]

    assert (stocked.customer(ADA).customer, stocked.customer(ADA).redacted) == (None, True)
    assert stocked.issues("customers", ADA) == []
    assert receipts(stocked)[0]["counts"]["customers"] == 1
    assert stocked.mentions("Quillfeather") == stocked.mentions(EMAIL) == []


@pytest.mark.parametrize(
    ("kind", "wishes"), [("edit_customer", {"first_name": "Ada"}), ("tag_customer", {"tags": ["x"]})]
)
def test_nothing_brings_a_redacted_customer_back(stocked, kind, wishes):
    stocked.send("customers/redact", {"customer": {"id": ADA}})
    stocked.turn()

    stocked.change(kind, id=ADA, **wishes)

    assert list(stocked.turn().values()) == ["filtered"]
    assert stocked.customer(ADA).customer is None
    assert stocked.customer(ADA).reason == "redacted at the request of the shop"


def test_the_redaction_of_a_customer_never_seen_holds_too(floor):
    floor.send("customers/redact", {"customer": {"id": ADA}})
    floor.turn()

    floor.change("create_customer", id=ADA, tags=["b2b"])
    floor.turn()

    assert floor.customer(ADA).customer is None
    assert receipts(floor)[0]["counts"] == {"customers": 0, "issues": 0}


def test_a_redacted_customer_no_longer_clashes_with_anyone(stocked):
    stocked.change("create_customer", id=ADA + 1, tags=["b2b"], email=EMAIL)
    stocked.turn()
    assert stocked.codes("customers", ADA + 1) == stocked.codes("customers", ADA)
    assert "EMAIL_DUPLICATE" in stocked.codes("customers", ADA + 1)

    stocked.send("customers/redact", {"customer": {"id": ADA}})
    stocked.turn()

    assert "EMAIL_DUPLICATE" not in stocked.codes("customers", ADA + 1)


def test_no_issue_of_anybody_else_names_a_redacted_customer(stocked):
    for number in (ADA + 1, ADA + 2):
        stocked.change("create_customer", id=number, tags=["b2b"], email=EMAIL)
    stocked.turn()
    stocked.change("edit_customer", id=ADA + 2, email="own@corner.example")
    stocked.turn()

    stocked.send("customers/redact", {"customer": {"id": ADA}})
    stocked.turn()

    issues = stocked.rows("SELECT resource_id, facts::text AS facts FROM issues WHERE code = 'EMAIL_DUPLICATE'")
    assert [issue for issue in issues if f'customer {ADA}"' in issue["facts"] or issue["resource_id"] == ADA] == []


def test_a_shops_redaction_erases_all_of_it_and_of_no_other(stocked, other):
    other.send("products/update", other.body(1, 1), 1)
    other.turn()
    stocked.change("uninstall")
    stocked.turn()

    sent = stocked.send("shop/redact", {"shop_id": 1, "shop_domain": stocked.shop})

    assert stocked.turn() == {sent: "applied"}
    for table in ("products", "variants", "customers", "issues"):
        assert stocked.rows(f"SELECT * FROM {table} WHERE shop = :shop") == []
    assert stocked.rows("SELECT domain FROM shops") == [{"domain": other.shop}]
    assert [row["topic"] for row in stocked.rows("SELECT topic FROM deliveries WHERE shop = :shop")] == ["shop/redact"]
    assert receipts(stocked)[0]["counts"]["products"] == 1
    assert other.rows("SELECT 1 FROM products WHERE shop = :shop") != []
    assert other.product(1).core.title == "Mug"


def test_a_shops_redaction_leaves_it_in_no_table_and_its_receipt_counts_each(stocked):
    with_shop = stocked.rows("""SELECT table_name FROM information_schema.columns
                                WHERE table_schema = 'public' AND column_name = 'shop'""")
    tables = {row["table_name"] for row in with_shop} - {"receipts", "deliveries"}  # those of its own kind stay
    for row in (
        "runs (shop, feed, trigger, complete, who) VALUES (:shop, 'products', 'refresh', true, '42')",
        "feeds (shop, feed) VALUES (:shop, 'products'), (:shop, 'customers')",
        "notices (shop, channel, told) VALUES (:shop, 'mail', '{}')",
        "heard (shop, feed, hour, deliveries, last_at) VALUES (:shop, 'products', now(), 1, now())",
        "activity (shop, feed, hour) VALUES (:shop, 'products', now())",
        "gaps (shop, feed, resource_id, cause, run) VALUES (:shop, 'products', 1, 'late', 1)",
    ):
        stocked.execute(f"INSERT INTO {row} ON CONFLICT DO NOTHING")
    stocked.change("uninstall")
    stocked.turn()
    stocked.send("shop/redact", {"shop_id": 1, "shop_domain": stocked.shop})
    stocked.turn()

    counts = receipts(stocked)[0]["counts"]
    assert [table for table in tables if stocked.rows(f"SELECT 1 FROM {table} WHERE shop = :shop")] == []
    assert set(counts) == tables | {"deliveries", "shops"}
    assert [counts[table] for table in ("runs", "feeds", "notices", "heard", "activity", "gaps")] == [1, 2, 1, 1, 1, 1]


def test_a_lasting_token_is_no_proof_against_a_redaction(stocked):
    """Somebody brought it; that Shopify asks for the redaction says that the app was removed since."""
    sent = stocked.send("shop/redact", {"shop_domain": stocked.shop})

    assert stocked.turn() == {sent: "applied"}
    assert stocked.rows("SELECT * FROM products WHERE shop = :shop") == []


def test_mail_after_a_shops_redaction_brings_nothing_back(stocked):
    stocked.change("uninstall")
    stocked.send("shop/redact", {"shop_domain": stocked.shop})
    stocked.turn()

    late = stocked.send("products/update", stocked.body(1, 1), 1)

    assert stocked.turn() == {late: "filtered"}
    assert stocked.product(1) is None
    assert (stocked.delivery(late)["body"], stocked.delivery(late)["body_bytes"]) == (None, 0)


def test_what_came_while_nobody_knew_the_shop_can_be_replayed_by_asking_shopify(floor):
    from adapters import inbox, shops
    from adapters.chosen import Filter

    with floor.db.begin() as db:
        db.execute(text("DELETE FROM shops"))
    floor.change("create_product", id=7, title="Mug")
    floor.serve()
    with floor.db.begin() as db:
        shops.add(db, floor.workshop.vault, floor.shop, floor.token)
        inbox.reopen(db, Filter(topic="products/create"))

    floor.serve()

    assert floor.product(7).core.title == "Mug"


def test_a_shop_that_was_installed_again_is_not_redacted(stocked):
    sent = stocked.send("shop/redact", {"shop_domain": stocked.shop}, 10)

    assert stocked.turn() == {sent: "superseded"}
    assert stocked.state() == "active"
    assert stocked.product(1).core.title == "Mug"


@pytest.mark.parametrize(("customer", "held"), [(ADA, 1), (999, 0)])
def test_a_data_request_is_answered_by_a_receipt(stocked, customer, held):
    body = {"customer": {"id": customer, "email": EMAIL}, "data_request": {"id": 9}}
    sent = stocked.send("customers/data_request", body)

    assert stocked.turn() == {sent: "applied"}

    assert receipts(stocked) == [
        {"topic": "customers/data_request", "resource_id": customer, "counts": {"customers": held}}
    ]
    assert stocked.delivery(sent)["body"] is None
    assert stocked.mentions(EMAIL) == []


def test_a_notice_that_comes_twice_is_served_once(stocked):
    for _ in range(2):
        stocked.send("customers/redact", {"customer": {"id": ADA}}, webhook_id="the-same")
        stocked.turn()

    assert len(receipts(stocked)) == 1


def test_a_scope_that_is_granted_hurries_what_waited_for_it(stocked):
    stocked.devstore.fault("access_denied", times=50)
    stocked.change("edit_customer", id=ADA, first_name="Augusta")
    stocked.turn()
    assert stocked.outcomes()["waiting"] == 1
    stocked.devstore.clear_faults()

    stocked.send("app/scopes_update", {"id": 1})
    stocked.turn()

    assert "applied" in stocked.turn().values()
    assert stocked.customer(ADA).customer.first_name == "Augusta"
