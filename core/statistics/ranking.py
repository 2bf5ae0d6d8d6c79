"""Areas under the ROC and precision-recall curves with each row's influence on them, in O(n log n)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


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
        How many of each fall into a group.
    """

    group: NDArray[np.int64]
    thresholds: NDArray[np.float64]
    positives: NDArray[np.float64]
    negatives: NDArray[np.float64]


def rank(positive: NDArray[np.bool_], y_score: NDArray[np.float64]) -> Ranking:
    """Sort rows by descending score; equal scores share a group.

    Parameters
    ----------
    positive : ndarray of shape (n,), bool
    y_score : ndarray of shape (n,)
        Finite; higher means more likely positive.
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
    positives = np.bincount(group, weights=positive, minlength=n_groups).astype(np.float64)
    total = np.bincount(group, minlength=n_groups)
    return Ranking(group, ordered[first], positives, total - positives)


def roc_auc(positive: NDArray[np.bool_], ranking: Ranking) -> tuple[float, NDArray[np.float64]]:
    """Area under the ROC curve, ties counting half, and DeLong's structural components as influences.

    Parameters
    ----------
    positive : ndarray of shape (n,), bool
        With at least one row of each kind.

    Returns
    -------
    auc : float
        In [0, 1].
    influence : ndarray of shape (n,)
        Scaled so that its sum of squares is DeLong's variance, and that the sum of squares of a difference of two is
        DeLong's variance of the difference. 0 for a class of one row, whose variance is unknown.

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
    scale_positive = 1 / math.sqrt(n_positive * (n_positive - 1)) if n_positive > 1 else 0.0
    scale_negative = 1 / math.sqrt(n_negative * (n_negative - 1)) if n_negative > 1 else 0.0
    return auc, (wins - auc) * np.where(positive, scale_positive, scale_negative)


def two_sample_df(positive: NDArray[np.bool_], influence: NDArray[np.float64]) -> float:
    """Welch and Satterthwaite's degrees of freedom of a variance summed over two classes.

    Returns
    -------
    float
        At least 1; the class that adds most variance counts most, so that a handful of positives widens an interval.
    """
    squares = influence * influence
    parts = (float(squares[positive].sum()), float(squares[~positive].sum()))
    sizes = (int(positive.sum()), int((~positive).sum()))
    bottom = sum(part * part / (size - 1) for part, size in zip(parts, sizes, strict=True) if size > 1)
    return max(1.0, sum(parts) ** 2 / bottom) if bottom > 0 else 1.0


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
        The derivative by the row's weight (infinitesimal jackknife), times sqrt(p / (p - 1)) for p positives: its sum
        of squares estimates the variance. 0 for p = 1.

    References
    ----------
    Efron (1982), The jackknife, the bootstrap and other resampling plans, chapter 6, for the method.
    """
    above = np.cumsum(ranking.positives)
    count = np.cumsum(ranking.positives + ranking.negatives)
    precision = above / count
    n_positive = float(above[-1])
    value = float(ranking.positives @ precision) / n_positive
    # A row of score s moves the precision of every positive scored no higher than s.
    gain = np.cumsum((ranking.positives / count)[::-1])[::-1]
    cost = np.cumsum((ranking.positives * precision / count)[::-1])[::-1]
    group = ranking.group
    influence = (np.where(positive, precision[group] - value + gain[group], 0.0) - cost[group]) / n_positive
    scale = math.sqrt(n_positive / (n_positive - 1)) if n_positive > 1 else 0.0
    return value, influence * scale
