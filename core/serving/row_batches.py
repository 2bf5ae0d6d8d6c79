"""Reading and writing kept rows a piece at a time, so that memory grows neither with a file nor with a day."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time
from typing import TYPE_CHECKING, Any

from core.artifacts import ArtifactStore
from core.serving.frames import AT

if TYPE_CHECKING:
    import pyarrow as pa

# Held at a time, as float64 16 MB, and written as one row group.
VALUES_AT_ONCE = 1 << 21
LEAST_ROWS, MOST_ROWS = 1_000, 1 << 17


def rows_at_once(n_columns: int) -> int:
    """How many rows of so many columns are held at a time."""
    return max(LEAST_ROWS, min(MOST_ROWS, VALUES_AT_ONCE // max(1, n_columns)))


def read_batches(
    store: ArtifactStore, sha256: str, columns: Sequence[str] | None = None, *, groups: Sequence[int] | None = None
) -> Iterator[pa.RecordBatch]:
    """The rows of one file in their order, some at a time; the file is verified first.

    Parameters
    ----------
    columns : sequence of str, optional
        Only these, as far as the file has them.
    groups : sequence of int, optional
        Only these of its row groups.

    Raises
    ------
    NotFound, ArtifactCorrupted
    """
    import pyarrow.parquet as pq

    with pq.ParquetFile(store.verified_path(sha256)) as file:
        names = file.schema_arrow.names
        wanted = names if columns is None else [name for name in names if name in set(columns)]
        at_once = rows_at_once(len(wanted))
        # One row group at a time: over many, the reader keeps what it has read until the file ends.
        for group in range(file.num_row_groups) if groups is None else groups:
            for batch in file.iter_batches(at_once, row_groups=[group], columns=wanted, use_threads=False):
                if batch.num_rows:
                    yield batch


def days_of(store: ArtifactStore, sha256: str) -> list[datetime]:
    """The days (UTC) that rows of a file of predictions lie in, by their midnight, rising.

    A clock that was set right while answers were written down leaves a file of two days, years apart.

    Raises
    ------
    NotFound, ArtifactCorrupted
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    found: set[date] = set()
    for batch in read_batches(store, sha256, [AT]):
        found.update(pc.unique(batch[AT].cast(pa.date32())).to_pylist())
    return [datetime.combine(day, time(), UTC) for day in sorted(found)]


def groups_between(store: ArtifactStore, sha256: str, column: str, rising: Sequence[str]) -> list[int]:
    """The row groups of a file that may hold one of some texts in a column, by what it says of each group.

    Reads the end of the file alone and does not verify it: to read what was found, use `read_batches`.

    Parameters
    ----------
    column : str
        There is none for a file that does not have it.
    rising : sequence of str
        Sorted.

    Raises
    ------
    NotFound, ArtifactCorrupted
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        metadata = pq.read_metadata(store.path(sha256))
    except (FileNotFoundError, pa.ArrowInvalid):
        store.verified_path(sha256)  # says what is wrong with it
        raise
    if column not in metadata.schema.names:
        return []
    place = metadata.schema.names.index(column)
    return [
        group
        for group in range(metadata.num_row_groups)
        if _may_hold(metadata.row_group(group).column(place).statistics, rising)
    ]


def _may_hold(told: Any, rising: Sequence[str]) -> bool:
    """Whether one of some texts lies between the smallest and the largest of a row group, as far as they are told."""
    if told is None or not told.has_min_max or not isinstance(told.min, str):
        return True
    place = bisect_left(rising, told.min)
    return place < len(rising) and rising[place] <= told.max
