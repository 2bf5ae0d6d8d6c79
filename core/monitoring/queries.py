"""Reads for the pages: monitors by health, windows, drift, performance, alerts, batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import sqlalchemy
from sqlalchemy import ColumnElement, String, case, cast, literal, or_
from sqlmodel import Session, col, func, select
from sqlmodel.sql.expression import SelectOfScalar

from core.datasets.tables import EvaluationSet
from core.errors import NotFound
from core.evaluation.tables import Evaluation, MetricValue
from core.monitoring.tables import (
    Alert,
    AlertState,
    Batch,
    DriftResult,
    Monitor,
    PerformanceResult,
    Window,
    WindowMeasure,
    WindowState,
)
from core.monitoring.windows import BATCH, COUNT
from core.registry.tables import Deployment, ModelVersion, RegisteredModel
from core.serving.queries import last_predictions_at

if TYPE_CHECKING:
    import pyarrow as pa

DECIDED = (WindowState.QUIET, WindowState.DRIFTED)
INSTALLATION = "This installation"


@dataclass(frozen=True)
class MonitorRow:
    """One monitor as lists show it.

    Parameters
    ----------
    id, model_id, model_name, environment, alias
    version_label : str or None
        What is live now, "income v3"; None when nothing is.
    live_since : datetime or None
    state : str
        A `WindowState` of the newest window with enough data, else of the newest, or "no_data".
    sentence : str
        The state in words, and what there is of a newer window without enough data.
    n_drifted, n_features : int
        Of that window; 0 of 0 before the first.
    last_window : str or None
        Label of that window.
    last_computed_at : datetime or None
    open_alerts : int
        Alerts nobody has acknowledged or resolved.
    last_prediction_at : datetime or None
        As far as the log is sealed.
    """

    id: int
    model_id: int
    model_name: str
    environment: str
    alias: str
    version_id: int | None
    version_label: str | None
    live_since: datetime | None
    state: str
    sentence: str
    n_drifted: int
    n_features: int
    last_window: str | None
    last_window_id: int | None
    last_computed_at: datetime | None
    open_alerts: int
    last_prediction_at: datetime | None


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


@dataclass(frozen=True)
class AlertRow:
    """One alert as lists show it; one of the whole installation has no monitor or model, and says so as a name."""

    id: int
    monitor_id: int | None
    model_id: int | None
    model_name: str
    environment: str
    alias: str
    window_id: int | None
    window: str | None
    kind: str
    severity: str
    state: str
    sentence: str
    opened_at: datetime
    acknowledged_by: int | None
    acknowledged_at: datetime | None
    note: str


def monitor(session: Session, monitor_id: int) -> Monitor:
    """One monitor.

    Raises
    ------
    NotFound
    """
    found = session.get(Monitor, monitor_id)
    if found is None:
        raise NotFound("monitor", monitor_id, "A monitor comes with a model's first deployment.")
    return found


def monitor_of(session: Session, *, model_id: int, environment: str, alias: str) -> Monitor | None:
    """The monitor of one alias of a model, if it was ever deployed."""
    query = select(Monitor).where(
        col(Monitor.model_id) == model_id, col(Monitor.environment) == environment, col(Monitor.alias) == alias
    )
    return session.exec(query).first()


def list_monitors(session: Session) -> list[MonitorRow]:
    """Every monitor, what needs attention first: open alerts, then drift, then by the model's name."""
    query = (
        select(Monitor, RegisteredModel.name, Deployment, ModelVersion.number)
        .join(RegisteredModel, col(RegisteredModel.id) == col(Monitor.model_id))
        .outerjoin(
            Deployment,
            (col(Deployment.model_id) == col(Monitor.model_id))
            & (col(Deployment.environment) == col(Monitor.environment))
            & (col(Deployment.alias) == col(Monitor.alias))
            & col(Deployment.to_at).is_(None),
        )
        .outerjoin(ModelVersion, col(ModelVersion.id) == col(Deployment.version_id))
    )
    newest, decided = _newest_windows(session)
    alerts = dict(
        session.exec(
            select(Alert.monitor_id, func.count())
            .where(col(Alert.state) == AlertState.OPEN)
            .group_by(col(Alert.monitor_id))
        ).all()
    )
    answered = last_predictions_at(session)
    rows = []
    for found, name, deployment, number in session.exec(query):
        assert found.id is not None
        # A window too small to tell anything must not hide what the one before it told.
        last = decided.get(found.id, newest.get(found.id))
        begun = newest.get(found.id)
        sentence = state_sentence(last, min_rows=found.min_rows)
        if begun is not None and last is not None and begun.id != last.id:
            sentence += f" {state_sentence(begun, min_rows=found.min_rows)}"
        rows.append(
            MonitorRow(
                id=found.id,
                model_id=found.model_id,
                model_name=name,
                environment=found.environment,
                alias=found.alias,
                version_id=deployment.version_id if deployment else None,
                version_label=f"{name} v{number}" if deployment else None,
                live_since=deployment.from_at if deployment else None,
                state=last.state if last else "no_data",
                sentence=sentence,
                n_drifted=last.n_drifted if last else 0,
                n_features=last.n_features if last else 0,
                last_window=last.label if last else None,
                last_window_id=last.id if last else None,
                last_computed_at=last.computed_at if last else None,
                open_alerts=alerts.get(found.id, 0),
                last_prediction_at=answered.get(found.model_id),
            )
        )
    return sorted(rows, key=lambda row: (-row.open_alerts, row.state != WindowState.DRIFTED, row.model_name, row.id))


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
    query = _current_windows(monitor_id).order_by(col(Window.from_at), col(Window.id))
    return list(session.exec(query))


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
    newest = _current_windows(monitor_id).order_by(col(Window.from_at).desc(), col(Window.id).desc()).limit(limit)
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


