"""What a doctor says of settings, clocks, queues and tokens; what is not fine has a remedy."""

from datetime import UTC, datetime, timedelta

import pytest

from domain import doctor
from domain.doctor import OK, PROBLEM, WARNING, Postgres

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
SHOP = "northwind-trade.myshopify.com"
SOUND = {
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "autovacuum": "on",
    "max_connections": "100",
}


def postgres(version=160_004, connections=10, *, is_current=True, skew=0.0, **settings):
    return doctor.postgres(Postgres(version, SOUND | settings, connections, is_current, skew))


def amiss(findings):
    assert all(finding.fix for finding in findings if finding.level != OK)
    return {(finding.check, finding.level) for finding in findings if finding.level != OK}


def test_a_sound_postgres_has_nothing_amiss():
    assert amiss(postgres()) == set()


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"fsync": "off"}, ("postgres", PROBLEM)),
        ({"synchronous_commit": "off"}, ("postgres", PROBLEM)),
        ({"synchronous_commit": "local"}, ("postgres", PROBLEM)),
        ({"full_page_writes": "off"}, ("postgres", PROBLEM)),
        ({"autovacuum": "off"}, ("postgres", PROBLEM)),
        ({"connections": 95}, ("postgres", PROBLEM)),
        ({"version": 140_010}, ("postgres", PROBLEM)),
        ({"is_current": False}, ("schema", PROBLEM)),
        ({"skew": 20.0}, ("clock", WARNING)),
        ({"skew": -90.0}, ("clock", PROBLEM)),
    ],
)
def test_each_thing_that_is_wrong_with_postgres_is_found(changes, found):
    assert amiss(postgres(**changes)) == {found}


@pytest.mark.parametrize(
    ("policy", "maxmemory", "level"),
    [("noeviction", 100, None), ("allkeys-lru", 100, PROBLEM), ("allkeys-lru", 0, WARNING), (None, 0, None)],
)
@pytest.mark.parametrize("persists", [True, False, None])
def test_a_redis_must_not_throw_keys_away_but_may_forget_them_at_a_restart(policy, maxmemory, level, persists):
    found = doctor.redis(policy, maxmemory, persists=persists, skew_seconds=0.0)

    assert amiss(found) == ({("redis", level)} if level else set())


@pytest.mark.parametrize(
    ("lane", "oldest", "workers", "found"),
    [
        ("live", 10.0, 2, set()),
        ("live", 10.0, None, set()),
        ("live", 301.0, 2, {("queues", PROBLEM)}),
        ("bulk", 301.0, 2, set()),
        ("bulk", 3_601.0, 0, {("queues", PROBLEM), ("workers", PROBLEM)}),
    ],
)
def test_a_lane_must_be_served_in_time(lane, oldest, workers, found):
    assert amiss(doctor.queue(lane, 5, oldest, workers)) == found


@pytest.mark.parametrize(("late", "level"), [(None, PROBLEM), (61.0, PROBLEM), (5.0, OK), (-3.0, OK)])
def test_the_clock_must_have_done_something_lately(late, level):
    assert doctor.timetable(late).level == level


def test_a_request_about_a_persons_data_that_is_not_done_is_said_with_its_deadline():
    def of(minutes):
        asked_at = NOW - timedelta(minutes=minutes)
        return doctor.requests([(7, SHOP, asked_at, asked_at + timedelta(days=30))], NOW)

    assert amiss(of(minutes=14)) == set() == amiss(doctor.requests([], NOW))
    (finding,) = of(minutes=16)
    assert (finding.level, finding.shop) == (PROBLEM, SHOP)
    assert f"until {NOW - timedelta(minutes=16) + timedelta(days=30):%Y-%m-%d}" in finding.sentence


@pytest.mark.parametrize(
    ("stands", "unprotected", "level"), [(True, [], OK), (True, ["products"], PROBLEM), (False, ["products"], WARNING)]
)
def test_the_second_wall_stands_or_is_said_not_to(stands, unprotected, level):
    assert doctor.wall("tenant", "app", stands=stands, unprotected=unprotected).level == level


@pytest.mark.parametrize(
    ("ours", "level"), [("2026-10", OK), ("2026-01", WARNING), ("2025-10", PROBLEM), ("unstable", WARNING)]
)
def test_a_version_has_its_time(ours, level):
    assert doctor.version(ours, NOW).level == level


@pytest.mark.parametrize(
    ("state", "ends", "level"),
    [
        ("active", None, OK),
        ("active", NOW + timedelta(days=80), OK),
        ("active", NOW + timedelta(days=6), WARNING),
        ("needs_auth", None, PROBLEM),
    ],
)
def test_a_token_that_ends_soon_or_is_dead_is_found(state, ends, level):
    assert doctor.token(SHOP, state, ends, NOW).level == level


def test_to_write_includes_to_read():
    assert doctor.scopes(SHOP, ["read_products"], {"write_products"}).level == OK
    assert doctor.scopes(SHOP, ["read_products"], {"read_customers"}).level == PROBLEM


@pytest.mark.parametrize(
    ("lengths", "local", "level"), [([32, 64], False, OK), ([15], True, OK), ([15], False, PROBLEM)]
)
def test_a_secret_that_is_too_short_cannot_be_shopifys(lengths, local, level):
    assert doctor.secrets(lengths, local=local)[0].level == level
