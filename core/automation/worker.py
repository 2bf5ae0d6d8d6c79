"""The worker: claims jobs and runs each in a process it can kill.

The worker itself stays small: it polls, claims, renews leases and watches. The heavy libraries live in one fork
server; a job's process is forked from it with everything imported, in 24 ms. Whatever needs a job's own module, its
subject's `settle` included, happens in such a process too.

Chosen: a process per attempt, killed by its group. Rejected: threads (a fit cannot be stopped) and a pool (a process
that was killed would have to be replaced, and what one job left behind would meet the next).
"""

from __future__ import annotations

import logging
import multiprocessing
import multiprocessing.forkserver
import os
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from multiprocessing.connection import wait
from multiprocessing.context import ForkServerProcess

from core.automation import child
from core.automation.periodic import PERIODIC
from core.database import utc_now
from core.health.sampling import worker_sampler
from core.jobs import processes, queries, service
from core.jobs.kinds import job_kind
from core.jobs.lifecycle import Ending
from core.jobs.tables import Job
from core.settings import Settings
from core.workspace import Workspace, open_workspace

ROLE = "worker"
RECOVER_EVERY_S = 1.0
SETTLE_WITHIN_S = 60.0
PRELOAD = ["core.automation.preload"]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Attempt:
    """A job this worker runs now."""

    job_id: int
    fence: int
    number: int
    max_attempts: int
    process: ForkServerProcess
    ends_by: float

    @property
    def name(self) -> str:
        """The attempt in words: "attempt 1 of 2"."""
        return f"attempt {self.number} of {self.max_attempts}"


def run_worker(settings: Settings) -> None:
    """Work until told to stop by SIGTERM or SIGINT; jobs still running then go back to the queue."""
    workspace = open_workspace(settings)
    worker = Worker(workspace)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, worker.ask_to_stop)
    try:
        worker.run()
    finally:
        workspace.close()


