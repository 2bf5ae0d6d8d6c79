"""Cross-validation: the same set-up fitted on other rows, several times, to see how much its figures move.

Folds are made of the training and validation parts; the evaluation sets stay out. Which row is in which fold follows
from the split, the number of folds and, for classes, the target: every run on that version with those shares its
folds, so that two runs can be compared fold by fold. A split by time chains its folds forward: each model is fitted on
what came before the rows it is scored on.

References
----------
Stone (1974), JRSS B 36:111; Kohavi (1995), IJCAI, for stratified folds; Bergmeir and Benítez (2012), Information
Sciences 191:192, for folds in time. Bengio and Grandvalet (2004), JMLR 5:1089: as the training rows overlap, no
unbiased estimate of the variance of the mean exists, which is why none is given.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from core.datasets.splitting import Part, SplitOptions, hold_out
from core.errors import InsufficientData, NotApplicable
from core.evaluation.metrics import measure, metrics_for
from core.evaluation.outcomes import Outcome
from core.evaluation.predictions import Predictions
from core.evaluation.tables import Task
from core.training.fitting import Fit, row_weights, target_values
from core.training.frames import class_labels

OUTSIDE = -1
FOLDS_STREAM, CALIBRATION_STREAM = 1_000, 2_000


@dataclass(frozen=True)
class Folds:
    """Which row is in which fold.

    Parameters
    ----------
    number : ndarray of int16, shape (n_rows,)
        From 0; -1 for rows of no fold. In forward folds 0 is what is only ever trained on, so that fold i is scored on
        the rows numbered i + 1.
    n_folds : int
    forward : bool
        Whether a fold is trained only on the rows before it.
    """

    number: NDArray[np.int16]
    n_folds: int
    forward: bool

    def __iter__(self) -> Iterator[tuple[NDArray[np.bool_], NDArray[np.bool_]]]:
        """Masks of the rows to train on and to score, fold by fold; each of shape (n_rows,)."""
        inside = self.number != OUTSIDE
        for fold in range(self.n_folds):
            if self.forward:
                yield inside & (self.number <= fold), self.number == fold + 1
            else:
                yield inside & (self.number != fold), self.number == fold

    def digest(self, content_hash: str) -> str:
        """Tells whether two runs had the same folds of the same rows.

        Parameters
        ----------
        content_hash : str
            Of the dataset version.
        """
        told = f"{content_hash} {self.n_folds} {self.forward} ".encode() + self.number.astype("<i2").tobytes()
        return hashlib.sha256(told).hexdigest()[:16]


def make_folds(
    parts: NDArray[np.uint8], table: pa.Table, *, task: Task, target: str, split: SplitOptions, n_folds: int
) -> Folds:
    """Assign the training and validation rows to folds of about equal size.

    By chance, with the share of each class the same in every fold up to one row; for a regression by chance alone; in
    a split by time as consecutive stretches, rows of one moment together.

    Parameters
    ----------
    parts : ndarray of shape (n_rows,)
        `Part` numbers.
    table : pyarrow.Table
        All rows, with the target and the split's column.

    Raises
    ------
    InsufficientData
        Fewer rows, or fewer moments, than folds.
    """
    rows = np.flatnonzero((parts == Part.TRAIN) | (parts == Part.VALIDATION))
    number = np.full(len(parts), OUTSIDE, dtype=np.int16)
    if len(rows) < 2 * n_folds:
        raise InsufficientData(f"{len(rows):,} rows are too few for {n_folds} folds. Ask for fewer folds, or add rows.")
    if split.method == "time":
        number[rows] = _stretches(_ranks(table, split)[rows], n_folds)
        return Folds(number, n_folds, forward=True)
    rng = np.random.default_rng([abs(split.seed), int(split.seed < 0), FOLDS_STREAM + n_folds])
    order = rng.permutation(rows)
    if task != Task.REGRESSION:
        # In shuffled order within each class, and dealt out in turn without starting anew at a class.
        order = order[np.argsort(_codes(table, target)[order], kind="stable")]
    number[order] = np.arange(len(order)) % n_folds
    return Folds(number, n_folds, forward=False)


def cross_validate(
    folds: Folds,
    parts: NDArray[np.uint8],
    table: pa.Table,
    *,
    fit_on: Callable[[pa.Table, pa.Table | None], Fit],
    task: Task,
    target: str,
    split: SplitOptions,
    content_hash: str,
    calibrated: bool = False,
    weight_column: str | None = None,
    costs: Mapping[str, Any] | None = None,
    on_fold: Callable[[int], None] = lambda _: None,
) -> dict[str, Any]:
    """Fit and score a set-up fold by fold.

    Parameters
    ----------
    folds : Folds
        Of the rows of ``table``, as `make_folds` gave them for ``parts``.
    fit_on : callable
        Fits on the rows given first; the second are what a calibrator learns on, None where there is none to learn.
    calibrated : bool
        Whether some of a fold's training rows, as large a share as validation has, are set aside for the calibrator.
    costs : mapping, optional
        The dataset's.
    on_fold : callable
        Told each fold's position before it is fitted; may raise to stop.

    Returns
    -------
    dict
        ``{"folds": k, "forward": bool, "metrics": {key: [k values]}, "n_train": [k counts], "n_test": [k counts],
        "assignment": str}``. Every metric of the task that is defined on all folds, unrounded; rows without a target
        are left out of the counts. Two runs with the same ``assignment`` had the same folds.

    Raises
    ------
    InsufficientData
        A fold leaves too little to fit on, or has no row with a target.
    """
    found: list[dict[str, float]] = []
    n_train: list[int] = []
    n_test: list[int] = []
    for position, (training, held_out) in enumerate(folds):
        on_fold(position)
        aside = _set_aside(training, parts, table, task=task, target=target, split=split, position=position)
        fitted = fit_on(
            table.filter(pa.array(training & ~aside if calibrated else training)),
            table.filter(pa.array(aside)) if calibrated else None,
        )
        predictions = _predicted(
            fitted, table, np.flatnonzero(held_out), task=task, target=target, weight_column=weight_column
        )
        found.append(_values(predictions, costs))
        n_train.append(fitted.n_train)
        n_test.append(predictions.n_rows)
    everywhere = [key for key in found[0] if all(key in values for values in found)]
    return {
        "folds": folds.n_folds,
        "forward": folds.forward,
        "metrics": {key: [values[key] for values in found] for key in everywhere},
        "n_train": n_train,
        "n_test": n_test,
        "assignment": folds.digest(content_hash),
    }


def _predicted(
    fitted: Fit, table: pa.Table, ordinals: NDArray[np.int64], *, task: Task, target: str, weight_column: str | None
) -> Predictions:
    rows = table.take(pa.array(ordinals))
    y_true, labelled = target_values(rows, task=task, target=target)
    if not labelled.any():
        raise InsufficientData("A fold has no row with a target. Ask for fewer folds, or add rows.")
    rows = rows.filter(pa.array(labelled))
    labels, scores = fitted.model.predict_table(rows)
    return Predictions(
        task=task,
        ordinals=ordinals[labelled],
        y_true=y_true[labelled],
        y_pred=labels,
        scores=scores,
        classes=fitted.model.classes,
        sample_weight=row_weights(rows, weight_column),
    )


def _values(predictions: Predictions, costs: Mapping[str, Any] | None) -> dict[str, float]:
    """Every metric that is defined on these rows, without its interval."""
    outcome = Outcome(predictions, costs=costs)
    values: dict[str, float] = {}
    for entry in metrics_for(predictions.task):
        try:
            values[entry.key] = float(measure(entry, outcome).value)
        except NotApplicable:
            continue
    return values


def _set_aside(
    training: NDArray[np.bool_],
    parts: NDArray[np.uint8],
    table: pa.Table,
    *,
    task: Task,
    target: str,
    split: SplitOptions,
    position: int,
) -> NDArray[np.bool_]:
    """The rows of a fold's training rows that a calibrator learns on: the latest, or of each class by chance."""
    n_train, n_validation = int((parts == Part.TRAIN).sum()), int((parts == Part.VALIDATION).sum())
    share = n_validation / (n_train + n_validation)
    if split.method == "time":
        return hold_out(training, _ranks(table, split), share, split, stream=CALIBRATION_STREAM + position)
    by_class = SplitOptions(method="stratified", column=target, seed=split.seed)
    keys = np.zeros(len(training), dtype=np.int64) if task == Task.REGRESSION else _codes(table, target)
    return hold_out(training, keys, share, by_class, stream=CALIBRATION_STREAM + position)


