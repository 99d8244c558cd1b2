"""What a failed turn leaves behind: what each attempt said, and the group of failures that it belongs to."""

import os

from adapters import attempts, failures, inbox
from adapters.inbox import Filter
from workers import failures as duty
from workers.failures import file_failures

POISON = 13


def groups(floor):
    with floor.db.connect() as db:
        return failures.listed(db)


def tried(floor, webhook_id):
    with floor.db.connect() as db:
        return attempts.of(db, floor.delivery(webhook_id)["id"])


def test_poison_leaves_an_attempt_that_says_who_tried_and_quotes_nothing(floor, sabotage):
    sabotage("products", f"NEW.id = {POISON}")
    [dead] = floor.store([floor.body(POISON, 1, title="Secret plan")])

    floor.turn()

    (failed,) = tried(floor, dead)
    assert (failed["n"], failed["error_class"]) == (1, "RaiseException")
    assert failed["sentence"] == floor.delivery(dead)["reason"]
    assert failed["worker"].endswith(f":{os.getpid()}")
    assert floor.mentions("the row says") == []


def test_a_shop_that_lets_nobody_in_leaves_one_attempt_for_each_try_and_then_an_issue(floor):
    [signal] = floor.store([{"id": 5}], topic="customers/update")
    floor.execute("UPDATE shops SET token = NULL")

    for _ in range(3):
        floor.execute("UPDATE deliveries SET next_attempt_at = now()")
        floor.turn()
    file_failures(floor.workshop)

    assert [(one["n"], one["error_class"]) for one in tried(floor, signal)] == [(n, "TokenDead") for n in (3, 2, 1)]
    (group,) = groups(floor)
    assert (group["waiting"], group["dead"], group["topic"]) == (1, 0, "customers/update")
    assert floor.shop not in group["sentence"]


def test_what_heals_leaves_its_group_empty(floor, sabotage):
    lift = sabotage("products", f"NEW.id = {POISON}")
    [dead] = floor.store([floor.body(POISON, 1)])
    floor.turn()
    file_failures(floor.workshop)
    lift()

    with floor.db.begin() as db:
        inbox.reopen(db, Filter(outcome="dead"))
    floor.turn("bulk")

    (group,) = groups(floor)
    assert (group["dead"], group["waiting"], group["events"]) == (0, 0, 1)
    assert floor.delivery(dead)["fingerprint"] == group["fingerprint"]


def test_the_duty_files_as_many_as_it_may_and_leaves_the_rest_for_the_next_time(floor, monkeypatch):
    monkeypatch.setattr(duty, "TOGETHER", 10)
    floor.store([{"id": n} for n in range(1, 71)])
    floor.execute("UPDATE deliveries SET state = 'closed', outcome = 'dead', reason = 'no', closed_at = now()")

    file_failures(floor.workshop)
    first = groups(floor)[0]["dead"]
    file_failures(floor.workshop)

    assert (first, groups(floor)[0]["dead"]) == (10 * duty.ROUNDS, 70)


def test_filing_again_counts_nothing_twice(floor, sabotage):
    sabotage("products", f"NEW.id = {POISON}")
    floor.store([floor.body(POISON, 1)])
    floor.turn()

    file_failures(floor.workshop)
    file_failures(floor.workshop)

    assert groups(floor)[0]["events"] == 1
