"""Reading runs: one, its whole record, and lists of thousands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, and_, case, func, or_
from sqlalchemy.orm import aliased
from sqlmodel import Session, col, select

from core.access.tables import User
from core.datasets import queries as datasets
from core.datasets.tables import Dataset, DatasetVersion, EvaluationSet, Split
from core.errors import NotFound
from core.evaluation.tables import Evaluation, MetricValue, Task
from core.jobs.tables import Job
from core.training.tables import Run

FIXED = "fixed"
FEW = 1_000
PRIMARY: dict[Task, str] = {Task.BINARY: "roc_auc", Task.MULTICLASS: "accuracy", Task.REGRESSION: "rmse"}


@dataclass(frozen=True)
class RunRow:
    """One line of the table of runs.

    Parameters
    ----------
    primary_key : str
        The task's primary metric, or the metric the list is sorted by.
    primary_value, primary_low, primary_high : float or None
        That metric on the dataset's fixed evaluation set, with its 95 % interval; None until scored.
    duration_s : float or None
        From start to end; None before the end.
    progress : float
        0 to 1.
    """

    id: int
    dataset_id: int
    dataset_label: str
    dataset_version_id: int
    target: str
    task: str
    algorithm: str
    state: str
    primary_key: str
    primary_value: float | None
    primary_low: float | None
    primary_high: float | None
    requested_by: str
    requested_at: datetime
    duration_s: float | None
    progress: float
    retrained_from_id: int | None


@dataclass(frozen=True)
class ScoredOn:
    """A run's evaluation with its metrics and the set it was made on."""

    evaluation: Evaluation
    evaluation_set: EvaluationSet
    set_label: str
    metrics: dict[str, MetricValue]


@dataclass(frozen=True)
class RunRecord:
    """Everything kept about a run: enough to do it again and to judge it."""

    run: Run
    version_label: str
    requested_by: str
    split: Split | None
    evaluations: tuple[ScoredOn, ...]
    job: Job | None


def run(session: Session, run_id: int) -> Run:
    """Look a run up.

    Raises
    ------
    NotFound
    """
    found = session.get(Run, run_id)
    if found is None:
        raise NotFound("run", run_id, "List the runs to see which there are.")
    return found


def list_runs(
    session: Session,
    *,
    limit: int,
    before_id: int | None = None,
    state: str | None = None,
    dataset_id: int | None = None,
    algorithm: str | None = None,
    sort_metric: str | None = None,
) -> list[RunRow]:
    """One page of runs, newest first, or best first by a metric.

    Parameters
    ----------
    limit : int
        Rows of a page.
    before_id : int, optional
        The last run of the page before.
    sort_metric : str, optional
        A key of `core.evaluation.metrics.METRICS`. The page then holds runs with that metric on their dataset's fixed
        evaluation set, best first within each dataset, the newest dataset first: values on different evaluation sets
        are not ranked together.
    """
    value = aliased(MetricValue)
    evaluation = aliased(Evaluation)
    fixed = aliased(EvaluationSet)
    key: Any = sort_metric if sort_metric is not None else _primary_key()
    statement: Select[Any] = (
        select(  # type: ignore[call-overload]
            col(Run.id),
            col(Dataset.id).label("dataset_id"),
            col(Dataset.name),
            col(DatasetVersion.number),
            col(Run.dataset_version_id),
            col(Run.target),
            col(Run.task),
            col(Run.algorithm),
            col(Run.state),
            col(value.value),
            col(value.low),
            col(value.high),
            col(User.name).label("user_name"),
            col(Run.requested_at),
            col(Run.started_at),
            col(Run.finished_at),
            col(Job.progress),
            col(Run.retrained_from_id),
        )
        .join(DatasetVersion, col(DatasetVersion.id) == col(Run.dataset_version_id))
        .join(Dataset, col(Dataset.id) == col(DatasetVersion.dataset_id))
        .outerjoin(User, col(User.id) == col(Run.requested_by))
        .outerjoin(Job, col(Job.id) == col(Run.job_id))
        .outerjoin(fixed, and_(col(fixed.dataset_id) == col(Dataset.id), col(fixed.kind) == FIXED))
        .outerjoin(
            evaluation, and_(col(evaluation.run_id) == col(Run.id), col(evaluation.evaluation_set_id) == col(fixed.id))
        )
        .outerjoin(value, and_(col(value.evaluation_id) == col(evaluation.id), col(value.key) == key))
    )
    statement = _filtered(statement, state=state, dataset_id=dataset_id, algorithm=algorithm)
    if sort_metric is None:
        if before_id is not None:
            statement = statement.where(col(Run.id) < before_id)
        rows = session.execute(statement.order_by(col(Run.id).desc()).limit(limit)).all()
        return [_row(row, None) for row in rows]
    ranked = _ranked(
        session,
        key=sort_metric,
        limit=limit,
        before_id=before_id,
        state=state,
        dataset_id=dataset_id,
        algorithm=algorithm,
    )
    by_id = {row.id: row for row in session.execute(statement.where(col(Run.id).in_(ranked)))}
    return [_row(by_id[run_id], sort_metric) for run_id in ranked]


