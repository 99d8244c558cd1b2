"""What a merchant may set: how often feeds are compared, and whom to tell when a feed is not green."""

from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.execute(SETTINGS)
    op.execute(FEED_WATCH)


SETTINGS = """
ALTER TABLE shops
    ADD COLUMN reconcile_seconds integer,               -- null: as the environment says
    ADD COLUMN complete_run_seconds integer,            -- null: as the environment says
    ADD COLUMN rule_changed_at timestamptz,             -- when the tag or the ignored keys were last changed
    ADD COLUMN notify_mail bytea,                       -- sealed: it is a person's
    ADD COLUMN notify_url bytea,                        -- sealed: addresses of this kind carry secrets
    ADD COLUMN notify_after_minutes integer NOT NULL DEFAULT 30
"""

# One row for a feed that is not green. `told_at`: its merchant was told, and is told once more when it is green again.
FEED_WATCH = """
CREATE TABLE feed_watch (
    shop text NOT NULL REFERENCES shops ON DELETE CASCADE,
    feed text NOT NULL,
    since timestamptz NOT NULL DEFAULT now(),
    told_at timestamptz,
    PRIMARY KEY (shop, feed)
)
"""
