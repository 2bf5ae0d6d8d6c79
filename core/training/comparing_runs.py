"""Comparing two runs on one evaluation set, scoring what is not scored yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

import numpy as np
from sqlmodel import Session

from core.datasets import queries as datasets
from core.datasets.tables import EvaluationSet
from core.errors import NotApplicable, NotFound
from core.evaluation import comparing
from core.evaluation import queries as evaluations
from core.evaluation import service as evaluation_service
from core.evaluation.metrics import metric as metric_entry
from core.evaluation.metrics import primary_metric
from core.evaluation.paired_tests import entry_of
from core.evaluation.tables import Comparison, Task
from core.statistics.intervals import CONFIDENCE
from core.statistics.paired import corrected_resampled_t
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
    n_candidates: int = 1,
) -> Comparison:
    """Compare a candidate with a baseline, row by row; each write is a transaction of its own.

    Rows that either run was trained on are left out and counted. The same comparison is computed once: asked for again
    it gives the row that is there.

    Parameters
    ----------
    evaluation_set_id : int, optional
        The fixed set of the dataset both were trained on, when None.
    metric : str, optional
        The task's primary metric when None.
    margin : float, optional
        How much worse still counts as not worse, in the metric's unit; the metric's default when None.
    n_candidates : int
        How many candidates are tried against the baseline, this one among them.

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
        costs = _costs(session, chosen_set)
    before = evaluate(workspace, run_id=baseline_run_id, evaluation_set_id=chosen_set, now=now)
    after = evaluate(workspace, run_id=candidate_run_id, evaluation_set_id=chosen_set, now=now)
    assert before.id is not None
    assert after.id is not None
    key = metric or primary_metric(Task(baseline.task))
    baseline_rows = evaluations.load_predictions(workspace.artifacts, before)
    candidate_rows = evaluations.load_predictions(workspace.artifacts, after)
    with workspace.read() as session:
        found = evaluations.comparison_of(
            session,
            baseline_evaluation_id=before.id,
            candidate_evaluation_id=after.id,
            metric=key,
            margin=comparing.absolute_margin(baseline_rows, candidate_rows, metric=key, margin=margin, costs=costs),
            n_candidates=n_candidates,
        )
    if found is not None:
        return found
    # What one of them was trained on is not among its own predictions, so only rows neither has seen are compared.
    result = comparing.compare(
        baseline_rows,
        candidate_rows,
        metric=key,
        margin=margin,
        costs=costs,
        n_candidates=n_candidates,
        rng=np.random.default_rng(0),
    )
    folds = compare_folds(baseline.cross_validation, candidate.cross_validation, metric=key, n_candidates=n_candidates)
    result = replace(
        result,
        n_left_out=before.n_rows + before.n_left_out - result.n_rows,
        tests=[*result.tests, *([] if folds is None else [folds])],
    )
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


def compare_folds(
    baseline: Mapping[str, Any] | None, candidate: Mapping[str, Any] | None, *, metric: str, n_candidates: int = 1
) -> dict[str, Any] | None:
    """Compare two ways of training fold by fold, where both were cross-validated on the same folds.

    Speaks of models trained anew on other rows; every other test speaks of these two models alone.

    Parameters
    ----------
    baseline, candidate : mapping or None
        As `Run.cross_validation` holds it: ``folds``, ``metrics`` (key to one value per fold), ``n_train`` and
        ``n_test`` (one per fold) and ``assignment``.

    Returns
    -------
    dict or None
        One entry of `PairedResult.tests`; None where either has no folds, they are not the same, or the metric is not
        known for each.
    """
    if baseline is None or candidate is None or baseline["assignment"] != candidate["assignment"]:
        return None
    before, after = baseline["metrics"].get(metric), candidate["metrics"].get(metric)
    if before is None or after is None or len(before) != len(after) or len(before) < 2:
        return None
    found = corrected_resampled_t(
        np.subtract(after, before),
        baseline["n_train"],
        baseline["n_test"],
        confidence_level=1 - (1 - CONFIDENCE) / n_candidates,
    )
    entry = entry_of(found, note=f"{len(before)} folds")
    return comparing.turned(entry, greater_is_better=metric_entry(metric).greater_is_better)


def _costs(session: Session, evaluation_set_id: int) -> dict[str, Any] | None:
    rows = session.get(EvaluationSet, evaluation_set_id)
    if rows is None:
        raise NotFound("evaluation set", evaluation_set_id)
    version = datasets.version(session, rows.version_id)
    return datasets.dataset(session, version.dataset_id).costs


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
