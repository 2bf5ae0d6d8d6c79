"""Bringing a database up to this code's schema, under a lock, after copying the file.

Whoever starts first migrates; the others wait. A database written by newer code is refused.
"""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine

from core.errors import InvalidInput
from core.settings import Settings


def migrate(settings: Settings) -> None:
    """Make the database current; does nothing when it is.

    Raises
    ------
    InvalidInput
        The database was written by a newer Gatehouse.
    """
    with _lock(settings.resolved_home):
        head = _scripts().get_current_head()
        current = _current(settings.url)
        if current == head:
            return
        known = {script.revision for script in _scripts().walk_revisions()}
        if current is not None and current not in known:
            raise InvalidInput(
                f"The database in {settings.resolved_home} has schema {current}, which this Gatehouse does not know: "
                "it was written by a newer one. Upgrade Gatehouse, or open another home."
            )
        file = settings.resolved_home / "gatehouse.db"
        if current is not None and not settings.database_url and file.exists():
            shutil.copy2(file, file.with_name(f"gatehouse-before-{head}.db"))
        config = _config()
        config.attributes["url"] = settings.url
        command.upgrade(config, "head")


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    return config


def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config())


def _current(url: str) -> str | None:
    engine = create_engine(url)
    try:
        with engine.connect() as connection:
            return MigrationContext.configure(connection).get_current_revision()
    finally:
        engine.dispose()


@contextmanager
def _lock(home: Path) -> Iterator[None]:
    with (home / ".migrate.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
