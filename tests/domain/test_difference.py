from datetime import UTC, datetime, timedelta

import pytest

from domain.difference import brake, differs
from domain.settlement import ABSENT, Held
from domain.versions import Version

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
LIMITS = {"percent": 10, "records": 20}


def version(at, seen=0):
    return Version(NOON + at * SECOND, NOON + seen * SECOND)


@pytest.mark.parametrize(
    ("held", "read", "content", "answer"),
    [
        (ABSENT, version(0), "mug", True),
        (ABSENT, version(0), None, True),
        (Held(version(0), "mug"), version(0, seen=1), "mug", False),
        (Held(version(0), "mug"), version(1), "mug", False),
        (Held(version(0), "mug"), version(0, seen=1), "cup", True),
        (Held(version(1), "mug"), version(0, seen=9), "cup", False),
        (Held(version(0, seen=9), "mug"), version(0, seen=1), "cup", False),
        (Held(version(0), "mug"), version(1), None, True),
        (Held(version(0), None, removed=True), version(1), None, False),
        (Held(version(5), None, removed=True), version(1), "mug", False),
        (Held(version(0), "mug", removed=True), version(1), "mug", True),
    ],
    ids=[
        "unknown until now",
        "unknown and gone",
        "the same",
        "the same at a later time",
        "other content at the same time",
        "the mirror is newer",
        "the mirror saw the same time later",
        "gone",
        "gone already",
        "gone later than this was read",
        "back again",
    ],
)
def test_only_what_would_change_the_mirror_is_a_difference(held, read, content, answer):
    assert differs(held, read, content) is answer


@pytest.mark.parametrize(
    ("removing", "live", "read", "holds"),
    [
        (0, 0, 0, False),
        (0, 100, 100, False),
        (20, 100, 80, False),
        (21, 100, 79, True),
        (21, 209, 188, True),
        (21, 210, 189, False),
        (5_000, 50_000, 45_000, False),
        (5_001, 50_000, 44_999, True),
        (1, 1, 0, True),
        (0, 3, 0, True),
        (3, 3, 1, False),
    ],
)
def test_the_brake_holds_from_more_than_the_share_and_more_than_the_number_and_whatever_is_empty(
    removing, live, read, holds
):
    assert (brake(removing, live, read, **LIMITS) is not None) is holds


def test_the_brake_says_how_many_of_how_many_and_why():
    assert brake(2_100, 10_000, 7_900, **LIMITS) == (
        "2,100 of 10,000 records would be removed, more than 10 % and more than 20."
    )
    assert brake(3, 3, 0, **LIMITS) == "Shopify listed nothing at all, and 3 records would be removed."
