"""Many windows are written in pieces: others write between them, and a job that dies leaves whole windows."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from sqlmodel import Session, col, select

from core.automation.inline import run_all
from core.jobs.service import enqueue, request_cancel
from core.jobs.tables import Job, JobState
from core.monitoring import cells, queries, recording, service, window_queries
from core.monitoring.tables import (
    Alert,
    AlertState,
    Batch,
    BatchState,
    DriftResult,
    PerformanceResult,
    Window,
    WindowMeasure,
)
from core.permissions import Actor
from core.workspace import Workspace
from tests.factories import key
from tests.live_models import LiveModel, csv_bytes, live_fixtures, stream, waiting_batch

made, home, live, scientist = live_fixtures(n_rows=1_200)

N_WINDOWS, A_WINDOW = 6, 5  # four features and the prediction


@pytest.fixture
def hand_in(workspace: Workspace, live: LiveModel, operator: Actor) -> Callable[[], int]:
    """Hand in six days of rows, of which the last three have drifted; gives the batch, not yet read."""
    table = pa.concat_tables([stream(240, seed=81), stream(240, seed=82, hours_shift=1.5)])
    days = [str(np.datetime64("2026-02-01") + place * N_WINDOWS // 480) for place in range(480)]
    return lambda: waiting_batch(workspace, live, operator, csv_bytes(table, days))


@pytest.fixture
def batch_id(workspace: Workspace, live: LiveModel, operator: Actor, now: datetime, hand_in: Callable[[], int]) -> int:
    """A batch of six days that waits to be read, of a monitor of days."""
    with workspace.write() as session:
        service.edit_monitor(session, monitor_id=live.monitor_id, window="day", min_rows=50, actor=operator, now=now)
    run_all(workspace)
    return hand_in()


@pytest.fixture
def in_pieces(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[int], None]], None]:
    """Write two windows at a time, and do something after each piece but the last: ``between(number)``."""

    def arrange(between: Callable[[int], None]) -> None:
        done: list[float] = []

        def pause(seconds: float) -> None:
            done.append(seconds)
            between(len(done))

        monkeypatch.setattr(recording, "PIECE_RESULTS", 2 * A_WINDOW)
        monkeypatch.setattr(recording.time, "sleep", pause)

    return arrange


def told(workspace: Workspace) -> dict[str, list[Any]]:
    """All that was recorded, without ids and moments of writing."""
    with workspace.read() as session:
        labels = {one.id: one.label for one in session.exec(select(Window))}
        own = {"id", "window_id", "computed_at", "read_at", "opened_at", "monitor_id"}
        rows = {
            model.__tablename__: sorted(
                repr((labels.get(getattr(row, "window_id", row.id)), row.model_dump(exclude=own)))
                for row in session.exec(select(model))
            )
            for model in (Window, DriftResult, PerformanceResult, WindowMeasure, Alert)
        }
    return {str(name): some for name, some in rows.items()}


def written(session: Session) -> list[tuple[str, int]]:
    """The windows that are there, oldest first, each with how many results it has."""
    windows = session.exec(select(Window).order_by(col(Window.from_at))).all()
    results = session.exec(select(DriftResult.window_id)).all()
    return [(one.label, results.count(key(one))) for one in windows]


def state_of(workspace: Workspace, batch_id: int) -> str:
    with workspace.read() as session:
        return session.get_one(Batch, batch_id).state


def watch_again(workspace: Workspace, live: LiveModel, operator: Actor, now: datetime) -> None:
    with workspace.write() as session:
        enqueue(
            session,
            kind="watch_log",
            payload={"monitor_id": live.monitor_id, "everything": True},
            subject_kind="monitor",
            subject_id=live.monitor_id,
            actor=operator,
            now=now,
        )
    run_all(workspace)


def test_others_write_between_the_pieces_and_all_is_as_written_at_once(
    workspace: Workspace,
    live: LiveModel,
    operator: Actor,
    now: datetime,
    batch_id: int,
    in_pieces: Callable[[Callable[[int], None]], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[list[tuple[str, int]]] = []

    def between(number: int) -> None:
        with workspace.write() as session:
            session.get_one(Batch, batch_id).error = f"somebody else wrote {number}"
            seen.append(written(session))

    in_pieces(between)
    run_all(workspace)
    days = [f"2026-02-0{day}" for day in range(1, N_WINDOWS + 1)]
    assert seen == [[(day, A_WINDOW) for day in days[:n]] for n in (2, 4)]
    assert state_of(workspace, batch_id) == BatchState.READY
    pieces = told(workspace)
    assert len(pieces["window"]) == N_WINDOWS
    assert pieces["alert"]
    monkeypatch.setattr(recording, "PIECE_RESULTS", 10_000)
    watch_again(workspace, live, operator, now)
    assert told(workspace) == pieces
    assert len(seen) == 2


def test_a_job_that_dies_between_pieces_leaves_whole_windows_and_its_repeat_gives_the_same(
    workspace: Workspace,
    live: LiveModel,
    operator: Actor,
    now: datetime,
    batch_id: int,
    in_pieces: Callable[[Callable[[int], None]], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Killed(BaseException):
        """As a process that is gone: nothing handles it."""

    def die(number: int) -> None:
        if number == 2:
            raise Killed

    in_pieces(die)
    with pytest.raises(Killed):
        run_all(workspace)
    with workspace.read() as session:
        assert written(session) == [(f"2026-02-0{day}", A_WINDOW) for day in range(1, 5)]
    assert state_of(workspace, batch_id) == BatchState.MEASURING
    in_pieces(lambda _: None)
    watch_again(workspace, live, operator, now)
    repeated = told(workspace)
    assert len(repeated["window"]) == N_WINDOWS
    monkeypatch.setattr(recording, "PIECE_RESULTS", 10_000)
    watch_again(workspace, live, operator, now)
    assert told(workspace) == repeated


def cancel_after(workspace: Workspace, batch_id: int, now: datetime, piece: int) -> Callable[[int], None]:
    """Cancel the reading of a batch once so many pieces are written."""

    def between(number: int) -> None:
        if number == piece:
            with workspace.write() as session:
                job_id = session.get_one(Batch, batch_id).job_id
                assert job_id is not None
                request_cancel(session, job_id=job_id, now=now)

    return between


def test_cancelling_stops_before_the_next_piece(
    workspace: Workspace, now: datetime, batch_id: int, in_pieces: Callable[[Callable[[int], None]], None]
) -> None:
    in_pieces(cancel_after(workspace, batch_id, now, 1))
    run_all(workspace)
    with workspace.read() as session:
        assert [one.state for one in session.exec(select(Job).where(Job.kind == "read_batch"))] == [JobState.CANCELLED]
        assert [label for label, _ in written(session)] == ["2026-02-01", "2026-02-02"]
    assert state_of(workspace, batch_id) == BatchState.CANCELLED


def test_what_was_recorded_of_a_batch_that_came_to_nothing_is_taken_back(
    workspace: Workspace,
    live: LiveModel,
    operator: Actor,
    now: datetime,
    batch_id: int,
    in_pieces: Callable[[Callable[[int], None]], None],
) -> None:
    fired: list[Alert] = []
    cancel = cancel_after(workspace, batch_id, now, 2)

    def between(number: int) -> None:
        cancel(number)
        with workspace.write() as session:
            fired[:] = alerts_of(session)
            if number == 2 and fired:
                service.acknowledge_alert(session, alert_id=key(fired[0]), note="Seen.", actor=operator, now=now)

    in_pieces(between)
    run_all(workspace)
    assert len(fired) > 1  # day four has drifted
    with workspace.read() as session:
        assert [n for _, n in written(session)] == [0, 0, 0, 0]
        assert window_queries.windows(session, live.monitor_id) == []
        assert session.exec(select(PerformanceResult)).all() == session.exec(select(WindowMeasure)).all() == []
        alerts = alerts_of(session)
        assert {one.state for one in alerts} == {AlertState.RESOLVED}
        assert {one.note for one in alerts} == {
            "No row of this window is left: what brought them failed or was cancelled after they were measured."
        }
        assert queries.list_monitors(session)[0].sentence.startswith("No data yet")


def test_rows_that_come_after_all_fill_an_emptied_window_again(
    workspace: Workspace,
    live: LiveModel,
    operator: Actor,
    now: datetime,
    batch_id: int,
    hand_in: Callable[[], int],
    in_pieces: Callable[[Callable[[int], None]], None],
) -> None:
    in_pieces(cancel_after(workspace, batch_id, now, 2))
    run_all(workspace)
    in_pieces(lambda _: None)
    hand_in()
    run_all(workspace)
    with workspace.read() as session:
        assert written(session) == [(f"2026-02-0{day}", A_WINDOW) for day in range(1, N_WINDOWS + 1)]
        assert AlertState.OPEN in {one.state for one in alerts_of(session)}


def test_windows_of_an_earlier_cut_are_taken_back_too(
    workspace: Workspace,
    live: LiveModel,
    operator: Actor,
    now: datetime,
    batch_id: int,
    in_pieces: Callable[[Callable[[int], None]], None],
) -> None:
    in_pieces(lambda _: None)
    run_all(workspace)
    with workspace.write() as session:
        service.edit_monitor(session, monitor_id=live.monitor_id, window="month", actor=operator, now=now)
    run_all(workspace)
    with workspace.write() as session:
        batch = session.get_one(Batch, batch_id)
        batch.state = BatchState.FAILED
        assert cells.forget_batch(session, batch)
    watch_again(workspace, live, operator, now)
    with workspace.read() as session:
        assert {(one.length, one.n_rows) for one in session.exec(select(Window))} == {("day", 0), ("month", 0)}
        assert {one.state for one in alerts_of(session)} == {AlertState.RESOLVED}
        assert [one.error for one in session.exec(select(Job)) if one.state != JobState.SUCCEEDED] == []


def alerts_of(session: Session) -> list[Alert]:
    """Every alert about a window, oldest first."""
    return list(session.exec(select(Alert).where(col(Alert.window_id).is_not(None)).order_by(col(Alert.id))))
