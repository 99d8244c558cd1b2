"""What the two sides say of themselves: the devstore's ledger, the app's figures, deliveries and records."""

import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import httpx
from prometheus_client.parser import text_string_to_metric_families

from devstore.client import Devstore, DevstoreError
from devstore.demo_compare import FEEDS, Resource, differences, expected
from devstore.demo_stage import Stage, StageError

Body = dict[str, Any]
OUTCOMES = ("applied", "unchanged", "superseded", "filtered", "deleted", "dead")
RECORD_SECONDS = 15.0  # how often every record is looked up: the slowest look, some hundred questions
MAIL_SECONDS = 1.5


@dataclass(frozen=True, slots=True)
class Records:
    """Of one feed, over all shops. `same` counts those that the mirror shows exactly as the store has them."""

    store: int
    mirror: int
    same: int


@dataclass(frozen=True, slots=True)
class Figures:
    """One look at everything. `became` is the outcome (or waiting) by webhook id, `repaired` counts gaps by cause,
    `trouble` says why the look failed.
    """

    post: Mapping[str, int] = field(default_factory=dict)
    inbox: Mapping[str, int] = field(default_factory=dict)
    records: Mapping[str, Records] = field(default_factory=dict)
    became: Mapping[str, str] = field(default_factory=dict)
    repaired: Mapping[str, int] = field(default_factory=dict)
    trouble: str | None = None


class AppReader:
    """Reads the app as a merchant's page and Prometheus would: `/api/v1` with session tokens, and `/metrics`."""

    def __init__(self, store: Devstore, app_url: str, shops: Sequence[str]) -> None:
        self.tokens = {shop: store.id_token(shop, seconds=7 * 86_400) for shop in shops}
        self._http = httpx.Client(base_url=app_url, timeout=10)

    def inbox(self) -> dict[str, int]:
        """Closed deliveries by outcome, copies that were known already, and `waiting` of both lanes."""
        answer = self._http.get("/metrics").raise_for_status()
        seen: Counter[str] = Counter()
        for family in text_string_to_metric_families(answer.text):
            for sample in family.samples:
                if sample.name == "datasync_outcomes_total":
                    seen[sample.labels["outcome"]] += int(sample.value)
                elif sample.name == "datasync_ingress_copies_total":
                    seen["copies"] += int(sample.value)
                elif sample.name == "datasync_waiting":
                    seen["waiting"] += int(sample.value)
        return dict(seen)

    def all_done(self) -> bool:
        """Whether nothing waits in either lane; no word about it is not a yes."""
        return self.inbox().get("waiting") == 0

    def has(self, path: str) -> bool:
        """Whether there is such a page, for whomever."""
        return self._http.get(path).status_code != httpx.codes.NOT_FOUND

    def imported(self) -> bool:
        """Whether the first run of every feed has ended and is applied."""
        feeds = [feed for shop in self.tokens for feed in self._ask(shop, "/feeds")["feeds"]]
        return all(feed["last_complete_at"] and not feed["running"] and not feed["waiting"] for feed in feeds)

    def run(self, shop: str, number: int) -> Body:
        return self._ask(shop, f"/runs/{number}")

    def mirror(
        self, resources: Collection[Resource], each: Callable[[], object] = lambda: None
    ) -> dict[Resource, Body]:
        """What the lookup answers about each; `each` is called before every question."""
        answers = {}
        for resource in resources:
            each()
            answers[resource] = self._ask(resource.shop, f"/{resource.feed}", q=resource.gid)
        return answers

    def _ask(self, shop: str, path: str, **query: str) -> Body:
        headers = {"Authorization": f"Bearer {self.tokens[shop]}"}
        answer = self._http.get(f"/api/v1{path}", params=query, headers=headers)
        told: Body = answer.raise_for_status().json()
        return told

    def close(self) -> None:
        self._http.close()


