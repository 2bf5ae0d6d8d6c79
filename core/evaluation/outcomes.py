"""Predictions made ready to be measured: labels as numbers, rows ranked once, everything shared between metrics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.errors import NotApplicable
from core.evaluation.predictions import Predictions
from core.evaluation.tables import Task
from core.statistics import ranking


@dataclass(frozen=True, eq=False)
class Outcome:
    """One set of predictions, with what several metrics need of it computed once and on demand.

    Parameters
    ----------
    predictions : Predictions
        With at least one row.
    shared_labels : tuple of str, optional
        The labels to count by, where two outcomes are to share them; a superset of those that occur.
    costs : mapping, optional
        What each decision costs, as `Dataset.costs` holds it: ``{"labels": [...], "matrix": [[...]]}``, true classes in
        rows, predicted in columns.
    """

    predictions: Predictions
    shared_labels: tuple[str, ...] | None = None
    costs: Mapping[str, Any] | None = None

    @property
    def n_rows(self) -> int:
        """How many rows there are."""
        return self.predictions.n_rows

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """The model's classes, then those that occur only in the truth, sorted; or the shared ones."""
        if self.shared_labels is not None:
            return self.shared_labels
        known = self.predictions.classes
        seen = set(self.predictions.y_true) | set(self.predictions.y_pred)
        return known + tuple(sorted(seen - set(known)))

    @cached_property
    def y_true(self) -> NDArray[np.int64]:
        """Truth as positions in ``labels``."""
        return self._codes(self.predictions.y_true)

    @cached_property
    def y_pred(self) -> NDArray[np.int64]:
        """Predicted classes as positions in ``labels``."""
        return self._codes(self.predictions.y_pred)

    @cached_property
    def correct(self) -> NDArray[np.bool_]:
        """Whether each row was predicted as its true class."""
        return np.equal(self.y_true, self.y_pred)

    @cached_property
    def confusion(self) -> NDArray[np.float64]:
        """Rows by true (first axis) and predicted class, in the order of ``labels``."""
        k = len(self.labels)
        return np.bincount(self.y_true * k + self.y_pred, minlength=k * k).reshape(k, k).astype(np.float64)

    @cached_property
    def positive(self) -> NDArray[np.bool_]:
        """Whether each row truly is of the positive class (binary)."""
        return np.equal(self.y_true, 1)

    @cached_property
    def score(self) -> NDArray[np.float64]:
        """Scores of the positive class (binary)."""
        return self.scores[:, 1]

    @property
    def scores(self) -> NDArray[np.float64]:
        """Scores of every class.

        Raises
        ------
        NotApplicable
            The model gave none.
        """
        if self.predictions.scores is None:
            raise NotApplicable("This model gives classes without scores.")
        return self.predictions.scores

    @cached_property
    def ranking(self) -> ranking.Ranking:
        """Rows ranked by the score of the positive class (binary).

        Raises
        ------
        NotApplicable
            Only one of the two kinds of row is present.
        """
        if self.positive.all() or not self.positive.any():
            raise NotApplicable("All rows are of one class: nothing can be ranked above anything else.")
        return ranking.rank(self.positive, self.score)

    @cached_property
    def errors(self) -> NDArray[np.float64]:
        """Predicted minus true values (regression)."""
        return np.asarray(self.predictions.y_pred - self.predictions.y_true, dtype=np.float64)

    @property
    def is_regression(self) -> bool:
        """Whether values rather than classes are predicted."""
        return self.predictions.task is Task.REGRESSION

    def _codes(self, labels: NDArray[np.object_]) -> NDArray[np.int64]:
        position = {label: code for code, label in enumerate(self.labels)}
        return np.fromiter((position[label] for label in labels), dtype=np.int64, count=len(labels))
