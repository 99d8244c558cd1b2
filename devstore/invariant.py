"""What must hold once everything has come to rest, whatever happened before: for tests, the demo and the bench.

Both sides are looked at from outside: the store by its truth and its ledger, the app by its lookup and its tables.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any, Protocol

import psycopg

from devstore.demo_compare import CORE, TOMBSTONE, Difference, Excuses, Resource, differences, expected, unknowable

Body = dict[str, Any]
Mirror = Callable[[Collection[Resource]], Mapping[Resource, Body]]
Db = psycopg.Connection[tuple[Any, ...]]
COMPLIANCE = ("customers/data_request", "customers/redact", "shop/redact")


class Store(Protocol):
    """As much of `devstore.client.Devstore` as is asked."""

    def ledger(self) -> list[Body]: ...

    def truth(self, shop: str) -> Body: ...


def breaches(
    store: Store,
    database_url: str,
    mirror: Mirror,
    shops: Iterable[str],
    *,
    imported: Collection[Resource] = (),
    excused: Excuses | None = None,
) -> list[str]:
    """Each breach as a plain sentence; none means that these hold:

    the mirror of `shops` equals the store, nothing that exists is removed; every 200 has exactly one delivery; every
    closed delivery has exactly one outcome; nothing is left of whom the app was asked to forget.

    `mirror` answers as `GET /api/v1/{feed}?q=gid` does. `imported` is what the shops had at their first import, and
    `excused` what cannot be known yet (`demo_compare.unhearable`, while no run has been).
    """
    ledger = store.ledger()
    with psycopg.connect(plain(database_url)) as db:
        forgotten = redacted(db)
        truth = {shop: store.truth(shop) for shop in shops}
        at_any_moment = breaches_at_any_moment(db, truth, ledger)
        persons = list(_take_out(truth, forgotten))
        answers = mirror(expected(truth))
        # Read after the mirror was asked, which may take seconds: a tombstone may go in between.
        unsaid = unknowable(truth, ledger, imported) | _kept_long_enough(db) | dict(excused or {})
        return [
            *at_any_moment,
            *(_told(one) for one in differences(truth, answers, unsaid)),
            *_still_known(forgotten, mirror(forgotten)),
            *_traces_of_words(db, persons),
            *_traces_of_shops(db),
        ]


def breaches_at_any_moment(db: Db, truth: Mapping[str, Body], ledger: Collection[Body]) -> list[str]:
    """Of the same, what holds however much is still under way. `truth` is the devstore's, by shop."""
    return [
        *_not_stored(db, ledger),
        *_without_one_outcome(db),
        *_witnessed(db, truth),
        *_traces_of_customers(db, redacted(db)),
    ]


def plain(database_url: str) -> str:
    """As psycopg reads it."""
    return database_url.replace("postgresql+psycopg://", "postgresql://")


def _told(difference: Difference) -> str:
    if difference.facet == CORE and difference.store == "here":
        return f"{difference.resource} exists in the store and is {difference.mirror} in the mirror."
    return f"{difference}."


def _not_stored(db: Db, ledger: Iterable[Body]) -> Iterator[str]:
    """Of each delivery that was answered with a 200. What a shop's redaction has erased is not missed, nor is it known
    when it comes again: that is stored once more.
    """
    rows = db.execute(f"SELECT shop, webhook_id, count(*) FROM {_all_deliveries(db)} AS d GROUP BY 1, 2")  # noqa: S608  # ours
    stored = {(shop, webhook_id): count for shop, webhook_id, count in rows}
    erased = _erased_shops(db)
    for entry in ledger:
        answered = any(attempt["status"] == 200 for attempt in entry["attempts"])
        count = stored.get((entry["shop"], entry["webhook_id"]), 0)
        if answered and count != 1 and entry["shop"] not in erased:
            what = f"{entry['shop']}, {entry['topic']} {entry['webhook_id']}"
            yield f"{what} was answered 200 and is stored {count} times."


def _erased_shops(db: Db) -> set[str]:
    statement = f"""SELECT DISTINCT shop FROM {_all_deliveries(db)} AS d
                    WHERE topic = 'shop/redact' AND outcome = 'applied'"""  # noqa: S608  # ours
    return {shop for (shop,) in db.execute(statement)}


def _all_deliveries(db: Db) -> str:
    """With those that were kept long enough and are gone, where a witness knows of them."""
    if not _has_witness(db):
        return "deliveries"
    names = "id, shop, webhook_id, topic, resource_id, outcome, closed_at"
    return f"(SELECT {names} FROM deliveries UNION ALL SELECT {names} FROM witnessed_departures)"  # noqa: S608  # ours


