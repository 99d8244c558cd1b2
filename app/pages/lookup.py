"""What SparkLayer has of a record, and why it has not: lookup, one record, resync, and "why isn't it here?"."""

from datetime import datetime
from typing import Any

from flask import Response, current_app, g, redirect, request, url_for
from sqlalchemy import Connection
from werkzeug.exceptions import NotFound
from werkzeug.wrappers import Response as AnyResponse

from app import lookup, resync
from app.api.answers import dump
from app.metafield_table import metafield_rows
from app.office import office
from app.pages.base import page
from app.pages.entrance import merchant_blueprint
from app.record_history import history
from domain.eligibility import group_slugs
from domain.query import LARGEST_ID
from domain.text import storable

blueprint = merchant_blueprint("lookup", __name__)
TITLES = {"products": "Product lookup", "customers": "Customer lookup"}


@blueprint.get("/<feed:feed>/lookup")
def look_up(feed: str) -> Response:
    """One box. A single match is shown in full, several as a list."""
    typed = storable(request.args.get("q", ""))
    if not typed:
        return _page(feed, typed)
    with office().db.begin() as db:
        answer = _answer(db, feed, typed)
        lookup.note_lookup(g.shop.domain, feed, g.user, answer)
        one = answer["results"][0] if len(answer["results"]) == 1 else None
        card = _card(db, feed, one) if one else None
    return _page(feed, typed, answer=answer, card=card)


@blueprint.get("/<feed:feed>/<int:record_id>")
def record(feed: str, record_id: int) -> Response:
    """One record by its id. `asked` is the delivery of a resync, whose progress is told."""
    if record_id > LARGEST_ID:
        raise NotFound("There is no record with such an id.")
    typed = str(record_id)
    with office().db.begin() as db:
        answer = _answer_by_id(db, feed, record_id)
        asked = _progress(db, feed, record_id)
        if asked is None or not asked.is_waiting:  # a page that waits looks every two seconds, and nobody looks at it
            lookup.note_lookup(g.shop.domain, feed, g.user, answer)
        one = answer["results"][0] if answer["results"] else None
        card = _card(db, feed, one) if one else None
        past = history(db, g.shop.domain, feed, record_id) if card is None else []
    is_known = card or past or asked or answer["absent"]["state"] != "never_seen"
    status = 200 if is_known else 404
    said = resync.in_words(asked, feed, is_here=card is not None) if asked else None
    told = {"card": card, "asked": asked, "said": said, "past": past, "record_id": record_id}
    return _page(feed, storable(request.args.get("q", typed)), status, answer=answer, **told)


def _page(feed: str, typed: str, status: int = 200, **told: Any) -> Response:
    empty: dict[str, Any] = {"answer": None, "card": None, "asked": None, "said": None, "past": [], "record_id": None}
    return page("lookup.html", title=TITLES[feed], feed=feed, status=status, q=typed, **(empty | told))


def _answer(db: Connection, feed: str, typed: str) -> lookup.Answer:
    return lookup.look_up(db, office().vault, g.shop.domain, feed, typed, g.shop.rule.tag)


def _answer_by_id(db: Connection, feed: str, record_id: int) -> lookup.Answer:
    """By the GID, which nothing else can be read as: a SKU may be a number, too."""
    kind = {"products": "Product", "customers": "Customer"}[feed]
    return _answer(db, feed, f"gid://shopify/{kind}/{record_id}")


def _progress(db: Connection, feed: str, record_id: int) -> resync.Progress | None:
    asked = request.args.get("asked", "")
    if not asked.isdecimal() or len(asked) > 18:
        return None
    return resync.progress(office(), db, g.shop.domain, feed, record_id, int(asked))


def _card(db: Connection, feed: str, result: lookup.Answer) -> dict[str, Any]:
    """Everything about one record that is shown. `dump` writes times and big ids as the API does."""
    record = result["record"]
    own = {name: value for name, value in record.items() if name != "sparklayer"}
    return {
        **result,
        "updated_at": datetime.fromisoformat(record["updated_at"]) if record["updated_at"] else None,
        "name": record["title"] if feed == "products" else _name(record),
        "own_json": dump(own, indent=True).decode(),
        "sparklayer_json": dump(record["sparklayer"], indent=True).decode(),
        "metafield_rows": metafield_rows(feed, record, result["issues"]),
        "group": _group(record) if feed == "customers" else None,
        "past": history(db, g.shop.domain, feed, result["id"]),
    }


