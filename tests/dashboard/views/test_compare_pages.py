"""The page that holds runs against each other: verdicts, different rows, what differs, what cannot be compared."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from core.evaluation.tables import Comparison
from core.jobs.queries import queue
from core.permissions import Actor
from core.workspace import Workspace
from tests.dashboard.conftest import OpenAs
from tests.dashboard.said import offered, said
from tests.factories import (
    NOW,
    add,
    key,
    make_dataset_version,
    make_evaluation,
    make_evaluation_set,
    make_run,
)

ROC = {"roc": {"fpr": [0.0, 1.0], "tpr": [0.0, 1.0], "threshold": [None, 0.1]}}


@dataclass
class Story:
    """Two runs scored on one evaluation set, and the set."""

    first: int
    second: int
    set_id: int
    version_id: int
    evaluations: tuple[int, int]

    @property
    def both(self) -> str:
        return f"{self.first},{self.second}"


@pytest.fixture
def story(workspace: Workspace) -> Story:
    with workspace.write() as session:
        version = make_dataset_version(session)
        rows = make_evaluation_set(session, version=version)
        runs = [
            make_run(
                session, dataset_version_id=key(version), parameters={"C": c, "class_weight": "none", "max_iter": 100}
            )
            for c in (1.0, 0.1)
        ]
        found = [
            make_evaluation(
                session,
                run_id=key(run),
                evaluation_set_id=key(rows),
                metrics={"roc_auc": auc, "accuracy": auc - 0.1},
                curves=ROC,
            )
            for run, auc in zip(runs, (0.90, 0.93), strict=True)
        ]
        return Story(key(runs[0]), key(runs[1]), key(rows), key(version), (key(found[0]), key(found[1])))


def compared(workspace: Workspace, story: Story, verdict: str, effect: float) -> None:
    with workspace.write() as session:
        add(
            session,
            Comparison(
                baseline_evaluation_id=story.evaluations[0],
                candidate_evaluation_id=story.evaluations[1],
                metric="roc_auc",
                margin=0.01,
                verdict=verdict,
                effect=effect,
                low=effect - 0.01,
                high=effect + 0.01,
                pvalue=0.0004,
                n_rows=200,
                n_left_out=3,
                smallest_effect=0.014,
                method="DeLong",
                changed={"n_changed": 20, "n_corrected": 15, "n_broken": 5, "n_rows": 200},
                created_at=NOW,
            ),
        )


def test_nothing_chosen_leads_to_the_runs(open_as: OpenAs, viewer: Actor):
    page = open_as(viewer, "compare")
    assert "Nothing to compare yet" in said(page)
    assert "Choose runs" in offered(page)


def test_a_verdict_is_said_with_effect_interval_chance_and_rows(
    open_as: OpenAs, workspace: Workspace, viewer: Actor, story: Story
):
    compared(workspace, story, "better", 0.03)
    told = said(open_as(viewer, "compare", runs=story.both))
    assert f"Run {story.second}, Logistic regression is better than run {story.first} in ROC AUC" in told
    assert "+0.030 [+0.020, +0.040]" in told
    assert "p < 0.001" in told
    assert "200, 3 left out" in told
    assert "decides 20 of 200 rows differently (10.0 %): 15 corrected, 5 broken" in told


def test_no_run_is_called_better_when_none_is(open_as: OpenAs, workspace: Workspace, viewer: Actor, story: Story):
    compared(workspace, story, "inconclusive", 0.005)
    told = said(open_as(viewer, "compare", runs=story.both))
    assert f"Run {story.second}, Logistic regression is not shown to be better or worse than run {story.first}" in told
    assert "Inconclusive" in told


def test_the_reader_may_ask_for_the_verdicts_and_a_job_is_queued(
    open_as: OpenAs, workspace: Workspace, viewer: Actor, story: Story
):
    page = open_as(viewer, "compare", runs=story.both)
    page.button(key="compare_ask").click().run()
    with workspace.read() as session:
        [job] = queue(session, 5)
    assert job.kind == "compare_runs"
    assert job.payload["candidate_run_ids"] == [story.second]
    assert "Work out the verdicts" not in offered(page)


def test_runs_scored_on_different_rows_are_marked_and_scored_on_one_click(
    open_as: OpenAs, workspace: Workspace, viewer: Actor, story: Story
):
    with workspace.write() as session:
        stray = key(make_run(session, dataset_version_id=story.version_id))
        make_evaluation(session, run_id=stray)
    page = open_as(viewer, "compare", runs=f"{story.both},{stray}", set=story.set_id)
    assert f"Scored on other rows: run {stray}" in said(page)
    assert "Score on the same rows" in offered(page)
    page.button(key="compare_ask").click().run()
    with workspace.read() as session:
        [job] = queue(session, 5)
    assert job.payload["evaluation_set_id"] == story.set_id


def test_what_differs_comes_before_what_is_the_same(open_as: OpenAs, viewer: Actor, story: Story):
    page = open_as(viewer, "compare", runs=story.both)
    assert "They differ in inverse regularisation" in said(page)
    assert list(page.dataframe[-1].value.columns) == ["Run", "Inverse regularisation"]


def test_a_run_that_predicts_something_else_is_left_out_with_the_reason(
    open_as: OpenAs, workspace: Workspace, viewer: Actor, story: Story
):
    with workspace.write() as session:
        other = key(make_run(session, target="age", task="regression"))
        unfinished = key(make_run(session, state="failed", model_sha256=None))
    told = said(open_as(viewer, "compare", runs=f"{story.both},{other},{unfinished}"))
    assert "only runs that answer the same question can be compared" in told
    assert f"Run {unfinished} is failed" in told


def test_at_most_twenty_runs_are_compared(open_as: OpenAs, workspace: Workspace, viewer: Actor, story: Story):
    with workspace.write() as session:
        many = [key(make_run(session, dataset_version_id=story.version_id)) for _ in range(21)]
    page = open_as(viewer, "compare", runs=",".join(map(str, many)))
    assert "At most 20 runs" in said(page)


def test_an_address_that_holds_no_numbers_is_harmless(open_as: OpenAs, viewer: Actor):
    assert "Nothing to compare yet" in said(open_as(viewer, "compare", runs="1;DROP TABLE run,<b>"))
