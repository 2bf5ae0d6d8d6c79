"""Stored cells: what flowed in, counted by bucket of time, and windows as sums of buckets.

A *source* is the prediction log or one batch. Its rows are read once and counted (`counting`); from then on windows of
any length are sums of stored buckets. A source's bucket is replaced as a whole, so that counting it again, after late
segments or twice, changes nothing else. Batches without times are a bucket of their own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import sqlalchemy
from sqlalchemy import ColumnElement
from sqlmodel import Session, col, func, select

from core.drift.sketching import Basis, Sketch
from core.monitoring.counting import CountedBucket, Key, Slice, column_of, count_rows, summed
from core.monitoring.tables import READ_STATES, Batch, BucketSketch, CountedSource
from core.monitoring.windows import BATCH, Bucket, Span, span_at, spans_between
from core.serving import queries as serving
from core.serving.frames import AT, feature_column
from core.serving.row_batches import days_of
from core.serving.tables import PredictionSegment
from core.statistics.sketches import from_bytes, merge, to_bytes
from core.workspace import Workspace

if TYPE_CHECKING:
    import pyarrow as pa

LOG = "log"
TIMED = ("hour", "day")
LONGEST_SPAN = timedelta(days=31)
"""A segment is of one day or two; one of more was written while a clock was set right."""


@dataclass(frozen=True)
class Watching:
    """Whose cells, and how they are counted.

    Parameters
    ----------
    monitor_id, version_id : int
    bucket : {"hour", "day"}
    bases : mapping of Key to Basis
        The reference's.
    slices : tuple of Slice
    read_at : datetime
        Before anything was read: a bucket read later is never replaced by one read earlier.
    """

    monitor_id: int
    version_id: int
    bucket: Bucket
    bases: Mapping[Key, Basis]
    slices: tuple[Slice, ...]
    read_at: datetime


def source_of(batch: Batch) -> str:
    """What a batch's cells are kept under."""
    return f"{BATCH} {batch.id}"


def count_log(
    workspace: Workspace,
    watching: Watching,
    segments: Sequence[PredictionSegment],
    touched: Sequence[tuple[datetime, datetime]] | None,
) -> None:
    """Count the log anew in every bucket that spans of time reach into, or throughout where ``touched`` is None.

    A day at a time and of a day a part at a time, so that memory grows neither with the days nor with their rows. An
    attempt that broke off leaves the log uncounted (`is_counted`).

    Parameters
    ----------
    segments : sequence of PredictionSegment
        All of this monitor and version.
    """
    spans = [(one.from_at, one.to_at) for one in segments] if touched is None else touched
    columns = [AT, *map(column_of, watching.bases), *(feature_column(one.column) for one in watching.slices)]
    days = _days(workspace, segments, spans)
    if touched is None:
        with workspace.write() as session:
            _forget(session, watching, LOG)
    for day in days:
        inside = [one for one in segments if one.from_at < day.to_at and one.to_at >= day.from_at]
        counted: list[CountedBucket] = []
        for rows in serving.read_segments(workspace.artifacts, inside, columns):
            found = count_rows(rows, watching.bases, bucket=watching.bucket, at=day.from_at, slices=watching.slices)
            counted = summed([*counted, *(one for one in found if day.from_at <= one.at < day.to_at)])
        with workspace.write() as session:
            put(session, watching, LOG, counted, span=day)
    if touched is None:
        with workspace.write() as session:
            _counted_whole(session, watching, LOG, watching.bucket, n_short=n_short(session, watching, segments))


def _days(
    workspace: Workspace, segments: Sequence[PredictionSegment], spans: Sequence[tuple[datetime, datetime]]
) -> list[Span]:
    """The days of these spans that may hold rows, oldest first; a span of years holds few."""
    found = set()
    for first, last in spans:
        if last - first <= LONGEST_SPAN:
            found.update(spans_between(first, last, "day"))
            continue
        for one in segments:
            if one.to_at - one.from_at <= LONGEST_SPAN:
                days = spans_between(one.from_at, one.to_at, "day")
            else:
                days = [span_at(at, "day") for at in days_of(workspace.artifacts, one.sha256)]
            found.update(day for day in days if day.from_at <= last and day.to_at > first)
    return sorted(found)


def count_batch(workspace: Workspace, watching: Watching, batch: Batch, rows: pa.Table) -> None:
    """Count a batch's rows in place of what was stored of it."""
    bucket = None if batch.time_column is None else watching.bucket
    counted = count_rows(rows, watching.bases, bucket=bucket, at=batch.added_at, slices=watching.slices)
    with workspace.write() as session:
        _forget(session, watching, source_of(batch))
        put(session, watching, source_of(batch), counted, bucket=BATCH if bucket is None else bucket)
        _counted_whole(session, watching, source_of(batch), BATCH if bucket is None else bucket)


