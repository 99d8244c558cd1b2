"""What goes wrong between us and the world: the next step goes on, nothing is removed, nothing is counted twice."""

import os
import signal
import subprocess
import sys

import pytest
import structlog

from adapters import listing
from workers import runs

OTHER = "hearth-and-co.myshopify.com"


@pytest.fixture
def edited(scene, monkeypatch):
    """Every product was renamed and no webhook said so; a page holds four."""
    monkeypatch.setattr(listing, "PAGE", 4)
    for product in scene.products:
        scene.lose("edit_product", id=product["id"], title=f"Renamed {product['id']}")
    return scene


def whole(run):
    return tuple(run[name] for name in ("state", "seen", "created", "changed", "unchanged", "removed"))


RIGHT = ("finished", 12, 0, 12, 0, 0)


KINDS = ["throttled", "429", "500", "502", "503", "garbage", "half_body", "internal_error", "timeout"]


@pytest.mark.parametrize(("kind", "complete"), [*((kind, True) for kind in KINDS), ("500", False), ("429", False)])
def test_a_page_that_shopify_does_not_answer_is_asked_for_again(edited, kind, complete):
    number = edited.start("products", complete=complete)
    edited.steps(until=lambda: edited.row(number)["seen"] == 4)
    edited.devstore.fault(kind, shop=edited.shop, times=2, seconds=0.1)

    edited.work()

    assert whole(edited.row(number)) == RIGHT
    assert edited.row(number)["reason"] is None
    assert edited.differences() == []


def test_who_does_not_answer_at_all_fails_the_run_after_some_tries_and_nothing_else_moves(edited):
    before, state = edited.timetable("products"), edited.feed("products")
    edited.devstore.fault("500", shop=edited.shop, times=1_000)

    run = edited.run("products", complete=True)

    assert (run["state"], run["removed"], run["attempts"]) == ("failed", 0, runs.MOST_ATTEMPTS - 1)
    assert edited.shop in run["reason"]
    after = edited.timetable("products")
    kept = ("watermark", "last_import_at", "last_complete_at", "expected", "checked")
    assert [after[name] for name in kept] == [before[name] for name in kept]
    assert after["failing_because"] == run["reason"]
    assert (edited.feed("products")["state"], edited.feed("products")["open_issues"]) == (
        state["state"],
        state["open_issues"],
    )


def test_throttling_is_no_failure_however_long_it_lasts(edited):
    edited.devstore.fault("throttled", shop=edited.shop, times=30)
    number = edited.start("products")

    for _ in range(12):
        edited.step()

    assert (edited.row(number)["state"], edited.row(number)["attempts"]) == ("running", 0)


def test_a_refused_scope_fails_the_run_with_its_reason(edited):
    edited.devstore.fault("access_denied", shop=edited.shop)

    run = edited.run("products")

    assert run["state"] == "failed"
    assert run["reason"]


def test_a_token_that_dies_in_the_middle_fails_the_run_and_parks_the_shop(edited):
    number = edited.start("products", complete=True)
    edited.steps(until=lambda: edited.row(number)["seen"] == 4)

    edited.devstore.settings(edited.shop, revoke_tokens=True)
    edited.steps()

    assert (edited.row(number)["state"], edited.row(number)["removed"]) == ("failed", 0)
    assert edited.value("SELECT state FROM shops WHERE domain = :shop") == "needs_auth"
    feed = edited.feed("products")
    assert (feed["state"], feed["reason"], feed["next_run_at"]) == ("no_data", "auth_failed", None)
    assert "Open the app" in feed["sentence"]


def test_a_new_token_brings_everything_back(edited):
    edited.devstore.settings(edited.shop, revoke_tokens=True)
    edited.run("products")
    edited.devstore.settings(edited.shop, token="shpat_00000000000000000000000000000002")

    edited.add("shpat_00000000000000000000000000000002")
    edited.install()

    assert edited.differences() == []
    assert edited.feed("products")["state"] in ("ok", "ok_with_errors")


