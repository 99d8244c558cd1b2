"""A replay makes way for live mail, and stops itself."""

from dataclasses import replace

import pytest

from domain.replays import LATE_SECONDS, MOST_OPENED, MOST_WAITING, TRICKLE, Facts, Finish, Open, Stop, Wait, next_step

BEGUN = Facts(is_all_open=False, waiting=0, closed=0, dead=0, live_lag=0.0)


def test_a_step_opens_as_many_as_it_may():
    assert next_step(BEGUN) == Open(MOST_OPENED)


@pytest.mark.parametrize(("waiting", "room"), [(MOST_WAITING - 1, 1), (MOST_WAITING - MOST_OPENED, MOST_OPENED)])
def test_no_more_is_open_at_once_than_is_allowed(waiting, room):
    assert next_step(replace(BEGUN, waiting=waiting)) == Open(room)


@pytest.mark.parametrize("waiting", [MOST_WAITING, MOST_WAITING + 7])
def test_when_enough_is_open_it_waits(waiting):
    assert isinstance(next_step(replace(BEGUN, waiting=waiting)), Wait)


def test_while_live_mail_is_late_it_trickles_and_never_more():
    late = replace(BEGUN, live_lag=LATE_SECONDS + 0.1)

    assert next_step(late) == Open(TRICKLE, pause=1.0)
    assert isinstance(next_step(replace(late, waiting=TRICKLE)), Wait)
    assert next_step(replace(late, live_lag=LATE_SECONDS)) == Open(MOST_OPENED)


@pytest.mark.parametrize(
    ("closed", "dead", "stops"), [(49, 49, False), (50, 10, False), (50, 11, True), (900, 181, True)]
)
def test_it_stops_when_more_than_a_fifth_of_enough_failed_again(closed, dead, stops):
    step = next_step(replace(BEGUN, closed=closed, dead=dead))

    assert isinstance(step, Stop) is stops


def test_its_reason_for_stopping_names_the_figures():
    stop = next_step(replace(BEGUN, closed=1_000, dead=400))

    assert "400 of the first 1,000 failed again" in stop.because


def test_a_failing_replay_stops_even_while_it_would_have_to_wait():
    assert isinstance(next_step(Facts(False, MOST_WAITING, 100, 100, 99.0)), Stop)


def test_it_has_finished_when_all_is_open_and_decided():
    all_open = replace(BEGUN, is_all_open=True, closed=500, dead=500)

    assert isinstance(next_step(replace(all_open, waiting=1)), Wait)
    assert next_step(all_open) == Finish()
