"""What happened to each feed, hour by hour: for pictures of a month, long after the deliveries themselves are gone."""

from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.execute(ACTIVITY)


# `freshness`: applied deliveries by how long they took from Shopify's change to the mirror; see domain/activity.py.
ACTIVITY = """
CREATE TABLE activity (
    shop text NOT NULL REFERENCES shops ON DELETE CASCADE,
    feed text NOT NULL,
    hour timestamptz NOT NULL,
    arrived integer NOT NULL DEFAULT 0,
    applied integer NOT NULL DEFAULT 0,
    filtered integer NOT NULL DEFAULT 0,
    dead integer NOT NULL DEFAULT 0,
    repaired integer NOT NULL DEFAULT 0,
    freshness integer[] NOT NULL DEFAULT '{}',
    PRIMARY KEY (shop, feed, hour)
)
"""
