"""What whoever is woken must not have to guess: since when, how far a replay reaches, and whether it has helped."""

from datetime import UTC, datetime, timedelta

import orjson
import pytest
from sqlalchemy import text

from adapters import attempts, audit, replays, stock
from adapters.inbox import Filter

SHOP = "northwind-trade.myshopify.com"
OTHER = "contoso-outdoor.myshopify.com"


@pytest.fixture
def sql(database):
    def run(statement, **values):
        with database.begin() as db:
            return db.execute(text(statement), values)

    return run


# Now


def test_it_has_been_bad_since_the_first_death_that_nobody_attended_to(ada, stored, filed, sql):
    old, _ = stored(2, dead_because="the price is no number")
    sql("UPDATE deliveries SET closed_at = now() - interval '3 hours' WHERE id = :id", id=old)
    filed()
    page = ada.get("/ops")
    assert "2 deliveries are dead.</a> Since" in page
    assert page.count("3 h ago") >= 1


def test_a_clock_that_stopped_is_seen_at_once_though_hourly_duties_are_still_to_come(ada, sql):
    hourly = "('forget old alerts', now() + interval '50 minutes')"
    sql(f"INSERT INTO duties (name, due_at) VALUES ('sweep', now()), {hourly}")
    assert "No clock is running." not in ada.get("/ops")
    sql("UPDATE duties SET due_at = now() - interval '2 minutes' WHERE name = 'sweep'")
    assert "No clock is running.</a> Since" in ada.get("/ops")


def test_signatures_silence_and_a_stopped_replay_are_troubles_in_the_words_of_their_alerts(
    ada, database, door_of, console, product, stored, sql, wait_for
):
    for _ in range(5):
        assert door_of(console, database).post(product(), secret="wrong" * 8).status_code == 401
    with database.begin() as db:
        levels = {(stock.FINDINGS.name, ("WEBHOOKS_SILENT",)): 2.0, (stock.REPLAYS.name, ("stopped",)): 1.0}
        stock.write(db, {name for name, _ in levels}, levels)
    page = wait_for(lambda: "5 requests that claim" in (p := ada.get("/ops")) and p)
    for said, where in (
        ("2 shops have sent no webhook for much longer than usual.", "/ops/shops"),
        ("5 requests that claim", "/ops/rejected"),
        ("1 replay has stopped itself.", "/ops/replays"),
    ):
        assert f'<a href="{where}">{said}' in page


def test_what_waits_is_not_counted_further_than_is_cheap(ada, database, stored):
    """The page is looked at most when the backlog is largest."""
    stored(stock.MOST_COUNTED + 200)
    with database.begin() as db:
        stock.write(db, [stock.WAITING.name], {(stock.WAITING.name, ("live",)): 4_000_000.0})
    for page in (ada.get("/ops"), ada.get("/ops/workers")):
        assert ">4,000,000</a>" in page


def test_a_shop_says_what_is_wrong_with_it(ada, install, sql):
    install()
    sql(
        """INSERT INTO issues (shop, feed, resource_id, code, path, scope, severity)
           VALUES (:s, 'products', 0, 'WEBHOOKS_SILENT', '', 'record', 'warning')""",
        s=SHOP,
    )
    assert "WEBHOOKS_SILENT" in ada.get("/ops/shops")


# Deliveries


def test_a_row_says_what_it_is_about_when_it_was_decided_and_its_issue(
    ada, stored, filed, sql, install, take_turns, product
):
    install()
    stored(1, body=orjson.dumps(product(1, title="Copper <mug>")))
    take_turns(SHOP)
    stored(1, dead_because="the price is no number", resource_id=1)
    (waits,) = stored(1)
    (fingerprint,) = filed()
    sql("UPDATE deliveries SET closed_at = now() - interval '5 hours' WHERE outcome = 'dead'")
    sql("UPDATE deliveries SET next_attempt_at = now() + interval '9 minutes' WHERE id = :id", id=waits)
    page = ada.get("/ops/deliveries")
    assert '<span class="title">Copper <mug></span>' in page
    assert "5 h ago" in page
    assert "in 9 min" in page
    assert f'href="/ops/issues/{fingerprint}"' in page


