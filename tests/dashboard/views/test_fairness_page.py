"""The run page's view of fairness: the finding, groups too small to say, the criteria, and the what-if."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from sqlmodel import select

from core.database import utc_now
from core.evaluation.group_thresholds import group_grid
from core.evaluation.predictions import Predictions
from core.evaluation.service import record_analysis
from core.evaluation.slices import group_column
from core.evaluation.tables import Task
from core.jobs.tables import Job
from core.permissions import Actor
from core.training.fairness_analysis import by_group
from core.workspace import Workspace
from tests.dashboard.conftest import OpenAs
from tests.dashboard.said import offered, said
from tests.factories import key, make_dataset, make_dataset_version, make_evaluation, make_run

HOSTILE = ":red[x] <b>f</b>"


def document(task: Task = Task.BINARY) -> dict[str, Any]:
    """What the analysis gives for two groups that differ and one that is too small."""
    rng = np.random.default_rng(0)
    sex = pa.array([HOSTILE] * 400 + ["m"] * 400 + ["rare"] * 12)
    race = pa.array(["x", "y"] * 406)
    n = len(sex)
    scores = np.clip(rng.beta(2, 2, n) - 0.25 * (np.arange(n) < 400), 0, 1)
    words = np.array(["no", "yes"], dtype=object)
    if task is Task.REGRESSION:
        made = Predictions(task, np.arange(n), np.zeros(n), scores, None, ())
    else:
        truth = words[(rng.random(n) < scores).astype(int)]
        chosen = words[(scores >= 0.5).astype(int)]
        made = Predictions(task, np.arange(n), truth, chosen, np.c_[1 - scores, scores], ("no", "yes"))
    material: Any = SimpleNamespace(
        task=task,
        predictions=made,
        validation=None,
        dataset=SimpleNamespace(name="people", sensitive=["sex", "race"]),
        run=SimpleNamespace(target="income"),
        kinds={"sex": "category", "race": "category"},
        rows=lambda names: pa.table({"sex": sex, "race": race}).select(names),
    )
    found = by_group(material, {})
    if task is Task.BINARY:
        grouped = group_column("sex", sex)
        both = (made, grouped.codes)
        found["thresholds"] = [group_grid("sex", grouped.labels, both, both).to_document()]
    return found


@pytest.fixture
def run_of(workspace: Workspace):
    def make(*, sensitive: tuple[str, ...] = ("sex", "race"), result: dict[str, Any] | None = None, **over: Any) -> int:
        with workspace.write() as session:
            dataset = make_dataset(session, name="people", sensitive=list(sensitive))
            version = make_dataset_version(session, dataset_id=key(dataset))
            run = make_run(session, dataset_version_id=key(version), **over)
            evaluation = make_evaluation(session, run_id=key(run))
            if result is not None:
                record_analysis(
                    session,
                    evaluation_id=key(evaluation),
                    kind="fairness",
                    options={},
                    result=result,
                    now=utc_now(),
                )
            return key(run)

    return make


def test_the_first_sentence_states_the_gap_and_the_criteria_their_reading(open_as: OpenAs, viewer: Actor, run_of):
    told = said(open_as(viewer, "run", run=run_of(result=document()), view="fairness"))
    assert f"Share predicted positive differs by sex: 56 % in m against 15 % in {HOSTILE}, a gap of 0.403 [0.3" in told
    assert "Too small to say, with fewer than 30 rows that count: rare (12)." in told
    assert "▲ Groups differ" in told
    assert "▲ Below 0.8" in told
    assert "Every group is called positive equally often." in told


def test_that_groups_are_alike_in_one_criterion_does_not_hide_that_they_differ_in_another(
    open_as: OpenAs, viewer: Actor, run_of
):
    found = document()
    by_sex = next(one for one in found["groupings"] if one["columns"] == ["sex"])
    by_sex["criteria"][0]["reading"] = "no_gap_shown"
    unmet = next(one for one in by_sex["criteria"] if one["reading"] == "gap")
    title = next(one["title"] for one in found["measures"] if one["key"] == unmet["measure"])
    page = open_as(viewer, "run", run=run_of(result=found), view="fairness")
    told = said(page)
    assert f"{title[:1].upper()}{title[1:]} differs by sex" in told
    assert next(box for box in page.selectbox if box.label == "Measure").value == unmet["measure"]


def test_another_column_and_measure_live_in_the_address(open_as: OpenAs, viewer: Actor, run_of):
    run_id = run_of(result=document())
    told = said(open_as(viewer, "run", run=run_id, view="fairness", by="race", measure="accuracy"))
    assert "No difference by race is shown in the share predicted positive" in told
    assert "Of all rows of a group, the share predicted right." in told


def test_the_what_if_says_what_it_costs_and_that_nothing_applies_it(open_as: OpenAs, viewer: Actor, run_of):
    run_id = run_of(result=document())
    told = said(open_as(viewer, "run", run=run_id, view="fairness"))
    assert "What if: the gap goes from 0.4" in told
    assert "stored nowhere and applied nowhere. Treating groups differently may be unlawful." in told
    assert "more called positive" in told
    assert "kept: too few rows" in told
    page = open_as(viewer, "run", run=run_id, view="fairness", even="true_positive_rate", common="1")
    page.select_slider(key="fairness_common").set_value(10).run()
    assert float(page.query_params["common"][0]) < 1
    assert "What if" in said(page)


def test_regressions_have_their_own_criteria_and_no_what_if(open_as: OpenAs, viewer: Actor, run_of):
    run_id = run_of(result=document(Task.REGRESSION), task=Task.REGRESSION)
    told = said(open_as(viewer, "run", run=run_id, view="fairness"))
    assert "Mean error differs by sex: 0.523 in m against 0.278 in" in told
    assert "No what-if of thresholds by group" in told


def test_without_a_sensitive_column_it_says_how_to_mark_one(open_as: OpenAs, viewer: Actor, run_of):
    page = open_as(viewer, "run", run=run_of(sensitive=()), view="fairness")
    assert "No column is marked sensitive" in said(page)
    assert "Measure how groups fare" not in offered(page)


def test_a_run_without_it_offers_to_work_it_out(open_as: OpenAs, workspace: Workspace, scientist: Actor, run_of):
    page = open_as(scientist, "run", run=run_of(), view="fairness")
    next(one for one in page.button if one.label == "Measure how groups fare").click().run()
    with workspace.read() as session:
        assert [job.kind for job in session.exec(select(Job))] == ["analyse_run"]