def count_runs(
    session: Session, *, state: str | None = None, dataset_id: int | None = None, algorithm: str | None = None
) -> int:
    """How many runs there are of this state, dataset and algorithm."""
    statement: Select[Any] = select(func.count(col(Run.id)))
    if dataset_id is not None:
        statement = statement.join(DatasetVersion, col(DatasetVersion.id) == col(Run.dataset_version_id))
    statement = _filtered(statement, state=state, dataset_id=dataset_id, algorithm=algorithm)
    return int(session.execute(statement).scalar_one())


def run_record(session: Session, run_id: int) -> RunRecord:
    """Everything kept about a run.

    Raises
    ------
    NotFound
    """
    found = run(session, run_id)
    user = session.get(User, found.requested_by) if found.requested_by is not None else None
    return RunRecord(
        run=found,
        version_label=datasets.version_label(session, found.dataset_version_id),
        requested_by=user.name if user else "",
        split=session.get(Split, found.split_id) if found.split_id is not None else None,
        evaluations=tuple(_scored_on(session, run_id)),
        job=session.get(Job, found.job_id) if found.job_id is not None else None,
    )


def fixed_metric(session: Session, run_id: int, key: str) -> MetricValue | None:
    """A run's metric on the fixed evaluation set; None where it has none."""
    query = (
        select(MetricValue)
        .join(Evaluation, col(Evaluation.id) == col(MetricValue.evaluation_id))
        .join(EvaluationSet, col(EvaluationSet.id) == col(Evaluation.evaluation_set_id))
        .where(Evaluation.run_id == run_id, MetricValue.key == key, EvaluationSet.kind == FIXED)
    )
    return session.exec(query).first()


