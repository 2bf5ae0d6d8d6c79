"""Hundreds of random kills, run by hand, of cheap jobs with all that runs them, and of monitoring's own work.

    python -m tests.benchmarks.kill_rounds [ROUNDS] [SEED]
    python -m tests.benchmarks.kill_rounds monitoring [KILLS] [SEED]

The first kills supervisors, workers, fork servers and children while cheap jobs run. The second kills what a monitor
does, at any moment of it: sealing, counting and compacting the log, batches, labels, windows cut anew with their
thresholds, a rule tried, triage, incidents, a retraining. Whatever was killed, the rest must be as if nothing had been.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from core.jobs.kinds import JOB_KINDS
from core.settings import Settings
from core.workspace import opened
from tests.core.automation.killing import kill_rounds
from tests.core.automation.monitoring_story import killed_tellings
from tests.core.automation.worker_for_tests import KINDS


def main(rounds: int = 200, seed: int = 1) -> int:
    """Run the rounds and print what they left; 1 when a job was lost or a process was."""
    JOB_KINDS.update(KINDS)
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, opened(Settings(home=Path(folder))) as workspace:
        report = kill_rounds(workspace, rounds=rounds, seed=seed)
    print(f"{rounds} rounds, seed {seed}, {time.monotonic() - began:.0f} s")  # noqa: T201
    print(  # noqa: T201
        f"{report.enqueued} jobs; killed {report.killed}; jobs by state {report.states}; by attempts {report.attempts}"
    )
    print(f"wrong {report.wrong or 'none'}; orphans {report.orphans or 'none'}")  # noqa: T201
    lost = report.enqueued - sum(report.states.values())
    return 1 if report.wrong or report.orphans or lost else 0


def monitoring(kills: int = 200, seed: int = 1) -> int:
    """Kill a monitor's work so often and print what it left; 1 when anything differs from an undisturbed telling."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        report = killed_tellings(Path(folder), kills=kills, seed=seed)
    print(f"{report.n} tellings, seed {seed}, {time.monotonic() - began:.0f} s")  # noqa: T201
    print(f"{report.killed.total()} kills: {dict(report.killed.most_common())}")  # noqa: T201
    print(f"wrong {report.wrong or 'none'}")  # noqa: T201
    return 1 if report.wrong else 0


if __name__ == "__main__":
    what, given = (monitoring, sys.argv[2:]) if sys.argv[1:2] == ["monitoring"] else (main, sys.argv[1:])
    sys.exit(what(*(int(argument) for argument in given)))
