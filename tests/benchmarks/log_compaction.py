"""What it costs to put a day of the prediction log together: predictions a minute, and memory. Run by hand.

    python -m tests.benchmarks.log_compaction [--rows 5000000] [--segment 5000] [--features 20]

Once more with a late segment, which merges a whole day again. Nothing here fails on time.
"""

from __future__ import annotations

import sys
import tempfile
import time
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

from core.automation.inline import run_all
from core.serving.compaction import enqueue_due
from core.settings import Settings
from core.workspace import opened
from tests.benchmarks.figures import Figure
from tests.benchmarks.log_days import DAY, TARGET_A_MINUTE, TARGET_MB, in_own_process, rows, run, seal, seal_day


def compact(home: Path, now: datetime) -> tuple[float, float]:
    """Run the job; seconds on the clock and of the processor."""
    with opened(Settings(home=home)) as workspace:
        began, cpu = time.perf_counter(), time.process_time()
        assert enqueue_due(workspace, now) == 1
        run_all(workspace, now)
        return time.perf_counter() - began, time.process_time() - cpu


def figures(n_rows: int, segment_rows: int, n_features: int) -> list[Figure]:
    """Measure a day of so many predictions in segments of so many."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        with opened(Settings(home=home)) as workspace:
            version_id, model_id = seal_day(workspace, n_rows, segment_rows, n_features)
            what = f"{n_rows:,} predictions of {n_features} features, segments of {segment_rows:,}"
            for late in (False, True):
                if late:
                    made = rows(np.random.default_rng(1), 100, n_features, DAY, 60)
                    seal(workspace, version_id, model_id, made, DAY + timedelta(days=2))
                    what = f"{what}, a late one merged"
                (clock_s, cpu_s), peak_mb = in_own_process(compact, home, DAY + timedelta(days=1 + 2 * late, hours=1))
                most_s = 60 * n_rows / TARGET_A_MINUTE
                found += [
                    Figure(f"{what}: clock", (clock_s,), "s", most_s),
                    Figure(f"{what}: processor", (cpu_s,), "s", most_s),
                    Figure(f"{what}: peak memory", (peak_mb,), "MB", TARGET_MB),
                ]
                sys.stderr.write(f"{what}: {n_rows / clock_s * 60:,.0f} predictions a minute\n")
    return found


if __name__ == "__main__":
    run("log_compaction", figures)
