"""Opening, continuing and closing alerts that the program raises by itself, with an audit event for each.

Whatever decides (windows in `window_alerts`, silence and faults in `liveness_job`) calls these three; what a person
does to an alert is `service`'s.
"""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Session

from core.monitoring.alert_rules import SEVERITIES
from core.monitoring.alerting import Firing
from core.monitoring.lifecycle import move_alert
from core.monitoring.service import record
from core.monitoring.tables import Alert, AlertState, Monitor
from core.permissions import Actor


def open_alert(
    session: Session,
    *,
    monitor: Monitor | None,
    window_id: int | None,
    firing: Firing,
    since: str,
    since_at: datetime,
    actor: Actor,
    now: datetime,
) -> Alert:
    """Raise a new alert.

    Parameters
    ----------
    monitor : Monitor or None
        None for the installation as a whole.
    window_id : int or None
        The window it fired for; None for silence and faults.
    since, since_at : str, datetime
        What people call the begin, and the begin.
    """
    alert = Alert(
        monitor_id=None if monitor is None else monitor.id,
        window_id=window_id,
        kind=firing.kind,
        severity=firing.severity,
        sentence=firing.sentence,
        since=since,
        since_at=since_at,
        opened_at=now,
    )
    session.add(alert)
    session.flush()
    _audit(session, monitor, alert, "alert.opened", actor, now)
    return alert


def fire_again(
    session: Session, *, monitor: Monitor | None, alert: Alert, firing: Firing, actor: Actor, now: datetime
) -> None:
    """Let a known alert follow what is the case now; one that the program itself resolved opens again.

    What a person resolved stays resolved: they have seen it. That one which stands has become worse is an event.
    """
    reopened = alert.state == AlertState.RESOLVED and alert.acknowledged_at is None
    worse = SEVERITIES.index(firing.severity) > SEVERITIES.index(alert.severity)
    worsened = worse and alert.state != AlertState.RESOLVED
    alert.severity, alert.sentence = firing.severity, firing.sentence
    if reopened:
        alert.state, alert.note, alert.opened_at = move_alert(alert.state, AlertState.OPEN), "", now
        alert.resolved_at = None
    session.add(alert)
    session.flush()
    if reopened:
        _audit(session, monitor, alert, "alert.reopened", actor, now)
    elif worsened:
        _audit(session, monitor, alert, "alert.worsened", actor, now)


def close_alert(
    session: Session, *, monitor: Monitor | None, alert: Alert, note: str, actor: Actor, now: datetime
) -> None:
    """Resolve an alert that is over by itself; ``note`` says why."""
    alert.state, alert.note, alert.resolved_at = move_alert(alert.state, AlertState.RESOLVED), note, now
    session.add(alert)
    session.flush()
    _audit(session, monitor, alert, "alert.resolved", actor, now)


def _audit(session: Session, monitor: Monitor | None, alert: Alert, action: str, actor: Actor, now: datetime) -> None:
    details: dict[str, object] = {
        "alert_id": alert.id,
        "kind": alert.kind,
        "severity": alert.severity,
        "sentence": alert.sentence,
    }
    record(session, monitor, action, actor, now, details)
