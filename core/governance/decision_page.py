"""Everything the decision page shows of one request, in one read."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlmodel import Session, col, select

from core.access.tables import User
from core.governance import standing
from core.governance.standing import Card, GateRow
from core.governance.tables import Decision, PromotionRequest, RequestState
from core.monitoring.drift_queries import latest_drift
from core.permissions import Actor, Permission
from core.registry import queries as registry
from core.registry.tables import Cause, Deployment, Environment


@dataclass(frozen=True)
class DecisionRow:
    """One person's decision; ``counts`` unless the evidence was prepared again since."""

    user: str
    kind: str
    comment: str
    decided_at: datetime
    evidence_digest: str
    counts: bool


@dataclass(frozen=True)
class WayBack:
    """Where a rollback leads.

    Parameters
    ----------
    version_id, label : int, str
        The version that would be live again.
    last_live_until : datetime or None
        When it was live last; None while it still is.
    tested_at : datetime or None
        When somebody last rolled this alias back to any version; None when nobody ever did.
    warning : str or None
        What speaks against it: data quarantined since.
    """

    version_id: int
    label: str
    last_live_until: datetime | None
    tested_at: datetime | None
    warning: str | None


@dataclass(frozen=True)
class DecisionPage:
    """One request as a reviewer sees it.

    Parameters
    ----------
    question : str
        "Make income v3 champion in production, replacing v2?"
    error : str or None
        Why the evidence could not be prepared.
    may_decide, reason : bool, str or None
        Whether the reader may decide now, and why not.
    may_renew, may_withdraw, may_waive : bool
    stale : tuple of str
        What changed since the evidence was prepared; an approval is refused while there is any.
    evidence_digest : str or None
        Hand it back with the decision.
    comparisons, dummy, metrics, thresholds, changed, changed_by_slice, fairness, data_changes, drift, behaviour
        The frozen evidence, as documented in `evidence`; empty or None before it is prepared.
    drift_now : dict or None
        The champion's newest drift, live; binds nothing.
    n_blocking, n_warnings : int
        Gates that stand in the way, and warning gates that failed.
    way_back : WayBack or None
        Where a rollback after this approval would lead: what it replaces. None for a first champion.
    reviewers : tuple of str
        Who may decide; empty when nobody can.
    next_request_id : int or None
        The next open request this reader may decide on.
    """

    request_id: int
    state: str
    revision: int
    question: str
    version_id: int
    version_label: str
    version_number: int
    run_id: int
    model_id: int
    model_name: str
    environment: str
    alias: str
    replaces_id: int | None
    replaces_label: str | None
    requester: str | None
    requested_at: datetime
    due_at: datetime
    decided_at: datetime | None
    comment: str
    error: str | None
    job_id: int | None
    policy_number: int
    approvals_needed: int
    approvals_given: int
    may_decide: bool
    reason: str | None
    may_renew: bool
    may_withdraw: bool
    may_waive: bool
    stale: tuple[str, ...]
    evidence_digest: str | None
    prepared_at: str | None
    comparisons: tuple[dict[str, Any], ...]
    dummy: dict[str, Any] | None
    metrics: dict[str, Any]
    thresholds: dict[str, float | None]
    gates: tuple[GateRow, ...]
    n_blocking: int
    n_warnings: int
    changed: dict[str, Any] | None
    changed_by_slice: tuple[dict[str, Any], ...]
    fairness: tuple[dict[str, Any], ...]
    data_changes: tuple[str, ...]
    drift: dict[str, Any] | None
    drift_now: dict[str, Any] | None
    behaviour: dict[str, Any] | None
    way_back: WayBack | None
    card: Card
    lineage: registry.Lineage
    decisions: tuple[DecisionRow, ...]
    reviewers: tuple[str, ...]
    next_request_id: int | None


