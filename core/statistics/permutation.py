"""Paired permutation tests: if two models were alike, their predictions of each row could be swapped.

P-values are two-sided, count the arrangement that was seen, and so are never 0. All arrangements are gone through where
there are few, else as many are drawn as asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.statistics.reweighting import Floats, Reweighted

N_PERMUTATIONS = 999
MOST_ENUMERATED = 4_096
BLOCK_CELLS = 65_536
ROUNDING = 1e-12


@dataclass(frozen=True)
class Permuted:
    """A permutation test's outcome.

    Parameters
    ----------
    pvalue : float
        In (0, 1].
    n_arrangements : int
        How many were gone through or drawn, the one seen not counted.
    exact : bool
        Whether these are all there are.
    """

    pvalue: float
    n_arrangements: int
    exact: bool


def sign_flip(differences: Floats, *, n_permutations: int = N_PERMUTATIONS, rng: np.random.Generator) -> Permuted:
    """Test whether paired differences are as likely to be of either sign, by the size of their sum.

    Parameters
    ----------
    differences : ndarray of shape (n,)
        Rows with a difference of 0 change nothing; without any other the p-value is 1.

    References
    ----------
    Fisher (1935), The design of experiments, section 21; Phipson and Smyth (2010), Statistical Applications in Genetics
    and Molecular Biology 9:39, for counting the arrangement seen.
    """
    moving = differences[differences != 0]
    seen = abs(float(moving.sum()))
    limit = seen - ROUNDING * float(np.abs(moving).sum())
    if 2 ** min(len(moving), 64) <= MOST_ENUMERATED:
        n_all = 2 ** len(moving)
        bits = (np.arange(n_all)[:, None] >> np.arange(len(moving))) & 1
        sums = (2.0 * bits - 1) @ moving
        return Permuted(float((np.abs(sums) >= limit).sum()) / n_all, n_all, exact=True)
    as_large = 0
    for swapped in coins(len(moving), n_permutations=n_permutations, rng=rng):
        sums = 2 * (swapped @ moving) - moving.sum()
        as_large += int((np.abs(sums) >= limit).sum())
    return Permuted((1 + as_large) / (1 + n_permutations), n_permutations, exact=False)


def swap_rows(
    of_both: Reweighted,
    n: int,
    effect: float,
    *,
    row_weights: Floats | None = None,
    n_permutations: int = N_PERMUTATIONS,
    rng: np.random.Generator,
) -> Permuted:
    """Test whether two models' predictions can be swapped row by row, for any statistic.

    Parameters
    ----------
    of_both : callable
        The statistic as a function of the weights of 2 n rows: the first model's predictions, then the second's.
    n : int
        Rows.
    effect : float
        The second model's statistic minus the first's, as seen.
    row_weights : ndarray of shape (n,), optional
        How much each row counts.

    Notes
    -----
    Arrangements that leave the statistic undefined are not counted. The test asks whether the two could have changed
    places, which is more than equal statistics: two models of one quality whose predictions are of another shape can be
    told apart too often.
    """
    weight = np.ones(n) if row_weights is None else row_weights
    as_large = drawn = 0
    limit = abs(effect) * (1 - ROUNDING) - ROUNDING
    for swapped in coins(n, n_permutations=n_permutations, rng=rng):
        moved, kept = swapped * weight, (1 - swapped) * weight
        change = of_both(np.hstack([moved, kept])) - of_both(np.hstack([kept, moved]))
        defined = np.isfinite(change)
        drawn += int(defined.sum())
        as_large += int((np.abs(change[defined]) >= limit).sum())
    return Permuted((1 + as_large) / (1 + drawn), drawn, exact=False)


def swap_cells(
    counts: NDArray[np.int64],
    statistic: Callable[[Floats], Floats],
    effect: float,
    *,
    n_permutations: int = N_PERMUTATIONS,
    rng: np.random.Generator,
) -> Permuted:
    """As `swap_rows` for a statistic of the confusion matrix: swaps within a cell of rows are a binomial draw.

    Parameters
    ----------
    counts : ndarray of shape (k, k, k), int
        Rows by truth, the first model's prediction and the second's.
    statistic : callable
        Confusion matrices of shape (b, k, k), truth first -> values of shape (b,), NaN where undefined.
    effect : float
        The second model's statistic minus the first's, as seen.
    """
    k = counts.shape[0]
    truth, before, after = np.nonzero(counts * ~np.eye(k, dtype=bool)[None])
    sizes = counts[truth, before, after]
    if not len(sizes):
        return Permuted(1.0, 1, exact=True)
    # One row swapped moves from (truth, before) to (truth, after) in the first matrix, and back in the second.
    step = np.zeros((len(sizes), k * k))
    step[np.arange(len(sizes)), truth * k + before] -= 1
    step[np.arange(len(sizes)), truth * k + after] += 1
    first, second = counts.sum(axis=2).ravel(), counts.sum(axis=1).ravel()
    n_all = float(np.prod(sizes + 1.0))
    exact = n_all <= MOST_ENUMERATED
    if exact:
        grid = np.indices(tuple(sizes + 1)).reshape(len(sizes), -1).T
        weight = np.exp(_log_choose(sizes, grid).sum(axis=1) - sizes.sum() * np.log(2))
        blocks: Iterator[tuple[NDArray[np.int64], Floats]] = iter([(grid, weight)])
    else:
        blocks = (
            (rng.binomial(sizes, 0.5, size=(size, len(sizes))), np.ones(size))
            for size in _sizes(n_permutations, max(1, BLOCK_CELLS // k**2))
        )
    limit = abs(effect) - ROUNDING
    as_large = drawn = 0.0
    for swapped, weight in blocks:
        moved = swapped @ step
        change = statistic((second - moved).reshape(-1, k, k)) - statistic((first + moved).reshape(-1, k, k))
        defined = np.isfinite(change)
        drawn += float(weight[defined].sum())
        as_large += float(weight[defined][np.abs(change[defined]) >= limit].sum())
    if exact:
        return Permuted(min(1.0, as_large / drawn) if drawn else 1.0, int(n_all), exact=True)
    return Permuted((1 + as_large) / (1 + drawn), int(drawn), exact=False)


def coins(n: int, *, n_permutations: int, rng: np.random.Generator) -> Iterator[Floats]:
    """Whether each row is swapped, 1 or 0, in blocks of shape (b, n) that fit the processor's cache."""
    for size in _sizes(n_permutations, max(1, BLOCK_CELLS // max(1, n))):
        bits = np.frombuffer(rng.bytes((size * n + 7) // 8), dtype=np.uint8)
        yield np.unpackbits(bits)[: size * n].reshape(size, n).astype(np.float64)


def _sizes(total: int, per_block: int) -> Iterator[int]:
    for start in range(0, total, per_block):
        yield min(per_block, total - start)


def _log_choose(sizes: NDArray[np.int64], taken: NDArray[np.int64]) -> Floats:
    from scipy.special import gammaln

    return np.asarray(gammaln(sizes + 1) - gammaln(taken + 1) - gammaln(sizes - taken + 1))
