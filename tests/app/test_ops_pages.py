"""What the console's pages say, and what its buttons do."""

import re
import sys
import time
from datetime import UTC, datetime, timedelta

import orjson
import pytest
from rq import Queue
from rq.serializers import JSONSerializer
from sqlalchemy import text
from werkzeug.security import generate_password_hash

from adapters import attempts, audit, failures, inbox, replays, runs
from adapters.inbox import Filter

SHOP = "northwind-trade.myshopify.com"
OTHER = "contoso-outdoor.myshopify.com"
HTML = {"Accept": "text/html"}
SCRIPT = "<script>alert(1)</script>"
HASH = generate_password_hash("secret", method="pbkdf2:sha256:1000")


# Now


def test_now_says_what_is_failing_and_where_to_look(ada, stored, filed):
    stored(2, dead_because="the price is no number")
    filed()
    page = ada.get("/ops")
    assert "Failing" in page
    assert "2 deliveries are dead." in page
    assert "No worker serves the lane live." in page
    assert "No clock is running." in page
    assert "the price is no number" in page


def test_what_is_ignored_troubles_nobody(ada, stored, filed, database):
    stored(2, dead_because="the price is no number")
    (fingerprint,) = filed()
    with database.begin() as db:
        failures.change(db, fingerprint, "ignored", "ada")
    assert "deliveries are dead." not in ada.get("/ops")


def test_now_tells_of_a_held_run(ada, install, held):
    assert "1 run waits for confirmation." in ada.get("/ops")


# Deliveries


def test_a_shop_that_nothing_came_from_gets_a_checklist(ada):
    page = ada.get("/ops/deliveries")
    assert "Nothing has ever arrived" in page
    assert "/ops/rejected" in page


def test_nothing_dead_is_good_news_and_nothing_that_matches_offers_to_clear(ada, stored):
    stored()
    assert "No dead deliveries match" in ada.get("/ops/deliveries", outcome="dead")
    page = ada.get("/ops/deliveries", error="zebra")
    assert "Nothing matches" in page
    assert "Clear the filter" in page


@pytest.mark.parametrize(
    "words",
    [
        {"shop": "contoso-outdoor"},
        {"topic": "customers/update"},
        {"outcome": "dead"},
        {"error": "ZEBRA"},
        {"resource": "gid://shopify/Product/424242"},
        {"lane": "bulk"},
        {"source": "run"},
    ],
    ids=lambda words: next(iter(words)),
)
def test_each_filter_chooses_what_it_says(ada, stored, words):
    stored(3)
    changes = {
        "shop": {"shop": OTHER},
        "topic": {"topic": "customers/update", "feed": "customers", "body": None},
        "outcome": {"dead_because": "x"},
        "error": {"dead_because": "a zebra crossing"},
        "resource": {"resource_id": 424242},
        "lane": {"lane": "bulk"},
        "source": {"source": "run"},
    }
    (number,) = stored(1, **changes[next(iter(words))])
    page = ada.get("/ops/deliveries", **words)
    assert "<strong>1</strong> delivery match" in page
    assert f'href="/ops/deliveries/{number}"' in page


def test_times_are_relative_or_utc(ada, stored):
    hours_ago = datetime.now(UTC) - timedelta(hours=3)
    stored(1, received_at=hours_ago)
    stored(1)
    assert "<strong>1</strong>" in ada.get("/ops/deliveries", since="2h")
    assert "<strong>2</strong>" in ada.get("/ops/deliveries", since="4h")
    assert "<strong>1</strong>" in ada.get(
        "/ops/deliveries", until=f"{hours_ago + timedelta(minutes=1):%Y-%m-%dT%H:%M:%S}"
    )


def test_what_came_twice_is_found_by_that(ada, stored, database):
    first, _ = stored(2)
    with database.begin() as db:
        inbox.count_copies(db, [(SHOP, "w-1")])
    page = ada.get("/ops/deliveries", copies="1")
    assert "<strong>1</strong>" in page
    assert f'href="/ops/deliveries/{first}"' in page
    assert re.search("came 2.</span>", page)


@pytest.mark.parametrize("words", [{"topic": "no/such"}, {"since": "yesterday"}, {"resource": "mug"}, {"replay": "x"}])
def test_a_filter_that_cannot_be_read_lists_nothing_and_acts_on_nothing(ada, stored, words):
    stored(3, dead_because="x")
    page = ada.get("/ops/deliveries", **words)
    assert "would mean everything" in page
    ada.get("/ops/replays/new", status=400, **words)
    ada.get("/ops/deliveries/dismiss", status=400, **words)


