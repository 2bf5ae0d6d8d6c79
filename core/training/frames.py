"""The one place where tables and rows become the frame a pipeline takes, and a target becomes labels. Pure.

Dtypes of a frame, by the column's kind: integer, number and boolean are float64 (missing is NaN); category is object
holding str (missing is None); date and timestamp are datetime64[us] in UTC (missing is NaT).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from core.datasets.tables import ColumnKind
from core.errors import InvalidInput, SchemaMismatch
from core.wording import enumerated

NAMED = 20
EXPECTED: dict[str, str] = {
    ColumnKind.INTEGER: "a whole number",
    ColumnKind.NUMBER: "a number",
    ColumnKind.BOOLEAN: "true or false",
    ColumnKind.CATEGORY: "text",
    ColumnKind.DATE: "a date such as 2026-03-12",
    ColumnKind.TIMESTAMP: "a timestamp such as 2026-03-12T14:05:00Z",
}


def frame_from_table(table: pa.Table, features: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """The features of a table, in the signature's order.

    Missing values are allowed anywhere: whoever watches a model must be able to score the rows it will watch.

    Parameters
    ----------
    table : pyarrow.Table
        May hold further columns.
    features : sequence of {"name", "kind", ...}
        A signature's ``features``.

    Raises
    ------
    SchemaMismatch
        A feature is not there, or holds something of another kind.
    """
    absent = [entry["name"] for entry in features if entry["name"] not in table.column_names]
    if absent:
        raise SchemaMismatch(
            f"The model needs {_names(absent)}, which the data does not have. It has: {_names(table.column_names)}."
        )
    return pd.DataFrame(
        {entry["name"]: _column(table.column(entry["name"]), entry["name"], entry["kind"]) for entry in features},
        copy=False,
    )


def frame_from_rows(rows: Sequence[Mapping[str, Any]], signature: Mapping[str, Any]) -> pd.DataFrame:
    """Rows as a caller sent them (JSON values), checked one by one against a model's signature.

    A category never seen in training is allowed. A null is allowed where training had missing values; elsewhere it
    most likely means that the caller lost the value, so the row is refused by name instead of completed in silence.

    Raises
    ------
    SchemaMismatch
        Names the row (counted from 1) and the feature: missing, unknown, of the wrong kind, or null.
    InvalidInput
        No rows.
    """
    if not rows:
        raise InvalidInput("No rows were given; send at least one.")
    features = signature["features"]
    known = {entry["name"] for entry in features}
    for number, row in enumerate(rows, start=1):
        unknown = [name for name in row if name not in known]
        if unknown:
            raise SchemaMismatch(f"Row {number}: the model has no feature {_names(unknown)}. It has: {_names(known)}.")
    columns: dict[str, Any] = {}
    for entry in features:
        name, kind = entry["name"], entry["kind"]
        values = [_value(row, number, entry) for number, row in enumerate(rows, start=1)]
        if kind == ColumnKind.CATEGORY:
            columns[name] = _objects(values)
        elif kind in (ColumnKind.DATE, ColumnKind.TIMESTAMP):
            columns[name] = np.array(values, dtype="datetime64[us]")
        else:
            columns[name] = np.array(values, dtype=np.float64)
    return pd.DataFrame(columns, copy=False)


def class_labels(column: pa.ChunkedArray) -> NDArray[np.object_]:
    """A column of classes as text, None where missing: true is "true", 1 and 1.0 are "1"."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.cast(kind.value_type)
    if pa.types.is_floating(kind):
        words = [None if v is None or math.isnan(v) else f"{v:.0f}" if v == int(v) else repr(v) for v in _list(column)]
    elif pa.types.is_boolean(kind):
        words = [None if v is None else "true" if v else "false" for v in _list(column)]
    else:
        words = [None if v is None else str(v) for v in _list(column)]
    labels = np.empty(len(words), dtype=object)
    labels[:] = words
    return labels


