"""What it costs to count a day of the prediction log into cells: predictions a minute, and memory. Run by hand.

    python -m tests.benchmarks.log_counting [--rows 5000000] [--segment 5000] [--features 20]

The day is counted twice in processes of their own, whose peak memory is what the operating system says: as sealed
segments, and as the one file that they are put together to. Nothing here fails on time.
"""

from __future__ import annotations

import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
from sqlmodel import select

from core.database import utc_now
from core.datasets.tables import ColumnKind
from core.drift.sketching import Basis, fit_basis
from core.monitoring import cells
from core.monitoring.counting import Key, Slice, column_of
from core.monitoring.service import ensure_monitor
from core.monitoring.tables import Monitor
from core.registry.tables import ModelVersion
from core.serving import queries as serving
from core.serving.frames import PREDICTION, score_column
from core.settings import Settings
from core.workspace import opened
from tests.benchmarks.figures import Figure
from tests.benchmarks.log_compaction import compact
from tests.benchmarks.log_days import DAY, TARGET_A_MINUTE, TARGET_MB, in_own_process, rows, run, seal_day
from tests.factories import key

SLICES = (Slice("f0", "cook"), Slice("f0", "nurse"))


def bases(n_features: int) -> dict[Key, Basis]:
    """What a reference of such rows counts its columns on."""
    made = rows(np.random.default_rng(1), 20_000, n_features, DAY, 60)
    keys: list[Key] = [(False, f"f{number}") for number in range(n_features)]
    keys += [(True, PREDICTION), (True, score_column("yes"))]
    kinds = [
        ColumnKind.CATEGORY if pa.types.is_string(made[column_of(one)].type) else ColumnKind.NUMBER for one in keys
    ]
    return {one: fit_basis(made[column_of(one)], kind) for one, kind in zip(keys, kinds, strict=True)}


def count(home: Path, n_features: int) -> float:
    """Count all of the log by the hour; seconds on the clock."""
    counted_on = bases(n_features)
    with opened(Settings(home=home)) as workspace:
        with workspace.read() as session:
            monitor, version = session.exec(select(Monitor)).one(), session.exec(select(ModelVersion)).one()
            segments = serving.segments(session, monitor.model_id)
        watching = cells.Watching(key(monitor), key(version), "hour", counted_on, SLICES, utc_now())
        began = time.perf_counter()
        cells.count_log(workspace, watching, segments, None)
        spent = time.perf_counter() - began
        with workspace.read() as session:
            assert cells.n_short(session, watching, segments) == 0
    return spent


def figures(n_rows: int, segment_rows: int, n_features: int) -> list[Figure]:
    """Measure a day of so many predictions in segments of so many."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        with opened(Settings(home=home)) as workspace:
            _, model_id = seal_day(workspace, n_rows, segment_rows, n_features)
            with workspace.write() as session:
                ensure_monitor(session, model_id=model_id, environment="production", alias="champion", now=DAY)
        for what in (f"segments of {segment_rows:,}", "one file"):
            if what == "one file":
                compact(home, DAY + timedelta(days=1, hours=1))
            what = f"{n_rows:,} predictions of {n_features} features, {what}"
            spent_s, peak_mb = in_own_process(count, home, n_features)
            found += [
                Figure(f"{what}: clock", (spent_s,), "s", 60 * n_rows / TARGET_A_MINUTE),
                Figure(f"{what}: peak memory", (peak_mb,), "MB", TARGET_MB),
            ]
            sys.stderr.write(f"{what}: {n_rows / spent_s * 60:,.0f} predictions a minute\n")
    return found


if __name__ == "__main__":
    run("log_counting", figures)
