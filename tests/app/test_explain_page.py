"""Why isn't it here? The steps that were taken, what would change that, and what Shopify says now."""

import re
from html import unescape
from urllib.parse import quote

import pytest
from sqlalchemy import text

from adapters import shops
from app import lookup

SHOP = "northwind-trade.myshopify.com"
TOKEN = "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"
NASTY = "<script>alert(1)</script>\"'&"


@pytest.fixture
def linked(build, devstore, database, redis):
    """The application, its Shopify being the pretend one."""
    return build(SHOPIFY_ADMIN_ORIGIN=devstore.url + "/{shop}")


@pytest.fixture
def store(devstore, install):
    """The pretend Shopify's side of the shop, empty, with the app installed."""
    install()
    devstore.open_shop(SHOP, token=TOKEN, products=0, customers=0)
    devstore.settings(SHOP, index_lag=0)
    return devstore


@pytest.fixture
def create(store):
    """create(kind, **fields) → the id that Shopify gave; we are not told."""

    def make(kind, **fields):
        known = {one["id"] for one in store.truth(SHOP)[kind]}
        store.change(SHOP, f"create_{kind[:-1]}", **fields)
        (made,) = {one["id"] for one in store.truth(SHOP)[kind]} - known
        return made

    return make


@pytest.fixture
def turn(take_turns, devstore):
    return lambda: take_turns(SHOPIFY_ADMIN_ORIGIN=devstore.url + "/{shop}")


@pytest.fixture
def explain(linked, session_token):
    """explain(typed) → the words of the page; with live=True after asking Shopify."""

    def ask(typed, *, live=False):
        headers = {"Authorization": f"Bearer {session_token(SHOP)}", "Accept": "text/html"}
        client = linked.test_client()
        if live:
            answer = client.post("/explain", data={"q": typed}, headers=headers)
        else:
            answer = client.get(f"/explain?q={quote(typed)}", headers=headers)
        assert (answer.status_code, answer.mimetype) == (200, "text/html"), answer.text
        return Page(answer.text)

    return ask


class Page(str):
    """The source of a page; `words` are what is read on it."""

    __slots__ = ()

    @property
    def words(self):
        return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", self)))


# -- from what is known


def test_before_anything_is_typed_the_page_says_what_to_type(store, explain):
    page = explain("")

    assert "What are you missing?" in page.words
    assert "Check Shopify now" not in page.words


def test_a_customer_who_does_not_belong_is_explained_step_by_step(create, door, turn, explain):
    near = create("customers", email="near@biller.example", tags=["b2b-vip"])
    door.post({"id": near}, "customers/create")
    turn()

    words = explain(str(near)).words

    for step in (
        "looked for as id",
        "Shopify told of a new customer (customers/create)",
        "b2b-vip but not b2b",
        "Once they have the tag b2b, the webhook that follows imports them",
        "check Shopify now to see which tags and namespaces they have",
    ):
        assert step in words
    assert "near@biller.example" not in words


def test_a_deleted_product_is_explained(door, install, turn, product, explain, store):
    door.post(product(77))
    turn()
    door.post({"id": 77}, "products/delete", triggered_at="2026-11-23T11:00:00Z")
    turn()

    words = explain("77").words

    assert "The product was here and is gone" in words
    assert "Shopify told that the product was deleted (products/delete)" in words


def test_what_is_here_is_said_to_be_here(door, turn, product, explain, store):
    door.post(product(77, variants=[{"sku": "ABC-1"}]))
    turn()

    page = explain("ABC-1")

    assert "Product: it is here" in page.words
    assert "Nothing to do." in page.words
    assert "/products/77?" in page


def test_what_was_looked_for_is_said_in_full(store, explain):
    """`zzz-1` may be a handle; who typed a SKU must not think that only handles were searched."""
    page = explain("zzz-1")
    assert "Your words were looked for as SKU, handle, barcode or title." in page
    assert "No product with this SKU, handle, barcode or title has ever reached SparkLayer." in page


def test_an_unknown_email_is_a_customers_and_an_unknown_sku_a_products(store, explain):
    never = "No customer with this email address or name has ever reached SparkLayer."
    assert never in explain("x@biller.example").words
    assert "No product with this SKU, barcode or title has ever reached SparkLayer." in explain("ZZZ-9").words


@pytest.mark.parametrize("live", [False, True])
def test_whatever_is_typed_or_answered_is_only_text(create, explain, live):
    create("products", title=NASTY, variants=[{"sku": NASTY}])
    who = create("customers", tags=[NASTY], email="n@biller.example")

    for typed in (NASTY, str(who), "n@biller.example"):
        assert "<script>alert" not in explain(typed, live=live)


# -- what Shopify says now


@pytest.mark.parametrize("typed", ["ABC-1", "tin-mug", "id"])
def test_a_product_that_is_missing_here_can_be_imported(create, explain, typed):
    mug = create("products", title="Tin mug", handle="tin-mug", variants=[{"sku": "ABC-1"}])

    page = explain(str(mug) if typed == "id" else typed, live=True)

    assert "Tin mug" in page.words
    assert "Shopify has it, and SparkLayer does not." in page.words
    assert "Import it now" in page.words
    assert f'action="/products/{mug}/resync?' in page


