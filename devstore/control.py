"""The other side, for whoever conducts the play: shops, changes, moods, faults, the ledger and the truth, in JSON."""

from collections.abc import Callable
from dataclasses import asdict, fields
from datetime import timedelta
from typing import Any

import orjson
from flask import Blueprint, Response, request

from devstore import changes
from devstore.faults import Fault
from devstore.ledger import Entry
from devstore.mood import MOODS
from devstore.shop import Conduct
from devstore.tenant import Tenant
from devstore.tokens import id_token
from devstore.truth import truth
from devstore.world import World

Body = dict[str, Any]


def blueprint(world: World) -> Blueprint:
    control = Blueprint("control", __name__, url_prefix="/_devstore")
    for problem, status in ((KeyError, 404), (ValueError, 422), (TypeError, 422)):
        control.register_error_handler(problem, _refused(status))
    _add_shops(control, world)
    _add_changes(control, world)
    _add_post(control, world)
    _add_faults(control, world)
    return control


def _add_shops(control: Blueprint, world: World) -> None:
    @control.get("/")
    def state() -> Response:
        return _json({"app": world.app.url, "shops": sorted(world.tenants), "mood": world.courier.mood.as_json()})

    @control.put("/app")
    def move_app() -> Response:
        """Any of url, secret, api_key. Deliveries under way keep the address they were made for, as at Shopify."""
        for name, value in _body("url", "secret", "api_key").items():
            setattr(world.app, name, value)
        return _json({"app": world.app.url})

    @control.post("/shops")
    def open_shop() -> Response:
        wanted = _body("domain", "token", "products", "customers", "variants", "b2b")
        tenant = world.open_shop(wanted.pop("domain"), **wanted)
        return _json(_summary(tenant), 201)

    @control.get("/shops/<shop>")
    def show_shop(shop: str) -> Response:
        return _json(_summary(world.tenants[shop]))


def _add_changes(control: Blueprint, world: World) -> None:
    @control.post("/shops/<shop>/changes")
    def change(shop: str) -> Response:
        """`{"kind": "edit_product", "id": …, …}`; answers which webhooks it made, each with its fate so far."""
        tenant, wishes = world.tenants[shop], _body()
        happened = changes.apply(tenant, wishes.pop("kind"), wishes)
        return _json({"fired": _told(world.tell(tenant, happened)), "resources": [h.gid for h in happened]})

    @control.post("/shops/<shop>/random")
    def random_changes(shop: str) -> Response:
        tenant = world.tenants[shop]
        done = changes.apply_random(tenant, int(_body("n").get("n", 1)))
        told = [entry for _, happened in done for entry in world.tell(tenant, happened)]
        return _json({"changes": [kind for kind, _ in done], "fired": len(told)})

    @control.put("/shops/<shop>/settings")
    def settle_shop(shop: str) -> Response:
        tenant = world.tenants[shop]
        for name, value in _body().items():
            _setting(tenant, name)(value)
        return _json(_summary(tenant))

    @control.post("/shops/<shop>/id-token")
    def make_id_token(shop: str) -> Response:
        """What Shopify's admin hands an embedded page. Claims in the body overrule, `seconds` is its life."""
        given = _body()
        secret, seconds = given.pop("secret", world.app.secret), given.pop("seconds", 60)
        return _json({"id_token": id_token(shop, world.app.api_key, secret, world.now(), seconds, **given)})

    @control.post("/shops/<shop>/install")
    def install(shop: str) -> Response:
        """(Re)install: the shop answers again. Managed install tells the app nothing."""
        tenant = world.tenants[shop]
        tenant.shop.installed = True
        if token := _body("token").get("token"):
            tenant.tokens.admit(token)
        return _json(_summary(tenant))

    @control.get("/shops/<shop>/truth")
    def show_truth(shop: str) -> Response:
        return _json(truth(world.tenants[shop]))

    @control.get("/shops/<shop>/documents")
    def show_documents(shop: str) -> Response:
        """The distinct GraphQL documents this shop was asked, to prove them against the real schema."""
        return _json({"documents": list(world.tenants[shop].documents)})


