"""The catalogue of drift tests. PURE.

A test holds two counted samples against each other and says by how much they differ (*effect*), by its own *statistic*,
and how likely so much is by chance (*p-value*). Samples arrive as counts of the same points, so that one function
serves raw values (counted exactly) and sketches (exact but for what one mixed cell hides, `sketches.coarseness`).

The tests that decide unless somebody chose others have effects in [0, 1] that read as a share of rows: 0.1 means that a
tenth of the rows lies elsewhere than in the reference. One smallest effect that counts then serves all features. PSI,
Jensen-Shannon, Hellinger and Wasserstein distances read otherwise and decide where a person chose them, who then
chooses the smallest effect that counts in their unit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from core.statistics import binning, two_sample
from core.statistics.relabelling import relabelled_pvalue
from core.statistics.sketches import Counted, CountedCategories

Family = Literal["numeric", "time", "length", "categorical", "boolean", "text"]
Role = Literal["values", "missing", "support"]
Over = Literal["points", "bins", "rows"]
Method = Literal["asymptotic", "exact", "permutation"]
Sample = NDArray[Any]
Counts = NDArray[np.int64]
Floats = NDArray[np.float64]

NUMBERS: tuple[Family, ...] = ("numeric", "time", "length")
NAMES: tuple[Family, ...] = ("categorical", "boolean", "text")
KNOWN_SUPPORT_ROWS = 1_000
PERMUTED_POINTS = 512


@dataclass(frozen=True, eq=False)
class CountedRows:
    """Two samples as counts of their missing and their present rows, in that order.

    Parameters
    ----------
    reference, current : ndarray of shape (2,), int64
    """

    reference: Counts
    current: Counts


@dataclass(frozen=True, eq=False)
class Binned:
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


Points = Counted | CountedCategories | CountedRows | Binned


def binned(points: Counted | CountedCategories) -> Binned:
    """Count points by the bins of the reference alone: `binning.reference_bins` or `binning.category_bins`.

    A test over bins gives the same for these as for the points; many draws are then draws of at most 32 counts.
    """
    bins = _bins_of(points, points.reference)
    return Binned(binning.by_bin(points.reference, bins), binning.by_bin(points.current, bins), points)


@dataclass(frozen=True)
class TestOutcome:
    """What one test says of one column.

    Parameters
    ----------
    test : str
        Key in `DRIFT_TESTS`.
    effect, statistic : float or None
        Finite. None where a sample has no row that the test looks at.
    pvalue : float or None
        In [0, 1], of both samples having one distribution. None where it takes drawing and no generator was given.
    method : "asymptotic", "exact" or "permutation", or None
        Where the p-value comes from; None only where there is no effect.
    n_reference, n_current : int
        Rows that the test looked at: those that hold a value, or all of them for the missing share.
    """

    __test__ = False

    test: str
    effect: float | None
    statistic: float | None
    pvalue: float | None
    method: Method | None
    n_reference: int
    n_current: int


@dataclass(frozen=True)
class Evidence:
    """A test's own statistic and its p-value, None where it takes drawing and no generator was given."""

    statistic: float
    pvalue: float | None
    method: Method


@dataclass(frozen=True)
class DriftTest:
    """One entry of the catalogue.

    Parameters
    ----------
    key, title : str
    families : tuple
        What it takes: numbers ("numeric", "time", "length" of texts), names ("categorical", "boolean", "text").
    role : "values", "missing" or "support"
        Whether it compares the values present, the share of missing ones, or what the reference never held.
    over : "points", "bins" or "rows"
        What its counts are of: points one by one, the reference's bins (points do too and are binned first), or
        missing and present rows.
    default_for : tuple
        The families for which it decides unless another test of its role is chosen.
    from_rows : int
        From how many present reference rows on it decides by default.
    effects : callable
        ``effects(points, reference, current) -> ndarray``: counts of shape (..., k) of the given points -> effects of
        shape (...). Either may have fewer leading axes. What is fixed before looking (positions, bins, names that are
        known) comes from ``points``, which holds the reference as it was counted; all else from the counts given. The
        effect is NaN where a sample has no row.
    evidence : callable
        ``evidence(points, effect, rng) -> Evidence``.
    least, most : float
        Range of the effect; ``inf`` for no bound.
    sentence : str
        What the effect means.
    reference : str
        Where it comes from.
    """

    key: str
    title: str
    families: tuple[Family, ...]
    role: Role
    over: Over
    default_for: tuple[Family, ...]
    effects: Callable[[Any, Counts, Counts], Floats]
    evidence: Callable[[Any, float, np.random.Generator | None], Evidence]
    least: float
    most: float
    sentence: str
    reference: str
    from_rows: int = 0

    def test(self, points: Points, rng: np.random.Generator | None = None) -> TestOutcome:
        """Hold the two samples of ``points`` against each other.

        Parameters
        ----------
        points : Counted, CountedCategories, Binned or CountedRows
            By the test's families and by what it is ``over``.
        rng : Generator, optional
            For p-values that take drawing: milliseconds where the samples are alike, some 0.1 s where they are not.
        """
        n, m = int(points.reference.sum()), int(points.current.sum())
        if n == 0 or m == 0:
            return TestOutcome(self.key, None, None, None, None, n, m)
        effect = float(self.effects(points, points.reference, points.current))
        found = self.evidence(points, effect, rng)
        return TestOutcome(self.key, effect, found.statistic, found.pvalue, found.method, n, m)


