from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from adapters import mirror_products, stored
from adapters.mirror_products import CoreWrite, Renewal
from domain.records import Metafield, Product, ProductMetafields, Variant
from domain.versions import Version

SHOP = "northwind-trade.myshopify.com"
START = datetime(2026, 11, 20, 9, tzinfo=UTC)
MUG = Product(1, "Mug", "mug", "active", None, None, (), START, (Variant(10, "A-1", "0123", "S", "1.00", 1, 3),))
KNOWN = ProductMetafields(1, {10: (Metafield("rrp", "2.5", "number_decimal"),)})


def at(second, seen=0):
    return Version(START + timedelta(seconds=second), START + timedelta(seconds=seen))


@pytest.fixture
def db(database):
    with database.begin() as connection:
        yield connection


@pytest.fixture
def write(db):
    def one(version, product=MUG):
        product = replace(product, updated_at=version.at)
        dumped, digest = stored.dump_product(product), stored.content_hash(product)
        core = CoreWrite(product, version, "webhook", (), dumped, digest)
        return mirror_products.write_cores(db, SHOP, [core]) == {product.id}

    return one


def load(db):
    return mirror_products.load(db, SHOP, [1]).get(1)


def test_a_newer_state_is_written(db, write):
    assert write(at(1))
    assert write(at(2), replace(MUG, title="Big mug"))
    assert load(db).core.title == "Big mug"


@pytest.mark.parametrize("version", [at(2, 4), at(1, 9)])
def test_an_older_state_is_refused_by_the_database_itself(db, write, version):
    write(at(2, 5))

    assert not write(version, replace(MUG, title="Old mug"))
    assert load(db).core.title == "Mug"


def test_an_equal_version_is_written_again(db, write):
    write(at(2, 5))

    assert write(at(2, 5), replace(MUG, title="Repaired"))
    assert load(db).core.title == "Repaired"


def test_what_is_held_says_version_hash_and_removal(db, write):
    assert mirror_products.hold(db, SHOP, [1]) == {}
    write(at(2, 5))
    held = mirror_products.hold(db, SHOP, [1, 2])

    assert held.keys() == {1}
    assert (held[1].core.version, held[1].core.removed, held[1].metafields_seen) == (at(2, 5), False, None)
    assert held[1].core.content == stored.content_hash(MUG)


def test_a_removal_keeps_the_last_core_and_an_older_removal_changes_nothing(db, write):
    write(at(2))
    mirror_products.remove(db, SHOP, {1: (at(1), "too late")})
    assert load(db).removed_at is None

    mirror_products.remove(db, SHOP, {1: (at(3), "deleted in Shopify")})

    assert (load(db).core.title, load(db).removed_reason) == ("Mug", "deleted in Shopify")
    assert mirror_products.count(db, SHOP) == 0


def test_a_removal_of_what_was_never_seen_is_remembered(db, write):
    mirror_products.remove(db, SHOP, {1: (at(3, 3), "deleted in Shopify")})

    assert not write(at(2))
    assert mirror_products.hold(db, SHOP, [1])[1].core.removed
    assert load(db).core is None


def test_a_newer_state_ends_a_removal(db, write):
    mirror_products.remove(db, SHOP, {1: (at(3), "deleted in Shopify")})

    assert write(at(4))
    assert (load(db).removed_at, load(db).removed_reason) == (None, None)
    assert mirror_products.count(db, SHOP) == 1


def test_a_renewal_moves_the_version_alone(db, write):
    write(at(2))
    mirror_products.renew(db, SHOP, [Renewal(1, at(5, 6), "run", START + timedelta(seconds=5))])

    assert mirror_products.hold(db, SHOP, [1])[1].core.version == at(5, 6)
    assert load(db).core == replace(MUG, updated_at=START + timedelta(seconds=5))
    assert load(db).source == "run"


def test_a_renewal_never_moves_a_version_back(db, write):
    write(at(5))
    mirror_products.renew(db, SHOP, [Renewal(1, at(2))])

    assert mirror_products.hold(db, SHOP, [1])[1].core.version == at(5)


def test_metafields_are_a_facet_of_their_own(db, write):
    write(at(1))
    assert load(db).metafields is None
    assert mirror_products.write_metafields(db, SHOP, [(KNOWN, START)]) == {1}
    write(at(2))

    assert load(db).metafields == KNOWN


def test_metafields_that_were_read_earlier_are_refused(db, write):
    write(at(1))
    mirror_products.write_metafields(db, SHOP, [(KNOWN, START)])
    older = ProductMetafields(1, {10: ()})

    assert mirror_products.write_metafields(db, SHOP, [(older, START - timedelta(seconds=1))]) == set()
    assert load(db).metafields == KNOWN


def test_metafields_of_an_unknown_product_are_not_kept(db):
    assert mirror_products.write_metafields(db, SHOP, [(KNOWN, START)]) == set()
    assert load(db) is None


def test_variants_are_found_by_folded_sku_until_they_are_forgotten(db):
    cup = replace(
        MUG, id=2, variants=(Variant(20, " a-1", None, None, None, 1, None), Variant(21, "", None, *[None] * 4))
    )

    assert mirror_products.write_variants(db, SHOP, [MUG, cup]) == {"a-1"}
    assert mirror_products.shared(db, SHOP, {"a-1", "b"}) == {"a-1": [("A-1", 1, 10), (" a-1", 2, 20)]}

    assert mirror_products.forget_variants(db, SHOP, [1]) == {"a-1"}

    assert mirror_products.shared(db, SHOP, {"a-1"}) == {}
    assert mirror_products.forget_variants(db, SHOP, [1]) == set()
    assert mirror_products.forget_variants(db, SHOP, [2]) == {"a-1"}


def test_variants_of_a_rewritten_product_are_those_of_today(db):
    mirror_products.write_variants(db, SHOP, [MUG])
    both = (replace(MUG.variants[0], id=11), replace(MUG.variants[0], id=12))
    mirror_products.forget_variants(db, SHOP, [1])
    mirror_products.write_variants(db, SHOP, [replace(MUG, variants=both)])

    assert mirror_products.shared(db, SHOP, {"a-1"}) == {"a-1": [("A-1", 1, 11), ("A-1", 1, 12)]}


def test_the_variants_of_a_live_product_are_those_of_its_core(db, write):
    write(at(1))
    write(at(1), replace(MUG, id=2))  # which claims the same variant
    assert mirror_products.variant_ids(db, SHOP, [1, 2]) == {1: [10], 2: [10]}

    mirror_products.remove(db, SHOP, {1: (at(3), "deleted in Shopify")})

    assert mirror_products.variant_ids(db, SHOP, [1, 2]) == {2: [10]}


def test_two_shops_may_have_products_of_the_same_id(db, write):
    write(at(1))

    assert mirror_products.load(db, "other.myshopify.com", [1]) == {}
    assert mirror_products.count(db, "other.myshopify.com") == 0


def test_an_id_beyond_what_floats_can_tell_is_kept(db, write):
    write(at(1), replace(MUG, id=2**63 - 1))

    assert mirror_products.load(db, SHOP, [2**63 - 1])[2**63 - 1].core.id == 2**63 - 1
