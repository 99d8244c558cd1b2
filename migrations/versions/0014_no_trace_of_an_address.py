"""The scope of a clash of addresses is a blind index of the address: nothing of it outlives who had it."""

from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    op.execute("UPDATE issues SET scope = 'record' WHERE resolved_at IS NOT NULL AND scope LIKE 'email:%'")
