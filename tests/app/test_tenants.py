"""No shop ever sees another's: every address of the app, asked by the wrong shop for the right shop's things."""

import itertools
from collections import Counter
from datetime import UTC, datetime

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


# Addresses that only take orders.
CHANGES_ONLY = {
    *("api.refresh", "api.fetch_product", "api.fetch_customer", "api.change_settings", "feeds.refresh"),
    *("lookup.ask_again", "lookup.check", "settings.save", "settings.send_test"),
}


def leaks(answer, address=""):
    """Marks in what was answered, but for those that merely repeat the question."""
    told = answer.get_data(as_text=True)
    return [mark for mark in MARKS if mark in told and mark not in address]


def test_what_a_stranger_orders_happens_to_nobody_else(app, owned, ask, database):
    def of_owner():
        with database.connect() as db:
            return {
                table: db.execute(
                    text(f"SELECT count(*), max(t.*::text) FROM {table} t WHERE shop = :s"), {"s": OWNER}
                ).all()
                for table in ("deliveries", "runs", "products", "customers", "issues", "feeds")
            }

    before = of_owner()
    for _, method, address in addresses(app, owned):
        if method != "GET":
            ask(STRANGER, method, address)
    assert of_owner() == before


def test_without_a_token_every_address_is_closed(app, owned):
    client = app.test_client()
    answers = {(e, m): client.open(a, method=m).status_code for e, m, a in addresses(app, owned)}
    assert set(answers.values()) == {401}