class Worker:
    """One worker's state: what it runs, and when it last did each of its chores."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace, self.settings = workspace, workspace.settings
        self.owner = processes.this_process()
        self.running: dict[int, Attempt] = {}
        self.stopping = False
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(PRELOAD)
        self._leash, self._leash_held = self._context.Pipe(duplex=False)
        self._ticking: dict[str, ForkServerProcess] = {}
        self._started_at = utc_now()
        self._sampler = worker_sampler(workspace)
        self._chores = {"beat": 0.0, "renew": 0.0, "recover": 0.0} | {
            entry.function: time.monotonic() + entry.every_seconds for entry in PERIODIC
        }

    def ask_to_stop(self, *_signal: object) -> None:
        """Stop after the current turn of the loop."""
        self.stopping = True

    def run(self) -> None:
        """Take turns until asked to stop."""
        multiprocessing.forkserver.ensure_running()
        while not self.stopping:
            try:
                self.turn()
            except Exception:
                # A full disk or a database out of reach for a while must not lose the jobs that run.
                log.exception("A turn of the worker failed; it goes on in a second")
                time.sleep(1.0)
            sentinels = [attempt.process.sentinel for attempt in self.running.values()]
            wait(sentinels, timeout=self.settings.poll_seconds)
        self._release_all()

    def turn(self) -> None:
        """Look once at everything: ended, cancelled and overdue attempts, chores, the queue."""
        now = utc_now()
        self._reap()
        self._kill_unwanted()
        if self._due("beat", processes.BEAT_SECONDS):
            self._beat(now)
        if self.running and self._due("renew", self.settings.lease_seconds / 3):
            self._renew()
        if self._due("recover", RECOVER_EVERY_S):
            self._recover(now)
        if self._sampler.due():
            self._sampler.sample()
        for entry in PERIODIC:
            if self._due(entry.function, entry.every_seconds):
                self._tick(entry.function)
        while len(self.running) < self.settings.worker_slots and self._claim():
            pass

    def _due(self, chore: str, every_seconds: float) -> bool:
        moment = time.monotonic()
        if moment < self._chores[chore]:
            return False
        self._chores[chore] = moment + every_seconds
        return True

    def _claim(self) -> bool:
        with self.workspace.read() as session:
            if not queries.any_queued(session):
                return False
        with self.workspace.write() as session:
            job = service.claim(session, owner=self.owner, now=utc_now(), lease_until=self._lease())
        if job is None:
            return False
        assert job.id is not None
        process = self._spawn(job.id, job.fence)
        ends_by = time.monotonic() + job_kind(job.kind).timeout_seconds
        self.running[job.id] = Attempt(job.id, job.fence, job.attempts, job.max_attempts, process, ends_by)
        return True

    def _reap(self) -> None:
        for attempt in list(self.running.values()):
            if attempt.process.exitcode is None:
                continue
            code = attempt.process.exitcode
            if code == 0:
                self._forget(attempt)
                continue  # it recorded its own end
            self._kill(attempt)  # what it left; and itself, where only the fork server died
            how = f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
            self._end(attempt.job_id, attempt.fence, Ending.LOST, f"Its process {how} during {attempt.name}.")

    def _kill_unwanted(self) -> None:
        if not self.running:
            return
        with self.workspace.read() as session:
            jobs = {job_id: queries.job(session, job_id) for job_id in self.running}
        for attempt in list(self.running.values()):
            job = jobs[attempt.job_id]
            if job.fence != attempt.fence:
                self._kill(attempt)  # another owner took it while this machine slept
            elif job.state in service.FINAL:
                continue  # it recorded its end and is about to exit
            elif job.cancel_requested_at is not None:
                self._kill(attempt)
                self._end(attempt.job_id, attempt.fence, Ending.CANCELLED, "It was cancelled.")
            elif time.monotonic() > attempt.ends_by:
                self._kill(attempt)
                allowed = timedelta(seconds=job_kind(job.kind).timeout_seconds)
                self._end(
                    attempt.job_id,
                    attempt.fence,
                    Ending.TIMED_OUT,
                    f"It was stopped: {attempt.name} ran longer than the {allowed} (h:mm:ss) allowed.",
                )

    def _recover(self, now: datetime) -> None:
        with self.workspace.read() as session:
            jobs = [job for job in queries.running(session) if job.id not in self.running]
        for job in jobs:
            reason = self._lost(job, now)
            if reason is not None:
                assert job.id is not None
                self._end(
                    job.id, job.fence, Ending.LOST, f"{reason} during attempt {job.attempts} of {job.max_attempts}."
                )

    def _lost(self, job: Job, now: datetime) -> str | None:
        assert job.owner is not None
        assert job.owner_host is not None
        assert job.owner_pid is not None
        if job.owner == self.owner.name:
            return "Its process could not be started or ended"
        if processes.surely_dead(job.owner, job.owner_host, job.owner_pid):
            return "The worker was killed"
        if job.lease_until is not None and job.lease_until < now:
            return "The worker was not heard from"
        return None

    def _renew(self) -> None:
        fences = {attempt.job_id: attempt.fence for attempt in self.running.values()}
        with self.workspace.write() as session:
            service.renew(session, fences=fences, lease_until=self._lease())

    def _beat(self, now: datetime) -> None:
        with self.workspace.write() as session:
            processes.beat(
                session,
                role=ROLE,
                pid=self.owner.pid,
                host=self.owner.host,
                address="",
                started_at=self._started_at,
                now=now,
            )

    def _tick(self, function: str) -> None:
        earlier = self._ticking.get(function)
        if earlier is not None and earlier.exitcode is None:
            return
        process = self._context.Process(target=child.tick, args=(self.settings, self._leash, function))
        process.start()
        self._ticking[function] = process

    def _end(self, job_id: int, fence: int, how: Ending, reason: str) -> None:
        # Where this process fails too, the job is still ours and not running: the next recovery ends it.
        process = self._context.Process(
            target=child.ending, args=(self.settings, self._leash, job_id, fence, how, reason)
        )
        process.start()
        process.join(SETTLE_WITHIN_S)
        if process.exitcode is None:
            process.kill()
            process.join()
        process.close()

    def _spawn(self, job_id: int, fence: int) -> ForkServerProcess:
        process = self._context.Process(target=child.attempt, args=(self.settings, self._leash, job_id, fence))
        process.start()
        return process

    def _kill(self, attempt: Attempt) -> None:
        pid = attempt.process.pid
        assert pid is not None
        with suppress(ProcessLookupError, PermissionError):  # the latter is macOS's word for zombies
            os.killpg(pid, signal.SIGKILL)
        attempt.process.kill()  # where it had not yet made its group
        attempt.process.join()
        self._forget(attempt)

    def _forget(self, attempt: Attempt) -> None:
        attempt.process.close()
        del self.running[attempt.job_id]

    def _release_all(self) -> None:
        for attempt in list(self.running.values()):
            self._kill(attempt)
            self._end(attempt.job_id, attempt.fence, Ending.RELEASED, f"The worker was stopped during {attempt.name}.")
        for process in self._ticking.values():
            process.kill()
        with self.workspace.write() as session:
            processes.gone(session, role=ROLE, pid=self.owner.pid, host=self.owner.host)

    def _lease(self) -> datetime:
        return utc_now() + timedelta(seconds=self.settings.lease_seconds)
