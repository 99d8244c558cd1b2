"""How far activity was counted for good, and what makes counting cheap: deliveries and issues by when they ended."""

from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    for statement in (COUNTED, CLOSED, RESOLVED):
        op.execute(statement)


# Everything before `hour` is counted for good; no delivery before `delivery` was received later.
COUNTED = """
CREATE TABLE activity_counted (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    hour timestamptz NOT NULL,
    delivery bigint NOT NULL
)
"""

# Of the closed alone: the front door, which inserts waiting rows, pays nothing for it.
CLOSED = "CREATE INDEX deliveries_closed ON deliveries (closed_at) WHERE closed_at IS NOT NULL"

RESOLVED = "CREATE INDEX issues_resolved ON issues (shop, feed, resolved_at) WHERE resolved_at IS NOT NULL"
