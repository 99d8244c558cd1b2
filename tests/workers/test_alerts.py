"""On-call engineers are told at once, then hourly while it lasts, and once when it is over."""

import base64
import hashlib
import hmac
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from aiosmtpd.controller import Controller
from sqlalchemy import text

from workers import alerts, stock
from workers.workshop import open_workshop


class Receiver(ThreadingHTTPServer):
    """Takes what is posted; `answers` are the statuses of the next answers, then 200."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Line)
        self.answers = []
        self.got = []

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}/hook"


class Line(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append((dict(self.headers), body))
        self.send_response(self.server.answers.pop(0) if self.server.answers else 200)
        self.end_headers()

    def log_message(self, *_):
        """Not to the terminal."""


class Mailbox:
    """What the mail server took."""

    def __init__(self):
        self.got = []

    async def handle_DATA(self, _server, _session, envelope):  # noqa: N802  # the name is aiosmtpd's
        from email import message_from_bytes, policy

        self.got.append(message_from_bytes(envelope.content, policy=policy.default))
        return "250 OK"


class MailServer(Controller):
    """On a port that the system chooses; the library knocks at the one it was told."""

    def _trigger_server(self):
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


@pytest.fixture
def receiver():
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def mailbox():
    box = Mailbox()
    server = MailServer(box, hostname="127.0.0.1", port=0)
    server.start()
    box.port = server.port
    yield box
    server.stop()


@pytest.fixture
def desk(database, redis, surroundings, receiver):
    """A workshop that tells the receiver."""
    with opened(surroundings, ALERT_URL=receiver.url) as desk:
        yield desk


class opened:  # noqa: N801  # reads as the function it is used as
    def __init__(self, environment, **more):
        from settings import read_settings

        self.workshop = open_workshop(read_settings(environment | more))

    def __enter__(self):
        return Desk(self.workshop)

    def __exit__(self, *_):
        self.workshop.db.dispose()
        self.workshop.admin.close()
        self.workshop.tokens.close()


class Desk:
    def __init__(self, workshop):
        self.workshop = workshop

    def execute(self, statement, **values):
        with self.workshop.db.begin() as db:
            return db.execute(text(statement), values)

    def dies(self):
        self.execute("""INSERT INTO deliveries (shop, webhook_id, topic, feed, resource_id, source, lane, triggered_at,
                                                state, outcome, closed_at)
                        VALUES ('a', gen_random_uuid()::text, 'products/update', 'products', 1, 'webhook', 'live',
                                now(), 'closed', 'dead', now())""")

    def healed(self):
        self.execute("UPDATE deliveries SET outcome = 'applied'")

    def look(self):
        """As the clock does, and then the job."""
        stock.take_stock(self.workshop)
        alerts.watch_for_alerts(self.workshop)
        while alerts.tell_next(self.workshop):
            pass

    def later(self, minutes):
        self.execute(
            """UPDATE alerts SET since = since - make_interval(mins => :n),
                                 told_at = told_at - make_interval(mins => :n),
                                 resolved_at = resolved_at - make_interval(mins => :n), next_attempt_at = now()""",
            n=minutes,
        )


def states(receiver):
    return [(json.loads(body)["alert"], json.loads(body)["state"]) for _, body in receiver.got]


def test_a_webhook_says_what_where_and_what_to_do_and_is_signed(desk, receiver):
    from adapters.outgoing import secret

    desk.dies()
    desk.look()

    ((headers, body),) = receiver.got
    told = json.loads(body)
    assert {name: told[name] for name in ("alert", "state", "url", "runbook")} == {
        "alert": "dead",
        "state": "firing",
        "url": "http://127.0.0.1:8000/ops/issues",
        "runbook": "docs/runbook.md#dead-deliveries",
    }
    assert "1 delivery is dead" in told["sentence"]
    assert told["since"].endswith("Z")
    key = secret(desk.workshop.settings.secret_key, "alerts").encode()
    assert headers["X-Data-Sync-Hmac-Sha256"] == base64.b64encode(hmac.digest(key, body, hashlib.sha256)).decode()


def test_it_is_told_at_once_then_hourly_and_its_end_once(desk, receiver):
    desk.dies()
    desk.look()
    desk.look()
    desk.later(59)
    desk.look()
    assert states(receiver) == [("dead", "firing")]

    desk.later(2)
    desk.look()
    desk.healed()
    desk.look()
    desk.look()

    assert states(receiver) == [("dead", "firing"), ("dead", "firing"), ("dead", "resolved")]


def test_what_comes_and_goes_is_not_told_each_time(desk, receiver):
    for _ in range(4):
        desk.dies()
        desk.look()
        desk.healed()
        desk.look()

    assert states(receiver) == [("dead", "firing"), ("dead", "resolved")]


def test_what_comes_back_after_its_end_was_told_is_told_within_five_minutes(desk, receiver):
    desk.dies()
    desk.look()
    desk.healed()
    desk.look()

    desk.later(4)
    desk.dies()
    desk.look()
    assert states(receiver) == [("dead", "firing"), ("dead", "resolved")]

    desk.later(2)
    desk.look()
    desk.look()
    assert states(receiver) == [("dead", "firing"), ("dead", "resolved"), ("dead", "firing")]


def test_what_is_over_before_anybody_was_told_is_not_told(desk, receiver):
    receiver.answers = [500]
    desk.dies()
    desk.look()
    desk.healed()
    desk.later(0)
    desk.look()

    assert states(receiver) == [("dead", "firing")]


def test_a_receiver_that_refuses_is_tried_again(desk, receiver):
    receiver.answers = [500, 503]
    desk.dies()
    desk.look()
    assert "HTTP 500" in desk.execute("SELECT trouble FROM alerts").scalar_one()

    desk.later(0)
    desk.look()
    desk.later(0)
    desk.look()

    assert states(receiver) == [("dead", "firing")] * 3
    assert len({headers["X-Data-Sync-Notice-Id"] for headers, _ in receiver.got}) == 1
    assert desk.execute("SELECT told_at IS NOT NULL AND trouble IS NULL FROM alerts").scalar_one()


def test_ignored_failures_alarm_nobody(desk, receiver):
    desk.dies()
    desk.execute("UPDATE deliveries SET fingerprint = 'f'")
    desk.execute("INSERT INTO failures (fingerprint, topic, sentence, state) VALUES ('f', 't', 's', 'ignored')")
    desk.look()

    assert receiver.got == []


@pytest.fixture
def mailing(database, redis, surroundings, mailbox):
    """A workshop that tells the mailbox."""
    told = {
        "SMTP_URL": f"smtp://127.0.0.1:{mailbox.port}",
        "MAIL_FROM": "Data Sync <data-sync@example.com>",
        "ALERT_MAIL": "oncall@example.com",
    }
    with opened(surroundings, **told) as desk:
        yield desk


def test_a_mail_says_the_same(mailing, mailbox):
    mailing.dies()
    mailing.look()

    (mail,) = mailbox.got
    assert (mail["To"], mail["Subject"]) == ("oncall@example.com", "Data Sync: Deliveries are dead")
    assert "docs/runbook.md#dead-deliveries" in mail.get_content()


def test_mails_tell_what_lasts_from_what_has_come_back(mailing, mailbox):
    mailing.dies()
    mailing.look()
    mailing.later(61)
    mailing.look()
    mailing.healed()
    mailing.look()
    mailing.later(6)
    mailing.dies()
    mailing.look()

    assert [mail["Subject"].removeprefix("Data Sync: ") for mail in mailbox.got] == [
        "Deliveries are dead",
        "still: Deliveries are dead",
        "resolved: Deliveries are dead",
        "Deliveries are dead",
    ]


def test_signatures_that_do_not_fit_are_told_but_not_what_scanners_send(desk, receiver):
    from adapters.figures import INGRESS

    desk.workshop.figures.count(INGRESS, "other", "401", by=1_000)
    desk.workshop.figures.hand_over()
    desk.look()
    assert receiver.got == []

    desk.workshop.figures.count(INGRESS, "products/update", "401", by=7)
    desk.workshop.figures.hand_over()
    desk.look()

    assert states(receiver) == [("signatures", "firing")]
    assert "7 requests" in json.loads(receiver.got[0][1])["sentence"]


def test_without_anybody_to_tell_nothing_is_looked_at(workshop):
    desk = Desk(workshop)
    desk.dies()
    desk.look()

    assert desk.execute("SELECT count(*) FROM alerts").scalar_one() == 0


def test_the_clock_wakes_one_job_which_tells(desk, receiver, redis):
    desk.dies()
    stock.take_stock(desk.workshop)
    alerts.watch_for_alerts(desk.workshop)

    alerts.wake_for_alerts(desk.workshop)
    alerts.wake_for_alerts(desk.workshop)

    assert redis.llen("rq:queue:bulk") == 1


def test_two_clocks_tell_once(desk, receiver):
    desk.dies()
    stock.take_stock(desk.workshop)
    threads = [threading.Thread(target=alerts.watch_for_alerts, args=(desk.workshop,)) for _ in range(2)]
    threads += [threading.Thread(target=alerts.tell_next, args=(desk.workshop,)) for _ in range(4)]
    for thread in threads[:2]:
        thread.start()
    for thread in threads[:2]:
        thread.join()
    for thread in threads[2:]:
        thread.start()
    for thread in threads[2:]:
        thread.join()

    assert states(receiver) == [("dead", "firing")]


def test_what_has_long_been_over_is_forgotten(desk, receiver):
    desk.dies()
    desk.look()
    desk.healed()
    desk.look()
    desk.later(25 * 60)

    alerts.forget_old_alerts(desk.workshop)

    assert desk.execute("SELECT count(*) FROM alerts").scalar_one() == 0
