"""Whether the concept changed: what a score, or a prediction, means now against what it meant in the reference. PURE.

Inputs may shift without harm, as long as a row of a given score is of its class as often as it was. That is tested on
the rows whose label has come: by bins of the calibrated chance, how many turned out to be of the class against how many
were to be expected. For a regression the residuals are held against the reference's, their mean and their spread.

A test that is repeated with every window finds something in the end. The p-values are multiplied by the number of looks
(Bonferroni), so that the chance of any false finding among all looks stays below the level they are compared with.

Labels that came first may be of other rows than those to come. Where it depends on the score alone which come first,
the test by score is right all the same; that of residuals assumes that they are like any others.

Measured on quiet windows of 800 labelled rows whose inputs alone shifted: p is below 0.05 in 6 of 100 for two classes
and for residuals, in 10 of 100 for three classes (chances calibrated one class at a time are a little off after a
shift), and below 0.01 in 1 to 3. That is why `ALPHA` is 0.01.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from core.errors import InvalidInput
from core.estimation.estimating import UNKNOWN, ScoreEstimator
from core.wording import brief, percent

Floats = NDArray[np.float64]

MAX_BINS = 10
MIN_LABELLED = 50
LEAST_VARIANCE = 3.0
ALPHA = 0.01


@dataclass(frozen=True)
class ConceptBin:
    """Labelled rows of like chance: how often they were expected to be of the class, and were."""

    n: int
    expected: float
    observed: float


@dataclass(frozen=True)
class ConceptChange:
    """What a look at the labelled rows of a window says.

    Parameters
    ----------
    effect : float
        Scores: by how much the share that is of the class differs from what the scores promise, the mean over the bins
        of its absolute value, in [0, 1]. Residuals: the shift of their mean in standard deviations of the reference's,
        or the change of their spread as a share of it, whichever is larger; >= 0.
    pvalue : float
        Corrected for the number of looks, in (0, 1].
    n_labelled : int
    about : str
        The class, or "mean" or "spread" of the residuals, that the effect is of.
    bins : tuple of ConceptBin
        By rising chance; empty for residuals.
    sentence : str
    """

    effect: float
    pvalue: float
    n_labelled: int
    about: str
    bins: tuple[ConceptBin, ...]
    sentence: str


def score_change(
    estimator: ScoreEstimator,
    scores: Floats,
    truth: NDArray[np.int64],
    *,
    classes: tuple[str, ...],
    n_looks: int = 1,
) -> ConceptChange | None:
    """Test whether scores still mean what they meant.

    Parameters
    ----------
    scores : ndarray of shape (n, k)
    truth : ndarray of shape (n,)
        Codes of the labels, `UNKNOWN` where none has come.
    classes : tuple of str
        Two classes are tested by the second alone, more one by one (the smallest p-value times their number counts).
    n_looks : int
        How many windows are looked at, >= 1.

    Returns
    -------
    ConceptChange or None
        None for fewer than 50 labelled rows, or where the scores are so sure that nothing could be told.

    References
    ----------
    Hosmer and Lemeshow (1980), Communications in Statistics 9, 1043-1069, with expected counts from an outside
    reference, whose own uncertainty is added, and bins of like variance.
    """
    known = np.flatnonzero(truth != UNKNOWN)
    if len(known) < MIN_LABELLED:
        return None
    scores, truth = scores[known], truth[known]
    chances = estimator.chances(scores)
    whole = estimator.moved(scores) if len(classes) > 2 else None
    found = []
    for column in [1] if whole is None else range(len(classes)):
        order = np.argsort(chances[:, column], kind="stable")
        moved = estimator.moved_of_second(scores[order]) if whole is None else whole[:, order, column]
        tested = _by_bins(chances[order, column], moved, truth[order] == column)
        if tested is not None:
            found.append((tested[0], column, tested[1]))
    if not found:
        return None
    pvalue, column, bins = min(found, key=lambda one: one[0])
    pvalue = min(1.0, pvalue * len(found))
    n = sum(one.n for one in bins)
    effect = sum(one.n * abs(one.observed - one.expected) for one in bins) / n
    change = ConceptChange(effect, pvalue, n, classes[column], bins, _said_of_scores(bins, classes[column], pvalue))
    return among_looks(change, n_looks)


def among_looks(found: ConceptChange, n_looks: int) -> ConceptChange:
    """What `score_change` found of one window, as one of so many that are looked at."""
    pvalue = min(1.0, found.pvalue * n_looks)
    return replace(found, pvalue=pvalue, sentence=_said_of_scores(found.bins, found.about, pvalue))


def residual_change(reference: Floats, current: Floats, *, n_looks: int = 1) -> ConceptChange | None:
    """Test whether a regression is off by as much as in the reference, on average and in spread.

    Parameters
    ----------
    reference, current : ndarray
        Truth minus prediction of labelled rows; what is not finite is left out.
    n_looks : int

    Returns
    -------
    ConceptChange or None
        None for fewer than 50 labelled rows on either side, or a reference without any spread.

    References
    ----------
    Welch (1947), Biometrika 34, 28-35; Brown and Forsythe (1974), JASA 69, 364-367. The smaller of the two p-values,
    doubled.
    """
    from scipy.stats import levene, ttest_ind

    if n_looks < 1:
        raise InvalidInput(f"{n_looks} looks were given; it is at least 1.")
    before, now = (values[np.isfinite(values)] for values in (reference, current))
    if min(len(before), len(now)) < MIN_LABELLED or np.ptp(before) == 0:
        return None
    spread = float(before.std(ddof=1))
    shift = float(now.mean() - before.mean()) / spread
    # Of the spread around the median, which is what is tested; a constant window has none.
    ratio = float(np.abs(now - np.median(now)).mean() / np.abs(before - np.median(before)).mean()) - 1
    mean_pvalue = float(ttest_ind(now, before, equal_var=False).pvalue)
    spread_pvalue = float(levene(now, before, center="median").pvalue)
    about = "mean" if mean_pvalue <= spread_pvalue else "spread"
    pvalue = min(1.0, max(2 * n_looks * min(mean_pvalue, spread_pvalue), math.ulp(0.0)))
    effect = abs(shift) if about == "mean" else abs(ratio)
    told = []
    if 2 * n_looks * mean_pvalue <= ALPHA:
        sign, side = (1, "above") if shift > 0 else (-1, "below")
        lies, lay = (brief(sign * float(values.mean())).replace("-", "−") for values in (now, before))
        told.append(f"the truth lies {lies} {side} the predictions on average (reference: {lay})")
    if 2 * n_looks * spread_pvalue <= ALPHA:
        told.append(f"errors scatter {100 * abs(ratio):.0f} % {'more' if ratio > 0 else 'less'}")
    said = "; ".join(told) if told else "predictions are off as they were in the reference"
    return ConceptChange(effect, pvalue, len(now), about, (), f"{said[0].upper()}{said[1:]} {_p(pvalue)}.")


def _by_bins(chances: Floats, moved: Floats, hits: NDArray[np.bool_]) -> tuple[float, tuple[ConceptBin, ...]] | None:
    """By rows of rising chance."""
    from scipy.stats import chi2

    variance = chances * (1 - chances)
    total = float(variance.sum())
    if total < LEAST_VARIANCE:
        return None
    n_bins = int(np.clip(total / LEAST_VARIANCE, 1, MAX_BINS))
    place = np.minimum((np.cumsum(variance) / total * n_bins).astype(np.int64), n_bins - 1)
    starts = np.flatnonzero(np.diff(place, prepend=-1))
    sizes = np.diff(starts, append=len(place))
    expected, observed = np.add.reduceat(chances, starts), np.add.reduceat(hits.astype(np.float64), starts)
    own = np.add.reduceat(moved, starts, axis=1)
    # The reference's uncertainty runs through all bins together, so the sum of squares is one of a correlated vector.
    covariance = np.diag(np.add.reduceat(variance, starts)) + np.atleast_2d(np.cov(own, rowvar=False))
    gap = observed - expected
    statistic = float(gap @ np.linalg.solve(covariance, gap))
    pvalue = max(float(chi2.sf(statistic, len(starts))), math.ulp(0.0))
    bins = tuple(
        ConceptBin(int(n), float(e / n), float(o / n)) for n, e, o in zip(sizes, expected, observed, strict=True)
    )
    return pvalue, bins


def _said_of_scores(bins: tuple[ConceptBin, ...], name: str, pvalue: float) -> str:
    n = sum(one.n for one in bins)
    expected, observed = (sum(one.n * getattr(one, part) for one in bins) / n for part in ("expected", "observed"))
    if pvalue > ALPHA:
        return f"Rows of each score are {name} as often as they were in the reference {_p(pvalue)}."
    worst = max(bins, key=lambda one: abs(one.observed - one.expected))
    return (
        f"Scores no longer mean what they meant: {percent(observed)} of the labelled rows are {name}, "
        f"{percent(expected)} were expected; where {percent(worst.expected)} were, {percent(worst.observed)} are "
        f"{_p(pvalue)}."
    )


def _p(pvalue: float) -> str:
    return f"(p {'< 0.001' if pvalue < 0.001 else f'= {pvalue:.2g}'})"
