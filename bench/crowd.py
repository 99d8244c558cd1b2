"""A crowd of shops with what the product would have written for them, made inside Postgres: a million rows in a minute.

One record of each kind is made by the product's own translators; Postgres copies it under other ids, SKUs and titles.
Product n is the product n of `bench.mail` (but for its price and title), so that a webhook about it meets its row.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import psycopg
from psycopg import sql

from adapters import stored
from adapters.vault import Kind, Vault
from bench import mail
from devstore.bodies import encode
from domain.activity import BUCKETS
from domain.clashes import fold_sku
from domain.records import Address, Customer, Metafield, ProductMetafields
from schemas import bodies

CUSTOMER_ID = 7_000_000_000_000
TOKEN = b"shpat_bench"
WORDS = 2_000  # different words in the names of all customers
Connection = psycopg.Connection[Any]


@dataclass(frozen=True, slots=True)
class Amount:
    """How much of everything, over all shops together; what is counted by feed says so."""

    shops: int
    products: int = 0  # of five variants
    members: int = 0
    bystanders: int = 0  # customers who do not belong
    deliveries: int = 0  # decided, over the last thirty days
    runs: int = 0  # of each feed
    hours: int = 0  # of activity, of each feed
    bodies: bool = False


def shop(number: int) -> str:
    """Shops are numbered from 0; record n is of the shop n modulo their number."""
    return f"crowd-{number:06d}.myshopify.com"


def fill(db: Connection, vault: Vault, amount: Amount) -> None:
    """Into empty tables, and analysed: the planner must know what it is among."""
    values = _templates(vault) | {name: getattr(amount, name) for name in Amount.__dataclass_fields__}
    cursor = psycopg.ClientCursor(db)  # values are written into the statement: their types are then plain to Postgres
    for table, statement in _STATEMENTS:
        with _without_indexes(db, table):
            cursor.execute(statement.format(**_PARTS).replace(" % ", " %% ").encode(), values)
    db.execute("VACUUM ANALYZE")


def _templates(vault: Vault) -> dict[str, Any]:
    now = datetime.now(UTC)
    body = encode(mail.product(0))
    translation, _ = bodies.read_product("products/update", body, now)
    assert translation is not None
    assert translation.record is not None
    product = translation.record
    known: dict[int, tuple[Metafield, ...]] = {variant.id: () for variant in product.variants}
    known[product.variants[0].id] = (Metafield("pack_size", "12", "number_integer"),)
    return {
        "now": now,
        "changed_at": mail.CHANGED_AT,
        "core": stored.dump_product(product).decode(),
        "metafields": stored.dump_metafields(ProductMetafields(product.id, known)).decode(),
        "folded": fold_sku("BN-"),
        "variants": mail.VARIANTS,
        "body": body,
        "token": vault.seal(TOKEN),
        "record": vault.seal(stored.dump_customer(_CUSTOMER)),
        "index": vault.index(shop(0), Kind.EMAIL, _CUSTOMER.email or ""),
        "words": WORDS,
        "freshness": [1] * BUCKETS,
    }


_CUSTOMER = Customer(
    id=CUSTOMER_ID,
    email="ada.lovelace@example.com",
    first_name="Ada",
    last_name="Lovelace",
    phone="+441234567890",
    state="enabled",
    tax_exempt=False,
    tags=("b2b", "trade"),
    updated_at=mail.CHANGED_AT,
    addresses=(
        Address(
            *(CUSTOMER_ID + 1, "Ada", "Lovelace", "Northwind Trade", "1 Harbour Street", None, "Leeds", None, None),
            *("LS1 4AP", "GB", "+441234567890"),
            is_default=True,
        ),
    ),
    metafields=(Metafield("company_name", "Northwind Trade", "single_line_text_field"),),
)

# What the statements below have in common, by its name there.
_PARTS = {
    "shop": "'crowd-' || lpad((n % %(shops)s)::text, 6, '0') || '.myshopify.com'",
    "product": "8000000000000 + n::bigint * 1000",
    "customer": str(CUSTOMER_ID),
    "digits": "lpad(n::text, greatest(6, length(n::text)), '0')",
    # The newest came just now, the oldest thirty days ago.
    "came": "%(now)s - (%(deliveries)s - n) * (interval '30 days' / greatest(%(deliveries)s, 1))",
    **{
        f"each_of_{what}": f"generate_series(0, %({what})s - 1) AS n"
        for what in ("shops", "products", "members", "bystanders", "deliveries")
    },
}

_STATEMENTS = (
    (
        "shops",
        """INSERT INTO shops (domain, state, checked_state, token, installed_at, scopes, time_zone)
            SELECT {shop}, 'active', 'active', %(token)s, %(now)s - interval '90 days',
                   ARRAY['read_customers', 'read_products'], 'Europe/London'
            FROM {each_of_shops}""",
    ),
    (
        "feeds",
        """INSERT INTO feeds (shop, feed, watermark, expected, checked, last_import_at, last_complete_at,
                               last_attempt_at, next_run_at, next_complete_at)
            SELECT {shop}, feed, %(now)s, 0, 1, %(now)s, %(now)s, %(now)s, %(now)s + interval '1 day',
                   %(now)s + interval '1 day'
            FROM {each_of_shops}, unnest(ARRAY['products', 'customers']) AS feed""",
    ),
    (
        "health",
        """INSERT INTO health (shop, next_check_at, checked_at)
            SELECT {shop}, %(now)s + interval '1 day', %(now)s FROM {each_of_shops}""",
    ),
    (
        "products",
        """INSERT INTO products (shop, id, core, core_hash, core_at, core_seen, core_source, metafields,
                                  metafields_seen)
            SELECT {shop}, {product},
                   replace(replace(replace(replace(replace(
                       %(core)s, '8000000000', (8000000000 + n::bigint)::text),
                       'BN-000000-', 'BN-' || {digits} || '-'),
                       '400000000000', '40' || lpad(n::text, 10, '0')),
                       'bracket 000000', 'bracket ' || {digits}),
                       'bracket-000000', 'bracket-' || {digits})::jsonb,
                   md5(n::text), %(changed_at)s, %(changed_at)s, 'webhook',
                   replace(%(metafields)s, '8000000000', (8000000000 + n::bigint)::text)::jsonb, %(changed_at)s
            FROM {each_of_products}""",
    ),
    (
        "variants",
        """INSERT INTO variants (shop, id, product_id, sku, sku_fold, barcode)
            SELECT {shop}, {product} + v, {product}, 'BN-' || {digits} || '-' || v,
                   %(folded)s || {digits} || '-' || v, '40' || lpad((n::bigint * 10 + v)::text, 11, '0')
            FROM {each_of_products}, generate_series(1, %(variants)s) AS v""",
    ),
    (
        "customers",
        """INSERT INTO customers (shop, id, state, since, at, seen, record, record_hash, rule, matched, company_name,
                                   email_index, phone_index, word_indexes, source)
            SELECT {shop}, {customer} + n, 'member', %(changed_at)s, %(changed_at)s, %(changed_at)s, %(record)s,
                   sha256(n::text::bytea), 'tag', 'b2b', 'Company ' || n, substr(sha256(('e' || n)::bytea), 1, 16),
                   substr(sha256(('p' || n)::bytea), 1, 16),
                   ARRAY[substr(sha256(('w' || n % %(words)s)::bytea), 1, 16),
                         substr(sha256(('w' || n / 7 % %(words)s)::bytea), 1, 16)], 'webhook'
            FROM {each_of_members}""",
    ),
    (
        "customers",
        """INSERT INTO customers (shop, id, state, reason, since, at, seen)
            SELECT {shop}, {customer} + %(members)s + n, 'not_eligible',
                   'no tag is "b2b" and no metafield is of sparklayer', %(changed_at)s, %(changed_at)s, %(changed_at)s
            FROM {each_of_bystanders}""",
    ),
    (
        "deliveries",
        """INSERT INTO deliveries (shop, webhook_id, event_id, topic, api_version, feed, resource_id, source, lane,
                                    state, outcome, reason, changed_at, triggered_at, received_at, closed_at, secret,
                                    body, body_bytes, attempts, fingerprint)
            SELECT {shop}, gen_random_uuid()::text, gen_random_uuid()::text, 'products/update', '2026-10', 'products',
                   8000000000000 + ((n % %(shops)s) + %(shops)s * ((n / %(shops)s)
                                    % greatest(%(products)s / %(shops)s, 1)))::bigint * 1000,
                   'webhook', 'live', 'closed',
                   CASE WHEN n % 1000 = 0 THEN 'dead' WHEN n % 10 < 7 THEN 'unchanged' ELSE 'applied' END,
                   CASE WHEN n % 1000 = 0 THEN 'the body has no id' END, {came}, {came}, {came},
                   {came} + interval '300 milliseconds', 0,
                   CASE WHEN %(bodies)s THEN %(body)s::bytea END, length(%(body)s::bytea), (n % 1000 = 0)::int,
                   CASE WHEN n % 1000 = 0 THEN 'f' || n / 1000 % 20 END
            FROM {each_of_deliveries}""",
    ),
    (
        "attempts",
        """INSERT INTO attempts (delivery, n, at, error_class, sentence, worker, version)
           SELECT id, 1, closed_at, 'Unreadable', 'the body has no id', 'here:1', 'bench'
           FROM deliveries WHERE outcome = 'dead' OR id % greatest(4, %(deliveries)s / 10000) = 0""",
    ),
    (
        "failures",
        """INSERT INTO failures (fingerprint, topic, sentence, events, first_seen, last_seen)
           SELECT fingerprint, 'products/update', 'the body has no id', count(*), min(closed_at), max(closed_at)
           FROM deliveries WHERE fingerprint IS NOT NULL GROUP BY 1""",
    ),
    (
        "issues",
        """INSERT INTO issues (shop, feed, resource_id, code, path, scope, severity, facts, resolved_at)
            SELECT {shop}, 'products', {product}, 'PRODUCT_NOT_ACTIVE', 'status', 'record', 'warning', '{{}}',
                   CASE WHEN n % 3 = 0 THEN %(now)s - interval '1 day' END
            FROM {each_of_products}""",
    ),
    (
        "runs",
        """INSERT INTO runs (shop, feed, trigger, complete, state, seen, unchanged, started_at, finished_at,
                              read_until)
            SELECT {shop}, feed, 'schedule', nth % 6 = 0, 'finished', 3, 3,
                   %(now)s - nth * interval '10 minutes', %(now)s - nth * interval '10 minutes' + interval '1 second',
                   %(now)s - nth * interval '10 minutes'
            FROM generate_series(%(runs)s, 1, -1) AS nth, {each_of_shops},
                 unnest(ARRAY['products', 'customers']) AS feed""",
    ),
    (
        "gaps",
        """INSERT INTO gaps (shop, feed, resource_id, topic, cause, changed_at, repaired_at, run)
            SELECT {shop}, 'products', {product}, 'products/update', 'never_delivered',
                   %(now)s - n * (interval '60 days' / greatest(%(products)s, 1)) - interval '5 minutes',
                   %(now)s - n * (interval '60 days' / greatest(%(products)s, 1)), 1
            FROM generate_series(1, %(products)s - 1, 2) AS n""",
    ),
    (
        "activity",
        """INSERT INTO activity (shop, feed, hour, arrived, applied, freshness)
            SELECT {shop}, feed, date_trunc('hour', %(now)s - nth * interval '1 hour', 'UTC'), 10, 10,
                   %(freshness)s
            FROM {each_of_shops}, unnest(ARRAY['products', 'customers']) AS feed,
                 generate_series(0, %(hours)s - 1) AS nth""",
    ),
    (
        "heard",
        """INSERT INTO heard (shop, feed, hour, deliveries, last_at)
            SELECT {shop}, feed, date_trunc('hour', %(now)s - nth * interval '1 hour', 'UTC'), 10, %(now)s
            FROM {each_of_shops}, unnest(ARRAY['products', 'customers']) AS feed,
                 generate_series(0, least(%(hours)s, 168) - 1) AS nth""",
    ),
    (
        "activity_counted",
        """INSERT INTO activity_counted (hour, delivery)
           SELECT date_trunc('hour', %(now)s, 'UTC'), coalesce(max(id), 0) FROM deliveries""",
    ),
    ("heard_up_to", "INSERT INTO heard_up_to (delivery) SELECT coalesce(max(id), 0) FROM deliveries"),
)


@contextmanager
def _without_indexes(db: Connection, table: str) -> Iterator[None]:
    """Built afterwards, from sorted rows: ten times faster, and as compact as an index is that has long been used."""
    unique = db.execute(
        """SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint
           WHERE conrelid = %s::regclass AND contype = 'u'""",
        (table,),
    ).fetchall()
    named = sql.Identifier(table)
    for name, _ in unique:
        db.execute(sql.SQL("ALTER TABLE {} DROP CONSTRAINT {}").format(named, sql.Identifier(name)))
    others = db.execute(
        """SELECT c.relname, pg_get_indexdef(i.indexrelid) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
           WHERE i.indrelid = %s::regclass AND NOT i.indisprimary""",
        (table,),
    ).fetchall()
    for name, _ in others:
        db.execute(sql.SQL("DROP INDEX {}").format(sql.Identifier(name)))
    yield
    db.execute("SET maintenance_work_mem = '512MB'")
    for name, definition in unique:
        add = sql.SQL("ALTER TABLE {} ADD CONSTRAINT {} ").format(named, sql.Identifier(name))
        db.execute(add + sql.SQL(definition))
    for _, definition in others:
        db.execute(definition)
