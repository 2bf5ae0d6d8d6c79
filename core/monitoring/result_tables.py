"""Every stored figure of a monitor as tables, for whoever takes them along."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy
from sqlmodel import Session, col

from core.monitoring.tables import DriftResult, PerformanceResult, Window
from core.registry.tables import ModelVersion

if TYPE_CHECKING:
    import pyarrow as pa


def drift_table(session: Session, monitor_id: int) -> pa.Table:
    """A row for each column, window and slice, oldest window first."""
    return _table(
        session,
        monitor_id,
        DriftResult,
        [
            col(DriftResult.slice),
            col(DriftResult.feature),
            col(DriftResult.is_prediction),
            col(DriftResult.test),
            col(DriftResult.effect),
            col(DriftResult.threshold),
            col(DriftResult.pvalue),
            col(DriftResult.state),
            col(DriftResult.effect_before),
            col(DriftResult.n_reference),
            col(DriftResult.n_current),
        ],
    )


def performance_table(session: Session, monitor_id: int) -> pa.Table:
    """A row for each window, slice, metric and source, oldest window first."""
    return _table(
        session,
        monitor_id,
        PerformanceResult,
        [
            col(PerformanceResult.slice),
            col(PerformanceResult.key).label("metric"),
            col(PerformanceResult.source),
            col(PerformanceResult.value),
            col(PerformanceResult.low),
            col(PerformanceResult.high),
            col(Window.n_rows),
            col(PerformanceResult.n_labelled),
            col(PerformanceResult.n_expected),
            col(PerformanceResult.note),
        ],
    )


def _table(
    session: Session, monitor_id: int, results: type[DriftResult | PerformanceResult], figures: list[Any]
) -> pa.Table:
    """The window and version each result is of, then its figures."""
    import pyarrow as pa

    query: Any = (
        sqlalchemy.select(
            col(Window.label).label("window"),
            col(Window.from_at).label("from"),
            col(Window.to_at).label("to"),
            col(ModelVersion.number).label("version"),
            *figures,
        )
        .select_from(results)
        .join(Window, col(Window.id) == col(results.window_id))
        .join(ModelVersion, col(ModelVersion.id) == col(Window.version_id))
        .where(col(Window.monitor_id) == monitor_id)
        .order_by(col(Window.from_at), col(Window.id), col(results.id))
    )
    found = session.connection().execute(query)
    names = list(found.keys())
    columns = list(zip(*found, strict=True)) or [()] * len(names)
    return pa.table({name: pa.array(list(values)) for name, values in zip(names, columns, strict=True)})
