"""What a version is: its schema and values, hashed and stored the same whatever file they came in."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from core.artifacts import ArtifactStore, StoredArtifact
from core.datasets.inference import ARROW_TYPES
from core.datasets.rowhash import LARGEST_EXACT
from core.datasets.tables import ColumnKind
from core.errors import SchemaMismatch
from core.wording import enumerated

ROWS_PER_GROUP = 100_000
NAMED = 6
Kinds = Sequence[tuple[str, ColumnKind]]


def content_hash(table: pa.Table, kinds: Kinds) -> str:
    """SHA-256 over schema and values, in hexadecimal.

    Independent of the file format, its compression, chunks and encodings; dependent on the order of rows and columns,
    on names, kinds, missing cells and every bit of every value.

    Parameters
    ----------
    table : pyarrow.Table
    kinds : sequence of (name, ColumnKind)
        In the table's order.
    """
    digest = hashlib.sha256()
    schema = [[name, kind.value, str(table.schema.field(name).type)] for name, kind in kinds]
    digest.update(json.dumps([table.num_rows, schema], ensure_ascii=False).encode())
    for name, _ in kinds:
        array = table[name].combine_chunks()
        present = np.asarray(array.is_valid().to_numpy(zero_copy_only=False), dtype=np.bool_)
        digest.update(np.packbits(present).tobytes())
        if pa.types.is_string(array.type):
            filled = pc.fill_null(array, "")
            digest.update(np.asarray(pc.binary_length(filled), dtype="<i8").tobytes())
            coded = filled.dictionary_encode()
            words = [value.encode() for value in coded.dictionary.to_pylist()]
            codes = coded.indices.to_pylist()
            digest.update(b"".join([words[position] for position in codes]))
        elif pa.types.is_boolean(array.type):
            digest.update(np.packbits(pc.fill_null(array, False).to_numpy(zero_copy_only=False)).tobytes())
        elif pa.types.is_floating(array.type):
            digest.update(np.asarray(pc.fill_null(array, 0.0), dtype="<f8").tobytes())
        else:
            width = pa.int32() if pa.types.is_date32(array.type) else pa.int64()
            digest.update(np.asarray(pc.fill_null(array.cast(width), pa.scalar(0, width)), dtype="<i8").tobytes())
    return digest.hexdigest()


def store_table(store: ArtifactStore, table: pa.Table) -> StoredArtifact:
    """Keep a table as Parquet."""
    with store.writer() as (file, done):
        pq.write_table(table, file, compression="zstd", row_group_size=ROWS_PER_GROUP)
    return done[0]


def columns_json(kinds: Kinds) -> list[dict[str, Any]]:
    """Names and kinds as a version keeps them."""
    return [{"name": name, "kind": kind.value} for name, kind in kinds]


def kinds_of(columns: Sequence[dict[str, Any]]) -> list[tuple[str, ColumnKind]]:
    """Names and kinds of what a version keeps."""
    return [(column["name"], ColumnKind(column["kind"])) for column in columns]


def align(table: pa.Table, kinds: Kinds, parent: Kinds) -> tuple[pa.Table, list[tuple[str, ColumnKind]], list[str]]:
    """Give columns the kind they had in the version before, where that loses nothing.

    A month in which every amount happens to be whole stays a number; codes that happen to be digits stay a category.
    A column without any value takes the earlier kind. Where a value would be lost the file's kind stays.

    Returns
    -------
    table, kinds
        As aligned, in the file's order.
    changed : list of str
        Names of the columns that were.
    """
    wanted = dict(parent)
    aligned, new_kinds, changed = table, [], []
    for position, (name, kind) in enumerate(kinds):
        target = wanted.get(name, kind)
        column = None if target is kind else _as_kind(table[name], kind, target)
        if column is None:
            new_kinds.append((name, kind))
            continue
        aligned = aligned.set_column(position, name, column)
        new_kinds.append((name, target))
        changed.append(name)
    return aligned, new_kinds, changed


def _as_kind(column: pa.ChunkedArray, kind: ColumnKind, target: ColumnKind) -> pa.ChunkedArray | None:
    words = (ColumnKind.CATEGORY, ColumnKind.TEXT)
    if column.null_count == len(column) or (kind in words and target in words):
        return column.cast(ARROW_TYPES[target])
    if kind is ColumnKind.INTEGER and target in words:
        return column.cast(pa.string())
    if kind is ColumnKind.INTEGER and target is ColumnKind.NUMBER:
        large = pc.or_(pc.greater(column, LARGEST_EXACT), pc.less(column, -LARGEST_EXACT))
        return None if pc.any(large).as_py() else column.cast(pa.float64())
    return None


def append(parent: pa.Table, parent_kinds: Kinds, table: pa.Table, kinds: Kinds) -> pa.Table:
    """The rows of a version followed by those of a file.

    Raises
    ------
    SchemaMismatch
        The file's columns or kinds are not the version's.
    """
    before, after = dict(parent_kinds), dict(kinds)
    said = []
    if missing := [name for name in before if name not in after]:
        said.append(f"it lacks {enumerated([repr(name) for name in missing], NAMED)}")
    if extra := [name for name in after if name not in before]:
        said.append(f"it has {enumerated([repr(name) for name in extra], NAMED)}, which the version has not")
    for name, kind in before.items():
        if name in after and (
            after[name] is not kind or table.schema.field(name).type != parent.schema.field(name).type
        ):
            said.append(f"{name!r} is {after[name].value} and was {kind.value}")
    if said:
        raise SchemaMismatch(
            f"The file's rows cannot be added: {'; '.join(said[:6])}. Give a file with the same columns, choose other "
            "kinds when it is read, or let it replace the version."
        )
    return pa.concat_tables([parent, table.select(parent.column_names)]).combine_chunks()
