"""Everything that can happen to a shop and to the app, in any order; what must hold is looked at after each step.

A story that breaks the invariant is told again and again, shorter each time, and what is printed at the end is the
shortest that still breaks it. `story_stage` is all real but for the post, which is carried by hand, and the workers,
who are called instead of waiting for the bell; `story_clock` lets days pass.

Defects that were put into the product on purpose, and the story (of the 150 with 30 steps that come first) that found
each: a lookup that forgets the shop, the first; no dedupe, the 4th; no brake, the 4th; no mark of who was redacted, the
42nd; no tombstone of a product, the 56th. That an equal version wins again is nothing that these stories can see.
"""

import contextlib
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RULE_MARKER, precondition, run_state_machine_as_test

from devstore.demo_compare import CORE, METAFIELDS, Resource
from devstore.invariant import install_witness
from tests.reliability.story_clock import hang_clock
from tests.reliability.story_hands import Killed
from tests.reliability.story_plot import CUSTOMERS, PRODUCTS, SHOPS, Plot, step, variant
from tests.reliability.story_stage import hang_refusal, theatre

SPANS = {
    "a second": 1,
    "five minutes": 300,
    "an hour": 3_600,
    "a day": 86_400,
    "three days": 259_200,
    "half a year": 15_768_000,
}
FAULTS = ("500", "401", "throttled", "internal_error", "access_denied", "half_body", "garbage")

PRODUCT_CHANGES = {
    "its title": ("edit_product", {"title": "another title"}),
    "its tags": ("edit_product", {"tags": ["new"]}),
    "its stock, by an order": ("order", {}),
    "its SKU to A": ("edit_variant", {"sku": "A"}),
    "its SKU to B": ("edit_variant", {"sku": "B"}),
    "its price": ("edit_variant", {"price": "11.00"}),
    "a second variant": ("add_variants", {}),
    "its metafield to 6": ("edit_variant_metafield", {"key": "pack_size", "value": "6"}),
    "its metafield to none": ("edit_variant_metafield", {"key": "pack_size", "value": None}),
}
CUSTOMER_CHANGES = {
    "the name": ("edit_customer", {"first_name": "Another"}),
    "the name back": ("edit_customer", {"first_name": "Former"}),
    "the address to one that others have": ("edit_customer", {"email": "all@corner.example"}),
    "the company": ("edit_customer", {"addresses": [{"company": "Corner Inc", "city": "Oslo"}]}),
    "a tag b2b": ("tag_customer", {"tags": ["b2b"]}),
    "a tag ' B2B '": ("tag_customer", {"tags": [" B2B "]}),
    "a tag trade": ("tag_customer", {"tags": ["trade"]}),
    "no tag": ("untag_customer", {}),
    "a metafield": ("edit_customer_metafield", {"key": "group", "value": "gold"}),
    "a metafield, silently": ("edit_customer_metafield", {"key": "group", "value": "silver"}),
    "no metafield": ("edit_customer_metafield", {"key": "group", "value": None}),
    "no metafield, silently": ("edit_customer_metafield", {"key": "group", "value": None}),
}
SILENT = [how for how in CUSTOMER_CHANGES if how.endswith("silently")]

# What comes first is what a shorter story will have; what is named twice comes twice as often.
shops = st.sampled_from(["north", "north", "north", "south"])
products = st.sampled_from(["mug", "mug", "bowl", "pot"])
customers = st.sampled_from(["ida", "ida", "jon", "kim"])
workers = st.sampled_from(["ann", "bob", "cleo", "dov"])
which = st.integers(0, 4)


