"""Access that expires: the refresh token, when each ends, and when Shopify last proved that the app is installed."""

from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.execute(ACCESS)
    op.execute("UPDATE shops SET access_proven_at = installed_at")


# `access_proven_at`: Shopify granted a token then, so an older notice of removal speaks of an earlier life of the app.
ACCESS = """
ALTER TABLE shops
    ADD COLUMN token_expires_at timestamptz,            -- null: a lasting token, as custom apps have
    ADD COLUMN refresh_token bytea,                     -- sealed
    ADD COLUMN refresh_expires_at timestamptz,
    ADD COLUMN refresh_leased_until timestamptz,        -- one process at a time asks for a new pair
    ADD COLUMN scopes text[],                           -- granted with the token; null while Shopify has not said
    ADD COLUMN access_proven_at timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN time_zone text                           -- the shop's own, as Shopify names it (IANA)
"""
