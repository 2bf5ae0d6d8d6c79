"""Reads of monitors by health, and of the batches added to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session, col, func, select

from core.datasets import queries as datasets
from core.datasets.tables import Upload
from core.errors import NotFound
from core.jobs.tables import Job, JobState
from core.monitoring.tables import Alert, AlertState, Batch, BatchState, Monitor, WindowState
from core.monitoring.window_queries import newest_windows, state_sentence
from core.registry.queries import version_labels
from core.registry.tables import Deployment, ModelVersion, RegisteredModel
from core.serving.queries import last_predictions_at


@dataclass(frozen=True)
class MonitorRow:
    """One monitor as lists show it.

    Parameters
    ----------
    id, model_id, model_name, environment, alias
    version_label : str or None
        What is live now, "income v3"; None when nothing is.
    live_since : datetime or None
    state : str
        A `WindowState` of the newest window with enough data, else of the newest, or "no_data".
    sentence : str
        The state in words, and what there is of a newer window without enough data.
    n_drifted, n_features : int
        Of that window; 0 of 0 before the first.
    last_window : str or None
        Label of that window.
    last_computed_at : datetime or None
    open_alerts : int
        Alerts nobody has acknowledged or resolved.
    last_prediction_at : datetime or None
        As far as the log is sealed.
    """

    id: int
    model_id: int
    model_name: str
    environment: str
    alias: str
    version_id: int | None
    version_label: str | None
    live_since: datetime | None
    state: str
    sentence: str
    n_drifted: int
    n_features: int
    last_window: str | None
    last_window_id: int | None
    last_computed_at: datetime | None
    open_alerts: int
    last_prediction_at: datetime | None


def monitor(session: Session, monitor_id: int) -> Monitor:
    """One monitor.

    Raises
    ------
    NotFound
    """
    found = session.get(Monitor, monitor_id)
    if found is None:
        raise NotFound("monitor", monitor_id, "A monitor comes with a model's first deployment.")
    return found


def monitor_of(session: Session, *, model_id: int, environment: str, alias: str) -> Monitor | None:
    """The monitor of one alias of a model, if it was ever deployed."""
    query = select(Monitor).where(
        col(Monitor.model_id) == model_id, col(Monitor.environment) == environment, col(Monitor.alias) == alias
    )
    return session.exec(query).first()


def list_monitors(session: Session) -> list[MonitorRow]:
    """Every monitor, what needs attention first: open alerts, then drift, then by the model's name."""
    query = (
        select(Monitor, RegisteredModel.name, Deployment, ModelVersion.number)
        .join(RegisteredModel, col(RegisteredModel.id) == col(Monitor.model_id))
        .outerjoin(
            Deployment,
            (col(Deployment.model_id) == col(Monitor.model_id))
            & (col(Deployment.environment) == col(Monitor.environment))
            & (col(Deployment.alias) == col(Monitor.alias))
            & col(Deployment.to_at).is_(None),
        )
        .outerjoin(ModelVersion, col(ModelVersion.id) == col(Deployment.version_id))
    )
    newest, decided = newest_windows(session)
    alerts = dict(
        session.exec(
            select(Alert.monitor_id, func.count())
            .where(col(Alert.state) == AlertState.OPEN)
            .group_by(col(Alert.monitor_id))
        ).all()
    )
    answered = last_predictions_at(session)
    watched = session.exec(query).all()
    replaced = {one.version_id for one in (*newest.values(), *decided.values())}
    replaced -= {deployment.version_id for _, _, deployment, _ in watched if deployment}
    labels = version_labels(session, list(replaced)) if replaced else {}
    rows = []
    for found, name, deployment, number in watched:
        assert found.id is not None
        # A window too small to tell anything must not hide what the one before it told.
        last = decided.get(found.id, newest.get(found.id))
        begun = newest.get(found.id)
        sentence = state_sentence(last, min_rows=found.min_rows)
        if begun is not None and last is not None and begun.id != last.id:
            sentence += f" {state_sentence(begun, min_rows=found.min_rows)}"
        told_of = begun or last
        if deployment is not None and told_of is not None and told_of.version_id != deployment.version_id:
            sentence += f" That was {labels[told_of.version_id]}; v{number}, which is live, has no window yet."
        rows.append(
            MonitorRow(
                id=found.id,
                model_id=found.model_id,
                model_name=name,
                environment=found.environment,
                alias=found.alias,
                version_id=deployment.version_id if deployment else None,
                version_label=f"{name} v{number}" if deployment else None,
                live_since=deployment.from_at if deployment else None,
                state=last.state if last else "no_data",
                sentence=sentence,
                n_drifted=last.n_drifted if last else 0,
                n_features=last.n_features if last else 0,
                last_window=last.label if last else None,
                last_window_id=last.id if last else None,
                last_computed_at=last.computed_at if last else None,
                open_alerts=alerts.get(found.id, 0),
                last_prediction_at=answered.get(found.model_id),
            )
        )
    return sorted(rows, key=lambda row: (-row.open_alerts, row.state != WindowState.DRIFTED, row.model_name, row.id))