def test_without_a_filter_nothing_is_replayed_or_dismissed(ada, stored):
    stored(3, dead_because="x")
    ada.get("/ops/replays/new", status=400)
    ada.get("/ops/deliveries/dismiss", status=400)


def test_pages_go_on_where_the_last_one_ended(ada, stored):
    ids = stored(60)
    first = ada.get("/ops/deliveries", shop=SHOP)
    older = re.search(r'href="([^"]+before=[^"]+)"', first)[1]
    second = ada.get(older)
    shown = [int(n) for page in (first, second) for n in re.findall(r"data-open>(\d+)<", page)]
    assert shown == ids[::-1]


def test_newer_ones_are_announced_not_pushed_in(ada, stored):
    (seen,) = stored(1)
    stored(3)
    assert "3 new: show" in ada.get("/ops/deliveries/newer", seen=seen, shop=SHOP)
    assert "new: show" not in ada.get("/ops/deliveries/newer", seen=seen, shop=OTHER)


def test_dead_ones_are_dismissed_with_a_reason_and_only_they(ada, stored, database, audited):
    dead = stored(3, dead_because="x")
    waiting = stored(2)
    page = ada.get("/ops/deliveries/dismiss", shop=SHOP)
    assert "Dismiss 3 dead deliveries" in page
    refused = ada.submit(page, "/ops/deliveries/dismiss", status=400, why=" ")
    assert "Say why" in refused
    done = ada.submit(page, "/ops/deliveries/dismiss", why="a test shop")
    assert "3 · Dismissed" in done
    with database.connect() as db:
        rows = {row["id"]: row["outcome"] for row in inbox.select(db, Filter())}
    assert rows == dict.fromkeys(dead, "filtered") | dict.fromkeys(waiting)
    assert audited() == [("ada", "deliveries dismissed", "a test shop", 3)]


def test_those_ticked_one_by_one_are_meant_and_no_others(ada, stored, database):
    first, _second, third = stored(3, dead_because="x")
    page = ada.get(f"/ops/deliveries/dismiss?ids={first}&ids={third}")
    ada.submit(page, "/ops/deliveries/dismiss", why="these two")
    with database.connect() as db:
        assert inbox.count_dead(db, Filter()) == 1


def test_more_than_a_thousand_must_be_typed_in(ada, stored, database):
    stored(1_001, dead_because="x")
    page = ada.get("/ops/deliveries/dismiss", outcome="dead")
    assert "Type 1001 to confirm" in page
    ada.submit(page, "/ops/deliveries/dismiss", status=400, why="really")
    ada.submit(page, "/ops/deliveries/dismiss", status=400, why="really", typed="1000")
    ada.submit(page, "/ops/deliveries/dismiss", why="really", typed="1,001")
    with database.connect() as db:
        assert inbox.count_dead(db, Filter()) == 0


# A delivery


def test_a_delivery_tells_its_story(ada, stored, database):
    (number,) = stored(1, dead_because="could not be applied: KeyError in schemas/products.py, line 12")
    with database.begin() as db:
        attempts.note(db, [attempts.Failed(number, 1, "Shopify did not answer."), attempts.Failed(number, 2, "Again.")])
    page = ada.get(f"/ops/deliveries/{number}")
    assert page.index("Attempt 2 failed") < page.rindex("Attempt 1 failed")
    assert "Shopify triggered it" in page
    assert "Closed: dead" in page
    assert "https://admin.shopify.com/store/northwind-trade/products/1" in page


def test_no_digit_of_a_large_number_is_lost(ada, stored):
    body = b'{"id":1,"big":12345678901234567890123,"price":1.10,"said":"a, b: {c}"}'
    (number,) = stored(1, body=body)
    page = ada.get(f"/ops/deliveries/{number}")
    assert '"big": 12345678901234567890123,' in page
    assert '"price": 1.10,' in page
    assert '"said": "a, b: {c}"' in page
    answer = ada.client.get(f"/ops/deliveries/{number}/body")
    assert answer.data == body
    assert "attachment" in answer.headers["Content-Disposition"]
    assert answer.mimetype == "application/octet-stream"


