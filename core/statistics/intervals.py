"""Confidence intervals in closed form.

All are two-sided. `scipy` is imported inside the functions: the catalogue of metrics is read by commands that compute
nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from statistics import NormalDist
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

CONFIDENCE = 0.95
# So few successes, or failures, are a Poisson count rather than a normal one.
FEW_EVENTS = 3

Scale = Literal["identity", "log", "logit"]


class Interval(NamedTuple):
    """The two ends of a confidence interval, low <= high."""

    low: float
    high: float


def normal_quantile(confidence_level: float = CONFIDENCE) -> float:
    """Two-sided quantile of the standard normal: 1.96 for 0.95."""
    return NormalDist().inv_cdf(0.5 + confidence_level / 2)


def t_quantile(df: float, confidence_level: float = CONFIDENCE) -> float:
    """Two-sided quantile of Student's t with ``df`` > 0 degrees of freedom, not necessarily whole."""
    from scipy.special import stdtrit

    return float(stdtrit(df, 0.5 + confidence_level / 2))


def t_pvalue(statistic: float, df: float) -> float:
    """Two-sided p-value of a t statistic."""
    from scipy.special import stdtr

    return float(min(1.0, 2.0 * stdtr(df, -abs(statistic))))


def wilson(successes: float, n: float, confidence_level: float = CONFIDENCE) -> Interval:
    """Wilson's score interval of a proportion.

    Parameters
    ----------
    successes, n : float
        0 <= successes <= n, n > 0. Need not be whole: an effective size is allowed.

    Returns
    -------
    Interval
        Within [0, 1]; never of zero width, at 0 of n and n of n too.

    References
    ----------
    Wilson (1927), Probable inference, JASA 22, 209-212, doi:10.1080/01621459.1927.10502953.
    """
    return wilson_of(successes / n, n, normal_quantile(confidence_level))


def wilson_of(share: float, n: float, quantile: float) -> Interval:
    """As `wilson`, of the share itself and at a quantile of one's choice, such as Student's."""
    z2 = quantile * quantile
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = quantile / (1 + z2 / n) * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    low = 0.0 if share <= 0 else max(0.0, centre - half)
    high = 1.0 if share >= 1 else min(1.0, centre + half)
    return Interval(min(low, share), max(high, share))


def proportion(successes: float, n: float, confidence_level: float = CONFIDENCE) -> Interval:
    """Wilson's interval, reaching further where up to three rows succeed, or fail, as a Poisson count of so many does.

    Wilson's own misses a share very near 0 or 1 too often: of 10 rows, one near 0.99 in 16 of 100 samples, and where 10
    is but the mean of the number of rows, in 9. This one then misses 8 at most, and less than 5; it holds 90 of 100 for
    every share and any number of rows from 5, and from 10 rows on it is at most 4 % wider.

    Parameters
    ----------
    successes, n : float
        0 <= successes <= n, n > 0. Need not be whole: an effective size is allowed.

    References
    ----------
    Brown, Cai and DasGupta (2001), Statistical Science 16, 101-133, section 4.1.1, doi:10.1214/ss/1009213286; for up to
    three whatever n, where they take two up to 50 rows.
    """
    low, high = wilson(successes, n, confidence_level)
    return Interval(
        min(low, _poisson_low(successes, confidence_level) / n),
        max(high, 1 - _poisson_low(n - successes, confidence_level) / n),
    )


def _poisson_low(count: float, confidence_level: float) -> float:
    """The low end of the mean of a Poisson count, half a chi-square quantile; infinite where the count is no small one.

    Of 0 it is 0, which is Wilson's own end.
    """
    from scipy.special import gammaincinv

    if not 0 < count <= FEW_EVENTS:
        return math.inf
    return float(gammaincinv(count, 1 - confidence_level))


def clopper_pearson(successes: int, n: int, confidence_level: float = CONFIDENCE) -> Interval:
    """Exact interval of a proportion, by inverting the two one-sided binomial tests; [0, 1] for ``n`` = 0.

    References
    ----------
    Clopper and Pearson (1934), Biometrika 26, 404-413, doi:10.1093/biomet/26.4.404.
    """
    from scipy.special import betaincinv

    tail = (1 - confidence_level) / 2
    low = 0.0 if successes == 0 else float(betaincinv(successes, n - successes + 1, tail))
    high = 1.0 if successes == n else float(betaincinv(successes + 1, n - successes, 1 - tail))
    return Interval(low, high)