def computed_anew_by(session: Session, monitor_id: int) -> int | None:
    """The job that is to compute every window of a monitor anew, as after its settings were changed; None without."""
    open_jobs = select(Job).where(
        col(Job.subject_kind) == "monitor",
        col(Job.subject_id) == monitor_id,
        col(Job.kind) == "watch_log",
        col(Job.state).in_((JobState.QUEUED, JobState.RUNNING)),
    )
    return next(
        (job.id for job in session.exec(open_jobs.order_by(col(Job.id))) if job.payload.get("everything")), None
    )


def batch(session: Session, batch_id: int) -> Batch:
    """One batch.

    Raises
    ------
    NotFound
    """
    found = session.get(Batch, batch_id)
    if found is None:
        raise NotFound("batch", batch_id, "Open the monitor to see its batches.")
    return found


def batch_names(session: Session, batches: Sequence[Batch]) -> dict[int, str]:
    """What batches were read from, by their ids: the name of a file, or a version of a dataset."""
    uploads = {one.upload_id for one in batches if one.upload_id is not None}
    named = {one.id: one.file_name for one in session.exec(select(Upload).where(col(Upload.id).in_(uploads)))}
    labels = {
        one.dataset_version_id: datasets.version_label(session, one.dataset_version_id)
        for one in batches
        if one.dataset_version_id is not None
    }
    return {
        one.id: named.get(one.upload_id) or labels.get(one.dataset_version_id or 0, "") for one in batches if one.id
    }


def batch_notes(session: Session, batches: Sequence[Batch]) -> dict[int, list[str]]:
    """What looked wrong about batches that were taken all the same, by their ids; those with nothing left out."""
    asked = [one.job_id for one in batches if one.job_id is not None and one.state == BatchState.READY]
    found = session.exec(select(Job.result).where(col(Job.id).in_(asked))).all()
    return {one["batch_id"]: one["notes"] for one in found if one and one.get("notes")}


def same_batch(session: Session, batch: Batch, *, version_id: int) -> Batch | None:
    """The batch of a monitor whose rows are those of another, byte by byte, cut alike and held against one version.

    Parameters
    ----------
    batch : Batch
        One that is about to be added.
    version_id : int
        What it will be held against.
    """
    query = select(Batch).where(
        col(Batch.monitor_id) == batch.monitor_id,
        col(Batch.version_id).is_(None) | (col(Batch.version_id) == version_id),
        col(Batch.state).not_in((BatchState.FAILED, BatchState.CANCELLED, BatchState.WITHDRAWN)),
        col(Batch.time_column).is_(None) if batch.time_column is None else col(Batch.time_column).is_not(None),
    )
    if batch.upload_id is None:
        query = query.where(col(Batch.dataset_version_id) == batch.dataset_version_id)
    else:
        bytes_of = select(Upload.sha256).where(col(Upload.id) == batch.upload_id).scalar_subquery()
        query = query.join(Upload, col(Upload.id) == col(Batch.upload_id)).where(col(Upload.sha256) == bytes_of)
    return session.exec(query).first()


def batches(session: Session, monitor_id: int, *, states: Sequence[str] = ()) -> list[Batch]:
    """A monitor's batches, newest first; those in some states where given."""
    query = select(Batch).where(col(Batch.monitor_id) == monitor_id).order_by(col(Batch.id).desc())
    if states:
        query = query.where(col(Batch.state).in_(states))
    return list(session.exec(query))
