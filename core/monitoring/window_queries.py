"""Reads of a monitor's windows: those of the length it has now, the newest of each monitor, what they are called."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy
from sqlalchemy import ColumnElement, String, and_, case, cast, literal, or_
from sqlmodel import Session, col, func, select

from core.errors import NotFound
from core.monitoring.tables import Monitor, Window, WindowState
from core.monitoring.windows import BATCH, COUNT
from core.registry.tables import ModelVersion

DECIDED = (WindowState.QUIET, WindowState.DRIFTED)


class WindowSpan(NamedTuple):
    """What figures over many windows need of each; a tuple, for a year of days is hundreds of them.

    Parameters
    ----------
    label : str
        With its version where two versions share it: "2012-06 (v2)".
    """

    id: int
    label: str
    from_at: datetime
    to_at: datetime
    version_id: int
    n_rows: int


def state_sentence(window: Window | None, *, min_rows: int) -> str:
    """Put the newest window's state in words; silence is never called health."""
    if window is None:
        return "No data yet: nothing was scored or uploaded since it went live."
    match window.state:
        case WindowState.DRIFTED:
            if window.n_drifted == 0:
                return f"The predictions drifted in {window.label}; no single feature did."
            return f"{window.n_drifted} of {window.n_features} features drifted in {window.label}."
        case WindowState.NOT_ENOUGH_DATA:
            return f"Not enough data in {window.label}: {window.n_rows:,} rows, {min_rows:,} are needed."
        case WindowState.QUIET:
            return f"No drift in {window.label}."
        case _:
            return f"{window.label} is being computed."


def windows(session: Session, monitor_id: int) -> list[Window]:
    """A monitor's windows of the length it has now, and batches without times, oldest first."""
    query = (
        select(Window)
        .join(Monitor, col(Monitor.id) == col(Window.monitor_id))
        .where(col(Window.monitor_id) == monitor_id, of_current_length())
        .order_by(col(Window.from_at), col(Window.id))
    )
    return list(session.exec(query))


def drifted_counts(session: Session, monitor_id: int, *, limit: int) -> list[int]:
    """How many features drifted in each of a monitor's newest windows, oldest first."""
    query = (
        select(Window.n_drifted)
        .join(Monitor, col(Monitor.id) == col(Window.monitor_id))
        .where(col(Window.monitor_id) == monitor_id, of_current_length())
        .order_by(col(Window.from_at).desc(), col(Window.id).desc())
        .limit(limit)
    )
    return list(session.exec(query))[::-1]


def n_windows(session: Session, monitor_id: int) -> int:
    """How many windows of the length it has now a monitor has."""
    query = (
        select(func.count(col(Window.id)))
        .join(Monitor, col(Monitor.id) == col(Window.monitor_id))
        .where(col(Window.monitor_id) == monitor_id, of_current_length())
    )
    return session.exec(query).one()


def spans(session: Session, monitor_id: int, *, limit: int | None = None) -> list[WindowSpan]:
    """A monitor's windows of the length it has now, oldest first, each told apart from the others by its label.

    Parameters
    ----------
    limit : int, optional
        So many at most, the newest; they are called as among all.
    """
    query: Any = (  # more columns than the typed overloads know
        sqlalchemy.select(
            col(Window.id),
            col(Window.label),
            col(Window.from_at),
            col(Window.to_at),
            col(Window.version_id),
            col(Window.n_rows),
        )
        .join(Monitor, col(Monitor.id) == col(Window.monitor_id))
        .where(col(Window.monitor_id) == monitor_id, of_current_length())
        .order_by(col(Window.from_at), col(Window.id))
    )
    found = [WindowSpan(*row) for row in session.connection().execute(query).all()]
    labels = window_labels(session, found)
    return [one._replace(label=labels[one.id]) for one in found[-limit if limit else 0 :]]


def window(session: Session, window_id: int) -> Window:
    """One window.

    Raises
    ------
    NotFound
    """
    found = session.get(Window, window_id)
    if found is None:
        raise NotFound("window", window_id, "Open the monitor and choose one of its windows.")
    return found


def window_labels(session: Session, shown: Sequence[Window] | Sequence[WindowSpan]) -> dict[int, str]:
    """Labels by window id; where two versions share one, each says its version: "2012-06 (v2)"."""
    counts: dict[str, int] = {}
    for row in shown:
        counts[row.label] = counts.get(row.label, 0) + 1
    numbers: dict[int, int] = {}
    if any(count > 1 for count in counts.values()):
        query = select(ModelVersion.id, ModelVersion.number).where(
            col(ModelVersion.id).in_({row.version_id for row in shown})
        )
        numbers = {version_id: number for version_id, number in session.exec(query) if version_id is not None}
    return {
        row.id or 0: row.label if counts[row.label] == 1 else f"{row.label} (v{numbers[row.version_id]})"
        for row in shown
    }


def newest_windows(session: Session) -> tuple[dict[int, Window], dict[int, Window]]:
    """The newest window of each monitor, and the newest with enough data, by monitor; in one statement.

    Where versions share a span, that of the version computed last.
    """
    decided = col(Window.state).in_(DECIDED)
    newest_first = (col(Window.from_at).desc(), col(Window.computed_at).desc(), col(Window.id).desc())
    rank = func.row_number().over(partition_by=(col(Window.monitor_id), decided), order_by=newest_first).label("rank")
    ranked = (
        select(col(Window.id).label("window_id"), rank)
        .join(Monitor, col(Monitor.id) == col(Window.monitor_id))
        .where(of_current_length())
        .subquery()
    )
    query = (
        select(Window)
        .join(ranked, ranked.c.window_id == col(Window.id))
        .where(ranked.c.rank == 1)
        .order_by(col(Window.from_at), col(Window.computed_at), col(Window.id))
    )
    rows = list(session.exec(query))
    return {row.monitor_id: row for row in rows}, {row.monitor_id: row for row in rows if row.state in DECIDED}


def of_current_length() -> ColumnElement[bool]:
    """Windows cut as the monitor cuts now, with rows: others stay stored for their alerts alone.

    Those are months computed before it was set to weeks, and windows whose rows came to nothing.
    """
    by_rows = literal(f"{COUNT} ") + cast(col(Monitor.window_rows), String)
    length = case((col(Monitor.window) == COUNT, by_rows), else_=col(Monitor.window))
    return and_(col(Window.n_rows) > 0, or_(col(Window.length) == BATCH, col(Window.length) == length))
