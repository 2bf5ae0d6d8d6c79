"""Reads of incidents, of what was done about them and of the alerts that belong to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session, case, col, func, select

from core.access.tables import User
from core.errors import NotFound
from core.incidents.causes import cause_title
from core.incidents.tables import Incident, IncidentAction, IncidentState
from core.jobs import queries as jobs
from core.jobs.tables import Job
from core.monitoring.alert_rules import SEVERITIES
from core.monitoring.tables import Alert, AlertState, Monitor, Window
from core.registry.tables import RegisteredModel

REALISED_HARM = "performance"
"""The rule that fires on labels; an estimate without them only warns."""


@dataclass(frozen=True)
class IncidentRow:
    """One incident as lists show it.

    Parameters
    ----------
    subject : str
        "income champion (production)".
    cause : str
        The cause's title.
    ended : bool
        Whether all its alerts are over, though nobody has resolved it.
    """

    id: int
    monitor_id: int | None
    subject: str
    title: str
    severity: str
    state: str
    cause: str
    owner: str | None
    since_at: datetime
    opened_at: datetime
    resolved_at: datetime | None
    n_alerts: int
    ended: bool


@dataclass(frozen=True)
class ActionRow:
    """One thing done about an incident, and by whom; None is the program itself."""

    kind: str
    note: str
    actor: str | None
    at: datetime


def incident(session: Session, incident_id: int) -> Incident:
    """One incident.

    Raises
    ------
    NotFound
    """
    found = session.get(Incident, incident_id)
    if found is None:
        raise NotFound("incident", incident_id, "The monitoring page lists those that are open.")
    return found


def unresolved_of(session: Session, monitor_id: int | None) -> Incident | None:
    """The incident of a monitor (or, for None, of the installation) that nobody has resolved; there is one at most."""
    of_monitor = col(Incident.monitor_id).is_(None) if monitor_id is None else Incident.monitor_id == monitor_id
    query = select(Incident).where(of_monitor, Incident.state != IncidentState.RESOLVED).order_by(col(Incident.id))
    return session.exec(query).first()


def list_incidents(
    session: Session, *, monitor_id: int | None = None, unresolved: bool = False, limit: int = 100
) -> list[IncidentRow]:
    """Incidents, those nobody has resolved first, then newest first.

    Parameters
    ----------
    monitor_id : int, optional
        Only those of one monitor.
    unresolved : bool
        Only those that are open or acted on.
    """
    counted = dict(session.exec(select(Alert.incident_id, func.count()).group_by(col(Alert.incident_id))).all())
    over = ended(session)
    query = (
        select(Incident, User.name, Monitor, RegisteredModel.name)
        .join(User, col(User.id) == col(Incident.owner_id), isouter=True)
        .join(Monitor, col(Monitor.id) == col(Incident.monitor_id), isouter=True)
        .join(RegisteredModel, col(RegisteredModel.id) == col(Monitor.model_id), isouter=True)
        .order_by(
            (col(Incident.state) == IncidentState.RESOLVED), col(Incident.opened_at).desc(), col(Incident.id).desc()
        )
        .limit(limit)
    )
    if monitor_id is not None:
        query = query.where(col(Incident.monitor_id) == monitor_id)
    if unresolved:
        query = query.where(col(Incident.state) != IncidentState.RESOLVED)
    return [
        IncidentRow(
            id=found.id or 0,
            monitor_id=found.monitor_id,
            subject=subject_of(watched, model),
            title=found.title,
            severity=found.severity,
            state=found.state,
            cause=cause_title(found.cause),
            owner=owner,
            since_at=found.since_at,
            opened_at=found.opened_at,
            resolved_at=found.resolved_at,
            n_alerts=counted.get(found.id, 0),
            ended=found.id in over,
        )
        for found, owner, watched, model in session.exec(query)
    ]


def ended(session: Session) -> dict[int, datetime | None]:
    """Unresolved incidents that had alerts, all of which are over; by id, with when the last of them ended.

    None where that was not kept.
    """
    query = (
        select(Alert.incident_id, func.max(col(Alert.resolved_at)))
        .join(Incident, col(Incident.id) == col(Alert.incident_id))
        .where(col(Incident.state) != IncidentState.RESOLVED)
        .group_by(col(Alert.incident_id))
        .having(func.sum(case((col(Alert.state) == AlertState.RESOLVED, 0), else_=1)) == 0)
    )
    return {incident_id: at for incident_id, at in session.exec(query) if incident_id is not None}


def milder_than_their_alerts(session: Session) -> list[Incident]:
    """Unresolved incidents that are not critical, though an unresolved alert of theirs is."""
    query = (
        select(Incident)
        .where(
            col(Incident.state) != IncidentState.RESOLVED,
            col(Incident.severity) != SEVERITIES[-1],
            col(Incident.id).in_(
                select(Alert.incident_id).where(
                    col(Alert.severity) == SEVERITIES[-1], col(Alert.state) != AlertState.RESOLVED
                )
            ),
        )
        .order_by(col(Incident.id))
    )
    return list(session.exec(query))


def subject_of(monitor: Monitor | None, model_name: str | None) -> str:
    """What an incident is about, as people call it."""
    if monitor is None or model_name is None:
        return "this installation"
    return f"{model_name} {monitor.alias} ({monitor.environment})"


def look_job(session: Session, incident_id: int) -> Job | None:
    """The last job that was to look at an incident again."""
    found = jobs.jobs_of(session, "incident", incident_id)
    return next((one for one in found if one.kind == "look_again"), None)


def actions(session: Session, incident_id: int) -> list[ActionRow]:
    """What was done about an incident, oldest first."""
    query = (
        select(IncidentAction, User.name)
        .join(User, col(User.id) == col(IncidentAction.actor_id), isouter=True)
        .where(col(IncidentAction.incident_id) == incident_id)
        .order_by(col(IncidentAction.at), col(IncidentAction.id))
    )
    return [ActionRow(found.kind, found.note, name, found.at) for found, name in session.exec(query)]


def same_action(
    session: Session, incident_id: int, *, kind: str, note: str, actor_id: int | None, since: datetime
) -> IncidentAction | None:
    """The same thing written down by the same person since a moment."""
    query = select(IncidentAction).where(
        IncidentAction.incident_id == incident_id,
        IncidentAction.kind == kind,
        IncidentAction.note == note,
        IncidentAction.actor_id == actor_id,
        IncidentAction.at >= since,
    )
    return session.exec(query).first()


def alerts_of(session: Session, incident_id: int) -> list[Alert]:
    """The alerts that belong to an incident, oldest first."""
    query = select(Alert).where(col(Alert.incident_id) == incident_id).order_by(col(Alert.opened_at), col(Alert.id))
    return list(session.exec(query))


def window_to_look_at(session: Session, alerts: Sequence[Alert]) -> int | None:
    """The window furthest on in time that unresolved alerts are about; None where none is about one.

    Harm that labels show comes first: labels are late, and a later window without any would say that none is expected.
    By time and not by number: a late batch, or windows cut anew, give an older span a higher one.
    """
    about = [one for one in alerts if one.window_id is not None and one.state != AlertState.RESOLVED]
    ids = [one.window_id for one in about if one.kind == REALISED_HARM] or [one.window_id for one in about]
    query = (
        select(Window.id)
        .where(col(Window.id).in_(ids))
        .order_by(col(Window.from_at).desc(), col(Window.id).desc())
        .limit(1)
    )
    return session.exec(query).first()


def began_at(session: Session, window: Window) -> datetime:
    """Since when the data shows what a window shows: as long as the monitor's alerts on data go on, else since then."""
    query = select(func.min(Alert.since_at)).where(
        Alert.monitor_id == window.monitor_id,
        col(Alert.window_id).is_not(None),
        col(Alert.state) != AlertState.RESOLVED,
        Alert.since_at <= window.from_at,
    )
    return session.exec(query).one() or window.from_at


def alerts_without(session: Session, *, monitor_id: int | None = None) -> list[Alert]:
    """Unresolved alerts that belong to no incident, oldest first; of one monitor where given."""
    query = (
        select(Alert)
        .where(col(Alert.incident_id).is_(None), col(Alert.state) != AlertState.RESOLVED)
        .order_by(col(Alert.opened_at), col(Alert.id))
    )
    if monitor_id is not None:
        query = query.where(col(Alert.monitor_id) == monitor_id)
    return list(session.exec(query))


def owner_name(session: Session, incident_id: int) -> str | None:
    """Who has taken an incident over; None for nobody."""
    query = (
        select(User.name).join(Incident, col(Incident.owner_id) == col(User.id)).where(col(Incident.id) == incident_id)
    )
    return session.exec(query).first()
