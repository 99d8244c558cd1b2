"""What a run's step works with, and what it makes of a part of the shop that it has read."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Self

from adapters import access
from adapters.inbox import Arrival
from adapters.mirror_customers import Absence
from adapters.runs import Progress, Run
from adapters.shops import Shop
from domain.failures import TokenDead
from workers.workshop import Workshop


@dataclass(frozen=True, slots=True)
class Work:
    """A run with its shop."""

    workshop: Workshop
    shop: Shop
    run: Run

    def with_fresh_token(self) -> Self:
        """Each step begins with a token that lives for a while; a step that takes longer is given another one."""
        shop, desk = self.shop, self.workshop
        if not shop.is_active:
            return self
        return replace(self, shop=access.with_fresh_token(desk.db, desk.vault, desk.tokens, shop, datetime.now(UTC)))

    @property
    def token(self) -> str:
        if self.shop.token is None or self.shop.state != "active":
            raise TokenDead(f"{self.shop.domain} has no working token. Open the app in the Shopify admin.")
        return self.shop.token


@dataclass(frozen=True, slots=True)
class Comparison:
    """A part of the shop beside the mirror.

    `arrivals` are differences whose content was read already, `asked` are records that the turn shall fetch itself.
    `bystanders` are customers who do not belong and whom nobody has seen before: id, reason and time are kept.
    `belonging` counts the customers who belong.
    """

    seen: Sequence[int] = ()
    arrivals: Sequence[Arrival] = ()
    asked: Sequence[int] = ()
    bystanders: Sequence[Absence] = ()
    created: int = 0
    changed: int = 0
    removed: int = 0
    rejected: int = 0
    belonging: int = 0
    newest: datetime | None = None

    @property
    def progress(self) -> Progress:
        unchanged = max(0, len(self.seen) - self.created - self.changed - self.rejected)
        return Progress(len(self.seen), self.created, self.changed, unchanged, self.removed, self.rejected)


def difference(
    run: Run,
    topic: str,
    resource_id: int,
    at: datetime,
    *,
    changed_at: datetime | None = None,
    body: bytes | None = None,
) -> Arrival:
    """A run's finding as mail for the inbox. Its id names the run, so that a repeated step posts nothing twice."""
    return Arrival(
        shop=run.shop,
        webhook_id=f"run:{run.id}:{topic}:{resource_id}",
        topic=topic,
        feed=run.feed,
        resource_id=resource_id,
        triggered_at=at,
        received_at=at,
        changed_at=changed_at,
        source="run",
        lane="bulk",
        body=body,
        run=run.id,
    )
