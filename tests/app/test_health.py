"""Is it alive, can it serve, how is it doing."""

import os
import signal

import orjson
import pytest
from prometheus_client.parser import text_string_to_metric_families

from adapters.database import migrate
from devstore.servers import Valkey, free_port


@pytest.fixture
def nowhere():
    return f"postgresql://postgres@127.0.0.1:{free_port()}/none"


@pytest.fixture
def no_redis():
    return f"redis://127.0.0.1:{free_port()}/0"


def ask(app, path):
    answer = app.test_client().get(path)
    return answer.status_code, orjson.loads(answer.data)


def metrics(app):
    """{(sample's name, its labels): value} as Prometheus reads them."""
    answer = app.test_client().get("/metrics")
    assert answer.status_code == 200
    assert answer.mimetype == "text/plain"
    families = text_string_to_metric_families(answer.text)
    return {(s.name, tuple(sorted(s.labels.items()))): s.value for family in families for s in family.samples}


# -- live and ready


def test_live_answers_whatever_the_neighbours_do(build, nowhere, no_redis):
    assert ask(build(DATABASE_URL=nowhere, REDIS_URL=no_redis), "/live") == (200, {"live": True})


def test_ready_when_postgres_answers_and_the_schema_is_current(app):
    assert ask(app, "/ready") == (200, {"ready": True, "degraded": []})


def test_without_redis_it_is_ready_and_degraded(build, database, no_redis):
    assert ask(build(REDIS_URL=no_redis), "/ready") == (200, {"ready": True, "degraded": ["redis"]})


def test_a_redis_that_hangs_is_degraded_too(build, database, server_folder):
    with Valkey(server_folder) as valkey:
        app = build(REDIS_URL=valkey.url)
        assert ask(app, "/ready")[1]["degraded"] == []
        os.kill(valkey._child.pid, signal.SIGSTOP)
        try:
            answered = ask(app, "/ready")
        finally:
            os.kill(valkey._child.pid, signal.SIGCONT)

    assert answered == (200, {"ready": True, "degraded": ["redis"]})


def test_without_postgres_it_is_not_ready(build, nowhere):
    status, told = ask(build(DATABASE_URL=nowhere), "/ready")

    assert (status, told["ready"]) == (503, False)
    assert "Postgres" in told["because"]


def test_an_old_schema_is_not_ready_until_it_is_migrated(build, create_database):
    url = create_database("not-yet-migrated")
    app = build(DATABASE_URL=url)

    status, told = ask(app, "/ready")
    migrate(url)

    assert (status, told["ready"]) == (503, False)
    assert "flask migrate" in told["because"]
    assert ask(app, "/ready")[0] == 200


# -- metrics


def test_ingress_is_counted_by_topic_and_answer(door, product, wait_for):
    door.post(product())
    door.post(product())
    door.post({"id": "none"}, "products/create")
    door.post(product(), secret="not ours")
    door.post(product(), omit=("shop-domain",))
    door.post(product(), "orders/create")
    door.post(product(), "orders/" + "x" * 100, secret="not ours")

    wanted = {
        ("200", "products/update"): 2,
        ("200", "products/create"): 1,
        ("401", "products/update"): 1,
        ("400", "products/update"): 1,
        ("200 unknown topic", "other"): 1,
        ("401", "other"): 1,
    }
    name = "datasync_ingress_total"
    wait_for(
        lambda: {tuple(v for _, v in labels): n for (s, labels), n in metrics(door.app).items() if s == name} == wanted
    )


def test_which_secret_signed_is_counted(door, product, full_environment, wait_for):
    door.post(product())
    door.post(product(), secret=full_environment["SHOPIFY_API_SECRET_PREVIOUS"])

    name = "datasync_signatures_total"
    wait_for(
        lambda: (
            [(labels, n) for (s, labels), n in metrics(door.app).items() if s == name]
            == [((("secret", "0"),), 1.0), ((("secret", "1"),), 1.0)]
        )
    )


def test_acknowledgements_are_a_histogram_whose_buckets_add_up(door, product, wait_for):
    for _ in range(3):
        door.post(product())

    wait_for(lambda: metrics(door.app).get(("datasync_acknowledgement_seconds_count", ())) == 3)
    read = metrics(door.app)
    buckets = [n for (name, _), n in read.items() if name == "datasync_acknowledgement_seconds_bucket"]
    assert buckets == sorted(buckets)
    assert buckets[-1] == 3
    assert 0 < read["datasync_acknowledgement_seconds_sum", ()] < 30


def test_what_waits_is_counted_by_lane_with_the_age_of_the_oldest(door, product):
    door.post(product())
    door.post(product(2))

    read = metrics(door.app)

    assert read["datasync_waiting", (("lane", "live"),)] == 2
    assert read["datasync_waiting", (("lane", "bulk"),)] == 0
    assert 0 <= read["datasync_oldest_waiting_seconds", (("lane", "live"),)] < 60


def test_outcomes_of_turns_are_counted(door, install, take_turns, product):
    install()
    door.post(product())
    take_turns()

    assert metrics(door.app)["datasync_outcomes_total", (("feed", "products"), ("outcome", "applied"))] == 1


def test_without_redis_the_metrics_are_those_that_postgres_knows(build, database, no_redis):
    read = metrics(build(REDIS_URL=no_redis))

    assert ("datasync_waiting", (("lane", "live"),)) in read


def test_without_postgres_the_metrics_are_those_that_redis_knows(build, redis, nowhere):
    app = build(DATABASE_URL=nowhere)
    app.test_client().post("/webhooks", data=b"{}")

    assert metrics(app)["datasync_ingress_total", (("answer", "401"), ("topic", "other"))] == 1