def test_a_body_is_compared_with_the_mirror(ada, stored, install, take_turns, product):
    install()
    stored(1)
    take_turns(SHOP)
    later = datetime.now(UTC)
    body = orjson.dumps(product(1, title="Copper mug"))
    (number,) = stored(1, resource_id=1, body=body, received_at=later, triggered_at=later)
    page = ada.get(f"/ops/deliveries/{number}")
    assert "The mirror has another state." in page
    assert re.search(r'title</th><td class="value">Tin mug</td><td class="value">Copper mug', page)
    assert "history" in page


def test_a_customers_delivery_shows_no_body(ada, stored):
    (number,) = stored(1, topic="customers/update", feed="customers", body=None)
    assert "never kept" in ada.get(f"/ops/deliveries/{number}")


@pytest.mark.parametrize("number", [99, 2**64])
def test_an_unknown_delivery_is_not_found(ada, number):
    assert "There is no delivery" in ada.get(f"/ops/deliveries/{number}", status=404)


def test_one_is_replayed_at_once_and_pressed_twice_only_once(ada, stored, database, audited):
    (number,) = stored(1, dead_because="x")
    page = ada.get(f"/ops/deliveries/{number}")
    first = ada.submit(page, f"/ops/deliveries/{number}/replay")
    second = ada.submit(page, f"/ops/deliveries/{number}/replay")
    assert "It is opened again" in first
    assert "nothing was started twice" in second
    with database.connect() as db:
        (row,) = replays.listed(db)
    assert (row["who"], row["total"]) == ("ada", 1)
    assert [act for _, act, _, _ in audited()] == ["replay started"]


def test_one_is_dismissed_with_a_reason(ada, stored, database, audited):
    (number,) = stored(1, dead_because="x")
    ada.submit(ada.get(f"/ops/deliveries/{number}"), f"/ops/deliveries/{number}/dismiss", why="a test")
    assert audited() == [("ada", "delivery dismissed", "a test", 1)]


# Issues and replays


def test_an_issue_is_acknowledged_snoozed_and_reopened(ada, stored, filed, database, audited):
    stored(2, dead_because="the price is no number")
    (fingerprint,) = filed()
    address = f"/ops/issues/{fingerprint}"
    assert "the price is no number" in ada.get("/ops/issues")
    for values in ({"state": "acknowledged", "why": "I look"}, {"state": "snoozed", "hours": "8"}, {"state": "open"}):
        assert values["state"].capitalize() in ada.submit(ada.get(address), address, **values)
    ada.submit(ada.get(address), address, status=400, state="snoozed", hours="1000000")
    ada.submit(ada.get(address), address, status=400, state="gone")
    assert [act for _, act, _, _ in audited()] == ["issue reopened", "issue snoozed", "issue acknowledged"]


def test_no_open_issue_says_how_fresh_that_is(ada, stored):
    stored()
    page = ada.get("/ops/issues")
    assert "No open issue" in page
    assert "The last webhook came" in page


def test_an_issue_is_replayed_after_a_forecast(ada, stored, filed, install, database):
    install()
    stored(3, dead_because="the price is no number")
    (fingerprint,) = filed()
    page = ada.get("/ops/replays/new", fingerprint=fingerprint, outcome="dead")
    assert "3 would be applied" in page
    stored(1, dead_because="the price is no number")  # came after the forecast
    ada.submit(page, "/ops/replays", status=400, name="Prices", why="")
    started = ada.submit(page, "/ops/replays", name="Prices", why="the schema is mended", mode="as_sent")
    again = ada.submit(page, "/ops/replays", name="Prices", why="the schema is mended", mode="as_sent")
    assert "The replay is started." in started
    assert "nothing was started twice" in again
    with database.connect() as db:
        (row,) = replays.listed(db)
    assert (row["name"], row["why"], row["total"], row["mode"]) == ("Prices", "the schema is mended", 3, "as_sent")


def test_a_replay_is_cancelled_and_resumed(ada, stored, database, audited):
    stored(2, dead_because="x")
    page = ada.get("/ops/replays/new", outcome="dead")
    going = ada.submit(page, "/ops/replays", name="N", why="w")
    cancelled = ada.submit(going, "/ops/replays/1/cancel")
    assert "Cancelled" in cancelled
    resumed = ada.submit(cancelled, "/ops/replays/1/resume")
    assert "It goes on where it ended." in resumed
    assert [act for _, act, _, _ in audited()] == ["replay resumed", "replay cancelled", "replay started"]


