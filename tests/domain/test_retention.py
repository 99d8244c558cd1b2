"""Times that depend on each other."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from domain import retention
from domain.retention import ALL, LEAST_DAYS, SWEPT

NOW = datetime(2026, 11, 24, tzinfo=UTC)


def test_a_delivery_is_kept_for_as_long_as_its_webhook_id_must_be_known():
    assert retention.DELIVERIES.days >= LEAST_DAYS >= 7
    assert retention.DEAD.days >= retention.DELIVERIES.days


@pytest.mark.parametrize("tombstone", [retention.REMOVED_PRODUCTS, retention.REMOVED_CUSTOMERS])
def test_a_tombstone_outlives_every_delivery_that_could_revive_its_record(tombstone):
    assert tombstone.days > max(retention.DEAD.days, retention.DELIVERIES.days)


def test_a_gap_never_names_a_run_that_went_before_it():
    assert retention.RUNS.days >= retention.GAPS.days


def test_every_class_says_when_it_ends_in_days_or_in_words():
    assert all((kept.days is None) is (kept.until is not None) for kept in ALL)
    assert all(kept.days for kept in SWEPT)
    assert len({kept.name for kept in ALL}) == len(ALL)


def test_days_count_back_from_now():
    assert retention.DELIVERIES.before(NOW) == NOW - timedelta(days=30)
    assert retention.RECEIPTS.before(NOW) is None


def test_the_document_tells_the_same_times():
    document = (Path(__file__).parents[2] / "docs" / "retention.md").read_text()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in document.splitlines() if line.startswith("| ")]

    assert rows[1:] == [[kept.name, kept.what, kept.in_words, kept.since] for kept in ALL]
