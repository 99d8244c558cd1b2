"""What is said of a feed as a whole, and when a shop's runs are worth trying again."""

from datetime import UTC, datetime, timedelta

import pytest

from domain.catalogue import sentence
from domain.health import (
    Access,
    Breaker,
    Failures,
    FeedHealth,
    Flaw,
    Heard,
    Probe,
    Runs,
    findings,
    judge,
    pause,
    silence_issues,
    version_ends,
    version_issues,
)

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
EVERY = timedelta(minutes=10)
HOUR = timedelta(hours=1)


def access(**changes):
    usual = {
        "probe": Probe.ANSWERED,
        "version": "2026-10",
        "scopes": {"read_products", "read_customers"},
        "versions": {"2026-07", "2026-10"},
    }
    return Access(**usual | changes)


def feed(**changes):
    usual = {"feed": "products", "scope": "read_products", "failing_because": None, "records": 10}
    return FeedHealth(**usual | changes)


def codes(access, feed):
    return [issue.code for issue in findings(access, feed, NOW)]


def test_a_healthy_feed_has_no_findings():
    assert codes(access(), feed()) == []


@pytest.mark.parametrize(
    ("of_access", "of_feed", "code"),
    [
        ({"probe": Probe.TOKEN_DEAD}, {}, "SOURCE_AUTH_FAILED"),
        ({"probe": Probe.THROTTLED}, {}, "SOURCE_THROTTLED"),
        ({"probe": Probe.UNREACHABLE}, {"failing_because": "No answer."}, "SOURCE_UNREACHABLE"),
        ({}, {"failing_because": "Customer data is kept from the app."}, "RUN_FAILED"),
        ({"scopes": {"read_customers"}}, {}, "SCOPE_MISSING"),
        ({"versions": {"2027-01"}}, {}, "API_VERSION_UNSUPPORTED"),
        ({}, {"records": 25_001}, "LIMIT_RECOMMENDED"),
    ],
)
def test_each_trouble_is_one_finding(of_access, of_feed, code):
    assert codes(access(**of_access), feed(**of_feed)) == [code]


def test_one_unanswered_query_before_any_run_failed_is_not_worth_telling():
    assert codes(access(probe=Probe.UNREACHABLE), feed()) == []


def test_what_was_never_told_is_not_missing():
    assert codes(access(scopes=None, versions=None), feed()) == []


def test_to_write_includes_to_read():
    assert codes(access(scopes={"write_products"}), feed()) == []


def test_a_flaw_concerns_its_own_feed_or_all():
    flaws = [
        Flaw("WEBHOOK_SUBSCRIPTION_MISSING", "a", "customers/update", "is missing", "customers"),
        Flaw("WEBHOOK_SUBSCRIPTION_MISSING", "b", "app/uninstalled", "is missing", None),
    ]

    found = findings(access(flaws=flaws), feed(), NOW)

    assert [issue.path for issue in found] == ["b"]
    assert "app/uninstalled" in sentence(found[0])


@pytest.mark.parametrize(
    ("version", "ends"), [("2025-10", "2026-10-16"), ("2026-01", "2027-01-16"), ("2026-10", "2027-10-16")]
)
def test_a_version_ends_when_shopify_says(version, ends):
    assert f"{version_ends(version):%Y-%m-%d}" == ends


@pytest.mark.parametrize(
    ("version", "now", "expected"),
    [
        ("2026-10", datetime(2027, 7, 18, 14, tzinfo=UTC), []),
        ("2026-10", datetime(2027, 7, 18, 16, tzinfo=UTC), ["API_VERSION_ENDING"]),
        ("2026-10", datetime(2027, 10, 16, 16, tzinfo=UTC), ["API_VERSION_UNSUPPORTED"]),
        ("unstable", datetime(2027, 10, 16, tzinfo=UTC), []),
    ],
)
def test_the_end_of_a_version_is_told_ninety_days_ahead(version, now, expected):
    assert [issue.code for issue in version_issues(version, {version}, now)] == expected


