"""Which subscriptions a shop should have, and what a linter says of those it has."""

import tomllib
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from domain.subscriptions import (
    COMPLIANCE_TOPICS,
    TOPICS,
    Kind,
    Ours,
    Subscription,
    compare,
    desired,
    enum_of,
    lint,
    topic_of,
)
from domain.topics import SHOPIFYS

ROOT = Path(__file__).parent.parent.parent
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
ADDRESS = "https://sync.example.com/webhooks"
OURS = Ours(ADDRESS, "2026-10", "shop")
WISHES = desired(OURS)
GOOD = Subscription(
    "gid://shopify/WebhookSubscription/1", "products/update", ADDRESS, "2026-10", (), None, ("sparklayer",)
)


def all_good():
    return [
        Subscription(
            f"gid://shopify/WebhookSubscription/{n}",
            wish.topic,
            ADDRESS,
            "2026-10",
            (),
            None,
            wish.metafield_namespaces,
        )
        for n, wish in enumerate(WISHES, start=1)
    ]


def with_one(**changes):
    """Everything as it should be, but for the one of products/update."""
    return [replace(one, **changes) if one.topic == "products/update" else one for one in all_good()]


def compared(actual, ours=OURS, **options):
    return compare(desired(ours), actual, ours, NOW, **options)


def test_what_is_as_it_should_be_is_left_alone():
    plan = compared(all_good())

    assert not plan.changes_something
    assert plan.findings == ()


def test_an_empty_shop_gets_every_topic_that_can_be_subscribed_to():
    plan = compared([])

    assert [wish.topic for wish in plan.create] == list(TOPICS)
    assert set(TOPICS) | set(COMPLIANCE_TOPICS) == set(SHOPIFYS)
    assert {finding.kind for finding in plan.findings} == {Kind.MISSING}
    assert {wish.topic for wish in plan.create if wish.metafield_namespaces == ("sparklayer",)} == {
        "products/create",
        "products/update",
        "customers/create",
        "customers/update",
    }


def test_a_topic_whose_scope_is_not_granted_is_not_wished_for():
    wished = {wish.topic for wish in desired(OURS, {"write_products"})}

    assert "products/update" in wished
    assert "app/uninstalled" in wished
    assert not any(topic.startswith("customer") for topic in wished)
    assert "customers/merge" not in {wish.topic for wish in desired(OURS, {"read_products", "read_customers"})}


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"include_fields": ("id", "title")}, "updated_at"),
        ({"filter": "tags:b2b"}, "filter"),
        ({"metafield_namespaces": ()}, "metafield namespaces"),
        ({"metafields": ("sparklayer.pack_size",)}, "metafields"),
        ({"format": "XML"}, "XML"),
    ],
)
def test_one_that_differs_is_updated_and_the_finding_says_in_what(changes, word):
    plan = compared(with_one(**changes))

    assert [(one.topic, wish.topic) for one, wish in plan.update] == [("products/update", "products/update")]
    assert (plan.create, plan.remove) == ((), ())
    assert any(word in finding.cause for finding in plan.findings)


def test_a_foreign_address_an_unread_topic_and_a_double_are_removed():
    foreign = replace(GOOD, id="gid://shopify/WebhookSubscription/101", address="https://old.example.com/webhooks")
    unread = replace(GOOD, id="gid://shopify/WebhookSubscription/102", topic="ORDERS_CREATE")
    double = replace(GOOD, id="gid://shopify/WebhookSubscription/103", filter="vendor:Northwind")

    plan = compared([foreign, unread, double, *all_good()])

    assert {one.number for one in plan.remove} == {"101", "102", "103"}
    assert (plan.create, plan.update) == ((), ())
    assert [finding.kind for finding in plan.findings] == [Kind.STRAY] * 3
    assert any("more than once" in finding.cause for finding in plan.findings)


def test_an_old_version_is_created_anew_but_only_as_long_as_that_helps():
    old = with_one(version="2026-01")

    renewing, resigned = compared(old), compared(old, renew_version=False)

    assert [one.topic for one in renewing.remove] == [wish.topic for wish in renewing.create] == ["products/update"]
    assert not resigned.changes_something
    assert [finding.kind for finding in resigned.findings] == [Kind.FLAWED]


def test_when_the_app_subscribes_for_all_shops_whatever_a_shop_has_of_its_own_is_a_stray():
    plan = compared([GOOD], Ours(ADDRESS, "2026-10", "app"))

    assert plan.remove == (GOOD,)
    assert (plan.create, plan.update) == ((), ())
    assert "told twice" in plan.findings[0].cause


def problems(**changes):
    return [finding.problem for finding in lint(replace(GOOD, **changes), OURS, NOW)]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"include_fields": ("id",), "metafield_namespaces": ()}, "updated_at"),
        ({"include_fields": ("id", "updated_at")}, "metafields"),
        ({"topic": "customers/update", "filter": "tags:b2b"}, "filter on tags"),
        ({"filter": "status:active", "include_fields": ("updated_at", "metafields")}, "filter on status"),
        ({"version": "2026-07"}, "2026-07"),
    ],
)
def test_the_linter_names_what_shopify_accepts_without_a_word(changes, words):
    found = problems(**changes)

    assert len(found) == 1
    assert words in found[0]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"filter": 'title:"b2b: a tag" AND variants.price:>10'},
        {"topic": "products/delete", "include_fields": ("id",), "metafield_namespaces": ()},
        {"topic": "customer.tags_added", "filter": "tags:b2b"},
        {"topic": "app/uninstalled", "filter": "anything:1"},
        {"include_fields": ("id", "updated_at", "metafields")},
    ],
)
def test_the_linter_is_silent_about_what_works(changes):
    assert problems(**changes) == []


def test_a_version_near_its_end_is_told_before_it_ends():
    late = datetime(2027, 8, 1, tzinfo=UTC)

    assert "2027-10-16" in lint(GOOD, OURS, late)[0].problem


def test_each_finding_is_a_sentence_with_a_remedy():
    findings = [*compared([]).findings, *compared(with_one(filter="a:1", version="2025-10")).findings]

    for finding in findings:
        assert finding.cause.startswith("The subscription ")
        assert finding.cause.endswith(".")
        assert finding.fix.endswith(".")


@pytest.mark.parametrize("topic", TOPICS)
def test_a_topic_survives_graphqls_spelling(admin_schema, topic):
    assert enum_of(topic) in admin_schema.type_map["WebhookSubscriptionTopic"].values
    assert topic_of(enum_of(topic)) == topic


def test_the_apps_own_file_subscribes_to_exactly_the_table():
    app = tomllib.loads((ROOT / "shopify.app.toml").read_text())
    subscribed, compliance = app["webhooks"]["subscriptions"]

    assert subscribed == {"topics": list(TOPICS), "uri": "/webhooks"}
    assert compliance == {"compliance_topics": list(COMPLIANCE_TOPICS), "uri": "/webhooks"}
    assert app["webhooks"]["api_version"] == "2026-10"
    assert app["client_id"]
    assert {wish.topic for wish in desired(OURS, set(app["access_scopes"]["scopes"].split(",")))} == set(TOPICS)
