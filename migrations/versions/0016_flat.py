"""What was counted or searched row by row goes by an index, so that it costs the same however much there is."""

from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    for statement in (TITLES, RUNS, ACTIVITY, CHECKED, NEWS, FAILING, DUE):
        op.execute(statement)


# Titles in the order of their index (`~<~`): of ten thousand that begin alike, as many are read as are shown.
TITLES = """
DO $$ BEGIN
    EXECUTE replace(pg_get_functiondef('find_products_by_title'::regproc),
                    'ORDER BY lower(core ->> ''title''), id', 'ORDER BY lower(core ->> ''title'') USING ~<~, id');
END $$
"""

# Of thirteen thousand runs that a feed has in ninety days, the few that failed. A run that ends well writes no entry.
RUNS = "CREATE INDEX runs_failed ON runs (shop, feed, id) WHERE state = 'failed'"

# The console's first page asks about two days out of four hundred, of all shops.
ACTIVITY = "CREATE INDEX activity_died ON activity (hour) WHERE dead > 0"

# Whose check is due: one statement for all reasons read each shop for each check, so that ten times the shops cost a
# hundred times as much. The state at the last check stands beside the state, that an index may compare them;
# as a column, for of two that are compared the planner supposes that they differ.
# `health.shop_state` is not written any more; processes of an older release may still be running while this is.
CHECKED = """
ALTER TABLE shops ADD COLUMN checked_state text;
UPDATE shops SET checked_state = health.shop_state FROM health WHERE health.shop = shops.domain;
ALTER TABLE shops ADD COLUMN is_news boolean NOT NULL
    GENERATED ALWAYS AS (state <> 'uninstalled' AND state IS DISTINCT FROM checked_state) STORED
"""
NEWS = "CREATE INDEX shops_news ON shops (domain) WHERE is_news"
FAILING = "CREATE INDEX feeds_failing ON feeds (shop) WHERE failing_because IS NOT NULL"
DUE = "CREATE INDEX health_due ON health (next_check_at)"
