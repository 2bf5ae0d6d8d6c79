"""A day of the prediction log, sealed in segments, and jobs over it in a process of their own.

What such a process held at its peak is what the operating system says of it.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa

from core.serving.frames import AT, LATENCY_MS, PREDICTION, PREDICTION_ID, feature_column, score_column, to_parquet
from core.serving.tables import PredictionSegment
from core.workspace import Workspace
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


def seal_day(workspace: Workspace, n_rows: int, segment_rows: int, n_features: int) -> tuple[int, int]:
    """Seal a day of so many predictions in segments of so many; returns the ids of the version and its model."""
    rng = np.random.default_rng(0)
    with workspace.write() as session:
        version = make_model_version(session)
        version_id, model_id = key(version), version.model_id
    n_segments = -(-n_rows // segment_rows)
    seconds = 86_000 / n_segments
    for number in range(n_segments):
        from_at = DAY + timedelta(seconds=number * seconds)
        made = rows(rng, segment_rows, n_features, from_at, seconds)
        seal(workspace, version_id, model_id, made, from_at + timedelta(seconds=seconds))
    return version_id, model_id


def in_own_process(work: Callable[..., Any], *given: object) -> tuple[Any, float]:
    """What a function of a module returns when called in a process of its own, and that process's peak MB."""
    context = multiprocessing.get_context("spawn")
    results: multiprocessing.Queue[tuple[Any, float]] = context.Queue()
    process = context.Process(target=_tell, args=(results, work, *given))
    process.start()
    found = results.get()
    process.join()
    return found


def _tell(results: multiprocessing.Queue[tuple[Any, float]], work: Callable[..., Any], *given: object) -> None:
    found = work(*given)
    results.put((found, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))


def run(module: str, figures: Callable[[int, int, int], list[Figure]]) -> None:
    """Read the day's size from the command line, measure, and print."""
    parser = argparse.ArgumentParser(prog=f"python -m tests.benchmarks.{module}")
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--segment", type=int, default=5_000)
    parser.add_argument("--features", type=int, default=20)
    given = parser.parse_args()
    print(table(figures(given.rows, given.segment, given.features)))  # noqa: T201
