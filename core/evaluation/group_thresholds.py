"""What if every group had a threshold of its own: what that would even out, cost and change. Pure.

A what-if and nothing more: no threshold found here is stored with a model or applied by scoring. Thresholds are chosen
on validation rows, and what they do is reported on the rows of the evaluation set. Rows count once each, without
weights: it asks how many people would be treated otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from core.errors import InvalidInput, NotApplicable
from core.evaluation.group_measures import MIN_GROUP_ROWS
from core.evaluation.predictions import Predictions
from core.evaluation.tables import Task
from core.evaluation.threshold_figures import CELLS
from core.statistics.intervals import Interval
from core.statistics.paired import tango_interval

MOST_THRESHOLDS = 101
COMMON = 0.5

Goal = Literal["selection_rate", "true_positive_rate"]
Counts = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class GroupGrid:
    """The four outcomes of every group at every threshold.

    Parameters
    ----------
    column : str
    labels : tuple of str
        The groups.
    thresholds : ndarray of shape (m,)
        Rising, at most 101; 0.5 is one of them, and the last calls no row.
    validation, test : ndarray of shape (k, 4, m), int
        Counts in the order of `CELLS`.
    """

    column: str
    labels: tuple[str, ...]
    thresholds: NDArray[np.float64]
    validation: Counts
    test: Counts

    @property
    def common(self) -> int:
        """The place of 0.5."""
        return int(np.searchsorted(self.thresholds, COMMON))

    def to_document(self) -> dict[str, Any]:
        """As JSON: ``column``, ``groups``, ``thresholds``; ``validation`` and ``test`` by cell, a list per group."""
        return {
            "column": self.column,
            "groups": list(self.labels),
            "thresholds": self.thresholds.tolist(),
            "validation": {cell: self.validation[:, place].tolist() for place, cell in enumerate(CELLS)},
            "test": {cell: self.test[:, place].tolist() for place, cell in enumerate(CELLS)},
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> GroupGrid:
        """Read what `to_document` gave."""
        validation, test = (
            np.stack([np.asarray(document[part][cell], dtype=np.int64) for cell in CELLS], axis=1)
            for part in ("validation", "test")
        )
        return cls(
            document["column"],
            tuple(document["groups"]),
            np.asarray(document["thresholds"], dtype=np.float64),
            validation,
            test,
        )


@dataclass(frozen=True)
class GroupEffect:
    """What a threshold of its own does to one group's rows of the evaluation set.

    Parameters
    ----------
    threshold : float
    chosen : bool
        False where the group had too few validation rows to choose on, and keeps the common threshold.
    n_rows, n_positive : int
    selected, selected_before : int
        Rows called positive, with it and at the common threshold.
    found, found_before : int
        Truly positive rows among them.
    """

    group: str
    threshold: float
    chosen: bool
    n_rows: int
    n_positive: int
    selected: int
    selected_before: int
    found: int
    found_before: int


@dataclass(frozen=True)
class WhatIf:
    """What thresholds by group would do on the evaluation set, against one threshold for all.

    Parameters
    ----------
    goal : {"selection_rate", "true_positive_rate"}
        What is evened out.
    common : float
        The one threshold for all.
    groups : tuple of GroupEffect
    gap, gap_before : float or None
        Largest minus smallest value of the goal over groups of at least 30 rows that count; None for fewer than two.
    accuracy, accuracy_before : float
    change : Interval
        95 % interval of the change in accuracy (Tango's, of the rows that change).
    n_gained, n_lost : int
        Rows called positive that were not before, and the reverse.
    """

    goal: Goal
    common: float
    groups: tuple[GroupEffect, ...]
    gap: float | None
    gap_before: float | None
    accuracy: float
    accuracy_before: float
    change: Interval
    n_gained: int
    n_lost: int


def group_grid(
    column: str,
    labels: tuple[str, ...],
    validation: tuple[Predictions, NDArray[np.int64]],
    test: tuple[Predictions, NDArray[np.int64]],
) -> GroupGrid:
    """Count every group's outcomes at each of at most 101 thresholds.

    Half of the thresholds are quantiles of all validation scores, half of those of the truly positive; so there are
    steps of about two in a hundred in either rate.

    Parameters
    ----------
    labels : tuple of str
        Of the groups.
    validation, test : pair of Predictions and ndarray of shape (n,)
        The rows, and each one's position in ``labels``.

    Raises
    ------
    NotApplicable
        The task is not binary, the model gives no scores, or there are no validation rows.
    """
    sides = []
    for predictions, codes in (validation, test):
        if predictions.task is not Task.BINARY or predictions.scores is None:
            raise NotApplicable("Thresholds are for the scores of a binary task; this model gives none.")
        positive = np.asarray(predictions.y_true == predictions.positive_class, dtype=bool)
        sides.append((predictions.scores[:, 1], positive, np.asarray(codes, dtype=np.int64)))
    scores, positive, _ = sides[0]
    if not len(scores):
        raise NotApplicable("There are no validation rows to choose thresholds on.")
    ranks = np.linspace(0, 1, 50)
    drawn: list[NDArray[np.float64]] = [
        np.quantile(scores, ranks, method="higher"),
        np.array([COMMON, np.nextafter(1.0, 2.0)]),
    ]
    if positive.any():
        drawn.append(np.quantile(scores[positive], ranks[:49], method="higher"))
    thresholds: NDArray[np.float64] = np.unique(np.concatenate(drawn))
    counted = [_count(*side, len(labels), thresholds) for side in sides]
    return GroupGrid(column, labels, thresholds, counted[0], counted[1])


def what_if(grid: GroupGrid, goal: Goal, *, common: int | None = None) -> WhatIf:
    """Even out a rate over groups by a threshold for each, and say what that does on the evaluation set.

    Each group gets the threshold whose rate on its validation rows is nearest to the rate of all rows at the common
    threshold; of equally near ones the nearest to the common threshold. A group with fewer than 30 validation rows that
    count keeps the common one.

    Parameters
    ----------
    common : int, optional
        Place of the one threshold for all among the grid's; that of 0.5 unless given.

    Raises
    ------
    InvalidInput
        There is no such place.
    NotApplicable
        No validation row counts for the goal, or the evaluation set has no rows.
    """
    place = grid.common if common is None else common
    if not 0 <= place < len(grid.thresholds):
        raise InvalidInput(f"There is no threshold number {place}; give one from 0 to {len(grid.thresholds) - 1}.")
    hits, rows = _rates(grid.validation, goal)
    if not rows.sum() or not grid.test.sum():
        raise NotApplicable("No row counts for this rate, so there is nothing to even out.")
    target = hits[:, place].sum() / rows.sum()
    chosen = np.full(len(grid.labels), place)
    for group in np.flatnonzero(rows >= MIN_GROUP_ROWS):
        off = np.abs(hits[group] / rows[group] - target)
        nearest = np.flatnonzero(off <= off.min() + 1e-12)
        chosen[group] = nearest[np.abs(nearest - place).argmin()]
    at = np.arange(len(grid.labels))
    before, after = grid.test[:, :, place], grid.test[at, :, chosen]
    n = int(before.sum())
    moved = (after[:, 0] + after[:, 1]) - (before[:, 0] + before[:, 1])
    # A threshold moves rows one way only, so a group's counts say how many of its rows change.
    hit, miss = after[:, 0] - before[:, 0], after[:, 1] - before[:, 1]
    corrected = int(np.clip(hit, 0, None).sum() + np.clip(-miss, 0, None).sum())
    broken = int(np.clip(-hit, 0, None).sum() + np.clip(miss, 0, None).sum())
    return WhatIf(
        goal=goal,
        common=float(grid.thresholds[place]),
        groups=tuple(
            GroupEffect(
                group=label,
                threshold=float(grid.thresholds[chosen[group]]),
                chosen=bool(rows[group] >= MIN_GROUP_ROWS),
                n_rows=int(before[group].sum()),
                n_positive=int(before[group, 0] + before[group, 3]),
                selected=int(after[group, 0] + after[group, 1]),
                selected_before=int(before[group, 0] + before[group, 1]),
                found=int(after[group, 0]),
                found_before=int(before[group, 0]),
            )
            for group, label in enumerate(grid.labels)
        ),
        gap=_gap(after, goal),
        gap_before=_gap(before, goal),
        accuracy=float(after[:, [0, 2]].sum() / n),
        accuracy_before=float(before[:, [0, 2]].sum() / n),
        change=tango_interval(corrected, broken, n),
        n_gained=int(np.clip(moved, 0, None).sum()),
        n_lost=int(np.clip(-moved, 0, None).sum()),
    )


def _count(
    scores: NDArray[np.float64],
    positive: NDArray[np.bool_],
    codes: Counts,
    k: int,
    thresholds: NDArray[np.float64],
) -> Counts:
    """Outcomes per group, cell and threshold; a row is called positive where its score is at least the threshold."""
    m = len(thresholds)
    reached = np.searchsorted(thresholds, scores, side="right")
    called = np.zeros((2, k, m), dtype=np.int64)
    totals = np.zeros((2, k, 1), dtype=np.int64)
    for truth in (0, 1):
        rows = positive == bool(truth)
        by_place = np.bincount(codes[rows] * (m + 1) + reached[rows], minlength=k * (m + 1)).reshape(k, m + 1)
        totals[truth] = by_place.sum(axis=1, keepdims=True)
        called[truth] = totals[truth] - np.cumsum(by_place, axis=1)[:, :m]
    return np.stack([called[1], called[0], totals[0] - called[0], totals[1] - called[1]], axis=1)


def _rates(counts: Counts, goal: Goal) -> tuple[Counts, Counts]:
    """Per group the rows called positive that count for a goal, at every threshold, and the rows that count."""
    tp, fp, tn, fn = (counts[:, place] for place in range(4))
    if goal == "selection_rate":
        return tp + fp, (tp + fp + tn + fn)[:, 0]
    return tp, (tp + fn)[:, 0]


def _gap(counts: Counts, goal: Goal) -> float | None:
    hits, rows = _rates(counts[:, :, None], goal)
    large = rows >= MIN_GROUP_ROWS
    if large.sum() < 2:
        return None
    rates = hits[large, 0] / rows[large]
    return float(rates.max() - rates.min())
