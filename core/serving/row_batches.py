"""Reading and writing kept rows a piece at a time, so that memory grows neither with a file nor with a day."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from core.artifacts import ArtifactStore

if TYPE_CHECKING:
    import pyarrow as pa

# Held at a time, as float64 16 MB, and written as one row group.
VALUES_AT_ONCE = 1 << 21
LEAST_ROWS, MOST_ROWS = 1_000, 1 << 17


def rows_at_once(n_columns: int) -> int:
    """How many rows of so many columns are held at a time."""
    return max(LEAST_ROWS, min(MOST_ROWS, VALUES_AT_ONCE // max(1, n_columns)))


def read_batches(store: ArtifactStore, sha256: str, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
    """The rows of one file in their order, some at a time; the file is verified first.

    Parameters
    ----------
    columns : sequence of str, optional
        Only these, as far as the file has them.

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
        for group in range(file.num_row_groups):
            for batch in file.iter_batches(at_once, row_groups=[group], columns=wanted, use_threads=False):
                if batch.num_rows:
                    yield batch
