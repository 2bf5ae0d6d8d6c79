"""Dates and times written as text: which formats are known, which one a column is in, and reading it exactly.

A format is written with the letters of `DIRECTIVES`. It is inferred from *all* values of a column. Day and month are
told apart by a value above 12; where no value settles it, the rule is month first with "/" and day first with "." or
"-", and the column is reported as ambiguous. Two-digit years: 69-99 are 1969-1999, 00-68 are 2000-2068.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import product

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from core.errors import InvalidInput

DIRECTIVES = {
    "%Y": r"(?P<Y>\d{4})",
    "%y": r"(?P<y>\d{2})",
    "%m": r"(?P<m>\d{1,2})",
    "%d": r"(?P<d>\d{1,2})",
    "%b": r"(?P<b>[A-Za-z]{3})",
    "%H": r"(?P<H>\d{1,2})",
    "%I": r"(?P<I>\d{1,2})",
    "%M": r"(?P<M>\d{2})",
    "%S": r"(?P<S>\d{2})(?:\.(?P<f>\d{1,6}))?",
    "%p": r"(?P<p>[AaPp][Mm])",
    "%z": r"(?P<z>Z|[+-]\d{2}:?\d{2})",
}
_WORDS = {
    "%Y": "year", "%y": "two-digit year", "%m": "month", "%d": "day", "%b": "month's name", "%H": "hour",
    "%I": "hour", "%M": "minute", "%S": "second", "%p": "AM or PM", "%z": "time zone",
}  # fmt: skip
_MONTHS = {
    name: i + 1
    for i, name in enumerate(["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"])
}
_MONTH_FIRST = {"%m/%d/%Y": "%d/%m/%Y", "%m/%d/%y": "%d/%m/%y"}
_DAY_FIRST = {"%d-%m-%Y": "%m-%d-%Y", "%d.%m.%Y": "%m.%d.%Y", "%d-%m-%y": "%m-%d-%y", "%d.%m.%y": "%m.%d.%y"}
SWAPPED = {**_MONTH_FIRST, **_DAY_FIRST}
_DATES = (
    "%Y-%m-%d",
    "%Y/%m/%d",
    "%Y.%m.%d",
    *(form for pair in SWAPPED.items() for form in pair),
    "%d-%b-%Y",
    "%d %b %Y",
    "%d-%b-%y",
    "%b %d, %Y",
)
_TIMES = ("%H:%M:%S", "%H:%M", "%I:%M:%S %p", "%I:%M %p", "%H:%M:%S%z", "%H:%M%z")
FORMATS: tuple[str, ...] = (*_DATES, *(date + gap + time for date, gap, time in product(_DATES, (" ", "T"), _TIMES)))


@dataclass(frozen=True)
class DateReading:
    """A column's format, and what a person should know about it.

    Parameters
    ----------
    date_format : str
    has_time : bool
    ambiguous : bool
        Day and month could be the other way round; the rule decided.
    two_digit_year : bool
    """

    date_format: str
    has_time: bool
    ambiguous: bool
    two_digit_year: bool


def has_time(date_format: str) -> bool:
    """Whether a format holds a time of day."""
    return "%H" in date_format or "%I" in date_format


def in_words(date_format: str) -> str:
    """A format as people say it: "month/day/two-digit year"."""
    return re.sub(r"%.", lambda piece: _WORDS.get(piece[0], piece[0]), date_format)


def pattern_of(date_format: str) -> str:
    """The regular expression a format stands for, anchored at both ends.

    Raises
    ------
    InvalidInput
        A letter is not known, or year, month or day is missing.
    """
    pieces, seen = [], set()
    for piece in re.split(r"(%.)", date_format):
        if piece.startswith("%") and len(piece) == 2:
            if piece not in DIRECTIVES or piece in seen:
                raise InvalidInput(
                    f"The date format {date_format!r} holds {piece!r} twice or unknown. "
                    f"Use each of {' '.join(DIRECTIVES)} at most once."
                )
            seen.add(piece)
            pieces.append(DIRECTIVES[piece])
        else:
            pieces.append(re.escape(piece).replace("\\ ", " "))
    complete = len(seen & {"%Y", "%y"}) == len(seen & {"%m", "%b"}) == len(seen & {"%d"}) == 1
    if not complete or ("%I" in seen) != ("%p" in seen) or ("%M" in seen and not seen & {"%H", "%I"}):
        raise InvalidInput(
            f"The date format {date_format!r} does not say year, month and day once each (and an hour before minutes)."
        )
    return "^" + "".join(pieces) + "$"


def infer(values: pa.Array) -> DateReading | None:
    """Find the format all values are in, or None.

    Parameters
    ----------
    values : pyarrow string array
        The distinct values, missing ones left out.
    """
    if len(values) == 0:
        return None
    first = values[0].as_py()
    if len(first) > 40 or not first[:1].isalnum() or not any(letter.isdigit() for letter in first):
        return None
    for date_format in FORMATS:
        if not re.match(_PATTERNS[date_format], first):
            continue
        if parse(values, date_format)[1].all():
            date = next(form for form in sorted(_DATES, key=len, reverse=True) if date_format.startswith(form))
            swapped = SWAPPED.get(date)
            other = swapped and date_format.replace(date, swapped, 1)
            ambiguous = (
                bool(other) and bool(parse(values, str(other))[1].all()) and not _same(values, date_format, other)
            )
            return DateReading(date_format, has_time(date_format), ambiguous, "%y" in date_format)
    return None


def _same(values: pa.Array, one: str, other: str | None) -> bool:
    return other is not None and bool(np.array_equal(parse(values, one)[0], parse(values, other)[0]))


def parse(values: pa.Array, date_format: str) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Read text as moments.

    Parameters
    ----------
    values : pyarrow string array of shape (n,)
        No missing values.
    date_format : str

    Returns
    -------
    microseconds : ndarray of shape (n,)
        Since 1970-01-01 00:00, in UTC where the format holds a zone, else as written; 0 where unreadable.
    readable : ndarray of shape (n,)
        False where the text is not in the format or names a day or time that does not exist.
    """
    n = len(values)
    groups = pc.extract_regex(values, pattern_of(date_format))
    readable = groups.is_valid().to_numpy(zero_copy_only=False)
    names = [field.name for field in groups.type]
    text = {name: pc.fill_null(pc.struct_field(groups, name), "") for name in names}

    def number(name: str, default: int) -> NDArray[np.int64]:
        if name not in text:
            return np.full(n, default, dtype=np.int64)
        cells = pc.if_else(pc.equal(text[name], ""), str(default), text[name])
        return np.asarray(pc.cast(cells, pa.int64()).to_numpy(zero_copy_only=False), dtype=np.int64)

    year = number("Y", 1970)
    if "y" in text:
        year = number("y", 70)
        year = np.where(year >= 69, year + 1900, year + 2000)
    if "b" in text:
        spelled = [_MONTHS.get(cell.lower(), 0) for cell in text["b"].to_pylist()]
        month = np.array(spelled, dtype=np.int64)
    else:
        month = number("m", 1)
    day = number("d", 1)
    readable = readable & (year >= 1) & (month >= 1) & (month <= 12) & (day >= 1) & (day <= 31)
    months = np.where(readable, (year - 1970) * 12 + month - 1, 0).astype("datetime64[M]")
    days = months.astype("datetime64[D]") + np.where(readable, day - 1, 0).astype("timedelta64[D]")
    readable = readable & (days.astype("datetime64[M]") == months)

    hour, minute, second = number("H", 0), number("M", 0), number("S", 0)
    if "I" in text:
        twelve = number("I", 12)
        readable = readable & (twelve >= 1) & (twelve <= 12)
        afternoon = pc.equal(pc.utf8_lower(text["p"]), "pm").to_numpy(zero_copy_only=False)
        hour = twelve % 12 + np.where(afternoon, 12, 0)
    readable = readable & (hour <= 23) & (minute <= 59) & (second <= 59)
    fraction = np.zeros(n, dtype=np.int64)
    if "f" in text:
        fraction = np.asarray(
            pc.cast(pc.utf8_rpad(text["f"], 6, "0"), pa.int64()).to_numpy(zero_copy_only=False), dtype=np.int64
        )
    seconds = days.astype("datetime64[s]").astype(np.int64) + hour * 3600 + minute * 60 + second
    if "z" in text:
        seconds = seconds - np.array([_offset(cell) for cell in text["z"].to_pylist()], dtype=np.int64)
    return np.where(readable, seconds * 1_000_000 + fraction, 0), readable


def _offset(zone: str) -> int:
    if zone in ("", "Z"):
        return 0
    digits = zone[1:].replace(":", "")
    return (1 if zone[0] == "+" else -1) * (int(digits[:2]) * 3600 + int(digits[2:]) * 60)


_PATTERNS = {date_format: pattern_of(date_format) for date_format in FORMATS}
