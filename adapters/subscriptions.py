"""A shop's own webhook subscriptions: listed, and mended by a plan."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from adapters import documents
from adapters.admin import AdminClient
from domain.failures import ShopUnreachable
from domain.subscriptions import Plan, Subscription, Wish, enum_of, topic_of

PAGE = 25
POINTS = 3  # a row, its version, its metafields
MUTATION = 10
MOST_PAGES = 20  # there are some 220 topics; a list without an end is a mistake of somebody's


@dataclass(frozen=True, slots=True)
class Refusal:
    """Shopify's sentence about a change it did not make. Nothing but our own topic and address was sent."""

    topic: str
    sentence: str


def listed(client: AdminClient, shop: str, token: str) -> list[Subscription]:
    """All of them. Those of `shopify.app.toml` are not among them: Shopify does not list them."""
    found: list[Subscription] = []
    after = None
    for _ in range(MOST_PAGES):
        first = max(1, min(PAGE, (client.ceiling(shop) - 2) // POINTS))
        variables = {"first": first, "after": after}
        answer = client.query(shop, token, documents.SUBSCRIPTIONS, variables, first * POINTS + 2)
        try:
            page = answer["webhookSubscriptions"]
            found += [_read(node) for node in page["nodes"]]
            if not page["pageInfo"]["hasNextPage"]:
                return found
            after = page["pageInfo"]["endCursor"]
        except (KeyError, TypeError, AttributeError):
            break
    raise ShopUnreachable(f"{shop} sent a list of subscriptions that cannot be read. It is asked again later.")


def _read(node: Mapping[str, Any]) -> Subscription:
    return Subscription(
        id=node["id"],
        topic=topic_of(node["topic"]),
        address=node["uri"],
        version=node["apiVersion"]["handle"],
        include_fields=tuple(node["includeFields"]),
        filter=node["filter"] or None,
        metafield_namespaces=tuple(node["metafieldNamespaces"]),
        metafields=tuple(f"{one['namespace']}.{one['key']}" for one in node["metafields"]),
        format=node["format"],
    )


def mend(client: AdminClient, shop: str, token: str, plan: Plan) -> list[Refusal]:
    """Carry the plan out; what Shopify refused is returned, and the rest goes on. List again to know what came of it.

    Safe to repeat and to break off: whatever is not done is still different the next time.
    """
    steps: list[tuple[str, str, dict[str, Any]]] = [
        *((one.topic, documents.UNSUBSCRIBE, {"id": one.id}) for one in plan.remove),
        *((w.topic, documents.SUBSCRIBE, {"topic": enum_of(w.topic), "wish": _input(w)}) for w in plan.create),
        *((w.topic, documents.CHANGE_SUBSCRIPTION, {"id": one.id, "wish": _input(w)}) for one, w in plan.update),
    ]
    refusals = []
    for topic, document, variables in steps:
        answer = client.query(shop, token, document, variables, MUTATION).get("answer")
        errors = answer.get("userErrors") if isinstance(answer, dict) else None
        refusals += [Refusal(topic, str(error.get("message"))[:200]) for error in errors or ()]
    return refusals


def _input(wish: Wish) -> dict[str, Any]:
    """Whole, also to change one: what is left out would stay as it was."""
    return {
        "uri": wish.address,
        "format": "JSON",
        "filter": None,
        "includeFields": [],
        "metafieldNamespaces": list(wish.metafield_namespaces),
        "metafields": [],
    }
