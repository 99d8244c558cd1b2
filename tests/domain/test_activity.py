from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.activity import BOUNDS, BUCKETS, NOTHING, Period, Within, percentile, periods, together

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def spans(**counts):
    """spans(b3=5): five spans in the fourth bucket."""
    return tuple(counts.get(f"b{bucket}", 0) for bucket in range(BUCKETS))


def test_hours_without_anything_are_there_and_empty():
    found = periods([Period(NOON, arrived=7)], NOON - 2 * HOUR, NOON + HOUR / 2, "hour", UTC)

    assert [(period.start, period.arrived) for period in found] == [
        (NOON - 2 * HOUR, 0),
        (NOON - HOUR, 0),
        (NOON, 7),
    ]


def test_days_begin_at_midnight_where_the_shop_is():
    auckland = ZoneInfo("Pacific/Auckland")  # 13 hours ahead: its 24 November begins at 11:00 UTC on the 23rd
    before, after = Period(NOON - 2 * HOUR, arrived=1), Period(NOON - HOUR, arrived=2)

    found = periods([before, after], NOON - 3 * HOUR, NOON, "day", auckland)

    assert [(period.start.astimezone(auckland).day, period.arrived) for period in found] == [(23, 1), (24, 2)]


@pytest.mark.parametrize(
    "zone", ["Europe/Berlin", "America/New_York", "Atlantic/Azores", "Africa/Cairo", "Asia/Kolkata"]
)
def test_a_year_has_365_days_whatever_its_clocks_do(zone):
    start = datetime(2026, 1, 1, tzinfo=ZoneInfo(zone))
    last = datetime(2026, 12, 31, 23, 59, tzinfo=ZoneInfo(zone))

    found = periods([], start, last, "day", ZoneInfo(zone))

    assert len(found) == 365
    assert len({period.start.astimezone(ZoneInfo(zone)).date() for period in found}) == 365


@pytest.mark.parametrize("zone", ["Europe/Berlin", "Atlantic/Azores", "Africa/Cairo", "Pacific/Auckland"])
def test_no_hour_of_a_year_is_lost_or_doubled(zone):
    start = datetime(2026, 1, 1, tzinfo=ZoneInfo(zone)).astimezone(UTC)
    hours = [Period(start + n * HOUR, arrived=1) for n in range(365 * 24)]

    found = periods(hours, start, hours[-1].start, "day", ZoneInfo(zone))

    assert sum(period.arrived for period in found) == 365 * 24
    assert {period.arrived for period in found} == {23, 24, 25}


def test_what_lies_outside_is_left_out():
    found = periods([Period(NOON - 5 * HOUR, arrived=1)], NOON - HOUR, NOON, "hour", UTC)

    assert sum(period.arrived for period in found) == 0


def test_periods_add_up_count_by_count_and_bucket_by_bucket():
    one = Period(NOON, 9, 4, 3, 1, 2, spans(b0=1, b5=3))
    two = Period(NOON + HOUR, 1, 1, 0, 0, 5, spans(b5=1, b16=5))

    assert together([one, two], NOON) == Period(NOON, 10, 5, 3, 1, 7, spans(b0=1, b5=4, b16=5))
    assert together([], NOON).freshness == NOTHING


def test_a_percentile_is_as_exact_as_its_bucket_and_no_more():
    freshness = spans(b2=50, b5=45, b9=4, b16=1)

    assert percentile(freshness, 0.5) == Within(0.25, 0.5)
    assert percentile(freshness, 0.95) == Within(2.0, 5.0)
    assert percentile(freshness, 0.99) == Within(60.0, 120.0)
    assert percentile(freshness, 1.0) == Within(86_400.0, None)


def test_of_nothing_there_is_no_percentile():
    assert percentile(NOTHING, 0.5) is None


@given(st.lists(st.floats(0, 200_000), min_size=1), st.sampled_from([0.5, 0.95, 0.99]))
def test_the_true_percentile_lies_in_the_bucket_that_is_said(seconds, share):
    counts = [0] * BUCKETS
    for second in seconds:
        counts[sum(second >= bound for bound in BOUNDS)] += 1
    true = next(s for n, s in enumerate(sorted(seconds), 1) if n >= share * len(seconds))

    said = percentile(counts, share)

    assert said.low <= true
    assert said.high is None or true < said.high
