"""Windows of every length, season and slice, from a reference and cells that are counted once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from sqlmodel import Session, col, delete, select

from core.automation.inline import run_all
from core.datasets.ingest import inspect
from core.datasets.service import store_upload
from core.errors import InvalidInput
from core.monitoring import drift_queries, queries, service, window_queries
from core.monitoring.reference import ALL, Some, reference_of
from core.monitoring.tables import (
    Alert,
    Batch,
    BucketSketch,
    Calibration,
    DriftResult,
    ReferenceSketch,
    Window,
    WindowState,
)
from core.permissions import Actor
from core.workspace import Workspace
from tests.factories import key
from tests.live_models import COLUMNS, LiveModel, csv_bytes, finished, go_live, keep_version, live_fixtures, stream

AddBatch = Callable[..., Batch]
FEATURES = ["age", "hours", "job", "member"]


made, home, live, scientist = live_fixtures(n_rows=3_000)


@pytest.fixture
def add_batch(workspace: Workspace, live: LiveModel, operator: Actor, now: datetime) -> AddBatch:
    def add(content: bytes, *, time_column: str | None = "day", monitor_id: int = live.monitor_id) -> Batch:
        stored = workspace.artifacts.put_bytes(content)
        with workspace.write() as session:
            upload = store_upload(session, artifact=stored, file_name="batch.csv", actor=operator, now=now)
            batch = service.add_batch(
                session,
                monitor_id=monitor_id,
                upload_id=key(upload),
                options=inspect(workspace.artifacts.path(stored.sha256), file_name="batch.csv").options,
                time_column=time_column,
                actor=operator,
                now=now,
            )
        run_all(workspace)
        with workspace.read() as session:
            done = queries.batch(session, key(batch))
        assert done.error is None
        return done

    return add


def edit(workspace: Workspace, monitor_id: int, operator: Actor, now: datetime, **changes: Any) -> None:
    with workspace.write() as session:
        service.edit_monitor(session, monitor_id=monitor_id, actor=operator, now=now, **changes)
    finished(workspace)


def times(first: str, hours: int, rows: int, step: str = "h") -> list[str]:
    start = np.datetime64(first, step)
    return [str(start + int(position * hours / rows)) + (":00" if step == "h" else "") for position in range(rows)]


def windows(workspace: Workspace, live: LiveModel) -> dict[str, Window]:
    with workspace.read() as session:
        return {one.label: one for one in window_queries.windows(session, live.monitor_id)}


def results(session: Session, window: Window, part: str = "") -> dict[str, DriftResult]:
    query = select(DriftResult).where(col(DriftResult.window_id) == window.id, col(DriftResult.slice) == part)
    return {"prediction" if one.is_prediction else one.feature: one for one in session.exec(query)}


def measured(workspace: Workspace, live: LiveModel, label: str, part: str = "") -> dict[str, DriftResult]:
    with workspace.read() as session:
        window = next(one for one in window_queries.windows(session, live.monitor_id) if one.label == label)
        return results(session, window, part)


def test_a_version_is_counted_once_and_always_to_the_same_bytes(workspace: Workspace, live: LiveModel) -> None:
    def kept() -> dict[tuple[str, str, bool], tuple[int, bytes]]:
        with workspace.read() as session:
            rows = session.exec(select(ReferenceSketch).where(col(ReferenceSketch.version_id) == live.version_id))
            return {(one.slice, one.feature, one.is_prediction): (one.id or 0, one.cells) for one in rows}

    reference_of(workspace, live.version_id).sketches([ALL])
    first = kept()
    assert {name for _, name, is_prediction in first if not is_prediction} == set(FEATURES)
    assert {name for _, name, is_prediction in first if is_prediction} == {"prediction", "score:yes"}
    reference_of(workspace, live.version_id).sketches([ALL])
    assert kept() == first
    with workspace.write() as session:
        session.connection().execute(delete(ReferenceSketch))
    reference_of(workspace, live.version_id).sketches([ALL])
    assert {one: cells for one, (_, cells) in kept().items()} == {one: cells for one, (_, cells) in first.items()}


def test_features_are_counted_on_the_training_part_and_predictions_on_unseen_rows(
    workspace: Workspace, live: LiveModel
) -> None:
    reference = reference_of(workspace, live.version_id)
    counted = reference.sketches([ALL])[ALL]
    trained, unseen = counted[False, "hours"].n_rows, counted[True, "prediction"].n_rows
    assert 0 < unseen < trained < 3_000
    assert trained + unseen <= 3_000
    assert np.sort(reference.values((False, "hours"))).size == trained
    assert counted[True, "score:yes"].n_rows == unseen


def test_a_later_version_of_the_line_is_counted_on_the_first_ones_basis(
    workspace: Workspace, live: LiveModel, scientist: Actor, now: datetime
) -> None:
    first = reference_of(workspace, live.version_id).bases
    shifted = keep_version(workspace, stream(800, seed=50, hours_shift=4, new_job=0.5))
    again = go_live(workspace, scientist, now, data=shifted)
    later = reference_of(workspace, again.version_id)
    assert later.bases == first
    assert later.sketches([ALL])[ALL][False, "hours"].n_rows > 0


def test_pages_make_no_reference(workspace: Workspace, live: LiveModel) -> None:
    with workspace.read() as session:
        queries.list_monitors(session)
        drift_queries.drift_map(session, live.monitor_id)
        assert session.exec(select(ReferenceSketch)).all() == []


@pytest.mark.parametrize(
    ("changes", "labels"),
    [
        ({"window": "hour", "min_rows": 20}, ["2026-01-01 00:00", "2026-01-01 01:00", "2026-01-01 02:00"]),
        ({"window": "day"}, ["2026-01-01", "2026-01-02", "2026-01-03"]),
        (
            {"window": "count", "window_rows": 300},
            ["rows from 2026-01-01", "rows from 2026-01-03", "rows from 2026-01-05"],
        ),
    ],
    ids=["hour", "day", "count"],
)
def test_windows_of_any_length_hold_every_row_once(
    workspace: Workspace,
    live: LiveModel,
    add_batch: AddBatch,
    operator: Actor,
    now: datetime,
    changes: dict[str, Any],
    labels: list[str],
) -> None:
    add_batch(csv_bytes(stream(1_500, seed=60), times("2026-01-01", 240, 1_500)))
    edit(workspace, live.monitor_id, operator, now, **changes)
    found = windows(workspace, live)
    assert list(found)[:3] == labels
    assert sum(one.n_rows for one in found.values()) == 1_500
    for one in found.values():
        assert {result.n_current for result in measured(workspace, live, one.label).values()} == {one.n_rows}


def test_a_window_that_was_cut_otherwise_is_not_shown_but_kept(
    workspace: Workspace, live: LiveModel, add_batch: AddBatch, operator: Actor, now: datetime
) -> None:
    add_batch(csv_bytes(stream(900, seed=61, hours_shift=0.8), times("2026-01-01", 240, 900)))
    edit(workspace, live.monitor_id, operator, now, window="count", window_rows=400)
    by_rows = list(windows(workspace, live))
    edit(workspace, live.monitor_id, operator, now, window_rows=500)
    assert list(windows(workspace, live)) == ["rows from 2026-01-01"]
    assert len(by_rows) == 2
    with workspace.read() as session:
        lengths = {(one.length, one.label) for one in session.exec(select(Window))}
        alert = session.exec(select(Alert).where(col(Alert.kind) == "drift")).all()
    assert {length for length, _ in lengths} == {"month", "count 400", "count 500"}
    assert alert


def test_late_rows_join_a_window_of_rows_that_was_closed(
    workspace: Workspace, live: LiveModel, add_batch: AddBatch, operator: Actor, now: datetime
) -> None:
    edit(workspace, live.monitor_id, operator, now, window="count", window_rows=300)
    add_batch(csv_bytes(stream(700, seed=62), times("2026-01-03", 48, 700)))
    before = {label: one.n_rows for label, one in windows(workspace, live).items()}
    add_batch(csv_bytes(stream(200, seed=63), times("2026-01-03", 5, 200)))
    assert {label: one.n_rows for label, one in windows(workspace, live).items()} == before | {
        "rows from 2026-01-03": before["rows from 2026-01-03"] + 200
    }


def test_late_rows_before_every_closed_window_are_judged_too(
    workspace: Workspace, live: LiveModel, add_batch: AddBatch, operator: Actor, now: datetime
) -> None:
    edit(workspace, live.monitor_id, operator, now, window="count", window_rows=300)
    add_batch(csv_bytes(stream(700, seed=62), times("2026-01-05", 48, 700)))
    add_batch(csv_bytes(stream(150, seed=63, hours_shift=1.5), times("2026-01-02", 20, 150)))
    found = windows(workspace, live)
    assert list(found)[:2] == ["rows from 2026-01-02", "rows from 2026-01-05"]
    assert (found["rows from 2026-01-02"].n_rows, found["rows from 2026-01-02"].state) == (150, "drifted")
    add_batch(csv_bytes(stream(9_000, seed=64), times("2026-01-03", 20, 9_000)))
    found = windows(workspace, live)
    assert (found["rows from 2026-01-02"].n_rows, found["rows from 2026-01-02"].state) == (9_150, "quiet")


def test_two_computations_at_once_close_no_two_windows_over_the_same_days(
    workspace: Workspace, live: LiveModel, add_batch: AddBatch, operator: Actor, now: datetime
) -> None:
    from core.monitoring.computing import compute_windows
    from core.monitoring.recording import record_windows

    edit(workspace, live.monitor_id, operator, now, window="count", window_rows=300)
    add_batch(csv_bytes(stream(350, seed=68), times("2026-01-02", 40, 350)))
    assert list(windows(workspace, live)) == ["rows from 2026-01-02"]
    # Another computation, begun before the rows of the 2nd were there, closes a window from the 3rd on.
    (computed,) = compute_windows(workspace, monitor_id=live.monitor_id, version_id=live.version_id, touched=None)
    span = replace(computed.span, from_at=computed.span.from_at + timedelta(days=1), label="rows from 2026-01-03")
    with workspace.write() as session:
        monitor = queries.monitor(session, live.monitor_id)
        other = [replace(computed, span=span)]
        assert record_windows(session, monitor=monitor, windows=other, actor=operator, now=now) == []
        assert len(record_windows(session, monitor=monitor, windows=[computed], actor=operator, now=now)) == 1


def test_each_window_is_held_beside_the_one_before(workspace: Workspace, live: LiveModel, add_batch: AddBatch) -> None:
    parts = [stream(900, seed=64), stream(900, seed=65, hours_shift=0.8), stream(900, seed=66, hours_shift=0.8)]
    days = [one for month in ("01", "02", "03") for one in times(f"2026-{month}-01", 28, 900, "D")]
    add_batch(csv_bytes(pa.concat_tables(parts), days))
    first, second, third = (measured(workspace, live, f"2026-0{month}")["hours"] for month in (1, 2, 3))
    assert (first.effect_before, first.state_before) == (None, "")
    assert (second.state, second.state_before) == (WindowState.DRIFTED, WindowState.DRIFTED)
    assert (third.state, third.state_before) == (WindowState.DRIFTED, WindowState.QUIET)
    assert third.effect_before is not None
    assert second.effect_before is not None
    assert third.effect_before < 0.1 < second.effect_before
    # A window that changes is what the next one is held beside.
    add_batch(csv_bytes(stream(9_000, seed=67), times("2026-02-01", 28, 9_000, "D")))
    assert measured(workspace, live, "2026-03")["hours"].state_before == WindowState.DRIFTED


def test_two_of_three_windows_must_be_beyond_the_threshold(
    workspace: Workspace, live: LiveModel, add_batch: AddBatch, operator: Actor, now: datetime
) -> None:
    edit(workspace, live.monitor_id, operator, now, windows_needed=2, windows_of=3)
    shifts = (0.0, 0.8, 0.0, 0.8, 0.0, 0.0, 0.8)
    parts = [stream(600, seed=70 + place, hours_shift=shift) for place, shift in enumerate(shifts)]
    days = [one for month in range(1, 8) for one in times(f"2026-0{month}-01", 28, 600, "D")]
    add_batch(csv_bytes(pa.concat_tables(parts), days))

    def found() -> list[tuple[bool, str]]:
        rows = [measured(workspace, live, f"2026-0{month}")["hours"] for month in range(1, 8)]
        return [(one.exceeded, one.state) for one in rows]

    assert found() == [
        (shift > 0, WindowState.DRIFTED if month == 4 else WindowState.QUIET)
        for month, shift in enumerate(shifts, start=1)
    ]
    # Late rows take February back: April then stands alone; only it and what looks back on February are computed anew.
    add_batch(csv_bytes(stream(9_000, seed=80), times("2026-02-01", 28, 9_000, "D")))
    assert [state for _, state in found()] == [WindowState.QUIET] * 7


def test_k_of_n_does_not_depend_on_the_order_in_which_rows_arrive(
    workspace: Workspace, live: LiveModel, add_batch: AddBatch, operator: Actor, now: datetime
) -> None:
    edit(workspace, live.monitor_id, operator, now, windows_needed=2, windows_of=2)
    january = [(300, 71, 0.0), (3_000, 72, 1.5)]

    def add(month: int, rows: int, seed: int, shift: float) -> None:
        add_batch(csv_bytes(stream(rows, seed=seed, hours_shift=shift), times(f"2026-0{month}-01", 28, rows, "D")))

    add(1, *january[0])
    add(2, 30, 73, 0.0)  # too few rows to tell: March looks back on January
    add(3, 1_500, 74, 1.5)
    assert [one.state for one in windows(workspace, live).values()] == ["quiet", "not_enough_data", "quiet"]
    add(1, *january[1])
    found = {label: one.state for label, one in windows(workspace, live).items()}
    assert found == {"2026-01": "quiet", "2026-02": "not_enough_data", "2026-03": "drifted"}
    with workspace.write() as session:
        service.refresh(session, monitor_id=live.monitor_id, actor=operator, now=now)
    finished(workspace)
    assert {label: one.state for label, one in windows(workspace, live).items()} == found


def test_slices_tell_where_to_look_and_raise_nothing_by_themselves(
    workspace: Workspace, live: LiveModel, add_batch: AddBatch, operator: Actor, now: datetime
) -> None:
    table = stream(2_000, seed=81)
    hours = np.array(table["hours"].to_pylist())
    job = np.array(table["job"].to_pylist())
    pilots = np.flatnonzero(job == "pilot")
    odd = np.flatnonzero(job == "nurse")[:-60]
    hours[pilots] += np.where(np.arange(len(pilots)) % 2, 9, -9)  # wider for pilots alone; hardly to be seen in all
    table = table.set_column(0, "hours", pa.array(hours)).take(pa.array(np.setdiff1d(np.arange(2_000), odd)))
    add_batch(csv_bytes(table, times("2026-01-01", 28, table.num_rows, "D")))
    whole = measured(workspace, live, "2026-01")
    edit(workspace, live.monitor_id, operator, now, slice_columns=["job", "member"])
    pilot, nurse, cook = (measured(workspace, live, "2026-01", f"job={one}") for one in ("pilot", "nurse", "cook"))
    assert pilot["hours"].state == WindowState.DRIFTED
    assert (pilot["hours"].n_current, cook["hours"].state) == (len(pilots), WindowState.QUIET)
    assert {one.state for one in nurse.values()} == {WindowState.NOT_ENOUGH_DATA}
    assert {one.n_current for one in nurse.values()} == {60}
    assert set(measured(workspace, live, "2026-01", "member=true")) == {*FEATURES, "prediction"}
    again = measured(workspace, live, "2026-01")
    assert {name: (one.effect, one.state) for name, one in again.items()} == {
        name: (one.effect, one.state) for name, one in whole.items()
    }
    with workspace.read() as session:
        evidence = drift_queries.latest_drift(session, live.model_id)
    assert evidence is not None
    assert sorted(evidence["features"]) == sorted(
        name for name, one in again.items() if one.state == "drifted" and name != "prediction"
    )
    window = windows(workspace, live)["2026-01"]
    assert window.n_drifted == sum(one.state == "drifted" for name, one in again.items() if name != "prediction")
    edit(workspace, live.monitor_id, operator, now, slice_columns=[])
    assert measured(workspace, live, "2026-01", "job=pilot") == {}


def test_cells_that_hide_too_much_are_replaced_by_the_rows_themselves(
    workspace: Workspace, scientist: Actor, add_batch: AddBatch, now: datetime
) -> None:
    rng = np.random.default_rng(82)

    def two_modes(n: int, high: float, seed: int) -> pa.Table:
        """Half of the rows in either of two narrow modes far apart: one cell holds all of a mode."""
        table = stream(n, seed=seed)
        hours = np.where(rng.random(n) < 0.5, rng.normal(0, 1e-4, n), high + rng.normal(0, 1e-4, n))
        return table.set_column(0, "hours", pa.array(hours))

    data = keep_version(workspace, two_modes(2_500, 100.0, 83))
    model = go_live(workspace, scientist, now, name="modes", data=data)
    quiet, moved = two_modes(1_500, 100.0, 84), two_modes(1_500, 100.0003, 85)
    days = [*times("2026-01-01", 28, 1_500, "D"), *times("2026-02-01", 28, 1_500, "D")]
    add_batch(csv_bytes(pa.concat_tables([quiet, moved]), days), monitor_id=model.monitor_id)
    before, after = (measured(workspace, model, label)["hours"] for label in ("2026-01", "2026-02"))
    assert (before.state, after.state) == (WindowState.QUIET, WindowState.DRIFTED)
    assert after.effect == pytest.approx(0.43, abs=0.05)  # P(Z < 1.5) - P(Z < -1.5) = 0.87 of half of the rows
    assert {one["exact"] for one in after.tests} == {True}
    assert {one["exact"] for one in measured(workspace, model, "2026-02")["age"].tests} == {False}


def seasonal(n: int, first: str, seed: int) -> tuple[pa.Table, list[str]]:
    """Rows over a year in which hours are longer in winter."""
    days = times(first, 365, n, "D")
    month = np.array([int(day[5:7]) for day in days])
    table = stream(n, seed=seed)
    hours = np.array(table["hours"].to_pylist()) + 12 * np.cos((month - 1) / 12 * 2 * np.pi)
    return table.set_column(0, "hours", pa.array(hours.round(3))), days


@pytest.fixture
def yearly(workspace: Workspace, scientist: Actor, now: datetime, monkeypatch: pytest.MonkeyPatch) -> LiveModel:
    monkeypatch.setattr("tests.live_models.COLUMNS", [*COLUMNS, {"name": "day", "kind": "date"}])
    table, days = seasonal(6_000, "2025-01-01", 86)
    table = table.append_column("day", pa.array([np.datetime64(day).astype(object) for day in days]))
    return go_live(workspace, scientist, now, name="yearly", data=keep_version(workspace, table))


def test_a_season_is_held_against_the_same_season(
    workspace: Workspace, yearly: LiveModel, add_batch: AddBatch, operator: Actor, now: datetime
) -> None:
    table, days = seasonal(6_000, "2026-01-01", 87)
    add_batch(csv_bytes(table, days), monitor_id=yearly.monitor_id)
    plain = windows(workspace, yearly)
    assert (
        sum("hours" in {n for n, one in measured(workspace, yearly, label).items() if one.exceeded} for label in plain)
        > 6
    )
    edit(workspace, yearly.monitor_id, operator, now, season="month", season_column="day")
    found = windows(workspace, yearly)
    assert [one.season for one in found.values()] == [f"month={month:02d}" for month in range(1, 13)]
    assert {one.state for one in found.values()} == {WindowState.QUIET}
    reference = reference_of(workspace, yearly.version_id)
    june, whole = (reference.sketches([one])[one][False, "hours"] for one in (Some("month=06", "day"), ALL))
    assert {one.n_reference for one in measured(workspace, yearly, "2026-06").values() if not one.is_prediction} == {
        june.n_rows
    }
    assert june.n_rows < whole.n_rows / 8


def test_a_feature_that_holds_nothing_any_more_has_drifted_by_its_missing_share(
    workspace: Workspace, live: LiveModel, add_batch: AddBatch
) -> None:
    add_batch(csv_bytes(stream(500, seed=88, missing_age=1.0), times("2026-01-01", 28, 500, "D")))
    age = measured(workspace, live, "2026-01")["age"]
    assert (age.state, age.test, age.effect) == (WindowState.DRIFTED, "missing_share", 1.0)
    by_test = {one["test"]: one for one in age.tests}
    assert by_test["kolmogorov_smirnov"]["effect"] is None
    assert (by_test["missing_share"]["decides"], by_test["missing_share"]["n_current"]) == (True, 500)


def test_the_whole_catalogue_is_kept_with_what_decided(
    workspace: Workspace, live: LiveModel, add_batch: AddBatch
) -> None:
    add_batch(csv_bytes(stream(1_000, seed=89, hours_shift=0.5), times("2026-01-01", 28, 1_000, "D")))
    hours = measured(workspace, live, "2026-01")["hours"]
    by_test = {one["test"]: one for one in hours.tests}
    assert {"kolmogorov_smirnov", "psi", "wasserstein", "hellinger", "jensen_shannon"} <= set(by_test)
    deciding = by_test[hours.test]
    assert (deciding["effect"], deciding["decides"]) == (hours.effect, True)
    assert hours.threshold == max(0.1, deciding["threshold"])
    assert hours.pvalue is not None
    assert by_test["psi"]["threshold"] is None


def test_a_chosen_test_decides(
    workspace: Workspace, live: LiveModel, add_batch: AddBatch, operator: Actor, now: datetime
) -> None:
    add_batch(csv_bytes(stream(1_000, seed=90, hours_shift=0.5), times("2026-01-01", 28, 1_000, "D")))
    edit(workspace, live.monitor_id, operator, now, tests={"hours": "wasserstein"})
    hours = measured(workspace, live, "2026-01")["hours"]
    assert (hours.test, hours.state) == ("wasserstein", WindowState.DRIFTED)
    assert hours.effect == pytest.approx(0.5, abs=0.1)
    assert hours.pvalue is not None


def test_what_was_calibrated_is_kept_and_used_again(
    workspace: Workspace, live: LiveModel, add_batch: AddBatch, operator: Actor, now: datetime
) -> None:
    def kept() -> list[tuple[int | None, str]]:
        with workspace.read() as session:
            return [(one.id, one.settings_digest) for one in session.exec(select(Calibration))]

    add_batch(csv_bytes(stream(500, seed=91), times("2026-01-01", 28, 500, "D")))
    first = kept()
    assert len(first) == 1
    add_batch(csv_bytes(stream(600, seed=92), times("2026-02-01", 28, 600, "D")))
    edit(workspace, live.monitor_id, operator, now, min_effect=0.15)
    assert kept() == first
    edit(workspace, live.monitor_id, operator, now, false_alerts=1.0)
    assert len(kept()) == 2


def test_what_was_calibrated_in_another_way_is_not_taken(
    workspace: Workspace, live: LiveModel, add_batch: AddBatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    def kept() -> int:
        with workspace.read() as session:
            return len(session.exec(select(Calibration)).all())

    add_batch(csv_bytes(stream(500, seed=91), times("2026-01-01", 28, 500, "D")))
    assert kept() == 1
    monkeypatch.setattr("core.monitoring.thresholds.EDITION", 10_000)
    add_batch(csv_bytes(stream(600, seed=92), times("2026-02-01", 28, 600, "D")))

    assert kept() == 2


def test_settings_are_applied_without_reading_rows_again(
    workspace: Workspace, live: LiveModel, add_batch: AddBatch, operator: Actor, now: datetime
) -> None:
    def read_at() -> set[datetime]:
        with workspace.read() as session:
            return set(session.exec(select(BucketSketch.read_at)))

    add_batch(csv_bytes(stream(700, seed=93), times("2026-01-01", 50, 700, "D")))
    first = read_at()
    edit(workspace, live.monitor_id, operator, now, window="week", false_alerts=1.0)
    assert read_at() == first
    assert len(windows(workspace, live)) > 5
    edit(workspace, live.monitor_id, operator, now, window="hour")
    assert max(read_at()) > max(first) - timedelta(0)
    assert not read_at() & first


def test_a_dataset_version_is_handed_in_without_an_upload(
    workspace: Workspace,
    live: LiveModel,
    add_batch: AddBatch,
    operator: Actor,
    now: datetime,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tests.live_models.COLUMNS", [*COLUMNS, {"name": "day", "kind": "date"}])
    table = stream(900, seed=94, hours_shift=0.8)
    days = times("2026-01-01", 28, 900, "D")
    dated = table.append_column("day", pa.array([np.datetime64(day).astype(object) for day in days]))
    data = keep_version(workspace, dated)

    def hand_in(time_column: str | None) -> Batch:
        with workspace.write() as session:
            batch = service.add_version(
                session,
                monitor_id=live.monitor_id,
                dataset_version_id=key(data),
                time_column=time_column,
                actor=operator,
                now=now,
            )
        finished(workspace)
        with workspace.read() as session:
            return queries.batch(session, key(batch))

    batch = hand_in("day")
    assert (batch.state, batch.n_rows, batch.upload_id, batch.dataset_version_id) == ("ready", 900, None, data.id)
    from_version = measured(workspace, live, "2026-01")
    assert from_version["hours"].state == WindowState.DRIFTED
    untimed = hand_in(None)
    assert windows(workspace, live)[f"batch {untimed.id}"].n_rows == 900
    with workspace.write() as session:
        session.connection().execute(delete(BucketSketch))
        session.get_one(Batch, batch.id).state = "failed"
    add_batch(csv_bytes(table, days))
    as_file = measured(workspace, live, "2026-01")
    assert {name: one.effect for name, one in as_file.items()} == {
        name: one.effect for name, one in from_version.items()
    }


def test_a_dataset_version_that_cannot_be_held_against_the_reference_is_refused(
    workspace: Workspace, live: LiveModel, operator: Actor, now: datetime
) -> None:
    data = keep_version(workspace, stream(50, seed=95))
    quarantined = keep_version(workspace, stream(60, seed=96), quarantined_at=now, quarantine_reason="Wrong units.")

    def refused(version_id: int, time_column: str | None, says: str) -> None:
        with workspace.write() as session, pytest.raises(InvalidInput, match=says):
            service.add_version(
                session,
                monitor_id=live.monitor_id,
                dataset_version_id=version_id,
                time_column=time_column,
                actor=operator,
                now=now,
            )

    refused(key(data), "when", "has no column 'when'")
    refused(key(quarantined), None, "is quarantined: Wrong units")
    with workspace.write() as session:
        batch = service.add_version(
            session,
            monitor_id=live.monitor_id,
            dataset_version_id=key(data),
            time_column="job",
            actor=operator,
            now=now,
        )
    run_all(workspace)
    with workspace.read() as session:
        assert "'job' is of kind category" in (queries.batch(session, key(batch)).error or "")


def three_months(seed: int, shift: float = 0.8) -> bytes:
    """Two quiet months and one in which hours moved."""
    parts = [stream(700, seed=seed), stream(700, seed=seed + 1), stream(700, seed=seed + 2, hours_shift=shift)]
    days = [one for month in ("01", "02", "03") for one in times(f"2026-{month}-01", 28, 700, "D")]
    return csv_bytes(pa.concat_tables(parts), days)


def result_of(workspace: Workspace, job_id: int | None) -> dict[str, Any]:
    done = next(job for job in finished(workspace) if job.id == job_id)
    assert done.result is not None
    return done.result


def test_settings_are_tried_on_the_past_and_nothing_is_saved(
    workspace: Workspace, live: LiveModel, add_batch: AddBatch, operator: Actor, now: datetime
) -> None:
    add_batch(three_months(100))
    before = {label: one.id for label, one in windows(workspace, live).items()}

    def tried(**changes: Any) -> dict[str, Any]:
        with workspace.write() as session:
            job = service.request_preview(session, monitor_id=live.monitor_id, actor=operator, now=now, **changes)
        return result_of(workspace, job.id)

    plain = tried(false_alerts=0.5)
    assert (plain["promised"], plain["n_windows"], plain["n_alerts"]) == (0.5, 3, 1)
    assert plain["would_have_alerted"] == [
        {"window": "2026-03", "enough": True, "columns": plain["windows"][2]["columns"]}
    ]
    assert set(plain["windows"][2]["columns"]) == {"hours", "prediction"}
    assert plain["alerts_a_month"] == pytest.approx(1 / 3)
    assert plain["low"] < plain["alerts_a_month"] < plain["high"]
    assert {(one["feature"], one["test"]) for one in plain["thresholds"]} >= {
        ("hours", "kolmogorov_smirnov"),
        ("job", "chi_square"),
    }
    assert tried(min_effect=0.9)["would_have_alerted"] == []
    assert tried(windows_needed=2, windows_of=2)["would_have_alerted"] == []
    weeks = tried(window="week")
    assert {"2026-W10", "2026-W11", "2026-W12"} <= {one["window"] for one in weeks["would_have_alerted"]}
    assert {one["window"] for one in weeks["would_have_alerted"]} <= {f"2026-W{week:02d}" for week in range(9, 14)}
    hours = tried(window="hour", min_rows=20)
    judged = [one["window"] for one in hours["windows"] if one["enough"]]
    assert judged == ["2026-03-27 00:00", "2026-03-28 00:00"]  # of the newest 60 hours those that hold rows
    assert {label: one.id for label, one in windows(workspace, live).items()} == before
    with workspace.read() as session:
        monitor = queries.monitor(session, live.monitor_id)
        assert (monitor.window, monitor.false_alerts) == ("month", 0.1)
        assert {one.settings_digest for one in session.exec(select(Calibration))} == {
            one.settings_digest for one in session.exec(select(Calibration).order_by(col(Calibration.id)).limit(1))
        }
        assert {one.bucket for one in session.exec(select(BucketSketch))} == {"day"}


def test_settings_that_make_no_sense_are_not_tried(
    workspace: Workspace, live: LiveModel, operator: Actor, now: datetime
) -> None:
    with workspace.write() as session, pytest.raises(InvalidInput, match="no window"):
        service.request_preview(session, monitor_id=live.monitor_id, window="year", actor=operator, now=now)


def compared(
    workspace: Workspace, first: Window, second: Window, operator: Actor, now: datetime, part: str = ""
) -> Any:
    with workspace.write() as session:
        job = service.request_window_comparison(
            session, first_id=key(first), second_id=key(second), part=part, actor=operator, now=now
        )
    return result_of(workspace, job.id)


def test_any_two_windows_are_held_against_each_other(
    workspace: Workspace, live: LiveModel, add_batch: AddBatch, scientist: Actor, operator: Actor, now: datetime
) -> None:
    add_batch(three_months(110))
    add_batch(csv_bytes(stream(700, seed=113, hours_shift=0.8)), time_column=None)
    first = windows(workspace, live)
    result = compared(workspace, first["2026-01"], first["2026-03"], operator, now)
    assert [one["feature"] for one in result["features"]] == ["hours", "age", "job", "member", "prediction"]
    assert [one["feature"] for one in result["features"] if one["drifted"]] == ["hours", "prediction"]
    assert (result["first"]["n_rows"], result["second"]["window"], result["not_compared"]) == (700, "2026-03", [])
    hours = result["features"][0]
    assert hours["effect"] == pytest.approx(0.31, abs=0.08)
    assert len(hours["bins"]["reference"]) == len(hours["bins"]["current"])
    assert all(one["pvalue"] is not None for one in hours["tests"])
    alike = compared(
        workspace, first["2026-03"], next(one for one in first.values() if one.length == "batch"), operator, now
    )
    assert [one["feature"] for one in alike["features"] if one["drifted"]] == []

    shifted = keep_version(workspace, stream(2_000, seed=114, hours_shift=0.8))
    go_live(workspace, scientist, now, data=shifted)
    add_batch(three_months(110))
    with workspace.read() as session:
        again = session.exec(
            select(Window).where(col(Window.label) == "2026-03", col(Window.version_id) != live.version_id)
        ).one()
    across = compared(workspace, first["2026-03"], again, operator, now)
    assert {one["feature"]: one["effect"] for one in across["features"] if not one["is_prediction"]} == {
        "hours": 0.0,
        "age": 0.0,
        "job": 0.0,
        "member": 0.0,
    }


def test_windows_are_compared_by_slice_and_whatever_they_were_cut_by(
    workspace: Workspace, live: LiveModel, add_batch: AddBatch, operator: Actor, now: datetime
) -> None:
    add_batch(csv_bytes(stream(1_500, seed=120), times("2026-01-01", 10, 1_500)))
    edit(workspace, live.monitor_id, operator, now, window="hour", slice_columns=["job"])
    hours = windows(workspace, live)
    first, second = hours["2026-01-01 00:00"], hours["2026-01-01 05:00"]
    cooks = compared(workspace, first, second, operator, now, part="job=cook")
    assert 0 < cooks["first"]["n_rows"] < first.n_rows
    by_hour = compared(workspace, first, second, operator, now)
    edit(workspace, live.monitor_id, operator, now, window="month", slice_columns=[])
    by_day = compared(workspace, first, second, operator, now)
    for one in (by_hour, by_day):
        assert (one["first"]["n_rows"], one["second"]["n_rows"]) == (first.n_rows, second.n_rows)
    assert [one["effect"] for one in by_day["features"]] == [one["effect"] for one in by_hour["features"]]
    with workspace.write() as session, pytest.raises(InvalidInput, match="does not differ from itself"):
        service.request_window_comparison(session, first_id=key(first), second_id=key(first), actor=operator, now=now)