def test_when_something_died_and_in_which_release_can_be_asked(ada, stored, sql, database):
    old, new = stored(2, dead_because="x")
    sql("UPDATE deliveries SET closed_at = now() - interval '5 hours' WHERE id = :id", id=old)
    with database.begin() as db:
        attempts.note(db, [attempts.Failed(old, 1, "x")])
        db.execute(text("UPDATE attempts SET version = 'abc1234'"))
    for words, only in (
        ({"closed_since": "1h"}, new),
        ({"closed_until": "1h"}, old),
        ({"version": "abc1234"}, old),
    ):
        page = ada.get("/ops/deliveries", outcome="dead", **words)
        assert "<strong>1</strong>" in page, words
        assert f'href="/ops/deliveries/{only}"' in page
        assert "<details open>" in page  # a filter that is on is seen


def test_good_news_says_how_fresh_it_is_and_what_has_expired_by_which_rule(ada, stored):
    stored()
    assert "The last webhook came" in ada.get("/ops/deliveries", outcome="dead")
    page = ada.get("/ops/deliveries", until=f"{datetime.now(UTC) - timedelta(days=40):%Y-%m-%d}")
    assert "kept for 30 days after their decision" in page
    assert "30 days" in ada.get("/ops/deliveries/99", status=404)


# Issues


def test_an_issue_says_whether_it_grows(ada, stored, filed, sql):
    stored(2, dead_because="the price is no number")
    (fingerprint,) = filed()
    sql("UPDATE failures SET hour = hour - interval '1 hour'")
    stored(3, dead_because="the price is no number")
    filed()
    page = ada.get(f"/ops/issues/{fingerprint}")
    assert "this hour 3, the hour before 2" in page
    assert "growing:" in ada.get("/ops/issues")


# Replays


def test_a_forecast_names_how_many_of_what_of_whom_and_when(ada, stored, install, database, take_turns, sql):
    install()
    stored(2)
    take_turns(SHOP)
    stored(3, dead_because="x")
    stored(1, dead_because="x", shop=OTHER)
    sql("UPDATE deliveries SET received_at = '2026-11-23 10:00:00Z' WHERE id = 1")
    page = ada.get("/ops/replays/new", source="webhook")
    assert f"4 dead, 2 applied, of {SHOP}, {OTHER}, received from 2026-11-23 10:00:00 to" in page
    assert "Among them are 2 that had been decided well" in page


def test_a_forecast_that_is_hopeless_says_so(ada, stored, install):
    install()
    stored(60, dead_because="x", body=b"[]")
    page = ada.get("/ops/replays/new", outcome="dead")
    assert "60 would still fail" in page
    assert "deploy the fix first" in page


def test_a_replay_that_ended_with_failures_is_no_success(ada, stored, database, sql):
    stored(3, dead_because="x")
    with database.begin() as db:
        replay, _ = replays.start(db, "Prices", "ada", "w", Filter(outcome="dead"), refreshed=False, key="k")
        replays.open_next(db, replay, 10, lambda *_: None)
        db.execute(text("UPDATE deliveries SET state = 'closed', outcome = 'dead' WHERE id > 1"))
        db.execute(text("UPDATE deliveries SET state = 'closed', outcome = 'applied' WHERE id = 1"))
        replays.finish(db, replay)
    for address in ("/ops/replays", f"/ops/replays/{replay.id}"):
        page = ada.get(address)
        assert "Finished, 2 failed again" in page
        assert 'class="badge success"' not in page


def test_who_cancelled_a_replay_why_and_what_of_it_is_on_record(ada, stored, database):
    stored(2, dead_because="x")
    page = ada.get("/ops/replays/new", outcome="dead")
    going = ada.submit(page, "/ops/replays", name="N", why="w")
    assert "cancelled by ada: wrong shop" in ada.submit(going, "/ops/replays/1/cancel", why="wrong shop")
    with database.connect() as db:
        last = audit.listed(db)[0]
    assert (last["who"], last["act"], last["why"], last["count"]) == ("ada", "replay cancelled", "wrong shop", 2)
    assert last["chosen"]["outcome"] == "dead"