# Runs


@pytest.fixture
def held(install, database):
    install()
    with database.begin() as db:
        run, _ = runs.start(db, SHOP, "products", "schedule", complete=True)
        runs.fail(db, run, "51 of 60 records would be removed.", held=True)
    return run.id


def test_a_held_run_is_confirmed_with_a_reason(ada, held, database, audited):
    assert "51 of 60 records" in ada.get("/ops/runs")
    page = ada.get(f"/ops/runs/{held}")
    ada.submit(page, f"/ops/runs/{held}/confirm", status=400, why="")
    assert "the run goes on" in ada.submit(page, f"/ops/runs/{held}/confirm", why="the merchant says so")
    assert "Nothing was done" in ada.submit(page, f"/ops/runs/{held}/confirm", why="once more")
    assert audited() == [("ada", "run confirmed", "the merchant says so", None)]


def test_a_viewer_sees_a_held_run_and_no_button(vic, held):
    page = vic.get(f"/ops/runs/{held}")
    assert "51 of 60 records" in page
    assert "Let it remove them" not in page


def test_a_later_complete_run_that_ended_well_settles_a_held_one(ada, held, database):
    with database.begin() as db:
        run, _ = runs.start(db, SHOP, "products", "schedule", complete=True)
        runs.finish(db, run, None, 60)
    assert "waits for confirmation" not in ada.get("/ops")


def test_a_viewer_sees_what_is_dead_and_can_choose_none_of_it(vic, stored, filed):
    (number,) = stored(1, dead_because="x")
    (fingerprint,) = filed()
    for page in ("/ops/deliveries?outcome=dead", f"/ops/deliveries/{number}", f"/ops/issues/{fingerprint}"):
        told = vic.get(page).replace("Replays", "").replace("Acknowledged", "")
        for act in ("Replay", "Dismiss", "Acknowledge", 'name="ids"'):
            assert act not in told, page


def test_gaps_of_all_shops_are_counted_and_listed(ada, install, database):
    for shop in (SHOP, OTHER):
        install(shop)
    with database.begin() as db:
        db.execute(
            text("""INSERT INTO gaps (shop, feed, resource_id, topic, cause, changed_at, run)
                    VALUES (:a, 'products', 7, 'products/update', 'never_delivered', now() - interval '9 min', 1),
                           (:b, 'products', 8, NULL, 'no_webhook', NULL, 1)"""),
            {"a": SHOP, "b": OTHER},
        )
    assert "Shopify never delivered the webhook" in ada.get("/ops/runs")
    page = ada.get("/ops/gaps", cause="never_delivered")
    assert "products 7" in page
    assert "products 8" not in page
    assert "9 min" in page


# Shops, subscriptions, workers, rejected


def test_shops_tell_their_state_and_their_feeds(ada, install):
    install()
    page = ada.get("/ops/shops", q="northwind")
    assert SHOP in page
    assert "never imported" in page
    assert "Nothing matches" in ada.get("/ops/shops", q="zebra")


def test_a_check_of_a_shops_access_is_asked_for(ada, install, database, audited):
    install()
    page = ada.submit(ada.get("/ops/subscriptions"), f"/ops/subscriptions/{SHOP}/check")
    assert "Shopify is asked soon" in page
    assert audited() == [("ada", "check asked for", None, None)]


def test_which_secret_verified_how_many(console, ada, door_of, engine, product, wait_for):
    door_of(console, engine).post(product())
    page = wait_for(lambda: (p := ada.get("/ops/subscriptions")) and re.search(r'class="num">1</td>', p) and p)
    assert "Current" in page
    assert "Not yet" in page


def test_a_rejected_request_stands_there_with_its_cause(console, ada, door_of, engine, product, wait_for):
    door_of(console, engine).post(product(), secret="wrong" * 8)
    page = wait_for(lambda: "401" in (p := ada.get("/ops/rejected")) and p)
    assert SHOP in page
    assert "products/update" in page


