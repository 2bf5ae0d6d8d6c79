"""A home with a live model, and production rows whose fault is known."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from core.datasets.ingest import inspect
from core.datasets.service import store_upload
from core.datasets.tables import Upload
from core.monitoring import queries, service
from core.permissions import Actor
from core.workspace import Workspace
from tests.factories import NOW, key
from tests.live_models import LiveModel, csv_bytes, finished, live_home, stream

SendRows = Callable[..., dict[str, int]]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, LiveModel, Actor]:
    folder = tmp_path_factory.mktemp("live")
    return folder, *live_home(folder, NOW, n_rows=3000)


@pytest.fixture
def live_at(made: tuple[Path, LiveModel, Actor], tmp_path: Path) -> tuple[Path, LiveModel]:
    """A copy of the home, and what lives in it."""
    return Path(shutil.copytree(made[0], tmp_path / "live")), made[1]


@pytest.fixture
def home(live_at: tuple[Path, LiveModel]) -> Path:
    return live_at[0]


@pytest.fixture
def live(live_at: tuple[Path, LiveModel]) -> LiveModel:
    return live_at[1]


@pytest.fixture
def scientist(made: tuple[Path, LiveModel, Actor]) -> Actor:
    """Who made the model: the home holds the account."""
    return made[2]


@pytest.fixture
def send(workspace: Workspace, live: LiveModel, operator: Actor) -> SendRows:
    """Hand in months of rows, one batch each; gives the windows' ids by label.

    ``send([("2026-01", table), ...], labels=False)`` leaves the target out.
    """

    def hand_in(months: list[tuple[str, pa.Table]], *, labels: bool = False) -> dict[str, int]:
        for month, table in months:
            kept = table if labels else table.drop_columns(["paid"])
            days = [f"{month}-{1 + place * 28 // table.num_rows:02d}" for place in range(table.num_rows)]
            stored = workspace.artifacts.put_bytes(csv_bytes(kept, days))
            with workspace.write() as session:
                upload = store_upload(session, artifact=stored, file_name="rows.csv", actor=operator, now=NOW)
                path = workspace.artifacts.path(session.get_one(Upload, key(upload)).sha256)
                service.add_batch(
                    session, monitor_id=live.monitor_id, upload_id=key(upload),
                    options=inspect(path, file_name="rows.csv").options, time_column="day", actor=operator, now=NOW,
                )  # fmt: skip
        finished(workspace)
        with workspace.read() as session:
            return {window.label: key(window) for window in queries.windows(session, live.monitor_id)}

    return hand_in


def in_minutes(table: pa.Table) -> pa.Table:
    """The stream with hours given in minutes."""
    return table.set_column(0, "hours", pa.array(np.asarray(table["hours"]) * 60))


@pytest.fixture
def months() -> Callable[..., list[tuple[str, pa.Table]]]:
    """Quiet months, the last of which is changed: ``months(in_minutes)``."""

    def make(change: Callable[[pa.Table], pa.Table] = lambda table: table, n: int = 3) -> list[tuple[str, pa.Table]]:
        tables = [(f"2026-{1 + place:02d}", stream(900, seed=20 + place)) for place in range(n)]
        return [*tables[:-1], (tables[-1][0], change(tables[-1][1]))]

    return make