# By command alone


@pytest.fixture
def told(console):
    def ask(*arguments):
        with console.app_context():
            return console.test_cli_runner().invoke(args=arguments)

    return ask


def test_a_body_and_its_difference_can_be_read_without_the_console(told, stored, install, take_turns, product):
    install()
    stored(1)
    take_turns(SHOP)
    later = datetime.now(UTC)
    sent = orjson.dumps(product(1, title="Copper \x1b[31mmug"))
    body = sent.replace(b'"id":1,', b'"id":1,"big":12345678901234567890123,')
    (number,) = stored(1, resource_id=1, body=body, received_at=later, triggered_at=later, dead_because="x")
    said = told("deliveries", "show", str(number), "--body").stdout
    assert "The mirror has another state." in said
    assert '"big": 12345678901234567890123,' in said
    assert "\x1b" not in said
    story = orjson.loads(told("deliveries", "show", str(number), "--json").stdout)
    assert {change["path"] for change in story["difference"]["changes"]} == {"title"}
    assert "body" not in story


def test_a_bug_of_todays_code_does_not_hide_the_delivery_that_died_of_it(ada, told, stored, monkeypatch):
    from schemas import webhooks

    def bug(body, *_):
        return body["colour"]

    (number,) = stored(1, dead_because="x")
    monkeypatch.setattr(webhooks, "read_product", bug)
    page = ada.get(f"/ops/deliveries/{number}")
    assert "Today's code cannot read it. It could not be applied: KeyError" in page
    assert "Tin mug" in page
    assert told("deliveries", "show", str(number)).exit_code == 0


def test_the_command_forecasts_in_the_same_words(told, stored, install):
    install()
    stored(60, dead_because="x", body=b"[]")
    said = told("deliveries", "replay", "--outcome", "dead").stdout
    assert f"60 dead, of {SHOP}, received from" in said
    assert "deploy the fix first" in said


def test_a_schema_that_is_not_there_says_what_to_do(build, create_database):
    app = build(DATABASE_URL=create_database("nothing_in_it"))
    with app.app_context():
        done = app.test_cli_runner().invoke(args=["issues", "list", "--json"])
    assert (done.exit_code, done.stdout) == (2, "")
    assert "flask migrate" in done.stderr


@pytest.mark.parametrize(
    "command",
    [
        ("deliveries", "show", "9" * 30),
        ("deliveries", "list", "--before", "9" * 30),
        ("deliveries", "list", "--copies", "9" * 30),
        ("replays", "show", "9" * 30),
        ("replays", "cancel", "9" * 30),
        ("replays", "list", "--before", "9" * 30),
        ("runs", "confirm", "9" * 30),
    ],
)
def test_a_number_beyond_all_numbers_is_a_usage_error(told, command):
    done = told(*command)
    assert done.exit_code == 2, done.output
    assert "Error:" in done.output


def test_a_filter_of_many_ids_or_long_words_is_answered(ada, stored):
    stored(2, dead_because="x")
    many = "&".join(f"ids={n}" for n in range(1, 500))
    assert "<strong>2</strong>" in ada.get(f"/ops/deliveries?{many}")
    assert "Choose them by a filter" in ada.get(f"/ops/deliveries?{many}&ids=600&ids=601")
    assert "Nothing matches" in ada.get("/ops/deliveries", error="y" * 5_000)


def test_what_has_no_id_is_foreseen_with_a_few_statements(console, database, stored, install):
    from sqlalchemy import event

    from app.forecast import forecast

    install()
    stored(600, dead_because="no id", resource_id=None, body=b'{"id": "none"}')
    asked = []
    with database.connect() as db:
        event.listen(db, "before_cursor_execute", lambda *given: asked.append(given[2]))
        told = forecast(db, console.extensions["office"].vault, Filter(outcome="dead"))
    assert told.still_fails == 600
    assert len(asked) < 15, len(asked)
