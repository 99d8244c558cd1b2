"""How often a failure has happened in this hour and in the one before: whether it grows or is over."""

from alembic import op

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    op.execute(FAILURES)


FAILURES = """
ALTER TABLE failures
    ADD COLUMN hour timestamptz,            -- the last one it happened in
    ADD COLUMN this_hour bigint NOT NULL DEFAULT 0,
    ADD COLUMN hour_before bigint NOT NULL DEFAULT 0
"""
