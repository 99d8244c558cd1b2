"""What a change fires, and what it leaves alone."""

from datetime import UTC, datetime, timedelta

import pytest

from devstore.records import MetafieldWish
from devstore.shop import Shop

NOON = datetime(2026, 11, 20, 12, 0, 0, 500_000, tzinfo=UTC)


class Clock:
    def __init__(self):
        self.time = NOON

    def __call__(self):
        return self.time

    def tick(self, seconds=60):
        self.time += timedelta(seconds=seconds)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def shop(clock):
    shop = Shop("northwind.myshopify.com", 1, clock)
    shop.create_product(id=7, title="Mug", variants=[{"id": 71, "sku": "A", "inventory_quantity": 5}, {"id": 72}])
    shop.create_customer(id=8, first_name="Bob", tags=["vip"])
    clock.tick()
    return shop


def topics(happenings):
    return [happening.topic for happening in happenings]


def test_a_time_of_change_is_fine_to_the_second_while_the_trigger_is_finer(shop, clock):
    (fired,) = shop.edit_product(7, title="Cup")

    assert fired.record.updated_at == clock.time.replace(microsecond=0)
    assert fired.at == clock.time


def test_an_order_moves_the_stock_and_fires_products_update(shop):
    fired = shop.order(71, 2)

    assert topics(fired) == ["products/update"]
    assert shop.products.truth[7].variants[0].inventory_quantity == 3


def test_editing_a_variants_metafield_fires_nothing_and_does_not_move_the_time(shop):
    before = shop.products.truth[7].updated_at

    fired = shop.edit_variant_metafield(71, MetafieldWish("pack_size", "6", "number_integer"))

    assert fired == ()
    assert shop.products.truth[7].updated_at == before
    assert shop.products.truth[7].variants[0].metafields[0].value == "6"


def test_a_variants_metafield_can_be_made_loud(shop, clock):
    shop.conduct.variant_metafields_fire_update = True

    fired = shop.edit_variant_metafield(71, MetafieldWish("pack_size", "6"))

    assert topics(fired) == ["products/update"]
    assert shop.products.truth[7].updated_at == clock.time.replace(microsecond=0)


def test_writing_the_same_metafield_again_is_no_change(shop):
    shop.edit_product_metafield(7, MetafieldWish("pack_size", "6"))

    assert shop.edit_product_metafield(7, MetafieldWish("pack_size", "6")) == ()
    assert topics(shop.edit_product_metafield(7, MetafieldWish("pack_size", None))) == ["products/update"]


def test_a_new_tag_fires_tags_added_and_no_update(shop):
    before = shop.customers.truth[8].updated_at

    (fired,) = shop.tag_customer(8, "b2b", "vip")

    assert (fired.topic, fired.tags) == ("customer.tags_added", ("b2b",))
    assert shop.customers.truth[8].updated_at == before


def test_a_lost_tag_fires_tags_removed_and_an_unknown_one_nothing(shop):
    assert topics(shop.untag_customer(8, "vip")) == ["customer.tags_removed"]
    assert shop.untag_customer(8, "vip") == ()


def test_tags_can_be_made_to_fire_an_update_too(shop):
    shop.conduct.tags_fire_update = True

    assert topics(shop.tag_customer(8, "b2b")) == ["customer.tags_added", "customers/update"]


def test_a_customers_metafield_fires_only_when_told_to(shop):
    assert shop.edit_customer_metafield(8, MetafieldWish("group", "gold")) == ()

    shop.conduct.customer_metafields_fire_update = True

    assert topics(shop.edit_customer_metafield(8, MetafieldWish("group", "silver"))) == ["customers/update"]


def test_disabling_an_account_fires_customers_disable(shop):
    assert topics(shop.edit_customer(8, state="disabled")) == ["customers/update", "customers/disable"]
    assert topics(shop.edit_customer(8, state="enabled")) == ["customers/update", "customers/enable"]


def test_a_deleted_product_leaves_an_event_and_a_deleted_customer_does_not(shop):
    assert topics(shop.delete_product(7)) == ["products/delete"]
    assert topics(shop.delete_customer(8)) == ["customers/delete"]

    assert [(e.action, e.subject_id) for e in shop.events] == [("destroy", "gid://shopify/Product/7")]


def test_a_record_that_was_handed_out_does_not_change_later(shop):
    (fired,) = shop.edit_product(7, title="Cup")
    shop.edit_product(7, title="Bowl")

    assert fired.record.title == "Cup"


def test_a_removed_variant_leaves_the_others_in_order(shop):
    (fired,) = shop.remove_variant(71)

    assert [(v.number, v.position) for v in fired.record.variants] == [(72, 1)]


def test_more_variants_than_shopify_allows_are_refused(shop):
    with pytest.raises(ValueError, match="2048"):
        shop.create_product(title="Many", variants=[{}] * 2_049)


def test_the_index_shows_a_change_only_after_the_lag(shop, clock):
    shop.conduct.index_lag = 30
    clock.tick(31)
    shop.edit_product(7, title="Cup")

    def titles():
        return [p.title for p in shop.products.search(30, "all", None, lambda p: p.number, reverse=False)]

    assert shop.products.truth[7].title == "Cup"
    assert titles() == ["Mug"]
    clock.tick(30)
    assert titles() == ["Cup"]


def test_the_index_shows_the_deleted_until_it_catches_up(shop, clock):
    clock.tick(31)
    shop.delete_product(7)

    assert list(shop.products.indexed(30)) == [7]
    clock.tick(30)
    assert list(shop.products.indexed(30)) == []


def test_a_merge_leaves_one_customer_with_the_tags_of_both_and_is_no_delete(shop):
    shop.create_customer(id=9, first_name="Rob", tags=["b2b"])

    fired = shop.merge_customers(8, 9)

    assert topics(fired) == ["customers/merge", "customers/update"]
    assert dict(fired[0].extra)["admin_graphql_api_customer_deleted_id"] == "gid://shopify/Customer/8"
    assert shop.customers.truth.keys() == {9}
    assert shop.customers.truth[9].tags == ("b2b", "vip")
    assert list(shop.customers.deleted) == [8]


def test_what_comes_back_under_its_old_number_is_no_longer_deleted(shop):
    shop.delete_customer(8)

    shop.create_customer(id=8, first_name="Bob")

    assert list(shop.customers.deleted) == []
