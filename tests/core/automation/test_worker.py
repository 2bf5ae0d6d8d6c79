"""A real worker process: what it does with jobs that end well, badly, late, or not at all."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from core.database import utc_now
from core.jobs import queries, service
from core.jobs.tables import JobState
from core.workspace import Workspace
from tests.core.automation.watching_jobs import child_pid, is_final, job_now, kill, lines, runs, wait_for

pytestmark = pytest.mark.e2e

PutJob = Callable[..., int]
StartWorker = Callable[..., subprocess.Popen[bytes]]


def test_jobs_end_with_their_outcome_and_reason(
    workspace: Workspace, put_job: PutJob, start_worker: StartWorker
) -> None:
    well, refused = put_job("test_sleep", seconds=0), put_job("test_refuse")
    defect, silent, short = put_job("test_defect"), put_job("test_silent"), put_job("test_short", seconds=60)
    start_worker()
    for job_id in (well, refused, defect, silent, short):
        wait_for(lambda job_id=job_id: is_final(workspace, job_id))

    job = job_now(workspace, well)
    assert (job.state, job.result, job.progress, job.error) == (JobState.SUCCEEDED, {"attempt": 1}, 1.0, None)

    job = job_now(workspace, refused)
    assert (job.state, job.attempts, job.error) == (JobState.FAILED, 1, "The file holds no rows.")
    assert "settled failed" in lines(workspace, refused)

    job = job_now(workspace, defect)
    assert (job.state, job.attempts) == (JobState.FAILED, 2)
    assert job.error == "It stopped on a defect: ZeroDivisionError: one over nothing"
    log = lines(workspace, defect)
    assert any(line.startswith("Traceback") for line in log)
    assert [line for line in log if line.startswith("settled")] == [
        "settled running",
        "settled queued",
        "settled running",
        "settled failed",
    ]

    assert "without recording" in (job_now(workspace, silent).error or "")

    job = job_now(workspace, short)
    assert (job.state, job.attempts) == (JobState.FAILED, 1)
    assert "longer than the 0:00:01" in (job.error or "")


def test_killed_worker_leaves_no_process_and_its_job_is_retried_then_fails_with_the_reason(
    workspace: Workspace, put_job: PutJob, start_worker: StartWorker
) -> None:
    job_id = put_job("test_sleep", seconds=60)
    first = start_worker()
    pid = child_pid(workspace, job_id)
    family = [process.pid for process in psutil.Process(first.pid).children(recursive=True)]
    assert pid in family
    kill(first.pid)
    first.wait()
    wait_for(lambda: not any(runs(pid) for pid in family), seconds=5)
    assert job_now(workspace, job_id).state == JobState.RUNNING  # nobody is there to notice

    second = start_worker()
    wait_for(lambda: job_now(workspace, job_id).attempts == 2)
    wait_for(lambda: lines(workspace, job_id)[-1].startswith("pid "))
    kill(second.pid)
    second.wait()

    start_worker()
    wait_for(lambda: is_final(workspace, job_id))
    job = job_now(workspace, job_id)
    assert (job.state, job.error) == (JobState.FAILED, "The worker was killed during attempt 2 of 2.")
    assert lines(workspace, job_id)[-1] == "settled failed"


def test_killed_child_is_retried(workspace: Workspace, put_job: PutJob, start_worker: StartWorker) -> None:
    job_id = put_job("test_sleep", seconds=1)
    start_worker()
    kill(child_pid(workspace, job_id))
    wait_for(lambda: is_final(workspace, job_id))
    job = job_now(workspace, job_id)
    assert (job.state, job.result, job.error) == (JobState.SUCCEEDED, {"attempt": 2}, None)
    assert "Its process was killed by signal 9 during attempt 1 of 2." in lines(workspace, job_id)


def test_killed_fork_server_takes_its_child_along_and_the_job_is_retried(
    workspace: Workspace, put_job: PutJob, start_worker: StartWorker
) -> None:
    job_id = put_job("test_sleep", seconds=60)
    start_worker()
    pid = child_pid(workspace, job_id)
    kill(psutil.Process(pid).ppid())
    wait_for(lambda: not runs(pid))
    wait_for(lambda: job_now(workspace, job_id).attempts == 2 and child_pid(workspace, job_id) != pid)


def test_cancelling_kills_the_process_within_seconds(
    workspace: Workspace, put_job: PutJob, start_worker: StartWorker
) -> None:
    job_id, waiting = put_job("test_sleep", seconds=60), put_job("test_sleep", seconds=60)
    start_worker()
    pid = child_pid(workspace, job_id)
    with workspace.write() as session:
        service.request_cancel(session, job_id=waiting, now=utc_now())
        service.request_cancel(session, job_id=job_id, now=utc_now())
    assert wait_for(lambda: is_final(workspace, job_id)) < 3
    assert not runs(pid)
    assert job_now(workspace, job_id).state == job_now(workspace, waiting).state == JobState.CANCELLED
    assert lines(workspace, job_id)[-1] == "settled cancelled"


def test_stopped_worker_gives_its_job_back_uncounted(
    workspace: Workspace, put_job: PutJob, start_worker: StartWorker
) -> None:
    job_id = put_job("test_sleep", seconds=60)
    worker = start_worker()
    pid = child_pid(workspace, job_id)
    with workspace.read() as session:
        assert queries.worker_alive(session, utc_now())
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(10) == 0
    assert not runs(pid)
    job = job_now(workspace, job_id)
    assert (job.state, job.attempts, job.owner) == (JobState.QUEUED, 0, None)
    with workspace.read() as session:
        assert not queries.worker_alive(session, utc_now())


def test_long_job_keeps_its_lease(workspace: Workspace, put_job: PutJob, start_worker: StartWorker) -> None:
    job_id = put_job("test_sleep", seconds=2.5)
    start_worker(lease_seconds=0.9)
    child_pid(workspace, job_id)
    start_worker(lease_seconds=0.9)
    wait_for(lambda: is_final(workspace, job_id))
    assert job_now(workspace, job_id).result == {"attempt": 1}


def test_worker_that_freezes_past_its_lease_loses_the_job_and_its_record_is_refused(
    workspace: Workspace, put_job: PutJob, start_worker: StartWorker, tmp_path: Path
) -> None:
    wake = tmp_path / "wake"
    job_id = put_job("test_sleep", seconds=120, until=str(wake))
    frozen = start_worker(lease_seconds=1)
    stale = child_pid(workspace, job_id)
    frozen.send_signal(signal.SIGSTOP)
    start_worker(lease_seconds=1)
    wait_for(lambda: job_now(workspace, job_id).fence == 2 and lines(workspace, job_id)[-1].startswith("pid"))
    wake.touch()  # both wake up and try to record
    wait_for(lambda: is_final(workspace, job_id) and not runs(stale))
    frozen.send_signal(signal.SIGCONT)
    assert job_now(workspace, job_id).result == {"attempt": 2}
    assert "The worker was not heard from during attempt 1 of 2." in lines(workspace, job_id)


def test_eight_jobs_on_two_workers_run_once_each(
    workspace: Workspace, put_job: PutJob, start_worker: StartWorker
) -> None:
    start_worker()
    start_worker()
    jobs = [put_job("test_sleep", seconds=0.05) for _ in range(8)]
    for job_id in jobs:
        wait_for(lambda job_id=job_id: is_final(workspace, job_id))
    time.sleep(0.2)
    for job_id in jobs:
        assert job_now(workspace, job_id).attempts == 1
        assert sum(line.startswith("pid") for line in lines(workspace, job_id)) == 1
