"""Products beside the mirror: by version where only versions were listed, by content where all was read."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson

from adapters import fetch, mirror_products, stored
from adapters.admin import PATIENCE
from adapters.inbox import Arrival
from adapters.mirror_products import HeldProduct
from domain.difference import differs
from domain.records import Metafield, Product, ProductMetafields
from domain.settlement import ABSENT
from domain.versions import Version
from schemas import nodes
from workers.reading import Comparison, Work, difference

Node = Mapping[str, Any]


def compare_listed(work: Work, listed: Sequence[Node], at: datetime) -> Comparison:
    """An incremental run has ids and times; a complete one reads these products whole."""
    if work.run.complete:
        return compare_whole(work, _read_whole(work, listed), at)
    times = {i: moment for node in listed if (i := nodes.node_id(node)) and (moment := nodes.node_time(node))}
    with work.workshop.db.begin() as db:
        held = mirror_products.hold(db, work.shop.domain, times) if times else {}  # most runs list nothing
    newer = [i for i, moment in times.items() if i not in held or held[i].core.version.at < moment]
    created = [i for i in newer if _is_new(held.get(i))]
    return Comparison(
        seen=tuple(times),
        asked=tuple(newer),
        created=len(created),
        changed=len(newer) - len(created),
        newest=max(times.values(), default=None),
    )


def _is_new(held: HeldProduct | None) -> bool:
    return held is None or held.core.removed


def _read_whole(work: Work, listed: Sequence[Node]) -> list[Node]:
    """Products with all variants and all sparklayer metafields, put together as a bulk file would have them."""
    ids = [i for node in listed if (i := nodes.node_id(node))]
    patience = fetch.HALF_READ_PATIENCE if len(ids) == 1 else PATIENCE  # less than one cannot be asked
    products = fetch.products(work.workshop.admin, work.shop.domain, work.token, ids)
    on_product = fetch.product_metafields(work.workshop.admin, work.shop.domain, work.token, ids)
    variants = [i for node in products.values() if node for v in node["variants"]["nodes"] if (i := nodes.node_id(v))]
    metafields = fetch.variant_metafields(work.workshop.admin, work.shop.domain, work.token, variants, patience)
    return [_put_together(node, on_product.get(i), metafields) for i, node in products.items() if node]


def _put_together(node: Node, on_product: Node | None, metafields: Mapping[int, Node | None]) -> Node:
    variants = []
    for variant in node["variants"]["nodes"]:
        read = metafields.get(nodes.node_id(variant) or 0)
        variants.append({**variant, "metafields": read["metafields"]} if read else variant)
    return {
        **node,
        "variants": {"nodes": variants},
        "metafields": on_product["metafields"] if on_product else {"nodes": []},
    }


def compare_whole(work: Work, whole: Sequence[Node], at: datetime) -> Comparison:
    """Content against content: finds what moved no `updatedAt`, a variant's metafield above all."""
    ids = [i for node in whole if (i := nodes.node_id(node))]
    with work.workshop.db.begin() as db:
        held = mirror_products.hold(db, work.shop.domain, ids)
        metafields = mirror_products.metafields(db, work.shop.domain, ids)
    arrivals: list[Arrival] = []
    created = rejected = 0
    newest = None
    for node in whole:
        read = nodes.read_product_node(node, at)
        if read.record is None:
            rejected += 1
            continue
        product = read.record
        newest = max(filter(None, (newest, product.updated_at)), default=None)
        if _differs(product, nodes.read_product_node_metafields(node), held.get(product.id), metafields, at):
            created += _is_new(held.get(product.id))
            arrivals.append(_arrival(work, product, node, at))
    changed = len(arrivals) - created
    return Comparison(ids, arrivals, created=created, changed=changed, rejected=rejected, newest=newest)


def _differs(
    product: Product,
    read: ProductMetafields | None,
    held: HeldProduct | None,
    metafields: Mapping[int, ProductMetafields | None],
    at: datetime,
) -> bool:
    version = Version(product.updated_at or at, at)
    if differs(held.core if held else ABSENT, version, stored.content_hash(product)):
        return True
    if held is None or held.core.removed:
        return False
    if version.at > held.core.version.at and product.updated_at:
        return True  # nothing that we keep, but its time
    if read is None:
        return False
    if held.metafields_seen is not None and held.metafields_seen > at:
        return False  # read again since, by somebody else
    known = metafields.get(product.id)
    return known is None or _told(known) != _told(read)


def _told(metafields: ProductMetafields) -> dict[int, set[Metafield]]:
    """By variant, those of the product itself under 0: the order in which they are listed says nothing."""
    by_variant = {variant: set(fields) for variant, fields in metafields.by_variant.items()}
    return by_variant | {0: set(metafields.on_product)}


def _arrival(work: Work, product: Product, node: Node, at: datetime) -> Arrival:
    changed_at = product.updated_at
    return difference(work.run, "product/read", product.id, at, changed_at=changed_at, body=orjson.dumps(node))
