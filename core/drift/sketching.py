"""Whole tables as sketches, in one pass over a Parquet file or a table in memory. PURE.

A column is read a few row groups at a time, counted and let go: memory grows neither with the rows nor with the
columns. Column by column rather than row group by row group, so that what a column is counted in stays in the
processor's cache: 0.9 s against 1.1 s for a million rows of 50 columns.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from core.datasets.tables import ColumnKind
from core.errors import SchemaMismatch
from core.statistics.cells import CellCounter
from core.statistics.sketches import (
    CategorySketch,
    NumericSketch,
    Scale,
    fit_scale,
    fit_vocabulary,
    merge,
    numeric_sketch,
    sketch_counts,
)

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

Basis = Scale | frozenset[str]
"""What a column is counted on: a scale for numbers and times, a vocabulary for names."""
Sketch = NumericSketch | CategorySketch

NAMED_KINDS = (ColumnKind.BOOLEAN, ColumnKind.CATEGORY, ColumnKind.TEXT)
# Read together; as float64 2 MB. More would leave the processor's cache.
VALUES_AT_ONCE = 1 << 18


def fit_basis(column: pa.ChunkedArray, kind: ColumnKind | str) -> Basis:
    """The basis that suits a reference's column.

    Parameters
    ----------
    kind : ColumnKind
        Numbers, dates and times are counted as numbers, all else by name.

    Raises
    ------
    SchemaMismatch
        It shall be counted as numbers but holds none.
    """
    if kind in NAMED_KINDS:
        counts: Counter[str] = Counter()
        for chunk in column.chunks:
            counts.update(name_counts(chunk)[0])
        return fit_vocabulary(counts)
    return fit_scale(np.concatenate([np.empty(0), *(numbers(chunk) for chunk in column.chunks)]))


def sketch_table(source: pa.Table | Path, bases: Mapping[str, Basis]) -> dict[str, Sketch]:
    """Count columns of a table, in one pass and one thread.

    Parameters
    ----------
    source : pyarrow.Table or path of a Parquet file
        Of a file only the columns that are counted are read.
    bases : mapping of str to Basis
        By the columns to count, see `fit_basis`.

    Returns
    -------
    dict of str to NumericSketch or CategorySketch
        In the order of ``bases``.

    Raises
    ------
    SchemaMismatch
        A column is not there, or shall be counted as numbers but holds none.
    """
    found: dict[str, Sketch] = {}
    for name, chunks in _columns(source, list(bases)):
        basis = bases[name]
        found[name] = _sketch_names(chunks, basis) if isinstance(basis, frozenset) else _sketch_numbers(chunks, basis)
    return found


def numbers(values: pa.Array) -> NDArray[np.float64]:
    """Values as float64, NaN where missing; dates and times as microseconds since 1970 (UTC).

    Raises
    ------
    SchemaMismatch
        They are neither numbers nor times.
    """
    import pyarrow as pa
    import pyarrow.types as types

    if types.is_temporal(values.type):
        values = values.cast(pa.timestamp("us"), safe=False).cast(pa.int64())
    elif not (types.is_integer(values.type) or types.is_floating(values.type) or types.is_decimal(values.type)):
        raise SchemaMismatch(f"A column that is watched as numbers now holds {values.type}; send numbers.")
    found: NDArray[np.float64] = values.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    return found


def name_counts(values: pa.Array) -> tuple[dict[str, int], int]:
    """How often each name occurs, spelled as `core.training.frames.class_labels` does, and how many are missing."""
    import pyarrow as pa
    import pyarrow.compute as pc

    from core.training.frames import class_labels

    if pa.types.is_dictionary(values.type):
        # Names are stored once, so their places are counted: a third of the time of counting them as names.
        names = values.dictionary
        places = values.indices.cast(pa.int64()).fill_null(len(names)).to_numpy()
        counts = np.bincount(places, minlength=len(names) + 1).tolist()
        labels = [*class_labels(pa.chunked_array([names])).tolist(), None]
    else:
        counted = pc.value_counts(values)
        labels = class_labels(pa.chunked_array([counted.field("values")])).tolist()
        counts = counted.field("counts").to_pylist()
    found: Counter[Any] = Counter()
    for label, count in zip(labels, counts, strict=True):
        if count:
            found[label] += count
    n_missing = found.pop(None, 0)
    return found, n_missing


def _sketch_numbers(chunks: Iterable[pa.Array], scale: Scale) -> NumericSketch:
    counter = CellCounter(scale)
    for chunk in chunks:
        counter.add(numbers(chunk))
    return numeric_sketch(counter)


def _sketch_names(chunks: Iterable[pa.Array], vocabulary: frozenset[str]) -> CategorySketch:
    # Merged at once: what is held is bounded, however many names there are.
    sketch = sketch_counts({}, vocabulary)
    for chunk in chunks:
        counts, n_missing = name_counts(chunk)
        sketch = merge([sketch, sketch_counts(counts, vocabulary, n_missing)])
    return sketch


def _columns(source: pa.Table | Path, names: Sequence[str]) -> Iterator[tuple[str, Iterable[pa.Array]]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    if isinstance(source, pa.Table):
        _check_there(source.schema, names)
        for name in names:
            yield name, source[name].chunks
        return
    schema = pq.read_schema(source)
    _check_there(schema, names)
    # Names that repeat are stored once; left so, they are counted without being spelled out.
    repeated = [name for name in names if pa.types.is_string(schema.field(name).type)]
    with pq.ParquetFile(source, read_dictionary=repeated) as file:
        pieces = _pieces([file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)])
        if len(pieces) > 1:
            for name in names:
                yield name, _read(file, pieces, name)
            return
        together = max(1, VALUES_AT_ONCE // max(1, file.metadata.num_rows))
        for start in range(0, len(names), together):
            some = names[start : start + together]
            table = file.read(columns=some, use_threads=False)
            for name in some:
                yield name, table[name].chunks


def _pieces(n_rows: Sequence[int]) -> list[list[int]]:
    """Row groups that are read together."""
    pieces: list[list[int]] = [[]]
    rows = 0
    for group, n in enumerate(n_rows):
        if pieces[-1] and rows + n > VALUES_AT_ONCE:
            pieces.append([])
            rows = 0
        pieces[-1].append(group)
        rows += n
    return pieces


def _read(file: pq.ParquetFile, pieces: Sequence[Sequence[int]], name: str) -> Iterator[pa.Array]:
    for groups in pieces:
        yield from file.read_row_groups([*groups], columns=[name], use_threads=False)[name].chunks


def _check_there(schema: pa.Schema, names: Sequence[str]) -> None:
    gone = [name for name in names if name not in schema.names]
    if gone:
        raise SchemaMismatch(
            f"There is no column {', '.join(map(repr, gone))}; the table has {len(schema.names)} others."
        )