def is_counted(session: Session, watching: Watching, source: str, *, timed: bool) -> bool:
    """Whether a source is stored whole, in exactly the buckets and slices that are asked for now."""
    found = session.get(CountedSource, (watching.monitor_id, watching.version_id, source))
    wanted = watching.bucket if timed else BATCH
    return found is not None and (found.bucket, found.slices) == (wanted, _labels(watching))


def n_short(session: Session, watching: Watching, segments: Sequence[PredictionSegment]) -> int:
    """How many rows of the log are not stored, of those that its segments are said to hold."""
    stored = sum(_n_rows(session, watching.monitor_id, watching.version_id, [LOG]).values())
    return max(0, sum(one.n_rows for one in segments) - stored)


def known_short(session: Session, watching: Watching) -> int:
    """How many rows of the log were not found when it was counted whole."""
    found = session.get(CountedSource, (watching.monitor_id, watching.version_id, LOG))
    return 0 if found is None else found.n_short


def forget_batch(session: Session, batch: Batch) -> bool:
    """Drop what was counted of a batch that came to nothing; tells whether there was anything."""
    of_it = (col(BucketSketch.monitor_id) == batch.monitor_id, col(BucketSketch.source) == source_of(batch))
    counted = (col(CountedSource.monitor_id) == batch.monitor_id, col(CountedSource.source) == source_of(batch))
    session.connection().execute(sqlalchemy.delete(CountedSource).where(*counted))
    return session.connection().execute(sqlalchemy.delete(BucketSketch).where(*of_it)).rowcount > 0


def put(
    session: Session,
    watching: Watching,
    source: str,
    counted: Sequence[CountedBucket],
    *,
    bucket: str | None = None,
    span: Span | None = None,
) -> None:
    """Write a source's buckets in place of those that were there, in a span or throughout.

    Of a span that was counted later by buckets of another length nothing is written: its rows are there already.
    """
    bucket = watching.bucket if bucket is None else bucket
    where = [*_of(watching, [source])]
    if span is not None:
        where += [col(BucketSketch.bucket_at) >= span.from_at, col(BucketSketch.bucket_at) < span.to_at]
    newer = sqlalchemy.select(col(BucketSketch.bucket_at), col(BucketSketch.bucket)).distinct()
    found = session.connection().execute(newer.where(*where, col(BucketSketch.read_at) > watching.read_at)).all()
    kept = {at for at, _ in found}
    older = sqlalchemy.delete(BucketSketch).where(*where, col(BucketSketch.read_at) <= watching.read_at)
    session.connection().execute(older)
    if any(length != bucket for _, length in found):
        return
    rows = [
        {
            "monitor_id": watching.monitor_id,
            "version_id": watching.version_id,
            "source": source,
            "bucket_at": one.at,
            "bucket": bucket,
            "slice": one.slice,
            "feature": name,
            "is_prediction": is_prediction,
            "n_rows": one.n_rows,
            "read_at": watching.read_at,
            "cells": to_bytes(sketch),
        }
        for one in counted
        if one.at not in kept
        for (is_prediction, name), sketch in one.sketches.items()
    ]
    if rows:
        session.connection().execute(sqlalchemy.insert(BucketSketch), rows)


def buckets(session: Session, monitor_id: int, version_id: int) -> list[tuple[datetime, int]]:
    """Every bucket of time that holds rows, by its start, with how many from all sources."""
    return sorted(_n_rows(session, monitor_id, version_id, _sources(session, monitor_id, version_id)).items())


def _n_rows(session: Session, monitor_id: int, version_id: int, sources: Sequence[str]) -> dict[datetime, int]:
    rows = func.max(col(BucketSketch.n_rows)).label("n_rows")
    by_source = (
        sqlalchemy.select(col(BucketSketch.bucket_at), rows)
        .where(
            col(BucketSketch.monitor_id) == monitor_id,
            col(BucketSketch.version_id) == version_id,
            col(BucketSketch.source).in_(sources),
            col(BucketSketch.bucket).in_(TIMED),
            col(BucketSketch.slice) == "",
            col(BucketSketch.is_prediction),
        )
        .group_by(col(BucketSketch.source), col(BucketSketch.bucket_at))
    )
    found: dict[datetime, int] = {}
    for at, count in session.connection().execute(by_source):
        found[at] = found.get(at, 0) + count
    return found


