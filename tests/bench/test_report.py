import xml.etree.ElementTree as ET
from functools import partial

import pytest

from bench.course import Course
from bench.document import page
from bench.measures import Size
from bench.picture import picture
from bench.rows import CONTESTANTS, EXPRESS, FORKING, OURS, rows
from bench.stage import Lost
from devstore.servers import ServerError

BARE, COPY = "floor: bare WSGI", "floor: COPY alone"


def rounds(**applied):
    """Side by side, everybody at 1,000 a second but those who are named."""
    found = {}
    for name in CONTESTANTS:
        rate = applied.get(name, 1_000.0)
        each = {"median": rate, "low": rate * 0.9, "high": rate * 1.1}
        found[name] = {"deliveries_a_round": 100, "lost": 0}
        found[name] |= {} if name == BARE else {"applied_per_second": each}
        found[name] |= {} if name == COPY else {"accepted_per_second": each}
    return found


def figures(**found):
    machine = {"commit": "abc", "system": "Linux", "cores": 2, "memory_gib": 8.0, "load_at_start": 0.1}
    return {
        "at": "2026-10-01T00:00:00+00:00",
        "options": {"rounds": 4},
        "machine": machine | {"versions": {"Python": "3.11", "Node": "24"}},
        **found,
    }


@pytest.mark.parametrize(("rate", "verdict"), [(2_500.0, True), (2_499.0, False)])
def test_a_goal_is_met_at_its_figure_and_missed_below_it(rate, verdict):
    found = {"end_to_end": rounds(**{OURS: rate, FORKING: 50.0})}

    goals = {row.figure: row.met for row in rows(found) if row.met is not None}

    assert goals[f"First POST to last row committed, beside {EXPRESS}"] is verdict
    assert goals[f"First POST to last row committed, beside {FORKING}"] is True


@pytest.mark.parametrize(("writes", "slowest", "met"), [(19, 1_000.0, [True, True]), (20, 1_000.1, [False, False])])
def test_a_storm_is_judged_by_what_was_written_and_by_the_slowest_of_the_other_shops(writes, slowest, met):
    ours = {"writes": writes, "share_percent": writes / 10, "other_shops": 3, "p50_ms": 5.0, "max_ms": slowest}
    found = {"storm": {"deliveries": 1_000, "products": 10, OURS: ours}}

    assert [row.met for row in rows(found) if row.met is not None] == met


def test_the_page_names_machine_versions_and_every_side_and_counts_its_goals():
    text = page(figures(end_to_end=rounds(**{OURS: 2_600.0, FORKING: 50.0})))

    assert "on Linux, 2 cores" in text
    assert "Python 3.11, Node 24" in text
    assert [name for name in CONTESTANTS if f"| {name} | " not in text] == []
    assert "## Goals: 3 of 3 met" in text
    assert "| 2,600 (2,340 to 2,860) |" in text


def test_a_missed_goal_is_told_on_the_page():
    text = page(figures(end_to_end=rounds()))

    assert "## Goals: 1 of 3 met" in text
    assert f"beside {EXPRESS} | 1.00 x | ≥ 2.5 x | **MISSED** |" in text


def test_the_picture_is_an_svg_with_a_bar_for_each_rate_and_the_figures_in_words():
    drawn = ET.fromstring(picture(rounds()))

    space = "{http://www.w3.org/2000/svg}"
    bars = [rect for rect in drawn.iter(f"{space}rect") if rect.get("height") == "14"]
    assert len(bars) == 2 * len(CONTESTANTS) - 2
    assert all(0 < float(bar.get("x")) + float(bar.get("width")) < 880 for bar in bars)
    assert "Data Sync end to end 1,000, accepted 1,000" in drawn.find(f"{space}desc").text
    assert "prefers-color-scheme: dark" in drawn.find(f"{space}style").text


def test_a_measurement_that_breaks_off_leaves_its_sentence_and_those_that_follow_are_taken():
    def breaks(trouble):
        raise trouble

    course = Course(Size(), step="a round")
    taken = {
        "backfill": partial(breaks, Lost("Backfill: nothing moves.")),
        "run": partial(breaks, ServerError("postgres does not start")),
        "quiet": lambda: {"runs": 6},
    }
    for name, take in taken.items():
        course._take(name, name, take)

    assert course.found == {"quiet": {"runs": 6}}
    assert course.problems == [
        "backfill (a round): Backfill: nothing moves.",
        "run (a round): postgres does not start",
    ]
