"""The inbox, the shops, the mirror and its issues. Forward only; every key begins with the shop."""

from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    for statement in (SHOPS, DELIVERIES, PRODUCTS, VARIANTS, CUSTOMERS, ISSUES, RECEIPTS, DUTIES):
        op.execute(statement)


SHOPS = """
CREATE TABLE shops (
    domain text PRIMARY KEY,
    state text NOT NULL CHECK (state IN ('active', 'needs_auth', 'uninstalled')),
    token bytea,                    -- sealed; null when none is known or the last one died
    installed_at timestamptz NOT NULL DEFAULT now(),
    uninstalled_at timestamptz,
    needs_auth_since timestamptz,
    next_probe_at timestamptz,      -- a dead token is tried again rarely: it may have been a mistake
    b2b_tag text NOT NULL DEFAULT 'b2b',
    ignored_keys text[] NOT NULL DEFAULT '{}'
)
"""

DELIVERIES = """
CREATE TABLE deliveries (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    shop text NOT NULL,
    webhook_id text NOT NULL,
    event_id text,
    topic text NOT NULL,
    api_version text,
    feed text,
    resource_id bigint,
    source text NOT NULL CHECK (source IN ('webhook', 'run', 'fetch', 'replay')),
    lane text NOT NULL CHECK (lane IN ('live', 'bulk')),
    state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'closed')),
    outcome text CHECK (outcome IN ('applied', 'unchanged', 'superseded', 'filtered', 'deleted', 'dead')),
    reason text,                    -- one plain sentence, never a value of the body
    attempts integer NOT NULL DEFAULT 0,
    next_attempt_at timestamptz NOT NULL DEFAULT now(),
    changed_at timestamptz,         -- the body's updated_at, when it has a believable one
    triggered_at timestamptz NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now(),
    closed_at timestamptz,
    copies integer NOT NULL DEFAULT 1,
    secret smallint,                -- which of the app's secrets verified it: 0 is the current one
    body bytea,
    body_bytes integer NOT NULL DEFAULT 0,
    UNIQUE (shop, webhook_id),
    CHECK ((state = 'closed') = (outcome IS NOT NULL))
);
-- Due first: a peek never walks past the postponed.
CREATE INDEX deliveries_waiting ON deliveries (lane, shop, next_attempt_at, id) WHERE state = 'waiting';
CREATE INDEX deliveries_dead ON deliveries (shop, id) WHERE outcome = 'dead';
CREATE INDEX deliveries_of_resource ON deliveries (shop, resource_id, id);
"""

PRODUCTS = """
CREATE TABLE products (
    shop text NOT NULL,
    id bigint NOT NULL,
    -- facet core; null while only a removal is known of it
    core jsonb,
    core_notes jsonb NOT NULL DEFAULT '[]',   -- what was wrong with the source's own fields
    core_hash text,
    core_at timestamptz NOT NULL,
    core_seen timestamptz NOT NULL,
    core_source text,
    -- facet metafields: {variant id: [[key, type, value], …]}; null while unknown
    metafields jsonb,
    metafields_seen timestamptz,
    -- tombstone
    removed_at timestamptz,
    removed_reason text,
    applied_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (shop, id)
);
CREATE INDEX products_by_handle ON products (shop, (core ->> 'handle')) WHERE removed_at IS NULL;
CREATE INDEX products_by_title ON products (shop, lower(core ->> 'title') text_pattern_ops) WHERE removed_at IS NULL;
"""

VARIANTS = """
CREATE TABLE variants (
    shop text NOT NULL,
    id bigint NOT NULL,
    product_id bigint NOT NULL,
    sku text,
    sku_fold text,
    barcode text,
    PRIMARY KEY (shop, id)
);
CREATE INDEX variants_of_product ON variants (shop, product_id);
CREATE INDEX variants_by_sku ON variants (shop, sku_fold) WHERE sku_fold IS NOT NULL;
CREATE INDEX variants_by_barcode ON variants (shop, barcode) WHERE barcode IS NOT NULL;
"""

CUSTOMERS = """
CREATE TABLE customers (
    shop text NOT NULL,
    id bigint NOT NULL,
    state text NOT NULL CHECK (state IN ('member', 'not_eligible', 'removed')),
    reason text,                    -- why a customer who is not here is not here: one plain sentence
    since timestamptz NOT NULL,
    at timestamptz NOT NULL,
    seen timestamptz NOT NULL,
    record bytea,                   -- sealed; members only
    record_hash bytea,              -- keyed
    rule text,
    matched text,
    company_name text,
    email_index bytea,
    phone_index bytea,
    word_indexes bytea[],
    source text,
    redacted boolean NOT NULL DEFAULT false,   -- for good: no later delivery brings anything back
    applied_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (shop, id),
    -- Nothing personal outlives belonging.
    CHECK (state = 'member' OR (record IS NULL AND record_hash IS NULL AND company_name IS NULL
                                AND email_index IS NULL AND phone_index IS NULL AND word_indexes IS NULL))
);
CREATE INDEX customers_by_email ON customers (shop, email_index) WHERE email_index IS NOT NULL;
CREATE INDEX customers_by_phone ON customers (shop, phone_index) WHERE phone_index IS NOT NULL;
CREATE INDEX customers_by_company ON customers (shop, lower(company_name) text_pattern_ops)
    WHERE company_name IS NOT NULL;
CREATE INDEX customers_by_word ON customers USING gin (word_indexes);
CREATE INDEX customers_members ON customers (shop) WHERE state = 'member';
"""

ISSUES = """
CREATE TABLE issues (
    shop text NOT NULL,
    feed text NOT NULL,
    resource_id bigint NOT NULL,    -- 0: the feed itself
    code text NOT NULL,
    path text NOT NULL,
    scope text NOT NULL,            -- 'record', or the clash it belongs to: 'sku:…', 'email:…'
    severity text NOT NULL,
    snippet text,
    facts jsonb NOT NULL DEFAULT '{}',
    first_seen timestamptz NOT NULL DEFAULT now(),
    last_seen timestamptz NOT NULL DEFAULT now(),
    times_seen integer NOT NULL DEFAULT 1,
    resolved_at timestamptz,
    PRIMARY KEY (shop, feed, resource_id, code, path)
);
CREATE INDEX issues_open ON issues (shop, feed, severity, code) WHERE resolved_at IS NULL;
CREATE INDEX issues_of_clash ON issues (shop, scope) WHERE resolved_at IS NULL AND scope <> 'record';
"""

RECEIPTS = """
CREATE TABLE receipts (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    shop text NOT NULL,
    topic text NOT NULL,
    resource_id bigint,
    requested_at timestamptz NOT NULL,
    done_at timestamptz NOT NULL DEFAULT now(),
    counts jsonb NOT NULL
)
"""

DUTIES = """
CREATE TABLE duties (
    name text PRIMARY KEY,
    due_at timestamptz NOT NULL
)
"""
