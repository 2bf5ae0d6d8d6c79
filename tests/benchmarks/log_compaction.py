"""What it costs to put a day of the prediction log together: predictions a minute, and memory. Run by hand.

    python -m tests.benchmarks.log_compaction [--rows 5000000] [--segment 5000] [--features 20]

The day is written as sealed segments first; then the job runs in a process of its own, whose peak memory is what the
operating system says. Once more with a late segment, which merges a whole day again. Nothing here fails on time.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa

from core.automation.inline import run_all
from core.serving.compaction import enqueue_due
from core.serving.frames import AT, LATENCY_MS, PREDICTION, PREDICTION_ID, feature_column, score_column, to_parquet
from core.serving.tables import PredictionSegment
from core.settings import Settings
from core.workspace import Workspace, opened
from tests.benchmarks.figures import Figure, table
from tests.factories import key, make_model_version

DAY = datetime(2026, 3, 12, tzinfo=UTC)
TARGET_A_MINUTE, TARGET_MB = 1_000_000, 600.0


def rows(rng: np.random.Generator, n: int, n_features: int, from_at: datetime, seconds: float) -> pa.Table:
    """Predictions as the log keeps them: half of the features are names."""
    at = np.datetime64(from_at.replace(tzinfo=None), "us") + np.sort(rng.integers(0, int(seconds * 1e6), n))
    score = rng.random(n)
    columns = {
        PREDICTION_ID: pa.array([f"{one:032x}" for one in rng.integers(0, 2**62, n).tolist()]),
        AT: pa.array(at, pa.timestamp("us")).cast(pa.timestamp("us", tz="UTC")),
        LATENCY_MS: rng.gamma(2, 2, n),
        PREDICTION: pa.array(np.where(score > 0.5, "yes", "no")),
        score_column("no"): 1 - score,
        score_column("yes"): score,
    }
    for number in range(n_features):
        drawn = rng.normal(size=n) if number % 2 else rng.choice(["cook", "nurse", "pilot"], n)
        columns[feature_column(f"f{number}")] = pa.array(drawn)
    return pa.table(columns)


def seal(workspace: Workspace, version_id: int, model_id: int, made: pa.Table, sealed_at: datetime) -> None:
    """Store rows as a segment."""
    stored = workspace.artifacts.put_bytes(to_parquet(made))
    with workspace.write() as session:
        session.add(
            PredictionSegment(
                model_id=model_id,
                version_id=version_id,
                environment="production",
                alias="champion",
                sha256=stored.sha256,
                n_rows=made.num_rows,
                from_at=made[AT][0].as_py().astimezone(UTC),
                to_at=made[AT][-1].as_py().astimezone(UTC),
                sealed_at=sealed_at,
            )
        )


def compact(home: Path, now: datetime, results: multiprocessing.Queue[tuple[float, float, float]]) -> None:
    """Run the job; to be called in a process of its own."""
    with opened(Settings(home=home)) as workspace:
        began, cpu = time.perf_counter(), time.process_time()
        assert enqueue_due(workspace, now) == 1
        run_all(workspace, now)
        spent = time.perf_counter() - began, time.process_time() - cpu
    results.put((*spent, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))


def measured(home: Path, now: datetime) -> tuple[float, float, float]:
    """Seconds on the clock, seconds of processor time and peak MB of one compaction."""
    context = multiprocessing.get_context("spawn")
    results: multiprocessing.Queue[tuple[float, float, float]] = context.Queue()
    process = context.Process(target=compact, args=(home, now, results))
    process.start()
    found = results.get()
    process.join()
    return found


def figures(n_rows: int, segment_rows: int, n_features: int) -> list[Figure]:
    """Measure a day of so many predictions in segments of so many."""
    rng = np.random.default_rng(0)
    found = []
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        with opened(Settings(home=home)) as workspace:
            with workspace.write() as session:
                version = make_model_version(session)
                version_id, model_id = key(version), version.model_id
            n_segments = -(-n_rows // segment_rows)
            seconds = 86_000 / n_segments
            for number in range(n_segments):
                from_at = DAY + timedelta(seconds=number * seconds)
                made = rows(rng, segment_rows, n_features, from_at, seconds)
                seal(workspace, version_id, model_id, made, from_at + timedelta(seconds=seconds))
            what = f"{n_segments * segment_rows:,} predictions of {n_features} features, segments of {segment_rows:,}"
            for late in (False, True):
                if late:
                    seal(workspace, version_id, model_id, rows(rng, 100, n_features, DAY, 60), DAY + timedelta(days=2))
                    what = f"{what}, a late one merged"
                clock_s, cpu_s, peak_mb = measured(home, DAY + timedelta(days=1 + 2 * late, hours=1))
                minutes = n_segments * segment_rows / TARGET_A_MINUTE
                found += [
                    Figure(f"{what}: clock", (clock_s,), "s", 60 * minutes),
                    Figure(f"{what}: processor", (cpu_s,), "s", 60 * minutes),
                    Figure(f"{what}: peak memory", (peak_mb,), "MB", TARGET_MB),
                ]
                sys.stderr.write(f"{what}: {n_segments * segment_rows / clock_s * 60:,.0f} predictions a minute\n")
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.log_compaction")
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--segment", type=int, default=5_000)
    parser.add_argument("--features", type=int, default=20)
    given = parser.parse_args()
    print(table(figures(given.rows, given.segment, given.features)))  # noqa: T201
