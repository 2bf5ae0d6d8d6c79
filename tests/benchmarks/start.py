"""From the command to an answer, what stands idle costs, and from a click to a working child.

python -m tests.benchmarks.start [ROUNDS]
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx
import psutil

from core.cli.demo.people import Cast
from core.cli.demo.story import FEATURES
from core.database import utc_now
from core.datasets.splitting import SplitOptions
from core.settings import Settings
from core.training import queries, service
from core.training.specification import RunSpec
from core.workspace import Workspace, opened
from tests.benchmarks.figures import Figure, sampled, table
from tests.benchmarks.homes import settled_home
from tests.benchmarks.scripts import serving, token_of
from tests.benchmarks.visiting import browsing, fresh_tab, running, signed_in
from tests.e2e.conftest import Gatehouse, start

IDLE_S, SETTLING_S = 20.0, 10.0


def help_s() -> float:
    """Seconds ``gatehouse --help`` takes."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-m", "core.cli.main", "--help"], stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - began


def answering_s(home: Path) -> float:
    """Seconds from ``gatehouse up`` in a home to an answer of the web process."""
    began = time.perf_counter()
    started = start(home)
    try:
        while time.perf_counter() - began < 120:
            try:
                httpx.get(f"{started.url}/healthz", timeout=2)
                return time.perf_counter() - began
            except httpx.TransportError:
                time.sleep(0.02)
        raise SystemExit(f"No answer in two minutes:\n{started.log.read_text()}")
    finally:
        started.stop()


def everything(gatehouse: Gatehouse) -> list[psutil.Process]:
    """Every process of a running Gatehouse."""
    top = psutil.Process(gatehouse.process.pid)
    return [top, *top.children(recursive=True)]


def pss_mb(gatehouse: Gatehouse) -> float:
    """Memory of all processes, what they share counted once, in millions of bytes."""
    return sum(process.memory_full_info().pss for process in everything(gatehouse)) / 1e6


def idle_percent(gatehouse: Gatehouse, seconds: float = IDLE_S) -> float:
    """Share of one core that all processes take while nobody asks for anything, their ended children included."""
    before, began = _cpu_s(gatehouse), time.perf_counter()
    time.sleep(seconds)
    return 100 * (_cpu_s(gatehouse) - before) / (time.perf_counter() - began)


def _cpu_s(gatehouse: Gatehouse) -> float:
    return sum(sum(process.cpu_times()[:4]) for process in everything(gatehouse))


def child_started_s(workspace: Workspace, cast: Cast, version_id: int) -> float:
    """Seconds from asking for a run to its child saying that it began; returns once the run has ended."""
    spec = RunSpec(
        dataset_version_id=version_id,
        target="left",
        task=None,
        features=FEATURES,
        split=SplitOptions(method="stratified", column="left"),
        algorithm="dummy",
        parameters={},
        seed=7,
    )
    asked_at = utc_now()
    with workspace.write() as session:
        run_id = service.request_run(session, spec=spec, actor=cast.sam, now=asked_at).id
    assert run_id is not None
    for _ in range(1_200):
        with workspace.read() as session:
            run = queries.run(session, run_id)
        if run.finished_at is not None and run.started_at is not None:
            return (run.started_at - asked_at).total_seconds()
        time.sleep(0.05)
    raise SystemExit(f"Run {run_id} is {run.state} after a minute: {run.error}")


def figures(rounds: int = 3) -> list[Figure]:
    """Start homes and look at what stands idle, before anybody came and after pages were opened."""
    with tempfile.TemporaryDirectory() as folder:
        helped = sampled(help_s, max(rounds, 5))
        answered = tuple(answering_s(Path(folder) / f"home{one}") for one in range(rounds))
        home = Path(folder) / "idle"
        with opened(Settings(home=home)) as workspace:
            _, cast, version_id = settled_home(workspace, months=1)
            with serving(home, demo=False):
                token = token_of("administrator")
            with running(home) as gatehouse:
                time.sleep(SETTLING_S)
                untouched, untouched_cpu = pss_mb(gatehouse), idle_percent(gatehouse)
                with browsing() as context:
                    signed_in(context, gatehouse.url, token)
                    for address in ("/overview", f"/dataset?dataset={1}", "/runs", "/audit"):
                        fresh_tab(context, gatehouse.url, address)
                time.sleep(SETTLING_S)
                used, used_cpu = pss_mb(gatehouse), idle_percent(gatehouse)
                children = tuple(child_started_s(workspace, cast, version_id) for _ in range(max(rounds, 5)))
    return [
        Figure("gatehouse up, new home, to an answer", answered, "s", 6.0),
        Figure("idle, memory (PSS) of all processes", (untouched,), "MB", 700.0),
        Figure("idle, CPU of one core", (untouched_cpu,), "%", 3.0),
        Figure("idle after four pages were opened, memory (PSS)", (used,), "MB", 700.0),
        Figure("idle after four pages were opened, CPU of one core", (used_cpu,), "%", 3.0),
        Figure("run asked for to child started", children, "s", 1.5),
        Figure("gatehouse --help", helped, "s", 1.2),
    ]


if __name__ == "__main__":
    print(table(figures(*(int(argument) for argument in sys.argv[1:]))))  # noqa: T201
