"""Seasons read from what is stored: the windows of the season alone, and the training rows of the season."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from io import BytesIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqlmodel import col, select

from core.incidents import gather
from core.incidents.season_reading import _windows_of_the_season
from core.incidents.seasons import season_evidence
from core.incidents.triage import triage
from core.incidents.window_rows import rows_of
from core.monitoring import queries
from core.monitoring.tables import DriftResult, ReferenceSketch, Window
from core.permissions import Actor
from core.workspace import Workspace
from tests.dashboard.factories import make_live_model
from tests.factories import NOW, key, make_dataset_version
from tests.live_models import LiveModel, csv_bytes, go_live, hand_in

YEAR = datetime(2024, 1, 1, tzinfo=UTC)
KINDS = {"at": "timestamp", "temperature": "number", "wind": "number", "paid": "category"}


def hours(first: datetime, n: int, *, seed: int, as_in: int | None = None) -> pa.Table:
    """Hours in which it is as warm as their month is, or as the month ``as_in``; who pays follows the warmth a little.

    Of the wind nothing follows.
    """
    rng = np.random.default_rng(seed)
    at = [first + timedelta(hours=place) for place in range(n)]
    months = np.array([as_in or one.month for one in at])
    temperature = 10 - 12 * np.cos((months - 1) * np.pi / 6) + rng.normal(0, 3, n)
    paid = np.where(temperature / 10 + rng.normal(0, 2, n) > 1, "yes", "no")
    return pa.table(
        {
            "at": pa.array(at, pa.timestamp("us")),
            "temperature": temperature.round(2),
            "wind": rng.gamma(2, 3, n).round(2),
            "paid": paid.tolist(),
        }
    )


@pytest.fixture
def live(workspace: Workspace, scientist: Actor) -> LiveModel:
    table = hours(YEAR, 24 * 365, seed=1)
    out = BytesIO()
    pq.write_table(table, out)
    stored = workspace.artifacts.put_bytes(out.getvalue())
    with workspace.write() as session:
        data = make_dataset_version(
            session,
            data_sha256=stored.sha256,
            columns=[{"name": name, "kind": kind} for name, kind in KINDS.items()],
            n_rows=table.num_rows,
            n_columns=len(KINDS),
            profile={"columns": [{"name": name, "n_distinct": len(table[name].unique())} for name in KINDS]},
        )
    return go_live(workspace, scientist, NOW, data=data, features=("temperature", "wind"))


def send(workspace: Workspace, live: LiveModel, operator: Actor, tables: Sequence[pa.Table]) -> dict[str, int]:
    """Hand in hours of rows, one batch each; gives the windows' ids by label."""
    times = [[f"{one:%Y-%m-%d %H:%M:%S}" for one in table["at"].to_pylist()] for table in tables]
    files = [csv_bytes(table.drop_columns(["at", "paid"]), at) for table, at in zip(tables, times, strict=True)]
    return hand_in(workspace, live, operator, files)


def test_a_winter_like_the_one_it_was_trained_on_is_the_season_and_another_is_not(
    workspace: Workspace, live: LiveModel, operator: Actor
) -> None:
    january = hours(datetime(2025, 1, 1, tzinfo=UTC), 700, seed=2)
    warm = hours(datetime(2025, 2, 1, tzinfo=UTC), 600, seed=3, as_in=7)
    windows = send(workspace, live, operator, [january, warm])
    told = triage(gather.evidence_of(workspace, window_id=windows["2025-01"], now=NOW))
    assert told.cause == "seasonal_return"
    assert "The training rows of January look like it: temperature" in told.sentence
    other = gather.evidence_of(workspace, window_id=windows["2025-02"], now=NOW)
    assert other.season is not None
    assert not other.season.matches
    assert other.season.sentence == "The training rows of February look different too in temperature."
    with workspace.read() as session:
        kept = set(session.exec(select(ReferenceSketch.slice).distinct()))
    assert kept == {"", "month=01 of at", "month=02 of at"}  # counted once, kept with the version

    with workspace.read() as session:
        monitor = queries.monitor(session, live.monitor_id)
        rows = rows_of(workspace, session, monitor, session.get_one(Window, windows["2025-02"]))
        assert len(rows.files.batches) == 1  # the other month's file is not opened
        read = rows.read(["feature:temperature"])
        assert read is not None
        assert read.num_rows == 600


def test_of_hundreds_of_hours_those_of_the_season_are_read(
    workspace: Workspace, scientist: Actor, now: datetime
) -> None:
    """Hour by hour for two weeks; at 13:00 it is warm each day, so that 13:00 is a day's season."""
    begin = datetime(2026, 1, 5, tzinfo=UTC)
    with workspace.write() as session:
        made = make_live_model(session, name="churn", actor=scientist, now=now, n_windows=1)
        version_id = session.exec(select(Window.version_id)).first()
        for place in range(24 * 15):
            at = begin + timedelta(hours=place)
            is_warm = at.hour == 13
            window = Window(
                monitor_id=made.monitor_id, version_id=version_id, length="hour", label=f"{at:%Y-%m-%d %H}:00",
                from_at=at, to_at=at + timedelta(hours=1), n_rows=500, n_features=1, n_drifted=int(is_warm),
                state="drifted" if is_warm else "quiet", computed_at=now, read_at=now,
            )  # fmt: skip
            session.add(window)
            session.flush()
            session.add(
                DriftResult(
                    window_id=key(window), feature="temperature", column_kind="number", test="kolmogorov_smirnov",
                    effect=0.4 if is_warm else 0.01, threshold=0.1, state="drifted" if is_warm else "quiet",
                    n_reference=1000, n_current=500,
                    bins={"edges": [0.0, 10.0, 20.0], "reference": [0.5, 0.5],
                          "current": [0.1, 0.9] if is_warm else [0.5, 0.5]},
                )
            )  # fmt: skip
    with workspace.read() as session:
        last = session.exec(
            select(Window)
            .where(Window.state == "drifted", Window.length == "hour")
            .order_by(col(Window.from_at).desc())
        ).first()
        assert last is not None
        drifted = list(session.exec(select(DriftResult).where(DriftResult.window_id == last.id)))
        earlier = _windows_of_the_season(session, last, drifted)
        assert len(earlier) <= 6
        assert all(one.from_at < last.from_at for one in earlier)
        found = season_evidence(last.from_at, timedelta(hours=1), drifted, earlier)
    assert found is not None
    assert found.matches
    assert ", the day before, looked the same" in found.sentence
