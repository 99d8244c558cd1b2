import gzip
import logging
import traceback
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import orjson
import pytest

from adapters.budget import Budget
from domain.failures import (
    AccessDenied,
    NotAShop,
    Permanent,
    QueryRefused,
    QueryTooExpensive,
    ShopFrozen,
    ShopUnreachable,
    Throttled,
    TokenDead,
    Transient,
)

DOCUMENT = "query Shop { shop { name } }"
SECRET_BODY = "ada@example.com"


def cost(available, requested=100, maximum=2_000, rate=10_000):
    status = {"maximumAvailable": maximum, "currentlyAvailable": available, "restoreRate": rate}
    return {"cost": {"requestedQueryCost": requested, "actualQueryCost": None, "throttleStatus": status}}


def error(code, **more):
    return {"message": f"Refused for {SECRET_BODY}", "extensions": {"code": code}, **more}


THROTTLED = {"errors": [error("THROTTLED")]}


def test_a_query_goes_to_the_shop_in_its_version_with_its_token(shopify, admin, shop, token):
    shopify.will(body={"data": {"shop": {"name": "Northwind"}}})

    found = admin().query(shop, token, DOCUMENT, {"id": 2**60}, cost=1)

    assert found == {"shop": {"name": "Northwind"}}
    asked = shopify.requests[0]
    assert asked["path"] == f"/{shop}/admin/api/2026-10/graphql.json"
    assert asked["headers"]["X-Shopify-Access-Token"] == token
    assert asked["body"] == {"query": DOCUMENT, "variables": {"id": 2**60}}


def test_a_refused_token_gives_way_to_another_once(shopify, admin, shop, token):
    asked = []

    def another(*refused):
        asked.append(refused)
        return "shpat_another"

    shopify.will(401)
    shopify.will(body={"data": {"shop": {"name": "Northwind"}}})
    shopify.will(401)
    shopify.will(401)
    client = admin(another_token=another)

    assert client.query(shop, token, DOCUMENT, {}, cost=1) == {"shop": {"name": "Northwind"}}
    with pytest.raises(TokenDead):
        client.query(shop, token, DOCUMENT, {}, cost=1)

    assert asked == [(shop, token)] * 2
    used = [request["headers"]["X-Shopify-Access-Token"] for request in shopify.requests]
    assert used == [token, "shpat_another"] * 2


def test_connections_are_kept(shopify, admin, shop, token):
    client = admin()

    for _ in range(3):
        client.query(shop, token, DOCUMENT, {}, cost=1)

    assert len(shopify.peers) == 1


@pytest.mark.parametrize(
    ("status", "failure", "words"),
    [
        (301, ShopUnreachable, "redirect"),
        (302, ShopUnreachable, "redirect"),
        (304, ShopUnreachable, "redirect"),
        (307, ShopUnreachable, "redirect"),
        (400, QueryRefused, "malformed"),
        (401, TokenDead, "Install the app again"),
        (402, ShopFrozen, "bill"),
        (403, ShopFrozen, "forbids"),
        (404, ShopFrozen, "Check the domain"),
        (408, ShopUnreachable, "later"),
        (413, Permanent, "malformed"),
        (422, Permanent, "malformed"),
        (423, ShopFrozen, "locked"),
        (430, ShopUnreachable, "suspicious"),
        (500, ShopUnreachable, "later"),
        (502, ShopUnreachable, "later"),
        (503, ShopUnreachable, "later"),
    ],
)
def test_each_status_says_what_to_do(shopify, admin, shop, token, status, failure, words):
    shopify.will(status, {"errors": SECRET_BODY}, {"Location": "https://elsewhere.example/"})

    with pytest.raises(failure, match=words) as raised:
        admin().query(shop, token, DOCUMENT, {}, cost=1)

    assert str(status) in str(raised.value)
    assert len(shopify.requests) == 1


def test_a_redirect_never_carries_the_token_along(shopify, admin, shop, token):
    shopify.will(302, {}, {"Location": shopify.origin.replace("{shop}", "elsewhere")})

    with pytest.raises(ShopUnreachable):
        admin().query(shop, token, DOCUMENT, {}, cost=1)

    assert [asked["path"] for asked in shopify.requests] == [f"/{shop}/admin/api/2026-10/graphql.json"]


@pytest.mark.parametrize(
    ("told", "seconds"),
    [
        ("2.5", 2.5),
        ("30", 30),
        ("99999999", 3_600),
        ("soon", 2),
        ("nan", 2),
        ("", 2),
    ],
)
def test_a_429_waits_as_long_as_it_says(shopify, admin, shop, token, told, seconds):
    shopify.will(429, {}, {"Retry-After": told})

    with pytest.raises(Throttled) as raised:
        admin().query(shop, token, DOCUMENT, {}, cost=1)

    assert raised.value.retry_after == seconds
    assert raised.value.counts is False


def test_a_429_waits_until_the_moment_it_names(shopify, admin, shop, token):
    moment = datetime.now(UTC) + timedelta(seconds=300)
    shopify.will(429, {}, {"Retry-After": format_datetime(moment, usegmt=True)})

    with pytest.raises(Throttled) as raised:
        admin().query(shop, token, DOCUMENT, {}, cost=1)

    assert raised.value.retry_after == pytest.approx(300, abs=20)


