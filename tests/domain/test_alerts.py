"""When on-call engineers are told, and in which words."""

from datetime import UTC, datetime

import pytest

from domain.alerts import (
    DRIFT_GAPS,
    KINDS,
    LAG_SECONDS,
    SIGNATURE_FAILURES,
    WINDOW_SECONDS,
    Facts,
    Window,
    firing,
    message,
    unknown,
)

QUIET = {"dead": 0, "oldest_live_seconds": 0.0, "silent_shops": 0, "gaps_last_hour": 0, "signature_failures": 0}
NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("fact", "fine", "too_much", "name"),
    [
        ("dead", 0, 1, "dead"),
        ("oldest_live_seconds", LAG_SECONDS, LAG_SECONDS + 1, "lag"),
        ("silent_shops", 0, 1, "silence"),
        ("gaps_last_hour", DRIFT_GAPS - 1, DRIFT_GAPS, "drift"),
        ("signature_failures", SIGNATURE_FAILURES - 1, SIGNATURE_FAILURES, "signatures"),
    ],
)
def test_each_fact_has_its_alert_and_its_threshold(fact, fine, too_much, name):
    assert firing(Facts(**QUIET | {fact: fine})) == {}
    assert firing(Facts(**QUIET | {fact: too_much})).keys() == {name}


def test_every_alert_has_a_title_a_page_and_a_heading():
    on = firing(Facts(1, 1e9, 1, 99, 99))

    assert on.keys() == KINDS.keys()


def test_what_nobody_knows_neither_begins_nor_ends():
    facts = Facts(**QUIET | {"signature_failures": None})

    assert firing(facts) == {}
    assert unknown(facts) == {"signatures"}


def test_one_is_not_told_as_many():
    assert "1 delivery is dead" in firing(Facts(**QUIET | {"dead": 1}))["dead"]
    assert "2,000 deliveries are dead" in firing(Facts(**QUIET | {"dead": 2_000}))["dead"]


def test_a_window_counts_what_came_since_it_began_and_remembers_the_one_before():
    window = Window(100.0, 0.0)
    assert window.moved(103, 60).risen(103) == 3

    window = window.moved(104, WINDOW_SECONDS + 1)

    assert window.risen(104) == 4
    assert window.moved(104, 2 * WINDOW_SECONDS + 3).risen(104) == 0


def test_a_window_that_was_left_alone_for_long_remembers_nothing():
    assert Window(0.0, 0.0).moved(50, 3 * WINDOW_SECONDS).risen(50) == 0


def test_a_counter_that_was_reset_starts_from_zero():
    assert Window(100.0, 0.0).moved(2, 60).risen(2) == 2


@pytest.mark.parametrize(
    ("is_on", "again", "subject"),
    [
        (True, False, "Data Sync: Deliveries are dead"),
        (True, True, "Data Sync: still: Deliveries are dead"),
        (False, True, "Data Sync: resolved: Deliveries are dead"),
    ],
)
def test_a_mail_says_what_since_when_where_and_what_to_do(is_on, again, subject):
    told, words = message("dead", "3 are dead.", NOON, "https://sync.example", is_on=is_on, again=again)

    assert told == subject
    assert "3 are dead." in words
    assert "https://sync.example/ops/issues" in words
    assert "docs/runbook.md#dead-deliveries" in words
    assert ("12:00 UTC on 24 November 2026" in words) is is_on
