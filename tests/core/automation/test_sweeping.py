"""The sweep removes what nothing refers to, and never what something does."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Column

from core.artifacts import ArtifactStore
from core.automation.sweeping import reference_columns, sweep
from core.backup import DATABASE
from core.workspace import Workspace
from tests.factories import make_upload

COLUMNS = reference_columns()


def put_long_ago(store: ArtifactStore, content: bytes) -> str:
    sha256 = store.put_bytes(content).sha256
    long_ago = datetime.now(UTC).timestamp() - 25 * 3600
    os.utime(store.path(sha256), (long_ago, long_ago))
    return sha256


def test_only_old_files_that_nothing_refers_to_go(workspace: Workspace) -> None:
    store, now = workspace.artifacts, datetime.now(UTC)
    referred, unreferred = put_long_ago(store, b"referred"), put_long_ago(store, b"unreferred")
    new = store.put_bytes(b"new").sha256
    with workspace.write() as session:
        make_upload(session, sha256=referred)
    swept = sweep(workspace, now)
    assert (swept.n_files, swept.size_bytes) == (1, len(b"unreferred"))
    assert [store.path(sha256).exists() for sha256 in (referred, unreferred, new)] == [True, False, True]
    assert sweep(workspace, now).n_files == 0
    assert sweep(workspace, now + timedelta(hours=25)).n_files == 1
    assert store.get_bytes(referred) == b"referred"


@pytest.mark.parametrize("column", COLUMNS, ids=str)
def test_a_file_is_kept_whatever_column_refers_to_it(workspace: Workspace, column: Column[str]) -> None:
    sha256 = put_long_ago(workspace.artifacts, b"referred")
    values = {one.name: "1" for one in column.table.columns if not one.nullable} | {column.name: sha256}
    # A connection of its own: it asks for no row that the new one would refer to.
    with closing(sqlite3.connect(workspace.home / DATABASE)) as database:
        places = ", ".join("?" * len(values))
        database.execute(f"INSERT INTO {column.table.name} ({', '.join(values)}) VALUES ({places})", [*values.values()])
        database.commit()
    assert sweep(workspace, datetime.now(UTC)).n_files == 0
    assert workspace.artifacts.get_bytes(sha256) == b"referred"


def test_the_columns_that_refer_to_files_are_these() -> None:
    """A new one must end in sha256; a table that refers to files otherwise would lose them."""
    assert {str(column) for column in COLUMNS} == {
        "upload.sha256",
        "dataset_version.data_sha256",
        "split.assignment_sha256",
        "evaluation_set.rows_sha256",
        "run.model_sha256",
        "run.validation_sha256",
        "evaluation.predictions_sha256",
        "model_version.model_sha256",
        "batch.data_sha256",
        "prediction_segment.sha256",
    }
