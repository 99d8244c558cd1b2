"""A key is replaced while everything goes on: afterwards the old one can be removed, and nothing was lost to it."""

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import reduce

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import text

from adapters import database as databases
from adapters import email_clashes, issue_log, lookup, mirror_customers, rotation, sealed, shop_settings, shops
from adapters.mirror_customers import Membership
from adapters.rotation import Keys, Standing
from adapters.shop_settings import ShopSettings
from adapters.tokens import Grant
from adapters.vault import Vault, WrongKeys
from domain.records import Customer
from domain.versions import Version

SHOP, OTHER = "northwind-trade.myshopify.com", "contoso-outdoor.myshopify.com"
NOW = datetime.now(UTC)
OLD, NEW = Fernet.generate_key().decode(), Fernet.generate_key().decode()
NOTHING = dict.fromkeys(Customer.__dataclass_fields__)
ADA = Customer(
    **NOTHING
    | {"id": 5, "email": "ada@corner.example", "phone": "+44 20 7946 0018"}
    | {"first_name": "Ada", "last_name": "Quillfeather", "tags": ("b2b",), "addresses": (), "metafields": ()}
)
BO = replace(ADA, id=6, first_name="Bo", email="bo@corner.example", phone=None)


@pytest.fixture
def before(database):
    """Two shops and their customers, everything sealed under the old key."""
    house = House(database, Vault([OLD]))
    house.grant(SHOP)
    house.grant(OTHER)
    house.write(SHOP, ADA, BO)
    house.write(OTHER, ADA)
    return house


class House:
    def __init__(self, engine, vault):
        self.engine = engine
        self.vault = vault

    def grant(self, domain, **changes):
        granted = Grant("access", NOW + timedelta(hours=1), "refresh", NOW + timedelta(days=60), frozenset(), NOW)
        wishes = ShopSettings(notify_mail="ops@corner.example", notify_url="https://corner.example/hook")
        with self.engine.begin() as db:
            shops.grant(db, self.vault, domain, replace(granted, **changes))
            shop_settings.change(db, self.vault, domain, wishes)

    def write(self, shop, *customers, vault=None):
        """As a turn does: the mirror, then who shares an address."""
        used = vault or self.vault
        with self.engine.begin() as db:
            databases.sole_writer(db, shop, "customers")
            members = [Membership(c, Version.moment(datetime.now(UTC)), "fetch", "tag", "b2b") for c in customers]
            mirror_customers.write(db, used, shop, members)
            indexes = {mirror_customers.indexes_of(used, shop, c)["email_index"] for c in customers}
            email_clashes.renew(db, shop, indexes - {None})

    def rows(self, statement, **values):
        with self.engine.begin() as db:
            answer = db.execute(text(statement), values)
            return [dict(row) for row in answer.mappings()] if answer.returns_rows else None

    def found(self, vault, field, value, shop=SHOP):
        with self.engine.connect() as db:
            return [i for i, _ in lookup.customers_by(db, vault, shop, field, value)]

    def clashes(self, customer, shop=SHOP):
        with self.engine.connect() as db:
            return [issue["code"] for issue in issue_log.open_of(db, shop, "customers", [customer])[customer]]


def rotate(engine, sleep=lambda _seconds: None):
    return sum(step.sealed_again for step in rotation.rotate(engine, Keys([NEW, OLD]), sleep))


def standing(engine, *keys):
    tried = Keys(keys or [NEW, OLD])
    return reduce(Standing.__add__, rotation.standing(engine, tried), tried.standing_of([]))


def test_once_rotated_the_old_key_is_not_needed_for_anything(before):
    assert rotate(before.engine) == 2 * 4 + 3

    alone = Vault([NEW])
    assert before.found(alone, "email", "Ada@Corner.example") == [5]
    assert before.found(alone, "name", "quillfeather ada") == [5]
    assert before.found(alone, "phone", "+442079460018") == [5]
    assert before.found(alone, "email", "ada@corner.example", OTHER) == [5]
    with before.engine.connect() as db:
        assert mirror_customers.load(db, alone, SHOP, [5])[5].customer == ADA
        shop = shops.find(db, alone, SHOP)
        settings = shop_settings.read(db, alone, SHOP)
    assert (shop.token, settings.notify_mail) == ("access", "ops@corner.example")
    assert settings.notify_url == "https://corner.example/hook"
    with before.engine.begin() as db:
        lease = shops.lease_refresh(db, alone, shop, 20)
    assert lease.refresh_token == "refresh"