class Story(Plot):
    # What happens in a shop. Who is not there yet comes with the first change.

    @step(acts=False, shop=shops, product=products, how=st.sampled_from(list(PRODUCT_CHANGES)))
    def a_product_is_changed(self, shop, product, how):
        number = PRODUCTS[product]
        if number not in self._shop(shop).products.truth:
            self._create_product(shop, product)
            return
        kind, wishes = PRODUCT_CHANGES[how]
        has_second = variant(product, 2) in self._shop(shop).homes
        if how == "a second variant" and has_second:
            kind, wishes = "remove_variant", {"id": variant(product, 2)}
        elif how == "a second variant":
            wishes = {"id": number, "variants": [{"id": variant(product, 2)}]}
        else:
            wishes = wishes | {"id": number if kind == "edit_product" else variant(product)}
        self._happens(shop, kind, **wishes)
        if kind == "edit_variant_metafield":
            self._silently(Resource(SHOPS[shop], "products", number), METAFIELDS)

    @step(acts=False, shop=shops, product=products)
    def a_product_is_deleted(self, shop, product):
        if PRODUCTS[product] in self._shop(shop).products.truth:
            self.once_deleted.add(PRODUCTS[product])
            self._happens(shop, "delete_product", id=PRODUCTS[product])

    @step(acts=False, shop=shops, customer=customers, how=st.sampled_from(list(CUSTOMER_CHANGES)))
    def a_customer_is_changed(self, shop, customer, how):
        number = CUSTOMERS[customer]
        known = self._shop(shop).customers.truth.get(number)
        if known is None:
            self._create_customer(shop, customer)
            return
        kind, wishes = CUSTOMER_CHANGES[how]
        if kind == "untag_customer":
            wishes = {"tags": list(known.tags)}
        silent = how in SILENT
        self._shop(shop).conduct.customer_metafields_fire_update = not silent
        self._happens(shop, kind, id=number, **wishes)
        if silent:
            self._silently(Resource(SHOPS[shop], "customers", number), CORE)

    @step(acts=False, shop=shops, customer=customers, into=customers)
    def a_customer_goes(self, shop, customer, into):
        """Into another; or, where there is no other, for good."""
        there = self._shop(shop).customers.truth
        if CUSTOMERS[customer] not in there:
            return
        if into != customer and CUSTOMERS[into] in there:
            self._happens(shop, "merge_customers", id=CUSTOMERS[customer], into=CUSTOMERS[into])
        else:
            self._happens(shop, "delete_customer", id=CUSTOMERS[customer])

    # What the post does. Letters are counted from the oldest.

    @precondition(lambda self: self.stage.post.bag)
    @step(number=which, times=st.integers(1, 2))
    def a_letter_arrives(self, number, times):
        letter = self._letter(number)
        for _ in range(times):
            self.stage.deliver(letter)

    @precondition(lambda self: self.stage.post.bag)
    @step(oldest_first=st.booleans())
    def all_letters_arrive(self, oldest_first):
        for letter in list(self.stage.post.bag)[:: 1 if oldest_first else -1]:
            self.stage.deliver(letter)

    @precondition(lambda self: self.stage.post.bag)
    @step(oldest_first=st.booleans())
    def all_letters_arrive_with_a_turn_after_each(self, oldest_first):
        for letter in list(self.stage.post.bag)[:: 1 if oldest_first else -1]:
            self.stage.deliver(letter)
            self.stage.workers["ann"].act()

    @precondition(lambda self: self.stage.post.bag)
    @step(
        number=which, mishap=st.sampled_from(["lost", "its answer is lost", "refused for want of room", "cut in half"])
    )
    def a_letter_has_a_mishap(self, number, mishap):
        letter = self._letter(number)
        if mishap == "lost":
            self.stage.post.lose(letter)
        elif mishap == "its answer is lost":
            self.stage.deliver(letter, heard=False)
        elif mishap == "cut in half":
            self.stage.deliver(self.stage.spoil(letter))
        else:
            with self.stage.no_room():
                assert self.stage.deliver(letter) in (401, 503)

    @precondition(lambda self: self.stage.post.sent)
    @step(number=which)
    def a_letter_is_sent_again_though_it_was_answered(self, number):
        sent = self.stage.post.sent
        self.stage.deliver(sent[number % len(sent)], heard=False)
        self.stage.post.bag.pop()

    # What the app does.

    @step()
    def the_post_and_all_workers_go_on(self):
        self._post_all()
        for worker in self.stage.workers.values():
            worker.act()

    @step(worker=workers)
    def a_worker_acts(self, worker):
        self.stage.workers[worker].act()

    @step(worker=workers, moment=st.sampled_from(["begin", "commit"]), number=st.integers(0, 6))
    def a_worker_is_killed(self, worker, moment, number):
        """Before one of its transactions begins, or before it is committed."""

        def die():
            raise Killed

        hand = self.stage.workers[worker]
        hand.meanwhile(moment, number, die)
        try:
            hand.act()
        except Killed:
            self.figures["deaths in mid-turn"] += 1
        hand.leave()

    @step(
        worker=workers, number=st.integers(0, 6), deed=st.sampled_from(["nothing", "edits", "redact", "erase", "tag"])
    )
    def a_worker_acts_and_meanwhile(self, worker, number, deed):
        """Between two of its transactions something happens, all letters arrive, and all others act."""
        hand = self.stage.workers[worker]
        deeds = {"nothing": lambda: None, "edits": self._edit_all, "redact": self._redact_ida}
        deeds |= {"erase": self._erase_north, "tag": self._change_tag}

        def meanwhile():
            self.stage.clock.strike()
            deeds[deed]()
            self._post_all()
            for other in self.stage.workers.values():
                if other is not hand:
                    other.act()
            self.stage.clock.strike()

        hand.meanwhile("begin", number, meanwhile)
        hand.act()
        if late := hand.leave():
            late()
        else:
            self.figures["interleaved"] += 1

    @step(shop=shops, feed=st.sampled_from(["products", "customers"]), complete=st.booleans())
    def a_run_is_started(self, shop, feed, complete):
        self._start_run(shop, feed, complete=complete)

    @step(duty=st.sampled_from(["starts due runs", "sweeps", "checks health", "deletes old rows"]))
    def the_clock(self, duty):
        from workers.health import check_next
        from workers.sweep import sweep

        desk = self.stage.workers["cleo"].workshop
        duties = {"starts due runs": self._start_due_runs, "deletes old rows": self._delete_old_rows}
        duties |= {"sweeps": lambda: sweep(desk), "checks health": lambda: check_next(desk)}
        duties[duty]()

    @step()
    def redis_is_flushed(self):
        self.stage.redis.flushall()

    @step(outcome=st.sampled_from(["dead", "applied", "superseded", "filtered", None]), refreshed=st.booleans())
    def deliveries_are_replayed(self, outcome, refreshed):
        from adapters.chosen import Filter
        from app import replaying

        chosen = Filter(outcome=outcome, since=self.stage.clock.now() - timedelta(days=60))
        key = f"key {self.stage.clock.now()}"
        replaying.start(self.stage.desk, "a story's", "operator", "why not", chosen, refreshed=refreshed, key=key)

    @step()
    def the_dead_are_dismissed(self):
        from adapters import inbox
        from adapters.chosen import Filter

        with self.stage.desk.db.begin() as db:
            inbox.dismiss(db, Filter(outcome="dead"), "a story's")

    @step(shop=shops, tag=st.sampled_from(["b2b", "trade"]))
    def the_merchant_sets_who_is_imported(self, shop, tag):
        self._set_tag(shop, tag)

    # What happens between the shop and the app.

    @step(shop=shops)
    def the_app_is_uninstalled(self, shop):
        if self._shop(shop).installed:
            self.blurred.add(shop)
            self.let_in.discard(shop)
            self.uninstalled_at[shop] = self.stage.world.now()
            self._happens(shop, "uninstall")

    @step(shop=shops, lasting=st.booleans())
    def the_merchant_opens_the_app(self, shop, lasting):
        """After a failure of Shopify's the page says so, and the merchant comes again some other time."""
        from domain.failures import Transient

        self._shop(shop).installed = True
        with contextlib.suppress(Transient):
            self.stage.merchant_opens_app(SHOPS[shop], lasting=lasting)
            self.let_in.add(shop)

    @step(shop=shops, customer=customers, request=st.sampled_from(["redact", "data_request"]))
    def a_customer_requests(self, shop, customer, request):
        self._happens(shop, f"customers/{request}", id=CUSTOMERS[customer])

    @step(deployed=st.sampled_from(["old", "both", "new"]), signing=st.sampled_from(["old", "new"]))
    def secrets_are_rotated(self, deployed, signing):
        """With what the app is deployed, and with what Shopify signs."""
        self.stage.deploy(["old", "both", "new"].index(deployed))
        self.stage.shopify_signs_with(["old", "new"].index(signing))

    @step(kind=st.sampled_from(FAULTS), times=st.integers(1, 3), place=st.sampled_from(["graphql", "oauth", "bulk"]))
    def shopify_fails(self, kind, times, place):
        from devstore.faults import Fault

        self.stage.world.faults.order(Fault(kind, place=place, times=times, seconds=0.0))

    @step(shop=shops)
    def shopify_forgets_all_products_while_a_complete_run_reads_them(self, shop):
        """Nothing is listed, nor known by id; what the run makes of that has its turn before they are back."""
        run = None if self._waiting(shop) else self._start_run(shop, "products", complete=True)
        if run is None:
            return
        with self.stage.amnesia(SHOPS[shop]):
            for _ in range(20):
                if self._state_of(run) != "running" or not self.stage.workers["cleo"].act():
                    break
            self.stage.workers["cleo"].act()

    @step(span=st.sampled_from(list(SPANS)))
    def time_passes(self, span):
        self._pass(timedelta(seconds=SPANS[span]))

    @precondition(lambda self: self.since_rest > 5)
    @step()
    def everything_comes_to_rest(self):
        self._come_to_rest()

    # How it is done.

    def _letter(self, number):
        return self.stage.post.bag[number % len(self.stage.post.bag)]

    def _post_all(self):
        for letter in list(self.stage.post.bag):
            self.stage.deliver(letter)

    def _waiting(self, shop):
        return self.stage.value("SELECT count(*) FROM deliveries WHERE state = 'waiting' AND shop = %s", SHOPS[shop])

    def _delete_old_rows(self):
        from domain.retention import DELIVERIES
        from workers.retention import sweep

        sweep(self.stage.workers["cleo"].workshop)
        if self.stage.post.ledger.forget(DELIVERIES.before(self.stage.world.now())):
            self.blurred |= SHOPS.keys()

    def _edit_all(self):
        for product, number in PRODUCTS.items():
            if number in self._shop("north").products.truth:
                self._happens("north", "edit_product", id=number, title=f"{product} meanwhile")
        for customer, number in CUSTOMERS.items():
            if number in self._shop("north").customers.truth:
                self._happens("north", "edit_customer", id=number, first_name=f"{customer} meanwhile")

    def _redact_ida(self):
        self._happens("north", "customers/redact", id=CUSTOMERS["ida"])

    def _erase_north(self):
        """As `flask redact` orders it; the merchant comes again later."""
        from adapters import redaction

        self.blurred.add("north")
        self.let_in.discard("north")
        now = self.stage.clock.now()
        with self.stage.desk.db.begin() as db:
            redaction.order(db, SHOPS["north"], None, f"redact:{now}", now)
        self.stage.desk.bell.ring("live", {SHOPS["north"]: 0.0})

    def _change_tag(self):
        tag = self.stage.value("SELECT b2b_tag FROM shops WHERE domain = %s", SHOPS["north"])
        self._set_tag("north", "trade" if tag == "b2b" else "b2b")


