"""Days in a shop, during which somebody dies at a write: what happens in each, and who may repair what."""

import contextlib
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import psutil
from rq import Queue, Worker

from adapters import inbox
from adapters.bell import LANES
from adapters.chosen import Filter
from devstore.courier import sign

ROOT = Path(__file__).resolve().parent.parent.parent
SHOP, GUEST = "northwind-trade.myshopify.com", "hearth-and-co.myshopify.com"
ROLES = ("web", "live", "bulk", "clock")
CLEAN = {"lost": 0, "closed_twice": 0, "wrongly_removed": 0}  # what `breaches() == []` says
ROUNDS = 12  # days until a point is not met. On every second one a process is told to stop: some write at ends
OF_HANDS = ("app.", "replay", "retention", "failures", "alerts")  # a day with people adds these writes to the others'


class Day:
    """What happens in the shops, and who dies of it."""

    def __init__(self, made):
        self.made = made
        self.store = made.store
        self.number = 0
        self.seconds = {}
        self.not_met = []

    @cached_property
    def points(self):
        """Every point that is passed on such days, on each of which another process is told to stop."""
        for role in ROLES:
            with self.told_to_stop(role):
                self.pass_by()
            self.made.comes_to_rest()
        return self.passed

    @property
    def passed(self):
        return sorted(set((self.made.folder / "points").read_text().splitlines()))

    def die_at_each(self, points):
        """One death after the other. All that is left is armed: what seldom comes about is met when it does."""
        left = set(points)
        while left and (met := self.die_at(left)):
            left.remove(met)
        self.not_met += sorted(left)

    def die_at(self, points, patience=4):
        """Somebody, of one role, comes to one of these points and dies. Which it was comes back, None if nobody did.

        How long until all is well again, from then on, is noted.
        """
        self.arm(points)
        for tries in range(ROUNDS):
            with self.told_to_stop(role_of(min(points))) if tries % 2 else contextlib.nullcontext():
                self.pass_by()
            if self.waits_for(lambda: self.has_died, patience):
                break
        (self.made.folder / "arm").unlink(missing_ok=True)
        self.made.comes_to_rest(90)
        if not self.has_died:
            return None
        point = self.fired.read_text()
        self.seconds[point] = round(time.time() - self.fired.stat().st_ctime, 2)  # it was renamed at that moment
        return point

    def arm(self, points):
        self.fired.unlink(missing_ok=True)
        draft = self.made.folder / "draft"
        draft.write_text("\n".join(points))
        draft.rename(self.made.folder / "arm")

    @property
    def fired(self):
        return self.made.folder / "fired"

    @property
    def has_died(self):
        return self.fired.exists()

    def waits_for(self, fact, seconds=3):
        """Whether it became true in time."""
        deadline = time.monotonic() + seconds
        while not (found := fact()) and time.monotonic() < deadline:
            time.sleep(0.02)
        return found

    @contextlib.contextmanager
    def told_to_stop(self, role):
        """Meanwhile, and a worker in the middle of a job if one comes soon: RQ notes that only there. The supervisor
        starts another.
        """
        process = self.made.until(lambda: self.made.processes(role))[0]  # of granian's two, the one that has the other

        def tell():
            if role in LANES:
                self.waits_for(lambda: self.is_at_work(role, process.pid))
            with contextlib.suppress(psutil.NoSuchProcess):  # it has died of a point by now
                process.terminate()
            process.wait(30)

        with ThreadPoolExecutor(1) as pool:
            told = pool.submit(tell)
            yield
            told.result()

    def is_at_work(self, lane, pid):
        """Who was killed stays busy in Redis for minutes."""
        workers = Worker.all(queue=Queue(lane, connection=self.made.workshop.bell.redis))
        return any(worker.pid == pid and worker.get_state() == "busy" for worker in workers)

    def figures(self, points):
        seconds = sorted(self.seconds[point] for point in points)
        return {
            "points": len({point.partition(" ")[2] for point in points}),
            "kills": len(points),
            "not_met": [point for point in self.not_met if role_of(point) == role_of(points[0])],
            "seconds_to_converge": {"median": seconds[len(seconds) // 2], "most": seconds[-1]},
            "leases": "2 s instead of 20 to 900 s",
            **CLEAN,
        }


class MailDay(Day):
    @cached_property
    def points(self):
        """Runs, which ring for what they find, die on a day of their own, on which they come every second; here a shop
        has one as it installs.
        """
        of_runs = ("workers.runs.", "bulk: adapters.bell.Bell.wake by adapters.bell.Bell.ring")
        return [point for point in super().points if not any(words in point for words in of_runs)]

    def pass_by(self):
        self.number += 1
        store, person = self.store, 7_000 + self.number
        store.mood(doubles=0.3)
        store.settings(GUEST, expire_tokens=True)
        self.order_trouble()
        self.keep_bulk_busy()
        for shop in (SHOP, GUEST):
            store.change(shop, "edit_product", title=f"Title {self.number}")
            store.change(shop, "create_product", id=500 + self.number, variant_count=2)
            store.change(shop, "order")
            store.change(shop, "create_customer", id=person, tags=["b2b"], email=f"{person}@{shop}")
            store.change(shop, "edit_customer", id=person, first_name="Ada")
        store.change(SHOP, "delete_product", id=500 + self.number)
        store.change(SHOP, "untag_customer", id=person, tags=["b2b"])
        store.change(SHOP, "customers/data_request", id=person)
        store.change(SHOP, "delete_customer", id=person)
        store.change(GUEST, "customers/redact", id=person)
        store.change(GUEST, "update_scopes", scopes=list(SCOPES))
        # Or the uninstall would be all that is left to do.
        self.waits_for(lambda: self.has_died or self.is_served(), 20)
        self.leave_mail_behind()
        store.change(GUEST, "uninstall")
        store.settle(20)
        store.clear_faults()
        store.install(GUEST)
        self.made.let_in(GUEST)

    def order_trouble(self):
        """Shopify's: each kind on one of the first four days, by which the points are known, and again and again."""
        if self.number % 3 == 2:
            self.store.fault("503", shop=GUEST, place="oauth", times=3)
        elif self.number % 3 == 1:
            self.store.fault("503", shop=SHOP, times=2)
        if self.number % 6 == 4:
            self.store.settings(GUEST, revoke_tokens=True)

    def keep_bulk_busy(self):
        """New products at moments of their own, each to be asked about at another; on some days while the shops' health
        is looked at, and then it is bulk that gets a new token, or finds that it is dead.
        """
        for more in range(4):
            if self.number % 6 in (0, 3, 4):
                self.made.execute("UPDATE health SET next_check_at = now()")
            self.store.change(SHOP, "create_product", id=10_000 + 4 * self.number + more, variant_count=1)
            time.sleep(0.3)

    def is_served(self):
        return self.made.value("SELECT count(*) FROM deliveries WHERE state = 'waiting' AND attempts = 0") == 0

    def leave_mail_behind(self):
        """For both lanes, of a shop that is about to go: something to ask it, and a webhook that comes late."""
        self.store.change(GUEST, "create_product", id=20_000 + self.number, variant_count=1)
        self.waits_for(lambda: self.made.value(_ASKING, shop=GUEST) > 0)
        self.store.mood(delay=1.0, delay_seconds=(0.5, 0.5))
        self.store.change(GUEST, "edit_product", title="told when the shop is gone")
        self.store.mood(delay=0.0)


SCOPES = ("read_products", "read_customers")
_ASKING = "SELECT count(*) FROM deliveries WHERE shop = :shop AND lane = 'bulk' AND state = 'waiting'"


class RunDay(Day):
    def pass_by(self):
        """On odd days two variants get the same SKU, which is an issue that is told; on even days that is over."""
        self.number += 1
        store, person, product = self.store, 7_000 + (self.number + 1) // 2, 500 + (self.number + 1) // 2
        store.settings(GUEST, expire_tokens=True)
        store.change(GUEST, "edit_product", title=f"Title {self.number}")
        if self.number % 2:
            twins = [{"id": 10 * product + n, "sku": "SAME"} for n in range(2)]
            store.change(GUEST, "create_product", id=product, variants=twins)
            store.change(GUEST, "create_customer", id=person, tags=["b2b"], email=f"{person}@corner.example")
        else:
            store.change(GUEST, "delete_product", id=product)
            store.change(GUEST, "delete_customer", id=person)
        began = self.made.value("SELECT now()")
        self.waits_for(lambda: self.has_died or self.was_read_since(began), 8)

    def was_read_since(self, moment):
        finished = "SELECT count(DISTINCT feed) FROM runs WHERE complete AND state = 'finished' AND started_at > :at"
        return self.made.value(finished, at=moment) == 2


class HandDay(Day):
    """People press a button again when it did not answer. On odd days poison comes, of which engineers are told; on
    even days it is dismissed, and they are told that it is over.
    """

    def __init__(self, made, merchant, engineer, keys):
        super().__init__(made)
        self.merchant, self.engineer, self.keys = merchant, engineer, keys

    @cached_property
    def points(self):
        return [point for point in super().points if any(word in point.partition(":")[2] for word in OF_HANDS)]

    def pass_by(self):
        self.number += 1
        store, product, person = self.store, 500 + self.number, 7_000 + self.number
        store.change(SHOP, "create_product", id=product, variant_count=2)
        store.change(SHOP, "edit_product", id=product, title=f"Title {self.number}")
        store.change(SHOP, "create_customer", id=person, tags=["b2b"], email=f"{person}@corner.example")
        if self.number % 2:
            self.press(self.send_poison)
        else:
            with self.made.workshop.db.begin() as db:
                inbox.dismiss(db, Filter(outcome="dead"), "the poison of the day before")
        store.settle(20)
        self.press(lambda: self.merchant.ask(f"/api/v1/products/{product}/fetches", "POST"))
        since = datetime.now(UTC) - timedelta(seconds=30)
        self.press(lambda: self.engineer.replay(shop=SHOP, since=since.isoformat()))
        wishes = {"notify_after_minutes": 30 + self.number % 2}
        self.press(lambda: self.merchant.ask("/api/v1/settings", "PATCH", json=wishes))
        self.press(lambda: self.merchant.ask("/api/v1/feeds/products/runs", "POST"))
        store.change(SHOP, "delete_product", id=product)
        store.change(SHOP, "delete_customer", id=person)
        self.waits_for(lambda: self.has_died, 1)

    def press(self, button):
        self.made.until(lambda: self.answered(button))

    def answered(self, button):
        try:
            answer = button()
        except httpx.TransportError:
            return False
        return not isinstance(answer, httpx.Response) or answer.status_code < 500

    def send_poison(self):
        """Genuine, and nothing can be made of it: dead, and a group of failures."""
        body = b"{}"
        headers = {"Topic": "products/update", "Shop-Domain": SHOP, "Webhook-Id": f"poison-{self.number}"}
        headers |= {"Hmac-Sha256": sign(body, "test-api-secret")}
        named = {f"X-Shopify-{name}": value for name, value in headers.items()}
        return httpx.post(f"{self.made.url}/webhooks", content=body, headers=named, timeout=30)

    def rotate(self, keys):
        """`flask keys rotate` in a process that may be armed to die; its exit status."""
        environment = self.made.environment | {"ENCRYPTION_KEYS": ",".join(keys)}
        command = [sys.executable, "-m", "killer", "flask", "keys", "rotate", "--yes"]
        return subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, timeout=100, check=False
        ).returncode


def role_of(point):
    return point.partition(":")[0].split()[1]


class Receiver(ThreadingHTTPServer):
    """Takes what merchants are told."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Line)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}/told"


class Line(BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        """Not to the terminal."""
