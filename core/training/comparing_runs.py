"""Comparing two runs on one evaluation set, scoring what is not scored yet."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import numpy as np
from sqlmodel import Session

from core.datasets import queries as datasets
from core.datasets.tables import EvaluationSet
from core.errors import NotApplicable
from core.evaluation import comparing
from core.evaluation import queries as evaluations
from core.evaluation import service as evaluation_service
from core.evaluation.metrics import primary_metric
from core.evaluation.tables import Comparison, Task
from core.training import queries
from core.training.scoring import evaluate
from core.training.service import require_finished, require_same_question
from core.training.tables import Run
from core.workspace import Workspace


def compare_runs_now(
    workspace: Workspace,
    *,
    baseline_run_id: int,
    candidate_run_id: int,
    now: datetime,
    evaluation_set_id: int | None = None,
    metric: str | None = None,
    margin: float | None = None,
) -> Comparison:
    """Compare a candidate with a baseline, row by row; each write is a transaction of its own.

    Rows that either run was trained on are left out and counted.

    Parameters
    ----------
    evaluation_set_id : int, optional
        The fixed set of the dataset both were trained on, when None.
    metric : str, optional
        The task's primary metric when None.
    margin : float, optional
        How much worse still counts as not worse, in the metric's unit; the metric's default when None.

    Raises
    ------
    NotFound, InvalidInput, SchemaMismatch, InsufficientData, ArtifactCorrupted
    NotApplicable
        A run without a model, runs that answer different questions, or runs on different datasets with no set named.
    """
    with workspace.read() as session:
        baseline = require_finished(queries.run(session, baseline_run_id))
        candidate = require_finished(queries.run(session, candidate_run_id))
        require_same_question(baseline, candidate)
        chosen_set = evaluation_set_id if evaluation_set_id is not None else common_set(session, baseline, candidate)
    before = evaluate(workspace, run_id=baseline_run_id, evaluation_set_id=chosen_set, now=now)
    after = evaluate(workspace, run_id=candidate_run_id, evaluation_set_id=chosen_set, now=now)
    assert before.id is not None
    assert after.id is not None
    baseline_rows = evaluations.load_predictions(workspace.artifacts, before)
    candidate_rows = evaluations.load_predictions(workspace.artifacts, after)
    key = metric or primary_metric(Task(baseline.task))
    # What one of them was trained on is not among its own predictions, so only rows neither has seen are compared.
    result = comparing.compare(baseline_rows, candidate_rows, metric=key, margin=margin, rng=np.random.default_rng(0))
    result = replace(result, n_left_out=before.n_rows + before.n_left_out - result.n_rows)
    with workspace.write() as session:
        return evaluation_service.record_comparison(
            session,
            baseline_evaluation_id=before.id,
            candidate_evaluation_id=after.id,
            metric=key,
            margin=result.margin,
            result=result,
            now=now,
        )


def common_set(session: Session, baseline: Run, candidate: Run) -> int:
    """The fixed evaluation set of the dataset both runs were trained on.

    Raises
    ------
    NotApplicable
        They were trained on different datasets.
    """
    dataset_ids = {datasets.version(session, run.dataset_version_id).dataset_id for run in (baseline, candidate)}
    if len(dataset_ids) > 1:
        raise NotApplicable(
            f"Runs {baseline.id} and {candidate.id} were trained on different datasets. "
            "Name the evaluation set to judge both on."
        )
    rows: EvaluationSet
    for rows in datasets.evaluation_sets(session, dataset_ids.pop()):
        if rows.kind == queries.FIXED and rows.id is not None:
            return rows.id
    raise NotApplicable("Their dataset has no fixed evaluation set yet; it is made by the first training.")
