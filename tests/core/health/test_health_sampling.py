"""Samples: each process writes its own, a refusing database harms nobody, and old ones become few."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

import psutil
import pytest
from sqlmodel import select

from core.errors import NotFound
from core.health import queries
from core.health.exposition import exposition
from core.health.figures import FIGURES, Unit, in_words
from core.health.samples import OwnUse, Sample, folder_bytes, queue_samples
from core.health.sampling import Sampler, sample_home, thin, worker_sampler
from core.health.tables import HealthSample
from core.jobs.tables import Job, JobState
from core.workspace import Workspace

NOW = datetime(2026, 3, 12, 14, 5, tzinfo=UTC)


def put(
    workspace: Workspace, key: str, at: datetime, value: float, process: str = "scoring", subject: str = ""
) -> None:
    with workspace.write() as session:
        session.add(HealthSample(at=at, process=process, key=key, subject=subject, value=value))


def kept(workspace: Workspace) -> list[HealthSample]:
    with workspace.read() as session:
        return list(session.exec(select(HealthSample).order_by(HealthSample.at, HealthSample.id)))


def make_job(**over: object) -> Job:
    return Job(
        **{
            "kind": "train_run", "subject_kind": "run", "subject_id": 1, "actor_name": "sam", "actor_via": "browser",
            "enqueued_at": NOW, "not_before": NOW, **over,
        }
    )  # fmt: skip


@pytest.mark.parametrize("entry", FIGURES.values(), ids=FIGURES)
def test_a_figure_is_complete(entry: object) -> None:
    figure = FIGURES[entry.key]  # type: ignore[attr-defined]
    assert figure.title
    assert figure.sentence.endswith(".")
    assert len(figure.key) <= 32
    assert set(figure.processes) <= {"web", "scoring", "worker"}


@pytest.mark.parametrize(
    ("value", "unit", "words"),
    [
        (66_600_000, "bytes", "66.6 MB"),
        (78e9, "bytes", "78.0 GB"),
        (0.93, "share", "93 %"),
        (14_300.4, "ms", "14,300 ms"),
        (9.687, "ms", "9.69 ms"),
        (0.0, "a minute", "0 a minute"),
        (45.0, "seconds", "45 s"),
        (7_200.0, "seconds", "120 min"),
    ],
)
def test_a_value_is_said_with_its_unit(value: float, unit: Unit, words: str) -> None:
    assert in_words(value, unit) == words


def test_the_worker_samples_itself_its_machine_and_the_queue(workspace: Workspace) -> None:
    worker_sampler(workspace).sample()
    found = {row.key: row.value for row in kept(workspace)}
    expected = {key for key, figure in FIGURES.items() if "worker" in figure.processes} - {"home_bytes"}
    assert set(found) == expected
    assert 1e6 < found["memory_bytes"] < psutil.virtual_memory().total
    assert 0 < found["memory_free_share"] <= 1
    assert 0 <= found["disk_free_share"] <= 1
    assert found["database_bytes"] >= (workspace.home / "gatehouse.db").stat().st_size
    assert found["queue_jobs"] == 0


def test_what_a_process_does_shows_in_its_processor_time() -> None:
    use = OwnUse()
    began = psutil.Process().cpu_times().user
    while psutil.Process().cpu_times().user - began < 0.05:
        sum(range(10_000))
    cores = {one.key: one.value for one in use.samples()}["cpu_cores"]
    assert cores > 0.05
    assert {one.key: one.value for one in use.samples()}["cpu_cores"] >= 0


def test_the_queue_tells_what_waits_and_what_failed(workspace: Workspace) -> None:
    with workspace.write() as session:
        session.add(make_job(not_before=NOW - timedelta(minutes=10)))
        session.add(make_job(not_before=NOW - timedelta(minutes=2)))
        session.add(make_job(not_before=NOW + timedelta(minutes=5)))  # is tried again later: it does not wait
        session.add(make_job(state=JobState.RUNNING))
        session.add(make_job(state=JobState.FAILED, finished_at=NOW - timedelta(minutes=30)))
        session.add(make_job(state=JobState.FAILED, finished_at=NOW - timedelta(hours=3)))
        session.add(make_job(state=JobState.FAILED, finished_at=NOW - timedelta(minutes=5), refused=True))  # a bad file
        session.flush()
        found = {one.key: one.value for one in queue_samples(session, NOW)}
    assert found == {"queue_jobs": 2, "queue_age_seconds": 600, "jobs_failed": 1}


def test_the_home_is_counted_whole(workspace: Workspace) -> None:
    workspace.artifacts.put_bytes(b"x" * 10_000)
    before = folder_bytes(workspace.home)
    sample_home(workspace, NOW)
    (found,) = [row for row in kept(workspace) if row.key == "home_bytes"]
    assert found.value >= before > 10_000


def test_a_refused_write_is_logged_and_written_with_the_next(
    workspace: Workspace, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    sampler = Sampler(workspace, "scoring", lambda _elapsed: [Sample("requests", 7.0)])

    def refuse(self: Workspace) -> None:
        raise OSError("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(Workspace, "write", refuse)
        sampler.sample()
    assert "could not write down how it is" in caplog.text
    assert kept(workspace) == []
    sampler.sample()
    assert Counter(row.key for row in kept(workspace))["requests"] == 2
    sampler.sample()
    assert Counter(row.key for row in kept(workspace))["requests"] == 3


def test_samples_that_cannot_be_written_stay_bounded(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.health.sampling.logger.exception", lambda *_: None)
    sampler = Sampler(workspace, "scoring", lambda _elapsed: [Sample("requests", 1.0)] * 900)
    with monkeypatch.context() as patched:
        patched.setattr(Workspace, "write", lambda _self: (_ for _ in ()).throw(OSError("full")))
        for _ in range(4):
            sampler.sample()
    sampler.sample()
    assert len(kept(workspace)) == 2_000


def test_after_a_week_one_sample_an_hour_is_left_after_a_day_one_in_ten_minutes_and_after_a_quarter_none(
    workspace: Workspace,
) -> None:
    old = (NOW - timedelta(days=10)).replace(minute=0)
    for minute, value in ((1, 10.0), (2, 20.0), (59, 60.0)):
        put(workspace, "latency_p95_ms", old + timedelta(minutes=minute), value)
        put(workspace, "requests", old + timedelta(minutes=minute), value)
    put(workspace, "requests", old + timedelta(hours=1, minutes=3), 5.0)
    put(workspace, "requests", NOW - timedelta(days=6, minutes=2), 1.0)
    put(workspace, "requests", NOW - timedelta(days=6, minutes=3), 3.0)
    put(workspace, "requests", NOW - timedelta(days=6, minutes=21), 7.0)
    put(workspace, "requests", NOW - timedelta(hours=6), 1.0)
    put(workspace, "requests", NOW - timedelta(hours=6, minutes=1), 1.0)
    put(workspace, "requests", NOW - timedelta(days=91), 9.0)
    assert thin(workspace, NOW) == 6
    left = [(row.key, row.at, row.value) for row in kept(workspace)]
    half = timedelta(minutes=30)
    assert ("latency_p95_ms", old + half, 60.0) in left  # a peak stays a peak
    assert ("requests", old + half, 37.5) in left  # the mean of two steps
    assert ("requests", old + timedelta(hours=1) + half, 5.0) in left
    assert ("requests", NOW - timedelta(days=6), 2.0) in left
    assert ("requests", NOW - timedelta(days=6, minutes=20), 7.0) in left
    assert left[-2:] == [
        ("requests", NOW - timedelta(hours=6, minutes=1), 1.0),
        ("requests", NOW - timedelta(hours=6), 1.0),
    ]
    assert len(left) == 7
    assert thin(workspace, NOW) == 0
    assert [(row.key, row.at, row.value) for row in kept(workspace)] == left


def test_a_series_is_bounded_and_leaves_gaps_where_nobody_measured(workspace: Workspace) -> None:
    for minute in range(60):
        if not 20 <= minute < 40:
            put(workspace, "latency_p95_ms", NOW - timedelta(minutes=60 - minute), float(minute))
    put(workspace, "latency_p95_ms", NOW - timedelta(minutes=30), 99.0, subject="model 1")
    with workspace.read() as session:
        (found,) = queries.series(session, "latency_p95_ms", from_at=NOW - timedelta(hours=1), to_at=NOW, n_points=6)
    assert found.process == "scoring"
    assert found.values == (9.0, 19.0, None, None, 49.0, 59.0)  # the worst of each ten minutes
    assert found.at[0] == NOW - timedelta(hours=1)
    assert found.values[-1] == 59.0


def test_a_series_of_a_month_of_samples_has_no_more_points_than_asked(workspace: Workspace) -> None:
    put(workspace, "memory_bytes", NOW - timedelta(days=29), 5.0, process="web")
    put(workspace, "memory_bytes", NOW - timedelta(seconds=1), 6.0, process="worker")
    with workspace.read() as session:
        found = queries.series(session, "memory_bytes", from_at=NOW - timedelta(days=30), to_at=NOW, n_points=10_000)
        assert [one.process for one in found] == ["web", "worker"]
        assert all(len(one.values) <= 400 for one in found)
        with pytest.raises(NotFound, match="latency_p50_ms"):
            queries.series(session, "latency", from_at=NOW, to_at=NOW + timedelta(hours=1))


def test_the_latest_says_what_is_old(workspace: Workspace) -> None:
    put(workspace, "requests", NOW - timedelta(minutes=2), 3.0)
    put(workspace, "requests", NOW - timedelta(minutes=1), 4.0)
    put(workspace, "memory_bytes", NOW - timedelta(minutes=30), 5.0, process="worker")
    put(workspace, "memory_bytes", NOW - timedelta(hours=3), 5.0, process="web")
    with workspace.read() as session:
        found = queries.latest(session, NOW)
    assert [(one.process, one.key, one.value, one.fresh) for one in found] == [
        ("scoring", "requests", 4.0, True),
        ("worker", "memory_bytes", 5.0, False),
    ]


def test_prometheus_reads_the_fresh_ones() -> None:
    samples = [
        queries.Latest("scoring", "requests", 'model "1"\\', 4.5, NOW, True),
        queries.Latest("worker", "memory_bytes", "", 5.0, NOW, False),
    ]
    lines = exposition(samples).splitlines()
    assert lines[1] == "# TYPE gatehouse_requests gauge"
    assert lines[2] == 'gatehouse_requests{process="scoring",subject="model \\"1\\"\\\\"} 4.5'
    assert len(lines) == 3
    assert exposition([]) == ""
