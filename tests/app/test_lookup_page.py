"""What a merchant sees of a record, and what they can do with it."""

import re
from datetime import UTC, datetime
from html import unescape
from urllib.parse import quote, urlsplit

import orjson
import pytest
from sqlalchemy import text
from structlog.testing import capture_logs

from adapters import inbox, shops
from adapters.inbox import Arrival

SHOP = "northwind-trade.myshopify.com"
OTHER = "contoso-outdoor.myshopify.com"
TOKEN = "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"
SECRET_WORD = "very-secret-word"
NASTY = "<script>alert(1)</script><img src=x onerror=alert(1)>\"'&"


@pytest.fixture
def visit(app, session_token):
    """visit(path, shop) → the answer to somebody in the shop's admin."""

    def go(path, shop=SHOP, method="GET", **more):
        headers = {"Authorization": f"Bearer {session_token(shop)}", "Accept": "text/html"}
        return app.test_client().open(path, method=method, headers=headers, **more)

    return go


@pytest.fixture
def see(visit):
    """see(path) → the words on the page, without its tags."""

    def read(path, shop=SHOP, status=200):
        answer = visit(path, shop)
        assert (answer.status_code, answer.mimetype) == (status, "text/html"), answer.text
        return words_of(answer.text)

    return read


def words_of(html):
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", html)))


@pytest.fixture
def store(devstore, install):
    """The pretend Shopify's side of the shop, empty, with the app installed."""
    install()
    devstore.open_shop(SHOP, token=TOKEN, products=0, customers=0)
    devstore.settings(SHOP, index_lag=0)
    return devstore


@pytest.fixture
def turn(take_turns, devstore):
    """turn() → what waits is served, Shopify being the pretend one."""
    return lambda: take_turns(SHOPIFY_ADMIN_ORIGIN=devstore.url + "/{shop}")


@pytest.fixture
def make_product(store, turn, database):
    """make_product(**fields) → its id; here as Shopify has it, metafields and all."""

    def make(**fields):
        known = {one["id"] for one in store.truth(SHOP)["products"]}
        store.change(SHOP, "create_product", **fields)
        (made,) = {one["id"] for one in store.truth(SHOP)["products"]} - known
        now = datetime.now(UTC)
        with database.begin() as db:
            inbox.store(
                db, [Arrival(SHOP, f"first-{made}", "product/fetch", "products", made, now, now, source="fetch")]
            )
        turn()
        return made

    return make


@pytest.fixture
def make_customer(store, door, turn):
    """make_customer(**fields) → their id; announced by a webhook and asked about."""

    def make(**fields):
        known = {one["id"] for one in store.truth(SHOP)["customers"]}
        store.change(SHOP, "create_customer", **(JANE | fields))
        (made,) = {one["id"] for one in store.truth(SHOP)["customers"]} - known
        assert door.post({"id": made}, "customers/create").status_code == 200
        turn()
        return made

    return make


JANE = {"first_name": "Jane", "last_name": "Doe", "email": "jane@biller.example", "phone": None, "tags": ["b2b"]}


# -- the box


def test_before_anything_is_typed_the_page_says_what_to_type(install, visit):
    install()

    page = visit("/products/lookup").text

    assert '<label for="q">Look up a product</label>' in page
    assert "autofocus" in page
    assert "ABC-1" in words_of(page)


@pytest.mark.parametrize(("typed", "read_as"), [("ABC-1", "a SKU"), ("tin-mug-1", "a handle"), ("Tin mug", "a title")])
def test_a_single_match_is_shown_in_full_with_how_it_was_read(make_product, see, typed, read_as):
    make_product(title="Tin mug", handle="tin-mug-1", variants=[{"sku": "ABC-1", "barcode": "4006381333931"}])

    words = see(f"/products/lookup?q={quote(typed)}")

    assert f"Read as {read_as}." in words
    for sign in (
        "Tin mug",
        "Status in SparkLayer Live",
        "4006381333931",
        "The record as SparkLayer sees it",
        '"id": "pp_',
    ):
        assert sign in words


