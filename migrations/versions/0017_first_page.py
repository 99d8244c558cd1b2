"""How many products there are is read from an index: the first page asks it each time it is opened."""

from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    for statement in (LIVE, *VISIBLE):
        op.execute(statement)


# Members have theirs since 0001. A change of a product writes an entry to each of its indexes anyway: title and handle
# lie in `core`.
LIVE = "CREATE INDEX products_live ON products (shop) WHERE removed_at IS NULL AND core IS NOT NULL"

# An index answers alone only for pages that a vacuum has seen since they were written. The default would let a fifth
# of the table change first.
VISIBLE = [
    f"ALTER TABLE {table} SET (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_insert_scale_factor = 0.05)"
    for table in ("products", "customers")
]
