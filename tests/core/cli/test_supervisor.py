"""The supervisor keeps its parts alive and leaves none behind."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.core.automation.watching_jobs import kill, runs, wait_for

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[3]
PART = """
import pathlib, subprocess, sys, time
from core.cli import leash
folder, how, descriptor = pathlib.Path(sys.argv[1]), sys.argv[2], int(sys.argv[4])
leash.STOP_WITHIN_S = 1.0
leash.follow(descriptor)
grandchild = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
with (folder / "started").open("a") as file:
    file.write(f"{__import__('os').getpid()} {grandchild.pid}\\n")
if how == "stubborn":
    import signal
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if how != "dying":
    time.sleep(600)
"""
SUPERVISOR = """
import signal, sys
from core.cli import supervisor as module
from core.cli.supervisor import Part, Supervisor
module.STOP_WITHIN_S = 2.0
folder, how = sys.argv[1:]
supervisor = Supervisor(
    parts=(Part("it", (sys.executable, "-c", open(folder + "/part.py").read(), folder, how)),),
    environment={},
    report=lambda sentence: print(sentence, flush=True),
)
signal.signal(signal.SIGTERM, supervisor.ask_to_stop)
supervisor.run()
"""

Start = Callable[[str], subprocess.Popen[bytes]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    (tmp_path / "part.py").write_text(PART)
    started = []

    def run(how: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen([sys.executable, "-c", SUPERVISOR, str(tmp_path), how], cwd=ROOT)
        started.append(process)
        return process

    yield run
    for process in started:
        if process.poll() is None:
            process.kill()
            process.wait()


def generations(folder: Path) -> list[list[int]]:
    """Process and grandchild of each start, oldest first."""
    file = folder / "started"
    return [[int(pid) for pid in line.split()] for line in file.read_text().splitlines()] if file.exists() else []


def test_part_that_dies_is_started_again_and_its_group_with_it(start: Start, tmp_path: Path) -> None:
    supervisor = start("lasting")
    wait_for(lambda: len(generations(tmp_path)) == 1)
    part, grandchild = generations(tmp_path)[0]
    kill(part)
    wait_for(lambda: len(generations(tmp_path)) == 2)
    assert not runs(grandchild)
    supervisor.terminate()
    assert supervisor.wait(15) == 0
    wait_for(lambda: not any(runs(pid) for pid in generations(tmp_path)[1]), seconds=5)


def test_part_that_keeps_dying_is_started_ever_more_slowly(start: Start, tmp_path: Path) -> None:
    start("dying")
    wait_for(lambda: len(generations(tmp_path)) == 3)
    assert wait_for(lambda: len(generations(tmp_path)) == 4) > 1.5


@pytest.mark.parametrize("how", ["lasting", "stubborn"])
def test_killed_supervisor_takes_its_parts_with_it(start: Start, tmp_path: Path, how: str) -> None:
    supervisor = start(how)
    wait_for(lambda: len(generations(tmp_path)) == 1)
    part, grandchild = generations(tmp_path)[0]
    kill(supervisor.pid)
    supervisor.wait()
    wait_for(lambda: not runs(part), seconds=15)
    if how == "stubborn":  # killed with its whole group; one that stops in good order looks after its own
        wait_for(lambda: not runs(grandchild), seconds=5)
    elif runs(grandchild):
        kill(grandchild)


def test_stubborn_part_is_stopped_by_force(start: Start, tmp_path: Path) -> None:
    supervisor = start("stubborn")
    wait_for(lambda: len(generations(tmp_path)) == 1)
    supervisor.terminate()
    assert supervisor.wait(20) == 0
    assert not any(runs(pid) for pid in generations(tmp_path)[0])