def records(truth: Mapping[str, Body], mirror: Mapping[Resource, Body]) -> dict[str, Records]:
    """By feed: how many belong, how many are in the mirror, how many of those that belong are exactly right."""
    wrong = {difference.resource for difference in differences(truth, mirror)}
    belong = [resource for resource, wanted in expected(truth).items() if wanted.core is not None]
    return {
        feed: Records(
            store=sum(resource.feed == feed for resource in belong),
            mirror=sum(bool(answer["results"]) for resource, answer in mirror.items() if resource.feed == feed),
            same=sum(resource.feed == feed and resource not in wrong for resource in belong),
        )
        for feed in FEEDS
    }


def overtaken(ledger: Sequence[Body]) -> int:
    """How many webhooks first arrived after a later one of the same shop."""
    count = 0
    earliest_later: dict[str, float] = {}
    for entry in reversed(ledger):
        if not entry["attempts"]:
            continue
        at, shop = entry["attempts"][0]["at"], entry["shop"]
        count += at > earliest_later.get(shop, at)
        earliest_later[shop] = min(at, earliest_later.get(shop, at))
    return count


def outcomes(deliveries: Iterable[Body]) -> dict[str, int]:
    """As `AppReader.inbox`, exact, from `flask deliveries list`."""
    counted: Counter[str] = Counter()
    for delivery in deliveries:
        counted[delivery["outcome"] or "waiting"] += 1
        counted["copies"] += delivery["copies"] - 1
    return dict(counted)


def repaired(stage: Stage, shops: Iterable[str]) -> dict[str, int]:
    """What runs found and repaired, by the cause for which no webhook had done it."""
    counted: Counter[str] = Counter()
    for shop in shops:
        counted.update(stage.flask("gaps", shop, exits=(0, 1))["counts"])
    return dict(counted)


class Observer:
    """Looks again and again, each kind of look in a thread of its own: nobody waits for a look, the slowest ones least.

    Without `thorough` only the counts.
    """

    def __init__(self, stage: Stage, app: AppReader, shops: Sequence[str], *, thorough: bool) -> None:
        self.figures = Figures()
        self._stage, self._app, self._shops = stage, app, shops
        self._stop = threading.Event()
        self._writing = threading.Lock()
        looks = [(1.0, self._look_at_counts)]
        looks += [(MAIL_SECONDS, self._look_at_mail), (RECORD_SECONDS, self._look_at_records)] if thorough else []
        self._threads = [threading.Thread(target=self._observe, args=look, daemon=True) for look in looks]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _observe(self, every: float, look: Callable[[], Body]) -> None:
        while not self._stop.is_set():
            try:
                self._note(trouble=None, **look())
            except httpx.HTTPError as problem:
                self._note(trouble=f"no answer just now ({type(problem).__name__})")
            except (DevstoreError, StageError) as problem:
                self._note(trouble=str(problem))
            except _StoppedLooking:
                return
            self._stop.wait(every)

    def _note(self, **seen: Any) -> None:
        with self._writing:
            self.figures = replace(self.figures, **seen)

    def _look_at_counts(self) -> Body:
        return {"post": self._stage.store.counts(), "inbox": self._app.inbox()}

    def _look_at_mail(self) -> Body:
        deliveries = self._stage.flask("deliveries", "list", "--limit", "80")["deliveries"]
        return {"became": {d["webhook_id"]: d["outcome"] or "waiting" for d in deliveries}}

    def _look_at_records(self) -> Body:
        truth = {shop: self._stage.store.truth(shop) for shop in self._shops}
        mirror = self._app.mirror(expected(truth), self._breathe)
        return {"records": records(truth, mirror), "repaired": repaired(self._stage, self._shops)}

    def _breathe(self) -> None:
        """Hundreds of questions in a row are no reason to hold up the app, or the end."""
        if self._stop.wait(0.01):
            raise _StoppedLooking


class _StoppedLooking(Exception):
    pass
