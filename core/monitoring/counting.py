"""Counting kept rows into sketches: by column, bucket of time and slice. PURE.

A column is always counted on one *basis*, the scale or the vocabulary that the model line's first watched version gave
it, so that every stored sketch of it can be merged and set beside any other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np

from core.drift.columns import moments
from core.drift.sketching import Basis, Sketch, sketch_table
from core.monitoring.windows import Bucket, cut
from core.serving.frames import AT, feature_column
from core.statistics.sketches import merge

if TYPE_CHECKING:
    import pyarrow as pa

Key = tuple[bool, str]
"""(whether it is the prediction, name): a feature may be called "prediction" too."""

LONGEST_SLICE = 200


@dataclass(frozen=True, order=True)
class Slice:
    """The rows where a column holds one value."""

    column: str
    value: str

    @property
    def label(self) -> str:
        """What it is stored as and called: "job=cook"."""
        whole = f"{self.column}={self.value}"
        return whole if len(whole) <= LONGEST_SLICE else whole[: LONGEST_SLICE - 1] + "…"


@dataclass(frozen=True, eq=False)
class CountedBucket:
    """One slice of one bucket of time, every column counted; ``slice`` is "" for all of its rows."""

    at: datetime
    slice: str
    n_rows: int
    sketches: Mapping[Key, Sketch]


def is_named(basis: Basis) -> bool:
    """Whether a column is counted by name, not as numbers."""
    return isinstance(basis, frozenset)


def column_of(key: Key) -> str:
    """Where a column is kept in a table of `core.serving.frames`."""
    is_prediction, name = key
    return name if is_prediction else feature_column(name)


def count_rows(
    rows: pa.Table,
    bases: Mapping[Key, Basis],
    *,
    bucket: Bucket | None,
    at: datetime,
    slices: Sequence[Slice] = (),
) -> list[CountedBucket]:
    """Count a table's rows by bucket, slice and column.

    Parameters
    ----------
    rows : pyarrow.Table
        In the layout of `core.serving.frames`. A column that is not there, or holds something of another kind, counts
        as missing in every row; predictions that are not there are not counted.
    bases : mapping of Key to Basis
    bucket : {"hour", "day"} or None
        By what to cut; None for all rows as one bucket, whether they have a time or not.
    at : datetime
        What the bucket of ``bucket=None`` is kept under.
    slices : sequence of Slice

    Returns
    -------
    list of CountedBucket
        Oldest first; rows without a time fall into no bucket. Empty slices are left out.
    """
    import pyarrow as pa

    found = []
    for start, part in _parts(rows, bucket, at):
        for label, some in _sliced(part, slices):
            there = {column_of(key): key for key in bases if not key[0] or column_of(key) in some.column_names}
            columns = pa.table({name: _fitting(some, name, bases[key]) for name, key in there.items()})
            sketches = sketch_table(columns, {name: bases[key] for name, key in there.items()})
            by_key = {key: sketches[name] for name, key in there.items()}
            found.append(CountedBucket(start, label, some.num_rows, by_key))
    return found


def summed(counted: Sequence[CountedBucket]) -> list[CountedBucket]:
    """Buckets counted in parts, each as if it had been counted at once; in the order they first come."""
    parts: dict[tuple[datetime, str], list[CountedBucket]] = {}
    for one in counted:
        parts.setdefault((one.at, one.slice), []).append(one)
    return [some[0] if len(some) == 1 else _merged(some) for some in parts.values()]


def of_slice(rows: pa.Table, part: Slice) -> pa.Table:
    """The rows of a table of `core.serving.frames` that lie in a slice."""
    import pyarrow as pa
    import pyarrow.compute as pc

    name = feature_column(part.column)
    if name not in rows.column_names:
        return rows.slice(0, 0)
    return rows.filter(pc.equal(rows[name].cast(pa.string()), part.value))


def _merged(some: Sequence[CountedBucket]) -> CountedBucket:
    by_key: dict[Key, list[Sketch]] = {}
    for one in some:
        for key, sketch in one.sketches.items():
            by_key.setdefault(key, []).append(sketch)
    sketches: dict[Key, Sketch] = {key: merge(sketches) for key, sketches in by_key.items()}  # type: ignore[type-var]
    return CountedBucket(some[0].at, some[0].slice, sum(one.n_rows for one in some), sketches)


def _parts(rows: pa.Table, bucket: Bucket | None, at: datetime) -> Iterator[tuple[datetime, pa.Table]]:
    import pyarrow as pa

    if bucket is None:
        if rows.num_rows:
            yield at, rows
        return
    pieces = cut(moments(rows[AT]), bucket) if AT in rows.column_names else []
    if not pieces:
        return
    order = np.concatenate([piece for _, piece in pieces])
    if not (len(order) == rows.num_rows and (np.diff(order) == 1).all()):
        rows = rows.take(pa.array(order))
    start = 0
    for span, piece in pieces:
        yield span.from_at, rows.slice(start, len(piece))
        start += len(piece)


def _sliced(rows: pa.Table, slices: Sequence[Slice]) -> Iterator[tuple[str, pa.Table]]:
    yield "", rows
    for one in slices:
        some = of_slice(rows, one)
        if some.num_rows:
            yield one.label, some


def _fitting(rows: pa.Table, name: str, basis: Basis) -> pa.ChunkedArray:
    """The column, or as many missing values where it is not there or of another kind."""
    import pyarrow as pa
    import pyarrow.types as types

    if name in rows.column_names:
        kind = rows[name].type
        if (types.is_string(kind) or types.is_large_string(kind) or types.is_boolean(kind)) == is_named(basis):
            return rows[name]
    return pa.chunked_array([pa.nulls(rows.num_rows, pa.string() if is_named(basis) else pa.float64())])
