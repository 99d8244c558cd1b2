"""What does SparkLayer know about this, why, since when, and please read it again."""

from typing import Any

from flask import Response, g
from werkzeug.exceptions import NotFound, TooManyRequests

from adapters import inbox, mirror_customers, mirror_products
from app import lookup, record_history, resync
from app.api.answers import as_json
from app.api.described import Asked, described
from app.api.entrance import blueprint, the_shop
from app.office import office
from schemas import api, api_questions

RECORD = "<int(min=1, max=9223372036854775807):record_id>"
MOST_HISTORY = 100


@blueprint.get("/products")
@described(asks=api_questions.ProductQuestion, answers=api.ProductLookup)
def products(asked: Asked) -> Response:
    """Look up products.

    Exact matches come before titles that begin like this. When nothing matches, `absent` says which kind of nothing.
    """
    return _look_up("products", asked)


@blueprint.get("/customers")
@described(asks=api_questions.CustomerQuestion, answers=api.CustomerLookup)
def customers(asked: Asked) -> Response:
    """Look up customers.

    Exact matches come before names. When nothing matches, `absent` says which kind of nothing.
    """
    return _look_up("customers", asked)


def _look_up(feed: str, asked: Asked) -> Response:
    shop = the_shop()
    with office().db.begin() as db:
        answer = lookup.look_up(db, office().vault, shop.domain, feed, asked["q"], shop.rule.tag)
    lookup.note_lookup(shop.domain, feed, g.user, answer)
    return as_json(answer)


@blueprint.get("/explain")
@described(asks=api_questions.ExplainQuestion, answers=api.Explanation)
def explain(asked: Asked) -> Response:
    """Explain why a record is here, or why not.

    A sentence for each step, newest first, for each feed that knows anything of it.
    """
    shop = the_shop()
    with office().db.begin() as db:
        told = lookup.explain(db, office().vault, shop.domain, asked["q"], shop.rule.tag)
    for feed in told["feeds"]:
        lookup.note_lookup(shop.domain, feed["feed"], g.user, feed)
    return as_json(told)


@blueprint.get(f"/products/{RECORD}/history")
@described(answers=api.History)
def product_history(record_id: int) -> Response:
    """Tell what happened to a product."""
    return _history("products", record_id)


@blueprint.get(f"/customers/{RECORD}/history")
@described(answers=api.History)
def customer_history(record_id: int) -> Response:
    """Tell what happened to a customer."""
    return _history("customers", record_id)


def _history(feed: str, record_id: int) -> Response:
    """What is old has left the inbox: a record may be here without any history. Neither is one that nobody knows."""
    shop = the_shop().domain
    with office().db.begin() as db:
        steps = record_history.history(db, shop, feed, record_id, MOST_HISTORY)
        if not steps and not _known(db, shop, feed, record_id):
            raise NotFound(f"Nothing is known of {feed.removesuffix('s')} {record_id}.")
    return as_json({"feed": feed, "id": record_id, "history": steps})


def _known(db: Any, shop: str, feed: str, record_id: int) -> bool:
    if feed == "products":
        return bool(mirror_products.load(db, shop, [record_id]))
    return bool(mirror_customers.load(db, office().vault, shop, [record_id]))


@blueprint.post(f"/products/{RECORD}/fetches")
@described(answers=api.Delivery, status=202)
def fetch_product(record_id: int) -> Response:
    """Read a product from Shopify again.

    The delivery that will bring it; the one that waits already, if so. It need not be known here yet.
    """
    return _fetch("products", record_id)


@blueprint.post(f"/customers/{RECORD}/fetches")
@described(answers=api.Delivery, status=202)
def fetch_customer(record_id: int) -> Response:
    """Read a customer from Shopify again.

    The delivery that will bring them; the one that waits already, if so. They need not be known here yet.
    """
    return _fetch("customers", record_id)


def _fetch(feed: str, record_id: int) -> Response:
    desk, shop = office(), the_shop().domain
    try:
        delivery = resync.ask_for(desk, shop, feed, record_id, g.user)
    except resync.TooMany as refused:
        raise TooManyRequests(str(refused), retry_after=60) from None
    with desk.db.begin() as db:
        (row,) = inbox.select(db, inbox.Filter(shop=shop, id=delivery), most=1)
    return as_json({name: row[name] for name in inbox.SHOWN}, 202)
