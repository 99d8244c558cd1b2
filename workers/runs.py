"""Runs: read a shop, compare, and post each difference into the inbox. One step at a time; a crash repeats one step.

Place (`runs.place`) by phase: begin → page … page → removals, or begin → bulk → poll → read → removals. An incremental
run has pages alone.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

import structlog
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from adapters import fetch, inbox, listing, mirror_customers, mirror_products, runs, shops, telemetry
from adapters.breakage import sqlstate, where_it_broke
from adapters.runs import Progress, Run
from domain.difference import brake
from domain.failures import AccessDenied, Permanent, Throttled, TokenDead, Transient
from schemas import nodes
from workers import customer_run, product_run
from workers.bulk_file import BulkFile
from workers.gathering import is_the_worlds_fault
from workers.reading import Comparison, Work, difference
from workers.workshop import Workshop

log = structlog.get_logger()

MOST_ATTEMPTS = 6
BULK_BATCH = 200
POLL_SECONDS = 1.0
READ_SECONDS = 20.0  # of a bulk file at a time: others wait for this worker, too
READ_FOR_EACH_LOADING = 1.0  # but as long as loading took, or a slow file would be loaded for each batch again
STUCK = timedelta(minutes=30)  # without a single object more, a bulk operation is given up
CHECKED = 250  # missing records that are asked about in one step
DEEPEST = 20_000  # rows; Shopify's paging ends at 25,000
OVERLAP = timedelta(minutes=2)  # the search index lags; reading a change twice is harmless


def step(workshop: Workshop) -> bool:
    """Take the run that is due longest one step further; False if none is due, or the database is away.

    What was rolled back then is done again when the lease has run out.
    """
    try:
        return _step(workshop)
    except (DBAPIError, PoolTimeout) as error:
        if not is_the_worlds_fault(error):
            raise
        log.warning("run_broken_off", error=type(error).__name__, sqlstate=sqlstate(error))
        return False


def _step(workshop: Workshop) -> bool:
    with workshop.db.begin() as db:
        run = runs.claim(db)
        shop = shops.find(db, workshop.vault, run.shop) if run else None
        if run is not None:
            workshop.clock.read(db)
    if run is None:
        return False
    if shop is None or shop.state == "uninstalled":
        _fail(workshop, run, "The shop has uninstalled the app.")
        return True
    with structlog.contextvars.bound_contextvars(run=run.id, shop=run.shop, feed=run.feed):
        _attempt(Work(workshop, shop, run))
    return True


def _attempt(work: Work) -> None:
    """A step, or the reason why not now. Trouble of one shop costs that shop's run alone."""
    try:
        PHASES[work.run.place.get("phase", "begin")](work.with_fresh_token())
    except TokenDead as dead:
        with work.workshop.db.begin() as db:
            shops.needs_auth(db, work.workshop.vault, work.shop)
        _fail(work.workshop, work.run, str(dead))
    except (AccessDenied, Permanent) as refused:
        _fail(work.workshop, work.run, str(refused))
    except Transient as trouble:
        _stumble(work, trouble)
    except Exception as error:
        if is_the_worlds_fault(error):
            raise
        _fail(work.workshop, work.run, f"The run {where_it_broke(error)}")


def _stumble(work: Work, trouble: Transient) -> None:
    """Later again, ever more patiently; after too many tries the run has failed, and the next one begins afresh."""
    attempts = work.run.attempts + trouble.counts
    if attempts >= MOST_ATTEMPTS:
        _fail(work.workshop, work.run, str(trouble))
        return
    pause = trouble.retry_after if trouble.retry_after is not None else min(2.0**attempts, 30.0)
    with work.workshop.db.begin() as db:
        runs.stumble(db, work.run, pause, str(trouble), counts=trouble.counts)
    log.info("run_waits", seconds=round(pause, 1), reason=str(trouble))


