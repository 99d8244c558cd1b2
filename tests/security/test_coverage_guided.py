"""The translators, by mutants that are kept whenever they reach a line that none before them had reached.

A search of sixty lines on `sys.settrace`, which runs wherever Python does. atheris has no wheels for most places;
where it has, test_atheris.py goes on with it.
"""

import json
import random
import sys
from dataclasses import fields, is_dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import orjson
import pytest

from domain.customer_checks import check_customer
from domain.eligibility import Rule
from domain.product_checks import check_product
from domain.sparklayer import product_record
from domain.text import is_storable
from domain.topics import SHOPIFYS, Unreadable
from schemas import nodes, webhooks

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
ROOT = Path(__file__).resolve().parent.parent.parent
WATCHED = tuple(str(ROOT / room) for room in ("schemas", "domain"))
LARGEST = 2**63 - 1


def read_a_body(raw):
    """As a webhook and its turn do."""
    try:
        body = webhooks.read_body(raw)
    except Unreadable:
        return
    for route in SHOPIFYS.values():
        if route.read_id is not None:
            try:
                assert 0 < (route.read_id(body) or 1) <= LARGEST
            except Unreadable:
                continue
    told = webhooks.read_product(body, NOW)
    metafields = webhooks.read_body_metafields(body)
    if told.record is not None:
        check_product(told.record, metafields, NOW.date())
        orjson.dumps(product_record(told.record, metafields), option=orjson.OPT_NON_STR_KEYS)
    can_be_kept((told, metafields))


def read_a_node(raw):
    """As a fetch does."""
    try:
        node = json.loads(raw)
    except (ValueError, RecursionError):
        return
    product, customer = nodes.read_product_node(node, NOW), nodes.read_customer_node(node, NOW)
    found = (nodes.read_product_node_metafields(node), nodes.read_customer_probe(node), nodes.node_id(node))
    if customer.record is not None:
        can_be_kept(check_customer(customer.record, Rule()))
    if product.record is not None:
        can_be_kept(check_product(product.record, found[0], NOW.date()))
    can_be_kept((product, customer, found, nodes.node_time(node)))


def can_be_kept(value):
    """Every text in it Postgres takes, every id fits, every time has a zone."""
    if isinstance(value, str):
        assert is_storable(value), ascii(value)
    elif isinstance(value, bool) or value is None or isinstance(value, date):
        assert not isinstance(value, datetime) or value.tzinfo is not None
    elif isinstance(value, int):
        assert abs(value) <= LARGEST
    elif is_dataclass(value):
        for field in fields(value):
            can_be_kept(getattr(value, field.name))
    elif isinstance(value, dict):
        can_be_kept((*value.keys(), *value.values()))
    elif isinstance(value, (tuple, list, set, frozenset)):
        for one in value:
            can_be_kept(one)


def lines_of(do, raw):
    """The lines of the watched rooms that this input reaches, and how they follow each other."""
    reached = set()

    def enter(frame, _event, _argument):
        name = frame.f_code.co_filename
        if not name.startswith(WATCHED):
            return None
        last = [0]

        def step(frame, event, _argument):
            if event == "line":
                reached.add((name, last[0], frame.f_lineno))
                last[0] = frame.f_lineno
            return step

        return step

    before = sys.gettrace()
    sys.settrace(enter)
    try:
        do(raw)
    finally:
        sys.settrace(before)
    return reached


def search(do, first, mutator, rng, cases):
    """How many inputs were worth keeping, and how many steps they reached together."""
    corpus = [first]
    reached = lines_of(do, orjson.dumps(first))
    for _ in range(cases):
        content = mutator.tree(rng.choice(corpus[-20:] if rng.random() < 0.5 else corpus))
        raw = mutator.body(content)
        fresh = lines_of(do, raw) - reached
        if fresh:
            reached |= fresh
            try:
                corpus.append(json.loads(raw))
            except (ValueError, RecursionError):
                corpus.append(content)
    return len(corpus), len(reached)


TARGETS = {
    "bodies": (read_a_body, "products_update.realistic"),
    "nodes of products": (read_a_node, "product_node.realistic"),
    "nodes of customers": (read_a_node, "customer_node.realistic"),
}


def searched(name, cases, payloads, mutator, request):
    do, payload = TARGETS[name]
    seed = request.config.getoption("fuzz_seed")
    return search(do, payloads[payload], mutator(f"{seed}:{name}"), random.Random(f"{seed}:{name}"), cases)


@pytest.mark.parametrize("name", TARGETS)
def test_the_translators_read_whatever_a_short_search_comes_upon(name, payloads, mutator, request):
    kept, reached = searched(name, 300, payloads, mutator, request)

    assert kept > 10  # the search is guided: mutants did reach new lines
    assert reached > 100


@pytest.mark.long
@pytest.mark.parametrize("name", TARGETS)
def test_the_translators_read_whatever_a_long_search_comes_upon(name, payloads, mutator, request):
    kept, _ = searched(name, request.config.getoption("fuzz_cases") // 10, payloads, mutator, request)

    assert kept > 20
