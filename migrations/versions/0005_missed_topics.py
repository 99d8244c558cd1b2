"""A gap names the topic that should have told, so that a subscription that loses more than others shows."""

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.execute("ALTER TABLE gaps ADD COLUMN topic text")
