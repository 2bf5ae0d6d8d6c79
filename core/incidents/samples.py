"""A sample as values with their shares, and how far two lie apart once one of them is moved. PURE."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.statistics.sketches import Counted

Array = NDArray[np.float64]

FEWEST = 50
"""Values each sample needs before a shape is told."""
ALIKE = 0.05
"""Two samples are alike where their distance is below this, or below what chance explains."""
MOST_APART = 0.15
UNLIKE = 0.1
"""A shape is looked for only where the distance is at least this."""
SLACK = 0.005
"""Values this share of the spread apart count as one value."""


@dataclass(frozen=True)
class Sample:
    """Values at rising points with their shares; ``known`` is the share of values that are known one by one."""

    at: Array
    share: Array
    n: float
    known: float

    @classmethod
    def of(cls, at: Array, counts: NDArray[np.int64], single: NDArray[np.bool_]) -> Sample:
        """Values at rising points, those that are counted and finite; ``single`` tells points that are one value."""
        held = (counts > 0) & np.isfinite(at)
        total = float(counts[held].sum())
        if not total:
            return cls(np.array([]), np.array([]), 0.0, 0.0)
        return cls(at[held], counts[held] / total, total, float(counts[held & single].sum()) / total)

    def distance(self, other: Sample) -> float:
        """Largest difference of the distribution functions, in [0, 1], where values a hair apart count as equal.

        Rounding after a conversion would otherwise part what is one step of both.
        """
        hair = max(
            SLACK * min(self._spread(), other._spread()), 1e-9 * float(max(abs(self.at).max(), abs(other.at).max()))
        )
        points = np.concatenate([self.at, other.at])
        more = (self._below(points) - other._below(points + hair)).max()
        fewer = (other._below(points) - self._below(points + hair)).max()
        return float(max(more, fewer, 0.0))

    def moved(self, change: Callable[[Array], Array]) -> Sample:
        """The sample after a change of every value."""
        at = change(self.at)
        order = np.argsort(at, kind="stable")
        return Sample(at[order], self.share[order], self.n, self.known)

    def without(self, value: float) -> Sample:
        """The other values."""
        kept = self.at != value
        share = self.share[kept]
        return Sample(self.at[kept], share / share.sum(), self.n * float(share.sum()), self.known)

    def share_of(self, value: float) -> float:
        """How many of the values are this one."""
        return float(self.share[self.at == value].sum())

    def median(self) -> float:
        """The middle value."""
        return float(self.at[np.searchsorted(np.cumsum(self.share), 0.5 - 1e-12)])

    def share_whole(self) -> float:
        """Share of values that are whole numbers."""
        return float(self.share[self.at == np.round(self.at)].sum())

    def holds(self, other: Sample) -> float:
        """Share of the other sample's values that occur in this one, but for rounding."""
        hair = 1e-9 * float(max(abs(self.at).max(), abs(other.at).max()))
        place = np.clip(np.searchsorted(self.at, other.at - hair), 0, len(self.at) - 1)
        return float(other.share[np.abs(self.at[place] - other.at) <= hair].sum())

    def explains(self, other: Sample) -> bool:
        """Whether the other sample looks as if it were this one."""
        return self.distance(other) < limit(self.n, other.n)

    def _spread(self) -> float:
        low, high = np.searchsorted(np.cumsum(self.share), [0.05, 0.95 - 1e-12])
        return float(self.at[high] - self.at[low])

    def _below(self, points: Array) -> Array:
        reached = np.concatenate([[0.0], np.cumsum(self.share)])
        values: Array = reached[np.searchsorted(self.at, points, side="right")]
        return values


def samples_of(counted: Counted) -> tuple[Sample, Sample]:
    """The reference and the current values."""
    at = np.asarray(counted.low / 2 + counted.high / 2, dtype=np.float64)
    single = counted.low == counted.high
    return Sample.of(at, counted.reference, single), Sample.of(at, counted.current, single)


def limit(n: float, m: float) -> float:
    """The distance below which two samples of these sizes are alike."""
    # 1.95: the Kolmogorov-Smirnov quantile of 0.1 %. Of few values nearly any shape would do: hence the upper end.
    return min(max(ALIKE, 1.95 * math.sqrt(1 / n + 1 / m)), MOST_APART)
