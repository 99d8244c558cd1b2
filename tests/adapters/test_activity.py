from datetime import UTC, datetime, timedelta
from itertools import count
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import text

from adapters import activity
from domain.activity import Within, percentile

SHOP = "northwind-trade.myshopify.com"
OTHER = "contoso-outdoor.myshopify.com"
HOUR = timedelta(hours=1)
THIS_HOUR = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
EARLIER = THIS_HOUR - 5 * HOUR


@pytest.fixture
def db(database):
    with database.begin() as connection:
        for shop in (SHOP, OTHER):
            connection.execute(text("INSERT INTO shops (domain, state) VALUES (:shop, 'active')"), {"shop": shop})
        yield connection


@pytest.fixture
def happened(db):
    """happened(at, outcome) → the delivery's id. What a test is not about is ordinary."""
    numbers = count(1)

    def insert(at, outcome=None, *, took=1.0, **changes):
        values = {
            "shop": SHOP,
            "webhook_id": f"webhook-{next(numbers)}",
            "topic": "products/update",
            "feed": "products",
            "source": "webhook",
            "lane": "live",
            "state": "closed" if outcome else "waiting",
            "outcome": outcome,
            "triggered_at": at,
            "received_at": at,
            "closed_at": at + timedelta(seconds=took) if outcome else None,
        } | changes
        names, places = ", ".join(values), ", ".join(f":{name}" for name in values)
        return db.execute(text(f"INSERT INTO deliveries ({names}) VALUES ({places}) RETURNING id"), values).scalar_one()

    return insert


@pytest.fixture
def repaired(db):
    """repaired(at, after): a run repaired a change that Shopify had made so long before."""

    def insert(at, after=None, cause="never_delivered"):
        db.execute(
            text("""INSERT INTO gaps (shop, feed, resource_id, cause, changed_at, repaired_at, run)
                    VALUES (:shop, 'products', 7, :cause, :changed, :at, 1)"""),
            {"shop": SHOP, "at": at, "changed": at - after if after else None, "cause": cause},
        )

    return insert


@pytest.fixture
def counted(db):
    """counted() → the hours of the feed in which something happened, after the duty was done."""

    def roll_up(feed="products", shop=SHOP):
        activity.roll_up(db)
        found = activity.of_feed(db, shop, feed, THIS_HOUR - 24 * HOUR, "hour")
        return {
            hour.start: (hour.arrived, hour.applied, hour.filtered, hour.dead, hour.repaired)
            for hour in found
            if any((hour.arrived, hour.applied, hour.filtered, hour.dead, hour.repaired))
        }

    return roll_up


def freshness(db):
    return activity.of_feed(db, SHOP, "products", EARLIER, "hour")[0].freshness


def test_each_outcome_is_counted_in_its_hour(happened, counted):
    for outcome in ("applied", "applied", "deleted", "filtered", "dead", "unchanged", "superseded", None):
        happened(EARLIER, outcome)

    assert counted() == {EARLIER: (8, 3, 1, 1, 0)}


def test_what_arrived_in_one_hour_and_was_decided_in_another_is_counted_in_both(happened, counted):
    happened(EARLIER + 0.9 * HOUR, "applied", took=1800)

    assert counted() == {EARLIER: (1, 0, 0, 0, 0), EARLIER + HOUR: (0, 1, 0, 0, 0)}


def test_only_webhooks_arrive(happened, counted):
    happened(EARLIER, "applied", source="run", lane="bulk")
    happened(EARLIER, "applied", source="fetch", lane="bulk")
    happened(EARLIER, "filtered", feed=None, topic="app/uninstalled")

    assert counted() == {}


def test_each_feed_and_each_shop_has_its_own(happened, counted):
    happened(EARLIER, "applied")
    happened(EARLIER, "filtered", feed="customers")
    happened(EARLIER, "dead", shop=OTHER)

    assert counted() == {EARLIER: (1, 1, 0, 0, 0)}
    assert counted("customers") == {EARLIER: (1, 0, 1, 0, 0)}
    assert counted(shop=OTHER) == {EARLIER: (1, 0, 0, 1, 0)}


def test_the_mail_of_a_shop_that_nobody_knows_is_no_trouble(happened, counted):
    happened(EARLIER, "filtered", shop="stranger.myshopify.com")
    happened(EARLIER, "applied")

    assert counted() == {EARLIER: (1, 1, 0, 0, 0)}