def test_a_failed_job_is_requeued_or_deleted(ada, redis, database, audited):
    queue = Queue("live", connection=redis, serializer=JSONSerializer)
    jobs = [fail(queue, f"could not for {SCRIPT} mug@example.com") for _ in range(2)]
    page = ada.get("/ops/workers")
    assert "ValueError in workers/turns.py, line 12" in page
    assert "mug@example.com" not in page
    first, second = (f"/ops/workers/jobs/live/{job}" for job in jobs)
    assert "queued again" in ada.submit(page, first, act="requeue")
    assert "The job is deleted" in ada.submit(page, second, act="delete")
    assert "not among the failed" in ada.submit(page, second, act="delete")
    ada.submit(page, first, status=400, act="explode")
    assert [act for _, act, _, _ in audited()] == ["job deleted", "job requeued"]
    assert queue.count == 1


def fail(queue, words):
    from rq.job import Job
    from rq.registry import FailedJobRegistry
    from rq.results import Result

    job = Job.create(
        "workers.turns.serve", args=("live",), connection=queue.connection, origin="live", serializer=JSONSerializer
    )
    job.ended_at = datetime.now(UTC)
    job.save()
    trace = f'Traceback:\n  File "/srv/app/workers/turns.py", line 12, in serve\nValueError: {words}'
    Result.create_failure(job, 600, exc_string=trace)
    FailedJobRegistry("live", connection=queue.connection, serializer=JSONSerializer).add(job, ttl=600)
    return job.id


# Safety


def test_what_strangers_wrote_is_never_markup(ada, stored, filed, install, database, product, take_turns, redis):
    install()
    stored(1, body=orjson.dumps(product(1, title=SCRIPT)))
    take_turns(SHOP)
    (number,) = stored(
        1, dead_because=f"bad {SCRIPT}", body=orjson.dumps(product(1, title=f"{SCRIPT}2")), resource_id=1
    )
    stored(1, dead_because="x", shop=f"{SCRIPT}.myshopify.com")
    with database.begin() as db:
        attempts.note(db, [attempts.Failed(number, 1, f"was {SCRIPT}")])
        audit.note(db, "ada", "x", why=SCRIPT, target=SCRIPT, chosen=Filter(error=SCRIPT))
        run, _ = runs.start(db, SHOP, "products", "schedule", complete=True)
        runs.fail(db, run, SCRIPT, held=True)
        replays.start(db, SCRIPT, "ada", SCRIPT, Filter(error=SCRIPT), refreshed=False, key="k")
    fingerprints = filed()
    redis.lpush(
        "rejections",
        orjson.dumps(
            {
                "at": "2026-11-23T10:00:00Z",
                "status": 401,
                "cause": SCRIPT,
                "shop": SCRIPT,
                "topic": SCRIPT,
                "webhook_id": SCRIPT,
                "length": 1,
                "sha256": SCRIPT,
            }
        ),
    )
    pages = ["/ops", "/ops/issues", *(f"/ops/issues/{f}" for f in fingerprints), "/ops/deliveries"]
    pages += [f"/ops/deliveries/{number}", f"/ops/deliveries?error={SCRIPT}", "/ops/deliveries/dismiss?outcome=dead"]
    pages += ["/ops/replays", "/ops/replays/1", "/ops/replays/new?outcome=dead", "/ops/runs", f"/ops/runs/{run.id}"]
    pages += ["/ops/rejected", f"/ops/rejected?q={SCRIPT}", "/ops/audit", f"/ops/shops?q={SCRIPT}", "/ops/workers"]
    found = [page for page in pages if "script&gt;alert" in ada.client.get(page, headers=HTML).text]
    for page in pages:
        assert SCRIPT not in ada.client.get(page, headers=HTML).text, page
    assert len(found) > 12  # it was there to be seen


def test_the_lists_are_quick_at_a_hundred_thousand(ada, stored, filed, capsys):
    for _ in range(10):
        stored(10_000, dead_because="the price 12 is no number", body=None)
    filed()
    told = []
    for address in (
        "/ops",
        "/ops/deliveries",
        "/ops/deliveries?outcome=dead",
        "/ops/deliveries?outcome=dead&error=price",
        f"/ops/deliveries?outcome=dead&shop={SHOP}",
        "/ops/issues",
    ):
        began = time.monotonic()
        page = ada.get(address)
        told.append(f"{address}: {1000 * (time.monotonic() - began):.0f} ms")
    with capsys.disabled():
        sys.stdout.write("\n  ".join(["\n100,000 dead deliveries:", *told, ""]))
    assert "100,000" in page
