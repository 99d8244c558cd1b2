"""A product has two facets: its core comes with a body, its metafields are asked for, and neither erases the other."""

import time

import pytest

from workers.turns import serve_shop

MUG = 7001
SMALL, LARGE, HUGE = 81, 82, 83
PACK = {"key": "pack_size", "value": "6", "type": "number_integer"}


@pytest.fixture
def mug(floor):
    """A mug in two sizes, of which the small one has a pack size; its webhook has arrived."""
    variants = [{"id": SMALL, "sku": "MUG-S", "metafields": [PACK]}, {"id": LARGE, "sku": "MUG-L"}]
    floor.change("create_product", id=MUG, title="Mug", variants=variants)
    return floor


def values(floor, product_id=MUG):
    """By variant: the metafields as they are known, None while they are not."""
    known = floor.product(product_id).metafields
    return known and {i: {field.key: field.value for field in fields} for i, fields in known.by_variant.items()}


def asks(floor):
    return floor.value(
        "SELECT count(*) FROM deliveries WHERE topic = 'product/metafields' AND lane = 'bulk' AND state = 'waiting'"
    )


def test_a_new_products_metafields_are_unknown_until_the_other_lane_has_asked(mug):
    mug.turn("live")
    assert mug.product(MUG).core.title == "Mug"
    assert values(mug) is None
    assert mug.requests() == {"all": 0}

    mug.turn("bulk")

    assert values(mug) == {SMALL: {"pack_size": "6"}, LARGE: {}}
    assert asks(mug) == 0


def test_a_silent_shop_gets_no_turn_for_what_must_be_asked_of_it_until_it_may_be_asked(mug):
    mug.workshop.admin._breaker.failed(mug.shop)
    for _ in range(4):
        pause = mug.workshop.admin._breaker.failed(mug.shop)

    serve_shop(mug.workshop, "live", mug.shop)

    rung = mug.workshop.bell.redis.zscore("mail:bulk", mug.shop)
    assert pause == 16
    assert pause - 5 < rung - time.time() <= pause
    assert asks(mug) == 1  # and it lies there untouched


def test_a_turn_that_leaves_nothing_to_be_asked_rings_for_nobody(mug, monkeypatch):
    mug.serve()
    mug.change("edit_product", id=MUG, title="Big mug")
    rung = []  # by the worker; the front door's bell is another, which rings when it comes to it
    monkeypatch.setattr(mug.workshop.bell, "ring", lambda lane, due: rung.append(lane))

    serve_shop(mug.workshop, "live", mug.shop)

    assert mug.product(MUG).core.title == "Big mug"
    assert rung == []


def test_a_body_never_erases_metafields(mug):
    mug.serve()

    mug.change("edit_product", id=MUG, title="Big mug")
    mug.serve()

    assert mug.product(MUG).core.title == "Big mug"
    assert values(mug) == {SMALL: {"pack_size": "6"}, LARGE: {}}


def test_a_body_that_carries_all_metafields_is_believed(floor):
    variant = {"id": SMALL, "sku": "S", "metafields": [PACK | {"namespace": "sparklayer"}]}
    floor.send("products/update", floor.body(MUG, 1, variants=[variant]), 1)

    floor.turn()

    assert values(floor) == {SMALL: {"pack_size": "6"}}
    assert asks(floor) == 0


def test_many_updates_of_an_unread_product_leave_one_ask(mug):
    for title in ("A", "B", "C"):
        mug.turn("live")
        mug.change("edit_product", id=MUG, title=title)
    mug.turn("live")

    assert asks(mug) == 1


def test_a_new_variant_makes_the_record_ask_again(mug):
    mug.serve()

    mug.change("add_variants", id=MUG, variants=[{"id": HUGE, "sku": "MUG-XL", "metafields": [PACK | {"value": "2"}]}])
    mug.turn("live")
    assert (asks(mug), HUGE in values(mug)) == (1, False)
    mug.turn("bulk")

    assert values(mug) == {SMALL: {"pack_size": "6"}, LARGE: {}, HUGE: {"pack_size": "2"}}


