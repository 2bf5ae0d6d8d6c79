"""Delimited text to a table of text, exactly: rows and cells counted here, read by DuckDB, and held together."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from core.datasets import structure
from core.datasets.encodings import blocks
from core.datasets.options import MAX_COLUMNS
from core.errors import UnreadableFile

LONGEST_LINE = 32 << 20
SAMPLE_BYTES = 256 << 10
QUERY = """
    SELECT * FROM read_csv(
        $path, auto_detect=false, header=false, all_varchar=true, strict_mode=true, columns=$columns, delim=$delimiter,
        quote=$quote, escape=$quote, new_line='\\n', max_line_size=$longest
    )
"""


def sample_of(path: Path) -> bytes:
    """The first lines of a file, cut after a line feed where it is longer than `SAMPLE_BYTES`."""
    with path.open("rb") as file:
        head = file.read(SAMPLE_BYTES)
    cut = head.rfind(b"\n") + 1
    return head if len(head) < SAMPLE_BYTES or cut == 0 else head[:cut]


def read_text(path: Path, *, delimiter: str, quote: str, memory_limit_mb: int) -> tuple[pa.Table, structure.Structure]:
    """Read every cell as text, the header row too.

    Parameters
    ----------
    path : Path
        UTF-8 without a byte order mark (`encodings.as_utf8`).
    memory_limit_mb : int
        What DuckDB may use.

    Returns
    -------
    table : pyarrow.Table
        String columns "c0", "c1", …; null for an empty cell.
    found : Structure

    Raises
    ------
    UnreadableFile
        Ragged rows, bad quotes, too many columns, or a file DuckDB reads otherwise than it is counted here.
    """
    found = structure.check(blocks(path), delimiter, quote)
    if found.n_records == 0:
        raise UnreadableFile("The file holds nothing but blank lines. Export it again.")
    if found.n_cells > MAX_COLUMNS:
        raise UnreadableFile(
            f"The file has {found.n_cells:,} columns; at most {MAX_COLUMNS:,} are read. Leave some out, or turn "
            "columns into rows."
        )
    parameters: dict[str, Any] = {
        "columns": {f"c{i}": "VARCHAR" for i in range(found.n_cells)},
        "delimiter": delimiter,
        "quote": quote,
        "longest": LONGEST_LINE,
    }
    if found.plain:
        table = _run(path, parameters, memory_limit_mb)
    else:
        with tempfile.TemporaryDirectory(prefix="gatehouse-") as folder:
            copy = Path(folder) / "normalised.csv"
            with copy.open("wb") as file:
                file.writelines(structure.normalised(blocks(path), delimiter, quote))
            table = _run(copy, parameters, memory_limit_mb)
    if table.num_rows != found.n_records:
        raise UnreadableFile(
            f"The file has {found.n_records:,} rows by its line ends but reads as {table.num_rows:,}. Export it again "
            "as plain CSV."
        )
    return table, found


def _run(path: Path, parameters: dict[str, Any], memory_limit_mb: int) -> pa.Table:
    try:
        with duckdb.connect(":memory:", config={"memory_limit": f"{memory_limit_mb}MB", "threads": 1}) as connection:
            return connection.sql(QUERY, params={"path": str(path), **parameters}).to_arrow_table()
    except duckdb.OutOfMemoryException as error:
        raise UnreadableFile(
            f"The file needs more than the {memory_limit_mb:,} MiB the reader may use. Raise "
            "GATEHOUSE_MEMORY_LIMIT_MB, split the file, or give it as Parquet."
        ) from error
    except duckdb.Error as error:
        raise UnreadableFile(
            f"The file cannot be read exactly: {str(error).splitlines()[0]} Export it again as plain CSV."
        ) from error
