"""Writing: incidents opened, taken over, acted on and resolved, each with its audit event.

What triage found is worked out beforehand (`gather`), outside the transaction; here it is recorded. A monitor has one
unresolved incident at most: whoever opens a second one gets the first, with the further alerts added to it, so that a
double click or a second tab makes none.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlmodel import Session

from core.audit import service as audit
from core.errors import InvalidInput, InvalidTransition, NotFound
from core.incidents import queries, words
from core.incidents.lifecycle import move_incident
from core.incidents.remedies import REMEDIES
from core.incidents.tables import Incident, IncidentAction, IncidentState
from core.incidents.triage import Triage
from core.jobs.queries import jobs_of
from core.jobs.service import enqueue
from core.jobs.tables import Job, JobState
from core.monitoring import window_queries
from core.monitoring.alert_queries import INSTALLATION
from core.monitoring.alert_rules import ALERT_RULES, SEVERITIES
from core.monitoring.service import resolve_alert
from core.monitoring.tables import Alert, AlertState, Monitor, Window
from core.permissions import Actor, Permission, require
from core.registry.tables import RegisteredModel

NOTE = "note"
WORSENED = "worsened"
TWICE_SECONDS = 60.0
"""The same words of the same person within this time are one click made twice."""


def open_from_window(session: Session, *, window_id: int, triage: Triage, actor: Actor, now: datetime) -> Incident:
    """Open an incident about what a window shows; the monitor's unresolved alerts belong to it.

    Raises
    ------
    PermissionDenied, NotFound
    """
    require(actor, Permission.ALERT_ACKNOWLEDGE)
    window = window_queries.window(session, window_id)
    alerts = [
        alert
        for alert in queries.alerts_without(session, monitor_id=window.monitor_id)
        if alert.since_at <= window.to_at
    ]
    return record_incident(
        session,
        monitor_id=window.monitor_id,
        window=window,
        alerts=alerts,
        triage=triage,
        since_at=min([alert.since_at for alert in alerts], default=window.from_at),
        actor=actor,
        now=now,
    )


def open_from_alert(session: Session, *, alert_id: int, triage: Triage, actor: Actor, now: datetime) -> Incident:
    """Open an incident about an alert, or add the alert to the one that is open.

    Raises
    ------
    PermissionDenied, NotFound
    InvalidTransition
        The alert is resolved.
    """
    require(actor, Permission.ALERT_ACKNOWLEDGE)
    alert = session.get(Alert, alert_id)
    if alert is None:
        raise NotFound("alert", alert_id)
    if alert.incident_id is not None:
        return queries.incident(session, alert.incident_id)
    if alert.state == AlertState.RESOLVED:
        raise InvalidTransition("alert", alert.state, "an_incident")
    return record_incident(
        session,
        monitor_id=alert.monitor_id,
        window=None if alert.window_id is None else window_queries.window(session, alert.window_id),
        alerts=[alert],
        triage=triage,
        since_at=alert.since_at,
        actor=actor,
        now=now,
    )


def record_incident(
    session: Session,
    *,
    monitor_id: int | None,
    window: Window | None,
    alerts: Sequence[Alert],
    triage: Triage,
    since_at: datetime,
    actor: Actor,
    now: datetime,
) -> Incident:
    """Write an incident, or add the alerts to the monitor's unresolved one, which becomes as severe as they are.

    Asks for no permission: people come through `open_from_window` and `open_from_alert`, the program through
    `opening`.
    """
    found = queries.unresolved_of(session, monitor_id)
    if found is None:
        found = Incident(
            monitor_id=monitor_id,
            window_id=None if window is None else window.id,
            title=_title(session, monitor_id, window, triage, alerts),
            severity=max((alert.severity for alert in alerts), key=SEVERITIES.index, default=SEVERITIES[0]),
            cause=triage.cause,
            findings=_document(triage, window, now),
            since_at=since_at,
            opened_at=now,
        )
        session.add(found)
        session.flush()
        _audit(session, found, "incident.opened", actor, now, {"alerts": [alert.id for alert in alerts]})
    elif alerts:
        _audit(session, found, "incident.widened", actor, now, {"alerts": [alert.id for alert in alerts]})
        follow_severity(session, incident=found, alerts=alerts, actor=actor, now=now)
    for alert in alerts:
        alert.incident_id = found.id
        session.add(alert)
    session.add(found)
    session.flush()
    return found


def follow_severity(
    session: Session, *, incident: Incident, alerts: Sequence[Alert], actor: Actor, now: datetime
) -> bool:
    """Let an incident become as severe as the worst of these alerts; tells whether it did.

    It never falls by itself: how bad it was is part of the record. Asks for no permission, as `record_incident`.
    """
    worst = max(alerts, key=lambda alert: SEVERITIES.index(alert.severity), default=None)
    if worst is None or SEVERITIES.index(worst.severity) <= SEVERITIES.index(incident.severity):
        return False
    before, incident.severity = incident.severity, worst.severity
    note = words.worsened(worst.severity, worst.sentence)
    session.add(incident)
    session.add(IncidentAction(incident_id=incident.id or 0, kind=WORSENED, note=note, actor_id=actor.user_id, at=now))
    session.flush()
    details = {"alert": worst.id, "before": before, "after": worst.severity}
    _audit(session, incident, "incident.worsened", actor, now, details)
    return True


def request_triage(session: Session, *, window_id: int, actor: Actor, now: datetime) -> Job:
    """Have the worker look into a window that lies further back than it looks by itself.

    While it waits or runs, asking again gives the same job.

    Raises
    ------
    PermissionDenied, NotFound
    """
    require(actor, Permission.MONITORING_READ)
    window = window_queries.window(session, window_id)
    payload = {"monitor_id": window.monitor_id, "window_ids": [window_id]}
    return _asked_once(session, "triage_windows", payload, "window", window_id, actor, now)


def request_look(session: Session, *, incident_id: int, actor: Actor, now: datetime) -> Job:
    """Have the worker triage an incident anew; while it waits or runs, asking again gives the same job.

    Raises
    ------
    PermissionDenied, NotFound
    InvalidTransition
        It is resolved.
    """
    _unresolved_incident(session, incident_id, actor)
    return _asked_once(session, "look_again", {"incident_id": incident_id}, "incident", incident_id, actor, now)


def look_again(
    session: Session, *, incident_id: int, window_id: int | None, triage: Triage, actor: Actor, now: datetime
) -> Incident:
    """Keep what triage finds now in place of what it found before; what it said before stays in the audit log.

    Raises
    ------
    PermissionDenied, NotFound
    InvalidTransition
        It is resolved.
    """
    found = _unresolved_incident(session, incident_id, actor)
    window = None if window_id is None else window_queries.window(session, window_id)
    if window is not None and window.monitor_id != found.monitor_id:
        raise InvalidInput(f"Window {window_id} belongs to another monitor than incident {incident_id}.")
    before, found.cause = found.cause, triage.cause
    found.findings = _document(triage, window, now)
    if window is not None:
        found.window_id = window.id
    found.title = _title(session, found.monitor_id, window, triage, queries.alerts_of(session, incident_id))
    session.add(found)
    _audit(session, found, "incident.looked_at_again", actor, now, {"before": before, "after": triage.cause})
    return found


def take_over(session: Session, *, incident_id: int, actor: Actor, now: datetime) -> Incident:
    """Become the one who sees to an incident; whoever had it is named in the audit log.

    Raises
    ------
    PermissionDenied, NotFound
    InvalidTransition
        It is resolved.
    """
    found = _unresolved_incident(session, incident_id, actor)
    if found.owner_id == actor.user_id and found.state == IncidentState.ACTING:
        return found
    before, found.owner_id = found.owner_id, actor.user_id
    _begin_to_act(found)
    session.add(found)
    _audit(session, found, "incident.taken_over", actor, now, {"before": before})
    return found


def add_note(session: Session, *, incident_id: int, note: str, actor: Actor, now: datetime) -> IncidentAction:
    """Write down what was seen or thought.

    Raises
    ------
    PermissionDenied, NotFound
    InvalidInput
        The note is empty.
    """
    require(actor, Permission.ALERT_ACKNOWLEDGE)
    found = queries.incident(session, incident_id)
    if not note.strip():
        raise InvalidInput("The note is empty. Write what you saw or did.")
    return _act(session, found, NOTE, note.strip(), "incident.noted", actor, now)


def record_action(
    session: Session,
    *,
    incident_id: int,
    kind: str,
    note: str,
    actor: Actor,
    now: datetime,
) -> IncidentAction:
    """Write down that a remedy was carried out.

    Parameters
    ----------
    kind : str
        Key in `REMEDIES`.

    Raises
    ------
    PermissionDenied, NotFound
    InvalidInput
        There is no such remedy.
    InvalidTransition
        The incident is resolved.
    """
    found = _unresolved_incident(session, incident_id, actor)
    if kind not in REMEDIES:
        raise InvalidInput(f"{kind!r} is no remedy. Choose one of: {', '.join(REMEDIES)}.")
    _begin_to_act(found)
    session.add(found)
    return _act(session, found, kind, note.strip(), "incident.acted_on", actor, now)


def resolve(session: Session, *, incident_id: int, outcome: str, actor: Actor, now: datetime) -> Incident:
    """Close an incident with how it ended; its alerts are resolved with it.

    Raises
    ------
    PermissionDenied, NotFound
    InvalidInput
        No outcome is given.
    InvalidTransition
        It is resolved already.
    """
    found = _unresolved_incident(session, incident_id, actor)
    if not outcome.strip():
        raise InvalidInput("Say how it ended: what the cause was, and what was done.")
    found.state = move_incident(found.state, IncidentState.RESOLVED)
    found.outcome, found.resolved_at = outcome.strip(), now
    session.add(found)
    _audit(session, found, "incident.resolved", actor, now, {"outcome": found.outcome, "cause": found.cause})
    for alert in queries.alerts_of(session, incident_id):
        if alert.state != AlertState.RESOLVED:
            resolve_alert(session, alert_id=alert.id or 0, note=found.outcome, actor=actor, now=now)
    return found


def _asked_once(
    session: Session, kind: str, payload: dict[str, Any], subject: str, subject_id: int, actor: Actor, now: datetime
) -> Job:
    last = next((one for one in jobs_of(session, subject, subject_id) if one.kind == kind), None)
    if last is not None and last.state in (JobState.QUEUED, JobState.RUNNING):
        return last
    return enqueue(
        session,
        kind=kind,
        payload=payload,
        subject_kind=subject,
        subject_id=subject_id,
        actor=actor,
        now=now,
        idempotency_key=f"{kind}:{subject} {subject_id}:{0 if last is None else last.id}",
    )


def _unresolved_incident(session: Session, incident_id: int, actor: Actor) -> Incident:
    require(actor, Permission.ALERT_ACKNOWLEDGE)
    found = queries.incident(session, incident_id)
    if found.state == IncidentState.RESOLVED:
        raise InvalidTransition("incident", found.state, "changed")
    return found


def _begin_to_act(found: Incident) -> None:
    if found.state == IncidentState.OPEN:
        found.state = move_incident(found.state, IncidentState.ACTING)


def _act(
    session: Session,
    found: Incident,
    kind: str,
    note: str,
    action: str,
    actor: Actor,
    now: datetime,
) -> IncidentAction:
    assert found.id is not None
    twice = queries.same_action(
        session, found.id, kind=kind, note=note, actor_id=actor.user_id, since=now - timedelta(seconds=TWICE_SECONDS)
    )
    if twice is not None:
        return twice
    done = IncidentAction(incident_id=found.id, kind=kind, note=note, actor_id=actor.user_id, at=now)
    session.add(done)
    session.flush()
    _audit(session, found, action, actor, now, {"kind": kind, "note": note})
    return done


def _title(
    session: Session, monitor_id: int | None, window: Window | None, triage: Triage, alerts: Sequence[Alert]
) -> str:
    monitor = None if monitor_id is None else session.get(Monitor, monitor_id)
    model = None if monitor is None else session.get(RegisteredModel, monitor.model_id)
    about = [alert for alert in alerts if alert.window_id is not None]
    # As `since_at`: what cannot wait says since when, drift only where there is nothing else.
    about = [alert for alert in about if alert.kind in ALERT_RULES and ALERT_RULES[alert.kind].wakes] or about
    first = min(about, key=lambda alert: alert.since_at, default=None)
    return words.title(
        INSTALLATION if model is None else model.name,
        cause=triage.cause,
        kinds=[alert.kind for alert in alerts],
        window=None if window is None else window.label,
        since=first.since if first and window and first.since_at < window.from_at else None,
    )


def _document(triage: Triage, window: Window | None, now: datetime) -> dict[str, Any]:
    return {
        **triage.to_json(),
        "window": None if window is None else window.label,
        "looked_at": now.isoformat(),
    }


def _audit(
    session: Session, found: Incident, action: str, actor: Actor, now: datetime, details: dict[str, Any]
) -> None:
    audit.record(
        session,
        actor=actor,
        action=action,
        subject_kind="incident",
        subject_id=found.id or 0,
        subject_label=found.title,
        now=now,
        details=details,
    )
