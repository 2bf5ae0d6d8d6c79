"""Reading jobs."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Session, col, select

from core.errors import NotFound
from core.jobs.processes import alive
from core.jobs.tables import Job, JobLine, JobState


def job(session: Session, job_id: int) -> Job:
    """One job.

    Raises
    ------
    NotFound
    """
    found = session.get(Job, job_id)
    if found is None:
        raise NotFound("job", job_id)
    return found


def jobs_of(session: Session, subject_kind: str, subject_id: int) -> list[Job]:
    """The jobs about one subject, newest first."""
    return list(
        session.exec(
            select(Job)
            .where(Job.subject_kind == subject_kind, Job.subject_id == subject_id)
            .order_by(col(Job.id).desc())
        )
    )


def job_lines(session: Session, job_id: int, after_id: int = 0) -> list[JobLine]:
    """The lines of a job's log, oldest first, those after one line only where it is given."""
    return list(
        session.exec(
            select(JobLine).where(JobLine.job_id == job_id, col(JobLine.id) > after_id).order_by(col(JobLine.id))
        )
    )


def queue(session: Session, limit: int) -> list[Job]:
    """Jobs that run or wait, in the order they are taken."""
    return list(
        session.exec(
            select(Job)
            .where(col(Job.state).in_([JobState.RUNNING, JobState.QUEUED]))
            .order_by(col(Job.state).desc(), col(Job.not_before), col(Job.id))
            .limit(limit)
        )
    )


def recent(session: Session, limit: int) -> list[Job]:
    """Jobs in any state, newest first."""
    return list(session.exec(select(Job).order_by(col(Job.id).desc()).limit(limit)))


def any_queued(session: Session) -> bool:
    """Whether a job waits to be taken; one look into an index."""
    return session.exec(select(Job.id).where(Job.state == JobState.QUEUED).limit(1)).first() is not None


def running(session: Session) -> list[Job]:
    """Every job that an owner holds now, oldest first."""
    return list(session.exec(select(Job).where(Job.state == JobState.RUNNING).order_by(col(Job.id))))


def worker_alive(session: Session, now: datetime) -> bool:
    """Whether any worker was seen within the last 15 seconds."""
    return any(process.role == "worker" for process in alive(session, now))