def test_a_shop_that_uninstalls_in_the_middle_ends_its_run(edited):
    number = edited.start("products")

    edited.execute("UPDATE shops SET state = 'uninstalled', token = NULL")
    edited.steps()

    assert edited.row(number)["state"] == "failed"
    assert "uninstalled" in edited.row(number)["reason"]


def test_a_bug_of_ours_fails_the_run_without_quoting_what_it_read(edited, monkeypatch):
    def broken(work, nodes, at):
        raise ValueError("Renamed mug, and other secrets")

    monkeypatch.setitem(runs.COMPARE_LISTED, "products", broken)

    run = edited.run("products")

    assert run["state"] == "failed"
    assert "ValueError" in run["reason"]
    assert "secrets" not in run["reason"]


# Processes that die. Whatever they had done is there as a whole, or not at all.


class KilledError(BaseException):
    """As -9 would: no `except Exception` sees it."""


@pytest.mark.parametrize("complete", [False, True], ids=["incremental", "complete"])
@pytest.mark.parametrize("at", range(1, 9))
def test_a_worker_that_dies_at_any_write_of_a_run_is_made_good_by_the_next(edited, monkeypatch, at, complete):
    from adapters import inbox
    from adapters import runs as table

    writes = []

    def deadly(write):
        def wrapped(*arguments, **more):
            writes.append(write)
            done = write(*arguments, **more)
            if len(writes) == at:
                raise KilledError
            return done

        return wrapped

    for module, name in ((table, "advance"), (table, "note_seen"), (inbox, "store"), (table, "finish")):
        monkeypatch.setattr(module, name, deadly(getattr(module, name)))
    number = edited.start("products", complete=complete)

    with pytest.raises(KilledError):
        edited.steps()

    edited.execute("UPDATE runs SET leased_until = now() - interval '1 second' WHERE state = 'running'")
    edited.work()

    assert whole(edited.row(number)) == RIGHT
    assert edited.value("SELECT count(*) FROM deliveries WHERE run = :run", run=number) == 12
    assert edited.differences() == []
    assert edited.timetable("products")["failing_because"] is None


def test_a_worker_that_dies_between_the_last_post_and_the_finish_leaves_a_run_that_finishes(edited, monkeypatch):
    finish = runs._finish
    monkeypatch.setattr(runs, "_finish", lambda *_: (_ for _ in ()).throw(KilledError))
    number = edited.start("products", complete=True)
    with pytest.raises(KilledError):
        edited.steps()
    assert edited.row(number)["place"]["phase"] == "end"

    monkeypatch.setattr(runs, "_finish", finish)
    edited.execute("UPDATE runs SET leased_until = now() - interval '1 second' WHERE state = 'running'")
    edited.work()

    assert whole(edited.row(number)) == RIGHT
    assert edited.timetable("products")["watermark"] == edited.row(number)["started_at"]


STEPS = """
import structlog
from settings import read_settings
from workers import runs
from workers.workshop import open_workshop

structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
workshop = open_workshop(read_settings())
while runs.step(workshop):
    print("step", flush=True)
"""


def test_a_process_that_is_killed_in_the_middle_of_a_page_loses_nothing(edited, environment, until):
    number = edited.start("products", complete=True)
    edited.devstore.fault("timeout", shop=edited.shop, times=1, seconds=2)
    worker = subprocess.Popen(
        [sys.executable, "-c", STEPS],
        env=environment | {"SHOPIFY_ADMIN_ORIGIN": edited.workshop.settings.shopify_admin_origin},
        stdout=subprocess.PIPE,
    )
    until(lambda: edited.row(number)["leased_until"])
    until(lambda: edited.devstore.requests()[edited.shop]["faults"])

    os.kill(worker.pid, signal.SIGKILL)
    worker.communicate()
    edited.execute("UPDATE runs SET leased_until = now() - interval '1 second' WHERE state = 'running'")
    edited.work()

    assert whole(edited.row(number)) == RIGHT
    assert edited.differences() == []


