"""The first page, each feed's status, Refresh and the runs, as a merchant sees them."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import event, text

from adapters import activity, issue_log, runs
from domain.issues import Issue

SHOP = "northwind-trade.myshopify.com"
OTHER = "contoso-outdoor.myshopify.com"


@pytest.fixture
def office(app, install):
    for shop in (SHOP, OTHER):
        install(shop)
        with app.extensions["office"].db.begin() as db:
            runs.open_feeds(db, shop)
    return app.extensions["office"]


@pytest.fixture
def ask(office):
    """ask(statement, **values) changes what the pages will find."""

    def execute(statement, **values):
        with office.db.begin() as db:
            return db.execute(text(statement), {"shop": SHOP} | values)

    return execute


@pytest.fixture
def visit(app, office, session_token):
    """visit(path, method) → the answer to somebody of the shop."""

    def send(path, method="GET", shop=SHOP):
        headers = {"Authorization": f"Bearer {session_token(shop)}", "Accept": "text/html"}
        return app.test_client().open(path, method=method, headers=headers)

    return send


@pytest.fixture
def imported(ask, door, product, take_turns):
    """Both feeds were read just now, and there is one product."""
    door.post(product())
    take_turns(SHOP)
    ask("UPDATE feeds SET last_import_at = now(), last_complete_at = now(), expected = 1, next_run_at = now() + '1 h'")


def words(page):
    """What is read, without the marks."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))


# -- the status box


@pytest.mark.parametrize("path", ["/", "/products"])
def test_before_the_first_import_it_is_amber_and_looks_again_by_itself(visit, path):
    page = visit(path).text
    assert "Amber: no data" in page
    assert "The first import has not finished yet." in page
    assert " data-live>" in page


@pytest.mark.parametrize("path", ["/", "/products"])
def test_without_errors_it_is_green_and_rests(visit, imported, ask, path):
    ask("DELETE FROM deliveries")
    ask("UPDATE feeds SET checked = 0")
    page = visit(path).text
    assert '<span class="icon" aria-hidden="true">✓</span>Green: synchronising' in page
    assert " data-live" not in page


@pytest.mark.parametrize("path", ["/", "/products"])
def test_with_errors_it_is_amber_with_their_number(visit, imported, office, path):
    with office.db.begin() as db:
        issue_log.replace_of_records(db, SHOP, "products", {7356521840875: [Issue("SKU_MISSING", "variants[1].sku")]})
    page = visit(path).text
    assert "Amber: issues found" in page
    assert "Products are synchronising, but 1 issue needs your attention." in page


def test_a_shop_without_access_is_told_to_reconnect_on_every_page(app, session_token, imported, ask):
    browser = app.test_client()
    assert browser.get(f"/?id_token={session_token()}").status_code == 200  # from now on a cookie speaks
    ask("UPDATE shops SET state = 'needs_auth' WHERE domain = :shop")
    for path in ("/", "/products", "/customers/issues", "/settings"):
        page = browser.get(path).text
        assert "Shopify no longer lets the app in." in page
        assert f'href="/auth/start?shop={SHOP}" target="_top">Reconnect</a>' in page


def test_the_numbers_and_times_of_a_feed_are_there_and_whole(visit, imported, ask):
    ask("UPDATE feeds SET expected = 1234567 WHERE feed = 'products' AND shop = :shop")
    page = words(visit("/products").text)
    assert "Products synchronised 1 " in page
    assert "In your store 1,234,567" in page
    assert "1,234,566 still to come" in page
    assert re.search(r"Last import Today at \d\d:\d\d Last complete run Today at \d\d:\d\d Next run", page)


def test_times_are_the_shops_with_the_exact_one_on_hover(visit, imported, ask):
    ask("UPDATE shops SET time_zone = 'Pacific/Kiritimati' WHERE domain = :shop")  # 14 hours ahead of UTC
    moment = datetime(2026, 1, 31, 12, 30, 5, tzinfo=UTC)
    ask("UPDATE feeds SET last_complete_at = :moment", moment=moment)
    page = visit("/products").text
    told = re.search(r'<time datetime="2026-01-31T12:30:05Z" title="([^"]+)">([^<]+)</time>', page)
    assert told[1] == "2026-02-01 02:30:05 +14 (2026-01-31 12:30:05 UTC)"
    assert re.fullmatch(r"1 Feb( 2026)? at 02:30", told[2])


# -- Refresh and its progress


@pytest.mark.parametrize("path", ["/", "/products"])
def test_a_run_that_is_going_shows_its_rows_and_how_long_it_has_to_go(visit, imported, ask, path):
    visit("/products/refresh", "POST")
    ask("UPDATE runs SET seen = 12345, expected = 49380, started_at = now() - interval '20 minutes'")
    page = visit(path).text
    assert "12,345 of 49,380 read" in words(page)
    assert "about 60 min to go" in page
    assert '<progress aria-label="Progress of run 1" max="1" value="0.25">' in page
    assert " data-live" in page


