from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from domain.feed_state import FeedFacts, state_of

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
FINE = FeedFacts(
    feed="products",
    shop_state="active",
    synchronised=120,
    checked=120,
    last_import_at=NOW - timedelta(minutes=9),
    last_complete_at=NOW - timedelta(minutes=50),
    failing_because=None,
    errors=0,
    interval=timedelta(minutes=10),
)


def verdict(**facts):
    state = state_of(replace(FINE, **facts), NOW)
    return state.state, state.reason


LATE = NOW - timedelta(minutes=30, seconds=1)
NO_ACCESS = {"shop_state": "needs_auth"}
NEVER = {"last_import_at": None, "last_complete_at": None}
STALE = {"last_import_at": LATE}
EMPTY = {"synchronised": 0}
ERRORS = {"errors": 2}
WORST_FIRST = [
    (NO_ACCESS, ("no_data", "auth_failed")),
    (NEVER, ("no_data", "never_imported")),
    (STALE, ("no_data", "stale")),
    (EMPTY, ("no_data", "source_empty")),
    (ERRORS, ("ok_with_errors", "issues")),
]


def test_all_is_well():
    assert verdict() == ("ok", None)


@pytest.mark.parametrize(("facts", "expected"), WORST_FIRST)
def test_each_trouble_has_its_state_and_reason(facts, expected):
    assert verdict(**facts) == expected


@pytest.mark.parametrize("place", range(len(WORST_FIRST)))
def test_of_several_troubles_the_worst_is_told(place):
    later = {name: value for facts, _ in WORST_FIRST[place:] for name, value in facts.items()}
    facts, expected = WORST_FIRST[place]

    assert verdict(**(later | facts)) == expected


def test_three_intervals_without_an_import_are_stale_and_not_a_second_less():
    assert verdict(last_import_at=LATE + timedelta(seconds=1)) == ("ok", None)
    assert verdict(last_import_at=LATE) == ("no_data", "stale")


@pytest.mark.parametrize("facts", [NO_ACCESS, NEVER, STALE, EMPTY, ERRORS])
def test_a_failed_run_makes_no_feed_any_greener(facts):
    assert verdict(**facts, failing_because="Shopify did not answer.") == verdict(**facts)


def test_a_failed_run_alone_does_not_take_the_green_away_while_the_last_import_is_young():
    assert verdict(failing_because="Shopify did not answer.") == ("ok", None)


def test_a_feed_that_was_never_read_whole_is_not_imported_however_often_a_part_was():
    assert verdict(last_complete_at=None) == ("no_data", "never_imported")


def test_an_uninstalled_shop_is_not_let_in_either():
    assert verdict(shop_state="uninstalled") == ("no_data", "auth_failed")


@pytest.mark.parametrize(
    ("facts", "sentence"),
    [
        ({}, "Products are synchronising."),
        (
            NO_ACCESS,
            "Shopify no longer lets the app in. Open the app in your Shopify admin to reconnect.",
        ),
        (NEVER, "The first import has not finished yet."),
        (NEVER | {"failing_because": "It broke."}, "The first import has not succeeded yet: It broke."),
        (STALE, "Nothing has been imported for 30 minutes."),
        (STALE | {"failing_because": "It broke."}, "Nothing has been imported for 30 minutes: It broke."),
        (EMPTY, "The shop has no products yet. Add one in Shopify, and it appears here."),
        ({"errors": 1}, "Products are synchronising, but 1 issue needs your attention."),
        ({"errors": 1_200}, "Products are synchronising, but 1,200 issues need your attention."),
        (
            EMPTY | {"feed": "customers", "checked": 4_120, "b2b_tag": "trade"},
            (
                "4,120 customers checked, 0 tagged trade or with sparklayer metafields. "
                "Add the tag trade to a customer in Shopify to import them."
            ),
        ),
    ],
)
def test_a_state_is_told_in_words(facts, sentence):
    assert state_of(replace(FINE, **facts), NOW).sentence == sentence


@pytest.mark.parametrize(
    ("ago", "words"),
    [
        (timedelta(seconds=75), "75 seconds"),
        (timedelta(minutes=45), "45 minutes"),
        (timedelta(minutes=125), "2 hours"),
        (timedelta(days=3), "3 days"),
    ],
)
def test_how_long_nothing_came_is_told_without_a_time_of_day(ago, words):
    """Which would be one zone's, and the pages are read in another."""
    facts = replace(FINE, last_import_at=NOW - ago, interval=timedelta(seconds=20))

    assert state_of(facts, NOW).sentence == f"Nothing has been imported for {words}."
