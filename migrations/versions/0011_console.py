"""The console's: what each attempt said, failures in groups, replays as acts with a name, and who did what."""

from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    for statement in (ATTEMPTS, FAILURES, REPLAYS, AUDIT, DELIVERIES, RUNS):
        op.execute(statement)


# `outcome`: how it had closed before a replay opened it again; null for an attempt that failed.
ATTEMPTS = """
CREATE TABLE attempts (
    delivery bigint NOT NULL REFERENCES deliveries ON DELETE CASCADE,
    n integer,                      -- counted from when it was last opened; null for an outcome
    at timestamptz NOT NULL DEFAULT now(),
    outcome text,
    error_class text,
    sentence text NOT NULL,
    worker text,
    version text
);
CREATE INDEX attempts_of_delivery ON attempts (delivery, at DESC);
"""

FAILURES = """
CREATE TABLE failures (
    fingerprint text PRIMARY KEY,
    topic text NOT NULL,
    sentence text NOT NULL,         -- what they have in common, never a value of a body
    state text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'acknowledged', 'resolved', 'ignored', 'snoozed')),
    snoozed_until timestamptz,
    owner text,
    note text,
    events bigint NOT NULL DEFAULT 0,
    first_seen timestamptz NOT NULL DEFAULT now(),
    last_seen timestamptz NOT NULL DEFAULT now(),
    changed_at timestamptz NOT NULL DEFAULT now()
)
"""

REPLAYS = """
CREATE TABLE replays (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key text NOT NULL UNIQUE,       -- a button pressed twice is one replay
    name text NOT NULL,
    who text NOT NULL,
    why text NOT NULL,
    chosen jsonb NOT NULL,          -- the filter, its times absolute
    refreshed boolean NOT NULL,     -- Shopify is asked, instead of applying what was sent
    state text NOT NULL DEFAULT 'running' CHECK (state IN ('running', 'cancelled', 'stopped', 'finished')),
    reason text,
    upto bigint NOT NULL,           -- what arrived later is not in it
    place bigint NOT NULL,          -- up to here it has opened what it found
    total integer NOT NULL,
    opened integer NOT NULL DEFAULT 0,
    passed_over integer NOT NULL DEFAULT 0,     -- dead, and today's rules still find no id in their bodies
    forgiven_closed integer NOT NULL DEFAULT 0, -- what had come of it when somebody let it go on
    forgiven_dead integer NOT NULL DEFAULT 0,
    outcomes jsonb,                 -- what came of it, written down when it has finished
    next_step_at timestamptz NOT NULL DEFAULT now(),
    started_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz
);
CREATE INDEX replays_due ON replays (next_step_at) WHERE state = 'running';
CREATE UNIQUE INDEX replays_one_at_a_time ON replays (md5(chosen::text)) WHERE state = 'running' AND place < upto;
"""

AUDIT = """
CREATE TABLE audit (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT now(),
    who text NOT NULL,
    act text NOT NULL,
    why text,
    chosen jsonb,
    count bigint,
    target text
)
"""

# They cost the front door nothing, for what it inserts has not failed; BRIN keeps one entry for many pages.
DELIVERIES = """
ALTER TABLE deliveries
    ADD COLUMN fingerprint text,    -- the group of failures it belongs to, or belonged to until it was applied
    ADD COLUMN replay bigint;       -- the last one that opened it
CREATE INDEX deliveries_unfiled ON deliveries (id)
    WHERE fingerprint IS NULL AND (outcome = 'dead' OR (outcome IS NULL AND attempts >= 3));
CREATE INDEX deliveries_of_failure ON deliveries (fingerprint, id) INCLUDE (outcome) WHERE fingerprint IS NOT NULL;
CREATE INDEX deliveries_failing ON deliveries (fingerprint, shop) INCLUDE (outcome)
    WHERE fingerprint IS NOT NULL AND (outcome = 'dead' OR outcome IS NULL);
CREATE INDEX deliveries_of_replay ON deliveries (replay, id) WHERE replay IS NOT NULL;
CREATE INDEX deliveries_of_replay_by_outcome ON deliveries (replay, outcome) WHERE replay IS NOT NULL;
CREATE INDEX deliveries_dead_by_id ON deliveries (id) WHERE outcome = 'dead';
CREATE INDEX deliveries_received ON deliveries USING brin (received_at) WITH (pages_per_range = 32);
"""

RUNS = "CREATE INDEX runs_held ON runs (shop, feed, id) WHERE state = 'held'"
