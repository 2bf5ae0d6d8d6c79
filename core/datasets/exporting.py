"""Tables as CSV that a spreadsheet shows and never runs."""

from __future__ import annotations

import io

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pv

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")
FORMULA = r"^([=+\-@\t\r\n])"


def to_csv(table: pa.Table) -> bytes:
    """Write a table as CSV in UTF-8 with a header.

    A text cell or a name that begins as a formula does (``= + - @``, tab or line end) gets an apostrophe before
    it; for the exact values take Parquet. Numbers, dates and the missing cell (empty) are as they are.
    """
    columns = []
    for column in table.columns:
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            column = pc.replace_substring_regex(column, FORMULA, r"'\1")
        columns.append(column)
    names = [f"'{name}" if name.startswith(FORMULA_STARTS) else name for name in table.column_names]
    sink = io.BytesIO()
    pv.write_csv(pa.Table.from_arrays(columns, names=names), sink)
    return sink.getvalue()
