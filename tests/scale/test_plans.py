"""Postgres is asked about each statement as the product really sends it: among little, among ten times as much, and
where one shop has all of that without Postgres having counted it."""

import importlib
import pkgutil

import pytest
from sqlalchemy import TextClause

import adapters
from bench import crowd, mail
from tests.scale.deeds import everything
from tests.scale.kept_plans import among_much
from tests.scale.recorder import Recorder

# Whatever has a row for each record, delivery, run or hour. What has one for each shop or duty may be read whole.
LARGE = {"products", "variants", "customers", "deliveries", "attempts", "issues", "gaps", "runs", "activity", "heard"}

SLACK = 100  # pages: plans that are made within functions read statistics

# By a part of the statement: why it may touch more where there is more.
MAY_GROW = {
    "SELECT m.id FROM (SELECT id FROM products": "a complete run compares all of a shop's records",
    "SELECT 1 FROM customers c WHERE c.state <> 'member'": "`flask retention` counts, by hand, at most 100,000",
    "WITH slice AS MATERIALIZED": "a batch has a fixed size, of which here all of the small ground is a part",
    "position(lower(": "words are searched among one shop's open issues, by hand",
    "SELECT code, severity, count(*) AS issues": "one shop's open issues in groups",
    "id > (SELECT coalesce(max(id), 0) - ": "counted to 100,001, among the newest million at most",
    "SELECT count(*) FROM (SELECT 1 FROM deliveries WHERE id >=": "the newest, to a bound, wherever they lie by now",
    "SELECT max(received_at) FILTER (WHERE source": "the same, of the newest five thousand",
    "SELECT count(*) FROM products": "an index entry a product, and the row where it changed since the last vacuum",
    "SELECT count(*) FROM (SELECT id FROM": "the same, of what a complete run is to compare",
    "SELECT count(*) FROM customers": "the same, of members",
    "SELECT severity, count(*) AS n FROM issues": "the same, of open issues",
    "count(*) OVER (PARTITION BY sku_fold)": "a few pages a SKU of the batch; it answers those that clash",
    "INSERT INTO heard": "what came since the last count, wherever it lies by now",
    "INSERT INTO activity (": "the same",
    "SELECT lane, count(*) AS waiting": "a figure: all that waits, by the index of the waiting alone",
    "WITH overtaken AS": "the versions of a product that a storm has written",
    "SELECT g.id AS number": "for each gap that is shown the webhooks about its record are looked at",
    "SELECT cause, topic, to_char(repaired_at": "the same, for each of a day",
    "SELECT rule, CASE WHEN rule = 'tag'": "one shop's members by what let them in, on the page of settings",
}
MAY_SCAN = {"SELECT 1 FROM customers c WHERE c.state <> 'member'": "see above"}

# Constants of `adapters` that nothing here executes.
NOT_EXECUTED = {
    "one shop, by its key, when its access or its settings change": {
        *("shops._ADMIT", "shops._KNOW", "shops._LEASE", "shops._MAY_PROBE", "shops._NEEDS_AUTH", "shops._RENEW"),
        *("shops._UNINSTALL", "shop_settings._CHANGE", "shop_settings._SOONER", "notices._WRITE"),
        *("notices._WRITE_TEST",),
    },
    "one thing, by its key, by hand": {"failures._CHANGE", "replays._RESUME", "identities._IDENTIFY"},
    "`flask doctor` and `flask keys`, by hand": {
        *("ground._HELD", "ground._LATE", "ground._REFRESH", "sealed._SEALED", "redaction._UNDONE"),
    },
    "the catalogue is asked after each migration": {"wall._UNPROTECTED"},
    "the clock finds and claims its duties in a table of sixteen rows": {"duties._CLAIM", "duties._RESTING"},
    "rotating keys walks through all there is": {
        *("rotation._NEXT_SHOPS", "rotation._NEXT_CUSTOMERS", "rotation._LOCK_SHOPS", "rotation._SEAL_SHOP"),
        *("rotation._LOCK_CUSTOMERS", "rotation._LOCK_SHARERS", "rotation._SEAL_CUSTOMER", "rotation._RENAME_SCOPE"),
    },
}

