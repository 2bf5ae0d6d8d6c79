"""How shares of rows vary where nothing changed: worked out exactly, as beta-binomial numbers. PURE.

What the reference never held gets its due: half a row for a missing value, the gaps beyond its two ends for a number,
Good and Turing's share for new categories.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from core.statistics.predictive import JEFFREYS, ShareTail, share_tail, typical_counts
from core.statistics.sketches import CategorySketch, NumericSketch

NEVER_SEEN = 0.05
RARE_ROWS = 32


@dataclass(frozen=True)
class Share:
    """A stream whose effect is how far a share lies from the reference's: nothing is drawn for it.

    Parameters
    ----------
    seen : float
        The share in the reference.
    with_it, without : float
        The beta distribution of the true share.
    weight : float
        Which part of a stream's level it gets, in (0, 1].
    common : float
        What rows of a window share (`dependence.Dependence.common`); 0 where they are independent.
    """

    seen: float
    with_it: float
    without: float
    weight: float
    common: float = 0.0

    def tail(self, n_rows: int) -> ShareTail:
        """How far the share of a window of so many rows lies from the reference's."""
        return share_tail(self.seen, self.with_it, self.without, self._rows(n_rows))

    def rest(self, n_rows: int, n_parts: int) -> list[tuple[int, float]]:
        """How many of a window's rows do not have it: a few numbers that stand for all, with their probabilities."""
        rows = self._rows(n_rows)
        return [
            (round(n_rows * (1 - count / rows)), chance)
            for count, chance in typical_counts(self.with_it, self.without, rows, n_parts)
        ]

    def _rows(self, n_rows: int) -> int:
        """As how many independent ones the rows of a window count."""
        return max(1, round(n_rows / (1 + n_rows * self.common)))


def of_fewer(share: Share, common: float, fewer: float) -> Share:
    """A share as sure as it is where so many rows of the reference count as one."""
    if fewer == 1:
        return share
    return replace(share, with_it=max(JEFFREYS, share.with_it / fewer), without=share.without / fewer, common=common)


def of_missing(sketch: NumericSketch | CategorySketch) -> Share:
    """Of rows that hold no value."""
    seen, n_rows = sketch.n_missing, sketch.n_rows
    ordinary = 0 < seen < n_rows
    return Share(seen / max(1, n_rows), seen + JEFFREYS, n_rows - seen + JEFFREYS, 1.0 if ordinary else NEVER_SEEN)


def outside(sketch: NumericSketch) -> Share:
    """Of values beyond the reference's range."""
    open_ends = sum(ends(sketch))
    weight = 1.0 if open_ends == 2 else NEVER_SEEN
    return Share(0.0, open_ends, max(1.0, sketch.n_present - 1.0), weight)


def of_one_of_two(counts: NDArray[np.int64]) -> Share:
    """Of the second of two names, where there can be no third."""
    first, second = (float(count) for count in counts)
    return Share(second / (first + second), second + JEFFREYS, first + JEFFREYS, 1.0)


def ends(sketch: NumericSketch) -> tuple[float, float]:
    """Dirichlet weights of the gaps below and above the reference: a whole gap each, half a row where the end is tied.

    A value at the end that occurs more than once looks like a bound, such as 0 of a count.
    """
    tied = ~np.isnan(sketch.values) & (sketch.counts > 1)
    return tuple(JEFFREYS if len(tied) and tied[end] else 1.0 for end in (0, -1))  # type: ignore[return-value]


def of_new_names(sketch: CategorySketch) -> Share:
    """Of the mass of names never seen: Good and Turing's estimate, the share of rows whose name occurred once."""
    once, twice = (float((sketch.counts == times).sum()) for times in (1, 2))
    n_rows = max(1.0, float(sketch.n_present))
    rare = int((sketch.counts <= RARE_ROWS).sum())
    if not once and rare:
        # A name as rare as these may have been missed as a whole: of each with a share above s the chance is exp(-n s).
        return Share(0.0, 1.0, n_rows, NEVER_SEEN / rare)
    unseen = min(0.5, (once + JEFFREYS) / (n_rows + 1))
    # As sure as the estimate is: its variance is (once + 2 twice) / n**2 (Robbins 1968, equation 4).
    with_it = max(JEFFREYS, (once + JEFFREYS) ** 2 / (once + 2 * twice + JEFFREYS))
    return Share(0.0, with_it, with_it * (1 - unseen) / unseen, 1.0 if once else NEVER_SEEN)
