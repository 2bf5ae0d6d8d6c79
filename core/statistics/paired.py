"""Two methods judged on the same rows: proportions by discordant pairs, everything else by paired influence."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

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


@dataclass(frozen=True)
class PairedEffect:
    """A paired difference, candidate minus baseline in the measure's own direction.

    Parameters
    ----------
    effect, low, high : float
        The difference and its 95 % interval.
    pvalue : float or None
        Two-sided, of no difference; None where the method gives none.
    method : str
        What was computed, in words.
    """

    effect: float
    low: float
    high: float
    pvalue: float | None
    method: str


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


def paired_proportions(gained: int, lost: int, n: int) -> PairedEffect:
    """Difference of two paired proportions with an interval that agrees with the exact test.

    The interval is the wider, at each end, of Tango's score interval and of the exact conditional one (Clopper and
    Pearson's for the share of discordant pairs gained, times the share discordant). The score interval alone excludes
    0 at 4 discordant pairs out of 4, which happens by chance once in eight; with both, it excludes 0 only where the
    exact McNemar test has p <= 0.05.

    Parameters
    ----------
    gained, lost : int
        Discordant pairs.
    n : int
        All pairs, > 0.
    """
    discordant = gained + lost
    score = tango_interval(gained, lost, n)
    share = clopper_pearson(gained, discordant)
    low = min(score.low, (2 * share.low - 1) * discordant / n)
    high = max(score.high, (2 * share.high - 1) * discordant / n)
    return PairedEffect(
        (gained - lost) / n, low, high, mcnemar_pvalue(gained, lost), "paired score interval, exact McNemar test"
    )


def paired_influence(
    baseline_value: float,
    candidate_value: float,
    difference: NDArray[np.float64],
    *,
    extra_variance: float = 0.0,
    df: float | None = None,
    method: str,
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
        return PairedEffect(effect, effect, effect, 1.0 if effect == 0 else None, method)
    freedom = float(max(1, len(difference) - 1)) if df is None else df
    half = t_quantile(freedom) * error
    return PairedEffect(effect, effect - half, effect + half, t_pvalue(effect / error, freedom), method)


def smallest_detectable(interval: Interval, *, power: float = POWER, confidence_level: float = CONFIDENCE) -> float:
    """The smallest true difference that such rows would have shown, with 80 % probability, as unlike 0.

    Parameters
    ----------
    interval : Interval
        The interval observed; half its width over the normal quantile is taken as the standard error.

    Returns
    -------
    float
        (z(0.975) + z(0.8)) standard errors, >= 0.
    """
    z = normal_quantile(confidence_level)
    error = (interval.high - interval.low) / (2 * z)
    return (z + normal_quantile(2 * power - 1)) * error
