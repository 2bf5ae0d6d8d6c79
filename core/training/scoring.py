"""Scoring a finished run on an evaluation set: predictions, metrics, curves.

`score` prepares; `evaluate` also records, once per run and set. Rows that the run was trained on are left out and
counted, by row hash, wherever they came from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from sqlmodel import Session

from core.artifacts import ArtifactStore
from core.datasets import queries as datasets
from core.datasets import splits
from core.datasets.rowhash import row_hashes
from core.datasets.splits import EvaluationRows
from core.datasets.splitting import Part
from core.datasets.tables import DatasetVersion, EvaluationSet, Split
from core.errors import InsufficientData, InvalidInput, NotFound, SchemaMismatch
from core.evaluation import service as evaluations
from core.evaluation.curves import curves
from core.evaluation.metrics import MetricEstimate, compute_metrics
from core.evaluation.predictions import Predictions, to_parquet
from core.evaluation.queries import evaluation_of
from core.evaluation.tables import Evaluation, Task
from core.permissions import system_actor
from core.training import queries
from core.training.fitting import row_weights, target_values
from core.training.models import FittedModel, load_model
from core.training.service import record, require_finished
from core.training.tables import Run
from core.workspace import Workspace


@dataclass(frozen=True)
class ScoredSet:
    """A run scored on an evaluation set, ready to be recorded.

    Parameters
    ----------
    predictions : Predictions
        Of the rows that count; ordinals are those of the evaluation set's dataset version.
    predictions_sha256 : str
        Where they are kept.
    metrics : list of MetricEstimate
    curves : dict
    n_left_out : int
        Rows of the set that the run was trained on.
    """

    predictions: Predictions
    predictions_sha256: str
    metrics: list[MetricEstimate]
    curves: dict[str, Any]
    n_left_out: int


def score(workspace: Workspace, *, run: Run, evaluation_set_id: int) -> ScoredSet:
    """Score a finished run; nothing is recorded but the stored predictions.

    Raises
    ------
    NotFound, ArtifactCorrupted
    NotApplicable
        The run has no model.
    SchemaMismatch
        The set's dataset version lacks a feature, the target or the weight column, or has rows without a weight.
    InsufficientData
        No row is left.
    """
    require_finished(run)
    assert run.model_sha256 is not None
    assert run.signature is not None
    assert run.split_id is not None
    model = load_model(workspace.artifacts, model_sha256=run.model_sha256, signature=run.signature)
    with workspace.read() as session:
        rows_of = _evaluation_set(session, evaluation_set_id)
        rows_version = datasets.version(session, rows_of.version_id)
        trained_version = datasets.version(session, run.dataset_version_id)
        split = session.get(Split, run.split_id)
        costs = datasets.dataset(session, trained_version.dataset_id).costs
    assert split is not None
    return score_model(
        workspace.artifacts,
        model=model,
        evaluation_set=rows_of,
        set_version=rows_version,
        trained_version=trained_version,
        split=split,
        weight_column=run.weight_column,
        costs=costs,
    )


def score_model(
    store: ArtifactStore,
    *,
    model: FittedModel,
    evaluation_set: EvaluationSet,
    set_version: DatasetVersion,
    trained_version: DatasetVersion,
    split: Split,
    weight_column: str | None = None,
    costs: Mapping[str, Any] | None = None,
) -> ScoredSet:
    """Score a model on a set, given the version and split it was trained on; see `score`.

    Parameters
    ----------
    weight_column : str, optional
        How much each row counts; kept with the predictions, so that every figure made of them is weighted.
    costs : mapping, optional
        The dataset's, see `core.datasets.costs`.
    """
    task, target = Task(model.signature["task"]), model.signature["target"]
    names = [entry["name"] for entry in model.signature["features"]]
    held = {column["name"] for column in set_version.columns}
    columns = [*names, target, *([weight_column] if weight_column else [])]
    absent = [name for name in columns if name not in held]
    if absent:
        raise SchemaMismatch(
            f"The {evaluation_set.kind} evaluation set was made of version {set_version.number}, which has no column "
            f"{', '.join(repr(name) for name in absent)}; the run needs it."
        )
    rows = splits.evaluation_rows(store, evaluation_set)
    unseen = ~trained_on(store, rows=rows, set_version=set_version, trained_version=trained_version, split=split)
    table = datasets.read_table(store, set_version, columns=columns).take(pa.array(rows.ordinals[unseen]))
    y_true, labelled = target_values(table, task=task, target=target)
    if not labelled.any():
        raise InsufficientData(
            f"None of the {len(rows.ordinals):,} rows of the {evaluation_set.kind} evaluation set can be used: the run "
            f"was trained on {int((~unseen).sum()):,} of them and the others have no {target!r}."
        )
    table = table.filter(pa.array(labelled))
    try:
        weights = row_weights(table, weight_column)
    except InvalidInput as refusal:
        raise SchemaMismatch(f"The {evaluation_set.kind} evaluation set: {refusal}") from refusal
    if weights is not None and not weights.any():
        raise InsufficientData(f"All rows of the {evaluation_set.kind} evaluation set have the weight 0.")
    labels, scores = model.predict_table(table)
    predictions = Predictions(
        task=task,
        ordinals=rows.ordinals[unseen][labelled],
        y_true=y_true[labelled],
        y_pred=labels,
        scores=scores,
        classes=model.classes,
        sample_weight=weights,
    )
    stored = store.put_bytes(to_parquet(predictions))
    return ScoredSet(
        predictions,
        stored.sha256,
        metrics=compute_metrics(predictions, costs=costs),
        curves=curves(predictions),
        n_left_out=int((~unseen).sum()),
    )


def evaluate(workspace: Workspace, *, run_id: int, evaluation_set_id: int, now: datetime) -> Evaluation:
    """The run's evaluation on a set: the one there is, or a new one, recorded in a transaction of its own."""
    with workspace.read() as session:
        run = queries.run(session, run_id)
        found = evaluation_of(session, run_id=run_id, evaluation_set_id=evaluation_set_id)
    if found is not None:
        return found
    scored = score(workspace, run=run, evaluation_set_id=evaluation_set_id)
    with workspace.write() as session:
        made = record_scored(session, run_id=run_id, evaluation_set_id=evaluation_set_id, scored=scored, now=now)
        record(
            session,
            run=run,
            action="run.scored",
            actor=system_actor(),  # what it is needed for has its own event, with its actor
            now=now,
            details={"evaluation_set_id": evaluation_set_id, "predictions_sha256": made.predictions_sha256},
        )
        return made


