"""Where to call a row positive: the thresholds that matter, and what each comes to on validation and test rows. Pure.

A row is called positive where the score of the positive class is at least the threshold. A threshold is chosen on
validation rows and reported on test rows: the figures on the rows it was chosen on flatter it, those on the others do
not know the choice. A truth the model does not know counts as not positive.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.errors import InvalidInput, NotApplicable
from core.evaluation.predictions import Predictions
from core.evaluation.tables import Task
from core.evaluation.threshold_figures import Floats, Tally

MAX_THRESHOLDS = 200
DEFAULT = 0.5
# The levels that a grid of many rows holds besides the corners of its ROC curve.
STEPS = tuple(step / 20 for step in range(1, 20))
RECALLS = (*STEPS, 0.98, 0.99, 0.995, 1.0)
PRECISIONS = (*STEPS, 0.98, 0.99)
SHARES = (0.001, 0.002, 0.005, 0.01, 0.02, *STEPS)


@dataclass(frozen=True, eq=False)
class Grid:
    """Thresholds, rising, with the outcomes at each on validation and on test rows.

    Parameters
    ----------
    negative, positive : str
        The two classes.
    thresholds : ndarray of shape (n_thresholds,)
        In (0, 1]; holds 0.5.
    validation, test : Tally
    """

    negative: str
    positive: str
    thresholds: Floats
    validation: Tally
    test: Tally

    def nearest(self, threshold: float) -> int:
        """The place of the threshold closest to one asked for; of two as close, the lower."""
        return int(np.abs(self.thresholds - threshold).argmin())

    def to_document(self) -> dict[str, Any]:
        """Plain numbers, as an analysis is stored: see `threshold_analysis.grid`."""
        return {
            "negative": self.negative,
            "positive": self.positive,
            "thresholds": self.thresholds.tolist(),
            "validation": self.validation.to_document(),
            "test": self.test.to_document(),
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Grid:
        """Read what `to_document` gave."""
        return cls(
            document["negative"],
            document["positive"],
            np.array(document["thresholds"], dtype=np.float64),
            Tally.from_document(document["validation"]),
            Tally.from_document(document["test"]),
        )


def grid(validation: Predictions, test: Predictions, *, at: Sequence[float] | None = None) -> Grid:
    """Count the four outcomes at the thresholds that matter.

    Where validation and test rows have at most 200 different scores between them, every decision they can lead to is
    there, each at a short number between two scores. Otherwise there are at most 200 thresholds between validation
    scores: the corners of the upper hull of the ROC curve, among which are the lowest expected cost for any costs and
    the highest F1 (thinned where a million rows give more than 130), and steps of recall, of precision and of the share
    called positive, at every twentieth and closer at the ends.

    Parameters
    ----------
    validation, test : Predictions
        Binary, with scores, the same classes. Rows count by their weight, where they have one; those of weight 0 are
        left out.
    at : sequence of float, optional
        These thresholds alone, in (0, 1].

    Returns
    -------
    Grid

    Raises
    ------
    NotApplicable
        Not binary, without scores, or no row that counts.
    InvalidInput
        The two sets know other classes.

    Notes
    -----
    Sorts the scores: n log n.
    """
    for rows in (validation, test):
        if rows.task is not Task.BINARY:
            raise NotApplicable(f"A {rows.task.value} task has no threshold; only a binary one has.")
        if rows.scores is None:
            raise NotApplicable("This model gives classes without scores, so there is nothing to put a threshold on.")
    if validation.classes != test.classes:
        raise InvalidInput(
            f"The rows know the classes {validation.classes} and {test.classes}; score them by one model."
        )
    chosen_on, reported_on = _rows(validation), _rows(test)
    for words, counted in (("validation", chosen_on), ("test", reported_on)):
        if not len(counted.score):
            raise NotApplicable(f"There is no {words} row to count decisions on.")
    thresholds = _that_matter(chosen_on, reported_on) if at is None else np.unique(np.asarray(at, dtype=np.float64))
    if len(thresholds) == 0 or not (np.isfinite(thresholds).all() and thresholds[0] > 0 and thresholds[-1] <= 1):
        raise InvalidInput("A threshold lies above 0 and is at most 1, as scores are.")
    negative, positive = validation.classes
    return Grid(negative, positive, thresholds, _count(chosen_on, thresholds), _count(reported_on, thresholds))


@dataclass(frozen=True, eq=False)
class _Rows:
    """The rows that count, by rising score."""

    score: Floats
    positive: NDArray[np.bool_]
    weight: Floats | None


def _rows(predictions: Predictions) -> _Rows:
    assert predictions.scores is not None
    score, weight = predictions.scores[:, 1], predictions.sample_weight
    positive = np.asarray(predictions.y_true == predictions.positive_class, dtype=bool)
    if weight is not None:
        counts = weight > 0
        score, positive, weight = score[counts], positive[counts], weight[counts]
    order = np.argsort(score, kind="stable")
    return _Rows(score[order], positive[order], None if weight is None else weight[order])


def _count(rows: _Rows, thresholds: Floats) -> Tally:
    first = np.searchsorted(rows.score, thresholds, side="left")
    weight = np.ones(len(rows.score)) if rows.weight is None else rows.weight

    def cells(amount: Floats) -> Floats:
        # Summed from the top, so that few called rows are counted exactly beside many others.
        hits, alarms = (_from_top(np.where(kind, amount, 0.0)) for kind in (rows.positive, ~rows.positive))
        tp, fp = hits[first], alarms[first]
        return np.stack([tp, fp, np.maximum(alarms[0] - fp, 0.0), np.maximum(hits[0] - tp, 0.0)])

    counted = cells(weight)
    return Tally(
        n_rows=len(rows.score),
        n_positive=int(rows.positive.sum()),
        cells=counted,
        squares=counted if rows.weight is None else cells(weight * weight),
    )


def _from_top(amount: Floats) -> Floats:
    """Sums of the last values: of all, of all but the first, …, of none."""
    return np.concatenate([np.cumsum(amount[::-1])[::-1], [0.0]])


def _that_matter(chosen_on: _Rows, reported_on: _Rows) -> Floats:
    both = np.unique(np.concatenate([chosen_on.score, reported_on.score]))
    if len(both) < MAX_THRESHOLDS - 1:
        return _between_scores(both, np.arange(len(both) + 1))
    distinct = np.unique(chosen_on.score)
    if len(distinct) < MAX_THRESHOLDS - 1:
        return _between_scores(distinct, np.arange(len(distinct) + 1))
    return _between_scores(distinct, _selected(chosen_on, distinct))


def _selected(rows: _Rows, distinct: Floats) -> NDArray[np.int64]:
    """Places among the decisions of rising scores: the hull's corners, then steps of recall and of the share called."""
    first = np.append(np.searchsorted(rows.score, distinct, side="left"), len(rows.score))
    weight = np.ones(len(rows.score)) if rows.weight is None else rows.weight
    tp = _from_top(np.where(rows.positive, weight, 0.0))[first]
    fp = _from_top(np.where(rows.positive, 0.0, weight))[first]
    called = tp + fp
    last = len(first) - 1
    steps = [0, last]
    if tp[0] > 0:
        # The fewest rows called that still reach the recall: the last place where it does, tp falling with the place.
        steps += [int(np.searchsorted(-tp, -level * tp[0] * (1 - 1e-12), side="right")) - 1 for level in RECALLS]
    steps += [min(last, int(np.searchsorted(-called, -level * called[0] * (1 + 1e-12)))) for level in SHARES]
    precision = tp / np.where(called > 0, called, np.inf)
    steps += [int((precision >= level).argmax()) for level in PRECISIONS]  # the most rows called at that precision
    even = np.unique(np.clip(steps, 0, last))
    corners = _hull(fp[::-1], tp[::-1])
    corners = last - corners
    room = MAX_THRESHOLDS - 1 - len(even)
    if len(corners) > room:
        corners = corners[np.unique(np.linspace(0, len(corners) - 1, room).round().astype(np.int64))]
    return np.unique(np.concatenate([even, corners]))


