"""What a merchant may set: kept sealed where it is private, and taking effect in one transaction."""

from datetime import timedelta

import pytest
from sqlalchemy import text

from adapters import runs, shop_settings, shops
from adapters.shop_settings import ShopSettings
from adapters.vault import Vault

WISHES = ShopSettings(
    tag="wholesale",
    ignored_keys=frozenset({"authentication", "group"}),
    reconcile_seconds=300,
    complete_run_seconds=7_200,
    notify_mail="ops@northwind.example",
    notify_url="https://hooks.example/secret-path",
    notify_after_minutes=15,
)


@pytest.fixture
def vault():
    from cryptography.fernet import Fernet

    return Vault([Fernet.generate_key().decode()])


@pytest.fixture
def installed(database, vault, shop, token):
    with database.begin() as db:
        shops.add(db, vault, shop, token)
        runs.open_feeds(db, shop)
    return shop


@pytest.fixture
def change(database, vault, installed):
    def make(wishes, who="42"):
        with database.begin() as db:
            return shop_settings.change(db, vault, installed, wishes, who)

    return make


@pytest.fixture
def ask(database):
    def make(statement, **values):
        with database.connect() as db:
            return [tuple(row) for row in db.execute(text(statement), values)]

    return make


def test_a_new_shop_has_everybodys_settings(database, vault, installed):
    with database.connect() as db:
        assert shop_settings.read(db, vault, installed) == ShopSettings()


def test_what_was_set_is_read_again(database, vault, installed, change):
    change(WISHES)

    with database.connect() as db:
        assert shop_settings.read(db, vault, installed) == WISHES
        rule = shops.rule(db, installed)
    assert (rule.tag, rule.ignored_keys) == ("wholesale", {"authentication", "group"})


def test_addresses_lie_sealed_and_are_never_printed(change, ask):
    change(WISHES)

    assert ask("SELECT 1 FROM shops WHERE shops::text LIKE '%northwind.example%' OR shops::text LIKE '%hooks%'") == []
    assert "northwind" not in repr(WISHES)
    assert "hooks" not in repr(WISHES)


def test_another_rule_starts_a_complete_run_by_name_that_begins_after_the_change(change, ask):
    assert change(WISHES)

    ((trigger, who, complete, late_enough),) = ask(
        """SELECT trigger, who, complete, started_at >= rule_changed_at
           FROM runs JOIN shops ON domain = shop WHERE feed = 'customers'"""
    )
    assert (trigger, who, complete, late_enough) == ("refresh", "42", True, True)


@pytest.mark.parametrize("wishes", [ShopSettings(tag=" B2B"), ShopSettings(notify_mail="a@b.example")])
def test_what_lets_nobody_else_in_starts_nothing(change, ask, wishes):
    assert not change(wishes)

    assert ask("SELECT id FROM runs") == []
    assert ask("SELECT rule_changed_at FROM shops") == [(None,)]


def test_a_shop_without_a_token_reads_its_customers_as_soon_as_it_has_one(change, ask, database, installed):
    with database.begin() as db:
        db.execute(text("UPDATE shops SET state = 'needs_auth'"))
        db.execute(text("UPDATE feeds SET last_complete_at = now(), next_complete_at = now() + interval '1 hour'"))

    assert change(WISHES)
    assert ask("SELECT id FROM runs") == []

    with database.begin() as db:
        db.execute(text("UPDATE shops SET state = 'active'"))
        due = runs.take_due(db, 600, 3_600)
    assert {one["feed"]: one["complete"] for one in due} == {"products": False, "customers": True}


def test_a_shops_own_intervals_rule_its_timetable(change, database, installed):
    with database.begin() as db:
        db.execute(text("UPDATE feeds SET last_complete_at = now(), next_complete_at = now()"))
    change(ShopSettings(reconcile_seconds=300, complete_run_seconds=7_200))

    with database.begin() as db:
        runs.take_due(db, 600, 3_600)
        row = runs.feed(db, installed, "products")
        now = db.execute(text("SELECT now()")).scalar_one()

    assert row["reconcile_seconds"] == 300
    assert timedelta(seconds=200) < row["next_run_at"] - now <= timedelta(seconds=300)
    assert row["next_complete_at"] - now == timedelta(seconds=7_200)


def test_a_shorter_interval_does_not_wait_for_the_longer_one_to_end(change, ask, database):
    with database.begin() as db:
        db.execute(text("UPDATE feeds SET next_run_at = now() + interval '1 day', last_complete_at = now()"))

    change(ShopSettings(reconcile_seconds=60))

    assert ask("SELECT max(next_run_at) <= now() + interval '1 minute' FROM feeds") == [(True,)]


def test_why_members_belong_is_counted(database, installed):
    with database.begin() as db:
        for number, rule, matched in ((1, "tag", "b2b"), (2, "tag", "B2B"), (3, "metafield", "group")):
            db.execute(
                text("""INSERT INTO customers (shop, id, state, since, at, seen, rule, matched)
                        VALUES (:shop, :id, 'member', now(), now(), now(), :rule, :matched)"""),
                {"shop": installed, "id": number, "rule": rule, "matched": matched},
            )
        assert shop_settings.grounds(db, installed) == [("tag", "", 2), ("metafield", "group", 1)]
