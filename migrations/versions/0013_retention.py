"""What is too old is found without reading what is not, and how far it has been deleted."""

from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    for statement in (SWEPT, RUNS, PRODUCTS, CUSTOMERS, DELIVERIES):
        op.execute(statement)


# `place`: where a walk through a table goes on, for a class that no index finds by age; null when it is at the end.
SWEPT = """
CREATE TABLE swept (
    class text PRIMARY KEY,
    removed bigint NOT NULL DEFAULT 0,
    at timestamptz NOT NULL DEFAULT now(),
    place jsonb,
    walked_at timestamptz
)
"""

# An entry a run, written when it ends.
RUNS = "CREATE INDEX runs_ended ON runs (finished_at) WHERE finished_at IS NOT NULL"

# Products that live pay nothing for it.
PRODUCTS = "CREATE INDEX products_gone ON products (removed_at) WHERE removed_at IS NOT NULL"

# By key and not by `seen`: each webhook about a customer who does not belong moves `seen`, and as long as no index
# holds it, that is an update within the page (HOT) which touches no index at all.
CUSTOMERS = "CREATE INDEX customers_absent ON customers (shop, id) WHERE state <> 'member'"

# Each row is inserted, updated once or twice, and deleted a month later. The default would let a fifth of the table be
# dead before anybody cleans up.
DELIVERIES = """
ALTER TABLE deliveries SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.05,
                            autovacuum_analyze_scale_factor = 0.02)
"""
