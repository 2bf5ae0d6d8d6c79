"""Asking for runs, scorings and comparisons, and the rows that follow a run's job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

from sqlmodel import Session

from core.audit import service as audit
from core.datasets import queries as datasets
from core.datasets.splitting import SplitOptions
from core.datasets.tables import DatasetVersion, EvaluationSet
from core.errors import InvalidInput, InvalidTransition, NotApplicable, NotFound
from core.evaluation import queries as evaluations
from core.evaluation.tables import Task
from core.jobs import service as jobs
from core.jobs.tables import Job, JobState
from core.permissions import Actor, Permission, require
from core.training import queries
from core.training.algorithms import algorithm, parse_parameters, require_task
from core.training.analyses import analysis_kind
from core.training.calibrating import require_calibration, require_rows
from core.training.lifecycle import FINAL, move
from core.training.specification import (
    RunSpec,
    check_features,
    check_folds,
    check_task,
    check_weight_column,
    choose_features,
    infer_task,
)
from core.training.tables import Run, RunState

LARGEST_SEED = 2**32 - 1


def request_run(
    session: Session,
    *,
    spec: RunSpec,
    actor: Actor,
    now: datetime,
    retrained_from_id: int | None = None,
    recalibrated_from_id: int | None = None,
) -> Run:
    """Check a wish for a run against the data it names and put it in the queue.

    The task and the features are worked out here where the wish leaves them open, so that the run's row says what
    will be fitted. Repeating the set-up of ``retrained_from_id`` on another version takes less permission than a free
    choice, so it has to be the same set-up.

    Raises
    ------
    PermissionDenied, NotFound, InvalidInput, SchemaMismatch, NotApplicable
        `NotApplicable` also where the version is quarantined or failed a blocking check.
    InsufficientData
        Too few rows would validate to calibrate on them.
    """
    require(actor, permission_for(retrained_from_id))
    version = datasets.version(session, spec.dataset_version_id)
    label = datasets.version_label(session, spec.dataset_version_id)
    require_usable(session, version, label=label)
    kinds = {column["name"]: column["kind"] for column in version.columns}
    if spec.target not in kinds:
        raise NotFound("column", repr(spec.target), f"{label} has: {', '.join(kinds)}.")
    target = {"target": spec.target, "kind": kinds[spec.target], "n_distinct": _n_distinct(version, spec.target)}
    task = infer_task(**target) if spec.task is None else check_task(Task(spec.task), **target)
    chosen = algorithm(spec.algorithm)
    require_task(chosen, task)
    parameters = parse_parameters(chosen, spec.parameters)
    if not 0 <= spec.seed <= LARGEST_SEED:
        raise InvalidInput(f"The seed was {spec.seed}; expected a whole number from 0 to {LARGEST_SEED:,}.")
    features = spec.features
    if features is None:
        dataset = datasets.dataset(session, version.dataset_id)
        features = choose_features(
            version.columns,
            version.profile,
            target=spec.target,
            time_column=dataset.time_column,
            weight_column=spec.weight_column,
        ).features
    features = check_features(features, version.columns, target=spec.target, label=label)
    if spec.weight_column is not None:
        check_weight_column(
            spec.weight_column, version.columns, version.profile, target=spec.target, features=features, label=label
        )
    if spec.calibration is not None:
        require_calibration(spec.calibration, task)
        require_rows(round(spec.split.validation_share * version.n_rows))

    run = Run(
        dataset_version_id=spec.dataset_version_id,
        split_options=asdict(spec.split),
        target=spec.target,
        task=task,
        features=list(features),
        algorithm=chosen.key,
        parameters=parameters,
        seed=spec.seed,
        weight_column=spec.weight_column,
        calibration=spec.calibration,
        folds=check_folds(spec.folds),
        retrained_from_id=retrained_from_id,
        recalibrated_from_id=recalibrated_from_id,
        requested_by=actor.user_id,
        requested_at=now,
    )
    if retrained_from_id is not None:
        require_same_setup(queries.run(session, retrained_from_id), run)
    session.add(run)
    session.flush()
    assert run.id is not None
    job = jobs.enqueue(
        session,
        kind="train_run",
        payload={"run_id": run.id},
        subject_kind="run",
        subject_id=run.id,
        actor=actor,
        now=now,
    )
    run.job_id = job.id
    record(
        session,
        run=run,
        action="run.requested",
        actor=actor,
        now=now,
        details={"dataset_version": label, "algorithm": run.algorithm, "task": run.task, "target": run.target},
    )
    return run


def request_recalibration(session: Session, *, run_id: int, method: str, actor: Actor, now: datetime) -> Run:
    """Queue a run with everything that a finished run was trained with, and a calibrator behind its estimator.

    Raises
    ------
    PermissionDenied, NotFound, InvalidInput
    NotApplicable
        The run is not finished, predicts a number, or is calibrated that way already; or its data may not be used.
    InsufficientData
        Too few validation rows.
    """
    require(actor, Permission.RUN_START)
    run = require_finished(queries.run(session, run_id))
    require_calibration(method, Task(run.task))
    if run.calibration == method:
        raise NotApplicable(f"Run {run_id} is calibrated by {method} already. Choose another method.")
    return request_run(
        session,
        spec=replace(spec_of(run), calibration=method),
        actor=actor,
        now=now,
        recalibrated_from_id=run_id,
    )


def spec_of(run: Run) -> RunSpec:
    """The wish that a run's row answers: asked for again, it gives the same model."""
    return RunSpec(
        dataset_version_id=run.dataset_version_id,
        target=run.target,
        task=Task(run.task),
        features=tuple(run.features),
        split=SplitOptions(**run.split_options),
        algorithm=run.algorithm,
        parameters=dict(run.parameters),
        seed=run.seed,
        folds=run.folds,
        calibration=run.calibration,
        weight_column=run.weight_column,
    )


