"""The whole process tree, killed in the middle of a real fit: no run is lost, nobody is signed out."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pandas as pd
import psutil
import pytest

from core.jobs import queries as jobs
from core.jobs.tables import Job, JobState
from core.settings import Settings
from core.training import queries
from core.training.tables import Run, RunState
from core.workspace import Workspace, open_workspace
from tests.core.automation.watching_jobs import kill, lines, runs, wait_for
from tests.e2e.conftest import Gatehouse, free_port, start

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(900)]

ROOT = Path(__file__).parents[2]
PASSWORD = "correct horse battery"
SLOW = ("--algorithm", "random_forest", "--param", "n_estimators=2000", "--param", "max_features=all")


def gatehouse(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "core.cli.main", *arguments, "--home", str(home)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with an account and a dataset whose forest takes minutes to fit; nothing runs."""
    folder = tmp_path_factory.mktemp("robust")
    rng = np.random.default_rng(0)
    rows = pd.DataFrame(rng.normal(size=(20_000, 12)).round(4), columns=[f"x{place}" for place in range(12)])
    rows["y"] = (rows.sum(axis=1) + rng.normal(size=len(rows))).round(4)
    rows.to_csv(folder / "rows.csv", index=False)
    home = folder / "home"
    for arguments in (
        ("user", "add", "ada", "--role", "administrator", "--role", "data-scientist", "--password", PASSWORD),
        ("dataset", "add", str(folder / "rows.csv"), "--name", "rows", "--target", "y", "--as", "ada"),
    ):
        done = gatehouse(home, *arguments)
        assert done.returncode == 0, done.stderr
    return home


@pytest.fixture
def home(prepared: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(prepared, tmp_path / "home"))


@pytest.fixture
def up(home: Path) -> Iterator[Gatehouse]:
    running = start(home)
    try:
        running.wait_until_ready(120)
        yield running
    finally:
        running.stop()


@pytest.fixture
def workspace(home: Path) -> Iterator[Workspace]:
    opened = open_workspace(Settings(home=home))
    yield opened
    opened.close()


def launch(home: Path) -> int:
    """Queue the slow fit; gives the run's id."""
    done = gatehouse(home, "train", "--dataset", "rows", *SLOW, "--as", "ada", "--json")
    assert done.returncode == 0, done.stderr
    run_id: int = json.loads(done.stdout)["id"]
    return run_id


def stands(workspace: Workspace, run_id: int) -> tuple[Run, Job]:
    with workspace.read() as session:
        run = queries.run(session, run_id)
        assert run.job_id is not None
        return run, jobs.job(session, run.job_id)


def fits(workspace: Workspace, run_id: int, attempt: int) -> bool:
    """Whether an attempt is in the middle of its fit."""
    run, job = stands(workspace, run_id)
    return (run.state, job.attempts, job.progress_note) == (RunState.RUNNING, attempt, "fitting")


def part(up: Gatehouse, role: str) -> psutil.Process | None:
    for process in psutil.Process(up.process.pid).children():
        line = process.cmdline()
        if "core.cli.processes" in line and line[line.index("core.cli.processes") + 1] == role:
            return process
    return None


def health(url: str) -> dict[str, object]:
    try:
        found: dict[str, object] = httpx.get(f"{url}/healthz", timeout=5).json()
        return found
    except httpx.TransportError:
        return {}


