"""A request about a version with a threshold is judged by the decisions that threshold makes."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from sqlmodel import col, select

from core.automation.inline import run_all
from core.datasets import queries as datasets
from core.datasets.tables import Dataset, DatasetVersion
from core.evaluation import queries as evaluations
from core.evaluation.fairness import fairness_change
from core.evaluation.metrics import compute_metrics
from core.evaluation.predictions import Predictions
from core.evaluation.tables import Comparison
from core.governance import queries, service
from core.governance.tables import PromotionRequest, RequestState
from core.permissions import Actor
from core.registry import queries as registry
from core.registry.service import register_version
from core.training.threshold_analysis import choose
from core.workspace import Workspace
from tests.factories import key
from tests.live_models import LiveModel, go_live

AT = 0.2


@pytest.fixture
def live(workspace: Workspace, scientist: Actor, now: datetime) -> LiveModel:
    found = go_live(workspace, scientist, now, n_rows=1_000)
    with workspace.write() as session:
        dataset = session.get_one(Dataset, session.get_one(DatasetVersion, found.data_id).dataset_id)
        dataset.sensitive = ["member"]
        dataset.costs = {"labels": ["no", "yes"], "matrix": [[0, 1], [5, 0]]}
        session.add(dataset)
    return found


def ask(workspace: Workspace, version_id: int, actor: Actor, now: datetime) -> PromotionRequest:
    with workspace.write() as session:
        request = service.request_promotion(session, version_id=version_id, comment="Please.", actor=actor, now=now)
    run_all(workspace)
    with workspace.read() as session:
        found = queries.request(session, key(request))
        assert found.state == RequestState.OPEN, found.error
        return found


def with_threshold(workspace: Workspace, run_id: int, actor: Actor, now: datetime) -> int:
    chosen = choose(workspace, run_id=run_id, threshold=AT)
    with workspace.write() as session:
        return key(register_version(session, run_id=run_id, model_name="pay", threshold=chosen, actor=actor, now=now))


def scored(workspace: Workspace, run_id: int) -> Predictions:
    with workspace.read() as session:
        [evaluation] = evaluations.evaluations_of_run(session, run_id)
    return evaluations.load_predictions(workspace.artifacts, evaluation)


def test_the_same_file_at_another_threshold_is_judged_by_its_own_decisions(
    workspace: Workspace, live: LiveModel, scientist: Actor, now: datetime
) -> None:
    with workspace.read() as session:
        run_id = registry.version(session, live.version_id).run_id
    request = ask(workspace, with_threshold(workspace, run_id, scientist, now), scientist, now)
    evidence: dict[str, Any] = request.evidence or {}
    stored = scored(workspace, run_id)
    decided = stored.decided_at(AT)
    moved = stored.y_pred != decided.y_pred
    assert moved.any()
    assert evidence["thresholds"] == {"candidate": AT, "champion": None}
    changed = evidence["changed"]
    right = decided.y_pred == decided.y_true
    assert (changed["n_corrected"], changed["n_broken"]) == ((moved & right).sum(), (moved & ~right).sum())
    [comparison] = evidence["comparisons"]
    assert (comparison["metric"], comparison["effect"], comparison["verdict"]) == ("roc_auc", 0, "not_worse")
    expected = {one.key: one.value for one in compute_metrics(decided)}
    found = evidence["metrics"]["candidate"]
    costs = {side: evidence["metrics"][side]["average_cost"]["value"] for side in ("candidate", "champion")}
    assert costs["champion"] == pytest.approx(
        np.where(stored.y_true == "yes", 5, 1)[stored.y_pred != stored.y_true].sum() / stored.n_rows
    )
    assert costs["candidate"] != costs["champion"]
    assert found["recall"]["value"] == expected["recall"] > evidence["metrics"]["champion"]["recall"]["value"]
    assert found["roc_auc"]["value"] == pytest.approx(evidence["metrics"]["champion"]["roc_auc"]["value"], abs=1e-6)
    assert evidence["bound"]["threshold"] == AT
    with workspace.write() as session:
        version = registry.version(session, request.version_id)
        assert "Positive from a score of 0.2 on" in queries.card(session, request.version_id).sections["evaluation"]
        assert queries.stale_reasons(session, request) == ()
        version.signature = {**version.signature, "threshold": 0.4}
        session.add(version)
    with workspace.read() as session:
        assert queries.stale_reasons(session, request) == ("the threshold the candidate decides by changed",)
    smoke = evidence["smoke"]
    assert smoke["n_identical"] == smoke["n_rows"] > 0
    outcomes = {gate["code"]: gate["outcome"] for gate in evidence["gates"]}
    assert outcomes["smoke_test"] == "passed"
    with workspace.read() as session:
        version = datasets.version(session, live.data_id)
    member = datasets.read_table(workspace.artifacts, version, columns=["member"])["member"].take(
        pa.array(stored.ordinals)
    )
    groups = np.array([str(value) for value in member.to_pylist()], dtype=object)
    assert evidence["fairness"] == fairness_change({"member": groups}, stored, decided, rng=np.random.default_rng(0))
    assert evidence["fairness"] != fairness_change({"member": groups}, stored, stored, rng=np.random.default_rng(0))
    with workspace.read() as session:
        assert session.exec(select(Comparison)).all() == []


def test_what_is_stored_of_two_runs_is_their_comparison_without_thresholds(
    workspace: Workspace, live: LiveModel, scientist: Actor, now: datetime
) -> None:
    with workspace.read() as session:
        champion_run = registry.version(session, live.version_id).run_id
        data = datasets.version(session, live.data_id)
    other = go_live(workspace, scientist, now, name="other", data=data, algorithm="hist_gradient_boosting")
    with workspace.read() as session:
        run_id = registry.version(session, other.version_id).run_id
    request = ask(workspace, with_threshold(workspace, run_id, scientist, now), scientist, now)
    changed = (request.evidence or {})["changed"]
    stored, before = scored(workspace, run_id), scored(workspace, champion_run)

    def corrected(after: Predictions) -> int:
        return int(((before.y_pred != before.y_true) & (after.y_pred == after.y_true)).sum())

    assert changed["n_corrected"] == corrected(stored.decided_at(AT)) != corrected(stored)
    with workspace.read() as session:
        [row] = session.exec(select(Comparison).order_by(col(Comparison.id))).all()
    assert row.changed is not None
    assert row.changed["n_corrected"] == corrected(stored)
