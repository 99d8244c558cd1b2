"""Bodies apart from the rows that tell of them.

A row of the inbox is updated at least once, when it is closed, and Postgres writes an updated row anew: with a body of
2 KB in it, as compressed, ten times what had changed. Looks through the inbox read a fifth of the pages besides.
"""

from alembic import op

revision = "0021"
down_revision = "0018"


def upgrade() -> None:
    op.execute("ALTER TABLE deliveries SET (toast_tuple_target = 256)")
