"""The sweep: stored files that no row refers to, and that nobody put or let go within a day, are removed.

What refers to a file is every column of every table whose name ends in ``sha256``; a stored file is never referred to
from within a document. Replaced log segments, and files whose row never came because the process died, go this way.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy
from sqlalchemy import Column
from sqlmodel import Session

from core.tables import METADATA
from core.workspace import Workspace

GRACE = timedelta(hours=24)


@dataclass(frozen=True)
class Swept:
    """How many files went, and how many bytes they held."""

    n_files: int
    size_bytes: int


def sweep(workspace: Workspace, now: datetime) -> Swept:
    """Remove stored files that nothing refers to. To be called about once an hour; several may at once.

    The files are listed before the references are read: one that is referred to later was put or touched later, and
    is then spared (`ArtifactStore.remove`).
    """
    store, before = workspace.artifacts, now - GRACE
    store.clear_left_over(untouched_since=before)
    old = list(store.stored_before(before))
    if old:
        with workspace.read() as session:
            old = sorted(set(old) - references(session))
    sizes = [store.remove(sha256, untouched_since=before) for sha256 in old]
    gone = [size for size in sizes if size]
    return Swept(len(gone), sum(gone))


def references(session: Session) -> set[str]:
    """Hashes of all files that rows refer to."""
    found: set[str] = set()
    for column in reference_columns():
        query = sqlalchemy.select(column).where(column.is_not(None)).distinct()
        found.update(session.connection().execute(query).scalars())
    return found


def reference_columns() -> list[Column[str]]:
    """The columns that refer to stored files."""
    return [
        column
        for table in METADATA.sorted_tables
        for column in table.columns
        if column.name == "sha256" or column.name.endswith("_sha256")
    ]
