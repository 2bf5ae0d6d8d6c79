"""A column then and now as counts: from stored sketches, else from the bins that were drawn. PURE."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.incidents.marking import Column
from core.monitoring.tables import DriftResult
from core.statistics.sketches import (
    MAX_COARSENESS,
    CategorySketch,
    Counted,
    CountedCategories,
    NumericSketch,
    align,
    align_categories,
    coarseness,
)

Sketch = NumericSketch | CategorySketch


def column_of(
    result: DriftResult,
    reference: Sketch | None,
    current: Sketch | None,
    exact: Callable[[str], NDArray[np.float64] | None],
) -> Column | None:
    """Both samples of one column, counted.

    Parameters
    ----------
    result : DriftResult
        Its bins stand in where a sketch is missing or the two cannot be aligned: coarser, so that fewer marks show.
    reference, current : Sketch or None
    exact : callable
        Reads a feature's current numbers back where its cells are too coarse to show a shape; None where that cannot
        be done.

    Returns
    -------
    Column or None
        None where nothing was kept of it.
    """
    bins = result.bins
    gone = float(bins.get("reference_missing", 0.0)), float(bins.get("current_missing", 0.0))
    if isinstance(reference, NumericSketch) and isinstance(current, NumericSketch) and reference.scale == current.scale:
        aligned = align(reference, current)
        if coarseness(aligned) > MAX_COARSENESS and (values := exact(result.feature)) is not None:
            aligned = beside(reference, values)
        return Column(aligned, *gone)
    if (
        isinstance(reference, CategorySketch)
        and isinstance(current, CategorySketch)
        and reference.vocabulary == current.vocabulary
    ):
        return Column(align_categories(reference, current), *gone)
    n = result.n_reference * (1 - gone[0]), result.n_current * (1 - gone[1])
    if "edges" in bins:
        return Column(_numbers(bins, *n), *gone)
    if "values" in bins:
        return Column(_categories(bins, *n), *gone)
    return None


def comparable(reference: Sketch | None, current: Sketch | None) -> bool:
    """Whether both are there and were counted in the same way."""
    if isinstance(reference, NumericSketch) and isinstance(current, NumericSketch):
        return reference.scale == current.scale
    if isinstance(reference, CategorySketch) and isinstance(current, CategorySketch):
        return reference.vocabulary == current.vocabulary
    return False


def beside(reference: NumericSketch, current: NDArray[np.float64]) -> Counted:
    """A sketched reference beside exact current values, for where the reference's cells hide what they hold now.

    The points of the two may overlap: fit for distances between moved samples, not for tests of equality.
    """
    then = align(reference, reference)
    values, counts = np.unique(current[~np.isnan(current)], return_counts=True)
    low, high = np.concatenate([then.low, values]), np.concatenate([then.high, values])
    order = np.argsort(low / 2 + high / 2, kind="stable")
    empty, none = np.zeros(len(values), dtype=np.int64), np.zeros(len(then.low), dtype=np.int64)
    return Counted(
        low[order],
        high[order],
        np.concatenate([then.reference, empty])[order],
        np.concatenate([none, counts.astype(np.int64)])[order],
    )


def _numbers(bins: Mapping[str, Any], n_reference: float, n_current: float) -> Counted:
    edges = np.asarray(bins["edges"], dtype=np.float64)
    low, high = edges[:-1], edges[1:]
    # Bins one wide around whole numbers hold one value each.
    if np.all(np.diff(edges) == 1) and np.all(edges % 1 == 0.5):
        low = high = (low + high) / 2
    return Counted(low, high, _counts(bins["reference"], n_reference), _counts(bins["current"], n_current))


def _categories(bins: Mapping[str, Any], n_reference: float, n_current: float) -> CountedCategories:
    reference, current = _counts(bins["reference"], n_reference), _counts(bins["current"], n_current)
    names = tuple(str(name) for name in bins["values"])
    return CountedCategories(names, reference, current, reference > 0)


def _counts(shares: Sequence[float], n: float) -> NDArray[np.int64]:
    return np.rint(np.asarray(shares, dtype=np.float64) * n).astype(np.int64)
