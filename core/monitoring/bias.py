"""Bias over time: how far apart groups of people fare in a window, beside how far they did on the evaluation set. PURE.

How often a group is called positive needs no label; how often its positives are found, or how far off its predictions
are, is told by the rows whose label has come. A group that is too small has no figure and judges nothing
(`core.evaluation.group_measures`). A gap has *widened* when its interval lies above that on the evaluation set.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from core.evaluation.fairness import BY_TASK, Criterion, fairness_reports
from core.evaluation.group_measures import measure_kind
from core.evaluation.predictions import Predictions
from core.evaluation.slices import MISSING, Grouped
from core.evaluation.tables import Task
from core.evaluation.verdicts import figure

WITHOUT_LABELS = ("demographic_parity",)
WITH_LABELS: Mapping[Task, tuple[str, ...]] = {
    Task.BINARY: ("equal_opportunity",),
    Task.MULTICLASS: BY_TASK[Task.MULTICLASS],
    Task.REGRESSION: ("equal_error",),
}
SEED = 20_260_905


@dataclass(frozen=True)
class GroupGap:
    """How far apart the groups of one column fare by one criterion.

    Parameters
    ----------
    column, criterion, measure : str
        Of `core.evaluation.fairness.CRITERIA` and `core.evaluation.group_measures.MEASURES`.
    difference, low, high : float
        Largest minus smallest group's value, with its 95 % interval.
    highest, lowest : str
        Those groups.
    highest_value, lowest_value : float
    n_rows : int
        Rows it is told by.
    n_small : int
        Groups too small to judge.
    """

    column: str
    criterion: str
    measure: str
    difference: float
    low: float
    high: float
    highest: str
    lowest: str
    highest_value: float
    lowest_value: float
    n_rows: int
    n_small: int


@dataclass(frozen=True)
class GapChange:
    """The gap that tells most in a window: the widest that has widened, else the widest of all.

    Parameters
    ----------
    gap : GroupGap
    then : (difference, low, high) or None
        The same on the evaluation set.
    widened : bool
    gaps : tuple of GroupGap
        All of the window's.
    sentence : str
    """

    gap: GroupGap
    then: tuple[float, float, float] | None
    widened: bool
    gaps: tuple[GroupGap, ...]
    sentence: str


def group_gaps(
    answered: Predictions, labelled: NDArray[np.bool_], groups: Mapping[str, Iterable[str | None]]
) -> tuple[GroupGap, ...]:
    """Measure the gaps between the groups of each column.

    Parameters
    ----------
    answered : Predictions
        Of all rows. The truth of rows without a label may be anything of the right kind: it is not looked at.
    labelled : ndarray of shape (n,)
        Which rows have a label.
    groups : mapping of column to n values
        None is a group of its own, "missing".
    """
    named = {column: _grouped(column, values) for column, values in groups.items()}
    found: list[GroupGap] = []
    if answered.task is Task.BINARY and answered.n_rows:
        blind = replace(answered, y_true=answered.y_pred)
        found += _gaps(blind, np.arange(answered.n_rows), named, WITHOUT_LABELS)
    rows = np.flatnonzero(labelled)
    if len(rows):
        found += _gaps(answered.take(rows), rows, named, WITH_LABELS[answered.task])
    return tuple(found)


def gap_change(
    now: tuple[GroupGap, ...], then: Mapping[tuple[str, str], tuple[float, float, float]]
) -> GapChange | None:
    """Hold a window's gaps against those on the evaluation set.

    Parameters
    ----------
    then : mapping of (column, criterion) to (difference, low, high)

    Returns
    -------
    GapChange or None
        None where no two groups are large enough.
    """
    if not now:
        return None
    before = [then.get((one.column, one.criterion)) for one in now]
    widened = [known is not None and one.low > known[2] for one, known in zip(now, before, strict=True)]
    place = max(range(len(now)), key=lambda at: (widened[at], now[at].difference))
    one, known = now[place], before[place]
    gap = (
        f"{measure_kind(one.measure).title} {figure(one.highest_value)} in {one.highest} against "
        f"{figure(one.lowest_value)} in {one.lowest}, a gap of {figure(one.difference)} "
        f"[{figure(one.low)}, {figure(one.high)}]"
    )
    was = (
        ""
        if known is None
        else f"; on the evaluation set it was {figure(known[0])} [{figure(known[1])}, {figure(known[2])}]"
    )
    if widened[place]:
        said = f"Groups of {one.column} fare further apart than they did: {gap}{was}."
    else:
        said = f"No gap between groups has widened beyond doubt; the widest is by {one.column}: {gap}{was}."
    if one.n_small:
        said += f" {one.n_small} {'group is' if one.n_small == 1 else 'groups are'} too small to judge."
    return GapChange(one, known, widened[place], now, said)


def _gaps(
    predictions: Predictions, rows: NDArray[np.intp], groups: Mapping[str, Grouped], keys: tuple[str, ...]
) -> list[GroupGap]:
    groupings = [((column,), replace(grouped, codes=grouped.codes[rows])) for column, grouped in groups.items()]
    reports = fairness_reports(predictions, groupings, rng=np.random.default_rng(SEED))
    return [
        found
        for report in reports
        for criterion in report.criteria
        if criterion.key in keys and (found := _gap(report.columns[0], criterion, predictions.n_rows)) is not None
    ]


def _gap(column: str, one: Criterion, n_rows: int) -> GroupGap | None:
    ends = (one.difference, one.difference_low, one.difference_high, one.highest_value, one.lowest_value)
    if any(end is None for end in ends):
        return None
    difference, low, high, highest, lowest = (float(end or 0.0) for end in ends)
    return GroupGap(
        column,
        one.key,
        one.measure,
        difference,
        low,
        high,
        one.highest,
        one.lowest,
        highest,
        lowest,
        n_rows,
        one.n_small,
    )


def _grouped(column: str, values: Iterable[str | None]) -> Grouped:
    words = [MISSING if value is None else value for value in values]
    labels = tuple(sorted(set(words)))
    place = {label: code for code, label in enumerate(labels)}
    return Grouped(column, labels, np.array([place[word] for word in words], dtype=np.int64))
