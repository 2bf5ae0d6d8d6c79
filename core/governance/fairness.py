"""How far the worst-served group is behind the best-served one, before and after."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.evaluation.predictions import Predictions
from core.evaluation.tables import Task
from core.statistics.intervals import Interval, combine, normal_quantile, wilson

# Fewer rows than this tell nothing about a group; it is left out and said.
FEWEST_ROWS = 30


@dataclass(frozen=True)
class GroupGap:
    """The gap between the worst- and the best-served group of one column.

    Parameters
    ----------
    column : str
    worst, best : str
        Groups as the candidate serves them.
    before, after : float or None, float
        The gap between these two groups under the champion and under the candidate, >= 0 for ``after``: a difference
        of shares decided correctly, or of mean absolute errors for a regression. ``before`` is None for a first
        champion.
    low, high : float
        95 % interval of ``after``, for these two groups as if they had been named beforehand; with many groups the
        true gap of a chosen pair is rather smaller.
    n_groups, n_left_out : int
        Groups looked at, and groups with fewer than 30 rows.
    sentence : str
    """

    column: str
    worst: str
    best: str
    before: float | None
    after: float
    low: float
    high: float
    n_groups: int
    n_left_out: int
    sentence: str


def group_gap(
    column: str, groups: NDArray[Any], candidate: Predictions, champion: Predictions | None
) -> GroupGap | None:
    """Compare the groups of one column.

    Parameters
    ----------
    column : str
    groups : ndarray of shape (n,)
        Each row's group as a string.
    candidate, champion : Predictions, Predictions or None
        Over the same rows in the same order.

    Returns
    -------
    GroupGap or None
        None where fewer than two groups have 30 rows.
    """
    names, counts = np.unique(groups.astype(str), return_counts=True)
    kept = [str(name) for name, count in zip(names, counts, strict=True) if count >= FEWEST_ROWS]
    if len(kept) < 2:
        return None
    masks = {name: groups.astype(str) == name for name in kept}
    served = {name: _served(candidate, mask) for name, mask in masks.items()}
    order = sorted(kept, key=lambda name: (served[name][0], name))
    worst, best = order[0], order[-1]
    after = served[best][0] - served[worst][0]
    interval = combine([1.0, -1.0], [served[best][0], served[worst][0]], [served[best][1], served[worst][1]])
    before = _served(champion, masks[best])[0] - _served(champion, masks[worst])[0] if champion is not None else None
    what, scale, unit = (
        ("has the larger mean absolute error", 1.0, "")
        if candidate.task is Task.REGRESSION
        else ("is decided correctly less often", 100.0, " points")
    )
    was = f", {before * scale:.3g}{unit} with the champion" if before is not None else ""
    sentence = (
        f"{column}: {worst} {what} than {best}, by {after * scale:.3g}{unit} "
        f"({interval.low * scale:.3g} to {interval.high * scale:.3g}){was}."
    )
    return GroupGap(
        column, worst, best, before, after, interval.low, interval.high, len(kept), len(names) - len(kept), sentence
    )


def _served(predictions: Predictions, mask: NDArray[np.bool_]) -> tuple[float, Interval]:
    """How well a group is served, higher is better, with a 95 % interval: Wilson's, or the normal one of a mean."""
    y_true, y_pred = predictions.y_true[mask], predictions.y_pred[mask]
    n = int(mask.sum())
    if predictions.task is not Task.REGRESSION:
        correct = int((y_true == y_pred).sum())
        return correct / n, wilson(correct, n)
    errors = np.abs(y_true - y_pred)
    mean = -float(errors.mean())
    half = normal_quantile() * float(errors.std(ddof=1)) / n**0.5
    return mean, Interval(mean - half, mean + half)