def _kept_long_enough(db: Db) -> dict[tuple[Resource, str], str]:
    """What was removed, and whose tombstone is gone by now: nobody can know any more that it has been."""
    if not _has_witness(db):
        return {}
    rows = db.execute("SELECT DISTINCT shop, feed, id FROM witnessed_farewells")
    return {(Resource(*row), TOMBSTONE): "its tombstone was kept long enough" for row in rows}


def _without_one_outcome(db: Db) -> Iterator[str]:
    rows = db.execute("""SELECT id, state, outcome FROM deliveries
                         WHERE (state = 'closed') <> (outcome IS NOT NULL)
                            OR (state = 'closed') <> (closed_at IS NOT NULL)""")
    for delivery, state, outcome in rows:
        yield f"Delivery {delivery} is {state} with the outcome {outcome}."


def install_witness(database_url: str) -> None:
    """From now on the database itself writes down each closing and reopening of a delivery, each removal of a product,
    and what retention deletes: a second outcome, or a removal that was undone, would leave no other trace.
    """
    with psycopg.connect(plain(database_url)) as db:
        db.execute(_WITNESS)


_WITNESS = """
CREATE TABLE witnessed_closings (delivery bigint, step smallint, number bigserial);
CREATE TABLE witnessed_removals (shop text, id bigint);
CREATE TABLE witnessed_departures AS
    SELECT id, shop, webhook_id, topic, resource_id, outcome, closed_at FROM deliveries WITH NO DATA;
CREATE TABLE witnessed_farewells (shop text, feed text, id bigint);
CREATE FUNCTION witness_closing() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO witnessed_closings VALUES (NEW.id, CASE WHEN NEW.state = 'closed' THEN 1 ELSE -1 END);
    RETURN NEW;
END$$;
CREATE FUNCTION witness_removal() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO witnessed_removals VALUES (NEW.shop, NEW.id);
    RETURN NEW;
END$$;
CREATE FUNCTION witness_departure() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO witnessed_departures
    VALUES (OLD.id, OLD.shop, OLD.webhook_id, OLD.topic, OLD.resource_id, OLD.outcome, OLD.closed_at);
    RETURN NULL;
END$$;
CREATE FUNCTION witness_farewell() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO witnessed_farewells VALUES (OLD.shop, TG_TABLE_NAME, OLD.id);
    RETURN NULL;
END$$;
CREATE TRIGGER witness_departure AFTER DELETE ON deliveries FOR EACH ROW EXECUTE FUNCTION witness_departure();
CREATE TRIGGER witness_farewell AFTER DELETE ON products FOR EACH ROW
    WHEN (OLD.removed_at IS NOT NULL) EXECUTE FUNCTION witness_farewell();
CREATE TRIGGER witness_farewell AFTER DELETE ON customers FOR EACH ROW
    WHEN (OLD.state <> 'member') EXECUTE FUNCTION witness_farewell();
CREATE TRIGGER witness_closing AFTER UPDATE ON deliveries FOR EACH ROW
    WHEN (OLD.closed_at IS DISTINCT FROM NEW.closed_at) EXECUTE FUNCTION witness_closing();
CREATE TRIGGER witness_removal AFTER UPDATE ON products FOR EACH ROW
    WHEN (OLD.removed_at IS NULL AND NEW.removed_at IS NOT NULL) EXECUTE FUNCTION witness_removal();
"""


def _has_witness(db: Db) -> bool:
    return db.execute("SELECT to_regclass('witnessed_closings')").fetchone() != (None,)


def _witnessed(db: Db, truth: Mapping[str, Body]) -> Iterator[str]:
    if not _has_witness(db):
        return
    for delivery, times in db.execute(
        "SELECT delivery, sum(step) FROM witnessed_closings GROUP BY 1 HAVING sum(step) > 1"
    ):
        yield f"Delivery {delivery} was closed {times} times."
    for shop, number in db.execute("SELECT DISTINCT shop, id FROM witnessed_removals"):
        if shop in truth and any(product["id"] == number for product in truth[shop]["products"]):
            yield f"{Resource(shop, 'products', number)} exists in the store and had been removed from the mirror."


# Whom the app was asked to forget.


def redacted(db: Db) -> set[Resource]:
    """Customers whose redaction has been done. A shop's own forgets that, too: who is here then has come anew."""
    deliveries = _all_deliveries(db)
    statement = f"""SELECT DISTINCT shop, resource_id FROM {deliveries} AS d
                    WHERE topic = 'customers/redact' AND outcome = 'applied' AND resource_id IS NOT NULL
                      AND NOT EXISTS (SELECT 1 FROM {deliveries} AS later
                                      WHERE later.shop = d.shop AND later.topic = 'shop/redact'
                                        AND later.outcome = 'applied'
                                        AND {_closing(db, "later")} > {_closing(db, "d")})"""  # noqa: S608  # ours
    return {Resource(shop, "customers", number) for shop, number in db.execute(statement)}


