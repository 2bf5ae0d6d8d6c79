"""Cheap kinds of job, and real worker processes that know them."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from core.database import utc_now
from core.jobs import service
from core.jobs.kinds import JOB_KINDS
from core.permissions import Actor
from core.workspace import Workspace
from tests.core.automation import worker_for_tests

ROOT = Path(__file__).parents[3]
StartWorker = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture(autouse=True)
def _cheap_kinds(monkeypatch: pytest.MonkeyPatch) -> None:
    for key, kind in worker_for_tests.KINDS.items():
        monkeypatch.setitem(JOB_KINDS, key, kind)


@pytest.fixture
def put_job(workspace: Workspace, scientist: Actor) -> Callable[..., int]:
    """Enqueue a cheap job: ``put_job("test_sleep", seconds=30)``."""

    def put(kind: str, **payload: object) -> int:
        with workspace.write() as session:
            job = service.enqueue(
                session,
                kind=kind,
                payload=payload,
                subject_kind="test",
                subject_id=1,
                actor=scientist,
                now=utc_now(),
            )
        assert job.id is not None
        return job.id

    return put


@pytest.fixture
def start_worker(workspace: Workspace) -> Iterator[StartWorker]:
    """Start worker processes; whatever is left of them is killed afterwards."""
    started: list[subprocess.Popen[bytes]] = []

    def start(lease_seconds: float = 30.0) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", worker_for_tests.MODULE, str(workspace.home), str(lease_seconds)]
        process = subprocess.Popen(command, cwd=ROOT)
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