def test_a_short_429_is_waited_for(shopify, admin, shop, token):
    shopify.will(429, {}, {"Retry-After": "0.01"})
    shopify.will(body={"data": {"shop": None}})

    assert admin().query(shop, token, DOCUMENT, {}, cost=1) == {"shop": None}


@pytest.mark.parametrize(
    "wrong_shop",
    [
        "evil.com",
        "evil.com/#.myshopify.com",
        "a.myshopify.com.evil.com",
        "a.myshopify.com\n",
        "A.myshopify.com",
        "-a.myshopify.com",
        "a.b.myshopify.com",
        ".myshopify.com",
        "user@a.myshopify.com",
        "",
    ],
)
def test_a_token_goes_to_no_other_host(shopify, admin, token, wrong_shop):
    with pytest.raises(NotAShop):
        admin().query(wrong_shop, token, DOCUMENT, {}, cost=1)

    assert shopify.requests == []


@pytest.mark.parametrize("wrong_token", ["", "shpat_secret\r\nX-Evil: 1", "shpat_sécret", "shpat secret"])
def test_a_token_that_is_none_parks_the_shop_and_is_not_shown(shopify, admin, shop, wrong_token):
    with pytest.raises(TokenDead) as raised:
        admin().query(shop, wrong_token, DOCUMENT, {}, cost=1)

    assert "secret" not in str(raised.value)
    assert shopify.requests == []


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"data": {"shop"',
        b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10\r\n{"data":',
        b'HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{"data": {"shop"',
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnope",
        b"this is not HTTP\r\n\r\n",
    ],
)
def test_a_broken_answer_is_never_read_as_data(shopify, admin, shop, token, raw):
    shopify.will(raw=raw)

    with pytest.raises(ShopUnreachable):
        admin().query(shop, token, DOCUMENT, {}, cost=1)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>busy</html>",
        b"null",
        b"[]",
        b'"data"',
        b"{}",
        b'{"data": null}',
        b'{"data": []}',
        b'{"data": {"price": NaN}}',
        b"[" * 100_000,
        b"\xff\xfe",
    ],
)
def test_garbage_is_never_read_as_data(shopify, admin, shop, token, body):
    shopify.will(body=body)

    with pytest.raises(ShopUnreachable):
        admin().query(shop, token, DOCUMENT, {}, cost=1)


def test_half_a_surrogate_pair_in_one_title_does_not_cost_the_answer(shopify, admin, shop, token):
    shopify.will(body=b'{"data": {"title": "\\ud83d"}}')

    assert admin().query(shop, token, DOCUMENT, {}, cost=1) == {"title": "\ud83d"}


def test_a_silent_server_is_given_up(shopify, admin, shop, token):
    shopify.will(raw=b"HTTP/1.1 200 OK\r\n", then="hang")

    with pytest.raises(ShopUnreachable, match="in time"):
        admin(read=0.1).query(shop, token, DOCUMENT, {}, cost=1)


