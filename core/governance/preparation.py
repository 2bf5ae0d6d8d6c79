"""The job that prepares a request's evidence: scores both sides, compares, asks the gates, binds it all by hashes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
from sqlmodel import Session, col, delete

from core.audit.service import record
from core.datasets import queries as datasets
from core.datasets.tables import DatasetVersion, EvaluationSet, Outcome, Severity
from core.errors import (
    ArtifactCorrupted,
    InvalidInput,
    NotApplicable,
    NotFound,
    SchemaMismatch,
    StaleRevision,
)
from core.evaluation import queries as evaluations
from core.evaluation import service as evaluation_service
from core.evaluation.changes import changed_by_slice
from core.evaluation.comparing import PairedResult, align, compare
from core.evaluation.fairness import fairness_change
from core.evaluation.metrics import compute_metrics, primary_metric
from core.evaluation.predictions import Predictions
from core.evaluation.reuse import Reuse, reuse
from core.evaluation.tables import Evaluation
from core.governance import binding, gates, standing
from core.governance.cards import CARD_SECTIONS
from core.governance.evidence import (
    MOST_SENTENCES,
    comparison_entry,
    dummy_predictions,
    fact,
    groups,
    identical,
    slice_columns,
)
from core.governance.lifecycle import move
from core.governance.service import store_card
from core.governance.tables import GateResult, ModelCard, PromotionRequest, RequestState
from core.jobs.context import JobContext
from core.jobs.tables import Job, JobState
from core.monitoring.queries import latest_drift
from core.permissions import Actor, Permission, require, system_actor
from core.registry import queries as registry
from core.registry.behaviour_job import behaviour_of
from core.registry.suites import record_behaviour
from core.registry.tables import BehaviourSuite, ModelVersion
from core.training.models import load_model
from core.training.scoring import evaluate
from core.training.tables import Run
from core.workspace import Workspace

SMOKE_ROWS = 50
FIXED, LATEST = "fixed", "latest"


@dataclass(frozen=True)
class Sides:
    """What is judged: the candidate and, unless it is the first, the champion, on the sets of one dataset."""

    candidate: ModelVersion
    candidate_run: Run
    champion: ModelVersion | None
    champion_run: Run | None
    champion_label: str | None
    sets: Mapping[str, EvaluationSet]
    data: DatasetVersion
    champion_data: DatasetVersion | None
    sensitive: Sequence[str]
    costs: Mapping[str, Any] | None
    metric: str
    margin: float | None


@dataclass
class Findings:
    """What the scoring and comparing gave, gathered along the way."""

    scored: dict[tuple[str, str], Evaluation] = field(default_factory=dict)
    compared: list[tuple[Evaluation, Evaluation, PairedResult]] = field(default_factory=list)
    comparisons: list[dict[str, Any]] = field(default_factory=list)
    dummy: dict[str, Any] | None = None
    changed: dict[str, Any] | None = None
    changed_by_slice: list[dict[str, Any]] = field(default_factory=list)
    fairness: list[dict[str, Any]] = field(default_factory=list)
    decided: dict[str, dict[str, Any]] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)


# What makes one comparison impossible without spoiling the rest: the gate that needs it fails and says why.
IMPOSSIBLE = (InvalidInput, NotApplicable)


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
        sides = _sides(session, _current(session, request_id, revision))
    now = context.now()
    found = Findings()
    for position, (kind, rows) in enumerate(sides.sets.items()):
        context.report(0.1 + 0.3 * position, f"Scoring on the {kind} evaluation set")
        _judge(workspace, sides, kind, rows, found, now)
    context.report(0.7, "Comparing with the trivial model")
    _against_dummy(workspace, sides, found)
    context.report(0.8, "Asking the stored model for its recorded predictions")
    smoke = _smoke(workspace, sides, found)
    context.report(0.85, "Running the behaviour suite")
    behaviour = _behaviour(workspace, sides, found, now)
    data_changes = _data_changes(workspace, sides)
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
            behaviour.record(session, context.actor, now)
        if session.get(ModelCard, request.version_id) is None:
            draft = standing.card(session, request.version_id).sections
            store_card(session, version_id=request.version_id, sections=draft, actor=system_actor(), now=now)
        answers = gates.evaluate(
            _gate_evidence(session, sides, found, smoke, behaviour), standing.policy_of(session, request).gates
        )
        evidence = _document(session, request, sides, found, smoke, behaviour, data_changes, answers, now)
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
            f"Request {request_id} is {request.state.replace('_', ' ')} at revision {request.revision}; "
            f"this prepared revision {revision}, so nothing was recorded."
        )
    return request


def _sides(session: Session, request: PromotionRequest) -> Sides:
    candidate = registry.version(session, request.version_id)
    candidate_run = _run(session, candidate)
    champion = registry.version(session, request.replaces_id) if request.replaces_id is not None else None
    champion_run = _run(session, champion) if champion is not None else None
    data = datasets.version(session, candidate_run.dataset_version_id)
    dataset = datasets.dataset(session, data.dataset_id)
    sets: dict[str, EvaluationSet] = {}
    for rows in sorted(datasets.evaluation_sets(session, data.dataset_id), key=lambda rows: rows.id or 0):
        # The first fixed set is the locked one; of the latest ones the newest counts.
        if rows.kind == LATEST or rows.kind not in sets:
            sets[rows.kind] = rows
    metric = primary_metric(candidate_run.task)
    return Sides(
        candidate=candidate,
        candidate_run=candidate_run,
        champion=champion,
        champion_run=champion_run,
        champion_label=registry.version_label(session, request.replaces_id)
        if request.replaces_id is not None
        else None,
        sets={kind: sets[kind] for kind in (FIXED, LATEST) if kind in sets},
        data=data,
        champion_data=datasets.version(session, champion_run.dataset_version_id) if champion_run else None,
        sensitive=tuple(dataset.sensitive),
        costs=dataset.costs,
        metric=metric,
        margin=standing.policy_of(session, request).margins.get(metric),
    )


def _run(session: Session, version: ModelVersion) -> Run:
    run = session.get(Run, version.run_id)
    if run is None:
        raise NotFound("run", version.run_id)
    return run


def _judge(workspace: Workspace, sides: Sides, kind: str, rows: EvaluationSet, found: Findings, now: datetime) -> None:
    assert rows.id is not None
    try:
        after = evaluate(workspace, run_id=sides.candidate.run_id, evaluation_set_id=rows.id, now=now)
        found.scored["candidate", kind] = after
        candidate = _decided(workspace, after, sides.candidate)
        _keep_metrics(sides, "candidate", kind, candidate, found)
        champion = None
        if sides.champion is not None:
            before = evaluate(workspace, run_id=sides.champion.run_id, evaluation_set_id=rows.id, now=now)
            found.scored["champion", kind] = before
            champion = _decided(workspace, before, sides.champion)
            _keep_metrics(sides, "champion", kind, champion, found)
            result = compare(
                champion, candidate, metric=sides.metric, margin=sides.margin, rng=np.random.default_rng(0)
            )
            if before.id != after.id:
                found.compared.append((before, after, _as_stored(workspace, sides, before, after, result)))
            found.comparisons.append(
                comparison_entry(
                    result,
                    kind=kind,
                    evaluation_set_id=rows.id,
                    baseline_label=sides.champion_label or "",
                    metric=sides.metric,
                )
            )
            champion, candidate, _ = align(champion, candidate)
            if kind == FIXED:
                found.changed = dict(result.changed) if result.changed is not None else None
        if kind == FIXED:
            _by_group(workspace, sides, rows, candidate, champion, found)
    except IMPOSSIBLE as error:
        found.missing[kind] = str(error)


def _decided(workspace: Workspace, scored: Evaluation, version: ModelVersion) -> Predictions:
    """The stored predictions, decided as the version decides: at its threshold, where it has one."""
    stored = evaluations.load_predictions(workspace.artifacts, scored)
    threshold = _threshold(version)
    return stored if threshold is None else stored.decided_at(threshold)


def _threshold(version: ModelVersion | None) -> float | None:
    return None if version is None else version.signature.get("threshold")


def _has_threshold(sides: Sides) -> bool:
    return _threshold(sides.candidate) is not None or _threshold(sides.champion) is not None


def _keep_metrics(sides: Sides, side: str, kind: str, decided: Predictions, found: Findings) -> None:
    """Measure both sides anew where one has a threshold: the evaluations' own metrics are those without one."""
    if kind == FIXED and _has_threshold(sides):
        found.decided[side] = {
            one.key: {"value": one.value, "low": one.low, "high": one.high}
            for one in compute_metrics(decided, costs=sides.costs)
        }


