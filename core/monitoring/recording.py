"""Recording computed windows, and the alerts they open or close.

A year of days with a hundred features is seconds of writing, and SQLite has one writer. So all but the last windows are
written ahead of the job's own transaction, in pieces between which others write. A window with its results and alerts
is always within one piece: a job that dies leaves whole windows, and its next attempt writes the same ones again.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import insert
from sqlmodel import Session, col, delete, select

from core.jobs.context import JobContext
from core.monitoring import queries
from core.monitoring.label_maturity import put_arrivals, put_expected
from core.monitoring.labels import mark_known
from core.monitoring.one_window import ComputedWindow
from core.monitoring.tables import DriftResult, Monitor, PerformanceResult, Window, WindowMeasure, WindowState
from core.monitoring.window_alerts import follow_window, live_version
from core.monitoring.window_drift import MeasuredColumn
from core.monitoring.windows import COUNT
from core.permissions import Actor

PIECE_RESULTS = 1_500
"""How many results are written at once, a quarter of a second; a window with more is written alone."""
PAUSE_S = 0.05
"""Between two pieces: whoever waits for the database asks again at most so much later."""


def record_ahead(
    context: JobContext, *, monitor_id: int, windows: Sequence[ComputedWindow]
) -> Sequence[ComputedWindow]:
    """Write all but the last of many windows, in pieces that others can write between.

    Returns
    -------
    sequence of ComputedWindow
        What is left to `record_windows`, within the block that records the job's outcome.

    Raises
    ------
    StaleRevision, JobCancelled
        As `JobContext.record`. What was written by then stays: whole windows, as any later computation has them.
    """
    *pieces, rest = _pieces(windows)
    for piece in pieces:
        with context.ahead() as session:
            monitor = queries.monitor(session, monitor_id)
            _write(session, monitor, piece, context.actor, context.now())
        time.sleep(PAUSE_S)
    return rest


def record_windows(
    session: Session, *, monitor: Monitor, windows: Sequence[ComputedWindow], actor: Actor, now: datetime
) -> list[Window]:
    """Write windows in place of what they were before; an older computation never replaces a newer one.

    Many are written ahead in pieces first (`record_ahead`). Alerts are opened and closed with an audit event each; the
    figures themselves are telemetry. Asks for no permission: whoever enqueued the job was asked.

    Returns
    -------
    list of Window
        Those that were written.
    """
    written = _write(session, monitor, windows, actor, now)
    put_expected(session, monitor, now=now)
    return written


def _pieces(windows: Sequence[ComputedWindow]) -> Iterator[list[ComputedWindow]]:
    """Windows that are written together, in their order; at least one piece, which may be empty."""
    piece: list[ComputedWindow] = []
    n_results = 0
    for window in windows:
        n = len(window.columns) + len(window.sliced)
        if piece and n_results + n > PIECE_RESULTS:
            yield piece
            piece, n_results = [], 0
        piece.append(window)
        n_results += n
    yield piece


def _write(
    session: Session, monitor: Monitor, windows: Sequence[ComputedWindow], actor: Actor, now: datetime
) -> list[Window]:
    assert monitor.id is not None
    live_now = live_version(session, monitor)
    written = []
    for computed in windows:
        window = session.exec(
            select(Window).where(
                col(Window.monitor_id) == monitor.id,
                col(Window.version_id) == computed.version_id,
                col(Window.length) == computed.length,
                col(Window.label) == computed.span.label,
            )
        ).first()
        if window is not None and window.read_at > computed.read_at:
            continue
        if window is None and _overlaps(session, monitor.id, computed):
            continue
        window = _put_window(session, monitor.id, window, computed, now)
        _put_results(session, window, computed)
        follow_window(
            session,
            monitor=monitor,
            window=window,
            firings=computed.firings,
            judged=computed.judged,
            is_live=computed.version_id == live_now,
            actor=actor,
            now=now,
        )
        written.append(window)
    mark_known(session, model_id=monitor.model_id, ids={one for done in windows for one in done.performance.matched})
    return written


def _overlaps(session: Session, monitor_id: int, computed: ComputedWindow) -> bool:
    """Whether a window by rows was meanwhile closed over some of the same days: its rows are counted there."""
    if not computed.length.startswith(COUNT):
        return False
    query = select(Window.id).where(
        col(Window.monitor_id) == monitor_id,
        col(Window.version_id) == computed.version_id,
        col(Window.length) == computed.length,
        col(Window.n_rows) > 0,
        col(Window.from_at) < computed.span.to_at,
        col(Window.to_at) > computed.span.from_at,
    )
    return session.exec(query).first() is not None


def _put_window(
    session: Session, monitor_id: int, window: Window | None, computed: ComputedWindow, now: datetime
) -> Window:
    features = [column for column in computed.columns if not column.is_prediction]
    values: dict[str, Any] = {
        "from_at": computed.span.from_at,
        "to_at": computed.span.to_at,
        "season": computed.season,
        "n_rows": computed.n_rows,
        "n_features": len(features),
        "n_drifted": sum(column.state is WindowState.DRIFTED for column in features),
        "state": computed.state.value,
        "computed_at": now,
        "read_at": computed.read_at,
    }
    if window is None:
        window = Window(
            monitor_id=monitor_id,
            version_id=computed.version_id,
            length=computed.length,
            label=computed.span.label,
            **values,
        )
    else:
        for name, value in values.items():
            setattr(window, name, value)
    session.add(window)
    session.flush()
    return window


def _put_results(session: Session, window: Window, computed: ComputedWindow) -> None:
    assert window.id is not None
    session.exec(delete(DriftResult).where(col(DriftResult.window_id) == window.id))
    session.exec(delete(PerformanceResult).where(col(PerformanceResult.window_id) == window.id))
    rows = [_result(window.id, column) for column in (*computed.columns, *computed.sliced)]
    if rows:
        session.connection().execute(insert(DriftResult), rows)
    figures = [{"window_id": window.id, **asdict(one)} for one in computed.performance.figures]
    if figures:
        session.connection().execute(insert(PerformanceResult), figures)
    put_arrivals(session, window.id, computed.performance.arrivals)
    if computed.together is not None:
        session.exec(delete(WindowMeasure).where(col(WindowMeasure.window_id) == window.id))
        measures = [{"window_id": window.id, **asdict(one)} for one in computed.together]
        if measures:
            session.connection().execute(insert(WindowMeasure), measures)


def _result(window_id: int, column: MeasuredColumn) -> dict[str, Any]:
    judgement, before = column.judgement, column.before
    return {
        "window_id": window_id,
        "slice": column.slice,
        "feature": column.name,
        "column_kind": str(column.kind),
        "is_prediction": column.is_prediction,
        "test": judgement.outcome.test,
        "effect": judgement.outcome.effect,
        "statistic": judgement.outcome.statistic,
        "pvalue": column.pvalue,
        "pvalue_corrected": column.pvalue_corrected,
        "threshold": judgement.threshold,
        "exceeded": judgement.exceeded,
        "state": column.state.value,
        "n_reference": column.measure.n_reference,
        "n_current": column.measure.n_current,
        "effect_before": None if before is None else before.effect,
        "pvalue_before": None if before is None else before.pvalue,
        "state_before": "" if before is None else before.state.value,
        "tests": column.tests(),
        "bins": column.measure.bins,
    }