def test_refresh_says_that_it_started_and_again_that_it_is_going(visit, imported):
    first = visit("/products/refresh", "POST")
    second = visit("/products/refresh", "POST")
    assert (first.status_code, second.status_code) == (303, 303)
    assert "Refresh started." in visit(first.headers["Location"]).text
    page = visit(second.headers["Location"]).text
    assert "A run is going already." in page
    assert "Run 1 was not started a second time" in page


def test_a_run_shows_what_it_found_and_another_shops_is_unknown(visit, imported, ask):
    visit("/products/refresh", "POST")
    ask("UPDATE runs SET state = 'finished', finished_at = now(), seen = 4321, created = 21, changed = 300")
    page = words(visit("/products/runs/1").text)
    assert "Finished" in page
    assert "Read 4,321 Created 21 Changed 300" in page
    assert "Started by Refresh (user 42)" in page
    assert visit("/products/runs/1", shop=OTHER).status_code == 404
    assert visit("/customers/runs/1").status_code == 404


def test_a_run_that_repaired_very_much_says_that_there_is_more(visit, imported, ask):
    visit("/products/refresh", "POST")
    ask("""INSERT INTO gaps (shop, feed, resource_id, cause, run)
           SELECT :shop, 'products', n, 'no_webhook', 1 FROM generate_series(1, 201) n""")
    page = visit("/products/runs/1").text
    assert page.count("Shopify sends no webhook for such a change") == 200
    assert "The latest 200; there are more." in page


# -- the day in a sentence


def test_a_feeds_page_tells_of_its_own_day_and_the_first_page_of_both(visit, imported, office, ask):
    ask(
        """INSERT INTO gaps (shop, feed, resource_id, cause, changed_at, run)
           VALUES (:shop, 'customers', 7, 'no_webhook', NULL, 1), (:shop, 'customers', 8, 'no_webhook', NULL, 1),
                  (:other, 'products', 9, 'never_delivered', NULL, 1)""",
        other=OTHER,
    )
    with office.db.begin() as db:
        activity.roll_up(db)
    all_told = "Shopify made 3 changes that we know of; every webhook arrived; for 2 of them Shopify sends none."
    assert all_told in visit("/").text
    for path in ("/products", "/products/activity"):
        assert "Shopify made 1 change to products that we know of; every webhook arrived." in visit(path).text
    assert "Shopify made 2 changes to customers that we know of" in visit("/customers").text


# -- what the first page costs


def test_the_first_page_asks_little_and_walks_through_neither_inbox_nor_gaps(visit, imported, office, ask):
    ask("""INSERT INTO gaps (shop, feed, resource_id, cause, changed_at, run)
           SELECT :shop, 'products', n, 'never_delivered', now(), 1 FROM generate_series(1, 500) n""")
    asked, rows = [], []

    def note(_connection, cursor, statement, *_):
        asked.append(statement)
        rows.append(cursor.rowcount)

    event.listen(office.db, "after_cursor_execute", note)
    try:
        assert visit("/").status_code == 200
    finally:
        event.remove(office.db, "after_cursor_execute", note)
    assert len([statement for statement in asked if "enter_shop" not in statement]) <= 14
    assert max(rows) < 10
    of_inbox = [statement for statement in asked if "FROM deliveries" in statement and "FROM gaps" not in statement]
    assert all("state = 'waiting'" in statement for statement in of_inbox)


@pytest.mark.parametrize(("table", "index"), [("products", "products_live"), ("customers", "customers_members")])
def test_records_are_counted_in_an_index_alone(ask, office, table, index):
    where = {"products": "removed_at IS NULL AND core IS NOT NULL", "customers": "state = 'member'"}[table]
    ask("""INSERT INTO products (shop, id, core, core_at, core_seen)
           SELECT :shop, n, jsonb_build_object('title', n), now(), now() FROM generate_series(1, 3000) n""")
    with office.db.begin() as db:
        db.execute(text("ANALYZE products"))
        db.execute(text("SET LOCAL enable_seqscan = off"))
        db.execute(text("SET LOCAL enable_bitmapscan = off"))
        plan = db.execute(text(f"EXPLAIN SELECT count(*) FROM {table} WHERE shop = :s AND {where}"), {"s": SHOP})
        assert f"Index Only Scan using {index}" in "\n".join(plan.scalars())


def test_an_hour_ago_counts_into_the_day_and_two_days_ago_does_not(office, ask):
    now = datetime.now(UTC)
    for back, arrived in ((timedelta(hours=1), 5), (timedelta(hours=49), 700)):
        ask(
            "INSERT INTO activity (shop, feed, hour, arrived) VALUES (:shop, 'products', :hour, :n)",
            hour=(now - back).replace(minute=0, second=0, microsecond=0),
            n=arrived,
        )
    with office.db.connect() as db:
        assert activity.arrived(db, SHOP, now - timedelta(days=1)) == 5
        assert activity.arrived(db, SHOP, now - timedelta(days=1), "customers") == 0
        assert activity.arrived(db, OTHER, now - timedelta(days=1)) == 0
