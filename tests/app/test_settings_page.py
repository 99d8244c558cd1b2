"""The settings page: what is set is said before it is done, and what was wrong stands beside its field."""

import re

import pytest
from sqlalchemy import text

from adapters import runs, shop_settings
from adapters.shop_settings import ShopSettings

SHOP = "northwind-trade.myshopify.com"
FORM = {"tag": "b2b", "notify_after_minutes": "30"}


@pytest.fixture
def visit(app, install, session_token):
    """visit(path, **form): a GET, or a POST where there is a form, by one of the shop's people."""
    install(SHOP)
    with app.extensions["office"].db.begin() as db:
        runs.open_feeds(db, SHOP)
    client = app.test_client()

    def knock(path="/settings", **form):
        headers = {"Authorization": f"Bearer {session_token(SHOP)}"}
        return client.post(path, data=form, headers=headers) if form else client.get(path, headers=headers)

    return knock


@pytest.fixture
def stored(app):
    def read():
        office = app.extensions["office"]
        with office.db.connect() as db:
            return shop_settings.read(db, office.vault, SHOP)

    return read


@pytest.fixture
def ask(database):
    def make(statement, **values):
        with database.begin() as db:
            answer = db.execute(text(statement), values)
            return [tuple(row) for row in answer] if answer.returns_rows else None

    return make


def words(answer):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.text))


def test_what_a_change_of_the_tag_will_do_is_said_before_it_is_done(visit, ask):
    for number, rule, matched in ((1, "tag", "b2b"), (2, "tag", "B2B"), (3, "metafield", "group")):
        ask(
            """INSERT INTO customers (shop, id, state, since, at, seen, rule, matched)
               VALUES (:shop, :id, 'member', now(), now(), now(), :rule, :matched)""",
            shop=SHOP,
            id=number,
            rule=rule,
            matched=matched,
        )

    told = words(visit())

    assert "Now 3 customers are imported: 2 by the tag b2b , 1 by the metafield group ." in told
    assert "the 2 customers imported by b2b will be removed unless they also have the new tag" in told


def test_a_new_tag_is_saved_and_the_run_that_judges_anew_is_linked(visit, stored, ask):
    saved = visit(**FORM | {"tag": "wholesale", "ignored_keys": "authentication"})
    ((run, who),) = ask("SELECT id, who FROM runs WHERE feed = 'customers'")
    shown = visit(saved.location)

    assert saved.status_code == 303
    assert (stored().tag, stored().ignored_keys) == ("wholesale", {"authentication"})
    assert who == "42"
    assert "Settings saved." in shown.text
    assert f"/customers/runs/{run}" in shown.text
    assert 'value="wholesale"' in shown.text


def test_everything_that_was_set_is_shown_again(visit, stored):
    form = FORM | {
        "reconcile_seconds": "300",
        "complete_run_seconds": "7200",
        "notify_after_minutes": "15",
        "notify_url": "https://hooks.example/x",
    }
    saved = visit(**form)
    shown = visit().text

    assert saved.status_code == 303
    assert stored() == ShopSettings(
        reconcile_seconds=300,
        complete_run_seconds=7_200,
        notify_url="https://hooks.example/x",
        notify_after_minutes=15,
    )
    assert '<option value="300" selected>' in shown
    assert '<option value="7200" selected>' in shown
    assert 'value="https://hooks.example/x"' in shown


def test_what_is_wrong_stands_beside_its_field_as_it_was_typed_and_nothing_is_saved(visit, stored):
    answer = visit(**FORM | {"tag": "a, <b>", "notify_url": "http://[::1/x"})

    assert answer.status_code == 422
    assert 'value="a, &lt;b&gt;"' in answer.text
    assert 'id="tag-error"' in answer.text
    assert 'aria-describedby="tag-error tag-hint"' in answer.text
    assert 'href="#notify_url"' in answer.text
    assert stored() == ShopSettings()


def test_without_a_mail_server_the_page_says_so_and_takes_no_address(visit, stored):
    assert "Mail is not set up on this installation" in visit().text

    answer = visit(**FORM | {"notify_mail": "ops@northwind.example"})

    assert answer.status_code == 422
    assert stored().notify_mail is None


def test_a_test_notice_is_written_once_a_minute_and_shown_with_its_result(visit, ask):
    visit(**FORM | {"notify_url": "https://hooks.example/x"})
    first, second = visit("/settings/test", go="1"), visit("/settings/test", go="1")

    assert "on its way" in visit(first.location).text
    assert "less than a minute ago" in visit(second.location).text
    assert ask("SELECT channel, feed, state FROM notices") == [("url", None, "waiting")]

    ask("UPDATE notices SET state = 'given_up', trouble = 'hooks.example refused the notice (HTTP 404).'")
    shown = words(visit())
    assert "Given up" in shown
    assert "hooks.example refused the notice (HTTP 404)." in shown


def test_nobody_to_tell_is_said(visit, ask):
    answer = visit("/settings/test", go="1")

    assert "There is nobody to tell yet." in visit(answer.location).text
    assert ask("SELECT 1 FROM notices") == []


def test_the_secret_shown_is_the_shops_own(visit, app):
    from adapters import outgoing

    assert outgoing.secret(app.extensions["office"].settings.secret_key, SHOP) in visit().text


def test_a_shop_is_stale_after_three_of_its_own_intervals(visit, ask, app, session_token):
    ask("UPDATE feeds SET last_complete_at = now(), last_import_at = now() - interval '10 minutes'")

    def reasons():
        answer = app.test_client().get("/api/v1/feeds", headers={"Authorization": f"Bearer {session_token(SHOP)}"})
        return {feed["reason"] for feed in answer.json["feeds"]}

    assert reasons() == {"source_empty"}
    visit(**FORM | {"reconcile_seconds": "60"})
    assert reasons() == {"stale"}