RULES = {name for name, one in vars(Story).items() if hasattr(one, RULE_MARKER)}


# The tests.


@pytest.fixture(scope="module")
def stage(create_database, redis_url, environment, empty_all_tables):
    from adapters.database import migrate

    url = create_database("story")
    hang_clock(url)
    migrate(url)
    install_witness(url)
    hang_refusal(url)
    with pytest.MonkeyPatch.context() as patch, theatre(url, redis_url, environment, empty_all_tables, patch) as made:
        yield made


def tell(stage, *, stories, steps, **chosen):
    """What it came to, in counts. No database: CI must not depend on what failed here before."""
    Story.stage = stage
    Story.taken.clear()
    Story.figures.clear()
    told = settings(
        max_examples=stories,
        stateful_step_count=steps,
        database=None,
        deadline=None,
        report_multiple_bugs=False,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
        **chosen,
    )
    run_state_machine_as_test(Story, settings=told)
    return {"steps": sum(Story.taken.values()), **Story.figures}


@pytest.mark.timeout(600)  # a story that fails is made shorter, which takes minutes
def test_whatever_happens_in_whatever_order_nothing_is_lost_doubled_or_remembered(stage):
    """The same stories each time. They are counted: a story in which nothing happens holds, too."""
    figures = tell(stage, stories=16, steps=20, derandomize=True)

    assert figures["steps"] > 200
    assert figures["deliveries accepted"] > 20
    assert len(Story.taken) > len(RULES) * 0.75


