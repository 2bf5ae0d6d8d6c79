"""How rows of a monitor's reference hang together, from the training data to what is told."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from core.drift.dependence import Dependence
from core.monitoring import service
from core.monitoring.monitor_settings import MonitorSettings
from core.monitoring.reference import ALL, Some, reference_of
from core.monitoring.reference_blocks import blocks_of
from core.monitoring.row_dependence import dependence, kept_dependence
from core.monitoring.tables import Window, WindowState
from core.monitoring.windows import season_of, span_at
from core.permissions import Actor
from core.workspace import Workspace
from tests.core.monitoring.test_counted_windows import (  # noqa: F401
    AddBatch,
    add_batch,
    edit,
    home,
    live,
    made,
    result_of,
    scientist,
    times,
    windows,
)
from tests.live_models import COLUMNS, LiveModel, csv_bytes, go_live, keep_version, stream

WEEKLY = MonitorSettings("week", None, 50, 0.0, 0.5, 1, 1, "none", None, {}, ())
CHOSEN: dict[str, Any] = {"window": "week", "min_rows": 50, "min_effect": 0.0, "false_alerts": 0.5}
SEEN = Dependence(52, 51, 117.0, 40.0, 28.0, 62.0, True)
UNSEEN = Dependence(52, 51, 117.0, 1.1, 0.8, 1.7, False)


def said(
    found: Mapping[str, Dependence], settings: MonitorSettings = WEEKLY, time: str | None = "day"
) -> dict[str, Any]:
    held = {(False, name): {"kolmogorov_smirnov": one} for name, one in found.items()}
    return dependence(held, settings, time)


def test_a_week_is_said_in_independent_rows_and_a_season_is_suspected() -> None:
    told = said({"temp": SEEN, "pay": UNSEEN})
    assert told["sentence"] == (
        "Over 52 weeks of training data 1 of 2 columns vary more than independent rows do, and their thresholds are "
        "wider by that: a week of temp, 117 rows, carries as much as 2.92 independent ones."
    )
    assert "often a season" in told["advice"]
    assert [(one["feature"], one["n_rows"], one["design_effect"]) for one in told["columns"]] == [("temp", 117.0, 40.0)]
    seasonal = MonitorSettings(**{**vars(WEEKLY), "season": "month", "season_column": "day"})
    assert said({"temp": SEEN}, seasonal)["advice"] == ""
    short = said({"temp": Dependence(0, 0, 117.0, 1.0, 0.0, 0.0, False)}, seasonal)["sentence"]
    assert "it takes training data with 12 weeks beyond the first of each season" in short
    assert "holds 0" not in short  # a year of months is there, each of them once


@pytest.mark.parametrize(
    ("found", "settings", "time", "words"),
    [
        ({"pay": UNSEEN}, WEEKLY, "day", "Over 52 weeks of training data no column varies more"),
        ({"pay": Dependence(7, 6, 90.0, 1.0, 1.0, 1.0, False)}, WEEKLY, "day", "holds 7 weeks; from 13 on"),
        ({}, WEEKLY, None, "The training data has no time"),
        ({}, MonitorSettings(**{**vars(WEEKLY), "dependent_rows": False}), "day", "is not looked at"),
    ],
)
def test_what_is_not_used_is_said_too(
    found: Mapping[str, Dependence], settings: MonitorSettings, time: str | None, words: str
) -> None:
    told = said(found, settings, time)
    assert words in told["sentence"]
    assert (told["columns"], told["advice"]) == ([], "")


def moving(n: int, first: str, seed: int, n_days: int = 365) -> tuple[pa.Table, list[str]]:
    """Rows whose hours are longer or shorter in any week, by chance."""
    days = times(first, n_days, n, "D")
    weeks = [span_at(datetime.fromisoformat(f"{day[:10]}T00:00+00:00"), "week").label for day in days]
    names, place = np.unique(weeks, return_inverse=True)
    table = stream(n, seed=seed)
    hours = np.array(table["hours"].to_pylist()) + np.random.default_rng(seed).normal(0, 5, len(names))[place]
    return table.set_column(0, "hours", pa.array(hours.round(3))), days


@pytest.fixture
def weekly(
    workspace: Workspace,
    scientist: Actor,  # noqa: F811
    now: datetime,
    monkeypatch: pytest.MonkeyPatch,
) -> LiveModel:
    monkeypatch.setattr("tests.live_models.COLUMNS", [*COLUMNS, {"name": "day", "kind": "date"}])
    table, days = moving(6_000, "2025-01-01", 11)
    table = table.append_column("day", pa.array([np.datetime64(day).astype(object) for day in days]))
    return go_live(workspace, scientist, now, name="weekly", data=keep_version(workspace, table))


def drifted(found: Mapping[str, Window]) -> int:
    return sum(one.state == WindowState.DRIFTED for one in found.values())


def test_weeks_that_vary_as_the_training_datas_do_are_quiet(
    workspace: Workspace,
    weekly: LiveModel,
    add_batch: AddBatch,  # noqa: F811
    operator: Actor,
    now: datetime,
) -> None:
    def told() -> dict[str, Any]:
        with workspace.read() as session:
            settings = MonitorSettings(**{**vars(WEEKLY), "dependent_rows": on})
            found = kept_dependence(
                session, monitor_id=weekly.monitor_id, version_id=weekly.version_id, settings=settings
            )
        assert found is not None
        return found

    on = False
    edit(workspace, weekly.monitor_id, operator, now, **{**CHOSEN, "dependent_rows": False})
    table, days = moving(1_500, "2026-01-01", 12, 91)
    add_batch(csv_bytes(table, days), monitor_id=weekly.monitor_id)
    assert drifted(windows(workspace, weekly)) > 5
    assert "not looked at" in told()["sentence"]
    with workspace.write() as session:
        job = service.request_preview(
            session, monitor_id=weekly.monitor_id, actor=operator, now=now, **{**CHOSEN, "dependent_rows": True}
        )
    tried = result_of(workspace, job.id)
    assert sum("hours" in one["columns"] for one in tried["would_have_alerted"]) <= 1
    assert tried["dependence"]["columns"][0]["feature"] == "hours"
    on = True
    edit(workspace, weekly.monitor_id, operator, now, dependent_rows=True)
    assert drifted(windows(workspace, weekly)) == tried["n_alerts"]
    found = told()
    assert (found["time_column"], found["columns"][0]["feature"]) == ("day", "hours")
    assert found["columns"][0]["design_effect"] > 3
    assert "independent ones" in found["sentence"]


def test_blocks_are_cut_as_windows_are(workspace: Workspace, weekly: LiveModel) -> None:
    reference = reference_of(workspace, weekly.version_id)
    assert reference.time_column == "day"
    cut = blocks_of(reference, WEEKLY)
    assert cut is not None
    days = reference.moments("day")[reference.rows()]
    blocks = cut.of(ALL)((False, "hours"))
    assert len(blocks.values) == len(days) == len(blocks.block)
    assert len(blocks.season_of) in (52, 53)
    for one in (0, 20):
        here = days[blocks.block == one].astype("datetime64[D]")
        assert (here.max() - here.min()).astype(int) <= 6
    monthly = MonitorSettings(**{**vars(WEEKLY), "season": "month", "season_column": "day"})
    of_june = blocks_of(reference, monthly)
    assert of_june is not None
    seasonal = of_june.of(Some("month=06", "day"))((False, "hours"))
    assert set(seasonal.season_of) == set(range(12))
    at = np.flatnonzero(seasonal.season == 5)[0]
    assert season_of(days[at].item().replace(tzinfo=UTC), "month") == "month=06"
    counted = MonitorSettings(**{**vars(WEEKLY), "window": "count", "window_rows": 500})
    by_rows = blocks_of(reference, counted)
    assert by_rows is not None
    assert len(by_rows.of(ALL)((False, "hours")).season_of) == 12
    assert blocks_of(reference, MonitorSettings(**{**vars(WEEKLY), "dependent_rows": False})) is None