BY_HAND = {"the door, copies"}  # looks at what the door has done

# By a plan that is kept from when the tables were empty.
KEPT_MAY_GROW = {"SELECT * FROM runs WHERE id = ANY(ARRAY(": "one shop's runs are sorted, until Postgres counts anew"}


@pytest.mark.timeout(400)
def test_every_statement_goes_by_an_index_and_touches_no_more_when_all_tables_are_ten_times_as_large(grounds):
    small, large, alone = (recorded(ground) for ground in grounds)

    scanning = {(s.deed, s.short[:200]) for s in large.seen if s.scanned() & LARGE and not is_named(s, MAY_SCAN)}
    assert scanning == set()
    if told := grown(small, large):
        pytest.fail("\n".join(map(str, told)))
    if told := grown(small, alone):
        pytest.fail("In a shop that has all rows, unknown to the statistics:\n" + "\n".join(map(str, told)))
    assert ", ".join(not_executed(large)) == ""


def test_a_record_is_found_by_its_id_where_postgres_has_never_counted(grounds):
    """The first minute of an installation: one index seems as good as another."""
    small, _, alone = grounds

    if told := grown(recorded(small, by_id), recorded(alone.uncounted(), by_id)):
        pytest.fail("\n".join(map(str, told)))


@pytest.mark.timeout(400)
def test_who_has_known_nothing_but_empty_tables_reads_no_more_once_they_are_full(grounds):
    """A process keeps its plans; and by then much waits."""
    _, large, _ = grounds
    full = recorded(large)
    address = large.workshop.db.url.set(drivername="postgresql").render_as_string(hide_password=False)
    seen = [s for s in full.seen if s.deed not in BY_HAND and "/ops" not in s.deed and "enter_shop" not in s.statement]

    if told := grown(full, Recorder([s for s in among_much(address, seen) if not is_named(s, KEPT_MAY_GROW)])):
        pytest.fail("\n".join(map(str, told)))


def recorded(ground, deeds=everything):
    ground.redis.flushall()
    recorder = Recorder()
    with recorder.listening():
        for deed, do in deeds(ground).items():
            with recorder.of(deed):
                do()
    return recorder


def by_id(ground):
    product, customer = mail.product_id(ground.amount.shops), crowd.CUSTOMER_ID
    return {
        "a product by its id": lambda: ground.get(f"/api/v1/products?q={product}"),
        "a customer by its id": lambda: ground.get(f"/api/v1/customers?q={customer}"),
    }


def is_named(seen, exceptions):
    return any(part in seen.short for part in exceptions)


def grown(small, large):
    """Statements that touched more pages than twice as many and a few for each row they answer or write."""
    before = most_blocks(small)
    return [
        (seen.deed, seen.short[:200], before[key], seen.blocks)
        for seen in large.seen
        if (key := (seen.deed, seen.short)) in before
        and seen.blocks > 2 * before[key] + 6 * seen.rows + SLACK
        and not is_named(seen, MAY_GROW)
    ]


def most_blocks(recorder):
    found = {}
    for seen in recorder.seen:
        key = seen.deed, seen.short
        found[key] = max(found.get(key, 0), seen.blocks)
    return found


def not_executed(recorder):
    modules = [importlib.import_module(f"adapters.{found.name}") for found in pkgutil.iter_modules(adapters.__path__)]
    constants = {
        f"{module.__name__.removeprefix('adapters.')}.{name}": id(value)
        for module in modules
        for name, value in vars(module).items()
        if isinstance(value, TextClause)
    }
    left = {name for name, number in constants.items() if number not in recorder.named}
    return sorted(left - set().union(*NOT_EXECUTED.values()))
