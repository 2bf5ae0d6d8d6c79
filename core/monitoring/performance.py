"""How well a model does in a window: its metrics on the rows whose label has come."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sqlmodel import Session, col, select

from core.datasets.tables import EvaluationSet
from core.drift.drift_tests import missing
from core.evaluation.metrics import compute_metrics, primary_metric
from core.evaluation.predictions import Predictions
from core.evaluation.tables import Evaluation, MetricValue, Task
from core.serving.frames import LABEL, PREDICTION_ID, score_column

if TYPE_CHECKING:
    import pyarrow as pa

MIN_LABELLED = 10


@dataclass(frozen=True)
class LabelledMetric:
    """One metric of one window, from ``n_labelled`` rows whose label has arrived."""

    key: str
    value: float
    low: float | None
    high: float | None
    n_labelled: int


def realised(
    task: Task,
    classes: tuple[str, ...],
    *,
    truth: NDArray[Any],
    answers: NDArray[Any],
    scores: NDArray[np.float64] | None,
) -> tuple[LabelledMetric, ...]:
    """The task's metrics on the rows whose label has come, each with its interval.

    Parameters
    ----------
    task : Task
    classes : tuple of str
        What the model can answer; empty for a regression.
    truth, answers : ndarray of shape (n,)
        None where a label has not come; of a regression numbers, NaN where missing.
    scores : ndarray of shape (n, k) or None

    Returns
    -------
    tuple of LabelledMetric
        Primary metric first; empty for fewer than 10 labelled rows.
    """
    if task is Task.REGRESSION:
        known = np.flatnonzero(np.isfinite(truth) & np.isfinite(answers))
    else:
        known = np.flatnonzero(~missing(truth) & ~missing(answers))
    if len(known) < MIN_LABELLED:
        return ()
    scored = None if scores is None or np.isnan(scores[known]).any() else scores[known]
    found = Predictions(task, known, truth[known], answers[known], scored, classes)
    return tuple(
        LabelledMetric(entry.key, entry.value, entry.low, entry.high, found.n_rows)
        for entry in compute_metrics(found, rng=np.random.default_rng(0))
    )


def truths(rows: pa.Table, labels: Mapping[str, str]) -> list[Any]:
    """Each row's label: the one that came with it, replaced by one that came for its prediction id."""
    truth: list[Any] = rows[LABEL].to_pylist() if LABEL in rows.column_names else [None] * rows.num_rows
    if not labels or PREDICTION_ID not in rows.column_names:
        return truth
    places, came = places_of(rows[PREDICTION_ID], labels)
    for row in np.flatnonzero(places >= 0).tolist():
        truth[row] = labels[came[places[row]]]
    return truth


def places_of(ids: pa.ChunkedArray, told: Iterable[str]) -> tuple[NDArray[np.int64], list[str]]:
    """Where each id stands in a list of those that something is told of, -1 where nothing is; and that list.

    Without making text of the ids: those of a window of millions take gigabytes.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    listed = [one for one in told if one]
    found = pc.index_in(ids.cast(pa.string()), value_set=pa.array(listed, pa.string()))
    return found.fill_null(-1).to_numpy().astype(np.int64), listed


def scores_of(rows: pa.Table, classes: tuple[str, ...]) -> NDArray[np.float64] | None:
    """The rows' scores of shape (n, k), NaN where missing; None where a class has none."""
    names = [score_column(label) for label in classes]
    if any(name not in rows.column_names for name in names):
        return None
    return np.column_stack([rows[name].to_numpy() for name in names]).astype(np.float64)


def number(label: object) -> float:
    """A label or an answer as a number; NaN for what is none."""
    try:
        return float(label)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return float("nan")


def evaluated(session: Session, *, run_id: int, task: Task | str) -> tuple[float, float, float] | None:
    """A run's primary metric with its interval on the fixed evaluation set; None where it has none."""
    query = (
        select(MetricValue)
        .join(Evaluation, col(Evaluation.id) == col(MetricValue.evaluation_id))
        .join(EvaluationSet, col(EvaluationSet.id) == col(Evaluation.evaluation_set_id))
        .where(
            col(Evaluation.run_id) == run_id,
            col(EvaluationSet.kind) == "fixed",
            col(MetricValue.key) == primary_metric(task),
        )
    )
    found = session.exec(query).first()
    if found is None or found.low is None or found.high is None:
        return None
    return found.value, found.low, found.high
