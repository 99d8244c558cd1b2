"""No shop ever sees another's: every address and command, asked by the wrong shop for the right shop's things."""

import itertools
from collections import Counter
from datetime import UTC, datetime

import click
import pytest
from sqlalchemy import event, text

from adapters import inbox, issue_log, mirror_customers, runs
from adapters.inbox import Arrival
from adapters.mirror_customers import Membership
from domain.issues import Issue
from domain.records import Customer
from domain.versions import Version

OWNER, STRANGER = "northwind-trade.myshopify.com", "contoso-outdoor.myshopify.com"
PRODUCT, CUSTOMER = 7356521840875, 5917633347819
# What only the owner's pages may say. Ids are asked for, and so are repeated: what is known of them is not.
MARKS = (
    OWNER.partition(".")[0],
    "Windlass mug",
    "MARK-",
    "Byron",
    "never_delivered",
    "products/update",
    "SKU_MISSING",
)
ASKED = ("MARK-1", str(PRODUCT), str(CUSTOMER), "ada@biller.example", "Windlass")
OPEN_TO_ALL = {"static", "health.live", "health.ready", "health.metrics", "api.describe"}
SIGN_IN = {"auth.start", "auth.callback"}


@pytest.fixture
def owned(app, install, door, product, take_turns, database):
    """What the owner has: a product and a customer, their deliveries and issues, a run and a gap; then the run's id."""
    install(OWNER)
    install(STRANGER)
    door.post(product(PRODUCT, ({"sku": "MARK-1"}, {"sku": ""}), title="Windlass mug"))
    take_turns(OWNER)
    now = datetime.now(UTC)
    nothing = dict.fromkeys(Customer.__dataclass_fields__) | {"addresses": (), "metafields": (), "tags": ("b2b",)}
    names = {"first_name": "Ada", "last_name": "Byron", "email": "ada@biller.example"}
    ada = Membership(Customer(**nothing | names | {"id": CUSTOMER}), Version.moment(now), "fetch", "tag", "b2b")
    with database.begin() as db:
        mirror_customers.write(db, app.extensions["office"].vault, OWNER, [ada])
        issue_log.replace_of_records(db, OWNER, "customers", {CUSTOMER: [Issue("EMAIL_MISSING", "MARK-path")]})
        inbox.store(db, [Arrival(OWNER, "MARK-2", "customer/fetch", "customers", CUSTOMER, now, now, source="fetch")])
        run, _ = runs.start(db, OWNER, "products", "refresh", complete=True, who="MARK-who")
        gap = {"shop": OWNER, "id": PRODUCT, "run": run.id}
        db.execute(
            text("""INSERT INTO gaps (shop, feed, resource_id, cause, run, topic)
                    VALUES (:shop, 'products', :id, 'never_delivered', :run, 'products/update')"""),
            gap,
        )
    return run.id


@pytest.fixture
def ask(app, session_token):
    """ask(shop, method, address) → the answer to a person of that shop."""

    def send(shop, method, address):
        headers = {"Authorization": f"Bearer {session_token(shop)}", "Accept": "text/html, application/json"}
        return app.test_client().open(address, method=method, headers=headers)

    return send


def addresses(app, run):
    """(endpoint, method, address) of everything that can be asked about the owner's things."""
    build = app.url_map.bind("localhost").build
    for rule in app.url_map.iter_rules():
        if rule.endpoint in OPEN_TO_ALL | SIGN_IN or rule.rule.startswith("/ops"):
            continue
        for values in variations(rule.arguments, run):
            for method, asked in itertools.product(sorted(rule.methods - {"HEAD", "OPTIONS"}), ASKED):
                address = build(rule.endpoint, values)
                yield rule.endpoint, method, f"{address}?q={asked}&feed=products&shop={OWNER}&check=1"


def variations(arguments, run):
    known = {
        "feed": ["products", "customers"],
        "name": ["products", "customers"],
        "record_id": [PRODUCT, CUSTOMER],
        "run_id": [run],
    }
    missing = arguments - set(known)
    assert not missing, f"a new kind of address: say here what stands for {missing}"
    names = sorted(arguments)
    return [dict(zip(names, chosen, strict=True)) for chosen in itertools.product(*(known[name] for name in names))]


def test_a_stranger_finds_nothing_at_any_address(app, owned, ask):
    told = [
        (endpoint, method, mark)
        for endpoint, method, address in addresses(app, owned)
        for mark in leaks(ask(STRANGER, method, address), address)
    ]
    assert told == []


def test_the_owner_finds_it_at_most_of_them(app, owned, ask):
    """Or the test above would pass without looking."""
    seen = {
        endpoint
        for endpoint, method, address in addresses(app, owned)
        if method == "GET" and leaks(ask(OWNER, method, address))
    }
    blind = {endpoint for endpoint, _, _ in addresses(app, owned)} - seen
    assert blind <= CHANGES_ONLY | {
        "api.list_feeds",
        "api.show_feed",
        "api.show_settings",
        "api.show_activity",
        "api.customer_history",
    }


def test_every_statement_of_a_merchants_request_is_sent_behind_the_second_wall(app, owned, ask):
    """See adapters/wall.py. Only an install, which makes the shop, is done outside of it."""
    entered = Counter()

    def look(db, _cursor, statement, *_):
        entered[db.get_execution_options().get("shop", f"no shop: {statement}")] += 1

    engine = app.extensions["office"].db
    event.listen(engine, "before_cursor_execute", look)
    try:
        answered = {endpoint for endpoint, method, address in addresses(app, owned) if ask(OWNER, method, address)}
    finally:
        event.remove(engine, "before_cursor_execute", look)

    assert set(entered) == {OWNER}
    assert entered[OWNER] > 2 * len(answered)


