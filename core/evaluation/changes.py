"""Changed decisions: the rows that two runs classify differently, all together and slice by slice."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypedDict

import numpy as np
from numpy.typing import NDArray

from core.errors import InvalidInput
from core.evaluation.predictions import Predictions
from core.evaluation.tables import Task


class Changed(TypedDict):
    """Rows classified differently: all, wrong before and right now, right before and wrong now, rows compared.

    In a multiclass task a row may move from one wrong class to another: it is changed, neither corrected nor broken.
    """

    n_changed: int
    n_corrected: int
    n_broken: int
    n_rows: int


class ChangedInSlice(TypedDict):
    """One slice: its column and value in words, its rows, and of them changed, corrected and broken."""

    slice: str
    n: int
    changed: int
    corrected: int
    broken: int


def changed_decisions(baseline: Predictions, candidate: Predictions) -> Changed | None:
    """Count the decisions that differ, on rows already aligned; None for a regression, which decides nothing."""
    if baseline.task is Task.REGRESSION:
        return None
    changed, corrected, broken = _masks(baseline, candidate)
    return Changed(
        n_changed=int(changed.sum()),
        n_corrected=int(corrected.sum()),
        n_broken=int(broken.sum()),
        n_rows=baseline.n_rows,
    )


def changed_by_slice(
    baseline: Predictions, candidate: Predictions, slices: Mapping[str, NDArray[Any]]
) -> list[dict[str, Any]]:
    """Count the decisions that differ within each value of each column.

    Parameters
    ----------
    baseline, candidate : Predictions
        Over the same rows in the same order (`comparing.align`).
    slices : mapping of column name to ndarray of shape (n,)
        Each row's value as a string.

    Returns
    -------
    list of dict
        `ChangedInSlice` entries, the slice with the most broken beyond corrected first; empty for a regression.

    Raises
    ------
    InvalidInput
        The rows differ, or a column has another length.
    """
    if baseline.task is Task.REGRESSION:
        return []
    if not np.array_equal(baseline.ordinals, candidate.ordinals):
        raise InvalidInput("The two runs were scored on different rows; align them first.")
    changed, corrected, broken = _masks(baseline, candidate)
    found: list[ChangedInSlice] = []
    for column, values in slices.items():
        if len(values) != baseline.n_rows:
            raise InvalidInput(f"Column {column} has {len(values):,} values for {baseline.n_rows:,} rows.")
        position: dict[str, int] = {}
        codes = np.fromiter((position.setdefault(str(value), len(position)) for value in values), np.int64, len(values))
        counts = [
            np.bincount(codes, weights=mask, minlength=len(position)).astype(int).tolist()
            for mask in (np.ones(len(codes)), changed, corrected, broken)
        ]
        found += [
            ChangedInSlice(slice=f"{column} = {value}", n=n, changed=c, corrected=r, broken=b)
            for value, n, c, r, b in zip(position, *counts, strict=True)
        ]
    found.sort(key=lambda entry: (entry["corrected"] - entry["broken"], -entry["n"], entry["slice"]))
    return [dict(entry) for entry in found]


def _masks(
    baseline: Predictions, candidate: Predictions
) -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_]]:
    changed = baseline.y_pred != candidate.y_pred
    corrected = changed & (candidate.y_pred == candidate.y_true)
    broken = changed & (baseline.y_pred == baseline.y_true)
    return changed.astype(bool), corrected.astype(bool), broken.astype(bool)
