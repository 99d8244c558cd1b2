"""Behind the statements that name a shop stands Postgres: where one is wrong, nothing of others is shown or taken."""

from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import event, text
from sqlalchemy.exc import DBAPIError

from adapters import lookup, shops, wall
from adapters.database import connect, is_current, migrate, of_shop
from app.office import keep_to, office
from domain.query import Candidate

OWN, OTHER = "northwind-trade.myshopify.com", "contoso-outdoor.myshopify.com"
SHOPLESS = {"alembic_version", "alerts", "audit", "duties", "failures", "replays", "stock", "swept"} | {
    # of one shop each, by the row they belong to
    *("attempts", "run_seen", "heard_up_to", "activity_counted"),
}

# A row of every table that has a shop. $ is the shop, # a number.
ROWS = {
    "shops": "(domain, state) VALUES ($, 'active')",
    "deliveries": "(shop, webhook_id, topic, source, lane, triggered_at) VALUES ($, 'a', 'x', 'run', 'live', now())",
    "products": """(shop, id, core, core_at, core_seen)
                   VALUES ($, #, '{"title": "Tin mug", "handle": "tin-mug"}', now(), now())""",
    "variants": "(shop, id, product_id, sku) VALUES ($, #, #, 'ABC-1')",
    "customers": """(shop, id, state, since, at, seen, company_name, word_indexes)
                    VALUES ($, #, 'member', now(), now(), now(), 'Northwind', ARRAY[decode('01', 'hex')])""",
    "issues": "(shop, feed, resource_id, code, path, scope, severity) VALUES ($, 'products', #, 'A', '', '', 'error')",
    "receipts": "(shop, topic, requested_at, counts) VALUES ($, 'shop/redact', now(), '{}')",
    "runs": "(shop, feed, trigger, complete) VALUES ($, 'products', 'refresh', true)",
    "feeds": "(shop, feed) VALUES ($, 'products')",
    "gaps": "(shop, feed, resource_id, cause, run) VALUES ($, 'products', #, 'late', 1)",
    "health": "(shop) VALUES ($)",
    "heard": "(shop, feed, hour, deliveries, last_at) VALUES ($, 'products', now(), 1, now())",
    "feed_watch": "(shop, feed) VALUES ($, 'products')",
    "activity": "(shop, feed, hour) VALUES ($, 'products', date_trunc('hour', now()))",
    "notices": "(shop, channel, told) VALUES ($, 'mail', '{}')",
}


def insert(table, shop, number, otherwise=""):
    row = ROWS[table].replace("$", f"'{shop}'").replace("#", str(number))
    return text(f"INSERT INTO {table} {row} {otherwise}".replace(":", "\\:"))


def column_of(table):
    return "domain" if table == "shops" else "shop"


@pytest.fixture
def stocked(database):
    """Every table has a row of each of two shops."""
    with database.begin() as db:
        for number, shop in enumerate((OWN, OTHER), start=1):
            for table in ROWS:
                db.execute(insert(table, shop, number, "ON CONFLICT DO NOTHING"))  # `app` has a shop of its own
    return database


