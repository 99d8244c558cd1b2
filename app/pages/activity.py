"""What happened to a feed in a day and in a month, how fresh it was, and what its webhooks missed."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from flask import Response, g
from sqlalchemy import Connection

from adapters import activity, runs
from app import feeds
from app.office import office
from app.pages.base import page, shop_zone
from app.pages.charts import Chart, bar_chart
from app.pages.entrance import merchant_blueprint
from domain.activity import Period, Step, Within, percentile, together

blueprint = merchant_blueprint("activity", __name__)
TITLES = {"products": "Product activity", "customers": "Customer activity"}
DAY, MONTH = timedelta(hours=23), timedelta(days=29)  # back from the hour or the day that is going on
MOST_GAPS = 20
MEASURES = {
    "arrived": "Webhooks that arrived",
    "applied": "Applied",
    "filtered": "Filtered",
    "repaired": "Repaired by runs",
    "dead": "Could not be applied",
}
CAUSES = {
    "never_delivered": "Shopify never delivered the webhook.",
    "late": "The webhook came after a run had found the change.",
    "dead": "The webhook came and could not be applied.",
    "wrongly_filtered": "The webhook came and was filtered, though the record belongs here.",
    "no_webhook": "Shopify sends no webhook for such a change.",
    "other_run": "Another run was reading at the same time.",
}


@blueprint.get("/<feed:feed>/activity")
def show(feed: str) -> Response:
    now = datetime.now(UTC)
    with office().db.begin() as db:
        spans = [
            _span(db, feed, now - DAY, "hour", "The last 24 hours"),
            _span(db, feed, now - MONTH, "day", "The last 30 days"),
        ]
        missed = feeds.missed(db, g.shop.domain, now - timedelta(days=1), feed)
        latest = runs.gaps(db, g.shop.domain, now - MONTH, MOST_GAPS, feed=feed)
    return page(
        "activity.html",
        title=TITLES[feed],
        feed=feed,
        spans=spans,
        sentence=missed["sentence"],
        causes=[(CAUSES[cause], count) for cause, count in missed["counts"].items()],
        gaps=[gap | {"why": CAUSES[gap["cause"]]} for gap in latest],
    )


@dataclass(frozen=True, slots=True)
class Picture:
    """One measure of a span. `words` say what the chart shows, for whoever does not see it."""

    name: str
    title: str
    total: int
    words: str
    chart: Chart


def _span(db: Connection, feed: str, since: datetime, step: Step, title: str) -> dict[str, Any]:
    found = activity.of_feed(db, g.shop.domain, feed, since, step, shop_zone())
    names = [_name(period, step) for period in found]
    whole = together(found, found[0].start)
    return {
        "title": title,
        "step": step,
        "is_empty": whole == Period(whole.start),
        "pictures": [_picture(name, found, names, step) for name in MEASURES],
        "measures": MEASURES,
        "rows": list(zip(names, found, strict=True)),
        "whole": whole,
        "measured": sum(whole.freshness),
        "freshness": [within(percentile(whole.freshness, share)) for share in (0.5, 0.95, 0.99)],
    }


def _name(period: Period, step: Step) -> str:
    local = period.start.astimezone(shop_zone())
    return f"{local:%a %H:%M}" if step == "hour" else f"{local.day} {local:%b}"


def _picture(name: str, found: Sequence[Period], names: Sequence[str], step: Step) -> Picture:
    values = [getattr(period, name) for period in found]
    total, highest = sum(values), max(values)
    words = "Nothing."
    if total:
        words = f"{total:,} in all. The most in one {step}: {highest:,}, {names[values.index(highest)]}."
    return Picture(name, MEASURES[name], total, words, bar_chart(values, _ticks(found, step)))


def _ticks(found: Sequence[Period], step: Step) -> dict[int, str]:
    """Every six hours of the shop's clock, or each week back from today."""
    if step == "day":
        return {n: _name(found[n], step) for n in range(len(found) - 1, -1, -7)}
    local = [period.start.astimezone(shop_zone()) for period in found]
    return {n: f"{hour:%H:%M}" for n, hour in enumerate(local) if hour.hour % 6 == 0}


UNITS = ((86_400, "day"), (3_600, "h"), (60, "min"))


def within(span: Within | None) -> str:
    """`2 to 5 s`, `30 s to 1 min`, `less than 0.1 s`, `a day or more`: no finer than it is known."""
    if span is None:
        return "not yet known"
    if span.high is None:
        return "a day or more"
    high, unit = _in_unit(span.high)
    if span.low == 0:
        return f"less than {high} {unit}"
    low, low_unit = _in_unit(span.low)
    return f"{low} to {high} {unit}" if low_unit == unit else f"{low} {low_unit} to {high} {unit}"


def _in_unit(seconds: float) -> tuple[str, str]:
    size, unit = next(((size, unit) for size, unit in UNITS if seconds >= size), (1, "s"))
    return f"{seconds / size:g}", unit
