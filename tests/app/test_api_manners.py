"""How the API behaves to programs: what it refuses and how, pages, ETags, limits, and what it can be told."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from adapters import runs
from adapters.rate_limit import BURST, RateLimit

SHOP = "northwind-trade.myshopify.com"
OTHER = "contoso-outdoor.myshopify.com"
NOWHERE = "redis://127.0.0.1:1"


@pytest.fixture
def call(app, session_token):
    """call(method, path, shop=…, **what Werkzeug's client takes) → the answer to the shop's own token."""

    def ask(method, path, shop=SHOP, app=app, headers=(), **more):
        headers = {"Authorization": f"Bearer {session_token(shop)}", **dict(headers)}
        return app.test_client().open(f"/api/v1{path}", method=method, headers=headers, **more)

    return ask


@pytest.fixture
def mirror(door, install, take_turns):
    """mirror(*bodies) → the products are in the mirror as webhooks bring them."""

    def fill(*bodies, shop=SHOP):
        install(shop)
        for body in bodies:
            door.post(body, shop_domain=shop)
        take_turns(shop)

    return fill


# -- refused, in words


@pytest.mark.parametrize(
    ("path", "name", "words"),
    [
        ("/products", "q", "is missing"),
        ("/issues?feed=products&severity=grave", "severity", "must be one of: error, warning, info"),
        ("/issues?feed=products&after=x", "after", "is not what an earlier answer called `next`"),
        ("/issues?feed=products&q=" + "x" * 256, "q", "must not be longer than 255 characters"),
        ("/activity?feed=products&days=0", "days", "must be a whole number from 1 to 30"),
        ("/activity?feed=products&days=many", "days", "must be a whole number from 1 to 30"),
        ("/runs?after=" + "9" * 5_000, "after", "must be a whole number"),
        ("/gaps?since=yesterday", "since", "must be a time such as 2026-11-23T10:00:00Z"),
    ],
)
def test_a_parameter_that_cannot_be_read_is_named_with_what_it_must_be(install, call, path, name, words):
    install()

    answer = call("GET", path)

    assert (answer.status_code, answer.mimetype) == (400, "application/problem+json")
    assert answer.json["errors"] == {name: words}
    assert answer.json["detail"] == f"`{name}`: {words}."


@pytest.mark.parametrize(
    "since", ["2026-11-23", "2026-11-23T10:00:00", "2026-11-23T10:00:00+02:00", "0001-01-01T00:00:00%2B14:00"]
)
def test_gaps_may_be_asked_for_since_any_time(install, call, since):
    install()

    assert call("GET", f"/gaps?since={since}").status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/products?q=%00",
        "/products?q=" + "x" * 100_000,
        "/customers?q=" + "9" * 5_000,
        "/products?q=a&q=b",
        "/products?q=%ff%fe",
        "/explain?q=%F0%9F%A6%8A",
        "/issues?feed=products&q=%00%25_",
        "/issues?feed=customers&q=%00@",
        "/products?q=a&nobody=knows",
    ],
)
def test_odd_words_are_looked_up_like_any_other(install, call, path):
    install()

    assert call("GET", path).status_code == 200


@pytest.mark.parametrize(
    ("sent", "status", "words"),
    [
        ({"data": b'{"tag": "b2b"', "content_type": "application/json"}, 400, "not JSON: line 1"),
        ({"data": b"\xff", "content_type": "application/json"}, 400, "not JSON"),
        ({"data": b"[]", "content_type": "application/json"}, 400, "must be a JSON object"),
        ({"data": b"", "content_type": "application/json"}, 400, "not JSON"),
        ({"data": b"tag=b2b"}, 415, "application/json"),
        ({"data": b"tag=b2b", "content_type": "application/x-www-form-urlencoded"}, 415, "application/json"),
        ({"data": b" " * 65_537, "content_type": "application/json"}, 413, "exceeds"),
        ({"json": {"tga": "b2b"}}, 400, "`tga`: is not known."),
        ({"json": {"tag": 7}}, 400, "`tag`: must be text."),
        ({"json": {"tag": None}}, 400, "`tag`: must not be null."),
        ({"json": {"tag": ""}}, 400, "`tag`: Enter a tag"),
        ({"json": {"tag": "b2b\u0000,x"}}, 400, "`tag`: "),
        ({"json": {"ignored_keys": "title"}}, 400, "`ignored_keys`: must be a list of texts."),
        ({"json": {"ignored_keys": [[]]}}, 400, "`ignored_keys`: must be a list of texts."),
        ({"json": {"reconcile_seconds": "600"}}, 400, "`reconcile_seconds`: must be a whole number."),
        ({"json": {"reconcile_seconds": 10**12}}, 400, "`reconcile_seconds`: Choose an interval"),
        ({"json": {"notify_after_minutes": 10**30}}, 400, "`notify_after_minutes`: "),
    ],
)
def test_a_body_that_cannot_be_used_is_refused_with_the_reason(install, call, sent, status, words):
    install()

    answer = call("PATCH", "/settings", **sent)

    assert (answer.status_code, answer.mimetype) == (status, "application/problem+json"), answer.text
    assert words in answer.json["detail"]


@pytest.mark.parametrize("path", ["/nothing", "/runs/0", "/runs/99999999999999999999", "/products/abc/history"])
def test_an_address_that_does_not_exist_is_a_problem_document(install, call, path):
    install()

    answer = call("GET", path)

    assert (answer.status_code, answer.mimetype, answer.json["status"]) == (404, "application/problem+json", 404)


# -- who may ask


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/products"), ("GET", "/runs/1"), ("GET", "/nothing"), ("DELETE", "/feeds"), ("PATCH", "/settings")],
)
def test_401_comes_before_anything_else(app, method, path):
    answer = app.test_client().open(f"/api/v1{path}", method=method)

    assert (answer.status_code, answer.mimetype) == (401, "application/problem+json")


@pytest.mark.parametrize("path", ["/products", "/runs/1", "/issues?feed=orders"])
def test_403_comes_before_what_is_wrong_with_the_question(app, database, call, path):
    assert call("GET", path).status_code == 403


def test_a_head_is_answered_like_a_get_without_a_body(install, call):
    install()

    head, get = call("HEAD", "/feeds"), call("GET", "/feeds")

    assert (head.status_code, head.data) == (200, b"")
    assert head.headers["Content-Length"] == str(len(get.data))


# -- asked again


@pytest.mark.parametrize("path", ["/products?q=ABC-1", "/customers?q=nobody", "/explain?q=ABC-1", "/feeds/products"])
def test_the_same_answer_again_is_a_304(mirror, call, product, path):
    mirror(product(1))
    first = call("GET", path)

    again = call("GET", path, headers={"If-None-Match": first.headers["ETag"]})

    assert not first.headers["ETag"].startswith("W/")
    assert (first.headers["Cache-Control"], first.headers["Vary"]) == ("private, no-cache", "Authorization")
    assert (again.status_code, again.data, again.headers["ETag"]) == (304, b"", first.headers["ETag"])


def test_another_answer_has_another_etag(mirror, call, product):
    mirror(product(1))
    first = call("GET", "/products?q=ABC-1")
    mirror(product(1, title="Renamed", updated_at="2026-11-23T10:30:00Z"))

    again = call("GET", "/products?q=ABC-1", headers={"If-None-Match": first.headers["ETag"]})

    assert (again.status_code, again.json["results"][0]["record"]["title"]) == (200, "Renamed")


def test_errors_are_not_kept_by_anybody(install, call):
    install()

    answer = call("GET", "/runs/1")

    assert (answer.headers["Cache-Control"], "ETag" in answer.headers) == ("no-store", False)


# -- how often


def test_a_shop_that_asks_without_a_pause_is_told_to_wait_and_no_other_is(app, install, call):
    install()
    install(OTHER)
    limit = app.extensions["office"].rate_limit
    while limit.take(SHOP).is_granted:
        pass
    app.extensions["office"].redis.hincrbyfloat(f"calls:{SHOP}", "at", 60)  # and stays empty, however slow we are

    refused, other = call("GET", "/feeds"), call("GET", "/feeds", OTHER)

    assert (refused.status_code, refused.mimetype) == (429, "application/problem+json")
    assert refused.headers["Retry-After"] == "1"
    assert refused.headers["RateLimit"] == '"shop";r=0;t=10'
    assert (other.status_code, other.headers["RateLimit"]) == (200, '"shop";r=1999;t=1')


def test_a_bucket_fills_again(redis):
    limit = RateLimit(redis)
    while limit.take(SHOP).is_granted:
        pass
    redis.hincrbyfloat(f"calls:{SHOP}", "at", -1)  # a second passes

    assert limit.take(SHOP).left >= 199


def test_a_burst_is_granted_at_once(redis):
    limit = RateLimit(redis)

    assert all(limit.take(SHOP).is_granted for _ in range(BURST))


def test_while_redis_is_away_everybody_may_ask(build, database, install, call):
    install()

    answer = call("GET", "/feeds", app=build(REDIS_URL=NOWHERE))

    assert answer.status_code == 200


# -- runs and pages


def test_runs_are_listed_newest_first_page_by_page(database, install, call):
    install()
    install(OTHER)
    with database.begin() as db:
        runs.start(db, OTHER, "products", "command", complete=True)
        for _ in range(130):
            run, _ = runs.start(db, SHOP, "products", "command", complete=False)
            db.execute(text("UPDATE runs SET state = 'finished', finished_at = now() WHERE id = :id"), {"id": run.id})
        runs.start(db, SHOP, "customers", "command", complete=True)

    listed, after, pages = [], "", 0
    while after is not None:
        answer = call("GET", "/runs" + (f"?after={after}" if after else "")).json
        listed, after, pages = listed + answer["runs"], answer["next"], pages + 1

    assert ([run["id"] for run in listed], pages) == (list(range(132, 1, -1)), 2)
    assert {run["shop"] for run in listed} == {SHOP}
    assert [run["id"] for run in call("GET", "/runs?feed=customers").json["runs"]] == [132]


def test_issues_are_chosen_by_severity_and_words(mirror, call, product):
    mirror(product(1, title="Tin mug", variants=[{"sku": None}]), product(2, title="Bowl", variants=[{"sku": " B-1"}]))

    errors = call("GET", "/issues?feed=products&severity=error").json["issues"]
    bowls = call("GET", "/issues?feed=products&q=bowl").json["issues"]
    codes = call("GET", "/issues?feed=products&q=WHITESPACE").json["issues"]

    assert {(issue["resource_id"], issue["code"]) for issue in errors} == {(1, "SKU_MISSING")}
    assert {issue["resource_id"] for issue in bowls} == {2}
    assert {issue["code"] for issue in codes} == {"SKU_WHITESPACE"}


def test_issues_are_counted_by_code_the_gravest_first(mirror, call, product):
    mirror(*(product(n, variants=[{"sku": None}, {"sku": f" B-{n}"}]) for n in (1, 2)))

    groups = call("GET", "/issues/groups?feed=products").json["groups"]

    counted = [(group["code"], group["severity"], group["issues"], group["records"]) for group in groups]
    assert counted == [("SKU_MISSING", "error", 2, 2), ("SKU_WHITESPACE", "warning", 2, 2)]


@pytest.mark.parametrize(("days", "step", "least"), [(1, "hour", 24), (30, "day", 30)])
def test_activity_is_told_by_the_hour_or_by_the_day(install, call, days, step, least):
    install()

    answer = call("GET", f"/activity?feed=products&days={days}").json

    assert (answer["feed"], answer["step"]) == ("products", step)
    assert least <= len(answer["periods"]) <= least + 1
    assert answer["freshness"] == {"p50": None, "p95": None, "p99": None}


def test_activity_says_how_fresh_the_mirror_was(database, install, call):
    install()
    freshness = [0] * 17
    freshness[2] = 10
    with database.begin() as db:
        statement = text("""INSERT INTO activity (shop, feed, hour, arrived, applied, freshness)
                            VALUES (:shop, 'products', date_trunc('hour', now(), 'UTC'), 12, 10, :freshness)""")
        db.execute(statement, {"shop": SHOP, "freshness": freshness})

    answer = call("GET", "/activity?feed=products").json

    assert answer["freshness"]["p50"] == {"at_least": 0.25, "less_than": 0.5}
    assert (answer["periods"][-1]["arrived"], answer["periods"][-1]["applied"]) == (12, 10)


# -- one record


def test_history_tells_what_happened_to_a_record_newest_first(mirror, door, take_turns, call, product):
    mirror(product(77))
    door.post({"id": 77}, "products/delete", triggered_at="2026-11-23T11:00:00Z")
    take_turns()

    answer = call("GET", "/products/77/history").json

    told = [(step["topic"], step["outcome"]) for step in answer["history"] if step["topic"].startswith("products/")]
    assert (answer["feed"], answer["id"]) == ("products", 77)
    assert told == [("products/delete", "deleted"), ("products/update", "applied")]


@pytest.mark.parametrize("path", ["/products/78/history", "/customers/77/history"])
def test_a_record_that_nobody_knows_has_no_history(mirror, call, product, path):
    mirror(product(77))

    assert call("GET", path).status_code == 404


def test_another_shops_record_has_no_history(mirror, call, product):
    mirror(product(77))
    mirror(shop=OTHER)

    assert call("GET", "/products/77/history", OTHER).status_code == 404


@pytest.mark.parametrize("feed", ["products", "customers"])
def test_a_record_is_read_again_on_demand_by_a_delivery_like_any_other(install, door, call, feed):
    install()

    answer = call("POST", f"/{feed}/77/fetches")

    row = door.only_row()
    assert answer.status_code == 202
    assert (answer.json["id"], answer.json["resource_id"], answer.json["feed"]) == (row["id"], 77, feed)
    assert (answer.json["state"], answer.json["source"], answer.json["lane"]) == ("waiting", "fetch", "live")
    assert call("POST", f"/{feed}/77/fetches").json["id"] == row["id"]  # it waits already


# -- settings


def test_settings_are_changed_one_by_one_and_told_again(install, call):
    install()

    changed = call("PATCH", "/settings", json={"reconcile_seconds": 900, "ignored_keys": ["title", "group"]})

    expected = {
        "tag": "b2b",
        "ignored_keys": ["group", "title"],
        "reconcile_seconds": 900,
        "complete_run_seconds": None,
        "notify_mail": None,
        "notify_url": None,
        "notify_after_minutes": 30,
    }
    assert (changed.status_code, changed.json) == (200, expected)
    assert call("GET", "/settings").json == expected
    assert call("PATCH", "/settings", json={"reconcile_seconds": None}).json == expected | {"reconcile_seconds": None}


def test_another_tag_reads_all_customers_anew(install, call):
    install()

    call("PATCH", "/settings", json={"tag": "trade"})

    (run,) = call("GET", "/runs?feed=customers").json["runs"]
    assert (run["complete"], run["state"], run["who"]) == (True, "running", "42")


def test_a_refused_change_changes_nothing(install, call):
    install()

    call("PATCH", "/settings", json={"tag": "trade", "reconcile_seconds": 1})

    assert call("GET", "/settings").json["tag"] == "b2b"


def test_gaps_are_listed_page_by_page_and_counted_on_all(database, install, call):
    install()
    with database.begin() as db:
        db.execute(
            text("""INSERT INTO gaps (shop, feed, resource_id, cause, run)
                    SELECT :shop, 'products', n, CASE WHEN n % 2 = 0 THEN 'late' ELSE 'no_webhook' END, 1
                    FROM generate_series(1, 1500) n"""),
            {"shop": SHOP},
        )

    first = call("GET", "/gaps").json
    second = call("GET", f"/gaps?after={first['next']}").json

    assert [len(page["gaps"]) for page in (first, second)] == [1_000, 500]
    assert {gap["id"] for page in (first, second) for gap in page["gaps"]} == set(range(1, 1_501))
    assert first["counts"] == second["counts"] == {"late": 750, "no_webhook": 750}
    assert second["next"] is None


def test_a_days_old_gap_is_found_when_it_is_asked_for(database, install, call):
    install()
    repaired = datetime.now(UTC) - timedelta(days=3)
    with database.begin() as db:
        run, _ = runs.start(db, SHOP, "products", "command", complete=True)
        statement = text("""INSERT INTO gaps (shop, feed, resource_id, topic, cause, changed_at, repaired_at, run)
                            VALUES (:shop, 'products', 7, 'products/update', 'never_delivered', :at, :at, :run)""")
        db.execute(statement, {"shop": SHOP, "at": repaired, "run": run.id})

    today = call("GET", "/gaps").json["gaps"]
    this_week = call("GET", f"/gaps?since={repaired - timedelta(days=1):%Y-%m-%d}").json["gaps"]

    assert (today, [gap["id"] for gap in this_week]) == ([], [7])
