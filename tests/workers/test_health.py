"""A shop's health is looked at once an interval; what is wrong becomes an issue, and goes away when it is cured."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
from rq import Queue, SimpleWorker
from rq.serializers import JSONSerializer

from adapters import health, issue_log, runs, shops
from domain.subscriptions import TOPICS

NEW_TOKEN = "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"
OUR_TOPICS = set(TOPICS) - {"customers/merge"}  # the pretend shop grants no scope for that one


@pytest.fixture
def clinic(floor):
    """The shop with its two feeds open."""
    with floor.db.begin() as db:
        runs.open_feeds(db, floor.shop)
    return Clinic(floor, floor.workshop)


@pytest.fixture
def clinic_of(clinic, surroundings):
    """clinic_of(**changes of the environment) → the same shop, looked at by another process."""
    from settings import read_settings
    from workers.workshop import open_workshop

    opened = []

    def make(**changes):
        workshop = open_workshop(read_settings(surroundings | changes))
        opened.append(workshop)
        return Clinic(clinic.floor, workshop)

    yield make
    for workshop in opened:
        workshop.db.dispose()
        workshop.admin.close()
        workshop.tokens.close()


class Clinic:
    def __init__(self, floor, workshop):
        self.floor = floor
        self.workshop = workshop

    def check(self):
        """The next interval has come: a check of every shop. How many there were."""
        self.forget_silence()
        self.floor.execute("UPDATE health SET next_check_at = now()")
        return self.check_what_is_due()

    def check_what_is_due(self):
        from workers.health import check_next

        done = 0
        while check_next(self.workshop):
            done += 1
        return done

    def forget_silence(self):
        """So much time has passed that any question is let through to Shopify again."""
        for key in self.workshop.bell.redis.keys("breaker:*"):
            self.workshop.bell.redis.delete(key)

    def codes(self, feed="products"):
        with self.floor.db.connect() as db:
            return sorted(issue["code"] for issue in issue_log.listed(db, self.floor.shop, feed))

    def fail_runs(self, times, feeds=runs.FEEDS):
        for feed in feeds * times:
            with self.floor.db.begin() as db:
                run, _ = runs.start(db, self.floor.shop, feed, "schedule", complete=False)
                runs.fail(db, run, f"{self.floor.shop} did not answer in time.")

    def finish_runs(self):
        for feed in runs.FEEDS:
            with self.floor.db.begin() as db:
                run, _ = runs.start(db, self.floor.shop, feed, "schedule", complete=False)
                runs.finish(db, run, None, None)

    def subscribed(self):
        from adapters import subscriptions

        return subscriptions.listed(self.workshop.admin, self.floor.shop, self.floor.token)

    def minutes_until_runs(self):
        return {
            row["feed"]: round(row["minutes"])
            for row in self.floor.rows(
                """SELECT feed, extract(epoch FROM next_run_at - now())::float8 / 60 AS minutes
                   FROM feeds WHERE shop = :shop"""
            )
        }

    def breaker_is_open(self):
        return self.floor.value("SELECT open_until IS NOT NULL FROM health WHERE shop = :shop")

    def pass_the_pause(self):
        self.forget_silence()
        self.floor.execute("UPDATE health SET open_until = now(), next_check_at = now()")


# -- when


def test_a_shop_is_looked_at_once_an_interval(clinic, other):
    assert clinic.check_what_is_due() == 2
    asked = clinic.floor.requests()["all"]

    assert clinic.check_what_is_due() == 0
    assert clinic.floor.requests()["all"] == asked == 2
    assert clinic.check() == 2


def test_a_healthy_shop_has_no_issues(clinic):
    clinic.check()

    assert clinic.codes("products") == clinic.codes("customers") == []


def test_two_workers_never_look_at_the_same_shop_at_once(clinic):
    clinic.floor.devstore.fault("timeout", shop=clinic.floor.shop, seconds=1.0)
    first = threading.Thread(target=clinic.check_what_is_due)
    first.start()

    def leased():
        return clinic.floor.rows("SELECT 1 FROM health WHERE leased_until > now()")

    while not leased():
        assert first.is_alive()
    assert clinic.check_what_is_due() == 0
    first.join()


def test_a_bug_with_one_shop_costs_that_shop_one_look_and_no_other_any(clinic, other, sabotage):
    lift = sabotage("issues", f"NEW.shop = '{clinic.floor.shop}'")
    for shop in (clinic.floor, other):
        shop.devstore.change(shop.shop, "update_scopes", scopes=["read_customers"])

    assert clinic.check_what_is_due() == 2
    lift()

    assert clinic.codes() == []
    with clinic.floor.db.connect() as db:
        assert [issue["code"] for issue in issue_log.listed(db, other.shop, "products")] == ["SCOPE_MISSING"]
    clinic.floor.execute("UPDATE health SET leased_until = NULL")
    clinic.check()
    assert clinic.codes() == ["SCOPE_MISSING"]


def test_the_clock_queues_one_job_and_the_bell_that_rang_behind_it_is_heard(clinic, monkeypatch):
    from workers import health as checks

    bell = clinic.workshop.bell
    monkeypatch.setattr(checks, "workshop", lambda _lane: clinic.workshop)
    for _ in range(3):
        checks.wake_for_due_checks(clinic.workshop)
    bell.ring("bulk", {clinic.floor.shop: 0.0})
    assert queued(bell) == ["workers.health.serve"]

    worker = SimpleWorker(["bulk"], connection=bell.redis, serializer=JSONSerializer)
    worker.work(burst=True, max_jobs=1, logging_level="WARNING")

    assert clinic.floor.value("SELECT checked_at IS NOT NULL FROM health WHERE shop = :shop")
    assert queued(bell) == ["workers.turns.serve"]
    checks.wake_for_due_checks(clinic.workshop)
    assert queued(bell) == ["workers.turns.serve"]


def test_the_timetable_looks_after_health(clinic):
    from workers import timetable

    clinic.floor.send("products/update", clinic.floor.body(1, 1), 1)
    clinic.workshop.bell.redis.flushall()
    for duty in (duty for duty in timetable.DUTIES if duty.name in ("wake for due checks", "count what was heard")):
        timetable._attempt(clinic.workshop, duty)

    assert queued(clinic.workshop.bell) == ["workers.health.serve"]
    assert clinic.floor.value("SELECT deliveries FROM heard") == 1


def test_a_duty_that_was_done_is_left_alone_until_it_is_due_again(clinic):
    from workers import timetable

    timetable._attempt(clinic.workshop, timetable.DUTIES[0])

    assert timetable.due(clinic.workshop) == list(timetable.DUTIES[1:])


def test_a_timetable_that_cannot_be_read_has_nothing_due(clinic):
    from workers import timetable

    clinic.floor.execute("ALTER TABLE duties RENAME TO duties_elsewhere")
    try:
        assert timetable.due(clinic.workshop) == []
    finally:
        clinic.floor.execute("ALTER TABLE duties_elsewhere RENAME TO duties")


def queued(bell):
    return [job.func_name for job in Queue("bulk", connection=bell.redis, serializer=JSONSerializer).jobs]


# -- access


def test_a_missing_scope_is_an_issue_of_its_feed_until_it_is_granted(clinic):
    clinic.floor.devstore.change(clinic.floor.shop, "update_scopes", scopes=["read_products"])
    clinic.check()
    assert (clinic.codes("products"), clinic.codes("customers")) == ([], ["SCOPE_MISSING"])

    clinic.floor.devstore.change(clinic.floor.shop, "update_scopes", scopes=["read_products", "read_customers"])
    clinic.check()

    assert clinic.codes("customers") == []


def test_a_scope_that_is_granted_is_noticed_at_once_and_ends_the_issue(clinic):
    clinic.floor.devstore.change(clinic.floor.shop, "update_scopes", scopes=["read_products"])
    clinic.check()
    assert clinic.codes("customers") == ["SCOPE_MISSING"]

    clinic.floor.change("update_scopes", scopes=["read_products", "read_customers"])
    clinic.floor.turn()

    assert clinic.check_what_is_due() == 1
    assert clinic.codes("customers") == []
    assert clinic.floor.value("SELECT scopes FROM shops") == ["read_customers", "read_products"]


def test_what_is_asked_for_during_a_check_is_checked_again(clinic):
    from workers import health as checks

    with clinic.floor.db.begin() as db:
        check = health.claim(db, 600.0)
        shop = shops.find(db, clinic.workshop.vault, check.shop)
        health.check_soon(db, shop.domain)

    checks.check_shop(clinic.workshop, shop, check)

    assert clinic.check_what_is_due() == 1
    assert clinic.check_what_is_due() == 0


def test_the_shops_own_time_zone_is_learnt(clinic):
    clinic.check()

    with clinic.floor.db.connect() as db:
        assert shops.find(db, clinic.workshop.vault, clinic.floor.shop).time_zone == "America/New_York"


def test_a_time_out_is_no_cure(clinic):
    clinic.floor.devstore.change(clinic.floor.shop, "update_scopes", scopes=["read_products"])
    clinic.check()

    clinic.floor.devstore.fault("503", shop=clinic.floor.shop)
    clinic.check()

    assert clinic.codes("customers") == ["SCOPE_MISSING"]


def test_feed_level_issues_count_and_are_no_records_own(clinic):
    clinic.floor.devstore.change(clinic.floor.shop, "update_scopes", scopes=["read_customers"])
    clinic.check()

    with clinic.floor.db.connect() as db:
        assert issue_log.count_open(db, clinic.floor.shop, "products") == {"error": 1, "warning": 0, "info": 0}
        (issue,) = issue_log.listed(db, clinic.floor.shop, "products")
    assert issue["resource_id"] == 0
    assert "read_products" in issue["sentence"]


def test_a_dead_token_is_told_for_both_feeds_and_asked_about_rarely(clinic):
    clinic.floor.devstore.settings(clinic.floor.shop, revoke_tokens=True)

    clinic.check()
    asked = clinic.floor.requests()["all"]
    for _ in range(3):
        clinic.check()

    assert clinic.floor.state() == "needs_auth"
    assert clinic.codes("products") == clinic.codes("customers") == ["SOURCE_AUTH_FAILED"]
    assert clinic.floor.requests()["all"] == asked == 1


def test_a_shop_whose_token_works_again_comes_back_without_any_mail(clinic):
    clinic.floor.devstore.settings(clinic.floor.shop, revoke_tokens=True)
    clinic.check()
    clinic.floor.execute("UPDATE feeds SET next_run_at = now() + interval '1 day', next_complete_at = next_run_at")
    clinic.floor.devstore.settings(clinic.floor.shop, token=clinic.floor.token)

    clinic.floor.execute("UPDATE shops SET next_probe_at = now()")
    clinic.check()

    assert clinic.floor.state() == "active"
    assert clinic.codes() == []
    assert clinic.minutes_until_runs() == {"products": 0, "customers": 0}
    assert clinic.workshop.bell.has_due_mail("live")


def test_a_new_token_ends_the_issue_at_once(clinic):
    clinic.floor.devstore.settings(clinic.floor.shop, revoke_tokens=True)
    clinic.check()
    clinic.floor.devstore.settings(clinic.floor.shop, token=NEW_TOKEN)

    with clinic.floor.db.begin() as db:
        shops.add(db, clinic.workshop.vault, clinic.floor.shop, NEW_TOKEN)
    assert clinic.check_what_is_due() == 1

    assert clinic.codes() == []


def test_a_shop_that_asks_for_a_pause_is_told_as_throttled(clinic):
    clinic.floor.devstore.fault("429", shop=clinic.floor.shop, seconds=30)
    clinic.check()
    assert clinic.codes() == ["SOURCE_THROTTLED"]

    clinic.check()

    assert clinic.codes() == []


def test_an_api_version_that_shopify_no_longer_lists_is_an_issue(clinic_of):
    elder = clinic_of(SHOPIFY_API_VERSION="2025-04")
    elder.check()

    assert elder.codes() == ["API_VERSION_UNSUPPORTED"]


def test_an_api_version_near_its_end_is_an_issue(clinic_of):
    elder = clinic_of(SHOPIFY_API_VERSION="2026-01")
    elder.check()

    assert elder.codes() == ["API_VERSION_ENDING"]


# -- runs


def test_a_failed_run_is_looked_into_at_once_and_its_issue_ends_with_the_next_good_run(clinic):
    clinic.check()
    clinic.floor.devstore.fault("503", shop=clinic.floor.shop)
    clinic.fail_runs(1, ("products",))

    assert clinic.check_what_is_due() == 1
    assert (clinic.codes("products"), clinic.codes("customers")) == (["SOURCE_UNREACHABLE"], [])

    clinic.check()
    assert clinic.codes("products") == ["RUN_FAILED"]

    clinic.finish_runs()
    clinic.check()
    assert clinic.codes("products") == []


def test_a_shop_whose_runs_go_on_failing_is_tried_ever_more_rarely(clinic):
    clinic.floor.devstore.fault("503", shop=clinic.floor.shop, times=100)
    clinic.fail_runs(3)
    clinic.check()
    waits = [clinic.minutes_until_runs()["products"]]
    for _ in range(3):
        clinic.pass_the_pause()
        clinic.check_what_is_due()
        waits.append(clinic.minutes_until_runs()["products"])

    # The pause, and an interval more: should nobody ask the shop, its runs start by themselves.
    assert waits == [30, 50, 70, 70]
    assert clinic.codes() == ["SOURCE_UNREACHABLE"]
    assert clinic.check_what_is_due() == 0


def test_a_held_back_shop_is_asked_one_query_and_then_its_runs_go_on(clinic):
    clinic.floor.devstore.fault("503", shop=clinic.floor.shop)
    clinic.fail_runs(3)
    clinic.check()
    assert clinic.breaker_is_open()

    clinic.pass_the_pause()
    clinic.check_what_is_due()

    assert not clinic.breaker_is_open()
    assert clinic.minutes_until_runs() == {"products": 0, "customers": 0}


def test_one_feed_that_cannot_be_read_never_holds_back_the_other(clinic):
    clinic.fail_runs(5, ("customers",))
    clinic.check()

    assert not clinic.breaker_is_open()
    assert clinic.minutes_until_runs() == {"products": 0, "customers": 0}
    assert (clinic.codes("products"), clinic.codes("customers")) == ([], ["RUN_FAILED"])


def test_webhooks_are_served_while_runs_are_held_back(clinic):
    clinic.floor.devstore.fault("503", shop=clinic.floor.shop)
    clinic.fail_runs(3)
    clinic.check()

    clinic.floor.send("products/update", clinic.floor.body(1, 1), 1)
    clinic.floor.turn()

    assert clinic.breaker_is_open()
    assert clinic.floor.product(1) is not None


# -- subscriptions


def test_in_shop_specific_mode_a_shop_is_subscribed_and_kept_so(clinic_of):
    clinic = clinic_of(WEBHOOK_SUBSCRIPTIONS="shop")
    clinic.check()
    lost = next(one for one in clinic.subscribed() if one.topic == "products/update")
    from adapters import documents

    clinic.workshop.admin.query(clinic.floor.shop, clinic.floor.token, documents.UNSUBSCRIBE, {"id": lost.id}, 10)
    clinic.check()
    asked = clinic.floor.requests()["all"]
    clinic.check()

    found = clinic.subscribed()
    assert {one.topic for one in found} == OUR_TOPICS
    assert {one.address for one in found} == {f"{clinic.workshop.settings.app_url}/webhooks"}
    assert clinic.floor.requests()["all"] - asked == 3  # the facts and the list; and the list once more, by this test
    assert clinic.codes() == []


def test_a_subscription_that_shopify_refuses_is_an_issue_of_its_feed(clinic_of, monkeypatch):
    from adapters import documents

    clinic = clinic_of(WEBHOOK_SUBSCRIPTIONS="shop")
    clinic.check()
    lost = next(one for one in clinic.subscribed() if one.topic == "customers/update")
    clinic.workshop.admin.query(clinic.floor.shop, clinic.floor.token, documents.UNSUBSCRIBE, {"id": lost.id}, 10)
    # To unsubscribe what is not there is refused, with a sentence, as a subscription may be.
    nothing = 'webhookSubscriptionDelete(id: "gid://shopify/WebhookSubscription/1")'
    refused = f"mutation Subscribe {{ answer: {nothing} {{ userErrors {{ field message }} }} }}"
    monkeypatch.setattr(documents, "SUBSCRIBE", refused)

    clinic.check()

    assert (clinic.codes("products"), clinic.codes("customers")) == ([], ["WEBHOOK_SUBSCRIPTION_MISSING"])
    monkeypatch.undo()
    clinic.check()
    assert clinic.codes("customers") == []


def test_metafields_in_a_message_erase_none_of_the_mirrors(clinic_of):
    clinic = clinic_of(WEBHOOK_SUBSCRIPTIONS="shop", APP_URL=clinic_of().floor.front_door)
    floor = clinic.floor
    floor.devstore.settings(floor.shop, app_subscriptions=False)
    clinic.check()
    floor.change("create_product", id=5, variants=[{"sku": "A"}])
    floor.serve()
    floor.execute("UPDATE deliveries SET next_attempt_at = now() WHERE state = 'waiting'")
    floor.serve()
    before = floor.product(5).metafields

    floor.change("edit_product", id=5, title="Cup")
    floor.serve()

    assert floor.product(5).core.title == "Cup"
    assert before is not None
    assert floor.product(5).metafields == before


def test_when_the_app_subscribes_nothing_is_created_and_what_is_left_behind_is_told(clinic, clinic_of):
    clinic_of(WEBHOOK_SUBSCRIPTIONS="shop").check()

    clinic.check()

    assert len(clinic.subscribed()) == len(OUR_TOPICS)
    assert set(clinic.codes("products")) == set(clinic.codes("customers")) == {"WEBHOOK_SUBSCRIPTION_STRAY"}


# -- silence


def test_silence_is_told_once_a_shop_that_was_never_quiet_stops_telling(clinic):
    from workers.health import count_what_was_heard

    now = datetime.now(UTC)
    clinic.floor.execute(
        """INSERT INTO deliveries (shop, webhook_id, topic, feed, resource_id, source, lane, triggered_at, received_at)
           SELECT :shop, 'w' || n, 'products/update', 'products', 1, 'webhook', 'live', at, at
           FROM generate_series(1, 400) AS n, LATERAL (SELECT :now - make_interval(mins => 300 + n * 15) AS at) AS t""",
        now=now,
    )
    count_what_was_heard(clinic.workshop)
    clinic.check()
    assert (clinic.codes("products"), clinic.codes("customers")) == (["WEBHOOKS_SILENT"], [])

    clinic.floor.send("products/update", clinic.floor.body(1, 1), 1)
    count_what_was_heard(clinic.workshop)
    clinic.check()

    assert clinic.codes("products") == []


def test_each_webhook_is_counted_once_and_only_the_last_week_is_kept(clinic):
    from workers.health import count_what_was_heard, forget_what_was_heard

    for second in range(3):
        clinic.floor.send("products/update", clinic.floor.body(second + 1, second), second)
        count_what_was_heard(clinic.workshop)
        count_what_was_heard(clinic.workshop)
    old = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(days=9)
    clinic.floor.execute("INSERT INTO heard VALUES (:shop, 'products', :old, 7, :old)", old=old)
    forget_what_was_heard(clinic.workshop)

    with clinic.floor.db.connect() as db:
        assert sum(one.deliveries for one in health.heard(db, clinic.floor.shop, "products")) == 3
    assert clinic.floor.value("SELECT sum(deliveries) FROM heard") == 3


def test_a_redacted_shop_leaves_no_health_behind(clinic):
    clinic.check()
    clinic.floor.execute("DELETE FROM shops WHERE domain = :shop")

    assert clinic.floor.value("SELECT count(*) FROM health") == 0
    assert clinic.check() == 0