def _as_stored(
    workspace: Workspace, sides: Sides, before: Evaluation, after: Evaluation, result: PairedResult
) -> PairedResult:
    """The comparison of the evaluations themselves, which is what a stored one speaks of: without thresholds."""
    if not _has_threshold(sides):
        return result
    baseline, candidate = (evaluations.load_predictions(workspace.artifacts, one) for one in (before, after))
    return compare(baseline, candidate, metric=sides.metric, margin=sides.margin, rng=np.random.default_rng(0))


def _by_group(
    workspace: Workspace,
    sides: Sides,
    rows: EvaluationSet,
    candidate: Predictions,
    champion: Predictions | None,
    found: Findings,
) -> None:
    with workspace.read() as session:
        version = datasets.version(session, rows.version_id)
    columns = slice_columns(
        version.columns, version.profile, sensitive=sides.sensitive, target=sides.candidate_run.target
    )
    if not columns:
        return
    table = datasets.read_table(workspace.artifacts, version, columns=columns).take(candidate.ordinals)
    values = {name: groups(table[name].to_pylist()) for name in columns}
    if champion is not None:
        found.changed_by_slice = [
            {"slice": e["slice"], "n": e["n"], "corrected": e["corrected"], "broken": e["broken"]}
            for e in changed_by_slice(champion, candidate, values)
        ]
    for name in columns:
        if name in sides.sensitive:
            found.fairness += fairness_change(name, champion, candidate, values[name], rng=np.random.default_rng(0))