def _hull(x: Floats, y: Floats) -> NDArray[np.int64]:
    """Places of the corners of the upper hull of points whose x and y never fall."""
    kept: list[int] = []
    xs, ys = x.tolist(), y.tolist()
    for place in range(len(xs)):
        while len(kept) > 1:
            a, b = kept[-2], kept[-1]
            if (xs[b] - xs[a]) * (ys[place] - ys[a]) < (ys[b] - ys[a]) * (xs[place] - xs[a]):
                break
            kept.pop()
        kept.append(place)
    return np.array(kept, dtype=np.int64)


def _between_scores(distinct: Floats, places: NDArray[np.int64]) -> Floats:
    """A threshold for each decision: place k calls the k-th lowest score and those above it, the last place none.

    Calling a score of 0 and calling no score of 1 would take a threshold outside (0, 1]; those decisions are left out.
    """
    found = [DEFAULT]
    for place in places.tolist():
        low = 0.0 if place == 0 else float(distinct[place - 1])
        high = 1.0 if place == len(distinct) else float(distinct[place])
        if low < high:
            found.append(_shortest(low, high))
    return np.unique(found)


def _shortest(low: float, high: float) -> float:
    """The number of fewest decimals in (low, high], close to the middle: what a person would write."""
    middle = (low + high) / 2
    for decimals in range(2, 16):
        rounded = round(middle, decimals)
        if low < rounded <= high:
            return rounded
    return high
