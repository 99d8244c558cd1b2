"""The model's arithmetic, on prices that are easy to reckon with."""

from dataclasses import fields, replace

import pytest

from bench.capacity import DAY, FEEDS, GIB, Habits, Prices, Shop, limits, needs

NOTHING = Prices(**{field.name: {} if "Mapping" in str(field.type) else 0.0 for field in fields(Prices)})
SHOP = Shop(products=100, members=10, bystanders=90, product_webhooks=DAY / 100, customer_webhooks=DAY / 200)
EVEN = Habits(peak=1.0, changed=0.5, quiet_runs=DAY / 1_000, complete_runs=DAY / 2_000)


def cores(price, shops=100, habit=EVEN, shop=SHOP):
    return needs(shop, shops, price, habit).cores


@pytest.mark.parametrize(
    ("price", "busy"),
    [
        ({"changed": {"live": 10.0}}, 0.5 * 10 / 1_000),
        ({"unchanged": {"live": 10.0}}, 0.5 * 10 / 1_000),
        ({"customer": {"live": 10.0}}, 0.5 * 10 / 1_000),
        ({"quiet_run": {"live": 10.0}}, 100 * FEEDS / 1_000 * 10 / 1_000),
        ({"read_record": {"live": 10.0}}, 100 * 200 / 2_000 * 10 / 1_000),
    ],
)
def test_each_kind_of_work_makes_its_role_busy_as_often_as_it_happens(price, busy):
    found = cores(replace(NOTHING, **price))

    assert found["live"] == pytest.approx(busy)
    assert sum(found.values()) == pytest.approx(busy)


def test_only_webhooks_have_a_peak():
    price = replace(NOTHING, changed={"web": 1.0}, quiet_run={"bulk": 1.0})

    calm, busy = cores(price), cores(price, habit=replace(EVEN, peak=7.0))

    assert busy["web"] == pytest.approx(7 * calm["web"])
    assert busy["bulk"] == calm["bulk"]


def test_the_clock_pays_for_each_minute_each_shop_and_each_run_that_it_starts():
    price = replace(NOTHING, clock_minute=600.0, clock_minute_shop=6.0, started_run=10.0)

    assert cores(price)["clock"] == pytest.approx((600 + 100 * 6) / 60_000 + 100 * FEEDS / 1_000 * 10 / 1_000)


def test_twice_the_shops_need_twice_of_all_but_the_clock_itself():
    price = replace(NOTHING, changed={"web": 1.0, "live": 2.0, "postgres": 3.0}, delivery_bytes=1_000, product_bytes=10)

    one, two = needs(SHOP, 1_000, price, EVEN), needs(SHOP, 2_000, price, EVEN)

    assert two.deliveries_per_second == pytest.approx(2 * one.deliveries_per_second)
    assert {role: busy / 2 for role, busy in two.cores.items()} == pytest.approx(dict(one.cores))
    assert two.disk_bytes == pytest.approx(2 * one.disk_bytes)


def test_a_process_is_added_when_those_there_are_would_be_busier_than_they_may():
    at_its_share = replace(NOTHING, changed={"live": 1_000 * EVEN.core / (100 / 100 * 0.5)})

    assert needs(SHOP, 100, at_its_share, EVEN).processes["live"] == 1
    assert needs(SHOP, 101, at_its_share, EVEN).processes["live"] == 2


def test_connections_are_those_of_all_processes_together():
    need = needs(SHOP, 100, NOTHING, EVEN)

    assert need.processes == {"web": 1, "live": 1, "bulk": 1}
    assert need.connections == 7 + 3 * 2


def test_the_inbox_holds_what_came_in_the_days_it_is_kept():
    price = replace(NOTHING, delivery_bytes=GIB / 30, product_bytes=3, member_bytes=5, bystander_bytes=7, run_bytes=11)

    need = needs(replace(SHOP, product_webhooks=1, customer_webhooks=1), 10, price, EVEN)

    assert need.inbox_bytes == pytest.approx(10 * 2 * GIB)
    assert need.mirror_bytes == 10 * (100 * 3 + 10 * 5 + 90 * 7)
    assert need.runs_bytes == pytest.approx(10 * FEEDS * EVEN.quiet_runs * 90 * 11)


def test_what_ends_first_comes_first():
    price = replace(NOTHING, changed={"live": 5.0, "web": 3.0, "postgres": 4.0})

    first, second, *_ = limits(needs(SHOP, 10_000, price, EVEN), EVEN)

    assert (first.what, second.what) == ("one live worker", "one web process")
    assert first.share == pytest.approx(50 * 5 / 1_000 / EVEN.core)