def _name(record: dict[str, Any]) -> str:
    names = [name for name in (record["first_name"], record["last_name"]) if name]
    return " ".join(names) or record["company_name"] or record["email"] or f"Customer {record['id']}"


def _group(record: dict[str, Any]) -> dict[str, str | None]:
    """The customer group in force and the price lists, each with the reason."""
    seen = record["sparklayer"]
    by_tags = group_slugs(record["tags"], g.shop.rule.tag)
    why = {
        "metafield": "The metafield sparklayer.group says so",
        "tag": f"The tag {seen['group_matched']} says so",
        "default": "Neither a metafield nor a tag names another group",
    }[seen["group_from"]]
    if seen["group_from"] == "metafield" and by_tags and by_tags[0] != seen["group"]:
        why += f", which beats the tag {g.shop.rule.tag}-{by_tags[0]}"
    lists = ", ".join(seen["price_lists"]) if seen["price_lists"] else None
    lists_why = "The metafield sparklayer.price_lists says so, which beats those of the group"
    inherited = f"No metafield names any: those of the group {seen['group']} apply, which SparkLayer knows"
    return {"group": seen["group"], "why": f"{why}.", "lists": lists, "lists_why": lists_why if lists else inherited}


@blueprint.get("/<feed:feed>/<int:record_id>.json")
def download(feed: str, record_id: int) -> Response:
    """The record as the API answers it, as a file."""
    with office().db.begin() as db:
        answer = _answer_by_id(db, feed, record_id) if record_id <= LARGEST_ID else {"results": []}
    if not answer["results"]:
        raise NotFound("SparkLayer has no such record.")
    lookup.note_lookup(g.shop.domain, feed, g.user, answer)
    content = dump(answer["results"][0]["record"], indent=True)
    response = current_app.response_class(content, mimetype="application/json")
    response.headers["Content-Disposition"] = f'attachment; filename="{feed.removesuffix("s")}-{record_id}.json"'
    response.headers["Cache-Control"] = "private, no-store"
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response


@blueprint.post("/<feed:feed>/<int:record_id>/resync")
def ask_again(feed: str, record_id: int) -> AnyResponse:
    """Read it from Shopify again. Pressed twice, it is asked for once."""
    if not 0 < record_id <= LARGEST_ID:
        raise NotFound("There is no record with such an id.")
    try:
        delivery = resync.ask_for(office(), g.shop.domain, feed, record_id, g.user)
    except resync.TooMany as refused:
        return page("error.html", title="Too many at once", status=429, feed=feed, text=str(refused))
    return redirect(url_for("lookup.record", feed=feed, record_id=record_id, asked=delivery), 303)


@blueprint.get("/explain")
def explain() -> Response:
    """Why is it here, or why not? From what is known, without asking anybody."""
    typed = storable(request.args.get("q", ""))
    return page("explain.html", title="Why isn't it here?", q=typed, told=_explained(typed), checks=None)


@blueprint.post("/explain")
def check() -> Response:
    """The same, and what Shopify says now."""
    typed = storable(request.form.get("q", ""))
    told = _explained(typed)
    checks = [lookup.live_check(office(), g.shop, feed, typed) for feed in lookup.feeds_of(typed)] if told else None
    return page("explain.html", title="Why isn't it here?", q=typed, told=told, checks=checks)


def _explained(typed: str) -> lookup.Answer | None:
    if not typed.strip():
        return None
    with office().db.begin() as db:
        told = lookup.explain(db, office().vault, g.shop.domain, typed, g.shop.rule.tag)
        for feed in told["feeds"]:
            lookup.note_lookup(g.shop.domain, feed["feed"], g.user, feed)
            feed["called"] = lookup.called(feed["feed"], typed)
            ids = [result["id"] for result in feed["results"]] or lookup.asked_ids(feed["feed"], typed)
            feed["past"] = [(i, history(db, g.shop.domain, feed["feed"], i)) for i in ids[:3]]
    return told
