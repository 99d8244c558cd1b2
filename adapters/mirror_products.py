"""The mirror of products: one writer, guarded by versions. Two facets in one row; the SKUs stand in `variants` as well.

Rows travel as one JSON parameter (`jsonb_to_recordset`): a batch is one statement whatever its size, and building the
parameter costs less than adapting thousands of values one by one.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import BigInteger, Text

from adapters import stored
from domain.clashes import fold_sku
from domain.issues import Issue
from domain.records import Product, ProductMetafields
from domain.settlement import Held
from domain.versions import Version

IDS = bindparam("ids", type_=ARRAY(BigInteger))


@dataclass(frozen=True, slots=True)
class HeldProduct:
    """What is held of a product; its content is loaded only where it is needed (`load`)."""

    core: Held
    metafields_seen: datetime | None


_STANDING = """
    SELECT id, core_at, core_seen, core_hash, core IS NULL OR removed_at IS NOT NULL AS removed, metafields_seen
    FROM products WHERE shop = :shop AND id = ANY(:ids) ORDER BY id
"""
_STAND = text(_STANDING).bindparams(IDS)
_HOLD = text(f"{_STANDING} FOR UPDATE").bindparams(IDS)


def hold(db: Connection, shop: str, ids: Iterable[int]) -> dict[int, HeldProduct]:
    """Versions of these products, their rows locked until the transaction ends (in the order of ids: no deadlock)."""
    return {row.id: _held(row) for row in db.execute(_HOLD, {"shop": shop, "ids": sorted(ids)})}


def standing(db: Connection, shop: str, ids: Iterable[int]) -> dict[int, HeldProduct]:
    """The same for somebody who only looks: nothing is locked."""
    return {row.id: _held(row) for row in db.execute(_STAND, {"shop": shop, "ids": sorted(ids)})}


def _held(row: Any) -> HeldProduct:
    core = Held(Version(row.core_at, row.core_seen), row.core_hash, row.removed)
    return HeldProduct(core, row.metafields_seen)


@dataclass(frozen=True, slots=True)
class StoredProduct:
    """A row of the mirror, read back."""

    id: int
    core: Product | None
    notes: tuple[Issue, ...]
    metafields: ProductMetafields | None
    as_of: datetime
    source: str | None
    removed_at: datetime | None
    removed_reason: str | None


_LOAD = text("""
    SELECT id, core, core_notes, metafields, core_seen, core_source, removed_at, removed_reason
    FROM products WHERE shop = :shop AND id = ANY(:ids)
""").bindparams(IDS)


def load(db: Connection, shop: str, ids: Collection[int]) -> dict[int, StoredProduct]:
    """These products whole, live or removed."""
    if not ids:
        return {}
    return {row.id: _stored(row) for row in db.execute(_LOAD, {"shop": shop, "ids": list(ids)})}


def _stored(row: Any) -> StoredProduct:
    return StoredProduct(
        id=row.id,
        core=stored.load_product(row.core) if row.core else None,
        notes=stored.load_notes(row.core_notes),
        metafields=stored.load_metafields(row.id, row.metafields),
        as_of=row.core_seen,
        source=row.core_source,
        removed_at=row.removed_at,
        removed_reason=row.removed_reason,
    )


@dataclass(frozen=True, slots=True)
class CoreWrite:
    """A new state of the facet `core`. `dumped` and `hash` are of `product`, made once by whoever compared them."""

    product: Product
    version: Version
    source: str
    notes: tuple[Issue, ...]
    dumped: bytes
    hash: str


_WRITE_CORES = text("""
    INSERT INTO products (shop, id, core, core_notes, core_hash, core_at, core_seen, core_source)
    SELECT :shop, id, core, notes, hash, at, seen, source
    FROM jsonb_to_recordset(CAST(:rows AS jsonb))
         AS r(id bigint, core jsonb, notes jsonb, hash text, at timestamptz, seen timestamptz, source text)
    ON CONFLICT (shop, id) DO UPDATE
    SET core = excluded.core, core_notes = excluded.core_notes, core_hash = excluded.core_hash,
        core_at = excluded.core_at, core_seen = excluded.core_seen, core_source = excluded.core_source,
        removed_at = NULL, removed_reason = NULL, applied_at = now()
    WHERE (products.core_at, products.core_seen) <= (excluded.core_at, excluded.core_seen)
    RETURNING id
