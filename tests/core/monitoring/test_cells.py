from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from sqlmodel import col, select

from core.monitoring import cells
from core.monitoring.counting import CountedBucket, Key, Slice, count_rows
from core.monitoring.service import ensure_monitor
from core.monitoring.tables import Batch, BatchState, BucketSketch
from core.monitoring.windows import span_at
from core.serving import row_batches
from core.serving.frames import to_parquet
from core.serving.tables import PredictionSegment
from core.statistics.sketches import Scale
from core.workspace import Workspace
from tests.factories import key, make_model_version

DAY = datetime(2026, 3, 1, tzinfo=UTC)
BASES: dict[Key, Scale | frozenset[str]] = {
    (False, "hours"): Scale(40.0, 8.0),
    (False, "job"): frozenset({"cook", "nurse"}),
    (True, "prediction"): frozenset({"no", "yes"}),
}


@pytest.fixture
def watching(workspace: Workspace, now: datetime) -> cells.Watching:
    with workspace.write() as session:
        version = make_model_version(session)
        monitor = ensure_monitor(
            session, model_id=version.model_id, environment="production", alias="champion", now=now
        )
        return cells.Watching(key(monitor), key(version), "day", BASES, (), now)


def rows(n: int, first: datetime, hours: float, seed: int = 0) -> pa.Table:
    """So many rows over so many hours from a moment on."""
    rng = np.random.default_rng(seed)
    at = [first + timedelta(hours=float(one)) for one in rng.uniform(0, hours, n)]
    return pa.table(
        {
            "at": pa.array(at, pa.timestamp("us", tz="UTC")),
            "feature:hours": rng.normal(40, 8, n),
            "feature:job": rng.choice(["cook", "nurse"], n),
            "prediction": rng.choice(["no", "yes"], n),
        }
    )


def seal(workspace: Workspace, watching: cells.Watching, table: pa.Table) -> PredictionSegment:
    times = table["at"].to_pylist()
    with workspace.write() as session:
        segment = PredictionSegment(
            model_id=1,
            version_id=watching.version_id,
            environment="production",
            alias="champion",
            sha256=workspace.artifacts.put_bytes(to_parquet(table)).sha256,
            n_rows=table.num_rows,
            from_at=min(times),
            to_at=max(times),
            sealed_at=DAY,
        )
        session.add(segment)
        session.flush()
        return segment


def batch_of(workspace: Workspace, watching: cells.Watching, now: datetime, *, timed: bool = True) -> Batch:
    with workspace.write() as session:
        batch = Batch(
            monitor_id=watching.monitor_id,
            version_id=watching.version_id,
            time_column="at" if timed else None,
            state=BatchState.MEASURING,
            added_at=now,
        )
        session.add(batch)
        session.flush()
        return batch


def counts(workspace: Workspace, watching: cells.Watching) -> list[tuple[str, int]]:
    with workspace.read() as session:
        found = cells.buckets(session, watching.monitor_id, watching.version_id)
    return [(f"{at:%m-%d %H}", n_rows) for at, n_rows in found]


def stored(workspace: Workspace) -> dict[tuple[str, str, str], tuple[int, datetime]]:
    with workspace.read() as session:
        query = select(BucketSketch).where(col(BucketSketch.feature) == "hours")
        return {
            (row.source, f"{row.bucket_at:%m-%d}", row.slice): (row.n_rows, row.read_at) for row in session.exec(query)
        }


def test_late_segments_touch_only_their_own_buckets(workspace: Workspace, watching: cells.Watching) -> None:
    first = [seal(workspace, watching, rows(900, DAY, 72))]
    cells.count_log(workspace, watching, first, None)
    before = stored(workspace)
    assert sorted(bucket for _, bucket, _ in before) == ["03-01", "03-02", "03-03"]

    late = seal(workspace, watching, rows(40, DAY + timedelta(hours=30), 5, seed=1))
    later = replace(watching, read_at=watching.read_at + timedelta(minutes=1))
    cells.count_log(workspace, later, [*first, late], [(late.from_at, late.to_at)])
    after = stored(workspace)
    grown = ("log", "03-02", "")
    assert {one: value for one, value in after.items() if one != grown} == {
        one: value for one, value in before.items() if one != grown
    }
    assert after[grown] == (before[grown][0] + 40, later.read_at)
    cells.count_log(workspace, later, [*first, late], [(late.from_at, late.to_at)])
    assert stored(workspace) == after  # counted twice it is counted once


