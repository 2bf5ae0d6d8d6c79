"""A worker that also knows a few cheap kinds of job: ``python -m tests.core.automation.worker_for_tests HOME``.

The fork server's children import this module again, so they know the kinds too.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from sqlmodel import Session

from core.errors import InvalidInput
from core.jobs.context import JobContext
from core.jobs.kinds import JOB_KINDS, JobKind
from core.jobs.tables import Job
from core.settings import Settings
from core.workspace import Workspace

MODULE = "tests.core.automation.worker_for_tests"
KINDS = {
    "test_sleep": JobKind("Sleep", f"{MODULE}:sleep", f"{MODULE}:settle", 60.0, 2),
    "test_short": JobKind("Sleep shortly", f"{MODULE}:sleep", f"{MODULE}:settle", 1.0, 2),
    "test_refuse": JobKind("Refuse", f"{MODULE}:refuse", f"{MODULE}:settle", 60.0, 2),
    "test_defect": JobKind("Break", f"{MODULE}:defect", f"{MODULE}:settle", 60.0, 2),
    "test_silent": JobKind("Record nothing", f"{MODULE}:silent", None, 60.0, 1),
}
if __name__ in {"__main__", "__mp_main__"}:  # never in pytest's own process, whose catalogue stays whole
    JOB_KINDS.update(KINDS)


def sleep(_workspace: Workspace, context: JobContext) -> None:
    """Sleep for ``seconds``, or until the file ``until`` is there; never look at whether cancelling was asked for."""
    context.log(f"pid {os.getpid()}")
    end = time.monotonic() + context.payload["seconds"]
    until = Path(context.payload.get("until", "/nonexistent"))
    while time.monotonic() < end and not until.exists():
        time.sleep(0.01)
    with context.record():
        context.result = {"attempt": context.attempt}


def refuse(_workspace: Workspace, _context: JobContext) -> None:
    raise InvalidInput("The file holds no rows.")


def defect(_workspace: Workspace, _context: JobContext) -> None:
    raise ZeroDivisionError("one over nothing")


def silent(_workspace: Workspace, _context: JobContext) -> None:
    pass


def settle(session: Session, job: Job, now: Any) -> None:
    """The row a test job is about: the state it followed into is kept as a line."""
    from core.jobs import service

    assert job.id is not None
    service.add_line(session, job_id=job.id, text=f"settled {job.state}", now=now)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("home", type=Path)
    parser.add_argument("lease_seconds", type=float)
    parser.add_argument("--leash", type=int)
    given = parser.parse_args()
    if given.leash is not None:
        leash.follow(given.leash)
    worker.PRELOAD = ["core.automation.child", "core.tables"]  # cheap jobs need no library: start in half the time
    worker.run_worker(Settings(home=given.home, lease_seconds=given.lease_seconds))


if __name__ == "__main__":
    import argparse

    from core.automation import worker
    from core.cli import leash

    main()
