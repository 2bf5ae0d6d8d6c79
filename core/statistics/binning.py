"""Bins shared by two samples, and shares that can be compared."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from core.errors import InvalidInput

N_BINS = 32


def shared_edges(first: NDArray[np.float64], second: NDArray[np.float64], n_bins: int = N_BINS) -> NDArray[np.float64]:
    """Edges of bins that hold two samples, equally wide.

    Integers that span fewer than ``n_bins`` get a bin each. Otherwise ``n_bins`` bins reach from the lower to the
    upper end of the pooled values; where a few far values would leave nearly all of the rest in one bin they reach
    only from the 0.5 % to the 99.5 % quantile, and `counts` puts what lies beyond into the first and last bin.

    Parameters
    ----------
    first, second : ndarray of shape (n,)
        NaN and infinities are left out.
    n_bins : int

    Returns
    -------
    ndarray of shape (k + 1,)
        Strictly rising, k between 1 and ``n_bins``; ``[-0.5, 0.5]`` where there is no finite value.
    """
    pooled = np.concatenate([np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)])
    pooled = pooled[np.isfinite(pooled)]
    if len(pooled) == 0:
        return np.array([-0.5, 0.5])
    low, high = float(pooled.min()), float(pooled.max())
    if high - low < n_bins and abs(low) < 2**52 and abs(high) < 2**52 and bool((pooled == np.floor(pooled)).all()):
        return np.arange(low, high + 2) - 0.5
    inner_low, inner_high = (float(edge) for edge in np.quantile(pooled, [0.005, 0.995]))
    # Halved before they are subtracted: the whole range of float64 does not fit into a float64.
    if inner_high > inner_low and (high / 2 - low / 2) > 4 * (inner_high / 2 - inner_low / 2):
        low, high = inner_low, inner_high
    steps = np.linspace(0.0, 1.0, n_bins + 1)
    edges = np.unique(low * (1 - steps) + high * steps)
    if len(edges) < 2 or not np.isfinite(edges).all():
        gap = max(abs(low), 1.0) * 1e-6
        return np.array([low - gap, low + gap])
    return edges


def counts(values: NDArray[np.float64], edges: NDArray[np.float64]) -> NDArray[np.int64]:
    """How many values fall into each bin ``[edge, next edge)``; what lies beyond counts in the first or last bin.

    Parameters
    ----------
    values : ndarray of shape (n,)
        NaN is left out, infinities count at the ends.
    edges : ndarray of shape (k + 1,)
        Strictly rising.

    Returns
    -------
    ndarray of shape (k,)
        Sums to the number of values that are not NaN.
    """
    edges = np.asarray(edges, dtype=np.float64)
    if len(edges) < 2 or not (np.diff(edges) > 0).all():
        raise InvalidInput("Bin edges must rise strictly, and there must be at least two.")
    present = np.asarray(values, dtype=np.float64)
    present = present[~np.isnan(present)]
    position = np.clip(np.searchsorted(edges, present, side="right") - 1, 0, len(edges) - 2)
    return np.bincount(position, minlength=len(edges) - 1).astype(np.int64)


def category_counts(
    first: NDArray[np.object_], second: NDArray[np.object_]
) -> tuple[list[str], NDArray[np.int64], NDArray[np.int64]]:
    """Count each category in two samples.

    Parameters
    ----------
    first, second : ndarray of shape (n,), of str or None
        None is missing and left out.

    Returns
    -------
    categories : list of str
        By falling pooled count, then by name.
    first_counts, second_counts : ndarray of shape (len(categories),)
    """
    from collections import Counter

    one, two = (Counter(value for value in sample.tolist() if value is not None) for sample in (first, second))
    categories = sorted(one.keys() | two.keys(), key=lambda name: (-(one[name] + two[name]), name))
    return (
        categories,
        np.array([one[name] for name in categories], dtype=np.int64),
        np.array([two[name] for name in categories], dtype=np.int64),
    )


def weighted_quantiles(
    values: NDArray[np.float64], shares_below: NDArray[np.float64], weight: NDArray[np.float64] | None = None
) -> NDArray[np.float64]:
    """The smallest value at or below which at least a share of all weight lies.

    Parameters
    ----------
    values : ndarray of shape (n,)
        Finite, n > 0.
    shares_below : ndarray of shape (k,)
        From 0 to 1.
    weight : ndarray of shape (n,), optional
        Finite, >= 0, not all 0. Whole weights give what repeated values give; values of weight 0 are as if absent.

    Returns
    -------
    ndarray of shape (k,)
        Values that occur: nothing is averaged (numpy's method "inverted_cdf").
    """
    if weight is not None:
        values, weight = values[weight > 0], weight[weight > 0]
    order = np.argsort(values)
    reached = np.arange(1.0, len(values) + 1) if weight is None else np.cumsum(weight[order])
    # A share that is reached exactly is reached, whatever the last digit of the sum says.
    place = np.searchsorted(reached, np.asarray(shares_below) * reached[-1] * (1 - 1e-12), side="left")
    return np.asarray(values[order[np.minimum(place, len(order) - 1)]], dtype=np.float64)


def shares(bin_counts: Sequence[int] | NDArray[np.int64]) -> NDArray[np.float64]:
    """Counts as shares of their sum; all 0 where there is nothing."""
    counted = np.asarray(bin_counts, dtype=np.float64)
    total = counted.sum()
    return counted / total if total > 0 else counted


def smooth(bin_counts: Sequence[int] | NDArray[np.int64]) -> NDArray[np.float64]:
    """Shares of which none is 0: half a row is added to each bin, then they are scaled to sum to 1.

    The Jeffreys prior of a multinomial; it keeps an empty bin from making a logarithm infinite.
    """
    counted = np.asarray(bin_counts, dtype=np.float64) + 0.5
    smoothed: NDArray[np.float64] = counted / counted.sum()
    return smoothed