def test_a_sku_that_shopify_writes_differently_is_told(create, explain):
    create("products", title="Tin mug", variants=[{"sku": "ABC-1"}])

    assert "Shopify writes this SKU “ABC-1”." in explain("abc-1", live=True).words


def test_what_shopify_does_not_have_either_is_said(store, explain):
    assert "Shopify has no product with this SKU or barcode either." in explain("ZZZ-9", live=True).words
    assert "Shopify has no customer with this email address either." in explain("x@biller.example", live=True).words


def test_same_newer_and_gone_are_told_apart(create, door, turn, explain, store, resynced):
    mug = create("products", title="Tin mug", variants=[{"sku": "ABC-1"}])
    resynced(mug)

    same = explain("ABC-1", live=True).words
    resynced.age(mug)
    newer = explain("ABC-1", live=True).words
    store.change(SHOP, "delete_product", id=mug)
    gone = explain("ABC-1", live=True).words

    assert "SparkLayer has the same state as Shopify." in same
    assert "Resync this one" not in same
    assert "Shopify has a newer state than SparkLayer." in newer
    assert "Shopify no longer has it, and SparkLayer still does." in gone


@pytest.fixture
def resynced(linked, session_token, turn, database):
    return Resynced(linked, session_token, turn, database)


class Resynced:
    """resynced(id) → the product is here as Shopify has it; `age` makes what is here older than that."""

    def __init__(self, app, session_token, turn, engine):
        self._app, self._session_token, self._turn, self._engine = app, session_token, turn, engine

    def __call__(self, product_id):
        headers = {"Authorization": f"Bearer {self._session_token(SHOP)}"}
        assert self._app.test_client().post(f"/products/{product_id}/resync", headers=headers).status_code == 303
        self._turn()

    def age(self, product_id):
        older = (
            """UPDATE products SET core = jsonb_set(core, '{updated_at}', '"2020-01-01T00:00:00Z"') WHERE id = :id"""
        )
        with self._engine.begin() as db:
            db.execute(text(older), {"id": product_id})


def test_a_customers_tags_and_namespaces_are_shown_and_not_kept(create, explain, everything_stored):
    who = create(
        "customers",
        email="x@biller.example",
        tags=["wholesale-old", "news"],
        metafields=[{"namespace": "sparklayer_old", "key": "group", "value": "gold"}],
    )

    words = explain("x@biller.example", live=True).words

    assert "wholesale-old, news" in words
    assert "sparklayer_old" in words
    assert f"{who}" in words
    assert "Does not belong" in words
    assert "wholesale-old" not in everything_stored()


def test_a_customer_who_belongs_and_is_missing_can_be_imported(create, explain):
    who = create("customers", email="x@biller.example", tags=["b2b"])

    page = explain("x@biller.example", live=True)

    assert "They belong (by the tag b2b), but are not here." in page.words
    assert f'action="/customers/{who}/resync?' in page


@pytest.mark.parametrize("fault", ["502", "401", "throttled", "access_denied"])
def test_trouble_is_a_sentence_on_a_page_that_works(create, store, explain, fault):
    who = create("customers", email="x@biller.example", tags=["b2b"])
    store.fault(fault, shop=SHOP, times=10)

    words = explain(str(who), live=True).words

    assert "Could not ask" in words
    assert "Check again" in words


@pytest.fixture
def check(linked, database):
    """check(feed, typed) → what the pages and the API are told."""

    def ask(feed, typed):
        office = linked.extensions["office"]
        with database.connect() as db:
            shop = shops.find(db, office.vault, SHOP)
        return lookup.live_check(office, shop, feed, typed)

    return ask


def test_a_shop_without_a_token_is_told_to_open_the_app(store, check, database):
    with database.begin() as db:
        db.execute(text("UPDATE shops SET state = 'needs_auth', token = NULL"))

    answer = check("products", "ABC-1")

    assert answer["state"] == "failed"
    assert "Open the app in your Shopify admin." in answer["sentence"]


def test_words_that_cannot_be_read_are_asked_of_nobody(store, check):
    answer = check("products", "gid://shopify/Order/5")

    assert (answer["state"], answer["found"]) == ("malformed", [])
    assert store.requests()[SHOP]["requests"] == 0


def test_no_connection_is_held_while_shopify_is_asked(linked, store, check):
    pool = linked.extensions["office"].db.pool
    held = []
    linked.extensions["office"].admin._wire._client.event_hooks = {
        "request": [lambda _: held.append(pool.checkedout())]
    }

    assert check("products", "ABC-1")["state"] == "nothing"
    assert held == [0]


def test_a_redacted_customer_is_not_offered_again(create, door, turn, check, database):
    who = create("customers", email="x@biller.example", tags=["b2b"])
    door.post({"id": who}, "customers/create")
    turn()
    with database.begin() as db:
        db.execute(text(REDACTED), {"id": who})

    (told,) = check("customers", str(who))["found"]

    assert (told["standing"], told["resync"]) == ("not_eligible", False)


REDACTED = """UPDATE customers SET redacted = true, state = 'removed', record = NULL, record_hash = NULL, rule = NULL,
              matched = NULL, company_name = NULL, email_index = NULL, phone_index = NULL, word_indexes = NULL
              WHERE id = :id"""
