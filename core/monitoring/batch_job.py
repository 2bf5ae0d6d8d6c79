"""The job that reads a batch exactly, predicts it unless it holds predictions, and computes the windows it reaches.

A batch is a file, or a dataset version that is known already.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
from sqlmodel import Session

from core.datasets import queries as datasets
from core.datasets.ingest import read_exactly
from core.datasets.options import ParseOptions
from core.datasets.tables import ColumnKind, DatasetVersion, Upload
from core.drift.columns import moments
from core.errors import AlreadyExists, InsufficientData, InvalidInput
from core.jobs.context import JobContext
from core.jobs.tables import Job, JobState
from core.monitoring import queries
from core.monitoring.batch_withdrawal import leave_windows
from core.monitoring.batches import FIRST_YEAR, LAST_YEAR, batch_table, check_columns, reading_options
from core.monitoring.cells import source_of
from core.monitoring.computing import compute_windows
from core.monitoring.labelled import find_predictions
from core.monitoring.lifecycle import move_batch
from core.monitoring.recording import record_ahead, record_windows
from core.monitoring.service import record
from core.monitoring.tables import Batch, BatchState
from core.monitoring.windows import Span
from core.permissions import Actor, Permission, require
from core.registry import queries as registry
from core.registry.tables import ModelVersion
from core.serving.frames import AT, LABEL, PREDICTION, PREDICTION_ID, score_column, to_parquet
from core.training.frames import frame_from_table
from core.training.models import load_model
from core.wording import enumerated
from core.workspace import Workspace

if TYPE_CHECKING:
    import pyarrow as pa

AHEAD = timedelta(days=1)
"""How far ahead of now a row may lie unsaid: days are dated in some time zone."""
IDS_NAMED = 3

BATCH_STATES: dict[JobState, BatchState] = {
    JobState.QUEUED: BatchState.PENDING,
    JobState.RUNNING: BatchState.READING,
    JobState.FAILED: BatchState.FAILED,
    JobState.CANCELLED: BatchState.CANCELLED,
}


@dataclass(frozen=True)
class _Read:
    """A batch as it is kept."""

    table: pa.Table
    touched: tuple[datetime, datetime] | None


def settle(session: Session, job: Job, now: datetime) -> None:
    """Let the batch follow its job; its end without success is an event, and takes its rows out of the windows."""
    batch = session.get(Batch, job.subject_id)
    if batch is None or job.state not in BATCH_STATES:
        return
    wanted = BATCH_STATES[JobState(job.state)]
    changed = batch.state != wanted
    batch.state = move_batch(batch.state, wanted)
    batch.error = job.error
    session.add(batch)
    if changed and wanted in (BatchState.FAILED, BatchState.CANCELLED):
        actor = Actor(user_id=job.actor_id, name=job.actor_name, roles=frozenset(), via="job")
        details: dict[str, object] = {"batch_id": batch.id, "error": batch.error}
        record(session, queries.monitor(session, batch.monitor_id), f"batch.{wanted.value}", actor, now, details)
        leave_windows(session, batch, now)


def read_batch(workspace: Workspace, context: JobContext) -> None:
    """Read the batch ``batch_id`` and hold it against the version that is live now.

    Result: ``batch_id``, ``n_rows``, ``notes`` on what looks wrong, and ``windows`` that hold rows of it (label, state,
    n_rows, n_features and the names that drifted of each).
    """
    require(context.actor, Permission.BATCH_ADD)
    batch_id: int = context.payload["batch_id"]
    context.report(0.0, "reading")
    with workspace.read() as session:
        batch = queries.batch(session, batch_id)
        monitor = queries.monitor(session, batch.monitor_id)
        upload = None if batch.upload_id is None else session.get(Upload, batch.upload_id)
        data = None if batch.dataset_version_id is None else datasets.version(session, batch.dataset_version_id)
        deployment = registry.live(
            session, model_id=monitor.model_id, environment=monitor.environment, alias=monitor.alias
        )
        if deployment is None:
            raise InvalidInput(
                f"Nothing is live as {monitor.alias} in {monitor.environment} any more; promote a version."
            )
        version = registry.version(session, deployment.version_id)
    assert version.id is not None
    if data is not None:
        source = _from_version(workspace, data, batch.time_column, version.signature)
    else:
        assert upload is not None
        source = _from_file(workspace, upload, batch, version.signature)
    read = _read(workspace, context, batch, source, version)
    notes = _notes_on_time(read, context.now())
    notes += _check_ids(workspace, read.table, model_id=monitor.model_id, watched=(batch.monitor_id, version.id))
    for note in notes:
        context.log(note)
    stored = workspace.artifacts.put_bytes(to_parquet(read.table))
    context.check_cancelled()
    # Before the windows are computed, so that of two batches read at once the later reader sees both.
    with workspace.write() as session:
        row = queries.batch(session, batch_id)
        row.state, row.version_id = move_batch(row.state, BatchState.MEASURING), version.id
        row.data_sha256, row.n_rows = stored.sha256, read.table.num_rows
        session.add(row)
    assert monitor.id is not None
    windows = compute_windows(
        workspace,
        monitor_id=monitor.id,
        version_id=version.id,
        touched=[] if read.touched is None else [read.touched],
        batch_ids=[batch_id] if batch.time_column is None else [],
        report=lambda share, note: context.report(0.3 + 0.7 * share, note),
        tell=context.log,
    )
    rest = record_ahead(context, monitor_id=monitor.id, windows=windows)
    with context.record() as session:
        row = queries.batch(session, batch_id)
        row.state, row.error = move_batch(row.state, BatchState.READY), None
        session.add(row)
        measured: dict[str, object] = {"batch_id": batch_id, "sha256": stored.sha256, "rows": read.table.num_rows}
        record(
            session,
            queries.monitor(session, batch.monitor_id),
            "batch.measured",
            context.actor,
            context.now(),
            measured,
        )
        record_windows(
            session,
            monitor=queries.monitor(session, batch.monitor_id),
            windows=rest,
            actor=context.actor,
            now=context.now(),
        )
        for window in windows:
            context.log(f"{window.span.label}: {window.n_rows:,} rows, {window.state.value.replace('_', ' ')}.")
        context.result = {
            "batch_id": batch_id,
            "n_rows": read.table.num_rows,
            "notes": notes,
            "windows": [
                {
                    "label": window.span.label,
                    "state": window.state.value,
                    "n_rows": window.n_rows,
                    "n_features": sum(not column.is_prediction for column in window.columns),
                    "drifted": [
                        column.name
                        for column in window.columns
                        if column.state.value == "drifted" and not column.is_prediction
                    ],
                }
                for window in windows
                if _holds(window.span, read, batch)
            ],
        }


def _from_file(workspace: Workspace, upload: Upload, batch: Batch, signature: Mapping[str, Any]) -> pa.Table:
    options = reading_options(ParseOptions.from_json(batch.options), signature)
    check_columns({column.name: column.kind for column in options.included}, signature, batch.time_column)
    source = read_exactly(workspace.artifacts.verified_path(upload.sha256), options)
    if source.num_rows == 0:
        raise InsufficientData(f"{upload.file_name} has no rows. Hand in a file with at least one.")
    return source


def _from_version(
    workspace: Workspace, data: DatasetVersion, time_column: str | None, signature: Mapping[str, Any]
) -> pa.Table:
    if data.quarantined_at is not None:  # since it was handed in
        raise InvalidInput(f"Version {data.number} is quarantined: {data.quarantine_reason} Choose another version.")
    check_columns({column["name"]: ColumnKind(column["kind"]) for column in data.columns}, signature, time_column)
    source = datasets.read_table(workspace.artifacts, data)
    if source.num_rows == 0:
        raise InsufficientData(f"Version {data.number} has no rows. Choose one with at least one.")
    return source


def _read(workspace: Workspace, context: JobContext, batch: Batch, source: pa.Table, version: ModelVersion) -> _Read:
    import pyarrow as pa

    signature = version.signature
    frame_from_table(source, signature["features"])  # refuses a column of another kind
    table = batch_table(source, signature, batch.time_column)
    if PREDICTION in table.column_names:
        context.log("Its own predictions are used.")
    else:
        model = load_model(workspace.artifacts, model_sha256=version.model_sha256, signature=signature)
        labels, scores = model.predict_table(source)
        table = table.append_column(
            PREDICTION, pa.array(labels.tolist(), pa.string() if model.classes else pa.float64())
        )
        if scores is not None:
            for position, label in enumerate(model.classes):
                table = table.append_column(score_column(label), pa.array(scores[:, position]))
        context.log(f"Predicted {table.num_rows:,} rows with version {version.number}.")
    _say_labels(context, table, signature)
    if batch.time_column is None:
        return _Read(table, None)
    times = moments(table[AT])
    present = times[~np.isnat(times)]
    if len(present) == 0:
        raise InvalidInput(
            f"The time column {batch.time_column!r} holds no time from {FIRST_YEAR} to {LAST_YEAR}; no row falls into "
            "a window. Choose another column, or hand the data in without one."
        )
    first, last = (moment.item().replace(tzinfo=UTC) for moment in (present.min(), present.max()))
    return _Read(table, (first, last))


def _holds(span: Span, read: _Read, batch: Batch) -> bool:
    """Whether rows of the batch lie in a window; others are computed because they stand beside it."""
    if read.touched is None:
        return span.label == source_of(batch)
    first, last = read.touched
    return span.from_at <= last and first < span.to_at


def _notes_on_time(read: _Read, now: datetime) -> list[str]:
    """What looks wrong about when rows happened; nothing where the batch has no times."""
    if read.touched is None:
        return []
    times = moments(read.table[AT])
    notes = []
    if n_without := int(np.isnat(times).sum()):
        notes.append(f"Rows without a time from {FIRST_YEAR} to {LAST_YEAR}: {n_without:,}. They fall into no window.")
    if n_ahead := int((times > np.datetime64((now + AHEAD).replace(tzinfo=None))).sum()):
        last = read.touched[1]
        notes.append(
            f"Rows in the future: {n_ahead:,}, the last at {last:%Y-%m-%d %H:%M}. If the time column was read "
            "wrongly, withdraw this batch and read it another way."
        )
    return notes


def _check_ids(workspace: Workspace, table: pa.Table, *, model_id: int, watched: tuple[int, int]) -> list[str]:
    """Refuse rows that are there already by their prediction ids; tell ids that repeat within the file."""
    if PREDICTION_ID not in table.column_names:
        return []
    given = [one for one in table[PREDICTION_ID].to_pylist() if one is not None]
    ids = set(given)
    there = find_predictions(workspace, model_id, ids, watched=watched, report=lambda _share: None).known
    if there:
        raise AlreadyExists(
            f"{len(there):,} of {len(ids):,} prediction ids of this file are in the data already, "
            f"{enumerated([repr(one) for one in sorted(there)], IDS_NAMED)}; their rows would count twice. Leave them "
            "out. What turned out to be true is handed in as labels; to replace rows, withdraw the batch that holds "
            "them first, under the monitor's data."
        )
    n_again = len(given) - len(ids)
    if not n_again:
        return []
    return [f"Rows that repeat a prediction id of this file: {n_again:,}. All count, and a label joins each."]


def _say_labels(context: JobContext, table: pa.Table, signature: dict[str, Any]) -> None:
    if LABEL not in table.column_names:
        return
    labels = table[LABEL]
    context.log(f"{table.num_rows - labels.null_count:,} rows hold the target, so performance is computed too.")
    if signature["classes"]:
        foreign = sorted(set(labels.unique().to_pylist()) - {None} - set(signature["classes"]))
        if foreign:
            shown = ", ".join(repr(label) for label in foreign[:5])
            context.log(f"The model does not know these classes, so rows of them count as wrong: {shown}.")
