"""Reads of drift: the heat map's squares, one window column by column, one column slice by slice, evidence."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import sqlalchemy
from sqlmodel import Session, col, func, select

from core.errors import NotFound
from core.monitoring.tables import DriftResult, Monitor, Window, WindowState
from core.monitoring.window_queries import DECIDED, current_windows, state_sentence, window_labels
from core.registry.tables import RegisteredModel

if TYPE_CHECKING:
    import pyarrow as pa


class DriftCell(NamedTuple):
    """One square of the heat map: one feature in one window; a tuple, for a year of days is tens of thousands.

    Parameters
    ----------
    window : str
        The window's label, with its version where two versions share it.
    effect : float or None
        None where too few rows gave none.
    threshold : float
        The smallest effect that counts.
    state : str
        A `WindowState`.
    effect_before, state_before : float or None, str
        The same against the window before; None and "" where there is none.
    """

    window_id: int
    window: str
    from_at: datetime
    feature: str
    is_prediction: bool
    effect: float | None
    threshold: float
    state: str
    effect_before: float | None
    state_before: str


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


def drift_matrix(session: Session, monitor_id: int, *, limit: int = 60, part: str = "") -> list[DriftCell]:
    """The heat map's squares: the newest ``limit`` windows, oldest first, each with all its features.

    Parameters
    ----------
    part : str
        The slice; "" for all rows.
    """
    newest = current_windows(monitor_id).order_by(col(Window.from_at).desc(), col(Window.id).desc()).limit(limit)
    shown = list(session.exec(newest))[::-1]
    labels = window_labels(session, shown)
    # A Core select of what the index on squares holds: the documents are never read.
    query: Any = sqlalchemy.select(  # more columns than the typed overloads know
        col(DriftResult.window_id),
        col(DriftResult.feature),
        col(DriftResult.is_prediction),
        col(DriftResult.effect),
        col(DriftResult.threshold),
        col(DriftResult.state),
        col(DriftResult.effect_before),
        col(DriftResult.state_before),
    ).where(col(DriftResult.window_id).in_([row.id for row in shown]), col(DriftResult.slice) == part)
    by_window: dict[int, list[Any]] = {row.id or 0: [] for row in shown}
    for window_id, *rest in session.connection().execute(query):
        by_window[window_id].append(rest)
    return [
        DriftCell(row.id or 0, labels[row.id or 0], row.from_at, *rest)
        for row in shown
        for rest in by_window[row.id or 0]
    ]


def results_table(session: Session, monitor_id: int) -> pa.Table:
    """Every stored drift result of a monitor, a row for each column, window and slice, oldest window first."""
    import pyarrow as pa

    query: Any = (  # more columns than the typed overloads know
        sqlalchemy.select(
            col(Window.label).label("window"),
            col(Window.from_at).label("from"),
            col(Window.to_at).label("to"),
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
        )
        .join(Window, col(Window.id) == col(DriftResult.window_id))
        .where(col(Window.monitor_id) == monitor_id)
        .order_by(col(Window.from_at), col(Window.id), col(DriftResult.id))
    )
    found = session.connection().execute(query)
    names = list(found.keys())
    columns = list(zip(*found, strict=True)) or [()] * len(names)
    return pa.table({name: pa.array(list(values)) for name, values in zip(names, columns, strict=True)})


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
