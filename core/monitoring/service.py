"""Writing: monitors, batches and labels handed in, alerts acknowledged and resolved."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Unpack

from sqlmodel import Session, col, select

from core.audit import service as audit
from core.audit.tables import AuditEvent
from core.datasets import queries as datasets
from core.datasets.tables import Upload
from core.errors import AlreadyExists, InvalidInput, NotFound, StaleRevision
from core.jobs.service import enqueue
from core.jobs.tables import Job
from core.monitoring import queries, window_queries
from core.monitoring.lifecycle import move_alert
from core.monitoring.monitor_settings import Changes, MonitorSettings, Trained, changed, settings_of
from core.monitoring.tables import Alert, AlertState, Batch, Monitor
from core.permissions import Actor, Permission, require
from core.registry import queries as registry
from core.registry.queries import live
from core.registry.tables import RegisteredModel
from core.training import queries as training

if TYPE_CHECKING:
    from core.datasets.options import ParseOptions


def ensure_monitor(session: Session, *, model_id: int, environment: str, alias: str, now: datetime) -> Monitor:
    """The monitor of one alias of a model, made with its first deployment and kept across swaps.

    Part of the deployment that calls it, so it asks for no permission and writes no event of its own.
    """
    found = queries.monitor_of(session, model_id=model_id, environment=str(environment), alias=str(alias))
    if found is None:
        found = Monitor(model_id=model_id, environment=str(environment), alias=str(alias), created_at=now)
        session.add(found)
        session.flush()
    return found


def edit_monitor(
    session: Session,
    *,
    monitor_id: int,
    actor: Actor,
    now: datetime,
    opened: MonitorSettings | None = None,
    **changes: Unpack[Changes],
) -> Monitor:
    """Change how a monitor cuts and decides; its windows are computed anew in the background.

    Parameters
    ----------
    opened : MonitorSettings, optional
        What the settings were when the actor looked; None for whoever changes them without having looked.
    **changes
        The settings to change, see `MonitorSettings`.

    Raises
    ------
    PermissionDenied, NotFound
    InvalidInput
        A setting makes no sense, or does not suit what the live version was trained on.
    StaleRevision
        Somebody changed a setting in between.
    """
    require(actor, Permission.MONITOR_EDIT)
    found = queries.monitor(session, monitor_id)
    before = settings_of(found)
    if opened is not None and opened != before:
        raise StaleRevision(_changed_meanwhile(session, monitor_id, opened, before))
    after = changed(before, changes, trained_on(session, found))
    told = {name: value for name, value in after.to_json().items() if value != before.to_json()[name]}
    for name, value in after.to_json().items():
        setattr(found, name, value)
    session.add(found)
    _enqueue_all(session, found, actor, now)
    was = {name: value for name, value in before.to_json().items() if name in told}
    record(session, found, "monitor.edited", actor, now, {"before": was, "after": told})
    return found


def _changed_meanwhile(session: Session, monitor_id: int, opened: MonitorSettings, present: MonitorSettings) -> str:
    was, now = opened.to_json(), present.to_json()
    differing = [f"{name} from {was[name]!r} to {value!r}" for name, value in now.items() if was[name] != value]
    edits = select(AuditEvent.actor_name).where(
        AuditEvent.subject_kind == "monitor",
        AuditEvent.subject_id == monitor_id,
        AuditEvent.action == "monitor.edited",
    )
    who = session.exec(edits.order_by(col(AuditEvent.number).desc()).limit(1)).first() or "Somebody"
    return (
        f"{who} changed this monitor after you opened it: {'; '.join(differing)}. Yours were not saved. Look at them "
        "again, then save."
    )


def trained_on(session: Session, monitor: Monitor) -> Trained | None:
    """What the version a monitor watches now was trained on; None where nothing is live."""
    deployment = live(session, model_id=monitor.model_id, environment=monitor.environment, alias=monitor.alias)
    if deployment is None:
        return None
    version = registry.version(session, deployment.version_id)
    data = datasets.version(session, training.run(session, version.run_id).dataset_version_id)
    return Trained(
        features={feature["name"]: feature["kind"] for feature in version.signature["features"]},
        columns={column["name"]: column["kind"] for column in data.columns},
        n_distinct={column["name"]: column["n_distinct"] for column in data.profile.get("columns", [])},
    )


def add_batch(
    session: Session,
    *,
    monitor_id: int,
    upload_id: int,
    options: ParseOptions,
    time_column: str | None,
    actor: Actor,
    now: datetime,
) -> Batch:
    """Hand in a file of production rows to be held against the live version's reference.

    Parameters
    ----------
    options : ParseOptions
        How to read the file, as confirmed.
    time_column : str or None
        The column that says when each row happened; without one the whole file is one window.

    Raises
    ------
    PermissionDenied, NotFound
    InvalidInput
        Nothing is live, or the file has no such time column.
    AlreadyExists
        The same bytes are among its batches: their rows would count twice.
    """
    require(actor, Permission.BATCH_ADD)
    found = queries.monitor(session, monitor_id)
    upload = _upload(session, upload_id)
    version_id = _live_version(session, found)
    names = [column.name for column in options.columns if column.included]
    if time_column is not None and time_column not in names:
        raise InvalidInput(f"The file has no column {time_column!r} to tell the time by. It has: {', '.join(names)}.")
    batch = Batch(
        monitor_id=monitor_id,
        upload_id=upload_id,
        time_column=time_column,
        options=options.to_json(),
        added_by=actor.user_id,
        added_at=now,
    )
    _refuse_twice(session, batch, version_id, upload.file_name)
    return _enqueue_batch(session, found, batch, actor, now, {"file_name": upload.file_name})


def add_version(
    session: Session,
    *,
    monitor_id: int,
    dataset_version_id: int,
    time_column: str | None,
    actor: Actor,
    now: datetime,
) -> Batch:
    """Hand in a dataset version that is known already to be held against the live version's reference.

    Parameters
    ----------
    time_column : str or None
        The column that says when each row happened; without one the whole version is one window.

    Raises
    ------
    PermissionDenied, NotFound
    InvalidInput
        Nothing is live, the version is quarantined, or it has no such time column.
    AlreadyExists
        It is among the monitor's batches: its rows would count twice.
    """
    require(actor, Permission.BATCH_ADD)
    require(actor, Permission.DATASET_READ)
    found = queries.monitor(session, monitor_id)
    data = datasets.version(session, dataset_version_id)
    label = datasets.version_label(session, dataset_version_id)
    version_id = _live_version(session, found)
    if data.quarantined_at is not None:
        raise InvalidInput(f"{label} is quarantined: {data.quarantine_reason} Choose another version.")
    names = [column["name"] for column in data.columns]
    if time_column is not None and time_column not in names:
        raise InvalidInput(f"{label} has no column {time_column!r} to tell the time by. It has: {', '.join(names)}.")
    batch = Batch(
        monitor_id=monitor_id,
        dataset_version_id=dataset_version_id,
        time_column=time_column,
        added_by=actor.user_id,
        added_at=now,
    )
    _refuse_twice(session, batch, version_id, label)
    return _enqueue_batch(session, found, batch, actor, now, {"dataset_version": label})


def add_labels(
    session: Session,
    *,
    model_id: int,
    upload_id: int,
    options: ParseOptions,
    id_column: str,
    label_column: str,
    actor: Actor,
    now: datetime,
) -> Job:
    """Hand in a file of what turned out to be true, joined by prediction id.

    A prediction labelled twice keeps the label of the upload received last, whatever the order the files are read in.

    Raises
    ------
    PermissionDenied, NotFound
    InvalidInput
        The file lacks one of the two columns, or they are the same.
    """
    require(actor, Permission.BATCH_ADD)
    model = session.get(RegisteredModel, model_id)
    if model is None:
        raise NotFound("model", model_id)
    upload = _upload(session, upload_id)
    names = [column.name for column in options.columns if column.included]
    for column in (id_column, label_column):
        if column not in names:
            raise InvalidInput(f"The file has no column {column!r}. It has: {', '.join(names)}.")
    if id_column == label_column:
        raise InvalidInput(f"{id_column!r} cannot be both the prediction id and the label. Choose two columns.")
    job = enqueue(
        session,
        kind="read_labels",
        payload={
            "upload_id": upload_id,
            "model_id": model_id,
            "id_column": id_column,
            "label_column": label_column,
            "options": options.to_json(),
        },
        subject_kind="upload",
        subject_id=upload_id,
        actor=actor,
        now=now,
    )
    audit.record(
        session,
        actor=actor,
        action="labels.added",
        subject_kind="model",
        subject_id=model_id,
        subject_label=model.name,
        now=now,
        details={"upload_id": upload_id, "file_name": upload.file_name},
    )
    return job


def refresh(session: Session, *, monitor_id: int, actor: Actor, now: datetime) -> Job:
    """Compute a monitor's windows anew in the background, from what is counted; rows never counted are first.

    Raises
    ------
    PermissionDenied, NotFound
    """
    require(actor, Permission.BATCH_ADD)
    found = queries.monitor(session, monitor_id)
    job = _enqueue_all(session, found, actor, now)
    record(session, found, "monitor.refreshed", actor, now, {"job_id": job.id})
    return job


def request_version_comparison(
    session: Session, *, reference_id: int, current_id: int, actor: Actor, now: datetime
) -> Job:
    """Measure in the background how far each column moved from one dataset version to another.

    Whoever may read both versions may ask.

    Raises
    ------
    PermissionDenied, NotFound
    """
    from core.datasets.queries import version_label

    require(actor, Permission.DATASET_READ)
    reference, current = version_label(session, reference_id), version_label(session, current_id)
    job = enqueue(
        session,
        kind="compare_versions",
        payload={"reference_id": reference_id, "current_id": current_id},
        subject_kind="dataset_version",
        subject_id=current_id,
        actor=actor,
        now=now,
    )
    audit.record(
        session,
        actor=actor,
        action="dataset_version.drift_requested",
        subject_kind="dataset_version",
        subject_id=current_id,
        subject_label=current,
        now=now,
        details={"reference": reference, "job_id": job.id},
    )
    return job


def request_window_comparison(
    session: Session, *, first_id: int, second_id: int, part: str = "", actor: Actor, now: datetime
) -> Job:
    """Measure in the background how far each column moved from one window of a model to another.

    Parameters
    ----------
    part : str
        A slice's label, "job=cook"; "" for all rows.

    Raises
    ------
    PermissionDenied, NotFound
    InvalidInput
        The same window twice.
    """
    require(actor, Permission.MONITORING_READ)
    first, second = (window_queries.window(session, one) for one in (first_id, second_id))
    if first_id == second_id:
        raise InvalidInput("A window does not differ from itself. Choose two windows.")
    job = enqueue(
        session,
        kind="compare_windows",
        payload={"first_id": first_id, "second_id": second_id, "slice": part},
        subject_kind="monitor",
        subject_id=second.monitor_id,
        actor=actor,
        now=now,
    )
    details: dict[str, object] = {"first": first.label, "second": second.label, "slice": part, "job_id": job.id}
    record(session, queries.monitor(session, second.monitor_id), "monitor.windows_compared", actor, now, details)
    return job


def request_preview(
    session: Session, *, monitor_id: int, actor: Actor, now: datetime, **changes: Unpack[Changes]
) -> Job:
    """Say in the background what changed settings would have alerted on over past windows; nothing is saved.

    Raises
    ------
    PermissionDenied, NotFound
    InvalidInput
        A setting makes no sense, or nothing is live.
    """
    require(actor, Permission.MONITOR_EDIT)
    found = queries.monitor(session, monitor_id)
    _live_version(session, found)
    after = changed(settings_of(found), changes, trained_on(session, found))
    job = enqueue(
        session,
        kind="preview_rule",
        payload={"monitor_id": monitor_id, "settings": after.to_json()},
        subject_kind="monitor",
        subject_id=monitor_id,
        actor=actor,
        now=now,
    )
    record(session, found, "monitor.rule_previewed", actor, now, {"settings": after.to_json(), "job_id": job.id})
    return job


def acknowledge_alert(session: Session, *, alert_id: int, note: str, actor: Actor, now: datetime) -> Alert:
    """Say that somebody looks at an alert.

    Raises
    ------
    PermissionDenied, NotFound, InvalidTransition
    """
    return _move_alert(session, alert_id, AlertState.ACKNOWLEDGED, note, actor, now)


def resolve_alert(session: Session, *, alert_id: int, note: str, actor: Actor, now: datetime) -> Alert:
    """Close an alert.

    Raises
    ------
    PermissionDenied, NotFound, InvalidTransition
    """
    return _move_alert(session, alert_id, AlertState.RESOLVED, note, actor, now)


def _move_alert(session: Session, alert_id: int, wanted: AlertState, note: str, actor: Actor, now: datetime) -> Alert:
    require(actor, Permission.ALERT_ACKNOWLEDGE)
    alert = session.get(Alert, alert_id)
    if alert is None:
        raise NotFound("alert", alert_id)
    alert.state = move_alert(alert.state, wanted)
    alert.note = note.strip() or alert.note
    if alert.state == AlertState.RESOLVED:
        alert.resolved_at = now
    if alert.acknowledged_at is None:
        alert.acknowledged_by, alert.acknowledged_at = actor.user_id, now
    session.add(alert)
    found = None if alert.monitor_id is None else queries.monitor(session, alert.monitor_id)
    record(session, found, f"alert.{wanted.value}", actor, now, {"alert_id": alert_id, "note": note.strip()})
    return alert


def _live_version(session: Session, monitor: Monitor) -> int:
    deployment = live(session, model_id=monitor.model_id, environment=monitor.environment, alias=monitor.alias)
    if deployment is None:
        raise InvalidInput(
            f"Nothing is live as {monitor.alias} in {monitor.environment}, so there is no reference to hold this data "
            "against. Promote a version first."
        )
    return deployment.version_id


def _refuse_twice(session: Session, batch: Batch, version_id: int, name: str) -> None:
    there = queries.same_batch(session, batch, version_id=version_id)
    if there is not None:
        raise AlreadyExists(
            f"{name} was handed in already, on {there.added_at:%Y-%m-%d %H:%M} UTC as batch {there.id}; its rows would "
            "count twice. Hand in other rows, or withdraw that batch first, under the monitor's data."
        )


def _enqueue_batch(
    session: Session, monitor: Monitor, batch: Batch, actor: Actor, now: datetime, details: dict[str, object]
) -> Batch:
    session.add(batch)
    session.flush()
    assert batch.id is not None
    job = enqueue(
        session,
        kind="read_batch",
        payload={"batch_id": batch.id},
        subject_kind="batch",
        subject_id=batch.id,
        actor=actor,
        now=now,
    )
    batch.job_id = job.id
    session.add(batch)
    record(session, monitor, "batch.added", actor, now, {"batch_id": batch.id, **details})
    return batch


def _enqueue_all(session: Session, monitor: Monitor, actor: Actor, now: datetime) -> Job:
    assert monitor.id is not None
    return enqueue(
        session,
        kind="watch_log",
        payload={"monitor_id": monitor.id, "everything": True},
        subject_kind="monitor",
        subject_id=monitor.id,
        actor=actor,
        now=now,
    )


def _upload(session: Session, upload_id: int) -> Upload:
    upload = session.get(Upload, upload_id)
    if upload is None:
        raise NotFound("upload", upload_id, "Upload the file again.")
    return upload


def record(
    session: Session, monitor: Monitor | None, action: str, actor: Actor, now: datetime, details: dict[str, object]
) -> None:
    """Append an audit event about a monitor, or about a batch or an alert of it; without one, of the installation."""
    label = "this installation"
    if monitor is not None:
        model = session.get(RegisteredModel, monitor.model_id)
        assert model is not None
        label = f"{model.name} {monitor.alias} ({monitor.environment})"
    audit.record(
        session,
        actor=actor,
        action=action,
        subject_kind="installation" if monitor is None else "monitor",
        subject_id=0 if monitor is None else monitor.id or 0,
        subject_label=label,
        now=now,
        details=details,
    )
