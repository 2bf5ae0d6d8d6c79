"""The job that joins late labels to predictions by their id, and computes the performance of the windows they reach."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, or_
from sqlmodel import Session, col, select

from core.datasets.ingest import read_exactly
from core.datasets.options import ParseOptions
from core.datasets.tables import ColumnKind, Upload
from core.errors import InsufficientData, InvalidInput
from core.evaluation.tables import Task
from core.jobs.context import JobContext
from core.monitoring import queries
from core.monitoring.computing import READ_STATES, compute_windows
from core.monitoring.recording import record_windows
from core.monitoring.tables import Batch, Monitor
from core.permissions import Permission, require
from core.registry import queries as registry
from core.serving.frames import AT, PREDICTION_ID
from core.serving.queries import segments
from core.serving.tables import Label
from core.training.frames import class_labels
from core.workspace import Workspace

if TYPE_CHECKING:
    import pyarrow as pa

MAX_ID = 64
ROWS_AT_ONCE = 200
SHOWN = 5


def read_labels(workspace: Workspace, context: JobContext) -> None:
    """Join the labels of an upload to the predictions of a model.

    A label is kept whether or not its prediction is known yet: the prediction may be sealed, or its batch handed in,
    after it. Of labels for one prediction the one received last is kept; files may be read in any order. Result:
    ``n_labels``, ``n_matched``, ``n_unknown``, ``unknown`` (the first ids), ``n_windows``.
    """
    require(context.actor, Permission.BATCH_ADD)
    model_id: int = context.payload["model_id"]
    context.report(0.0, "reading")
    with workspace.read() as session:
        model = registry.model(session, model_id)
        upload = session.get(Upload, context.payload["upload_id"])
        assert upload is not None
    labels = _read(workspace, context, upload, regression=model.task == Task.REGRESSION)
    context.check_cancelled()
    # Before the windows are computed, so that of two files read at once the later reader sees both. Writing the same
    # labels twice changes nothing, should this attempt be lost and made again.
    with workspace.write() as session:
        put_labels(session, model_id=model_id, labels=labels, received_at=upload.uploaded_at)
    context.report(0.3, "joining")
    touched, known = _find(workspace, model_id, set(labels))
    unknown = [one for one in labels if one not in known]
    computed = {}
    for (monitor_id, version_id), (times, batch_ids) in touched.items():
        computed[monitor_id, version_id] = compute_windows(
            workspace, monitor_id=monitor_id, version_id=version_id, touched=times, batch_ids=batch_ids
        )
    with context.record() as session:
        for (monitor_id, _), windows in computed.items():
            monitor = queries.monitor(session, monitor_id)
            record_windows(session, monitor=monitor, windows=windows, actor=context.actor, now=context.now())
        context.log(f"{len(labels):,} labels, {len(known):,} of them for known predictions.")
        if unknown:
            shown = ", ".join(repr(one) for one in unknown[:SHOWN])
            context.log(
                f"{len(unknown):,} prediction ids are not known: {shown}{', …' if len(unknown) > SHOWN else ''}. "
                "Their labels are kept and count once the predictions arrive."
            )
        context.result = {
            "n_labels": len(labels),
            "n_matched": len(known),
            "n_unknown": len(unknown),
            "unknown": unknown[:SHOWN],
            "n_windows": sum(map(len, computed.values())),
        }


def put_labels(session: Session, *, model_id: int, labels: dict[str, str], received_at: datetime) -> None:
    """Write labels, each unless a later one is there; at the same moment the greater value wins, in either order.

    Parameters
    ----------
    labels : dict of prediction id to value
    received_at : datetime
        When their file was handed in.
    """
    if session.get_bind().dialect.name == "postgresql":
        from sqlalchemy.dialects.postgresql import insert
    else:
        from sqlalchemy.dialects.sqlite import insert  # type: ignore[assignment]
    rows = [
        {"model_id": model_id, "prediction_id": one, "value": value, "received_at": received_at}
        for one, value in labels.items()
    ]
    for start in range(0, len(rows), ROWS_AT_ONCE):
        statement = insert(Label).values(rows[start : start + ROWS_AT_ONCE])
        new = statement.excluded
        session.connection().execute(
            statement.on_conflict_do_update(
                index_elements=["model_id", "prediction_id"],
                set_={"value": new.value, "received_at": new.received_at},
                where=or_(
                    new.received_at > col(Label.received_at),
                    and_(new.received_at == col(Label.received_at), new.value > col(Label.value)),
                ),
            )
        )


def _read(workspace: Workspace, context: JobContext, upload: Upload, *, regression: bool) -> dict[str, str]:
    id_column, label_column = context.payload["id_column"], context.payload["label_column"]
    kinds = {
        id_column: ColumnKind.CATEGORY,  # as text: an id of digits keeps its zeros
        label_column: ColumnKind.NUMBER if regression else ColumnKind.CATEGORY,
    }
    options = ParseOptions.from_json(context.payload["options"])
    options = replace(
        options,
        columns=tuple(replace(column, kind=kinds.get(column.name, column.kind)) for column in options.columns),
    )
    table = read_exactly(workspace.artifacts.verified_path(upload.sha256), options)
    ids, values = class_labels(table[id_column]), _values(table[label_column], regression)
    labels = {one: value for one, value in zip(ids, values, strict=True) if one is not None and value is not None}
    if not labels:
        raise InsufficientData(f"{upload.file_name} holds no prediction id with a label. Look at the chosen columns.")
    longest = max(labels, key=len)
    if len(longest) > MAX_ID:
        raise InvalidInput(
            f"{longest[:20]!r}… has {len(longest)} characters; a prediction id has at most {MAX_ID}. "
            "Choose the column that holds the ids the scoring process gave."
        )
    n_twice = sum(one is not None and value is not None for one, value in zip(ids, values, strict=True)) - len(labels)
    if n_twice:
        context.log(f"{n_twice:,} rows repeat a prediction id; of each the last row counts.")
    if table.num_rows - n_twice > len(labels):
        context.log(f"{table.num_rows - n_twice - len(labels):,} rows have no id or no label and were left out.")
    return labels


def _values(column: pa.ChunkedArray, regression: bool) -> list[str | None]:
    if regression:
        return [None if value is None else repr(float(value)) for value in column.to_pylist()]
    return list(class_labels(column))


Touched = dict[tuple[int, int], tuple[list[tuple[datetime, datetime]], list[int]]]


def _find(workspace: Workspace, model_id: int, ids: set[str]) -> tuple[Touched, set[str]]:
    """Which windows the labelled predictions lie in, by (monitor, version), and which ids are known."""
    with workspace.read() as session:
        monitors = list(session.exec(select(Monitor).where(col(Monitor.model_id) == model_id)))
        logged = segments(session, model_id)
        batches = list(
            session.exec(
                select(Batch).where(
                    col(Batch.monitor_id).in_([monitor.id for monitor in monitors]), col(Batch.state).in_(READ_STATES)
                )
            )
        )
    by_alias = {(monitor.environment, monitor.alias): monitor.id for monitor in monitors}
    touched: Touched = {}
    known: set[str] = set()
    for segment in logged:
        monitor_id = by_alias.get((segment.environment, segment.alias))
        found = _matches(workspace, segment.sha256, ids)
        known.update(one for one, _ in found)
        if monitor_id is not None and found:
            touched.setdefault((monitor_id, segment.version_id), ([], []))[0].extend(_moments(found))
    for batch in batches:
        if batch.data_sha256 is None or batch.version_id is None or batch.id is None:
            continue
        found = _matches(workspace, batch.data_sha256, ids)
        known.update(one for one, _ in found)
        if found:
            times, batch_ids = touched.setdefault((batch.monitor_id, batch.version_id), ([], []))
            times.extend(_moments(found))
            if batch.time_column is None:
                batch_ids.append(batch.id)
    return touched, known


def _matches(workspace: Workspace, sha256: str, ids: set[str]) -> list[tuple[str, datetime | None]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    file = pq.ParquetFile(pa.BufferReader(workspace.artifacts.get_bytes(sha256)))
    columns = [name for name in (PREDICTION_ID, AT) if name in file.schema_arrow.names]
    if PREDICTION_ID not in columns:
        return []
    table = file.read(columns=columns)
    times: Sequence[Any] = table[AT].to_pylist() if AT in columns else [None] * table.num_rows
    return [(one, at) for one, at in zip(table[PREDICTION_ID].to_pylist(), times, strict=True) if one in ids]


def _moments(found: Iterable[tuple[str, datetime | None]]) -> list[tuple[datetime, datetime]]:
    days = {at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0) for _, at in found if at is not None}
    return [(day, day) for day in sorted(days)]
