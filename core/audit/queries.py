"""Reading the audit log: pages of events, what can be filtered by, counts."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlmodel import Session, col, func, select

from core.audit.tables import AuditEvent


def events(
    session: Session,
    *,
    limit: int,
    before: int | None = None,
    actor_name: str | None = None,
    action: str | None = None,
    any_action: Iterable[str] | None = None,
    since: datetime | None = None,
) -> list[AuditEvent]:
    """List events, newest first.

    Parameters
    ----------
    limit : int
        At most this many.
    before : int, optional
        Only events with a lower number: where the page before ended.
    actor_name, action, any_action, since
        Only events by this account, of this action, of one of these actions, from this moment on.
    """
    query = select(AuditEvent).order_by(col(AuditEvent.number).desc()).limit(limit)
    if before is not None:
        query = query.where(col(AuditEvent.number) < before)
    if actor_name is not None:
        query = query.where(AuditEvent.actor_name == actor_name)
    if action is not None:
        query = query.where(AuditEvent.action == action)
    if any_action is not None:
        query = query.where(col(AuditEvent.action).in_(tuple(any_action)))
    if since is not None:
        query = query.where(col(AuditEvent.at) >= since)
    return list(session.exec(query))


def actor_names(session: Session) -> list[str]:
    """Names that appear in the log, sorted."""
    return list(session.exec(select(AuditEvent.actor_name).distinct().order_by(AuditEvent.actor_name)))


def actions(session: Session) -> list[str]:
    """Actions that appear in the log, sorted."""
    return list(session.exec(select(AuditEvent.action).distinct().order_by(AuditEvent.action)))


def counts_since(session: Session, since: datetime) -> dict[str, int]:
    """How often each action happened from a moment on."""
    query = select(AuditEvent.action, func.count()).where(col(AuditEvent.at) >= since).group_by(AuditEvent.action)
    return dict(session.exec(query).all())
