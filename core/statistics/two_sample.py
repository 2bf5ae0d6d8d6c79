"""Two samples held against each other: statistics, effects, p-values.

Each function takes a *reference* and a *current* sample. Effects are symmetric where that is said; p-values are of
the hypothesis that both samples were drawn independently from one distribution.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.errors import InsufficientData, InvalidInput

EXACT_PRODUCT = 20_000
MIN_EXPECTED = 5.0


@dataclass(frozen=True)
class TestResult:
    """What a two-sample test found.

    Parameters
    ----------
    statistic : float
        The test's own statistic.
    effect : float
        How far apart the samples are, in [0, 1].
    pvalue : float
        In [0, 1].
    """

    __test__ = False

    statistic: float
    effect: float
    pvalue: float


def kolmogorov_smirnov(reference: NDArray[np.float64], current: NDArray[np.float64]) -> TestResult:
    """Two-sided Kolmogorov-Smirnov test: the largest gap between the two distribution functions.

    The effect is the statistic: by how much the share of rows below some value differs at most. With ties the p-value
    is conservative. It is exact where ``n_reference * n_current <= 20,000``, else from the asymptotic distribution.

    Parameters
    ----------
    reference, current : ndarray of shape (n,), (m,)
        NaN is left out; infinities are values like others. Sorting: O((n + m) log(n + m)).

    Raises
    ------
    InsufficientData
        A sample has no value.

    References
    ----------
    Hodges (1958), Arkiv för Matematik 3, 469-486, doi:10.1007/BF02589501.
    """
    from scipy import stats

    first, second = _present(reference), _present(current)
    n, m = len(first), len(second)
    at = np.concatenate([first, second])
    gaps = np.searchsorted(first, at, side="right") / n - np.searchsorted(second, at, side="right") / m
    statistic = float(np.abs(gaps).max())
    if statistic == 0.0:
        return TestResult(0.0, 0.0, 1.0)
    if n * m <= EXACT_PRODUCT:
        pvalue = float(stats.ks_2samp(first, second, method="exact").pvalue)
    else:
        pvalue = float(stats.kstwo.sf(statistic, max(1, round(n * m / (n + m)))))
    return TestResult(statistic, statistic, min(1.0, max(0.0, pvalue)))


def wasserstein(reference: NDArray[np.float64], current: NDArray[np.float64]) -> float:
    """Wasserstein-1 distance in standard deviations of the reference.

    How far the rows must be moved on average, ``integral of |F_r - F_c|``, divided by the reference's standard
    deviation; by that of both together where the reference is constant, and 0 where both are the same constant.
    Infinities count as the most extreme finite value of either sample. Has no p-value of its own.

    Raises
    ------
    InsufficientData
        A sample has no value.
    """
    first, second = _present(reference), _present(current)
    pooled = np.concatenate([first, second])
    finite = pooled[np.isfinite(pooled)]
    if len(finite) == 0:
        return 0.0 if np.array_equal(np.unique(first), np.unique(second)) else 1.0
    low, high = finite.min(), finite.max()
    # Scaled into [-1, 1] first, so that squares and differences of huge values do not overflow.
    scale = max(abs(float(low)), abs(float(high)), np.finfo(float).tiny)
    first, second = np.clip(first, low, high) / scale, np.clip(second, low, high) / scale
    at = np.sort(np.concatenate([first, second]))
    steps = np.diff(at)
    one = np.searchsorted(first, at[:-1], side="right") / len(first)
    two = np.searchsorted(second, at[:-1], side="right") / len(second)
    distance = float(np.sum(np.abs(one - two) * steps))
    spread = float(first.std()) if first[0] < first[-1] else float(at.std())
    return distance / spread if distance > 0 and spread > 0 else 0.0


def chi_square(reference: NDArray[np.int64], current: NDArray[np.int64]) -> TestResult:
    """Chi-square test that two samples of categories share one distribution.

    Categories of which fewer than 5 rows are expected in either sample are pooled into one, "the rest". Where the rest
    is still that small it is held against all others by Fisher's exact test instead; the p-value is then twice the
    smaller of the two. So a new category shows even in a small window. The effect is the total variation of the pooled
    shares: which share of rows would have to change category.

    Parameters
    ----------
    reference, current : ndarray of shape (k,)
        Counts of the same categories in the same order.

    Raises
    ------
    InvalidInput
        Different lengths or a negative count.
    InsufficientData
        A sample has no row.
    """
    from scipy import stats

    first, second = np.asarray(reference, dtype=np.int64), np.asarray(current, dtype=np.int64)
    if first.shape != second.shape or first.ndim != 1:
        raise InvalidInput(f"Counts have shapes {first.shape} and {second.shape}; give one per category in each.")
    if (first < 0).any() or (second < 0).any():
        raise InvalidInput("A count is negative.")
    n, m = int(first.sum()), int(second.sum())
    if n == 0 or m == 0:
        raise InsufficientData("A sample has no row; both need at least one.")
    common = (first + second) * (min(n, m) / (n + m)) >= MIN_EXPECTED
    table = np.array([first[common], second[common]], dtype=np.int64)
    rest = np.array([first[~common].sum(), second[~common].sum()], dtype=np.int64)
    pooled = np.column_stack([table, rest]) if rest.any() else table
    effect = total_variation(pooled[0] / n, pooled[1] / m)
    if rest.sum() * (min(n, m) / (n + m)) >= MIN_EXPECTED:
        table, rest = pooled, np.zeros(2, dtype=np.int64)
    statistic, pvalues = 0.0, []
    if table.shape[1] > 1 and table.sum(axis=1).all():
        found = stats.chi2_contingency(table, correction=False)
        statistic = float(found.statistic)
        pvalues.append(float(found.pvalue))
    if rest.any() and table.size:
        pvalues.append(float(stats.fisher_exact(np.array([rest, [n, m] - rest])).pvalue))
    pvalue = min(1.0, len(pvalues) * min(pvalues)) if pvalues else 1.0
    return TestResult(statistic, effect, max(0.0, pvalue))


def two_shares(first: int, n_first: int, second: int, n_second: int) -> TestResult:
    """Whether a share differs between two samples: chi-square, or Fisher's exact test where fewer than 5 are expected.

    The effect is the difference of the shares, without its sign.

    Parameters
    ----------
    first, second : int
        How many rows of each sample have the property.
    n_first, n_second : int
        How many rows each sample has.
    """
    return chi_square(
        np.array([first, n_first - first], dtype=np.int64), np.array([second, n_second - second], dtype=np.int64)
    )


def total_variation(reference_share: NDArray[np.float64], current_share: NDArray[np.float64]) -> float:
    """Half the sum of absolute differences of shares, in [0, 1]; symmetric."""
    return float(np.abs(np.asarray(reference_share) - np.asarray(current_share)).sum() / 2)


def psi(reference_share: NDArray[np.float64], current_share: NDArray[np.float64]) -> float:
    """Population stability index of two binned samples, ``sum((c - r) * ln(c / r))``.

    Parameters
    ----------
    reference_share, current_share : ndarray of shape (n_bins,)
        Strictly positive shares, each summing to 1. Smoothing is the caller's (`binning.smooth`).

    Returns
    -------
    float
        In nats, >= 0; 0 only for equal shares. Symmetric. Depends on the bins and has no p-value of its own.

    Raises
    ------
    InvalidInput
        Different lengths, a share <= 0, or a sum off 1 by more than 1e-9.
    """
    first, second = _positive(reference_share, current_share)
    return float(np.sum((second - first) * np.log(second / first)))


def jensen_shannon(reference_share: NDArray[np.float64], current_share: NDArray[np.float64]) -> float:
    """Jensen-Shannon distance of two binned samples: the root of the divergence in bits, in [0, 1]; symmetric.

    It depends on the number of bins; say which when showing it (`binning.N_BINS`).

    Parameters, errors
        As `psi`.
    """
    first, second = _positive(reference_share, current_share)
    middle = (first + second) / 2
    divergence = 0.5 * np.sum(first * np.log2(first / middle)) + 0.5 * np.sum(second * np.log2(second / middle))
    return float(np.sqrt(min(1.0, max(0.0, divergence))))


def _present(sample: NDArray[np.float64]) -> NDArray[np.float64]:
    values = np.asarray(sample, dtype=np.float64)
    values = np.sort(values[~np.isnan(values)])
    if len(values) == 0:
        raise InsufficientData("A sample has no value that is not missing; both need at least one.")
    return values


def _positive(
    reference_share: NDArray[np.float64], current_share: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    first, second = (np.asarray(share, dtype=np.float64) for share in (reference_share, current_share))
    if first.shape != second.shape:
        raise InvalidInput(f"Shares have shapes {first.shape} and {second.shape}; bin both samples alike.")
    for share in (first, second):
        if not (share > 0).all() or abs(float(share.sum()) - 1) > 1e-9:
            raise InvalidInput("Shares must be above 0 and sum to 1; smooth the counts first.")
    return first, second
