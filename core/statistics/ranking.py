"""Areas under the ROC and precision-recall curves with each row's influence on them, in O(n log n)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.statistics.intervals import effective_size

LEAST_NEAR = 10


@dataclass(frozen=True)
class Ranking:
    """Rows in groups of equal score, best first; computed once, used by both areas and by the curves.

    Parameters
    ----------
    group : ndarray of shape (n,), int
        Each row's group, in the rows' own order; group 0 has the highest score.
    thresholds : ndarray of shape (n_groups,)
        The groups' scores, descending.
    positives, negatives : ndarray of shape (n_groups,)
        How many of each fall into a group; their summed weights where rows have weights.
    weight : ndarray of shape (n,), optional
        Each row's weight; None where all count alike.
    """

    group: NDArray[np.int64]
    thresholds: NDArray[np.float64]
    positives: NDArray[np.float64]
    negatives: NDArray[np.float64]
    weight: NDArray[np.float64] | None = None


def rank(
    positive: NDArray[np.bool_], y_score: NDArray[np.float64], weight: NDArray[np.float64] | None = None
) -> Ranking:
    """Sort rows by descending score; equal scores share a group.

    Parameters
    ----------
    positive : ndarray of shape (n,), bool
    y_score : ndarray of shape (n,)
        Finite; higher means more likely positive.
    weight : ndarray of shape (n,), optional
        Finite, >= 0. A row of weight 0 takes its place in a group and adds nothing.
    """
    order = np.argsort(-y_score)
    ordered = y_score[order]
    first = np.empty(len(ordered), dtype=bool)
    if len(ordered):
        first[0] = True
        np.not_equal(ordered[1:], ordered[:-1], out=first[1:])
    group_in_order = np.cumsum(first) - 1
    group = np.empty(len(ordered), dtype=np.int64)
    group[order] = group_in_order
    n_groups = int(first.sum())
    if weight is None:
        positives = np.bincount(group, weights=positive, minlength=n_groups).astype(np.float64)
        negatives = np.bincount(group, minlength=n_groups) - positives
    else:
        # Each summed by itself: the difference of two sums of weights is not exactly 0 where it should be.
        positives = np.bincount(group, weights=weight * positive, minlength=n_groups).astype(np.float64)
        negatives = np.bincount(group, weights=weight * ~positive, minlength=n_groups).astype(np.float64)
    return Ranking(group, ordered[first], positives, negatives, weight)


def roc_auc(positive: NDArray[np.bool_], ranking: Ranking) -> tuple[float, NDArray[np.float64]]:
    """Area under the ROC curve, ties counting half, and DeLong's structural components as influences.

    Parameters
    ----------
    positive : ndarray of shape (n,), bool
        With at least one row of each kind, of weight above 0.

    Returns
    -------
    auc : float
        In [0, 1].
    influence : ndarray of shape (n,)
        Scaled so that its sum of squares is DeLong's variance, and that the sum of squares of a difference of two is
        DeLong's variance of the difference. 0 for a class of one row, whose variance is unknown. A weighted row's
        component is multiplied by its weight.

    References
    ----------
    DeLong, DeLong and Clarke-Pearson (1988), Biometrics 44, 837-845; by ranks as in Sun and Xu (2014), IEEE Signal
    Processing Letters 21, 1389-1393, doi:10.1109/LSP.2014.2337313.
    """
    n_positive, n_negative = float(ranking.positives.sum()), float(ranking.negatives.sum())
    negatives_below = n_negative - np.cumsum(ranking.negatives) + ranking.negatives / 2
    positives_above = np.cumsum(ranking.positives) - ranking.positives / 2
    wins = np.where(positive, negatives_below[ranking.group] / n_negative, positives_above[ranking.group] / n_positive)
    auc = float(ranking.positives @ negatives_below) / (n_positive * n_negative)
    rows_positive, rows_negative = _sizes(positive, ranking.weight)
    scales = (_unbias(rows_positive) / n_positive, _unbias(rows_negative) / n_negative)
    influence = (wins - auc) * np.where(positive, *scales)
    return auc, influence if ranking.weight is None else influence * ranking.weight


def two_sample_df(
    positive: NDArray[np.bool_], influence: NDArray[np.float64], weight: NDArray[np.float64] | None = None
) -> float:
    """Welch and Satterthwaite's degrees of freedom of a variance summed over two classes.

    Parameters
    ----------
    positive : ndarray of shape (n,), bool
    influence : ndarray of shape (n,)
    weight : ndarray of shape (n,), optional
        The rows' weights; a class then counts for its effective size (Kish 1965), not for its rows.

    Returns
    -------
    float
        At least 1; the class that adds most variance counts most, so that a handful of positives widens an interval.
    """
    squares = influence * influence
    parts = (float(squares[positive].sum()), float(squares[~positive].sum()))
    if weight is None:
        sizes: tuple[float, float] = _sizes(positive, None)
    else:
        sizes = (effective_size(weight[positive]), effective_size(weight[~positive]))
    bottom = sum(part * part / (size - 1) for part, size in zip(parts, sizes, strict=True) if size > 1)
    return max(1.0, sum(parts) ** 2 / bottom) if bottom > 0 else 1.0


def movement_nearby(positive: NDArray[np.bool_], first: Ranking, second: Ranking) -> float:
    """Variance that the difference of two areas would have if each row moved as rows of the other class near it do.

    DeLong's variance of a difference knows of a class only what its own rows show. Where a few positives carry it, and
    most of them happen to keep their place, it is far too small; the negatives ranked near them are many and show how
    far such rows move between the two models.

    Parameters
    ----------
    positive : ndarray of shape (n,), bool
        With at least one row of each kind.
    first, second : Ranking
        Of the same rows with the same weights, by two models.

    Returns
    -------
    float
        Of each class: the mean square by which the nearest rows of the other class (the root of their number, at least
        `LEAST_NEAR`) move among their own class, averaged over the rows and divided by their number, or their effective
        size; summed over the two classes. Near is by the mean of a row's two places.
    """
    variance = 0.0
    for rows in (positive, ~positive):
        # A row's place is the share of the other class that ranks worse.
        before, after = _places(rows, first), _places(rows, second)
        middle, square = (before + after) / 2, (after - before) ** 2
        order = np.argsort(middle[~rows])
        others = middle[~rows][order]
        size = min(len(others), max(LEAST_NEAR, math.ceil(math.sqrt(len(others)))))
        running = np.concatenate([[0.0], np.cumsum(square[~rows][order])])
        start = np.clip(np.searchsorted(others, middle[rows]) - size // 2, 0, len(others) - size)
        moved = (running[start + size] - running[start]) / size
        weight = np.ones(len(moved)) if first.weight is None else first.weight[rows]
        variance += float(moved @ weight**2) / float(weight.sum()) ** 2
    return variance


def _places(rows: NDArray[np.bool_], ranking: Ranking) -> NDArray[np.float64]:
    """The share, by weight, of those not among ``rows`` that each row of either class ranks above, ties by half."""
    weight = ~rows if ranking.weight is None else ~rows * ranking.weight
    others = np.bincount(ranking.group, weights=weight, minlength=len(ranking.thresholds))
    return np.asarray((1 - (np.cumsum(others) - others / 2) / others.sum())[ranking.group])


def average_precision(positive: NDArray[np.bool_], ranking: Ranking) -> tuple[float, NDArray[np.float64]]:
    """Mean, over the positive rows, of the precision at each one's score, and each row's influence on it.

    Parameters
    ----------
    positive : ndarray of shape (n,), bool
        With at least one true.

    Returns
    -------
    average_precision : float
        In (0, 1]; equals scikit-learn's.
    influence : ndarray of shape (n,)
        The derivative by the row's weight (infinitesimal jackknife), times the weight and sqrt(p / (p - 1)) for p
        positive rows: its sum of squares estimates the variance. 0 for p = 1.

    References
    ----------
    Efron (1982), The jackknife, the bootstrap and other resampling plans, chapter 6, for the method.
    """
    above = np.cumsum(ranking.positives)
    count = np.cumsum(ranking.positives + ranking.negatives)
    # The first groups may hold nothing but rows of weight 0.
    precision = np.divide(above, count, out=np.zeros_like(above), where=count > 0)
    n_positive = float(above[-1])
    value = float(ranking.positives @ precision) / n_positive
    # A row of score s moves the precision of every positive scored no higher than s.
    part = np.divide(ranking.positives, count, out=np.zeros_like(above), where=count > 0)
    gain = np.cumsum(part[::-1])[::-1]
    cost = np.cumsum((part * precision)[::-1])[::-1]
    group = ranking.group
    influence = (np.where(positive, precision[group] - value + gain[group], 0.0) - cost[group]) / n_positive
    influence *= _unbias(_sizes(positive, ranking.weight)[0])
    return value, influence if ranking.weight is None else influence * ranking.weight


def top_share(ranking: Ranking, share: float) -> NDArray[np.float64]:
    """How much of each group falls into the best-scored ``share`` of all weight.

    Returns
    -------
    ndarray of shape (n_groups,)
        Between 0 and 1, falling: 1 above the cut, 0 below it. A group of ties at the cut is in by the part that fits,
        as it would be on average if ties were broken at random.
    """
    size = ranking.positives + ranking.negatives
    above = np.cumsum(size)
    room = np.clip(share * above[-1] - (above - size), 0.0, None)
    return np.asarray(np.minimum(1.0, np.divide(room, size, out=np.zeros_like(size), where=size > 0)))


def _sizes(positive: NDArray[np.bool_], weight: NDArray[np.float64] | None) -> tuple[int, int]:
    """Rows of each kind that count."""
    if weight is None:
        n_positive = int(positive.sum())
        return n_positive, len(positive) - n_positive
    counted = weight > 0
    return int((positive & counted).sum()), int((~positive & counted).sum())


def _unbias(n: int) -> float:
    return math.sqrt(n / (n - 1)) if n > 1 else 0.0
