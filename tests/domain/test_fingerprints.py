"""Failures that are one to an engineer have one fingerprint, and what it keeps says nothing of a record or a shop."""

import pytest

from domain.fingerprints import error_class, fingerprint

BUG = "could not be applied: UniqueViolation (SQLSTATE 23505) at adapters/mirror_products.py:88"


@pytest.mark.parametrize(
    ("one", "another"),
    [
        (BUG, BUG.replace(":88", ":91")),
        (
            "northwind-trade.myshopify.com failed to answer (HTTP 502).",
            "hearth.myshopify.com failed to answer (HTTP 502).",
        ),
        ("It is asked again in 12 s.", "It is asked again in 7.5 s."),
        ('the field "sku" is no text', 'the field "price" is no text'),
        ("the body is empty", "given up after two days: the body is empty"),
    ],
)
def test_what_differs_from_one_delivery_to_the_next_makes_no_other_group(one, another):
    assert fingerprint("products/update", one) == fingerprint("products/update", another)


@pytest.mark.parametrize(
    ("one", "another"),
    [
        (BUG, BUG.replace("UniqueViolation", "CheckViolation")),
        (BUG, BUG.replace("23505", "23514")),
        (BUG, BUG.replace("mirror_products", "issue_log")),
        ("the shop failed to answer (HTTP 502).", "the shop failed to answer (HTTP 504)."),
        ("the body is empty", "the body is not JSON"),
        ("the body is empty", None),
    ],
)
def test_another_cause_is_another_group(one, another):
    assert fingerprint("products/update", one).key != fingerprint("products/update", another).key


def test_another_topic_is_another_group():
    assert fingerprint("products/update", BUG).key != fingerprint("products/create", BUG).key


def test_the_common_sentence_names_no_shop_and_quotes_nothing():
    common = fingerprint(
        "products/update", 'Northwind-Trade.myshopify.com sent "Jane\'s order" for 7356521840875.'
    ).sentence

    assert common == "the shop sent “…” for N."


def test_an_apostrophe_opens_no_quotation():
    assert fingerprint("a", "Shopify's answer isn't one of the shop's 3").sentence == (
        "Shopify's answer isn't one of the shop's N"
    )


@pytest.mark.parametrize(("reason", "named"), [(BUG, "UniqueViolation"), ("the body is empty", None), (None, None)])
def test_a_bugs_sentence_names_its_class(reason, named):
    assert error_class(reason) == named
