"""Bootstraps that draw sufficient statistics instead of rows, so that their cost does not grow with the data."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from core.statistics.intervals import CONFIDENCE, Interval

N_RESAMPLES = 2_000


def resample_sums(
    parts: NDArray[np.float64], *, n_resamples: int = N_RESAMPLES, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Bootstrap sums of each column over rows drawn with replacement.

    Drawn from the normal with the bootstrap's own mean and covariance, which the sums of resampled rows approach as
    rows grow; for some hundreds of rows a column the quantiles agree to the bootstrap's own noise.

    Parameters
    ----------
    parts : ndarray of shape (n, k)
        Each row's addends; k is small.

    Returns
    -------
    ndarray of shape (n_resamples, k)
    """
    n, k = parts.shape
    total = parts.sum(axis=0)
    covariance = parts.T @ parts - np.outer(total, total) / n
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.clip(values, 0, None))
    return total + rng.standard_normal((n_resamples, k)) @ root.T


def resample_successes(
    successes: NDArray[np.int64], sizes: NDArray[np.int64], *, n_resamples: int = N_RESAMPLES, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Bootstrap success counts of independent groups: resampling yes/no rows is drawing a binomial.

    Half a success and half a failure are added to each group first, so that one without either still varies.

    Parameters
    ----------
    successes, sizes : ndarray of shape (n_groups,)
        0 <= successes <= sizes, sizes > 0.

    Returns
    -------
    ndarray of shape (n_resamples, n_groups)
    """
    return rng.binomial(sizes, (successes + 0.5) / (sizes + 1), size=(n_resamples, len(sizes)))


def basic_interval(value: float, resampled: NDArray[np.float64], confidence_level: float = CONFIDENCE) -> Interval:
    """Basic bootstrap interval: the percentiles mirrored at the estimate.

    For estimates that noise only ever pushes up (sums of absolute gaps, largest minus smallest) resampling pushes
    them up once more; mirroring takes the bias off where percentiles would double it. The value itself is kept inside.

    References
    ----------
    Davison and Hinkley (1997), Bootstrap methods and their application, equation 5.6.
    """
    tail = (1 - confidence_level) / 2
    below, above = np.quantile(resampled, [tail, 1 - tail])
    return Interval(min(value, 2 * value - float(above)), max(value, 2 * value - float(below)))
