"""Fitting: from a table of training rows to a model, its signature and the dummy's constants. Pure."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

from core.datasets.tables import ColumnKind
from core.errors import InsufficientData, InvalidInput
from core.evaluation.predictions import LARGEST_WEIGHT, LEAST_WEIGHT
from core.evaluation.tables import Task
from core.training.algorithms import algorithm, parse_parameters, require_task
from core.training.calibrating import STEADY_ISOTONIC_ROWS, calibrate, require_calibration
from core.training.frames import class_labels, frame_from_table, target_numbers
from core.training.models import FittedModel
from core.training.preprocessing import build_pipeline

# Told by the data, not by the machine: sums over threads differ in their last bits with the number of threads. On few
# rows a second thread costs more than it gives, and far more where the cores are busy.
SECOND_THREAD_ABOVE_ROWS = 50_000
FEWEST_ROWS = 10
MOST_SIGNATURE_CATEGORIES = 500


@dataclass(frozen=True)
class Fit:
    """What a fit gives.

    Parameters
    ----------
    model : FittedModel
    dummy : dict
        ``{"classes": [...], "shares": [...]}`` of the training rows, or ``{"mean": float}``; by weight where rows have
        weights.
    n_train : int
        Rows the model was fitted on.
    n_without_target : int
        Rows left out because their target is missing.
    notes : tuple of str
        What a person should know, such as that it did not converge.
    """

    model: FittedModel
    dummy: dict[str, Any]
    n_train: int
    n_without_target: int
    notes: tuple[str, ...]


def fit(
    table: pa.Table,
    *,
    task: Task,
    target: str,
    features: Sequence[tuple[str, str]],
    algorithm_key: str,
    parameters: Mapping[str, Any],
    seed: int,
    weight_column: str | None = None,
    calibration: str | None = None,
    calibration_table: pa.Table | None = None,
) -> Fit:
    """Fit an algorithm on all rows of a table. The same arguments give the same model.

    Parameters
    ----------
    table : pyarrow.Table
        Training rows only.
    features : sequence of (name, kind)
    seed : int
        The only source of randomness.
    weight_column : str, optional
        How much each row counts for the estimator and the calibrator. How columns are prepared (medians, scales, rare
        categories) goes by the rows as they are.
    calibration : {"sigmoid", "isotonic"}, optional
        Put a calibrator behind the estimator, learnt on ``calibration_table``, rows the estimator is not fitted on.

    Raises
    ------
    InsufficientData
        Fewer than 10 rows with a target, or only one class among them; no feature with a value; too few rows to
        calibrate on.
    NotApplicable, InvalidInput, SchemaMismatch
        The algorithm cannot do the task, a parameter or a weight is wrong, a column does not hold its kind, or a
        regression was to be calibrated.
    """
    chosen = algorithm(algorithm_key)
    require_task(chosen, task)
    if calibration is not None:
        require_calibration(calibration, task)
    settings = parse_parameters(chosen, parameters)
    y, labelled = target_values(table, task=task, target=target)
    declared = [{"name": name, "kind": kind} for name, kind in features]
    frame = frame_from_table(table.filter(pa.array(labelled)), declared)
    y = y[labelled]
    weights = row_weights(table.filter(pa.array(labelled)), weight_column)
    if len(y) < FEWEST_ROWS:
        raise InsufficientData(
            f"Only {len(y)} training rows have a target; at least {FEWEST_ROWS} are needed. Add rows."
        )
    if weights is not None and not weights.any():
        raise InsufficientData(f"All training rows have the weight 0 in {weight_column!r}. Weigh by another column.")
    classes = np.unique(y) if task != Task.REGRESSION else np.empty(0)
    if task != Task.REGRESSION and len(classes) < 2:
        raise InsufficientData(
            f"All training rows have the same {target!r}: {classes[0]!r}. Add rows of other classes."
        )

    known = (frame if weights is None else frame.loc[weights > 0]).notna().any().to_numpy()
    if not known.any():
        raise InsufficientData("No feature has a value in any training row that counts. Choose others, or add rows.")
    estimator = chosen.build(task, settings, seed)
    pipeline = build_pipeline(
        estimator,
        encoding=chosen.encoding,
        kinds=[kind for _, kind in features],
        n_rows=len(frame),
        empty=np.flatnonzero(~known).tolist(),
    )
    with (
        threadpool_limits(limits=2 if len(frame) > SECOND_THREAD_ABOVE_ROWS else 1),
        warnings.catch_warnings(record=True) as caught,
    ):
        warnings.simplefilter("always")
        n_calibrated = 0
        pipeline.fit(frame, y, **({} if weights is None else {"model__sample_weight": weights}))
        if calibration is not None:
            assert calibration_table is not None
            pipeline, n_calibrated = _calibrated(
                pipeline, calibration_table, task=task, target=target, declared=declared, method=calibration,
                weight_column=weight_column,
            )  # fmt: skip
    signature = {
        "task": task.value,
        "target": target,
        "classes": [str(label) for label in classes] if task != Task.REGRESSION else None,
        "features": [_feature(frame[name], name, kind) for name, kind in features],
    }
    if task == Task.REGRESSION:
        dummy: dict[str, Any] = {"mean": float(np.average(y, weights=weights))}
    else:
        shares = [float(np.average(y == label, weights=weights)) for label in classes]
        dummy = {"classes": [str(label) for label in classes], "shares": shares}
    notes = [_note(entry) for entry in caught]
    if calibration == "isotonic" and n_calibrated < STEADY_ISOTONIC_ROWS:
        notes.append(
            f"An isotonic calibrator learnt on {n_calibrated:,} rows follows their chance as well; below "
            f"{STEADY_ISOTONIC_ROWS:,} rows a sigmoid is steadier."
        )
    return Fit(
        FittedModel(pipeline, signature),
        dummy,
        n_train=len(y),
        n_without_target=int((~labelled).sum()),
        notes=tuple(dict.fromkeys(notes)),
    )


def target_values(table: pa.Table, *, task: Task, target: str) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """A table's target as labels (object) or float64, and which rows have one.

    Raises
    ------
    SchemaMismatch
        A regression target that does not hold numbers.
    """
    if task == Task.REGRESSION:
        numbers = target_numbers(table.column(target), target)
        return numbers, np.isfinite(numbers)
    labels = class_labels(table.column(target))
    return labels, np.array([label is not None for label in labels], dtype=bool)


def row_weights(table: pa.Table, weight_column: str | None) -> NDArray[np.float64] | None:
    """How much each row of a table counts; None where all count alike.

    Raises
    ------
    SchemaMismatch
        The column does not hold numbers.
    InvalidInput
        A weight is missing, infinite, negative or out of the range of `Predictions`.
    """
    if weight_column is None:
        return None
    weights = target_numbers(table.column(weight_column), weight_column)
    refused = ~(np.isfinite(weights) & (weights >= 0))
    if refused.any():
        raise InvalidInput(
            f"{int(refused.sum()):,} rows have no weight of at least 0 in {weight_column!r}. "
            "Weigh by another column, or upload a corrected version."
        )
    extreme = (weights > 0) & ((weights < LEAST_WEIGHT) | (weights > LARGEST_WEIGHT))
    if extreme.any():
        raise InvalidInput(
            f"{int(extreme.sum()):,} rows have a weight in {weight_column!r} that is not 0 and not between "
            f"{LEAST_WEIGHT:g} and {LARGEST_WEIGHT:g}. Weigh by another column, or upload a corrected version."
        )
    return weights


def _calibrated(
    pipeline: Any,
    table: pa.Table,
    *,
    task: Task,
    target: str,
    declared: Sequence[Mapping[str, Any]],
    method: str,
    weight_column: str | None,
) -> tuple[Any, int]:
    """The pipeline with its calibrator, and how many rows that was learnt on."""
    y_true, labelled = target_values(table, task=task, target=target)
    rows = table.filter(pa.array(labelled))
    found = calibrate(
        pipeline,
        frame_from_table(rows, declared),
        y_true[labelled],
        method=method,
        sample_weight=row_weights(rows, weight_column),
    )
    return found, rows.num_rows


def _feature(values: pd.Series[Any], name: str, kind: str) -> dict[str, Any]:
    present = values.dropna()
    entry: dict[str, Any] = {
        "name": name,
        "kind": str(kind),
        "categories": None,
        "low": None,
        "high": None,
        "nullable": len(present) < len(values),
    }
    if kind == ColumnKind.CATEGORY:
        distinct = sorted(set(present))
        entry["categories"] = distinct if len(distinct) <= MOST_SIGNATURE_CATEGORIES else None
    elif len(present):
        low, high = present.min(), present.max()
        if kind in (ColumnKind.DATE, ColumnKind.TIMESTAMP):
            spec = "%Y-%m-%d" if kind == ColumnKind.DATE else "%Y-%m-%dT%H:%M:%S"
            entry["low"], entry["high"] = low.strftime(spec), high.strftime(spec)
        else:
            entry["low"], entry["high"] = float(low), float(high)
    return entry


def _note(entry: warnings.WarningMessage) -> str:
    if issubclass(entry.category, ConvergenceWarning):
        return "The fit stopped before it converged; allow more iterations or regularise more."
    return str(entry.message).split("\n")[0]
