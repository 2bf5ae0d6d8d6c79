"""Writing to the audit log, and walking its chain."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlmodel import Session, col, select

from core.audit.chain import GENESIS, event_hash
from core.audit.tables import AuditEvent
from core.permissions import Actor

ACTION_ID = "audit_action_id"
CHAIN_LOCK = 7_214_001


@dataclass(frozen=True)
class Break:
    """A place where the chain does not hold: the event's number and what is wrong, in words."""

    number: int
    reason: str


@dataclass(frozen=True)
class ChainReport:
    """What a walk of the chain found.

    Parameters
    ----------
    events : int
        How many were walked.
    head_number, head_hash : int, str
        The last event; keep them elsewhere to be able to notice a cut tail.
    breaks : tuple of Break
        Empty when the chain is intact.
    """

    events: int
    head_number: int
    head_hash: str
    breaks: tuple[Break, ...]

    @property
    def intact(self) -> bool:
        """Whether every event is as it was written."""
        return not self.breaks


def record(
    session: Session,
    *,
    actor: Actor,
    action: str,
    subject_kind: str,
    subject_id: int,
    subject_label: str,
    now: datetime,
    details: Mapping[str, Any] | None = None,
) -> AuditEvent:
    """Append one event inside the caller's transaction.

    Parameters
    ----------
    actor : Actor
        Who acts.
    action : str
        What happened, ``subject.verb-in-the-past``: "dataset_version.added".
    subject_kind, subject_id, subject_label
        What changed; the label is what a person calls it ("income v2").
    details : mapping, optional
        JSON-ready facts.
    """
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": CHAIN_LOCK})
    head = session.exec(select(AuditEvent).order_by(col(AuditEvent.number).desc()).limit(1)).first()
    event = AuditEvent(
        number=(head.number if head else 0) + 1,
        at=now,
        action_id=session.info.setdefault(ACTION_ID, uuid.uuid4().hex),
        action=action,
        actor_id=actor.user_id,
        actor_name=actor.name,
        via=actor.via,
        os_user=actor.os_user,
        subject_kind=subject_kind,
        subject_id=subject_id,
        subject_label=subject_label,
        details=dict(details or {}),
        previous_hash=head.hash if head else GENESIS,
        hash="",
    )
    event.hash = event_hash(event.previous_hash, _fields(event))
    session.add(event)
    session.flush()
    return event


def verify(session: Session) -> ChainReport:
    """Walk the whole chain and name each place where it does not hold."""
    breaks: list[Break] = []
    previous, number, count = GENESIS, 0, 0
    for event in session.exec(select(AuditEvent).order_by(col(AuditEvent.number))):
        count += 1
        if event.number != number + 1:
            breaks.append(Break(event.number, f"events {number + 1} to {event.number - 1} are missing before it"))
        elif event.previous_hash != previous:
            breaks.append(Break(event.number, "it does not follow the event before it: one was changed or moved"))
        if event_hash(event.previous_hash, _fields(event)) != event.hash:
            breaks.append(Break(event.number, "its own content was changed after it was written"))
        previous, number = event.hash, event.number
    return ChainReport(count, number, previous, tuple(breaks))


def head_number(session: Session) -> int:
    """Number of the newest event; 0 for an empty log. Caches of audited reads are keyed by it."""
    return session.exec(select(AuditEvent.number).order_by(col(AuditEvent.number).desc()).limit(1)).first() or 0


def _fields(event: AuditEvent) -> dict[str, Any]:
    return {
        "number": event.number,
        "at": event.at.isoformat(timespec="microseconds"),
        "action_id": event.action_id,
        "action": event.action,
        "actor_id": event.actor_id,
        "actor_name": event.actor_name,
        "via": event.via,
        "os_user": event.os_user,
        "subject_kind": event.subject_kind,
        "subject_id": event.subject_id,
        "subject_label": event.subject_label,
        "details": event.details,
    }
