"""Rounds of seeded kills over supervisor, workers, fork servers and children, while jobs run."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from sqlmodel import select

from core.database import utc_now
from core.jobs import queries, service
from core.jobs.tables import Job, JobState
from core.permissions import system_actor
from core.workspace import Workspace
from tests.core.automation.watching_jobs import runs, wait_for

ROOT = Path(__file__).parents[3]
JOBS_PER_ROUND = 3
PATIENCE_S = 180.0
SUPERVISOR = "tests.core.automation.supervisor_for_tests"


@dataclass
class KillReport:
    """What the rounds left.

    ``wrong`` names each job that is not final or ended other than once; ``orphans`` each process left after the end.
    """

    enqueued: int = 0
    killed: dict[str, int] = field(default_factory=dict)
    states: dict[str, int] = field(default_factory=dict)
    attempts: dict[int, int] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    orphans: list[int] = field(default_factory=list)


def kill_rounds(workspace: Workspace, *, rounds: int, seed: int) -> KillReport:
    """Kill one random process per round, each while a job runs, then let everything end.

    Needs the cheap kinds in ``JOB_KINDS``.
    """
    rng, report = random.Random(seed), KillReport()
    seen: dict[int, psutil.Process] = {}
    supervisor = _start(workspace.home)
    try:
        for _ in range(rounds):
            wait_for(lambda: _unfinished(workspace) <= JOBS_PER_ROUND, seconds=PATIENCE_S)
            report.enqueued += _enqueue(workspace, rng)
            while True:
                wait_for(lambda top=supervisor: _busy(top) or not _unfinished(workspace), seconds=PATIENCE_S)
                if not _unfinished(workspace):
                    report.enqueued += _enqueue(workspace, rng)
                    continue
                time.sleep(rng.uniform(0.0, 0.4))
                family = _family(supervisor)
                seen |= {process.pid: process for process, _ in family}
                role = rng.choice(sorted({role for _, role in family}))
                try:
                    rng.choice([process for process, its in family if its == role]).kill()
                except psutil.NoSuchProcess:  # a child that had just ended
                    continue
                break
            report.killed[role] = report.killed.get(role, 0) + 1
            if role == "supervisor":
                supervisor.wait()
                supervisor = _start(workspace.home)
        wait_for(lambda: not _unfinished(workspace), seconds=PATIENCE_S)
        seen |= {process.pid: process for process, _ in _family(supervisor)}
        supervisor.terminate()
        assert supervisor.wait(30) == 0
    finally:
        if supervisor.poll() is None:
            supervisor.kill()  # what it started ends by its leash
            supervisor.wait()
    with suppress(AssertionError):  # what is left is reported
        wait_for(lambda: not _left(seen), seconds=15)
    report.orphans = _left(seen)
    _judge(workspace, report)
    return report


def _left(seen: dict[int, psutil.Process]) -> list[int]:
    return [pid for pid, process in seen.items() if process.is_running() and runs(pid)]


def _busy(supervisor: subprocess.Popen[bytes]) -> bool:
    return any(role == "child" for _, role in _family(supervisor))


def _start(home: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", SUPERVISOR, str(home)], cwd=ROOT)


def _enqueue(workspace: Workspace, rng: random.Random) -> int:
    with workspace.write() as session:
        for _ in range(JOBS_PER_ROUND):
            service.enqueue(
                session,
                kind="test_sleep",
                payload={"seconds": rng.uniform(0.1, 0.8)},
                subject_kind="test",
                subject_id=1,
                actor=system_actor(),
                now=utc_now(),
            )
    return JOBS_PER_ROUND


def _unfinished(workspace: Workspace) -> int:
    with workspace.read() as session:
        return len(queries.queue(session, 100))


def _family(supervisor: subprocess.Popen[bytes]) -> list[tuple[psutil.Process, str]]:
    """Every process below the supervisor, each with what it is."""
    top = psutil.Process(supervisor.pid)
    found = [(top, "supervisor")]
    for process in top.children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            line = " ".join(process.cmdline())
            if "resource_tracker" in line:
                continue
            parent = process.parent()
            below = " ".join(parent.cmdline()) if parent is not None else ""
            role = "worker" if "worker_for_tests" in line and "forkserver" not in line else "fork server"
            found.append((process, "child" if "forkserver" in line and "forkserver" in below else role))
    return found


def _judge(workspace: Workspace, report: KillReport) -> None:
    with workspace.read() as session:
        for job in session.exec(select(Job)):
            assert job.id is not None
            report.states[job.state] = report.states.get(job.state, 0) + 1
            report.attempts[job.attempts] = report.attempts.get(job.attempts, 0) + 1
            said = [line.text for line in queries.job_lines(session, job.id)]
            ends = sum(line in {"settled failed", "settled cancelled"} for line in said)
            ends += job.state == JobState.SUCCEEDED
            if ends != 1 or (job.state == JobState.FAILED) != bool(job.error):
                report.wrong.append(f"job {job.id} is {job.state} ({job.error}) after {job.attempts} attempts: {said}")
