"""Running jobs in the calling process: for the shell where no worker is alive, for the demo and for tests."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from sqlmodel import col, select

from core.automation.attempts import run_attempt
from core.database import utc_now
from core.jobs import queries, service
from core.jobs.processes import this_process
from core.jobs.tables import Job, JobState
from core.workspace import Workspace


def run_job(workspace: Workspace, job_id: int, now: datetime | None = None) -> Job:
    """Run one queued job here until it is final; gives it back as it then stands.

    A job that somebody else holds, or that has ended, is given back untouched.

    Parameters
    ----------
    now : datetime, optional
        The moment the work is said to begin at (the demo tells a past); the present otherwise. The lease follows the
        real clock either way.
    """
    clock = utc_now if now is None else _clock_from(now)
    while True:
        with workspace.write() as session:
            claimed = service.claim(
                session, owner=this_process(), now=clock(), lease_until=_lease(workspace), job_id=job_id
            )
        if claimed is None:
            break
        with _renewing(workspace, {job_id: claimed.fence}):
            run_attempt(workspace, job_id=job_id, fence=claimed.fence, clock=clock)
    with workspace.read() as session:
        return queries.job(session, job_id)


def run_all(workspace: Workspace, now: datetime | None = None) -> int:
    """Run every queued job here, due or not, those included that the jobs enqueue; tells how many."""
    count = 0
    while True:
        with workspace.read() as session:
            job_id = session.exec(
                select(Job.id).where(Job.state == JobState.QUEUED).order_by(col(Job.not_before), col(Job.id)).limit(1)
            ).first()
        if job_id is None:
            return count
        run_job(workspace, job_id, now)
        count += 1


def _clock_from(now: datetime) -> Callable[[], datetime]:
    began = utc_now()
    return lambda: now + (utc_now() - began)


def _lease(workspace: Workspace) -> datetime:
    return utc_now() + timedelta(seconds=workspace.settings.lease_seconds)


@contextmanager
def _renewing(workspace: Workspace, fences: dict[int, int]) -> Iterator[None]:
    done = threading.Event()

    def renew() -> None:
        while not done.wait(workspace.settings.lease_seconds / 3):
            with workspace.write() as session:
                service.renew(session, fences=fences, lease_until=_lease(workspace))

    thread = threading.Thread(target=renew, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
