"""What of a batch's file is kept, and in which form. PURE."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from core.datasets.options import ParseOptions
from core.datasets.tables import ColumnKind
from core.drift.columns import kept
from core.errors import InvalidInput, SchemaMismatch
from core.evaluation.tables import Task
from core.serving.frames import AT, LABEL, PREDICTION, PREDICTION_ID, feature_column
from core.wording import enumerated

if TYPE_CHECKING:
    import pyarrow as pa

NAMED = 10
FIRST_YEAR, LAST_YEAR = 1900, 2199
"""A time outside of these years stands for none, as 0001-01-01 and 9999-12-31 do in many systems."""
NUMBERS = (ColumnKind.INTEGER, ColumnKind.NUMBER)
MOMENTS = (ColumnKind.DATE, ColumnKind.TIMESTAMP)


def reading_options(options: ParseOptions, signature: Mapping[str, Any]) -> ParseOptions:
    """Read a batch's columns as the kinds the model was trained on, whatever this file's rows suggest.

    A month in which a number happens to be whole everywhere, or a code happens to be all digits, is no change of
    schema; a word in a number's column is, and is then refused by the reader with its line.
    """
    wanted = {feature["name"]: ColumnKind(feature["kind"]) for feature in signature["features"]}
    if signature["task"] == Task.REGRESSION:
        wanted |= {name: ColumnKind.NUMBER for name in (signature["target"], PREDICTION) if name not in wanted}
    else:
        wanted |= {name: ColumnKind.CATEGORY for name in (signature["target"], PREDICTION) if name not in wanted}
    wanted.setdefault(PREDICTION_ID, ColumnKind.CATEGORY)
    return replace(
        options,
        columns=tuple(
            replace(column, kind=_kind(column.kind, wanted.get(column.name, column.kind))) for column in options.columns
        ),
    )


def check_columns(kinds: Mapping[str, ColumnKind], signature: Mapping[str, Any], time_column: str | None) -> None:
    """Refuse data that lacks a feature, or whose time column holds no times.

    Parameters
    ----------
    kinds : mapping of name to ColumnKind
        What the file or the dataset version holds.

    Raises
    ------
    SchemaMismatch, InvalidInput
    """
    absent = [feature["name"] for feature in signature["features"] if feature["name"] not in kinds]
    if absent:
        raise SchemaMismatch(
            f"The data lacks {enumerated([repr(name) for name in absent], NAMED)}, which the model needs. It has: "
            f"{', '.join(list(kinds)[:30])}. {_likeness(absent, kinds)}Add or rename the columns."
        )
    if time_column is not None and kinds.get(time_column) not in MOMENTS:
        given = kinds.get(time_column)
        raise InvalidInput(
            f"The time column {time_column!r} is "
            + ("not there" if given is None else f"of kind {given.value}")
            + "; windows need a date or a timestamp. Change its type, or hand the data in without a time column."
        )


def _likeness(absent: Sequence[str], given: Iterable[str]) -> str:
    """The first name that is there but for its case or its spaces, as a hint."""
    folded = {name.strip().casefold(): name for name in given}
    for name in absent:
        if (other := folded.get(name.strip().casefold())) is not None:
            return f"{other!r} may be meant for {name!r}. "
    return ""


def batch_table(table: pa.Table, signature: Mapping[str, Any], time_column: str | None) -> pa.Table:
    """Lay out a batch as it is kept: time, features, and prediction, prediction id and label where the file has them.

    The columns ``prediction`` and ``prediction_id`` are those of the same names, unless the model has a feature called
    so; the label is the target column. A column that is empty throughout counts as not there. Times outside of
    `FIRST_YEAR` to `LAST_YEAR` count as missing.

    Returns
    -------
    pyarrow.Table
        In the layout of `core.serving.frames`.
    """
    import pyarrow as pa

    columns: dict[str, Any] = {}
    if time_column is not None:
        times = table[time_column].cast(pa.timestamp("us"), safe=False)
        columns[AT] = _told(times).cast(pa.timestamp("us", tz="UTC"))
    for feature in signature["features"]:
        columns[feature_column(feature["name"])] = kept(table[feature["name"]], feature["kind"])
    features = {feature["name"] for feature in signature["features"]}
    answer = ColumnKind.NUMBER if signature["task"] == Task.REGRESSION else ColumnKind.CATEGORY
    for source, name, kind in (
        (PREDICTION, PREDICTION, answer),
        (PREDICTION_ID, PREDICTION_ID, ColumnKind.CATEGORY),
        (signature["target"], LABEL, answer),
    ):
        if source in table.column_names and source not in features and table[source].null_count < table.num_rows:
            columns[name] = kept(table[source], kind)
    return pa.table(columns)


def _told(times: pa.ChunkedArray) -> pa.ChunkedArray:
    import pyarrow as pa
    import pyarrow.compute as pc

    first, end = (pa.scalar(datetime(year, 1, 1), times.type) for year in (FIRST_YEAR, LAST_YEAR + 1))  # noqa: DTZ001
    inside = pc.and_(pc.greater_equal(times, first), pc.less(times, end))
    return pc.if_else(inside, times, pa.scalar(None, times.type))


def _kind(inferred: ColumnKind, wanted: ColumnKind) -> ColumnKind:
    if inferred in NUMBERS and wanted in NUMBERS:
        return ColumnKind.NUMBER
    if inferred in MOMENTS and wanted in MOMENTS:  # its date format goes with the inferred kind
        return inferred
    return wanted
