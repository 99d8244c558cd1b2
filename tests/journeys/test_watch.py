"""The alert rules, the dashboard and the runbook fit the product: they parse, they ask for what there is, they run."""

import json
import re
import shlex
from pathlib import Path

import promql_parser
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import text

from domain.alerts import KINDS

ROOT = Path(__file__).resolve().parent.parent.parent
SHOP = "northwind-trade.myshopify.com"
RULES = [rule for group in yaml.safe_load((ROOT / "ops/alerts.yml").read_text())["groups"] for rule in group["rules"]]
DASHBOARD = json.loads((ROOT / "ops/dashboard.json").read_text())
TARGETS = [(panel["title"], target) for panel in DASHBOARD["panels"] for target in panel["targets"]]
RUNBOOK = (ROOT / "docs/runbook.md").read_text()
PROMETHEUS = {"up": {"job"}}  # what Prometheus says by itself
QUERIES = [(rule["alert"], rule["expr"]) for rule in RULES] + [(title, target["expr"]) for title, target in TARGETS]


def selectors(expression):
    """(metric, its labels) for everything that a query reads."""
    if isinstance(expression, promql_parser.VectorSelector):
        yield expression.name, {matcher.name for matcher in expression.matchers.matchers}
    for name in ("expr", "lhs", "rhs", "vector_selector", "param"):
        inner = getattr(expression, name, None)
        if inner is not None:
            yield from selectors(inner)
    for inner in getattr(expression, "args", ()):
        yield from selectors(inner)


def grouped(expression):
    """The labels that aggregations ask for."""
    modifier = getattr(expression, "modifier", None)
    if isinstance(expression, promql_parser.AggregateExpr) and modifier is not None:
        yield from modifier.labels
    for name in ("expr", "lhs", "rhs"):
        inner = getattr(expression, name, None)
        if inner is not None:
            yield from grouped(inner)
    for inner in getattr(expression, "args", ()):
        yield from grouped(inner)


@pytest.mark.parametrize(("title", "query"), QUERIES, ids=[title for title, _ in QUERIES])
def test_every_query_parses(title, query):
    assert list(selectors(promql_parser.parse(query))), title


def test_every_rule_says_how_urgent_it_is_and_names_a_heading_of_the_runbook():
    for rule in RULES:
        assert rule["labels"]["severity"] in ("page", "ticket")
        assert rule["annotations"]["summary"]
        path, anchor = rule["annotations"]["runbook"].split("#")
        assert path == "docs/runbook.md"
        assert anchor in anchors(), rule["alert"]
    names = [rule["alert"] for rule in RULES]
    assert len(names) == len(set(names))


def test_every_alert_of_our_own_names_a_heading_of_the_runbook():
    assert {kind.runbook for kind in KINDS.values()} <= anchors()


def test_every_link_inside_the_runbook_leads_to_a_heading():
    assert set(re.findall(r"\]\(#([^)]+)\)", RUNBOOK)) <= anchors()


def anchors():
    return {
        re.sub(r"[^a-z0-9 -]", "", h.lower()).replace(" ", "-") for h in re.findall(r"^#+ (.+)$", RUNBOOK, re.MULTILINE)
    }


