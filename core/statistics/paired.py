"""Two methods judged on the same rows: proportions by discordant pairs, everything else by paired influence.

Also what a difference says of other trainings (`corrected_resampled_t`), and how many rows would have shown one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.errors import InsufficientData, InvalidInput
from core.statistics.intervals import (
    CONFIDENCE,
    Interval,
    bisect,
    clopper_pearson,
    normal_quantile,
    t_pvalue,
    t_quantile,
)

POWER = 0.80
# As large as a column of whole numbers holds everywhere; more rows than anybody will collect.
MOST_ROWS = 2_000_000_000


@dataclass(frozen=True)
class PairedEffect:
    """A paired difference, candidate minus baseline in the measure's own direction.

    Parameters
    ----------
    effect, low, high : float
        The difference and its interval, at the level asked for.
    pvalue : float or None
        Two-sided, of no difference; None where the method gives none.
    method : str
        What was computed, in words.
    key : str
        The method's name in a catalogue.
    """

    effect: float
    low: float
    high: float
    pvalue: float | None
    method: str
    key: str = ""


def mcnemar_pvalue(gained: int, lost: int) -> float:
    """Exact two-sided McNemar test: whether discordant pairs fall to either side alike; 1 without any.

    Parameters
    ----------
    gained, lost : int
        Pairs that only the candidate, and only the baseline, got right.

    References
    ----------
    McNemar (1947), Psychometrika 12, 153-157, doi:10.1007/BF02295996.
    """
    from scipy.special import bdtr

    return float(min(1.0, 2.0 * bdtr(min(gained, lost), gained + lost, 0.5))) if gained + lost else 1.0


def tango_interval(gained: int, lost: int, n: int, confidence_level: float = CONFIDENCE) -> Interval:
    """Score interval of the difference of two paired proportions, (gained - lost) / n.

    Parameters
    ----------
    gained, lost : int
        Discordant pairs.
    n : int
        All pairs, > 0.

    Returns
    -------
    Interval
        Within [-1, 1]; never of zero width, without discordant pairs too.

    References
    ----------
    Tango (1998), Statistics in Medicine 17, 891-908, equations 2 to 5.
    """
    z = normal_quantile(confidence_level)
    effect = (gained - lost) / n

    def excess(delta: float) -> float:
        a = 2 * n
        b = (2 * n - gained + lost) * delta - gained - lost
        c = -lost * delta * (1 - delta)
        q = (math.sqrt(max(0.0, b * b - 4 * a * c)) - b) / (2 * a)
        variance = n * (2 * q + delta * (1 - delta))
        gap = abs(gained - lost - n * delta)
        return gap - z * math.sqrt(variance) if variance > 0 else gap

    low = -1.0 if effect <= -1 else bisect(excess, -1.0, effect)
    high = 1.0 if effect >= 1 else bisect(excess, 1.0, effect)
    return Interval(low, high)


def paired_proportions(gained: int, lost: int, n: int, confidence_level: float = CONFIDENCE) -> PairedEffect:
    """Difference of two paired proportions with an interval that agrees with the exact test.

    The interval is the wider, at each end, of Tango's score interval and of the exact conditional one (Clopper and
    Pearson's for the share of discordant pairs gained, times the share discordant). The score interval alone excludes
    0 at 4 discordant pairs out of 4, which happens by chance once in eight; with both, it excludes 0 only where the
    exact McNemar test has p <= 0.05 (at another level likewise).

    Parameters
    ----------
    gained, lost : int
        Discordant pairs.
    n : int
        All pairs, > 0.
    """
    discordant = gained + lost
    score = tango_interval(gained, lost, n, confidence_level)
    share = clopper_pearson(gained, discordant, confidence_level)
    low = min(score.low, (2 * share.low - 1) * discordant / n)
    high = max(score.high, (2 * share.high - 1) * discordant / n)
    pvalue = mcnemar_pvalue(gained, lost)
    method = "paired score interval, exact McNemar test"
    return PairedEffect((gained - lost) / n, low, high, pvalue, method, "mcnemar")


def paired_influence(
    baseline_value: float,
    candidate_value: float,
    difference: NDArray[np.float64],
    *,
    extra_variance: float = 0.0,
    df: float | None = None,
    method: str,
    key: str = "",
    confidence_level: float = CONFIDENCE,
) -> PairedEffect:
    """Difference of two estimates on the same rows, by the rows' influence on it.

    Parameters
    ----------
    difference : ndarray of shape (n,)
        Each row's influence on the candidate's estimate minus that on the baseline's, scaled so that the sum of
        squares is the variance of the difference. For means this is the paired t test, for areas under the ROC curve
        DeLong's.
    extra_variance : float
        Added to the variance: what rows that happen to show no difference could still hide.
    df : float, optional
        Degrees of freedom; n - 1 unless given.
    """
    effect = candidate_value - baseline_value
    error = math.sqrt(float(difference @ difference) + extra_variance)
    if error == 0:
        return PairedEffect(effect, effect, effect, 1.0 if effect == 0 else None, method, key)
    freedom = float(max(1, len(difference) - 1)) if df is None else df
    half = t_quantile(freedom, confidence_level) * error
    return PairedEffect(effect, effect - half, effect + half, t_pvalue(effect / error, freedom), method, key)


def corrected_resampled_t(
    differences: Sequence[float] | NDArray[np.float64],
    n_train: Sequence[float] | NDArray[np.float64],
    n_test: Sequence[float] | NDArray[np.float64],
    *,
    confidence_level: float = CONFIDENCE,
) -> PairedEffect:
    """Mean difference over folds, with a variance that allows for the trainings' sharing most of their rows.

    The usual variance of a mean of k folds, s² / k, takes the folds for independent; it is raised to
    s² (1 / k + n_test / n_train), with k - 1 degrees of freedom.

    Parameters
    ----------
    differences : sequence of shape (k,)
        One fold's metric of the candidate minus that of the baseline.
    n_train, n_test : sequence of shape (k,)
        Rows trained on and scored in each fold; the ratio of their sums is taken.

    Returns
    -------
    PairedEffect
        Where all folds differ by exactly the same amount, an interval without width and a p-value only if that is 0.

    Raises
    ------
    InsufficientData
        Fewer than two folds.
    InvalidInput
        The lengths differ, a difference is not finite, or a fold has no row.

    References
    ----------
    Nadeau and Bengio (2003), Machine Learning 52, 239-281, equation 9, doi:10.1023/A:1024068626366.
    """
    found, train, test = (np.asarray(one, dtype=np.float64) for one in (differences, n_train, n_test))
    k = len(found)
    if k < 2:
        raise InsufficientData(f"{k} folds were given; at least 2 are needed to see how much they differ.")
    if train.shape != found.shape or test.shape != found.shape:
        raise InvalidInput(f"{k} differences came with {len(train)} and {len(test)} row counts; give one per fold.")
    if not (np.isfinite(found).all() and (train > 0).all() and (test > 0).all()):
        raise InvalidInput("A fold's difference is missing or it has no rows; leave such folds out.")
    effect, ratio = float(found.mean()), float(test.sum() / train.sum())
    error = math.sqrt(float(found.var(ddof=1)) * (1 / k + ratio))
    method, key = "corrected resampled t test over the folds", "cross_validation"
    if error <= abs(effect) * 1e-12:
        return PairedEffect(effect, effect, effect, 1.0 if effect == 0 else None, method, key)
    half = t_quantile(k - 1, confidence_level) * error
    return PairedEffect(effect, effect - half, effect + half, t_pvalue(effect / error, k - 1), method, key)


def rows_needed(smallest: float, n_rows: int, margin: float) -> int | None:
    """How many such rows would show a true difference as large as the margin, with the probability of ``smallest``.

    A standard error falls with the root of the rows, so n (smallest / margin)².

    Parameters
    ----------
    smallest : float
        What ``n_rows`` rows would have shown (`smallest_detectable`).
    margin : float
        In the same unit.

    Returns
    -------
    int or None
        Rounded up, at least 2 and at most `MOST_ROWS`; None where the margin is 0 or nothing varies.
    """
    if margin <= 0 or smallest <= 0:
        return None
    wanted = n_rows * (smallest / margin) ** 2
    return MOST_ROWS if not wanted < MOST_ROWS else max(2, math.ceil(wanted - 1e-9))


def smallest_detectable(interval: Interval, *, power: float = POWER, confidence_level: float = CONFIDENCE) -> float:
    """The smallest true difference that such rows would have shown, with 80 % probability, as unlike 0.

    Parameters
    ----------
    interval : Interval
        The interval observed, of this level; half its width over the normal quantile is taken as the standard error.

    Returns
    -------
    float
        (z(0.975) + z(0.8)) standard errors at 95 %, >= 0.
    """
    z = normal_quantile(confidence_level)
    error = (interval.high - interval.low) / (2 * z)
    return (z + normal_quantile(2 * power - 1)) * error
