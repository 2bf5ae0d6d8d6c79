"""The job that trains a run: load, split, fit, score, explain, record."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from sqlmodel import Session

from core.datasets import queries as datasets
from core.datasets import splits
from core.datasets.splitting import Part, SplitOptions
from core.datasets.tables import DatasetVersion, EvaluationSet, Split
from core.errors import InsufficientData, InvalidInput, LifecycleError, NotApplicable, SchemaMismatch
from core.evaluation.predictions import Predictions, to_parquet
from core.evaluation.service import record_analysis
from core.evaluation.tables import Task
from core.jobs.context import JobContext
from core.jobs.tables import Job
from core.permissions import Permission, require
from core.training import model_files, queries
from core.training.analyses import automatic
from core.training.analysing import Material, analyse
from core.training.cross_validation import cross_validate, make_folds
from core.training.fitting import Fit, fit, row_weights, target_values
from core.training.frames import frame_from_table
from core.training.importance import permutation_importance
from core.training.latency import measure_latency
from core.training.provenance import code_version, package_versions
from core.training.scoring import ScoredSet, record_scored, score_model
from core.training.service import finish, follow_job, permission_for, require_usable
from core.training.tables import Run
from core.workspace import Workspace


def settle(session: Session, job: Job, now: datetime) -> None:
    """Let the run follow its job."""
    follow_job(session, job=job, now=now)


def train_run(workspace: Workspace, context: JobContext) -> None:
    """Train the run ``run_id``; its row, its evaluations and the job's success commit together."""
    require(context.actor, Permission.RUN_RETRAIN)  # the least any run takes
    run_id: int = context.payload["run_id"]
    context.report(0.0, "loading")
    with workspace.read() as session:
        run = queries.run(session, run_id)
        require(context.actor, permission_for(run.retrained_from_id))
        version = datasets.version(session, run.dataset_version_id)
        label = datasets.version_label(session, run.dataset_version_id)
        require_usable(session, version, label=label)
        costs = datasets.dataset(session, version.dataset_id).costs
    table = datasets.read_table(workspace.artifacts, version, columns=_columns(run))
    context.log(f"Loaded {label}: {table.num_rows:,} rows, {len(run.features)} features, target {run.target!r}.")

    context.check_cancelled()
    context.report(0.1, "splitting")
    split, sets = splits.ensure_split(
        workspace, version_id=run.dataset_version_id, options=SplitOptions(**run.split_options), now=context.now()
    )
    parts = splits.assignment(workspace.artifacts, split)
    context.log(
        f"Split: {split.n_train:,} rows to train, {split.n_validation:,} to validate, {split.n_test:,} to test; "
        f"{split.n_excluded:,} kept out because they are evaluation rows or copies of them."
    )

    context.check_cancelled()
    context.report(0.2, "fitting")
    validation_rows = table.filter(pa.array(parts == Part.VALIDATION))
    fitted = _fit(run, version, table.filter(pa.array(parts == Part.TRAIN)), validation_rows)
    weighted = f", weighted by {run.weight_column!r}" if run.weight_column else ""
    context.log(f"Fitted {run.algorithm} on {fitted.n_train:,} rows{weighted}.")
    if run.calibration:
        context.log(f"Calibrated its scores by {run.calibration} on the validation rows.")
    if fitted.n_without_target:
        context.log(f"{fitted.n_without_target:,} training rows have no target and were left out.")
    for note in fitted.notes:
        context.log(note)
    model = workspace.artifacts.put_bytes(model_files.save(fitted.model.pipeline))

    context.check_cancelled()
    cross_validation = _cross_validation(context, run, version, table, parts, costs)

    context.check_cancelled()
    context.report(0.6, "scoring")
    scored = _score(workspace, context, run=run, version=version, split=split, sets=sets, fitted=fitted, costs=costs)

    context.check_cancelled()
    validation = _validation(run, fitted, table, parts)
    importance = _importance(context, run, fitted, validation_rows)
    run.importance = importance  # not yet written down, but analyses begin with what matters most

    context.check_cancelled()
    context.report(0.9, "analysing")
    analyses = _analyses(
        workspace, context, run=run, version=version, split=split, sets=sets, fitted=fitted, scored=scored,
        validation=validation,
    )  # fmt: skip

    context.check_cancelled()
    context.report(0.95, "measuring how long an answer takes")
    latency = measure_latency(fitted.model, table.filter(pa.array(parts == Part.TRAIN)).slice(0, 1000))

    with context.record() as session:
        now = context.now()
        finish(
            session,
            run_id=run_id,
            result={
                "split_id": split.id,
                "code_version": code_version(),
                "package_versions": package_versions(),
                "model_sha256": model.sha256,
                "model_size_bytes": model.size_bytes,
                "signature": dict(fitted.model.signature),
                "dummy": fitted.dummy,
                "importance": importance,
                "cross_validation": cross_validation,
                "latency": latency,
                "validation_sha256": None
                if validation is None
                else workspace.artifacts.put_bytes(to_parquet(validation)).sha256,
                "n_train": fitted.n_train,
                "n_excluded": split.n_excluded + fitted.n_without_target,
            },
            actor=context.actor,
            now=now,
        )
        for evaluation_set_id, scored_set in scored.items():
            evaluation = record_scored(
                session, run_id=run_id, evaluation_set_id=evaluation_set_id, scored=scored_set, now=now
            )
            assert evaluation.id is not None
            for kind, result in analyses.get(evaluation_set_id, {}).items():
                record_analysis(session, evaluation_id=evaluation.id, kind=kind, options={}, result=result, now=now)
        context.log("Finished.")
        context.result = {"run_id": run_id, "model_sha256": model.sha256}


