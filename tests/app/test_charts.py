from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.pages.charts import FLOOR, HEIGHT, LEAST, TOP, WIDTH, bar_chart

VALUES = st.lists(st.integers(0, 10**9), min_size=1, max_size=40)


@given(VALUES)
def test_no_bar_leaves_the_picture_or_touches_its_neighbour(values):
    bars = bar_chart(values, {}).bars

    assert len(bars) == sum(value > 0 for value in values)
    for bar in bars:
        assert bar.x >= 0
        assert bar.x + bar.width <= WIDTH
        assert bar.y >= TOP - 0.01
        assert bar.y + bar.height == pytest.approx(FLOOR)
    for left, right in pairwise(bars):
        assert left.x + left.width < right.x


@given(VALUES)
def test_higher_values_never_have_lower_bars(values):
    heights = [bar.height for bar in bar_chart(values, {}).bars]
    shown = [value for value in values if value]

    assert sorted(zip(shown, heights, strict=True)) == sorted(zip(sorted(shown), sorted(heights), strict=True))


def test_bars_are_as_high_as_their_share_of_the_highest():
    small, large = bar_chart([25, 100], {}).bars

    assert large.height == FLOOR - TOP
    assert small.height == pytest.approx(large.height / 4, abs=0.01)


def test_one_beside_ten_thousand_is_still_seen():
    assert bar_chart([1, 10_000], {}).bars[0].height == LEAST


def test_the_highest_bar_says_its_number_in_full():
    chart = bar_chart([0, 12_345, 7], {})

    assert chart.peak.words == "12,345"
    assert chart.peak.anchor == "middle"
    assert chart.peak.x == pytest.approx(WIDTH / 2)


@given(st.lists(st.integers(0, 10**6), min_size=24, max_size=30))
def test_no_word_is_cut_off_at_the_edge(values):
    chart = bar_chart(values, {0: "00:00", len(values) - 1: "23 Nov"})

    first, last = chart.ticks
    assert (first.x, first.anchor) == (0.0, "start")
    assert (last.x, last.anchor) == (WIDTH, "end")
    assert all(0 < label.y < HEIGHT for label in (first, last, *([chart.peak] if chart.peak else [])))


def test_of_nothing_there_is_only_the_floor():
    chart = bar_chart([0, 0, 0], {})

    assert (chart.bars, chart.peak) == ((), None)
