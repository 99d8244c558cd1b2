"""What a merchant's role cannot find by itself: ids, by indexes over expressions. See adapters/wall.py.

The wall itself is made by `raise_wall` at the end of each migration, for it has to be made again wherever a table is
new, a dump was loaded into a server without the role, or an administrator has made the role in the meantime.
"""

from alembic import op
from sqlalchemy import text

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    schema = op.get_bind().execute(text("SELECT quote_ident(current_schema())")).scalar_one()
    op.execute(IN_REACH)
    for name, takes, query in FINDERS:
        op.execute(FINDER.format(name=name, takes=takes, query=f"RETURN QUERY {query} LIMIT most", schema=schema))
    op.execute(FINDER.format(name="find_customers_by_words", takes="each bytea[]", query=BY_WORDS, schema=schema))


# The functions below work as their owner, but `role` stays what the transaction has put on.
IN_REACH = """
CREATE FUNCTION is_in_reach(of_shop text) RETURNS boolean LANGUAGE sql STABLE AS
$$ SELECT current_setting('role') <> 'data_sync_tenant' OR of_shop = current_setting('data_sync.shop', true) $$
"""

# Planned for the values at hand: a pattern is a range of an index only when it is known.
FINDER = """
CREATE FUNCTION {name}(of_shop text, {takes}, most integer) RETURNS SETOF bigint
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = {schema}, pg_temp SET plan_cache_mode = force_custom_plan AS
$$ BEGIN
    IF is_in_reach(of_shop) THEN {query}; END IF;
END $$
"""

LIVE = "removed_at IS NULL AND core IS NOT NULL"
FINDERS = (
    (
        "find_products_by_handle",
        "sought text",
        f"SELECT id FROM products WHERE shop = of_shop AND core ->> 'handle' = sought AND {LIVE} ORDER BY id",  # noqa: S608  # ours
    ),
    (
        "find_products_by_title",
        "pattern text",
        f"""SELECT id FROM products WHERE shop = of_shop AND lower(core ->> 'title') LIKE pattern AND {LIVE}
            ORDER BY lower(core ->> 'title'), id""",  # noqa: S608  # a constant of ours
    ),
    (
        "find_removed_products",
        "known_by jsonb",
        """SELECT id FROM products WHERE shop = of_shop AND removed_at IS NOT NULL AND core @> known_by
           ORDER BY removed_at DESC""",
    ),
    (
        "find_customers_by_company",
        "pattern text",
        "SELECT id FROM customers WHERE shop = of_shop AND lower(company_name) LIKE pattern ORDER BY id",
    ),
)

# Each row of `each` holds what one word may be indexed as.
# Found first and ordered afterwards: asked for the first ids, Postgres may walk through all of the shop's customers.
BY_WORDS = """
    RETURN QUERY EXECUTE 'WITH found AS MATERIALIZED (SELECT id FROM customers WHERE shop = $1 AND state = ''member'''
        || (SELECT string_agg(format(' AND word_indexes && $2[%1$s:%1$s]', n), '')
            FROM generate_subscripts(each, 1) AS n)
        || ') SELECT id FROM found ORDER BY id LIMIT $3' USING of_shop, each, most
"""
