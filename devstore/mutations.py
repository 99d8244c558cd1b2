"""The few things the app may change in a shop: its webhook subscriptions and its bulk operations."""

from dataclasses import replace
from typing import Any

from devstore.tenant import BulkOperation, Tenant, WebhookSubscription
from devstore.walk import problem_with

MOST_BULK = 5


def create_subscription(_root: Any, info: Any, topic: str, **given: Any) -> dict[str, Any]:
    """Shopify refuses a second one with the same topic, destination and filter."""
    tenant: Tenant = info.context.tenant
    now = tenant.shop.now().replace(microsecond=0)
    blank = WebhookSubscription(tenant.shop.next_number(), topic, "", info.context.version, now, now)
    return _keep(tenant, replace(blank, **_wishes(given["webhookSubscription"])))


def update_subscription(_root: Any, info: Any, id: str, **given: Any) -> dict[str, Any]:  # noqa: A002  # schema's name
    tenant: Tenant = info.context.tenant
    known = tenant.subscriptions.get(_number(id))
    if known is None:
        return _refused("webhookSubscription", "id", "Webhook subscription does not exist")
    changes = _wishes(given["webhookSubscription"])
    return _keep(tenant, replace(known, **changes, updated_at=tenant.shop.now().replace(microsecond=0)))


def delete_subscription(_root: Any, info: Any, id: str) -> dict[str, Any]:  # noqa: A002  # schema's name
    tenant: Tenant = info.context.tenant
    with tenant.lock:
        if tenant.subscriptions.pop(_number(id), None) is None:
            return _refused("deletedWebhookSubscriptionId", "id", "Webhook subscription does not exist")
    return {"deletedWebhookSubscriptionId": id, "userErrors": []}


def run_bulk_query(_root: Any, info: Any, query: str, **given: Any) -> dict[str, Any]:
    tenant: Tenant = info.context.tenant
    problem = problem_with(query)
    if given["groupObjects"]:
        problem = "The pretend Shopify knows ungrouped output only."
    if problem is not None:
        return _bulk_refused("INVALID", problem)
    number = tenant.shop.next_number()  # before the tenant's lock: the shop's is always taken first
    with tenant.lock:
        if sum(b.status in {"CREATED", "RUNNING"} for b in tenant.bulk.values()) >= MOST_BULK:
            return _bulk_refused("LIMIT_REACHED", "The limit of concurrent bulk query operations is reached.")
        now = tenant.shop.now().replace(microsecond=0)
        operation = BulkOperation(number, query, now)
        tenant.bulk[operation.number] = operation
    info.context.run_bulk(tenant, operation)
    return {"bulkOperation": operation, "userErrors": []}


def cancel_bulk(_root: Any, info: Any, id: str) -> dict[str, Any]:  # noqa: A002  # schema's name
    tenant: Tenant = info.context.tenant
    with tenant.lock:
        operation = tenant.bulk.get(_number(id))
        if operation is None:
            return _refused("bulkOperation", "id", "Bulk operation does not exist")
        if operation.status not in {"CREATED", "RUNNING"}:
            message = "A bulk operation cannot be canceled when it is " + operation.status.lower()
            return {"bulkOperation": operation, "userErrors": [{"field": None, "message": message}]}
        return {"bulkOperation": tenant.advance(operation.number, status="CANCELING"), "userErrors": []}


def _wishes(given: dict[str, Any]) -> dict[str, Any]:
    wishes: dict[str, Any] = {}
    if uri := given.get("uri") or given.get("callbackUrl"):
        wishes["uri"] = uri
    for theirs, ours in (("filter", "filter"), ("format", "format"), ("name", "name")):
        if theirs in given:
            wishes[ours] = given[theirs]
    if "includeFields" in given:
        wishes["include_fields"] = tuple(given["includeFields"] or ())
    if "metafieldNamespaces" in given:
        wishes["metafield_namespaces"] = tuple(given["metafieldNamespaces"] or ())
    if "metafields" in given:
        wishes["metafields"] = tuple((m.get("namespace", "app--4713"), m["key"]) for m in given["metafields"] or ())
    return wishes


def _keep(tenant: Tenant, subscription: WebhookSubscription) -> dict[str, Any]:
    if not subscription.uri:
        return _refused("webhookSubscription", "webhookSubscription", "Address can't be blank")
    with tenant.lock:
        others = [s for s in tenant.subscriptions.values() if s.number != subscription.number]
        same = [s for s in others if (s.topic, s.uri, s.filter) == _identity(subscription)]
        if same:
            return _refused(
                "webhookSubscription", "webhookSubscription", "Address for this topic has already been taken"
            )
        if subscription.name and any(s.name == subscription.name for s in others):
            return _refused("webhookSubscription", "webhookSubscription", "Name has already been taken")
        tenant.subscriptions[subscription.number] = subscription
    return {"webhookSubscription": subscription, "userErrors": []}


def _identity(subscription: WebhookSubscription) -> tuple[str, str, str | None]:
    return subscription.topic, subscription.uri, subscription.filter


def _refused(missing: str, field: str, message: str) -> dict[str, Any]:
    return {missing: None, "userErrors": [{"field": [field], "message": message}]}


def _bulk_refused(code: str, message: str) -> dict[str, Any]:
    return {"bulkOperation": None, "userErrors": [{"code": code, "field": ["query"], "message": message}]}


def _number(gid: str) -> int:
    return int(gid.rsplit("/", 1)[-1])