def test_without_a_rotation_the_old_key_is_needed(before):
    """The test above would prove nothing else."""
    alone = Vault([NEW])

    assert before.found(alone, "email", ADA.email) == []
    with before.engine.connect() as db, pytest.raises(WrongKeys):
        shops.find(db, alone, SHOP)


def test_nothing_but_what_is_sealed_or_keyed_has_changed(before):
    def rest():
        keyed = "record", "record_hash", "email_index", "phone_index", "word_indexes"
        return [
            {name: value for name, value in row.items() if name not in keyed}
            for row in before.rows("SELECT * FROM customers ORDER BY shop, id")
        ]

    unchanged = rest()
    rotate(before.engine)

    assert rest() == unchanged


def test_what_a_turn_would_write_of_an_unchanged_customer_is_what_stands_there(before):
    """Else the next complete run would take every customer for changed, and call each a gap."""
    rotate(before.engine)

    with before.engine.connect() as db:
        held = mirror_customers.standing(db, SHOP, [5])[5]
    assert held.held.content == mirror_customers.fingerprint(Vault([NEW, OLD]), SHOP, ADA)


def test_a_second_rotation_changes_no_byte(before):
    rotate(before.engine)
    once = before.rows("SELECT * FROM customers ORDER BY shop, id"), before.rows("SELECT * FROM shops ORDER BY domain")

    assert rotate(before.engine) == 0
    assert once == (
        before.rows("SELECT * FROM customers ORDER BY shop, id"),
        before.rows("SELECT * FROM shops ORDER BY domain"),
    )


def test_one_that_is_broken_off_is_finished_by_the_next(before):
    before.write(SHOP, *(replace(BO, id=n, email=f"{n}@corner.example") for n in range(100, 350)))
    broken_off = rotation.rotate(before.engine, Keys([NEW, OLD]))
    next(broken_off)  # the shops
    next(broken_off)  # a page of customers
    broken_off.close()
    assert 0 < standing(before.engine).under_older_keys < 253

    rotate(before.engine)

    assert standing(before.engine) == Standing((2 * 4 + 253, 0))
    assert before.found(Vault([NEW]), "email", "349@corner.example") == [349]


def test_every_value_is_counted_under_its_key(before):
    before.write(SHOP, replace(ADA, id=7, email=None), vault=Vault([NEW, OLD]))

    assert standing(before.engine) == Standing((1, 11))
    assert standing(before.engine, NEW) == Standing((1,), unreadable=11)
    with before.engine.connect() as db:
        sampled = sealed.opened_by(db, [NEW, OLD])
    assert [key.opens for key in sampled.keys] == [1, 11]


def test_what_no_key_opens_is_left_as_it_is_and_stops_nothing(before):
    """Its key may yet be found."""
    lost = Fernet(Fernet.generate_key()).encrypt(b"lost")
    before.rows("UPDATE customers SET record = :lost WHERE id = 6", lost=lost)

    rotate(before.engine)

    assert bytes(before.rows("SELECT record FROM customers WHERE id = 6")[0]["record"]) == lost
    assert standing(before.engine) == Standing((10, 0), unreadable=1)


def test_a_refresh_token_in_use_is_passed_over_until_its_successor_is_stored(before):
    """Sealed again in between, the new pair would find no row to be stored in."""
    vault = Vault([NEW, OLD])
    with before.engine.begin() as db:
        shop = shops.find(db, vault, SHOP)
        lease = shops.lease_refresh(db, vault, shop, 20)
    waits = []

    def answered(seconds):
        waits.append(seconds)
        with before.engine.begin() as db:
            granted = Grant("access 2", NOW + timedelta(hours=1), "refresh 2", None, frozenset(), NOW)
            assert shops.renew(db, vault, lease, granted)

    rotate(before.engine, answered)

    assert len(waits) == 1
    assert standing(before.engine).under_older_keys == 0
    with before.engine.begin() as db:
        shop = shops.find(db, Vault([NEW]), SHOP)
        assert (shop.token, shops.lease_refresh(db, Vault([NEW]), shop, 20).refresh_token) == ("access 2", "refresh 2")


