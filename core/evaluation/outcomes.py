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
from core.statistics.intervals import effective_size
from core.statistics.ranking import Ranking, rank


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
    def weight(self) -> NDArray[np.float64]:
        """How much each row counts, scaled so that rows of weight above 0 average 1; all 1 without weights.

        All 0 where no row counts.
        """
        given = self.predictions.sample_weight
        if given is None:
            return np.ones(self.n_rows)
        top = float(given.max(initial=0.0))
        if top == 0:
            return np.zeros(self.n_rows)
        # By the largest first: sums of very large or very small weights would leave the range of float64.
        given = given / top
        return np.asarray(given * (np.count_nonzero(given) / given.sum()))

    @property
    def is_weighted(self) -> bool:
        """Whether rows count differently."""
        return self.predictions.sample_weight is not None

    @cached_property
    def is_unevenly_weighted(self) -> bool:
        """Whether rows that count do so differently; equal weights say no more than none."""
        counted = self.weight[self.weight > 0] if self.is_weighted else self.weight[:0]
        return len(counted) > 0 and float(np.ptp(counted)) > 1e-9 * float(counted.max())

    @cached_property
    def n_counted(self) -> int:
        """How many rows have weight above 0: what the weights sum to."""
        return int(np.count_nonzero(self.weight)) if self.is_weighted else self.n_rows

    @cached_property
    def n_effective(self) -> float:
        """How many rows of equal weight would be as sure as these (Kish's effective size); ``n_rows`` unweighted."""
        return effective_size(self.weight) if self.is_weighted else float(self.n_rows)

    def effective(self, cells: Any) -> float:
        """Effective size of the rows in some cells of the confusion matrix; their number without weights.

        Parameters
        ----------
        cells
            An index into ``confusion``.
        """
        total, squares = float(self.confusion[cells].sum()), float(self.squares[cells].sum())
        return total * total / squares if squares > 0 else 0.0

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
    def counts(self) -> NDArray[np.int64]:
        """How many rows there are of each true (first axis) and predicted class, in the order of ``labels``."""
        return self._table(None).astype(np.int64)

    @cached_property
    def confusion(self) -> NDArray[np.float64]:
        """As ``counts``, each row counting by its weight."""
        return self._table(self.weight if self.is_weighted else None).astype(np.float64)

    @cached_property
    def squares(self) -> NDArray[np.float64]:
        """Squared weights by true and predicted class; as ``confusion`` without weights."""
        return self._table(self.weight**2).astype(np.float64) if self.is_weighted else self.confusion

    @cached_property
    def cost_matrix(self) -> NDArray[np.float64]:
        """What a row costs by true (first axis) and predicted class, in the order of ``labels``.

        Raises
        ------
        NotApplicable
            No costs are given, or they are silent about a label that occurs.
        """
        if self.costs is None:
            raise NotApplicable("Nobody has said what a mistake costs. Give the dataset a cost matrix.")
        place = {label: position for position, label in enumerate(self.costs["labels"])}
        used = self.confusion.sum(axis=0) + self.confusion.sum(axis=1) > 0
        silent = [label for label, occurs in zip(self.labels, used, strict=True) if occurs and label not in place]
        if silent:
            raise NotApplicable(f"The cost matrix has no row and column for {', '.join(map(repr, silent))}.")
        given = np.asarray(self.costs["matrix"], dtype=np.float64)
        matrix = np.zeros((len(self.labels), len(self.labels)))
        known = [position for position, label in enumerate(self.labels) if label in place]
        at = [place[self.labels[position]] for position in known]
        matrix[np.ix_(known, known)] = given[np.ix_(at, at)]
        return matrix

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
    def ranking(self) -> Ranking:
        """Rows ranked by the score of the positive class (binary).

        Raises
        ------
        NotApplicable
            Only one of the two kinds of row is present.
        """
        return self.ranking_of(1, self.score)

    def ranking_of(self, code: int, score: NDArray[np.float64]) -> Ranking:
        """Rows ranked by a score, the class at a position of ``labels`` against the rest.

        Raises
        ------
        NotApplicable
            Only one of the two kinds of row is present.
        """
        size = float(self.confusion[code].sum())
        if size <= 0 or not self.confusion.sum(axis=1)[np.arange(len(self.labels)) != code].any():
            raise NotApplicable("All rows are of one class: nothing can be ranked above anything else.")
        return rank(self.y_true == code, score, self.weight if self.is_weighted else None)

    @cached_property
    def columns(self) -> NDArray[np.int64]:
        """The column of ``scores`` of each of ``labels``; -1 for a label the model does not know."""
        column = {label: position for position, label in enumerate(self.predictions.classes)}
        return np.array([column.get(label, -1) for label in self.labels], dtype=np.int64)

    def scores_of(self, codes: NDArray[np.int64]) -> NDArray[np.float64]:
        """Each row's score for one class, by its position in ``labels``; 0 for a class the model does not know."""
        column = self.columns[codes]
        return np.where(column >= 0, self.scores[np.arange(self.n_rows), column], 0.0)

    @cached_property
    def errors(self) -> NDArray[np.float64]:
        """Predicted minus true values (regression)."""
        return np.asarray(self.predictions.y_pred - self.predictions.y_true, dtype=np.float64)

    @property
    def is_binary(self) -> bool:
        """Whether there are two classes, one of them the positive."""
        return self.predictions.task is Task.BINARY

    @property
    def is_regression(self) -> bool:
        """Whether values rather than classes are predicted."""
        return self.predictions.task is Task.REGRESSION

    def _table(self, weight: NDArray[np.float64] | None) -> NDArray[Any]:
        k = len(self.labels)
        return np.bincount(self.y_true * k + self.y_pred, weights=weight, minlength=k * k).reshape(k, k)

    def _codes(self, labels: NDArray[np.object_]) -> NDArray[np.int64]:
        position = {label: code for code, label in enumerate(self.labels)}
        return np.fromiter((position[label] for label in labels), dtype=np.int64, count=len(labels))