def test_a_variant_that_comes_while_shopify_answers_is_asked_about_afterwards(mug):
    from adapters import inbox, shops
    from domain.deliveries import fold
    from workers import product_turn, product_writing

    mug.turn("live")
    with mug.db.connect() as db:
        shop = shops.find(db, mug.workshop.vault, mug.shop)
        asked = fold(inbox.peek(db, "bulk", mug.shop, 10))
    answer = product_turn.gather(mug.workshop, shop, asked)
    mug.change("add_variants", id=MUG, variants=[{"id": HUGE, "sku": "MUG-XL", "metafields": [PACK]}])
    mug.turn("live")
    with mug.db.begin() as db:
        product_writing.write(db, shop, answer.findings, mug.at(3600))

    mug.serve()

    assert values(mug) == {SMALL: {"pack_size": "6"}, LARGE: {}, HUGE: {"pack_size": "6"}}


def test_a_variant_that_shopify_no_longer_has_is_not_asked_about_for_ever(mug):
    mug.silently("remove_variant", id=LARGE)

    mug.serve()

    assert asks(mug) == 0
    assert values(mug)[SMALL] == {"pack_size": "6"}


def test_two_products_that_claim_the_same_variant_do_not_ask_for_ever(floor):
    for product_id in (MUG, MUG + 1):
        floor.send("products/update", floor.body(product_id, 1, variants=[{"id": SMALL, "sku": "S"}]), 1)

    floor.serve()

    assert asks(floor) == 0


def test_metafields_edited_without_a_word_arrive_when_asked_for(mug):
    mug.serve()
    mug.change("edit_variant_metafield", id=LARGE, **PACK)
    assert values(mug)[LARGE] == {}

    mug.store([{"id": MUG}], topic="product/metafields")
    mug.turn("live")

    assert values(mug) == {SMALL: {"pack_size": "6"}, LARGE: {"pack_size": "6"}}


def test_a_metafield_that_makes_no_sense_is_an_issue_until_it_is_mended(mug):
    mug.change("edit_variant_metafield", id=LARGE, **PACK | {"value": "six", "type": "single_line_text_field"})
    mug.serve()
    [issue] = mug.issues("products", MUG)
    assert issue["path"] == f"variants[{LARGE}].metafields.pack_size"

    mug.change("edit_variant_metafield", id=LARGE, **PACK)
    mug.store([{"id": MUG}], topic="product/metafields")
    mug.turn()

    assert mug.issues("products", MUG) == []


def test_a_product_whose_variants_the_body_cuts_off_is_fetched_whole(floor):
    variants = [{"id": 1_000 + n, "sku": f"V-{n}"} for n in range(150)]
    floor.change("create_product", id=MUG, title="Many mugs", variants=variants)

    outcomes = floor.turn("live")

    assert list(outcomes.values()) == ["applied"]
    product = floor.product(MUG)
    assert [variant.id for variant in product.core.variants] == [1_000 + n for n in range(150)]
    assert (product.core.variants_complete, product.source) == (True, "fetch")
    floor.serve()
    assert len(values(floor)) == 150


def test_a_cut_off_body_waits_for_its_fetch_whatever_else_waits(floor):
    variants = [{"id": 1_000 + n, "sku": f"V-{n}"} for n in range(150)]
    floor.change("create_product", id=MUG, title="Many mugs", variants=variants)
    floor.store([{"id": MUG}], topic="product/fetch")
    floor.devstore.fault("500")

    assert floor.turn() == {}
    assert floor.outcomes() == {"waiting": 2}


def test_variants_that_are_named_nowhere_are_gone(mug):
    mug.serve()

    mug.change("remove_variant", id=SMALL)
    mug.turn()

    assert [variant.id for variant in mug.product(MUG).core.variants] == [LARGE]
    assert mug.rows("SELECT id, sku FROM variants") == [{"id": LARGE, "sku": "MUG-L"}]


def test_an_order_brings_the_new_stock(mug):
    mug.serve()

    mug.change("order", id=SMALL, quantity=3)
    mug.turn()

    assert [v.inventory_quantity for v in mug.product(MUG).core.variants] == [7, 10]


def test_a_run_that_asks_for_a_product_gets_both_facets(mug):
    mug.silently("edit_product", id=MUG, title="Silent mug")
    mug.execute("DELETE FROM deliveries")
    mug.store([{"id": MUG}], topic="product/fetch")

    mug.turn()

    assert mug.product(MUG).core.title == "Silent mug"
    assert values(mug) == {SMALL: {"pack_size": "6"}, LARGE: {}}


def test_a_product_that_shopify_does_not_know_is_removed(mug):
    mug.serve()
    mug.silently("delete_product", id=MUG)
    mug.store([{"id": MUG}], topic="product/fetch")

    mug.turn()

    assert mug.product(MUG).removed_at is not None
    assert mug.rows("SELECT * FROM variants") == []
