"""Reading back the rows that flowed in, by span of time and column: for what counts do not tell."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sqlmodel import Session, col, select

from core.drift.columns import moments
from core.monitoring import cells
from core.monitoring.tables import READ_STATES, Batch, BucketSketch, Monitor, Window
from core.monitoring.windows import BATCH, Span
from core.serving import queries as serving
from core.serving.frames import AT
from core.serving.tables import PredictionSegment
from core.workspace import Workspace

if TYPE_CHECKING:
    import pyarrow as pa

FILES_AT_HAND = 4


@dataclass(frozen=True, eq=False)
class _File:
    """What a kept file has, by the names of its columns, and those of them that were read."""

    names: tuple[str, ...]
    rows: pa.Table

    def of(self, columns: Sequence[str] | None) -> list[str]:
        """Those of the columns that the file has; all of it where None."""
        return list(self.names) if columns is None else [one for one in dict.fromkeys(columns) if one in self.names]

    def holds(self, columns: Sequence[str] | None) -> bool:
        """Whether all that the file has of these columns was read."""
        return set(self.of(columns)) <= set(self.rows.column_names)


@dataclass(eq=False)
class KeptRows:
    """The rows of one monitor and version.

    Windows are read in turn, so the columns of the files read last stay at hand: a batch of a year is not read once a
    day, and a column is read once whoever asks for it.

    Parameters
    ----------
    workspace : Workspace
    segments : sequence of PredictionSegment
    batches : sequence of Batch
    reach : mapping of batch id to (first, last)
        Starts of the first and the last bucket of a batch with times, as far as it was counted; no window outside reads
        it.
    """

    workspace: Workspace
    segments: Sequence[PredictionSegment]
    batches: Sequence[Batch]
    reach: Mapping[int, tuple[datetime, datetime]] = field(default_factory=dict)
    _at_hand: dict[str, _File] = field(default_factory=dict)

    def of_span(self, span: Span, columns: Sequence[str] | None = None) -> pa.Table:
        """The rows of a span of time, in the layout of `core.serving.frames`.

        Parameters
        ----------
        columns : sequence of str, optional
            Only these, as far as they are there.
        """
        import pyarrow as pa

        parts = list(self.files_of_span(span, columns))
        return pa.concat_tables(parts, promote_options="permissive") if parts else pa.table({})

    def files_of_span(self, span: Span, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
        """The same rows file by file, each opened when it is asked for; a file without any is left out."""
        files = [one.sha256 for one in self.segments if one.to_at >= span.from_at and one.from_at < span.to_at]
        files += [one.data_sha256 for one in self.batches if one.data_sha256 and self._reaches(one, span)]
        wanted = None if columns is None else [AT, *columns]
        for sha256 in files:
            rows = _inside(self._read(sha256, wanted), span)
            if rows.num_rows:
                yield rows

    def of_batch(self, batch: Batch, columns: Sequence[str] | None = None) -> pa.Table:
        """All rows of a batch, in the same layout."""
        assert batch.data_sha256 is not None
        return self._read(batch.data_sha256, columns)

    def _reaches(self, batch: Batch, span: Span) -> bool:
        if batch.time_column is None:
            return False
        first, last = self.reach.get(batch.id or 0, (span.from_at, span.from_at))
        # A bucket may begin before the window: a day holds hours.
        return first < span.to_at and last + timedelta(days=1) > span.from_at

    def _read(self, sha256: str, columns: Sequence[str] | None) -> pa.Table:
        held = self._at_hand.get(sha256)
        if held is None or not held.holds(columns):
            held = self._at_hand[sha256] = self._fetched(sha256, columns, held)
            while len(self._at_hand) > FILES_AT_HAND:
                self._at_hand.pop(next(iter(self._at_hand)))
        return held.rows.select(held.of(columns))

    def _fetched(self, sha256: str, columns: Sequence[str] | None, held: _File | None) -> _File:
        """The file with these columns beside those that are at hand."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        file = pq.ParquetFile(pa.BufferReader(self.workspace.artifacts.get_bytes(sha256)))
        found = _File(tuple(file.schema_arrow.names), pa.table({}) if held is None else held.rows)
        # In one thread: threads that wait for each other cost more processor time than they save.
        rows = file.read(
            columns=[name for name in found.of(columns) if name not in found.rows.column_names], use_threads=False
        )
        for name in found.rows.column_names:
            rows = rows.append_column(name, found.rows[name])
        return _File(found.names, rows)


def kept_rows(workspace: Workspace, session: Session, monitor: Monitor, version_id: int) -> KeptRows:
    """All that flowed in for a version: sealed segments of the log, and batches that were read, oldest first."""
    batches = (
        select(Batch)
        .where(
            col(Batch.monitor_id) == monitor.id,
            col(Batch.version_id) == version_id,
            col(Batch.state).in_(READ_STATES),
        )
        .order_by(col(Batch.id))
    )
    segments = serving.segments(
        session,
        monitor.model_id,
        version_id=version_id,
        environment=monitor.environment,
        alias=monitor.alias,
    )
    return KeptRows(workspace, segments, list(session.exec(batches)))


def rows_of_window(workspace: Workspace, session: Session, monitor: Monitor, window: Window) -> KeptRows:
    """What flowed into one window: only the files that hold rows of it, and none is opened before it is read."""
    query = select(Batch).where(
        col(Batch.monitor_id) == monitor.id,
        col(Batch.version_id) == window.version_id,
        col(Batch.data_sha256).is_not(None),
        col(Batch.state).in_(READ_STATES),
    )
    batches = list(session.exec(query.order_by(col(Batch.id))))
    if not is_timed(window):
        return KeptRows(workspace, (), [one for one in batches if cells.source_of(one) == window.label])
    segments = serving.segments(
        session,
        monitor.model_id,
        window.from_at,
        window.to_at,
        version_id=window.version_id,
        environment=monitor.environment,
        alias=monitor.alias,
    )
    timed = [one for one in batches if one.time_column is not None]
    return KeptRows(workspace, segments, _counted_inside(session, window, timed))


def is_timed(window: Window) -> bool:
    """Whether a window is a span of time, not a batch without times."""
    return window.length != BATCH


def span_of(window: Window) -> Span:
    """The window's span of time."""
    return Span(window.from_at, window.to_at, window.label)


def _counted_inside(session: Session, window: Window, batches: Sequence[Batch]) -> list[Batch]:
    """The batches of which rows were counted in the window."""
    found = []
    for batch in batches:
        of_batch = (
            col(BucketSketch.monitor_id) == window.monitor_id,
            col(BucketSketch.version_id) == window.version_id,
            # Named one by one they let the index find a span.
            col(BucketSketch.source) == cells.source_of(batch),
        )
        # A bucket may begin before the window: a day holds hours.
        began = col(BucketSketch.bucket_at) > window.from_at - timedelta(days=1)
        inside = (began, col(BucketSketch.bucket_at) < window.to_at)
        if session.exec(select(BucketSketch.id).where(*of_batch, *inside).limit(1)).first() is not None:
            found.append(batch)
    return found


def _inside(rows: pa.Table, span: Span) -> pa.Table:
    import numpy as np
    import pyarrow as pa

    times = moments(rows[AT])
    first, end = (np.datetime64(at.replace(tzinfo=None), "us") for at in (span.from_at, span.to_at))
    inside = (times >= first) & (times < end)
    return rows if inside.all() else rows.filter(pa.array(inside))
