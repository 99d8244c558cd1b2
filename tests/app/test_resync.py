"""What differs between two states of a record, and how a resync's outcome is worded."""

import pytest

from app.resync import Change, Progress, compare, in_words

BEFORE = {
    "title": "Mug",
    "tags": ["a"],
    "vendor": None,
    "variants": [{"id": 1, "sku": "A", "metafields": {"sell": "true"}}],
}


def test_equal_records_differ_in_nothing():
    assert compare(BEFORE, BEFORE) == ()


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"title": "Cup"}, Change("title", "Mug", "Cup")),
        ({"vendor": "Northwind"}, Change("vendor", None, "Northwind")),
        ({"tags": ["a", "b"]}, Change("tags", '["a"]', '["a","b"]')),
        ({"title": None}, Change("title", "Mug", None)),
    ],
)
def test_a_field_is_told_with_what_it_was_and_is(change, expected):
    assert compare(BEFORE, BEFORE | change) == (expected,)


def test_a_variant_is_told_by_its_id_wherever_it_stands():
    after = BEFORE | {"variants": [{"id": 2, "sku": "B"}, *BEFORE["variants"]]}

    assert [change.path for change in compare(BEFORE, after)] == ["variants[2].id", "variants[2].sku"]


def test_a_metafield_is_told_with_its_variant():
    after = BEFORE | {"variants": [{"id": 1, "sku": "A", "metafields": {"sell": "false"}}]}

    assert compare(BEFORE, after) == (Change("variants[1].metafields.sell", "true", "false"),)


def test_a_record_that_is_new_all_over_is_not_listed_to_the_end():
    many = {f"field {n}": n for n in range(500)}

    assert len(compare({}, many)) == 50


def progress(outcome, reason=None, changes=None):
    return Progress(1, "closed" if outcome else "waiting", outcome, reason, changes)


@pytest.mark.parametrize(
    ("told", "is_here", "tone", "words"),
    [
        (progress(None), True, "info", "Shopify is asked about this product."),
        (progress(None, "the shop does not answer"), True, "info", "the shop does not answer."),
        (progress("applied", changes=(Change("a", "1", "2"),)), True, "success", "1 field changed."),
        (progress("applied"), True, "success", "the product was brought up to date."),
        (progress("unchanged", changes=()), True, "success", "nothing had changed."),
        (progress("superseded"), True, "success", "A newer state had already arrived"),
        (progress("deleted"), False, "attention", "Shopify does not have this product"),
        (progress("unchanged", "deleted in Shopify"), False, "attention", "Shopify does not have this product"),
        (progress("filtered", "Not imported: no tag."), False, "attention", "Not imported: no tag."),
        (progress("dead", "it broke"), True, "critical", "could not be read: it broke."),
    ],
)
def test_each_outcome_has_its_words(told, is_here, tone, words):
    said_tone, sentence = in_words(told, "products", is_here=is_here)

    assert said_tone == tone
    assert words in sentence
