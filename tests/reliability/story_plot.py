"""What a story stands on: two shops, how the app comes to rest, and what must hold then and after each step."""

import functools
from collections import Counter
from datetime import timedelta
from typing import ClassVar

from hypothesis.stateful import RuleBasedStateMachine, rule

from devstore.demo_compare import CORE, METAFIELDS, TOMBSTONE, Silence, expected, unhearable
from devstore.invariant import breaches, breaches_at_any_moment
from tests.reliability.story_stage import LASTING, REDACTED_AFTER

SHOPS = {"north": "north.myshopify.com", "south": "south.myshopify.com"}
PRODUCTS = {"mug": 101, "bowl": 102, "pot": 103}  # the same numbers in both shops: no key may forget the shop
CUSTOMERS = {"ida": 201, "jon": 202, "kim": 203}

MOST_LOOKS = 400  # until everything has come to rest


def step(*, acts=True, **given):
    """A rule that is counted, every part of which comes after all that was before it, and whose end is looked at.

    Where the app does not act, there is nothing new to look at. (An `invariant` of Hypothesis' would be looked at then
    as well, and be a line of the story after each that happens.)
    """

    def make(function):
        @functools.wraps(function)
        def told(self, **wishes):
            self.taken[function.__name__] += 1
            self.since_rest += 1
            self.stage.clock.strike()
            self.is_well = False
            function(self, **wishes)
            if acts:
                self.look()
            self.is_well = True

        return rule(**given)(told)

    return make


