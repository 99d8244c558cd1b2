"""Groups of failures: found by a duty, counted from the inbox, and changed by a person who is named."""

import time
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from adapters import audit, failures, inbox
from adapters.chosen import SEARCHED
from adapters.inbox import Arrival, Filter
from domain.deliveries import Outcome, Verdict

SHOP = "northwind-trade.myshopify.com"
OTHER = "contoso-outdoor.myshopify.com"


@pytest.fixture
def put(database):
    """put("a", "b", **changes) → the ids of waiting deliveries with these webhook ids."""

    def store(*webhook_ids, **changes):
        now = datetime.now(UTC)
        usual = {"shop": SHOP, "topic": "products/update", "feed": "products", "resource_id": 1}
        arrivals = [Arrival(webhook_id=w, triggered_at=now, received_at=now, **usual | changes) for w in webhook_ids]
        with database.begin() as db:
            inbox.store(db, arrivals)
            rows = db.execute(text("SELECT webhook_id, id FROM deliveries")).all()
        ids = dict(tuple(row) for row in rows)
        return [ids[w] for w in webhook_ids]

    return store


@pytest.fixture
def kill(database):
    def close(ids, reason="could not be applied: KeyError at workers/turns.py:12"):
        with database.begin() as db:
            inbox.close(db, dict.fromkeys(ids, Verdict(Outcome.DEAD, reason)))

    return close


@pytest.fixture
def file(database):
    def do(most=100):
        with database.begin() as db:
            return failures.file(db, most)

    return do


@pytest.fixture
def groups(database):
    def read(**asked):
        with database.connect() as db:
            return failures.listed(db, **asked)

    return read


@pytest.fixture
def change(database):
    def do(group, state, who="ada", **more):
        with database.begin() as db:
            return failures.change(db, group["fingerprint"], state, who, **more)

    return do


def test_the_dead_of_a_turn_and_of_the_front_door_are_filed_in_their_groups(put, kill, file, groups):
    kill(put("a", "b"))
    kill(put("c", shop=OTHER), "could not be applied: KeyError at workers/turns.py:99")
    put("d", resource_id=None, dead_because="The body is empty.")

    filed = file()

    door, bug = groups()
    assert (filed.deliveries, len(filed.news)) == (4, 2)
    assert (bug["dead"], bug["shops"], bug["events"], bug["state"]) == (3, 2, 3, "open")
    assert bug["sentence"] == "could not be applied: KeyError at workers/turns.py:N"
    assert (door["sentence"], door["dead"]) == ("The body is empty.", 1)
    assert file() == failures.Filed(0, ())


def test_what_has_failed_three_times_and_still_waits_is_in_a_group_and_sooner_is_not(database, put, file, groups):
    (often, seldom) = put("a", "b")
    for _ in range(3):
        with database.begin() as db:
            inbox.postpone(db, {often: 60.0}, f"{SHOP} failed to answer (HTTP 502).", counts=True)
    with database.begin() as db:
        inbox.postpone(db, {seldom: 60.0}, f"{SHOP} failed to answer (HTTP 502).", counts=True)

    file()

    (group,) = groups()
    assert (group["waiting"], group["dead"], group["sentence"]) == (1, 0, "the shop failed to answer (HTTP 502).")


def test_a_flood_is_a_few_statements_not_one_for_each(database, put, kill, file, groups):
    ids = put(*(f"webhook-{n}" for n in range(1_000)))
    kill(ids)

    rounds = [file(400).deliveries for _ in range(3)]

    (group,) = groups()
    assert rounds == [400, 400, 200]
    assert (group["dead"], group["events"]) == (1_000, 1_000)


def test_rows_that_somebody_else_holds_are_filed_later(database, put, kill, file):
    ids = put("a", "b")
    kill(ids)

    with database.begin() as turn:
        turn.execute(text("SELECT 1 FROM deliveries WHERE id = :id FOR UPDATE"), {"id": ids[0]})
        assert file().deliveries == 1

    assert file().deliveries == 1


def test_a_delivery_opened_again_stays_with_its_group_and_is_counted_as_what_became_of_it(
    database, put, kill, file, groups
):
    ids = put("a", "b", "c")
    kill(ids)
    file()
    with database.begin() as db:
        inbox.reopen(db, Filter(outcome="dead"))
        inbox.close(db, {ids[0]: Verdict(Outcome.APPLIED)})
    kill([ids[1]])
    file()

    (group,) = groups()
    with database.connect() as db:
        found = failures.find(db, group["fingerprint"])
    assert (group["dead"], group["waiting"], group["events"]) == (1, 1, 4)
    assert found["outcomes"] == {"applied": 1, "dead": 1, "waiting": 1}


# -- states


def test_a_resolved_group_is_open_again_when_it_happens_again_and_not_before(put, kill, file, groups, change):
    kill(put("a"))
    file()
    kill(put("b"))
    change(groups()[0], "resolved", note="fixed in 12ab")
    file()  # what had died before it was resolved
    assert groups()[0]["state"] == "resolved"

    kill(put("c"))
    filed = file()

    (group,) = groups()
    assert (group["state"], group["note"], group["events"]) == ("open", "fixed in 12ab", 3)
    assert filed.news == (group["fingerprint"],)


