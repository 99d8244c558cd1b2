"""Asks Shopify's Admin API: one GraphQL document, one shop, one answer, within the shop's budget."""

import time
from collections.abc import Callable, Mapping
from typing import Any

from adapters import answers
from adapters.breaker import Breaker
from adapters.budget import Budget
from adapters.wire import Limits, Refusal, Wire
from domain.failures import QueryRefused, ShopParked, ShopUnreachable, Throttled, TokenDead

PATIENCE = 1.0  # seconds; a longer wait is better spent on other shops


class AdminClient:
    """Safe to share between threads. `version` is Shopify's, `2026-10` say."""

    def __init__(
        self,
        origin: str,
        version: str,
        budget: Budget,
        breaker: Breaker,
        limits: Limits | None = None,
        sleep: Callable[[float], None] = time.sleep,
        *,
        another_token: Callable[[str, str], str | None] = lambda _shop, _token: None,
        spent: Callable[[float], None] = lambda _points: None,
    ) -> None:
        """`another_token(shop, token)` is asked when that token was refused: a long read may outlive the one it has.
        `spent` is told the points that each answer has cost.
        """
        self._wire = Wire(origin, limits)
        self._path = f"/admin/api/{version}/graphql.json"
        self._budget = budget
        self._breaker = breaker
        self._sleep = sleep
        self._another_token = another_token
        self._spent = spent

    def query(
        self,
        shop: str,
        token: str,
        document: str,
        variables: Mapping[str, Any],
        cost: int,
        patience: float = PATIENCE,
    ) -> dict[str, Any]:
        """The `data` of the answer, complete and without errors, or one of `domain.failures`.

        `cost` is what the document asks for, in points. Waits of up to `patience` seconds in all are slept here;
        a longer one raises `Throttled`, so that the worker can serve another shop. Nothing but throttling is tried
        again: Shopify did not run a throttled query, of all others nobody can be sure.
        """
        _check_token(shop, token)
        left = self._breaker.seconds_open(shop)
        if left:
            raise ShopParked(f"{shop} did not answer lately. It is asked again in {left:.0f} s.", left)
        while True:
            wait = self._budget.reserve(shop, cost)
            if not wait:
                try:
                    return self._ask(shop, token, document, variables)
                except Throttled as throttled:
                    wait = throttled.retry_after or answers.SHORTEST_WAIT
                    if cost > self.ceiling(shop):
                        raise  # it will never fit: the caller must ask for less
            if wait > patience:
                raise Throttled(f"{shop} has used up what Shopify lets it ask. It goes on in {wait:.1f} s.", wait)
            patience -= wait
            self._sleep(wait)

    def ceiling(self, shop: str) -> int:
        """The most that one query to this shop may cost, in points."""
        return self._budget.ceiling(shop)

    def seconds_silent(self, shop: str) -> float:
        """How long a shop that did not answer is still left alone; 0 for one that may be asked."""
        return self._breaker.seconds_open(shop)

    def close(self) -> None:
        self._wire.close()

    def _ask(self, shop: str, token: str, document: str, variables: Mapping[str, Any]) -> dict[str, Any]:
        body = {"query": document, "variables": variables}
        try:
            content = self._post(shop, token, body)
        except Refusal as refusal:
            raise QueryRefused(str(refusal)) from None
        except ShopUnreachable:
            self._breaker.failed(shop)
            raise
        self._breaker.answered(shop)
        answer = answers.read(shop, content)
        self._budget.report(shop, answers.throttle_status(answer))
        self._spent(answers.points(answer))
        return answers.data(shop, answer)

    def _post(self, shop: str, token: str, body: Mapping[str, Any]) -> bytes:
        """Once more with another token, if there is one: what was answered with 401 was not run."""
        try:
            return self._wire.post(shop, self._path, body, {"X-Shopify-Access-Token": token})
        except TokenDead:
            another = self._another_token(shop, token)
            if another is None:
                raise
        return self._wire.post(shop, self._path, body, {"X-Shopify-Access-Token": another})


def _check_token(shop: str, token: str) -> None:
    """A header with a line break or a foreign letter would fail inside the HTTP library, which quotes it."""
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise TokenDead(f"The token kept for {shop} is not one that Shopify can have given. Give the shop a new one.")
