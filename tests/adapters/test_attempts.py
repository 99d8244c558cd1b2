"""What each attempt said stays beside its delivery, and so does how it had closed before it was opened again."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from adapters import attempts, code_version, inbox
from adapters.inbox import Arrival, Filter
from domain.deliveries import Identity, Outcome, Verdict
from domain.topics import Unreadable

SHOP = "northwind-trade.myshopify.com"


@pytest.fixture
def put(database):
    """put("a", **changes) → the id of a delivery of that webhook id."""

    def store(webhook_id, **changes):
        now = datetime.now(UTC)
        usual = {"shop": SHOP, "topic": "products/update", "feed": "products", "resource_id": 1, "body": b"{}"}
        with database.begin() as db:
            inbox.store(db, [Arrival(webhook_id=webhook_id, triggered_at=now, received_at=now, **usual | changes)])
            return db.execute(text("SELECT id FROM deliveries WHERE webhook_id = :w"), {"w": webhook_id}).scalar_one()

    return store


def tried(database, delivery):
    with database.connect() as db:
        return attempts.of(db, delivery)


def test_every_failed_attempt_leaves_what_it_said_newest_first(database, put):
    delivery = put("a")

    for sentence in ("the shop is away", "the shop is slow"):
        with database.begin() as db:
            inbox.postpone(db, {delivery: 2.0}, sentence, counts=True, error="ShopUnreachable")
    with database.begin() as db:
        inbox.close(db, {delivery: Verdict(Outcome.DEAD, "could not be applied: KeyError at workers/turns.py:1")})

    found = tried(database, delivery)
    assert [(one["n"], one["error_class"], one["outcome"]) for one in found] == [
        (3, "KeyError", None),
        (2, "ShopUnreachable", None),
        (1, "ShopUnreachable", None),
    ]
    assert [one["sentence"] for one in found][1:] == ["the shop is slow", "the shop is away"]
    assert all(one["worker"] and one["version"] == code_version.code_version() for one in found)


def test_a_mere_wait_and_a_success_leave_nothing(database, put):
    delivery = put("a")

    with database.begin() as db:
        inbox.postpone(db, {delivery: 2.0}, "Shopify asks for a pause", counts=False)
        inbox.close(db, {delivery: Verdict(Outcome.APPLIED)})

    assert tried(database, delivery) == []


def test_who_comes_too_late_to_close_a_delivery_leaves_nothing(database, put):
    delivery = put("a")
    with database.begin() as db:
        inbox.close(db, {delivery: Verdict(Outcome.APPLIED)})

    with database.begin() as db:
        inbox.close(db, {delivery: Verdict(Outcome.DEAD, "too late")})

    assert tried(database, delivery) == []


def test_only_the_latest_are_kept(database, put):
    often, once = put("a"), put("b")
    with database.begin() as db:
        inbox.postpone(db, {once: 2.0}, "away", counts=True)

    for _ in range(attempts.KEPT + 15):
        with database.begin() as db:
            inbox.postpone(db, {often: 2.0}, "away", counts=True)

    assert [one["n"] for one in tried(database, often)] == list(range(attempts.KEPT + 15, 15, -1))
    assert len(tried(database, once)) == 1


def test_a_delivery_that_dies_at_every_replay_keeps_no_more_than_others(database, put):
    delivery = put("a")

    for _ in range(attempts.KEPT):
        with database.begin() as db:
            inbox.close(db, {delivery: Verdict(Outcome.DEAD, "still")})
        with database.begin() as db:
            inbox.reopen(db, Filter(id=delivery))

    assert len(tried(database, delivery)) <= attempts.KEPT + 2


def test_a_replay_keeps_the_outcome_that_it_opens(database, put):
    delivery = put("a")
    with database.begin() as db:
        inbox.close(db, {delivery: Verdict(Outcome.DEAD, "the body is not a product")})

    with database.begin() as db:
        inbox.reopen(db, Filter(id=delivery), replay=7)

    was, failed = tried(database, delivery)
    with database.connect() as db:
        (row,) = inbox.select(db, Filter(replay=7))
    assert (was["outcome"], was["sentence"]) == ("dead", "the body is not a product")
    assert (failed["outcome"], failed["n"]) == (None, 1)
    assert (row["id"], row["state"], row["outcome"]) == (delivery, "waiting", None)


def test_what_was_applied_and_is_opened_again_says_so_too(database, put):
    delivery = put("a")
    with database.begin() as db:
        inbox.close(db, {delivery: Verdict(Outcome.APPLIED)})

    with database.begin() as db:
        inbox.reopen(db, Filter(id=delivery))

    assert [(one["outcome"], one["sentence"]) for one in tried(database, delivery)] == [("applied", "applied")]


def test_dismissing_keeps_what_killed_it(database, put):
    delivery = put("a", resource_id=None, dead_because="the product id is no number")

    with database.begin() as db:
        inbox.dismiss(db, Filter(), "a test shop")

    assert [(one["outcome"], one["sentence"]) for one in tried(database, delivery)] == [
        ("dead", "the product id is no number")
    ]


# -- dead for want of an id


def read_word(topic, raw, received_at):
    """Today's rules: they know what `one` is."""
    if raw != b"one":
        raise Unreadable("the product id is no number")
    return Identity(1, received_at)


