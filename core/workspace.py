"""One opened home: settings, database, artifact store. Everything that acts takes one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine
from sqlmodel import Session

from core.artifacts import ArtifactStore
from core.database import open_engine, read_session, write_session
from core.migrations import migrate
from core.settings import Settings


@dataclass(frozen=True)
class Workspace:
    """An opened home.

    Parameters
    ----------
    settings : Settings
    engine : Engine
    artifacts : ArtifactStore
    """

    settings: Settings
    engine: Engine
    artifacts: ArtifactStore

    @property
    def home(self) -> Path:
        """The home's folder."""
        return self.settings.resolved_home

    def write(self) -> AbstractContextManager[Session]:
        """One action, one transaction: commits when the block ends, rolls back when it raises."""
        return write_session(self.engine)

    def read(self) -> AbstractContextManager[Session]:
        """One consistent snapshot to read from."""
        return read_session(self.engine)

    def close(self) -> None:
        """Let go of the database's connections."""
        self.engine.dispose()


def open_workspace(settings: Settings) -> Workspace:
    """Open a home, making and migrating it when needed.

    Raises
    ------
    InvalidInput
        The database was written by a newer Gatehouse.
    """
    settings.resolved_home.mkdir(parents=True, exist_ok=True)
    migrate(settings)
    return Workspace(settings, open_engine(settings.url), ArtifactStore(settings.artifacts_folder))


@contextmanager
def opened(settings: Settings) -> Iterator[Workspace]:
    """Open a home for the length of a block."""
    workspace = open_workspace(settings)
    try:
        yield workspace
    finally:
        workspace.close()
