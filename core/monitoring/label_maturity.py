"""The label-maturity view: how many labels each window has and how many are due, beside its performance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import update
from sqlmodel import Session, col, select

from core.estimation.maturity import ArrivalCurve, Arrivals, Maturity, arrival_curve, maturity
from core.evaluation.metrics import primary_metric
from core.monitoring import queries, window_queries
from core.monitoring.labels import UnknownLabels, unknown_labels
from core.monitoring.tables import LabelArrival, Monitor, PerformanceResult, Source, Window
from core.registry.tables import RegisteredModel


@dataclass(frozen=True)
class SourceFigure:
    """The primary metric of one window from one source; ``note`` says what speaks against it, "" for nothing."""

    value: float
    low: float | None
    high: float | None
    n_labelled: int
    note: str


@dataclass(frozen=True)
class WindowLabels:
    """One window: its labels, and the primary metric as realised, estimated and corrected, where there is one."""

    window_id: int
    window: str
    from_at: datetime
    maturity: Maturity
    realised: SourceFigure | None
    estimated: SourceFigure | None
    corrected: SourceFigure | None


@dataclass(frozen=True)
class LabelMaturity:
    """A monitor's labels.

    Parameters
    ----------
    key : str
        The metric that the windows' figures are of.
    windows : tuple of WindowLabels
        Oldest first.
    share_final : float or None
        The share of predictions that gets a label in the end, by the arrival curve; None where too few came to know.
    median_delay_s : float or None
        Seconds until half of all predictions have a label.
    unknown : UnknownLabels
        Labels whose predictions were never seen.
    """

    key: str
    windows: tuple[WindowLabels, ...]
    share_final: float | None
    median_delay_s: float | None
    unknown: UnknownLabels


def label_maturity(session: Session, monitor_id: int, *, now: datetime) -> LabelMaturity:
    """Read how complete a monitor's labels are, window by window.

    Raises
    ------
    NotFound
    """
    monitor = queries.monitor(session, monitor_id)
    windows = window_queries.windows(session, monitor_id)
    arrivals = _arrivals(session, windows)
    curve = arrival_curve(list(arrivals.values()), now=now.timestamp())
    labels = window_queries.window_labels(session, windows)
    task = session.exec(select(RegisteredModel.task).where(col(RegisteredModel.id) == monitor.model_id)).one()
    key = primary_metric(task)
    figures = _figures(session, windows, key)
    found = [
        WindowLabels(
            window_id=row.id or 0,
            window=labels[row.id or 0],
            from_at=row.from_at,
            maturity=maturity(arrivals[row.id or 0], curve, n_rows=row.n_rows, now=now.timestamp()),
            realised=figures.get((row.id or 0, Source.REALISED)),
            estimated=figures.get((row.id or 0, Source.ESTIMATED)),
            corrected=figures.get((row.id or 0, Source.CORRECTED)),
        )
        for row in windows
        if row.id in arrivals
    ]
    return LabelMaturity(
        key=key,
        windows=tuple(found),
        share_final=None if curve is None else curve.final,
        median_delay_s=None if curve is None else curve.median_delay(),
        unknown=unknown_labels(session, monitor.model_id),
    )


def put_arrivals(session: Session, window_id: int, found: Arrivals) -> None:
    """Keep how the labels of a window came in, in place of what was kept before."""
    session.merge(
        LabelArrival(
            window_id=window_id,
            n_at_once=found.n_at_once,
            delays=list(found.delays),
            pieces=[list(piece) for piece in found.pieces],
        )
    )


def put_expected(session: Session, monitor: Monitor, *, now: datetime) -> None:
    """Write to every figure how many labels its window is expected to have in the end, as far as that is known."""
    assert monitor.id is not None
    windows = window_queries.windows(session, monitor.id)
    arrivals = _arrivals(session, windows)
    curve = arrival_curve(list(arrivals.values()), now=now.timestamp())
    for row in windows:
        if row.id in arrivals:
            expected = _expected(arrivals[row.id], curve, row.n_rows, now)
            session.connection().execute(
                update(PerformanceResult)
                .where(col(PerformanceResult.window_id) == row.id, col(PerformanceResult.slice) == "")
                .values(n_expected=expected)
            )


def _expected(window: Arrivals, curve: ArrivalCurve | None, n_rows: int, now: datetime) -> int | None:
    found = maturity(window, curve, n_rows=n_rows, now=now.timestamp())
    if found.final is not None:
        return round(found.final.value)
    return found.n_labelled if found.is_mature else None


def _arrivals(session: Session, windows: Sequence[Window]) -> dict[int, Arrivals]:
    kept = session.exec(select(LabelArrival).where(col(LabelArrival.window_id).in_([row.id for row in windows])))
    return {
        one.window_id: Arrivals(
            one.n_at_once, tuple(one.delays), tuple((float(at), int(n), int(joined)) for at, n, joined in one.pieces)
        )
        for one in kept
    }


def _figures(session: Session, windows: Sequence[Window], key: str) -> dict[tuple[int, str], SourceFigure]:
    query = select(PerformanceResult).where(
        col(PerformanceResult.window_id).in_([row.id for row in windows]),
        col(PerformanceResult.slice) == "",
        col(PerformanceResult.key) == key,
    )
    return {
        (one.window_id, one.source): SourceFigure(one.value, one.low, one.high, one.n_labelled, one.note)
        for one in session.exec(query)
    }
