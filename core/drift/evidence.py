"""What drift tests look at, and what they take as evidence. PURE.

Counts come by point, by bin of the reference, or as missing and present rows. Each test's evidence is its own
statistic and its p-value: exact or in a limit where there is one, else by relabelling the pooled rows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from core.statistics import binning, two_sample
from core.statistics.counted import TwoSamples
from core.statistics.relabelling import relabelled_pvalue
from core.statistics.sketches import Counted, CountedCategories

Method = Literal["asymptotic", "exact", "permutation"]
Counts = NDArray[np.int64]
Floats = NDArray[np.float64]

PERMUTED_POINTS = 512


@dataclass(frozen=True, eq=False)
class CountedRows(TwoSamples):
    """Two samples as counts of their missing and their present rows, in that order.

    Parameters
    ----------
    reference, current : ndarray of shape (2,), int64
    """

    reference: Counts
    current: Counts


@dataclass(frozen=True, eq=False)
class Binned(TwoSamples):
    """Two samples as counts of those of the reference's 32 bins that hold a row.

    Parameters
    ----------
    reference, current : ndarray of shape (k,), int64
        k at most 32.
    points : Counted or CountedCategories
        What was binned.
    """

    reference: Counts
    current: Counts
    points: Counted | CountedCategories

    @cached_property
    def in_the_limit(self) -> bool:
        """Whether distances over these bins are chi-square: each bin is one of the reference's, and full enough."""
        return bool(self.reference.all()) and two_sample.all_expected(self.reference, self.current)


Points = Counted | CountedCategories | CountedRows | Binned


def binned(points: Counted | CountedCategories) -> Binned:
    """Count points by the bins of the reference alone: `binning.reference_bins` or `binning.category_bins`.

    A test over bins gives the same for these as for the points; many draws are then draws of at most 32 counts.
    """
    if isinstance(points, Counted):
        starts = binning.reference_bin_starts(points.reached[0])
        reference, current = binning.between(points.reached, starts[1:])
    else:
        bins = _bins_of(points, points.reference)
        reference, current = binning.by_bin(np.stack([points.reference, points.current]), bins)
    return Binned(reference, current, points)


@dataclass(frozen=True)
class Evidence:
    """A test's own statistic and its p-value, None where it takes drawing and no generator was given."""

    statistic: float
    pvalue: float | None
    method: Method


def of_kolmogorov_smirnov(points: Counted, effect: float, _: np.random.Generator | None) -> Evidence:
    """The largest gap itself; exact for few rows, else in the limit."""
    pvalue, exact = two_sample.ks_tail(effect, points.n_reference, points.n_current)
    return Evidence(effect, pvalue, "exact" if exact else "asymptotic")


def of_wasserstein(points: Counted, _: float, rng: np.random.Generator | None) -> Evidence:
    """The distance in the column's own unit; by relabelling."""
    statistic = float(two_sample.distance_of_gaps(points.positions, points.gaps))
    return Evidence(statistic, _moved_by_chance(points.positions, points, rng), "permutation")


def _moved_by_chance(at: Floats, points: Counted, rng: np.random.Generator | None) -> float | None:
    """Permutation p-value of the distance, over at most 512 groups."""
    if rng is None:
        return None
    places, reference, current = _grouped(points)
    return relabelled_pvalue(
        reference, current, lambda first, second: two_sample.distance_moved(at[places], first, second), rng=rng
    )


def _grouped(points: Counted) -> tuple[NDArray[np.intp], Counts, Counts]:
    """At most 512 groups of neighbouring points of alike pooled share: where each begins, and its counts.

    Pooled, so that the groups are the same however the rows are relabelled.
    """
    pooled = points.reference + points.current
    if len(pooled) <= PERMUTED_POINTS:
        return np.arange(len(pooled)), points.reference, points.current
    groups = PERMUTED_POINTS * (2 * np.cumsum(pooled) - pooled) // (2 * int(pooled.sum()))
    places = np.flatnonzero(np.diff(groups, prepend=-1))
    return places, binning.by_bin(points.reference, groups), binning.by_bin(points.current, groups)


def of_chi_square(points: CountedCategories, _: float, __: np.random.Generator | None) -> Evidence:
    """Pearson's chi-square, rare categories pooled; Fisher's exact test where only they can tell."""
    statistic, pvalue, exact = two_sample.chi_square(points.reference, points.current)
    return Evidence(statistic, pvalue, "exact" if exact else "asymptotic")


def of_total_variation(points: CountedCategories, effect: float, rng: np.random.Generator | None) -> Evidence:
    """The distance itself; of two categories as two shares, of more by relabelling."""
    if len(points.names) < 2:
        return Evidence(effect, 1.0, "exact")
    if len(points.names) == 2:
        _, pvalue, exact = two_sample.two_shares(points.reference, points.current)
        return Evidence(effect, pvalue, "exact" if exact else "asymptotic")
    if rng is None:
        return Evidence(effect, None, "permutation")
    pvalue = relabelled_pvalue(points.reference, points.current, two_sample.total_variation, rng=rng)
    return Evidence(effect, pvalue, "permutation")


