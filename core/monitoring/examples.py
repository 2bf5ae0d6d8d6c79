"""A few rows of a window that show what moved: for somebody who wants to see it with their own eyes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from core.drift.columns import sample
from core.monitoring import drift_queries, queries, window_queries
from core.monitoring.kept_rows import KeptRows, is_timed, rows_of_window, span_of
from core.monitoring.tables import DriftResult, Window
from core.registry import queries as registry
from core.serving.frames import AT, PREDICTION, PREDICTION_ID, feature_column
from core.workspace import Workspace

if TYPE_CHECKING:
    import pyarrow as pa

MAX_FILES = 3
MAX_ROWS = 100_000
OTHERS = 4


def example_rows(workspace: Workspace, result_id: int, *, n_rows: int = 8) -> list[dict[str, Any]]:
    """Rows of a window whose value lies where the window has most more than the reference.

    Parameters
    ----------
    result_id : int
        The `DriftResult` of the window and the feature, or of the prediction.
    n_rows : int
        How many at most.

    Returns
    -------
    list of dict
        JSON-like values by name: the time, the prediction id, the feature itself, the prediction and a few further
        features. The oldest rows of at most three files of the window, so it costs the same for any window. Empty
        where no row is kept or none lies there.

    Raises
    ------
    NotFound, ArtifactCorrupted
    """
    with workspace.read() as session:
        result = drift_queries.drift_result(session, result_id)
        window = window_queries.window(session, result.window_id)
        monitor = queries.monitor(session, window.monitor_id)
        signature = registry.version(session, window.version_id).signature
        kept = rows_of_window(workspace, session, monitor, window)
    names = [feature["name"] for feature in signature["features"]]
    others = [name for name in names if name != result.feature][:OTHERS]
    column = PREDICTION if result.is_prediction else feature_column(result.feature)
    shown_too = [PREDICTION_ID, *(feature_column(name) for name in others)]
    found: list[dict[str, Any]] = []
    for rows in _tables(kept, window, [column, *shown_too]):
        if column not in rows.column_names:
            continue
        at = np.flatnonzero(_telling(sample(rows[column], _kind(result, rows, column)), result.bins))
        for row in rows.take(at[: n_rows - len(found)]).to_pylist():
            known = {"Time": row.get(AT), "Prediction id": row.get(PREDICTION_ID)}
            shown = {name: value for name, value in known.items() if value is not None}
            shown |= {result.feature: row[column]} | {name: row.get(feature_column(name)) for name in others}
            found.append(shown)
        if len(found) >= n_rows:
            break
    return found


def _tables(kept: KeptRows, window: Window, columns: Sequence[str]) -> Iterator[pa.Table]:
    """The window's rows, file by file, of the first few files that hold any."""
    if is_timed(window):
        files = kept.files_of_span(span_of(window), columns)
    else:
        files = (kept.of_batch(one, [AT, *columns]) for one in kept.batches)
    for rows in islice(files, MAX_FILES):
        yield rows.slice(0, MAX_ROWS)


def _kind(result: DriftResult, rows: pa.Table, column: str) -> str:
    """The kind the column is kept as: a score is measured as a number where the answer itself is a class."""
    import pyarrow as pa

    text = pa.types.is_string(rows[column].type)
    return "category" if text else result.column_kind


def _telling(values: Any, bins: Mapping[str, Any]) -> Any:
    """Which values lie where the window has most more than the reference; none where nothing is told."""
    if values.dtype == object:
        missing = np.array([value is None for value in values.tolist()], dtype=bool)
    else:
        missing = np.isnan(values)
    if not bins:
        return np.zeros(len(values), dtype=bool)
    excess = np.subtract(bins.get("current", []), bins.get("reference", []))
    more_missing = float(bins.get("current_missing", 0.0)) - float(bins.get("reference_missing", 0.0))
    if len(excess) == 0 or more_missing > float(excess.max()):
        return missing
    place = int(excess.argmax())
    if values.dtype == object:
        named = set(bins.get("values", []))
        wanted = bins["values"][place] if "values" in bins else None
        if values.tolist() and wanted is not None and wanted.endswith(" others") and wanted not in values.tolist():
            return np.array([value is not None and value not in named for value in values.tolist()], dtype=bool)
        return np.array([value == wanted for value in values.tolist()], dtype=bool)
    edges = bins.get("edges", [])
    if not edges:
        return np.zeros(len(values), dtype=bool)
    low = -np.inf if place == 0 else edges[place]
    high = np.inf if place == len(edges) - 2 else edges[place + 1]
    return ~missing & (values >= low) & (values < high)
