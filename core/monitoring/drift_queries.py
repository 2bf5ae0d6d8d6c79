"""Reads of drift: the heat map's squares, one window column by column, one column slice by slice, evidence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import sqlalchemy
from sqlalchemy import case
from sqlmodel import Session, col, func, select

from core.errors import NotFound
from core.monitoring import window_queries
from core.monitoring.tables import DriftResult, Monitor, Window, WindowState
from core.monitoring.window_queries import DECIDED, WindowSpan, state_sentence
from core.registry.tables import RegisteredModel

if TYPE_CHECKING:
    pass


class WatchedColumn(NamedTuple):
    """A column of the heat map: what it is called, and whether it drifted in any of the map's windows.

    Parameters
    ----------
    is_prediction : bool
        The prediction is kept apart from a feature of its name.
    """

    feature: str
    is_prediction: bool
    drifted: bool


class DriftSquare(NamedTuple):
    """One square of the heat map: one column in one window; a tuple, for a year of days is thousands.

    Parameters
    ----------
    place : int
        Which of the map's windows.
    rank : int
        Which of the map's columns.
    effect : float or None
        None where too few rows gave none.
    threshold : float
        The smallest effect that counts.
    state : str
        A `WindowState`; "" against the window before where there is none.
    """

    place: int
    rank: int
    effect: float | None
    threshold: float
    state: str


@dataclass(frozen=True)
class DriftMap:
    """Drift over a monitor's newest windows: every column ranked, squares of those that moved most.

    Parameters
    ----------
    windows : tuple of WindowSpan
        Those that something was measured in, oldest first.
    columns : tuple of WatchedColumn
        All of them, by their largest effect in units of its threshold.
    first_drifted : str or None
        Label of the first window in which a column drifted, whether it is among those shown or not.
    squares : tuple of DriftSquare
        Of the first ``n_columns`` columns, in no order.
    """

    windows: tuple[WindowSpan, ...]
    columns: tuple[WatchedColumn, ...]
    first_drifted: str | None
    squares: tuple[DriftSquare, ...]


def drift_result(session: Session, result_id: int) -> DriftResult:
    """One column in one window.

    Raises
    ------
    NotFound
    """
    found = session.get(DriftResult, result_id)
    if found is None:
        raise NotFound("drift result", result_id, "The window was computed anew; open it again.")
    return found


def slices(session: Session, monitor_id: int) -> list[str]:
    """Names of the slices a monitor's windows were measured by, "sex=Female"; all rows ("") are not among them."""
    query = (
        select(DriftResult.slice)
        .join(Window, col(Window.id) == col(DriftResult.window_id))
        .where(col(Window.monitor_id) == monitor_id, col(DriftResult.slice) != "")
        .distinct()
        .order_by(col(DriftResult.slice))
    )
    return list(session.exec(query))


def drift_results(session: Session, window_id: int, *, part: str = "") -> list[DriftResult]:
    """A window's results, the prediction first, then features by how far they exceed what counts.

    Parameters
    ----------
    part : str
        The slice; "" for all rows.
    """
    query = (
        select(DriftResult)
        .where(col(DriftResult.window_id) == window_id, col(DriftResult.slice) == part)
        .order_by(
            col(DriftResult.is_prediction).desc(),
            (col(DriftResult.effect) / func.nullif(col(DriftResult.threshold), 0)).desc().nulls_last(),
            col(DriftResult.feature),
        )
    )
    return list(session.exec(query))


def feature_in_slices(session: Session, window_id: int, *, feature: str, is_prediction: bool) -> list[DriftResult]:
    """One column of a window in each slice, all rows first; empty where the window was not sliced."""
    query = (
        select(DriftResult)
        .where(
            col(DriftResult.window_id) == window_id,
            col(DriftResult.feature) == feature,
            col(DriftResult.is_prediction).is_(is_prediction),
        )
        .order_by(col(DriftResult.slice))
    )
    found = list(session.exec(query))
    return found if len(found) > 1 else []


