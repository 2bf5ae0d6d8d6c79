"""Reads of figures about whole windows: performance by metric and source, and measures beside drift by column."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy
from sqlmodel import Session, case, col, select

from core.datasets.tables import EvaluationSet
from core.evaluation.tables import Evaluation, MetricValue
from core.monitoring import window_queries
from core.monitoring.tables import Monitor, PerformanceResult, Source, Window, WindowMeasure
from core.monitoring.window_queries import of_current_length
from core.registry.tables import ModelVersion

if TYPE_CHECKING:
    pass


@dataclass(frozen=True)
class PerformanceRow:
    """One metric of one window and its 95 % interval.

    Parameters
    ----------
    source : str
        A `Source`: realised from labels that have arrived, estimated without them, or corrected from both.
    note : str
        Why it is not to be believed; "" where nothing speaks against it.
    """

    window_id: int
    window: str
    from_at: datetime
    version_id: int
    n_rows: int
    key: str
    value: float
    low: float | None
    high: float | None
    n_labelled: int
    source: str
    n_expected: int | None
    note: str


def performance_keys(session: Session, monitor_id: int, *, part: str = "") -> list[str]:
    """Keys of the metrics that any window of a monitor has, in a slice or ("") of all rows."""
    query = (
        select(PerformanceResult.key)
        .join(Window, col(Window.id) == col(PerformanceResult.window_id))
        .where(col(Window.monitor_id) == monitor_id, col(PerformanceResult.slice) == part)
        .distinct()
        .order_by(col(PerformanceResult.key))
    )
    return list(session.exec(query))


def performance(
    session: Session,
    monitor_id: int,
    *,
    key: str | None = None,
    part: str = "",
    since: datetime | None = None,
    limit: int | None = None,
) -> list[PerformanceRow]:
    """The metrics of every window that has one, oldest window first, then by metric and source.

    Parameters
    ----------
    key : str, optional
        Only this metric.
    part : str
        The slice; "" for all rows.
    since : datetime, optional
        Only windows that begin then or later.
    limit : int, optional
        So many rows at most, the newest.
    """
    query: Any = (  # more columns than the typed overloads know
        sqlalchemy.select(
            col(PerformanceResult.window_id),
            col(PerformanceResult.key),
            col(PerformanceResult.value),
            col(PerformanceResult.low),
            col(PerformanceResult.high),
            col(PerformanceResult.n_labelled),
            col(PerformanceResult.source),
            col(PerformanceResult.n_expected),
            col(PerformanceResult.note),
        )
        .join(Window, col(Window.id) == col(PerformanceResult.window_id))
        .join(Monitor, col(Monitor.id) == col(Window.monitor_id))
        .where(col(Window.monitor_id) == monitor_id, of_current_length(), col(PerformanceResult.slice) == part)
        .order_by(
            col(Window.from_at).desc(),
            col(Window.id).desc(),
            col(PerformanceResult.key).desc(),
            col(PerformanceResult.source).desc(),
        )
    )
    if key is not None:
        query = query.where(col(PerformanceResult.key) == key)
    if since is not None:
        query = query.where(col(Window.from_at) >= since)
    if limit is not None:
        query = query.limit(limit)
    spans = {one.id: one for one in window_queries.spans(session, monitor_id)}
    found = []
    for window_id, *figures in list(session.connection().execute(query))[::-1]:
        of = spans[window_id]
        found.append(PerformanceRow(window_id, of.label, of.from_at, of.version_id, of.n_rows, *figures))
    return found


def newest_figure(session: Session, monitor_id: int, *, key: str, version_id: int) -> PerformanceRow | None:
    """A version's metric in its newest window that has one to be believed: from labels, else corrected, else estimated.

    Reads that one row; its ``window`` is the window's own label.
    """
    nearest_to_labels = {Source.REALISED: 0, Source.CORRECTED: 1, Source.ESTIMATED: 2}
    query = (
        select(PerformanceResult, Window)
        .join(Window, col(Window.id) == col(PerformanceResult.window_id))
        .join(Monitor, col(Monitor.id) == col(Window.monitor_id))
        .where(
            col(Window.monitor_id) == monitor_id,
            col(Window.version_id) == version_id,
            of_current_length(),
            col(PerformanceResult.key) == key,
            col(PerformanceResult.slice) == "",
            col(PerformanceResult.note) == "",
        )
        .order_by(
            col(Window.from_at).desc(),
            col(Window.id).desc(),
            case(nearest_to_labels, value=col(PerformanceResult.source), else_=len(nearest_to_labels)),
        )
        .limit(1)
    )
    found = session.exec(query).first()
    if found is None:
        return None
    row, of = found
    return PerformanceRow(
        of.id or 0, of.label, of.from_at, of.version_id, of.n_rows, row.key, row.value, row.low, row.high,
        row.n_labelled, row.source, row.n_expected, row.note,
    )  # fmt: skip


def evaluated(session: Session, monitor_id: int, *, key: str) -> tuple[float, float, float] | None:
    """A metric with its interval on the fixed evaluation set, of the version of the newest window.

    Returns
    -------
    (value, low, high) or None
        None where that version has no such figure.
    """
    query = (
        select(MetricValue)
        .join(Evaluation, col(Evaluation.id) == col(MetricValue.evaluation_id))
        .join(EvaluationSet, col(EvaluationSet.id) == col(Evaluation.evaluation_set_id))
        .join(ModelVersion, col(ModelVersion.run_id) == col(Evaluation.run_id))
        .join(Window, col(Window.version_id) == col(ModelVersion.id))
        .where(col(Window.monitor_id) == monitor_id, col(EvaluationSet.kind) == "fixed", col(MetricValue.key) == key)
        .order_by(col(Window.from_at).desc(), col(Window.id).desc())
        .limit(1)
    )
    found = session.exec(query).first()
    if found is None or found.low is None or found.high is None:
        return None
    return found.value, found.low, found.high


def window_measures(session: Session, window_id: int) -> list[WindowMeasure]:
    """Figures about a whole window beside drift column by column."""
    query = select(WindowMeasure).where(col(WindowMeasure.window_id) == window_id).order_by(col(WindowMeasure.id))
    return list(session.exec(query))


def measures_over_time(
    session: Session, monitor_id: int, *, kind: str, since: datetime | None = None
) -> list[tuple[str, WindowMeasure]]:
    """One figure about each window that has it, with the window's label, oldest first; from a moment on if asked."""
    spans = {one.id: one for one in window_queries.spans(session, monitor_id) if since is None or one.from_at >= since}
    query = select(WindowMeasure).where(col(WindowMeasure.window_id).in_(list(spans)), col(WindowMeasure.kind) == kind)
    found = {one.window_id: one for one in session.exec(query)}
    return [(label, found[window_id]) for window_id, label, *_ in spans.values() if window_id in found]
