from dataclasses import replace
from datetime import UTC, datetime

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters import stored
from domain.issues import Issue
from domain.records import Address, Customer, Metafield, Product, ProductMetafields, Variant

AT = datetime(2026, 11, 20, 9, 15, tzinfo=UTC)
texts = st.none() | st.text(st.characters(exclude_categories=["Cs"]))
variants = st.builds(
    Variant,
    id=st.integers(1, 2**63 - 1),
    sku=texts,
    barcode=texts,
    title=texts,
    price=texts,
    position=st.none() | st.integers(0, 2**53),
    inventory_quantity=st.none() | st.integers(-(2**53), 2**53),
    options=st.lists(st.tuples(st.text("ab"), st.text("ab")), max_size=3).map(tuple),
)
products = st.builds(
    Product,
    id=st.integers(1, 2**63 - 1),
    title=texts,
    handle=texts,
    status=st.text("ab"),
    vendor=texts,
    product_type=texts,
    tags=st.lists(st.text("ab")).map(tuple),
    updated_at=st.none() | st.datetimes(timezones=st.just(UTC)),
    variants=st.lists(variants, max_size=3).map(tuple),
)
MUG = Product(
    1, "Mug", "mug", "active", "Northwind", "", ("sale", "new"), AT, (Variant(2, "A", None, "S", "1.00", 1, 3),)
)
ADA = Customer(
    id=5,
    email="ada@corner.example",
    first_name="Ada",
    last_name=None,
    phone=None,
    state="enabled",
    tax_exempt=False,
    tags=("b2b",),
    updated_at=AT,
    addresses=(Address(6, "Ada", *[None] * 10, is_default=True),),
    metafields=(Metafield("group", "trade", None),),
)


@given(products)
def test_a_product_comes_back_as_it_was(product):
    assert stored.load_product(orjson.loads(stored.dump_product(product))) == product


def test_metafields_come_back_as_they_were():
    known = ProductMetafields(1, {2: (Metafield("rrp", "2.5", "number_decimal"),), 3: ()}, (Metafield("x", "y"),))

    assert stored.load_metafields(1, orjson.loads(stored.dump_metafields(known))) == known


def test_metafields_that_are_not_known_stay_unknown():
    assert stored.load_metafields(1, None) is None


def test_a_customer_comes_back_as_they_were():
    assert stored.load_customer(stored.dump_customer(ADA)) == ADA


def test_of_the_login_secret_only_its_presence_is_kept():
    secret = replace(ADA, metafields=(Metafield("authentication", "hunter2"),))

    assert b"hunter2" not in stored.dump_customer(secret)
    assert stored.load_customer(stored.dump_customer(secret)).metafields == (Metafield("authentication", "…"),)


def test_notes_come_back_as_they_were():
    notes = (Issue("UPDATED_AT_MISSING", "updated_at"), Issue("FIELD_WRONG_TYPE", "title", "7", {"expected": "text"}))

    assert stored.load_notes(orjson.loads(stored.dump_notes(notes))) == notes


@pytest.mark.parametrize(
    "change",
    [
        {"title": "Cup"},
        {"tags": ("sale",)},
        {"status": "draft"},
        {"variants": ()},
        {"variants": (replace(MUG.variants[0], sku="B"),)},
        {"variants": (replace(MUG.variants[0], inventory_quantity=2),)},
    ],
)
def test_changed_content_has_another_hash(change):
    assert stored.content_hash(replace(MUG, **change)) != stored.content_hash(MUG)


@pytest.mark.parametrize(
    "change", [{"updated_at": AT.replace(minute=16)}, {"tags": ("new", "sale")}, {"product_type": None}]
)
def test_what_only_came_another_way_has_the_same_hash(change):
    assert stored.content_hash(replace(MUG, **change)) == stored.content_hash(MUG)
