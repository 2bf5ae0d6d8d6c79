"""Putting the prediction log together: nothing is lost, counted twice, or told again."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlmodel import col, select

from core.artifacts import ArtifactStore
from core.automation.inline import run_all
from core.automation.sweeping import sweep
from core.errors import JobCancelled, PermissionDenied
from core.jobs.context import JobContext
from core.jobs.tables import Job, JobState
from core.permissions import Actor
from core.registry.tables import ModelVersion
from core.serving import compaction, queries, row_batches
from core.serving.compaction import Piece, compact_log, enqueue_due, units
from core.serving.log import Answered, PredictionLog
from core.serving.tables import PredictionSegment
from core.workspace import Workspace
from tests.factories import key, make_model_version, make_run

SIGNATURE = {
    "task": "binary",
    "target": "paid",
    "classes": ["no", "yes"],
    "features": [{"name": "hours", "kind": "number"}, {"name": "job", "kind": "category"}],
}
DAY = datetime(2026, 3, 12, tzinfo=UTC)
NEXT = DAY + timedelta(days=1, hours=3)


@pytest.fixture
def version(workspace: Workspace) -> ModelVersion:
    with workspace.write() as session:
        run = make_run(session, signature=SIGNATURE)
        return make_model_version(session, run_id=key(run))


def seal(workspace: Workspace, version: ModelVersion, *rows: tuple[str, float], alias: str = "champion") -> None:
    """Seal one segment of predictions, each an id and its hours after midnight; sealed when the last was answered."""
    last = DAY + timedelta(hours=max(hours for _, hours in rows))
    log = PredictionLog(workspace, "production", clock=lambda: last)
    for name, hours in rows:
        log.append(
            Answered(
                model_id=version.model_id,
                version_id=key(version),
                alias=alias,
                at=DAY + timedelta(hours=hours),
                latency_ms=2.0,
                rows=[{"hours": hours, "job": None if hours > 20 else "cook"}],
                ids=[name],
                predictions=["yes"],
                scores=[[0.25, 0.75]],
            )
        )
    log.close()


def compact(workspace: Workspace, now: datetime = NEXT) -> None:
    enqueue_due(workspace, now)
    run_all(workspace, now)


def kept(workspace: Workspace, model_id: int) -> list[PredictionSegment]:
    with workspace.read() as session:
        return queries.segments(session, model_id)


def ids(workspace: Workspace, model_id: int) -> list[list[str]]:
    return [
        pa.concat_tables(queries.read_segments(workspace.artifacts, [one]))["prediction_id"].to_pylist()
        for one in kept(workspace, model_id)
    ]


def test_a_day_becomes_one_file_with_every_row_as_it_was(workspace: Workspace, version: ModelVersion) -> None:
    for hour in range(0, 24, 3):
        seal(workspace, version, (f"a{hour}", hour), (f"b{hour}", hour + 2.5))
    before = kept(workspace, version.model_id)
    rows = pa.concat_tables(queries.read_segments(workspace.artifacts, before))
    compact(workspace)
    [day] = kept(workspace, version.model_id)
    assert pa.concat_tables(queries.read_segments(workspace.artifacts, [day])).equals(rows)
    assert (day.n_rows, day.from_at, day.to_at) == (16, DAY, DAY + timedelta(hours=23.5))
    assert day.hours == {str(hour + more): 1 for hour in range(0, 24, 3) for more in (0, 2)}
    assert (day.environment, day.alias, day.version_id) == ("production", "champion", key(version))
    # As if the newest had grown: nobody who asks for newer ids or moments is told again.
    assert (day.id, day.sealed_at) == (before[-1].id, before[-1].sealed_at)
    with workspace.read() as session:
        job = session.exec(select(Job)).one()
    assert job.state == JobState.SUCCEEDED
    assert job.result == {"model_id": version.model_id, "n_files": 1, "n_segments": 8, "n_rows": 16}


def test_of_today_only_hours_that_ended_are_put_together(workspace: Workspace, version: ModelVersion) -> None:
    for number, hours in enumerate([1.1, 1.2, 1.9, 2.1, 2.2, 2.99]):
        seal(workspace, version, (str(number), hours))
    compact(workspace, DAY + timedelta(hours=3.1))
    assert ids(workspace, version.model_id) == [["0", "1", "2"], ["3"], ["4"], ["5"]]
    compact(workspace, DAY + timedelta(hours=4))
    assert ids(workspace, version.model_id) == [["0", "1", "2"], ["3", "4", "5"]]
    compact(workspace, DAY + timedelta(hours=24.1))
    assert ids(workspace, version.model_id) == [["0", "1", "2"], ["3", "4", "5"]]
    compact(workspace)
    assert ids(workspace, version.model_id) == [["0", "1", "2", "3", "4", "5"]]


def test_late_segments_are_merged_into_their_day(workspace: Workspace, version: ModelVersion) -> None:
    seal(workspace, version, ("a", 4))
    seal(workspace, version, ("b", 5))
    compact(workspace)
    seal(workspace, version, ("late", 3))
    compact(workspace, NEXT + timedelta(hours=1))
    assert ids(workspace, version.model_id) == [["late", "a", "b"]]


def test_versions_aliases_and_environments_stay_apart(workspace: Workspace, version: ModelVersion) -> None:
    with workspace.write() as session:
        run = make_run(session, signature=SIGNATURE)
        other = make_model_version(session, model_id=version.model_id, number=2, run_id=key(run))
    for hours in (1, 2):
        seal(workspace, version, (f"champion{hours}", hours))
        seal(workspace, version, (f"shadow{hours}", hours), alias="shadow")
        seal(workspace, other, (f"other{hours}", hours))
    compact(workspace)
    assert sorted(ids(workspace, version.model_id)) == [
        ["champion1", "champion2"],
        ["other1", "other2"],
        ["shadow1", "shadow2"],
    ]


def test_a_segment_over_midnight_is_parted(workspace: Workspace, version: ModelVersion) -> None:
    seal(workspace, version, ("a", 23.9), ("b", 24.1), ("c", 23.95))
    seal(workspace, version, ("d", 22))
    compact(workspace, DAY + timedelta(hours=49))
    assert ids(workspace, version.model_id) == [["d", "a", "c"], ["b"]]
    first, second = kept(workspace, version.model_id)
    assert first.to_at < DAY + timedelta(days=1) <= second.from_at


def test_who_asks_what_was_sealed_since_misses_nothing(workspace: Workspace, version: ModelVersion) -> None:
    seal(workspace, version, ("seen", 4))
    seal(workspace, version, ("new", 5))
    compact(workspace)
    with workspace.read() as session:
        since = select(PredictionSegment).where(col(PredictionSegment.sealed_at) > DAY + timedelta(hours=4.5))
        [segment] = session.exec(since)
    assert segment.from_at <= DAY + timedelta(hours=5) <= segment.to_at


def test_a_crash_before_the_commit_changes_nothing_and_one_after_loses_nothing(
    workspace: Workspace, version: ModelVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    for hours in (1, 2):
        seal(workspace, version, (str(hours), hours))
    before = [one.sha256 for one in kept(workspace, version.model_id)]

    class Crash(BaseException):
        """No handler catches it."""

    def crash(*_given: object) -> None:
        raise Crash

    context = JobContext(
        workspace,
        job_id=0,
        fence=0,
        attempt=1,
        payload={"model_id": version.model_id},
        actor=NOBODY,
        clock=lambda: NEXT,
    )
    monkeypatch.setattr(JobContext, "report", lambda *_: None)
    with monkeypatch.context() as patch:
        patch.setattr(compaction, "_take", crash)
        with pytest.raises(Crash):
            compact_log(workspace, context)
    assert [one.sha256 for one in kept(workspace, version.model_id)] == before
    with monkeypatch.context() as patch:
        patch.setattr(JobContext, "record", crash)
        with pytest.raises(Crash):
            compact_log(workspace, context)
    assert ids(workspace, version.model_id) == [["1", "2"]]
    compact(workspace)
    assert ids(workspace, version.model_id) == [["1", "2"]]


NOBODY = Actor(user_id=None, name="serving", roles=frozenset(), via="system")


def test_two_workers_at_once_count_nothing_twice(
    workspace: Workspace, version: ModelVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    for hours in (1, 2, 3):
        seal(workspace, version, (str(hours), hours))
    write, first = compaction._write, True

    def write_late(store: ArtifactStore, batches: Iterator[object]) -> object:
        nonlocal first
        written = write(store, batches)  # type: ignore[arg-type]
        if first:
            first = False
            seal(workspace, version, ("while", 2.5))
            enqueue_due(workspace, NEXT + timedelta(hours=1))
            run_all(workspace, NEXT + timedelta(hours=1))
        return written

    monkeypatch.setattr(compaction, "_write", write_late)
    compact(workspace)
    assert ids(workspace, version.model_id) == [["1", "2", "while", "3"]]


def test_a_cancelled_job_leaves_the_segments(
    workspace: Workspace, version: ModelVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    for hours in (1, 2):
        seal(workspace, version, (str(hours), hours))

    def cancelled(*_given: object) -> None:
        raise JobCancelled("It was cancelled.")

    monkeypatch.setattr(JobContext, "report", cancelled)
    compact(workspace)
    assert ids(workspace, version.model_id) == [["1"], ["2"]]
    assert list(workspace.artifacts.folder.glob(".incoming-*")) == []


def test_a_spool_file_sealed_before_is_not_sealed_again_after_compaction(
    workspace: Workspace, version: ModelVersion
) -> None:
    seal(workspace, version, ("early", 1))
    folder = workspace.home / "spool" / "production"
    late = PredictionLog(workspace, "production", clock=lambda: DAY + timedelta(hours=2))
    late.append(
        Answered(
            model_id=version.model_id,
            version_id=key(version),
            alias="champion",
            at=DAY + timedelta(hours=2),
            latency_ms=1.0,
            rows=[{"hours": 1.0, "job": "cook"}],
            ids=["x"],
            predictions=["no"],
            scores=[[0.9, 0.1]],
        )
    )
    [spool] = folder.glob("*.jsonl")
    content = spool.read_bytes()
    late.close()
    compact(workspace)
    assert ids(workspace, version.model_id) == [["early", "x"]]
    # The process died after it committed the segment and before it removed the file.
    spool.write_bytes(content)
    assert PredictionLog(workspace, "production").seal_left_over() == 1
    assert ids(workspace, version.model_id) == [["early", "x"]]
    assert not spool.exists()


def test_files_let_go_stay_a_day_for_those_who_read_them(workspace: Workspace, version: ModelVersion) -> None:
    for hours in (1, 2):
        seal(workspace, version, (str(hours), hours))
    before = [one.sha256 for one in kept(workspace, version.model_id)]
    compact(workspace)
    present = datetime.now(UTC)
    sweep(workspace, present + timedelta(hours=23))
    assert all(workspace.artifacts.path(sha256).exists() for sha256 in before)
    assert sweep(workspace, present + timedelta(hours=25)).n_files == 2
    assert not any(workspace.artifacts.path(sha256).exists() for sha256 in before)
    assert ids(workspace, version.model_id) == [["1", "2"]]


def test_a_file_is_written_in_row_groups_of_bounded_size(
    workspace: Workspace, version: ModelVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(row_batches, "MOST_ROWS", 5)
    for hours in range(12):
        seal(workspace, version, *((f"{hours}-{number}", hours) for number in range(3)))
    monkeypatch.setattr(row_batches, "LEAST_ROWS", 1)
    compact(workspace)
    [day] = kept(workspace, version.model_id)
    metadata = pq.read_metadata(workspace.artifacts.path(day.sha256))
    sizes = [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]
    assert sum(sizes) == 36
    assert max(sizes) < 10


def test_it_is_enqueued_once_an_hour_and_only_where_there_is_something_to_do(
    workspace: Workspace, version: ModelVersion
) -> None:
    seal(workspace, version, ("a", 1))
    assert enqueue_due(workspace, NEXT) == 0
    seal(workspace, version, ("b", 2))
    assert enqueue_due(workspace, NEXT) == 1
    assert enqueue_due(workspace, NEXT + timedelta(minutes=20)) == 1
    with workspace.read() as session:
        job = session.exec(select(Job)).one()
    assert (job.kind, job.subject_id) == ("compact_log", version.model_id)
    run_all(workspace, NEXT)
    assert enqueue_due(workspace, NEXT + timedelta(hours=1)) == 0


def test_a_person_without_the_permission_cannot_compact(
    workspace: Workspace, version: ModelVersion, viewer: Actor
) -> None:
    context = JobContext(workspace, job_id=0, fence=0, attempt=1, payload={"model_id": version.model_id}, actor=viewer)
    with pytest.raises(PermissionDenied):
        compact_log(workspace, context)


MINUTES = st.lists(st.tuples(st.integers(0, 4_000), st.integers(0, 90), st.sampled_from("ab")), max_size=30)


@settings(deadline=None)
@given(MINUTES, st.integers(0, 5_000))
def test_units_part_the_settled_segments(drawn: list[tuple[int, int, str]], now: int) -> None:
    moment = DAY + timedelta(minutes=now)
    pieces = [
        Piece(
            id=number,
            model_id=1,
            whose=(1, "production", alias),
            sha256=str(number),
            n_rows=1,
            from_at=DAY + timedelta(minutes=start),
            to_at=DAY + timedelta(minutes=start + length),
            sealed_at=DAY + timedelta(minutes=start + length),
        )
        for number, (start, length, alias) in enumerate(drawn)
    ]
    found = units(pieces, moment)
    taken = [one.id for unit in found for one in unit]
    assert len(taken) == len(set(taken))
    for unit in found:
        assert len(unit) > 1
        assert len({(one.whose, one.day) for one in unit}) == 1
        assert not any(one.crosses_midnight for one in unit)
        assert max(one.from_at for one in unit) < moment
        if unit[0].day == DAY + timedelta(days=now // 1_440):
            assert len({one.from_at.hour for one in unit}) == 1
