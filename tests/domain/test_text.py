import pytest

from domain.text import is_storable, masked_email, shortened, shown, storable


@pytest.mark.parametrize(
    ("text", "kept"),
    [("abc", "abc"), ("Umeå 木 😀", "Umeå 木 😀"), ("a\x00b", "a\ufffdb"), ("å\ud83d", "å\ufffd"), ("", "")],
)
def test_only_what_cannot_be_stored_is_replaced(text, kept):
    assert storable(text) == kept
    assert is_storable(text) == (text == kept)
    kept.encode()


@pytest.mark.parametrize(
    ("value", "snippet"),
    [
        ("ABC-1 ", '"ABC-1 "'),
        ("a\nb", '"a b"'),
        (6, "6"),
        (1.5, "1.5"),
        (True, "true"),
        (None, "null"),
        ([1], "a list"),
        ({}, "an object"),
        (10**40, "a very long number"),
    ],
)
def test_a_snippet_is_one_line_that_shows_the_spaces_at_its_ends(value, snippet):
    assert shown(value) == snippet


def test_a_snippet_has_at_most_eighty_characters():
    assert len(shown("x" * 5_000_000)) == 80
    assert shortened("x" * 81).endswith("…")
    assert shortened("x" * 80) == "x" * 80


@pytest.mark.parametrize(
    ("email", "masked"), [("jane@example.com", "j…@…"), (" jane@x", "j…@…"), ("jane", "j…"), ("@", "@…@…"), ("", "…")]
)
def test_an_email_address_is_masked_to_its_first_letter(email, masked):
    assert masked_email(email) == masked
