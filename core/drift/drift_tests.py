"""The catalogue of drift tests and measures. PURE.

A *test* has a p-value and decides; a *measure* describes the same change in another unit and never decides. Every
effect that decides lies in [0, 1] and reads as a share of rows, so that one threshold serves all features: 0.1 means
that a tenth of the rows lies elsewhere than in the reference.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from core.statistics import binning, two_sample
from core.statistics.two_sample import TestResult

Family = Literal["numeric", "categorical"]
Sample = NDArray[Any]


@dataclass(frozen=True)
class DriftTest:
    """One entry of the catalogue.

    Parameters
    ----------
    key, title : str
    families : tuple
        The kinds of column it takes: "numeric" (float64, NaN missing) or "categorical" (str or None).
    function : callable
        ``function(reference, current) -> TestResult`` for a test, ``-> float`` for a measure. A test's p-value is
        that of both samples having one distribution.
    decides : bool
        Whether it has a p-value.
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
    function: Callable[[Sample, Sample], TestResult] | Callable[[Sample, Sample], float]
    decides: bool
    least: float
    most: float
    sentence: str
    reference: str


def missing(sample: Sample) -> NDArray[np.bool_]:
    """Which values are missing: NaN or None."""
    if sample.dtype == object:
        return np.array([value is None for value in sample.tolist()], dtype=bool)
    return np.isnan(sample)


def _chi_square(reference: Sample, current: Sample) -> TestResult:
    _, first, second = binning.category_counts(reference, current)
    return two_sample.chi_square(first, second)


def _missing_share(reference: Sample, current: Sample) -> TestResult:
    return two_sample.two_shares(
        int(missing(reference).sum()), len(reference), int(missing(current).sum()), len(current)
    )


def _smoothed(reference: Sample, current: Sample) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if reference.dtype == object:
        _, first, second = binning.category_counts(reference, current)
    else:
        edges = binning.shared_edges(reference, current)
        first, second = binning.counts(reference, edges), binning.counts(current, edges)
    return binning.smooth(first), binning.smooth(second)


def _psi(reference: Sample, current: Sample) -> float:
    return two_sample.psi(*_smoothed(reference, current))


def _jensen_shannon(reference: Sample, current: Sample) -> float:
    return two_sample.jensen_shannon(*_smoothed(reference, current))


DRIFT_TESTS: dict[str, DriftTest] = {
    test.key: test
    for test in (
        DriftTest(
            key="kolmogorov_smirnov",
            title="Kolmogorov-Smirnov",
            families=("numeric",),
            function=two_sample.kolmogorov_smirnov,
            decides=True,
            least=0.0,
            most=1.0,
            sentence="By how much the share of rows below some value differs at most.",
            reference="Hodges (1958), Arkiv för Matematik 3, 469-486",
        ),
        DriftTest(
            key="chi_square",
            title="Chi-square",
            families=("categorical",),
            function=_chi_square,
            decides=True,
            least=0.0,
            most=1.0,
            sentence="Which share of rows would have to change category (total variation, rare categories pooled).",
            reference="Pearson (1900), Philosophical Magazine 50, 157-175",
        ),
        DriftTest(
            key="missing_share",
            title="Missing share",
            families=("numeric", "categorical"),
            function=_missing_share,
            decides=True,
            least=0.0,
            most=1.0,
            sentence="By how much the share of missing values differs.",
            reference="Fisher (1922), Journal of the Royal Statistical Society 85, 87-94",
        ),
        DriftTest(
            key="wasserstein",
            title="Wasserstein distance",
            families=("numeric",),
            function=two_sample.wasserstein,
            decides=False,
            least=0.0,
            most=float("inf"),
            sentence="How far the rows moved on average, in standard deviations of the reference.",
            reference="Villani (2009), Optimal Transport, equation 6.3",
        ),
        DriftTest(
            key="psi",
            title="Population stability index",
            families=("numeric", "categorical"),
            function=_psi,
            decides=False,
            least=0.0,
            most=float("inf"),
            sentence=f"Relative change of shares over {binning.N_BINS} bins at most; 0.1 is moderate, 0.25 large.",
            reference="Siddiqi (2006), Credit Risk Scorecards",
        ),
        DriftTest(
            key="jensen_shannon",
            title="Jensen-Shannon distance",
            families=("numeric", "categorical"),
            function=_jensen_shannon,
            decides=False,
            least=0.0,
            most=1.0,
            sentence=f"How well one row tells which sample it came from, over {binning.N_BINS} bins at most.",
            reference="Endres and Schindelin (2003), doi:10.1109/TIT.2003.813506",
        ),
    )
}
