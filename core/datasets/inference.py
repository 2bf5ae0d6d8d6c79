"""What a column of text holds, told from *all* its values, and reading it as that exactly.

Integer before number before boolean before date before category before text, the first that fits every value. A code
with leading zeros, a whole number beyond 64 bits and a decimal longer than a float keeps are never made numbers here.
Text that repeats is a category: at most `FEW_CATEGORIES` distinct values, or at most `MANY_CATEGORIES` that make up at
most half of the cells, none longer than `LONGEST_CATEGORY` characters.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from core.datasets import dates, numbers
from core.datasets.tables import ColumnKind

FEW_CATEGORIES = 20
MANY_CATEGORIES = 1_000
LONGEST_CATEGORY = 200

ARROW_TYPES = {
    ColumnKind.INTEGER: pa.int64(),
    ColumnKind.NUMBER: pa.float64(),
    ColumnKind.BOOLEAN: pa.bool_(),
    ColumnKind.CATEGORY: pa.string(),
    ColumnKind.DATE: pa.date32(),
    ColumnKind.TIMESTAMP: pa.timestamp("us"),
    ColumnKind.TEXT: pa.string(),
}


@dataclass(frozen=True)
class Coded:
    """A column of text as its distinct values and, per row, which one: work is done once per distinct value.

    Parameters
    ----------
    values : pyarrow string array
        Distinct, trimmed where asked, missing ones left out.
    codes : pyarrow int32 array of shape (n_rows,)
        Positions in ``values``; null where the cell is missing.
    counts : dict
        Cells per missing token that occurred.
    trimmed : bool
        Whether white space was dropped somewhere.
    """

    values: pa.Array
    codes: pa.Array
    counts: dict[str, int]
    trimmed: bool

    @property
    def n_present(self) -> int:
        """Cells that are not missing."""
        return len(self.codes) - int(self.codes.null_count)


@dataclass(frozen=True)
class KindReading:
    """What a column was taken for, its date format where it has one, and what a person should know."""

    kind: ColumnKind
    date_format: str | None = None
    notes: tuple[str, ...] = ()


def code(column: pa.ChunkedArray | pa.Array, missing_tokens: tuple[str, ...], trim: bool) -> Coded:
    """Find a column's distinct values.

    Parameters
    ----------
    column : pyarrow string array
        As read; null stands for the empty cell.
    """
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    coded = pc.fill_null(column, "").dictionary_encode()
    raw, raw_codes = coded.dictionary, coded.indices.to_numpy(zero_copy_only=False)
    cleaned = pc.utf8_trim_whitespace(raw) if trim else raw
    trimmed = bool(trim and pc.any(pc.not_equal(cleaned, raw)).as_py())
    again = cleaned.dictionary_encode()
    values, merge = again.dictionary, again.indices.to_numpy(zero_copy_only=False)
    missing = pc.is_in(values, value_set=pa.array(missing_tokens, pa.string())).to_numpy(zero_copy_only=False)
    position = np.where(missing, -1, np.cumsum(~missing) - 1).astype(np.int32)
    codes = merge[raw_codes] if len(raw) else np.empty(0, np.int32)
    counts = np.bincount(codes, minlength=len(values))
    tokens = {values[int(i)].as_py(): int(counts[i]) for i in np.flatnonzero(missing)}
    final = position[codes]
    return Coded(values.filter(pa.array(~missing)), pa.array(final, mask=final < 0), tokens, trimmed)


def infer_kind(column: Coded, decimal: str, thousands: str) -> KindReading:
    """Tell what a column holds.

    Parameters
    ----------
    column : Coded
    decimal, thousands : str
        The file's number marks.
    """
    values = column.values
    if len(values) == 0:
        return KindReading(ColumnKind.TEXT, notes=("has no values at all",))
    numeric = numbers.matches(values, numbers.number_pattern(decimal, thousands))
    if numeric.all():
        if numbers.to_integers(values, thousands)[1].all():
            return KindReading(ColumnKind.INTEGER)
        floats, readable = numbers.to_floats(values, decimal, thousands)
        lost = numbers.rounded(values, floats, decimal, thousands)
        if readable.all() and not lost.any():
            return KindReading(ColumnKind.NUMBER)
        example = values[int(np.flatnonzero(lost | ~readable)[0])].as_py()
        return KindReading(
            _repeats(column),
            notes=(
                f"holds {example[:40]!r}, more than a number keeps, so its text is kept; choose number to round it",
            ),
        )
    if pc.all(pc.is_in(pc.utf8_lower(values), value_set=pa.array(["true", "false"]))).as_py():
        return KindReading(ColumnKind.BOOLEAN)
    if (reading := dates.infer(values)) is not None:
        notes = []
        if reading.ambiguous:
            first = "month" if reading.date_format.index("%m") < reading.date_format.index("%d") else "day"
            notes.append(f"could be day or month first in every row; read {first} first ({reading.date_format})")
        else:
            notes.append(f"is read as {dates.in_words(reading.date_format)} ({reading.date_format})")
        if reading.two_digit_year:
            notes.append("has two-digit years: 69-99 become 1969-1999, 00-68 become 2000-2068")
        kind = ColumnKind.TIMESTAMP if reading.has_time else ColumnKind.DATE
        return KindReading(kind, reading.date_format, tuple(notes))
    kind = _repeats(column)
    share = float(numeric.mean())
    if numbers.matches(values, r"^[+-]?0[0-9]+$").any() and numbers.matches(values, r"^[+-]?[0-9]+$").all():
        return KindReading(kind, notes=("has leading zeros, so it is kept as written",))
    if share >= 0.5:
        odd = values[int(np.flatnonzero(~numeric)[0])].as_py()
        return KindReading(kind, notes=(f"is mostly numbers but holds {odd[:40]!r}, so it is read as {kind.value}",))
    return KindReading(kind)


def _repeats(column: Coded) -> ColumnKind:
    distinct = len(column.values)
    if pc.max(pc.utf8_length(column.values)).as_py() > LONGEST_CATEGORY:
        return ColumnKind.TEXT
    few = distinct <= FEW_CATEGORIES or (distinct <= MANY_CATEGORIES and 2 * distinct <= column.n_present)
    return ColumnKind.CATEGORY if few else ColumnKind.TEXT


def infer_marks(columns: list[Coded], delimiter: str) -> tuple[str, str, tuple[str, ...]]:
    """Tell the decimal and the thousands mark of a file from all its columns.

    A column votes when it is made of numbers under one reading only. Where every candidate column reads both ways
    ("1,234"), the comma is a decimal mark in a file delimited by semicolons and a thousands mark elsewhere, and that
    is noted.

    Returns
    -------
    decimal, thousands : str
    notes : tuple of str
    """
    votes: dict[tuple[str, str], int] = {}
    unsure = 0
    for column in columns:
        values = column.values
        if len(values) == 0 or not numbers.matches(values, r"[0-9]").all():
            continue
        if numbers.matches(values, numbers.number_pattern(".", "")).all():
            if numbers.matches(values, r"\.").any():
                votes[(".", "")] = votes.get((".", ""), 0) + 1
            continue
        fits = [marks for marks in _MARKS if numbers.matches(values, numbers.number_pattern(*marks)).all()]
        if (",", "") in fits and (".", ",") in fits:
            unsure += 1
        elif fits:
            votes[fits[0]] = votes.get(fits[0], 0) + 1
    grouped = {marks: n for marks, n in votes.items() if marks != (".", "")}
    if unsure and not grouped:
        if delimiter == ";" and not votes:
            return ",", "", ('"1,234" could be a decimal or a thousand: the comma is read as the decimal mark.',)
        return ".", ",", ('"1,234" could be a decimal or a thousand: the comma is read as the thousands mark.',)
    if not grouped:
        return ".", "", ()
    with_comma = sum(n for (decimal, _), n in votes.items() if decimal == ",")
    decimal = "," if with_comma > sum(votes.values()) - with_comma else "."
    chosen = {thousands for (mark, thousands) in grouped if mark == decimal and thousands}
    thousands = max(chosen, key=lambda mark: votes[(decimal, mark)]) if chosen else ""
    notes = []
    if decimal == ",":
        notes.append("Numbers are read with a decimal comma.")
    if thousands:
        notes.append(f"Numbers are read with {thousands!r} between thousands.")
    return decimal, thousands, tuple(notes)


_MARKS = ((",", ""), (",", "."), (".", ","), (".", " "), (",", " "), (".", "'"), (",", "'"))


def cast(
    column: Coded, kind: ColumnKind, *, decimal: str, thousands: str, date_format: str | None
) -> tuple[pa.Array, NDArray[np.bool_]]:
    """Read a column as its kind.

    Returns
    -------
    column : pyarrow array of shape (n_rows,)
    readable : ndarray of shape (n_values,)
        Per distinct value, whether it could be read; the column is only right when all are.
    """
    values, zone = column.values, None
    readable = np.ones(len(values), dtype=np.bool_)
    if kind is ColumnKind.INTEGER:
        integers, readable = numbers.to_integers(values, thousands)
        cells = pa.array(integers)
    elif kind is ColumnKind.NUMBER:
        floats, readable = numbers.to_floats(values, decimal, thousands)
        cells = pa.array(floats)
    elif kind is ColumnKind.BOOLEAN:
        lower = pc.utf8_lower(values)
        readable = pc.is_in(lower, value_set=pa.array(["true", "false"])).to_numpy(zero_copy_only=False)
        cells = pc.equal(lower, "true")
    elif kind in (ColumnKind.DATE, ColumnKind.TIMESTAMP):
        moments, readable = dates.parse(values, date_format or "%Y-%m-%d")
        zone = "UTC" if date_format and "%z" in date_format else None
        if kind is ColumnKind.DATE:
            cells = pa.array((moments // 86_400_000_000).astype("datetime64[D]"), pa.date32())
        else:
            cells = pa.array(moments, pa.timestamp("us", tz=zone))
    else:
        cells = values
    return cells.take(column.codes), readable
