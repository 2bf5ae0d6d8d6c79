"""The job that prepares a request's evidence: scores both sides, compares, asks the gates, binds it all by hashes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlmodel import Session, col, delete

from core.audit.service import record
from core.datasets import queries as datasets
from core.datasets.tables import Outcome, Severity
from core.errors import (
    StaleRevision,
)
from core.evaluation import queries as evaluations
from core.evaluation import service as evaluation_service
from core.evaluation.reuse import Reuse, reuse
from core.evaluation.tables import Evaluation
from core.governance import binding, gates, standing
from core.governance.cards import CARD_SECTIONS
from core.governance.evidence import (
    fact,
)
from core.governance.judging import (
    FIXED,
    LATEST,
    BehaviourRun,
    Findings,
    Sides,
    against_dummy,
    data_changes,
    judge,
    run_behaviour,
    sides_of,
    smoke_test,
    threshold_of,
)
from core.governance.lifecycle import move, stands
from core.governance.service import store_card
from core.governance.tables import GateResult, ModelCard, PromotionRequest, RequestState
from core.jobs.context import JobContext
from core.jobs.tables import Job, JobState
from core.monitoring.drift_queries import latest_drift
from core.permissions import Actor, Permission, require, system_actor
from core.registry import queries as registry
from core.workspace import Workspace


def prepare_request(workspace: Workspace, context: JobContext) -> None:
    """Prepare the evidence of one revision of a request, and open it for decisions.

    Scores the candidate and the version it would replace on the fixed evaluation set and, where there is newer
    labelled data, on the latest one; compares them on the same rows; holds the candidate against the trivial model;
    asks the gates; freezes the drift of now; binds all of it by hashes.

    Raises
    ------
    PermissionDenied
        Whoever asked may no longer.
    StaleRevision
        The request was withdrawn or renewed meanwhile.
    """
    require(context.actor, Permission.REQUEST_CREATE)
    request_id, revision = int(context.payload["request_id"]), int(context.payload["revision"])
    with workspace.read() as session:
        sides = sides_of(session, _current(session, request_id, revision))
    now = context.now()
    found = Findings()
    for position, (kind, rows) in enumerate(sides.sets.items()):
        context.report(0.1 + 0.3 * position, f"Scoring on the {kind} evaluation set")
        judge(workspace, sides, kind, rows, found, now)
    context.report(0.7, "Comparing with the trivial model")
    against_dummy(workspace, sides, found)
    context.report(0.8, "Asking the stored model for its recorded predictions")
    smoke = smoke_test(workspace, sides, found)
    context.report(0.85, "Running the behaviour suite")
    behaviour = run_behaviour(workspace, sides, found, now)
    changes = data_changes(workspace, sides)
    context.check_cancelled()
    with context.record() as session:
        request = _current(session, request_id, revision)
        for before, after, result in found.compared:
            assert before.id is not None
            assert after.id is not None
            evaluation_service.record_comparison(
                session,
                baseline_evaluation_id=before.id,
                candidate_evaluation_id=after.id,
                metric=sides.metric,
                margin=result.margin,
                result=result,
                now=now,
            )
        if behaviour is not None:
            behaviour = behaviour.record(session, context.actor, now)
        if session.get(ModelCard, request.version_id) is None:
            draft = standing.card(session, request.version_id).sections
            store_card(session, version_id=request.version_id, sections=draft, actor=system_actor(), now=now)
        answers = gates.evaluate(
            _gate_evidence(session, sides, found, smoke, behaviour), standing.policy_of(session, request).gates
        )
        evidence = _document(session, request, sides, found, smoke, behaviour, changes, answers, now)
        _open(session, request, evidence, answers, context.actor, now)
        context.result = {"request_id": request_id, "evidence_digest": request.evidence_digest}


def settle(session: Session, job: Job, now: datetime) -> None:
    """Keep the request in step with its job: a failure keeps its reason, and the evidence can be prepared again."""
    request = session.get(PromotionRequest, job.payload["request_id"])
    if request is None or request.job_id != job.id or request.state != RequestState.PREPARING:
        return
    if job.state in (JobState.QUEUED, JobState.RUNNING):
        request.error = None
        session.add(request)
        return
    request.error = job.error or "Preparing the evidence was cancelled."
    session.add(request)
    _event(session, request, "preparation_failed", system_actor(), now, {"error": request.error})


def _current(session: Session, request_id: int, revision: int) -> PromotionRequest:
    request = standing.request(session, request_id)
    if request.state != RequestState.PREPARING or request.revision != revision:
        raise StaleRevision(
            f"Request {request_id} {stands(request.state)} at revision {request.revision}; "
            f"this prepared revision {revision}, so nothing was recorded."
        )
    return request


def _reuse(session: Session, sides: Sides, fixed: dict[str, Any] | None) -> Reuse | None:
    rows = sides.sets.get(FIXED)
    if fixed is None or rows is None or rows.id is None:
        return None
    n_candidates = evaluations.candidates_judged(session, rows.id)
    return reuse(n_candidates, low=fixed["low"], high=fixed["high"], margin=fixed["margin"])


def _gate_evidence(
    session: Session, sides: Sides, found: Findings, smoke: gates.SmokeFact, behaviour: BehaviourRun | None
) -> gates.Evidence:
    assert sides.candidate.id is not None
    assert sides.data.id is not None
    by_set = {entry["set"]: entry for entry in found.comparisons}
    lineage = registry.lineage(session, sides.candidate.id)
    return gates.Evidence(
        champion=sides.champion_label,
        fixed=fact(by_set.get(FIXED)),
        latest=fact(by_set.get(LATEST)),
        has_latest_set=LATEST in sides.sets,
        dummy=fact(found.dummy),
        checks=tuple(
            gates.CheckFact(
                check.code.replace("_", " ") + (f" ({check.column})" if check.column else ""),
                Severity(check.severity),
                Outcome(check.outcome),
                check.explanation,
            )
            for check in datasets.checks(session, sides.data.id)
        ),
        smoke=smoke,
        blanks=tuple(standing.card(session, sides.candidate.id).blanks),
        n_sections=len(CARD_SECTIONS),
        quarantined=tuple(
            datasets.version_label(session, source.dataset_version_id)
            for source in lineage.sources
            if source.quarantined
        ),
        missing=dict(found.missing),
        behaviour=None if behaviour is None else behaviour.fact(),
        reuse=_reuse(session, sides, by_set.get(FIXED)),
    )


def _document(
    session: Session,
    request: PromotionRequest,
    sides: Sides,
    found: Findings,
    smoke: gates.SmokeFact,
    behaviour: BehaviourRun | None,
    changes: list[str],
    answers: Sequence[gates.GateAnswer],
    now: datetime,
) -> dict[str, Any]:
    policy = standing.policy_of(session, request)
    ids = [one.id for one in found.scored.values() if one.id is not None]
    bound = standing.bound_values(
        session,
        version_id=request.version_id,
        environment=request.environment,
        alias=request.alias,
        evaluation_ids=ids,
    )
    # What it was prepared with, not what is there now: a swap or a new policy meanwhile shows as stale at once.
    bound |= {"champion": request.replaces_id, "policy": standing.policy_digest(policy)}
    if behaviour is not None:
        bound["behaviour"] = standing.behaviour_digest(behaviour.suite, behaviour.outcomes)
    return {
        "comparisons": found.comparisons,
        "dummy": found.dummy,
        "metrics": {
            side: found.decided.get(side) or _metrics(session, found.scored.get((side, FIXED)))
            for side in ("candidate", "champion")
        },
        "thresholds": {"candidate": threshold_of(sides.candidate), "champion": threshold_of(sides.champion)},
        "changed": found.changed,
        "changed_by_slice": found.changed_by_slice,
        "fairness": found.fairness,
        "data_changes": changes,
        "drift": latest_drift(session, sides.candidate.model_id),
        "missing": found.missing,
        "smoke": asdict(smoke),
        "behaviour": None
        if behaviour is None
        else {"suite": behaviour.suite.number, "n_rows": behaviour.n_rows, "outcomes": behaviour.outcomes},
        "gates": [
            {
                "code": answer.code,
                "severity": answer.severity.value,
                "outcome": answer.outcome.value,
                "explanation": answer.explanation,
            }
            for answer in answers
        ],
        "bound": bound,
        "policy": policy.number,
        "prepared_at": now.isoformat(),
    }


def _metrics(session: Session, scored: Evaluation | None) -> dict[str, Any] | None:
    if scored is None or scored.id is None:
        return None
    values = evaluations.metric_values(session, [scored.id])[scored.id]
    return {key: {"value": v.value, "low": v.low, "high": v.high} for key, v in values.items()}


def _open(
    session: Session,
    request: PromotionRequest,
    evidence: dict[str, Any],
    answers: Sequence[gates.GateAnswer],
    actor: Actor,
    now: datetime,
) -> None:
    assert request.id is not None
    request.evidence, request.evidence_digest, request.error = evidence, binding.digest(evidence), None
    request.state = move(request.state, RequestState.OPEN)
    session.add(request)
    session.execute(delete(GateResult).where(col(GateResult.request_id) == request.id))
    session.add_all(
        GateResult(
            request_id=request.id,
            code=answer.code,
            severity=answer.severity,
            outcome=answer.outcome,
            explanation=answer.explanation,
        )
        for answer in answers
    )
    session.flush()
    _event(session, request, "opened", actor, now, {"evidence_digest": request.evidence_digest})


def _event(
    session: Session, request: PromotionRequest, what: str, actor: Actor, now: datetime, details: dict[str, Any]
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
        details={"version_id": request.version_id, "revision": request.revision, **details},
    )
