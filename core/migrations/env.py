"""Alembic's entry: runs the migrations on one connection, foreign keys off while tables are rebuilt."""

from alembic import context
from sqlalchemy import create_engine, pool

from core.tables import METADATA

url = context.config.attributes.get("url") or context.config.get_main_option("sqlalchemy.url")
assert url is not None
engine = create_engine(url, poolclass=pool.NullPool)

with engine.connect() as connection:
    if connection.dialect.name == "sqlite":
        # ON would delete cascading children when batch mode drops and recreates a table.
        connection.exec_driver_sql("PRAGMA foreign_keys=OFF")
        connection.commit()
    context.configure(connection=connection, target_metadata=METADATA, render_as_batch=True, compare_type=True)
    with context.begin_transaction():
        context.run_migrations()
    connection.commit()
