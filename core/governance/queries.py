"""Reads: requests, policies, cards, the decision page, the inbox, and what a quarantine reaches."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlmodel import Session, col, select

from core.access.tables import User
from core.datasets.tables import DatasetVersion, Outcome, Relation
from core.governance.decision_page import DecisionPage, DecisionRow, WayBack, decision_page, way_back
from core.governance.inbox import InboxItem, inbox
from core.governance.lifecycle import UNDECIDED
from core.governance.standing import (
    Card,
    GateRow,
    card,
    current_policy,
    eligible_reviewers,
    request,
    request_label,
    stale_reasons,
    who_can_approve,
)
from core.governance.tables import GateResult, GateSeverity, PromotionPolicy, PromotionRequest, Waiver
from core.registry import queries as registry
from core.registry.tables import ModelVersion
from core.training.tables import Run

__all__ = [
    "Card",
    "DecisionPage",
    "DecisionRow",
    "GateRow",
    "InboxItem",
    "PolicyRow",
    "QuarantineImpact",
    "RequestRow",
    "WaiverRow",
    "WayBack",
    "card",
    "current_policy",
    "decided_requests",
    "decision_page",
    "eligible_reviewers",
    "inbox",
    "open_requests",
    "policies",
    "quarantine_impact",
    "request",
    "request_label",
    "requests_of_version",
    "stale_reasons",
    "waivers",
    "way_back",
    "who_can_approve",
]


@dataclass(frozen=True)
class RequestRow:
    """One line of a list of requests; the gate counts are before waivers."""

    id: int
    version_id: int
    version_label: str
    environment: str
    alias: str
    replaces_label: str | None
    state: str
    requester_id: int | None
    requester: str | None
    comment: str
    requested_at: datetime
    due_at: datetime
    decided_at: datetime | None
    error: str | None
    n_blocking: int
    n_warnings: int


@dataclass(frozen=True)
class PolicyRow:
    """One version of the promotion policy; the author is None for the seeded one."""

    id: int
    number: int
    gates: dict[str, str]
    margins: dict[str, float]
    approvals: int
    author: str | None
    reason: str
    created_at: datetime


@dataclass(frozen=True)
class WaiverRow:
    """One waiver with what it waives."""

    id: int
    request_id: int
    request_label: str
    gate: str
    reason: str
    until: datetime
    granted_by: str
    granted_at: datetime


@dataclass(frozen=True)
class QuarantineImpact:
    """What rests on a dataset version.

    Parameters
    ----------
    dataset_version_ids : tuple of int
        The version and those that add to it.
    live : tuple of registry.LiveRow
        Live versions trained on any of them.
    requests : tuple of RequestRow
        Undecided requests for versions trained on any of them.
    """

    dataset_version_ids: tuple[int, ...]
    live: tuple[registry.LiveRow, ...]
    requests: tuple[RequestRow, ...]


def open_requests(session: Session) -> list[RequestRow]:
    """List the requests nobody has settled, the one due first on top."""
    return _rows(session, col(PromotionRequest.state).in_(UNDECIDED), order=(col(PromotionRequest.due_at),))


def decided_requests(session: Session, limit: int = 200) -> list[RequestRow]:
    """List approved, rejected and withdrawn requests, newest first."""
    return _rows(
        session,
        col(PromotionRequest.state).not_in(UNDECIDED),
        order=(col(PromotionRequest.decided_at).desc(),),
        limit=limit,
    )


def requests_of_version(session: Session, version_id: int) -> list[RequestRow]:
    """List the requests made for one model version, newest first."""
    return _rows(session, col(PromotionRequest.version_id) == version_id, order=(col(PromotionRequest.id).desc(),))


def policies(session: Session) -> list[PolicyRow]:
    """List the promotion policy's versions, the one in force first."""
    rows = session.exec(
        select(PromotionPolicy, User.name)
        .join(User, col(User.id) == col(PromotionPolicy.author_id), isouter=True)
        .order_by(col(PromotionPolicy.number).desc())
    )
    listed = []
    for policy, author in rows:
        assert policy.id is not None
        listed.append(
            PolicyRow(
                policy.id,
                policy.number,
                dict(policy.gates),
                dict(policy.margins),
                policy.approvals,
                author,
                policy.reason,
                policy.created_at,
            )
        )
    return listed


