"""Reads one record from Shopify again because somebody asked for it, and tells what that changed.

There is no second way into the mirror: it is a delivery like any other, only that a person sent it.
"""

import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
import redis
import structlog
from sqlalchemy import Connection

from adapters import inbox, lookup, mirror_products
from adapters.inbox import Arrival
from app.office import Office
from domain.sparklayer import product_record

log = structlog.get_logger()

TOPICS = {"products": "product/fetch", "customers": "customer/fetch"}
EVERY_SECONDS = 5  # one a record
MOST_A_MINUTE = 60  # one a shop: each asks Shopify, and live mail wants its points
KEPT_SECONDS = 300
MOST_CHANGES = 50


class TooMany(Exception):
    """The shop has asked for more than it may within a minute."""


@dataclass(frozen=True, slots=True)
class Change:
    """A field that differs, by where it stands. None: it was, or is, not there."""

    path: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class Progress:
    """What became of the asking. `changes` None: there was nothing before, or it is not compared, or not known now."""

    delivery: int
    state: str
    outcome: str | None
    reason: str | None
    changes: tuple[Change, ...] | None

    @property
    def is_waiting(self) -> bool:
        return self.state == "waiting"


def ask_for(desk: Office, shop: str, feed: str, record_id: int, who: str | None) -> int:
    """The delivery that will bring the record; the one that waits already, if so. Raises TooMany.

    The webhook id holds the time in steps of five seconds, so that the table itself refuses a second one within them.
    """
    step = int(time.time()) // EVERY_SECONDS
    webhook_id = f"fetch:{feed}:{record_id}:{step}"
    with desk.db.begin() as db:
        waiting = lookup.asked_already(db, shop, TOPICS[feed], record_id, webhook_id)
    if waiting is not None:
        return waiting
    _count(desk.redis, shop)
    now = datetime.now(UTC)
    arrival = Arrival(shop, webhook_id, TOPICS[feed], feed, record_id, now, now, source="fetch")
    with desk.db.begin() as db:
        inbox.store(db, [arrival])
        delivery = lookup.asked_already(db, shop, TOPICS[feed], record_id, webhook_id)
        before = _record(db, shop, record_id) if feed == "products" else None
    assert delivery is not None  # stored just now, by us or by somebody who was quicker
    with suppress(redis.RedisError):  # the sweep rings later, and the outcome is told without a comparison
        desk.redis.set(_key(shop, delivery), orjson.dumps(before), ex=KEPT_SECONDS, nx=True)
    with suppress(redis.RedisError):
        desk.bell.ring("live", {shop: time.time()})
    log.info("resync_asked", shop=shop, feed=feed, resource=record_id, delivery=delivery, who=who)
    return delivery


def progress(desk: Office, db: Connection, shop: str, feed: str, record_id: int, delivery: int) -> Progress | None:
    """None when this delivery is not about this record of this shop."""
    rows = inbox.select(db, inbox.Filter(shop=shop, id=delivery, resource=record_id), most=1)
    if not rows or rows[0]["feed"] != feed:
        return None
    row = rows[0]
    changes = None
    if feed == "products" and row["outcome"] in ("applied", "unchanged"):
        changes = _changes(desk.redis, shop, delivery, _record(db, shop, record_id))
    return Progress(delivery, row["state"], row["outcome"], row["reason"], changes)


def in_words(told: Progress, feed: str, *, is_here: bool) -> tuple[str, str]:
    """The tone of a banner and its sentence. `is_here`: the mirror has the record now."""
    kind, reason = feed.removesuffix("s"), str(told.reason or "").rstrip(".")
    if told.is_waiting:
        return "info", f"Shopify is asked about this {kind}{f': {reason}' if reason else ''}."
    if told.outcome == "dead":
        return "critical", f"The {kind} could not be read: {reason}."
    if told.outcome == "superseded":
        return "success", "A newer state had already arrived; nothing was left to do."
    if is_here:
        return "success", f"Read from Shopify again: {_what_changed(told, kind)}."
    if reason and reason != "deleted in Shopify":
        return "attention", f"{reason}."
    return "attention", f"Shopify does not have this {kind}: it was deleted there, or there never was one with this id."


def _what_changed(told: Progress, kind: str) -> str:
    if told.changes:
        return "1 field changed" if len(told.changes) == 1 else f"{len(told.changes)} fields changed"
    if told.outcome == "applied" and told.changes is None:
        return f"the {kind} was brought up to date"
    return "nothing had changed"


def _count(client: redis.Redis, shop: str) -> None:
    """Without Redis nobody is counted; the five seconds for each record hold all the same."""
    key = f"resyncs:{shop}:{int(time.time()) // 60}"
    with suppress(redis.RedisError):
        asked = client.incr(key)
        client.expire(key, 60)
        if asked > MOST_A_MINUTE:
            raise TooMany(f"More than {MOST_A_MINUTE} records were asked for within a minute. Try again in a minute.")


def _key(shop: str, delivery: int) -> str:
    return f"before:{shop}:{delivery}"


def _record(db: Connection, shop: str, record_id: int) -> dict[str, Any] | None:
    """A live product without what is only derived from it. Customers are not compared: Redis is no place for them."""
    product = mirror_products.load(db, shop, [record_id]).get(record_id)
    if product is None or product.core is None or product.removed_at is not None:
        return None
    record = product_record(product.core, product.metafields)
    return {name: value for name, value in record.items() if name != "sparklayer"}


def _changes(client: redis.Redis, shop: str, delivery: int, after: dict[str, Any] | None) -> tuple[Change, ...] | None:
    try:
        kept: Any = client.get(_key(shop, delivery))
    except redis.RedisError:
        return None
    before = None if kept is None else orjson.loads(kept)
    return None if before is None else compare(before, orjson.loads(orjson.dumps(after)))


def compare(before: Any, after: Any) -> tuple[Change, ...]:
    """Field by field, at most fifty; variants are told apart by their ids."""
    old, new = dict(_leaves(before)), dict(_leaves(after))
    paths = [path for path in {**old, **new} if old.get(path) != new.get(path)]
    return tuple(Change(path, old.get(path), new.get(path)) for path in paths[:MOST_CHANGES])


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for name, one in value.items():
            yield from _leaves(one, f"{path}.{name}" if path else name)
    elif isinstance(value, list) and any(isinstance(one, dict) for one in value):
        for one in value:
            yield from _leaves(one, f"{path}[{one.get('id')}]")
    elif value is not None:
        yield path, value if isinstance(value, str) else orjson.dumps(value).decode()