def test_killed_web_signs_nobody_out_and_stops_no_job_and_a_killed_worker_leaves_no_run_running(
    up: Gatehouse, workspace: Workspace
) -> None:
    with httpx.Client(base_url=up.url, timeout=30, headers={"Origin": up.url}) as browser:
        entered = browser.post("/sign-in", data={"name": "ada", "password": PASSWORD})
        assert entered.status_code == 303, entered.text
        run_id = launch(up.home)
        wait_for(lambda: fits(workspace, run_id, attempt=1))
        _, before = stands(workspace, run_id)

        web = part(up, "web")
        assert web is not None
        kill(web.pid)
        wait_for(lambda: not runs(web.pid))
        wait_for(lambda: health(up.url).get("status") == "ok")
        assert browser.get("/runs").status_code == 200
        assert httpx.get(f"{up.url}/runs").status_code == 303  # without the cookie there is no way in
        _, after = stands(workspace, run_id)
        assert (after.state, after.attempts, after.owner) == (JobState.RUNNING, 1, before.owner)

    for attempt in (1, 2):
        wait_for(lambda attempt=attempt: fits(workspace, run_id, attempt))
        worker = part(up, "worker")
        assert worker is not None
        below = worker.children(recursive=True)
        kill(worker.pid)
        wait_for(lambda below=below: not any(process.is_running() and runs(process.pid) for process in below))
    wait_for(lambda: stands(workspace, run_id)[0].state == RunState.FAILED)
    run, job = stands(workspace, run_id)
    assert (job.state, job.attempts) == (JobState.FAILED, 2)
    assert run.error == job.error == "The worker was killed during attempt 2 of 2."
    assert run.finished_at is not None
    assert "The worker was killed during attempt 1 of 2." in lines(workspace, job.id or 0)


def test_a_stop_gives_the_fit_back_and_health_says_when_the_worker_is_missing(
    up: Gatehouse, home: Path, workspace: Workspace
) -> None:
    run_id = launch(up.home)
    wait_for(lambda: fits(workspace, run_id, attempt=1))
    below = psutil.Process(up.process.pid).children(recursive=True)
    up.process.terminate()
    assert up.process.wait(30) == 0
    assert not [process for process in below if process.is_running() and runs(process.pid)]
    run, job = stands(workspace, run_id)
    assert (run.state, job.state, job.attempts, job.owner) == (RunState.QUEUED, JobState.QUEUED, 0, None)

    again = start(home)
    try:
        again.wait_until_ready(120)
        wait_for(lambda: fits(workspace, run_id, attempt=1))
        cancelled = gatehouse(home, "run", "cancel", str(run_id), "--as", "ada")
        assert cancelled.returncode == 0, cancelled.stderr
        wait_for(lambda: stands(workspace, run_id)[0].state == RunState.CANCELLED, seconds=10)
        assert stands(workspace, run_id)[1].state == JobState.CANCELLED

        wait_for(lambda: health(again.url).get("status") == "ok")
        worker = part(again, "worker")
        assert worker is not None
        again.process.send_signal(signal.SIGSTOP)  # nobody starts it again meanwhile
        kill(worker.pid)
        told = {"status": "degraded", "database": True, "web": True, "worker": False, "scoring": True}
        wait_for(lambda: health(again.url) == told, seconds=20)
        again.process.send_signal(signal.SIGCONT)
        wait_for(lambda: health(again.url).get("status") == "ok")
    finally:
        again.process.send_signal(signal.SIGCONT)
        again.stop()


def test_streamlit_run_serves_the_same_pages(home: Path) -> None:
    port = free_port()
    with subprocess.Popen(
        [sys.executable, "-m", "streamlit", "run", "dashboard/app.py", "--server.port", str(port),
         "--server.address", "127.0.0.1", "--server.headless", "true"],
        cwd=ROOT,
        env={**os.environ, "GATEHOUSE_HOME": str(home)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        try:
            url = f"http://127.0.0.1:{port}"
            wait_for(lambda: health(url).get("database") is True)
            with httpx.Client(base_url=url, timeout=30, headers={"Origin": url}) as browser:
                assert browser.get("/runs").headers["location"].startswith("/sign-in")
                assert browser.post("/sign-in", data={"name": "ada", "password": PASSWORD}).status_code == 303
                assert browser.get("/runs").status_code == 200
                assert browser.get("/_stcore/health").text == "ok"
        finally:
            process.terminate()
            process.wait(30)
