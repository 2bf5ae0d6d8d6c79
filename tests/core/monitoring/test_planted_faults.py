"""Each planted fault and silence is raised once, goes on as the same alert, and is over by its stated rule."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from sqlmodel import Session, select

from core.governance.inbox import inbox
from core.health.queries import counts_since, samples_since, worked_since
from core.health.tables import HealthSample
from core.jobs import processes
from core.monitoring import alert_queries
from core.monitoring.alert_rules import ALERT_RULES
from core.monitoring.liveness_job import judge_all
from core.monitoring.service import ensure_monitor
from core.monitoring.tables import Batch, BucketSketch, Monitor
from core.permissions import Actor
from core.registry.tables import Deployment
from core.serving.tables import Label, PredictionSegment
from core.workspace import Workspace
from tests.factories import add, fresh_sha256, key, make_model, make_model_version

NOW = datetime(2026, 3, 12, 14, 5, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
Put = Callable[[Session, Monitor, datetime], None]


def measured(session: Session, at: datetime, subject: str = "", process: str = "scoring", **figures: float) -> None:
    """Half an hour of samples up to a moment."""
    for name, value in figures.items():
        for minute in range(30):
            moment = at - minute * MINUTE
            add(session, HealthSample(at=moment, process=process, key=name, subject=subject, value=value))


def answer(session: Session, monitor: Monitor, at: datetime, rows: int = 50) -> None:
    version = session.exec(select(Deployment).where(Deployment.model_id == monitor.model_id)).one()
    add(
        session,
        PredictionSegment(
            model_id=monitor.model_id, version_id=version.version_id, environment="production", alias="champion",
            sha256=fresh_sha256(), n_rows=rows, from_at=at, to_at=at, sealed_at=at,
        ),
    )  # fmt: skip
    monitor.watched_to = max(at, monitor.watched_to or at)
    session.add(monitor)


def answer_until(session: Session, monitor: Monitor, at: datetime) -> None:
    for hour in range(28 * 24):
        answer(session, monitor, at - hour * HOUR)


def hand_in(session: Session, monitor: Monitor, at: datetime, newest: datetime | None = None) -> None:
    """A batch, whose newest row lies in a day."""
    version_id = session.exec(select(Deployment).where(Deployment.model_id == monitor.model_id)).one().version_id
    batch = add(
        session,
        Batch(monitor_id=key(monitor), version_id=version_id, state="ready", added_at=at,
              time_column=None if newest is None else "at"),
    )  # fmt: skip
    if newest is not None:
        add(
            session,
            BucketSketch(
                monitor_id=key(monitor), version_id=version_id, source=f"batch {batch.id}", feature="x", n_rows=9,
                bucket="day", bucket_at=newest.replace(hour=0, minute=0), read_at=at, cells=b"",
            ),
        )  # fmt: skip


def label(session: Session, monitor: Monitor, at: datetime) -> None:
    add(session, Label(model_id=monitor.model_id, prediction_id=f"{at:%d %H}", value="yes", received_at=at))


def beats(session: Session, role: str, at: datetime) -> None:
    """An hour of beats up to a moment."""
    for minute in range(120):
        processes.beat(
            session, role=role, pid=1, host="elsewhere", address="", started_at=NOW - DAY,
            now=at - HOUR + minute * MINUTE / 2,
        )  # fmt: skip


def part(session: Session, _monitor: Monitor, at: datetime) -> None:
    beats(session, "web", at)
    if at == NOW:
        beats(session, "worker", NOW - 10 * MINUTE)
    elif at > NOW + 2 * HOUR:
        beats(session, "worker", at)


def silence(session: Session, monitor: Monitor, at: datetime) -> None:
    if at == NOW:
        answer_until(session, monitor, NOW - 5 * HOUR)
    elif at > NOW + 2 * HOUR:
        answer(session, monitor, at)


def labels(session: Session, monitor: Monitor, at: datetime) -> None:
    if at == NOW:
        answer_until(session, monitor, NOW)
        for day in range(5, 25):
            label(session, monitor, NOW - day * DAY)
    elif at > NOW + 2 * HOUR:
        label(session, monitor, at)


def batches(session: Session, monitor: Monitor, at: datetime) -> None:
    if at == NOW:
        for day in range(5, 25):
            hand_in(session, monitor, NOW - day * DAY)
    elif at > NOW + 2 * HOUR:
        hand_in(session, monitor, at)


def old_rows(session: Session, monitor: Monitor, at: datetime) -> None:
    """Batches every day, for ten days none with newer rows."""
    if at == NOW:
        for day in range(30, 0, -1):
            hand_in(session, monitor, NOW - day * DAY, newest=NOW - max(day + 1, 10) * DAY)
    elif at > NOW + 2 * HOUR:
        hand_in(session, monitor, at, newest=at - DAY)


def not_measured(session: Session, monitor: Monitor, at: datetime) -> None:
    if at == NOW:
        add(session, Batch(monitor_id=key(monitor), state="pending", added_at=NOW - 4 * HOUR))
        for minute in range(0, 240, 10):
            add(session, HealthSample(at=NOW - minute * MINUTE, process="worker", key="memory_bytes", value=1e8))
    elif at > NOW + 2 * HOUR:
        for batch in session.exec(select(Batch)):
            batch.state = "ready"
            session.add(batch)


def few_rows(session: Session, monitor: Monitor, at: datetime) -> None:
    if at == NOW:
        answer_until(session, monitor, NOW - 2 * HOUR)
        answer(session, monitor, NOW - HOUR, rows=5)
    elif at > NOW + 2 * HOUR:
        answer(session, monitor, at - HOUR)


def failing(session: Session, _monitor: Monitor, at: datetime) -> None:
    measured(session, at, requests=60.0, errors=0.0 if at > NOW + 2 * HOUR else 12.0)


def crashing(session: Session, _monitor: Monitor, at: datetime) -> None:
    """Scoring dies every five minutes of an hour, and has run since."""
    ends = [NOW - minute * MINUTE for minute in range(60, -15, -5)]
    starts = [one for one in ends if one <= at]
    for started_at in starts[-3:] if at > NOW else starts:
        for now in (started_at, started_at + 2 * MINUTE) if started_at < at else (at,):
            processes.beat(
                session, role="scoring", pid=int(started_at.timestamp()), host="elsewhere", address="",
                started_at=started_at, now=now,
            )  # fmt: skip
    if at > starts[-1]:
        processes.beat(
            session, role="scoring", pid=int(starts[-1].timestamp()), host="elsewhere", address="",
            started_at=starts[-1], now=at,
        )  # fmt: skip


def refusing(session: Session, _monitor: Monitor, at: datetime) -> None:
    n = 0.0 if at > NOW + 2 * HOUR else 40.0
    measured(session, at, requests=60.0, errors=0.0, refused=n)
    measured(session, at, subject="422", refused_for=n)


def slow(session: Session, _monitor: Monitor, at: datetime) -> None:
    measured(session, at, latency_p95_ms=20.0 if at > NOW + 2 * HOUR else 4_000.0)


def no_memory(session: Session, _monitor: Monitor, at: datetime) -> None:
    measured(session, at, process="worker", memory_free_share=0.6 if at > NOW + 2 * HOUR else 0.01)


def no_disk(session: Session, _monitor: Monitor, at: datetime) -> None:
    measured(session, at, process="worker", disk_free_share=0.1, disk_free_bytes=8e10 if at > NOW + 2 * HOUR else 2e8)


def jobs_fail(session: Session, _monitor: Monitor, at: datetime) -> None:
    n = 0.0 if at > NOW + 2 * HOUR else 9.0
    measured(session, at, process="worker", queue_age_seconds=0.0, jobs_failed=n)


PLANTED: dict[str, tuple[Put, str]] = {
    "no_predictions": (silence, "The last prediction was 0 min ago."),
    "no_labels": (labels, "Nothing was predicted since the last labels came."),
    "freshness": (batches, "The last batch came 0 min ago; up to 2 days is usual."),
    "late_rows": (old_rows, "The newest row was 17 h old when the last batch came; up to 3 days is usual."),
    "not_run": (not_measured, "All data that came was measured."),
    "volume": (few_rows, "50 rows in the last whole hour; about 50 are usual."),
    "parts": (part, "Web and worker are running."),
    "restarts": (crashing, "No part ended without having been stopped in 60 min."),
    "errors": (failing, "0 of 900 requests failed in 15 min."),
    "refused": (refusing, "0 of 900 requests were refused in 15 min."),
    "latency": (slow, "95 of 100 answers took at most 20 ms in the last minute with any."),
    "memory": (no_memory, "60 % of the machine's memory is available."),
    "disk": (no_disk, "80.0 GB of the home's disk are free (10 %)."),
    "queue": (jobs_fail, "No job waits; 0 failed within an hour."),
}


def test_every_rule_that_windows_do_not_decide_has_a_fault_planted() -> None:
    assert set(PLANTED) == {kind for kind, rule in ALERT_RULES.items() if not rule.decided_by_monitor}


@pytest.mark.parametrize("kind", PLANTED)
def test_a_planted_fault_is_one_alert_from_its_begin_to_its_end(
    kind: str, workspace: Workspace, operator: Actor
) -> None:
    plant, over = PLANTED[kind]
    with workspace.write() as session:
        version = make_model_version(session, model_id=key(make_model(session, name="pay")))
        begun = NOW - 30 * DAY
        monitor = ensure_monitor(
            session, model_id=version.model_id, environment="production", alias="champion", now=begun
        )
        live = Deployment(
            model_id=version.model_id, environment="production", alias="champion", version_id=key(version),
            from_at=begun, cause="promotion",
        )  # fmt: skip
        add(session, live)
        monitor_id = key(monitor)

    def judged(at: datetime) -> list[tuple[str, str]]:
        with workspace.write() as session:
            plant(session, session.get_one(Monitor, monitor_id), at)
        judge_all(workspace, at)
        with workspace.read() as session:
            found = alert_queries.alerts(session)
            return [(one.state, one.note) for one in found if one.kind == kind]

    assert judged(NOW) == [("open", "")]
    assert judged(NOW + 10 * MINUTE) == [("open", "")]
    with workspace.read() as session:
        (item,) = [one for one in inbox(session, operator, NOW) if one.kind == "alert"]
    of_monitor = ALERT_RULES[kind].subject == "monitor"
    assert item.sentence.startswith("pay champion: " if of_monitor else "This installation: ")
    assert item.reason == "An alert nobody has looked at yet; it cannot wait."
    assert (item.page, item.params) == (
        ("monitor", {"monitor": monitor_id}) if of_monitor else ("monitoring", {"view": "infrastructure"})
    )
    assert judged(NOW + 3 * HOUR) == [("resolved", f"It is over. {over}")]


def test_a_rate_counts_for_as_long_as_it_was_kept_up(workspace: Workspace) -> None:
    """What a process says first stands for five seconds; a sample that came late for as long as it took."""
    with workspace.write() as session:
        for at, process, rate in (
            (NOW - 10 * MINUTE, "scoring", 120.0),  # it has just started
            (NOW - 9 * MINUTE, "scoring", 60.0),
            (NOW - 8.5 * MINUTE, "scoring", 60.0),  # it stopped in good order
            (NOW - 2 * MINUTE, "scoring", 12.0),
            (NOW - MINUTE, "scoring staging", 12.0),
            (NOW + HOUR, "scoring", 900.0),  # before the clock was set back
        ):
            add(session, HealthSample(at=at, process=process, key="requests", value=rate))
        add(session, HealthSample(at=NOW, process="scoring", key="requests", subject="model 1 x", value=9.0))
        add(session, HealthSample(at=NOW, process="scoring", key="queue_jobs", value=9.0))
        add(session, HealthSample(at=NOW + MINUTE, process="scoring", key="queue_jobs", value=9.0))
        found = counts_since(session, ("requests", "refused"), NOW - HOUR, NOW)
        assert [value for _, value in found["requests", ""]] == [10, 60, 30, 1, 1]
        assert found["refused", ""] == []
        assert [one[0] for one in counts_since(session, ("requests",), NOW - 9 * MINUTE, NOW)["requests", ""]] == [
            NOW - 8.5 * MINUTE, NOW - 2 * MINUTE, NOW - MINUTE,
        ]  # fmt: skip
        assert samples_since(session, ("queue_jobs",), NOW - HOUR, NOW) == {"queue_jobs": [(NOW, 9.0)]}


def test_work_is_counted_by_the_ten_minutes_that_hold_a_sample(workspace: Workspace) -> None:
    with workspace.write() as session:
        for minute in (1, 2, 3, 21, 22, 300):
            add(session, HealthSample(at=NOW - minute * MINUTE, process="worker", key="memory_bytes", value=1.0))
        add(session, HealthSample(at=NOW - 40 * MINUTE, process="web", key="memory_bytes", value=1.0))
        assert worked_since(session, "worker", NOW - HOUR, NOW) == 20 * MINUTE
