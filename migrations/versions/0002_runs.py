"""Runs, feeds and gaps: the mirror is proven right, and each miss of a webhook is told with its cause."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    for statement in (RUNS, SEEN, FEEDS, GAPS, DELIVERIES):
        op.execute(statement)


RUNS = """
CREATE TABLE runs (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    shop text NOT NULL,
    feed text NOT NULL CHECK (feed IN ('products', 'customers')),
    trigger text NOT NULL CHECK (trigger IN ('install', 'schedule', 'refresh', 'command')),
    who text,
    complete boolean NOT NULL,
    state text NOT NULL DEFAULT 'running' CHECK (state IN ('running', 'finished', 'failed', 'held')),
    reason text,
    seen integer NOT NULL DEFAULT 0,
    created integer NOT NULL DEFAULT 0,
    changed integer NOT NULL DEFAULT 0,
    unchanged integer NOT NULL DEFAULT 0,
    removed integer NOT NULL DEFAULT 0,
    rejected integer NOT NULL DEFAULT 0,
    expected integer,               -- how many records the shop says it has
    read_until timestamptz,         -- the newest updatedAt read: the next watermark
    place jsonb NOT NULL DEFAULT '{}',   -- where to go on after a crash: the phase, and its cursor
    attempts integer NOT NULL DEFAULT 0,
    next_step_at timestamptz NOT NULL DEFAULT now(),
    leased_until timestamptz,
    started_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz
);
CREATE UNIQUE INDEX runs_one_at_a_time ON runs (shop, feed) WHERE state = 'running';
CREATE INDEX runs_due ON runs (next_step_at) WHERE state = 'running';
CREATE INDEX runs_of_feed ON runs (shop, feed, id);
"""

SEEN = """
CREATE TABLE run_seen (
    run bigint NOT NULL REFERENCES runs ON DELETE CASCADE,
    resource_id bigint NOT NULL,
    PRIMARY KEY (run, resource_id)
)
"""

FEEDS = """
CREATE TABLE feeds (
    shop text NOT NULL,
    feed text NOT NULL CHECK (feed IN ('products', 'customers')),
    watermark timestamptz,
    expected integer,
    checked integer,                -- records the last complete run looked at
    last_import_at timestamptz,
    last_complete_at timestamptz,
    last_attempt_at timestamptz,
    failing_because text,           -- of the last run, if it failed
    next_run_at timestamptz NOT NULL DEFAULT now(),
    next_complete_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (shop, feed)
);
CREATE INDEX feeds_due ON feeds (next_run_at);
"""

GAPS = """
CREATE TABLE gaps (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    shop text NOT NULL,
    feed text NOT NULL,
    resource_id bigint NOT NULL,
    cause text NOT NULL CHECK (cause IN ('never_delivered', 'late', 'dead', 'wrongly_filtered', 'no_webhook',
                                         'other_run')),
    changed_at timestamptz,
    repaired_at timestamptz NOT NULL DEFAULT now(),
    run bigint NOT NULL
);
CREATE INDEX gaps_of_shop ON gaps (shop, repaired_at);
"""

DELIVERIES = """
ALTER TABLE deliveries ADD COLUMN run bigint;
CREATE INDEX deliveries_of_run ON deliveries (run) WHERE run IS NOT NULL AND state = 'waiting';
"""
