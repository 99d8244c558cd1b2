"""A scrape reads what a clock has counted, and itself counts no more than a thousand."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import text

from adapters import shops, stock
from adapters.budget import smallest_share

SHOP = "northwind-trade.myshopify.com"
LIVE = ("live",)


@pytest.fixture
def fill(database):
    """fill(n, **columns): so many deliveries, received an hour ago."""

    def insert(count, lane="live", state="waiting", outcome=None, fingerprint=None):
        with database.begin() as db:
            db.execute(
                text("""
                    INSERT INTO deliveries (shop, webhook_id, topic, feed, resource_id, source, lane, triggered_at,
                                            received_at, state, outcome, closed_at, fingerprint)
                    SELECT :shop, gen_random_uuid()::text, 'products/update', 'products', n, 'webhook', :lane, now(),
                           now() - interval '1 hour', :state, :outcome,
                           CASE WHEN :state = 'closed' THEN now() END, :fingerprint
                    FROM generate_series(1, :count) AS n
                """),
                {
                    "shop": SHOP,
                    "count": count,
                    "lane": lane,
                    "state": state,
                    "outcome": outcome,
                    "fingerprint": fingerprint,
                },
            )

    return insert


def now_of(database):
    with database.connect() as db:
        return stock.with_what_waits_now(db, stock.read(db)[0])


def test_what_waits_is_exact_at_once_while_it_is_little(database, fill):
    assert now_of(database)[stock.WAITING.name, LIVE] == 0

    fill(3)

    levels = now_of(database)
    assert levels[stock.WAITING.name, LIVE] == 3
    assert levels[stock.WAITING.name, ("bulk",)] == 0
    assert 3_599 < levels[stock.OLDEST.name, LIVE] < 3_700


def test_a_stock_that_was_taken_before_does_not_outlive_what_waited(database, fill):
    with database.begin() as db:
        stock.write(db, [stock.WAITING.name], {(stock.WAITING.name, LIVE): 40.0})

    assert now_of(database)[stock.WAITING.name, LIVE] == 0


def test_of_many_the_stock_knows_how_many_and_a_scrape_reads_a_thousand(database, fill):
    fill(stock.MOST_COUNTED + 500)
    with database.begin() as db:
        stock.write(db, [stock.WAITING.name], {(stock.WAITING.name, LIVE): 1_490.0})
        db.execute(text("ANALYZE deliveries"))

    assert now_of(database)[stock.WAITING.name, LIVE] == 1_490
    with database.connect() as db:
        plan = db.execute(
            text(f"EXPLAIN (ANALYZE, FORMAT JSON) {stock._WAITING_NOW.text}"), {"most": stock.MOST_COUNTED}
        ).scalar_one()
    assert sum(rows_read(plan[0]["Plan"], "deliveries")) <= 2 * stock.MOST_COUNTED


def rows_read(node, table):
    if node.get("Relation Name") == table:
        yield node["Actual Rows"] * node["Actual Loops"] + node.get("Rows Removed by Filter", 0)
    for inner in node.get("Plans", ()):
        yield from rows_read(inner, table)


def test_the_dead_are_counted_by_what_was_decided_about_their_failure(database, fill):
    with database.begin() as db:
        db.execute(
            text("""INSERT INTO failures (fingerprint, topic, sentence, state, snoozed_until) VALUES
                    ('ignored', 't', 's', 'ignored', NULL),
                    ('asleep', 't', 's', 'snoozed', now() + interval '1 hour'),
                    ('awake', 't', 's', 'snoozed', now() - interval '1 second')""")
        )
    fill(2, state="closed", outcome="dead")
    fill(3, state="closed", outcome="dead", fingerprint="ignored")
    fill(4, state="closed", outcome="dead", fingerprint="asleep")
    fill(5, state="closed", outcome="dead", fingerprint="awake")
    fill(6, state="closed", outcome="applied")

    with database.connect() as db:
        levels = stock.of_inbox(db)

    dead = {labels[0]: n for (name, labels), n in levels.items() if name == stock.DEAD.name}
    assert dead == {"open": 7, "ignored": 3, "snoozed": 4}


def test_writing_replaces_all_of_a_name_and_nothing_of_another(database):
    def write(levels):
        with database.begin() as db:
            stock.write(db, ["a"], levels)

    with database.begin() as db:
        stock.write(db, ["b"], {("b", ()): 1.0})
    write({("a", ("x", "y")): 1.0, ("a", ("é", "with, comma")): 2.0})
    write({("a", ("é", "with, comma")): 3.0})

    with database.connect() as db:
        levels, age = stock.read(db)
    assert levels == {("a", ("é", "with, comma")): 3.0, ("b", ()): 1.0}
    assert 0 <= age < 60


def test_before_the_first_taking_there_is_no_age(database):
    with database.connect() as db:
        assert stock.read(db) == ({}, None)


def test_shops_are_counted_with_their_tokens_findings_gaps_and_held_runs(database, workshop):
    with database.begin() as db:
        shops.add(db, workshop.vault, SHOP, "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")
        for statement in (
            """UPDATE shops SET token_expires_at = now() + interval '1 hour',
                                refresh_expires_at = now() + interval '90 days'""",
            """INSERT INTO issues (shop, feed, resource_id, code, path, scope, severity)
               VALUES (:s, 'products', 0, 'WEBHOOKS_SILENT', '', 'record', 'warning'),
                      (:s, 'customers', 0, 'WEBHOOKS_SILENT', '', 'record', 'warning'),
                      (:s, 'products', 7, 'SKU_MISSING', '', 'record', 'error')""",
            """INSERT INTO gaps (shop, feed, resource_id, cause, run, repaired_at)
               VALUES (:s, 'products', 1, 'late', 1, now()),
                      (:s, 'products', 2, 'late', 1, now() - interval '2 hours')""",
            "INSERT INTO feeds (shop, feed) VALUES (:s, 'products'), (:s, 'customers')",
            """INSERT INTO runs (shop, feed, trigger, complete, state)
               VALUES (:s, 'products', 'schedule', true, 'held'), (:s, 'customers', 'schedule', true, 'finished')""",
        ):
            db.execute(text(statement), {"s": SHOP})
        levels = stock.of_shops(db)

    assert levels[stock.SHOPS.name, ("active",)] == 1
    assert levels[stock.SHOPS.name, ("needs_auth",)] == 0
    assert 3_500 < levels[stock.TOKENS.name, ("access",)] <= 3_600
    assert levels[stock.FINDINGS.name, ("WEBHOOKS_SILENT",)] == 1
    assert (stock.FINDINGS.name, ("SKU_MISSING",)) not in levels
    assert levels[stock.GAPS.name, ("products", "late")] == 1
    assert levels[stock.HELD.name, ()] == 1


def test_the_shop_with_the_fewest_points_left_counts(redis):
    now = datetime.now(UTC).timestamp()
    for shop, available in (("a", 900), ("b", 100)):
        redis.hset(f"budget:{shop}", mapping={"available": available, "maximum": 1_000, "rate": 0.001, "at": now})

    assert smallest_share(redis) == pytest.approx(0.1, abs=0.01)


def test_without_a_shop_there_is_no_share(redis):
    assert smallest_share(redis) is None