def record_scored(
    session: Session, *, run_id: int, evaluation_set_id: int, scored: ScoredSet, now: datetime
) -> Evaluation:
    """Record a scored set unless somebody recorded it meanwhile; gives the one that is there."""
    found = evaluation_of(session, run_id=run_id, evaluation_set_id=evaluation_set_id)
    if found is not None:
        return found
    return evaluations.record_evaluation(
        session,
        run_id=run_id,
        evaluation_set_id=evaluation_set_id,
        task=scored.predictions.task,
        predictions_sha256=scored.predictions_sha256,
        n_rows=len(scored.predictions.ordinals),
        n_left_out=scored.n_left_out,
        metrics=scored.metrics,
        curves=scored.curves,
        now=now,
    )


def trained_on(
    store: ArtifactStore,
    *,
    rows: EvaluationRows,
    set_version: DatasetVersion,
    trained_version: DatasetVersion,
    split: Split,
) -> NDArray[np.bool_]:
    """Which rows of an evaluation set a run was trained on: those equal to a training row.

    Rows are compared over the columns both versions have; where they share none, no row can be told to be the same.
    """
    held = {column["name"] for column in trained_version.columns}
    shared = [name for name in rows.columns if name in held]
    if not shared:
        return np.zeros(len(rows.ordinals), dtype=np.bool_)
    judged = rows.hashes
    if len(shared) < len(rows.columns):
        judged = row_hashes(datasets.read_table(store, set_version, columns=shared), shared)[rows.ordinals]
    training = splits.assignment(store, split) == Part.TRAIN
    table = datasets.read_table(store, trained_version, columns=shared).filter(pa.array(training))
    return np.isin(judged, row_hashes(table, shared))


def _evaluation_set(session: Session, evaluation_set_id: int) -> EvaluationSet:
    found = session.get(EvaluationSet, evaluation_set_id)
    if found is None:
        raise NotFound("evaluation set", evaluation_set_id)
    return found
