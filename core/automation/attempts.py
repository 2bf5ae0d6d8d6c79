"""One attempt at a claimed job, in the process that calls: handler, outcome, reason.

The local child and the inline runner share it, so a job ends the same way wherever it runs.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from datetime import datetime
from importlib import import_module

from core.access.queries import actor_of_user
from core.database import utc_now
from core.errors import ArtifactCorrupted, JobCancelled, LifecycleError, StaleRevision
from core.jobs import service
from core.jobs.context import JobContext
from core.jobs.kinds import job_kind
from core.jobs.lifecycle import Ending
from core.jobs.tables import Job
from core.permissions import SHELL_READS, Actor
from core.workspace import Workspace


def run_attempt(workspace: Workspace, *, job_id: int, fence: int, clock: Callable[[], datetime] = utc_now) -> None:
    """Run a claimed job's handler and record how it ended.

    A refusal fails the job with its message; any other exception goes into the job's log and is tried again while
    attempts remain. When another owner took the job meanwhile, nothing is recorded.
    """
    try:
        context = None
        try:
            with workspace.write() as session:
                job = service.begin(session, job_id=job_id, fence=fence, now=clock())
                actor = _actor(workspace, job)
            context = JobContext(
                workspace,
                job_id=job_id,
                fence=fence,
                attempt=job.attempts,
                payload=dict(job.payload),
                actor=actor,
                clock=clock,
            )
            module, function = job_kind(job.kind).handler.split(":")
            getattr(import_module(module), function)(workspace, context)
            if not context.recorded:
                raise RuntimeError(f"{job_kind(job.kind).handler} ended without recording its outcome")
        except StaleRevision:
            raise
        except JobCancelled:
            end_attempt(
                workspace, job_id=job_id, fence=fence, ending=Ending.CANCELLED, reason="It was cancelled.", now=clock()
            )
        except LifecycleError as refusal:
            ending = Ending.DAMAGED if isinstance(refusal, ArtifactCorrupted) else Ending.REFUSED
            end_attempt(workspace, job_id=job_id, fence=fence, ending=ending, reason=str(refusal), now=clock())
        except Exception as defect:
            if context is not None and context.recorded:
                raise
            with workspace.write() as session:
                service.add_line(session, job_id=job_id, text=traceback.format_exc(), now=clock())
            reason = f"It stopped on a defect: {type(defect).__name__}: {defect}"[:500]
            end_attempt(workspace, job_id=job_id, fence=fence, ending=Ending.DEFECT, reason=reason, now=clock())
    except StaleRevision:
        return


def end_attempt(workspace: Workspace, *, job_id: int, fence: int, ending: Ending, reason: str, now: datetime) -> None:
    """Record that an attempt ended without success; the subject row follows.

    Where following fails, the job ends all the same: a job that cannot end would be tried for ever.
    """
    try:
        with workspace.write() as session:
            service.end(session, job_id=job_id, fence=fence, ending=ending, reason=reason, now=now)
    except StaleRevision:
        return
    except Exception:
        with workspace.write() as session:
            service.add_line(session, job_id=job_id, text=traceback.format_exc(), now=now)
            service.end(
                session,
                job_id=job_id,
                fence=fence,
                ending=Ending.REFUSED,
                reason=f"{reason} The row it is about could not follow; the log says why.",
                now=now,
                settling=False,
            )


def _actor(workspace: Workspace, job: Job) -> Actor:
    if job.actor_id is None:
        # The built-in shell may read; the program itself needs no permission for what it enqueues.
        extra = SHELL_READS if job.actor_via == "shell" else frozenset()
        return Actor(user_id=None, name=job.actor_name, roles=frozenset(), via="job", extra=extra)
    with workspace.read() as session:
        return actor_of_user(session, job.actor_id, "job")
