"""Merchants are told once when a feed is not green for longer than they wish, and once when it is again."""

import base64
import hashlib
import hmac
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from aiosmtpd.controller import Controller
from sqlalchemy import text

from adapters import shop_settings, shops
from adapters.shop_settings import ShopSettings
from workers import notices
from workers.workshop import open_workshop

SHOP = "northwind-trade.myshopify.com"


class Receiver(ThreadingHTTPServer):
    """Takes what is posted; `answers` are the statuses of the next answers, then 200."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Line)
        self.answers = []
        self.got = []

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}/hook?of=shop"


class Line(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append((self.path, dict(self.headers), body))
        self.send_response(self.server.answers.pop(0) if self.server.answers else 200)
        self.send_header("Location", "http://127.0.0.1:1/elsewhere")
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
def post_office(database, redis, surroundings, mailbox):
    """A workshop that has a mail server."""
    from settings import read_settings

    told = {"SMTP_URL": f"smtp://127.0.0.1:{mailbox.port}", "MAIL_FROM": "Data Sync <data-sync@example.com>"}
    opened = open_workshop(read_settings(surroundings | told))
    with opened.db.begin() as db:
        shops.add(db, opened.vault, SHOP, "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")
    yield Office(opened)
    opened.db.dispose()
    opened.admin.close()


class Office:
    """A shop of which customers are green, and products are or are not as the test wishes."""

    def __init__(self, workshop):
        self.workshop = workshop
        for feed in ("products", "customers"):
            self.execute(
                f"""INSERT INTO feeds (shop, feed, last_import_at, last_complete_at)
                    VALUES (:shop, '{feed}', now(), now())"""
            )
        self.execute("""INSERT INTO customers (shop, id, state, since, at, seen)
                        VALUES (:shop, 1, 'member', now(), now(), now())""")
        self.execute("""INSERT INTO products (shop, id, core, core_at, core_seen)
                        VALUES (:shop, 1, '{}', now(), now())""")

    def wish(self, **wishes):
        with self.workshop.db.begin() as db:
            shop_settings.change(db, self.workshop.vault, SHOP, ShopSettings(**wishes))

    def trouble(self):
        """Products have not been imported for a day."""
        self.execute("""UPDATE feeds SET last_import_at = now() - interval '1 day', failing_because = 'Shopify is away.'
                        WHERE feed = 'products'""")

    def heal(self):
        self.execute("UPDATE feeds SET last_import_at = now(), failing_because = NULL WHERE feed = 'products'")

    def watch(self, minutes_later=0):
        """The clock looks, so many minutes after it looked last."""
        self.execute("UPDATE feed_watch SET since = since - make_interval(mins => :n)", n=minutes_later)
        notices.watch_feeds(self.workshop)

    def deliver(self):
        """The job, until nothing is left to be sent now."""
        while notices.send_next(self.workshop):
            pass

    def hurry(self):
        """The pause after a failed attempt is over."""
        self.execute("UPDATE notices SET next_attempt_at = now()")
        self.deliver()

    def execute(self, statement, **values):
        with self.workshop.db.begin() as db:
            db.execute(text(statement), {"shop": SHOP} | values)

    def states(self):
        with self.workshop.db.connect() as db:
            return [tuple(row) for row in db.execute(text("SELECT state, attempts, trouble FROM notices ORDER BY id"))]


def test_a_mail_says_what_is_wrong_what_to_do_and_where(post_office, mailbox):
    post_office.wish(notify_mail="ops@northwind.example", notify_after_minutes=30)
    post_office.trouble()
    post_office.watch()
    post_office.watch(minutes_later=31)
    post_office.deliver()

    (mail,) = mailbox.got
    words = mail.get_content()
    assert (mail["To"], mail["From"]) == ("ops@northwind.example", "Data Sync <data-sync@example.com>")
    assert mail["Subject"] == f"Data Sync: Product sync of {SHOP} is not green"
    assert "Shopify is away." in words
    assert "choose Refresh" in words
    assert f"http://127.0.0.1:8000/products?shop={SHOP}" in words
    assert mail["Message-ID"].endswith("@example.com>")
    assert post_office.states() == [("sent", 1, None)]


def test_a_webhook_is_json_signed_with_the_shops_own_secret(post_office, receiver):
    from adapters.outgoing import secret

    post_office.wish(notify_url=receiver.url, notify_after_minutes=30)
    post_office.trouble()
    post_office.watch()
    post_office.watch(minutes_later=31)
    post_office.deliver()

    ((path, headers, body),) = receiver.got
    told = json.loads(body)
    assert path == "/hook?of=shop"
    assert headers["Host"] == receiver.url.split("/")[2]
    assert {name: told[name] for name in ("shop", "feed", "state", "reason")} == {
        "shop": SHOP,
        "feed": "products",
        "state": "no_data",
        "reason": "stale",
    }
    assert told["since"].endswith("Z")
    assert told["url"] == f"http://127.0.0.1:8000/products?shop={SHOP}"
    key = secret(post_office.workshop.settings.secret_key, SHOP).encode()
    wanted = base64.b64encode(hmac.digest(key, body, hashlib.sha256)).decode()
    assert headers["X-Data-Sync-Hmac-Sha256"] == wanted
    assert headers["X-Data-Sync-Notice-Id"] == "notice-1"


def test_one_trouble_is_told_once_and_its_end_once(post_office, mailbox):
    post_office.wish(notify_mail="ops@northwind.example", notify_after_minutes=30)
    post_office.trouble()
    for minutes in (0, 31, 31, 600):
        post_office.watch(minutes)
        post_office.deliver()
    post_office.heal()
    for _ in range(2):
        post_office.watch()
        post_office.deliver()

    first, second = (mail["Subject"] for mail in mailbox.got)
    assert first.endswith("is not green")
    assert second.endswith("is green again")


def test_trouble_that_ends_in_time_is_never_told(post_office, mailbox):
    post_office.wish(notify_mail="ops@northwind.example", notify_after_minutes=30)
    post_office.trouble()
    post_office.watch()
    post_office.watch(minutes_later=29)
    post_office.heal()
    post_office.watch()
    post_office.trouble()
    post_office.watch()
    post_office.watch(minutes_later=29)
    post_office.deliver()

    assert mailbox.got == []


def test_two_clocks_at_once_tell_it_once(post_office):
    post_office.wish(notify_mail="ops@northwind.example", notify_after_minutes=30)
    post_office.trouble()
    post_office.watch()
    post_office.execute("UPDATE feed_watch SET since = since - interval '31 minutes'")

    clocks = [threading.Thread(target=notices.watch_feeds, args=[post_office.workshop]) for _ in range(2)]
    for clock in clocks:
        clock.start()
    for clock in clocks:
        clock.join()

    assert len(post_office.states()) == 1


def test_who_wishes_nothing_is_not_watched(post_office):
    post_office.trouble()
    post_office.watch()
    post_office.wish(notify_mail="ops@northwind.example")
    post_office.watch()
    post_office.wish()
    post_office.watch()
    post_office.execute("UPDATE shops SET state = 'uninstalled', notify_mail = 'x'")
    post_office.watch()

    with post_office.workshop.db.connect() as db:
        assert db.execute(text("SELECT count(*) FROM feed_watch")).scalar_one() == 0


def test_a_dead_token_is_told(post_office, mailbox):
    post_office.wish(notify_mail="ops@northwind.example", notify_after_minutes=30)
    post_office.execute("UPDATE shops SET state = 'needs_auth'")
    post_office.watch()
    post_office.watch(minutes_later=31)
    post_office.deliver()

    assert len(mailbox.got) == 2
    assert "Open the app in your Shopify admin to reconnect." in mailbox.got[0].get_content()


def test_a_receiver_that_refuses_is_tried_three_times_and_given_up_with_a_word(post_office, receiver):
    receiver.answers = [500, 302, 404]
    told(post_office, notify_url=receiver.url)

    post_office.deliver()
    assert post_office.states() == [("waiting", 1, "127.0.0.1 refused the notice (HTTP 500).")]
    post_office.hurry()
    post_office.hurry()
    post_office.hurry()

    assert len(receiver.got) == 3
    assert {headers["X-Data-Sync-Notice-Id"] for _, headers, _ in receiver.got} == {"notice-1"}
    assert post_office.states() == [("given_up", 3, "127.0.0.1 refused the notice (HTTP 404).")]


def told(office, **wishes):
    """A trouble whose telling is decided, but not sent."""
    office.wish(notify_after_minutes=30, **wishes)
    office.trouble()
    office.watch()
    office.watch(minutes_later=31)


def test_a_receiver_that_stumbles_once_hears_of_it_on_the_second_attempt(post_office, receiver):
    receiver.answers = [503]
    told(post_office, notify_url=receiver.url)

    post_office.deliver()
    post_office.hurry()

    assert [state for state, _, _ in post_office.states()] == ["sent"]


def test_the_end_is_not_told_before_the_trouble(post_office, receiver):
    receiver.answers = [500]
    told(post_office, notify_url=receiver.url)
    post_office.deliver()
    post_office.heal()
    post_office.watch()

    post_office.deliver()
    assert len(receiver.got) == 1
    post_office.hurry()

    assert [json.loads(body)["state"] for _, _, body in receiver.got] == ["no_data", "no_data", "ok"]


def test_one_broken_receiver_does_not_keep_the_mail_waiting(post_office, receiver, mailbox):
    receiver.answers = [500, 500, 500]
    told(post_office, notify_url=receiver.url, notify_mail="ops@northwind.example")

    post_office.deliver()

    assert len(mailbox.got) == 1


def test_whom_nobody_wants_told_any_more_is_not_told(post_office, receiver):
    told(post_office, notify_url=receiver.url)
    post_office.wish()

    post_office.deliver()
    post_office.hurry()
    post_office.hurry()

    assert receiver.got == []
    assert post_office.states() == [("given_up", 3, "Nobody is to be told this way any more.")]


def test_an_address_that_no_key_opens_holds_up_nobody_else(post_office, mailbox):
    told(post_office, notify_mail="ops@northwind.example")
    post_office.execute(
        """INSERT INTO shops (domain, state, notify_mail) VALUES ('other.myshopify.com', 'active', 'x')"""
    )
    post_office.execute(
        """INSERT INTO notices (shop, channel, told, next_attempt_at)
           VALUES ('other.myshopify.com', 'mail', '{}', now() - interval '1 hour')"""
    )

    post_office.deliver()

    assert len(mailbox.got) == 1
    assert [state for state, _, _ in post_office.states()] == ["sent", "waiting"]


def test_a_worker_that_dies_while_sending_leaves_the_notice_to_another(post_office, receiver):
    from adapters import notices as written

    told(post_office, notify_url=receiver.url)
    with post_office.workshop.db.begin() as db:
        assert written.claim(db) is not None

    post_office.deliver()
    assert receiver.got == []  # it may be at it still
    post_office.hurry()

    assert post_office.states() == [("sent", 2, None)]


def test_the_clock_wakes_one_job_for_all_that_is_due(post_office, receiver):
    from rq import Queue
    from rq.serializers import JSONSerializer

    told(post_office, notify_url=receiver.url)
    for _ in range(3):
        notices.wake_for_notices(post_office.workshop)

    (job,) = Queue("bulk", connection=post_office.workshop.bell.redis, serializer=JSONSerializer).jobs
    assert job.func_name == "workers.notices.serve"
    assert callable(job.func)


def test_a_mailbox_that_is_refused_is_named_without_its_address(post_office, mailbox):
    async def refuse(*_):
        return "550 no such user"

    mailbox.handle_RCPT = refuse
    told(post_office, notify_mail="gone@northwind.example")

    post_office.deliver()

    ((_, _, trouble),) = post_office.states()
    assert trouble == "The mail server does not take mail for this address. Check the address."


def test_a_shop_that_is_compared_twice_a_day_is_not_stale_after_a_day(post_office):
    post_office.wish(notify_mail="ops@northwind.example", reconcile_seconds=43_200, complete_run_seconds=86_400)
    post_office.trouble()
    post_office.watch()
    post_office.watch(minutes_later=31)

    assert post_office.states() == []
