"""Parquet to a table, exactly: the whole file is read and held against what its own footer says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from core.datasets.inference import ARROW_TYPES, code, infer_kind
from core.datasets.options import MAX_COLUMNS, ColumnOption, ParseOptions
from core.datasets.tables import ColumnKind
from core.errors import SchemaMismatch, UnreadableFile

CELL_BYTES = 8
LARGEST_EXACT = 2**53


def read(path: Path, *, memory_limit_mb: int) -> pa.Table:
    """Read a Parquet file whole, in the plain types of `ARROW_TYPES`.

    Raises
    ------
    UnreadableFile
        Truncated or damaged, larger unpacked than the reader may use, no rows, or a column of a type or a value that
        cannot be kept exactly.
    """
    try:
        with pq.ParquetFile(path) as file:
            footer = file.metadata
            _check_size(footer, memory_limit_mb)
            table = file.read(use_threads=False)
        table.validate(full=True)
    except (pa.ArrowException, OSError, ValueError) as error:
        if isinstance(error, UnreadableFile):
            raise
        raise UnreadableFile(
            "The Parquet file is damaged, cut short, or not what its own schema says: "
            f"{str(error).splitlines()[0][:200]} Write it again."
        ) from error
    if table.num_rows != footer.num_rows:
        raise UnreadableFile(
            f"The Parquet file says it has {footer.num_rows:,} rows but holds {table.num_rows:,}. Write it again."
        )
    if table.num_rows == 0:
        raise UnreadableFile("The file holds columns and no rows of data. Export it again, with its rows.")
    names = table.column_names
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise UnreadableFile(f"Two columns are called {twice!r}. Rename one of them.")
    arrays = [_plain(name, column) for name, column in zip(names, table.columns, strict=True)]
    return pa.Table.from_arrays(arrays, names=names)


def _check_size(footer: pq.FileMetaData, memory_limit_mb: int) -> None:
    if footer.num_columns > MAX_COLUMNS:
        raise UnreadableFile(
            f"The file has {footer.num_columns:,} columns; at most {MAX_COLUMNS:,} are read. Leave some out."
        )
    unpacked = sum(footer.row_group(i).total_byte_size for i in range(footer.num_row_groups))
    unpacked = max(unpacked, footer.num_rows * footer.num_columns * CELL_BYTES)
    if unpacked > memory_limit_mb << 20:
        raise UnreadableFile(
            f"Unpacked, the file takes {unpacked / 2**20:,.0f} MiB; the reader may use {memory_limit_mb:,} MiB. "
            "Split it, or raise GATEHOUSE_MEMORY_LIMIT_MB."
        )


def _plain(name: str, column: pa.ChunkedArray) -> pa.Array:
    array = column.combine_chunks()
    kind = array.type
    if pa.types.is_dictionary(kind):
        array = array.dictionary_decode()
        kind = array.type
    if pa.types.is_null(kind) or pa.types.is_string(kind):
        return array.cast(pa.string())
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return array.cast(pa.string())
    if pa.types.is_boolean(kind) or pa.types.is_date32(kind):
        return array
    try:
        if pa.types.is_integer(kind):
            return array.cast(pa.int64())
        if pa.types.is_date(kind):
            return array.cast(pa.date32())
        if pa.types.is_timestamp(kind):
            return array.cast(pa.timestamp("us", tz="UTC" if kind.tz else None))
        if pa.types.is_floating(kind):
            return _finite(name, array.cast(pa.float64()))
        if pa.types.is_decimal(kind):
            return _from_decimal(name, array)
    except pa.ArrowInvalid as error:
        raise UnreadableFile(
            f"Column {name!r} of type {kind} holds values that cannot be kept exactly: {str(error)[:120]}. "
            "Write it in another type."
        ) from error
    raise UnreadableFile(
        f"Column {name!r} is of type {kind}, which is not read. Use whole numbers, numbers, true/false, text, dates or "
        "timestamps, or leave the column out."
    )


def _finite(name: str, array: pa.Array) -> pa.Array:
    array = pc.if_else(pc.is_nan(array), pa.scalar(None, pa.float64()), array)
    if pc.any(pc.is_inf(array)).as_py():
        row = int(np.flatnonzero(pc.fill_null(pc.is_inf(array), False).to_numpy(zero_copy_only=False))[0])
        raise UnreadableFile(f"Row {row + 1:,} of column {name!r} is infinite. Replace it by a number or leave it out.")
    return array


def _from_decimal(name: str, array: pa.Array) -> pa.Array:
    floats = array.cast(pa.float64())
    if not floats.cast(array.type).equals(array):
        raise UnreadableFile(
            f"Column {name!r} of type {array.type} holds more digits than a number keeps. Write it as text or round it."
        )
    return floats


def infer(table: pa.Table) -> tuple[ParseOptions, tuple[str, ...]]:
    """Tell the kinds of a table's columns; text is a category or text by `inference.infer_kind`'s rule."""
    columns: list[ColumnOption] = []
    notes: list[str] = []
    for name, column in zip(table.column_names, table.columns, strict=True):
        kind = _kind(column)
        label = name
        if not name.strip():
            label = f"column_{len(columns) + 1}"
            notes.append(f"Column {len(columns) + 1} has a blank name and is called {label}.")
        columns.append(ColumnOption(name=label, source_name=name, kind=kind))
    return ParseOptions(format="parquet", columns=tuple(columns)), tuple(notes)


def _kind(column: pa.ChunkedArray) -> ColumnKind:
    if pa.types.is_timestamp(column.type):
        return ColumnKind.TIMESTAMP
    if not pa.types.is_string(column.type):
        return next(kind for kind, arrow in ARROW_TYPES.items() if arrow == column.type)
    coded = code(column, (), trim=False)
    kind = infer_kind(coded, ".", "").kind
    return kind if kind in (ColumnKind.CATEGORY, ColumnKind.TEXT) else ColumnKind.CATEGORY


def read_as(path: Path, options: ParseOptions, *, memory_limit_mb: int) -> pa.Table:
    """Read a Parquet file as its confirmed options say.

    Raises
    ------
    UnreadableFile, SchemaMismatch
    """
    table = read(path, memory_limit_mb=memory_limit_mb)
    expected = [column.source_name for column in options.columns]
    if table.column_names != expected:
        raise SchemaMismatch(
            f"The file's columns {table.column_names[:8]} are not those that were confirmed, {expected[:8]}. "
            "Inspect it again."
        )
    arrays = {column.name: _cast(table[column.source_name], column) for column in options.included}
    return pa.table(arrays)


def _cast(column: pa.ChunkedArray, option: ColumnOption) -> pa.ChunkedArray:
    arrow = ARROW_TYPES[option.kind]
    if option.kind is ColumnKind.TIMESTAMP and pa.types.is_timestamp(column.type):
        return column
    if arrow == pa.float64() and pa.types.is_integer(column.type):
        large = pc.greater(pc.abs_checked(column), LARGEST_EXACT)
        if pc.any(large).as_py():
            raise UnreadableFile(f"Column {option.name!r} holds whole numbers a float cannot keep. Keep it as integer.")
    try:
        return column.cast(arrow)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise UnreadableFile(
            f"Column {option.name!r} of type {column.type} cannot be read as {option.kind.value}: "
            f"{str(error).splitlines()[0][:120]}. Choose another kind."
        ) from error
