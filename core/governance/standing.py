"""How a request stands: its evidence against the present, its gates, and who may decide on it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlmodel import Session, col, select

from core.access.queries import list_users
from core.access.tables import User
from core.datasets.tables import CheckResult, Dataset, DatasetVersion, EvaluationSet, Outcome
from core.errors import NotFound
from core.evaluation.tables import Evaluation, MetricValue
from core.governance import binding
from core.governance.cards import CardFacts, MetricFact, blanks, draft_card
from core.governance.conflicts import Participants, in_words, parts_taken
from core.governance.gates import GATES
from core.governance.lifecycle import stands
from core.governance.tables import (
    Decision,
    DecisionKind,
    GateSeverity,
    ModelCard,
    PromotionPolicy,
    PromotionRequest,
    RequestState,
    Waiver,
)
from core.permissions import ROLE_PERMISSIONS, Actor, Permission, Role
from core.registry import queries as registry
from core.registry.tables import BehaviourSuite, ModelVersion, RegisteredModel
from core.training.tables import Run


@dataclass(frozen=True)
class Card:
    """A model version's card as it stands; revision 0 is a draft nobody has stored."""

    version_id: int
    sections: dict[str, str]
    revision: int
    edited_by: str | None
    edited_at: datetime | None

    @property
    def blanks(self) -> list[str]:
        """Titles of the sections without words."""
        return blanks(self.sections)


@dataclass(frozen=True)
class GateRow:
    """How one gate ended; ``blocks`` when it stands in the way of an approval now."""

    code: str
    title: str
    severity: str
    outcome: str
    explanation: str
    blocks: bool
    waived_by: str | None
    waived_until: datetime | None
    waiver_reason: str | None


def request(session: Session, request_id: int) -> PromotionRequest:
    """Get a promotion request."""
    found = session.get(PromotionRequest, request_id)
    if found is None:
        raise NotFound("promotion request", request_id)
    return found


def current_policy(session: Session) -> PromotionPolicy | None:
    """Get the policy in force, the newest; None before the first was seeded."""
    return session.exec(select(PromotionPolicy).order_by(col(PromotionPolicy.number).desc()).limit(1)).first()


def policy_of(session: Session, found: PromotionRequest) -> PromotionPolicy:
    """Get the policy a request was made under."""
    policy = session.get(PromotionPolicy, found.policy_id)
    if policy is None:
        raise NotFound("promotion policy", found.policy_id)
    return policy


def card(session: Session, version_id: int) -> Card:
    """Get a model version's card, drafted from the records where nobody has stored one."""
    stored = session.get(ModelCard, version_id)
    if stored is None:
        return Card(version_id, _draft(session, version_id), 0, None, None)
    editor = session.get(User, stored.edited_by) if stored.edited_by is not None else None
    return Card(version_id, dict(stored.sections), stored.revision, editor.name if editor else None, stored.edited_at)


def bound_values(
    session: Session, *, version_id: int, environment: str, alias: str, evaluation_ids: list[int]
) -> dict[str, Any]:
    """Compute afresh what an approval of this move is bound to: hashes, and the version it would replace."""
    version = registry.version(session, version_id)
    lineage = registry.lineage(session, version_id)
    policy = current_policy(session)
    live = registry.live(session, model_id=version.model_id, environment=environment, alias=alias)
    checks = session.exec(
        select(CheckResult)
        .where(CheckResult.version_id == lineage.dataset_version_id)
        .order_by(col(CheckResult.code), col(CheckResult.column), col(CheckResult.id))
    )
    return {
        "artifact": version.model_sha256,
        "threshold": version.signature.get("threshold"),
        "evaluations": [_evaluation_digest(session, key) for key in sorted(evaluation_ids)],
        "checks": binding.digest([[c.code, c.column, c.severity, c.outcome, c.explanation] for c in checks]),
        "card": binding.digest(card(session, version_id).sections),
        "policy": policy_digest(policy) if policy else None,
        "behaviour": _behaviour_digest(session, version),
        "quarantine": sorted(source.dataset_version_id for source in lineage.sources if source.quarantined),
        "champion": live.version_id if live else None,
    }


def policy_digest(policy: PromotionPolicy) -> str:
    """Hash of what a policy says."""
    return binding.digest([policy.number, policy.gates, policy.margins, policy.approvals])


