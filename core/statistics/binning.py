"""Bins shared by two samples, and shares that can be compared.

Two kinds of bins. Those that are *shown* are equally wide over both samples (`shared_edges`). Those that are
*measured* on come from the reference alone (`reference_bins`, `category_bins`), so that effects of different windows
can be compared: at most 32, one below and one above the reference's range, or one for names it does not know.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from core.errors import InvalidInput

N_BINS = 32
N_INNER = N_BINS - 2
INNER_SHARES = np.array([0.005, 0.995])
STEPS = np.linspace(0.0, 1.0, N_BINS + 1)


def reference_bins(reference: NDArray[np.int64]) -> NDArray[np.int64]:
    """Which bin each point lies in, by the reference alone.

    Between the reference's lowest and highest value there are at most 30 bins of as equal reference share as its
    values allow: a point lies in bin ``1 + floor(30 m)``, with ``m`` the share of reference rows below it plus half of
    those on it, so a value that holds a fifteenth of the reference has a bin of its own. Bin 0 is what lies below the
    lowest value, bin 31 what lies above the highest.

    Parameters
    ----------
    reference : ndarray of shape (..., k)
        Counts of points in rising order.

    Returns
    -------
    ndarray of shape (..., k)
        Never falling, 0 to 31; all 0 where there is no reference row.
    """
    reached = np.cumsum(reference, axis=-1)
    total = reached[..., -1:]
    # In whole numbers, or the last digit of a share would move a point into another bin.
    inner = np.minimum(N_INNER * (2 * reached - reference) // np.maximum(2 * total, 1), N_INNER - 1)
    return np.where(reached == 0, 0, np.where(reached - reference == total, N_BINS - 1, 1 + inner))


def reference_bin_starts(reached: NDArray[np.int64]) -> NDArray[np.intp]:
    """At which point each of the `reference_bins` that hold a point begins: rising numbers, in a tenth of the time.

    Parameters
    ----------
    reached : ndarray of shape (k + 1,)
        Reference rows below each point in rising order, and all of them last.
    """
    total, n_points = int(reached[-1]), len(reached) - 1
    if total == 0:
        return np.arange(min(1, n_points))
    lowest, highest = np.searchsorted(reached, [1, total]) - 1
    twice_below = reached[1:] + reached[:-1]
    inner = np.searchsorted(twice_below, -(2 * total * np.arange(1, N_INNER) // -N_INNER))
    ends = np.concatenate([[0, lowest], inner, [highest + 1, n_points]])
    return ends[:-1][ends[1:] > ends[:-1]]


def category_bins(reference: NDArray[np.int64], known: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Which bin each category lies in, by the reference alone.

    The 30 commonest in the reference have a bin each, 0 to 29, of equal ones the first; bin 30 is all others that it
    knows, bin 31 all that it does not.

    Parameters
    ----------
    reference : ndarray of shape (..., k)
        Counts.
    known : ndarray of shape (..., k)
        Whether the reference knows the category.

    Returns
    -------
    ndarray of shape (..., k)
        0 to 31.
    """
    ranks = np.argsort(np.argsort(np.where(known, -reference, 1), axis=-1, kind="stable"), axis=-1)
    return np.where(known, np.minimum(ranks, N_INNER), N_INNER + 1)


def by_bin(counts: NDArray[np.int64], bins: NDArray[np.int64]) -> NDArray[np.int64]:
    """Counts of points as counts of those bins that hold a point.

    Parameters
    ----------
    counts : ndarray of shape (..., k)
    bins : ndarray of shape (k,)
        One per point.

    Returns
    -------
    ndarray of shape (..., n_bins)
        Bins in rising order.
    """
    if (bins[1:] < bins[:-1]).any():
        order = np.argsort(bins, kind="stable")
        bins, counts = bins[order], counts[..., order]
    starts = np.flatnonzero(np.diff(bins, prepend=-1))
    return np.asarray(np.add.reduceat(counts, starts, axis=-1))


