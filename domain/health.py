"""How a shop as a whole is doing: what its owner should know of a feed, and when runs are worth trying again."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import pairwise

from domain.issues import Issue
from domain.limits import limit_issues

VERSION_WARNING = timedelta(days=90)  # https://shopify.dev/docs/apps/launch: no app is reviewed on such a version


class Probe(StrEnum):
    """What became of asking the shop who it is."""

    ANSWERED = "answered"
    THROTTLED = "throttled"
    UNREACHABLE = "unreachable"
    TOKEN_DEAD = "token_dead"  # noqa: S105 — a word, not a token


@dataclass(frozen=True, slots=True)
class Heard:
    """Webhooks of a feed within one hour of the clock."""

    hour: datetime
    deliveries: int
    last_at: datetime


@dataclass(frozen=True, slots=True)
class Flaw:
    """Something wrong with a subscription, as an issue says it. `feed` None: it concerns all."""

    code: str
    path: str
    topic: str
    problem: str
    feed: str | None


@dataclass(frozen=True, slots=True)
class Access:
    """What is known of the app in this shop, asked now or earlier; None was never told."""

    probe: Probe
    version: str
    scopes: Collection[str] | None
    versions: Collection[str] | None
    flaws: Sequence[Flaw] = ()


@dataclass(frozen=True, slots=True)
class FeedHealth:
    """`failing_because` is the last run's reason, if it failed. `missed` counts changes that runs found since the last
    webhook.
    """

    feed: str
    scope: str
    failing_because: str | None
    records: int
    heard: Sequence[Heard] = ()
    missed: int = 0


def findings(access: Access, feed: FeedHealth, now: datetime) -> tuple[Issue, ...]:
    """Everything that is wrong with a feed as a whole. Whatever is not here any more is cured."""
    return (
        *_access_issues(access, feed),
        *_scope_issues(access, feed),
        *version_issues(access.version, access.versions, now),
        *_flaw_issues(access, feed),
        *silence_issues(feed, now),
        *limit_issues(feed.feed, feed.records),
    )


def _access_issues(access: Access, feed: FeedHealth) -> tuple[Issue, ...]:
    """One failed query is not worth telling: the next run decides. A run that failed is."""
    match access.probe:
        case Probe.TOKEN_DEAD:
            return (Issue("SOURCE_AUTH_FAILED", "shop"),)
        case Probe.THROTTLED:
            return (Issue("SOURCE_THROTTLED", "shop"),)
        case Probe.UNREACHABLE:
            return (Issue("SOURCE_UNREACHABLE", "shop"),) if feed.failing_because else ()
        case Probe.ANSWERED:
            reason = (feed.failing_because or "").rstrip(".")
            return (Issue("RUN_FAILED", "runs", None, {"reason": reason}),) if reason else ()


def _scope_issues(access: Access, feed: FeedHealth) -> tuple[Issue, ...]:
    """To write includes to read."""
    enough = {feed.scope, feed.scope.replace("read_", "write_", 1)}
    if access.scopes is None or enough & set(access.scopes):
        return ()
    return (Issue("SCOPE_MISSING", "scopes", None, {"scope": feed.scope}),)


def _flaw_issues(access: Access, feed: FeedHealth) -> tuple[Issue, ...]:
    return tuple(
        Issue(flaw.code, flaw.path, None, {"topic": flaw.topic, "problem": flaw.problem})
        for flaw in access.flaws
        if flaw.feed in (None, feed.feed)
    )


def version_issues(version: str, versions: Collection[str] | None, now: datetime) -> tuple[Issue, ...]:
    """A version that is gone is answered all the same, silently by the oldest that is not."""
    ends = version_ends(version)
    if (ends and ends <= now) or (versions and version not in versions):
        return (Issue("API_VERSION_UNSUPPORTED", "api_version", None, {"version": version}),)
    if ends and is_ending(version, now):
        facts: dict[str, str | int] = {"version": version, "date": f"{ends:%Y-%m-%d}"}
        return (Issue("API_VERSION_ENDING", "api_version", None, facts),)
    return ()


def version_ends(version: str) -> datetime | None:
    """Twelve months and half a month after its release; None for `unstable`, which has no end.

    https://shopify.dev/docs/api/usage/versioning
    """
    match = re.fullmatch(r"(\d{4})-(\d\d)", version)
    return datetime(int(match[1]) + 1, int(match[2]), 16, 15, tzinfo=UTC) if match else None


def is_ending(version: str, now: datetime) -> bool:
    ends = version_ends(version)
    return ends is not None and ends - now < VERSION_WARNING


LEAST_HEARD = 50  # deliveries
LEAST_KNOWN = timedelta(days=2)
LEAST_SILENCE = timedelta(hours=3)


def silence_issues(feed: FeedHealth, now: datetime) -> tuple[Issue, ...]:
    """No webhook for three times as long as the longest pause of the week before: nights and weekends are usual.

    `heard` are the hours with webhooks up to the last one, oldest first. Of a shop that is heard too rarely, or not
    for long enough, nothing is said.
    """
    heard = feed.heard
    if not heard or sum(one.deliveries for one in heard) < LEAST_HEARD:
        return ()
    if heard[-1].last_at - heard[0].hour < LEAST_KNOWN:
        return ()
    usual = max(after.hour - before.last_at for before, after in pairwise(heard))
    quiet = now - heard[-1].last_at
    if quiet <= max(3 * usual, LEAST_SILENCE):
        return ()
    facts: dict[str, str | int] = {"feed": feed.feed, "quiet": _hours(quiet), "missed": feed.missed}
    return (Issue("WEBHOOKS_SILENT", "webhooks", None, facts | {"usual": _hours(max(usual, timedelta(hours=1)))}),)


def _hours(span: timedelta) -> int:
    return round(span.total_seconds() / 3600)


TRIPS_AT = 3  # failed runs of every feed in a row: it is the shop, not the feed
LONGEST = 6  # intervals between two tries


@dataclass(frozen=True, slots=True)
class Breaker:
    """`open_until`: no run is started before then, and a cheap query goes first. None: closed, runs keep their rhythm.

    `failed_probes` in a row, since it opened. `judged_run` is the newest failed run that was taken into account.
    """

    open_until: datetime | None = None
    failed_probes: int = 0
    judged_run: int = 0


class Runs(StrEnum):
    """What a check means for the shop's runs."""

    UNTOUCHED = "untouched"
    HELD_BACK = "held_back"
    RELEASED = "released"


