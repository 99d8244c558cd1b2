"""Pages and bulk operations as a scripted server answers them."""

from datetime import UTC, datetime, timedelta, timezone
from types import SimpleNamespace

import pytest

from adapters import documents, listing
from domain.failures import ShopUnreachable

SHOP = "northwind-trade.myshopify.com"
TOKEN = "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"


class Admin:
    """Answers in order; remembers what was asked."""

    def __init__(self, *answers, ceiling=1_000):
        self.answers = list(answers)
        self.asked = []
        self._ceiling = ceiling

    def ceiling(self, shop):
        return self._ceiling

    def query(self, shop, token, document, variables, cost):
        self.asked.append(SimpleNamespace(document=document, variables=variables, cost=cost))
        return self.answers.pop(0)


def page(feed, rows, after=None):
    return {feed: {"nodes": rows, "pageInfo": {"hasNextPage": after is not None, "endCursor": after or "the end"}}}


def test_a_page_brings_its_nodes_and_where_the_next_one_starts():
    admin = Admin(page("products", [{"id": 1}], "next"), page("products", [{"id": 2}]))

    first = listing.page(admin, SHOP, TOKEN, "products", None)
    second = listing.page(admin, SHOP, TOKEN, "products", first.after)

    assert (first.nodes, first.after) == ([{"id": 1}], "next")
    assert (second.nodes, second.after) == ([{"id": 2}], None)
    assert [asked.variables["after"] for asked in admin.asked] == [None, "next"]
    assert {asked.variables["sortKey"] for asked in admin.asked} == {"ID"}


def test_a_time_is_sent_quoted_in_utc_and_rounded_down():
    admin = Admin(page("products", []))
    since = datetime(2026, 11, 23, 13, 30, 15, 999_999, tzinfo=timezone(timedelta(hours=2)))

    listing.page(admin, SHOP, TOKEN, "products", None, since.astimezone(UTC))

    assert admin.asked[0].variables["query"] == "updated_at:>='2026-11-23T11:30:15Z'"
    assert admin.asked[0].variables["sortKey"] == "UPDATED_AT"


@pytest.mark.parametrize(
    ("feed", "ceiling", "most", "first"),
    [
        ("products", 1_000, 100, 100),
        ("products", 1_000, 7, 7),
        ("products", 50, 100, 48),
        ("customers", 1_000, 100, 45),
        ("customers", 60, 100, 2),
        ("customers", 1, 100, 1),
    ],
)
def test_a_page_is_as_large_as_the_budget_and_the_caller_allow(feed, ceiling, most, first):
    admin = Admin(page(feed, []), ceiling=ceiling)

    listing.page(admin, SHOP, TOKEN, feed, None, most=most)

    (asked,) = admin.asked
    assert asked.variables["first"] == first
    assert asked.cost <= max(ceiling, 24)


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"products": None},
        {"products": {"nodes": []}},
        {"products": {"pageInfo": {"hasNextPage": False, "endCursor": None}}},
        {"products": {"nodes": [], "pageInfo": {}}},
        {"products": []},
    ],
)
def test_a_list_that_cannot_be_read_is_not_an_empty_list(answer):
    with pytest.raises(ShopUnreachable):
        listing.page(Admin(answer), SHOP, TOKEN, "products", None)


def started(code=None, operation="gid://shopify/BulkOperation/1"):
    errors = [{"code": code, "field": None, "message": "…"}] if code else []
    return {"bulkOperationRunQuery": {"bulkOperation": {"id": operation} if operation else None, "userErrors": errors}}


def test_a_bulk_operation_is_asked_for_with_the_whole_feed_ungrouped():
    admin = Admin(started())

    assert listing.start_bulk(admin, SHOP, TOKEN, "customers") == "gid://shopify/BulkOperation/1"
    assert admin.asked[0].variables == {"query": documents.BULK_QUERIES["customers"]}
    assert "groupObjects: false" in admin.asked[0].document


@pytest.mark.parametrize("code", ["LIMIT_REACHED", "OPERATION_IN_PROGRESS"])
def test_too_many_at_once_is_waited_for_and_counts_as_no_failure(code):
    with pytest.raises(listing.BulkBusy) as busy:
        listing.start_bulk(Admin(started(code, None)), SHOP, TOKEN, "products")

    assert (busy.value.counts, busy.value.retry_after) == (False, 15.0)


@pytest.mark.parametrize("answer", [started("INVALID", None), started(None, None), {}, {"bulkOperationRunQuery": None}])
def test_an_operation_that_did_not_start_is_a_failure(answer):
    with pytest.raises(ShopUnreachable):
        listing.start_bulk(Admin(answer), SHOP, TOKEN, "products")


def told(**fields):
    whole = {"id": "gid", "status": "COMPLETED", "errorCode": None, "objectCount": "57", "rootObjectCount": "20"}
    return {"bulkOperation": whole | {"url": "http://127.0.0.1/file"} | fields}


def test_counts_that_come_as_text_are_numbers():
    found = listing.bulk(Admin(told()), SHOP, TOKEN, "gid")

    assert (found.status, found.objects, found.roots, found.url) == ("COMPLETED", 57, 20, "http://127.0.0.1/file")


def test_an_operation_that_shopify_no_longer_knows_has_expired():
    assert listing.bulk(Admin({"bulkOperation": None}), SHOP, TOKEN, "gid").status == "EXPIRED"


@pytest.mark.parametrize("fields", [{"objectCount": None}, {"rootObjectCount": "many"}])
def test_counts_that_cannot_be_read_are_asked_for_again(fields):
    with pytest.raises(ShopUnreachable):
        listing.bulk(Admin(told(**fields)), SHOP, TOKEN, "gid")


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", "answers 403"),
        (b"HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n", "answers 302"),
        (b'HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{"id": 1}\n{"id"', "broke off"),
        (b'HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n{"id": 1}\n{"id"', "ends in the middle of a line"),
    ],
    ids=["no longer allowed", "elsewhere", "cut off", "half a line"],
)
def test_a_file_that_is_not_whole_says_so(answer, sentence):
    with file_of(answer) as url, pytest.raises(ShopUnreachable, match=sentence):
        list(listing.bulk_lines(SHOP, url))


def test_a_file_comes_line_by_line_without_any_token_going_along():
    body = b'{"id": 1}\n\n{"id": 2, "title": "\xe2\x80\xa8 no end of a line"}\n'
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body)

    with file_of(head + body) as url:
        lines = list(listing.bulk_lines(SHOP, url))

    assert [line["id"] for line in lines] == [1, 2]
    assert b"shopify-access-token" not in file_of.heard.lower()


class file_of:  # noqa: N801  # reads as the function it is used as
    """One answer, byte for byte, at an address."""

    heard = b""

    def __init__(self, answer):
        self.answer = answer

    def __enter__(self):
        import socket
        import threading

        self.socket = socket.create_server(("127.0.0.1", 0))
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()
        return f"http://127.0.0.1:{self.socket.getsockname()[1]}/file"

    def serve(self):
        line, _ = self.socket.accept()
        with line:
            file_of.heard = line.recv(65_536)
            line.sendall(self.answer)

    def __exit__(self, *_):
        self.thread.join()
        self.socket.close()