def test_an_older_reading_never_replaces_a_newer_one(workspace: Workspace, watching: cells.Watching) -> None:
    segments = [seal(workspace, watching, rows(100, DAY, 20)), seal(workspace, watching, rows(50, DAY, 20, seed=1))]
    newer = replace(watching, read_at=watching.read_at + timedelta(minutes=1))
    cells.count_log(workspace, newer, segments, None)
    cells.count_log(workspace, watching, segments[:1], None)
    cells.count_log(workspace, watching, segments[:1], [(DAY, DAY)])
    assert counts(workspace, watching) == [("03-01 00", 150)]


def test_any_span_is_the_sum_of_its_buckets_from_all_sources(
    workspace: Workspace, watching: cells.Watching, now: datetime
) -> None:
    logged, handed = rows(700, DAY, 24 * 9), rows(400, DAY + timedelta(days=3), 24 * 9, seed=3)
    cells.count_log(workspace, watching, [seal(workspace, watching, logged)], None)
    batch = batch_of(workspace, watching, now)
    cells.count_batch(workspace, watching, batch, handed)
    week = span_at(DAY + timedelta(days=1), "week")
    with workspace.read() as session:
        found = cells.sums(session, watching.monitor_id, watching.version_id, span=week)
        alone = cells.sums(session, watching.monitor_id, watching.version_id, source=cells.source_of(batch))
    inside = [at for table in (logged, handed) for at in table["at"].to_pylist() if week.from_at <= at < week.to_at]
    assert {one.n_rows for one in found[""].values()} == {len(inside)}
    assert {one.n_rows for one in alone[""].values()} == {400}


def test_a_batch_without_times_is_a_bucket_of_its_own_and_in_no_span(
    workspace: Workspace, watching: cells.Watching, now: datetime
) -> None:
    batch = batch_of(workspace, watching, now, timed=False)
    cells.count_batch(workspace, watching, batch, rows(300, now, 1))
    assert counts(workspace, watching) == []
    with workspace.read() as session:
        span = span_at(now, "month")
        assert cells.sums(session, watching.monitor_id, watching.version_id, span=span) == {}
        found = cells.sums(session, watching.monitor_id, watching.version_id, source=cells.source_of(batch))
    assert {one.n_rows for one in found[""].values()} == {300}


def asked(workspace: Workspace, watching: cells.Watching, source: str) -> bool:
    with workspace.read() as session:
        return cells.is_counted(session, watching, source, timed=True)


@pytest.mark.parametrize(
    "over",
    [
        {"bucket": "hour"},
        {"slices": (Slice("job", "cook"),)},
        {"slices": (Slice("job", "cook"), Slice("job", "pilot"))},
        {"slices": (Slice("job", "pilot"),)},
    ],
    ids=["shorter buckets", "a slice", "a slice nobody is in", "a column in whose slices nobody is"],
)
def test_other_buckets_and_slices_are_counted_anew_once(
    workspace: Workspace, watching: cells.Watching, over: dict[str, object]
) -> None:
    segments: Sequence[PredictionSegment] = [seal(workspace, watching, rows(500, DAY, 10))]
    assert not asked(workspace, watching, cells.LOG)
    cells.count_log(workspace, watching, segments, None)
    assert asked(workspace, watching, cells.LOG)
    other = replace(watching, **over)  # type: ignore[arg-type]
    assert not asked(workspace, other, cells.LOG)
    cells.count_log(workspace, other, segments, None)
    assert asked(workspace, other, cells.LOG)
    assert not asked(workspace, watching, cells.LOG)
    assert sum(n_rows for _, n_rows in counts(workspace, watching)) == 500


