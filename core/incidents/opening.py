"""Opening incidents without anybody's click: harm, faults and silence cannot wait for the morning; drift alone can.

One that is open becomes as severe as its alerts. None closes by itself: how it ended is for a person to say.
"""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Session

from core.errors import LifecycleError
from core.incidents import gather, kept_triage, queries
from core.incidents.evidence import Evidence
from core.incidents.service import follow_severity, record_incident
from core.incidents.tables import Incident
from core.incidents.triage import Triage, triage
from core.monitoring.alert_rules import ALERT_RULES
from core.monitoring.tables import Alert, AlertState, Window
from core.permissions import system_actor
from core.workspace import Workspace

WAKING: tuple[str, ...] = tuple(key for key, rule in ALERT_RULES.items() if rule.wakes)
"""Kinds of alerts that open an incident by themselves."""


def open_due(workspace: Workspace, now: datetime) -> list[int]:
    """Open an incident for every monitor (and the installation) with waking alerts that belong to none.

    Those that are open first become as severe as the alerts they follow.
    Alerts of one monitor make one incident, those of drift with the rest; where one is open they are added to it.
    Several workers may do this at about the same time: each looks again inside its transaction, so that none opens a
    second one.

    Returns
    -------
    list of int
        The incidents opened or widened, by id.
    """
    _follow_severity(workspace, now)
    with workspace.read() as session:
        about = {monitor_id: queries.window_to_look_at(session, alerts) for monitor_id, alerts in _due(session).items()}
    done = []
    for monitor_id, window_id in about.items():
        found = _kept(workspace, window_id) or triage_now(
            workspace, monitor_id=monitor_id, window_id=window_id, now=now
        )
        incident = _record(workspace, monitor_id, window_id, found, now)
        done += [incident.id or 0] if incident is not None else []
    return done


def _follow_severity(workspace: Workspace, now: datetime) -> None:
    with workspace.read() as session:
        if not queries.milder_than_their_alerts(session):
            return
    with workspace.write() as session:
        for incident in queries.milder_than_their_alerts(session):
            alerts = [one for one in queries.alerts_of(session, incident.id or 0) if one.state != AlertState.RESOLVED]
            follow_severity(session, incident=incident, alerts=alerts, actor=system_actor(), now=now)


def _due(session: Session) -> dict[int | None, list[Alert]]:
    """Alerts without an incident, by monitor, where one of them wakes people or an incident is open already."""
    by_monitor: dict[int | None, list[Alert]] = {}
    for alert in queries.alerts_without(session):
        by_monitor.setdefault(alert.monitor_id, []).append(alert)
    return {
        monitor_id: alerts
        for monitor_id, alerts in by_monitor.items()
        if any(alert.kind in WAKING for alert in alerts) or queries.unresolved_of(session, monitor_id) is not None
    }


def _kept(workspace: Workspace, window_id: int | None) -> Triage | None:
    """What the worker has found out already, if it is of the present figures."""
    if window_id is None:
        return None
    with workspace.read() as session:
        found = kept_triage.kept(session, window_id)
    return found.triage if found is not None and found.present else None


def triage_now(workspace: Workspace, *, monitor_id: int | None, window_id: int | None, now: datetime) -> Triage:
    """Triage a window, or, where none is about it, what the open alerts of a monitor say.

    Reads outside any writing transaction.
    """
    if window_id is None:
        with workspace.read() as session:
            return triage(gather.evidence_of_alerts(session, monitor_id))
    return triage(_evidence(workspace, window_id, monitor_id, now))


def _evidence(workspace: Workspace, window_id: int, monitor_id: int | None, now: datetime) -> Evidence:
    try:
        return gather.evidence_of(workspace, window_id=window_id, now=now)
    except LifecycleError:
        # What is stored of the window is damaged: an incident must open all the same.
        with workspace.read() as session:
            return gather.evidence_of_alerts(session, monitor_id)


def _record(
    workspace: Workspace, monitor_id: int | None, window_id: int | None, found: Triage, now: datetime
) -> Incident | None:
    with workspace.write() as session:
        still = _due(session).get(monitor_id, [])
        if not still:
            return None
        waking = [alert for alert in still if alert.kind in WAKING] or still
        return record_incident(
            session,
            monitor_id=monitor_id,
            window=None if window_id is None else session.get(Window, window_id),
            alerts=still,
            triage=found,
            since_at=min(alert.since_at for alert in waking),
            actor=system_actor(),
            now=now,
        )