def waivers(session: Session, request_id: int | None = None) -> list[WaiverRow]:
    """List waivers of one request or of all, newest first, ended ones too."""
    query = (
        select(Waiver, PromotionRequest, User.name)
        .join(PromotionRequest, col(PromotionRequest.id) == col(Waiver.request_id))
        .join(User, col(User.id) == col(Waiver.granted_by))
        .order_by(col(Waiver.granted_at).desc())
    )
    if request_id is not None:
        query = query.where(Waiver.request_id == request_id)
    listed = []
    for waiver, found, name in session.exec(query):
        assert waiver.id is not None
        listed.append(
            WaiverRow(
                waiver.id,
                waiver.request_id,
                request_label(session, found),
                waiver.gate,
                waiver.reason,
                waiver.until,
                name,
                waiver.granted_at,
            )
        )
    return listed


def quarantine_impact(session: Session, dataset_version_id: int) -> QuarantineImpact:
    """Find the live versions and undecided requests that rest on a dataset version, or on one that adds to it."""
    reached = [dataset_version_id]
    for parent in reached:
        reached.extend(
            key
            for key in session.exec(
                select(DatasetVersion.id).where(
                    DatasetVersion.parent_id == parent, DatasetVersion.relation == Relation.ADDS_TO
                )
            )
            if key is not None and key not in reached
        )
    trained = set(
        session.exec(
            select(ModelVersion.id)
            .join(Run, col(Run.id) == col(ModelVersion.run_id))
            .where(col(Run.dataset_version_id).in_(reached))
        )
    )
    return QuarantineImpact(
        tuple(reached),
        tuple(row for row in registry.live_now(session) if row.version_id in trained),
        tuple(row for row in open_requests(session) if row.version_id in trained),
    )


def _rows(session: Session, where: Any, *, order: tuple[Any, ...], limit: int = 1000) -> list[RequestRow]:
    rows = session.exec(
        select(PromotionRequest, User.name)
        .join(User, col(User.id) == col(PromotionRequest.requested_by), isouter=True)
        .where(where)
        .order_by(*order, col(PromotionRequest.id))
        .limit(limit)
    ).all()
    found = [request for request, _ in rows]
    labels = registry.version_labels(
        session,
        [one.version_id for one in found] + [one.replaces_id for one in found if one.replaces_id is not None],
    )
    counts: dict[tuple[int, str], int] = {}
    for gate in session.exec(
        select(GateResult).where(
            col(GateResult.request_id).in_([one.id for one in found]),
            col(GateResult.outcome).in_([Outcome.FAILED, Outcome.SKIPPED]),
        )
    ):
        key = (gate.request_id, gate.severity)
        counts[key] = counts.get(key, 0) + 1
    listed = []
    for one, name in rows:
        assert one.id is not None
        listed.append(
            RequestRow(
                id=one.id,
                version_id=one.version_id,
                version_label=labels[one.version_id],
                environment=one.environment,
                alias=one.alias,
                replaces_label=labels[one.replaces_id] if one.replaces_id is not None else None,
                state=one.state,
                requester_id=one.requested_by,
                requester=name,
                comment=one.comment,
                requested_at=one.requested_at,
                due_at=one.due_at,
                decided_at=one.decided_at,
                error=one.error,
                n_blocking=counts.get((one.id, GateSeverity.BLOCKING), 0),
                n_warnings=counts.get((one.id, GateSeverity.WARNING), 0),
            )
        )
    return listed