def test_repairs_by_runs_are_counted(repaired, counted):
    repaired(EARLIER + HOUR / 2, after=timedelta(minutes=4))
    repaired(EARLIER + HOUR / 2, cause="no_webhook")

    assert counted() == {EARLIER: (0, 0, 0, 0, 2)}


def test_doing_it_again_changes_nothing(happened, repaired, counted):
    happened(EARLIER, "applied")
    happened(THIS_HOUR, "applied")
    repaired(THIS_HOUR)

    assert counted() == counted() == counted()


def test_the_present_hour_goes_on_counting(happened, counted):
    happened(THIS_HOUR, "applied")
    assert counted()[THIS_HOUR] == (1, 1, 0, 0, 0)

    happened(THIS_HOUR + timedelta(seconds=2), "filtered")
    assert counted()[THIS_HOUR] == (2, 1, 1, 0, 0)


def test_what_waited_long_is_counted_when_it_is_decided(db, happened, counted):
    waiting = happened(EARLIER)
    assert counted() == {EARLIER: (1, 0, 0, 0, 0)}

    happened(THIS_HOUR, "applied")
    counted()  # the earlier hour is counted for good by now, and its deliveries are not read again
    db.execute(
        text("UPDATE deliveries SET state = 'closed', outcome = 'applied', closed_at = now() WHERE id = :id"),
        {"id": waiting},
    )

    assert counted()[EARLIER] == (1, 0, 0, 0, 0)
    assert sum(hour[1] for hour in counted().values()) == 2


def test_an_hour_keeps_its_counts_when_its_deliveries_are_replayed_or_gone(db, happened, counted):
    happened(EARLIER, "dead")
    happened(EARLIER, "applied")
    happened(THIS_HOUR, "applied")
    before = counted()

    db.execute(text("DELETE FROM deliveries WHERE outcome = 'applied' AND received_at < :hour"), {"hour": THIS_HOUR})
    db.execute(text("UPDATE deliveries SET state = 'waiting', outcome = NULL, closed_at = NULL WHERE outcome = 'dead'"))

    assert counted() == before


def test_a_clock_that_stood_still_catches_up(db, happened, counted):
    happened(EARLIER, "applied")
    counted()
    db.execute(text("UPDATE activity_counted SET hour = :hour"), {"hour": EARLIER})
    happened(EARLIER + 2 * HOUR, "applied")

    assert counted() == {EARLIER: (1, 1, 0, 0, 0), EARLIER + 2 * HOUR: (1, 1, 0, 0, 0)}


def test_freshness_runs_from_shopifys_change_to_the_mirror(db, happened, counted):
    happened(EARLIER, "applied", took=3, changed_at=EARLIER - timedelta(seconds=30))
    happened(EARLIER, "applied", took=3, changed_at=None)
    happened(EARLIER, "deleted", took=3)
    happened(EARLIER, "unchanged", took=3)
    happened(EARLIER, "applied", took=3, changed_at=EARLIER + HOUR)  # a clock ahead of ours
    counted()

    assert sum(freshness(db)) == 4
    assert percentile(freshness(db), 0.5) == Within(2.0, 5.0)
    assert percentile(freshness(db), 0.99) == Within(30.0, 60.0)
    assert freshness(db)[0] == 1


def test_what_a_run_had_to_find_counts_as_late_as_it_was(db, happened, repaired, counted):
    happened(EARLIER, "applied", took=0.01)
    repaired(EARLIER + HOUR / 2, after=timedelta(minutes=7))
    repaired(EARLIER + HOUR / 2, cause="no_webhook")  # Shopify does not say when that changed
    counted()

    assert sum(freshness(db)) == 2
    assert percentile(freshness(db), 0.99) == Within(300.0, 600.0)


def test_a_replay_says_nothing_of_freshness(db, happened, counted):
    happened(EARLIER, "applied", lane="bulk", triggered_at=EARLIER - 48 * HOUR)
    counted()

    assert sum(freshness(db)) == 0


def test_days_are_those_of_the_shop(db, happened, counted):
    tokyo = ZoneInfo("Asia/Tokyo")
    midnight = datetime.now(tokyo).replace(hour=0, minute=0, second=0, microsecond=0)
    happened(midnight - timedelta(minutes=10), "applied")
    happened(midnight - 20 * HOUR, "applied")
    activity.roll_up(db)

    days = activity.of_feed(db, SHOP, "products", datetime.now(UTC) - timedelta(days=29), "day", tokyo)

    assert len(days) == 30
    assert [day.applied for day in days[-2:]] == [2, 0]
