"""What would a replay do? Today's rules are run over what was sent, and nothing is written.

It is the turn's own way: the same translators, the same comparison. It cannot foresee what Shopify will answer, nor a
value that the database will refuse; and what becomes of a delivery may be settled by live mail that comes meanwhile.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, TypeVar

from sqlalchemy import Connection, text

from adapters import inbox, mirror_customers, mirror_products, replays, shops, stored
from adapters.breakage import where_it_broke
from adapters.chosen import Filter
from adapters.mirror_customers import HeldCustomer
from adapters.mirror_products import HeldProduct
from adapters.vault import Vault
from domain.deliveries import Fold, Waiting, fold
from domain.failures import Permanent
from domain.settlement import ABSENT, Held, Step, settle
from domain.topics import COMPLIANCE, Act
from schemas import bodies, webhooks

T = TypeVar("T")
SAMPLES = 5
PORTION = 250  # records whose mirror is read at once
PORTION_BYTES = 32 * 1024 * 1024


class Fate(StrEnum):
    """What would become of a delivery. `CANNOT`: there is nothing to replay, or nobody to replay it for."""

    WOULD_APPLY = "would_apply"
    UNCHANGED = "unchanged"
    SUPERSEDED = "superseded"
    STILL_FAILS = "still_fails"
    WOULD_ASK = "would_ask"
    CANNOT = "cannot"


@dataclass(frozen=True, slots=True)
class Sample:
    """One delivery of many that would fare alike. The sentence quotes nothing of the body."""

    id: int
    shop: str
    topic: str
    resource_id: int | None
    sentence: str


@dataclass(frozen=True, slots=True)
class Forecast:
    """`matching` closed deliveries match; the newest `considered` of them were looked at.

    `topics` counts fates by topic, `samples` holds at most five of each fate.
    """

    matching: int
    considered: int
    would_apply: int
    unchanged: int
    superseded: int
    still_fails: int
    would_ask: int
    cannot: int
    topics: Mapping[str, Mapping[str, int]]
    samples: Mapping[str, Sequence[Sample]]

    @property
    def sentence(self) -> str:
        said = [f"{getattr(self, fate.value):,} {words}" for fate, words in WORDS.items() if getattr(self, fate.value)]
        bound = "" if self.considered == self.matching else f" Only the newest {self.considered:,} were looked at."
        return f"Of {self.considered:,} matching: {', '.join(said)}.{bound}" if said else "Nothing matches."

    def as_json(self) -> dict[str, Any]:
        counts = {fate.value: getattr(self, fate.value) for fate in Fate}
        return {
            "matching": self.matching,
            "considered": self.considered,
            **counts,
            "topics": self.topics,
            "samples": self.samples,
            "sentence": self.sentence,
        }


WORDS = {
    Fate.WOULD_APPLY: "would be applied",
    Fate.UNCHANGED: "would change nothing",
    Fate.SUPERSEDED: "would be superseded by a newer state",
    Fate.STILL_FAILS: "would still fail",
    Fate.WOULD_ASK: "would be asked about in Shopify, which decides",
    Fate.CANNOT: "cannot be replayed",
}


@dataclass(slots=True)
class _Tally:
    shop: str = ""
    counts: Counter[str] = field(default_factory=Counter)
    topics: dict[str, Counter[str]] = field(default_factory=dict)
    samples: dict[str, list[Sample]] = field(default_factory=lambda: {fate.value: [] for fate in Fate})

    def note(self, delivery: Waiting, fate: Fate, sentence: str) -> None:
        self.counts[fate.value] += 1
        self.topics.setdefault(delivery.topic, Counter())[fate.value] += 1
        samples = self.samples[fate.value]
        if len(samples) < SAMPLES:
            samples.append(Sample(delivery.id, self.shop, delivery.topic, delivery.resource_id, sentence))


def forecast(db: Connection, vault: Vault, chosen: Filter, most: int = 10_000, *, refreshed: bool = False) -> Forecast:
    """What a replay of these would do now. Makes the transaction read-only, whatever the caller meant to do in it."""
    db.execute(text("SET TRANSACTION READ ONLY"))
    found = replays.preview(db, chosen, most)
    matching = replays.count_closed(db, chosen) if len(found) == most else len(found)
    by_shop: dict[str, list[Waiting]] = {}
    for closed in found:
        by_shop.setdefault(closed.shop, []).append(replace(closed.delivery, refreshed=refreshed))
    tally = _Tally()
    for tally.shop, deliveries in by_shop.items():
        _foresee_shop(db, vault, tally, deliveries)
    counts = {fate.value: tally.counts[fate.value] for fate in Fate}
    return Forecast(matching, len(found), **counts, topics=tally.topics, samples=tally.samples)


def _foresee_shop(db: Connection, vault: Vault, tally: _Tally, deliveries: Sequence[Waiting]) -> None:
    shop = shops.find(db, vault, tally.shop)
    if shop is None or shop.state == "uninstalled":
        why = "The shop has uninstalled the app." if shop else "The shop is not known: it has not installed the app."
        for delivery in deliveries:
            tally.note(delivery, Fate.CANNOT, why)
        return
    folds = fold(_with_ids(db, tally, deliveries))
    for one in folds:
        for older in one.older:
            tally.note(older, Fate.SUPERSEDED, "A newer delivery for the same record is replayed with it.")
    for portion in _portions(folds, _body_bytes):
        _foresee(db, tally, portion)


def _with_ids(db: Connection, tally: _Tally, deliveries: Sequence[Waiting]) -> Iterator[Waiting]:
    """Those about a record, today's rules having looked for the id where there was none."""
    nameless = [delivery for delivery in deliveries if delivery.feed is not None and delivery.resource_id is None]
    kept = _bodies(db, nameless)
    for delivery in deliveries:
        if delivery.act in COMPLIANCE and delivery.resource_id is not None:
            tally.note(delivery, Fate.WOULD_APPLY, "It would be done once more, and a receipt kept.")
        elif delivery.feed is not None and delivery.resource_id is not None:
            yield delivery
        elif delivery.feed is not None and (body := next(kept)) is not None:
            try:
                identity = webhooks.read_identity(delivery.topic, body, delivery.received_at)
            except Permanent as refused:
                tally.note(delivery, Fate.STILL_FAILS, str(refused))
            else:
                yield replace(delivery, resource_id=identity.resource_id, changed_at=identity.changed_at)
        else:
            tally.note(delivery, Fate.CANNOT, inbox.NOTHING_TO_REPLAY)


