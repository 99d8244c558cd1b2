"""Who acts in a story: workers that are called, a post that is carried by hand, a pretend Shopify, the front door."""

import contextlib
import threading
from dataclasses import replace

from sqlalchemy import event
from werkzeug.serving import WSGIRequestHandler

from devstore.courier import Courier, Parcel
from devstore.mood import MOODS
from devstore.post import Postman
from devstore.world import App, World

API_KEY = "test-api-key"
SECRETS = ("the first secret of the app", "the second secret of the app")


class Killed(BaseException):
    """The worker's process ends here: no `except` of the product is asked."""


class Worker:
    """One worker process: connections of its own, and a mark of its own on what it holds.

    A deed may be put before one of its transactions, or before one of its commits. No lock is held at either moment
    but, at a commit, by itself; so what is done there is what another process could do.
    """

    def __init__(self, name, lane, settings, clock):
        from workers.workshop import LEFT_TO_LIVE, open_workshop

        opened = open_workshop(settings, leave=LEFT_TO_LIVE if lane == "bulk" else 0.0)
        self.name, self.lane, self.workshop = name, lane, replace(opened, holder=name)
        self.workshop.admin._sleep = clock.sleep
        self._moment, self._left, self._deed = None, 0, None
        event.listen(self.workshop.db, "begin", lambda _: self._come_to("begin"))
        event.listen(self.workshop.db, "commit", lambda _: self._come_to("commit"))

    def meanwhile(self, moment, number, deed):
        self._moment, self._left, self._deed = moment, number, deed

    def leave(self):
        """The deed for which the moment never came."""
        deed, self._deed, self._moment = self._deed, None, None
        return deed

    def _come_to(self, moment):
        if moment == self._moment:
            self._left -= 1
            if self._left < 0 and (deed := self.leave()):
                deed()

    def act(self):
        """A turn, if somebody has mail, and in the bulk lane a step of a run and of a replay. Whether there was any."""
        from workers import replays, runs
        from workers.turns import serve_shop

        bell = self.workshop.bell
        turn = bell.take(self.lane, self.name)
        if turn is not None:
            rest = serve_shop(self.workshop, self.lane, turn.shop)
            bell.give_back(self.lane, turn, rest)
        stepped = self.lane == "bulk" and runs.step(self.workshop) | replays.step(self.workshop)
        return turn is not None or stepped

    def close(self):
        self.workshop.db.dispose()
        self.workshop.bell.redis.close()
        self.workshop.admin.close()
        self.workshop.tokens.close()


class Postbag(Courier):
    """Letters wait here, in the order in which they were owed; a failed one goes to the end."""

    def __init__(self):
        self.bag: list[Parcel] = []
        self.sent: list[Parcel] = []
        self._postman = Postman()
        super().__init__(1, mood=MOODS["calm"], retry_scale=1.0, gave_up=lambda _: None, threads=0)

    def _queue(self, parcel, _due):
        self.bag.append(parcel)

    def post(self, parcel, *, heard=True):
        """One try. Not `heard`: the answer is lost on its way back, and Shopify will try again. The status."""
        attempt = self._postman.post(parcel.url, parcel.headers, parcel.body)
        with contextlib.suppress(ValueError):
            self.bag.remove(parcel)
        if attempt.status == 200 and not any(parcel.entry is one.entry for one in self.sent):
            self.sent.append(parcel)
        if heard:
            self._conclude(parcel, attempt)
        else:
            parcel.entry.attempts.append(attempt)
            self.bag.append(parcel)
        return attempt.status

    def lose(self, parcel):
        self.bag.remove(parcel)
        parcel.entry.fate = "failed" if parcel.entry.attempts else "lost"

    def forget(self, before):
        """Shopify gives up what is too old, and repeats nothing that is."""
        for parcel in [one for one in self.bag if one.entry.triggered_at < before]:
            self.lose(parcel)
        self.sent = [one for one in self.sent if one.entry.triggered_at >= before]

    def close(self):
        self._postman.close()
        super().close()


class StoryWorld(World):
    def __init__(self, clock):
        self._clock = clock
        super().__init__(App(None, API_KEY, SECRETS[0]))
        self.bulk.start = self.bulk._run  # in the asking thread: a file is there when it was asked for

    def now(self):
        return self._clock.now()

    def begin(self):
        self.courier.close()
        self.courier = Postbag()
        self.tenants.clear()
        self.faults.clear()
        self.app.secret = SECRETS[0]


class Door:
    """The front door as deployed with these secrets. Counts what was stored and what was rung for."""

    def __init__(self, settings):
        from app import build_app

        self.app = build_app(settings)
        self.desk = self.app.extensions["office"]
        self._changed = threading.Condition()
        self._stored = self._rung = 0
        frontdesk = self.desk.frontdesk
        accept, hand_over = frontdesk.accept, frontdesk._hand_over

        def counted(arrival, seconds):
            is_new = accept(arrival, seconds)
            with self._changed:
                self._stored += 1
            return is_new

        def noted(stored):
            hand_over(stored)
            with self._changed:
                self._rung += len(stored)
                self._changed.notify_all()

        frontdesk.accept, frontdesk._hand_over = counted, noted

    def is_quiet(self):
        """The bell is rung after the answer, by another thread: waited for, so that the story does not depend on it."""
        with self._changed:
            return self._changed.wait_for(lambda: self._rung >= self._stored, timeout=30)

    def close(self):
        self.desk.db.dispose()
        self.desk.frontdesk._db.dispose()
        self.desk.redis.close()
        self.desk.admin.close()
        self.desk.tokens.close()


class Quiet(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log(self, *_):
        """The answers say enough."""
