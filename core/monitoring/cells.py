"""Stored cells: what flowed in, counted by bucket of time, and windows as sums of buckets.

A *source* is the prediction log or one batch. Its rows are read once and counted (`counting`); from then on windows of
any length are sums of stored buckets. A source's bucket is replaced as a whole, so that counting it again, after late
segments or twice, changes nothing else. Batches without times are a bucket of their own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import sqlalchemy
from sqlalchemy import ColumnElement
from sqlmodel import Session, col, func, select

from core.drift.sketching import Basis, Sketch
from core.monitoring.counting import CountedBucket, Key, Slice, count_rows
from core.monitoring.tables import Batch, BucketSketch
from core.monitoring.windows import BATCH, Bucket, Span, span_at, spans_between
from core.serving import queries as serving
from core.serving.tables import PredictionSegment
from core.statistics.sketches import from_bytes, merge, to_bytes
from core.workspace import Workspace

if TYPE_CHECKING:
    import pyarrow as pa

LOG = "log"
TIMED = ("hour", "day")


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

    A day at a time, so that memory does not grow with the log; the earliest last, so that where it is stored all is
    (`is_counted`), wherever an attempt may have broken off.

    Parameters
    ----------
    segments : sequence of PredictionSegment
        All of this monitor and version.
    """
    spans = [(one.from_at, one.to_at) for one in segments] if touched is None else touched
    days = sorted({day for pair in spans for day in spans_between(*pair, "day")}, reverse=True)
    if touched is None:
        with workspace.write() as session:
            _forget(session, watching, LOG)
    for day in days:
        inside = [one for one in segments if one.from_at < day.to_at and one.to_at >= day.from_at]
        rows = serving.read_segments(workspace.artifacts, inside)
        counted = count_rows(rows, watching.bases, bucket=watching.bucket, at=day.from_at, slices=watching.slices)
        counted = [one for one in counted if day.from_at <= one.at < day.to_at]
        with workspace.write() as session:
            put(session, watching, LOG, counted, span=day)


def count_batch(workspace: Workspace, watching: Watching, batch: Batch, rows: pa.Table) -> None:
    """Count a batch's rows in place of what was stored of it."""
    bucket = None if batch.time_column is None else watching.bucket
    counted = count_rows(rows, watching.bases, bucket=bucket, at=batch.added_at, slices=watching.slices)
    with workspace.write() as session:
        _forget(session, watching, source_of(batch))
        put(session, watching, source_of(batch), counted, bucket=BATCH if bucket is None else bucket)


def is_counted(
    session: Session, watching: Watching, source: str, *, timed: bool, first_at: datetime | None = None
) -> bool:
    """Whether a source is stored whole, in exactly the buckets and slices that are asked for now.

    Where no row of it lies in any slice of a column that cannot be told, and it is counted again.

    Parameters
    ----------
    first_at : datetime, optional
        Of the log: when its earliest row was, whose bucket is stored last.
    """
    query = (
        sqlalchemy.select(col(BucketSketch.bucket), col(BucketSketch.slice))
        .where(*_of(watching, [source]), col(BucketSketch.is_prediction))
        .distinct()
    )
    found = session.connection().execute(query).all()
    buckets, stored = {row.bucket for row in found}, {row.slice for row in found} - {""}
    asked = {one.label: one.column for one in watching.slices}
    if buckets != {watching.bucket if timed else BATCH} or not stored <= asked.keys():
        return False
    if {asked[label] for label in stored} != set(asked.values()):
        return False
    if first_at is None:
        return True
    earliest = col(BucketSketch.bucket_at) == span_at(first_at, watching.bucket).from_at
    return session.exec(select(BucketSketch.id).where(*_of(watching, [source]), earliest).limit(1)).first() is not None


def put(
    session: Session,
    watching: Watching,
    source: str,
    counted: Sequence[CountedBucket],
    *,
    bucket: str | None = None,
    span: Span | None = None,
) -> None:
    """Write a source's buckets in place of those that were there, in a span or throughout."""
    where = [*_of(watching, [source])]
    if span is not None:
        where += [col(BucketSketch.bucket_at) >= span.from_at, col(BucketSketch.bucket_at) < span.to_at]
    newer = select(BucketSketch.bucket_at).where(*where, col(BucketSketch.read_at) > watching.read_at).distinct()
    kept = set(session.exec(newer))
    older = sqlalchemy.delete(BucketSketch).where(*where, col(BucketSketch.read_at) <= watching.read_at)
    session.connection().execute(older)
    rows = [
        {
            "monitor_id": watching.monitor_id,
            "version_id": watching.version_id,
            "source": source,
            "bucket_at": one.at,
            "bucket": watching.bucket if bucket is None else bucket,
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
    rows = func.max(col(BucketSketch.n_rows)).label("n_rows")
    by_source = (
        sqlalchemy.select(col(BucketSketch.bucket_at), rows)
        .where(
            col(BucketSketch.monitor_id) == monitor_id,
            col(BucketSketch.version_id) == version_id,
            col(BucketSketch.bucket).in_(TIMED),
            col(BucketSketch.slice) == "",
            col(BucketSketch.is_prediction),
        )
        .group_by(col(BucketSketch.source), col(BucketSketch.bucket_at))
    )
    found: dict[datetime, int] = {}
    for at, count in session.connection().execute(by_source):
        found[at] = found.get(at, 0) + count
    return sorted(found.items())


def reach(session: Session, monitor_id: int, version_id: int) -> dict[int, tuple[datetime, datetime]]:
    """Starts of the first and the last bucket of each batch with times, by its id."""
    at = col(BucketSketch.bucket_at)
    query = (
        sqlalchemy.select(col(BucketSketch.source), func.min(at), func.max(at))
        .where(
            col(BucketSketch.monitor_id) == monitor_id,
            col(BucketSketch.version_id) == version_id,
            col(BucketSketch.source) != LOG,
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
    """Named one by one they let the index find a span; there are few."""
    batches = session.exec(
        select(Batch.id).where(col(Batch.monitor_id) == monitor_id, col(Batch.version_id) == version_id)
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