def _codes(table: pa.Table, target: str) -> NDArray[np.int64]:
    """A number for each class, missing targets as one more; the same for the same labels in any order of rows."""
    labels = [label or "" for label in class_labels(table.column(target))]
    return np.unique(np.array(labels, dtype=str), return_inverse=True)[1].astype(np.int64)


def _ranks(table: pa.Table, split: SplitOptions) -> NDArray[np.int64]:
    """The place of each row's moment in time; the same for the same moment."""
    assert split.column is not None
    ranks = pc.rank(table.column(split.column).combine_chunks(), sort_keys="ascending", tiebreaker="dense")
    return np.asarray(ranks.to_numpy(zero_copy_only=False), dtype=np.int64)


def _stretches(moments: NDArray[np.int64], n_folds: int) -> NDArray[np.int16]:
    """Consecutive stretches of about equal size, one more than folds; the first of each begins a new moment."""
    ordered = np.sort(moments)
    starts = ordered[[round(len(ordered) * i / (n_folds + 1)) for i in range(1, n_folds + 1)]]
    number = np.searchsorted(starts, moments, side="right").astype(np.int16)
    if len(np.unique(number)) < n_folds + 1:
        raise InsufficientData(
            f"The rows hold {len(np.unique(moments)):,} different moments, too few or too unevenly filled to chain "
            f"{n_folds} folds forward in time. Ask for fewer folds."
        )
    return number
