"""`flask subscriptions diff` shows, `flask subscriptions fix` does."""

import json

import pytest

from adapters import audit
from domain.subscriptions import TOPICS

SHOP = "northwind-trade.myshopify.com"
TOKEN = "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"
FINE, FINDINGS, USAGE, UNREACHABLE = 0, 1, 2, 3
OUR_TOPICS = sorted(set(TOPICS) - {"customers/merge"})  # the pretend shop grants no scope for that one


@pytest.fixture
def told(build, devstore, install):
    """told("diff", mode="shop") → (exit status, the one JSON document on stdout) of the command."""
    devstore.open_shop(SHOP, token=TOKEN)
    install(SHOP)

    def ask(command, shop=SHOP, mode="shop", **changes):
        app = build(SHOPIFY_ADMIN_ORIGIN=devstore.url + "/{shop}", WEBHOOK_SUBSCRIPTIONS=mode, **changes)
        done = app.test_cli_runner().invoke(args=["subscriptions", command, shop, "--json"])
        return done.exit_code, json.loads(done.stdout) if done.stdout else done.stderr

    return ask


def test_diff_shows_what_is_missing_and_does_nothing(told):
    status, answer = told("diff")

    assert status == FINDINGS
    assert sorted(wish["topic"] for wish in answer["create"]) == OUR_TOPICS
    assert {finding["kind"] for finding in answer["findings"]} == {"missing"}
    assert told("diff") == (status, answer)


def test_fix_does_it_and_may_be_repeated(told, database):
    status, answer = told("fix", "northwind-trade")

    assert (status, sorted(answer["created"]), answer["findings"]) == (FINE, OUR_TOPICS, [])
    assert told("diff")[0] == FINE
    assert told("fix")[1]["created"] == []
    with database.connect() as db:
        assert [(row["act"], row["count"], row["target"]) for row in audit.listed(db)] == [
            ("subscriptions fixed", len(OUR_TOPICS), SHOP)
        ]


def test_when_the_app_subscribes_fix_removes_what_is_left_behind(told):
    assert told("diff", mode="app")[0] == FINE
    told("fix")

    status, answer = told("diff", mode="app")
    fixed = told("fix", mode="app")

    assert (status, len(answer["remove"])) == (FINDINGS, len(OUR_TOPICS))
    assert (fixed[0], sorted(fixed[1]["removed"])) == (FINE, OUR_TOPICS)
    assert told("diff", mode="app")[0] == FINE


def test_a_moved_app_moves_its_subscriptions(told):
    told("fix")

    status, answer = told("fix", APP_URL="https://new.example.com")

    assert (status, sorted(answer["removed"]), sorted(answer["created"])) == (FINE, OUR_TOPICS, OUR_TOPICS)


def test_a_shop_that_does_not_answer_is_a_sentence_and_exit_status_3(told, devstore):
    devstore.fault("503", shop=SHOP)
    status, sentence = told("diff")

    assert status == UNREACHABLE
    assert sentence.startswith(SHOP)


def test_an_unknown_shop_is_a_usage_error(told):
    assert told("diff", "nobody")[0] == USAGE


def test_without_json_it_is_sentences(told, build, devstore):
    told("diff")
    app = build(SHOPIFY_ADMIN_ORIGIN=devstore.url + "/{shop}", WEBHOOK_SUBSCRIPTIONS="shop")
    run = app.test_cli_runner().invoke

    assert "The subscription products/update is missing" in run(args=["subscriptions", "diff", SHOP]).stdout
    assert f"{len(OUR_TOPICS)} created" in run(args=["subscriptions", "fix", SHOP]).stdout
    assert run(args=["subscriptions", "diff", SHOP]).stdout.strip() == "Nothing differs."
