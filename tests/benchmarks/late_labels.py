"""What it costs to find the predictions of one day's labels among those of many days. Run by hand.

    python -m tests.benchmarks.late_labels [--days 60] [--rows 100000] [--labels 10000] [--features 20]

Twice: with ids as the scoring process gives them, and with random ones, of which any file may hold any. Nothing here
fails on time.
"""

from __future__ import annotations

import argparse
import tempfile
import time
import uuid
from datetime import timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa

from core.monitoring.labelled import find_predictions
from core.monitoring.service import ensure_monitor
from core.serving.frames import AT, PREDICTION_ID
from core.serving.prediction_ids import prediction_ids
from core.settings import Settings
from core.workspace import Workspace, opened
from tests.benchmarks.figures import Figure, table
from tests.benchmarks.log_days import DAY, rows, seal
from tests.factories import key, make_model_version

ROUNDS = 3


def identified(made: pa.Table, *, rising: bool) -> pa.Table:
    """The same predictions, with ids of their moments, or with random ones."""
    times = made[AT].to_pylist()
    ids = [prediction_ids(at, 1)[0] for at in times] if rising else [uuid.uuid4().hex for _ in times]
    return made.set_column(made.column_names.index(PREDICTION_ID), PREDICTION_ID, pa.array(ids))


def prepare(workspace: Workspace, given: argparse.Namespace, *, rising: bool) -> tuple[int, set[str]]:
    """Seal a file a day; gives the model, and ids of the last day."""
    rng = np.random.default_rng(0)
    with workspace.write() as session:
        version = make_model_version(session)
        model_id = version.model_id
        ensure_monitor(session, model_id=model_id, environment="production", alias="champion", now=DAY)
    for day in range(given.days):
        from_at = DAY + timedelta(days=day)
        made = identified(rows(rng, given.rows, given.features, from_at, 86_000), rising=rising)
        seal(workspace, key(version), model_id, made, from_at + timedelta(days=1))
    return model_id, set(rng.choice(made[PREDICTION_ID].to_pylist(), given.labels, replace=False).tolist())


def figures(given: argparse.Namespace) -> list[Figure]:
    """Measure both kinds of ids."""
    found = []
    for rising in (True, False):
        with tempfile.TemporaryDirectory() as folder, opened(Settings(home=Path(folder))) as workspace:
            model_id, ids = prepare(workspace, given, rising=rising)
            spent = []
            for _ in range(ROUNDS):
                began = time.perf_counter()
                matched = find_predictions(workspace, model_id, ids, report=lambda _share: None)
                spent.append(time.perf_counter() - began)
                assert matched.known == ids
        what = f"{given.labels:,} labels of one day among {given.days} of {given.rows:,} predictions"
        found.append(Figure(f"{what}, {'rising' if rising else 'random'} ids", tuple(spent), "s"))
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.late_labels")
    parser.add_argument("--days", type=int, default=60)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--labels", type=int, default=10_000)
    parser.add_argument("--features", type=int, default=20)
    print(table(figures(parser.parse_args())))  # noqa: T201