@pytest.mark.long
@pytest.mark.timeout(5_400)
def test_very_many_stories(stage, note_figures):
    """Other ones each time."""
    figures = tell(stage, stories=800, steps=50, print_blob=True)

    assert Story.taken.keys() == RULES
    note_figures("stories", figures | {"lost": 0, "doubled effects": 0, "wrongly removed": 0})


@pytest.fixture
def story(stage):
    """One that was found is told again, step by step."""
    Story.stage = stage
    return Story()


def test_a_redaction_that_is_replayed_after_the_shops_own_counts_though_both_end_in_one_instant(story):
    """A story that was found: of two closings at one time the one that was really last decides who is to be known."""
    story.the_app_is_uninstalled(shop="north")
    story.a_customer_requests(customer="ida", request="redact", shop="north")
    story.the_merchant_opens_the_app(lasting=False, shop="north")
    story.a_worker_acts_and_meanwhile(deed="erase", number=0, worker="ann")
    story.time_passes(span="three days")
    story.a_worker_acts(worker="ann")
    story.deliveries_are_replayed(outcome="applied", refreshed=False)
    story.everything_comes_to_rest()


def test_a_merchant_who_looks_in_after_half_a_year_finds_that_access_had_ended(story):
    """A story that was found: nobody had asked Shopify since, so the shop still seemed to be connected."""
    story.the_merchant_opens_the_app(lasting=False, shop="north")
    story.time_passes(span="half a year")
    story.everything_comes_to_rest()


def test_a_shop_that_was_erased_is_told_of_once_more(story):
    """A story that was found: mail of a shop that nobody knows is served like any other's, and no body of it stays."""
    story.a_worker_acts_and_meanwhile(deed="erase", number=0, worker="ann")
    story.a_product_is_changed(how="its title", product="mug", shop="north")
    story.the_app_is_uninstalled(shop="north")
    story.everything_comes_to_rest()


def test_what_could_not_be_asked_for_want_of_a_token_is_found_by_the_next_complete_run(story):
    """A story that was found: after two days without access the question about a new variant is given up."""
    story.the_merchant_opens_the_app(lasting=False, shop="north")
    story.time_passes(span="half a year")
    story.a_product_is_changed(how="a second variant", product="mug", shop="north")
    story.everything_comes_to_rest()