def around(
    value: float,
    standard_error: float,
    *,
    df: float,
    scale: Scale = "identity",
    confidence_level: float = CONFIDENCE,
) -> Interval:
    """Student interval of an estimate, symmetric on a scale that suits its range.

    The standard error is carried to the scale by the delta method: divided by ``value`` for "log" (positive
    quantities), by ``value (1 - value)`` for "logit" (shares).

    Parameters
    ----------
    value, standard_error : float
        With a standard error of 0, or a value on the edge of the scale's range, both ends are ``value``.
    df : float
        Degrees of freedom of the standard error, > 0.
    """
    if standard_error == 0:
        return Interval(value, value)
    quantile = t_quantile(df, confidence_level)
    if scale == "identity":
        return Interval(value - quantile * standard_error, value + quantile * standard_error)
    if scale == "log":
        if value <= 0:
            return Interval(value, value)
        factor = math.exp(min(700.0, quantile * standard_error / value))
        return Interval(value / factor, value * factor)
    if not 0 < value < 1:
        return Interval(value, value)
    step = quantile * standard_error / (value * (1 - value))
    centre = math.log(value / (1 - value))
    return Interval(expit(centre - step), expit(centre + step))


def effective_size(weight: NDArray[np.float64]) -> float:
    """How many rows of equal weight would be as sure as these, (sum w)² / sum w²; 0 for no weight at all.

    References
    ----------
    Kish (1965), Survey sampling, section 11.7.
    """
    squares = float(weight @ weight)
    return float(weight.sum()) ** 2 / squares if squares > 0 else 0.0


def effective_df(influence: NDArray[np.float64], n: float | None = None, explained: float = 0.0) -> float:
    """Degrees of freedom of a variance estimated by a sum of squared influences, 2 V² / Var(V).

    The fewer rows carry the variance, the less is known of it: normal influences of n rows give about n, one row that
    outweighs all the others gives 2. It is what keeps an interval honest where losses have heavy tails.

    Parameters
    ----------
    influence : ndarray of shape (n,)
    n : float, optional
        How many of the rows count, where some have weight 0.
    explained : float
        How much of the variance's spread that goes with the mean, by the influences' skewness, is left out, from 0 to
        1: for an interval that allows for it in another way.

    Returns
    -------
    float
        Between 1 and n - 1 (at least 1); 1 where no row has influence.

    References
    ----------
    Satterthwaite (1946), Biometrics Bulletin 2, 110-114, with the variance of the squares as observed.
    """
    n = len(influence) if n is None else n
    squares = influence * influence
    variance = float(squares.sum())
    if n < 2 or variance <= 0:
        return 1.0
    # In shares of the whole, lest the fourth powers of small numbers vanish.
    shares = squares / variance
    spread = float(shares @ shares) - 1 / n + 2 / (n * n)
    if explained:
        spread -= explained * float(shares @ (influence / math.sqrt(variance))) ** 2
    return float(np.clip(2 / max(spread, 2 / n), 1.0, n - 1))


def skewed(
    value: float,
    influence: NDArray[np.float64],
    *,
    df: float,
    hidden: float = 0.0,
    confidence_level: float = CONFIDENCE,
) -> Interval:
    """Student interval with the skewness of the rows taken out, reaching further on the side of the long tail.

    The t statistic of a mean of skewed rows is skewed the other way: a sample without its rare large values has both a
    small mean and a small standard error. Hall's monotone cubic transformation removes that skewness. Towards the long
    tail the end is never nearer than Student's own.

    Parameters
    ----------
    value : float
    influence : ndarray of shape (n,)
        Of each row on the value; the sum of squares is its variance.
    df : float
        Degrees of freedom, as of `effective_df`.
    hidden : float
        How much skewness the rows do not show, as a share of what they do.

    References
    ----------
    Hall (1992), On the removal of skewness by transformation, JRSS B 54, 221-228, the cubic transformation.
    """
    error = math.sqrt(float(influence @ influence))
    if error == 0:
        return Interval(value, value)
    quantile = t_quantile(df, confidence_level)
    scaled = influence / error
    # The rows' skewness over the root of their number: at most 1, for one row that outweighs all others.
    skewness = float((scaled * scaled) @ scaled) * (1 + hidden)
    down, up = _unskewed(quantile, skewness), -_unskewed(-quantile, skewness)
    if skewness > 0:
        up = max(up, quantile)
    else:
        down = max(down, quantile)
    return Interval(value - down * error, value + up * error)


def _unskewed(t: float, skewness: float) -> float:
    """Invert Hall's cubic, t -> t + s t² / 3 + s² t³ / 27 + s / 6, with s the skewness of the mean itself."""
    if abs(skewness) < 1e-9:
        return t
    return (math.cbrt(1 + skewness * t - skewness * skewness / 6) - 1) * 3 / skewness


def median_interval(ordered: NDArray[np.float64], confidence_level: float = CONFIDENCE) -> Interval | None:
    """Distribution-free interval of the median, from two order statistics.

    Parameters
    ----------
    ordered : ndarray of shape (n,)
        Ascending.

    Returns
    -------
    Interval or None
        None for fewer than 6 values: their whole range covers the median with less than 95 %.

    References
    ----------
    Thompson (1936), Annals of Mathematical Statistics 7, 122-128, doi:10.1214/aoms/1177732502.
    """
    from scipy.special import bdtr

    n = len(ordered)
    tail = (1 - confidence_level) / 2
    below = math.floor(n / 2 - normal_quantile(confidence_level) * math.sqrt(n) / 2) + 1
    while below >= 0 and bdtr(below, n, 0.5) > tail:
        below -= 1
    if below < 0:
        return None
    return Interval(float(ordered[below]), float(ordered[n - 1 - below]))


