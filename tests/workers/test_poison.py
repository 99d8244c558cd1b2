"""One delivery that cannot be applied costs nobody else anything, and says nothing of what is in it."""

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from workers.gathering import is_the_worlds_fault

POISON = 13


def test_a_row_that_makes_the_transaction_fail_is_dead_alone(floor, sabotage):
    sabotage("products", f"NEW.id = {POISON}")
    ids = floor.store(floor.body(n, 1, title=f"Secret plan {n}") for n in range(1, 102))

    outcomes = floor.turn()

    assert outcomes == dict.fromkeys(ids, "applied") | {ids[POISON - 1]: "dead"}
    assert floor.value("SELECT count(*) FROM products") == 100


def test_its_reason_says_where_and_quotes_nothing(floor, sabotage):
    sabotage("products", f"NEW.id = {POISON}")
    floor.store([floor.body(POISON, 1, title="Secret plan")])

    [dead] = floor.turn()

    reason = floor.delivery(dead)["reason"]
    assert reason.startswith("could not be applied: RaiseException (SQLSTATE P0001) at adapters/mirror_products.py:")
    assert "the row says" not in reason
    assert "Secret" not in reason


def test_what_the_poison_had_overtaken_is_applied_after_all(floor, sabotage):
    sabotage("products", "NEW.core ->> 'title' = 'poison'")
    sound, poison = floor.store([floor.body(POISON, 1, title="sound"), floor.body(POISON, 2, title="poison")])

    assert floor.turn() == {poison: "dead"}
    assert floor.turn() == {sound: "applied"}
    assert floor.product(POISON).core.title == "sound"


def test_two_poisons_among_many_are_both_found(floor, sabotage):
    sabotage("variants", f"NEW.product_id IN ({POISON}, 77)")
    ids = floor.store(floor.body(n, 1) for n in range(1, 102))

    outcomes = floor.turn()

    assert {ids.index(i) + 1 for i, outcome in outcomes.items() if outcome == "dead"} == {POISON, 77}


@pytest.mark.parametrize("body", [b"", b"\xff\xfe", b"{", b"[]", b"[" * 100_000, b'{"id": null}', None])
def test_a_stored_body_that_went_bad_is_dead_alone(floor, body):
    ids = floor.store(floor.body(n, 1) for n in range(1, 11))
    floor.execute("UPDATE deliveries SET body = :body WHERE webhook_id = :id", body=body, id=ids[4])

    outcomes = floor.turn()

    assert outcomes == dict.fromkeys(ids, "applied") | {ids[4]: "dead"}
    assert floor.delivery(ids[4])["reason"]


def test_a_customer_that_cannot_be_written_is_dead_alone(floor, sabotage):
    sabotage("customers", f"NEW.id = {POISON}")
    for n in range(10, 16):
        floor.change("create_customer", id=n, tags=["b2b"], email=f"{n}@corner.example", last_name="Quillfeather")

    floor.turn()

    [dead] = floor.rows("SELECT resource_id, reason FROM deliveries WHERE outcome = 'dead' GROUP BY 1, 2")
    assert dead["resource_id"] == POISON
    assert "Quillfeather" not in dead["reason"]
    assert floor.value("SELECT count(*) FROM customers WHERE state = 'member'") == 5


def test_a_stored_record_that_no_key_opens_costs_only_its_own_deliveries(floor):
    """A run's or webhook's write never opens what is stored, so nothing has to fail here."""
    floor.change("create_customer", id=POISON, tags=["b2b"])
    floor.turn()
    floor.execute("UPDATE customers SET record = 'not sealed by us'")

    floor.change("edit_customer", id=POISON, first_name="Ada")
    floor.turn()

    assert floor.customer(POISON).customer.first_name == "Ada"


def test_a_notice_about_the_shop_that_fails_does_not_hold_up_its_mail(floor, sabotage):
    sabotage("receipts", "true")
    bad = floor.send("customers/redact", {"customer": {"id": 5}}, 1)
    good = floor.send("products/update", floor.body(1, 1), 1)

    assert floor.turn() == {bad: "dead", good: "applied"}


def test_a_dead_delivery_can_be_replayed_once_its_reason_is_gone(floor, sabotage):
    from adapters import inbox
    from adapters.inbox import Filter

    lift = sabotage("products", f"NEW.id = {POISON}")
    [dead] = floor.store([floor.body(POISON, 1)])
    floor.turn()
    lift()

    with floor.db.begin() as db:
        assert inbox.reopen(db, Filter(shop=floor.shop, outcome="dead")) == 1

    assert floor.turn("bulk") == {dead: "applied"}


def test_a_value_that_the_driver_refuses_to_send_is_the_rows_fault_not_the_worlds(floor):
    with floor.db.connect() as db, pytest.raises(DBAPIError) as refused:
        db.execute(text("SELECT CAST(:value AS text)"), {"value": "a\x00b"})

    assert not is_the_worlds_fault(refused.value)