def test_counting_that_broke_off_is_begun_again(
    workspace: Workspace, watching: cells.Watching, monkeypatch: pytest.MonkeyPatch
) -> None:
    segment = seal(workspace, watching, rows(500, DAY, 72))
    put, left = cells.put, [2]

    def breaking(*given: object, **named: object) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        put(*given, **named)  # type: ignore[arg-type]

    def whole() -> bool:
        with workspace.read() as session:
            return cells.is_counted(session, watching, cells.LOG, timed=True)

    monkeypatch.setattr(cells, "put", breaking)
    with pytest.raises(KeyboardInterrupt):
        cells.count_log(workspace, watching, [segment], None)
    assert len(counts(workspace, watching)) == 2
    assert not whole()
    monkeypatch.setattr(cells, "put", put)
    cells.count_log(workspace, watching, [segment], None)
    assert whole()
    assert sum(n_rows for _, n_rows in counts(workspace, watching)) == 500


def test_what_a_batch_reaches_is_known(workspace: Workspace, watching: cells.Watching, now: datetime) -> None:
    batch = batch_of(workspace, watching, now)
    cells.count_batch(workspace, watching, batch, rows(500, DAY, 72))
    with workspace.read() as session:
        found = cells.reach(session, watching.monitor_id, watching.version_id)
    assert found == {batch.id: (DAY, DAY + timedelta(days=2))}


def test_an_older_count_by_days_adds_nothing_beside_a_newer_one_by_hours(
    workspace: Workspace, watching: cells.Watching
) -> None:
    segments = [seal(workspace, watching, rows(300, DAY, 20))]
    by_hour = replace(watching, bucket="hour", read_at=watching.read_at + timedelta(seconds=5))
    cells.count_log(workspace, by_hour, segments, None)
    cells.count_log(workspace, watching, segments, [(DAY, DAY)])
    assert sum(n_rows for _, n_rows in counts(workspace, watching)) == 300


def test_a_batch_that_failed_after_it_was_counted_is_in_no_sum(
    workspace: Workspace, watching: cells.Watching, now: datetime
) -> None:
    batch = batch_of(workspace, watching, now, timed=True)
    cells.count_batch(workspace, watching, batch, rows(400, DAY, 72))
    assert sum(n_rows for _, n_rows in counts(workspace, watching)) == 400
    with workspace.write() as session:
        row = session.get_one(Batch, batch.id)
        row.state = BatchState.FAILED
        session.add(row)
    assert counts(workspace, watching) == []
    with workspace.read() as session:
        at = (watching.monitor_id, watching.version_id)
        assert cells.sums(session, *at, span=span_at(DAY, "month")) == {}
        assert cells.reach(session, *at) == {}
    with workspace.write() as session:
        assert cells.forget_batch(session, batch)
        assert not cells.forget_batch(session, batch)


def test_a_day_counted_in_parts_of_bounded_size_is_what_it_is_at_once(
    workspace: Workspace, watching: cells.Watching, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many small segments are read together, and a large one in parts."""
    sizes: list[int] = []

    def counted(rows: pa.Table, *args: Any, **more: Any) -> list[CountedBucket]:
        sizes.append(rows.num_rows)
        return count_rows(rows, *args, **more)

    def cells_stored() -> list[tuple[Any, ...]]:
        with workspace.read() as session:
            found = session.exec(select(BucketSketch)).all()
        return sorted((one.bucket_at, one.slice, one.feature, one.n_rows, one.cells) for one in found)

    watching = replace(watching, bucket="hour", slices=(Slice("job", "cook"),))
    segments = [seal(workspace, watching, rows(40, DAY + timedelta(hours=one), 1, seed=one)) for one in range(12)]
    segments.append(seal(workspace, watching, rows(900, DAY, 24, seed=99)))
    cells.count_log(workspace, watching, segments, None)
    whole = cells_stored()
    monkeypatch.setattr(cells, "count_rows", counted)
    monkeypatch.setattr(row_batches, "LEAST_ROWS", 1)
    monkeypatch.setattr(row_batches, "MOST_ROWS", 100)
    cells.count_log(workspace, replace(watching, read_at=watching.read_at + timedelta(minutes=1)), segments, None)
    assert sum(sizes) == 12 * 40 + 900
    assert max(sizes) < 200
    assert len(sizes) < 20
    assert cells_stored() == whole
