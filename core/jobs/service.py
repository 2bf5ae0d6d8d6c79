"""Writing jobs: enqueue, cancel, claim, renew, end. Every state change of a job happens here.

Enqueueing and cancelling are one step of a higher action, whose service checks the permission and writes the audit
event; the rest is the worker's and is telemetry.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from importlib import import_module
from typing import Any

from sqlalchemy import update
from sqlmodel import Session, col, select

from core.errors import NotFound, StaleRevision
from core.jobs.kinds import job_kind
from core.jobs.lifecycle import Ending, check_move, state_after
from core.jobs.processes import Owner
from core.jobs.tables import Job, JobLine, JobState
from core.permissions import Actor

FINAL = frozenset({JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED})


def enqueue(
    session: Session,
    *,
    kind: str,
    payload: Mapping[str, Any],
    subject_kind: str,
    subject_id: int,
    actor: Actor,
    now: datetime,
    idempotency_key: str | None = None,
) -> Job:
    """Put a job into the queue, in the caller's transaction.

    Parameters
    ----------
    kind : str
        A key of `JOB_KINDS`.
    payload : mapping
        JSON-ready arguments of the handler.
    subject_kind, subject_id : str, int
        The row the job is about.
    actor : Actor
        For whom it acts.
    idempotency_key : str, optional
        A second job of the same key is not made; the first is given back.

    Raises
    ------
    NotFound
        There is no such kind.
    """
    entry = job_kind(kind)
    if idempotency_key is not None:
        earlier = session.exec(select(Job).where(Job.idempotency_key == idempotency_key)).first()
        if earlier is not None:
            return earlier
    job = Job(
        kind=kind,
        payload=dict(payload),
        subject_kind=subject_kind,
        subject_id=subject_id,
        idempotency_key=idempotency_key,
        actor_id=actor.user_id,
        actor_name=actor.name,
        actor_via=actor.via,
        enqueued_at=now,
        not_before=now,
        max_attempts=entry.max_attempts,
    )
    session.add(job)
    session.flush()
    return job


def request_cancel(session: Session, *, job_id: int, now: datetime) -> Job:
    """Ask a job to stop: a queued one is cancelled here, a running one by its worker within seconds.

    The caller has checked the permission. Asking twice, or asking a finished job, changes nothing.

    Raises
    ------
    NotFound
    """
    job = _locked(session, job_id)
    if job.state == JobState.QUEUED:
        job.cancel_requested_at = now
        _move(session, job, JobState.CANCELLED, now=now)
    elif job.state == JobState.RUNNING and job.cancel_requested_at is None:
        job.cancel_requested_at = now
        session.add(job)
        session.flush()
    return job


def claim(
    session: Session, *, owner: Owner, now: datetime, lease_until: datetime, job_id: int | None = None
) -> Job | None:
    """Take the job that waits longest, or one job by its id; None when there is none to take.

    Counts an attempt and raises the fence, so that a write by an earlier owner is refused from here on. The subject
    row follows when the attempt begins (`begin`). When a job was queued decides its turn alone: one that was queued
    while the clock was ahead need not wait until the clock is there again.

    Parameters
    ----------
    job_id : int, optional
        Take this one, whatever its turn.
    """
    query = select(Job).where(Job.state == JobState.QUEUED)
    if job_id is None:
        query = query.order_by(col(Job.not_before), col(Job.id)).limit(1)
    else:
        query = query.where(Job.id == job_id)
    job = session.exec(query.with_for_update(skip_locked=True)).first()
    if job is None:
        return None
    check_move(job.state, JobState.RUNNING)
    job.state = JobState.RUNNING
    job.fence += 1
    job.attempts += 1
    job.owner, job.owner_host, job.owner_pid = owner.name, owner.host, owner.pid
    job.lease_until = lease_until
    job.started_at = now
    job.progress, job.progress_note = 0.0, ""
    session.add(job)
    session.flush()
    return job


def begin(session: Session, *, job_id: int, fence: int, now: datetime) -> Job:
    """Start a claimed attempt: the subject row follows into "running".

    Raises
    ------
    StaleRevision
        Another owner has the job.
    """
    job = held(session, job_id=job_id, fence=fence)
    _settle(session, job, now)
    return job


def renew(session: Session, *, fences: Mapping[int, int], lease_until: datetime) -> None:
    """Lengthen the leases of running jobs.

    Parameters
    ----------
    fences : mapping of int to int
        Job id to the fence it was claimed with; a job claimed anew by another owner is left alone.
    """
    for job_id, fence in fences.items():
        session.execute(
            update(Job)
            .where(col(Job.id) == job_id, col(Job.fence) == fence, col(Job.state) == JobState.RUNNING)
            .values(lease_until=lease_until)
        )


def held(session: Session, *, job_id: int, fence: int) -> Job:
    """The running job, if the caller still holds it.

    Raises
    ------
    StaleRevision
        It ended, or another owner claimed it.
    """
    job = _locked(session, job_id)
    if job.state != JobState.RUNNING or job.fence != fence:
        raise StaleRevision(
            f"Job {job_id} is {job.state} and at claim {job.fence}; this attempt held claim {fence}. "
            "Nothing of it was recorded."
        )
    return job


def succeed(session: Session, *, job_id: int, fence: int, result: Mapping[str, Any] | None, now: datetime) -> Job:
    """End an attempt with success and keep its result.

    Raises
    ------
    StaleRevision
    """
    job = held(session, job_id=job_id, fence=fence)
    job.result = None if result is None else dict(result)
    job.progress, job.error = 1.0, None
    check_move(job.state, JobState.SUCCEEDED)
    job.state = JobState.SUCCEEDED
    _let_go(job, now)
    session.add(job)
    session.flush()
    _call(job_kind(job.kind).followed_by, session, job, now)
    return job


def end(
    session: Session, *, job_id: int, fence: int, ending: Ending, reason: str, now: datetime, settling: bool = True
) -> Job:
    """End an attempt without success: the job fails, is cancelled or goes back to the queue.

    Parameters
    ----------
    reason : str
        A sentence for a person; kept as the job's error.
    settling : bool
        False only where the subject's own `settle` is what broke: the job must end all the same.

    Raises
    ------
    StaleRevision
    """
    job = held(session, job_id=job_id, fence=fence)
    state = state_after(
        ending,
        attempts=job.attempts,
        max_attempts=job.max_attempts,
        cancel_requested=job.cancel_requested_at is not None,
    )
    if ending is Ending.RELEASED and state is JobState.QUEUED:
        job.attempts -= 1  # being told to stop is not the job's fault
    job.error = None if state is JobState.CANCELLED else reason
    job.refused = ending is Ending.REFUSED and settling
    add_line(session, job_id=job_id, text=reason, now=now)
    _move(session, job, state, now=now, settling=settling)
    return job


def add_line(session: Session, *, job_id: int, text: str, now: datetime) -> None:
    """Append one line, or several, to a job's log."""
    session.add_all(JobLine(job_id=job_id, at=now, text=line) for line in text.splitlines() or [""])


