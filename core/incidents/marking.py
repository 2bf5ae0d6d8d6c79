"""Looking for the marks of `signs` in every column of a window, one by one and two by two. PURE."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from core.incidents.category_signs import apart, category_signs, shares_of
from core.incidents.number_signs import number_signs
from core.incidents.samples import ALIKE, FEWEST, UNLIKE, samples_of
from core.incidents.signs import Sign, percent
from core.statistics.sketches import Counted, CountedCategories

MISSING_RISE = 0.05


@dataclass(frozen=True, eq=False)
class Column:
    """A column's values present, counted in both samples, and the shares of rows without a value."""

    counted: Counted | CountedCategories
    missing_then: float = 0.0
    missing_now: float = 0.0


def signs_of(columns: Mapping[str, Column]) -> dict[str, tuple[Sign, ...]]:
    """Every column's marks: of missing values, then of its shape; an exchanged column needs no other explanation."""
    exchanged = swapped({name: column.counted for name, column in columns.items()})
    found: dict[str, tuple[Sign, ...]] = {}
    for name, column in columns.items():
        gone = missing_signs(name, column.missing_then, column.missing_now)
        if name in exchanged:
            shape: tuple[Sign, ...] = (exchanged[name],)
        elif isinstance(column.counted, Counted):
            shape = number_signs(name, column.counted)
        else:
            shape = category_signs(name, column.counted)
        found[name] = gone + shape
    return found


def missing_signs(name: str, then: float, now: float) -> tuple[Sign, ...]:
    """The marks of missing values.

    Parameters
    ----------
    then, now : float
        Shares of rows without a value, in [0, 1].
    """
    if now - then < MISSING_RISE:
        return ()
    if now >= 0.99:
        return (Sign("all_missing", f"{name} is missing in every row; it was missing in {percent(then)}."),)
    return (Sign("missing", f"{name} is missing in {percent(now)} of the rows; it was in {percent(then)}."),)


def swapped(columns: Mapping[str, Counted | CountedCategories]) -> dict[str, Sign]:
    """Pairs of columns that look as the other did.

    Cost is quadratic in the columns that differ from their reference.

    Returns
    -------
    dict
        A sign for each column of such a pair.
    """
    found: dict[str, Sign] = {}
    names = [name for name, counted in columns.items() if _differs(counted)]
    for position, first in enumerate(names):
        for second in names[position + 1 :]:
            if first in found or second in found or type(columns[first]) is not type(columns[second]):
                continue
            if _exchanged(columns[first], columns[second]):
                words = f"{first} looks as {second} did, and {second} as {first} did."
                found |= {first: Sign("swapped", words), second: Sign("swapped", words)}
    return found


def _differs(counted: Counted | CountedCategories) -> bool:
    if isinstance(counted, Counted):
        then, now = samples_of(counted)
        return min(then.n, now.n) >= FEWEST and then.distance(now) >= UNLIKE
    enough = min(counted.reference.sum(), counted.current.sum()) >= FEWEST
    then_shares, now_shares = shares_of(counted.names, counted.reference), shares_of(counted.names, counted.current)
    return bool(enough) and apart(then_shares, now_shares) >= UNLIKE


def _exchanged(first: Counted | CountedCategories, second: Counted | CountedCategories) -> bool:
    if isinstance(first, Counted) and isinstance(second, Counted):
        (a_then, a_now), (b_then, b_now) = samples_of(first), samples_of(second)
        if min(a_then.n, a_now.n, b_then.n, b_now.n) < FEWEST:
            return False
        return a_then.explains(b_now) and b_then.explains(a_now)
    if isinstance(first, CountedCategories) and isinstance(second, CountedCategories):
        shares = [(shares_of(one.names, one.reference), shares_of(one.names, one.current)) for one in (first, second)]
        (c_then, c_now), (d_then, d_now) = shares
        return max(apart(c_then, d_now), apart(d_then, c_now)) < ALIKE
    return False