def _add_post(control: Blueprint, world: World) -> None:
    @control.get("/mood")
    def show_mood() -> Response:
        return _json(world.courier.mood.as_json())

    @control.put("/mood")
    def change_mood() -> Response:
        """`{"name": "bad"}` starts from a named mood; anything else in the body overrules it, or the present one."""
        wanted = _body()
        start = MOODS[wanted.pop("name")] if "name" in wanted else world.courier.mood
        world.courier.feel(start.changed(**wanted))
        return _json(world.courier.mood.as_json())

    @control.get("/ledger")
    def show_ledger() -> Response:
        shop = request.args.get("shop")
        entries = world.courier.ledger.entries(shop)
        return _json({"counts": world.courier.ledger.counts(shop), "deliveries": [e.as_json() for e in entries]})

    @control.get("/ledger/counts")
    def show_counts() -> Response:
        return _json(world.courier.ledger.counts(request.args.get("shop")))

    @control.post("/settle")
    def settle() -> Response:
        """Waits until everything due, delayed or retried has been sent; `settled` false: `seconds` were too few."""
        settled = world.courier.settle(float(_body("seconds").get("seconds", 60)))
        return _json({"settled": settled, "counts": world.courier.ledger.counts()})

    @control.post("/flush")
    def flush() -> Response:
        """Whatever waits for a delay or a retry goes now."""
        world.courier.hurry()
        return _json({"counts": world.courier.ledger.counts()})


def _add_faults(control: Blueprint, world: World) -> None:
    @control.post("/faults")
    def order_fault() -> Response:
        world.faults.order(Fault(**_body("kind", "shop", "place", "times", "seconds")))
        return _json({"ordered": True}, 201)

    @control.delete("/faults")
    def clear_faults() -> Response:
        world.faults.clear()
        return _json({"ordered": False})

    @control.get("/requests")
    def show_requests() -> Response:
        return _json({domain: _tally(tenant) for domain, tenant in list(world.tenants.items())})


def _setting(tenant: Tenant, name: str) -> Callable[[Any], None]:
    """How to change one setting of a shop: conduct, bucket, tokens."""
    if name in {field.name for field in fields(Conduct)}:
        return lambda value: setattr(tenant.shop.conduct, name, value)
    special: dict[str, Callable[[Any], None]] = {
        "bucket": lambda value: tenant.bucket.resize(float(value), None),
        "restore_rate": lambda value: tenant.bucket.resize(None, float(value)),
        "token": tenant.tokens.admit,
        "token_seconds": lambda value: setattr(tenant.tokens, "lifetime", timedelta(seconds=value)),
        "refresh_token_seconds": lambda value: setattr(tenant.tokens, "refresh_lifetime", timedelta(seconds=value)),
        "expire_tokens": lambda value: tenant.tokens.expire_access() if value else None,
        "revoke_tokens": lambda value: tenant.tokens.revoke() if value else None,
    }
    if name not in special:
        raise ValueError(f"A shop has no setting {name}.")
    return special[name]


def _summary(tenant: Tenant) -> Body:
    shop = tenant.shop
    return {
        "domain": shop.domain,
        "installed": shop.installed,
        "products": len(shop.products.truth),
        "variants": len(shop.homes),
        "customers": len(shop.customers.truth),
        "conduct": asdict(shop.conduct),
        "bucket": tenant.bucket.status(),
        "subscriptions": len(tenant.subscriptions),
    }


def _tally(tenant: Tenant) -> Body:
    # Not `asdict`: it takes a Counter for something to count again.
    return vars(tenant.tally) | {"operations": dict(tenant.tally.operations)}


def _told(entries: list[Entry]) -> list[Body]:
    keys = ("webhook_id", "topic", "resource", "triggered_at", "fate", "doubled", "delayed_by")
    return [{key: entry.as_json()[key] for key in keys} for entry in entries]


def _body(*allowed: str) -> Body:
    """The request's JSON object; with `allowed`, anything else in it is refused."""
    given = orjson.loads(request.get_data() or b"{}")
    unknown = set(given) - set(allowed or given)
    if unknown:
        raise ValueError(f"Unknown: {', '.join(sorted(unknown))}.")
    return dict(given)


def _refused(status: int) -> Callable[[Exception], Response]:
    return lambda problem: _json({"error": str(problem.args[0]) if problem.args else str(problem)}, status)


def _json(body: Any, status: int = 200) -> Response:
    return Response(orjson.dumps(body), status, content_type="application/json")
