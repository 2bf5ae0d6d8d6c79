"""A table with a column of each kind, from which each task can be learnt; versions and runs of a small dataset."""

from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from core.automation.inline import run_all
from core.datasets import queries as datasets
from core.datasets import service as datasets_service
from core.datasets.ingest import inspect
from core.datasets.tables import DatasetVersion, Relation
from core.permissions import Actor
from core.training import queries, service
from core.training.specification import RunSpec
from core.training.tables import Run
from core.workspace import Workspace


@pytest.fixture(scope="session")
def people() -> pa.Table:
    n_rows = 300
    rng = np.random.default_rng(0)
    age = rng.integers(18, 80, n_rows)
    pay = rng.normal(size=n_rows).round(4)
    strength = age / 20 + pay
    jobs = rng.choice(["cook", "nurse", "pilot"], n_rows)
    hours = [datetime(2026, 1, 1) + timedelta(hours=int(v)) for v in rng.integers(0, 900, n_rows)]  # noqa: DTZ001
    return pa.table(
        {
            "age": pa.array([None if i % 40 == 3 else int(v) for i, v in enumerate(age)], pa.int64()),
            "pay": pay,
            "member": [bool(v) for v in rng.integers(0, 2, n_rows)],
            "job": pa.array([None if i % 30 == 5 else str(v) for i, v in enumerate(jobs)], pa.string()),
            "born": [date(1950, 1, 1) + timedelta(days=int(v)) for v in rng.integers(0, 9000, n_rows)],
            "seen": pa.array(hours, pa.timestamp("us")),
            "binary": np.where(strength > 2.4, "yes", "no"),
            "multiclass": np.digitize(strength, [1.5, 3.0]),
            "regression": strength,
        }
    )


AddVersion = Callable[..., DatasetVersion]
Train = Callable[..., Run]


def write_csv(folder: Path, *, n_rows: int, seed: int) -> Path:
    """People whose membership can be learnt from age and pay."""
    rng = np.random.default_rng(seed)
    age = rng.integers(18, 80, n_rows)
    pay = rng.normal(size=n_rows).round(4)
    job = rng.choice(["cook", "nurse", "pilot"], n_rows)
    noise = rng.normal(scale=0.7, size=n_rows)
    member = np.where(age / 20 + pay + noise > 2.4, "yes", "no")
    path = folder / f"people-{seed}-{n_rows}.csv"
    lines = [f"{a},{p},{j},{m}" for a, p, j, m in zip(age, pay, job, member, strict=True)]
    path.write_text("\n".join(["age,pay,job,member", *lines]) + "\n", "utf-8")
    return path


@pytest.fixture
def add_version(workspace: Workspace, scientist: Actor, tmp_path: Path, now: datetime) -> AddVersion:
    """Make a dataset version through the public services."""

    def add(
        path: Path | None = None,
        *,
        n_rows: int = 400,
        seed: int = 0,
        name: str = "people",
        relation: Relation = Relation.NEW,
        parent_id: int | None = None,
    ) -> DatasetVersion:
        path = path or write_csv(tmp_path, n_rows=n_rows, seed=seed)
        options = inspect(path, file_name=path.name).options
        stored = workspace.artifacts.put_file(path)
        with workspace.write() as session:
            upload = datasets_service.store_upload(
                session, artifact=stored, file_name=path.name, actor=scientist, now=now
            )
            assert upload.id is not None
            intake = datasets_service.request_intake(
                session,
                upload_id=upload.id,
                dataset_name=name,
                relation=relation,
                options=options,
                target="member",
                sensitive=[],
                time_column=None,
                parent_id=parent_id,
                actor=scientist,
                now=now,
            )
        run_all(workspace)
        with workspace.read() as session:
            done = datasets.intake(session, intake.id)
            assert done.version_id is not None, done.error
            return datasets.version(session, done.version_id)

    return add


@pytest.fixture
def train(workspace: Workspace, scientist: Actor, now: datetime) -> Train:
    """Train a run to its end."""

    def run(version_id: int, algorithm: str = "logistic_regression", **over: Any) -> Run:
        spec = RunSpec(**{"dataset_version_id": version_id, "target": "member", "algorithm": algorithm, **over})
        with workspace.write() as session:
            wanted = service.request_run(session, spec=spec, actor=scientist, now=now)
        run_all(workspace)
        with workspace.read() as session:
            assert wanted.id is not None
            return queries.run(session, wanted.id)

    return run