def _columns(run: Run) -> list[str]:
    """What of its version a run reads."""
    wanted = [*run.features, run.target, run.weight_column]
    if run.folds:
        wanted.append(run.split_options.get("column"))  # by whose moments folds are chained
    return [name for name in dict.fromkeys(wanted) if name]


def _fit(run: Run, version: DatasetVersion, table: pa.Table, calibration_table: pa.Table | None) -> Fit:
    kinds = {column["name"]: column["kind"] for column in version.columns}
    return fit(
        table,
        task=Task(run.task),
        target=run.target,
        features=[(name, kinds[name]) for name in run.features],
        algorithm_key=run.algorithm,
        parameters=run.parameters,
        seed=run.seed,
        weight_column=run.weight_column,
        calibration=run.calibration,
        calibration_table=calibration_table,
    )


def _cross_validation(
    context: JobContext,
    run: Run,
    version: DatasetVersion,
    table: pa.Table,
    parts: NDArray[np.uint8],
    costs: Mapping[str, Any] | None,
) -> dict[str, Any] | None:
    """The figures of the run's folds; None where it has none, or they could not be worked out."""
    if not run.folds:
        return None

    def on_fold(position: int) -> None:
        context.check_cancelled()
        context.report(0.3 + 0.3 * position / run.folds, f"cross-validating: fold {position + 1} of {run.folds}")

    task, options = Task(run.task), SplitOptions(**run.split_options)
    try:
        folds = make_folds(parts, table, task=task, target=run.target, split=options, n_folds=run.folds)
        found = cross_validate(
            folds,
            parts,
            table,
            fit_on=lambda training, aside: _fit(run, version, training, aside),
            task=task,
            target=run.target,
            split=options,
            content_hash=version.content_hash,
            calibrated=run.calibration is not None,
            weight_column=run.weight_column,
            costs=costs,
            on_fold=on_fold,
        )
    except (InvalidInput, NotApplicable) as refusal:
        # The model is good without it; what is missing is evidence, and stays visible as missing.
        context.log(f"Not cross-validated: {refusal}")
        return None
    context.log(f"Cross-validated in {run.folds} folds of the training and validation rows.")
    return found


