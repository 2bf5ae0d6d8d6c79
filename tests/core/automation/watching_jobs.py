"""Looking at jobs and processes from outside, and waiting for them."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable

import psutil

from core.jobs import queries, service
from core.jobs.tables import Job
from core.workspace import Workspace


def wait_for(condition: Callable[[], bool], seconds: float = 90.0) -> float:
    """Wait until something holds; gives how long it took, fails when it never did."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds, "waited in vain"
        time.sleep(0.02)
    return time.monotonic() - began


def job_now(workspace: Workspace, job_id: int) -> Job:
    with workspace.read() as session:
        return queries.job(session, job_id)


def lines(workspace: Workspace, job_id: int) -> list[str]:
    with workspace.read() as session:
        return [line.text for line in queries.job_lines(session, job_id)]


def child_pid(workspace: Workspace, job_id: int) -> int:
    """The process a sleeping job said it runs in, waited for."""
    found: list[int] = []

    def said() -> bool:
        found[:] = [int(line.split()[1]) for line in lines(workspace, job_id) if line.startswith("pid ")]
        return bool(found)

    wait_for(said)
    return found[-1]


def is_final(workspace: Workspace, job_id: int) -> bool:
    return job_now(workspace, job_id).state in service.FINAL


def runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