def report(session: Session, *, job_id: int, fence: int, progress: float, note: str) -> bool:
    """Write down how far an attempt is; tells whether cancelling was asked for.

    Raises
    ------
    StaleRevision
    """
    job = held(session, job_id=job_id, fence=fence)
    job.progress, job.progress_note = progress, note
    session.add(job)
    return job.cancel_requested_at is not None


def _move(session: Session, job: Job, state: JobState, *, now: datetime, settling: bool = True) -> None:
    check_move(job.state, state)
    job.state = state
    if state is JobState.QUEUED:
        job.not_before = now
        job.owner = job.owner_host = job.owner_pid = job.lease_until = None
    else:
        _let_go(job, now)
    session.add(job)
    session.flush()
    if settling:
        _settle(session, job, now)


def _let_go(job: Job, now: datetime) -> None:
    job.finished_at = now
    job.lease_until = None


def _settle(session: Session, job: Job, now: datetime) -> None:
    _call(job_kind(job.kind).settle, session, job, now)


def _call(name: str | None, session: Session, job: Job, now: datetime) -> None:
    if name is not None:
        module, function = name.split(":")
        getattr(import_module(module), function)(session, job, now)


def _locked(session: Session, job_id: int) -> Job:
    job = session.get(Job, job_id, with_for_update=True, populate_existing=True)
    if job is None:
        raise NotFound("job", job_id)
    return job
