"""A sender that fell silent over the edge of a window is told there, once rows on both sides make it plain."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from sqlmodel import col, select

from core.database import utc_now
from core.monitoring import cells, performance_queries, queries
from core.monitoring.kept_rows import kept_rows, span_of
from core.monitoring.tables import BucketSketch, Window, WindowMeasure, WindowState
from core.monitoring.window_edges import Stream
from core.permissions import Actor
from core.workspace import Workspace
from tests.factories import key, make_model_version
from tests.live_models import LiveModel, csv_bytes, hand_in, live_fixtures, stream

made, home, live, scientist = live_fixtures(n_rows=1_200)


def hours(first: str, last: str, seed: int = 0) -> bytes:
    """A row an hour from one moment up to another."""
    times = np.arange(np.datetime64(first, "h"), np.datetime64(last, "h"))
    return csv_bytes(stream(len(times), seed=seed), [f"{one}:00:00".replace("T", " ") for one in times])


def told(workspace: Workspace, live: LiveModel) -> dict[str, WindowMeasure]:
    """What each window says of stretches without rows, by its label."""
    with workspace.read() as session:
        windows = session.exec(select(Window).order_by(col(Window.from_at))).all()
        return {
            one.label: measure
            for one in windows
            for measure in performance_queries.window_measures(session, key(one))
            if measure.kind == "missing_stretch"
        }


def stream_of(workspace: Workspace, live: LiveModel, read_at: datetime) -> Stream:
    with workspace.read() as session:
        kept = kept_rows(workspace, session, queries.monitor(session, live.monitor_id), live.version_id)
        buckets = cells.buckets(session, live.monitor_id, live.version_id)
        kept = replace(kept, reach=cells.reach(session, live.monitor_id, live.version_id))
    return Stream(live.monitor_id, live.version_id, kept, buckets, read_at)


def test_a_silence_at_the_end_of_a_month_is_told_once_the_next_one_begins(
    workspace: Workspace, live: LiveModel, operator: Actor
) -> None:
    hand_in(workspace, live, operator, [hours("2026-05-01", "2026-06-01"), hours("2026-06-01", "2026-06-21", 1)])
    found = told(workspace, live)
    assert found["2026-06"].state == WindowState.QUIET  # whether more is to come is not known
    hand_in(workspace, live, operator, [hours("2026-07-01", "2026-07-15", 2)])
    found = told(workspace, live)
    assert found["2026-06"].state == WindowState.DRIFTED
    assert found["2026-06"].sentence == (
        "Rows come every hour, but none came from 20 Jun 2026, 23:00 to 1 Jul 2026, 00:00 (240 missing)."
    )
    assert (found["2026-05"].state, found["2026-07"].state) == (WindowState.QUIET, WindowState.QUIET)


def test_a_silence_over_the_turn_of_a_month_is_told_in_both(
    workspace: Workspace, live: LiveModel, operator: Actor
) -> None:
    hand_in(workspace, live, operator, [hours("2026-06-01", "2026-06-29"), hours("2026-07-03", "2026-07-20", 1)])
    found = told(workspace, live)
    assert {one.sentence for one in found.values()} == {
        "Rows come every hour, but none came from 28 Jun 2026, 23:00 to 3 Jul 2026, 00:00 (96 missing)."
    }
    assert [one.value for one in found.values()] == [97.0, 97.0]


def test_where_a_stream_begins_and_ends_is_no_gap(workspace: Workspace, live: LiveModel, operator: Actor) -> None:
    hand_in(workspace, live, operator, [hours("2026-06-10", "2026-07-20")])
    assert {one.state for one in told(workspace, live).values()} == {WindowState.QUIET}


def test_of_a_window_that_still_runs_and_of_a_time_when_another_version_answered_nothing_is_told(
    workspace: Workspace, live: LiveModel, operator: Actor
) -> None:
    ids = hand_in(workspace, live, operator, [hours("2026-06-01", "2026-06-29"), hours("2026-07-03", "2026-07-20", 1)])
    with workspace.read() as session:
        span = span_of(session.get_one(Window, ids["2026-07"]))
    running = stream_of(workspace, live, datetime(2026, 7, 21, tzinfo=UTC))
    rows = running.kept.of_span(span)
    found = running.rhythm(span, rows)
    assert found is not None
    assert found.stretches == ()
    over = stream_of(workspace, live, utc_now())
    found = over.rhythm(span, rows)
    assert found is not None
    assert len(found.stretches) == 1
    with workspace.write() as session:
        counted = session.exec(select(BucketSketch).where(BucketSketch.is_prediction)).first()
        assert counted is not None
        other = counted.model_dump(exclude={"id", "bucket_at", "version_id"})
        version = make_model_version(session, model_id=live.model_id, number=2)
        session.add(BucketSketch(**other, bucket_at=datetime(2026, 7, 1, tzinfo=UTC), version_id=key(version)))
    found = over.rhythm(span, rows)
    assert found is not None
    assert found.stretches == ()


@pytest.mark.parametrize("most", [10, 10_000])
def test_of_too_many_rows_around_a_window_nothing_is_read(
    workspace: Workspace, live: LiveModel, operator: Actor, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    ids = hand_in(workspace, live, operator, [hours("2026-06-01", "2026-06-29"), hours("2026-07-03", "2026-07-20", 1)])
    monkeypatch.setattr("core.monitoring.window_edges.MOST_AROUND", most)
    with workspace.read() as session:
        span = span_of(session.get_one(Window, ids["2026-06"]))
    known = stream_of(workspace, live, span.to_at + timedelta(days=20))
    found = known.rhythm(span, known.kept.of_span(span))
    assert found is not None
    assert len(found.stretches) == (most == 10_000)
