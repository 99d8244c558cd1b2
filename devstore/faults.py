"""Failures on demand: the next N requests get the answer that was ordered instead of the true one."""

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from werkzeug.wrappers import Response

EVERY_SHOP = "*"
PLACES = ("graphql", "oauth", "oauth_answer", "bulk")
KINDS = {
    "401": '{"errors":"[API] Invalid API key or access token (unrecognized login or wrong password)"}',
    "402": '{"errors":"Unavailable Shop"}',
    "403": '{"errors":"[API] This action requires merchant approval."}',
    "404": '{"errors":"Not Found"}',
    "423": '{"errors":"Locked"}',
    "429": '{"errors":"Exceeded 2 calls per second for api client. Reduce request rates."}',
    "430": "<html><body>Shopify Security Rejection</body></html>",
    "500": '{"errors":"Internal Server Error"}',
    "502": "<html><body>Bad Gateway</body></html>",
    "503": "<html><body>Service Unavailable</body></html>",
    "timeout": "",
    "slow": "",
    "drip": '{"data":{"products":{"nodes":[',
    "garbage": "<!doctype html><p>not what you asked for</p>",
    "half_body": '{"data":{"products":{"nodes":[{"id":"gid://shopify/Pro',
    "string_errors": '{"errors":"[API] Non-expiring access tokens are no longer accepted for the Admin API."}',
    "internal_error": '{"errors":[{"message":"Internal error. Looks like something went wrong on our end.",'
    '"extensions":{"code":"INTERNAL_SERVER_ERROR","requestId":"00000000-0000-0000-0000-000000000000"}}]}',
    "access_denied": '{"data":{"customers":null},"errors":[{"message":"This app is not approved to access the Customer '
    'object.","path":["customers"],"extensions":{"code":"ACCESS_DENIED"}}]}',
    "throttled": '{"errors":[{"message":"Throttled","extensions":{"code":"THROTTLED"}}],"extensions":{"cost":'
    '{"requestedQueryCost":100,"actualQueryCost":null,"throttleStatus":'
    '{"maximumAvailable":2000.0,"currentlyAvailable":0,"restoreRate":100.0}}}}',
}


@dataclass
class Fault:
    """`place` is graphql, oauth, bulk, or oauth_answer: there the token is granted, and only the answer goes wrong.

    `seconds` is how long a time-out hangs, what Retry-After says, or how long an answer takes: the true one when it is
    slow, a useless one that comes byte by byte when it drips.
    """

    kind: str
    shop: str = EVERY_SHOP
    place: str = "graphql"
    times: int = 1
    seconds: float = 2.0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"A fault is one of {', '.join(KINDS)}.")
        if self.place not in PLACES:
            raise ValueError(f"A fault's place is one of {', '.join(PLACES)}.")


class Faults:
    def __init__(self, sleep: Callable[[float], None] = time.sleep) -> None:
        self._sleep = sleep
        self._lock = threading.Lock()
        self._ordered: list[Fault] = []

    def order(self, fault: Fault) -> None:
        with self._lock:
            self._ordered.append(fault)

    def clear(self) -> None:
        with self._lock:
            self._ordered.clear()

    def answer(self, shop: str, place: str) -> Response | None:
        """The ordered failure for this request, or None. A time-out hangs for its seconds, then closes with nothing."""
        with self._lock:
            fault = next((f for f in self._ordered if f.place == place and f.shop in (EVERY_SHOP, shop)), None)
            if fault is None:
                return None
            fault.times -= 1
            if fault.times <= 0:
                self._ordered.remove(fault)
        if fault.kind == "slow":
            self._sleep(fault.seconds)
            return None
        return self._response(fault)

    def _response(self, fault: Fault) -> Response:
        text = KINDS[fault.kind]
        kind = "application/json" if text.startswith("{") else "text/html"
        if fault.kind == "drip":
            return Response(self._drops(text, fault.seconds), content_type=kind)
        if fault.kind == "timeout":
            self._sleep(fault.seconds)
        if fault.kind in {"timeout", "half_body"}:
            # More is promised than comes, and the connection ends: what a cut line looks like.
            promised = {"Content-Length": str(len(text) + 4_096), "Connection": "close"}
            return Response(_chunks(text), 200, promised, content_type=kind)
        response = Response(text, int(fault.kind) if fault.kind.isdigit() else 200, content_type=kind)
        if fault.kind in {"429", "423", "503"}:
            response.headers["Retry-After"] = f"{fault.seconds:.1f}"
        return response

    def _drops(self, text: str, seconds: float) -> Iterable[bytes]:
        for byte in text.encode():
            self._sleep(seconds / len(text))
            yield bytes([byte])


def _chunks(text: str) -> Iterable[bytes]:
    yield text.encode()
