"""A removed product is still found by what it was known by: the answer is "removed", not "never seen"."""

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.execute("CREATE INDEX products_removed ON products USING gin (core jsonb_path_ops) WHERE removed_at IS NOT NULL")
