"""The database: engine, one unit of work per action, column types shared by every table.

On SQLite: write-ahead log, foreign keys on, a busy timeout, and ``BEGIN IMMEDIATE`` for writes, so that many processes
write at once and none reads a value it then overwrites. Reads stay deferred and never block a writer. The same code
runs on PostgreSQL by URL. Nobody but `Workspace` opens sessions.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, DateTime, Dialect, Engine, TypeDecorator, create_engine, event
from sqlalchemy.engine import Connection
from sqlmodel import Column, Field, Session

BUSY_TIMEOUT_MS = 30_000
LARGEST_INTEGER = 2**63 - 1
LONGEST_NUMBER = 18  # digits that an integer column surely holds
WRITE = "gatehouse_write"


def utc_now() -> datetime:
    """The present moment, aware, in UTC. Called at the edges only; services take ``now``."""
    return datetime.now(UTC)


class UtcDateTime(TypeDecorator[datetime]):
    """An aware moment, stored in UTC, read back aware; naive values are refused."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Turn an aware moment into what the database keeps."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value!r} has no time zone; pass an aware datetime")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Turn what the database kept into an aware moment."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def moment(*, nullable: bool = False, index: bool = False) -> Any:
    """Declare a table field holding an aware UTC moment."""
    if nullable:
        return Field(default=None, sa_column=Column(UtcDateTime(), nullable=True, index=index))
    return Field(sa_column=Column(UtcDateTime(), nullable=False, index=index))


def document(empty: type[dict[str, Any]] | type[list[Any]] = dict, *, nullable: bool = False) -> Any:
    """Declare a table field holding a JSON document (NaN and infinities are refused), ``empty()`` unless given."""
    column: Column[Any] = Column(JSON(none_as_null=True), nullable=nullable)
    if nullable:
        return Field(default=None, sa_column=column)
    return Field(default_factory=empty, sa_column=column)


def open_engine(url: str) -> Engine:
    """Open the database at a SQLAlchemy URL, with Gatehouse's settings on each connection.

    Parameters
    ----------
    url : str
        ``sqlite:///path`` or a PostgreSQL URL.
    """
    import json

    def dumps(value: object) -> str:
        return json.dumps(value, allow_nan=False, separators=(",", ":"))

    if not url.startswith("sqlite"):
        return create_engine(url, json_serializer=dumps, pool_pre_ping=True)
    engine = create_engine(url, json_serializer=dumps, connect_args={"timeout": BUSY_TIMEOUT_MS / 1000})

    @event.listens_for(engine, "connect")
    def configure(connection: sqlite3.Connection, _record: object) -> None:
        # The driver's own transaction handling begins deferred and upgrades later, which loses updates.
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=NORMAL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        write = connection.get_execution_options().get(WRITE, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN DEFERRED")

    return engine


@contextmanager
def write_session(engine: Engine, info: Mapping[str, object] | None = None) -> Iterator[Session]:
    """One action: a session that commits once when the block ends, and rolls back when it raises."""
    with (
        engine.connect().execution_options(**{WRITE: True}) as connection,
        connection.begin(),
        Session(bind=connection, expire_on_commit=False, info=dict(info or {})) as session,
    ):
        yield session
        session.flush()


@contextmanager
def read_session(engine: Engine) -> Iterator[Session]:
    """A session over one consistent snapshot; anything written to it is dropped, what was read stays readable."""
    # Closing rolls back; an explicit rollback would expire every row handed out of the block.
    with Session(engine, expire_on_commit=False, autoflush=False) as session:
        yield session
