"""Shopify's side over HTTP: GraphQL, the token endpoint, bulk files. One path prefix a shop: `/{shop}/admin/…`."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
from flask import Blueprint, Response, abort, request
from graphql import GraphQLError, OperationDefinitionNode

from devstore import tokens
from devstore.cost import MAX_COST, Bill
from devstore.graph import VERSIONS, Asking, execute
from devstore.schema import SCHEMA, read
from devstore.tenant import Tenant
from devstore.world import World

BAD_TOKEN = {"errors": "[API] Invalid API key or access token (unrecognized login or wrong password)"}
LIMITS = "https://shopify.dev/api/usage/limits#rate-limits"
Answer = dict[str, Any]


def blueprint(world: World) -> Blueprint:
    api = Blueprint("api", __name__)

    @api.before_request
    def read_all() -> None:
        """Werkzeug ends no connection while some of the request is unread, and a fault reads none of it."""
        request.get_data()

    @api.post("/<shop>/admin/api/<version>/graphql.json")
    def graphql(shop: str, version: str) -> Response:
        tenant = _tenant(world, shop)
        tenant.tally.requests += 1
        _fail_if_ordered(world, tenant, "graphql")
        if not tenant.tokens.is_good(request.headers.get("X-Shopify-Access-Token")):
            return _json(BAD_TOKEN, 401)
        # A version that is gone falls forward, silently, to the oldest that is not.
        served = version if version in VERSIONS or version == "unstable" else VERSIONS[0]
        asking = Asking(tenant, served, request.host_url.rstrip("/"), world.app.api_key, world.bulk.start)
        return _json(_answer(asking, request.get_json(force=True)), 200, {"X-Shopify-API-Version": served})

    @api.post("/<shop>/admin/oauth/access_token")
    def access_token(shop: str) -> Response:
        tenant = _tenant(world, shop)
        _fail_if_ordered(world, tenant, "oauth")
        asked = request.get_json(silent=True) or request.form.to_dict()
        try:
            granted = _grant(world, tenant, asked)
        except tokens.RefusedError as refusal:
            return _json({"error": str(refusal), "error_description": "The request was refused."}, 400)
        _fail_if_ordered(world, tenant, "oauth_answer")
        return _json(granted)

    @api.get("/<shop>/bulk/<int:number>.jsonl")
    def bulk_file(shop: str, number: int) -> Response:
        """The address is signed at Shopify, so no token is asked for."""
        tenant = _tenant(world, shop)
        _fail_if_ordered(world, tenant, "bulk")
        operation = tenant.bulk.get(number)
        if operation is None or operation.path is None:
            abort(404)
        path = Path(operation.path)
        length = {"Content-Length": str(path.stat().st_size)}
        return Response(_stream(path), 200, length, content_type="application/jsonl")

    return api


def _fail_if_ordered(world: World, tenant: Tenant, place: str) -> None:
    ordered = world.faults.answer(tenant.shop.domain, place)
    if ordered is not None:
        tenant.tally.faults += 1
        abort(ordered)


def _answer(asking: Asking, body: Any) -> Answer:
    """A GraphQL answer as Shopify words it; HTTP 200 whatever happened."""
    tally = asking.tenant.tally
    text, variables, name = body.get("query"), body.get("variables") or {}, body.get("operationName")
    if not isinstance(text, str):
        return {"errors": [{"message": "Parameter Missing or Invalid: query"}]}
    asking.tenant.note(text)
    document, problems = read(text)
    if document is None or problems:
        tally.errors += 1
        return {"errors": [_error(problem) for problem in problems]}
    operations = [d for d in document.definitions if isinstance(d, OperationDefinitionNode)]
    chosen = next((o for o in operations if o.name and o.name.value == name), operations[0])
    tally.operations[chosen.name.value if chosen.name else "(unnamed)"] += 1
    return _paid(asking, Bill.of(SCHEMA, document, chosen, variables), name)


def _paid(asking: Asking, bill: Bill, name: str | None) -> Answer:
    """Reserve the price asked, execute, refund what did not come."""
    tenant, requested = asking.tenant, bill.requested()
    tenant.tally.requested_points += requested
    if requested > MAX_COST:
        tenant.tally.too_dear += 1
        return {"errors": [_too_dear(requested)]}
    if not tenant.bucket.take(requested):
        tenant.tally.throttled += 1
        throttled = {"message": "Throttled", "extensions": {"code": "THROTTLED", "documentation": LIMITS}}
        return {"errors": [throttled], "extensions": _cost(tenant, requested, None)}
    result = execute(bill.document, bill.variables, name, asking)
    actual = min(requested, bill.actual(result.data))
    tenant.bucket.refund(requested - actual)
    tenant.tally.actual_points += actual
    answer: Answer = {"data": result.data, "extensions": _cost(tenant, requested, actual)}
    if result.errors:
        tenant.tally.errors += 1
        answer["errors"] = [_error(problem) for problem in result.errors]
    return answer


def _cost(tenant: Tenant, requested: int, actual: int | None) -> Answer:
    status = tenant.bucket.status()
    return {"cost": {"requestedQueryCost": requested, "actualQueryCost": actual, "throttleStatus": status}}


def _too_dear(requested: int) -> Answer:
    message = f"Query cost is {requested}, which exceeds the single query max cost limit ({MAX_COST})."
    known = {"code": "MAX_COST_EXCEEDED", "cost": requested, "maxCost": MAX_COST, "documentation": LIMITS}
    return {"message": message, "extensions": known}


def _error(problem: GraphQLError) -> Answer:
    return dict(problem.formatted)


def _grant(world: World, tenant: Tenant, asked: dict[str, Any]) -> Answer:
    """The token endpoint's four uses: exchange of an ID token, migration of a lasting token, a code, refresh."""
    genuine = (asked.get("client_id"), asked.get("client_secret")) == (world.app.api_key, world.app.secret)
    if not genuine or not tenant.shop.installed:
        raise tokens.RefusedError("invalid_client")
    if asked.get("grant_type") == "refresh_token":
        return tenant.tokens.refresh(str(asked.get("refresh_token")))
    expiring = str(asked.get("expiring")).lower() in {"1", "true"}
    if "code" in asked and "grant_type" not in asked:
        return tenant.tokens.redeem(str(asked["code"]), expiring=expiring)
    if asked.get("grant_type") != tokens.EXCHANGE:
        raise tokens.RefusedError("invalid_request")
    if not _is_subject_good(world, tenant, asked):
        raise tokens.RefusedError("invalid_subject_token")
    return tenant.tokens.issue(expiring=expiring)


def _is_subject_good(world: World, tenant: Tenant, asked: dict[str, Any]) -> bool:
    subject, kind = str(asked.get("subject_token")), asked.get("subject_token_type")
    if kind == tokens.OFFLINE:
        return tenant.tokens.spend(subject)
    app, shop = world.app, tenant.shop
    return kind == tokens.ID_TOKEN and tokens.is_genuine_id_token(
        subject, shop.domain, app.api_key, app.secret, world.now()
    )


def _tenant(world: World, shop: str) -> Tenant:
    tenant = world.tenants.get(shop)
    if tenant is None:
        abort(_json({"errors": "Not Found"}, 404))
    return tenant


def _stream(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(65_536):
            yield piece


def _json(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(orjson.dumps(body), status, headers, content_type="application/json; charset=utf-8")
