"""A small stream whose drift is known, and a model trained on it that is live: for tests of serving and monitoring."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqlmodel import col, select

from core.access.tables import User, UserRole
from core.automation.inline import run_all
from core.datasets.ingest import inspect
from core.datasets.service import store_upload
from core.datasets.tables import DatasetVersion
from core.jobs.tables import Job, JobState
from core.monitoring import window_queries
from core.monitoring.service import add_batch, ensure_monitor
from core.permissions import Actor, Role
from core.registry.service import assign, register_version
from core.registry.tables import Alias, Cause, Environment
from core.settings import Settings
from core.training import queries as training
from core.training.service import request_run
from core.training.specification import RunSpec
from core.workspace import Workspace, open_workspace
from tests.factories import NOW, key, make_dataset_version

FEATURES = ("hours", "age", "job", "member")
COLUMNS = [
    {"name": "hours", "kind": "number"},
    {"name": "age", "kind": "integer"},
    {"name": "job", "kind": "category"},
    {"name": "member", "kind": "boolean"},
    {"name": "paid", "kind": "category"},
    {"name": "pay", "kind": "number"},
]


@dataclass(frozen=True)
class LiveModel:
    """A model that is champion in production, and who may do what with it."""

    model_id: int
    version_id: int
    deployment_id: int
    monitor_id: int
    data_id: int


def stream(
    n_rows: int, *, seed: int, hours_shift: float = 0.0, new_job: float = 0.0, missing_age: float = 0.0
) -> pa.Table:
    """Rows of the stream; the label follows from hours and age.

    Parameters
    ----------
    hours_shift : float
        Added to hours, in its standard deviations.
    new_job : float
        Share of rows with a job never seen before.
    missing_age : float
        Share of rows without an age.
    """
    rng = np.random.default_rng(seed)
    hours = rng.normal(40, 8, n_rows) + 8 * hours_shift
    age = rng.integers(18, 80, n_rows)
    job = np.where(rng.random(n_rows) < new_job, "poet", rng.choice(["cook", "nurse", "pilot"], n_rows))
    gone = rng.random(n_rows) < missing_age
    paid = np.where(hours / 8 + age / 20 + rng.normal(0, 0.5, n_rows) > 7.5, "yes", "no")
    return pa.table(
        {
            "hours": hours.round(3),
            "age": pa.array([None if no else int(one) for one, no in zip(age, gone, strict=True)], pa.int64()),
            "job": pa.array(job.tolist()),
            "member": pa.array((rng.random(n_rows) < 0.5).tolist()),
            "paid": pa.array(paid.tolist()),
        }
    )


def json_rows(table: pa.Table) -> list[dict[str, Any]]:
    """The features of a table as a caller sends them."""
    return list(table.select(list(FEATURES)).to_pylist())


def csv_bytes(table: pa.Table, times: Sequence[str] | None = None, **more: Sequence[object]) -> bytes:
    """A table as a CSV file, with a column "day" where times are given."""
    columns = table.to_pydict() | {name: list(values) for name, values in more.items()}
    if times is not None:
        columns = {"day": list(times), **columns}
    lines = [",".join(columns)]
    for row in zip(*columns.values(), strict=True):
        cells = ["" if cell is None else str(cell).lower() if isinstance(cell, bool) else str(cell) for cell in row]
        lines.append(",".join(cells))
    return ("\n".join(lines) + "\n").encode()


def keep_version(workspace: Workspace, table: pa.Table, **over: Any) -> DatasetVersion:
    """A dataset version holding a table."""
    out = BytesIO()
    pq.write_table(table, out)
    stored = workspace.artifacts.put_bytes(out.getvalue())
    columns = [column for column in COLUMNS if column["name"] in table.column_names]
    profile = {
        "columns": [{"name": name, "n_distinct": len(table[name].unique())} for name in table.column_names],
    }
    with workspace.write() as session:
        return make_dataset_version(
            session,
            data_sha256=stored.sha256,
            columns=columns,
            n_rows=table.num_rows,
            n_columns=len(columns),
            profile=profile,
            **over,
        )


def go_live(
    workspace: Workspace,
    actor: Actor,
    now: datetime,
    *,
    name: str = "pay",
    data: DatasetVersion | None = None,
    alias: Alias = Alias.CHAMPION,
    target: str = "paid",
    features: tuple[str, ...] = FEATURES,
    algorithm: str = "logistic_regression",
    n_rows: int = 3_000,
    seed: int = 0,
) -> LiveModel:
    """Train, register and deploy a version; monitored from then on."""
    assert Role.DATA_SCIENTIST in actor.roles
    data = data or keep_version(workspace, stream(n_rows, seed=1))
    spec = RunSpec(dataset_version_id=key(data), target=target, features=features, algorithm=algorithm, seed=seed)
    with workspace.write() as session:
        run = request_run(session, spec=spec, actor=actor, now=now)
    run_all(workspace)
    with workspace.read() as session:
        done = training.run(session, key(run))
        assert done.state == "finished", done.error
    with workspace.write() as session:
        version = register_version(session, run_id=key(run), model_name=name, actor=actor, now=now)
        deployment = assign(
            session,
            version_id=key(version),
            environment=Environment.PRODUCTION,
            alias=alias,
            cause=Cause.PROMOTION,
            actor=actor,
            now=now,
        )
        monitor = ensure_monitor(
            session, model_id=version.model_id, environment=Environment.PRODUCTION, alias=alias, now=now
        )
    return LiveModel(version.model_id, key(version), key(deployment), key(monitor), key(data))


def live_home(folder: Path, now: datetime, *, n_rows: int) -> tuple[LiveModel, Actor]:
    """A home with one live model, made once and copied by each test, and the scientist who made it."""
    workspace = open_workspace(Settings(home=folder))
    with workspace.write() as session:
        user = User(name="sam", created_at=now)
        session.add(user)
        session.flush()
        session.add(UserRole(user_id=key(user), role=Role.DATA_SCIENTIST))
    actor = Actor(user_id=key(user), name="sam", roles=frozenset({Role.DATA_SCIENTIST}), via="browser")
    live = go_live(workspace, actor, now, n_rows=n_rows)
    workspace.close()
    return live, actor


def live_fixtures(n_rows: int) -> tuple[Any, Any, Any, Any]:
    """Fixtures of a module whose tests each have a copy of one `live_home`.

    ``made, home, live, scientist = live_fixtures(n_rows=3_000)``
    """

    @pytest.fixture(scope="module")
    def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, LiveModel, Actor]:
        folder = tmp_path_factory.mktemp("live")
        return folder, *live_home(folder, NOW, n_rows=n_rows)

    @pytest.fixture
    def home(made: tuple[Path, LiveModel, Actor], tmp_path: Path) -> Path:
        return Path(shutil.copytree(made[0], tmp_path / "home"))

    @pytest.fixture
    def live(made: tuple[Path, LiveModel, Actor]) -> LiveModel:
        return made[1]

    @pytest.fixture
    def scientist(made: tuple[Path, LiveModel, Actor]) -> Actor:
        return made[2]

    return made, home, live, scientist


def waiting_batch(workspace: Workspace, live: LiveModel, actor: Actor, content: bytes) -> int:
    """Hand in a CSV file as a batch with a column "day", not yet read; gives its id."""
    stored = workspace.artifacts.put_bytes(content)
    options = inspect(workspace.artifacts.path(stored.sha256), file_name="rows.csv").options
    with workspace.write() as session:
        upload = store_upload(session, artifact=stored, file_name="rows.csv", actor=actor, now=NOW)
        found = add_batch(
            session,
            monitor_id=live.monitor_id,
            upload_id=key(upload),
            options=options,
            time_column="day",
            actor=actor,
            now=NOW,
        )
        return key(found)


def hand_in(workspace: Workspace, live: LiveModel, actor: Actor, files: Sequence[bytes]) -> dict[str, int]:
    """Hand in files, each as a `waiting_batch`, and have them measured; gives windows' ids by label."""
    for content in files:
        waiting_batch(workspace, live, actor, content)
    finished(workspace)
    with workspace.read() as session:
        return {window.label: key(window) for window in window_queries.windows(session, live.monitor_id)}


def finished(workspace: Workspace) -> list[Job]:
    """Run what is queued; every job must have succeeded."""
    run_all(workspace)
    with workspace.read() as session:
        jobs = list(session.exec(select(Job).order_by(col(Job.id))))
    assert [job.error for job in jobs if job.state != JobState.SUCCEEDED] == []
    return jobs