def window_labels(session: Session, shown: list[Window]) -> dict[int, str]:
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
    session: Session, monitor_id: int, *, key: str | None = None, part: str = "", limit: int | None = None
) -> list[PerformanceRow]:
    """The metrics of every window that has one, oldest window first, then by metric and source.

    Parameters
    ----------
    key : str, optional
        Only this metric.
    part : str
        The slice; "" for all rows.
    limit : int, optional
        So many rows at most, the newest.
    """
    query = (
        select(PerformanceResult, Window)
        .join(Window, col(Window.id) == col(PerformanceResult.window_id))
        .join(Monitor, col(Monitor.id) == col(Window.monitor_id))
        .where(col(Window.monitor_id) == monitor_id, _of_current_length(), col(PerformanceResult.slice) == part)
        .order_by(
            col(Window.from_at).desc(),
            col(Window.id).desc(),
            col(PerformanceResult.key).desc(),
            col(PerformanceResult.source).desc(),
        )
    )
    if key is not None:
        query = query.where(col(PerformanceResult.key) == key)
    if limit is not None:
        query = query.limit(limit)
    found = list(session.exec(query).all())[::-1]
    labels = window_labels(session, list({row.id: row for _, row in found}.values()))
    return [
        PerformanceRow(
            window_id=row.id or 0,
            window=labels[row.id or 0],
            from_at=row.from_at,
            version_id=row.version_id,
            n_rows=row.n_rows,
            key=result.key,
            value=result.value,
            low=result.low,
            high=result.high,
            n_labelled=result.n_labelled,
            source=result.source,
            n_expected=result.n_expected,
            note=result.note,
        )
        for result, row in found
    ]


def window_measures(session: Session, window_id: int) -> list[WindowMeasure]:
    """Figures about a whole window beside drift column by column."""
    query = select(WindowMeasure).where(col(WindowMeasure.window_id) == window_id).order_by(col(WindowMeasure.id))
    return list(session.exec(query))


