"""The job that keeps windows up to date with the prediction log, and what enqueues it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy
from sqlalchemy import ColumnElement
from sqlmodel import Session, col, func, select

from core.database import utc_now
from core.jobs.context import JobContext
from core.jobs.service import enqueue
from core.jobs.tables import Job, JobState
from core.monitoring import queries
from core.monitoring.computing import compute_windows
from core.monitoring.recording import record_ahead, record_windows
from core.monitoring.tables import Batch, Monitor
from core.permissions import Permission, require, system_actor
from core.serving.tables import PredictionSegment
from core.workspace import Workspace

# A segment says when it was sealed before its row is committed, which may wait as long as the database is busy.
MARGIN = timedelta(seconds=60)
IN_VAIN = (JobState.FAILED, JobState.CANCELLED)


def watch_log(workspace: Workspace, context: JobContext) -> None:
    """Count the log of the monitor ``monitor_id`` where it has grown, and compute the windows that reach into there.

    With ``everything`` in the payload all windows of every version that has data are computed anew, from what is
    counted; rows are read only where they were not counted yet. Result: ``monitor_id``, ``n_windows``.
    """
    if context.actor.user_id is not None:  # the program itself keeps windows up to date without asking anybody
        require(context.actor, Permission.BATCH_ADD)
    monitor_id: int = context.payload["monitor_id"]
    everything = bool(context.payload.get("everything", False))
    began = utc_now()
    with workspace.read() as session:
        monitor = queries.monitor(session, monitor_id)
        grown = _grown(session, monitor)
        versions = _versions(session, monitor) if everything else list(grown)
    windows = []
    for number, version_id in enumerate(versions):
        spans = grown.get(version_id, [])
        windows += compute_windows(
            workspace,
            monitor_id=monitor_id,
            version_id=version_id,
            touched=None if everything else spans,
            grown=spans,
            report=lambda share, note, done=number: context.report((done + share) / len(versions), note),  # type: ignore[misc]
            tell=context.log,
        )
    rest = record_ahead(context, monitor_id=monitor_id, windows=windows)
    with context.record() as session:
        row = queries.monitor(session, monitor_id)
        record_windows(session, monitor=row, windows=rest, actor=context.actor, now=context.now())
        row.watched_to = max(began, _watched_to(row, utc_now()) or began)
        session.add(row)
        context.log(f"{len(windows)} windows computed.")
        context.result = {"monitor_id": monitor_id, "n_windows": len(windows)}


def enqueue_due(workspace: Workspace, now: datetime) -> int:
    """Enqueue `watch_log` for every monitor whose log has grown since it was last looked at; tells how many.

    To be called about once a minute. Asking twice for the same newest segment enqueues once; where that job failed or
    was cancelled, at once and then every hour once more: no later segment may come to ask for these rows.
    """
    with workspace.read() as session:
        due = _due(session, utc_now())
    if not due:
        return 0
    with workspace.write() as session:
        for one in due:
            enqueue(
                session,
                kind="watch_log",
                payload={"monitor_id": one.monitor_id},
                subject_kind="monitor",
                subject_id=one.monitor_id,
                actor=system_actor("monitoring"),
                now=now,
                idempotency_key=_key(session, one, now),
            )
    return len(due)


@dataclass(frozen=True)
class _Due:
    """A monitor whose log has grown, the newest segment's id, and whether a job has looked at it since it was sealed.

    It stays due for a while afterwards (`MARGIN`), so that a segment committed late is not missed.
    """

    monitor_id: int
    segment_id: int
    looked_at: bool


def _key(session: Session, due: _Due, now: datetime) -> str:
    key = f"watch_log:{due.monitor_id}:{due.segment_id}"
    in_vain = select(Job.id).where(Job.idempotency_key == key, col(Job.state).in_(IN_VAIN))
    if due.looked_at or session.exec(in_vain).first() is None:
        return key
    return f"{key}:{now:%Y-%m-%dT%H}"


def _due(session: Session, now: datetime) -> list[_Due]:
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
        _Due(monitor_id, segment_id, looked_at=watched_to is not None and sealed_at <= watched_to <= now)
        for monitor_id, watched_to, segment_id, sealed_at in session.connection().execute(query)
        if watched_to is None or watched_to > now or sealed_at >= watched_to - MARGIN
    ]


def _watched_to(monitor: Monitor, now: datetime) -> datetime | None:
    """Up to when the log was looked at; None where that was noted while the clock was ahead, for it says nothing."""
    return None if monitor.watched_to is None or monitor.watched_to > now else monitor.watched_to


def _grown(session: Session, monitor: Monitor) -> dict[int, list[tuple[datetime, datetime]]]:
    """By version, the spans of time of segments sealed since the log was last looked at."""
    query = select(PredictionSegment).where(*_segments_of(monitor))
    watched_to = _watched_to(monitor, utc_now())
    if watched_to is not None:
        query = query.where(col(PredictionSegment.sealed_at) >= watched_to - MARGIN)
    grown: dict[int, list[tuple[datetime, datetime]]] = {}
    for segment in session.exec(query):
        grown.setdefault(segment.version_id, []).append((segment.from_at, segment.to_at))
    return grown


def _versions(session: Session, monitor: Monitor) -> list[int]:
    """Every version that has data."""
    logged = select(PredictionSegment.version_id).where(*_segments_of(monitor)).distinct()
    batches = select(Batch.version_id).where(col(Batch.monitor_id) == monitor.id).distinct()
    return sorted({one for query in (logged, batches) for one in session.exec(query) if one is not None})


def _segments_of(monitor: Monitor) -> tuple[ColumnElement[bool], ...]:
    return (
        col(PredictionSegment.model_id) == monitor.model_id,
        col(PredictionSegment.environment) == monitor.environment,
        col(PredictionSegment.alias) == monitor.alias,
    )
