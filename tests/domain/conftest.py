"""Records that have nothing wrong with them; a test changes what it is about."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from domain.records import Address, Customer, Metafield, Product, ProductMetafields, Variant

PRODUCT_ID, VARIANT_ID, CUSTOMER_ID, ADDRESS_ID = 7356521840875, 8123, 5917633347819, 12321


@pytest.fixture
def variant():
    plain = Variant(VARIANT_ID, "ABC-1", "5012345678900", "40 mm", "10.00", 1, 4, (("Width", "40 mm"),))
    return lambda **changes: replace(plain, **changes)


@pytest.fixture
def product(variant):
    plain = Product(
        PRODUCT_ID,
        "Steel bracket",
        "steel-bracket",
        "active",
        "Northwind",
        "Hardware",
        ("hardware",),
        datetime(2026, 11, 20, 14, 15, 38, tzinfo=UTC),
        (variant(),),
    )
    return lambda **changes: replace(plain, **changes)


@pytest.fixture
def on_variant():
    def build(_type=None, **values):
        return ProductMetafields(
            PRODUCT_ID, {VARIANT_ID: tuple(Metafield(key, value, _type) for key, value in values.items())}
        )

    return build


@pytest.fixture
def customer():
    address = Address(
        ADDRESS_ID,
        "Maja",
        "Lindqvist",
        "Lindqvist Hardware",
        "Storgatan 1",
        None,
        "Umeå",
        None,
        None,
        "903 26",
        "SE",
        None,
        is_default=True,
    )
    plain = Customer(
        CUSTOMER_ID,
        "maja@lindqvist.example",
        "Maja",
        "Lindqvist",
        "+46701234567",
        "enabled",
        False,  # a row of a table
        ("b2b",),
        datetime(2026, 11, 20, 14, 15, 2, tzinfo=UTC),
        (address,),
        (),
    )

    def build(*, metafields=(), address_changes=None, **changes):
        if isinstance(metafields, dict):
            metafields = tuple(Metafield(key, value) for key, value in metafields.items())
        addresses = (replace(address, **address_changes),) if address_changes else changes.pop("addresses", (address,))
        return replace(plain, metafields=metafields, addresses=addresses, **changes)

    return build
