"""The threshold of a run: the slider and what follows, suggestions, registering; costs on the dataset's page."""

from __future__ import annotations

import numpy as np
import pytest
from sqlmodel import select

from core.datasets.costs import BinaryCosts
from core.datasets.tables import Dataset
from core.evaluation.predictions import Predictions
from core.evaluation.service import record_analysis
from core.evaluation.tables import Task
from core.evaluation.threshold_grids import Grid, grid
from core.evaluation.threshold_rules import Rule, suggest
from core.permissions import Actor
from core.registry.tables import ModelVersion
from core.workspace import Workspace
from tests.dashboard.conftest import OpenAs
from tests.dashboard.said import offered, said
from tests.factories import (
    NOW,
    key,
    make_dataset,
    make_dataset_version,
    make_evaluation,
    make_model,
    make_model_version,
    make_open_request,
    make_run,
)

CLASSES = ("<=50K", ">50K")
COSTS = {"labels": list(CLASSES), "matrix": [[0.0, 1.0], [5.0, 0.0]]}
TOP = [{"value": one, "count": 500} for one in CLASSES]
PROFILE = {
    "columns": [{"name": "income", "kind": "category", "n_distinct": 2, "n_missing": 0, "share_missing": 0, "top": TOP}]
}


def drawn(seed: int) -> Predictions:
    rng = np.random.default_rng(seed)
    positive = rng.random(400) < 0.3
    score = 1 / (1 + np.exp(-(rng.normal(size=400) + 2 * positive - 1.5)))
    labels = np.array(CLASSES, dtype=object)
    return Predictions(
        Task.BINARY,
        np.arange(400),
        labels[positive.astype(int)],
        labels[(score > 0.5).astype(int)],
        np.column_stack([1 - score, score]),
        CLASSES,
    )


GRID = grid(drawn(1), drawn(2))


@pytest.fixture
def dataset_id(workspace: Workspace) -> int:
    with workspace.write() as session:
        return key(make_dataset(session, name="people"))


@pytest.fixture
def run_id(workspace: Workspace, dataset_id: int, scientist: Actor) -> int:
    with workspace.write() as session:
        version = make_dataset_version(session, dataset_id=dataset_id, profile=PROFILE)
        run = make_run(session, dataset_version_id=key(version), validation_sha256="0" * 64)
        evaluation = make_evaluation(session, run_id=key(run))
        record_analysis(
            session, evaluation_id=key(evaluation), kind="thresholds", options={}, result=GRID.to_document(), now=NOW
        )
        return key(run)


def figure_at(found: Grid, threshold: float) -> str:
    recall = found.test.estimate("recall", found.nearest(threshold))
    assert recall is not None
    return f"{recall.value:.3f} [{recall.low:.3f}, {recall.high:.3f}]"


def test_the_page_opens_at_one_half_with_both_sets_side_by_side(open_as: OpenAs, viewer: Actor, run_id: int):
    page = open_as(viewer, "run", run=run_id, view="threshold")
    told = said(page)
    assert "At 0.5 it finds" in told
    assert f"Test {figure_at(GRID, 0.5)}" in told
    assert "Of the rows called positive, the share that is." in told
    assert "Expected cost" not in told
    assert "Register with this threshold" not in offered(page)


def test_the_slider_moves_what_follows_and_the_address(open_as: OpenAs, viewer: Actor, run_id: int):
    page = open_as(viewer, "run", run=run_id, view="threshold")
    place = GRID.nearest(0.25)
    page.select_slider(key="threshold_place").set_value(place).run()
    threshold = float(GRID.thresholds[place])
    assert page.query_params["threshold"] == repr(threshold)
    assert f"At {threshold:.6g} it finds" in said(page)
    assert f"Test {figure_at(GRID, threshold)}" in said(page)
    again = open_as(viewer, "run", run=run_id, view="threshold", threshold=repr(threshold))
    assert f"At {threshold:.6g} it finds" in said(again)


