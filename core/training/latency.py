"""How long a model takes to answer, measured on the machine that trained it. Pure but for the clock."""

from __future__ import annotations

import itertools
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from core.datasets.tables import ColumnKind
from core.training.frames import frame_from_table
from core.training.models import FittedModel

if TYPE_CHECKING:
    import pyarrow as pa

WARMING_CALLS = 3
ONE_ROW_CALLS = 50
MANY_ROWS, MANY_ROWS_CALLS = 1000, 3


def measure_latency(model: FittedModel, table: pa.Table) -> dict[str, Any] | None:
    """Time a model as scoring calls it: rows of JSON values, checked against the signature, then predicted.

    Parameters
    ----------
    model : FittedModel
    table : pyarrow.Table
        Rows to ask about, such as those it was fitted on; a call takes one after the other and begins again.

    Returns
    -------
    dict or None
        ``{"one_row_ms", "one_row_p95_ms", "thousand_rows_ms", "n_calls"}``: median and 95th percentile of ``n_calls``
        calls with one row each, after a few that are not counted, and the median of three calls with 1,000 rows.
        Network and prediction log come on top. None where the table has no row that scoring would accept.
    """
    rows = _rows(model, table)
    if not rows:
        return None
    following = itertools.cycle(rows)
    for _ in range(WARMING_CALLS):
        model.predict_rows([next(following)])
    alone = [_timed_ms(model, [next(following)]) for _ in range(ONE_ROW_CALLS)]
    together = [_timed_ms(model, list(itertools.islice(following, MANY_ROWS))) for _ in range(MANY_ROWS_CALLS)]
    return {
        "one_row_ms": float(np.median(alone)),
        "one_row_p95_ms": float(np.quantile(alone, 0.95)),
        "thousand_rows_ms": float(np.median(together)),
        "n_calls": ONE_ROW_CALLS,
    }


def _timed_ms(model: FittedModel, rows: list[dict[str, Any]]) -> float:
    started = time.perf_counter()
    model.predict_rows(rows)
    return 1000 * (time.perf_counter() - started)


def _rows(model: FittedModel, table: pa.Table) -> list[dict[str, Any]]:
    """The table's rows as a caller would send them; those with a null that scoring would refuse are left out."""
    features = model.signature["features"]
    frame = frame_from_table(table, features)
    columns = [_values(frame[entry["name"]], entry["kind"]) for entry in features]
    names, needed = [entry["name"] for entry in features], [not entry["nullable"] for entry in features]
    return [
        dict(zip(names, values, strict=True))
        for values in zip(*columns, strict=True)
        if not any(value is None and need for value, need in zip(values, needed, strict=True))
    ]


def _values(column: Any, kind: str) -> list[Any]:
    missing = column.isna()
    if kind in (ColumnKind.DATE, ColumnKind.TIMESTAMP):
        column = column.dt.strftime("%Y-%m-%dT%H:%M:%S")
    converted = map(bool, column) if kind == ColumnKind.BOOLEAN else iter(column)
    return [None if gone else value for value, gone in zip(converted, missing, strict=True)]
