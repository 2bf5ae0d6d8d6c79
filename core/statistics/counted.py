"""Two samples as counts of the same points: what every drift test looks at, exact or from sketches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.statistics import two_sample

# The largest share of a sample that one point of several values may hide.
MAX_COARSENESS = 0.01
OTHER = "all other names"


class TwoSamples:
    """Two samples as counts, ``reference`` and ``current``; how many rows each has is summed up once."""

    reference: NDArray[np.int64]
    current: NDArray[np.int64]

    @cached_property
    def n_reference(self) -> int:
        """Rows of the reference."""
        return int(self.reference.sum())

    @cached_property
    def n_current(self) -> int:
        """Rows of the current sample."""
        return int(self.current.sum())


@dataclass(frozen=True, eq=False)
class Counted(TwoSamples):
    """Two samples of numbers as counts of the same points.

    Parameters
    ----------
    low, high : ndarray of shape (k,), float64
        Between which values a point's rows lie; equal where they all have that one value. Points are in rising order
        and do not overlap.
    reference, current : ndarray of shape (k,), int64
        Rows of each sample; not both 0.
    """

    low: NDArray[np.float64]
    high: NDArray[np.float64]
    reference: NDArray[np.int64]
    current: NDArray[np.int64]

    @cached_property
    def mixed(self) -> NDArray[np.bool_]:
        """Which points hold several values."""
        return np.asarray(self.low != self.high)

    @cached_property
    def positions(self) -> NDArray[np.float64]:
        """Where a point's rows are taken to lie: in the middle of its bounds, or infinitely far where one is."""
        return np.where(self.mixed, self.low / 2 + self.high / 2, self.low)

    @cached_property
    def reached(self) -> NDArray[np.int64]:
        """Rows below each point, and all of them last; of shape (2, k + 1), the reference's first."""
        reached = np.zeros((2, len(self.reference) + 1), dtype=np.int64)
        for counts, below in zip((self.reference, self.current), reached, strict=True):
            np.cumsum(counts, out=below[1:])
        return reached

    @cached_property
    def gaps(self) -> NDArray[np.float64]:
        """By how much the two distribution functions differ at each point; NaN where a sample has no row."""
        return two_sample.gaps_of_reached(*self.reached[:, 1:])


@dataclass(frozen=True, eq=False)
class CountedCategories(TwoSamples):
    """Two samples of categories as counts of the same names.

    Parameters
    ----------
    names : tuple of k str
    reference, current : ndarray of shape (k,), int64
        Rows of each sample; not both 0.
    known : ndarray of shape (k,), bool
        Whether the reference knows the name.
    """

    names: tuple[str, ...]
    reference: NDArray[np.int64]
    current: NDArray[np.int64]
    known: NDArray[np.bool_]


def counted(reference_values: NDArray[np.float64], current_values: NDArray[np.float64]) -> Counted:
    """Two samples as exact counts of the values that occur: each point is one value. O(n log n).

    Parameters
    ----------
    reference_values, current_values : ndarray of shape (n,), (m,)
        NaN is left out; infinities are values at the ends.
    """
    (first, n_first), (second, n_second) = (_values(sample) for sample in (reference_values, current_values))
    points = np.union1d(first, second)
    reference, current = np.zeros(len(points), dtype=np.int64), np.zeros(len(points), dtype=np.int64)
    reference[np.searchsorted(points, first)] = n_first
    current[np.searchsorted(points, second)] = n_second
    return Counted(points, points, reference, current)


def counted_categories(reference_values: NDArray[Any], current_values: NDArray[Any]) -> CountedCategories:
    """Two samples as exact counts of the names that occur, those the reference holds most of first.

    Parameters
    ----------
    reference_values, current_values : ndarray of shape (n,), (m,), object
        str, or None where missing, which is left out.
    """
    samples = [Counter(sample.tolist()) for sample in (reference_values, current_values)]
    for sample in samples:
        sample.pop(None, None)
    return side_by_side(samples[0], samples[1])


def side_by_side(
    reference: Mapping[str, int], current: Mapping[str, int], reference_other: int = 0, current_other: int = 0
) -> CountedCategories:
    """Counts by name as counts of the same names, those the reference holds most of first.

    Where either sample holds rows of other names they come last as one entry, `OTHER`; the reference knows it where it
    holds such rows itself.
    """
    names = sorted(reference.keys() | current.keys(), key=lambda name: (-reference.get(name, 0), name))
    counts = [[sample.get(name, 0) for name in names] for sample in (reference, current)]
    known = [name in reference for name in names]
    if reference_other or current_other:
        names.append(OTHER)
        counts[0].append(reference_other)
        counts[1].append(current_other)
        known.append(reference_other > 0)
    first, second = (np.array(sample, dtype=np.int64) for sample in counts)
    return CountedCategories(tuple(names), first, second, np.array(known, dtype=bool))


def coarseness(points: Counted) -> float:
    """Largest share of either sample that lies in one point of several values, in [0, 1]; 0 without any row."""
    samples = (points.reference, points.n_reference), (points.current, points.n_current)
    return max(float((counts * points.mixed).max(initial=0)) / max(1, n) for counts, n in samples)


def _values(sample: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    present = np.asarray(sample, dtype=np.float64)
    present = present[~np.isnan(present)] + 0.0
    values, counts = np.unique(present, return_counts=True)
    return values, counts.astype(np.int64)
