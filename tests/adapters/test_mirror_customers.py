from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from adapters import mirror_customers
from adapters.mirror_customers import Absence, Membership
from adapters.vault import Kind, Vault
from domain.records import Address, Customer, Metafield
from domain.versions import Version

SHOP = "northwind-trade.myshopify.com"
START = datetime(2026, 11, 20, 9, tzinfo=UTC)
AT_WORK = Address(6, "Ada", *[None] * 10, is_default=True)
ADA = Customer(
    id=5,
    email="ada@corner.example",
    first_name="Ada",
    last_name="Quillfeather",
    phone="+44 20 7946 0018",
    state="enabled",
    tax_exempt=False,
    tags=("b2b",),
    updated_at=START,
    addresses=(replace(AT_WORK, company="Corner Shop Ltd"),),
    metafields=(),
)


def at(second, seen=0):
    return Version(START + timedelta(seconds=second), START + timedelta(seconds=seen))


@pytest.fixture
def vault():
    return Vault([Fernet.generate_key().decode()])


@pytest.fixture
def db(database):
    with database.begin() as connection:
        yield connection


@pytest.fixture
def write(db, vault):
    def one(version, customer=ADA):
        mirror_customers.write(db, vault, SHOP, [Membership(customer, version, "fetch", "tag", "b2b")])
        return mirror_customers.load(db, vault, SHOP, [customer.id])[customer.id]

    return one


@pytest.fixture
def leave(db, vault):
    def one(version, state="removed"):
        mirror_customers.leave(db, SHOP, [Absence(ADA.id, version, state, "Not imported.")])
        return mirror_customers.load(db, vault, SHOP, [ADA.id])[ADA.id]

    return one


def row(db):
    return dict(db.execute(text("SELECT * FROM customers")).mappings().one())


def test_a_member_comes_back_as_they_were(write):
    member = write(at(1))

    assert (member.state, member.customer, member.rule, member.matched) == ("member", ADA, "tag", "b2b")


def test_nothing_personal_can_be_read_from_the_row(db, write):
    write(at(1))

    readable = " ".join(str(bytes(value) if isinstance(value, memoryview) else value) for value in row(db).values())
    for words in ("Quillfeather", "ada@corner.example", "7946"):
        assert words not in readable
    assert row(db)["company_name"] == "Corner Shop Ltd"


def test_an_older_state_changes_nothing(write):
    write(at(2, 5))

    assert write(at(2, 4), replace(ADA, first_name="Old")).customer.first_name == "Ada"


def test_an_equal_version_is_written_again(write):
    write(at(2, 5))

    assert write(at(2, 5), replace(ADA, first_name="Repaired")).customer.first_name == "Repaired"


def test_who_leaves_keeps_id_reason_and_time_alone(db, write, leave):
    write(at(1))
    assert leave(at(2)).state == "removed"

    kept = {name for name, value in row(db).items() if value not in (None, False)}
    assert kept == {"shop", "id", "state", "reason", "since", "at", "seen", "applied_at"}


def test_the_database_refuses_personal_data_of_those_who_are_not_here(db, write):
    write(at(1))

    with pytest.raises(IntegrityError), db.begin_nested():
        db.execute(text("UPDATE customers SET state = 'removed'"))


def test_a_late_removal_changes_nothing(write, leave):
    write(at(5))

    assert leave(at(4)).state == "member"


def test_since_when_somebody_is_here_or_not_is_kept_while_that_lasts(write, leave):
    first = write(at(1, 1)).since
    assert write(at(2, 2)).since == first
    gone = leave(at(3, 3), "not_eligible").since
    assert gone > first
    assert leave(at(4, 4), "not_eligible").since == gone


def test_what_is_held_tells_who_was_here(db, write, leave):
    leave(at(1), "not_eligible")
    assert not mirror_customers.hold(db, SHOP, [5])[5].was_here
    write(at(2))
    assert mirror_customers.hold(db, SHOP, [5])[5].was_here
    leave(at(3))

    held = mirror_customers.hold(db, SHOP, [5])[5]
    assert (held.state, held.was_here, held.held.removed, held.held.version) == ("removed", True, True, at(3))


def test_a_redacted_customer_is_never_written_again(db, write, leave):
    leave(at(1))
    db.execute(text("UPDATE customers SET redacted = true"))

    assert write(at(9)).customer is None
    assert leave(at(9), "not_eligible").state == "removed"


def test_a_renewal_moves_the_version_alone(db, write):
    write(at(1))
    before = row(db)["record"]

    mirror_customers.renew(db, SHOP, {5: (at(4, 5), "run")})

    assert mirror_customers.hold(db, SHOP, [5])[5].held.version == at(4, 5)
    assert (row(db)["record"], row(db)["source"]) == (before, "run")


def test_the_fingerprint_tells_changed_records_and_no_more(vault):
    same = mirror_customers.fingerprint(vault, SHOP, ADA)

    assert mirror_customers.fingerprint(vault, SHOP, replace(ADA)) == same
    assert mirror_customers.fingerprint(vault, SHOP, replace(ADA, phone=None)) != same
    assert mirror_customers.fingerprint(vault, "other.myshopify.com", ADA) != same
    assert mirror_customers.fingerprint(Vault([Fernet.generate_key().decode()]), SHOP, ADA) != same


def test_holders_of_an_address_are_members_in_the_order_of_their_ids(db, vault, write):
    write(at(1), replace(ADA, id=9))
    write(at(1), replace(ADA, id=7, email=" ADA@Corner.example"))
    write(at(1), replace(ADA, id=8, email="bo@corner.example"))
    index = vault.index(SHOP, Kind.EMAIL, "ada@corner.example")

    assert mirror_customers.holders_of_email(db, SHOP, {index, b"?"}) == {index: [7, 9], b"?": []}


@pytest.mark.parametrize(
    ("metafields", "company", "expected"),
    [
        ([Metafield("company_name", "Trade Depot")], "Corner Shop Ltd", "Trade Depot"),
        ([], "Corner Shop Ltd", "Corner Shop Ltd"),
        ([Metafield("company_name", "  ")], None, None),
        ([], None, None),
    ],
)
def test_the_companys_name(metafields, company, expected):
    customer = replace(ADA, metafields=tuple(metafields), addresses=(replace(AT_WORK, company=company),))

    assert mirror_customers.company_name(customer) == expected


def test_members_are_counted_and_others_are_not(db, write, leave):
    leave(at(1), "not_eligible")
    assert mirror_customers.count(db, SHOP) == 0
    write(at(2))
    assert mirror_customers.count(db, SHOP) == 1
