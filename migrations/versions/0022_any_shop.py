"""Plans are made for any shop, not for those that Postgres happens to have counted.

A shop that is not in the statistics, as after its first import until the next ANALYZE, is taken for one with a single
row. Every index that begins with the shop then looks as good as the right one: a lookup by SKU read all of the shop's
variants, and so did each turn that rewrote some. Without statistics of that column every shop is taken for a two
hundredth of the table, and what follows the shop in an index decides, as it should.
"""

from alembic import op

revision = "0022"
down_revision = "0021"


def upgrade() -> None:
    op.execute(UNCOUNTED)
    op.execute(BY_WORDS_ALONE)


UNCOUNTED = """
DO $$
DECLARE
    counted record;
BEGIN
    FOR counted IN
        SELECT c.relname::text AS name FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'shop'
        WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r'
    LOOP
        EXECUTE format('ALTER TABLE %I ALTER COLUMN shop SET STATISTICS 0', counted.name);
        IF to_regproc('pg_clear_attribute_stats') IS NOT NULL THEN  -- before Postgres 18 the last count stays
            EXECUTE 'SELECT pg_clear_attribute_stats($1, $2, ''shop'', false)'
                USING current_schema()::text, counted.name;
        END IF;
    END LOOP;
END $$
"""

# A word's index has the shop in it (adapters/vault.py), so the shop is left to be looked at afterwards: taken for one
# of few customers, its own index would be read from end to end.
BY_WORDS_ALONE = """
DO $$ BEGIN
    EXECUTE replace(replace(pg_get_functiondef('find_customers_by_words'::regproc),
        '(SELECT id FROM customers WHERE shop = $1 AND state = ''''member''''',
        '(SELECT id, shop, state FROM customers WHERE true'),
        'SELECT id FROM found ORDER BY', 'SELECT id FROM found WHERE shop = $1 AND state = ''''member'''' ORDER BY');
END $$
"""
