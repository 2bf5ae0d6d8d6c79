"""Bringing a database up to this code's schema, under a lock, after copying the file.

Whoever starts first migrates; the others wait. A database written by newer code is refused. Every process looks when
it starts, and almost always there is nothing to do, so Alembic is imported only where there is.
"""

from __future__ import annotations

import fcntl
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import InvalidInput

if TYPE_CHECKING:
    from alembic.config import Config

    from core.settings import Settings

FOLDER = Path(__file__).parent


def migrate(settings: Settings) -> None:
    """Make the database current; does nothing when it is.

    Raises
    ------
    InvalidInput
        The database was written by a newer Gatehouse.
    """
    with _lock(settings.resolved_home):
        current, known = _current(settings), revisions()
        if current == known[-1]:
            return
        _refuse_unknown(settings, current, known)
        file = settings.resolved_home / "gatehouse.db"
        if current is not None and not settings.database_url and file.exists():
            shutil.copy2(file, file.with_name(f"gatehouse-before-{known[-1]}.db"))
        upgrade(settings.url)


def refuse_newer(settings: Settings) -> None:
    """Refuse a home that newer code wrote, changing nothing; looks at no database but the home's own file.

    Raises
    ------
    InvalidInput
    """
    if not settings.database_url:
        _refuse_unknown(settings, _current(settings), revisions())


def revisions() -> list[str]:
    """Every schema this code knows, oldest first: the numbers its migration files begin with."""
    return sorted(path.name.partition("_")[0] for path in (FOLDER / "versions").glob("[0-9]*.py"))


def upgrade(url: str, revision: str = "head") -> None:
    """Run the migrations up to one."""
    from alembic import command

    config = _config()
    config.attributes["url"] = url
    command.upgrade(config, revision)


def _refuse_unknown(settings: Settings, current: str | None, known: list[str]) -> None:
    if current is not None and current not in known:
        raise InvalidInput(
            f"The database in {settings.resolved_home} has schema {current}, which this Gatehouse does not know: "
            "it was written by a newer one. Upgrade Gatehouse, or open another home."
        )


def _config() -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    return config


def _current(settings: Settings) -> str | None:
    if settings.database_url:
        from alembic.runtime.migration import MigrationContext
        from sqlalchemy import create_engine

        engine = create_engine(settings.database_url)
        try:
            with engine.connect() as connection:
                return MigrationContext.configure(connection).get_current_revision()
        finally:
            engine.dispose()
    file = settings.resolved_home / "gatehouse.db"
    if not file.exists():
        return None
    with closing(sqlite3.connect(file, timeout=30)) as connection:
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'").fetchone():
            return None
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        return None if row is None else str(row[0])


@contextmanager
def _lock(home: Path) -> Iterator[None]:
    with (home / ".migrate.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
