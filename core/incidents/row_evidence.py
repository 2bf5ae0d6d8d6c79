"""What only the rows of a window tell: their labels beside those of the evaluation set, and rows that repeat."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sqlmodel import Session, col, select

from core.datasets.queries import read_table
from core.datasets.rowhash import row_hashes
from core.datasets.tables import DatasetVersion, EvaluationSet
from core.errors import LifecycleError
from core.evaluation.queries import load_predictions
from core.evaluation.tables import Evaluation, Task
from core.incidents.evidence import LabelEvidence
from core.incidents.labels import label_evidence
from core.incidents.window_rows import MOST_READ, WindowRows
from core.monitoring.performance import truths
from core.registry.tables import ModelVersion
from core.serving import queries as serving
from core.serving.frames import AT, LABEL, PREDICTION_ID, feature_column, score_column
from core.training.tables import Run

if TYPE_CHECKING:
    import pyarrow as pa

MOST_HASHED = 50_000
"""Rows up to which a window is looked through for rows that repeat."""


def labels_of(session: Session, rows: WindowRows, version: ModelVersion, run: Run) -> LabelEvidence | None:
    """The window's labels against those of the fixed evaluation set, read back from the kept rows."""
    classes = list(version.signature.get("classes") or ())
    score = score_column(classes[1]) if len(classes) == 2 else None
    query = (
        select(Evaluation)
        .join(EvaluationSet, col(EvaluationSet.id) == col(Evaluation.evaluation_set_id))
        .where(Evaluation.run_id == run.id, EvaluationSet.kind == "fixed")
    )
    evaluation = session.exec(query).first()
    table = rows.read([PREDICTION_ID, LABEL, *([score] if score else [])])
    if evaluation is None or table is None or table.num_rows == 0:
        return None
    try:
        judged = load_predictions(rows.workspace.artifacts, evaluation)
    except LifecycleError:
        return None  # its file is gone or damaged: unknown, not wrong
    truth = truths(table, serving.labels(session, version.model_id))
    held = np.array([one is not None for one in truth], dtype=bool)
    now: NDArray[Any] = np.array(truth, dtype=object)[held]
    if Task(run.task) is Task.REGRESSION:
        return label_evidence(judged.y_true, now.astype(np.float64))
    scores = None
    if score is not None and score in table.column_names and judged.scores is not None:
        scores = table[score].to_numpy()[held].astype(np.float64)
    if scores is None or judged.scores is None or np.isnan(scores).any():
        return label_evidence(judged.y_true, now)
    return label_evidence(judged.y_true, now, scores_then=judged.scores[:, 1], scores_now=scores)


def repeated_in(
    session: Session, rows: WindowRows, version: ModelVersion, run: Run
) -> tuple[float, float] | tuple[None, None]:
    """Shares of rows that repeat an earlier one: of as many training rows, and of the window's."""
    if rows.window.n_rows > MOST_HASHED:
        return None, None
    names = [str(feature["name"]) for feature in version.signature.get("features", ())]
    table = rows.read([feature_column(name) for name in names])
    data = session.get(DatasetVersion, run.dataset_version_id)
    if table is None or data is None or table.num_rows == 0 or data.n_rows > MOST_READ:
        return None, None
    try:
        trained = read_table(rows.workspace.artifacts, data, names)
    except LifecycleError:
        return None, None
    n = min(table.num_rows, trained.num_rows)
    # The first rows of an ordered file are more alike than any others: as many drawn from all of it.
    drawn = trained.take(np.sort(np.random.default_rng(0).choice(trained.num_rows, n, replace=False)))
    kept = [name for name in table.column_names if name != AT]
    return _repeats(drawn, names), _repeats(table.slice(0, n), kept)


def _repeats(table: pa.Table, columns: Sequence[str]) -> float:
    hashes = row_hashes(table, columns)
    return 1 - len(np.unique(hashes)) / len(hashes)
