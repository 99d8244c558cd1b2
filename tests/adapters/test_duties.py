"""A duty is done once, however many clocks run."""

from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import text

from adapters import duties


def claim(engine, name="sweep", every=60):
    with engine.begin() as db:
        return duties.claim(db, name, every)


def test_a_duty_never_done_is_due(database):
    assert claim(database) is True


def test_a_claimed_duty_is_nobody_elses_until_it_is_due_again(database):
    claim(database)

    assert claim(database) is False
    with database.begin() as db:
        db.execute(text("UPDATE duties SET due_at = now()"))
    assert claim(database) is True
    assert claim(database) is False


def test_one_duty_says_nothing_about_another(database):
    claim(database, "sweep")

    assert claim(database, "purge") is True


def test_of_many_clocks_at_once_one_does_it(database):
    with ThreadPoolExecutor(8) as threads:
        claims = list(threads.map(lambda _: claim(database), range(8)))

    assert claims.count(True) == 1


def test_a_claim_that_was_rolled_back_was_none(database):
    with database.connect() as db:
        assert duties.claim(db, "sweep", 60) is True
        db.rollback()

    assert claim(database) is True


def test_what_was_claimed_rests_until_it_is_due_again(database):
    claim(database, "sweep", 60)
    claim(database, "purge", 0)

    with database.connect() as db:
        assert duties.resting(db) == {"sweep"}