def measures_over_time(session: Session, monitor_id: int, *, kind: str) -> list[tuple[str, WindowMeasure]]:
    """One figure about each window that has it, with the window's label, oldest first."""
    query = (
        select(WindowMeasure, Window)
        .join(Window, col(Window.id) == col(WindowMeasure.window_id))
        .join(Monitor, col(Monitor.id) == col(Window.monitor_id))
        .where(col(Window.monitor_id) == monitor_id, _of_current_length(), col(WindowMeasure.kind) == kind)
        .order_by(col(Window.from_at), col(Window.id))
    )
    found = list(session.exec(query).all())
    labels = window_labels(session, [row for _, row in found])
    return [(labels[row.id or 0], one) for one, row in found]


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


def alerts(session: Session, *, monitor_id: int | None = None, state: str | None = None) -> list[AlertRow]:
    """Alerts, newest first, of one monitor or state where given."""
    query = (
        select(Alert, Window.label, Monitor, RegisteredModel.name)
        .join(Window, col(Window.id) == col(Alert.window_id), isouter=True)
        .join(Monitor, col(Monitor.id) == col(Alert.monitor_id), isouter=True)
        .join(RegisteredModel, col(RegisteredModel.id) == col(Monitor.model_id), isouter=True)
        .order_by(col(Alert.opened_at).desc(), col(Alert.id).desc())
    )
    if monitor_id is not None:
        query = query.where(col(Alert.monitor_id) == monitor_id)
    if state is not None:
        query = query.where(col(Alert.state) == state)
    return [
        AlertRow(
            id=alert.id or 0,
            monitor_id=alert.monitor_id,
            model_id=watched.model_id if watched else None,
            model_name=name or INSTALLATION,
            environment=watched.environment if watched else "",
            alias=watched.alias if watched else "",
            window_id=alert.window_id,
            window=label,
            kind=alert.kind,
            severity=alert.severity,
            state=alert.state,
            sentence=alert.sentence,
            opened_at=alert.opened_at,
            acknowledged_by=alert.acknowledged_by,
            acknowledged_at=alert.acknowledged_at,
            note=alert.note,
        )
        for alert, label, watched, name in session.exec(query)
    ]


def open_alerts(session: Session) -> list[AlertRow]:
    """Alerts nobody has acknowledged or resolved, newest first."""
    return alerts(session, state=AlertState.OPEN)


def batch(session: Session, batch_id: int) -> Batch:
    """One batch.

    Raises
    ------
    NotFound
    """
    found = session.get(Batch, batch_id)
    if found is None:
        raise NotFound("batch", batch_id, "Open the monitor to see its batches.")
    return found


def batches(session: Session, monitor_id: int, *, states: Sequence[str] = ()) -> list[Batch]:
    """A monitor's batches, newest first; those in some states where given."""
    query = select(Batch).where(col(Batch.monitor_id) == monitor_id).order_by(col(Batch.id).desc())
    if states:
        query = query.where(col(Batch.state).in_(states))
    return list(session.exec(query))


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


def _newest_windows(session: Session) -> tuple[dict[int, Window], dict[int, Window]]:
    """The newest window of each monitor, and the newest with enough data, in one statement.

    Where versions share a span, that of the version computed last.
    """
    decided = col(Window.state).in_(DECIDED)
    newest_first = (col(Window.from_at).desc(), col(Window.computed_at).desc(), col(Window.id).desc())
    rank = func.row_number().over(partition_by=(col(Window.monitor_id), decided), order_by=newest_first).label("rank")
    ranked = (
        select(col(Window.id).label("window_id"), rank)
        .join(Monitor, col(Monitor.id) == col(Window.monitor_id))
        .where(_of_current_length())
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


def _current_windows(monitor_id: int) -> SelectOfScalar[Window]:
    return (
        select(Window)
        .join(Monitor, col(Monitor.id) == col(Window.monitor_id))
        .where(col(Window.monitor_id) == monitor_id, _of_current_length())
    )


def _of_current_length() -> ColumnElement[bool]:
    """Windows cut as the monitor cuts now: months computed before it was set to weeks stay stored for their alerts."""
    by_rows = literal(f"{COUNT} ") + cast(col(Monitor.window_rows), String)
    length = case((col(Monitor.window) == COUNT, by_rows), else_=col(Monitor.window))
    return or_(col(Window.length) == BATCH, col(Window.length) == length)
