"""One pass over a version: what each column holds, in numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from core.datasets.content import Kinds
from core.datasets.rowhash import row_hashes
from core.datasets.tables import ColumnKind

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
BINS = 30
TOP_VALUES = 20
LONGEST_SHOWN = 200
SAFE_TO_SQUARE = 1e140


def profile(table: pa.Table, kinds: Kinds, *, n_evaluation_rows: int) -> dict[str, Any]:
    """Describe a table as a JSON document.

    Parameters
    ----------
    n_evaluation_rows : int
        Rows that equal one of the dataset's fixed evaluation set.

    Returns
    -------
    dict
        "n_rows", "n_duplicate_rows" (rows that equal an earlier one), "n_evaluation_rows" and "columns"; each column
        has "name", "kind", "n_missing", "share_missing", "n_distinct" (missing left out), and, null where they do not
        apply: "min" and "max" (ISO text for dates), "mean", "std" (n - 1; null for one value), "quantiles",
        "histogram" of equal widths from min to max, "top" values by count.
    """
    hashes = row_hashes(table, table.column_names)
    return {
        "n_rows": table.num_rows,
        "n_duplicate_rows": table.num_rows - len(np.unique(hashes)),
        "n_evaluation_rows": n_evaluation_rows,
        "columns": [_column(name, kind, table[name].combine_chunks()) for name, kind in kinds],
    }


def _column(name: str, kind: ColumnKind, array: pa.Array) -> dict[str, Any]:
    described: dict[str, Any] = {
        "name": name,
        "kind": kind.value,
        "n_missing": int(array.null_count),
        "share_missing": array.null_count / len(array) if len(array) else 0.0,
        "n_distinct": 0,
        "min": None,
        "max": None,
        "mean": None,
        "std": None,
        "quantiles": None,
        "histogram": None,
        "top": None,
    }
    present = array.drop_null()
    if len(present) == 0:
        return described
    if kind in (ColumnKind.INTEGER, ColumnKind.NUMBER):
        described |= _numbers(np.sort(present.to_numpy(zero_copy_only=False)))
    elif kind in (ColumnKind.DATE, ColumnKind.TIMESTAMP):
        ends = pc.min_max(present).as_py()
        described |= {
            "min": ends["min"].isoformat(),
            "max": ends["max"].isoformat(),
            "n_distinct": int(pc.count_distinct(present).as_py()),
        }
    else:
        described |= _values(present)
    return described


def _numbers(ordered: NDArray[Any]) -> dict[str, Any]:
    low, high = ordered[0].item(), ordered[-1].item()
    floats = ordered.astype(np.float64)
    # The sum of squares of huge values overflows, so those are scaled first; others stay as they are, to the last bit.
    largest = max(abs(float(low)), abs(float(high)))
    scale = largest if largest > SAFE_TO_SQUARE else 1.0
    scaled = floats / scale
    quantiles = np.quantile(scaled, QUANTILES) * scale
    return {
        "n_distinct": int((ordered[1:] != ordered[:-1]).sum()) + 1,
        "min": low,
        "max": high,
        "mean": float(scaled.mean()) * scale,
        "std": _finite(float(scaled.std(ddof=1)) * scale) if len(ordered) > 1 else None,
        "quantiles": {str(share): float(value) for share, value in zip(QUANTILES, quantiles, strict=True)},
        "histogram": _histogram(scaled, scale),
    }


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None


def _histogram(ordered: NDArray[np.float64], scale: float) -> dict[str, Any] | None:
    low, high = float(ordered[0]), float(ordered[-1])
    whole = scale == 1 and bool((ordered == np.floor(ordered)).all()) and high - low < BINS
    if low == high:
        edges = np.array([low - 0.5, high + 0.5])
    elif whole:
        edges = np.arange(low - 0.5, high + 1.0)
    else:
        edges = np.linspace(low, high, BINS + 1)
    shown = [float(edge) * scale for edge in edges]
    if not (np.diff(edges) > 0).all() or not np.isfinite(shown).all():
        return None
    below = np.searchsorted(ordered, edges[1:-1], side="left")
    counts = np.diff(np.concatenate(([0], below, [len(ordered)])))
    return {"edges": shown, "counts": counts.tolist()}


def _values(present: pa.Array) -> dict[str, Any]:
    counted = pc.value_counts(present.cast(pa.string()))
    values, counts = counted.field(0).to_pylist(), counted.field(1).to_numpy(zero_copy_only=False)
    order = sorted(range(len(values)), key=lambda i: (-int(counts[i]), values[i]))[:TOP_VALUES]
    return {
        "n_distinct": len(values),
        "top": [{"value": values[i][:LONGEST_SHOWN], "count": int(counts[i])} for i in order],
    }