def test_the_refresh_token_of_a_process_that_died_is_sealed_again_when_its_lease_is_over(before):
    with before.engine.begin() as db:
        shops.lease_refresh(db, before.vault, shops.find(db, before.vault, SHOP), 20)

    rotate(before.engine, lambda _: before.rows("UPDATE shops SET refresh_leased_until = now() - interval '1 s'"))

    assert standing(before.engine).under_older_keys == 0


def test_two_who_share_an_address_are_still_flagged_and_since_as_long_ago(before):
    before.write(SHOP, replace(BO, email=ADA.email))
    first_seen = before.rows("SELECT resource_id, first_seen FROM issues ORDER BY 1")
    assert before.clashes(5) == before.clashes(6) == ["EMAIL_DUPLICATE"]

    rotate(before.engine)

    assert before.clashes(5) == before.clashes(6) == ["EMAIL_DUPLICATE"]
    assert before.rows("SELECT resource_id, first_seen FROM issues ORDER BY 1") == first_seen
    before.write(SHOP, BO, vault=Vault([NEW]))  # and the clash still ends, on both sides
    with before.engine.begin() as db:
        index = mirror_customers.indexes_of(Vault([NEW]), SHOP, ADA)["email_index"]
        email_clashes.renew(db, SHOP, {index})
    assert before.clashes(5) == before.clashes(6) == []


def test_two_who_came_to_share_an_address_under_different_keys_are_found_by_the_rotation(before):
    before.write(SHOP, replace(BO, email=ADA.email), vault=Vault([NEW, OLD]))
    assert before.clashes(5) == []

    rotate(before.engine)

    assert before.clashes(5) == before.clashes(6) == ["EMAIL_DUPLICATE"]


def test_not_even_a_clash_of_the_past_names_an_address_under_the_old_key(before):
    before.write(SHOP, replace(BO, email=ADA.email))
    before.rows("UPDATE issues SET resolved_at = now()")
    shared = mirror_customers.indexes_of(before.vault, SHOP, ADA)["email_index"]

    rotate(before.engine)

    assert shared.hex() not in str(before.rows("SELECT scope FROM issues"))


def test_a_customer_written_while_it_goes_on_keeps_what_was_written(before):
    """The rotation waits for the turn that holds the feed, and then sees what it wrote."""
    newer = replace(ADA, first_name="Adele", email="adele@corner.example")
    vault = Vault([OLD])  # a process that has not been restarted yet
    turn = before.engine.connect()
    with turn.begin():
        databases.sole_writer(turn, SHOP, "customers")
        held = Membership(newer, Version.moment(datetime.now(UTC)), "fetch", "tag", "b2b")
        mirror_customers.write(turn, vault, SHOP, [held])
        thread = threading.Thread(target=rotate, args=(before.engine,))
        thread.start()
        blocked = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        deadline = datetime.now(UTC) + timedelta(seconds=20)
        while not before.rows(blocked)[0]["count"]:
            assert datetime.now(UTC) < deadline
    thread.join()
    turn.close()

    alone = Vault([NEW])
    assert before.found(alone, "email", "adele@corner.example") == [5]
    assert before.found(alone, "email", "ada@corner.example") == []
    with before.engine.connect() as db:
        assert mirror_customers.load(db, alone, SHOP, [5])[5].customer == newer


def test_two_rotations_at_once_end_like_one(before):
    threads = [threading.Thread(target=rotate, args=(before.engine,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert standing(before.engine) == Standing((11, 0))
    assert before.found(Vault([NEW]), "name", "bo") == [6]


def test_nobody_who_left_or_was_redacted_comes_back(before):
    before.rows(
        """UPDATE customers SET state = 'removed', record = NULL, record_hash = NULL, email_index = NULL,
           phone_index = NULL, word_indexes = NULL, company_name = NULL, redacted = true WHERE id = 6"""
    )

    rotate(before.engine)

    (row,) = before.rows("SELECT * FROM customers WHERE id = 6")
    assert (row["state"], row["record"], row["email_index"], row["redacted"]) == ("removed", None, None, True)
