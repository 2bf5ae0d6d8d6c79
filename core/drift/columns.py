"""Columns as they are kept and as they are measured. PURE."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from core.datasets.tables import ColumnKind
from core.drift.drift_tests import NAMES, Sample
from core.drift.measuring import family_of
from core.statistics.sketches import text_lengths

if TYPE_CHECKING:
    import pyarrow as pa

# Values that tell whether a column repeats itself.
FIRST = 1_000


def kept(column: pa.ChunkedArray, kind: ColumnKind | str) -> pa.ChunkedArray:
    """A column in the one type its kind is kept in, so that files of different origin can be joined.

    Numbers become float64, dates and timestamps naive UTC microseconds, booleans stay, all else becomes text.
    """
    import pyarrow as pa

    from core.training.frames import class_labels

    match ColumnKind(kind):
        case ColumnKind.INTEGER | ColumnKind.NUMBER:
            return column.cast(pa.float64(), safe=False)
        case ColumnKind.DATE | ColumnKind.TIMESTAMP:
            return column.cast(pa.timestamp("us"), safe=False)
        case ColumnKind.BOOLEAN:
            return column.cast(pa.bool_())
        case _:
            return pa.chunked_array([pa.array(class_labels(column).tolist(), pa.string())])


def sample(column: pa.ChunkedArray, kind: ColumnKind | str, chosen: str | None = None) -> Sample:
    """A column as `measuring.measure` takes it.

    Parameters
    ----------
    chosen : str, optional
        Key of the value test that decides; a test of numbers turns a text column into the lengths of its texts.

    Returns
    -------
    ndarray of shape (n,)
        float64 with NaN for numbers, dates and timestamps (microseconds since 1970) and lengths (characters); str or
        None for all else.
    """
    import pyarrow as pa

    family = family_of(kind, chosen)
    if family == "length":
        return text_lengths(_spelled(column))
    if family in NAMES:
        return _spelled(column)
    if family == "time":
        column = column.cast(pa.timestamp("us"), safe=False).cast(pa.int64())
    numbers: NDArray[np.float64] = column.cast(pa.float64(), safe=False).to_numpy().astype(np.float64)
    return numbers


def _spelled(column: pa.ChunkedArray) -> Sample:
    """Names as `core.training.frames.class_labels` spells them; each once where they repeat, a quarter of the time."""
    import pyarrow as pa
    import pyarrow.compute as pc

    from core.training.frames import class_labels

    first = column.slice(0, FIRST)
    if 2 * len(first.unique()) > len(first):
        return class_labels(column)
    encoded = pc.dictionary_encode(column).combine_chunks()
    labels = np.append(class_labels(pa.chunked_array([encoded.dictionary])), np.array([None]))
    spelled: Sample = labels[pc.fill_null(encoded.indices, len(labels) - 1).to_numpy()]
    return spelled


def moments(column: pa.ChunkedArray) -> NDArray[Any]:
    """A time column as datetime64[us] in UTC, NaT where missing."""
    import pyarrow as pa

    times: NDArray[Any] = column.cast(pa.timestamp("us"), safe=False).to_numpy()
    return times
