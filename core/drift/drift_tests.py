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

from core.drift import evidence
from core.drift.evidence import Counts, Evidence, Floats, Method, Points
from core.statistics import binning, two_sample

Family = Literal["numeric", "time", "length", "categorical", "boolean", "text"]
Role = Literal["values", "missing", "support"]
Over = Literal["points", "bins", "rows"]
Sample = NDArray[Any]

NUMBERS: tuple[Family, ...] = ("numeric", "time", "length")
NAMES: tuple[Family, ...] = ("categorical", "boolean", "text")
KNOWN_SUPPORT_ROWS = 1_000


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
    of_points : callable, optional
        ``of_points(points) -> float``: the effect of the points' own counts where several tests share some of the work.
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
    of_points: Callable[[Any], Any] | None = None

    def test(self, points: Points, rng: np.random.Generator | None = None) -> TestOutcome:
        """Hold the two samples of ``points`` against each other.

        Parameters
        ----------
        points : Counted, CountedCategories, Binned or CountedRows
            By the test's families and by what it is ``over``.
        rng : Generator, optional
            For p-values that take drawing: milliseconds where the samples are alike, some 0.1 s where they are not.
        """
        n, m = points.n_reference, points.n_current
        if n == 0 or m == 0:
            return TestOutcome(self.key, None, None, None, None, n, m)
        found_of = self.of_points or (lambda held: self.effects(held, held.reference, held.current))
        effect = float(found_of(points))
        found = self.evidence(points, effect, rng)
        return TestOutcome(self.key, effect, found.statistic, found.pvalue, found.method, n, m)


def missing(sample: Sample) -> NDArray[np.bool_]:
    """Which values are missing: NaN or None."""
    if sample.dtype == object:
        return np.asarray(np.equal(sample, np.array(None, dtype=object)), dtype=bool)
    return np.isnan(sample)


DRIFT_TESTS: dict[str, DriftTest] = {
    test.key: test
    for test in (
        DriftTest(
            key="kolmogorov_smirnov",
            title="Kolmogorov-Smirnov",
            families=NUMBERS,
            role="values",
            over="points",
            default_for=("numeric", "length"),  # later rows hold later times: not of itself a drift
            effects=lambda _, reference, current: two_sample.kolmogorov_smirnov(reference, current),
            of_points=lambda points: points.gaps.max(),
            evidence=evidence.of_kolmogorov_smirnov,
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
            evidence=evidence.of_chi_square,
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
            evidence=evidence.of_total_variation,
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
            effects=lambda points, reference, current: two_sample.wasserstein(points.positions, reference, current),
            of_points=lambda points: two_sample.wasserstein_of_gaps(
                points.positions, points.gaps, points.reference, points.current
            ),
            evidence=evidence.of_wasserstein,
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
            effects=evidence.over_bins(two_sample.psi),
            evidence=evidence.of_bins(two_sample.psi, lambda effect: effect),
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
            effects=evidence.over_bins(two_sample.jensen_shannon),
            evidence=evidence.of_bins(two_sample.jensen_shannon, lambda effect: 8 * np.log(2) * effect**2),
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
            effects=evidence.over_bins(two_sample.hellinger),
            evidence=evidence.of_bins(two_sample.hellinger, lambda effect: 8 * effect**2),
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
            effects=evidence.share_missing,
            evidence=evidence.of_missing_share,
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
            effects=evidence.share_new,
            evidence=evidence.of_new_categories,
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
            effects=evidence.share_outside,
            of_points=evidence.share_outside_of_points,
            evidence=evidence.of_outside_range,
            least=0.0,
            most=1.0,
            sentence="Which share of the current rows lies below the reference's lowest or above its highest value.",
            reference="Rosenbaum (1954), Annals of Mathematical Statistics 25, 146-150",
        ),
    )
}
