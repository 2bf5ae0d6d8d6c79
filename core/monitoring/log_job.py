"""The job that keeps windows up to date with the prediction log, and what enqueues it."""

from __future__ import annotations

from datetime import datetime, timedelta

import sqlalchemy
from sqlmodel import Session, col, func, select

from core.database import utc_now
from core.jobs.context import JobContext
from core.jobs.service import enqueue
from core.monitoring import queries
from core.monitoring.computing import compute_windows
from core.monitoring.recording import record_windows
from core.monitoring.tables import Batch, Monitor
from core.permissions import Permission, require, system_actor
from core.serving.tables import PredictionSegment
from core.workspace import Workspace

# A segment says when it was sealed before its row is committed, which may wait as long as the database is busy.
MARGIN = timedelta(seconds=60)


def watch_log(workspace: Workspace, context: JobContext) -> None:
    """Compute the windows of the monitor ``monitor_id`` that segments sealed since the last time reach into.

    With ``everything`` in the payload all windows of every version that has data are computed anew. Result:
    ``monitor_id``, ``n_windows``.
    """
    if context.actor.user_id is not None:  # the program itself keeps windows up to date without asking anybody
        require(context.actor, Permission.BATCH_ADD)
    monitor_id: int = context.payload["monitor_id"]
    everything = bool(context.payload.get("everything", False))
    began = utc_now()
    with workspace.read() as session:
        monitor = queries.monitor(session, monitor_id)
        touched = _touched(session, monitor, everything)
    windows = []
    for number, (version_id, spans) in enumerate(touched.items()):
        context.report(number / len(touched), "measuring")
        windows += compute_windows(
            workspace, monitor_id=monitor_id, version_id=version_id, touched=None if everything else spans
        )
    with context.record() as session:
        row = queries.monitor(session, monitor_id)
        record_windows(session, monitor=row, windows=windows, actor=context.actor, now=context.now())
        row.watched_to = max(began, row.watched_to or began)
        session.add(row)
        context.log(f"{len(windows)} windows computed.")
        context.result = {"monitor_id": monitor_id, "n_windows": len(windows)}


def enqueue_due(workspace: Workspace, now: datetime) -> int:
    """Enqueue `watch_log` for every monitor whose log has grown since it was last looked at; tells how many.

    To be called about once a minute. Asking twice for the same newest segment enqueues once.
    """
    with workspace.read() as session:
        due = _due(session)
    if not due:
        return 0
    with workspace.write() as session:
        for monitor_id, newest in due:
            enqueue(
                session,
                kind="watch_log",
                payload={"monitor_id": monitor_id},
                subject_kind="monitor",
                subject_id=monitor_id,
                actor=system_actor("monitoring"),
                now=now,
                idempotency_key=f"watch_log:{monitor_id}:{newest}",
            )
    return len(due)


def _due(session: Session) -> list[tuple[int, int]]:
    newest = (
        sqlalchemy.select(
            col(PredictionSegment.model_id).label("model_id"),
            col(PredictionSegment.environment).label("environment"),
            col(PredictionSegment.alias).label("alias"),
            func.max(col(PredictionSegment.id)).label("id"),
            func.max(col(PredictionSegment.sealed_at)).label("sealed_at"),
        )
        .group_by(col(PredictionSegment.model_id), col(PredictionSegment.environment), col(PredictionSegment.alias))
        .subquery()
    )
    query = sqlalchemy.select(col(Monitor.id), col(Monitor.watched_to), newest.c.id, newest.c.sealed_at).join(
        newest,
        (newest.c.model_id == col(Monitor.model_id))
        & (newest.c.environment == col(Monitor.environment))
        & (newest.c.alias == col(Monitor.alias)),
    )
    return [
        (monitor_id, segment_id)
        for monitor_id, watched_to, segment_id, sealed_at in session.connection().execute(query)
        if watched_to is None or sealed_at >= watched_to - MARGIN
    ]


def _touched(session: Session, monitor: Monitor, everything: bool) -> dict[int, list[tuple[datetime, datetime]]]:
    query = select(PredictionSegment).where(
        col(PredictionSegment.model_id) == monitor.model_id,
        col(PredictionSegment.environment) == monitor.environment,
        col(PredictionSegment.alias) == monitor.alias,
    )
    if not everything and monitor.watched_to is not None:
        query = query.where(col(PredictionSegment.sealed_at) >= monitor.watched_to - MARGIN)
    touched: dict[int, list[tuple[datetime, datetime]]] = {}
    for segment in session.exec(query):
        touched.setdefault(segment.version_id, []).append((segment.from_at, segment.to_at))
    if everything:
        batches = select(Batch.version_id).where(col(Batch.monitor_id) == monitor.id).distinct()
        for version_id in session.exec(batches):
            if version_id is not None:
                touched.setdefault(version_id, [])
    return touched
