"""A customer's webhook says nothing that counts: Shopify is asked who they are, and only those who belong are kept."""

import pytest
from sqlalchemy import text

ADA = 5001
EMAIL = "ada.lovelace@corner.example"
PHONE = "+44 20 7946 0018"
PERSON = {
    "id": ADA,
    "first_name": "Ada",
    "last_name": "Quillfeather",
    "email": EMAIL,
    "phone": PHONE,
    "note": "prefers mornings",
    "tags": [],
    "addresses": [{"address1": "17 Saltmarsh Lane", "city": "Leeds", "company": "Corner Shop Ltd", "zip": "LS1 4DY"}],
}
PERSONAL = ("quillfeather", EMAIL, "2079460018", "7946 0018", "saltmarsh", "prefers mornings")
GROUP = {"key": "group", "value": "trade"}


def create(floor, **fields):
    floor.change("create_customer", **PERSON | fields)


def nobody_can_read(floor):
    return [(words, floor.mentions(words)) for words in PERSONAL if floor.mentions(words)] == []


@pytest.mark.parametrize(
    ("fields", "rule", "matched"),
    [
        ({"tags": ["b2b"]}, "tag", "b2b"),
        ({"tags": ["newsletter", "B2B "]}, "tag", "B2B "),
        ({"metafields": [GROUP]}, "metafield", "group"),
    ],
)
def test_who_belongs_is_imported_with_the_rule_that_said_so(floor, fields, rule, matched):
    create(floor, **fields)

    assert "applied" in floor.turn().values()

    customer = floor.customer(ADA)
    assert (customer.state, customer.rule, customer.matched) == ("member", rule, matched)
    assert (customer.customer.email, customer.customer.last_name) == (EMAIL, "Quillfeather")
    assert customer.customer.addresses[0].line1 == "17 Saltmarsh Lane"


def test_who_belongs_is_sealed(floor):
    create(floor, tags=["b2b"], metafields=[GROUP])
    floor.turn()

    assert floor.customer(ADA).customer.email == EMAIL
    assert nobody_can_read(floor)


@pytest.mark.parametrize("tags", [[], ["b2b-vip"], ["not b2b"]])
def test_of_who_does_not_belong_nothing_personal_is_kept(floor, tags):
    create(floor, tags=tags, metafields=[GROUP | {"namespace": "custom"}])

    outcomes = floor.turn()

    assert set(outcomes.values()) == {"filtered"}
    customer = floor.customer(ADA)
    assert (customer.state, customer.customer) == ("not_eligible", None)
    assert customer.reason.startswith("Not imported: the customer ")
    assert nobody_can_read(floor)
    assert floor.delivery(next(iter(outcomes)))["body"] is None


def test_a_near_miss_is_told_in_the_delivery_too(floor):
    create(floor, tags=["b2b-vip"])

    created = next(iter(floor.turn()))

    assert "b2b-vip" in floor.delivery(created)["reason"]


def test_strangers_cost_a_probe_and_members_one_more_query(floor):
    for number in range(30):
        floor.change("create_customer", id=6000 + number, tags=[], email=f"{number}@corner.example")
    floor.serve()
    probes = floor.requests()
    create(floor, tags=["b2b"])
    floor.serve()

    asked = floor.requests()
    assert probes.keys() == {"Memberships", "all"}
    assert (probes["all"], asked["all"]) == (1, 3)
    assert asked["Memberships"] == 2


def test_who_loses_the_tag_leaves_a_tombstone_without_personal_data(floor):
    create(floor, tags=["b2b"])
    floor.turn()

    floor.change("untag_customer", id=ADA, tags=["b2b"])

    assert list(floor.turn().values()) == ["deleted"]
    assert (floor.customer(ADA).state, floor.customer(ADA).customer) == ("removed", None)
    row = floor.rows("SELECT * FROM customers")[0]
    kept = {name for name, value in row.items() if value not in (None, False)}
    assert kept == {"shop", "id", "state", "reason", "since", "at", "seen", "applied_at"}
    assert nobody_can_read(floor)


def test_who_gets_the_tag_back_is_imported_again(floor):
    create(floor, tags=["b2b"])
    floor.turn()
    floor.change("untag_customer", id=ADA, tags=["b2b"])
    floor.turn()

    floor.change("tag_customer", id=ADA, tags=["b2b"])

    assert list(floor.turn().values()) == ["applied"]
    assert floor.customer(ADA).customer.email == EMAIL


def test_who_keeps_the_metafield_stays_without_the_tag(floor):
    create(floor, tags=["b2b"], metafields=[GROUP])
    floor.turn()

    floor.change("untag_customer", id=ADA, tags=["b2b"])
    floor.turn()

    assert (floor.customer(ADA).state, floor.customer(ADA).rule) == ("member", "metafield")


def test_a_shop_has_its_own_words_for_who_belongs(floor):
    floor.execute("UPDATE shops SET b2b_tag = 'trade', ignored_keys = '{group}' WHERE domain = :shop")
    create(floor, tags=["b2b"], metafields=[GROUP])
    floor.turn()
    assert floor.customer(ADA).state == "not_eligible"

    floor.change("tag_customer", id=ADA, tags=["Trade"])
    floor.turn()

    assert floor.customer(ADA).matched == "Trade"