def test_no_request_that_a_merchant_is_answered_ends_with_a_rollback(app, owned, ask):
    """At one, psycopg forgets what it has prepared: see `database.of_shop`."""
    rolled_back = []
    engine = app.extensions["office"].db
    note = rolled_back.append
    event.listen(engine, "rollback", note)
    try:
        for endpoint, method, address in addresses(app, owned):
            rolled_back.clear()
            assert ask(OWNER, method, address).status_code >= 400 or not rolled_back, endpoint
    finally:
        event.remove(engine, "rollback", note)


# Addresses that only take orders.
CHANGES_ONLY = {
    *("api.refresh", "api.fetch_product", "api.fetch_customer", "api.change_settings", "feeds.refresh"),
    *("lookup.ask_again", "lookup.check", "settings.save", "settings.send_test"),
}


def leaks(answer, address=""):
    """Marks in what was answered, but for those that merely repeat the question."""
    return marks(answer.get_data(as_text=True), address)


def marks(told, asked):
    return [mark for mark in MARKS if mark in told and mark not in asked]


@pytest.fixture
def what_owner_has(database):
    def count():
        with database.connect() as db:
            return {
                table: db.execute(
                    text(f"SELECT count(*), max(t.*::text) FROM {table} t WHERE shop = :s"), {"s": OWNER}
                ).all()
                for table in ("deliveries", "runs", "products", "customers", "issues", "feeds")
            }

    return count


def test_what_a_stranger_orders_happens_to_nobody_else(app, owned, ask, what_owner_has):
    before = what_owner_has()
    for _, method, address in addresses(app, owned):
        if method != "GET":
            ask(STRANGER, method, address)
    assert what_owner_has() == before


def test_without_a_token_every_address_is_closed(app, owned):
    client = app.test_client()
    answers = {(e, m): client.open(a, method=m).status_code for e, m, a in addresses(app, owned)}
    assert set(answers.values()) == {401}


# Commands are the operator's, who may see every shop. Whoever names one is told of no other.
OF_NO_SHOP = {
    *("migrate", "retention", "shops list", "keys rotate", "secrets check", "ops hash-password"),
    *("deliveries show", "runs confirm", "replays list", "replays show", "replays watch"),  # named by a number alone
    *("replays cancel", "replays resume"),
    *(f"issues {act}" for act in ("ack", "ignore", "reopen", "resolve", "show", "snooze")),  # failures, not a shop's
}
PLACES = {
    "shop": [STRANGER],
    "domain": [STRANGER],
    "query": ASKED,
    "feed": ["products", "customers"],
}
NEEDED = {  # what a command does not do without, or would wait for
    "shops add": ("--token", "shpat_0"),
    "redact": ("--customer", str(CUSTOMER)),
    "deliveries dismiss": ("--reason", "none"),
}


def commands(group, path=()):
    """(name, command) of everything that can be typed."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield " ".join((*path, name)), command


def typed(name, command, shop):
    """What is typed to ask this command about a shop, in all the ways there are."""
    parameters = {parameter.name: parameter for parameter in command.params}
    places = [p.name for p in command.params if isinstance(p, click.Argument)]
    missing = set(places) - set(PLACES)
    assert not missing, f"a new kind of argument: say in PLACES what stands for {missing}"
    known = PLACES | {"shop": [shop], "domain": [shop]}
    named = () if {"shop", "domain"} & set(places) else ("--shop", shop)
    for values in itertools.product(*(known[place] for place in places)):
        for also in [(), ("--resource", str(PRODUCT))] if "resource" in parameters else [()]:
            yield [*name.split(), *values, *named, *also, *NEEDED.get(name, ())]


@pytest.fixture
def told(app):
    """told(*words) → everything that a command has said."""

    def invoke(*words):
        with app.app_context():  # as the command `flask` does
            done = app.test_cli_runner().invoke(args=words)
        assert done.exception is None or isinstance(done.exception, SystemExit), (words, done.exception)
        return done.stdout + done.stderr

    return invoke


def test_each_command_is_about_a_shop_or_known_to_be_about_none(app):
    about = {name for name, command in commands(app.cli) if {"shop", "domain"} & {p.name for p in command.params}}

    assert about.isdisjoint(OF_NO_SHOP)
    assert about | OF_NO_SHOP >= {name for name, _ in commands(app.cli)} - {"run", "shell", "routes"}  # Flask's own


def test_no_command_tells_of_another_shop_than_the_named_one_or_changes_it(app, owned, told, what_owner_has):
    def told_of_owner(shop):
        return {
            name
            for name, command in commands(app.cli)
            if {"shop", "domain"} & {p.name for p in command.params}
            for words in typed(name, command, shop)
            for as_json in ([], ["--json"])
            if marks(told(*words, *as_json), " ".join(words))
        }

    before = what_owner_has()
    assert told_of_owner(STRANGER) == set()
    assert what_owner_has() == before
    assert told_of_owner(OWNER) >= {"lookup", "explain", "gaps", "runs list", "deliveries list"}


def test_whoever_is_shown_a_person_at_a_terminal_is_in_the_audit_without_the_words(owned, told, database):
    for words in (("lookup", "ada@biller.example"), ("explain", "Byron"), ("lookup", "MARK-1"), ("lookup", "nobody")):
        told(words[0], OWNER, words[1])

    with database.connect() as db:
        rows = db.execute(text("SELECT who, act, count, target FROM audit ORDER BY id")).all()
    assert [(row.act, row.count, row.target.partition(" ")[2]) for row in rows] == [
        ("customers looked up", 1, "customers by email"),
        ("customers looked up", 1, "customers by name"),
    ]
    assert all(row.who.startswith("cli:") for row in rows)