def _closing(db: Db, delivery: str) -> str:
    """What orders closings. Of one instant the witness knows which was first; the ids say which had come first."""
    nth = f"(SELECT max(number) FROM witnessed_closings WHERE delivery = {delivery}.id)"  # noqa: S608  # ours
    return f"({delivery}.closed_at, {nth if _has_witness(db) else f'{delivery}.id'})"


def _take_out(truth: Mapping[str, Body], forgotten: Collection[Resource]) -> Iterator[Body]:
    """Shopify may know them still; the mirror must not. They are yielded."""
    for shop, store in truth.items():
        known = store["customers"]
        store["customers"] = [one for one in known if Resource(shop, "customers", one["id"]) not in forgotten]
        gone = store["deleted"]["customers"]
        store["deleted"]["customers"] = [n for n in gone if Resource(shop, "customers", n) not in forgotten]
        yield from (one for one in known if Resource(shop, "customers", one["id"]) in forgotten)


def _still_known(forgotten: Collection[Resource], answers: Mapping[Resource, Body]) -> Iterator[str]:
    for one in sorted(forgotten):
        if answers[one]["results"]:
            yield f"{one} was to be forgotten and can be looked up."


# A mark without anything personal stays, so that no later delivery brings the person back.
_TRACES = {
    "a record": """SELECT 1 FROM customers WHERE shop = %s AND id = %s AND NOT (redacted AND state = 'removed')""",
    "an issue": "SELECT 1 FROM issues WHERE shop = %s AND feed = 'customers' AND resource_id = %s",
    "a body": """SELECT 1 FROM deliveries
                 WHERE shop = %s AND feed = 'customers' AND resource_id = %s AND body IS NOT NULL""",
}


def _traces_of_customers(db: Db, forgotten: Iterable[Resource]) -> Iterator[str]:
    for one in sorted(forgotten):
        for what, statement in _TRACES.items():
            if db.execute(statement, (one.shop, one.id)).fetchone():
                yield f"{one} was to be forgotten and has left {what}."


def _traces_of_words(db: Db, persons: Iterable[Body]) -> Iterator[str]:
    """Mail addresses and telephone numbers, which are one person's alone, in any table."""
    words = {word.lower(): one["id"] for one in persons for word in (one["email"], one["phone"]) if word}
    if not words:
        return
    for table in _tables(db):
        query = f"SELECT DISTINCT word FROM {table} AS t, unnest(%s::text[]) AS word"  # noqa: S608  # the catalogue's names
        statement = f"{query} WHERE position(word in lower(t::text)) > 0"
        for (word,) in db.execute(statement, (list(words),)):
            yield f"Customer {words[word]} was to be forgotten and can be read in the table {table}."


def _traces_of_shops(db: Db) -> Iterator[str]:
    """Domain, ids and times may survive in receipts, in the deliveries that asked for them, and in the marks of those
    who were to be forgotten later than their shop.
    """
    still_here = {shop for (shop,) in db.execute("SELECT domain FROM shops")}
    gone = [shop for shop in _erased_shops(db) if shop not in still_here]
    for table in _tables(db, having="shop"):
        marks = "AND NOT (redacted AND state = 'removed')" if table == "customers" else ""
        statement = f"SELECT shop, count(*) FROM {table} WHERE shop = ANY(%s) {marks} GROUP BY 1"  # noqa: S608  # as above
        if table not in ("receipts", "deliveries") and not table.startswith("witnessed_"):
            for shop, count in db.execute(statement, (gone,)):
                yield f"{shop} was to be forgotten and has left {count} rows in the table {table}."
    statement = """SELECT count(*) FROM deliveries
                   WHERE shop = ANY(%s) AND topic <> ALL(%s) AND body IS NOT NULL"""
    [(left,)] = db.execute(statement, (gone, list(COMPLIANCE)))
    if left:
        yield f"Of shops that were to be forgotten {left} bodies are left."


def _tables(db: Db, having: str | None = None) -> list[str]:
    rows = db.execute(
        """SELECT DISTINCT table_name FROM information_schema.columns JOIN information_schema.tables
                         USING (table_schema, table_name)
                         WHERE table_schema = 'public' AND table_type = 'BASE TABLE'
                           AND (%(having)s::text IS NULL OR column_name = %(having)s) ORDER BY 1""",
        {"having": having},
    )
    return [name for (name,) in rows]
