"""Figures: each process adds up its own, Redis adds up all, and what cannot be handed over is kept."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from adapters import bell
from adapters.figures import BOUNDS, INGRESS, OUTCOMES, TURNS, Figures, read
from devstore.servers import Valkey

OK = ("products/update", "200")


def test_two_processes_add_up(redis):
    one, another = Figures(redis), Figures(redis)
    one.count(INGRESS, *OK)
    another.count(INGRESS, *OK, by=4)
    one.hand_over()
    another.hand_over()
    one.count(INGRESS, *OK)
    one.hand_over()

    assert read(redis) == {("ingress", "", OK): 6}


def test_labels_may_hold_anything(redis):
    figures = Figures(redis)
    label = ('a"b,c\\d\n', "é🦊")
    figures.count(OUTCOMES, *label)
    figures.hand_over()

    assert read(redis) == {("outcomes", "", label): 1}


@pytest.mark.parametrize(
    ("seconds", "bucket"),
    [(0.0, 0), (0.005, 0), (0.0051, 1), (86_400.0, len(BOUNDS) - 1), (1e9, len(BOUNDS)), (-3.0, 0)],
)
def test_a_duration_falls_into_the_bucket_whose_bound_it_does_not_exceed(redis, seconds, bucket):
    figures = Figures(redis)
    figures.time(TURNS, seconds, "live")
    figures.hand_over()

    assert read(redis) == {
        ("turn_seconds", str(bucket), ("live",)): 1,
        ("turn_seconds", "sum", ("live",)): max(seconds, 0),
    }


def test_nothing_is_lost_between_threads(redis):
    figures = Figures(redis)

    def work(_):
        for _ in range(200):
            figures.count(INGRESS, *OK)
        figures.hand_over()

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(work, range(8)))

    assert read(redis)["ingress", "", OK] == 1600


def test_what_redis_did_not_take_is_kept_for_the_next_time(server_folder):
    with Valkey(server_folder) as valkey:
        client = bell.connect(valkey.url)
        figures = Figures(client)
        valkey.stop()
        figures.count(INGRESS, *OK)
        figures.hand_over()
        figures.count(INGRESS, *OK)
        valkey.start()
        figures.hand_over()

        assert read(client) == {("ingress", "", OK): 2}
        client.close()


def test_a_wiped_redis_starts_again_from_zero(redis):
    figures = Figures(redis)
    figures.count(INGRESS, *OK, by=5)
    figures.hand_over()
    redis.flushall()
    figures.count(INGRESS, *OK)
    figures.hand_over()

    assert read(redis) == {("ingress", "", OK): 1}
