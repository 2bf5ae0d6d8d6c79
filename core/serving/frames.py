"""How logged and scored rows are kept: one Parquet layout for log segments and batches. PURE.

Features carry a prefix, because one may be called "prediction" or "at".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from core.datasets.tables import ColumnKind

if TYPE_CHECKING:
    import pyarrow as pa

PREDICTION_ID, AT, LATENCY_MS, PREDICTION, LABEL = "prediction_id", "at", "latency_ms", "prediction", "label"


def feature_column(name: str) -> str:
    """Where a feature is kept: "feature:hours"."""
    return f"feature:{name}"


def score_column(label: str) -> str:
    """Where the score of a class is kept: "score:>50K"."""
    return f"score:{label}"


def predictions_table(
    signature: Mapping[str, Any],
    *,
    rows: Sequence[Mapping[str, Any]],
    ids: Sequence[str],
    at: Sequence[datetime],
    latency_ms: Sequence[float],
    predictions: Sequence[str | float],
    scores: Sequence[Sequence[float] | None],
) -> pa.Table:
    """Lay out answered rows as they are kept.

    Parameters
    ----------
    signature : mapping
        The answering version's.
    rows : sequence of mappings of length n
        JSON values by feature, already checked (`inputs.check_rows`).
    ids, at, latency_ms, predictions, scores : sequences of length n
        Scores in the order of the signature's classes, None for regression.

    Returns
    -------
    pyarrow.Table
        The same bytes for the same rows when written.
    """
    import pyarrow as pa

    classes = signature["classes"]
    columns: dict[str, Any] = {
        PREDICTION_ID: pa.array(ids, pa.string()),
        AT: pa.array(at, pa.timestamp("us", tz="UTC")),
        LATENCY_MS: pa.array(latency_ms, pa.float64()),
        PREDICTION: pa.array(predictions, pa.string() if classes else pa.float64()),
    }
    for position, label in enumerate(classes or ()):
        columns[score_column(label)] = pa.array(
            [None if row is None else row[position] for row in scores], pa.float64()
        )
    for feature in signature["features"]:
        columns[feature_column(feature["name"])] = _feature([row.get(feature["name"]) for row in rows], feature["kind"])
    return pa.table(columns)


def to_parquet(table: pa.Table) -> bytes:
    """Write a table as one compressed Parquet file."""
    from io import BytesIO

    import pyarrow.parquet as pq

    out = BytesIO()
    pq.write_table(table, out, compression="zstd")
    return out.getvalue()


def _feature(values: list[Any], kind: str) -> pa.Array:
    import pyarrow as pa

    match ColumnKind(kind):
        case ColumnKind.INTEGER | ColumnKind.NUMBER:
            return pa.array([None if value is None else float(value) for value in values], pa.float64())
        case ColumnKind.BOOLEAN:
            return pa.array(values, pa.bool_())
        case ColumnKind.DATE | ColumnKind.TIMESTAMP:
            moments = [None if value is None else datetime.fromisoformat(value.strip()) for value in values]
            return pa.array([_naive_utc(moment) for moment in moments], pa.timestamp("us"))
        case _:
            return pa.array(values, pa.string())


def _naive_utc(moment: datetime | None) -> datetime | None:
    from datetime import UTC

    if moment is None or moment.tzinfo is None:
        return moment
    return moment.astimezone(UTC).replace(tzinfo=None)