@dataclass(frozen=True, slots=True)
class Failures:
    """Failed runs in a row: of the feed that has fewer of them, and the newest one's id (0: none)."""

    in_a_row: int = 0
    newest: int = 0


def judge(breaker: Breaker, failures: Failures, probe: Probe, now: datetime, every: timedelta) -> tuple[Breaker, Runs]:
    """The circuit breaker of a shop's runs. Webhooks are served whatever it says.

    Closed, it opens at the third failed run in a row. Open, it waits; then one cheap query is asked. Refused: it waits
    longer. Answered: half-open, one run of each feed is let through; if that fails, it waits longer as well.
    """
    answered = probe is Probe.ANSWERED
    probing = breaker.open_until is not None and breaker.open_until <= now
    failed_probes = 0 if answered else breaker.failed_probes + int(probing)
    seen = max(breaker.judged_run, failures.newest)
    if failures.in_a_row < TRIPS_AT:
        return Breaker(None, 0, seen), Runs.UNTOUCHED if breaker.open_until is None else Runs.RELEASED
    if failures.newest > breaker.judged_run or (probing and not answered):
        until = now + pause(failures.in_a_row + failed_probes, every)
        return Breaker(until, failed_probes, seen), Runs.HELD_BACK
    if probing:
        return Breaker(None, 0, seen), Runs.RELEASED
    return Breaker(breaker.open_until, failed_probes, seen), Runs.UNTOUCHED


def pause(failures: int, every: timedelta) -> timedelta:
    """Two intervals after the third failure, then four, then six: an hour at most with runs every ten minutes."""
    intervals: int = 2 ** max(1, min(failures, 10) - TRIPS_AT + 1)
    return min(intervals, LONGEST) * every
