"""The second wall between shops: Postgres itself keeps a merchant's request to the one shop that it has proven.

The first wall is that every statement is bound to a shop. This one stands where such a binding was forgotten:

1. A role that can log in nowhere and may do only what the merchants' pages and API do (`RIGHTS`).
2. On every table that has a shop, a policy for this role: it sees and writes rows of the shop that was entered.
3. `enter_shop(domain)`, the first statement of each transaction of an engine that `database.of_shop` made. It puts on
   the role and names the shop until the transaction ends, so that no pooled connection carries either over.

Turns, runs, the console, the command line and the front door serve all shops. They work as the tables' owner, whom no
policy concerns, and pay nothing for it.

Postgres checks a policy before any condition that could tell about a row, so the role cannot use an index over an
expression like `lower(title)`. What needs one is found by the functions of migration 0015: these keep to the shop by
themselves and give nothing but ids, whose rows the role then has to read.
https://www.postgresql.org/docs/current/rules-privileges.html
"""

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

ROLE = "data_sync_tenant"

# A table that is not here, or has no shop, is none of a merchant's business.
RIGHTS = {
    "shops": "SELECT, UPDATE",  # settings, and a token that is renewed while Shopify is asked
    "feeds": "SELECT, UPDATE",
    "products": "SELECT",
    "variants": "SELECT",
    "customers": "SELECT",
    "issues": "SELECT",
    "gaps": "SELECT",
    "runs": "SELECT, INSERT, UPDATE",  # Refresh
    "deliveries": "SELECT, INSERT",  # Resync
    "notices": "SELECT, INSERT",  # "Send a test"
    "activity": "SELECT",
}


def raise_wall(db: Connection) -> None:
    """Make what is missing of it, after the migrations; safe to repeat. Each table is locked for a moment, one by one.

    Where the migrating user may make no role, or may not put it on, `enter_shop` only names the shop: everything goes
    on behind the first wall alone, and `flask doctor` says what an administrator has to do.
    """
    with db.begin():
        stands = _role_is_there(db)
        tables = unprotected(db)
    for table, column in tables.items() if stands else ():
        with db.begin():
            for statement in _PROTECT:
                db.execute(text(statement.format(table=table, column=column, role=ROLE)))
    with db.begin():
        for table, rights in RIGHTS.items() if stands else ():
            db.execute(text(f"GRANT {rights} ON {table} TO {ROLE}"))
        db.execute(text(_ENTER.format(role=f"set_config('role', '{ROLE}', true), " if stands else "")))


def _role_is_there(db: Connection) -> bool:
    """Roles belong to all databases of a server: another one's migration may have made it, or make it right now."""
    if not _may_be_put_on(db):
        _unless_refused(db, f"CREATE ROLE {ROLE} NOLOGIN")
        _unless_refused(db, f"GRANT {ROLE} TO CURRENT_USER{_with_nothing_inherited(db)}")
    return _may_be_put_on(db)


def _may_be_put_on(db: Connection) -> bool:
    """A role that somebody gave more to than we did would be no wall."""
    statement = text("""
        SELECT count(*) FROM pg_roles
        WHERE rolname = :role AND NOT rolsuper AND NOT rolbypassrls AND pg_has_role(oid, :how)
    """)
    how = "SET" if _version(db) >= 160_000 else "MEMBER"
    return bool(db.execute(statement, {"role": ROLE, "how": how}).scalar_one())


def _with_nothing_inherited(db: Connection) -> str:
    """Before 16 nobody can be a member without it. It gives the owner of everything nothing."""
    return " WITH INHERIT FALSE, SET TRUE" if _version(db) >= 160_000 else ""


def _version(db: Connection) -> int:
    return int(db.execute(text("SHOW server_version_num")).scalar_one())


_FORBIDDEN, _THERE_ALREADY, _MADE_AT_ONCE, _NOT_THERE = "42501", "42710", "23505", "42704"


def _unless_refused(db: Connection, statement: str) -> None:
    try:
        with db.begin_nested():
            db.execute(text(statement))
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) not in (_FORBIDDEN, _THERE_ALREADY, _MADE_AT_ONCE, _NOT_THERE):
            raise


# The first policy lets in whoever has rights, as if there were none; the second takes from this role alone.
_PROTECT = (
    "DROP POLICY IF EXISTS anybody ON {table}",
    "DROP POLICY IF EXISTS own_shop ON {table}",
    "CREATE POLICY anybody ON {table} USING (true)",
    """CREATE POLICY own_shop ON {table} AS RESTRICTIVE TO {role}
       USING ({column} = current_setting('data_sync.shop', true))""",
    "ALTER TABLE {table} ENABLE ROW LEVEL SECURITY",
)

_ENTER = """
CREATE OR REPLACE FUNCTION enter_shop(domain text) RETURNS void LANGUAGE sql AS
$$ SELECT {role}set_config('data_sync.shop', domain, true) $$
"""

_UNPROTECTED = text("""
    SELECT c.relname AS table, a.attname AS column
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
    WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p')
      AND (a.attname = 'shop' OR (c.relname = 'shops' AND a.attname = 'domain'))
      AND NOT (c.relrowsecurity AND EXISTS (
          SELECT FROM pg_policy p
          WHERE p.polrelid = c.oid AND p.polname = 'own_shop' AND NOT p.polpermissive AND p.polcmd = '*'))
    ORDER BY 1
""")


def unprotected(db: Connection) -> dict[str, str]:
    """Tables that have a shop and no policy, each with the column that names the shop."""
    return {row.table: row.column for row in db.execute(_UNPROTECTED)}


def is_put_on(db: Connection) -> bool:
    """Whether this transaction, of an engine that `database.of_shop` made, works under the role."""
    return bool(db.execute(text("SELECT current_user = :role"), {"role": ROLE}).scalar_one())
