"""Many tests at once: p-values corrected so that chance findings stay few."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from core.errors import InvalidInput


def benjamini_hochberg(pvalues: Sequence[float] | NDArray[np.float64]) -> NDArray[np.float64]:
    """Correct p-values to control the share of false findings among findings.

    Parameters
    ----------
    pvalues : sequence of shape (n,)
        In [0, 1]; may be empty.

    Returns
    -------
    ndarray of shape (n,)
        In the given order; each at least the p-value given and at most 1. Ties stay ties.

    Raises
    ------
    InvalidInput
        A p-value is NaN or outside [0, 1].

    References
    ----------
    Benjamini and Hochberg (1995), JRSS B 57, 289-300, doi:10.1111/j.2517-6161.1995.tb02031.x.
    """
    given, order = _ordered(pvalues)
    n = len(given)
    steps = given[order] * n / np.arange(1, n + 1)
    corrected = np.empty(n)
    corrected[order] = np.minimum(1.0, np.minimum.accumulate(steps[::-1])[::-1])
    return corrected


def holm(pvalues: Sequence[float] | NDArray[np.float64]) -> NDArray[np.float64]:
    """Correct p-values to control the chance of any false finding, whatever the dependence.

    Parameters, returns and errors as `benjamini_hochberg`.

    References
    ----------
    Holm (1979), Scandinavian Journal of Statistics 6, 65-70.
    """
    given, order = _ordered(pvalues)
    n = len(given)
    corrected = np.empty(n)
    corrected[order] = np.minimum(1.0, np.maximum.accumulate(given[order] * np.arange(n, 0, -1)))
    return corrected


def _ordered(pvalues: Sequence[float] | NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    given = np.asarray(pvalues, dtype=np.float64)
    if not ((given >= 0) & (given <= 1)).all():
        raise InvalidInput("P-values lie between 0 and 1; leave out tests that could not be made before correcting.")
    return given, np.argsort(given, kind="stable")
