"""A peer: what a good developer writes in an afternoon with Flask, RQ and SQLAlchemy.

One job a webhook, the same signature check, Marshmallow in front of every write, and one transaction that lets the
newer `updated_at` win. Applied by RQ's default worker, which forks for each job, or by its SimpleWorker: no forks.
It takes RQ's own advice for speed: the worker imports everything, and has spoken to Postgres once, before it forks.

    granian … --factory bench.peers.flask_rq:create_app
    python -c "from bench.peers.flask_rq import work; work('Worker')"
"""

import base64
import hashlib
import hmac
import os
from functools import cache
from typing import Any

import redis
from flask import Flask, Response, abort, jsonify, request
from marshmallow import EXCLUDE, Schema, fields
from rq import Queue, SimpleWorker, Worker
from rq.serializers import JSONSerializer
from sqlalchemy import (
    ARRAY,
    BigInteger,
    Column,
    Connection,
    DateTime,
    Engine,
    Index,
    Integer,
    MetaData,
    Numeric,
    Table,
    Text,
    create_engine,
    delete,
    func,
    select,
)
from sqlalchemy.dialects.postgresql import insert

QUEUE = "webhooks"

metadata = MetaData()
products = Table(
    "products",
    metadata,
    Column("shop", Text, primary_key=True),
    Column("id", BigInteger, primary_key=True),
    Column("title", Text),
    Column("handle", Text),
    Column("status", Text),
    Column("vendor", Text),
    Column("product_type", Text),
    Column("tags", ARRAY(Text)),
    Column("updated_at", DateTime(timezone=True), nullable=False),
)
variants = Table(
    "variants",
    metadata,
    Column("shop", Text, primary_key=True),
    Column("id", BigInteger, primary_key=True),
    Column("product_id", BigInteger, nullable=False),
    Column("sku", Text),
    Column("barcode", Text),
    Column("title", Text),
    Column("price", Numeric),
    Column("position", Integer),
    Column("inventory_quantity", Integer),
    Column("option1", Text),
)
Index("products_by_title", products.c.shop, func.lower(products.c.title))
Index("variants_of_product", variants.c.shop, variants.c.product_id)
Index("variants_by_sku", variants.c.shop, variants.c.sku)
Index("variants_by_barcode", variants.c.shop, variants.c.barcode)


class VariantSchema(Schema):
    class Meta:  # noqa: D106  # Marshmallow's
        unknown = EXCLUDE

    id = fields.Integer(required=True)
    sku = fields.String(allow_none=True)
    barcode = fields.String(allow_none=True)
    title = fields.String(allow_none=True)
    price = fields.Decimal(allow_none=True)
    position = fields.Integer(allow_none=True)
    inventory_quantity = fields.Integer(allow_none=True)
    option1 = fields.String(allow_none=True)


class ProductSchema(Schema):
    class Meta:  # noqa: D106  # Marshmallow's
        unknown = EXCLUDE

    id = fields.Integer(required=True)
    title = fields.String(required=True)
    handle = fields.String(required=True)
    status = fields.String(required=True)
    vendor = fields.String(allow_none=True)
    product_type = fields.String(allow_none=True)
    tags = fields.String(load_default="")
    updated_at = fields.AwareDateTime(required=True)
    variants = fields.List(fields.Nested(VariantSchema), required=True)


product_schema = ProductSchema()


@cache
def engine() -> Engine:
    return create_engine(os.environ["DATABASE_URL"].replace("postgresql://", "postgresql+psycopg://"))


@cache
def queue() -> Queue:
    return Queue(QUEUE, connection=redis.Redis.from_url(os.environ["REDIS_URL"]), serializer=JSONSerializer)


def create_app() -> Flask:
    app = Flask(__name__)
    secret = os.environ["SHOPIFY_API_SECRET"].encode()

    @app.post("/webhooks")
    def receive() -> tuple[str, int]:
        body = request.get_data()
        expected = base64.b64encode(hmac.digest(secret, body, hashlib.sha256))
        if not hmac.compare_digest(expected, request.headers.get("X-Shopify-Hmac-Sha256", "").encode()):
            abort(401)
        if request.headers["X-Shopify-Topic"] in ("products/create", "products/update"):
            queue().enqueue(apply_product, request.headers["X-Shopify-Shop-Domain"], body.decode(), result_ttl=0)
        return "", 200

    @app.get("/shops/<shop>/products")
    def look_up(shop: str) -> Response:
        with engine().connect() as db:
            return jsonify(results=find_by_sku(db, shop, request.args["q"]))

    return app


def apply_product(shop: str, body: str) -> None:
    """RQ job: one webhook."""
    product = product_schema.loads(body)
    with engine().begin() as db:
        if write_product(db, shop, product):
            write_variants(db, shop, product["id"], product["variants"])


def write_product(db: Connection, shop: str, product: dict[str, Any]) -> bool:
    """False when the table holds something newer."""
    row = {name: product.get(name) for name in products.c.keys() if name not in ("shop", "tags")}  # noqa: SIM118  # columns
    row |= {"shop": shop, "tags": [tag.strip() for tag in product["tags"].split(",") if tag.strip()]}
    statement = insert(products).values(row)
    statement = statement.on_conflict_do_update(
        index_elements=["shop", "id"],
        set_={name: statement.excluded[name] for name in row if name not in ("shop", "id")},
        where=products.c.updated_at <= statement.excluded.updated_at,
    )
    return db.execute(statement.returning(products.c.id)).first() is not None


def write_variants(db: Connection, shop: str, product_id: int, found: list[dict[str, Any]]) -> None:
    rows = [{**variant, "shop": shop, "product_id": product_id} for variant in found]
    db.execute(delete(variants).where(variants.c.shop == shop, variants.c.product_id == product_id))
    if rows:
        db.execute(insert(variants).values(rows))


def find_by_sku(db: Connection, shop: str, sku: str) -> list[dict[str, Any]]:
    joined = variants.join(products, (products.c.shop == variants.c.shop) & (products.c.id == variants.c.product_id))
    statement = select(products).select_from(joined).where(variants.c.shop == shop, variants.c.sku == sku)
    return [dict(row) for row in db.execute(statement).mappings()]


def work(kind: str) -> None:
    """`Worker` or `SimpleWorker`, until SIGTERM."""
    engine().connect().close()
    engine().dispose()  # a forked job must not share its parent's connection
    classes: dict[str, Any] = {"Worker": Worker, "SimpleWorker": SimpleWorker}
    classes[kind]([queue()], connection=queue().connection, serializer=JSONSerializer).work(logging_level="WARNING")
