"""What waits for somebody: computed at each look, never stored."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import IntEnum

from sqlmodel import Session, col, select

from core.governance import standing
from core.governance.tables import PromotionRequest, RequestState
from core.incidents import queries as incidents
from core.incidents import words
from core.incidents.tables import Incident, IncidentState
from core.monitoring.alert_queries import open_alerts
from core.monitoring.alert_rules import ALERT_RULES
from core.monitoring.tables import Alert, AlertState
from core.permissions import Actor, Permission
from core.training.tables import Run, RunState

# What only informs leaves by itself; what waits for a deed stays until it is done.
NEWS_FOR = timedelta(days=7)


class Urgency(IntEnum):
    """In what order things are to be seen to: critical ones, warnings and what is overdue, the rest, what is over."""

    CRITICAL = 0
    WARNING = 1
    WAITING = 2
    OVER = 3
    NEWS = 4


SEVERE = {"critical": Urgency.CRITICAL, "warning": Urgency.WARNING}
ORDER = "Critical first, then warnings and what is overdue, then the rest; within each the longest wait leads."
"""How `inbox` orders, as a page says it."""


@dataclass(frozen=True)
class InboxItem:
    """One thing that waits, or one piece of news.

    Parameters
    ----------
    kind : str
        "decide", "stale", "changes_requested", "preparation_failed", "decided", "run_failed", "incident",
        "ended_incident" or "alert".
    subject_kind, subject_id : str, int
    sentence : str
        What it is.
    reason : str
        Why it is here, in plain words.
    since : datetime
        When it began to wait.
    urgency : Urgency
    page, params : str, dict
        Where the next click leads: the page's name and its query parameters.
    """

    kind: str
    subject_kind: str
    subject_id: int
    sentence: str
    reason: str
    since: datetime
    urgency: Urgency
    page: str
    params: dict[str, int | str] = field(default_factory=dict)


def inbox(session: Session, actor: Actor, now: datetime) -> list[InboxItem]:
    """List everything that waits for an actor, by urgency, then what has waited longest first."""
    items = [
        *_requests(session, actor, now),
        *_runs(session, actor, now),
        *_incidents(session, actor),
        *_alerts(session, actor),
    ]
    return sorted(items, key=lambda item: (item.urgency, item.since, item.subject_id))


def _requests(session: Session, actor: Actor, now: datetime) -> Iterator[InboxItem]:
    reviews = actor.may(Permission.REQUEST_DECIDE)
    undecided = session.exec(
        select(PromotionRequest).where(
            col(PromotionRequest.state).in_([RequestState.OPEN, RequestState.PREPARING, RequestState.CHANGES_REQUESTED])
        )
    )
    for found in undecided:
        mine = actor.user_id is not None and found.requested_by == actor.user_id
        label = standing.request_label(session, found)
        if found.state == RequestState.OPEN:
            if not mine and not reviews:
                continue
            stale = standing.stale_reasons(session, found)
            if stale and mine:
                yield _item(found, "stale", label, f"Prepare the evidence again: {', '.join(stale)}.")
            elif reviews and standing.reason_against_deciding(session, found, actor) is None:
                late = found.due_at < now
                overdue = " It is overdue." if late else ""
                waits = f" It went stale: {', '.join(stale)}." if stale else ""
                urgency = Urgency.WARNING if late else Urgency.WAITING
                yield _item(found, "decide", label, f"You may decide on it.{overdue}{waits}", urgency)
        elif mine and found.state == RequestState.CHANGES_REQUESTED:
            names = standing.deciders(session, found)
            yield _item(found, "changes_requested", label, f"{' and '.join(names)} asked for changes.")
        elif mine and found.error is not None:
            yield _item(found, "preparation_failed", label, f"Its evidence could not be prepared: {found.error}")
    if actor.user_id is None:
        return
    ended = session.exec(
        select(PromotionRequest).where(
            PromotionRequest.requested_by == actor.user_id,
            col(PromotionRequest.state).in_([RequestState.APPROVED, RequestState.REJECTED]),
            col(PromotionRequest.decided_at) > now - NEWS_FOR,
        )
    )
    for found in ended:
        who = " and ".join(standing.deciders(session, found))
        yield _item(
            found,
            "decided",
            standing.request_label(session, found),
            f"{who} {found.state} it.",
            Urgency.NEWS,
            since=found.decided_at,
        )


def _runs(session: Session, actor: Actor, now: datetime) -> Iterator[InboxItem]:
    if actor.user_id is None:
        return
    failed = session.exec(
        select(Run).where(
            Run.requested_by == actor.user_id,
            Run.state == RunState.FAILED,
            col(Run.finished_at) > now - NEWS_FOR,
        )
    )
    for run in failed:
        assert run.id is not None
        yield InboxItem(
            kind="run_failed",
            subject_kind="run",
            subject_id=run.id,
            sentence=f"Run {run.id} ({run.algorithm}) failed",
            reason=run.error or "It left no reason.",
            since=run.finished_at or run.requested_at,
            urgency=Urgency.WAITING,
            page="run",
            params={"run": run.id},
        )


def _incidents(session: Session, actor: Actor) -> Iterator[InboxItem]:
    """Incidents nobody sees to, and those that are the actor's own."""
    if not actor.may(Permission.ALERT_ACKNOWLEDGE):
        return
    told = {alert.incident_id: alert.sentence for alert in _alerts_of_incidents(session)}
    ended = incidents.ended(session)
    for found in session.exec(select(Incident).where(Incident.state != IncidentState.RESOLVED)):
        assert found.id is not None
        if found.owner_id is not None and found.owner_id != actor.user_id:
            continue
        over = found.id in ended
        whose = "Nobody sees to it yet." if found.owner_id is None else "You see to it, and it is not resolved yet."
        reason = f"{told[found.id]} {whose}" if found.id in told else whose
        yield InboxItem(
            kind="ended_incident" if over else "incident",
            subject_kind="incident",
            subject_id=found.id,
            sentence=found.title,
            reason=f"{words.ended(ended[found.id])} It waits for you to say how it ended." if over else reason,
            since=found.opened_at,
            urgency=Urgency.OVER if over else SEVERE.get(found.severity, Urgency.WARNING),
            page="incident",
            params={"incident": found.id},
        )


