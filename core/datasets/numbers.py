"""Numbers written as text: which marks a file uses, whether a column is made of numbers, and reading it exactly.

A number is a sign, digits grouped by the thousands mark or not at all, a decimal part, an exponent. Digits after a
leading zero ("007") are a code, not a number.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

EXACT_DIGITS = 15
KEPT_DIGITS = 17
NumberKind = Literal["integer", "number"]


def integer_pattern(thousands: str) -> str:
    """Regular expression of a whole number."""
    return f"^[+-]?{_whole(thousands)}$"


def number_pattern(decimal: str, thousands: str) -> str:
    """Regular expression of a number, whole ones included."""
    mark = "\\" + decimal
    # "5." is how some programs write a float; "5," is no decimal anywhere.
    digits = "*" if decimal == "." else "+"
    return f"^[+-]?(?:{_whole(thousands)}(?:{mark}[0-9]{digits})?|{mark}[0-9]+)(?:[eE][+-]?[0-9]+)?$"


def _whole(thousands: str) -> str:
    plain = "(?:0|[1-9][0-9]*)"
    if not thousands:
        return plain
    mark = thousands if thousands in " '" else "\\" + thousands
    return f"(?:{plain}|[1-9][0-9]{{0,2}}(?:{mark}[0-9]{{3}})+)"


def matches(values: pa.Array, pattern: str) -> NDArray[np.bool_]:
    """Which values a regular expression describes."""
    return np.asarray(pc.match_substring_regex(values, pattern).to_numpy(zero_copy_only=False), dtype=np.bool_)


def plain(values: pa.Array, decimal: str, thousands: str) -> pa.Array:
    """The same numbers with "." for the decimal mark, no thousands mark and no plus sign."""
    if thousands:
        values = pc.replace_substring(values, thousands, "")
    if decimal != ".":
        values = pc.replace_substring(values, decimal, ".")
    return pc.replace_substring_regex(values, r"^\+", "")


def to_integers(values: pa.Array, thousands: str) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Read text as whole numbers of 64 bits.

    Returns
    -------
    integers : ndarray of shape (n,)
        0 where unreadable.
    readable : ndarray of shape (n,)
        False where the text is no whole number or does not fit.
    """
    readable = matches(values, integer_pattern(thousands))
    text = plain(values, ".", thousands)
    long = np.asarray(pc.binary_length(text).to_numpy(zero_copy_only=False)) > 18
    for i in np.flatnonzero(readable & long):
        readable[i] = -(2**63) <= int(text[int(i)].as_py()) < 2**63
    cells = pc.if_else(pa.array(readable), text, "0")
    return np.asarray(pc.cast(cells, pa.int64()).to_numpy(zero_copy_only=False), dtype=np.int64), readable


def to_floats(values: pa.Array, decimal: str, thousands: str) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Read text as the nearest 64-bit floats.

    Returns
    -------
    floats : ndarray of shape (n,)
        0 where unreadable.
    readable : ndarray of shape (n,)
        False where the text is no number, or too large for a float.
    """
    readable = matches(values, number_pattern(decimal, thousands))
    cells = pc.if_else(pa.array(readable), plain(values, decimal, thousands), "0")
    floats = np.asarray(pc.cast(cells, pa.float64()).to_numpy(zero_copy_only=False), dtype=np.float64)
    readable &= np.isfinite(floats)
    return np.where(readable, floats, 0.0), readable


def rounded(values: pa.Array, floats: NDArray[np.float64], decimal: str, thousands: str) -> NDArray[np.bool_]:
    """Which texts hold more than a float keeps: neither its shortest nor its 17-digit form is the same number.

    Up to 15 significant digits always survive, so only longer ones are compared, in exact decimal arithmetic.
    """
    lost = np.zeros(len(values), dtype=np.bool_)
    text = plain(values, decimal, thousands)
    long = np.asarray(pc.binary_length(text).to_numpy(zero_copy_only=False)) > EXACT_DIGITS
    for i in np.flatnonzero(long):
        exact, number = Decimal(text[int(i)].as_py()), float(floats[i])
        lost[i] = exact != Decimal(repr(number)) and exact != Decimal(f"{number:.{KEPT_DIGITS - 1}e}")
    return lost
