"""What a scrape reads instead of counting, and which alerts are on."""

from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    for statement in (STOCK, GAPS, ALERTS, OPERATOR):
        op.execute(statement)


STOCK = """
CREATE TABLE stock (
    name text NOT NULL,
    labels text[] NOT NULL DEFAULT '{}',
    value double precision NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (name, labels)
)
"""

GAPS = "CREATE INDEX gaps_by_time ON gaps (repaired_at)"

# One row for an alert and a way to tell it. It outlives the trouble: whoever comes back within the hour waits its turn.
ALERTS = """
CREATE TABLE alerts (
    name text NOT NULL,
    channel text NOT NULL CHECK (channel IN ('mail', 'url')),
    firing boolean NOT NULL,
    sentence text NOT NULL,
    since timestamptz NOT NULL DEFAULT now(),
    told_at timestamptz,
    resolved_at timestamptz,            -- when its end was told
    next_attempt_at timestamptz NOT NULL DEFAULT now(),
    attempts integer NOT NULL DEFAULT 0,
    trouble text,                       -- why the last attempt failed
    PRIMARY KEY (name, channel)
)
"""

# `flask redact` orders by itself what Shopify orders by a compliance topic. NOT VALID: no row has to be read.
OPERATOR = """
ALTER TABLE deliveries
    DROP CONSTRAINT deliveries_source_check,
    ADD CONSTRAINT deliveries_source_check
        CHECK (source IN ('webhook', 'run', 'fetch', 'replay', 'operator')) NOT VALID
"""