def behaviour_digest(suite: BehaviourSuite, outcomes: list[dict[str, Any]]) -> str:
    """Hash of what a suite asks and how a version did on it."""
    return binding.digest([suite.number, suite.tests, outcomes])


def stale_reasons(session: Session, found: PromotionRequest) -> tuple[str, ...]:
    """Say what changed since a request's evidence was prepared; empty when an approval would mean what was seen."""
    if found.evidence is None:
        return ()
    if binding.digest(found.evidence) != found.evidence_digest:
        return ("the stored evidence was changed after it was prepared",)
    bound = found.evidence["bound"]
    fresh = bound_values(
        session,
        version_id=found.version_id,
        environment=found.environment,
        alias=found.alias,
        evaluation_ids=[int(str(entry).partition(":")[0]) for entry in bound["evaluations"]],
    )
    return binding.changes(bound, fresh)


def gate_rows(session: Session, found: PromotionRequest, now: datetime) -> list[GateRow]:
    """List a request's gates from its evidence, with the waivers that hold now."""
    waivers = {
        waiver.gate: (waiver, name)
        for waiver, name in session.exec(
            select(Waiver, User.name)
            .join(User, col(User.id) == col(Waiver.granted_by))
            .where(Waiver.request_id == found.id, Waiver.revision == found.revision, col(Waiver.until) > now)
        )
    }
    rows = []
    for entry in (found.evidence or {}).get("gates", []):
        waiver, name = waivers.get(entry["code"], (None, None))
        stands = entry["severity"] == GateSeverity.BLOCKING and entry["outcome"] in (Outcome.FAILED, Outcome.SKIPPED)
        rows.append(
            GateRow(
                code=entry["code"],
                title=GATES[entry["code"]].title if entry["code"] in GATES else entry["code"],
                severity=entry["severity"],
                outcome=entry["outcome"],
                explanation=entry["explanation"],
                blocks=stands and waiver is None,
                waived_by=name,
                waived_until=waiver.until if waiver else None,
                waiver_reason=waiver.reason if waiver else None,
            )
        )
    return rows


def participants(
    session: Session, *, version_id: int, requester: int | None, policy: PromotionPolicy | None
) -> Participants:
    """Name the accounts behind a move of an alias to a version."""
    lineage = registry.lineage(session, version_id)
    suite = registry.suite(session, registry.version(session, version_id).model_id)
    return Participants(
        uploaders=lineage.uploaded_by,
        launcher=lineage.launched_by,
        policy_author=policy.author_id if policy else None,
        requester=requester,
        suite_author=suite.author_id if suite else None,
    )


def participants_of(session: Session, found: PromotionRequest) -> Participants:
    """Name the accounts behind a request."""
    return participants(
        session, version_id=found.version_id, requester=found.requested_by, policy=policy_of(session, found)
    )


def conflict(session: Session, found: PromotionRequest, actor: Actor) -> str | None:
    """Say which parts somebody took in what a request decides, None when they took none."""
    parts = parts_taken(actor.user_id, participants_of(session, found))
    return f"{actor.name} {in_words(parts)}, so somebody else has to decide." if parts else None


def decided_already(session: Session, found: PromotionRequest, actor: Actor) -> Decision | None:
    """Get what an account decided on a request as it stands now."""
    return session.exec(
        select(Decision).where(
            Decision.request_id == found.id, Decision.revision == found.revision, Decision.user_id == actor.user_id
        )
    ).first()


def deciders(session: Session, found: PromotionRequest) -> list[str]:
    """Name who decided on a request as it stands now, in order."""
    return list(
        session.exec(
            select(User.name)
            .join(Decision, col(Decision.user_id) == col(User.id))
            .where(Decision.request_id == found.id, Decision.revision == found.revision)
            .order_by(col(Decision.id))
        )
    )


def approvals_given(session: Session, found: PromotionRequest) -> int:
    """Count the people who approved a request on its present evidence."""
    return len(
        session.exec(
            select(Decision.id).where(
                Decision.request_id == found.id,
                Decision.revision == found.revision,
                Decision.kind == DecisionKind.APPROVE,
                Decision.evidence_digest == found.evidence_digest,
            )
        ).all()
    )