def test_a_database_that_restarts_in_the_middle_costs_a_step(edited, monkeypatch):
    """Every connection is cut between the reading and the writing of a page."""
    from sqlalchemy import text

    compare = runs.COMPARE_LISTED["products"]
    cut = []

    def interrupted(work, nodes, at):
        found = compare(work, nodes, at)
        if not cut:
            cut.append(True)
            with edited.db.begin() as db:
                db.execute(
                    text(
                        """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                           WHERE datname = current_database() AND pid <> pg_backend_pid()"""
                    )
                )
        return found

    monkeypatch.setitem(runs.COMPARE_LISTED, "products", interrupted)
    number = edited.start("products", complete=True)

    edited.steps()
    edited.db.dispose()  # this test's own connections were cut as well
    assert edited.row(number)["state"] == "running"

    edited.execute("UPDATE runs SET leased_until = now() - interval '1 second' WHERE state = 'running'")
    edited.work()

    assert cut
    assert whole(edited.row(number)) == RIGHT


# One shop's trouble is its own.


def test_a_shop_that_does_not_answer_delays_no_other_shops_run(edited, open_shop):
    other = open_shop(OTHER, workshop=edited.workshop, products=5, customers=0)
    edited.devstore.fault("503", shop=edited.shop, times=1_000, seconds=30)
    stuck = edited.start("products", complete=True)
    number = other.start("products", complete=True)

    while runs.step(edited.workshop):  # pauses are kept: whoever has to wait does
        pass

    assert other.row(number)["state"] == "finished"
    assert edited.row(stuck)["state"] == "running"


def test_runs_of_several_shops_take_turns_step_by_step(edited, open_shop):
    other = open_shop(OTHER, workshop=edited.workshop, products=12, customers=0)
    edited.start("products", complete=True)
    other.start("products", complete=True)
    served = []

    with structlog.testing.capture_logs():
        for _ in range(6):
            before = {run["shop"]: run["place"] for run in edited.rows("SELECT * FROM runs WHERE state = 'running'")}
            edited.step()
            after = {run["shop"]: run["place"] for run in edited.rows("SELECT * FROM runs WHERE state = 'running'")}
            served += [shop for shop in before if before[shop] != after.get(shop)]

    assert served in ([edited.shop, OTHER] * 3, [OTHER, edited.shop] * 3)


def test_between_the_steps_of_a_run_the_bulk_worker_serves_mail(edited, open_shop, monkeypatch):
    from workers import turns

    other = open_shop(OTHER, workshop=edited.workshop, products=3, customers=0)
    other.install()
    other.lose("edit_product", id=other.products[0]["id"], title="Waits for its turn")
    other.start("products")
    other.steps()
    number = edited.start("products", complete=True)
    waiting = []
    step = runs.step

    def look(workshop):
        waiting.append(other.due("bulk"))
        return step(workshop)

    monkeypatch.setattr(turns, "workshop", lambda *_: edited.workshop)
    monkeypatch.setattr(runs, "step", look)
    edited.workshop.bell.ring("bulk", {OTHER: 0})

    turns.serve("bulk")

    assert waiting[0] <= 1
    assert waiting[1] == 0
    assert edited.row(number)["state"] == "finished"


def test_a_shop_that_is_erased_while_it_is_read_stays_erased(scene, monkeypatch):
    """The page was asked for before; what it says comes when there is nobody any more whom it could be kept for."""
    from adapters import listing

    listed = listing.page

    def erased_meanwhile(*words):
        answer = listed(*words)
        scene.devstore.change(scene.shop, "uninstall")
        scene.devstore.change(scene.shop, "shop/redact")
        scene.arrive()
        return answer

    scene.devstore.change(scene.shop, "create_customer", tags=[])
    scene.start("customers")
    scene.step()
    monkeypatch.setattr(listing, "page", erased_meanwhile)

    scene.step()

    assert scene.rows("SELECT id FROM customers WHERE shop = :shop") == []
    assert scene.rows("SELECT id FROM runs WHERE shop = :shop") == []
    assert scene.rows("SELECT topic FROM deliveries WHERE shop = :shop") == [{"topic": "shop/redact"}]