def _fail(workshop: Workshop, run: Run, reason: str) -> None:
    with workshop.db.begin() as db:
        runs.fail(db, run, reason)
    log.warning("run_failed", run=run.id, reason=reason)
    telemetry.report(f"A run failed: {reason}", run=run.id, shop=run.shop, feed=run.feed)


# Phases


def _begin(work: Work) -> None:
    """How large is it? A large feed is read as a bulk operation, whose cost does not grow with it."""
    if not work.run.complete:
        _advance(work, {"phase": "page", "after": None, "since": _since(work)})
        return
    expected = _expected(work)
    large = expected is None or expected > work.workshop.settings.bulk_run_records
    place = {"phase": "bulk"} if large else {"phase": "page", "after": None}
    _advance(work, place, expected=expected)


def _expected(work: Work) -> int | None:
    """What Shopify counts; None means more than it counts."""
    count = fetch.products_count if work.run.feed == "products" else fetch.customers_count
    return count(work.workshop.admin, work.run.shop, work.token)


def _since(work: Work) -> str:
    with work.workshop.db.connect() as db:
        feed = runs.feed(db, work.run.shop, work.run.feed)
    watermark = feed["watermark"] if feed else None
    seconds = (feed or {}).get("reconcile_seconds") or work.workshop.settings.reconcile_seconds
    since = (watermark or work.shop.installed_at) - max(OVERLAP, timedelta(seconds=2 * seconds))
    return str(since.astimezone(UTC).isoformat())


