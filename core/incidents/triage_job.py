"""The jobs that look for causes: of windows that were computed, of an incident somebody wants looked at again.

Windows are looked into as soon as the job that computed them has succeeded (`follow`), and once a minute where anything
else changed (`enqueue_due`). What one attempt kept the next need not do again.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from sqlmodel import Session, col, select

from core.incidents import kept_triage, queries
from core.jobs import queries as jobs
from core.jobs.service import enqueue
from core.jobs.tables import Job, JobState
from core.monitoring.tables import Monitor, Window
from core.permissions import Permission, require, system_actor
from core.workspace import Workspace

if TYPE_CHECKING:
    from core.jobs.context import JobContext

KIND = "triage_windows"
UNDER_WAY = (JobState.QUEUED, JobState.RUNNING)
IN_VAIN = (JobState.FAILED, JobState.CANCELLED)


def follow(session: Session, job: Job, now: datetime) -> None:
    """Queue what the windows that a job has just recorded need."""
    del job  # labels of one upload reach windows of several monitors
    _enqueue(session, now, unless=(JobState.QUEUED,))


def enqueue_due(workspace: Workspace, now: datetime) -> int:
    """Queue `triage_windows` for every monitor with windows that wait for it and no such job; tells for how many.

    To be called about once a minute.
    """
    with workspace.read() as session:
        if not any(kept_triage.waiting(session, one) for one in _monitors(session)):
            return 0
    with workspace.write() as session:
        return _enqueue(session, now, unless=UNDER_WAY)


def newest_job(session: Session, monitor_id: int) -> Job | None:
    """The last job that was to look into windows of a monitor."""
    query = (
        select(Job)
        .where(Job.subject_kind == "monitor", Job.subject_id == monitor_id, Job.kind == KIND)
        .order_by(col(Job.id).desc())
        .limit(1)
    )
    return session.exec(query).first()


@dataclass(frozen=True)
class Wait:
    """Why a window has no triage of its present figures; ``error`` is what a failed job said.

    "due": a worker is at it or will be within a minute. "unasked": it lies further back than is looked into without
    being asked. "failed": it was tried.
    """

    state: Literal["due", "unasked", "failed"]
    error: str = ""


def wait_of(session: Session, monitor_id: int, window_id: int) -> Wait:
    """How a window that waits for its triage stands."""
    asked = next((one for one in jobs.jobs_of(session, "window", window_id) if one.kind == KIND), None)
    marks = kept_triage.waiting(session, monitor_id)
    last = asked if window_id not in marks else newest_job(session, monitor_id)
    if last is not None and last.state in UNDER_WAY:
        return Wait("due")
    computed_at = session.get_one(Window, window_id).computed_at
    if last is not None and last.state in IN_VAIN and last.enqueued_at >= computed_at:
        return Wait("failed", last.error or "it was cancelled.")
    return Wait("due" if window_id in marks else "unasked")


def _enqueue(session: Session, now: datetime, *, unless: tuple[JobState, ...]) -> int:
    """Queue one job for each monitor that needs one; ``unless`` its last one is in these states."""
    queued = 0
    for monitor_id in _monitors(session):
        marks = kept_triage.waiting(session, monitor_id)
        last = newest_job(session, monitor_id)
        told = kept_triage.digest(marks)
        # What could not be done is not tried again until something changed.
        in_vain = last is not None and last.state in IN_VAIN and last.payload.get("waiting") == told
        if not marks or in_vain or (last is not None and last.state in unless):
            continue
        enqueue(
            session,
            kind=KIND,
            payload={"monitor_id": monitor_id, "waiting": told},
            subject_kind="monitor",
            subject_id=monitor_id,
            actor=system_actor("monitoring"),
            now=now,
            # Two workers that look at the same time queue one; what comes back to an earlier state is queued again.
            idempotency_key=f"{KIND}:{monitor_id}:{told}:{0 if last is None else last.id}",
        )
        queued += 1
    return queued


def _monitors(session: Session) -> list[int]:
    return [one for one in session.exec(select(Monitor.id).order_by(col(Monitor.id))) if one is not None]


def triage_windows(workspace: Workspace, context: JobContext) -> None:
    """Look into the windows of the monitor ``monitor_id`` that wait for it, newest first; into ``window_ids`` if given.

    Result: ``monitor_id``, ``n_windows``.
    """
    from core.incidents.opening import triage_now

    if context.actor.user_id is not None:  # the program itself asks nobody
        require(context.actor, Permission.MONITORING_READ)
    monitor_id: int = context.payload["monitor_id"]
    with workspace.read() as session:
        wanted = context.payload.get("window_ids")
        marks = kept_triage.waiting(session, monitor_id)
        if wanted is not None:
            marks = {one: kept_triage.mark_of(session, session.get_one(Window, one)) for one in wanted}
    n_kept = 0
    for number, (window_id, mark) in enumerate(marks.items()):
        context.report(number / len(marks), "looking for causes")
        found = triage_now(workspace, monitor_id=monitor_id, window_id=window_id, now=context.now())
        with workspace.write() as session:
            n_kept += kept_triage.put(session, window_id=window_id, mark=mark, triage=found, now=context.now())
    with context.record():
        changed = "" if n_kept == len(marks) else " The others changed meanwhile and wait again."
        context.log(f"{n_kept} of {len(marks)} windows looked into.{changed}")
        context.result = {"monitor_id": monitor_id, "n_windows": n_kept}


def look_again(workspace: Workspace, context: JobContext) -> None:
    """Triage the incident ``incident_id`` anew, about the window that tells most of its alerts.

    Result: ``incident_id``, ``cause``.
    """
    from core.incidents import service
    from core.incidents.opening import triage_now

    require(context.actor, Permission.ALERT_ACKNOWLEDGE)
    incident_id: int = context.payload["incident_id"]
    context.report(0.0, "looking for causes")
    with workspace.read() as session:
        incident = queries.incident(session, incident_id)
        window_id = queries.window_to_look_at(session, queries.alerts_of(session, incident_id)) or incident.window_id
        mark = None if window_id is None else kept_triage.mark_of(session, session.get_one(Window, window_id))
    found = triage_now(workspace, monitor_id=incident.monitor_id, window_id=window_id, now=context.now())
    with context.record() as session:
        if window_id is not None and mark is not None:
            kept_triage.put(session, window_id=window_id, mark=mark, triage=found, now=context.now())
        service.look_again(
            session,
            incident_id=incident_id,
            window_id=window_id,
            triage=found,
            actor=context.actor,
            now=context.now(),
        )
        context.result = {"incident_id": incident_id, "cause": found.cause}