def others_counted(session: Session, monitor_id: int, version_id: int, after: datetime, before: datetime) -> bool:
    """Whether rows of a monitor's other versions are counted in a bucket that reaches into a span of time."""
    query = select(BucketSketch.id).where(
        col(BucketSketch.monitor_id) == monitor_id,
        col(BucketSketch.version_id) != version_id,
        col(BucketSketch.bucket).in_(TIMED),
        # A day begins before what it holds.
        col(BucketSketch.bucket_at) > after - timedelta(days=1),
        col(BucketSketch.bucket_at) < before,
    )
    return session.exec(query.limit(1)).first() is not None


def reach(session: Session, monitor_id: int, version_id: int) -> dict[int, tuple[datetime, datetime]]:
    """Starts of the first and the last bucket of each batch with times, by its id."""
    at = col(BucketSketch.bucket_at)
    query = (
        sqlalchemy.select(col(BucketSketch.source), func.min(at), func.max(at))
        .where(
            col(BucketSketch.monitor_id) == monitor_id,
            col(BucketSketch.version_id) == version_id,
            col(BucketSketch.source).in_(_sources(session, monitor_id, version_id)[1:]),
            col(BucketSketch.bucket).in_(TIMED),
        )
        .group_by(col(BucketSketch.source))
    )
    found = session.connection().execute(query).all()
    return {int(source.removeprefix(f"{BATCH} ")): (first, last) for source, first, last in found}


def sums(
    session: Session, monitor_id: int, version_id: int, *, span: Span | None = None, source: str | None = None
) -> dict[str, dict[Key, Sketch]]:
    """The rows of a span of time from all sources, or of a batch without times: by slice ("" for all) and column."""
    where = [col(BucketSketch.monitor_id) == monitor_id, col(BucketSketch.version_id) == version_id]
    if source is not None:
        where += [col(BucketSketch.source) == source]
    if span is not None:
        where += [
            col(BucketSketch.source).in_(_sources(session, monitor_id, version_id)),
            col(BucketSketch.bucket).in_(TIMED),
            col(BucketSketch.bucket_at) >= span.from_at,
            col(BucketSketch.bucket_at) < span.to_at,
        ]
    query = sqlalchemy.select(
        col(BucketSketch.slice), col(BucketSketch.is_prediction), col(BucketSketch.feature), col(BucketSketch.cells)
    ).where(*where)
    parts: dict[str, dict[Key, list[Sketch]]] = {}
    for part, is_prediction, feature, content in session.connection().execute(query):
        parts.setdefault(part, {}).setdefault((is_prediction, feature), []).append(from_bytes(content))
    return {
        part: {key: some[0] if len(some) == 1 else merge(some) for key, some in by_key.items()}  # type: ignore[type-var]
        for part, by_key in parts.items()
    }


def _sources(session: Session, monitor_id: int, version_id: int) -> list[str]:
    """The log, then the batches that were read; named one by one they let the index find a span, and there are few.

    A batch that failed after it was counted, or was read for another version then, is in no window.
    """
    batches = session.exec(
        select(Batch.id).where(
            col(Batch.monitor_id) == monitor_id, col(Batch.version_id) == version_id, col(Batch.state).in_(READ_STATES)
        )
    )
    return [LOG, *(f"{BATCH} {one}" for one in batches)]


def _of(watching: Watching, sources: Sequence[str]) -> list[ColumnElement[bool]]:
    return [
        col(BucketSketch.monitor_id) == watching.monitor_id,
        col(BucketSketch.version_id) == watching.version_id,
        col(BucketSketch.source).in_(sources),
    ]


def _forget(session: Session, watching: Watching, source: str) -> None:
    """Drop what was counted in other buckets or slices."""
    older = (*_of(watching, [source]), col(BucketSketch.read_at) <= watching.read_at)
    session.connection().execute(sqlalchemy.delete(BucketSketch).where(*older))
    whole = session.get(CountedSource, (watching.monitor_id, watching.version_id, source))
    if whole is not None and whole.read_at <= watching.read_at:
        session.delete(whole)
        session.flush()


def _counted_whole(session: Session, watching: Watching, source: str, bucket: str, *, n_short: int = 0) -> None:
    key = (watching.monitor_id, watching.version_id, source)
    there = session.get(CountedSource, key)
    if there is not None and there.read_at > watching.read_at:
        return
    row = there or CountedSource(monitor_id=key[0], version_id=key[1], source=source, bucket=bucket)
    row.bucket, row.slices, row.read_at, row.n_short = bucket, _labels(watching), watching.read_at, n_short
    session.add(row)


def _labels(watching: Watching) -> list[str]:
    return sorted(one.label for one in watching.slices)
