"""Reads of alerts: of one monitor, of the installation, of all."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session, col, select

from core.monitoring.tables import Alert, AlertState, Monitor, Window
from core.monitoring.windows import BATCH, cut_in_words, length_of
from core.registry.tables import RegisteredModel

INSTALLATION = "This installation"


@dataclass(frozen=True)
class AlertRow:
    """One alert as lists show it; one of the whole installation has no monitor or model, and says so as a name.

    Parameters
    ----------
    earlier_cut : str
        How the monitor cut windows when this one's was measured, "by day", where it cuts otherwise now: the window is
        no longer shown. "" otherwise.
    """

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
    earlier_cut: str = ""


def alerts(
    session: Session, *, monitor_id: int | None = None, states: Collection[AlertState] = tuple(AlertState)
) -> list[AlertRow]:
    """Alerts, newest first, of one monitor where given."""
    query = (
        select(Alert, Window, Monitor, RegisteredModel.name)
        .join(Window, col(Window.id) == col(Alert.window_id), isouter=True)
        .join(Monitor, col(Monitor.id) == col(Alert.monitor_id), isouter=True)
        .join(RegisteredModel, col(RegisteredModel.id) == col(Monitor.model_id), isouter=True)
        .order_by(col(Alert.opened_at).desc(), col(Alert.id).desc())
    )
    if monitor_id is not None:
        query = query.where(col(Alert.monitor_id) == monitor_id)
    if set(states) != set(AlertState):
        query = query.where(col(Alert.state).in_(states))
    return [
        AlertRow(
            id=alert.id or 0,
            monitor_id=alert.monitor_id,
            model_id=watched.model_id if watched else None,
            model_name=name or INSTALLATION,
            environment=watched.environment if watched else "",
            alias=watched.alias if watched else "",
            window_id=alert.window_id,
            window=window.label if window else None,
            kind=alert.kind,
            severity=alert.severity,
            state=alert.state,
            sentence=alert.sentence,
            opened_at=alert.opened_at,
            acknowledged_by=alert.acknowledged_by,
            acknowledged_at=alert.acknowledged_at,
            note=alert.note,
            earlier_cut=_earlier_cut(window, watched),
        )
        for alert, window, watched, name in session.exec(query)
    ]


def open_alerts(session: Session) -> list[AlertRow]:
    """Alerts nobody has acknowledged or resolved, newest first."""
    return alerts(session, states=[AlertState.OPEN])


def standing_alerts(session: Session, *, monitor_id: int | None = None) -> list[AlertRow]:
    """Alerts nobody has resolved and that are not over, newest first, of one monitor where given."""
    return alerts(session, monitor_id=monitor_id, states=[AlertState.OPEN, AlertState.ACKNOWLEDGED])


def _earlier_cut(window: Window | None, monitor: Monitor | None) -> str:
    if window is None or monitor is None or window.length in (BATCH, length_of(monitor.window, monitor.window_rows)):
        return ""
    return cut_in_words(window.length)