def target_numbers(column: pa.ChunkedArray, name: str) -> NDArray[np.float64]:
    """A column of numbers as float64, NaN where missing.

    Raises
    ------
    SchemaMismatch
        The column does not hold numbers.
    """
    return _numbers(column, name, ColumnKind.NUMBER)


def _column(column: pa.ChunkedArray, name: str, kind: str) -> Any:
    if kind == ColumnKind.CATEGORY:
        return _objects(class_labels(column))
    if kind in (ColumnKind.DATE, ColumnKind.TIMESTAMP):
        if not pa.types.is_temporal(column.type):
            raise _wrong_kind(name, kind, column.type)
        if pa.types.is_date(column.type):
            column = column.cast(pa.date32())
        return column.cast(pa.timestamp("us"), safe=False).to_numpy()
    return _numbers(column, name, kind)


def _objects(values: Any) -> pd.Series[Any]:
    # Said outright: pandas would otherwise choose its string type, or not, by what the values happen to be.
    return pd.Series(values, dtype=object)


def _numbers(column: pa.ChunkedArray, name: str, kind: str) -> NDArray[np.float64]:
    wanted = pa.types.is_boolean(column.type) if kind == ColumnKind.BOOLEAN else _is_number(column.type)
    if not wanted and not pa.types.is_null(column.type):
        raise _wrong_kind(name, kind, column.type)
    # Through float64 even for large integers: every estimator computes in it anyway.
    numbers: NDArray[np.float64] = pc.cast(column, pa.float64(), safe=False).to_numpy().astype(np.float64)
    numbers[~np.isfinite(numbers)] = np.nan
    return numbers


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _value(row: Mapping[str, Any], number: int, entry: Mapping[str, Any]) -> Any:
    name, kind = entry["name"], entry["kind"]
    if name not in row:
        raise SchemaMismatch(f"Row {number}: the feature {name!r} is missing; expected {EXPECTED[kind]}.")
    value = row[name]
    if value is None:
        if not entry.get("nullable", True):
            raise SchemaMismatch(
                f"Row {number}: the feature {name!r} is null; it never was in training. Give {EXPECTED[kind]}."
            )
        return None
    converted = _CONVERT[kind](value)
    if converted is None:
        raise SchemaMismatch(f"Row {number}: the feature {name!r} was {value!r}; expected {EXPECTED[kind]}.")
    return converted


def _to_number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > 1e308 or not math.isfinite(value):
        return None
    return float(value)


def _to_integer(value: object) -> float | None:
    number = _to_number(value)
    return number if number is not None and number == math.floor(number) else None


def _to_boolean(value: object) -> float | None:
    return float(value) if isinstance(value, bool) else None


def _to_text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _to_moment(value: object) -> np.datetime64 | None:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value.strip())
        except ValueError:
            return None
    if isinstance(value, datetime):
        if value.tzinfo is not None:
            value = value.astimezone(UTC).replace(tzinfo=None)
        return np.datetime64(value, "us")
    return np.datetime64(value, "us") if isinstance(value, date) else None


_CONVERT = {
    ColumnKind.INTEGER: _to_integer,
    ColumnKind.NUMBER: _to_number,
    ColumnKind.BOOLEAN: _to_boolean,
    ColumnKind.CATEGORY: _to_text,
    ColumnKind.DATE: _to_moment,
    ColumnKind.TIMESTAMP: _to_moment,
}


def _wrong_kind(name: str, kind: str, found: pa.DataType) -> SchemaMismatch:
    return SchemaMismatch(
        f"The column {name!r} holds {found}; the model needs {EXPECTED[kind]} in it. "
        "Read the file again with that column's type changed."
    )


def _list(column: pa.ChunkedArray) -> list[Any]:
    return list(column.to_pylist())


def _names(names: Any) -> str:
    return enumerated([repr(name) for name in names], NAMED)
