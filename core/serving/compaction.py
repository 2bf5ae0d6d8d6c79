"""Compaction of the prediction log: sealed segments become one Parquet file an hour, then one a day.

Scoring seals a segment every few seconds. An hour that has ended becomes one file, and so does a day, per model
version, environment and alias; a segment that was sealed late is merged into its day again. Rows are copied in pieces,
so memory does not grow with the log.

The new file is written first. Then, in one transaction, the newest segment's row takes it and the other rows go: a
crash before leaves the segments as they were, one after leaves files that nothing refers to. So no row is counted twice
or lost. That row keeps its id and when it was sealed: whoever asks what was sealed since some moment is told of no row
again that he had, and of each that he had not. Files that are let go stay for a day (`core.automation.sweeping`), for
those who read them now.

A segment that reaches over midnight is parted first; so a day's file lies within its day.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from itertools import chain
from typing import TYPE_CHECKING, Any

import sqlalchemy
from sqlmodel import Session, col

from core.artifacts import ArtifactStore
from core.jobs.context import JobContext
from core.jobs.service import enqueue
from core.permissions import Permission, require, system_actor
from core.serving.frames import AT
from core.serving.row_batches import days_of, read_batches, rows_at_once
from core.serving.tables import PredictionSegment
from core.workspace import Workspace

if TYPE_CHECKING:
    import pyarrow as pa

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
# Segments of an hour are sealed within seconds after it ended; one that comes later is merged at the next turn.
SETTLED = timedelta(minutes=10)
IDS_AT_ONCE = 500


@dataclass(frozen=True)
class Piece:
    """A segment as compaction sees it; ``whose`` is its version, environment and alias."""

    id: int
    model_id: int
    whose: tuple[int, str, str]
    sha256: str
    n_rows: int
    from_at: datetime
    to_at: datetime
    sealed_at: datetime

    @property
    def day(self) -> datetime:
        """Midnight (UTC) before its first row."""
        return _midnight(self.from_at)

    @property
    def crosses_midnight(self) -> bool:
        """Whether its last row is of another day than its first."""
        return _midnight(self.to_at) > self.day


@dataclass(frozen=True)
class Written:
    """A stored file of predictions of one day; ``hours`` are its rows by the hour of the day."""

    sha256: str
    n_rows: int
    from_at: datetime
    to_at: datetime
    hours: dict[str, int]


def enqueue_due(workspace: Workspace, now: datetime) -> int:
    """Enqueue `compact_log` for every model whose log has segments to put together; tells how many.

    To be called every few minutes; a model is compacted at most once an hour.
    """
    with workspace.read() as session:
        settled = _pieces(session, now)
    due = sorted({one.model_id for unit in units(settled, now) for one in unit})
    due = sorted({*due, *(one.model_id for one in settled if one.crosses_midnight)})
    if not due:
        return 0
    with workspace.write() as session:
        for model_id in due:
            enqueue(
                session,
                kind="compact_log",
                payload={"model_id": model_id},
                subject_kind="registered_model",
                subject_id=model_id,
                actor=system_actor("serving"),
                now=now,
                idempotency_key=f"compact_log:{model_id}:{now:%Y-%m-%dT%H}",
            )
    return len(due)


def compact_log(workspace: Workspace, context: JobContext) -> None:
    """Put the segments of the model ``model_id`` together, a file at a time, each in a transaction of its own.

    Result: ``model_id``, ``n_files`` (written), ``n_segments`` (put together), ``n_rows`` (in them).
    """
    if context.actor.user_id is not None:  # the program itself compacts without asking anybody
        require(context.actor, Permission.STORAGE_EDIT)
    model_id: int = context.payload["model_id"]
    now = context.now()
    with workspace.read() as session:
        crossing = [one for one in _pieces(session, now, model_id) if one.crosses_midnight]
    for piece in crossing:
        context.report(0.0, "parting at midnight")
        _part(workspace, piece)
    with workspace.read() as session:
        due = units(_pieces(session, now, model_id), now)
    n_all, n_files, n_segments, n_rows = sum(one.n_rows for unit in due for one in unit), 0, 0, 0
    for unit in due:
        context.report(n_rows / max(1, n_all), "putting together")
        if _merge(workspace, unit, context, n_rows / max(1, n_all), n_all):
            n_files, n_segments = n_files + 1, n_segments + len(unit)
        n_rows += sum(one.n_rows for one in unit)
    with context.record():
        context.log(f"{n_segments} segments became {n_files} files.")
        context.result = {"model_id": model_id, "n_files": n_files, "n_segments": n_segments, "n_rows": n_rows}


def units(pieces: Sequence[Piece], now: datetime) -> list[tuple[Piece, ...]]:
    """Which segments become one file: those of a day that has ended, or of an hour of today that has.

    Parameters
    ----------
    pieces : sequence of Piece
        Those over midnight are left out.

    Returns
    -------
    list of tuples of at least two Piece
        Oldest first.
    """
    found: dict[tuple[Any, ...], list[Piece]] = {}
    for one in sorted(pieces, key=lambda one: (one.from_at, one.id)):
        start, length = one.day, DAY
        if start == _midnight(now):
            start, length = one.from_at.replace(minute=0, second=0, microsecond=0), HOUR
        if start + length + SETTLED <= now and not one.crosses_midnight:
            found.setdefault((start, one.model_id, *one.whose), []).append(one)
    return [tuple(unit) for unit in found.values() if len(unit) > 1]


def _merge(workspace: Workspace, unit: Sequence[Piece], context: JobContext, done: float, n_all: int) -> bool:
    store = workspace.artifacts

    def rows() -> Iterator[pa.RecordBatch]:
        read = 0
        for one in unit:
            for batch in read_batches(store, one.sha256):
                read += batch.num_rows
                context.report(done + read / max(1, n_all), "putting together")
                yield batch

    written = _write(store, rows())
    if written is None:
        return False
    for one in unit:
        store.touch(one.sha256)
    newest = max(unit, key=lambda one: one.id)
    with workspace.write() as session:
        if not _unchanged(session, unit):  # another worker was here first
            return False
        _take(session, newest, written, max(one.sealed_at for one in unit))
        gone = [one.id for one in unit if one.id != newest.id]
        for start in range(0, len(gone), IDS_AT_ONCE):
            some = col(PredictionSegment.id).in_(gone[start : start + IDS_AT_ONCE])
            session.connection().execute(sqlalchemy.delete(PredictionSegment).where(some))
    return True


def _part(workspace: Workspace, piece: Piece) -> bool:
    """Make one segment per day of a segment that reaches over midnight."""
    store = workspace.artifacts
    parts = []
    for day in days_of(store, piece.sha256):
        inside = (_of_day(batch, day) for batch in read_batches(store, piece.sha256))
        parts.append(_write(store, (batch for batch in inside if batch.num_rows)))
    written = [one for one in parts if one is not None]
    store.touch(piece.sha256)
    with workspace.write() as session:
        if not _unchanged(session, [piece]):
            return False
        version_id, environment, alias = piece.whose
        for one in written[:-1]:
            session.add(
                PredictionSegment(
                    model_id=piece.model_id,
                    version_id=version_id,
                    environment=environment,
                    alias=alias,
                    sha256=one.sha256,
                    n_rows=one.n_rows,
                    from_at=one.from_at,
                    to_at=one.to_at,
                    sealed_at=piece.sealed_at,
                    hours=one.hours,
                )
            )
        _take(session, piece, written[-1], piece.sealed_at)
    return True


def _pieces(session: Session, now: datetime, model_id: int | None = None) -> list[Piece]:
    """Segments that were sealed a while ago, of a model or of all."""
    names = (
        "id",
        "model_id",
        "version_id",
        "environment",
        "alias",
        "sha256",
        "n_rows",
        "from_at",
        "to_at",
        "sealed_at",
    )
    query = sqlalchemy.select(*(getattr(PredictionSegment, name) for name in names)).where(
        col(PredictionSegment.sealed_at) <= now - SETTLED
    )
    if model_id is not None:
        query = query.where(col(PredictionSegment.model_id) == model_id)
    return [Piece(row[0], row[1], (row[2], row[3], row[4]), *row[5:]) for row in session.connection().execute(query)]


def _unchanged(session: Session, pieces: Sequence[Piece]) -> bool:
    found: dict[int, str] = {}
    for start in range(0, len(pieces), IDS_AT_ONCE):
        ids = [one.id for one in pieces[start : start + IDS_AT_ONCE]]
        query = sqlalchemy.select(col(PredictionSegment.id), col(PredictionSegment.sha256))
        rows = session.connection().execute(query.where(col(PredictionSegment.id).in_(ids)))
        found |= {row.id: row.sha256 for row in rows}
    return found == {one.id: one.sha256 for one in pieces}


def _take(session: Session, piece: Piece, written: Written, sealed_at: datetime) -> None:
    row = session.get_one(PredictionSegment, piece.id)
    row.sha256, row.n_rows, row.sealed_at = written.sha256, written.n_rows, sealed_at
    row.from_at, row.to_at, row.hours = written.from_at, written.to_at, written.hours
    session.add(row)


def _write(store: ArtifactStore, batches: Iterator[pa.RecordBatch]) -> Written | None:
    """Store rows as one file; None for no rows."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    first = next(batches, None)
    if first is None:
        return None
    at_once = rows_at_once(first.num_columns)
    waiting: list[pa.RecordBatch] = []
    n_rows, n_waiting, times = 0, 0, []
    hours: dict[str, int] = {}
    with store.writer() as (file, done), pq.ParquetWriter(file, first.schema, compression="zstd") as writer:
        for batch in chain([first], batches):
            waiting.append(batch)
            n_rows, n_waiting = n_rows + batch.num_rows, n_waiting + batch.num_rows
            ends = pc.min_max(batch[AT]).as_py()
            times += [ends["min"], ends["max"]]
            for counted in pc.value_counts(pc.hour(batch[AT])).to_pylist():
                hour = str(counted["values"])
                hours[hour] = hours.get(hour, 0) + counted["counts"]
            if n_waiting >= at_once:
                writer.write_table(pa.Table.from_batches(waiting))
                waiting, n_waiting = [], 0
        if waiting:
            writer.write_table(pa.Table.from_batches(waiting))
    return Written(done[0].sha256, n_rows, min(times).astimezone(UTC), max(times).astimezone(UTC), hours)


def _of_day(batch: pa.RecordBatch, day: datetime) -> pa.RecordBatch:
    import pyarrow as pa
    import pyarrow.compute as pc

    first, end = (pa.scalar(at, batch.schema.field(AT).type) for at in (day, day + DAY))
    return batch.filter(pc.and_(pc.greater_equal(batch[AT], first), pc.less(batch[AT], end)))


def _midnight(moment: datetime) -> datetime:
    return datetime.combine(moment.astimezone(UTC).date(), time(), UTC)