def test_a_dripping_server_is_given_up(shopify, admin, shop, token):
    shopify.will(raw=b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", then="drip")

    with pytest.raises(ShopUnreachable, match="too long"):
        admin(total=0.2).query(shop, token, DOCUMENT, {}, cost=1)


def test_nobody_there_is_unreachable(admin, shop, token):
    with pytest.raises(ShopUnreachable, match="could not be asked"):
        admin(origin="http://127.0.0.1:1/{shop}").query(shop, token, DOCUMENT, {}, cost=1)


@pytest.mark.parametrize("encoding", ["identity", "gzip"])
def test_an_answer_beyond_the_limit_is_refused_unpacked(shopify, admin, shop, token, encoding):
    body = b'{"data": {"a": "' + b"a" * 3_000_000 + b'"}}'
    body = gzip.compress(body) if encoding == "gzip" else body
    shopify.will(body=body, headers={"Content-Encoding": encoding})

    with pytest.raises(ShopUnreachable, match="MiB"):
        admin(size=1024 * 1024).query(shop, token, DOCUMENT, {}, cost=1)


@pytest.mark.parametrize(
    ("errors", "failure"),
    [
        ("Internal error", ShopUnreachable),
        ("Throttled", Throttled),
        ([], ShopUnreachable),
        ({"query": "Required"}, ShopUnreachable),
        ([{"message": "Internal error"}], ShopUnreachable),
        (["a string"], ShopUnreachable),
        ([error("INTERNAL_SERVER_ERROR")], ShopUnreachable),
        ([error("SOME_NEW_CODE", path=["shop"])], ShopUnreachable),
        ([error(17)], ShopUnreachable),
        ([error("ACCESS_DENIED", path=["nodes", 0])], AccessDenied),
        ([error("SHOP_INACTIVE")], ShopFrozen),
        ([error("MAX_COST_EXCEEDED")], QueryTooExpensive),
        ([error("undefinedField", path=["query", "shop", "nam"])], QueryRefused),
        ([error("INVALID_VARIABLE")], QueryRefused),
        ([{"message": "Syntax error", "locations": [{"line": 1, "column": 1}]}], QueryRefused),
        ([{"message": "Oops", "locations": [{"line": 1, "column": 1}], "path": ["shop"]}], ShopUnreachable),
        ([error("INTERNAL_SERVER_ERROR"), error("THROTTLED")], Throttled),
    ],
)
def test_each_kind_of_error_has_its_remedy(shopify, admin, shop, token, errors, failure):
    shopify.will(body={"errors": errors})

    with pytest.raises((Transient, Permanent)) as raised:
        admin().query(shop, token, DOCUMENT, {}, cost=1)

    assert type(raised.value) is failure
    assert SECRET_BODY not in str(raised.value)


@pytest.mark.parametrize("errors", ["Internal error", [error("ACCESS_DENIED", path=["customers"])], [{}]])
def test_data_beside_an_error_is_not_data(shopify, admin, shop, token, errors):
    shopify.will(body={"data": {"products": [], "customers": None}, "errors": errors})

    with pytest.raises(Transient):
        admin().query(shop, token, DOCUMENT, {}, cost=1)


def test_an_empty_list_of_errors_is_none(shopify, admin, shop, token):
    shopify.will(body={"data": {"shop": None}, "errors": []})

    assert admin().query(shop, token, DOCUMENT, {}, cost=1) == {"shop": None}


def test_throttled_by_a_little_is_slept_and_asked_again(shopify, admin, shop, token):
    shopify.will(body={**THROTTLED, "extensions": cost(available=0, requested=500)})
    shopify.will(body={"data": {"shop": None}, "extensions": cost(available=1_900)})

    found = admin().query(shop, token, DOCUMENT, {}, cost=500)

    assert found == {"shop": None}
    assert len(shopify.requests) == 2


def test_throttled_for_long_names_the_wait_and_asks_no_more(shopify, admin, shop, token):
    shopify.will(body={**THROTTLED, "extensions": cost(available=100, requested=500, rate=50)})
    client = admin()

    with pytest.raises(Throttled) as first:
        client.query(shop, token, DOCUMENT, {}, cost=500)
    with pytest.raises(Throttled) as second:
        client.query(shop, token, DOCUMENT, {}, cost=500)

    assert first.value.retry_after == 8
    assert second.value.retry_after == pytest.approx(8, abs=1)
    assert len(shopify.requests) == 1


def test_throttled_without_figures_still_waits(shopify, admin, shop, token):
    shopify.will(body=THROTTLED)

    with pytest.raises(Throttled) as raised:
        admin().query(shop, token, DOCUMENT, {}, cost=500)

    assert raised.value.retry_after == 2


def test_a_query_that_never_fits_the_bucket_is_not_asked_again(shopify, admin, shop, token):
    shopify.will(body={**THROTTLED, "extensions": cost(available=100, requested=500, maximum=100)})

    with pytest.raises(Throttled):
        admin().query(shop, token, DOCUMENT, {}, cost=500)

    assert len(shopify.requests) == 1


def test_two_clients_share_what_a_shop_has_left(shopify, admin, shop, token, redis):
    shopify.will(body={"data": {}, "extensions": cost(available=100, rate=10)})
    first, second = admin(), admin(budget=Budget(redis))

    first.query(shop, token, DOCUMENT, {}, cost=500)
    with pytest.raises(Throttled) as raised:
        second.query(shop, token, DOCUMENT, {}, cost=500)

    assert raised.value.retry_after == pytest.approx(40, abs=1)
    assert len(shopify.requests) == 1


def test_one_shop_without_points_does_not_stop_another(shopify, admin, shop, token):
    shopify.will(body={"data": {}, "extensions": cost(available=0, rate=1)})
    client = admin()
    client.query(shop, token, DOCUMENT, {}, cost=500)

    assert client.query("other.myshopify.com", token, DOCUMENT, {}, cost=500) == {}


@pytest.mark.parametrize(
    "answer",
    [
        {"status": 401},
        {"status": 500},
        {"body": b"garbage"},
        {"raw": b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"},
        {"body": {"errors": [error("undefinedField")]}},
    ],
)
def test_no_failure_and_no_log_line_shows_the_token_or_a_body(shopify, admin, shop, token, caplog, answer):
    caplog.set_level(logging.DEBUG)
    shopify.will(**answer)
    client = admin()

    with pytest.raises((Transient, Permanent)) as raised:
        client.query(shop, token, DOCUMENT, {"email": SECRET_BODY}, cost=1)

    told = "".join(traceback.format_exception(raised.value)) + repr(client) + repr(raised.value) + caplog.text
    assert token not in told
    assert SECRET_BODY not in told


def test_the_answer_may_hold_ids_beyond_what_a_float_can(shopify, admin, shop, token):
    shopify.will(body=orjson.dumps({"data": {"id": 2**63 - 1}}))

    assert admin().query(shop, token, DOCUMENT, {}, cost=1) == {"id": 2**63 - 1}
