from base64 import urlsafe_b64encode

import pytest

from adapters.vault import INDEX_BYTES, Kind, Vault, WrongKeys, normal_phone, words

OLD, NEW, OTHER = (urlsafe_b64encode(letter * 32).decode() for letter in (b"o", b"n", b"x"))
SHOP = "northwind-trade.myshopify.com"


def test_what_was_sealed_opens_again_and_is_not_readable_meanwhile():
    vault = Vault([NEW])

    sealed = vault.seal(b"ada@example.com")

    assert b"ada" not in sealed
    assert vault.open(sealed) == b"ada@example.com"


def test_a_rotated_key_still_opens_and_the_newest_seals():
    sealed = Vault([OLD]).seal(b"clear")

    rotated = Vault([NEW, OLD])

    assert rotated.open(sealed) == b"clear"
    assert Vault([NEW]).open(rotated.seal(b"clear")) == b"clear"


def test_what_was_resealed_outlives_the_old_key():
    resealed = Vault([NEW, OLD]).reseal(Vault([OLD]).seal(b"clear"))

    assert Vault([NEW]).open(resealed) == b"clear"


@pytest.mark.parametrize(
    "sealed", [Vault([OTHER]).seal(b"ada@example.com"), b"", b"not a token", b"\xff\x00"], ids=range(4)
)
def test_what_no_key_opens_says_what_to_do_and_shows_nothing(sealed):
    with pytest.raises(WrongKeys, match="Put back the key") as failure:
        Vault([NEW, OLD]).open(sealed)

    assert NEW not in str(failure.value)


@pytest.mark.parametrize("keys", [[], ["short"], [NEW, "ä" * 44]])
def test_a_bad_key_stops_the_start_without_being_repeated(keys):
    with pytest.raises(ValueError, match="ENCRYPTION_KEYS") as failure:
        Vault(keys)

    assert all(key not in str(failure.value) for key in keys)
    assert failure.value.__cause__ is None


@pytest.mark.parametrize(
    ("kind", "stored", "typed"),
    [
        (Kind.EMAIL, "Ada@Example.com", " ada@example.COM "),
        (Kind.PHONE, "+44 (0)20 7946-0000", "+440 20 7946 0000"),
        (Kind.PHONE, "0044 20 7946 0000", "+442079460000"),
        (Kind.WORD, "Straße", "STRASSE"),
        (Kind.WORD, "\uff2e\uff4f\uff52\uff54\uff48", "north"),
    ],
)
def test_the_same_value_is_found_however_it_is_typed(kind, stored, typed):
    vault = Vault([NEW])

    assert vault.index(SHOP, kind, stored) in vault.indexes(SHOP, kind, typed)


def test_an_index_written_under_an_old_key_is_still_found():
    written = Vault([OLD]).index(SHOP, Kind.EMAIL, "ada@example.com")

    searched = Vault([NEW, OLD]).indexes(SHOP, Kind.EMAIL, "ada@example.com")

    assert written in searched
    assert written != searched[0]
    assert [len(index) for index in searched] == [INDEX_BYTES, INDEX_BYTES]


def test_indexes_of_two_kinds_or_two_shops_share_nothing():
    vault = Vault([NEW])

    indexes = {
        vault.index(SHOP, Kind.EMAIL, "ada"),
        vault.index(SHOP, Kind.WORD, "ada"),
        vault.index("other.myshopify.com", Kind.WORD, "ada"),
    }

    assert len(indexes) == 3


def test_the_index_key_is_not_the_key_that_seals():
    import hashlib
    import hmac
    from base64 import urlsafe_b64decode

    index = Vault([NEW]).index(SHOP, Kind.EMAIL, "ada")

    naive = hmac.new(urlsafe_b64decode(NEW), f"{SHOP}\0email\0ada".encode(), hashlib.sha256).digest()
    assert index != naive[:INDEX_BYTES]


@pytest.mark.parametrize(("kind", "value"), [(Kind.EMAIL, "  "), (Kind.PHONE, "none"), (Kind.WORD, "")])
def test_a_value_of_which_nothing_is_left_has_no_index(kind, value):
    vault = Vault([NEW])

    assert vault.index(SHOP, kind, value) is None
    assert vault.indexes(SHOP, kind, value) == []


def test_half_a_surrogate_pair_has_an_index_like_any_other_text():
    assert Vault([NEW]).index(SHOP, Kind.WORD, "a\ud83d") is not None


@pytest.mark.parametrize(
    ("typed", "normal"),
    [
        ("+49 30 123", "+4930123"),
        ("(+49) 30 123", "+4930123"),
        ("0049 30 123", "+4930123"),
        ("030/123", "030123"),
        ("٠٣٠", "030"),
    ],
)
def test_a_phone_number_is_its_digits(typed, normal):
    assert normal_phone(typed) == normal


def test_words_are_folded_split_and_kept_once():
    assert words("O'Neill & Søn A/S, o_neill ÉTÉ 7 24h") == ["neill", "søn", "été", "24h"]


def test_a_fingerprint_is_the_same_for_the_same_bytes_of_the_same_shop_alone():
    vault = Vault([NEW])

    assert vault.fingerprint(SHOP, b"ada") == Vault([NEW, OLD]).fingerprint(SHOP, b"ada")
    assert vault.fingerprint(SHOP, b"ada") != vault.fingerprint(SHOP, b"adam")
    assert vault.fingerprint(SHOP, b"ada") != vault.fingerprint("other.myshopify.com", b"ada")
    assert vault.fingerprint(SHOP, b"ada") != vault.index(SHOP, Kind.WORD, "ada")
