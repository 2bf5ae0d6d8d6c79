"""The label-maturity view: how many labels each window has and how many are due."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import update
from sqlmodel import Session, col, select

from core.estimation.maturity import ArrivalCurve, Arrivals, Maturity, arrival_curve, maturity
from core.monitoring import queries, window_queries
from core.monitoring.labels import UnknownLabels, unknown_labels
from core.monitoring.tables import LabelArrival, Monitor, PerformanceResult


@dataclass(frozen=True)
class WindowLabels:
    """One window, and how complete its labels are."""

    window_id: int
    window: str
    from_at: datetime
    maturity: Maturity


@dataclass(frozen=True)
class LabelMaturity:
    """A monitor's labels.

    Parameters
    ----------
    windows : tuple of WindowLabels
        Oldest first.
    share_final : float or None
        The share of predictions that gets a label in the end, by the arrival curve; None where too few came to know.
    median_delay_s : float or None
        Seconds until half of all predictions have a label.
    unknown : UnknownLabels
        Labels whose predictions were never seen.
    """

    windows: tuple[WindowLabels, ...]
    share_final: float | None
    median_delay_s: float | None
    unknown: UnknownLabels


def label_maturity(session: Session, monitor_id: int, *, now: datetime, since: datetime | None = None) -> LabelMaturity:
    """Read how complete a monitor's labels are, window by window.

    Parameters
    ----------
    since : datetime, optional
        Only of windows that begin then or later; how late labels come is learnt from all.

    Raises
    ------
    NotFound
    """
    monitor = queries.monitor(session, monitor_id)
    spans = window_queries.spans(session, monitor_id)
    arrivals = _arrivals(session, [one.id for one in spans])
    curve = arrival_curve(list(arrivals.values()), now=now.timestamp())
    found = [
        WindowLabels(
            one.id,
            one.label,
            one.from_at,
            maturity(arrivals[one.id], curve, n_rows=one.n_rows, now=now.timestamp()),
        )
        for one in spans
        if one.id in arrivals and (since is None or one.from_at >= since)
    ]
    return LabelMaturity(
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
    spans = window_queries.spans(session, monitor.id)
    arrivals = _arrivals(session, [one.id for one in spans])
    curve = arrival_curve(list(arrivals.values()), now=now.timestamp())
    for one in spans:
        if one.id in arrivals:
            session.connection().execute(
                update(PerformanceResult)
                .where(col(PerformanceResult.window_id) == one.id, col(PerformanceResult.slice) == "")
                .values(n_expected=_expected(arrivals[one.id], curve, one.n_rows, now))
            )


def _expected(window: Arrivals, curve: ArrivalCurve | None, n_rows: int, now: datetime) -> int | None:
    found = maturity(window, curve, n_rows=n_rows, now=now.timestamp())
    if found.final is not None:
        return round(found.final.value)
    return found.n_labelled if found.is_mature else None


def _arrivals(session: Session, window_ids: Sequence[int]) -> dict[int, Arrivals]:
    kept = select(LabelArrival.window_id, LabelArrival.n_at_once, LabelArrival.delays, LabelArrival.pieces).where(
        col(LabelArrival.window_id).in_(window_ids)
    )
    return {
        window_id: Arrivals(n_at_once, tuple(delays), tuple(map(tuple, pieces)))
        for window_id, n_at_once, delays, pieces in session.exec(kept).all()
    }