def _alerts_of_incidents(session: Session) -> list[Alert]:
    """Those not resolved: of each incident, the newest that cannot wait comes last, else the newest."""
    query = select(Alert).where(col(Alert.incident_id).is_not(None), col(Alert.state) != AlertState.RESOLVED)
    found = session.exec(query.order_by(col(Alert.id)))
    return sorted(found, key=lambda alert: alert.kind not in ALERT_RULES or ALERT_RULES[alert.kind].wakes)


def _alerts(session: Session, actor: Actor) -> Iterator[InboxItem]:
    if not actor.may(Permission.ALERT_ACKNOWLEDGE):
        return
    # What belongs to an incident waits there.
    told = set(session.exec(select(Alert.id).where(col(Alert.incident_id).is_not(None))))
    for alert in open_alerts(session):
        if alert.id in told:
            continue
        kind = ALERT_RULES.get(alert.kind)
        urgency = "it cannot wait" if kind is None or kind.wakes else "it can wait for the morning"
        params: dict[str, int | None] = {"monitor": alert.monitor_id, "window": alert.window_id}
        yield InboxItem(
            kind="alert",
            subject_kind="alert",
            subject_id=alert.id,
            sentence=alert.sentence,
            reason=f"An alert nobody has looked at yet; {urgency}.",
            since=alert.opened_at,
            urgency=SEVERE.get(alert.severity, Urgency.WARNING),
            page="monitoring" if alert.monitor_id is None else "monitor",
            params={"view": "infrastructure"}
            if alert.monitor_id is None
            else {name: value for name, value in params.items() if value is not None},
        )


def _item(
    found: PromotionRequest,
    kind: str,
    label: str,
    reason: str,
    urgency: Urgency = Urgency.WAITING,
    *,
    since: datetime | None = None,
) -> InboxItem:
    assert found.id is not None
    return InboxItem(
        kind=kind,
        subject_kind="promotion_request",
        subject_id=found.id,
        sentence=label,
        reason=reason,
        since=since or found.requested_at,
        urgency=urgency,
        page="request",
        params={"request": found.id},
    )
