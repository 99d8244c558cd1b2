"""The API's description: that it is one, that nothing is missing from it, and that the API keeps to it."""

import re
import time

import hypothesis
import pytest
import schemathesis
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi import checks as openapi

from adapters import runs
from app.api.described import NOTE

SHOP = "northwind-trade.myshopify.com"
OTHER = "contoso-outdoor.myshopify.com"


@pytest.fixture
def document(app):
    """What everybody may read."""
    answer = app.test_client().get("/api/v1/openapi.json")
    assert (answer.status_code, answer.mimetype) == (200, "application/json"), answer.text
    return answer.json


def routes(app):
    """(path as OpenAPI writes it, method, view) of every route under /api/v1."""
    for rule in app.url_map.iter_rules():
        if rule.rule.startswith("/api/"):
            path = re.sub(r"<(?:[^:<>]*:)?([^<>]+)>", r"{\1}", rule.rule)
            for method in sorted(rule.methods - {"HEAD", "OPTIONS"}):
                yield path, method.lower(), app.view_functions[rule.endpoint]


def test_every_route_is_described(app, document):
    served = {(path, method) for path, method, _ in routes(app)}

    paths = document["paths"]
    described = {(path, method) for path in paths for method in paths[path] if method != "parameters"}

    assert described == served
    assert len(served) >= 17


def test_every_description_has_a_sentence_an_answer_and_the_ways_to_fail(app, document):
    for path, method, view in routes(app):
        operation = document["paths"][path][method]
        note = getattr(view, NOTE, None)
        assert operation["summary"], path
        if note is not None:
            (content,) = operation["responses"][str(note.status)]["content"].values()
            assert content["schema"] == {"$ref": f"#/components/schemas/{note.answers.__name__}"}
            assert {"401", "403", "429", "503"} <= set(operation["responses"]), path


def test_the_document_says_where_and_how(document):
    assert document["openapi"].startswith("3.1")
    assert document["servers"] == [{"url": "http://127.0.0.1:8000"}]
    assert document["security"] == [{"token": []}]
    assert document["components"]["securitySchemes"]["token"]["scheme"] == "bearer"


def test_the_document_is_valid(document):
    schemathesis.openapi.from_dict(document).validate()


# -- the API against its description, with whatever hypothesis and schemathesis think of


@pytest.fixture
def seeded(app, door, devstore, install, take_turns, product):
    """Two shops, each with products, a customer, issues, a filtered customer, a removed product and a run."""
    devstore.open_shop(SHOP, token="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", products=0, customers=0)
    for shop in (SHOP, OTHER):
        install(shop)
        for number in (1, 2, 3):
            door.post(product(number, variants=[{"sku": "TWIN"}, {"sku": None}]), shop_domain=shop)
    for tags in (["b2b"], ["b2c"]):
        devstore.change(SHOP, "create_customer", first_name="Jane", email="jane@example.com", tags=tags)
        newest = max(customer["id"] for customer in devstore.truth(SHOP)["customers"])
        door.post({"id": newest}, "customers/create")
    take_turns(SHOP, SHOPIFY_ADMIN_ORIGIN=devstore.url + "/{shop}")
    door.post({"id": 3}, "products/delete", triggered_at="2026-11-23T11:00:00Z")
    take_turns(SHOP, SHOPIFY_ADMIN_ORIGIN=devstore.url + "/{shop}")
    take_turns(OTHER)
    with app.extensions["office"].db.begin() as db:
        runs.start(db, SHOP, "customers", "schedule", complete=True)
    return app


SETTINGS = hypothesis.settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(hypothesis.HealthCheck),
)
CHECKS = [
    not_a_server_error,
    openapi.status_code_conformance,
    openapi.content_type_conformance,
    openapi.response_schema_conformance,
    openapi.response_headers_conformance,
    openapi.ignored_auth,
    openapi.unsupported_method,
]


@pytest.mark.timeout(300)  # some thousand calls beside other tests
@pytest.mark.parametrize("mode", GenerationMode)
def test_the_api_keeps_to_its_description(seeded, redis, session_token, mode):
    token = session_token(SHOP, exp=int(time.time()) + 3_600)
    schema = schemathesis.openapi.from_wsgi("/api/v1/openapi.json", seeded)
    tried = set()

    for operation in schema.get_all_operations():

        @hypothesis.settings(SETTINGS)
        @hypothesis.given(operation.ok().as_strategy(generation_mode=mode))
        def keeps_to_it(case):
            redis.delete(f"calls:{SHOP}")  # this is about answers, not about how many there may be
            case.call_and_validate(headers={"Authorization": f"Bearer {token}"}, checks=CHECKS)
            tried.add((case.method, case.path))

        keeps_to_it()

    assert len(tried) >= 17 or mode is GenerationMode.NEGATIVE
