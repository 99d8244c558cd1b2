"""Is it alive, can it serve, and how is it doing."""

from collections import defaultdict
from collections.abc import Iterable, Mapping

import redis
from flask import Blueprint, Response, current_app
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from sqlalchemy.exc import SQLAlchemyError

from adapters import database, figures, inbox
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
    """Prometheus text: what all processes counted, and what waits now. Half an answer is better than none."""
    office().figures.hand_over()
    registry = CollectorRegistry()
    registry.register(_Collected([*_counted(office()), *_waiting(office())]))
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
    if not meaning.histogram:
        counter = CounterMetricFamily(name, meaning.help, labels=meaning.labels)
        for (_, labels), amount in sorted(own.items()):
            counter.add_metric(labels, amount)
        return counter
    histogram = HistogramMetricFamily(name, meaning.help, labels=meaning.labels)
    by_labels: dict[tuple[str, ...], dict[str, float]] = defaultdict(dict)
    for (part, labels), amount in own.items():
        by_labels[labels][part] = amount
    for labels, parts in sorted(by_labels.items()):
        histogram.add_metric(labels, _buckets(parts), sum_value=parts.get("sum", 0.0))
    return histogram


def _buckets(parts: Mapping[str, float]) -> list[tuple[str, float]]:
    total, buckets = 0.0, []
    for position, bound in enumerate((*figures.BOUNDS, float("inf"))):
        total += parts.get(str(position), 0.0)
        buckets.append(("+Inf" if bound == float("inf") else str(bound), total))
    return buckets


def _waiting(desk: Office) -> list[Metric]:
    try:
        with desk.db.connect() as db:
            lanes = inbox.lane_figures(db)
    except SQLAlchemyError:
        return []
    waiting = GaugeMetricFamily("datasync_waiting", "Deliveries waiting, by lane", labels=("lane",))
    oldest = GaugeMetricFamily("datasync_oldest_waiting_seconds", "Age of the oldest waiting", labels=("lane",))
    for lane in ("live", "bulk"):
        count, age = lanes.get(lane, (0, 0.0))
        waiting.add_metric((lane,), count)
        oldest.add_metric((lane,), age)
    return [waiting, oldest]