def office_hours(days=7, until=NOW, each=10):
    """Webhooks from 8 to 17 o'clock, on each of the days before `until`."""
    hours = [until.replace(hour=0) - timedelta(days=d) + h * HOUR for d in range(days) for h in range(8, 18)]
    return [Heard(hour, each, hour + timedelta(minutes=50)) for hour in sorted(hours) if hour < until]


def silence(heard, now):
    return [issue.code for issue in silence_issues(feed(heard=heard, missed=3), now)]


def test_a_night_is_no_silence():
    evening = NOW.replace(hour=18)

    assert silence(office_hours(until=evening), evening + 14 * HOUR) == []


def test_silence_is_told_when_it_is_far_longer_than_any_pause_of_the_week():
    evening = NOW.replace(hour=18)
    heard = office_hours(until=evening)

    assert silence(heard, evening + 40 * HOUR) == []
    assert silence(heard, evening + 44 * HOUR) == ["WEBHOOKS_SILENT"]
    assert "found 3 changes" in sentence(silence_issues(feed(heard=heard, missed=3), evening + 44 * HOUR)[0])


def test_a_shop_that_is_never_quiet_is_missed_after_three_hours():
    heard = [Heard(NOW - n * HOUR, 40, NOW - n * HOUR + timedelta(minutes=59)) for n in range(100, 0, -1)]

    assert silence(heard, NOW + 2.9 * HOUR) == []
    assert silence(heard, NOW + 3.1 * HOUR) == ["WEBHOOKS_SILENT"]


@pytest.mark.parametrize("heard", [[], office_hours(days=7, each=0), office_hours(days=2)[-10:]])
def test_of_a_shop_that_is_hardly_known_nothing_is_said(heard):
    assert silence(heard, NOW + timedelta(days=6)) == []


def test_two_failed_runs_hold_nothing_back():
    assert judge(Breaker(), Failures(2, 7), Probe.UNREACHABLE, NOW, EVERY) == (Breaker(None, 0, 7), Runs.UNTOUCHED)


def test_the_third_failed_run_in_a_row_opens_the_breaker():
    breaker, runs = judge(Breaker(judged_run=5), Failures(3, 7), Probe.UNREACHABLE, NOW, EVERY)

    assert (breaker, runs) == (Breaker(NOW + 2 * EVERY, 0, 7), Runs.HELD_BACK)


def test_while_it_is_open_a_look_changes_nothing():
    opened = Breaker(NOW + 2 * EVERY, 0, 7)

    assert judge(opened, Failures(3, 7), Probe.UNREACHABLE, NOW + EVERY, EVERY) == (opened, Runs.UNTOUCHED)


def test_a_probe_that_is_answered_lets_one_run_through():
    opened = Breaker(NOW, 1, 7)

    assert judge(opened, Failures(3, 7), Probe.ANSWERED, NOW, EVERY) == (Breaker(None, 0, 7), Runs.RELEASED)


def test_each_probe_in_vain_makes_the_next_one_later():
    breaker = Breaker(NOW, 0, 7)
    waits = []
    for _ in range(4):
        at = breaker.open_until
        breaker, _ = judge(breaker, Failures(3, 7), Probe.UNREACHABLE, at, EVERY)
        waits.append((breaker.open_until - at) / EVERY)

    assert waits == [4, 6, 6, 6]


def test_a_run_that_fails_though_the_probe_was_answered_opens_it_again_for_longer():
    _, released = judge(Breaker(NOW, 0, 7), Failures(3, 7), Probe.ANSWERED, NOW, EVERY)
    breaker, runs = judge(Breaker(None, 0, 7), Failures(4, 9), Probe.ANSWERED, NOW, EVERY)

    assert released is Runs.RELEASED
    assert (breaker.open_until, runs) == (NOW + 4 * EVERY, Runs.HELD_BACK)


def test_a_run_that_succeeds_closes_it():
    opened = Breaker(NOW + EVERY, 2, 7)

    assert judge(opened, Failures(0, 7), Probe.ANSWERED, NOW, EVERY) == (Breaker(None, 0, 7), Runs.RELEASED)


def test_the_longest_pause_is_an_hour_with_runs_every_ten_minutes():
    assert [pause(n, EVERY) / EVERY for n in (3, 4, 5, 6, 1_000)] == [2, 4, 6, 6, 6]
