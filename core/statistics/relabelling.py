"""Permutation p-values of two counted samples: were both alike, any rows of the pooled ones could be the current.

Relabelling rows is one multivariate hypergeometric draw of counts, whatever the number of rows. P-values count the
arrangement that was seen, and so are never 0.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from core.statistics.permutation import ROUNDING

MOST_DRAWS, LEAST_DRAWS = 999, 99
MOST_CELLS = 500_000
ENOUGH = 20
FIRST_BLOCK = 40
HYPERGEOMETRIC_ROWS = 10**9

Counts = NDArray[np.int64]


def relabelled_pvalue(
    reference: Counts,
    current: Counts,
    distance: Callable[[Counts, Counts], NDArray[np.float64]],
    *,
    rng: np.random.Generator,
) -> float:
    """Chance of a distance as large as the one seen, were the two samples' labels exchanged at random.

    Drawing stops at the twentieth distance as large, which for samples that are alike is soon; the p-value is then 20
    over the draws it took. Else it is one more than those as large over one more than all draws: 999, fewer where
    there are more than 500 points, but at least 99.

    Parameters
    ----------
    reference, current : ndarray of shape (k,)
        Counts, a row in each sample.
    distance : callable
        Counts of shape (b, k) each -> distances of shape (b,), >= 0, large where the samples differ.
    rng : Generator

    Returns
    -------
    float
        In (0, 1]. Draws are by the hypergeometric, or from a billion rows on with replacement.

    References
    ----------
    Besag and Clifford (1991), Biometrika 78, 301-304; Phipson and Smyth (2010), Statistical Applications in Genetics
    and Molecular Biology 9:39, for counting the arrangement seen.
    """
    pooled = reference + current
    seen = float(distance(reference[None], current[None])[0])
    if seen <= 0:
        return 1.0
    most = int(np.clip(MOST_CELLS // len(pooled), LEAST_DRAWS, MOST_DRAWS))
    as_large = drawn = 0
    block = FIRST_BLOCK
    while drawn < most:
        size = min(block, most - drawn)
        hits = distance(*_relabelled(pooled, int(reference.sum()), int(current.sum()), size, rng))
        reached = as_large + np.cumsum(hits >= seen * (1 - ROUNDING))
        if reached[-1] >= ENOUGH:
            return ENOUGH / (drawn + 1 + int(np.argmax(reached >= ENOUGH)))
        as_large, drawn, block = int(reached[-1]), drawn + size, block * 2
    return (1 + as_large) / (1 + most)


def _relabelled(
    pooled: Counts, n_reference: int, n_current: int, size: int, rng: np.random.Generator
) -> tuple[Counts, Counts]:
    """Counts of shape (size, k) of the reference and of the current sample."""
    total = n_reference + n_current
    if total >= HYPERGEOMETRIC_ROWS:
        likely = pooled / total
        return rng.multinomial(n_reference, likely, size=size), rng.multinomial(n_current, likely, size=size)
    # The smaller sample is drawn, the other one is what is left.
    drawn = rng.multivariate_hypergeometric(pooled, min(n_reference, n_current), size=size, method="marginals")
    return (pooled - drawn, drawn) if n_current <= n_reference else (drawn, pooled - drawn)
