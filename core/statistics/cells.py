"""Cells: numbers counted by the leading bits of their distance from an anchor.

A value is moved by the anchor, divided by the unit and rounded to float32; the upper 16 of its 32 bits, in an order
that follows the values, are its cell. Sign, exponent and seven bits of the fraction remain, so that a cell is at most
1/128 as wide as its distance from the anchor: narrow where the anchor is, wide far out. Every step is monotone, so
cells are in the order of the values and never overlap.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from core.errors import InvalidInput

N_CELLS = 1 << 16
# Rows taken at a time: their buffers stay in the processor's cache. Measured beside 32k and 512k.
BLOCK = 1 << 17
# The first looks for cells of one value are short.
FIRST_LOOK = 1 << 11
# Below this many rows sorting is cheaper than going through tables of all cells.
FEW = 1 << 13
# Values that tell the scale.
ENOUGH = 10_000
# Of the unit, as a power of two: within them the edges of all cells are finite, and no float64 is too small to count.
LEAST_EXPONENT, MOST_EXPONENT = -1_000, 890
# Of the upper 16 bits of a float32: the sign, and those of infinity; NaN lies above.
SIGN, INFINITE = 0x8000, 0x7F80


@dataclass(frozen=True)
class Scale:
    """Where a column's cells are narrow, and how wide.

    Parameters
    ----------
    anchor : float
        Finite. Cells are narrowest around it.
    unit : float
        A power of two, so that dividing by it rounds nothing; about the typical distance from the anchor. It keeps
        values like 1e300 and 1e-300 within the range of float32.

    Raises
    ------
    InvalidInput
        The anchor is not finite, or the unit no power of two between 2**-1000 and 2**890.
    """

    anchor: float
    unit: float

    def __post_init__(self) -> None:
        if not math.isfinite(self.anchor):
            raise InvalidInput(f"A scale's anchor is finite; {self.anchor} was given.")
        fraction, exponent = math.frexp(self.unit)
        if fraction != 0.5 or not LEAST_EXPONENT <= exponent - 1 <= MOST_EXPONENT:
            raise InvalidInput(f"A scale's unit is a power of two from 2**-1000 to 2**890; {self.unit} was given.")


def fit_scale(values: NDArray[np.float64]) -> Scale:
    """The scale that suits a sample: anchored at its median, in units of the median distance from it.

    Of many values 10,000 are looked at, drawn with a fixed seed: a scale decides how fine cells are, nothing else.

    Parameters
    ----------
    values : ndarray of shape (n,)
        NaN and infinities are left out. Without a finite value the scale is (0, 1); where more than half of the rows
        equal the median, the unit comes from the others.

    Returns
    -------
    Scale
        The anchor is a value that occurs, so that differences of whole numbers stay whole.
    """
    values = np.asarray(values, dtype=np.float64)
    finite = np.empty(0)
    if len(values) > ENOUGH:
        drawn = values[np.random.default_rng(0).integers(0, len(values), ENOUGH)]
        finite = drawn[np.isfinite(drawn)]
    if len(finite) < ENOUGH // 10:  # few values, or nearly all of them missing
        finite = values[np.isfinite(values)]
    if len(finite) == 0:
        return Scale(0.0, 1.0)
    middle = (len(finite) - 1) // 2
    anchor = float(np.partition(finite, middle)[middle]) + 0.0
    with np.errstate(over="ignore"):
        away = np.abs(finite - anchor)
    away = away[(away > 0) & np.isfinite(away)]
    if len(away) == 0:
        return Scale(anchor, 1.0)
    middle = (len(away) - 1) // 2
    exponent = math.frexp(float(np.partition(away, middle)[middle]))[1] - 1
    return Scale(anchor, math.ldexp(1.0, max(LEAST_EXPONENT, min(MOST_EXPONENT, exponent))))


@dataclass(frozen=True)
class Tally:
    """How many values each cell holds.

    Parameters
    ----------
    keys : ndarray of shape (k,), uint16
        Cells that hold something, rising; a higher key holds higher values.
    counts : ndarray of shape (k,), int64
        At least 1 each.
    values : ndarray of shape (k,), float64
        The value where the cell holds one single value, else NaN.
    n_missing : int
        How many were NaN.
    """

    keys: NDArray[np.uint16]
    counts: NDArray[np.int64]
    values: NDArray[np.float64]
    n_missing: int


class CellCounter:
    """Counts values by cell as they come in: O(n), in about 1 MB however many they are.

    Infinities are values at the ends. Finite values beyond float32's range at this scale share the end cell with them.

    Parameters
    ----------
    scale : Scale
    """

    def __init__(self, scale: Scale) -> None:
        self.scale = scale
        self._few: list[NDArray[np.float64]] = []
        self._n_few = 0
        self._tables: _Tables | None = None

    def add(self, values: NDArray[np.float64]) -> None:
        """Count these too. They are not to be changed before `tally`."""
        values = np.asarray(values, dtype=np.float64)
        if self._tables is None:
            self._few.append(values)
            self._n_few += len(values)
            if self._n_few < FEW:
                return
            self._tables = _Tables()
            waiting, self._few = self._few, []
        else:
            waiting = [values]
        for one in waiting:
            for start in range(0, len(one), BLOCK):
                block = one[start : start + BLOCK]
                self._tables.add(_upper_bits(block, self.scale).astype(np.intp), block)

    def tally(self) -> Tally:
        """What was counted so far."""
        if self._tables is None:
            return _tally_few(np.concatenate([np.empty(0), *self._few]), self.scale)
        return self._tables.tally()


class _Tables:
    """All cells by their raw upper bits: putting 65,536 in order at the end is cheaper than putting n rows in order."""

    def __init__(self) -> None:
        self._counts = np.zeros(N_CELLS, dtype=np.int64)
        self._single, self._open = np.full(N_CELLS, np.nan), np.ones(N_CELLS, dtype=bool)
        # Short looks first: after them most cells are known to hold one value or several, and few rows need more care.
        self._look_rows = FIRST_LOOK

    def add(self, raw: NDArray[np.intp], values: NDArray[np.float64]) -> None:
        self._counts += np.bincount(raw, minlength=N_CELLS)
        start = 0
        while start < len(values):
            end = start + self._look_rows
            self._look(raw[start:end], values[start:end])
            start, self._look_rows = end, min(2 * self._look_rows, BLOCK)

    def tally(self) -> Tally:
        counts, n_missing = self._counts.copy(), 0
        for missing in (counts[INFINITE + 1 : SIGN], counts[SIGN + INFINITE + 1 :]):
            n_missing += int(missing.sum())
            missing[:] = 0
        held = counts > 0
        found = np.concatenate([SIGN + np.flatnonzero(held[SIGN:])[::-1], np.flatnonzero(held[:SIGN])])
        values = np.where(self._open[found], self._single[found] + 0.0, np.nan)
        return Tally(_ordered(found), counts[found], values, n_missing)

    def _look(self, raw: NDArray[np.intp], values: NDArray[np.float64]) -> None:
        """Note the value of cells that are new, and close those that now hold several."""
        single, open_ = self._single, self._open
        is_open = open_.take(raw)
        if np.count_nonzero(is_open) < len(raw) // 4:
            rows = np.flatnonzero(is_open)
            raw, values = raw.take(rows), values.take(rows)
            rows = np.flatnonzero(single.take(raw) != values)
        else:
            rows = np.flatnonzero((single.take(raw) != values) & is_open)
        if len(rows) == 0:
            return
        raw, values = raw.take(rows), values.take(rows)
        known = ~np.isnan(single.take(raw))
        open_[raw[known]] = False
        rows = np.flatnonzero(~known)
        raw, values = raw.take(rows), values.take(rows)
        single[raw] = values
        open_[raw[single.take(raw) != values]] = False


def bounds(keys: NDArray[np.integer], scale: Scale) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Between which values each cell lies; neighbouring cells share an edge.

    Exact for values of more than half the anchor's and less than twice its size (Sterbenz), where the anchor and they
    have one sign; elsewhere to within one rounding of float64 at the size of the anchor.
    """
    edges = _edges()
    place = keys.astype(np.intp, copy=False)
    with np.errstate(over="ignore"):
        return scale.anchor + scale.unit * edges[place], scale.anchor + scale.unit * edges[place + 1]


