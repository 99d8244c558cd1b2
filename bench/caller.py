"""One keep-alive connection that posts a delivery and looks records up."""

import time
import uuid
from http.client import HTTPConnection
from typing import Any, Self
from urllib.parse import urlencode

import jwt
import orjson

from bench.mail import Delivery

API_KEY = "bench"
TOKEN_SECONDS = 60  # as long as Shopify's session tokens live


class Caller:
    def __init__(self, port: int, secret: str, shop: str) -> None:
        self._connection = HTTPConnection("127.0.0.1", port, timeout=120)
        self._secret = secret
        self._shop = shop
        self._token = ""
        self._token_until = 0.0

    def connect(self) -> None:
        """And have a token, so that neither is part of what is timed next."""
        self._connection.connect()
        self._authorization()

    def post(self, delivery: Delivery) -> None:
        self._ask("POST", "/webhooks", delivery.body, delivery.headers)

    def look_up(self, query: str) -> Any:
        """The answer of Data Sync's API."""
        path = f"/api/v1/products?{urlencode({'q': query})}"
        return orjson.loads(self._ask("GET", path, None, {"Authorization": self._authorization()}))

    def open_page(self, path: str) -> str:
        """A page as a merchant's browser gets it."""
        return self._ask("GET", path, None, {"Authorization": self._authorization()}).decode()

    def finds(self, sku: str) -> bool:
        return bool(self.look_up(sku)["results"])

    def finds_plainly(self, sku: str) -> bool:
        """The same of the plain app."""
        path = f"/shops/{self._shop}/products?{urlencode({'q': sku})}"
        return bool(orjson.loads(self._ask("GET", path, None, {}))["results"])

    def _ask(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> bytes:
        self._connection.request(method, path, body, headers)
        with self._connection.getresponse() as answer:
            content = answer.read()
            if answer.status != 200:
                raise RuntimeError(f"{method} {path.partition('?')[0]} was answered with {answer.status}.")
        return content

    def _authorization(self) -> str:
        now = time.time()
        if now > self._token_until - TOKEN_SECONDS / 2:
            self._token, self._token_until = self._session_token(int(now)), now + TOKEN_SECONDS
        return f"Bearer {self._token}"

    def _session_token(self, now: int) -> str:
        times = {"exp": now + TOKEN_SECONDS, "nbf": now, "iat": now}
        shop = {"iss": f"https://{self._shop}/admin", "dest": f"https://{self._shop}", "aud": API_KEY, "sub": "1"}
        return jwt.encode({**shop, **times, "jti": str(uuid.uuid4()), "sid": "bench"}, self._secret, algorithm="HS256")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()