def test_several_matches_are_a_list_first(make_product, see, visit):
    first, second = (make_product(title=f"Mug {n}", variants=[{"sku": "TWIN"}]) for n in (1, 2))

    words = see("/products/lookup?q=TWIN")

    assert "2 products match" in words
    assert "as SparkLayer sees it" not in words
    assert all(f"/products/{i}?" in visit("/products/lookup?q=TWIN").text for i in (first, second))


@pytest.mark.parametrize("feed", ["products", "customers"])
def test_what_was_never_seen_says_so_and_leads_on(install, see, visit, feed):
    install()

    page = visit(f"/{feed}/lookup?q=987654321").text

    assert "Never seen" in words_of(page)
    assert "/explain?q=987654321" in unescape(page)


def test_what_cannot_be_read_says_what_to_type(install, see):
    install()

    assert "No id can be read from this." in see("/products/lookup?q=gid%3A%2F%2Fshopify%2FOrder%2F5")


def test_a_customer_who_does_not_belong_is_told_with_the_way_in(make_customer, see):
    near = make_customer(tags=["b2b-vip"])

    words = see(f"/customers/lookup?q={near}")

    assert "Does not belong" in words
    assert "b2b-vip but not b2b" in words
    assert "Once they have the tag b2b, the webhook that follows imports them" in words


# -- a record


def test_issues_metafields_and_history_stand_with_the_record(make_product, see):
    fields = [{"key": "pack_size", "value": "six", "type": "number_integer"}, {"key": "sell", "value": "false"}]
    mug = make_product(title="Tin mug", variants=[{"sku": "ABC-1", "metafields": fields}])

    words = see(f"/products/{mug}")

    assert "pack_size must be a whole number such as 6, but is text." in words
    assert "Cannot be used" in words
    assert "B2B customers cannot buy it" in words
    assert "Somebody asked to read it from Shopify again" in words
    assert "The record was brought up to date." in words


def test_group_and_price_lists_are_told_with_their_reasons(make_customer, see):
    fields = [
        {"key": "group", "value": "gold"},
        {"key": "price_lists", "value": '["25-off","export"]', "type": "json"},
    ]
    jane = make_customer(tags=["b2b", "b2b-vip"], metafields=fields)

    words = see(f"/customers/{jane}")

    assert "Imported because of the tag “b2b”" in words
    assert "Customer group in force gold" in words
    assert "which beats the tag b2b-vip" in words
    assert "Price lists in force 25-off, export" in words


def test_the_run_that_repaired_it_stands_in_its_history(make_product, see, database):
    mug = make_product(title="Tin mug")
    with database.begin() as db:
        run = db.execute(text(ONE_RUN), {"shop": SHOP}).scalar_one()
        repaired = {"shop": SHOP, "id": mug, "run": run}
        db.execute(text("UPDATE deliveries SET source = 'run', run = :run WHERE resource_id = :id"), repaired)
        db.execute(text(ONE_GAP), repaired)

    words = see(f"/products/{mug}")

    assert f"Run {run} found a difference with Shopify; its webhook never arrived" in words


ONE_RUN = "INSERT INTO runs (shop, feed, trigger, complete) VALUES (:shop, 'products', 'schedule', true) RETURNING id"
ONE_GAP = """INSERT INTO gaps (shop, feed, resource_id, cause, run, repaired_at)
             SELECT shop, feed, resource_id, 'never_delivered', run, closed_at FROM deliveries
             WHERE resource_id = :id"""


def test_the_download_is_the_record_of_the_api(make_product, visit):
    mug = make_product(title="Tin mug", variants=[{"sku": "ABC-1"}])

    answer = visit(f"/products/{mug}.json")

    assert answer.headers["Content-Disposition"] == f'attachment; filename="product-{mug}.json"'
    api = orjson.loads(visit("/api/v1/products?q=ABC-1").data)
    assert orjson.loads(answer.data) == api["results"][0]["record"]


