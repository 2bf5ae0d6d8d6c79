"""Reading what tells whether a window is a season come back: the same season in training, and in windows before.

Of the windows before only those of the same season are read, and one between that had not drifted: hourly windows of a
year are thousands. Of the training rows only those of the season are counted, once, and kept with the version.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import sqlalchemy
from sqlmodel import Session, col, func, select

from core.datasets.tables import ColumnKind, DatasetVersion
from core.errors import LifecycleError
from core.incidents.category_signs import apart, shares_of
from core.incidents.column_evidence import columns_of
from core.incidents.evidence import SeasonEvidence
from core.incidents.marking import Column
from core.incidents.samples import FEWEST, limit, samples_of
from core.incidents.seasons import (
    LAGS,
    Apart,
    Earlier,
    close_to,
    reference_evidence,
    season_evidence,
    season_words,
)
from core.incidents.shapes import Sketch, comparable
from core.incidents.window_rows import WindowRows
from core.monitoring.kept_rows import is_timed, span_of
from core.monitoring.reference import Some, reference_of
from core.monitoring.tables import DriftResult, Monitor, Season, Window, WindowState
from core.monitoring.windows import SEASONS_OF, season_of
from core.statistics.sketches import Counted
from core.training.tables import Run
from core.workspace import Workspace

DECIDED = (WindowState.QUIET, WindowState.DRIFTED)
MOMENTS = (ColumnKind.DATE, ColumnKind.TIMESTAMP)


def season_evidence_of(
    workspace: Workspace,
    session: Session,
    monitor: Monitor,
    window: Window,
    run: Run,
    *,
    results: Sequence[DriftResult],
    columns: Mapping[str, Column],
    current: Mapping[str, Sketch],
    rows: WindowRows,
) -> SeasonEvidence | None:
    """Whether the window looks as the same season looked before; None where nothing of that season is known.

    Parameters
    ----------
    results : sequence of DriftResult
        Of the window's features.
    columns : mapping of feature to Column
        Counted in all training rows and in the window.
    current : mapping of feature to Sketch
        The window's rows as they were counted.
    """
    drifted = [one for one in results if one.state == WindowState.DRIFTED]
    if not drifted or not is_timed(window):
        return None
    if monitor.season != Season.NONE:
        return SeasonEvidence(False, f"It is held against rows of the same {monitor.season} already.")
    before = season_evidence(
        window.from_at, window.to_at - window.from_at, drifted, _windows_of_the_season(session, window, drifted)
    )
    if before is not None and before.matches:
        return before
    whole = {one.feature: _distance(columns[one.feature]) for one in drifted if one.feature in columns}
    trained = _in_training(workspace, session, monitor, window, run, drifted, whole, current, rows)
    if trained is not None and trained.matches:
        return trained
    return before or trained


def _windows_of_the_season(session: Session, window: Window, drifted: Sequence[DriftResult]) -> list[Earlier]:
    """The windows of the same season before, and between each and this one a window in which all was quiet."""
    names = [one.feature for one in drifted]
    of_this = (
        col(Window.monitor_id) == window.monitor_id,
        col(Window.length) == window.length,
        col(Window.state).in_(DECIDED),
    )
    length = window.to_at - window.from_at
    found: dict[int, Window] = {}
    for _, lag, longest in LAGS:
        if length > longest:
            continue
        wanted, close = window.from_at - lag, close_to(lag, length)
        same = session.exec(
            select(Window).where(*of_this, Window.from_at >= wanted - close, Window.from_at <= wanted + close)
        ).all()
        if not same:
            continue
        quiet = (
            sqlalchemy.select(col(DriftResult.window_id))
            .join(Window, col(Window.id) == col(DriftResult.window_id))
            .where(
                *of_this,
                col(Window.from_at) > wanted + close,
                col(Window.from_at) < window.from_at,
                col(DriftResult.slice) == "",
                col(DriftResult.feature).in_(names),
                col(DriftResult.state) == WindowState.QUIET,
                col(DriftResult.is_prediction).is_(False),
            )
            .group_by(col(DriftResult.window_id))
            .having(func.count() == len(names))
            .limit(1)
        )
        away = session.connection().execute(quiet).scalar()
        if away is None:
            continue
        found |= {one.id or 0: one for one in [*same, session.get_one(Window, away)]}
    results = session.exec(
        select(DriftResult).where(
            col(DriftResult.window_id).in_(found),
            DriftResult.slice == "",
            col(DriftResult.feature).in_(names),
            col(DriftResult.is_prediction).is_(False),
        )
    ).all()
    return [
        Earlier(one.from_at, one.label, {result.feature: result for result in results if result.window_id == one.id})
        for one in sorted(found.values(), key=lambda one: one.from_at)
        if is_timed(one)
    ]


def _in_training(
    workspace: Workspace,
    session: Session,
    monitor: Monitor,
    window: Window,
    run: Run,
    drifted: Sequence[DriftResult],
    whole: Mapping[str, float | None],
    current: Mapping[str, Sketch],
    rows: WindowRows,
) -> SeasonEvidence | None:
    """Hold the window against the training rows of its season, where their own time is known."""
    answer = None
    for kind in SEASONS_OF[monitor.window]:
        column = _time_column(session, monitor, run, kind)
        if kind == Season.NONE or column is None:
            continue
        season = season_of(span_of(window).middle, kind)
        counted = _counted(workspace, window.version_id, Some(season, column))
        known = [one for one in drifted if comparable(counted.get(one.feature), current.get(one.feature))]
        beside = columns_of(known, counted, current, rows)
        found = [
            Apart(name, near, far, limit(*_sizes(column)))
            for name, column in beside.items()
            if (near := _distance(column)) is not None and (far := whole.get(name)) is not None
        ]
        if len(found) < len(drifted):
            continue
        told = reference_evidence(season_words(season), found)
        if told.matches:
            return told
        answer = answer or told
    return answer


def _time_column(session: Session, monitor: Monitor, run: Run, kind: str) -> str | None:
    """The column that says when a training row was: the monitor's, else the only one there is."""
    data = session.get(DatasetVersion, run.dataset_version_id)
    kinds = (ColumnKind.TIMESTAMP,) if kind == Season.HOUR else MOMENTS
    there = [str(one["name"]) for one in (data.columns if data else ()) if one["kind"] in kinds]
    if monitor.season_column in there:
        return monitor.season_column
    return there[0] if len(there) == 1 else None


def _counted(workspace: Workspace, version_id: int, some: Some) -> dict[str, Sketch]:
    """The training rows of a season by feature, counted and kept when they are first asked for."""
    try:
        counted = reference_of(workspace, version_id).sketches([some])[some]
    except LifecycleError:
        return {}  # the data is gone or damaged: unknown, not wrong
    return {name: sketch for (is_prediction, name), sketch in counted.items() if not is_prediction}


def _distance(column: Column) -> float | None:
    """How far the window's values lie from the others, in [0, 1]; None where either are few."""
    if min(_sizes(column)) < FEWEST:
        return None
    gone = abs(column.missing_now - column.missing_then)
    counted = column.counted
    if isinstance(counted, Counted):
        then, now = samples_of(counted)
        return max(gone, then.distance(now))
    return max(gone, apart(shares_of(counted.names, counted.reference), shares_of(counted.names, counted.current)))


def _sizes(column: Column) -> tuple[float, float]:
    return float(column.counted.reference.sum()), float(column.counted.current.sum())