@pytest.fixture
def with_all_rights(stocked):
    """A transaction of the own shop whose role may do everything everywhere: only the policies are left."""
    with stocked.connect() as db:
        db.execute(text(f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {wall.ROLE}"))
        db.execute(text("SELECT enter_shop(:shop)"), {"shop": OWN})
        yield db
        db.rollback()  # the rights as well


def test_every_table_is_known_here(database):
    """A new one: is there a shop in it, then say in ROWS what a row of it is; whose is it, if not?"""
    with database.connect() as db:
        names = db.execute(text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")).scalars()
        with_shop = db.execute(
            text(
                "SELECT table_name FROM information_schema.columns WHERE table_schema = 'public'"
                " AND (column_name = 'shop' OR (table_name = 'shops' AND column_name = 'domain'))"
            )
        ).scalars()
        assert set(with_shop) == set(ROWS)
        assert set(names) == set(ROWS) | SHOPLESS
        assert wall.unprotected(db) == {}


def test_a_statement_that_names_no_shop_sees_one(with_all_rights):
    seen = {
        table: with_all_rights.execute(text(f"SELECT {column_of(table)} FROM {table}")).scalars().all()
        for table in ROWS
    }

    assert seen == {table: [OWN] for table in ROWS}


def test_a_statement_that_names_no_shop_changes_one(with_all_rights):
    def count(statement):
        return {
            table: with_all_rights.execute(text(statement.format(table, column_of(table)))).rowcount for table in ROWS
        }

    assert count("UPDATE {0} SET {1} = {1}") == dict.fromkeys(ROWS, 1)
    assert count(f"DELETE FROM {{0}} WHERE {{1}} = '{OTHER}'") == dict.fromkeys(ROWS, 0)


@pytest.mark.parametrize("do", ["write", "give away"])
def test_nothing_is_written_for_another_shop_or_given_to_it(with_all_rights, do):
    another = "fabrikam-home.myshopify.com"
    for table in ROWS:
        give = text(f"UPDATE {table} SET {column_of(table)} = '{another}'")
        with pytest.raises(DBAPIError, match=f'row-level security policy .* "{table}"'), with_all_rights.begin_nested():
            with_all_rights.execute(insert(table, another, 3) if do == "write" else give)


@pytest.mark.parametrize("entering", [f"SET LOCAL ROLE {wall.ROLE}", "SELECT enter_shop('')"])
def test_whoever_puts_on_the_role_and_names_no_shop_sees_nothing(stocked, entering):
    with stocked.connect() as db:
        db.execute(text(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {wall.ROLE}"))
        db.execute(text(entering))
        assert {table for table in ROWS if db.execute(text(f"SELECT count(*) FROM {table}")).scalar()} == set()


def test_a_merchants_request_sees_one_shop_even_by_a_statement_that_forgot_it(app, stocked):
    with app.app_context():
        keep_to(OWN)
        with office().db.connect() as db:
            assert db.execute(text("SELECT shop, id FROM products")).all() == [(OWN, 1)]
            assert db.execute(text("SELECT domain FROM shops")).scalars().all() == [OWN]


def test_a_merchants_request_has_no_right_that_it_does_not_need(database):
    """Nothing is deleted, nothing without a shop is touched, no table is there that `RIGHTS` does not name."""
    rights = ["SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER"]
    with database.connect() as db:
        held = {
            table: ", ".join(right for right in rights if _may(db, table, right))
            for table in db.execute(text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")).scalars()
        }
        role = db.execute(text("SELECT * FROM pg_roles WHERE rolname = :role"), {"role": wall.ROLE}).mappings().one()

    assert {table: some for table, some in held.items() if some} == wall.RIGHTS
    assert set(wall.RIGHTS) <= set(ROWS)
    assert not any(role[f"rol{word}"] for word in ("super", "bypassrls", "canlogin", "createrole", "createdb"))


def _may(db, table, right):
    asked = text("SELECT has_table_privilege(:role, :table, :right)")
    return db.execute(asked, {"role": wall.ROLE, "table": table, "right": right}).scalar()


@pytest.fixture
def one_connection(stocked, database_url):
    engine = connect(database_url, pool=1)
    yield engine
    engine.dispose()


def standing(db):
    return db.execute(text("SELECT current_user, coalesce(current_setting('data_sync.shop', true), '')")).one()


@pytest.mark.parametrize("ending", ["commit", "roll back", "fail"])
def test_no_pooled_connection_carries_role_or_shop_over(one_connection, ending):
    with one_connection.connect() as db:
        before = standing(db)
    with one_connection.connect() as db:
        backend = db.execute(text("SELECT pg_backend_pid()")).scalar()
    own = of_shop(one_connection, OWN).connect()
    assert standing(own) == (wall.ROLE, OWN)
    if ending == "fail":
        with pytest.raises(DBAPIError):
            own.execute(text("SELECT 1/0"))
    elif ending == "commit":
        own.commit()
    own.close()

    with one_connection.connect() as db:
        assert db.execute(text("SELECT pg_backend_pid()")).scalar() == backend
        assert standing(db) == before
        assert db.execute(text("SELECT count(*) FROM products")).scalar() == 2
    with of_shop(one_connection, OTHER).connect() as db:
        assert db.execute(text("SELECT shop FROM products")).scalars().all() == [OTHER]
        db.commit()
        assert db.execute(text("SELECT shop FROM products")).scalars().all() == [OTHER]  # the next one enters as well


def test_it_costs_one_statement_a_transaction_and_others_none(one_connection):
    sent = []
    event.listen(one_connection, "before_cursor_execute", lambda *told: sent.append(told[2]))
    with of_shop(one_connection, OWN).begin() as db:
        db.execute(text("SELECT 1"))
        db.execute(text("SELECT 2"))
    with one_connection.begin() as db:
        db.execute(text("SELECT 3"))

    assert sent == ["SELECT enter_shop(%s)", "SELECT 1", "SELECT 2", "SELECT 3"]


FINDERS = {
    "handle": lambda db, vault, shop: lookup.products_by(db, shop, [Candidate("handle", "tin-mug")]),
    "title": lambda db, vault, shop: lookup.products_by(db, shop, [Candidate("title", "Tin")]),
    "removed": lambda db, vault, shop: lookup.removed_products_by(db, shop, [Candidate("handle", "gone")]),
    "company": lambda db, vault, shop: lookup.customers_by(db, vault, shop, "name", "northw"),
    "words": lambda db, vault, shop: db.execute(
        text("SELECT * FROM find_customers_by_words(:shop, CAST(:each AS bytea[]), 5)"),
        {"shop": shop, "each": [[b"\x01"], [b"\x01"]]},
    ).all(),
}


@pytest.mark.parametrize("name", FINDERS)
def test_what_finds_by_an_index_of_its_own_keeps_to_the_shop_as_well(app, stocked, name):
    vault = app.extensions["office"].vault
    with stocked.begin() as db:
        db.execute(
            text("""INSERT INTO products (shop, id, core, core_at, core_seen, removed_at)
                           SELECT domain, 9, '{"handle": "gone"}', now(), now(), now() FROM shops""")
        )
    with stocked.connect() as db:
        everybodys = [len(FINDERS[name](db, vault, shop)) for shop in (OWN, OTHER)]
    with of_shop(stocked, OWN).connect() as db:
        kept_to = [len(FINDERS[name](db, vault, shop)) for shop in (OWN, OTHER)]
    with stocked.connect() as db:
        db.execute(text(f"SET LOCAL ROLE {wall.ROLE}"))
        nobodys = [len(FINDERS[name](db, vault, shop)) for shop in (OWN, OTHER)]

    assert (everybodys, kept_to, nobodys) == ([1, 1], [1, 0], [0, 0])


@pytest.fixture
def plain_owner(postgres, create_database, database_url):
    """The URL of a database whose owner is neither a superuser nor may make roles, as a hosted Postgres has them."""
    create_database("hosted")
    with psycopg.connect(postgres.url, autocommit=True) as db:
        db.execute("CREATE ROLE hosted LOGIN")
        db.execute("ALTER DATABASE hosted OWNER TO hosted")
    at = urlsplit(postgres.url)
    yield f"postgresql+psycopg://hosted@{at.hostname}:{at.port}/hosted"
    with psycopg.connect(postgres.url, autocommit=True) as db:
        db.execute("DROP DATABASE hosted WITH (FORCE)")
        db.execute("DROP ROLE hosted")


def test_where_the_role_may_not_be_had_everything_goes_on_until_an_administrator_gives_it(plain_owner, postgres, app):
    migrate(plain_owner)
    engine = connect(plain_owner, pool=1)
    vault = app.extensions["office"].vault
    with engine.begin() as db:
        for shop in (OWN, OTHER):
            shops.add(db, vault, shop, "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")
    assert is_current(engine) is True
    with of_shop(engine, OWN).connect() as db:
        assert not wall.is_put_on(db)
        assert shops.find(db, vault, OWN).domain == OWN

    with psycopg.connect(postgres.url, autocommit=True) as db:
        db.execute(sql.SQL("GRANT {} TO hosted").format(sql.Identifier(wall.ROLE)))
    migrate(plain_owner)

    with of_shop(engine, OWN).connect() as db:
        assert wall.is_put_on(db)
        assert db.execute(text("SELECT domain FROM shops")).scalars().all() == [OWN]
    with engine.connect() as db:
        assert db.execute(text("SELECT count(*) FROM shops")).scalar() == 2  # the owner sees all, as before
        assert wall.unprotected(db) == {}
    engine.dispose()


def test_a_table_that_a_later_migration_makes_gets_its_policy_with_it(database, database_url):
    with database.begin() as db:
        db.execute(text("CREATE TABLE newcomers (shop text NOT NULL)"))
        assert wall.unprotected(db) == {"newcomers": "shop"}
    try:
        migrate(database_url)
        with database.connect() as db:
            assert wall.unprotected(db) == {}
    finally:
        with database.begin() as db:
            db.execute(text("DROP TABLE newcomers"))
