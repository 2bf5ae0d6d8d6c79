from __future__ import annotations

from datetime import UTC, datetime
from io import BytesIO
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.artifacts import ArtifactStore
from core.errors import ArtifactCorrupted, NotFound
from core.serving.row_batches import days_of, groups_between, read_batches

IDS = [f"{place:03d}" for place in range(40)]


def stored(store: ArtifactStore, ids: list[str | None], **options: Any) -> str:
    """A file of ids in row groups of ten."""
    out = BytesIO()
    pq.write_table(pa.table({"id": pa.array(ids, pa.string())}), out, row_group_size=10, **options)
    return store.put_bytes(out.getvalue()).sha256


@pytest.mark.parametrize(
    ("wanted", "groups"),
    [
        (["005"], [0]),
        (["010", "039"], [1, 3]),
        (["0095"], []),
        (["", "999"], []),
        (["000", "009", "015", "029", "030"], [0, 1, 2, 3]),
        ([], []),
    ],
    ids=["one", "ends", "between two groups", "outside", "all", "none"],
)
def test_only_groups_that_may_hold_a_text_are_named(workspace: Any, wanted: list[str], groups: list[int]) -> None:
    file = stored(workspace.artifacts, list(IDS))
    assert groups_between(workspace.artifacts, file, "id", wanted) == groups
    read = [one for batch in read_batches(workspace.artifacts, file, groups=groups) for one in batch["id"].to_pylist()]
    assert set(wanted) & set(IDS) <= set(read)
    assert len(read) == 10 * len(groups)


def test_the_days_of_a_file_are_told_however_far_apart(workspace: Any) -> None:
    moments = ["2026-03-01T23:59:59.999999", "1970-01-01T00:00:00", "2026-03-02T00:00:00", "2026-03-01T00:00:00"]
    out = BytesIO()
    at = pa.array([datetime.fromisoformat(one).replace(tzinfo=UTC) for one in moments], pa.timestamp("us", tz="UTC"))
    pq.write_table(pa.table({"at": at}), out, row_group_size=1)
    file = workspace.artifacts.put_bytes(out.getvalue()).sha256
    assert [f"{day:%Y-%m-%d %H:%M %Z}" for day in days_of(workspace.artifacts, file)] == [
        "1970-01-01 00:00 UTC",
        "2026-03-01 00:00 UTC",
        "2026-03-02 00:00 UTC",
    ]


def test_a_column_that_is_not_there_is_in_no_group(workspace: Any) -> None:
    assert groups_between(workspace.artifacts, stored(workspace.artifacts, list(IDS)), "key", ["005"]) == []


def test_a_file_that_tells_nothing_of_its_groups_may_hold_anything(workspace: Any) -> None:
    untold = stored(workspace.artifacts, list(IDS), write_statistics=False)
    assert groups_between(workspace.artifacts, untold, "id", ["999"]) == [0, 1, 2, 3]
    empty = stored(workspace.artifacts, [None] * 10)
    assert groups_between(workspace.artifacts, empty, "id", ["999"]) == [0]


def test_a_file_that_is_gone_or_damaged_is_refused(workspace: Any) -> None:
    with pytest.raises(NotFound, match="restore a backup"):
        groups_between(workspace.artifacts, "0" * 64, "id", ["005"])
    file = stored(workspace.artifacts, list(IDS))
    path = workspace.artifacts.path(file)
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ArtifactCorrupted):
        groups_between(workspace.artifacts, file, "id", ["005"])


@given(
    ids=st.lists(st.text(st.characters(codec="utf-8"), max_size=6), min_size=1, max_size=40),
    wanted=st.sets(st.text(max_size=6), max_size=6),
)
@settings(max_examples=60, deadline=None)
def test_no_text_that_is_there_is_passed_over(tmp_path_factory: Any, ids: list[str], wanted: set[str]) -> None:
    """Python sorts by code point, Parquet by byte of UTF-8: the same order."""
    store = ArtifactStore(tmp_path_factory.mktemp("store"))
    file = stored(store, list(ids))
    rising = sorted({one for one in wanted if one.isprintable()} | {ids[0], ids[-1]})
    groups = groups_between(store, file, "id", rising)
    read = [one for batch in read_batches(store, file, groups=groups) for one in batch["id"].to_pylist()]
    assert [one for one in read if one in rising] == [one for one in ids if one in rising]
