"""Statistics of rows under many weightings at once: what a bootstrap or a permutation asks for thousands of times.

Each function here prepares everything that does not depend on the weights (the sort above all) and gives back a
function of weights of shape (b, n) that gives b values. Resampling rows is weighting each by how often it was drawn,
so no resample is ever sorted. The arrays in between are kept from call to call: for 100,000 rows, asking the system
for fresh memory cost as much as the arithmetic; so one such function serves one thread. Values are NaN where a
weighting leaves them undefined.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Reweighted = Callable[[Floats], Floats]
RUN = 16


def auc_of(positive: NDArray[np.bool_], score: Floats) -> Reweighted:
    """Area under the ROC curve, ties counting half.

    Parameters
    ----------
    positive : ndarray of shape (n,), bool
    score : ndarray of shape (n,)
        Only its order counts; higher is more likely positive.

    Returns
    -------
    callable
        Weights of shape (b, n) -> areas of shape (b,); NaN where either class has no weight. O(n) each: one running sum
        over the rarer class, which costs most, read at the rows of the other.
    """
    flipped = 2 * int(positive.sum()) <= len(positive)
    summed, read = (positive, ~positive) if flipped else (~positive, positive)
    summed_rows, read_rows = _ordered(score, summed), _ordered(score, read)
    # The rows read stay in order, so that the running sum is read front to back.
    below = np.searchsorted(score[summed_rows], score[read_rows], side="left")
    not_above = np.searchsorted(score[summed_rows], score[read_rows], side="right")
    tied = not np.array_equal(below, not_above)

    @cache
    def room(b: int) -> tuple[Floats, Floats, Floats, Floats]:
        return np.zeros((b, len(summed_rows))), np.zeros((b, len(summed_rows) + 1)), *np.zeros((2, b, len(read_rows)))

    def areas(weights: Floats) -> Floats:
        summed_weights, running, passed, counted = room(len(weights))
        weights.take(summed_rows, axis=1, out=summed_weights, mode="clip")
        np.cumsum(summed_weights, axis=1, out=running[:, 1:])
        running.take(below, axis=1, out=passed, mode="clip")
        if tied:
            passed += running.take(not_above, axis=1, out=counted, mode="clip")
            passed *= 0.5
        weights.take(read_rows, axis=1, out=counted, mode="clip")
        share = _over(np.einsum("ij,ij->i", counted, passed), counted.sum(axis=1) * running[:, -1])
        return 1 - share if flipped else share

    return areas


def average_precision_of(positive: NDArray[np.bool_], score: Floats) -> Reweighted:
    """Mean precision over the scores at which a positive is found, as `ranking.average_precision`.

    Returns
    -------
    callable
        Weights of shape (b, n) -> values of shape (b,); NaN where no positive has weight.
    """
    found, others = (_in_runs(_ordered(-score, rows)) for rows in (positive, ~positive))
    # How many of each kind score at least as high as each positive; the positives as they are laid out.
    own = -score[found.rows]
    of_found, of_others = (
        _leading_sums(kind.width, np.searchsorted(np.sort(-score[rows]), own, side="right"))
        for kind, rows in ((found, positive), (others, ~positive))
    )

    @cache
    def room(b: int) -> tuple[Floats, Floats]:
        return np.zeros((b, len(found.rows))), np.zeros((b, len(others.rows)))

    def values(weights: Floats) -> Floats:
        counted, passed = room(len(weights))
        found.read(weights, counted)
        others.read(weights, passed)
        above, count = of_found(counted), of_others(passed)
        count += above
        total = counted.sum(axis=1)
        # Where nothing with weight scores as high there is nothing above either.
        above /= np.maximum(count, np.finfo(np.float64).tiny, out=count)
        return _over(np.einsum("ij,ij->i", counted, above), total)

    return values


@dataclass(frozen=True, eq=False)
class _Runs:
    """Rows in runs of `RUN`, the runs side by side: first the first of each run, then the second of each.

    Parameters
    ----------
    rows : ndarray of shape (RUN * width,)
        Before the first row, and after the last, stands one that is not there.
    absent : ndarray of int
        Where those stand.
    width : int
        How many runs.
    """

    rows: NDArray[np.intp]
    absent: NDArray[np.intp]
    width: int

    def read(self, weights: Floats, out: Floats) -> None:
        """Weights of the rows, 0 for those that are not there."""
        weights.take(self.rows, axis=1, out=out, mode="clip")
        out[:, self.absent] = 0.0


def _in_runs(rows: NDArray[np.intp]) -> _Runs:
    width = -(-(len(rows) + 1) // RUN)
    there = np.zeros(width * RUN, dtype=np.intp)
    there[1 : len(rows) + 1] = rows
    absent = np.ones(width * RUN, dtype=bool)
    absent[1 : len(rows) + 1] = False
    laid, gone = (np.ascontiguousarray(one.reshape(width, RUN).T).ravel() for one in (there, absent))
    return _Runs(laid, np.flatnonzero(gone), width)


def _leading_sums(width: int, lengths: NDArray[np.intp]) -> Reweighted:
    """Of weights laid out in runs, the sums of the first so many, for several lengths.

    A running sum adds one number at a time and costs three times what reading the weights does. Here it runs over all
    runs at once, then over the runs.
    """
    run, step = np.divmod(lengths, RUN)
    at = step * width + run

    @cache
    def room(b: int) -> Floats:
        return np.zeros((b, RUN, width))

    def sums(laid: Floats) -> Floats:
        running = room(len(laid))
        flat = running.reshape(len(laid), -1)
        np.copyto(flat, laid)
        for place in range(1, RUN):
            running[:, place] += running[:, place - 1]
        reached = np.cumsum(running[:, -1], axis=1)
        running[:, :, 1:] += reached[:, None, :-1]
        return flat.take(at, axis=1)

    return sums


def median_of(values: Floats) -> Reweighted:
    """Median; the middle of the two values between which exactly half of the weight lies on either side.

    Returns
    -------
    callable
        Weights of shape (b, n) -> medians of shape (b,).
    """
    order = _ordered(values)
    ordered = values[order]

    def medians(weights: Floats) -> Floats:
        running = np.cumsum(weights.take(order, axis=1), axis=1)
        half = running[:, -1:] / 2
        lower, upper = (running >= half).argmax(axis=1), (running > half).argmax(axis=1)
        return np.asarray((ordered[lower] + ordered[upper]) / 2)

    return medians


def mean_of(columns: Floats, combine: Callable[[Floats], Floats]) -> Reweighted:
    """A function of weighted means.

    Parameters
    ----------
    columns : ndarray of shape (n, k)
    combine : callable
        Means of shape (b, k) -> values of shape (b,).
    """

    def values(weights: Floats) -> Floats:
        return combine(weights @ columns / weights.sum(axis=1, keepdims=True))

    return values


def cells_of(codes: NDArray[np.int64], n_cells: int, combine: Callable[[Floats], Floats]) -> Reweighted:
    """A function of the weight in each cell.

    Parameters
    ----------
    codes : ndarray of shape (n,)
        Each row's cell, from 0 to n_cells - 1.
    combine : callable
        Weights of the cells, of shape (b, n_cells) -> values of shape (b,).
    """
    order = np.argsort(codes, kind="stable")
    there, starts = np.unique(codes[order], return_index=True)

    def values(weights: Floats) -> Floats:
        cells = np.zeros((len(weights), n_cells))
        cells[:, there] = np.add.reduceat(weights.take(order, axis=1), starts, axis=1)
        return combine(cells)

    return values


def _ordered(values: Floats, rows: NDArray[np.bool_] | None = None) -> NDArray[np.intp]:
    """Positions of the rows wanted, by ascending value."""
    wanted = np.arange(len(values)) if rows is None else np.flatnonzero(rows)
    return wanted[np.argsort(values[wanted], kind="stable")]


def _over(top: Floats, bottom: Floats) -> Floats:
    return np.divide(top, bottom, out=np.full_like(top, np.nan), where=bottom > 0)