""")


def write_cores(db: Connection, shop: str, writes: Sequence[CoreWrite]) -> set[int]:
    """Write these; the ids that were written come back. A missing one met a newer state that arrived in between."""
    if not writes:
        return set()
    rows = b"[" + b",".join(_core_row(write) for write in writes) + b"]"
    return {row.id for row in db.execute(_WRITE_CORES, {"shop": shop, "rows": rows.decode()})}


def _core_row(write: CoreWrite) -> bytes:
    row = {
        "id": write.product.id,
        "core": orjson.Fragment(write.dumped),
        "notes": orjson.Fragment(stored.dump_notes(write.notes)),
        "hash": write.hash,
        "at": write.version.at,
        "seen": write.version.seen,
        "source": write.source,
    }
    return orjson.dumps(row)


_RENEW = text("""
    UPDATE products SET core_at = r.at, core_seen = r.seen, applied_at = now(),
                        core_source = coalesce(r.source, core_source),
                        core = CASE WHEN r.updated IS NULL THEN core
                                    ELSE jsonb_set(core, '{updated_at}', to_jsonb(r.updated)) END
    FROM jsonb_to_recordset(CAST(:rows AS jsonb))
         AS r(id bigint, at timestamptz, seen timestamptz, source text, updated text)
    WHERE products.shop = :shop AND products.id = ANY(:ids) AND products.id = r.id
      AND (core_at, core_seen) <= (r.at, r.seen)
""").bindparams(IDS)


@dataclass(frozen=True, slots=True)
class Renewal:
    """The same content, seen at a later time. `updated_at` is what Shopify says now; None leaves it as it is."""

    id: int
    version: Version
    source: str | None = None
    updated_at: datetime | None = None


def renew(db: Connection, shop: str, renewals: Sequence[Renewal]) -> None:
    """Move versions on, without touching content, variants or issues."""
    if renewals:
        rows = [
            {"id": r.id, "at": r.version.at, "seen": r.version.seen, "source": r.source, "updated": r.updated_at}
            for r in renewals
        ]
        db.execute(_RENEW, _of(shop, rows))


def _of(shop: str, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """For an UPDATE. By the rows alone, of which it thinks there are a hundred, Postgres may read the whole shop."""
    return {"shop": shop, "ids": [row["id"] for row in rows], "rows": orjson.dumps(rows).decode()}


_REMOVE = text("""
    INSERT INTO products (shop, id, core_at, core_seen, removed_at, removed_reason)
    SELECT :shop, id, at, seen, at, reason
    FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS r(id bigint, at timestamptz, seen timestamptz, reason text)
    ON CONFLICT (shop, id) DO UPDATE
    SET core_at = excluded.core_at, core_seen = excluded.core_seen, removed_at = excluded.removed_at,
        removed_reason = excluded.removed_reason, applied_at = now()
    WHERE (products.core_at, products.core_seen) <= (excluded.core_at, excluded.core_seen)
""")


def remove(db: Connection, shop: str, removals: Mapping[int, tuple[Version, str]]) -> None:
    """Leave tombstones. The last known core stays (SparkLayer calls such a product `discontinued`), its SKUs do not."""
    if removals:
        rows = [{"id": i, "at": v.at, "seen": v.seen, "reason": reason} for i, (v, reason) in removals.items()]
        db.execute(_REMOVE, {"shop": shop, "rows": orjson.dumps(rows).decode()})


_WRITE_METAFIELDS = text("""
    UPDATE products SET metafields = r.metafields, metafields_seen = r.seen, applied_at = now()
    FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS r(id bigint, metafields jsonb, seen timestamptz)
    WHERE products.shop = :shop AND products.id = ANY(:ids) AND products.id = r.id
      AND (metafields_seen IS NULL OR metafields_seen <= r.seen)
    RETURNING products.id
""").bindparams(IDS)


def write_metafields(db: Connection, shop: str, found: Sequence[tuple[ProductMetafields, datetime]]) -> set[int]:
    """Write the facet `metafields` as it was read at those times; the ids that were written come back."""
    if not found:
        return set()
    rows = [
        {"id": m.product_id, "metafields": orjson.Fragment(stored.dump_metafields(m)), "seen": seen}
        for m, seen in found
    ]
    return {row.id for row in db.execute(_WRITE_METAFIELDS, _of(shop, rows))}


_FORGET_VARIANTS = text("""
    DELETE FROM variants WHERE shop = :shop AND product_id = ANY(:ids) RETURNING sku_fold
""").bindparams(IDS)
_WRITE_VARIANTS = text("""
    INSERT INTO variants (shop, id, product_id, sku, sku_fold, barcode)
    SELECT :shop, id, product_id, sku, sku_fold, barcode
    FROM jsonb_to_recordset(CAST(:rows AS jsonb))
         AS r(id bigint, product_id bigint, sku text, sku_fold text, barcode text)
    ON CONFLICT (shop, id) DO UPDATE
    SET product_id = excluded.product_id, sku = excluded.sku, sku_fold = excluded.sku_fold, barcode = excluded.barcode