def test_an_id_that_can_be_read_today_makes_a_delivery_one_that_can_be_reopened(database, put):
    one = put("a", resource_id=None, body=b"one", dead_because="the product id is no number")
    put("b", resource_id=None, body=b"two", dead_because="the product id is no number")

    with database.begin() as db:
        could = inbox.count_identifiable(db, Filter(), read_word)
        before = inbox.reopen(db, Filter())
        identified = inbox.identify(db, Filter(outcome="dead"), read_word)
        reopened = inbox.reopen(db, Filter(outcome="dead"))
        (waiting,) = inbox.select(db, Filter(outcome="waiting"), details=True)

    assert (could, before, identified, reopened) == (1, 0, 1, 1)
    assert (waiting["id"], waiting["resource_id"]) == (one, 1)
    assert abs(waiting["changed_at"] - waiting["received_at"]) < timedelta(seconds=1)


def test_more_than_one_page_of_bodies_is_read(database, put):
    for n in range(45):
        put(f"webhook-{n}", resource_id=None, body=b"one" if n % 2 else b"two", dead_because="no id")

    with database.begin() as db:
        assert inbox.identify(db, Filter(), read_word) == 22


def test_what_has_neither_id_nor_body_is_beyond_replay(database, put):
    customer = put("a", topic="customers/update", feed="customers", resource_id=None, body=None, dead_because="no id")
    put("b", resource_id=None, body=b"two", dead_because="no id")
    put("c", dead_because="dead with an id")
    put("d")

    with database.connect() as db:
        assert inbox.count_beyond_replay(db, Filter()) == 1
        assert inbox.count_beyond_replay(db, Filter(id=customer)) == 1


# -- the code's version


@pytest.mark.parametrize(
    "files",
    [
        {"HEAD": "ref: refs/heads/main\n", "refs/heads/main": "0123456789abcdef\n"},
        {"HEAD": "0123456789abcdef\n"},
        {"HEAD": "ref: refs/heads/main\n", "packed-refs": "# pack-refs\n0123456789abcdef refs/heads/main\n"},
    ],
)
def test_a_checkout_says_its_commit(tmp_path, files):
    for name, content in files.items():
        file = tmp_path / ".git" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)

    assert code_version.code_version(tmp_path) == "0123456789ab"


def test_without_a_checkout_the_projects_version_is_said(tmp_path):
    (tmp_path / "pyproject.toml").write_text('[project]\nversion = "1.2.3"\n')

    assert code_version.code_version(tmp_path) == "1.2.3"
