"""A process dies by SIGKILL before or after each of its durable writes, and nobody lifts a hand."""

import contextlib
import signal
import threading
import time

import pytest
from cryptography.fernet import Fernet
from werkzeug.security import generate_password_hash

from tests.reliability.days import CLEAN, GUEST, ROLES, SHOP, HandDay, MailDay, Receiver, RunDay, role_of
from tests.reliability.people import Engineer, Merchant

RUNNERS = [("run_day", "bulk"), ("run_day", "clock")]
BY_HAND = [("hand_day", role) for role in ("web", "bulk", "clock")]
PASSWORD = "correct horse"
REPRESENTATIVE = [
    "before web: adapters.inbox.store by adapters.frontdesk.FrontDesk._store",
    "after web: adapters.inbox.store by adapters.frontdesk.FrontDesk._store",
    "after live: adapters.bell.Bell.take by workers.turns.serve EVALSHA",
    "before live: workers.turns._write.<locals>.together by workers.turns.in_halves",
    "before live: workers.turns._decide_about_shop by workers.turns.take_turn",
    "before live: adapters.access._refresh by adapters.access._renewed",
    "after bulk: workers.turns._write.<locals>.together by workers.turns.in_halves",
]
REPRESENTATIVE_BY_HAND = ["before bulk: workers.replays.step by workers.turns.serve"]


@pytest.fixture(scope="module")
def mail_day(installation):
    """Shops whose every change is told: what webhooks bring must be enough, no run comes to help."""
    with installation("mail", through="killer") as made:
        made.open_shop(SHOP, products=6, customers=6, b2b=1.0)
        made.open_shop(GUEST, token=None, products=3, customers=3, b2b=1.0)
        yield MailDay(made)


@pytest.fixture(scope="module")
def receiver():
    with Receiver() as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture(scope="module")
def run_day(installation, receiver):
    """A shop of which no webhook arrives: runs alone keep the mirror, products by bulk operation, customers by page."""
    short = {"RECONCILE_SECONDS": "1", "COMPLETE_RUN_SECONDS": "2", "BULK_RUN_RECORDS": "8"}
    with installation("runs", through="killer", WEBHOOK_SUBSCRIPTIONS="shop", **short) as made:
        made.open_shop(GUEST, token=None, products=10, customers=6, b2b=1.0)
        made.execute("UPDATE shops SET notify_after_minutes = 0, notify_url = :url", url=made.sealed(receiver.url))
        made.store.mood(outage="lose")
        yield RunDay(made)


@pytest.fixture(scope="module")
def hand_day(installation, receiver):
    """A shop whose people are at work: they replay, refresh, read again, change settings; engineers are told of what
    is dead. Rows go after seconds.
    """
    hashed = generate_password_hash(PASSWORD, method="pbkdf2:sha256:1000")
    keys = [Fernet.generate_key().decode() for _ in range(2)]
    wanted = {"OPS_USERS": f"ada:operator:{hashed}", "KEEP_SECONDS": "15", "ENCRYPTION_KEYS": ",".join(keys)}
    with contextlib.ExitStack() as stack:
        made = stack.enter_context(installation("hands", through="killer", ALERT_URL=receiver.url, **wanted))
        made.open_shop(SHOP, products=6, customers=6, b2b=1.0)
        merchant = stack.enter_context(contextlib.closing(Merchant(made, SHOP)))
        engineer = stack.enter_context(contextlib.closing(Engineer(made, "ada", PASSWORD)))
        yield HandDay(made, merchant, engineer, keys)


@pytest.mark.timeout(400)  # some points come about on the second or third day only
@pytest.mark.parametrize("point", REPRESENTATIVE)
def test_who_dies_at_a_write_leaves_nothing_that_others_do_not_make_good(mail_day, point):
    mail_day.die_at([point], 10)

    assert mail_day.has_died
    assert mail_day.made.breaches() == []