@pytest.mark.parametrize("fault", ["500", "throttled", "access_denied", "half_body", "423", "internal_error", "401"])
def test_unknown_is_not_no(floor, fault):
    create(floor, tags=["b2b"])
    floor.turn()
    floor.change("edit_customer", id=ADA, first_name="Augusta")
    floor.devstore.fault(fault, times=50, seconds=30)

    assert floor.turn() == {}

    [row] = floor.rows("SELECT * FROM deliveries WHERE state = 'waiting'")
    assert row["next_attempt_at"] > row["received_at"]
    assert row["reason"].startswith(floor.shop)
    assert floor.customer(ADA).customer.first_name == "Ada"

    floor.devstore.clear_faults()
    floor.workshop.bell.redis.flushall()
    floor.execute("UPDATE deliveries SET next_attempt_at = now()")
    floor.execute("UPDATE shops SET next_probe_at = now()")
    assert list(floor.turn().values()) == ["applied"]
    assert floor.customer(ADA).customer.first_name == "Augusta"
    assert floor.state() == "active"


@pytest.mark.parametrize("fault", ["500", "423", "access_denied"])
def test_each_failed_attempt_makes_the_next_one_later(floor, fault):
    create(floor)
    floor.devstore.fault(fault, times=50)
    pauses = []
    for _ in range(6):
        floor.execute("UPDATE deliveries SET next_attempt_at = now()")
        floor.workshop.bell.redis.delete(f"breaker:{floor.shop}")  # as its expiry would
        floor.turn()
        pauses.append(floor.value("SELECT extract(epoch FROM next_attempt_at - now())::float8 FROM deliveries"))

    assert pauses[-1] > 25
    assert floor.value("SELECT attempts FROM deliveries") == 6


def test_after_two_days_without_an_answer_a_delivery_is_given_up(floor):
    create(floor)
    floor.execute("UPDATE deliveries SET received_at = now() - interval '49 hours'")
    floor.devstore.fault("500", times=9)

    [(delivery, outcome)] = floor.turn().items()

    assert outcome == "dead"
    assert floor.delivery(delivery)["reason"].startswith("given up after two days: ")


def test_a_customer_whom_shopify_no_longer_has_is_removed(floor):
    create(floor, tags=["b2b"])
    floor.turn()
    floor.silently("delete_customer", id=ADA)
    floor.store([{"id": ADA}], topic="customer/fetch")

    assert list(floor.turn().values()) == ["deleted"]
    assert (floor.customer(ADA).state, floor.customer(ADA).reason) == ("removed", "deleted in Shopify")
    assert nobody_can_read(floor)


def test_a_delete_needs_no_answer_from_shopify(floor):
    create(floor, tags=["b2b"])
    floor.turn()
    floor.devstore.fault("500", times=50)

    floor.change("delete_customer", id=ADA)

    assert list(floor.turn().values()) == ["deleted"]
    assert nobody_can_read(floor)


def test_a_signal_that_comes_after_the_delete_brings_nothing_back(floor):
    create(floor, tags=["b2b"])
    floor.turn()
    floor.change("delete_customer", id=ADA)
    floor.turn()

    floor.send("customers/update", {"id": ADA}, 1)
    floor.turn()

    assert floor.customer(ADA).state == "removed"


def test_one_signal_of_many_does_the_work(floor):
    create(floor, tags=["b2b"])
    for _ in range(20):
        floor.send("customers/update", {"id": ADA})

    outcomes = list(floor.turn().values())

    assert (outcomes.count("applied"), outcomes.count("superseded")) == (1, len(outcomes) - 1)
    assert floor.requests()["all"] == 2


def test_an_unchanged_customer_is_not_written_again(floor, witness):
    create(floor, tags=["b2b"])
    floor.turn()
    before = floor.value("SELECT record FROM customers")

    floor.send("customers/update", {"id": ADA})

    assert list(floor.turn().values()) == ["unchanged"]
    assert floor.value("SELECT record FROM customers") == before


@pytest.mark.parametrize(
    ("field", "typed"),
    [
        ("email", " ADA.Lovelace@Corner.example"),
        ("phone", "+442079460018"),
        ("name", "quillfeather ada"),
        ("name", "corner"),
        ("customer_id", ADA),
    ],
)
def test_a_member_is_found_by_what_people_type(floor, field, typed):
    from adapters.lookup import customers_by

    create(floor, tags=["b2b"])
    create(floor, id=ADA + 1, email="bo@corner.example", first_name="Bo", last_name="Okafor", phone=None, addresses=[])
    floor.turn()

    with floor.db.connect() as db:
        found = customers_by(db, floor.workshop.vault, floor.shop, field, typed)

    assert [number for number, _ in found] == [ADA]


def test_the_same_person_in_two_shops_cannot_be_joined(floor, other):
    for one in (floor, other):
        create(one, tags=["b2b"])
        one.turn()

    with floor.db.connect() as db:
        rows = db.execute(text("SELECT email_index, record_hash FROM customers")).all()
    assert len({row.email_index for row in rows}) == len({row.record_hash for row in rows}) == 2


def test_of_the_login_secret_only_its_presence_is_kept(floor):
    create(floor, tags=["b2b"], metafields=[{"key": "authentication", "value": "hunter2-hunter2"}])
    floor.turn()

    assert [(field.key, field.value) for field in floor.customer(ADA).customer.metafields] == [("authentication", "…")]


def test_text_that_postgres_cannot_keep_costs_nobody_anything(floor):
    create(floor, tags=["b2b"], metafields=[{"key": "company_name", "value": "Nul\x00 Ltd"}])
    floor.change("create_customer", id=ADA + 1, tags=["b2b"], last_name="O\x00Connor", email="o\x00@corner.example")

    floor.turn()

    assert floor.outcomes().keys() == {"applied", "superseded"}
    assert floor.customer(ADA + 1).customer.last_name == "O\ufffdConnor"