def by_own_bins(counts: NDArray[np.int64], bins: NDArray[np.int64]) -> NDArray[np.int64]:
    """Counts of points as counts of all 32 bins, where each draw has bins of its own.

    Parameters
    ----------
    counts, bins : ndarray of shape (b, k)

    Returns
    -------
    ndarray of shape (b, 32)
    """
    places = (bins + N_BINS * np.arange(len(bins))[:, None]).ravel()
    summed = np.bincount(places, weights=counts.ravel(), minlength=N_BINS * len(bins))
    return summed.reshape(-1, N_BINS).astype(np.int64)


def shared_edges(points: NDArray[np.float64], reached: NDArray[np.int64]) -> NDArray[np.float64]:
    """Edges of bins that hold two samples, equally wide.

    Whole numbers that span fewer than 32 get a bin each. Otherwise 32 bins reach from the lower to the upper end of the
    pooled values; where a few far values would leave nearly all of the rest in one bin they reach only from the 0.5 %
    to the 99.5 % quantile, and what lies beyond counts in the first or last bin.

    Parameters
    ----------
    points : ndarray of shape (k,)
        Of both samples, rising, no NaN. Infinities are left out.
    reached : ndarray of shape (k + 1,)
        Rows of both below each point, and all of them last.

    Returns
    -------
    ndarray of shape (b + 1,)
        Strictly rising, b between 1 and 32; ``[-0.5, 0.5]`` where there is no finite value.
    """
    first, last = np.searchsorted(points, -np.inf, side="right"), np.searchsorted(points, np.inf, side="left")
    if first == last:
        return np.array([-0.5, 0.5])
    pooled = np.asarray(points[first:last], dtype=np.float64)
    low, high = float(pooled[0]), float(pooled[-1])
    if high - low < N_BINS and abs(low) < 2**52 and abs(high) < 2**52 and bool((pooled == np.floor(pooled)).all()):
        return np.arange(low, high + 2) - 0.5
    held = reached[first + 1 : last + 1] - reached[first]
    # A share that is reached exactly is reached, whatever the last digit of the product says.
    inner = np.searchsorted(held, INNER_SHARES * held[-1] * (1 - 1e-12), side="left")
    inner_low, inner_high = pooled[inner].tolist()
    # Halved before they are subtracted: the whole range of float64 does not fit into a float64.
    if inner_high > inner_low and (high / 2 - low / 2) > 4 * (inner_high / 2 - inner_low / 2):
        low, high = inner_low, inner_high
    edges = np.unique(low * (1 - STEPS) + high * STEPS)
    if len(edges) < 2 or not np.isfinite(edges).all():
        gap = max(abs(low), 1.0) * 1e-6
        return np.array([low - gap, low + gap])
    return edges


def counts(points: NDArray[np.float64], edges: NDArray[np.float64], reached: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many rows fall into each bin ``[edge, next edge)``; what lies beyond counts in the first or last bin.

    Parameters
    ----------
    points : ndarray of shape (n,)
        Rising, no NaN; infinities count at the ends.
    edges : ndarray of shape (k + 1,)
        Strictly rising.
    reached : ndarray of shape (..., n + 1)
        Rows below each point, and all of them last.

    Returns
    -------
    ndarray of shape (..., k)
        Sums to the number of rows.
    """
    edges = np.asarray(edges, dtype=np.float64)
    if len(edges) < 2 or not (edges[1:] > edges[:-1]).all():
        raise InvalidInput("Bin edges must rise strictly, and there must be at least two.")
    return between(reached, np.searchsorted(points, edges[1:-1], side="left"))


def between(reached: NDArray[np.int64], starts: NDArray[np.intp]) -> NDArray[np.int64]:
    """Rows of runs of points: all before the first of ``starts``, from each to the next, and from the last on.

    Parameters
    ----------
    reached : ndarray of shape (..., n + 1)
        Rows below each point, and all of them last.
    starts : ndarray of shape (k,)
        Rising.

    Returns
    -------
    ndarray of shape (..., k + 1)
    """
    below = reached[..., starts]
    return np.diff(below, axis=-1, prepend=reached[..., :1], append=reached[..., -1:])


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
