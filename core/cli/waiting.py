"""Waiting for a job from the shell; where no worker is alive, the command runs it itself."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from core.errors import LifecycleError

if TYPE_CHECKING:
    from core.jobs.tables import Job
    from core.workspace import Workspace

LOOK_EVERY_S = 0.1


def finish(workspace: Workspace, job_id: int | None) -> Job:
    """Wait until a job has ended.

    Raises
    ------
    LifecycleError
        It failed or was cancelled; the message is the job's reason.
    """
    from core.automation.inline import run_job
    from core.database import utc_now
    from core.jobs import queries
    from core.jobs.tables import JobState

    assert job_id is not None
    while True:
        with workspace.read() as session:
            job = queries.job(session, job_id)
            alive = queries.worker_alive(session, utc_now())
        if job.state == JobState.SUCCEEDED:
            return job
        if job.state in {JobState.FAILED, JobState.CANCELLED}:
            raise LifecycleError(job.error or f"The job was {job.state} without a reason; see gatehouse job list.")
        if job.state == JobState.QUEUED and not alive:
            run_job(workspace, job_id)
        else:
            time.sleep(LOOK_EVERY_S)