def decision_page(session: Session, request_id: int, actor: Actor, now: datetime) -> DecisionPage:
    """Read everything about one request, as this actor may act on it."""
    found = standing.request(session, request_id)
    version = registry.version(session, found.version_id)
    model = registry.model(session, version.model_id)
    policy = standing.policy_of(session, found)
    requester = session.get(User, found.requested_by) if found.requested_by is not None else None
    label = registry.version_label(session, found.version_id)
    replaces = registry.version(session, found.replaces_id) if found.replaces_id is not None else None
    evidence: dict[str, Any] = found.evidence or {}
    reason = standing.reason_against_deciding(session, found, actor)
    gates = tuple(standing.gate_rows(session, found, now))
    undecided = found.decided_at is None
    preparing = found.state == RequestState.PREPARING and found.error is None
    replacing = f", replacing v{replaces.number}" if replaces else ""
    return DecisionPage(
        request_id=request_id,
        state=found.state,
        revision=found.revision,
        question=f"Make {label} {found.alias} in {found.environment}{replacing}?",
        version_id=found.version_id,
        version_label=label,
        version_number=version.number,
        run_id=version.run_id,
        model_id=version.model_id,
        model_name=model.name,
        environment=found.environment,
        alias=found.alias,
        replaces_id=found.replaces_id,
        replaces_label=registry.version_label(session, found.replaces_id) if found.replaces_id is not None else None,
        requester=requester.name if requester else None,
        requested_at=found.requested_at,
        due_at=found.due_at,
        decided_at=found.decided_at,
        comment=found.comment,
        error=found.error,
        job_id=found.job_id,
        policy_number=policy.number,
        approvals_needed=policy.approvals,
        approvals_given=standing.approvals_given(session, found),
        may_decide=reason is None,
        reason=reason,
        may_renew=undecided and not preparing and actor.may(Permission.REQUEST_CREATE),
        may_withdraw=undecided and actor.user_id is not None and actor.user_id == found.requested_by,
        may_waive=found.state == RequestState.OPEN
        and actor.may(Permission.WAIVER_GRANT)
        and actor.user_id is not None
        and standing.conflict(session, found, actor) is None,
        stale=standing.stale_reasons(session, found) if undecided else (),
        evidence_digest=found.evidence_digest,
        prepared_at=evidence.get("prepared_at"),
        comparisons=tuple(evidence.get("comparisons", ())),
        dummy=evidence.get("dummy"),
        metrics=evidence.get("metrics", {}),
        thresholds=evidence.get("thresholds", {}),
        gates=gates,
        n_blocking=sum(row.blocks for row in gates),
        n_warnings=sum(row.severity == "warning" and row.outcome == "failed" for row in gates),
        changed=evidence.get("changed"),
        changed_by_slice=tuple(evidence.get("changed_by_slice", ())),
        fairness=tuple(evidence.get("fairness", ())),
        data_changes=tuple(evidence.get("data_changes", ())),
        drift=evidence.get("drift"),
        drift_now=latest_drift(session, version.model_id),
        behaviour=evidence.get("behaviour"),
        way_back=_to(session, found.replaces_id, version.model_id, found.environment, found.alias)
        if found.replaces_id is not None
        else None,
        card=standing.card(session, found.version_id),
        lineage=registry.lineage(session, found.version_id),
        decisions=decision_rows(session, found),
        reviewers=tuple(standing.eligible_reviewers(session, found)),
        next_request_id=_next(session, found, actor),
    )


def decision_rows(session: Session, found: PromotionRequest) -> tuple[DecisionRow, ...]:
    """List the decisions on a request, oldest first."""
    rows = session.exec(
        select(Decision, User.name)
        .join(User, col(User.id) == col(Decision.user_id))
        .where(Decision.request_id == found.id)
        .order_by(col(Decision.id))
    )
    return tuple(
        DecisionRow(
            user=name,
            kind=decision.kind,
            comment=decision.comment,
            decided_at=decision.decided_at,
            evidence_digest=decision.evidence_digest,
            counts=decision.revision == found.revision,
        )
        for decision, name in rows
    )


def way_back(
    session: Session, *, model_id: int, environment: str = Environment.PRODUCTION, alias: str = "champion"
) -> WayBack | None:
    """Say where a rollback of an alias would lead now, None where there is nothing to roll back to."""
    target = registry.rollback_target(session, model_id=model_id, environment=environment, alias=alias)
    return None if target is None else _to(session, target, model_id, environment, alias)


def _to(session: Session, version_id: int, model_id: int, environment: str, alias: str) -> WayBack:
    held = list(
        session.exec(
            select(Deployment)
            .where(Deployment.model_id == model_id, Deployment.environment == environment, Deployment.alias == alias)
            .order_by(col(Deployment.id).desc())
        )
    )
    own = next((row for row in held if row.version_id == version_id), None)
    quarantined = [s.dataset_version_id for s in registry.lineage(session, version_id).sources if s.quarantined]
    label = registry.version_label(session, version_id)
    return WayBack(
        version_id=version_id,
        label=label,
        last_live_until=own.to_at if own else None,
        tested_at=next((row.from_at for row in held if row.cause == Cause.ROLLBACK), None),
        warning=f"{label} was trained on data that is quarantined now." if quarantined else None,
    )


def _next(session: Session, found: PromotionRequest, actor: Actor) -> int | None:
    others = session.exec(
        select(PromotionRequest)
        .where(PromotionRequest.state == RequestState.OPEN, PromotionRequest.id != found.id)
        .order_by(col(PromotionRequest.due_at), col(PromotionRequest.id))
    )
    return next((one.id for one in others if standing.reason_against_deciding(session, one, actor) is None), None)
