"""Is it alive, can it serve, and how is it doing."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import redis
from flask import Blueprint, Response, current_app
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from sqlalchemy.exc import SQLAlchemyError

from adapters import database, figures, stock
from app.api import as_json
from app.office import Office, office

blueprint = Blueprint("health", __name__)
Figures = Mapping[tuple[str, str, tuple[str, ...]], float]


@blueprint.get("/live")
def live() -> Response:
    return as_json({"live": True})


@blueprint.get("/ready")
def ready() -> Response:
    """200 when Postgres answers and its schema is current. Without Redis everything is still accepted: degraded."""
    try:
        current = database.is_current(office().db)
    except SQLAlchemyError:
        return as_json({"ready": False, "because": "Postgres does not answer"}, 503)
    if not current:
        return as_json({"ready": False, "because": "the schema is not current: run `flask migrate`"}, 503)
    return as_json({"ready": True, "degraded": [] if _redis_answers() else ["redis"]})


def _redis_answers() -> bool:
    try:
        return bool(office().redis.ping())
    except redis.RedisError:
        return False


@blueprint.get("/metrics")
def metrics() -> Response:
    """Prometheus text: what all processes counted, and the stock that a clock took. Counts nothing that may be many.

    Half an answer is better than none, and says which half is missing.
    """
    office().figures.hand_over()
    counted, standing = _counted(office()), _standing(office())
    ups = [_up("redis", counted), _up("postgres", standing)]
    registry = CollectorRegistry()
    registry.register(_Collected([*counted, *standing, *ups]))
    return current_app.response_class(generate_latest(registry), mimetype="text/plain; version=0.0.4")


class _Collected:
    def __init__(self, metrics: list[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        return self._metrics


def _counted(desk: Office) -> list[Metric]:
    try:
        known = figures.read(desk.redis)
    except redis.RedisError:
        return []
    return [_metric(meaning, known) for meaning in figures.MEANINGS.values()]


def _metric(meaning: figures.Meaning, known: Figures) -> Metric:
    name = f"datasync_{meaning.name}"
    own = {key[1:]: amount for key, amount in known.items() if key[0] == meaning.name}
    if not meaning.bounds:
        counter = CounterMetricFamily(name, meaning.help, labels=meaning.labels)
        for (_, labels), amount in sorted(own.items()):
            counter.add_metric(labels, amount)
        if not own and not meaning.labels:
            counter.add_metric((), 0.0)  # what has never happened is known to be none
        return counter
    histogram = HistogramMetricFamily(name, meaning.help, labels=meaning.labels)
    by_labels: dict[tuple[str, ...], dict[str, float]] = defaultdict(dict)
    for (part, labels), amount in own.items():
        by_labels[labels][part] = amount
    for labels, parts in sorted(by_labels.items()):
        histogram.add_metric(labels, _buckets(meaning.bounds, parts), sum_value=parts.get("sum", 0.0))
    return histogram


def _buckets(bounds: Sequence[float], parts: Mapping[str, float]) -> list[tuple[str, float]]:
    total, buckets = 0.0, []
    for position, bound in enumerate((*bounds, float("inf"))):
        total += parts.get(str(position), 0.0)
        buckets.append(("+Inf" if bound == float("inf") else str(bound), total))
    return buckets


def _standing(desk: Office) -> list[Metric]:
    try:
        with desk.db.begin() as db:
            taken, age = stock.read(db)
            levels = stock.with_what_waits_now(db, taken)
    except SQLAlchemyError:
        return []
    gauges: list[Metric] = [_gauge(meaning, levels) for meaning in stock.GAUGES]
    if age is not None:
        gauges.append(GaugeMetricFamily("datasync_stock_age_seconds", "Since a clock last took stock", value=age))
    return gauges


def _gauge(meaning: figures.Meaning, levels: stock.Levels) -> GaugeMetricFamily:
    gauge = GaugeMetricFamily(f"datasync_{meaning.name}", meaning.help, labels=meaning.labels)
    for (name, labels), value in sorted(levels.items()):
        if name == meaning.name:
            gauge.add_metric(labels, value)
    return gauge


def _up(neighbour: str, told: Sequence[Metric]) -> GaugeMetricFamily:
    name = f"datasync_{neighbour}_up"
    return GaugeMetricFamily(name, f"Whether {neighbour.title()} answered this scrape", value=float(bool(told)))