def _against_dummy(workspace: Workspace, sides: Sides, found: Findings) -> None:
    scored = found.scored.get(("candidate", FIXED))
    if scored is None or sides.candidate_run.dummy is None:
        found.missing.setdefault("dummy", found.missing.get(FIXED, "The run kept no trivial model."))
        return
    try:
        candidate = _decided(workspace, scored, sides.candidate)
        result = compare(
            dummy_predictions(candidate, sides.candidate_run.dummy),
            candidate,
            metric=sides.metric,
            margin=sides.margin,
            rng=np.random.default_rng(0),
        )
    except IMPOSSIBLE as error:
        found.missing["dummy"] = str(error)
        return
    found.dummy = comparison_entry(
        result,
        kind=FIXED,
        evaluation_set_id=scored.evaluation_set_id,
        baseline_label="the trivial model",
        metric=sides.metric,
    )


def _smoke(workspace: Workspace, sides: Sides, found: Findings) -> gates.SmokeFact:
    scored = found.scored.get(("candidate", FIXED))
    if scored is None:
        return gates.SmokeFact(0, 0, found.missing.get(FIXED, "there is no fixed evaluation set."))
    try:
        recorded = _decided(workspace, scored, sides.candidate).take(np.arange(min(SMOKE_ROWS, scored.n_rows)))
        with workspace.read() as session:
            version = datasets.version(session, sides.sets[FIXED].version_id)
        model = load_model(
            workspace.artifacts, model_sha256=sides.candidate.model_sha256, signature=sides.candidate.signature
        )
        table = datasets.read_table(workspace.artifacts, version, columns=sides.candidate_run.features)
        answer = model.predict_table(table.take(recorded.ordinals))
    except (ArtifactCorrupted, NotFound, SchemaMismatch) as error:
        return gates.SmokeFact(0, 0, str(error))
    return gates.SmokeFact(recorded.n_rows, identical(recorded, answer.labels, answer.scores))


@dataclass(frozen=True)
class _Behaviour:
    """How the candidate did on its model's suite, not yet written down."""

    version_id: int
    suite: BehaviourSuite
    outcomes: list[dict[str, Any]]
    n_rows: int

    def record(self, session: Session, actor: Actor, now: datetime) -> None:
        assert self.suite.id is not None
        record_behaviour(
            session,
            version_id=self.version_id,
            suite_id=self.suite.id,
            outcomes=self.outcomes,
            n_rows=self.n_rows,
            actor=actor,
            now=now,
        )

    def fact(self) -> gates.BehaviourFact:
        titles = {
            outcome: tuple(str(one["title"]) for one in self.outcomes if one["outcome"] == outcome)
            for outcome in (Outcome.PASSED, Outcome.FAILED, Outcome.SKIPPED)
        }
        return gates.BehaviourFact(
            self.suite.number, titles[Outcome.PASSED], titles[Outcome.FAILED], titles[Outcome.SKIPPED]
        )


def _behaviour(workspace: Workspace, sides: Sides, found: Findings, now: datetime) -> _Behaviour | None:
    assert sides.candidate.id is not None
    try:
        suite, outcomes, n_rows = behaviour_of(workspace, version_id=sides.candidate.id, now=now)
    except (ArtifactCorrupted, NotFound, SchemaMismatch) as error:
        found.missing["behaviour"] = str(error)
        return None
    return _Behaviour(sides.candidate.id, suite, outcomes, n_rows)


def _reuse(session: Session, sides: Sides, fixed: dict[str, Any] | None) -> Reuse | None:
    rows = sides.sets.get(FIXED)
    if fixed is None or rows is None or rows.id is None:
        return None
    n_candidates = evaluations.candidates_judged(session, rows.id)
    return reuse(n_candidates, low=fixed["low"], high=fixed["high"], margin=fixed["margin"])


def _data_changes(workspace: Workspace, sides: Sides) -> list[str]:
    if sides.champion_data is None:
        return []
    assert sides.data.id is not None
    assert sides.champion_data.id is not None
    with workspace.read() as session:
        new, old = (datasets.version_label(session, one.id) for one in (sides.data, sides.champion_data) if one.id)
    if sides.data.id == sides.champion_data.id:
        return [f"Both were trained on {new}."]
    if sides.data.dataset_id != sides.champion_data.dataset_id:
        return [f"The candidate was trained on {new}, {sides.champion_label} on {old}: different datasets."]
    diff = sides.data.diff
    if diff is None or diff.get("base_id") != sides.champion_data.id:
        diff = datasets.diff_versions(workspace.artifacts, sides.champion_data, sides.data, sides.candidate_run.target)
    return [str(sentence) for sentence in diff["sentences"]][:MOST_SENTENCES]


def _gate_evidence(
    session: Session, sides: Sides, found: Findings, smoke: gates.SmokeFact, behaviour: _Behaviour | None
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
    behaviour: _Behaviour | None,
    data_changes: list[str],
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
        "thresholds": {"candidate": _threshold(sides.candidate), "champion": _threshold(sides.champion)},
        "changed": found.changed,
        "changed_by_slice": found.changed_by_slice,
        "fairness": found.fairness,
        "data_changes": data_changes,
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