@pytest.mark.parametrize("path", ["/products/5", "/customers/5", "/products/5.json", "/products/99999999999999999999"])
def test_a_record_nobody_knows_is_404(install, visit, path):
    install()

    assert visit(path).status_code == 404


def test_another_shops_record_is_as_unknown_as_none(make_product, make_customer, install, visit):
    mug, jane = make_product(title="Only here"), make_customer()
    install(OTHER)

    for path in (f"/products/{mug}", f"/products/{mug}.json", f"/customers/{jane}", f"/customers/{jane}.json"):
        assert visit(path).status_code == 200
        foreign = visit(path, OTHER)
        assert foreign.status_code == 404
        assert "Only here" not in foreign.text
        assert "jane@biller.example" not in foreign.text


# -- what must never be seen


def test_the_login_token_is_masked_wherever_the_record_is_shown(make_customer, make_product, see, visit):
    secret = {"key": "authentication", "value": SECRET_WORD}
    jane = make_customer(metafields=[secret])
    mug = make_product(title="Mug", variants=[{"sku": "ABC-1", "metafields": [secret]}])

    shown = [
        visit(path).text
        for i, feed, q in ((jane, "customers", "jane@biller.example"), (mug, "products", "ABC-1"))
        for path in (f"/{feed}/{i}", f"/{feed}/{i}.json", f"/{feed}/lookup?q={q}", f"/explain?q={i}", f"/explain?q={q}")
    ]
    shown += [visit("/explain", method="POST", data={"q": str(jane)}).text]

    assert not [page for page in shown if SECRET_WORD in page]
    assert "its value is never shown" in see(f"/customers/{jane}")


def test_whatever_is_typed_or_stored_is_only_text(make_product, make_customer, visit):
    fields = [{"key": "stock_location_data", "value": NASTY}, {"key": NASTY[:30], "value": NASTY}]
    mug = make_product(title=NASTY, tags=[NASTY], variants=[{"sku": NASTY, "title": NASTY, "metafields": fields}])
    jane = make_customer(first_name=NASTY, tags=["b2b", NASTY], metafields=[{"key": "group", "value": NASTY}])

    for path in (
        f"/products/{mug}",
        f"/customers/{jane}",
        f"/products/lookup?q={quote(NASTY)}",
        f"/explain?q={quote(NASTY)}",
        f"/explain?q={mug}",
    ):
        page = visit(path).text
        assert "<script>alert" not in page
        assert "<img src=x" not in page


def test_a_lookup_is_logged_without_its_words(make_customer, visit):
    make_customer()

    with capture_logs() as logs:
        visit("/customers/lookup?q=jane%40biller.example")

    (line,) = [line for line in logs if line["event"] == "lookup"]
    told = (line["shop"], line["feed"], line["who"], line["read_as"], line["found"])
    assert told == (SHOP, "customers", "42", "email", 1)
    assert "biller" not in str(logs)


@pytest.mark.parametrize("path", ["/customers/issues?", "/customers/issues.csv?", "/api/v1/issues?feed=customers&"])
def test_whoever_finds_a_customers_issues_by_an_address_is_logged_too(make_customer, visit, path):
    make_customer()

    with capture_logs() as logs:
        visit(f"{path}q=jane%40biller.example")

    lines = [line for line in logs if line["event"] == "lookup"]  # two of a page that names them as well
    assert {(line["feed"], line["who"], line["found"]) for line in lines} == {("customers", "42", 1)}
    assert "biller" not in str(logs)


def test_whoever_asks_the_api_to_explain_is_logged_too(make_customer, visit):
    make_customer()

    with capture_logs() as logs:
        visit("/api/v1/explain?q=jane%40biller.example")

    (line,) = [line for line in logs if line["event"] == "lookup"]
    told = (line["shop"], line["feed"], line["who"], line["read_as"], line["found"])
    assert told == (SHOP, "customers", "42", "email", 1)
    assert "biller" not in str(logs)


