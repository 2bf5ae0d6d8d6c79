"""Writes: requests, decisions, rollbacks, waivers, cards; the promotion policy is written in `policies`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlmodel import Session, col, select

from core.artifacts import ArtifactStore
from core.audit.service import record
from core.errors import (
    AlreadyExists,
    ConflictOfInterest,
    GatesFailed,
    InvalidInput,
    InvalidTransition,
    NotApplicable,
    PermissionDenied,
    StaleRevision,
)
from core.governance import policies, standing
from core.governance.cards import CARD_SECTIONS, SECTION_LENGTH
from core.governance.lifecycle import UNDECIDED, move, stands
from core.governance.tables import (
    Decision,
    DecisionKind,
    ModelCard,
    PromotionRequest,
    RequestState,
    Waiver,
)
from core.jobs import service as jobs
from core.monitoring.service import ensure_monitor
from core.permissions import Actor, Permission, require
from core.reasons import stated
from core.registry import queries as registry
from core.registry import service as registry_service
from core.registry.tables import Alias, Cause, Deployment, Environment
from core.training.tables import Run

DUE_AFTER = timedelta(days=3)


def request_promotion(
    session: Session,
    *,
    version_id: int,
    environment: Environment = Environment.PRODUCTION,
    alias: Alias = Alias.CHAMPION,
    comment: str,
    actor: Actor,
    now: datetime,
) -> PromotionRequest:
    """Ask for an alias to be moved to a version, and queue the preparation of the evidence.

    Parameters
    ----------
    version_id : int
        The candidate.
    comment : str
        Why; 1 to 10,000 characters.

    Raises
    ------
    PermissionDenied, NotFound, InvalidInput
    AlreadyExists
        The version holds the alias already, or a request for the same move is undecided.
    """
    require(actor, Permission.REQUEST_CREATE)
    words = stated(comment, "A request's comment")
    version = registry.version(session, version_id)
    label = registry.version_label(session, version_id)
    environment, alias = Environment(environment), Alias(alias)
    live = registry.live(session, model_id=version.model_id, environment=environment, alias=alias)
    if live is not None and live.version_id == version_id:
        raise AlreadyExists(f"{label} is {alias.value} in {environment.value} already.")
    twin = session.exec(
        select(PromotionRequest).where(
            PromotionRequest.version_id == version_id,
            PromotionRequest.environment == environment,
            PromotionRequest.alias == alias,
            col(PromotionRequest.state).in_(UNDECIDED),
        )
    ).first()
    if twin is not None:
        raise AlreadyExists(
            f"Request {twin.id} asks for {label} as {alias.value} in {environment.value} already and "
            f"{stands(twin.state)}. Renew or withdraw that one."
        )
    policy = policies.ensure_seeded_policy(session, now)
    assert policy.id is not None
    request = PromotionRequest(
        version_id=version_id,
        environment=environment,
        alias=alias,
        replaces_id=live.version_id if live else None,
        policy_id=policy.id,
        comment=words,
        state=RequestState.PREPARING,
        requested_by=actor.user_id,
        requested_at=now,
        due_at=now + DUE_AFTER,
    )
    session.add(request)
    session.flush()
    _prepare(session, request, actor, now)
    _record(session, request, "made", actor, now, {"comment": words, "replaces_id": request.replaces_id})
    return request


def renew(session: Session, *, request_id: int, actor: Actor, now: datetime) -> PromotionRequest:
    """Prepare the evidence again, under the policy and against the champion of now.

    Decisions and waivers given so far were for the evidence before; they stay on record and no longer count.

    Raises
    ------
    PermissionDenied, NotFound
    InvalidTransition
        The request is decided, withdrawn, or being prepared.
    """
    require(actor, Permission.REQUEST_CREATE)
    request = standing.request(session, request_id)
    if request.state == RequestState.PREPARING and request.error is None:
        raise InvalidTransition("promotion request", RequestState.PREPARING, "prepared again until that has ended")
    request.state = move(request.state, RequestState.PREPARING)
    policy = policies.ensure_seeded_policy(session, now)
    assert policy.id is not None
    version = registry.version(session, request.version_id)
    live = registry.live(session, model_id=version.model_id, environment=request.environment, alias=request.alias)
    if live is not None and live.version_id == request.version_id:
        raise AlreadyExists("This version is live already; withdraw the request.")
    request.policy_id = policy.id
    request.replaces_id = live.version_id if live else None
    request.revision += 1
    request.error = request.evidence = request.evidence_digest = None
    session.add(request)
    _prepare(session, request, actor, now)
    _record(session, request, "renewed", actor, now, {"replaces_id": request.replaces_id})
    return request


def withdraw(session: Session, *, request_id: int, actor: Actor, now: datetime) -> PromotionRequest:
    """Take a request back; only who made it can.

    Raises
    ------
    PermissionDenied, NotFound, InvalidTransition
    """
    require(actor, Permission.REQUEST_CREATE)
    request = standing.request(session, request_id)
    if actor.user_id is None or actor.user_id != request.requested_by:
        raise PermissionDenied(f"Only who made request {request_id} can withdraw it; a reviewer can reject it.")
    preparing = request.state == RequestState.PREPARING and request.error is None
    request.state = move(request.state, RequestState.WITHDRAWN)
    request.decided_at = now
    session.add(request)
    session.flush()
    if preparing and request.job_id is not None:
        jobs.request_cancel(session, job_id=request.job_id, now=now)
    _record(session, request, "withdrawn", actor, now)
    return request


def decide(
    session: Session,
    store: ArtifactStore,
    *,
    request_id: int,
    kind: DecisionKind,
    comment: str,
    evidence_digest: str,
    actor: Actor,
    now: datetime,
) -> PromotionRequest:
    """Record one person's decision; the last approval needed moves the alias in the same transaction.

    Inside the caller's one write transaction, so two reviewers at once are put in a row: the second sees what the
    first did. The model's file is checked for presence and size here; its bytes are hashed whenever it is loaded.

    Parameters
    ----------
    evidence_digest : str
        Of the evidence the person looked at.

    Raises
    ------
    PermissionDenied, ConflictOfInterest, NotFound
    InvalidInput
        No comment with a rejection or a request for changes.
    InvalidTransition
        The request waits for its evidence or for changes.
    AlreadyExists
        This person has decided.
    StaleRevision
        Somebody else decided first, or something an approval is bound to changed; says who or what.
    GatesFailed
        Blocking gates did not pass and are not waived.
    """
    require(actor, Permission.REQUEST_DECIDE)
    if actor.user_id is None:
        raise PermissionDenied(f"{actor.name} has no account to decide with. Choose one with --as NAME.")
    request = standing.request(session, request_id)
    if (against := standing.conflict(session, request, actor)) is not None:
        raise ConflictOfInterest(against)
    kind = DecisionKind(kind)
    words = comment.strip() if kind == DecisionKind.APPROVE else stated(comment, "The comment")
    _require_open(session, request, kind)
    if (earlier := standing.decided_already(session, request, actor)) is not None:
        raise AlreadyExists(f"{actor.name} decided already: {earlier.kind.replace('_', ' ')}. One decision each.")
    if evidence_digest != request.evidence_digest:
        raise StaleRevision("The evidence was prepared again after you opened it. Look at it again, then decide.")
    if kind == DecisionKind.APPROVE:
        _require_approvable(session, store, request, now)
    session.add(
        Decision(
            request_id=request_id,
            revision=request.revision,
            user_id=actor.user_id,
            kind=kind,
            comment=words,
            evidence_digest=evidence_digest,
            decided_at=now,
        )
    )
    session.flush()
    details: dict[str, Any] = {"kind": kind.value, "comment": words, "evidence_digest": evidence_digest}
    if kind == DecisionKind.APPROVE:
        _approve(session, request, details, actor, now)
        return request
    rejected = kind == DecisionKind.REJECT
    request.state = move(request.state, RequestState.REJECTED if rejected else RequestState.CHANGES_REQUESTED)
    request.decided_at = now if rejected else None
    session.add(request)
    session.flush()
    _record(session, request, "rejected" if rejected else "changes_requested", actor, now, details)
    return request


def roll_back(
    session: Session,
    *,
    model_id: int,
    environment: Environment = Environment.PRODUCTION,
    alias: Alias = Alias.CHAMPION,
    reason: str,
    actor: Actor,
    now: datetime,
) -> Deployment:
    """Make live again what was live before the present version was promoted (see `registry.way_back`).

    A version trained on data quarantined since is taken all the same, because in an emergency the known state is
    better than a broken one; the audit event names the data, and `queries.way_back` warns beforehand.

    Raises
    ------
    PermissionDenied, NotFound
    InvalidInput
        No reason was given.
    NotApplicable
        Nothing was live before.
    """
    require(actor, Permission.DEPLOYMENT_ROLL_BACK)
    words = stated(reason, "A rollback's reason")
    environment, alias = Environment(environment), Alias(alias)
    model = registry.model(session, model_id)
    live = registry.live(session, model_id=model_id, environment=environment, alias=alias)
    if live is None:
        raise NotApplicable(f"{model.name} has no {alias.value} in {environment.value}; there is nothing to roll back.")
    target = registry.rollback_target(session, model_id=model_id, environment=environment, alias=alias)
    if target is None:
        raise NotApplicable(
            f"There is nothing to roll back to: no version was {alias.value} in {environment.value} before "
            f"{registry.version_label(session, live.version_id)}. Request the promotion of another version."
        )
    deployment = registry_service.assign(
        session,
        version_id=target,
        environment=environment,
        alias=alias,
        cause=Cause.ROLLBACK,
        reason=words,
        actor=actor,
        now=now,
    )
    ensure_monitor(session, model_id=model_id, environment=environment, alias=alias, now=now)
    quarantined = [s.dataset_version_id for s in registry.lineage(session, target).sources if s.quarantined]
    record(
        session,
        actor=actor,
        action="registered_model.rolled_back",
        subject_kind="registered_model",
        subject_id=model_id,
        subject_label=model.name,
        now=now,
        details={
            "from_version_id": live.version_id,
            "to_version_id": target,
            "reason": words,
            "quarantined_dataset_version_ids": quarantined,
        },
    )
    return deployment


def grant_waiver(
    session: Session, *, request_id: int, gate: str, reason: str, until: datetime, actor: Actor, now: datetime
) -> Waiver:
    """Let an open request be approved although a blocking gate did not pass; with a reason and an end.

    It holds for the evidence of now and until its end date. Who took part in the request cannot waive either.

    Raises
    ------
    PermissionDenied, ConflictOfInterest, NotFound, AlreadyExists
    InvalidInput
        No reason, an end in the past, or a gate that does not block.
    """
    require(actor, Permission.WAIVER_GRANT)
    if actor.user_id is None:
        raise PermissionDenied(f"{actor.name} has no account to grant a waiver with. Choose one with --as NAME.")
    request = standing.request(session, request_id)
    if (against := standing.conflict(session, request, actor)) is not None:
        raise ConflictOfInterest(against)
    if request.state != RequestState.OPEN:
        raise InvalidTransition("promotion request", request.state, "waived")
    words = stated(reason, "A waiver's reason")
    if until <= now:
        raise InvalidInput(f"A waiver ends in the future; {until.isoformat()} has passed.")
    row = next((row for row in standing.gate_rows(session, request, now) if row.code == gate), None)
    if row is not None and row.waived_by is not None:
        raise AlreadyExists(f"{row.waived_by} waived this gate already.")
    if row is None or not row.blocks:
        blocking = ", ".join(one.code for one in standing.gate_rows(session, request, now) if one.blocks)
        raise InvalidInput(f"Gate {gate!r} does not block this request; blocking: {blocking or 'none'}.")
    # An expired waiver of the same gate is history; one row per revision and gate keeps the newest end.
    waiver = session.exec(
        select(Waiver).where(Waiver.request_id == request_id, Waiver.revision == request.revision, Waiver.gate == gate)
    ).first() or Waiver(request_id=request_id, revision=request.revision, gate=gate, reason="", granted_by=0)
    waiver.reason, waiver.until, waiver.granted_by, waiver.granted_at = words, until, actor.user_id, now
    session.add(waiver)
    session.flush()
    _record(session, request, "gate_waived", actor, now, {"gate": gate, "reason": words, "until": until.isoformat()})
    return waiver


def edit_card(
    session: Session, *, version_id: int, sections: Mapping[str, str], revision: int, actor: Actor, now: datetime
) -> ModelCard:
    """Write sections of a model version's card; the ones not given stay as they are.

    Parameters
    ----------
    revision : int
        The one that was read; 0 for a draft nobody has stored.

    Raises
    ------
    PermissionDenied, NotFound
    InvalidInput
        An unknown section, or over 20,000 characters.
    StaleRevision
        Somebody wrote it in between.
    """
    require(actor, Permission.CARD_EDIT)
    unknown = sorted(set(sections) - set(CARD_SECTIONS))
    if unknown:
        raise InvalidInput(f"A card has no section {', '.join(unknown)}; it has {', '.join(CARD_SECTIONS)}.")
    for key, text in sections.items():
        if len(text) > SECTION_LENGTH:
            raise InvalidInput(f"A section has at most {SECTION_LENGTH:,} characters; {key} has {len(text):,}.")
    present = standing.card(session, version_id)
    if present.revision != revision:
        who = present.edited_by or "Gatehouse"
        raise StaleRevision(f"{who} saved this card after you opened it. Open it again and add your changes.")
    card = store_card(session, version_id=version_id, sections={**present.sections, **sections}, actor=actor, now=now)
    record(
        session,
        actor=actor,
        action="model_card.edited",
        subject_kind="model_version",
        subject_id=version_id,
        subject_label=registry.version_label(session, version_id),
        now=now,
        details={
            "revision": card.revision,
            "sections": sorted(key for key, text in sections.items() if text != present.sections.get(key)),
        },
    )
    return card


def store_card(
    session: Session, *, version_id: int, sections: Mapping[str, str], actor: Actor, now: datetime
) -> ModelCard:
    """Keep a card as its next revision. Checks nothing; for `edit_card` and the preparation of a request."""
    card = session.get(ModelCard, version_id)
    if card is None:
        card = ModelCard(version_id=version_id, revision=0, edited_at=now)
    card.sections = {key: str(sections.get(key, "")) for key in CARD_SECTIONS}
    card.revision += 1
    card.edited_by, card.edited_at = actor.user_id, now
    session.add(card)
    session.flush()
    return card


def _prepare(session: Session, request: PromotionRequest, actor: Actor, now: datetime) -> None:
    assert request.id is not None
    job = jobs.enqueue(
        session,
        kind="prepare_request",
        payload={"request_id": request.id, "revision": request.revision},
        subject_kind="promotion_request",
        subject_id=request.id,
        actor=actor,
        now=now,
    )
    request.job_id = job.id
    session.add(request)
    session.flush()


def _require_open(session: Session, request: PromotionRequest, kind: DecisionKind) -> None:
    if request.state == RequestState.OPEN:
        return
    if request.state in (RequestState.APPROVED, RequestState.REJECTED, RequestState.CHANGES_REQUESTED):
        names = standing.deciders(session, request)
        raise StaleRevision(
            f"{' and '.join(names) or 'Somebody'} decided first: this request "
            f"{stands(request.state)}. Your decision was not recorded."
        )
    wanted = {
        DecisionKind.APPROVE: RequestState.APPROVED,
        DecisionKind.REJECT: RequestState.REJECTED,
        DecisionKind.REQUEST_CHANGES: RequestState.CHANGES_REQUESTED,
    }[kind]
    raise InvalidTransition("promotion request", request.state, wanted)


def _require_approvable(session: Session, store: ArtifactStore, request: PromotionRequest, now: datetime) -> None:
    reasons = list(standing.stale_reasons(session, request))
    version = registry.version(session, request.version_id)
    path = store.path(version.model_sha256)
    run = session.get(Run, version.run_id)
    if not path.exists():
        reasons.append("the candidate's model file is gone from the artifact store")
    elif run is not None and run.model_size_bytes not in (None, path.stat().st_size):
        reasons.append("the candidate's model file has another size than when it was stored")
    if reasons:
        raise StaleRevision(
            f"Not approved, because since the evidence was prepared {', and '.join(reasons)}. "
            "Have the evidence prepared again, then look at it again."
        )
    blocking = [row for row in standing.gate_rows(session, request, now) if row.blocks]
    if blocking:
        raise GatesFailed(
            f"Not approved: {len(blocking)} blocking gate{'s' * (len(blocking) > 1)} did not pass. "
            + " ".join(f"{row.title}: {row.explanation}" for row in blocking)
        )


def _approve(session: Session, request: PromotionRequest, details: dict[str, Any], actor: Actor, now: datetime) -> None:
    given = standing.approvals_given(session, request)
    needed = standing.policy_of(session, request).approvals
    details |= {"approvals": given, "approvals_needed": needed}
    if given < needed:
        _record(session, request, "approval_given", actor, now, details)
        return
    version = registry.version(session, request.version_id)
    live = registry.live(session, model_id=version.model_id, environment=request.environment, alias=request.alias)
    if (live.version_id if live else None) != request.replaces_id:
        raise StaleRevision("Not approved, because another version became live. Have the evidence prepared again.")
    request.state = move(request.state, RequestState.APPROVED)
    request.decided_at = now
    session.add(request)
    session.flush()
    _record(session, request, "approved", actor, now, details)
    registry_service.assign(
        session,
        version_id=request.version_id,
        environment=Environment(request.environment),
        alias=Alias(request.alias),
        cause=Cause.PROMOTION,
        request_id=request.id,
        reason=request.comment,
        actor=actor,
        now=now,
    )
    ensure_monitor(
        session,
        model_id=version.model_id,
        environment=Environment(request.environment),
        alias=Alias(request.alias),
        now=now,
    )


def _record(
    session: Session,
    request: PromotionRequest,
    what: str,
    actor: Actor,
    now: datetime,
    details: Mapping[str, Any] | None = None,
) -> None:
    assert request.id is not None
    record(
        session,
        actor=actor,
        action=f"promotion_request.{what}",
        subject_kind="promotion_request",
        subject_id=request.id,
        subject_label=standing.request_label(session, request),
        now=now,
        details={"version_id": request.version_id, "revision": request.revision, **(details or {})},
    )
