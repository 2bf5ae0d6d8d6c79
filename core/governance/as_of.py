"""What was live at a moment, who allowed it, and on what evidence."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session, col, select

from core.access.tables import User
from core.governance.decision_page import decision_rows
from core.governance.standing import policy_of
from core.governance.tables import DecisionKind, GateResult, PromotionRequest
from core.registry import queries as registry


@dataclass(frozen=True)
class Approval:
    """One person who allowed it, with their words."""

    user: str
    comment: str
    decided_at: datetime
    evidence_digest: str


@dataclass(frozen=True)
class AsOfRow:
    """One version that was live at the moment asked about.

    Parameters
    ----------
    since, until : datetime, datetime or None
        The span in which it held the alias; ``until`` is None while it still does.
    cause : str
        "promotion" or "rollback". A rollback needs no approval: ``deployed_by`` and ``reason`` say who and why, and the
        request, approvals and evidence are those that made the version live in the first place.
    request_id, requested_by, comment, policy_number, evidence_digest, gates
        None or empty where no promotion request stands behind the version.
    gates : str
        The gates in numbers: "6 passed, 1 not applicable".
    """

    model_id: int
    model_name: str
    environment: str
    alias: str
    version_id: int
    version_label: str
    deployment_id: int
    since: datetime
    until: datetime | None
    cause: str
    deployed_by: str | None
    reason: str
    request_id: int | None
    requested_by: str | None
    comment: str | None
    policy_number: int | None
    approvals: tuple[Approval, ...]
    evidence_digest: str | None
    gates: str

    @property
    def approvers(self) -> tuple[str, ...]:
        """Names of the people who approved."""
        return tuple(approval.user for approval in self.approvals)


def live_as_of(session: Session, at: datetime) -> list[AsOfRow]:
    """List what was live at a moment, with who allowed it and on what evidence, by model name."""
    return [_explained(session, row, at) for row in registry.live_at(session, at)]


def _explained(session: Session, row: registry.LiveRow, at: datetime) -> AsOfRow:
    request_id = row.request_id if row.request_id is not None else _first_request(session, row, at)
    found = session.get(PromotionRequest, request_id) if request_id is not None else None
    requester = session.get(User, found.requested_by) if found and found.requested_by is not None else None
    approvals = (
        tuple(
            Approval(decision.user, decision.comment, decision.decided_at, decision.evidence_digest)
            for decision in decision_rows(session, found)
            if decision.counts and decision.kind == DecisionKind.APPROVE
        )
        if found
        else ()
    )
    return AsOfRow(
        model_id=row.model_id,
        model_name=row.model_name,
        environment=row.environment,
        alias=row.alias,
        version_id=row.version_id,
        version_label=f"{row.model_name} v{row.version_number}",
        deployment_id=row.deployment_id,
        since=row.from_at,
        until=row.to_at,
        cause=row.cause,
        deployed_by=row.deployed_by,
        reason=row.reason,
        request_id=request_id,
        requested_by=requester.name if requester else None,
        comment=found.comment if found else None,
        policy_number=policy_of(session, found).number if found else None,
        approvals=approvals,
        evidence_digest=found.evidence_digest if found else None,
        gates=_gates(session, request_id) if request_id is not None else "",
    )


def _first_request(session: Session, row: registry.LiveRow, at: datetime) -> int | None:
    """Find the promotion behind a rollback: the newest deployment of that version by request until then."""
    return next(
        (
            earlier.request_id
            for earlier in registry.deployments(session, row.model_id)
            if earlier.version_id == row.version_id
            and (earlier.environment, earlier.alias) == (row.environment, row.alias)
            and earlier.request_id is not None
            and earlier.from_at <= at
        ),
        None,
    )


def _gates(session: Session, request_id: int) -> str:
    counts: dict[str, int] = {}
    for outcome in session.exec(
        select(GateResult.outcome).where(GateResult.request_id == request_id).order_by(col(GateResult.id))
    ):
        counts[outcome] = counts.get(outcome, 0) + 1
    order = ("passed", "failed", "skipped", "not_applicable")
    return ", ".join(f"{counts[word]} {word.replace('_', ' ')}" for word in order if word in counts)
