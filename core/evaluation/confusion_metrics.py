"""Metrics as functions of many confusion matrices at once, for resampling by cells instead of rows.

Each equals its measure in `measures`; NaN where that is not defined. Matrices have shape (b, k, k), truth first.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def _ratio(top: Floats, bottom: Floats) -> Floats:
    return np.asarray(np.divide(top, bottom, out=np.full(np.shape(bottom), np.nan), where=bottom > 0))


def _diagonal(matrices: Floats) -> Floats:
    return np.asarray(np.einsum("bii->bi", matrices))


def accuracy(matrices: Floats) -> Floats:
    """Share on the diagonal."""
    return _ratio(_diagonal(matrices).sum(axis=1), matrices.sum(axis=(1, 2)))


def balanced_accuracy(matrices: Floats) -> Floats:
    """Mean over the classes present of the share of each that was found; NaN for fewer than two."""
    found = _ratio(_diagonal(matrices), matrices.sum(axis=2))
    n_present = np.isfinite(found).sum(axis=1)
    return np.where(n_present > 1, np.nansum(found, axis=1) / np.maximum(n_present, 1), np.nan)


def precision(matrices: Floats) -> Floats:
    """Of the rows predicted as the second class, the share that are."""
    return _ratio(matrices[:, 1, 1], matrices[:, :, 1].sum(axis=1))


def recall(matrices: Floats) -> Floats:
    """Of the rows of the second class, the share found."""
    return _ratio(matrices[:, 1, 1], matrices[:, 1].sum(axis=1))


def f_beta(beta: float) -> Callable[[Floats], Floats]:
    """(1 + b²) TP / ((1 + b²) TP + b² FN + FP) of the second class."""
    square = beta * beta

    def values(matrices: Floats) -> Floats:
        size = square * matrices[:, 1].sum(axis=1) + matrices[:, :, 1].sum(axis=1)
        return _ratio((1 + square) * matrices[:, 1, 1], size)

    return values


def macro_f1(matrices: Floats) -> Floats:
    """Mean of the F1 of each class that occurs in truth or prediction."""
    scores = _ratio(2 * _diagonal(matrices), matrices.sum(axis=1) + matrices.sum(axis=2))
    return _ratio(np.nansum(scores, axis=1), np.isfinite(scores).sum(axis=1).astype(np.float64))


def weighted_f1(matrices: Floats) -> Floats:
    """Mean of the F1 of each class, a class counting by how often it is the truth."""
    scores = _ratio(2 * _diagonal(matrices), matrices.sum(axis=1) + matrices.sum(axis=2))
    return _ratio((np.nan_to_num(scores) * matrices.sum(axis=2)).sum(axis=1), matrices.sum(axis=(1, 2)))


def macro_precision(matrices: Floats) -> Floats:
    """Mean of the precision of each class that occurs in truth or prediction; 0 for one that is never predicted."""
    called = matrices.sum(axis=1)
    present = called + matrices.sum(axis=2) > 0
    return _ratio(np.nan_to_num(_ratio(_diagonal(matrices), called)).sum(axis=1), present.sum(axis=1).astype(float))


def matthews(matrices: Floats) -> Floats:
    """Correlation of truth with prediction; 0 where all rows are predicted alike, NaN where all truly are."""
    n = matrices.sum(axis=(1, 2))[:, None]
    true_share, predicted_share = matrices.sum(axis=2) / n, matrices.sum(axis=1) / n
    variances = (1 - (true_share**2).sum(axis=1)) * (1 - (predicted_share**2).sum(axis=1))
    covariance = _diagonal(matrices).sum(axis=1) / n[:, 0] - (true_share * predicted_share).sum(axis=1)
    one_truth, one_call = ((shares > 0).sum(axis=1) < 2 for shares in (true_share, predicted_share))
    value = np.clip(_ratio(covariance, np.sqrt(np.clip(variances, 0, None))), -1, 1)
    return np.where(one_truth, np.nan, np.where(one_call, 0.0, value))


def kappa(matrices: Floats) -> Floats:
    """Agreement beyond what the classes' shares alone would give."""
    n = matrices.sum(axis=(1, 2))
    agreed = _diagonal(matrices).sum(axis=1) / n
    expected = np.einsum("bi,bi->b", matrices.sum(axis=2), matrices.sum(axis=1)) / n**2
    return np.where(expected < 1 - 1e-12, _ratio(agreed - expected, 1 - expected), np.nan)


FROM_CONFUSION: dict[str, Callable[[Floats], Floats]] = {
    "accuracy": accuracy,
    "balanced_accuracy": balanced_accuracy,
    "precision": precision,
    "recall": recall,
    "f1": f_beta(1),
    "f2": f_beta(2),
    "f0_5": f_beta(0.5),
    "macro_f1": macro_f1,
    "weighted_f1": weighted_f1,
    "macro_precision": macro_precision,
    "matthews_correlation": matthews,
    "cohen_kappa": kappa,
}