# -- resync


def test_a_resync_tells_what_changed_field_by_field(make_product, store, visit, turn):
    mug = make_product(title="Tin mug", variants=[{"sku": "ABC-1"}])
    store.change(SHOP, "edit_product", id=mug, title="Enamel mug")

    asked = visit(f"/products/{mug}/resync", method="POST")
    waiting = visit(asked.location).text
    turn()
    done = visit(asked.location).text

    assert asked.status_code == 303
    assert "data-live" in waiting
    assert "Look again" in waiting
    assert "data-live" not in done
    assert "changed" in words_of(done)
    assert "title Tin mug Enamel mug" in words_of(done)


def test_a_resync_of_the_same_says_that_nothing_had_changed(make_product, visit, turn):
    mug = make_product(title="Tin mug")

    asked = visit(f"/products/{mug}/resync", method="POST")
    turn()

    assert "nothing had changed" in words_of(visit(asked.location).text)


def test_pressed_again_at_once_it_is_asked_for_once(make_product, visit, door):
    mug = make_product(title="Tin mug")

    first, second = (visit(f"/products/{mug}/resync", method="POST") for _ in range(2))

    assert first.location == second.location
    assert len([row for row in door.rows() if row["state"] == "waiting"]) == 1


@pytest.mark.parametrize(("feed", "kind"), [("products", "product"), ("customers", "customer")])
def test_a_resync_of_what_shopify_does_not_have_says_so(store, visit, turn, feed, kind):
    asked = visit(f"/{feed}/987654321/resync", method="POST")
    turn()

    assert f"Shopify does not have this {kind}" in words_of(visit(asked.location).text)


def test_a_customer_who_lost_the_tag_is_told_as_removed(make_customer, store, visit, turn):
    jane = make_customer()
    store.change(SHOP, "untag_customer", id=jane, tags=["b2b"])

    asked = visit(f"/customers/{jane}/resync", method="POST")
    turn()
    words = words_of(visit(asked.location).text)

    assert "the customer does not have the tag b2b" in words
    assert "jane@biller.example" not in words


def test_nothing_of_a_customer_goes_to_redis(make_customer, visit, turn, redis):
    jane = make_customer()
    visit(f"/customers/{jane}/resync", method="POST")

    kept = b"".join(redis.dump(key) or b"" for key in redis.scan_iter())

    assert b"jane@biller.example" not in kept
    assert b"Doe" not in kept


def test_too_many_at_once_are_refused_with_a_page_that_says_so(install, visit):
    install()

    answers = [visit(f"/products/{n}/resync", method="POST") for n in range(1, 62)]

    assert {answer.status_code for answer in answers[:60]} == {303}
    assert answers[60].status_code == 429
    assert "Try again in a minute" in answers[60].text


def test_without_redis_a_resync_is_asked_for_all_the_same(build, database, session_token):
    app = build(REDIS_URL="redis://127.0.0.1:1/0")
    office = app.extensions["office"]
    with office.db.begin() as db:
        shops.add(db, office.vault, SHOP, TOKEN)

    headers = {"Authorization": f"Bearer {session_token(SHOP)}"}
    answer = app.test_client().post("/products/5/resync", headers=headers)

    assert answer.status_code == 303


def test_a_delivery_of_another_record_is_not_told(make_product, visit, door):
    mug, cup = make_product(title="Mug"), make_product(title="Cup")
    of_cup = next(row["id"] for row in door.rows() if row["resource_id"] == cup)

    assert "Read from Shopify again" not in visit(f"/products/{mug}?asked={of_cup}").text
    assert visit(f"/products/{mug}?asked={'9' * 30}").status_code == 200


def test_the_answer_to_a_resync_stays_with_its_shop(make_product, visit):
    mug = make_product(title="Tin mug")

    asked = visit(f"/products/{mug}/resync", method="POST")

    assert urlsplit(asked.location).path == f"/products/{mug}"
    assert f"shop={SHOP}" in asked.location