def _score(
    workspace: Workspace,
    context: JobContext,
    *,
    run: Run,
    version: DatasetVersion,
    split: Split,
    sets: tuple[EvaluationSet, ...],
    fitted: Fit,
    costs: Mapping[str, Any] | None,
) -> dict[int, ScoredSet]:
    scored: dict[int, ScoredSet] = {}
    for evaluation_set in sets:
        assert evaluation_set.id is not None
        with workspace.read() as session:
            set_version = datasets.version(session, evaluation_set.version_id)
        try:
            result = score_model(
                workspace.artifacts,
                model=fitted.model,
                evaluation_set=evaluation_set,
                set_version=set_version,
                trained_version=version,
                split=split,
                weight_column=run.weight_column,
                costs=costs,
            )
        except (SchemaMismatch, InsufficientData) as refusal:
            # The model is good for its own data; what is missing is evidence, and stays visible as missing.
            context.log(f"Not scored on the {evaluation_set.kind} evaluation set: {refusal}")
            continue
        scored[evaluation_set.id] = result
        left_out = f"; {result.n_left_out:,} trained on were left out" if result.n_left_out else ""
        context.log(
            f"Scored on the {evaluation_set.kind} evaluation set: {len(result.predictions.ordinals):,} rows{left_out}."
        )
    return scored


def _validation(run: Run, fitted: Fit, table: pa.Table, parts: NDArray[np.uint8]) -> Predictions | None:
    """Predict the validation part, which thresholds are chosen on; None where no row of it has a target and counts."""
    ordinals = np.flatnonzero(parts == Part.VALIDATION)
    rows = table.take(pa.array(ordinals))
    y_true, labelled = target_values(rows, task=Task(run.task), target=run.target)
    if not labelled.any():
        return None
    rows = rows.filter(pa.array(labelled))
    weights = row_weights(rows, run.weight_column)
    if weights is not None and not weights.any():
        return None
    labels, scores = fitted.model.predict_table(rows)
    return Predictions(
        task=Task(run.task),
        ordinals=ordinals[labelled],
        y_true=y_true[labelled],
        y_pred=labels,
        scores=scores,
        classes=fitted.model.classes,
        sample_weight=weights,
    )


def _analyses(
    workspace: Workspace,
    context: JobContext,
    *,
    run: Run,
    version: DatasetVersion,
    split: Split,
    sets: tuple[EvaluationSet, ...],
    fitted: Fit,
    scored: dict[int, ScoredSet],
    validation: Predictions | None,
) -> dict[int, dict[str, dict[str, Any]]]:
    """Work out, on the fixed evaluation set, what every training works out: set id -> kind -> document."""
    fixed = next((rows for rows in sets if rows.kind == splits.FIXED and rows.id in scored), None)
    if fixed is None or fixed.id is None:
        return {}
    with workspace.read() as session:
        set_version = datasets.version(session, fixed.version_id)
        dataset = datasets.dataset(session, version.dataset_id)
    material = Material(
        store=workspace.artifacts,
        run=run,
        dataset=dataset,
        set_version=set_version,
        trained_version=version,
        split=split,
        predictions=scored[fixed.id].predictions,
        validation=validation,
        load=lambda: fitted.model,
    )
    found: dict[str, dict[str, Any]] = {}
    for kind in automatic(run.task):
        context.report(0.9, f"analysing: {kind.title.lower()}")
        try:
            found[kind.key] = analyse(kind, material, {})
        except LifecycleError as refusal:
            # The run is good without it; what could not be worked out stays visible as missing.
            context.log(f"{kind.title} could not be worked out: {refusal}")
    return {fixed.id: found}


def _importance(context: JobContext, run: Run, fitted: Fit, table: pa.Table) -> dict[str, Any] | None:
    task = Task(run.task)
    y_true, labelled = target_values(table, task=task, target=run.target)
    frame = frame_from_table(table.filter(pa.array(labelled)), fitted.model.signature["features"])

    def on_feature(position: int) -> None:
        context.report(0.7 + 0.2 * position / len(frame.columns), "importance")

    found = permutation_importance(
        fitted.model, frame, y_true[labelled], rng=np.random.default_rng(run.seed), on_feature=on_feature
    )
    if found is None:
        context.log("Too few validation rows to measure which features matter.")
    else:
        context.log(f"Measured which features matter on {found['rows']:,} validation rows.")
    return found