def _tally_few(values: NDArray[np.float64], scale: Scale) -> Tally:
    present = np.sort(values[~np.isnan(values)]) + 0.0
    if len(present) == 0:
        return Tally(np.empty(0, np.uint16), np.empty(0, np.int64), np.empty(0), len(values))
    keys = _ordered(_upper_bits(present, scale))
    starts = np.flatnonzero(np.r_[True, keys[1:] != keys[:-1]])
    ends = np.r_[starts[1:], len(keys)]
    first, last = present[starts], present[ends - 1]
    single = np.where(first == last, first, np.nan)
    return Tally(keys[starts], (ends - starts).astype(np.int64), single, len(values) - len(present))


def _upper_bits(values: NDArray[np.float64], scale: Scale) -> NDArray[np.uint16]:
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        # Added rather than subtracted, so that -0.0 becomes 0.0: equal values share a cell.
        moved = values + (0.0 - scale.anchor)
        moved *= 1.0 / scale.unit
        rounded = moved.astype("<f4")
    upper: NDArray[np.uint16] = rounded.view("<u2")[1::2]
    return upper


def _ordered(raw: NDArray[np.integer]) -> NDArray[np.uint16]:
    """Upper bits of float32 as keys in the order of the values."""
    bits = raw.astype(np.uint16)
    return np.where(bits >= SIGN, ~bits, bits | np.uint16(SIGN))


@cache
def _edges() -> NDArray[np.float64]:
    """Edges of the cells in units from the anchor: cell ``key`` lies between ``edges[key]`` and ``edges[key + 1]``."""
    raw = np.arange(INFINITE, dtype=np.uint32) << np.uint32(16)
    near = np.append(raw.view(np.float32).astype(np.float64), 2.0**128)
    far = (raw | np.uint32(0xFFFF)).view(np.float32).astype(np.float64)
    halfway = (far + near[1:]) / 2
    edges = np.full(N_CELLS + 1, np.nan)
    edges[SIGN], edges[SIGN + INFINITE + 1], edges[SIGN - INFINITE - 1] = 0.0, np.inf, -np.inf
    edges[SIGN + 1 : SIGN + INFINITE + 1] = halfway
    edges[SIGN - INFINITE : SIGN] = -halfway[::-1]
    return edges
