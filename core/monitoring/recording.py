"""Recording computed windows, and the alerts they open or close."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlmodel import Session, col, delete, select

from core.audit import service as audit
from core.monitoring.alerting import Firing
from core.monitoring.computing import ComputedWindow
from core.monitoring.lifecycle import move_alert
from core.monitoring.tables import (
    Alert,
    AlertState,
    DriftResult,
    Monitor,
    PerformanceResult,
    Window,
    WindowState,
)
from core.permissions import Actor
from core.registry.tables import RegisteredModel


def record_windows(
    session: Session, *, monitor: Monitor, windows: Sequence[ComputedWindow], actor: Actor, now: datetime
) -> list[Window]:
    """Write windows in place of what they were before; an older computation never replaces a newer one.

    Alerts are opened and closed with an audit event each; the figures themselves are telemetry. Asks for no
    permission: whoever enqueued the job was asked.

    Returns
    -------
    list of Window
        Those that were written.
    """
    assert monitor.id is not None
    written = []
    for computed in windows:
        window = session.exec(
            select(Window).where(
                col(Window.monitor_id) == monitor.id,
                col(Window.version_id) == computed.version_id,
                col(Window.label) == computed.span.label,
            )
        ).first()
        if window is not None and window.read_at > computed.read_at:
            continue
        window = _put_window(session, monitor.id, window, computed, now)
        _put_results(session, window, computed)
        _put_alerts(session, monitor, window, computed.firings, actor, now)
        written.append(window)
    return written


def _put_window(
    session: Session, monitor_id: int, window: Window | None, computed: ComputedWindow, now: datetime
) -> Window:
    features = [column for column in computed.columns if not column.is_prediction]
    values: dict[str, Any] = {
        "from_at": computed.span.from_at,
        "to_at": computed.span.to_at,
        "n_rows": computed.n_rows,
        "n_features": len(features),
        "n_drifted": sum(column.decision.state is WindowState.DRIFTED for column in features),
        "state": computed.state.value,
        "computed_at": now,
        "read_at": computed.read_at,
    }
    if window is None:
        window = Window(monitor_id=monitor_id, version_id=computed.version_id, label=computed.span.label, **values)
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
    for column in computed.columns:
        found = column.measure
        session.add(
            DriftResult(
                window_id=window.id,
                feature=column.name,
                column_kind=str(column.kind),
                is_prediction=column.is_prediction,
                test=found.test,
                effect=found.effect,
                statistic=found.statistic,
                pvalue=found.pvalue,
                pvalue_corrected=column.decision.pvalue_corrected,
                threshold=computed.min_effect,
                state=column.decision.state.value,
                n_reference=found.n_reference,
                n_current=found.n_current,
                bins=found.bins,
            )
        )
    for metric in computed.metrics:
        session.add(
            PerformanceResult(
                window_id=window.id,
                key=metric.key,
                value=metric.value,
                low=metric.low,
                high=metric.high,
                n_labelled=metric.n_labelled,
            )
        )


def _put_alerts(
    session: Session, monitor: Monitor, window: Window, fired: Sequence[Firing], actor: Actor, now: datetime
) -> None:
    assert monitor.id is not None
    assert window.id is not None
    earlier = {alert.kind: alert for alert in session.exec(select(Alert).where(col(Alert.window_id) == window.id))}
    for firing in fired:
        alert = earlier.pop(firing.kind, None)
        if alert is None and (going_on := _going_on(session, window, firing.kind)) is not None:
            newest = session.get(Window, going_on.window_id)
            assert newest is not None
            if newest.from_at > window.from_at:
                continue  # told by a later window already
            alert, action = going_on, ""
            alert.window_id = window.id
        elif alert is None:
            alert = Alert(
                monitor_id=monitor.id,
                window_id=window.id,
                kind=firing.kind,
                severity=firing.severity,
                sentence=firing.sentence,
                since=window.label,
                since_at=window.from_at,
                opened_at=now,
            )
            action = "alert.opened"
        elif alert.state == AlertState.RESOLVED and alert.acknowledged_at is None:  # not by a person
            alert.state, alert.note, alert.opened_at = move_alert(alert.state, AlertState.OPEN), "", now
            action = "alert.reopened"
        else:
            action = ""
        alert.severity, alert.sentence = firing.severity, firing.sentence
        if alert.since != window.label:
            alert.sentence += f" It fired first in {alert.since}."
        session.add(alert)
        session.flush()
        if action:
            _audit(session, monitor, alert, action, actor, now)
    for alert in earlier.values():
        if alert.state == AlertState.OPEN:
            alert.state = move_alert(alert.state, AlertState.RESOLVED)
            alert.note = "Later data of this window no longer shows it."
            session.add(alert)
            _audit(session, monitor, alert, "alert.resolved", actor, now)


def _going_on(session: Session, window: Window, kind: str) -> Alert | None:
    """Find the unresolved alert of this kind that the window continues or lies within."""
    query = (
        select(Alert)
        .join(Window, col(Window.id) == col(Alert.window_id))
        .where(
            Alert.monitor_id == window.monitor_id,
            Alert.kind == kind,
            Alert.state != AlertState.RESOLVED,
            Window.version_id == window.version_id,
            Alert.since_at <= window.from_at,
        )
        .order_by(col(Alert.id).desc())
    )
    return session.exec(query).first()


def _audit(session: Session, monitor: Monitor, alert: Alert, action: str, actor: Actor, now: datetime) -> None:
    model = session.get(RegisteredModel, monitor.model_id)
    assert model is not None
    assert monitor.id is not None
    audit.record(
        session,
        actor=actor,
        action=action,
        subject_kind="monitor",
        subject_id=monitor.id,
        subject_label=f"{model.name} {monitor.alias} ({monitor.environment})",
        now=now,
        details={"alert_id": alert.id, "kind": alert.kind, "severity": alert.severity, "sentence": alert.sentence},
    )
