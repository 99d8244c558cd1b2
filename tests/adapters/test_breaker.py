"""A shop that does not answer is left alone, by everybody, and asked again by one."""

import pytest

from adapters.bell import connect
from adapters.breaker import LONGEST, Breaker
from domain.failures import ShopParked, ShopUnreachable

SHOP = "northwind-trade.myshopify.com"
SHOP_FACTS = "{ shop { name } }"


def test_one_failure_parks_the_shop_for_every_process(redis):
    one, other = Breaker(redis), Breaker(redis)

    one.failed(SHOP)

    assert 0 < other.seconds_open(SHOP) <= 1
    assert other.seconds_open("another.myshopify.com") == 0


def test_each_further_failure_doubles_the_pause_up_to_a_minute(redis):
    breaker = Breaker(redis)

    assert [breaker.failed(SHOP) for _ in range(8)] == [1, 2, 4, 8, 16, 32, LONGEST, LONGEST]


def test_an_answer_closes_it_and_forgets_the_failures(redis):
    breaker = Breaker(redis)
    breaker.failed(SHOP)
    breaker.failed(SHOP)

    breaker.answered(SHOP)

    assert breaker.seconds_open(SHOP) == 0
    assert breaker.failed(SHOP) == 1


def test_without_redis_a_process_knows_its_own_failures():
    breaker = Breaker(connect("redis://127.0.0.1:1"))

    breaker.failed(SHOP)

    assert 0 < breaker.seconds_open(SHOP) <= 1


def test_a_parked_shop_is_not_asked(admin, shopify):
    client = admin(origin="http://127.0.0.1:9/{shop}")
    with pytest.raises(ShopUnreachable):
        client.query(SHOP, "token", SHOP_FACTS, {}, cost=1)

    with pytest.raises(ShopParked) as parked:
        client.query(SHOP, "token", SHOP_FACTS, {}, cost=1)

    assert parked.value.counts is False
    assert 0 < parked.value.retry_after <= 1
