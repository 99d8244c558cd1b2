"""Grounds with the same shop: a small one, one with ten times as much in it, and one where it has all that alone."""

import uuid
from contextlib import ExitStack, closing
from dataclasses import replace

import psycopg
import pytest
from sqlalchemy import text
from werkzeug.security import generate_password_hash

from bench import crowd
from bench.crowd import Amount

SMALL = Amount(shops=25, products=600, members=100, bystanders=1_000, deliveries=4_000, runs=80, hours=80, bodies=True)
LARGE = replace(SMALL, products=6_000, members=1_000, bystanders=10_000, deliveries=40_000, runs=800, hours=800)
API_SECRET = "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"
PASSWORD = generate_password_hash("secret", method="pbkdf2:sha256:1000")


@pytest.fixture
def grounds(create_database, environment, devstore, redis, until):
    """(small, large, alone), each with a database, a front door, a workshop and the shop `crowd.shop(0)`."""
    from tests.scale.deeds import SHOP

    devstore.move_app(secret=API_SECRET)
    devstore.open_shop(SHOP, token=crowd.TOKEN.decode(), products=30, customers=40, variants=3)
    devstore.settings(SHOP, index_lag=0, bucket=100_000, restore_rate=100_000)
    with ExitStack() as stack:
        small, large, alone = (
            stack.enter_context(closing(Ground(create_database, environment, devstore, redis, until, amount)))
            for amount in (SMALL, LARGE, replace(LARGE, shops=1))
        )
        alone.execute(_ONE_OTHER_SHOP, other=crowd.shop(1))
        alone.execute(_NO_VACUUM)
        yield small, large, alone


# The statistics say that every row is another shop's, where they say anything: as after a shop's first import, until
# ANALYZE comes by again, which may be long where there are many shops.
_ONE_OTHER_SHOP = """
    SELECT pg_restore_attribute_stats('schemaname', 'public', 'relname', relname::text, 'attname', 'shop',
        'inherited', false, 'null_frac', 0::real, 'n_distinct', 1::real,
        'most_common_vals', CAST(ARRAY[CAST(:other AS text)] AS text), 'most_common_freqs', ARRAY[1::real])
    FROM pg_stat_user_tables
    JOIN pg_attribute ON attrelid = relid AND attname = 'shop' AND attstattarget IS DISTINCT FROM 0
"""

# Else it comes by in some grounds and not in others.
_NO_AUTOVACUUM = """
    DO $$ DECLARE name regclass; BEGIN
        FOR name IN SELECT relid FROM pg_stat_user_tables LOOP
            EXECUTE format('ALTER TABLE %s SET (autovacuum_enabled = off)', name);
        END LOOP;
    END $$
"""

# What was written last is not marked while any snapshot is open that is older.
_NOT_MARKED = """
    SELECT count(*) FROM pg_class JOIN pg_stat_user_tables ON relid = oid WHERE relallvisible < relpages
"""

# Nor has VACUUM come by: that an index alone could answer counts for nothing.
_NO_VACUUM = """
    SELECT pg_restore_relation_stats('schemaname', 'public', 'relname', relname::text, 'relallvisible', 0)
    FROM pg_stat_user_tables
"""

_NO_STATISTICS = """
    SELECT pg_clear_attribute_stats('public', relname::text, attname::text, false)
    FROM pg_stat_user_tables JOIN pg_attribute ON attrelid = relid AND attnum > 0 AND NOT attisdropped
"""
_NO_COUNT = "SELECT pg_clear_relation_stats('public', relname::text) FROM pg_stat_user_tables"


def is_vacuumed(db):
    db.execute("VACUUM")
    return db.execute(_NOT_MARKED).fetchone() == (0,)


class Ground:
    """A database with a crowd in it, and everything that is done to it."""

    def __init__(self, create_database, environment, devstore, redis, until, amount):
        from adapters.database import migrate
        from app import build_app
        from settings import read_settings
        from workers.workshop import open_workshop

        self.amount, self.devstore, self.redis, self.until = amount, devstore, redis, until
        url = create_database(f"crowd_{uuid.uuid4().hex}")
        migrate(url)
        surroundings = environment | {
            "DATABASE_URL": url,
            "SHOPIFY_API_SECRET": API_SECRET,
            "SHOPIFY_ADMIN_ORIGIN": devstore.url + "/{shop}",
            "OPS_USERS": f"ada:operator:{PASSWORD}",
            "ALERT_URL": "http://127.0.0.1:9/alerts",
        }
        settings = read_settings(surroundings)
        self.app, self.workshop = build_app(settings), open_workshop(settings)
        with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as db:
            db.execute(_NO_AUTOVACUUM)
            crowd.fill(db, self.workshop.vault, amount)
            until(lambda: is_vacuumed(db))

    def post(self, topic, body, webhook_id=None):
        from devstore.courier import sign
        from tests.scale.deeds import SHOP, encode

        raw = encode(body)
        headers = {
            "Content-Type": "application/json",
            "X-Shopify-Topic": topic,
            "X-Shopify-Hmac-Sha256": sign(raw, API_SECRET),
            "X-Shopify-Shop-Domain": SHOP,
            "X-Shopify-Webhook-Id": webhook_id or str(uuid.uuid4()),
        }
        answer = self.app.test_client().post("/webhooks", data=raw, headers=headers)
        assert answer.status_code == 200, answer.text

    def get(self, path):
        self.ask("GET", path, 200)

    def ask(self, method, path, status):
        """As whoever may look there."""
        from tests.scale.deeds import SHOP, basic

        if path.startswith("/ops"):
            headers = {"Authorization": basic("ada", "secret"), "Accept": "text/html"}
        else:
            token = self.devstore.id_token(SHOP)
            headers = {"Authorization": f"Bearer {token}", "Accept": "text/html, application/json"}
        answer = self.app.test_client().open(path, method=method, headers=headers)
        assert answer.status_code == status, f"{path}: {answer.status_code} {answer.text[:500]}"

    def value(self, statement, **values):
        with self.workshop.db.connect() as db:
            return db.execute(text(statement), values).scalar()

    def execute(self, statement, **values):
        with self.workshop.db.begin() as db:
            db.execute(text(statement), values)

    def uncounted(self):
        """The same, and Postgres must guess how much of anything there is."""
        self.execute(_NO_STATISTICS)
        self.execute(_NO_COUNT)
        return self

    def close(self):
        office = self.app.extensions["office"]
        office.db.dispose()
        office.frontdesk._db.dispose()
        office.admin.close()
        office.tokens.close()
        self.workshop.db.dispose()
        self.workshop.admin.close()
        self.workshop.tokens.close()