@pytest.mark.parametrize("state", ["ignored", "acknowledged"])
def test_others_stay_as_they_are_when_it_happens_again(put, kill, file, groups, change, state):
    kill(put("a"))
    file()
    change(groups()[0], state)

    kill(put("b"))
    filed = file()

    assert (groups()[0]["state"], groups()[0]["owner"], filed.news) == (state, "ada", ())


def test_a_snooze_ends_by_itself(put, kill, file, groups, change):
    kill(put("a"))
    file()
    now = datetime.now(UTC)

    change(groups()[0], "snoozed", until=now + timedelta(hours=1))
    snoozed = [group["state"] for group in groups(state="snoozed")]
    change(groups()[0], "snoozed", until=now - timedelta(seconds=1))

    assert snoozed == ["snoozed"]
    assert [group["state"] for group in groups(state="open")] == ["open"]
    assert groups(state="snoozed") == []


def test_a_snooze_without_an_end_is_refused(put, kill, file, groups, change):
    kill(put("a"))
    file()

    with pytest.raises(ValueError, match="ends"):
        change(groups()[0], "snoozed")


def test_alerts_do_not_speak_of_what_is_ignored_or_snoozed(database, put, kill, file, groups, change):
    kill(put("a"), "the first bug")
    kill(put("b"), "the second bug")
    kill(put("c"), "the third bug")
    file()
    kill(put("d"), "not yet filed")
    first, second, _ = groups()
    change(first, "ignored")
    change(second, "snoozed", until=datetime.now(UTC) + timedelta(hours=1))

    with database.connect() as db:
        assert failures.count_dead(db) == 2
        assert failures.counts(db) == {"open": 1, "acknowledged": 0, "resolved": 0, "ignored": 1, "snoozed": 1}


def test_every_change_is_in_the_audit_and_an_unknown_group_changes_nothing(database, put, kill, file, groups, change):
    kill(put("a"))
    file()
    (group,) = groups()

    assert change(group, "acknowledged", "grace", note="looking")
    assert not change({"fingerprint": "0" * 12}, "resolved")

    with database.connect() as db:
        (row,) = audit.listed(db)
    assert (row["who"], row["act"], row["why"], row["target"]) == (
        "grace",
        "issue acknowledged",
        "looking",
        group["fingerprint"],
    )


# -- finding


def test_groups_are_found_by_state_shop_and_topic_and_come_in_pages(put, kill, file, groups, change):
    kill(put("a"), "the first bug")
    kill(put("b", shop=OTHER), "the second bug")
    kill(put("c", topic="products/create"), "the third bug")
    kill(put("d", shop=OTHER), "the third bug")
    file()
    told = [group["sentence"] for group in groups()]

    assert {group["sentence"] for group in groups(shop=OTHER)} == {"the second bug", "the third bug"}
    assert [group["sentence"] for group in groups(topic="products/create")] == ["the third bug"]
    pages = [groups(most=1)]
    while pages[-1]:
        pages.append(groups(most=1, after=pages[-1][0]["fingerprint"]))
    assert [page[0]["sentence"] for page in pages[:-1]] == told


def test_counts_under_a_shop_are_that_shops(put, kill, file, groups):
    kill(put("a", "b"))
    kill(put("c", shop=OTHER))
    file()

    assert [(group["dead"], group["shops"]) for group in groups(shop=SHOP)] == [(2, 1)]


def test_a_filter_is_kept_and_read_again_as_it_was(database):
    chosen = Filter(shop=SHOP, outcome="dead", since=datetime(2026, 11, 23, 10, tzinfo=UTC), copies=2)

    with database.begin() as db:
        audit.note(db, "ada", "deliveries dismissed", chosen=chosen, count=3)
        (row,) = audit.listed(db)

    assert Filter.read(row["chosen"]) == chosen
    assert (row["count"], row["why"], row["target"]) == (3, None, None)


def test_the_audit_comes_newest_first_and_in_pages(database):
    with database.begin() as db:
        for n in range(3):
            audit.note(db, "ada", f"act {n}")
        first = audit.listed(db, 2)
        rest = audit.listed(db, 2, first[-1]["id"])

    assert [row["act"] for row in (*first, *rest)] == ["act 2", "act 1", "act 0"]


# -- many


MANY = 100_000
_MANY = text("""
    INSERT INTO deliveries (shop, webhook_id, topic, feed, resource_id, source, lane, triggered_at, received_at,
                            state, outcome, reason, closed_at, copies)
    SELECT 'shop-' || n % 50 || '.myshopify.com', 'webhook-' || n,
           CASE WHEN n % 2 = 0 THEN 'products/update' ELSE 'products/create' END, 'products', n, 'webhook', 'live',
           at, at, 'closed', CASE WHEN n % 3 = 0 THEN 'dead' ELSE 'applied' END,
           CASE WHEN n % 3 = 0 THEN 'could not be applied: KeyError at workers/turns.py:' || n % 9 END, at, 1
    FROM generate_series(1, :all) AS n, LATERAL (SELECT now() - make_interval(secs => :all - n) AS at) AS moment
""")


