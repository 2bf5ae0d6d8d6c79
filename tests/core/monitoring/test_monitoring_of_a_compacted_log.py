"""A monitor says the same of a log that was put together, and is not set to work again by it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import sqlalchemy
from sqlmodel import select

from core.automation.inline import run_all
from core.database import utc_now
from core.jobs.service import enqueue
from core.jobs.tables import Job, JobState
from core.monitoring import log_job, window_queries
from core.monitoring.tables import BucketSketch, DriftResult
from core.permissions import system_actor
from core.serving import compaction
from core.serving.log import Answered, PredictionLog
from core.serving.tables import PredictionSegment
from core.workspace import Workspace
from tests.live_models import LiveModel, json_rows, live_fixtures, stream

FIRST = datetime(2026, 3, 30, 21, 30, tzinfo=UTC)


made, home, live, scientist = live_fixtures(n_rows=600)


def answer(workspace: Workspace, live: LiveModel, first: int, last: int, *, sealed: timedelta) -> None:
    """Answer 50 rows at both ends of every six hours, a segment each; the first and the fifth reach over midnight."""
    for number in range(first, last):
        log = PredictionLog(workspace, "production", clock=lambda: utc_now() - sealed)
        for end in (0, 1):
            rows = json_rows(stream(50, seed=100 * number + end, hours_shift=0.8))
            log.append(
                Answered(
                    model_id=live.model_id,
                    version_id=live.version_id,
                    alias="champion",
                    at=FIRST + timedelta(hours=6 * (number + end)),
                    latency_ms=1.5,
                    rows=rows,
                    ids=[f"{number}-{end}-{position}" for position in range(len(rows))],
                    predictions=["yes" if row["age"] > 45 else "no" for row in rows],
                    scores=[[0.4, 0.6] if row["age"] > 45 else [0.7, 0.3] for row in rows],
                )
            )
        log.close()


def said(workspace: Workspace, live: LiveModel) -> list[tuple[object, ...]]:
    with workspace.read() as session:
        windows = {one.id: one.label for one in window_queries.windows(session, live.monitor_id)}
        results = session.exec(select(DriftResult)).all()
    return sorted(
        (windows[one.window_id], one.feature, one.test, one.effect, one.pvalue, one.n_current, one.state)
        for one in results
        if one.window_id in windows
    )


def watched(workspace: Workspace) -> int:
    with workspace.read() as session:
        jobs = session.exec(select(Job)).all()
    assert {job.state for job in jobs} == {JobState.SUCCEEDED}
    return sum(job.kind == "watch_log" for job in jobs)


def segments(workspace: Workspace) -> list[tuple[int, int]]:
    with workspace.read() as session:
        return [(one.from_at.day, one.n_rows) for one in session.exec(select(PredictionSegment))]


def test_the_figures_stay_and_nothing_is_told_again(workspace: Workspace, live: LiveModel) -> None:
    answer(workspace, live, 0, 6, sealed=timedelta(hours=2))
    log_job.enqueue_due(workspace, utc_now())
    run_all(workspace)
    before, n_watched = said(workspace, live), watched(workspace)
    assert {label for label, *_ in before} == {"2026-03", "2026-04"}
    assert len(segments(workspace)) == 6

    assert compaction.enqueue_due(workspace, utc_now()) == 1
    run_all(workspace)
    assert sorted(segments(workspace)) == [(1, 150), (30, 50), (31, 400)]
    log_job.enqueue_due(workspace, utc_now())
    run_all(workspace)
    assert watched(workspace) == n_watched

    # Counted anew from the files there are now, and from nothing else.
    with workspace.write() as session:
        session.connection().execute(sqlalchemy.delete(BucketSketch))
        enqueue(
            session,
            kind="watch_log",
            payload={"monitor_id": live.monitor_id, "everything": True},
            subject_kind="monitor",
            subject_id=live.monitor_id,
            actor=system_actor("monitoring"),
            now=utc_now(),
        )
    run_all(workspace)
    assert said(workspace, live) == before

    # What comes later joins them.
    answer(workspace, live, 6, 7, sealed=timedelta(0))
    log_job.enqueue_due(workspace, utc_now())
    run_all(workspace)
    counted = {label: n_rows for label, name, _, _, _, n_rows, _ in said(workspace, live) if name == "age"}
    assert counted == {"2026-03": 450, "2026-04": 250}
