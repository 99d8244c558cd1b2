"""Alembic's entrance: one connection, one advisory lock, so that two releases at once do not trip over each other."""

from alembic import context
from sqlalchemy import create_engine, text

from adapters.wall import raise_wall

MIGRATION_LOCK = 7_305_110_301

engine = create_engine(context.config.attributes["url"])
with engine.connect() as connection:
    connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": MIGRATION_LOCK})
    connection.commit()
    context.configure(connection=connection, transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()
    connection.commit()
    raise_wall(connection)
engine.dispose()