def missing(sample: Sample) -> NDArray[np.bool_]:
    """Which values are missing: NaN or None."""
    if sample.dtype == object:
        return np.array([value is None for value in sample.tolist()], dtype=bool)
    return np.isnan(sample)


def _kolmogorov_smirnov(points: Counted, effect: float, _: np.random.Generator | None) -> Evidence:
    pvalue, exact = two_sample.ks_tail(effect, int(points.reference.sum()), int(points.current.sum()))
    return Evidence(effect, pvalue, "exact" if exact else "asymptotic")


def positions(points: Counted) -> Floats:
    """Where a point's rows are taken to lie: in the middle between its bounds, or infinitely far where one is."""
    return np.where(points.low == points.high, points.low, points.low / 2 + points.high / 2)


def _wasserstein(points: Counted, _: float, rng: np.random.Generator | None) -> Evidence:
    at = positions(points)
    statistic = float(two_sample.distance_moved(at, points.reference, points.current))
    return Evidence(statistic, _moved_by_chance(at, points, rng), "permutation")


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


def _chi_square(points: CountedCategories, _: float, __: np.random.Generator | None) -> Evidence:
    statistic, pvalue, exact = two_sample.chi_square(points.reference, points.current)
    return Evidence(statistic, pvalue, "exact" if exact else "asymptotic")


def _total_variation(points: CountedCategories, effect: float, rng: np.random.Generator | None) -> Evidence:
    if len(points.names) < 2:
        return Evidence(effect, 1.0, "exact")
    if len(points.names) == 2:
        _, pvalue, exact = two_sample.two_shares(points.reference, points.current)
        return Evidence(effect, pvalue, "exact" if exact else "asymptotic")
    if rng is None:
        return Evidence(effect, None, "permutation")
    pvalue = relabelled_pvalue(points.reference, points.current, two_sample.total_variation, rng=rng)
    return Evidence(effect, pvalue, "permutation")


def _missing_share(points: CountedRows, _: float, __: np.random.Generator | None) -> Evidence:
    statistic, pvalue, exact = two_sample.two_shares(points.reference, points.current)
    return Evidence(statistic, pvalue, "exact" if exact else "asymptotic")


def _share_missing(_: CountedRows, reference: Counts, current: Counts) -> Floats:
    return np.abs(two_sample.shares(current)[..., 0] - two_sample.shares(reference)[..., 0])


def is_new(points: CountedCategories, reference: Counts) -> NDArray[np.bool_]:
    """Which categories the counted reference rows do not hold, of shape (..., k); one known without rows is not new."""
    return np.asarray((reference == 0) & ~(points.known & (points.reference == 0)))


def _share_new(points: CountedCategories, reference: Counts, current: Counts) -> Floats:
    return np.asarray(two_sample.shares(current).sum(axis=-1, where=is_new(points, reference)))


def _new_categories(points: CountedCategories, _: float, rng: np.random.Generator | None) -> Evidence:
    new = is_new(points, points.reference)
    rows = float(points.current[new].sum())
    if rows == 0:
        return Evidence(0.0, 1.0, "exact")
    if rng is None:
        return Evidence(rows, None, "permutation")
    pvalue = relabelled_pvalue(
        points.reference, points.current, lambda first, second: _share_new(points, first, second), rng=rng
    )
    return Evidence(rows, pvalue, "permutation")


def _share_outside(_: Counted, reference: Counts, current: Counts) -> Floats:
    return two_sample.share_outside(reference, current)


def _outside_range(points: Counted, effect: float, _: np.random.Generator | None) -> Evidence:
    n, m = int(points.reference.sum()), int(points.current.sum())
    rows = round(effect * m)
    return Evidence(float(rows), two_sample.outside_pvalue(rows, n, m), "exact")


def _bins_of(points: Counted | CountedCategories, reference: Counts) -> NDArray[np.int64]:
    if isinstance(points, Counted):
        return binning.reference_bins(reference)
    return binning.category_bins(reference, ~is_new(points, reference))


def _over_bins(distance: Callable[[Counts, Counts], Floats]) -> Callable[[Any, Counts, Counts], Floats]:
    def effects(points: Counted | CountedCategories | Binned, reference: Counts, current: Counts) -> Floats:
        if isinstance(points, Binned):
            return distance(reference, current)
        bins = _bins_of(points, points.reference)
        return distance(binning.by_bin(reference, bins), binning.by_bin(current, bins))

    return effects