def _bodies(db: Connection, deliveries: Sequence[Waiting]) -> Iterator[bytes | None]:
    """One for each, in their order; as many at once as fit into memory."""
    for portion in _portions(deliveries, lambda delivery: delivery.body_bytes):
        kept = inbox.bodies(db, [delivery.id for delivery in portion])
        yield from (kept[delivery.id] for delivery in portion)


def _portions(all_of_them: Iterable[T], size_of: Callable[[T], int]) -> Iterator[list[T]]:
    """As many as are read at once, and whose bodies fit into memory."""
    taken: list[T] = []
    size = 0
    for one in all_of_them:
        size += size_of(one)
        if taken and (len(taken) == PORTION or size > PORTION_BYTES):
            yield taken
            taken, size = [], size_of(one)
        taken.append(one)
    if taken:
        yield taken


def _body_bytes(one: Fold) -> int:
    return one.told.body_bytes if one.told else 0


def _foresee(db: Connection, tally: _Tally, folds: Sequence[Fold]) -> None:
    """One read of the mirror and one of the bodies for all of them."""
    told = [one.told for one in folds if one.told and one.told.act is Act.CORE]
    kept = inbox.bodies(db, [delivery.id for delivery in told]) if told else {}
    products = mirror_products.standing(db, tally.shop, (f.resource_id for f in folds if f.feed == "products"))
    customers = mirror_customers.standing(db, tally.shop, (f.resource_id for f in folds if f.feed == "customers"))
    for one in folds:
        held: HeldProduct | HeldCustomer | None
        held = (products if one.feed == "products" else customers).get(one.resource_id)
        if isinstance(held, HeldCustomer) and held.redacted:
            for delivery in one.deliveries:
                tally.note(delivery, Fate.CANNOT, "This customer's data was redacted; nothing is imported again.")
            continue
        for delivery in (*one.asked, *one.metafields):
            tally.note(delivery, Fate.WOULD_ASK, "Shopify is asked for the record as it is now.")
        if one.told is not None:
            tally.note(one.told, *_foresee_told(one.told, kept.get(one.told.id), _state(held)))


def _state(held: HeldProduct | HeldCustomer | None) -> Held:
    if held is None:
        return ABSENT
    return held.core if isinstance(held, HeldProduct) else held.held


_FATES = {
    Step.WRITE: (Fate.WOULD_APPLY, "It would be written to the mirror."),
    Step.REMOVE: (Fate.WOULD_APPLY, "The record would be removed from the mirror."),
    Step.RENEW: (Fate.UNCHANGED, "The mirror holds the same."),
    Step.NOTHING: (Fate.SUPERSEDED, "The mirror already holds a newer state."),
}


def _foresee_told(told: Waiting, body: bytes | None, held: Held) -> tuple[Fate, str]:
    if told.act is Act.DELETE:
        return _FATES[settle(held, told.version, None)]
    try:
        product, _ = bodies.read_product(told.topic, body, told.received_at)
        content = stored.content_hash(product.record) if product.record else None
    except Permanent as refused:
        return Fate.STILL_FAILS, str(refused)
    except Exception as error:  # noqa: BLE001 — a bug of ours is what a forecast is asked about
        return Fate.STILL_FAILS, where_it_broke(error)
    if product.record and not product.record.variants_complete:
        return Fate.WOULD_ASK, "Its body names more variants than it holds: Shopify is asked for all of them."
    return _FATES[settle(held, told.version, content)]