def _page(work: Work) -> None:
    """A page of the listing: compare it, post what differs, remember where to go on."""
    place = work.run.place
    since = datetime.fromisoformat(place["since"]) if place.get("since") else None
    at = work.workshop.clock.now()
    most = place.get("most", listing.PAGE)
    page = listing.page(work.workshop.admin, work.run.shop, work.token, work.run.feed, place.get("after"), since, most)
    try:
        comparison = COMPARE_LISTED[work.run.feed](work, page.nodes, at)
    except Throttled as throttled:
        if most == 1:
            raise
        # More than the budget holds: half of it next time, or the same page would be begun for ever.
        _advance(work, {**place, "most": max(1, min(most, len(page.nodes)) // 2)}, pause=throttled.retry_after or 1.0)
        return
    rows = place.get("rows", 0) + len(page.nodes)
    further: dict[str, Any] = {**place, "after": page.after, "rows": rows, "most": min(2 * most, listing.PAGE)}
    if page.after is None:
        further = _after_the_last_page(work.run)
    elif since and rows > DEEPEST and comparison.newest and comparison.newest > since:
        # Deep paging ends soon: begin again where we are, by time, if that is any further.
        further = {"phase": "page", "after": None, "since": comparison.newest.isoformat(), "rows": 0}
    further["belonging"] = place.get("belonging", 0) + comparison.belonging
    _post(work, comparison, further)
    if further["phase"] == "end":
        _finish(work, max(filter(None, (comparison.newest, work.run.read_until)), default=None))


def _after_the_last_page(run: Run) -> dict[str, Any]:
    if run.complete:
        return {"phase": "removals"}
    if run.feed == "products":
        return {"phase": "events", "since": run.place["since"], "after": None}
    return {"phase": "end"}


def _events(work: Work) -> None:
    """A cheap hint at deleted products between two complete runs. The turn asks about each before it removes it."""
    place, run = work.run.place, work.run
    since = datetime.fromisoformat(place["since"])
    try:
        gids, after = listing.deleted_products(work.workshop.admin, run.shop, work.token, since, place["after"])
    except (AccessDenied, Permanent) as refused:
        log.info("no_events", reason=str(refused))  # the next complete run finds what is gone
        gids, after = [], None
    named = {i for gid in gids if (i := nodes.node_id({"id": gid})) is not None}
    with work.workshop.db.connect() as db:
        hinted = mirror_products.live(db, run.shop, named)
        live = runs.live_records(db, run) if hinted else 0
    existing = fetch.existing(work.workshop.admin, run.shop, work.token, "Product", hinted) if hinted else set()
    gone = sorted(hinted - existing)
    if _brake(work, len(gone), live, read=live):
        gone = []  # the next complete run finds them as well, and is held
    further = {**place, "after": after} if after else {"phase": "end"}
    _post(work, Comparison(asked=gone, removed=len(gone)), further)
    if further["phase"] == "end":
        _finish(work, run.read_until)


def _bulk(work: Work) -> None:
    at = work.workshop.clock.now()
    operation = listing.start_bulk(work.workshop.admin, work.run.shop, work.token, work.run.feed)
    _advance(work, {**work.run.place, "phase": "poll", "operation": operation, "read_at": at.isoformat()}, pause=0.2)


def _poll(work: Work) -> None:
    """Ask how far it is, for the finish webhook may never come. Failed: begun again, its partial data never used."""
    place = work.run.place
    bulk = listing.bulk(work.workshop.admin, work.run.shop, work.token, place["operation"])
    if bulk.status in ("CREATED", "RUNNING", "CANCELING"):
        _advance(work, _watched(work, place, bulk.objects), pause=POLL_SECONDS)
    elif bulk.status == "COMPLETED":
        counts = {"objects": bulk.objects, "roots": bulk.roots}
        _advance(work, {**place, "phase": "read", "url": bulk.url, **counts}, expected=bulk.roots)
    else:
        tries = place.get("tries", 0) + 1
        if tries >= 3:
            _fail(
                work.workshop, work.run, f"Shopify's bulk operation ended as {bulk.status} ({bulk.error}) three times."
            )
        else:
            _advance(work, {"phase": "bulk", "tries": tries}, pause=2.0)


def _watched(work: Work, place: Mapping[str, Any], objects: int) -> Mapping[str, Any]:
    """The place with when the operation last got any further. One that no longer does would block the feed for days."""
    now = work.workshop.clock.now()
    if place.get("objects") != objects:
        return {**place, "objects": objects, "moved_at": now.isoformat()}
    if now - datetime.fromisoformat(place["moved_at"]) < STUCK:
        return place
    listing.cancel_bulk(work.workshop.admin, work.run.shop, work.token, place["operation"])
    return {**place, "moved_at": now.isoformat()}


def _read(work: Work) -> None:
    """The file, batch by batch. After a crash, or when others had to have their turn, it is loaded and read on."""
    place = dict(work.run.place)
    at, began = datetime.fromisoformat(place["read_at"]), time.monotonic()
    with BulkFile() as file:
        if place["url"] is not None:
            file.load(listing.bulk_lines(work.run.shop, place["url"]), lambda: _keep_lease(work))
        if (file.objects, file.roots) != (place["objects"], place["roots"]):
            raise IncompleteFile(
                f"The bulk file of {work.run.shop} holds {file.roots} records in {file.objects} lines; "
                f"Shopify announced {place['roots']} in {place['objects']}."
            )
        loaded = time.monotonic()
        until = loaded + max(READ_SECONDS, READ_FOR_EACH_LOADING * (loaded - began))
        for nodes in _batches(file.nodes(place.get("done", 0)), BULK_BATCH):
            _keep_lease(work)
            comparison = COMPARE_WHOLE[work.run.feed](work, nodes, at)
            place["done"] = place.get("done", 0) + len(nodes)
            place["belonging"] = place.get("belonging", 0) + comparison.belonging
            _post(work, comparison, place, leased=True)
            if time.monotonic() > until and place["done"] < place["roots"]:
                _advance(work, place)
                return
    _advance(work, {"phase": "removals", "belonging": place.get("belonging", 0)})


class IncompleteFile(Transient):
    """Never compared with: a record that is missing in it would look deleted."""


def _batches(nodes: Iterator[Mapping[str, Any]], size: int) -> Iterator[list[dict[str, Any]]]:
    while batch := [dict(node) for node in islice(nodes, size)]:
        yield batch


def _keep_lease(work: Work) -> None:
    with work.workshop.db.begin() as db:
        runs.renew_lease(db, work.run)


def _removals(work: Work) -> None:
    """Only a complete read proves absence, each is asked about once more, and too many need somebody's word."""
    run = work.run
    listed, checked = run.place.get("listed", run.seen), run.place.get("checked", 0)
    with work.workshop.db.connect() as db:
        gone = runs.unseen(db, run)
        live = runs.live_records(db, run)
    if unsure := [i for i in gone if i > checked][:CHECKED]:
        existing = fetch.existing(work.workshop.admin, run.shop, work.token, KINDS[run.feed], unsure)
        there = Comparison(seen=sorted(existing), asked=sorted(existing))
        _post(work, there, {**run.place, "listed": listed, "checked": unsure[-1]})
        return
    why = _brake(work, len(gone), live, read=listed)
    if why and not run.place.get("confirmed"):
        reason = f"{why} If that is right: flask runs confirm {run.id}"
        with work.workshop.db.begin() as db:
            runs.fail(db, run, reason, held=True)
        log.warning("run_held", reason=reason)
        return
    _post(work, Comparison(asked=gone, removed=len(gone)), {**run.place, "phase": "end"})
    _finish(work, run.started_at)


def _brake(work: Work, removing: int, live: int, *, read: int) -> str | None:
    settings = work.workshop.settings
    percent, records = settings.removal_brake_percent, settings.removal_brake_records
    return brake(removing, live, read, percent=percent, records=records)


KINDS = {"products": "Product", "customers": "Customer"}


def _end(work: Work) -> None:
    """Reached only after a crash between the last post and the finish."""
    _finish(work, work.run.started_at if work.run.complete else work.run.read_until)


def _finish(work: Work, watermark: datetime | None) -> None:
    expected = work.run.expected
    if work.run.feed == "customers" and work.run.complete:
        expected = work.run.place.get("belonging")  # Shopify cannot count those who belong; the run did
    with work.workshop.db.begin() as db:
        runs.finish(db, work.run, watermark, expected)
    log.info("run_finished", complete=work.run.complete, trigger=work.run.trigger)


def _advance(work: Work, place: Mapping[str, Any], *, expected: int | None = None, pause: float = 0) -> None:
    with work.workshop.db.begin() as db:
        runs.advance(db, work.run, place, Progress(), expected=expected, pause=pause)


def _post(work: Work, comparison: Comparison, place: Mapping[str, Any], *, leased: bool = False) -> None:
    """What differs goes into the inbox, what was read is noted, the place moves: all of it or nothing."""
    run, now = work.run, work.workshop.clock.now()
    topic = "product/fetch" if run.feed == "products" else "customer/fetch"
    signals = [difference(run, topic, i, now) for i in comparison.asked]
    with work.workshop.db.begin() as db:
        if not runs.is_going(db, run):
            return
        # A part that is read again after a crash is not counted again.
        counts = not run.complete or runs.note_seen(db, run, comparison.seen) or not comparison.seen
        found = [*comparison.arrivals, *signals]
        posted = inbox.store(db, found) if found else set()
        mirror_customers.leave(db, run.shop, comparison.bystanders)
        progress = comparison.progress if counts else Progress()
        runs.advance(db, run, place, progress, read_until=comparison.newest, keep_lease=leased)
    if posted:
        work.workshop.bell.ring("bulk", {run.shop: time.time()})


COMPARE_LISTED: Mapping[str, Callable[[Work, Sequence[Any], datetime], Comparison]] = {
    "products": product_run.compare_listed,
    "customers": customer_run.compare,
}
COMPARE_WHOLE: Mapping[str, Callable[[Work, Sequence[Any], datetime], Comparison]] = {
    "products": product_run.compare_whole,
    "customers": customer_run.compare,
}

PHASES: Mapping[str, Callable[[Work], None]] = {
    "begin": _begin,
    "page": _page,
    "events": _events,
    "bulk": _bulk,
    "poll": _poll,
    "read": _read,
    "removals": _removals,
    "end": _end,
}