def _evidence_over_bins(
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
        if held.reference.all() and two_sample.all_expected(held.reference, held.current):
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


DRIFT_TESTS: dict[str, DriftTest] = {
    test.key: test
    for test in (
        DriftTest(
            key="kolmogorov_smirnov",
            title="Kolmogorov-Smirnov",
            families=NUMBERS,
            role="values",
            over="points",
            default_for=NUMBERS,
            effects=lambda _, reference, current: two_sample.kolmogorov_smirnov(reference, current),
            evidence=_kolmogorov_smirnov,
            least=0.0,
            most=1.0,
            sentence="By how much the share of rows below some value differs at most.",
            reference="Hodges (1958), Arkiv för Matematik 3, 469-486",
        ),
        DriftTest(
            key="chi_square",
            title="Chi-square",
            families=NAMES,
            role="values",
            over="points",
            default_for=NAMES,
            effects=lambda _, reference, current: two_sample.pooled_total_variation(reference, current),
            evidence=_chi_square,
            least=0.0,
            most=1.0,
            sentence="Which share of rows would have to change category, all rare categories taken as one.",
            reference="Pearson (1900), Philosophical Magazine 50, 157-175",
        ),
        DriftTest(
            key="total_variation",
            title="Total variation",
            families=NAMES,
            role="values",
            over="points",
            default_for=(),
            effects=lambda _, reference, current: two_sample.total_variation(reference, current),
            evidence=_total_variation,
            least=0.0,
            most=1.0,
            sentence="Which share of rows would have to change category; many rare categories raise it by chance.",
            reference="Levin, Peres and Wilmer (2009), Markov Chains and Mixing Times, proposition 4.2",
        ),
        DriftTest(
            key="wasserstein",
            title="Wasserstein distance",
            families=NUMBERS,
            role="values",
            over="points",
            default_for=(),
            effects=lambda points, reference, current: two_sample.wasserstein(positions(points), reference, current),
            evidence=_wasserstein,
            least=0.0,
            most=float("inf"),
            sentence="How far the rows moved on average, in standard deviations of the reference.",
            reference="Villani (2009), Optimal Transport, equation 6.3",
        ),
        DriftTest(
            key="psi",
            title="Population stability index",
            families=(*NUMBERS, *NAMES),
            role="values",
            over="bins",
            default_for=(),
            effects=_over_bins(two_sample.psi),
            evidence=_evidence_over_bins(two_sample.psi, lambda effect: effect),
            least=0.0,
            most=float("inf"),
            sentence=f"Relative change of shares over the reference's {binning.N_BINS} bins; "
            "0.1 is called moderate, 0.25 large.",
            reference="Siddiqi (2006), Credit Risk Scorecards",
        ),
        DriftTest(
            key="jensen_shannon",
            title="Jensen-Shannon distance",
            families=(*NUMBERS, *NAMES),
            role="values",
            over="bins",
            default_for=(),
            effects=_over_bins(two_sample.jensen_shannon),
            evidence=_evidence_over_bins(two_sample.jensen_shannon, lambda effect: 8 * np.log(2) * effect**2),
            least=0.0,
            most=1.0,
            sentence="How well one row tells which sample it came from, from 0 to 1, "
            f"over the reference's {binning.N_BINS} bins.",
            reference="Endres and Schindelin (2003), doi:10.1109/TIT.2003.813506",
        ),
        DriftTest(
            key="hellinger",
            title="Hellinger distance",
            families=(*NUMBERS, *NAMES),
            role="values",
            over="bins",
            default_for=(),
            effects=_over_bins(two_sample.hellinger),
            evidence=_evidence_over_bins(two_sample.hellinger, lambda effect: 8 * effect**2),
            least=0.0,
            most=1.0,
            sentence="How little the two samples overlap, from 0 to 1: its square is what the overlap lacks, "
            f"over the reference's {binning.N_BINS} bins.",
            reference="Hellinger (1909), Journal für die reine und angewandte Mathematik 136, 210-271",
        ),
        DriftTest(
            key="missing_share",
            title="Missing share",
            families=(*NUMBERS, *NAMES),
            role="missing",
            over="rows",
            default_for=(*NUMBERS, *NAMES),
            effects=_share_missing,
            evidence=_missing_share,
            least=0.0,
            most=1.0,
            sentence="By how much the share of missing values differs.",
            reference="Fisher (1922), Journal of the Royal Statistical Society 85, 87-94",
        ),
        DriftTest(
            key="new_category_share",
            title="New-category share",
            families=NAMES,
            role="support",
            over="points",
            default_for=("categorical",),
            from_rows=KNOWN_SUPPORT_ROWS,
            effects=_share_new,
            evidence=_new_categories,
            least=0.0,
            most=1.0,
            sentence="Which share of the current rows has a category that the reference never held.",
            reference="Good (1953), Biometrika 40, 237-264",
        ),
        DriftTest(
            key="range_violations",
            title="Range violations",
            families=NUMBERS,
            role="support",
            over="points",
            default_for=("numeric", "length"),
            from_rows=KNOWN_SUPPORT_ROWS,
            effects=_share_outside,
            evidence=_outside_range,
            least=0.0,
            most=1.0,
            sentence="Which share of the current rows lies below the reference's lowest or above its highest value.",
            reference="Rosenbaum (1954), Annals of Mathematical Statistics 25, 146-150",
        ),
    )
}