def cancel_run(session: Session, *, run_id: int, actor: Actor, now: datetime) -> Run:
    """Ask for a run to stop; a queued one stops at once, a running one within seconds.

    Raises
    ------
    PermissionDenied, NotFound, InvalidTransition
        `InvalidTransition` when it has ended already.
    """
    require(actor, Permission.RUN_CANCEL)
    run = queries.run(session, run_id)
    if RunState(run.state) in FINAL or run.job_id is None:
        raise InvalidTransition("run", run.state, RunState.CANCELLED)
    record(session, run=run, action="run.cancel_requested", actor=actor, now=now)
    jobs.request_cancel(session, job_id=run.job_id, now=now)
    return run


def request_scoring(session: Session, *, run_id: int, evaluation_set_id: int, actor: Actor, now: datetime) -> Job:
    """Put the scoring of a finished run on an evaluation set in the queue.

    Raises
    ------
    PermissionDenied, NotFound, NotApplicable
    """
    require(actor, Permission.RUN_START)
    run = require_finished(queries.run(session, run_id))
    if session.get(EvaluationSet, evaluation_set_id) is None:
        raise NotFound("evaluation set", evaluation_set_id)
    record(
        session,
        run=run,
        action="run.scoring_requested",
        actor=actor,
        now=now,
        details={"evaluation_set_id": evaluation_set_id},
    )
    return jobs.enqueue(
        session,
        kind="score_run",
        payload={"run_id": run_id, "evaluation_set_id": evaluation_set_id},
        subject_kind="run",
        subject_id=run_id,
        actor=actor,
        now=now,
    )


def request_comparison(
    session: Session,
    *,
    baseline_run_id: int,
    candidate_run_ids: Sequence[int],
    actor: Actor,
    now: datetime,
    metric: str | None = None,
    margin: float | None = None,
    evaluation_set_id: int | None = None,
) -> Job:
    """Put the comparison of runs against a baseline in the queue. Whoever may read runs may compare them.

    Raises
    ------
    PermissionDenied, NotFound
    InvalidInput
        No candidate, the baseline among them, or a negative margin.
    NotApplicable
        A run that is not finished, or runs that answer different questions.
    """
    require(actor, Permission.RUN_READ)
    candidates = list(dict.fromkeys(candidate_run_ids))
    if not candidates or baseline_run_id in candidates:
        raise InvalidInput("A comparison needs a baseline and at least one other run.")
    if margin is not None and not margin >= 0:
        raise InvalidInput(f"The margin was {margin}; expected a number of at least 0.")
    baseline = require_finished(queries.run(session, baseline_run_id))
    for run_id in candidates:
        require_same_question(baseline, require_finished(queries.run(session, run_id)))
    if evaluation_set_id is not None and session.get(EvaluationSet, evaluation_set_id) is None:
        raise NotFound("evaluation set", evaluation_set_id)
    record(
        session,
        run=baseline,
        action="run.comparison_requested",
        actor=actor,
        now=now,
        details={"candidate_run_ids": candidates},
    )
    return jobs.enqueue(
        session,
        kind="compare_runs",
        payload={
            "baseline_run_id": baseline_run_id,
            "candidate_run_ids": candidates,
            "metric": metric,
            "margin": margin,
            "evaluation_set_id": evaluation_set_id,
        },
        subject_kind="run",
        subject_id=baseline_run_id,
        actor=actor,
        now=now,
    )


def request_analysis(
    session: Session,
    *,
    run_id: int,
    evaluation_id: int,
    kind: str,
    options: Mapping[str, Any],
    actor: Actor,
    now: datetime,
) -> Job:
    """Put an analysis of one of a run's evaluations in the queue. Whoever may read runs may have them analysed.

    Raises
    ------
    PermissionDenied, NotFound
    NotApplicable
        The analysis is not for the run's task, or the evaluation is of another run.
    """
    require(actor, Permission.RUN_READ)
    run = require_finished(queries.run(session, run_id))
    wanted = analysis_kind(kind, run.task)
    if evaluations.evaluation(session, evaluation_id).run_id != run_id:
        raise NotApplicable(f"Evaluation {evaluation_id} is not of run {run_id}; choose one of its own.")
    record(
        session,
        run=run,
        action="run.analysis_requested",
        actor=actor,
        now=now,
        details={"evaluation_id": evaluation_id, "kind": wanted.key},
    )
    return jobs.enqueue(
        session,
        kind="analyse_run",
        payload={"run_id": run_id, "evaluation_id": evaluation_id, "kind": wanted.key, "options": dict(options)},
        subject_kind="run",
        subject_id=run_id,
        actor=actor,
        now=now,
    )


