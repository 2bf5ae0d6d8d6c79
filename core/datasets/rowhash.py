"""A row known by its values, across versions, column orders and file formats.

The hash of a row is 64 bits over the (name, value) pairs of the given columns; the order of rows and columns does not
matter, nor whether a whole number came as an integer or as a number. Two different rows of a million share one with
odds of about 1 in 30 million.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

LARGEST_EXACT = 2**53
_MISSING = np.uint64(0x9E3779B97F4A7C15)
_TRUE = np.uint64(0xBF58476D1CE4E5B9)


def row_hashes(table: pa.Table, columns: Sequence[str]) -> NDArray[np.uint64]:
    """Hash each row over some of its columns.

    Parameters
    ----------
    table : pyarrow.Table
    columns : sequence of str
        All present in the table; their order is irrelevant.

    Returns
    -------
    ndarray of uint64, shape (n_rows,)
    """
    total = np.zeros(table.num_rows, dtype=np.uint64)
    for name in columns:
        key = np.uint64(_text_hash(name.encode()))
        total += _mix(_value_hashes(table[name]) ^ key)
    return _mix(total)


def _mix(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Spread each value over all 64 bits (the finalizer of SplitMix64; Steele, Lea and Flood 2014)."""
    values = values + np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def _text_hash(text: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little")


def _value_hashes(column: pa.ChunkedArray) -> NDArray[np.uint64]:
    array = column.combine_chunks()
    missing = np.asarray(array.is_null().to_numpy(zero_copy_only=False))
    kind = array.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        coded = pc.fill_null(array, "").dictionary_encode()
        values = [_text_hash(value.encode()) for value in coded.dictionary.to_pylist()]
        codes = coded.indices.to_numpy(zero_copy_only=False)
        bits = np.array(values, dtype=np.uint64)[codes] if values else np.zeros(len(array), dtype=np.uint64)
    elif pa.types.is_boolean(kind):
        bits = pc.fill_null(array, False).to_numpy(zero_copy_only=False).astype(np.uint64) ^ _TRUE
    elif pa.types.is_floating(kind):
        # Adding zero turns -0.0 into 0.0, which is the same number.
        bits = (pc.fill_null(array, 0.0).to_numpy(zero_copy_only=False) + 0.0).view(np.uint64)
    elif pa.types.is_integer(kind):
        whole = pc.fill_null(array, 0).to_numpy(zero_copy_only=False).astype(np.int64)
        exact = (whole <= LARGEST_EXACT) & (whole >= -LARGEST_EXACT)
        bits = np.where(exact, whole.astype(np.float64).view(np.uint64), whole.view(np.uint64))
    else:
        bits = moments(array).view(np.uint64)
    return np.where(missing, _MISSING, _mix(bits))


def moments(array: pa.Array) -> NDArray[np.int64]:
    """Dates and timestamps as whole days or microseconds since 1970, 0 where missing."""
    width = pa.int32() if pa.types.is_date32(array.type) else pa.int64()
    filled = pc.fill_null(array.cast(width), pa.scalar(0, width))
    return np.asarray(filled.to_numpy(zero_copy_only=False), dtype=np.int64)