@pytest.mark.parametrize("point", REPRESENTATIVE_BY_HAND)
def test_who_dies_at_a_write_that_people_asked_for_costs_nothing_either(hand_day, point):
    hand_day.die_at([point], 20)

    assert hand_day.has_died
    assert hand_day.made.breaches() == []


def stops_and_starts(day, at_work):
    """All of them, at work. How long they took to drain, and then to come to rest."""
    with at_work(day.made, SHOP):
        seconds = day.made.stop()
    assert day.made.supervisor.returncode == 0
    assert "with SIGKILL" not in (day.made.folder / "app.log").read_text()  # supervisord says so of who stays too long
    day.made.start_processes()
    rest = day.made.comes_to_rest(90)
    assert day.made.breaches() == []
    return seconds, rest


def test_told_to_stop_all_processes_drain_and_lose_nothing(mail_day, at_work):
    stops_and_starts(mail_day, at_work)


@pytest.mark.long
def test_told_to_stop_all_processes_drain_within_ten_seconds_and_lose_nothing(mail_day, at_work, note_figures):
    seconds, rest = stops_and_starts(mail_day, at_work)

    assert seconds < 10
    figures = {"seconds_to_drain": round(seconds, 2), "seconds_to_converge": rest}
    note_figures("all told to stop at work (SIGTERM)", figures | CLEAN)


@pytest.mark.long
@pytest.mark.parametrize("role", ROLES)
def test_told_to_stop_each_process_drains_within_ten_seconds_and_loses_nothing(mail_day, at_work, role, note_figures):
    with at_work(mail_day.made, SHOP):
        told = mail_day.made.processes(role)[0]  # of granian's two, the one that the supervisor tells
        told.terminate()
        began = time.monotonic()
        told.wait(15)
        seconds = time.monotonic() - began

    assert seconds < 10
    rest = mail_day.made.comes_to_rest()
    assert mail_day.made.breaches() == []
    figures = {"seconds_to_drain": round(seconds, 2), "seconds_to_converge": rest}
    note_figures(f"{role} told to stop at work (SIGTERM)", figures | CLEAN)


@pytest.mark.long
@pytest.mark.timeout(3_600)
@pytest.mark.parametrize(("day", "role"), [*(("mail_day", role) for role in ROLES), *RUNNERS, *BY_HAND])
def test_every_process_may_die_at_every_write(day, role, request, note_figures):
    day = request.getfixturevalue(day)
    points = [point for point in day.points if role_of(point) == role]

    day.die_at_each(points)

    day.pass_by()  # and the shop goes on
    day.made.comes_to_rest(90)
    met = [point for point in points if point in day.seconds]
    # One or two, such as a failed token request, do not come about at will: the page names them.
    assert len(met) > 0.95 * len(points), "\n".join(day.not_met)
    assert day.made.breaches() == []
    note_figures(f"{role} killed at every write, {DAYS[type(day)]}", day.figures(met))


DAYS = {MailDay: "webhooks alone", RunDay: "runs alone", HandDay: "what people ask for"}


@pytest.mark.long
@pytest.mark.timeout(1_200)
def test_a_rotation_of_keys_may_die_at_every_write_and_goes_on(hand_day, note_figures):
    old, new = hand_day.keys[::-1], hand_day.keys
    assert hand_day.rotate(old) == 0
    points = [point for point in hand_day.passed if role_of(point) == "flask"]
    before = dict.fromkeys(points)

    for point in points:
        hand_day.arm([point])
        before[point] = hand_day.rotate(new)
        assert hand_day.rotate(new) == 0  # with what was left, and nothing is left now
        old, new = new, old

    assert len(points) >= 6
    assert set(before.values()) == {-signal.SIGKILL}
    hand_day.made.comes_to_rest()
    assert hand_day.made.breaches() == []
    hand_day.rotate(hand_day.keys)
    kills = {"points": len(points) // 2, "kills": len(points), "not_met": []}
    note_figures("kills of flask keys rotate", kills | CLEAN)