def drift_map(
    session: Session, monitor_id: int, *, limit: int = 60, part: str = "", before: bool = False, n_columns: int = 20
) -> DriftMap:
    """Rank every column over the newest ``limit`` windows, and read the squares of the first ``n_columns``.

    Ranking is left to the database: of a hundred features over a year of days, four fifths of the squares are never
    drawn.

    Parameters
    ----------
    part : str
        The slice; "" for all rows.
    before : bool
        Against the window before in place of the reference.
    """
    spans = window_queries.spans(session, monitor_id, limit=limit)
    effect, state = (
        (col(DriftResult.effect_before), col(DriftResult.state_before))
        if before
        else (col(DriftResult.effect), col(DriftResult.state))
    )
    of_map = (col(DriftResult.window_id).in_([one.id for one in spans]), col(DriftResult.slice) == part)
    strength = func.max(func.coalesce(effect, 0.0) / func.coalesce(func.nullif(col(DriftResult.threshold), 0.0), 1.0))
    ranking: Any = (
        sqlalchemy.select(
            col(DriftResult.feature),
            col(DriftResult.is_prediction),
            strength.label("strength"),
            func.min(case((state == WindowState.DRIFTED, col(Window.from_at)))),
        )
        .join(Window, col(Window.id) == col(DriftResult.window_id))
        .where(*of_map)
        .group_by(col(DriftResult.feature), col(DriftResult.is_prediction))
        .order_by(sqlalchemy.desc("strength"), col(DriftResult.is_prediction).desc(), col(DriftResult.feature))
    )
    ranked = session.connection().execute(ranking).all()
    shown = {(feature, is_prediction): rank for rank, (feature, is_prediction, *_) in enumerate(ranked[:n_columns])}
    # What the index on squares holds: the documents are never read.
    query: Any = sqlalchemy.select(
        col(DriftResult.window_id),
        col(DriftResult.feature),
        col(DriftResult.is_prediction),
        effect,
        col(DriftResult.threshold),
        state,
    ).where(*of_map, col(DriftResult.feature).in_([feature for feature, _ in shown]))
    found = session.connection().execute(query).all() if shown else []
    measured = {window_id for window_id, *_ in found}
    windows = tuple(one for one in spans if one.id in measured)
    place_of = {one.id: place for place, one in enumerate(windows)}
    squares = tuple(
        DriftSquare(place_of[window_id], rank, *rest)
        for window_id, feature, is_prediction, *rest in found
        if (rank := shown.get((feature, is_prediction))) is not None
    )
    return DriftMap(
        windows=windows,
        columns=tuple(
            WatchedColumn(feature, is_prediction, first is not None) for feature, is_prediction, _, first in ranked
        ),
        first_drifted=_first_drifted(windows, squares, min((at for *_, at in ranked if at is not None), default=None)),
        squares=squares,
    )


def _first_drifted(windows: Sequence[WindowSpan], squares: Sequence[DriftSquare], at: datetime | None) -> str | None:
    """The label of the window that begins at a moment; of versions that share it, one with a square that drifted."""
    of_that_time = [(place, one.label) for place, one in enumerate(windows) if one.from_at == at]
    places = {one.place for one in squares if one.state == WindowState.DRIFTED} if len(of_that_time) > 1 else set()
    return next((label for place, label in sorted(of_that_time, key=lambda one: one[0] not in places)), None)


def latest_drift(
    session: Session, model_id: int, *, environment: str = "production", alias: str = "champion"
) -> dict[str, Any] | None:
    """The newest decided window of a model's monitor as evidence: what drifted, in values and in words.

    Returns
    -------
    dict or None
        ``monitor_id``, ``window_id``, ``window``, ``state``, ``n_drifted``, ``n_features``, ``features`` (names,
        largest effect first), ``computed_at`` (ISO 8601), ``sentence``. None where no window has enough data.
    """
    query = (
        select(Window, RegisteredModel.name)
        .join(Monitor, col(Monitor.id) == col(Window.monitor_id))
        .join(RegisteredModel, col(RegisteredModel.id) == col(Monitor.model_id))
        .where(
            col(Monitor.model_id) == model_id,
            col(Monitor.environment) == environment,
            col(Monitor.alias) == alias,
            col(Window.state).in_(DECIDED),
        )
        .order_by(col(Window.from_at).desc(), col(Window.id).desc())
        .limit(1)
    )
    found = session.exec(query).first()
    if found is None:
        return None
    newest, name = found
    features = session.exec(
        select(DriftResult.feature)
        .where(
            col(DriftResult.window_id) == newest.id,
            col(DriftResult.slice) == "",
            col(DriftResult.state) == WindowState.DRIFTED,
            col(DriftResult.is_prediction).is_(False),
        )
        .order_by(col(DriftResult.effect).desc())
    ).all()
    return {
        "monitor_id": newest.monitor_id,
        "window_id": newest.id,
        "window": newest.label,
        "state": newest.state,
        "n_drifted": newest.n_drifted,
        "n_features": newest.n_features,
        "features": list(features),
        "computed_at": newest.computed_at.isoformat(),
        "sentence": f"{name}: {state_sentence(newest, min_rows=0)}",
    }