class Plot(RuleBasedStateMachine):
    stage = None
    taken: ClassVar = Counter()
    figures: ClassVar = Counter()

    def __init__(self):
        super().__init__()
        self.is_well = True
        self.since_rest = 0
        self.uninstalled_at = {}
        self.redacted_for = set()
        self.let_in = {"north"}  # shops whose merchant has let the app in since the last uninstall
        self.once_deleted = set()
        self.silences = []  # edits of which no webhook tells
        self.blurred = {"south"}  # shops of whose deleted records nobody can say what the app should know
        self.figures["schedules"] += 1
        self.stage.begin(self._stock, self._open)
        self.imported = set(expected({SHOPS["north"]: self.stage.truth(SHOPS["north"])}))
        self.stage.clock.strike()

    def _stock(self):
        for name, shop in SHOPS.items():
            self.stage.open_shop(shop)
            self.stage.tenant(shop).shop.installed = name == "north"
        self.stage.tenant(SHOPS["north"]).tokens.admit(LASTING)
        for product in ("mug", "bowl"):
            self._create_product("north", product, tell=False)
        self._create_customer("north", "ida", tags=["b2b"], tell=False)
        self._create_customer("north", "jon", tags=["vip"], tell=False)

    def _open(self):
        self.stage.merchant_opens_app(SHOPS["north"], lasting=True)
        self._start_due_runs()
        self._settle()

    # What must hold.

    def look(self):
        """Nothing is lost, doubled, wrongly removed, or remembered that was to be forgotten."""
        self._forgive()
        truth = {shop: self.stage.truth(shop) for shop in SHOPS.values()}
        found = breaches_at_any_moment(self.stage.db, truth, self.stage.ledger())
        found += [f"The app thinks that {shop} has uninstalled it." for shop in self._wrongly_uninstalled()]
        found += [f"A bug: {told}" for told in self.stage.reports if not _is_told_of_the_world(told)]
        _fail_for(found)

    def _forgive(self):
        """What the store had deleted was rightly removed, though it may be back by now."""
        self.stage.db.execute("DELETE FROM witnessed_removals WHERE id = ANY(%s)", (sorted(self.once_deleted),))

    def teardown(self):
        if self.is_well:
            self.stage.clock.strike()
            self._come_to_rest()
            answers = [[attempt["status"] for attempt in entry["attempts"]] for entry in self.stage.ledger()]
            self.figures["deliveries accepted"] += sum(200 in statuses for statuses in answers)

    # How it is done.

    def _come_to_rest(self):
        """Shopify answers, the post is emptied, everybody has their turn: now what could be heard must be right. Then
        each feed is read once, and all of it must be.
        """
        self.stage.world.faults.clear()
        self.stage.deploy(1)
        for letter in list(self.stage.post.bag):
            self.stage.deliver(letter)
        self._settle()
        self._must_hold(self._well_heard(), self._unheard())
        for _ in range(2):  # a redaction that came meanwhile may have erased a shop
            self._reopen()
        self._read_all()
        self.look()
        self._must_hold(self._installed(), self._blur())
        self.figures["rests"] += 1
        self.since_rest = 0

    def _must_hold(self, shops, excused):
        self._forgive()
        here = [SHOPS[shop] for shop in shops]
        stage = self.stage
        found = breaches(stage, stage.database_url, stage.mirror, here, imported=self.imported, excused=excused)
        waiting = stage.value("SELECT count(*) FROM deliveries WHERE state = 'waiting' AND shop = ANY(%s)", here)
        _fail_for([*found, *([f"{waiting} deliveries still wait."] if waiting else [])])

    def _settle(self):
        """Turns and steps until nothing waits any more; when all wait for a later time, that time comes."""
        from workers.sweep import sweep

        pause = 1.0
        for _ in range(MOST_LOOKS):
            due = self.stage.value(_NEXT_DUE, [SHOPS[shop] for shop in self._installed()])
            if due is None or due <= 0:
                sweep(self.stage.workers["cleo"].workshop)
                if self.stage.workers["ann"].act() | self.stage.workers["cleo"].act():
                    continue
                if due is None:
                    return  # nor is anything due of a shop that is gone
            self._pass(timedelta(seconds=max(float(due), pause)))
            pause = min(pause * 2, 3_600.0)
        raise AssertionError("It never comes to rest.")

    def _start_due_runs(self):
        from workers.starts import start_due_runs

        start_due_runs(self.stage.workers["cleo"].workshop)

    def _reopen(self):
        """The merchant of each installed shop looks in, where the app has lost access."""
        for shop in self._installed():
            if self.stage.value("SELECT state FROM shops WHERE domain = %s", SHOPS[shop]) != "active":
                self.stage.merchant_opens_app(SHOPS[shop])
                self.let_in.add(shop)
                self._settle()

    def _read_all(self):
        """A complete run of each feed that ends well; one that is held is confirmed, as the store is what it is."""
        from adapters import runs

        unread = {(shop, feed) for shop in self._installed() for feed in ("products", "customers")}
        for _ in range(6):
            self._reopen()  # after half a year it is only found when Shopify is asked that access has ended
            started = {one: self._start_run(*one, complete=True) for one in sorted(unread)}
            self._settle()
            held = [run for run in started.values() if run is not None and self._state_of(run) == "held"]
            with self.stage.desk.db.begin() as db:
                for run in held:
                    runs.confirm(db, run)
            if held:
                self._settle()
            unread -= {one for one, run in started.items() if run is not None and self._state_of(run) == "finished"}
            if not unread:
                return
        raise AssertionError(f"These cannot be read: {sorted(unread)}.")

    def _start_run(self, shop, feed, *, complete):
        """Its number, if it is new and the shop is served."""
        from adapters import runs

        with self.stage.desk.db.begin() as db:
            if self.stage.value("SELECT state FROM shops WHERE domain = %s", SHOPS[shop]) != "active":
                return None
            run, is_new = runs.start(db, SHOPS[shop], feed, "refresh", complete=complete)
        return run.id if is_new else None

    def _state_of(self, run):
        return self.stage.value("SELECT state FROM runs WHERE id = %s", run)

    def _step_of_a_run(self):
        from workers import runs

        return runs.step(self.stage.workers["cleo"].workshop)

    def _pass(self, span):
        """Two days after an uninstall Shopify asks for the shop's redaction, whatever has happened since."""
        end = self.stage.clock.now() + span
        for shop, at in sorted(self.uninstalled_at.items()):
            due = at + REDACTED_AFTER
            if due <= end and (shop, at) not in self.redacted_for:
                self.redacted_for.add((shop, at))
                self.stage.pass_time(max(due - self.stage.clock.now(), timedelta()))
                self._happens(shop, "shop/redact")
        self.stage.pass_time(max(end - self.stage.clock.now(), timedelta()))

    def _shop(self, shop):
        return self.stage.tenant(SHOPS[shop]).shop

    def _installed(self):
        return [shop for shop in SHOPS if self._shop(shop).installed]

    def _happens(self, shop, kind, **wishes):
        self.stage.happens(SHOPS[shop], kind, **wishes)

    def _silently(self, resource, facet):
        self.silences.append(Silence(resource, facet, self.stage.clock.time()))

    def _create_product(self, shop, product, *, tell=True):
        number = PRODUCTS[product]
        if number in self._shop(shop).products.deleted:
            self._pass(timedelta(seconds=1))  # one number is not used twice within a second
        wishes = {
            "id": number,
            "title": product,
            "handle": product,
            "variants": [{"id": variant(product), "sku": "A"}],
        }
        if tell:
            self._happens(shop, "create_product", **wishes)
        else:
            self._shop(shop).create_product(**wishes)

    def _create_customer(self, shop, customer, *, tags=(), tell=True):
        number = CUSTOMERS[customer]
        if number in self._shop(shop).customers.deleted:
            self.once_deleted.add(number)
            self._pass(timedelta(seconds=1))
        wishes = {
            "id": number,
            "first_name": customer,
            "last_name": "Personal",
            "email": f"{customer}@{shop}.example",
            "phone": f"+4722{number}{len(shop)}",
            "tags": list(tags),
            "note": None,
            "addresses": [],
            "metafields": [],
        }
        if tell:
            self._happens(shop, "create_customer", **wishes)
        else:
            self._shop(shop).create_customer(**wishes)

    def _set_tag(self, shop, tag):
        from adapters import shop_settings
        from adapters.shop_settings import ShopSettings

        with self.stage.desk.db.begin() as db:
            if self.stage.value("SELECT 1 FROM shops WHERE domain = %s", SHOPS[shop]):
                shop_settings.change(db, self.stage.desk.vault, SHOPS[shop], ShopSettings(tag=tag))

    # What is seen.

    def _wrongly_uninstalled(self):
        for shop in sorted(self.let_in):
            if self.stage.value("SELECT state FROM shops WHERE domain = %s", SHOPS[shop]) == "uninstalled":
                yield shop

    def _well_heard(self):
        """Installed all the while, nothing that was told has died, and no new rule waits for a run to judge by it."""
        not_heard = {shop for (shop,) in self.stage.db.execute(_NOT_HEARD)}
        return [shop for shop in self._installed() if shop not in self.blurred and SHOPS[shop] not in not_heard]

    def _unheard(self):
        """What runs alone can find; and what came back under its number: the ledger cannot tell the two apart."""
        truth = {SHOPS[shop]: self.stage.truth(SHOPS[shop]) for shop in self._well_heard()}
        unheard = unhearable(truth, self.stage.ledger(), self.silences)
        back = [one for one in expected(truth) if one.id in self.once_deleted]
        return unheard | {(one, facet): "it came back" for one in back for facet in (CORE, METAFIELDS, TOMBSTONE)}

    def _blur(self):
        """Gone is gone; but whether the app must say `removed` cannot be told where it was not there all the while."""
        blurred = SHOPS.keys() - set(self._well_heard())
        truth = {SHOPS[shop]: self.stage.truth(SHOPS[shop]) for shop in blurred}
        return {
            (one, TOMBSTONE): "nobody can say what was heard of it"
            for one, wanted in expected(truth).items()
            if wanted.core is None
        }


_NOT_HEARD = """
    SELECT shop FROM deliveries
    WHERE outcome = 'dead' OR reason LIKE 'dismissed%' OR reason LIKE 'two days without a token%'
    UNION SELECT domain FROM shops
    WHERE rule_changed_at > coalesce((SELECT max(started_at) FROM runs
                                      WHERE shop = domain AND feed = 'customers' AND complete AND state = 'finished'),
                                     '-infinity')
"""
_NEXT_DUE = """
    SELECT extract(epoch FROM min(due) - now()) FROM (
        SELECT next_attempt_at AS due FROM deliveries WHERE state = 'waiting' AND shop = ANY(%s)
        UNION ALL SELECT greatest(next_step_at, leased_until) FROM runs WHERE state = 'running'
        UNION ALL SELECT next_step_at FROM replays WHERE state = 'running'
    ) AS any_of
"""


def _fail_for(breaches):
    if breaches:
        raise AssertionError("\n".join(breaches))


def variant(product, number=1):
    return PRODUCTS[product] * 10 + number


def _is_told_of_the_world(report):
    """A run may fail for what the world is like; anything else that is reported is a bug."""
    return report.startswith("A run failed: ") and not report.startswith("A run failed: The run ")
