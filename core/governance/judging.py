"""Judging the candidate of a request: scored, compared with what is live and with the trivial model, asked, tested.

Each step adds to `Findings` what it found, or why it could not be found; the gates read that later.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import numpy as np
from sqlmodel import Session

from core.datasets import queries as datasets
from core.datasets.tables import DatasetVersion, EvaluationSet, Outcome
from core.errors import (
    ArtifactCorrupted,
    InvalidInput,
    NotApplicable,
    NotFound,
    SchemaMismatch,
)
from core.evaluation import queries as evaluations
from core.evaluation.changes import changed_by_slice
from core.evaluation.comparing import PairedResult, align, compare
from core.evaluation.fairness import fairness_change
from core.evaluation.metrics import compute_metrics, primary_metric
from core.evaluation.predictions import Predictions
from core.evaluation.slices import groups, slice_columns
from core.evaluation.tables import Evaluation
from core.governance import gates, standing
from core.governance.evidence import (
    MOST_SENTENCES,
    comparison_entry,
    dummy_predictions,
    identical,
)
from core.governance.tables import PromotionRequest
from core.permissions import Actor
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

# What makes one comparison impossible without spoiling the rest: the gate that needs it fails and says why.
IMPOSSIBLE = (InvalidInput, NotApplicable)


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


def sides_of(session: Session, request: PromotionRequest) -> Sides:
    """Read what a request is about: both versions, their runs and data, and the sets they are judged on."""
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


def judge(workspace: Workspace, sides: Sides, kind: str, rows: EvaluationSet, found: Findings, now: datetime) -> None:
    """Score both sides on one evaluation set and compare them there; on the fixed set also by group."""
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
    threshold = threshold_of(version)
    return stored if threshold is None else stored.decided_at(threshold)


def threshold_of(version: ModelVersion | None) -> float | None:
    """Get the score from which on a version calls a row positive; None where it decides by the highest score."""
    return None if version is None else version.signature.get("threshold")


def _has_threshold(sides: Sides) -> bool:
    return threshold_of(sides.candidate) is not None or threshold_of(sides.champion) is not None


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
    sensitive = {name: values[name] for name in columns if name in sides.sensitive}
    found.fairness += fairness_change(sensitive, champion, candidate, rng=np.random.default_rng(0))


def against_dummy(workspace: Workspace, sides: Sides, found: Findings) -> None:
    """Hold the candidate against the trivial model on the fixed evaluation set."""
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
            n_resamples=0,  # the deciding method is enough against a model that ignores its input
            n_permutations=0,
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


def smoke_test(workspace: Workspace, sides: Sides, found: Findings) -> gates.SmokeFact:
    """Load the stored model and ask it for predictions that are on record."""
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
class BehaviourRun:
    """How the candidate did on its model's suite, not yet written down."""

    version_id: int
    suite: BehaviourSuite
    outcomes: list[dict[str, Any]]
    n_rows: int

    def record(self, session: Session, actor: Actor, now: datetime) -> BehaviourRun:
        """Write it down, in the transaction that records the evidence; gives what is on record.

        Registering a version runs its suite too. Where that ended first, its outcomes stay, and times measured twice
        are never the same: evidence of what was found here would be stale at once.
        """
        assert self.suite.id is not None
        stored = record_behaviour(
            session,
            version_id=self.version_id,
            suite_id=self.suite.id,
            outcomes=self.outcomes,
            n_rows=self.n_rows,
            actor=actor,
            now=now,
        )
        return replace(self, outcomes=list(stored.outcomes), n_rows=stored.n_rows)

    def fact(self) -> gates.BehaviourFact:
        """What the gate looks at."""
        titles = {
            outcome: tuple(str(one["title"]) for one in self.outcomes if one["outcome"] == outcome)
            for outcome in (Outcome.PASSED, Outcome.FAILED, Outcome.SKIPPED)
        }
        return gates.BehaviourFact(
            self.suite.number, titles[Outcome.PASSED], titles[Outcome.FAILED], titles[Outcome.SKIPPED]
        )


def run_behaviour(workspace: Workspace, sides: Sides, found: Findings, now: datetime) -> BehaviourRun | None:
    """Run the model's behaviour suite on the candidate; None, with the reason in the findings, where it cannot be."""
    assert sides.candidate.id is not None
    try:
        suite, outcomes, n_rows = behaviour_of(workspace, version_id=sides.candidate.id, now=now)
    except (ArtifactCorrupted, NotFound, SchemaMismatch) as error:
        found.missing["behaviour"] = str(error)
        return None
    return BehaviourRun(sides.candidate.id, suite, outcomes, n_rows)


def data_changes(workspace: Workspace, sides: Sides) -> list[str]:
    """Say in at most five sentences how the candidate's training data differs from the champion's."""
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