def of_missing_share(points: CountedRows, _: float, __: np.random.Generator | None) -> Evidence:
    """Pearson's chi-square of two shares, or Fisher's exact test."""
    statistic, pvalue, exact = two_sample.two_shares(points.reference, points.current)
    return Evidence(statistic, pvalue, "exact" if exact else "asymptotic")


def share_missing(_: CountedRows, reference: Counts, current: Counts) -> Floats:
    """By how much the shares of missing rows differ."""
    return np.abs(two_sample.shares(current)[..., 0] - two_sample.shares(reference)[..., 0])


def is_new(points: CountedCategories, reference: Counts) -> NDArray[np.bool_]:
    """Which categories the counted reference rows do not hold, of shape (..., k); one known without rows is not new."""
    return np.asarray((reference == 0) & ~(points.known & (points.reference == 0)))


def share_new(points: CountedCategories, reference: Counts, current: Counts) -> Floats:
    """Which share of the current rows lies in categories that are new to the counted reference rows."""
    return np.asarray(two_sample.shares(current).sum(axis=-1, where=is_new(points, reference)))


def of_new_categories(points: CountedCategories, _: float, rng: np.random.Generator | None) -> Evidence:
    """How many current rows those are; by relabelling, for any row could have been the first of its category."""
    new = is_new(points, points.reference)
    rows = float(points.current[new].sum())
    if rows == 0:
        return Evidence(0.0, 1.0, "exact")
    if rng is None:
        return Evidence(rows, None, "permutation")
    pvalue = relabelled_pvalue(
        points.reference, points.current, lambda first, second: share_new(points, first, second), rng=rng
    )
    return Evidence(rows, pvalue, "permutation")


def share_outside(_: Counted, reference: Counts, current: Counts) -> Floats:
    """Which share of the current rows lies outside the range of the counted reference rows."""
    return two_sample.share_outside(reference, current)


def share_outside_of_points(points: Counted) -> float:
    """`share_outside` of the points' own counts, of which the running sums are at hand."""
    reference, current = points.reached
    first, behind = np.searchsorted(reference, [1, reference[-1]]) - [1, 0]
    return float(current[first] + current[-1] - current[behind]) / points.n_current


def of_outside_range(points: Counted, effect: float, _: np.random.Generator | None) -> Evidence:
    """How many current rows those are; exact over all orders of the pooled rows."""
    n, m = points.n_reference, points.n_current
    rows = round(effect * m)
    return Evidence(float(rows), two_sample.outside_pvalue(rows, n, m), "exact")


def _bins_of(points: Counted | CountedCategories, reference: Counts) -> NDArray[np.int64]:
    if isinstance(points, Counted):
        return binning.reference_bins(reference)
    return binning.category_bins(reference, ~is_new(points, reference))


def over_bins(distance: Callable[[Counts, Counts], Floats]) -> Callable[[Any, Counts, Counts], Floats]:
    """A distance of counts by the bins of the reference as it was counted."""

    def effects(points: Counted | CountedCategories | Binned, reference: Counts, current: Counts) -> Floats:
        if isinstance(points, Binned):
            return distance(reference, current)
        bins = _bins_of(points, points.reference)
        return distance(binning.by_bin(reference, bins), binning.by_bin(current, bins))

    return effects


def of_bins(
    distance: Callable[[Counts, Counts], Floats], in_rows: Callable[[float], float]
) -> Callable[[Any, float, np.random.Generator | None], Evidence]:
    """By the chi-square limit where 5 rows are expected in each bin, else by drawing, each draw in its own bins.

    A bin in which the reference holds no row is one only because it holds none: the limit does not know that, and
    neither would draws in bins that stay as they are.
    """

    def evidence(
        points: Counted | CountedCategories | Binned, effect: float, rng: np.random.Generator | None
    ) -> Evidence:
        held = points if isinstance(points, Binned) else binned(points)
        if held.in_the_limit:
            pvalue = two_sample.binned_pvalue(in_rows(effect), held.reference, held.current)
            return Evidence(effect, pvalue, "asymptotic")
        if rng is None:
            return Evidence(effect, None, "permutation")
        whole = held.points

        def rebinned(reference: Counts, current: Counts) -> Floats:
            bins = _bins_of(whole, reference)
            return distance(binning.by_own_bins(reference, bins), binning.by_own_bins(current, bins))

        first, second = _grouped(whole)[1:] if isinstance(whole, Counted) else (whole.reference, whole.current)
        return Evidence(effect, relabelled_pvalue(first, second, rebinned, rng=rng), "permutation")

    return evidence