@pytest.mark.parametrize("asked", ["nonsense", "-1", "nan", "7"])
def test_an_address_that_is_no_threshold_does_no_harm(open_as: OpenAs, viewer: Actor, run_id: int, asked: str):
    page = open_as(viewer, "run", run=run_id, view="threshold", threshold=asked, bound=asked, rule="recall", miss=asked)
    assert not page.exception
    assert "Recall" in said(page)


def test_a_rule_sets_the_slider_and_says_what_it_comes_to(open_as: OpenAs, viewer: Actor, run_id: int):
    expected = suggest(GRID, Rule("recall", 0.95))
    page = open_as(viewer, "run", run=run_id, view="threshold", rule="recall")
    page.number_input(key="threshold_bound").set_value(0.95).run()
    page.button(key="threshold_find").click().run()
    assert page.select_slider(key="threshold_place").value == expected.place
    told = said(page)
    for sentence in expected.sentences:
        assert sentence in told
    page.select_slider(key="threshold_place").set_value(GRID.nearest(0.5)).run()
    assert expected.sentences[0] not in said(page)


def test_a_rule_nothing_keeps_says_so_and_leaves_the_slider(open_as: OpenAs, viewer: Actor, run_id: int):
    page = open_as(viewer, "run", run=run_id, view="threshold", rule="share", bound=0.001)
    page.button(key="threshold_find").click().run()
    assert "No threshold calls at most 0.1 % of the validation rows" in said(page)
    assert page.select_slider(key="threshold_place").value == GRID.nearest(0.5)


def test_costs_come_from_the_dataset_and_can_be_tried_here(
    open_as: OpenAs, workspace: Workspace, viewer: Actor, run_id: int, dataset_id: int
):
    page = open_as(viewer, "run", run=run_id, view="threshold", rule="cost")
    assert "The dataset keeps no costs" in said(page)
    with workspace.write() as session:
        dataset = session.get_one(Dataset, dataset_id)
        dataset.costs = COSTS
        session.add(dataset)
    # Set past the audit log here, so the page's memory of the dataset is emptied by hand.
    import streamlit as st

    st.cache_data.clear()
    page = open_as(viewer, "run", run=run_id, view="threshold", rule="cost", curve="cost")
    assert page.number_input(key="threshold_miss").value == 5
    page.button(key="threshold_find").click().run()
    expected = suggest(GRID, Rule("cost", costs=BinaryCosts(1, 5)))
    assert page.select_slider(key="threshold_place").value == expected.place
    assert "What a row costs on average" in said(page)
    page.number_input(key="threshold_miss").set_value(20.0).run()
    page.button(key="threshold_find").click().run()
    assert (
        page.select_slider(key="threshold_place").value == suggest(GRID, Rule("cost", costs=BinaryCosts(1, 20))).place
    )
    assert "These costs are this page's" in said(page)
    for name in ("false_alarm", "miss"):
        page.number_input(key=f"threshold_{name}").set_value(0.0).run()
    assert "nothing could be weighed" in said(page)


def test_registering_with_a_threshold_keeps_it_and_its_rule(
    open_as: OpenAs, workspace: Workspace, scientist: Actor, run_id: int
):
    with workspace.write() as session:
        make_model(session, name="income")
    expected = suggest(GRID, Rule("recall", 0.9))
    page = open_as(scientist, "run", run=run_id, view="threshold", rule="recall")
    page.button(key="threshold_find").click().run()
    page.button(key="threshold_register").click().run()
    assert f"Positive from a score of {expected.threshold:.6g} on" in said(page)
    # The test runner knows no fragments: a dialog is there only in the run in which its button is pressed.
    page.button(key="threshold_register").click()
    page.button(key="run_register_confirm").click().run()
    with workspace.read() as session:
        version = session.exec(select(ModelVersion)).one()
    assert version.signature["threshold"] == expected.threshold
    assert version.threshold is not None
    assert version.threshold["rule"] == "a recall of at least 0.9 with the fewest rows called positive"
    assert version.threshold["tested"]["n_rows"] == 400