def run_records(session: Session, run_ids: Sequence[int]) -> list[RunRecord]:
    """Everything kept about several runs, in the order asked for; as many queries for twenty as for two.

    Raises
    ------
    NotFound
        Names the first run that is not there.
    """
    runs = {one.id: one for one in session.exec(select(Run).where(col(Run.id).in_(run_ids)))}
    for run_id in run_ids:
        if run_id not in runs:
            raise NotFound("run", run_id, "List the runs to see which there are.")
    scored = session.exec(
        select(Evaluation, EvaluationSet)
        .join(EvaluationSet, col(EvaluationSet.id) == col(Evaluation.evaluation_set_id))
        .where(col(Evaluation.run_id).in_(run_ids))
        .order_by(col(EvaluationSet.id))
    ).all()
    metrics: dict[int, dict[str, MetricValue]] = {evaluation.id or 0: {} for evaluation, _ in scored}
    for value in session.exec(select(MetricValue).where(col(MetricValue.evaluation_id).in_(list(metrics)))):
        metrics[value.evaluation_id][value.key] = value
    version_ids = {one.dataset_version_id for one in runs.values()} | {rows.version_id for _, rows in scored}
    labels = {
        version_id: f"{name} v{number}"
        for version_id, name, number in session.exec(
            select(DatasetVersion.id, Dataset.name, DatasetVersion.number)
            .join(Dataset, col(Dataset.id) == col(DatasetVersion.dataset_id))
            .where(col(DatasetVersion.id).in_(version_ids))
        )
    }
    users = {one.id: one.name for one in _those(session, User, {one.requested_by for one in runs.values()})}
    splits = {one.id: one for one in _those(session, Split, {one.split_id for one in runs.values()})}
    jobs = {one.id: one for one in _those(session, Job, {one.job_id for one in runs.values()})}
    evaluations: dict[int, list[ScoredOn]] = {run_id: [] for run_id in run_ids}
    for evaluation, rows in scored:
        label = f"{rows.kind} ({labels[rows.version_id]})"
        evaluations[evaluation.run_id].append(ScoredOn(evaluation, rows, label, metrics[evaluation.id or 0]))
    return [
        RunRecord(
            run=(found := runs[run_id]),
            version_label=labels[found.dataset_version_id],
            requested_by=users.get(found.requested_by, ""),
            split=splits.get(found.split_id),
            evaluations=tuple(evaluations[run_id]),
            job=jobs.get(found.job_id),
        )
        for run_id in run_ids
    ]


def _those(session: Session, table: Any, ids: set[int | None]) -> list[Any]:
    return list(session.exec(select(table).where(col(table.id).in_([one for one in ids if one is not None]))))


def runs_of_versions(session: Session, version_ids: Sequence[int]) -> list[Run]:
    """The runs trained on any of these dataset versions, newest first."""
    return list(
        session.exec(select(Run).where(col(Run.dataset_version_id).in_(version_ids)).order_by(col(Run.id).desc())).all()
    )


def recalibrations(session: Session, run_id: int) -> list[Run]:
    """The runs that repeat a run with a calibrator and have not failed, oldest first."""
    made = select(Run).where(Run.recalibrated_from_id == run_id, col(Run.state).not_in(["failed", "cancelled"]))
    return list(session.exec(made.order_by(col(Run.id))).all())


def _scored_on(session: Session, run_id: int) -> list[ScoredOn]:
    pairs = session.exec(
        select(Evaluation, EvaluationSet)
        .join(EvaluationSet, col(EvaluationSet.id) == col(Evaluation.evaluation_set_id))
        .where(col(Evaluation.run_id) == run_id)
        .order_by(col(EvaluationSet.id))
    ).all()
    metrics: dict[int, dict[str, MetricValue]] = {evaluation.id or 0: {} for evaluation, _ in pairs}
    for value in session.exec(select(MetricValue).where(col(MetricValue.evaluation_id).in_(list(metrics)))):
        metrics[value.evaluation_id][value.key] = value
    return [
        ScoredOn(
            evaluation,
            rows,
            f"{rows.kind} ({datasets.version_label(session, rows.version_id)})",
            metrics[evaluation.id or 0],
        )
        for evaluation, rows in pairs
    ]


