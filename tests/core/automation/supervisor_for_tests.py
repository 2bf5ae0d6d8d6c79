"""A supervisor of two workers that know cheap jobs: ``python -m tests.core.automation.supervisor_for_tests HOME``."""

from __future__ import annotations

import signal
import sys

from core.cli.supervisor import Part, Supervisor

WORKER = "tests.core.automation.worker_for_tests"

if __name__ == "__main__":
    command = (sys.executable, "-m", WORKER, sys.argv[1], "30")
    supervisor = Supervisor(
        parts=(Part("first worker", command), Part("second worker", command)),
        environment={},
        report=lambda sentence: print(sentence, flush=True),  # noqa: T201
    )
    signal.signal(signal.SIGTERM, supervisor.ask_to_stop)
    supervisor.run()
