"""The clock: what goes wrong in one duty stays with it."""

import threading

import pytest

from workers import timetable
from workers.timetable import Duty


@pytest.mark.timeout(60)
def test_a_bug_in_one_duty_stops_no_other(workshop, monkeypatch):
    stopping, done = threading.Event(), []

    def buggy(_):
        raise KeyError("colour")

    def sound(_):
        done.append("sound")
        stopping.set()

    monkeypatch.setattr(timetable, "DUTIES", (Duty("buggy", 0.0, buggy), Duty("sound", 0.0, sound)))

    timetable.keep_time(workshop, stopping)

    assert done == ["sound"]
