"""The run page's views of slices and errors: what is stored is shown, what is not can be asked for."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs

import pytest

from core.evaluation import queries as evaluations
from core.evaluation.service import record_analysis
from core.jobs.tables import Job
from core.permissions import Actor
from core.workspace import Workspace
from tests.conftest import NOW
from tests.dashboard.conftest import OpenAs
from tests.dashboard.said import offered, said
from tests.factories import key, make_dataset, make_dataset_version, make_evaluation, make_evaluation_set, make_run

NONE = dict.fromkeys(("rest", "difference", "difference_low", "difference_high", "pvalue", "corrected"))
SLICES = {
    "metric": "roc_auc",
    "columns": ["sex"],
    "asked": False,
    "n_rows": 900,
    "overall": {"value": 0.9, "low": 0.88, "high": 0.92},
    "min_rows": 30,
    "n_compared": 1,
    "n_left_out": 0,
    "slices": [
        {
            "words": "sex = *Male*", "conditions": [["sex", "*Male*"]], "n_rows": 600, "value": 0.85, "low": 0.83,
            "high": 0.87, "rest": 0.95, "difference": -0.1, "difference_low": -0.13, "difference_high": -0.07,
            "pvalue": 1e-6, "corrected": 1e-6, "reading": "worse", "reason": "",
        },
        {
            "words": "sex = Other", "conditions": [["sex", "Other"]], "n_rows": 12, "value": None, "low": None,
            "high": None, **NONE, "reading": "too_small", "reason": "Fewer than 30 rows.",
        },
    ],
}  # fmt: skip
WEAK = {
    "loss": "error", "loss_title": "share of rows predicted wrong", "columns": ["age", "sex"], "n_rows": 900,
    "n_search": 450, "n_confirm": 450, "n_searched": 37, "min_rows": 30, "n_confirmed": 1,
    "slices": [
        {
            "words": "age = 17 to 28 and sex = Female", "n_rows": 130, "confirmed": True, "loss_in": 0.4,
            "loss_in_low": 0.3, "loss_in_high": 0.5, "loss_out": 0.1, "loss_out_low": 0.07, "loss_out_high": 0.13,
            "difference": 0.3, "pvalue": 1e-5, "corrected": 1e-5,
        }
    ],
}  # fmt: skip
ROW = {"ordinal": 6, "true": "no", "predicted": "yes", "score": 0.98, "loss": 3.9, "values": [44, "=cmd()"]}
ERRORS: dict[str, Any] = {
    "task": "binary", "target": "income", "n_rows": 900, "n_wrong": 40, "loss": "log loss", "columns": ["age", "sex"],
    "n_columns_left_out": 0, "n_cells_left_out": 0,
    "rows": [ROW, {**ROW, "ordinal": 9, "true": "yes", "values": [20, None]}],
    "hardest": [0],
    "cells": [
        {"true": "no", "predicted": "yes", "n": 40, "rows": [0]},
        {"true": "yes", "predicted": "yes", "n": 860, "rows": [1]},
    ],
    "suspected": {
        "reason": "", "stands_out": True, "n_observed": 31, "n_expected": 9.2, "pvalue": 1e-7, "share": 0.03,
        "method": "", "labels": [{"row": 0, "suggested": "yes", "likelihood": 0.93}],
    },
}  # fmt: skip


@pytest.fixture
def run_id(workspace: Workspace) -> int:
    columns = [{"name": name, "kind": kind} for name, kind in (("age", "integer"), ("sex", "category"))]
    with workspace.write() as session:
        version = make_dataset_version(session, dataset_id=key(make_dataset(session)), columns=columns)
        run = key(make_run(session, dataset_version_id=key(version), features=["age", "sex"]))
        made = make_evaluation_set(session, version=version)
        make_evaluation(session, run_id=run, evaluation_set_id=key(made), metrics={"roc_auc": 0.9, "accuracy": 0.8})
        return run


def keep(workspace: Workspace, run_id: int, **documents: dict[str, Any]) -> None:
    with workspace.write() as session:
        evaluation = evaluations.evaluations_of_run(session, run_id)[0]
        for kind, result in documents.items():
            record_analysis(session, evaluation_id=key(evaluation), kind=kind, options={}, result=result, now=NOW)


def test_slices_say_where_it_is_worse_and_what_is_too_small(
    open_as: OpenAs, workspace: Workspace, viewer: Actor, run_id: int
):
    keep(workspace, run_id, slices=SLICES, weak_slices=WEAK)
    told = said(open_as(viewer, "run", run=run_id, view="slices"))
    assert "ROC AUC is worse where sex = *Male*" in told
    assert "−0.100 [−0.130, −0.070]" in told
    assert "Too small to say" in told
    assert "– Fewer than 30 rows" in told
    assert "The model is weak where age = 17 to 28 and sex = Female" in told
    assert "37 conditions of one and two columns were searched on one half" in told
    assert "40.0 % [30.0 %, 50.0 %]" in told


def test_a_choice_of_columns_is_worked_out_on_asking_and_lives_in_the_address(
    open_as: OpenAs, workspace: Workspace, viewer: Actor, run_id: int
):
    keep(workspace, run_id, slices=SLICES, weak_slices=WEAK)
    page = open_as(viewer, "run", run=run_id, view="slices")
    page.multiselect(key="slices_by").set_value(["sex", "age"])
    page.selectbox(key="slices_metric").set_value("accuracy")
    page.button(key="slices_show").click().run()
    assert page.query_params["by"] == ["sex", "age"]
    with workspace.read() as session:
        job = session.get(Job, 1)
        assert job is not None
        assert job.payload["options"] == {"columns": ["sex", "age"], "metric": "accuracy"}
    assert "No worker is running" in said(page)


def test_what_is_not_stored_can_be_asked_for(open_as: OpenAs, viewer: Actor, run_id: int):
    assert {"Measure the slices", "Search for weak slices"} <= set(
        offered(open_as(viewer, "run", run=run_id, view="slices"))
    )
    assert "Look at the errors" in offered(open_as(viewer, "run", run=run_id, view="errors"))


def test_a_cell_of_the_square_opens_its_rows(open_as: OpenAs, workspace: Workspace, viewer: Actor, run_id: int):
    keep(workspace, run_id, errors=ERRORS)
    told = said(open_as(viewer, "run", run=run_id, view="errors"))
    assert "Most often no is taken for yes: 40 rows" in told
    assert "Row 7" in told
    other = said(open_as(viewer, "run", run=run_id, view="errors", cell="1"))
    assert "yes, predicted so" in other
    assert "Row 10" in other


def test_a_row_in_error_opens_its_explanation(open_as: OpenAs, workspace: Workspace, viewer: Actor, run_id: int):
    keep(workspace, run_id, errors=ERRORS)
    page = open_as(viewer, "run", run=run_id, view="errors")
    query = next(link.proto.query_string for link in page.get("page_link") if "Row 7" in link.proto.label)
    assert parse_qs(query) == {"run": [str(run_id)], "view": ["explanation"], "part": ["row"], "row": ["7"]}


def test_suspected_labels_say_how_many_chance_would_give(
    open_as: OpenAs, workspace: Workspace, viewer: Actor, run_id: int
):
    keep(workspace, run_id, errors=ERRORS)
    page = open_as(viewer, "run", run=run_id, view="errors", errors="labels")
    told = said(page)
    assert "About 3.0 % of the labels look wrong" in told
    assert "31; with every label right, a model as good as this one would have about 9" in told
    assert "93 %" in told


def test_nothing_stands_out_where_there_is_no_more_than_chance(
    open_as: OpenAs, workspace: Workspace, viewer: Actor, run_id: int
):
    quiet = {**ERRORS["suspected"], "stands_out": False, "pvalue": 0.4, "labels": []}
    keep(workspace, run_id, errors={**ERRORS, "suspected": quiet})
    assert "No labels stand out as wrong" in said(open_as(viewer, "run", run=run_id, view="errors", errors="labels"))
