"""What is to be told to merchants, and what became of it: decided in one transaction, sent afterwards."""

from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.execute(NOTICES)


# `feed` null: a test. No address lies here: it is opened when a notice is sent.
NOTICES = """
CREATE TABLE notices (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    shop text NOT NULL REFERENCES shops ON DELETE CASCADE,
    channel text NOT NULL CHECK (channel IN ('mail', 'url')),
    feed text,
    told jsonb NOT NULL,                -- state, reason, sentence, since: what the receiver reads
    state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'sent', 'given_up')),
    trouble text,                       -- why the last attempt failed: one plain sentence
    attempts integer NOT NULL DEFAULT 0,
    next_attempt_at timestamptz NOT NULL DEFAULT now(),
    made_at timestamptz NOT NULL DEFAULT now(),
    ended_at timestamptz
);
CREATE INDEX notices_waiting ON notices (shop, channel, id) WHERE state = 'waiting';
CREATE INDEX notices_of_shop ON notices (shop, id)
"""
