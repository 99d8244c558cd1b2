"""A shop's health: when it is looked at next, what is known of its access, and how often its webhooks usually come."""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    for statement in (HEALTH, HEARD, HEARD_UP_TO):
        op.execute(statement)


HEALTH = """
CREATE TABLE health (
    shop text PRIMARY KEY REFERENCES shops ON DELETE CASCADE,
    next_check_at timestamptz NOT NULL DEFAULT now(),
    leased_until timestamptz,
    checked_at timestamptz,
    shop_state text,                    -- at the last check: a change is looked at at once
    known jsonb NOT NULL DEFAULT '{}',  -- what Shopify last said: scopes, versions, flaws of the subscriptions
    judged_run bigint NOT NULL DEFAULT 0,
    failed_probes integer NOT NULL DEFAULT 0,
    open_until timestamptz              -- runs are held back; then one cheap query decides
)
"""

# Deliveries by hour: to know how long a shop is usually silent, without walking through its inbox each time.
HEARD = """
CREATE TABLE heard (
    shop text NOT NULL REFERENCES shops ON DELETE CASCADE,
    feed text NOT NULL,
    hour timestamptz NOT NULL,
    deliveries integer NOT NULL,
    last_at timestamptz NOT NULL,
    PRIMARY KEY (shop, feed, hour)
)
"""

HEARD_UP_TO = """
CREATE TABLE heard_up_to (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    delivery bigint NOT NULL
)
"""