def test_the_dashboards_panels_are_distinct_and_lie_beside_each_other():
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken = [
        (x, y)
        for panel in panels
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(taken) == len(set(taken))
    assert all(x < 24 for x, _ in taken)


def test_the_dashboard_asks_the_prometheus_that_is_chosen():
    (variable,) = DASHBOARD["templating"]["list"]
    assert variable["type"] == "datasource"
    assert {target["datasource"]["uid"] for _, target in TARGETS} == {"${" + variable["name"] + "}"}


@pytest.fixture
def exposed(front_door, floor_of_all):
    """{metric: its labels} of /metrics after everything has happened once."""
    import httpx

    floor_of_all()
    families = text_string_to_metric_families(httpx.get(f"{front_door}/metrics").text)
    found = {}
    for family in families:
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


@pytest.fixture
def floor_of_all(journey, front_door, workshop, devstore):
    """Webhooks of each kind of answer, turns, a run's gap, a replay, a dead delivery; then stock is taken."""

    def happen():
        from adapters import fetch, shops
        from domain.deliveries import Outcome
        from workers import stock, turns

        journey.install(SHOP)
        body = {"id": 7, "title": "Mug", "updated_at": "2026-11-23T10:00:00Z", "variants": []}
        for content, topic in ((body, "products/update"), ({"id": "none"}, "products/create")):
            assert journey.send(front_door, SHOP, topic, content)[0] == 200
        assert journey.send(front_door, SHOP, "products/update", body, **{"X-Shopify-Hmac-Sha256": "no"})[0] == 401
        verdicts = turns.take_turn(workshop, "live", SHOP)
        assert {verdict.outcome for verdict in verdicts.values()} == {Outcome.APPLIED}
        fetch.shop_facts(workshop.admin, SHOP, "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")
        with journey.db.begin() as db:
            assert shops.find(db, workshop.vault, SHOP)
            for statement in (
                "UPDATE shops SET refresh_expires_at = now() + interval '90 days'",
                """INSERT INTO issues (shop, feed, resource_id, code, path, scope, severity)
                   VALUES (:s, 'products', 0, 'WEBHOOKS_SILENT', '', 'record', 'warning')""",
                """INSERT INTO gaps (shop, feed, resource_id, cause, run) VALUES (:s, 'products', 1, 'late', 1)""",
                """INSERT INTO replays (key, name, who, why, chosen, refreshed, upto, place, total)
                   VALUES ('k', 'n', 'w', 'y', '{}', false, 1, 0, 5)""",
            ):
                db.execute(text(statement), {"s": SHOP})
        stock.take_stock(workshop)
        stock.take_stock_of_shops(workshop)
        workshop.figures.hand_over()

    return happen


def test_every_query_asks_for_metrics_and_labels_that_are_exposed(exposed, until):
    known = exposed | PROMETHEUS
    for title, query in QUERIES:
        parsed = promql_parser.parse(query)
        of_all = set()
        for metric, labels in selectors(parsed):
            assert metric in known, f"{title}: {metric}"
            assert labels <= known[metric], f"{title}: {labels - known[metric]}"
            of_all |= known[metric]
        assert set(grouped(parsed)) <= of_all, title
    legends = [(title, set(re.findall(r"{{(\w+)}}", target["legendFormat"]))) for title, target in TARGETS]
    labels = set().union(*known.values())
    assert all(words <= labels for _, words in legends)


def test_no_shop_is_a_label(exposed):
    assert not [metric for metric, labels in exposed.items() if labels & {"shop", "domain"}]


# -- the runbook's commands


COMMANDS = [
    line
    for block in re.findall(r"^```sh\n(.*?)^```$", RUNBOOK, re.MULTILINE | re.DOTALL)
    for line in block.splitlines()
    if line.strip() and not line.startswith("#")
]


@pytest.fixture
def product(journey, start, web, database):
    """A shop, imported; a dead delivery in a group; a replay; a held run: what the runbook speaks of."""
    for lane in ("live", "bulk", "clock"):
        start("workers", lane)
    journey.install(SHOP, products=3, customers=3)
    with database.begin() as db:
        from adapters import runs

        runs.open_feeds(db, SHOP)
    journey.send(web, SHOP, "products/update", {"id": "none"})
    return web


@pytest.fixture
def words(product, journey, until):
    """What the placeholders stand for."""
    imported = "SELECT count(*) = 2 FROM feeds WHERE last_complete_at IS NOT NULL"
    until(lambda: journey.value(imported))
    issue = until(lambda: journey.rows("SELECT fingerprint FROM failures"))[0]["fingerprint"]
    delivery = journey.value("SELECT id FROM deliveries WHERE outcome = 'dead'")
    customer = journey.value("SELECT id FROM customers ORDER BY id LIMIT 1")
    return {"SHOP": SHOP, "ISSUE": issue, "DELIVERY": str(delivery), "CUSTOMER": str(customer)}


@pytest.fixture
def late_words(journey, database):
    """What must be there at the moment of the command: a run that is held, a replay that can be cancelled."""

    def fill(line):
        if "RUN" in line.split():
            with database.begin() as db:
                statement = """INSERT INTO runs (shop, feed, trigger, complete, state, place)
                               VALUES (:s, 'products', 'schedule', false, 'held', '{}') RETURNING id"""
                return line.replace("RUN", str(db.execute(text(statement), {"s": SHOP}).scalar_one()))
        if line.startswith("flask replays cancel"):
            with database.begin() as db:
                db.execute(
                    text("""INSERT INTO replays (key, name, who, why, chosen, refreshed, upto, place, total,
                                                 next_step_at)
                            VALUES ('k', 'n', 'w', 'y', '{"id": 0}', false, 1, 0, 5, now() + interval '1 hour')""")
                )
        if "REPLAY" in line.split():
            return line.replace("REPLAY", str(journey.value("SELECT max(id) FROM replays")))
        return line

    return fill


@pytest.mark.timeout(240)
def test_every_command_of_the_runbook_runs(words, late_words, surroundings, product):
    from app import build_app
    from settings import read_settings

    app = build_app(read_settings(surroundings | {"APP_URL": product}))
    ran = []
    for command in COMMANDS:
        line = late_words(command)
        for placeholder, meaning in words.items():
            line = re.sub(rf"\b{placeholder}\b", meaning, line)
        program, *arguments = shlex.split(line)
        assert program == "flask", command
        with app.app_context():
            done = app.test_cli_runner().invoke(args=arguments)
        assert done.exit_code in (0, 1), f"{line}: {done.exit_code} {done.output}"
        assert done.exception is None or isinstance(done.exception, SystemExit), f"{line}: {done.exception!r}"
        ran.append(arguments[0])

    assert len(ran) > 30
    office = app.extensions["office"]
    office.db.dispose()
    office.frontdesk._db.dispose()
    office.admin.close()
    office.tokens.close()


def test_the_runbook_leaves_no_placeholder_unexplained():
    capitals = {word for command in COMMANDS for word in re.findall(r"\b[A-Z]{3,}\b", command)} - {"ABC"}
    assert capitals <= set(re.findall(r"`([A-Z]+)`", RUNBOOK.split("Three things")[0]))


def test_metrics_are_read_without_counting_any_table(front_door, database, journey, workshop):
    """Whatever a scrape asks of Postgres reads at most a thousand rows of the inbox a lane.

    Even while one lane has a backlog and the other has nothing: a planner may take the first for all of it.
    """
    import httpx

    journey.install(SHOP)
    with database.begin() as db:
        db.execute(
            text("""INSERT INTO deliveries (shop, webhook_id, topic, feed, resource_id, source, lane, triggered_at)
                    SELECT :s, n::text, 'products/update', 'products', n, 'webhook', 'live', now()
                    FROM generate_series(1, 30000) AS n"""),
            {"s": SHOP},
        )
        db.execute(text("ANALYZE deliveries"))
    before = rows_read(database)

    for _ in range(5):
        assert "datasync_waiting" in httpx.get(f"{front_door}/metrics").text

    assert rows_read(database) - before <= 5 * 1_000


def rows_read(database):
    """Of the inbox, by whatever way, as Postgres itself counts."""
    statement = """SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_user_tables WHERE relname = 'deliveries'"""
    with database.connect() as db:
        db.execute(text("SELECT pg_stat_force_next_flush()"))
        db.commit()
        db.execute(text("SELECT pg_stat_clear_snapshot()"))
        return db.execute(text(statement)).scalar_one()
