"""The control side as Python, for tests, the demo and the bench: `Devstore("http://127.0.0.1:9292")`."""

from typing import Any, Self

import httpx
import orjson

Body = dict[str, Any]


class DevstoreError(Exception):
    """The devstore refused; the text is its own sentence."""


class Devstore:
    def __init__(self, url: str, *, seconds: float = 120.0) -> None:
        self.url = url
        self._http = httpx.Client(base_url=f"{url}/_devstore", timeout=seconds)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def state(self) -> Body:
        return self._ask("GET", "/")

    def move_app(self, **where: str) -> Body:
        """Any of url, secret, api_key."""
        return self._ask("PUT", "/app", where)

    def open_shop(self, domain: str, **wanted: Any) -> Body:
        """Any of token, products, customers, variants (on average per product), b2b (share). Fires nothing."""
        return self._ask("POST", "/shops", {"domain": domain, **wanted})

    def shop(self, domain: str) -> Body:
        return self._ask("GET", f"/shops/{domain}")

    def change(self, shop: str, kind: str, **wishes: Any) -> list[Body]:
        """One named change (`devstore.changes.CHANGES`); the webhooks it made. Without `id`, of something at random."""
        return list(self._ask("POST", f"/shops/{shop}/changes", {"kind": kind, **wishes})["fired"])

    def random(self, shop: str, n: int = 1) -> Body:
        return self._ask("POST", f"/shops/{shop}/random", {"n": n})

    def settings(self, shop: str, **values: Any) -> Body:
        """Any field of `devstore.shop.Conduct`, or bucket, restore_rate, token, token_seconds, expire_tokens, …"""
        return self._ask("PUT", f"/shops/{shop}/settings", values)

    def id_token(self, shop: str, **claims: Any) -> str:
        """A session token for an embedded page; `seconds`, `secret` and any claim may be given to make it wrong."""
        return str(self._ask("POST", f"/shops/{shop}/id-token", claims)["id_token"])

    def install(self, shop: str, token: str | None = None) -> Body:
        return self._ask("POST", f"/shops/{shop}/install", {"token": token} if token else {})

    def truth(self, shop: str) -> Body:
        return self._ask("GET", f"/shops/{shop}/truth")

    def documents(self, shop: str) -> list[str]:
        return list(self._ask("GET", f"/shops/{shop}/documents")["documents"])

    def mood(self, name: str | None = None, **values: Any) -> Body:
        """Change the mood from a named one or from the present one; without arguments only tell it."""
        if name is None and not values:
            return self._ask("GET", "/mood")
        return self._ask("PUT", "/mood", ({"name": name} if name else {}) | values)

    def fault(self, kind: str, **wanted: Any) -> Body:
        """Any of shop, place (graphql, oauth, oauth_answer, bulk), times, seconds."""
        return self._ask("POST", "/faults", {"kind": kind, **wanted})

    def clear_faults(self) -> Body:
        return self._ask("DELETE", "/faults")

    def ledger(self, shop: str | None = None) -> list[Body]:
        return list(self._ask("GET", "/ledger", query={"shop": shop} if shop else None)["deliveries"])

    def counts(self, shop: str | None = None) -> dict[str, int]:
        return self._ask("GET", "/ledger/counts", query={"shop": shop} if shop else None)

    def settle(self, seconds: float = 60) -> Body:
        """`{"settled": bool, "counts": …}`, when nothing is due, delayed or being retried any more, or time is up."""
        return self._ask("POST", "/settle", {"seconds": seconds})

    def flush(self) -> Body:
        return self._ask("POST", "/flush")

    def requests(self) -> dict[str, Body]:
        return self._ask("GET", "/requests")

    def _ask(self, method: str, path: str, body: Body | None = None, query: dict[str, str] | None = None) -> Body:
        answer = self._http.request(method, path, json=body, params=query)
        told: Body = orjson.loads(answer.content)
        if answer.is_error:
            raise DevstoreError(told["error"])
        return told
