"""`flask keys rotate`: after it the old key is taken out of the environment, and everything is as before."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import text

from adapters import access, mirror_customers, shops
from adapters.mirror_customers import Membership
from adapters.tokens import TokenEndpoint
from adapters.vault import Vault
from domain.records import Customer
from domain.versions import Version

SHOP = "northwind-trade.myshopify.com"
NOW = datetime.now(UTC)
OLD, NEW = Fernet.generate_key().decode(), Fernet.generate_key().decode()
FINE, FINDINGS, USAGE, UNREACHABLE = 0, 1, 2, 3
ADA = Customer(
    **dict.fromkeys(Customer.__dataclass_fields__)
    | {"id": 5, "email": "ada@corner.example", "phone": "+44 20 7946 0018"}
    | {"first_name": "Ada", "last_name": "Quillfeather", "tags": ("b2b",), "addresses": (), "metafields": ()}
)


@pytest.fixture
def run(build, devstore, redis):
    """run(keys, "keys", "rotate", …) → the command's end, in an environment with these keys."""

    def ask(keys, *words):
        app = build(ENCRYPTION_KEYS=",".join(keys), SHOPIFY_ADMIN_ORIGIN=devstore.url + "/{shop}")
        with app.app_context():
            done = app.test_cli_runner().invoke(args=list(words))
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return done

    return ask


@pytest.fixture
def told(run):
    """The same with --json: (exit status, the one document on stdout)."""

    def ask(keys, *words):
        done = run(keys, *words, "--json")
        return done.exit_code, json.loads(done.stdout)

    return ask


@pytest.fixture
def endpoint(devstore, full_environment):
    endpoint = TokenEndpoint(devstore.url + "/{shop}", full_environment["SHOPIFY_API_KEY"], "test-api-secret")
    yield endpoint
    endpoint.close()


@pytest.fixture
def sealed(database, devstore, endpoint):
    """A shop that merchants let in, with a customer, all sealed under the old key."""
    devstore.open_shop(SHOP)
    vault = Vault([OLD])
    with database.begin() as db:
        shops.grant(db, vault, SHOP, endpoint.exchange(SHOP, devstore.id_token(SHOP)))
        member = Membership(ADA, Version.moment(NOW), "fetch", "tag", "b2b")
        mirror_customers.write(db, vault, SHOP, [member])


def bytes_of(database):
    with database.connect() as db:
        return [tuple(row) for row in db.execute(text("SELECT token, record FROM shops, customers"))]


def audited(database):
    with database.connect() as db:
        return [tuple(row) for row in db.execute(text("SELECT act, count, why FROM audit"))]


@pytest.mark.parametrize("words", [(), ("--dry-run",)])
def test_unless_told_to_it_only_counts(told, database, sealed, words):
    before = bytes_of(database)

    status, answer = told([NEW, OLD], "keys", "rotate", *words)

    assert status == FINDINGS
    assert answer == {
        "keys": [{"place": 0, "opens": 0}, {"place": 1, "opens": 3}],
        "values": 3,
        "unreadable": 0,
        "sealed_again": 0,
    }
    assert (bytes_of(database), audited(database)) == (before, [])


def test_afterwards_the_old_key_is_removed_and_the_customer_is_found_by_email_name_and_phone(told, sealed):
    status, answer = told([NEW, OLD], "keys", "rotate", "--yes")

    assert (status, answer["sealed_again"]) == (FINE, 3)
    assert answer["keys"] == [{"place": 0, "opens": 3}, {"place": 1, "opens": 0}]
    for words in ("ada@corner.example", "Quillfeather", "+44 20 7946 0018"):
        status, found = told([NEW], "lookup", SHOP, words)
        assert [result["id"] for result in found["results"]] == [5], words
    assert told([NEW], "secrets", "check")[1]["unreadable"] == 0


def test_afterwards_a_token_is_refreshed_without_the_old_key(told, sealed, database, endpoint):
    told([NEW, OLD], "keys", "rotate", "--yes")
    alone, now = Vault([NEW]), datetime.now(UTC)
    with database.begin() as db:
        db.execute(text("UPDATE shops SET token_expires_at = now() - interval '1 minute'"))
        shop = shops.find(db, alone, SHOP)

    fresh = access.with_fresh_token(database, alone, endpoint, shop, now)

    assert fresh.token not in (None, shop.token)
    assert fresh.token_expires_at > now + timedelta(minutes=10)


def test_it_is_audited_with_its_reason_and_a_second_one_finds_nothing_to_do(told, sealed, database):
    told([NEW, OLD], "keys", "rotate", "--yes", "--reason", "A laptop was stolen.")

    status, answer = told([NEW, OLD], "keys", "rotate", "--yes")

    assert (status, answer["sealed_again"]) == (FINE, 0)
    assert audited(database) == [("encryption keys rotated", 3, "A laptop was stolen.")]


def test_with_a_key_missing_it_says_so_and_changes_nothing(told, run, sealed, database):
    before = bytes_of(database)

    status, answer = told([NEW], "keys", "rotate", "--yes")

    assert (status, answer["unreadable"]) == (FINDINGS, 3)
    assert bytes_of(database) == before
    assert "put back the key" in run([NEW], "keys", "rotate").stdout


def test_a_person_reads_what_to_do_next(run, sealed):
    assert "Add --yes" in run([NEW, OLD], "keys", "rotate").stdout

    done = run([NEW, OLD], "keys", "rotate", "--yes")

    assert "3 values were sealed again" in done.stdout
    assert "keep the first of ENCRYPTION_KEYS" in done.stdout


def test_neither_a_key_nor_what_it_sealed_is_ever_printed(run, sealed):
    said = [run([NEW, OLD], "keys", "rotate", *words) for words in ((), ("--yes",), ("--yes", "--json"))]

    for done in said:
        for secret in (NEW, OLD, "ada@corner.example", "Quillfeather", "gAAAA"):
            assert secret not in done.output


def test_customers_written_since_the_new_key_came_are_left_as_they_are(told, sealed, database):
    with database.begin() as db:
        member = Membership(replace(ADA, id=6, email=None), Version.moment(NOW), "fetch", "tag", "b2b")
        mirror_customers.write(db, Vault([NEW, OLD]), SHOP, [member])
        before = db.execute(text("SELECT record FROM customers WHERE id = 6")).scalar_one()

    assert told([NEW, OLD], "keys", "rotate", "--yes")[1]["sealed_again"] == 3

    with database.connect() as db:
        assert db.execute(text("SELECT record FROM customers WHERE id = 6")).scalar_one() == before