def auc_score_interval(
    auc: float, n_positive: float, n_negative: float, confidence_level: float = CONFIDENCE
) -> Interval:
    """Score interval of an area under the ROC curve, from the area and the class sizes alone, which need not be whole.

    Mostly wider than DeLong's; it still has width where that has none, at an area of exactly 0 or 1.

    References
    ----------
    Newcombe (2006), Statistics in Medicine 25, 559-573, method 5, doi:10.1002/sim.2324; variance of Hanley and McNeil
    (1982), Radiology 143, 29-36.
    """
    z = normal_quantile(confidence_level)
    common = (n_positive + n_negative) / 2 - 1

    def excess(theta: float) -> float:
        inner = 1 + common * ((1 - theta) / (2 - theta) + theta / (1 + theta))
        return abs(auc - theta) - z * math.sqrt(max(0.0, theta * (1 - theta) * inner / (n_positive * n_negative)))

    low = 0.0 if auc == 0 else bisect(excess, 0.0, auc)
    high = 1.0 if auc == 1 else bisect(excess, 1.0, auc)
    return Interval(low, high)


def unseen_share(n: float, confidence_level: float = CONFIDENCE) -> float:
    """The largest share of a kind of row of which a sample of ``n`` >= 1 holds none in one case of twenty.

    References
    ----------
    Hanley and Lippman-Hand (1983), If nothing goes wrong, is everything all right?, JAMA 249, 1743-1745: about 3 / n.
    """
    return float(1 - (1 - confidence_level) ** (1 / max(n, 1.0)))


def open_to_unseen(
    value: float, standard_error: float, *, df: float, unseen: float, confidence_level: float = CONFIDENCE
) -> Interval:
    """Interval of a share on the logit scale that allows for rows unlike those seen, which would move it towards 1/2.

    The end towards 1/2 is Student's, its distance and ``unseen`` added as two sides of a right triangle. What that end
    no longer misses the other one may: together they miss five in a hundred by their own quantiles. The other end takes
    the normal's, since a share that comes out too near 1/2 comes with too large a standard error, not too small a one.

    Parameters
    ----------
    value : float
        In [0, 1].
    standard_error : float
        At 0, or a value of 0 or 1, the interval reaches by ``unseen`` towards 1/2 and not beyond the value.
    df : float
        Degrees of freedom of the standard error, > 0.
    unseen : float
        >= 0.
    """
    from scipy.special import stdtr

    if value < 0.5:
        low, high = open_to_unseen(1 - value, standard_error, df=df, unseen=unseen, confidence_level=confidence_level)
        return Interval(1 - high, 1 - low)
    if standard_error == 0 or value >= 1:
        return Interval(max(0.0, value - unseen), value)
    usual = around(value, standard_error, df=df, scale="logit", confidence_level=confidence_level)
    low = max(0.0, value - math.hypot(value - usual.low, unseen))
    scale = standard_error / (value * (1 - value))
    centre = math.log(value / (1 - value))
    missed = float(stdtr(df, -(centre - math.log(low / (1 - low))) / scale)) if low > 0 else 0.0
    quantile = NormalDist().inv_cdf(confidence_level + missed)
    return Interval(low, expit(centre + quantile * scale))


def combine(weights: Sequence[float], values: Sequence[float], intervals: Sequence[Interval]) -> Interval:
    """Interval of a weighted sum of independent estimates from the intervals of each ("MOVER").

    Parameters
    ----------
    weights : sequence of float
        May be negative: a difference has weights 1 and -1.

    References
    ----------
    Zou and Donner (2008), Statistics in Medicine 27, 1693-1702, doi:10.1002/sim.3095.
    """
    total = down = up = 0.0
    for weight, value, (low, high) in zip(weights, values, intervals, strict=True):
        below, above = (low, high) if weight >= 0 else (high, low)
        total += weight * value
        down += (weight * (value - below)) ** 2
        up += (weight * (above - value)) ** 2
    return Interval(total - math.sqrt(down), total + math.sqrt(up))


def bisect(function: Callable[[float], float], outside: float, inside: float) -> float:
    """Where ``function`` turns from positive (towards ``outside``) to not positive (towards ``inside``)."""
    if function(outside) <= 0:
        return outside
    for _ in range(80):
        middle = (outside + inside) / 2
        if function(middle) > 0:
            outside = middle
        else:
            inside = middle
    return (outside + inside) / 2


def expit(x: float) -> float:
    """The share whose log odds are ``x``."""
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))