""")


def forget_variants(db: Connection, shop: str, ids: Collection[int]) -> set[str]:
    """These products are no longer found by SKU, nor do they clash. The folded SKUs they were found by come back."""
    if not ids:
        return set()
    return {row.sku_fold for row in db.execute(_FORGET_VARIANTS, {"shop": shop, "ids": list(ids)}) if row.sku_fold}


def write_variants(db: Connection, shop: str, products: Sequence[Product]) -> set[str]:
    """Make these products findable by their variants; their folded SKUs come back.

    What they had before must have been forgotten (`forget_variants`), or it would be found beside it.
    """
    rows = {variant.id: _variant_row(product.id, variant) for product in products for variant in product.variants}
    if rows:
        db.execute(_WRITE_VARIANTS, {"shop": shop, "rows": orjson.dumps(list(rows.values())).decode()})
    return {row["sku_fold"] for row in rows.values() if row["sku_fold"]}


def _variant_row(product_id: int, variant: Any) -> dict[str, Any]:
    return {
        "id": variant.id,
        "product_id": product_id,
        "sku": variant.sku,
        "sku_fold": (fold_sku(variant.sku) or None) if variant.sku else None,
        "barcode": variant.barcode or None,
    }


# SKU by SKU: a plan that was made among few variants, and kept, would read all of the shop's by now.
_SHARED = text("""
    SELECT sku, sku_fold, product_id, id
    FROM (SELECT v.*, count(*) OVER (PARTITION BY v.sku_fold) AS holders
          FROM unnest(:folds) AS f (fold)
          CROSS JOIN LATERAL (SELECT sku, sku_fold, product_id, id FROM variants
                              WHERE shop = :shop AND sku_fold = f.fold OFFSET 0) AS v) AS found
    WHERE holders > 1 ORDER BY sku_fold, product_id, id
""").bindparams(bindparam("folds", type_=ARRAY(Text)))


def shared(db: Connection, shop: str, folds: Collection[str]) -> dict[str, list[tuple[str, int, int]]]:
    """Of these folded SKUs those that several variants hold: (sku, product id, variant id) by fold."""
    found: dict[str, list[tuple[str, int, int]]] = {}
    for row in db.execute(_SHARED, {"shop": shop, "folds": list(folds)}) if folds else ():
        found.setdefault(row.sku_fold, []).append((row.sku, row.product_id, row.id))
    return found


_METAFIELDS = text("SELECT id, metafields FROM products WHERE shop = :shop AND id = ANY(:ids)").bindparams(IDS)


def metafields(db: Connection, shop: str, ids: Collection[int]) -> dict[int, ProductMetafields | None]:
    """The facet `metafields` alone; None while it is unknown."""
    rows = db.execute(_METAFIELDS, {"shop": shop, "ids": list(ids)})
    return {row.id: stored.load_metafields(row.id, row.metafields) for row in rows}


# From the cores, not from `variants`: that one knows a single product for a variant, whoever else claims it.
_VARIANT_IDS = text("""
    SELECT products.id AS product_id, CAST(variant ->> 'id' AS bigint) AS id
    FROM products CROSS JOIN LATERAL jsonb_array_elements(core -> 'variants') AS variant
    WHERE shop = :shop AND products.id = ANY(:ids) AND removed_at IS NULL
""").bindparams(IDS)


def variant_ids(db: Connection, shop: str, ids: Collection[int]) -> dict[int, list[int]]:
    """The variants of live products."""
    found: dict[int, list[int]] = {}
    for row in db.execute(_VARIANT_IDS, {"shop": shop, "ids": list(ids)}):
        found.setdefault(row.product_id, []).append(row.id)
    return found


def live(db: Connection, shop: str, ids: Collection[int]) -> set[int]:
    """Those of `ids` that are live."""
    statement = text("""SELECT id FROM products WHERE shop = :shop AND id = ANY(:ids) AND removed_at IS NULL
                        AND core IS NOT NULL""").bindparams(IDS)
    return {row.id for row in db.execute(statement, {"shop": shop, "ids": list(ids)})} if ids else set()


def count(db: Connection, shop: str) -> int:
    """Live products."""
    statement = text("SELECT count(*) FROM products WHERE shop = :shop AND removed_at IS NULL AND core IS NOT NULL")
    return int(db.execute(statement, {"shop": shop}).scalar_one())


_TITLES = text("""
    SELECT p.shop, p.id, p.core ->> 'title' AS title
    FROM unnest(:shops, :ids) AS wanted (shop, id) JOIN products p USING (shop, id) WHERE p.core IS NOT NULL
""").bindparams(bindparam("shops", type_=ARRAY(Text)), bindparam("ids", type_=ARRAY(BigInteger)))


def titles(db: Connection, keys: Collection[tuple[str, int]]) -> dict[tuple[str, int], str]:
    """What the mirror last called these products, by (shop, id), gone ones included."""
    values = {"shops": [shop for shop, _ in keys], "ids": [number for _, number in keys]}
    return {(row.shop, row.id): row.title for row in db.execute(_TITLES, values) if row.title}
