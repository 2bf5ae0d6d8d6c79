"""``gatehouse up``, from outside: it answers, mends itself, and goes whole."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.core.automation.watching_jobs import kill, runs, wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

ROOT = Path(__file__).parents[3]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def up(tmp_path: Path, port: int) -> Iterator[subprocess.Popen[str]]:
    command = ["up", "--home", str(tmp_path / "home"), "--port", str(port), "--scoring-port", str(free_port())]
    process = subprocess.Popen(
        [sys.executable, "-m", "core.cli.main", *command], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    yield process
    if process.poll() is None:
        process.terminate()
        process.wait(60)
    assert process.stdout is not None
    process.stdout.close()


def health(port: int) -> dict[str, object]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=2) as answer:
            found: dict[str, object] = json.load(answer)
            return found
    except (urllib.error.URLError, OSError):
        return {}


def parts(up: subprocess.Popen[str]) -> dict[str, psutil.Process]:
    found = {}
    for process in psutil.Process(up.pid).children():
        line = process.cmdline()
        if "core.cli.processes" in line:
            found[line[line.index("core.cli.processes") + 1]] = process
    return found


def test_up_answers_starts_dead_parts_again_and_stops_all(up: subprocess.Popen[str], port: int) -> None:
    wait_for(lambda: health(port).get("status") == "ok", seconds=120)
    family = [process.pid for process in psutil.Process(up.pid).children(recursive=True)]
    before = parts(up)
    assert set(before) >= {"web", "scoring", "worker"}
    kill(before["web"].pid)
    wait_for(lambda: not health(port), seconds=5)
    wait_for(lambda: health(port).get("status") == "ok", seconds=120)
    assert parts(up)["web"].pid != before["web"].pid
    family += [process.pid for process in psutil.Process(up.pid).children(recursive=True)]

    taken = subprocess.run(
        [sys.executable, "-m", "core.cli.main", "up", "--home", "unused", "--port", str(port)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert taken.returncode == 1
    assert f"127.0.0.1:{port} cannot be listened on" in taken.stderr

    up.terminate()
    output, _ = up.communicate(timeout=60)
    assert up.returncode == 0
    assert "use this code once: " in output
    assert f"Gatehouse is at http://localhost:{port}" in output
    assert "web ended by signal 9; starting it again" in output
    assert [pid for pid in family if runs(pid)] == []


def test_killed_up_leaves_no_process(up: subprocess.Popen[str], port: int) -> None:
    wait_for(lambda: health(port).get("status") == "ok", seconds=120)
    family = [process.pid for process in psutil.Process(up.pid).children(recursive=True)]
    assert len(family) >= 4
    kill(up.pid)
    up.wait()
    wait_for(lambda: not any(runs(pid) for pid in family), seconds=60)


def test_home_of_a_newer_gatehouse_is_refused(tmp_path: Path, home: Path) -> None:
    import sqlite3

    connection = sqlite3.connect(home / "gatehouse.db")
    connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.commit()
    connection.close()
    command = ["up", "--home", str(home), "--port", str(free_port()), "--scoring-port", str(free_port())]
    result = subprocess.run(
        [sys.executable, "-m", "core.cli.main", *command],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )
    assert result.returncode == 1
    assert result.stdout == ""
    assert result.stderr.count("\n") == result.stderr.count("written by a newer one") == 1