def request_label(session: Session, found: PromotionRequest) -> str:
    """Name a request as people do: "income v3 as champion in production"."""
    return f"{registry.version_label(session, found.version_id)} as {found.alias} in {found.environment}"


def reason_against_deciding(session: Session, found: PromotionRequest, actor: Actor) -> str | None:
    """Say in words why an actor cannot decide on a request now, None when they can."""
    if not actor.may(Permission.REQUEST_DECIDE):
        return "Only a reviewer decides on requests."
    if actor.user_id is None:
        return "Deciding takes an account of your own."
    if (against := conflict(session, found, actor)) is not None:
        return against
    if found.state != RequestState.OPEN:
        return f"This request {stands(found.state)}."
    if (earlier := decided_already(session, found, actor)) is not None:
        return f"You decided already: {DecisionKind(earlier.kind).value.replace('_', ' ')}."
    return None


def who_can_approve(session: Session, version_id: int, requester_id: int | None) -> list[str]:
    """Name the accounts that could approve a request by this account for this version, before it is made."""
    return _eligible(
        session,
        participants(session, version_id=version_id, requester=requester_id, policy=current_policy(session)),
    )


def eligible_reviewers(session: Session, found: PromotionRequest) -> list[str]:
    """Name the accounts that may decide on a request."""
    return _eligible(session, participants_of(session, found))


def _eligible(session: Session, behind: Participants) -> list[str]:
    return sorted(
        user.name
        for user in list_users(session)
        if user.active
        and any(Permission.REQUEST_DECIDE in ROLE_PERMISSIONS[Role(role)] for role in user.roles)
        and not parts_taken(user.id, behind)
    )


def _evaluation_digest(session: Session, evaluation_id: int) -> str:
    found = session.get(Evaluation, evaluation_id)
    if found is None:
        return f"{evaluation_id}:missing"
    values = session.exec(
        select(MetricValue).where(MetricValue.evaluation_id == evaluation_id).order_by(col(MetricValue.key))
    )
    content = [found.predictions_sha256, found.n_rows, [[v.key, v.value, v.low, v.high] for v in values]]
    return f"{evaluation_id}:{binding.digest(content)}"


def _behaviour_digest(session: Session, version: ModelVersion) -> str | None:
    assert version.id is not None
    suite = registry.suite(session, version.model_id)
    if suite is None or suite.id is None:
        return None
    result = registry.behaviour_result(session, version_id=version.id, suite_id=suite.id)
    return behaviour_digest(suite, [] if result is None else result.outcomes)


def _draft(session: Session, version_id: int) -> dict[str, str]:
    from core.evaluation.metrics import METRICS, primary_metric
    from core.evaluation.tables import Task
    from core.evaluation.threshold_choices import threshold_sentence
    from core.training.algorithms import ALGORITHMS

    version = registry.version(session, version_id)
    model = session.get(RegisteredModel, version.model_id)
    run = session.get(Run, version.run_id)
    assert model is not None
    assert run is not None
    data = session.get(DatasetVersion, run.dataset_version_id)
    assert data is not None
    dataset = session.get(Dataset, data.dataset_id)
    assert dataset is not None
    owner = session.get(User, model.owner_id) if model.owner_id is not None else None
    key = primary_metric(Task(run.task))
    scored = session.exec(
        select(EvaluationSet.kind, Evaluation.n_rows, MetricValue)
        .join(Evaluation, col(Evaluation.evaluation_set_id) == col(EvaluationSet.id))
        .join(MetricValue, col(MetricValue.evaluation_id) == col(Evaluation.id))
        .where(Evaluation.run_id == run.id, MetricValue.key == key)
        .order_by(col(EvaluationSet.id))
    )
    return draft_card(
        CardFacts(
            dataset_label=f"{dataset.name} v{data.number}",
            n_rows=data.n_rows,
            n_train=run.n_train,
            n_features=len(run.features),
            target=run.target,
            task=run.task,
            algorithm=ALGORITHMS[run.algorithm].title.lower(),
            metrics=[
                MetricFact(kind, n, METRICS[key].title, value.value, value.low, value.high) for kind, n, value in scored
            ],
            sensitive=dataset.sensitive,
            owner=owner.name if owner else None,
            threshold=threshold_sentence(version.threshold),
        )
    )
