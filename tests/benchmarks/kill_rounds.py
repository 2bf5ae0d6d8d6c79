"""Two hundred rounds of random kills, run by hand: ``python -m tests.benchmarks.kill_rounds [ROUNDS] [SEED]``."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from core.jobs.kinds import JOB_KINDS
from core.settings import Settings
from core.workspace import opened
from tests.core.automation.killing import kill_rounds
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


if __name__ == "__main__":
    sys.exit(main(*(int(argument) for argument in sys.argv[1:])))
