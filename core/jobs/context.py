"""What a handler is given: its payload, whom it acts for, and the one block that records its outcome."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from sqlmodel import Session

from core.database import utc_now
from core.errors import JobCancelled
from core.jobs import service
from core.permissions import Actor
from core.workspace import Workspace

REPORT_EVERY_S = 0.5


class JobContext:
    """One attempt at one job.

    A handler is ``def handler(workspace, context) -> None``: it prepares (reads, computes, puts artifacts) and then
    finishes with exactly one ``with context.record() as session:`` block. Where that would hold the database for
    seconds, what is whole by itself and the same when it is written again may go ahead of it: `ahead`.

    Parameters
    ----------
    workspace : Workspace
    job_id, fence, attempt : int
        The job, the claim that holds it, and the number of this attempt, from 1.
    payload : dict
        What was enqueued.
    actor : Actor
        Whoever enqueued the job, with the roles they hold now.
    clock : callable, optional
        Gives the present moment.

    Attributes
    ----------
    result : dict or None
        Set it before the ``record`` block ends; kept with the job.
    recorded : bool
        Whether the outcome was committed.
    """

    def __init__(
        self,
        workspace: Workspace,
        *,
        job_id: int,
        fence: int,
        attempt: int,
        payload: dict[str, Any],
        actor: Actor,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self.job_id, self.attempt, self.payload, self.actor = job_id, attempt, payload, actor
        self.now = clock
        self.result: dict[str, Any] | None = None
        self.recorded = False
        self._workspace, self._fence = workspace, fence
        self._reported_at, self._note = float("-inf"), ""
        self._recording: Session | None = None

    def report(self, progress: float, note: str = "") -> None:
        """Say how far the work is; written when the note is a new one, and otherwise at most twice a second.

        Parameters
        ----------
        progress : float
            Share done, 0 to 1.
        note : str
            What is being done, in words.

        Raises
        ------
        JobCancelled
            Cancelling was asked for.
        StaleRevision
            Another owner has the job.
        """
        moment = time.monotonic()
        soon = note == self._note and moment - self._reported_at < REPORT_EVERY_S
        if self._recording is not None or soon:
            return
        self._reported_at, self._note = moment, note
        with self._workspace.write() as session:
            asked = service.report(
                session, job_id=self.job_id, fence=self._fence, progress=min(max(progress, 0.0), 1.0), note=note
            )
        if asked:
            raise JobCancelled("It was cancelled.")

    def log(self, text: str) -> None:
        """Append to the job's log; inside ``record`` the lines commit with the outcome."""
        if self._recording is not None:
            service.add_line(self._recording, job_id=self.job_id, text=text, now=self.now())
            return
        with self._workspace.write() as session:
            service.add_line(session, job_id=self.job_id, text=text, now=self.now())

    def check_cancelled(self) -> None:
        """Stop here if cancelling was asked for.

        Raises
        ------
        JobCancelled, StaleRevision
        """
        with self._workspace.read() as session:
            self._hold(session)

    @contextmanager
    def ahead(self) -> Iterator[Session]:
        """One write transaction with a piece of the outcome; a job that ends here has it, and writes it again.

        Raises
        ------
        StaleRevision, JobCancelled
            As `record`; nothing of this piece is written.
        """
        with self._workspace.write() as session:
            self._hold(session)
            yield session

    @contextmanager
    def record(self) -> Iterator[Session]:
        """One write transaction in which the outcome and the job's success commit together.

        Raises
        ------
        StaleRevision
            Another owner has the job; nothing is written.
        JobCancelled
            Cancelling was asked for; nothing is written.
        """
        with self._workspace.write() as session:
            self._hold(session)
            self._recording = session
            try:
                yield session
                service.succeed(session, job_id=self.job_id, fence=self._fence, result=self.result, now=self.now())
            finally:
                self._recording = None
        self.recorded = True

    def _hold(self, session: Session) -> None:
        job = service.held(session, job_id=self.job_id, fence=self._fence)
        if job.cancel_requested_at is not None:
            raise JobCancelled("It was cancelled.")
