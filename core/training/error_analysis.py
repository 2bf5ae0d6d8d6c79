"""The analysis of errors: the hardest rows, labels that may be wrong, and the rows behind each kind of mistake."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from core.errors import InvalidInput, NotApplicable
from core.evaluation.label_errors import suspect_labels
from core.evaluation.measures import log_losses
from core.evaluation.outcomes import Outcome
from core.evaluation.predictions import Predictions
from core.evaluation.tables import Task
from core.training.analysing import Material

MOST_ROWS = 50
MOST_OF_A_CELL = 20
MOST_OF_ALL_CELLS = 400
FEWEST_OF_A_CELL = 3
MOST_CELLS = 60
MOST_COLUMNS = 16
LONGEST_VALUE = 60


def hardest_and_suspected(material: Material, options: Mapping[str, Any]) -> dict[str, Any]:
    """List the rows a model is most wrong on, labels that may be wrong, and examples of every kind of mistake.

    Every row counts alike, whatever its weight: a label is wrong or right however much its row counts.

    Parameters
    ----------
    options : mapping
        None are known.

    Returns
    -------
    dict
        ``task``; ``target``; ``weighted``, whether rows have weights, by which nothing is counted here; ``n_rows``;
        ``n_wrong`` (null for numbers); ``loss``, the title of what is hardest by; ``columns`` shown and
        ``n_columns_left_out``; ``rows``, each with its ``ordinal`` in the dataset version, ``true``, ``predicted``,
        ``score`` (of the predicted class; null for numbers), ``loss`` and ``values`` in the order of ``columns``. The
        lists below hold positions in ``rows``.

        ``hardest``, at most 50, highest loss first; ``cells``, kinds of mistake by falling count, then what was right,
        each with ``true``, ``predicted``, ``n`` and ``rows``, at most 20, the surest first (none for numbers);
        ``n_cells_left_out``.

        ``suspected`` with ``reason`` (why it could not be told; empty otherwise), ``stands_out``, ``n_observed``,
        ``n_expected``, ``pvalue``, ``share``, ``method`` and ``labels``, at most 50, most suspect first, each with
        ``row``, ``suggested`` and ``likelihood`` (for numbers how many local spreads it is off).

    Raises
    ------
    InvalidInput
        An option was given.
    """
    if options:
        raise InvalidInput(f"There is no option {', '.join(sorted(options))} here; leave them out.")
    predictions = material.predictions
    loss, title = _loss(predictions)
    hardest = np.argsort(-loss, kind="stable")[: min(MOST_ROWS, int((loss > 0).sum()))]
    cells, n_cells_left_out = _cells(predictions)
    suspected, suspects, suggested, likelihood = _suspected(predictions)
    positions = np.unique(np.concatenate([hardest, suspects, *(rows for _, _, _, rows in cells)]).astype(np.int64))
    place = {int(position): number for number, position in enumerate(positions)}
    columns, n_columns_left_out = _columns(material)
    return {
        "task": material.task.value,
        "target": material.run.target,
        "weighted": predictions.sample_weight is not None,
        "n_rows": predictions.n_rows,
        "n_wrong": None if material.task is Task.REGRESSION else int((predictions.y_pred != predictions.y_true).sum()),
        "loss": title,
        "columns": columns,
        "n_columns_left_out": n_columns_left_out,
        "rows": _rows(material, positions, columns, loss),
        "hardest": [place[int(row)] for row in hardest],
        "cells": [
            {"true": true, "predicted": predicted, "n": n, "rows": [place[int(row)] for row in rows]}
            for true, predicted, n, rows in cells
        ],
        "n_cells_left_out": n_cells_left_out,
        "suspected": {
            **suspected,
            "labels": [
                {"row": place[int(row)], "suggested": _plain(instead), "likelihood": float(chance)}
                for row, instead, chance in zip(suspects, suggested, likelihood, strict=True)
            ],
        },
    }


def _loss(predictions: Predictions) -> tuple[NDArray[np.float64], str]:
    if predictions.task is Task.REGRESSION:
        return np.abs(predictions.y_pred - predictions.y_true), "absolute error"
    if predictions.scores is None:
        return np.asarray(predictions.y_pred != predictions.y_true, dtype=np.float64), "wrong class"
    return log_losses(Outcome(predictions)), "log loss"


def _cells(predictions: Predictions) -> tuple[list[tuple[str, str, int, NDArray[np.intp]]], int]:
    """Each pair of true and predicted class that occurs, with its surest rows; mistakes first, by falling count."""
    if predictions.task is Task.REGRESSION:
        return [], 0
    outcome = Outcome(predictions)
    k = len(outcome.labels)
    key = outcome.y_true * k + outcome.y_pred
    counts = np.bincount(key, minlength=k * k)
    found = [(int(cell) // k, int(cell) % k, int(counts[cell])) for cell in np.flatnonzero(counts)]
    found.sort(key=lambda cell: (cell[0] == cell[1], -cell[2], cell[0], cell[1]))
    shown = found[:MOST_CELLS]
    each = max(FEWEST_OF_A_CELL, min(MOST_OF_A_CELL, MOST_OF_ALL_CELLS // max(1, len(shown))))
    sure = _sureness(predictions)
    cells = []
    for true, predicted, n in shown:
        rows = np.flatnonzero(key == true * k + predicted)
        surest = rows[np.argsort(-sure[rows], kind="stable")[:each]]
        cells.append((outcome.labels[true], outcome.labels[predicted], n, surest))
    return cells, len(found) - len(shown)


def _sureness(predictions: Predictions) -> NDArray[np.float64]:
    """The score of the predicted class; 0 throughout where the model gives none."""
    if predictions.scores is None:
        return np.zeros(predictions.n_rows)
    column = {name: place for place, name in enumerate(predictions.classes)}
    places = np.fromiter((column[name] for name in predictions.y_pred), np.int64, predictions.n_rows)
    return np.asarray(predictions.scores[np.arange(predictions.n_rows), places])


def _suspected(
    predictions: Predictions,
) -> tuple[dict[str, Any], NDArray[np.intp], NDArray[np.object_], NDArray[np.float64]]:
    nothing = np.empty(0, dtype=np.intp), np.empty(0, dtype=object), np.empty(0)
    try:
        found = suspect_labels(predictions)
    except NotApplicable as refusal:
        unknown = dict.fromkeys(("n_observed", "n_expected", "pvalue", "share"))
        return {"reason": str(refusal), "stands_out": False, **unknown, "method": ""}, *nothing
    told = {
        "reason": "",
        "stands_out": found.stands_out,
        "n_observed": found.n_observed,
        "n_expected": found.n_expected,
        "pvalue": found.pvalue,
        "share": found.share,
        "method": found.method,
    }
    return told, found.rows[:MOST_ROWS], found.suggested[:MOST_ROWS], found.likelihood[:MOST_ROWS]


def _columns(material: Material) -> tuple[list[str], int]:
    """The columns to show: what the model relies on most first, sensitive ones always, the target never."""
    ranked = [one["name"] for one in (material.run.importance or {}).get("features", [])]
    order = [*material.dataset.sensitive, *ranked, *material.run.features, *material.kinds]
    names = [name for name in dict.fromkeys(order) if name in material.kinds and name != material.run.target]
    kept = set(names[:MOST_COLUMNS])
    return [name for name in material.kinds if name in kept], len(names) - len(kept)


def _rows(
    material: Material, positions: NDArray[np.int64], columns: Sequence[str], loss: NDArray[np.float64]
) -> list[dict[str, Any]]:
    predictions = material.predictions
    table = material.rows(columns).take(pa.array(positions)) if columns else None
    values = [[_plain(value) for value in table[name].to_pylist()] for name in columns] if table else []
    score = None if predictions.scores is None else _sureness(predictions)
    return [
        {
            "ordinal": int(predictions.ordinals[position]),
            "true": _plain(predictions.y_true[position]),
            "predicted": _plain(predictions.y_pred[position]),
            "score": None if score is None else float(score[position]),
            "loss": float(loss[position]),
            "values": [column[number] for column in values],
        }
        for number, position in enumerate(positions)
    ]


def _plain(value: Any) -> Any:
    """A value as JSON knows it; long texts are cut."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, datetime | date):
        return value.isoformat()
    text = str(value)
    return text if len(text) <= LONGEST_VALUE else text[: LONGEST_VALUE - 1] + "…"
