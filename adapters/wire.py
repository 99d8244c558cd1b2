"""One POST of JSON to a shop, with every guard that a token on the line deserves.

The host comes from an allow-list, redirects are never followed (they would carry the token along), each phase and the
whole have a time limit, the answer a size limit. No failure repeats what was sent or received: the causes are cut off
(`from None`), because an HTTP library's exceptions hold the request with its headers.
"""

import math
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import orjson

from domain.failures import NotAShop, Permanent, ShopFrozen, ShopUnreachable, Throttled, TokenDead

SHOP = re.compile(r"[a-z0-9][a-z0-9-]*\.myshopify\.com")
LONGEST_WAIT = 3_600.0  # seconds; a Retry-After beyond this is a mistake
DEFAULT_WAIT = 2.0
SECURITY_WAIT = 60.0

CLOSED = {
    402: "{shop} is frozen, usually for an unpaid bill. It answers again once the merchant has settled with Shopify.",
    403: "{shop} forbids the app to ask. Check the app's access and that its token is of the kind Shopify requires.",
    404: "{shop} does not exist, or not under this name. Check the domain.",
    423: "{shop} is locked by Shopify. Only Shopify's support can open it again.",
}


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds, and bytes of an answer once unpacked."""

    connect: float = 2.0
    read: float = 10.0
    total: float = 30.0
    size: int = 32 * 1024 * 1024
    connections: int = 20


class Wire:
    """Pooled connections to all shops. `origin` is `https://{shop}`; only development and tests have another one."""

    def __init__(self, origin: str, limits: Limits | None = None) -> None:
        self._origin = origin.rstrip("/")
        self._limits = limits or Limits()
        self._client = httpx.Client(
            timeout=httpx.Timeout(self._limits.read, connect=self._limits.connect),
            limits=httpx.Limits(max_connections=self._limits.connections, keepalive_expiry=15.0),
            follow_redirects=False,
            trust_env=origin.startswith("https://"),  # a company's proxy is for the outside, not for loopback
        )

    def post(self, shop: str, path: str, body: Mapping[str, Any], headers: Mapping[str, str]) -> bytes:
        """The bytes of a 200. Raises `Refusal` when the request is wrong, one of `domain.failures` for all else."""
        url = self._url(shop, path)
        deadline = time.monotonic() + self._limits.total
        head = {"Content-Type": "application/json", "Accept": "application/json", **headers}
        try:
            with self._client.stream("POST", url, content=orjson.dumps(body), headers=head) as response:
                _check_status(shop, response)
                content = self._read(shop, response, deadline)
        except httpx.HTTPError as failure:
            raise ShopUnreachable(_no_answer(shop, failure)) from None
        if response.status_code == 400:
            raise Refusal(400, content)
        return content

    def close(self) -> None:
        self._client.close()

    def _url(self, shop: str, path: str) -> str:
        if not SHOP.fullmatch(shop):
            raise NotAShop("Not a *.myshopify.com domain, so nothing was sent to it. Check the shop's domain.")
        return self._origin.replace("{shop}", shop) + path

    def _read(self, shop: str, response: httpx.Response, deadline: float) -> bytes:
        """The library limits each read, not their sum: a server may drip for hours."""
        parts, size = [], 0
        for part in response.iter_bytes():
            parts.append(part)
            size += len(part)
            if size > self._limits.size:
                limit = self._limits.size // (1024 * 1024)
                raise ShopUnreachable(f"{shop} sent an answer of more than {limit} MiB, which was not read.")
            if time.monotonic() > deadline:
                raise ShopUnreachable(f"{shop} took too long to send its answer. It is asked again later.")
        return b"".join(parts)


class Refusal(Permanent):
    """Shopify calls the request itself wrong. A 400 brings its body for the caller to read; its text never shows it."""

    def __init__(self, status: int, content: bytes = b"") -> None:
        super().__init__(f"Shopify refused the request as malformed (HTTP {status}). The app has to be corrected.")
        self.status = status
        self.content = content


def _no_answer(shop: str, failure: httpx.HTTPError) -> str:
    if isinstance(failure, httpx.TimeoutException):
        return f"{shop} did not answer in time ({type(failure).__name__}). It is asked again later."
    return f"{shop} could not be asked ({type(failure).__name__}). It is asked again later."


def _check_status(shop: str, response: httpx.Response) -> None:
    status = response.status_code
    if status in (200, 400):
        return
    if status == 401:
        raise TokenDead(
            f"{shop} no longer takes the app's token. Install the app again, or give it a new token. (HTTP 401)"
        )
    if status in CLOSED:
        raise ShopFrozen(f"{CLOSED[status].format(shop=shop)} (HTTP {status})")
    if status == 429:
        raise Throttled(f"{shop} asks for a pause (HTTP 429).", _retry_after(response) or DEFAULT_WAIT)
    if status == 430:
        raise ShopUnreachable(f"{shop} turned the request away as suspicious (HTTP 430).", SECURITY_WAIT)
    if 300 <= status < 400:
        raise ShopUnreachable(f"{shop} answered with a redirect (HTTP {status}), which is never followed.")
    if 400 <= status < 500 and status != 408:
        raise Refusal(status)
    raise ShopUnreachable(f"{shop} failed to answer (HTTP {status}). It is asked again later.", _retry_after(response))


def _retry_after(response: httpx.Response) -> float | None:
    """Seconds. Shopify sends decimals (`2.0`); the standard also allows a date."""
    text = response.headers.get("Retry-After", "")
    try:
        seconds = float(text)
    except ValueError:
        seconds = _seconds_until(text)
    return min(max(seconds, 0.0), LONGEST_WAIT) if math.isfinite(seconds) else None


def _seconds_until(date: str) -> float:
    try:
        moment = parsedate_to_datetime(date)
    except ValueError:
        return math.nan
    return (moment.replace(tzinfo=moment.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