def _ranked(
    session: Session,
    *,
    key: str,
    limit: int,
    before_id: int | None,
    state: str | None,
    dataset_id: int | None,
    algorithm: str | None,
) -> list[int]:
    """The runs of one page, best first within each dataset, read off an index set by set until the page is full."""
    greater_is_better = _greater_is_better(key)
    last = _place(session, before_id, key) if before_id is not None else None
    if before_id is not None and last is None:
        return []
    value, run_id = col(MetricValue.value), col(Evaluation.run_id)
    sets = select(EvaluationSet).where(EvaluationSet.kind == FIXED).order_by(col(EvaluationSet.dataset_id).desc())
    if dataset_id is not None:
        sets = sets.where(EvaluationSet.dataset_id == dataset_id)
    if last is not None:
        sets = sets.where(EvaluationSet.dataset_id <= last[0])
    found: list[int] = []
    for fixed in session.exec(sets).all():
        statement: Select[Any] = (
            select(run_id)
            .select_from(MetricValue)
            .join(Evaluation, col(Evaluation.id) == col(MetricValue.evaluation_id))
            .join(Run, col(Run.id) == run_id)
            .join(DatasetVersion, col(DatasetVersion.id) == col(Run.dataset_version_id))
            .where(MetricValue.key == key, DatasetVersion.dataset_id == fixed.dataset_id)
        )
        statement = _filtered(statement, state=state, dataset_id=None, algorithm=algorithm)
        scored = select(Evaluation.id).where(Evaluation.evaluation_set_id == fixed.id)
        if session.execute(select(func.count()).select_from(scored.limit(FEW).subquery())).scalar_one() < FEW:
            statement = statement.where(col(MetricValue.evaluation_id).in_(scored))
        else:
            # The sum keeps SQLite from sorting the whole set: the values come in order off ix_metric_value_rank.
            statement = statement.where(col(Evaluation.evaluation_set_id) + 0 == fixed.id)
        if last is not None and fixed.dataset_id == last[0]:
            worse = value < last[1] if greater_is_better else value > last[1]
            statement = statement.where(or_(worse, and_(value == last[1], run_id < before_id)))
        statement = statement.order_by(value.desc() if greater_is_better else value.asc(), run_id.desc())
        found += session.execute(statement.limit(limit - len(found))).scalars()
        if len(found) >= limit:
            break
    return found


def _filtered(
    statement: Select[Any], *, state: str | None, dataset_id: int | None, algorithm: str | None
) -> Select[Any]:
    if state is not None:
        statement = statement.where(col(Run.state) == state)
    if dataset_id is not None:
        statement = statement.where(col(DatasetVersion.dataset_id) == dataset_id)
    if algorithm is not None:
        statement = statement.where(col(Run.algorithm) == algorithm)
    return statement


def _primary_key() -> Any:
    return case({task.value: key for task, key in PRIMARY.items()}, value=col(Run.task))


def _greater_is_better(key: str) -> bool:
    from core.evaluation.metrics import METRICS

    if key not in METRICS:
        raise NotFound("metric", repr(key), f"Choose one of: {', '.join(METRICS)}.")
    return bool(METRICS[key].greater_is_better)


def _place(session: Session, run_id: int, key: str) -> tuple[int, float] | None:
    found = session.execute(
        select(col(EvaluationSet.dataset_id), col(MetricValue.value))
        .join(Evaluation, col(Evaluation.id) == col(MetricValue.evaluation_id))
        .join(EvaluationSet, col(EvaluationSet.id) == col(Evaluation.evaluation_set_id))
        .where(Evaluation.run_id == run_id, MetricValue.key == key, EvaluationSet.kind == FIXED)
    ).first()
    return (found[0], found[1]) if found else None


def _row(row: Any, sort_metric: str | None) -> RunRow:
    duration = None
    if row.started_at is not None and row.finished_at is not None:
        duration = (row.finished_at - row.started_at).total_seconds()
    return RunRow(
        id=row.id,
        dataset_id=row.dataset_id,
        dataset_label=f"{row.name} v{row.number}",
        dataset_version_id=row.dataset_version_id,
        target=row.target,
        task=row.task,
        algorithm=row.algorithm,
        state=row.state,
        primary_key=sort_metric or PRIMARY[Task(row.task)],
        primary_value=row.value,
        primary_low=row.low,
        primary_high=row.high,
        requested_by=row.user_name or "",
        requested_at=row.requested_at,
        duration_s=duration,
        progress=row.progress or 0.0,
        retrained_from_id=row.retrained_from_id,
    )