def test_a_hundred_thousand_dead_are_listed_filtered_and_counted_at_once(database, file, capsys):
    """The figure is printed; what is asserted is that no question walks through the table."""
    with database.begin() as db:
        db.execute(_MANY, {"all": 3 * MANY})
    while file(10_000).deliveries:
        pass
    with database.connect().execution_options(isolation_level="AUTOCOMMIT") as db:
        db.execute(text("VACUUM ANALYZE deliveries"))
    with database.connect() as db:
        (some,) = failures.listed(db, most=1)
        group = some["fingerprint"]
        since = datetime.now(UTC) - timedelta(hours=2)
        questions = {
            "issues": lambda: failures.listed(db),
            "issues of a shop": lambda: failures.listed(db, shop="shop-3.myshopify.com"),
            "dead": lambda: inbox.select(db, Filter(outcome="dead")),
            "dead, oldest page": lambda: inbox.select(db, Filter(outcome="dead"), before=400),
            "dead, counted": lambda: inbox.count(db, Filter(outcome="dead")),
            "dead of a shop, counted": lambda: inbox.count(db, Filter(outcome="dead", shop="shop-3.myshopify.com")),
            "dead of a topic, counted": lambda: inbox.count(db, Filter(outcome="dead", topic="products/create")),
            "dead with words": lambda: inbox.select(db, Filter(outcome="dead", error="keyerror at workers")),
            "dead with words that nothing has": lambda: inbox.select(db, Filter(outcome="dead", error="no such words")),
            "of an issue": lambda: inbox.select(db, Filter(fingerprint=group, outcome="dead")),
            "of an issue, counted": lambda: inbox.count(db, Filter(fingerprint=group, outcome="dead")),
            "an issue": lambda: failures.find(db, group),
            "since, counted": lambda: inbox.count(db, Filter(since=since)),
            "for alerts": lambda: failures.count_dead(db),
        }
        took = {}
        for name, ask in questions.items():
            began = time.perf_counter()
            ask()
            took[name] = (time.perf_counter() - began) * 1_000
        counted = inbox.count(db, Filter(outcome="dead"), MANY + 1)
    with capsys.disabled():
        print("\n" + "\n".join(f"    {name}: {ms:.0f} ms" for name, ms in took.items()))  # noqa: T201 — the figure
    assert counted == MANY
    assert sum(took.values()) < 20 * 300


@pytest.mark.parametrize(
    ("chosen", "index"),
    [
        (Filter(outcome="dead"), "deliveries_dead"),
        (Filter(outcome="dead", error="words"), "deliveries_dead"),
        (Filter(outcome="dead", shop=SHOP), "deliveries_dead"),
        (Filter(outcome="waiting", lane="live"), "deliveries_waiting"),
        (Filter(fingerprint="0123456789ab"), "deliveries_of_failure"),
        (Filter(replay=7), "deliveries_of_replay"),
        (Filter(shop=SHOP, resource=5), "deliveries_of_resource"),
    ],
)
def test_what_narrows_a_search_has_an_index(database, chosen, index):
    """Planned as for a table that is worth an index, however empty this one is."""
    where, values = inbox.condition_of(chosen)
    with database.begin() as db:
        db.execute(text("SET LOCAL enable_seqscan = off"))
        plan = db.execute(text(f"EXPLAIN SELECT count(*) FROM deliveries WHERE {where}"), values).scalars().all()

    assert index in "\n".join(plan)
    assert not inbox.is_bounded(chosen)


def test_a_search_that_nothing_narrows_is_bounded_and_says_so(database, put):
    (old,) = put("a")
    with database.begin() as db:
        db.execute(text("UPDATE deliveries SET reason = 'words'"))
        found = inbox.count(db, Filter(error="words"))
        db.execute(text("ALTER SEQUENCE deliveries_id_seq RESTART WITH 1000100"))
    put("b")

    with database.connect() as db:
        assert (found, inbox.count(db, Filter(error="words"))) == (1, 0)
        assert inbox.count(db, Filter(error="words", id_from=old)) == 1
        assert inbox.is_bounded(Filter(error="words"))
        assert f"{SEARCHED:,}" in inbox.SEARCH_BOUND


def test_a_frozen_filter_means_the_same_deliveries_for_ever(database, put):
    ids = put("a", "b")
    with database.connect() as db:
        chosen = inbox.frozen(db, Filter(shop=SHOP))
    put("c")

    with database.connect() as db:
        assert [row["id"] for row in inbox.select(db, chosen)] == ids[::-1]
        assert inbox.count(db, Filter(shop=SHOP)) == 3