def follow_job(session: Session, *, job: Job, now: datetime) -> None:
    """Move the run whose training this job is to where the job is; a job's failure is the run's error."""
    run = queries.run(session, job.payload["run_id"])
    wanted = STATE_OF_JOB[JobState(job.state)]
    if run.state == wanted:
        return
    run.state = move(run.state, wanted)
    if wanted == RunState.RUNNING:
        run.started_at = now
    if wanted in FINAL:
        run.finished_at = now
        run.error = job.error
        actor = Actor(user_id=job.actor_id, name=job.actor_name, roles=frozenset(), via="job")
        details = {"error": job.error} if job.error else {}
        record(session, run=run, action=f"run.{wanted}", actor=actor, now=now, details=details)
    session.add(run)


def finish(session: Session, *, run_id: int, result: dict[str, Any], actor: Actor, now: datetime) -> Run:
    """Write what a training gave into its run's row: field names of `Run` to values."""
    run = queries.run(session, run_id)
    run.state = move(run.state, RunState.FINISHED)
    run.finished_at = now
    run.error = None
    for name, value in result.items():
        setattr(run, name, value)
    session.add(run)
    record(
        session,
        run=run,
        action="run.finished",
        actor=actor,
        now=now,
        details={"model_sha256": run.model_sha256, "n_train": run.n_train, "n_excluded": run.n_excluded},
    )
    return run


def require_usable(session: Session, version: DatasetVersion, *, label: str) -> None:
    """Refuse to train on a version that is quarantined or failed a blocking check.

    Raises
    ------
    NotApplicable
    """
    assert version.id is not None
    if version.quarantined_at is not None:
        raise NotApplicable(
            f"{label} is in quarantine since {version.quarantined_at:%d %B %Y}: {version.quarantine_reason} "
            "Nothing can be trained on it; choose another version."
        )
    failed = datasets.blocking(session, version.id)
    if failed:
        raise NotApplicable(f"{label} failed a blocking check: {' '.join(failed)} Upload a corrected version.")


def permission_for(retrained_from_id: int | None) -> Permission:
    """Say what a run takes: repeating a set-up on newer data, or a free choice."""
    return Permission.RUN_START if retrained_from_id is None else Permission.RUN_RETRAIN


def require_same_setup(before: Run, after: Run) -> None:
    """Refuse a retraining that changes more than the data.

    Raises
    ------
    InvalidInput
        Names what differs.
    """
    kept = ("target", "task", "features", "algorithm", "seed", "weight_column", "calibration", "folds")
    differing = [name for name in kept if getattr(before, name) != getattr(after, name)]
    # A parameter that came with newer code has its default in the later run only.
    differing += [
        name
        for name in ("parameters", "split_options")
        if any(getattr(after, name).get(key) != value for key, value in getattr(before, name).items())
    ]
    if differing:
        raise InvalidInput(
            f"A retraining repeats run {before.id} on other data, but {', '.join(differing)} differ. Start a new run."
        )


def require_finished(run: Run) -> Run:
    """Refuse a run that has no model.

    Raises
    ------
    NotApplicable
    """
    if run.state != RunState.FINISHED or run.model_sha256 is None:
        raise NotApplicable(f"Run {run.id} is {run.state}, not finished: it has no model to score.")
    return run


def require_same_question(baseline: Run, candidate: Run) -> None:
    """Refuse to compare runs that predict different things.

    Raises
    ------
    NotApplicable
    """
    if (baseline.task, baseline.target) != (candidate.task, candidate.target):
        raise NotApplicable(
            f"Run {baseline.id} predicts {baseline.target!r} ({baseline.task}) and run {candidate.id} predicts "
            f"{candidate.target!r} ({candidate.task}); only runs that answer the same question can be compared."
        )


def record(
    session: Session, *, run: Run, action: str, actor: Actor, now: datetime, details: dict[str, Any] | None = None
) -> None:
    """Append an audit event about a run."""
    assert run.id is not None
    audit.record(
        session,
        actor=actor,
        action=action,
        subject_kind="run",
        subject_id=run.id,
        subject_label=f"run {run.id}",
        now=now,
        details=details,
    )


STATE_OF_JOB: dict[JobState, RunState] = {
    JobState.QUEUED: RunState.QUEUED,
    JobState.RUNNING: RunState.RUNNING,
    JobState.FAILED: RunState.FAILED,
    JobState.CANCELLED: RunState.CANCELLED,
}


def _n_distinct(version: DatasetVersion, column: str) -> int:
    for entry in version.profile.get("columns", []):
        if entry["name"] == column:
            return int(entry["n_distinct"])
    raise NotFound("profile of column", repr(column), "Read the dataset version again.")
