"""Thresholds of a trained run: worked out by its training, chosen from what it kept, used by its model."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import numpy as np
import pytest
from sqlmodel import Session

from core.datasets import service as datasets
from core.datasets.costs import BinaryCosts
from core.datasets.tables import DatasetVersion
from core.errors import InvalidInput, NotApplicable
from core.evaluation import queries as evaluations
from core.evaluation.threshold_grids import Grid
from core.evaluation.threshold_rules import Rule, suggest
from core.permissions import Actor
from core.training import queries
from core.training.analyses import analysis_kind
from core.training.frames import frame_from_rows
from core.training.models import FittedModel, load_model
from core.training.tables import Run
from core.training.threshold_analysis import choose
from core.workspace import Workspace
from tests.core.training.conftest import AddVersion, Train
from tests.factories import key


@pytest.fixture
def version(add_version: AddVersion) -> DatasetVersion:
    return add_version()


@pytest.fixture
def run(version: DatasetVersion, train: Train) -> Run:
    return train(version.id)


def stored_grid(session: Session, run: Run) -> tuple[Grid, int]:
    [evaluation] = evaluations.evaluations_of_run(session, key(run))
    [found] = evaluations.analyses(session, evaluation_id=key(evaluation), kind="thresholds")
    return Grid.from_document(found.result), key(evaluation)


def test_a_training_works_out_its_thresholds(workspace: Workspace, run: Run) -> None:
    with workspace.read() as session:
        found, evaluation_id = stored_grid(session, run)
        predictions = evaluations.load_predictions(workspace.artifacts, evaluations.evaluation(session, evaluation_id))
    assert (found.negative, found.positive) == ("no", "yes")
    assert found.test.n_rows == predictions.n_rows
    assert run.validation_sha256 is not None
    validation = evaluations.predictions_file(workspace.artifacts, run.validation_sha256)
    for rows, tally in ((validation, found.validation), (predictions, found.test)):
        for place in range(0, len(found.thresholds), 5):
            decided = rows.decided_at(float(found.thresholds[place]))
            hits = ((decided.y_pred == "yes") & (decided.y_true == "yes")).sum()
            assert tally.cells[0, place] == hits


def test_a_run_with_weights_counts_by_them(workspace: Workspace, version: DatasetVersion, train: Train) -> None:
    weighted = train(version.id, weight_column="age")
    assert weighted.error is None
    with workspace.read() as session:
        found, evaluation_id = stored_grid(session, weighted)
        rows = evaluations.load_predictions(workspace.artifacts, evaluations.evaluation(session, evaluation_id))
    assert rows.sample_weight is not None
    place = found.nearest(0.5)
    hits = (rows.decided_at(float(found.thresholds[place])).y_pred == "yes") & (rows.y_true == "yes")
    assert found.test.cells[0, place] == pytest.approx(rows.sample_weight[hits].sum())
    assert found.validation.total > found.validation.n_rows


def test_what_is_chosen_from_the_files_is_what_the_stored_grid_says(workspace: Workspace, run: Run) -> None:
    with workspace.read() as session:
        found, _ = stored_grid(session, run)
    suggestion = suggest(found, Rule("recall", 0.9))
    chosen = choose(workspace, run_id=key(run), rule="recall>=0.9")
    assert chosen.value == suggestion.threshold
    assert chosen.rule == "a recall of at least 0.9 with the fewest rows called positive"
    assert chosen.chosen_on["recall"]["value"] >= 0.9
    assert chosen.tested["n_rows"] == found.test.n_rows
    with workspace.read() as session:
        [evaluation] = evaluations.evaluations_of_run(session, key(run))
    assert chosen.validation_sha256 == run.validation_sha256
    assert chosen.predictions_sha256 == evaluation.predictions_sha256
    by_hand = choose(workspace, run_id=key(run), threshold=chosen.value)
    assert (by_hand.rule, by_hand.tested) == ("by hand", chosen.tested)


def test_the_costs_are_those_of_the_dataset(
    workspace: Workspace, version: DatasetVersion, run: Run, scientist: Actor, now: datetime
) -> None:
    with pytest.raises(InvalidInput, match="on the dataset"):
        choose(workspace, run_id=key(run), rule="cost")
    costs = {"labels": ["no", "yes"], "matrix": [[0, 1], [5, 0]]}
    with workspace.write() as session:
        datasets.set_costs(session, dataset_id=version.dataset_id, costs=costs, actor=scientist, now=now)
    chosen = choose(workspace, run_id=key(run), rule="cost")
    with workspace.read() as session:
        found, _ = stored_grid(session, run)
    assert chosen.chosen_on["cost"]["value"] == pytest.approx(found.validation.values("cost", BinaryCosts(1, 5)).min())
    assert chosen.value < 0.5


def test_what_cannot_be_chosen_says_why(workspace: Workspace, version: DatasetVersion, run: Run, train: Train) -> None:
    for given in ({}, {"threshold": 0.3, "rule": "f1"}):
        with pytest.raises(InvalidInput, match="Give a threshold, or a rule"):
            choose(workspace, run_id=key(run), **given)  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="above 0 and is at most 1"):
        choose(workspace, run_id=key(run), threshold=1.5)
    with pytest.raises(NotApplicable, match="No threshold has a precision of 1 on the validation rows"):
        choose(workspace, run_id=key(train(version.id, "dummy")), rule="precision>=1")
    numbers = train(version.id, "ridge", target="pay")
    assert numbers.error is None
    with pytest.raises(NotApplicable, match="only a binary one"):
        choose(workspace, run_id=key(numbers), threshold=0.3)
    with pytest.raises(NotApplicable, match="not defined for a regression"):
        analysis_kind("thresholds", "regression")
    with workspace.write() as session:
        queries.run(session, key(run)).validation_sha256 = None
    with pytest.raises(NotApplicable, match="Train it again"):
        choose(workspace, run_id=key(run), threshold=0.3)


def test_a_model_calls_by_the_threshold_of_its_signature(workspace: Workspace, run: Run) -> None:
    assert run.model_sha256 is not None
    assert run.signature is not None
    model = load_model(workspace.artifacts, model_sha256=run.model_sha256, signature=run.signature)
    rows: list[dict[str, Any]] = [{"age": age, "pay": 0.0, "job": "cook"} for age in range(18, 80)]
    usual = model.predict(frame_from_rows(rows, run.signature))
    assert usual.scores is not None
    scores = usual.scores[:, 1]
    at = float(np.sort(scores)[20])
    assert not (usual.labels == np.where(scores >= at, "yes", "no")).all()
    decided = FittedModel(model.pipeline, {**run.signature, "threshold": at}).predict_rows(rows)
    assert decided.labels.tolist() == np.where(scores >= at, "yes", "no").tolist()
    assert decided.scores is not None
    assert (decided.scores == usual.scores).all()
    assert (model.threshold, FittedModel(model.pipeline, {**run.signature, "threshold": at}).threshold) == (None, at)