def test_a_model_says_from_which_score_its_versions_call(
    open_as: OpenAs, workspace: Workspace, viewer: Actor, run_id: int
):
    stored = {"value": 0.31, "rule": "by hand", "chosen_on": {}, "tested": {}}
    with workspace.write() as session:
        version = make_model_version(session, run_id=run_id, threshold=stored, threshold_key="0.31")
    told = said(open_as(viewer, "model", model=version.model_id))
    assert "Positive from 0.31" in told
    assert "v1: Positive from a score of 0.31 on, chosen by hand." in told
    assert "0.31 on, chosen by hand" in said(open_as(viewer, "model", model=version.model_id, view="card"))


def test_the_decision_page_says_what_decides(open_as: OpenAs, workspace: Workspace, viewer: Actor, run_id: int):
    stored = {"value": 0.31, "rule": "by hand", "chosen_on": {}, "tested": {}}
    with workspace.write() as session:
        version = make_model_version(session, run_id=run_id, threshold=stored, threshold_key="0.31")
        request_id = key(make_open_request(session, version=version))
    told = said(open_as(viewer, "request", request=request_id))
    assert "v1: Positive from a score of 0.31 on, chosen by hand." in told
    assert "Decisions, their fairness and their metrics on this page are those made in this way." in told


def test_a_run_without_validation_predictions_says_what_to_do(
    open_as: OpenAs, workspace: Workspace, viewer: Actor, dataset_id: int
):
    with workspace.write() as session:
        version = make_dataset_version(session, dataset_id=dataset_id)
        run = make_run(session, dataset_version_id=key(version))
        make_evaluation(session, run_id=key(run))
        run_id = key(run)
    assert "Train it again" in said(open_as(viewer, "run", run=run_id, view="threshold"))


def test_only_a_binary_run_has_the_view(open_as: OpenAs, workspace: Workspace, viewer: Actor, dataset_id: int):
    with workspace.write() as session:
        version = make_dataset_version(session, dataset_id=dataset_id)
        run_id = key(make_run(session, dataset_version_id=key(version), task="regression"))
    page = open_as(viewer, "run", run=run_id, view="threshold")
    assert not page.select_slider


def test_costs_are_set_on_the_datasets_page(
    open_as: OpenAs, workspace: Workspace, scientist: Actor, viewer: Actor, run_id: int, dataset_id: int
):
    assert "Set the costs" not in offered(open_as(viewer, "dataset", dataset=dataset_id))
    page = open_as(scientist, "dataset", dataset=dataset_id)
    assert "No mistake has a cost yet" in said(page)
    page.button(key="dataset_costs").click().run()
    page.button(key="dataset_costs").click()
    page.number_input(key="dataset_cost_1_0").set_value(5.0)
    page.button(key="dataset_costs_save").click().run()
    with workspace.read() as session:
        assert session.get_one(Dataset, dataset_id).costs == COSTS
    page = open_as(scientist, "dataset", dataset=dataset_id)
    assert "<=50K taken for >50K costs 1, >50K taken for <=50K 5" in said(page)
    page.button(key="dataset_costs_none").click().run()
    with workspace.read() as session:
        assert session.get_one(Dataset, dataset_id).costs is None


def test_a_question_of_three_answers_has_a_matrix(open_as: OpenAs, workspace: Workspace, scientist: Actor):
    top = [{"value": one, "count": 300} for one in ("a", "b", "c")]
    profile = {"columns": [PROFILE["columns"][0] | {"n_distinct": 3, "top": top}]}
    with workspace.write() as session:
        dataset_id = make_dataset_version(session, profile=profile).dataset_id
    page = open_as(scientist, "dataset", dataset=dataset_id)
    page.button(key="dataset_costs").click().run()
    page.button(key="dataset_costs").click()
    page.button(key="dataset_costs_save").click().run()
    with workspace.read() as session:
        costs = session.get_one(Dataset, dataset_id).costs
    assert costs == {"labels": ["a", "b", "c"], "matrix": [[0, 1, 1], [1, 0, 1], [1, 1, 0]]}
