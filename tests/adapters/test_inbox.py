"""The inbox: stored once, peeked at by due time, locked by one, closed once, reopened."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from adapters import inbox
from adapters.inbox import Arrival, Filter
from domain.deliveries import Outcome, Verdict

SHOP = "northwind-trade.myshopify.com"
OTHER = "contoso-outdoor.myshopify.com"
NOW = datetime(2026, 11, 23, 10, tzinfo=UTC)


def arrival(webhook_id, **changes):
    usual = {"shop": SHOP, "topic": "products/update", "feed": "products", "resource_id": 1, "body": b'{"id":1}'}
    times = {"triggered_at": NOW, "received_at": NOW}
    return Arrival(webhook_id=webhook_id, **usual | times | changes)


@pytest.fixture
def put(database):
    """put(*arrivals) → their ids in that order."""

    def store(*arrivals):
        with database.begin() as db:
            for one in arrivals:
                inbox.store(db, [one])
            rows = db.execute(text("SELECT webhook_id, id FROM deliveries")).all()
        ids = dict(tuple(row) for row in rows)
        return [ids[one.webhook_id] for one in arrivals]

    return store


def row(engine, delivery):
    with engine.connect() as db:
        return db.execute(text("SELECT * FROM deliveries WHERE id = :id"), {"id": delivery}).mappings().one()


def test_only_the_new_keys_come_back(database):
    with database.begin() as db:
        first = inbox.store(db, [arrival("a"), arrival("b")])
        second = inbox.store(db, [arrival("b"), arrival("c"), arrival("c"), arrival("a", shop=OTHER)])

    assert first == {(SHOP, "a"), (SHOP, "b")}
    assert second == {(SHOP, "c"), (OTHER, "a")}


def test_when_it_was_triggered_is_judged_by_the_databases_clock_alone(database, put):
    now, hours = datetime.now(UTC), timedelta(hours=3)
    behind, ahead = put(
        arrival("door behind", triggered_at=now, received_at=now - hours),
        arrival("sender ahead", triggered_at=now + hours, received_at=now + hours),
    )

    assert row(database, behind)["triggered_at"] == now
    assert row(database, ahead)["triggered_at"] < now + timedelta(minutes=6)


def test_a_copy_never_changes_what_was_stored_first(database, put):
    (delivery,) = put(arrival("a"))
    with database.begin() as db:
        inbox.store(db, [arrival("a", topic="products/delete", body=b"other", resource_id=2)])

    assert (row(database, delivery)["topic"], bytes(row(database, delivery)["body"])) == (
        "products/update",
        b'{"id":1}',
    )


def test_a_copy_does_not_wait_for_the_turn_that_holds_the_row(database, put):
    ids = put(arrival("a"))
    with database.begin() as turn, database.begin() as door:
        inbox.lock(turn, ids)
        door.execute(text("SET LOCAL lock_timeout = '100ms'"))

        assert inbox.store(door, [arrival("a")]) == set()


def test_what_cannot_be_read_is_closed_at_once(database, put):
    (delivery,) = put(arrival("a", dead_because="the body is empty"))

    found = row(database, delivery)
    assert (found["state"], found["outcome"], found["reason"]) == ("closed", "dead", "the body is empty")
    assert found["closed_at"] == NOW


def test_a_peek_takes_what_is_due_longest_due_first_of_its_shop_and_lane(database, put):
    a, b, c, _bulk, _other = put(
        *(arrival("a"), arrival("b"), arrival("c"), arrival("bulk", lane="bulk"), arrival("other", shop=OTHER))
    )
    with database.begin() as db:
        inbox.postpone(db, {b: 3600}, "later", counts=True)
        db.execute(text("UPDATE deliveries SET next_attempt_at = now() - interval '1 hour' WHERE id = :id"), {"id": c})

    with database.connect() as db:
        assert [waiting.id for waiting in inbox.peek(db, "live", SHOP, 10)] == [c, a]
        assert [waiting.id for waiting in inbox.peek(db, "live", SHOP, 1)] == [c]


def test_a_row_is_decided_by_one_and_closed_once(database, put):
    (delivery,) = put(arrival("a"))
    with database.begin() as one, database.begin() as another:
        assert inbox.lock(one, [delivery]) == {delivery}
        assert inbox.lock(another, [delivery]) == set()
        inbox.close(one, {delivery: Verdict(Outcome.APPLIED)})
    with database.begin() as late:
        assert inbox.lock(late, [delivery]) == set()
        inbox.close(late, {delivery: Verdict(Outcome.DEAD, "too late")})

    assert row(database, delivery)["outcome"] == "applied"


@pytest.mark.parametrize(("counts", "attempts"), [(True, 1), (False, 0)])
def test_a_postponed_delivery_waits_with_its_reason(database, put, counts, attempts):
    (delivery,) = put(arrival("a"))

    with database.begin() as db:
        inbox.postpone(db, {delivery: 60}, "Shopify is away", counts=counts)

    found = row(database, delivery)
    assert (found["state"], found["attempts"], found["reason"]) == ("waiting", attempts, "Shopify is away")
    assert found["next_attempt_at"] > datetime.now(UTC) + timedelta(seconds=30)


def test_hurry_makes_all_of_a_shop_due(database, put):
    ids = put(arrival("a"), arrival("b", lane="bulk"), arrival("c", shop=OTHER))
    with database.begin() as db:
        inbox.postpone(db, dict.fromkeys(ids, 3600), "no token", counts=False)
        inbox.hurry(db, SHOP)

    with database.connect() as db:
        assert [w.id for w in inbox.peek(db, "live", SHOP, 9)] == [ids[0]]
        assert [w.id for w in inbox.peek(db, "bulk", SHOP, 9)] == [ids[1]]
        assert inbox.peek(db, "live", OTHER, 9) == []


def test_every_shop_with_mail_is_found_with_its_first_due_time(database, put):
    shops = [f"shop-{n}.myshopify.com" for n in range(5)]
    ids = put(*(arrival(f"{shop}-{n}", shop=shop) for shop in shops for n in range(3)))
    with database.begin() as db:
        inbox.close(db, {i: Verdict(Outcome.APPLIED) for i in ids[:3]})
        inbox.postpone(db, dict.fromkeys(ids[3:6], 3600.0), "later", counts=True)
        due = inbox.shops_with_mail(db, "live")
        first = inbox.next_due(db, shops[1])["live"]

        assert set(due) == set(shops[1:])
        assert due[shops[1]] == first > due[shops[2]] + 3000
        assert inbox.shops_with_mail(db, "bulk") == {}
        assert inbox.next_due(db, shops[0]) == {}


def test_what_waits_is_counted_by_lane_and_by_feed(database, put):
    put(arrival("a"), arrival("b", lane="bulk"), arrival("c", feed="customers"), arrival("d", dead_because="x"))

    with database.connect() as db:
        assert {lane: count for lane, (count, _) in inbox.lane_figures(db).items()} == {"live": 2, "bulk": 1}
        assert inbox.count_waiting(db, SHOP, "products") == 2
        assert inbox.count_waiting(db, SHOP, "customers") == 1


def test_a_replay_reopens_what_is_closed_and_says_how_many(database, put):
    applied, dead, waiting = put(arrival("a"), arrival("b", dead_because="x"), arrival("c"))
    with database.begin() as db:
        inbox.close(db, {applied: Verdict(Outcome.APPLIED)})

        assert inbox.forecast(db, Filter(shop=SHOP)) == {"applied": 1, "dead": 1}
        assert inbox.reopen(db, Filter(shop=SHOP)) == 2
        assert inbox.reopen(db, Filter(shop=SHOP)) == 0

    for delivery in (applied, dead):
        found = row(database, delivery)
        assert (found["state"], found["outcome"], found["reason"], found["lane"]) == ("waiting", None, None, "bulk")
    assert row(database, waiting)["lane"] == "live"


def test_what_has_no_resource_cannot_be_replayed(database, put):
    put(arrival("a", resource_id=None, dead_because="no id", body=None))

    with database.begin() as db:
        assert inbox.forecast(db, Filter()) == {}
        assert inbox.reopen(db, Filter()) == 0
        assert inbox.count_dead(db, Filter()) == 1


def test_dismissing_touches_the_dead_alone(database, put):
    dead, waiting = put(arrival("a", dead_because="x"), arrival("b"))

    with database.begin() as db:
        assert inbox.dismiss(db, Filter(), "known") == 1

    assert (row(database, dead)["outcome"], row(database, dead)["reason"]) == ("filtered", "dismissed: known")
    assert row(database, waiting)["outcome"] is None


@pytest.mark.parametrize(
    ("chosen", "found"),
    [
        (Filter(), ["c", "b", "a"]),
        (Filter(shop=OTHER), ["c"]),
        (Filter(topic="products/delete"), ["b"]),
        (Filter(outcome="dead"), ["b"]),
        (Filter(outcome="waiting"), ["c", "a"]),
        (Filter(outcome="applied"), []),
        (Filter(error="NO ID"), ["b"]),
        (Filter(error="_"), []),
        (Filter(error="%"), []),
        (Filter(resource=7), ["c"]),
        (Filter(resource=2**63), []),
        (Filter(since=NOW), ["c", "b"]),
        (Filter(until=NOW), ["a"]),
        (Filter(shop="' OR true --"), []),
        (Filter(shop=SHOP, outcome="waiting", until=NOW), ["a"]),
    ],
)
def test_every_filter_chooses(database, put, chosen, found):
    put(
        replace(arrival("a"), received_at=NOW - timedelta(seconds=1)),
        arrival("b", topic="products/delete", dead_because="there is no id"),
        arrival("c", shop=OTHER, resource_id=7),
    )

    with database.connect() as db:
        assert [one["webhook_id"] for one in inbox.select(db, chosen)] == found


def test_a_delivery_in_json_holds_what_the_contract_names_and_no_body(database, put):
    put(arrival("a"))

    with database.connect() as db:
        (shown,) = inbox.select(db, Filter())

    named = "id shop topic feed resource_id webhook_id source lane state outcome reason attempts triggered_at"
    assert {*named.split(), "received_at", "closed_at"} <= set(shown)
    assert "body" not in shown
