"""The page that holds runs against each other: verdicts, different rows, what differs, what cannot be compared."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import parse_qsl

import pytest
from streamlit.testing.v1 import AppTest

from core.evaluation.service import record_analysis
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


def compared(
    workspace: Workspace, story: Story, verdict: str, effect: float, *, margin: float = 0.01, tests: object = ()
) -> None:
    with workspace.write() as session:
        add(
            session,
            Comparison(
                baseline_evaluation_id=story.evaluations[0],
                candidate_evaluation_id=story.evaluations[1],
                metric="roc_auc",
                margin=margin,
                tests=tests,
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


def test_how_many_decisions_change_is_said_without_asking_for_more(
    open_as: OpenAs, workspace: Workspace, viewer: Actor, story: Story
):
    compared(workspace, story, "better", 0.03)
    told = said(open_as(viewer, "compare", runs=story.both, look="decisions"))
    assert "decides 20 of 200 rows differently (10.0 %): 15 corrected, 5 broken" in told


def test_a_verdict_at_another_margin_than_the_page_asks_for_is_not_shown(
    open_as: OpenAs, workspace: Workspace, viewer: Actor, story: Story
):
    compared(workspace, story, "inconclusive", 0.03)
    compared(workspace, story, "not_worse", 0.03, margin=0.2)
    assert "not shown to be better or worse" in said(open_as(viewer, "compare", runs=story.both))


def test_other_tests_are_drawn_once_they_are_opened(open_as: OpenAs, workspace: Workspace, viewer: Actor, story: Story):
    tests = [{"key": "mcnemar", "title": "McNemar", "effect": 0.03, "low": None, "high": None, "pvalue": 0.001}]
    compared(workspace, story, "better", 0.03, tests=tests)
    page = open_as(viewer, "compare", runs=story.both)
    assert "It agrees" not in said(page)
    page.session_state["compare_other_tests"] = True
    assert "It agrees: a gain." in said(page.run())


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
    table = next(one.value for one in page.dataframe if "Choice" in one.value.columns)
    assert list(table["Choice"]) == ["Inverse regularisation"]
    assert list(table.iloc[0])[1:] == ["1.0", "0.1"]


def test_a_comparison_that_allows_for_fewer_candidates_is_worked_out_again(
    open_as: OpenAs, workspace: Workspace, viewer: Actor, story: Story
):
    compared(workspace, story, "better", 0.03)
    with workspace.write() as session:
        third = key(make_run(session, dataset_version_id=story.version_id))
        make_evaluation(session, run_id=third, evaluation_set_id=story.set_id)
    page = open_as(viewer, "compare", runs=f"{story.both},{third}")
    assert "is better than" not in said(page)
    assert "Work out the verdicts" in offered(page)


LINKS = [
    ({"metric": "accuracy", "x": "accuracy", "y": "roc_auc", "look": "trade_offs"}, ["Across", "Upward"]),
    ({"curve": "roc", "shown": "accuracy"}, ["Curve"]),
    ({"look": "decisions", "x": "accuracy"}, ["Decisions of"]),
]


@pytest.mark.parametrize(("chosen", "boxes"), LINKS)
def test_the_link_opens_the_same_choices_anew(
    open_as: OpenAs, viewer: Actor, story: Story, chosen: dict[str, str], boxes: list[str]
):
    page = open_as(viewer, "compare", runs=story.both, baseline=story.second, **chosen)
    linked = pinned(page)
    assert (
        linked.items()
        >= {"runs": story.both, "baseline": str(story.second), "set": str(story.set_id), **chosen}.items()
    )
    anew = open_as(viewer, "compare", **linked)
    assert pinned(anew) == linked
    assert shows(anew) == shows(page)
    assert said(anew) == said(page)
    assert {"Baseline", "Metric", "Evaluation set", *boxes} == {box.label for box in anew.selectbox}


def test_the_link_says_what_was_chosen_on_the_page(open_as: OpenAs, viewer: Actor, story: Story):
    page = open_as(viewer, "compare", runs=story.both, look="trade_offs")
    page.selectbox(key="address_baseline").select(str(story.second)).run()
    page.selectbox(key="address_x").select("accuracy").run()
    page.segmented_control(key="address_look").select("curves").run()
    linked = pinned(page)
    assert (linked["baseline"], linked["look"], linked["x"]) == (str(story.second), "curves", "accuracy")
    assert shows(open_as(viewer, "compare", **linked)) == shows(page)


def pinned(page: AppTest) -> dict[str, str]:
    """What the permanent link holds."""
    [address] = [one.value for one in page.code]
    return dict(parse_qsl(address.partition("?")[2]))


def shows(page: AppTest) -> dict[str, object]:
    """Every choice that the page shows."""
    boxes = [*page.selectbox, *page.multiselect, *page.segmented_control]
    return {str(box.key): box.value for box in boxes}


def test_metrics_of_the_table_are_chosen_by_the_address(open_as: OpenAs, viewer: Actor, story: Story):
    page = open_as(viewer, "compare", runs=story.both, shown="accuracy")
    table = next(one.value for one in page.dataframe if "Run" in one.value.columns)
    assert list(table.columns) == ["Run", "Verdict", "ROC AUC ↑", "Accuracy ↑"]
    assert table.iloc[0]["Verdict"] == "◆ Baseline"


def test_changed_decisions_are_asked_for_and_then_shown_with_what_moved_them(
    open_as: OpenAs, workspace: Workspace, viewer: Actor, story: Story
):
    page = open_as(viewer, "compare", runs=story.both, look="decisions")
    assert "Work out who is affected" in offered(page)
    options = {"baseline_run_id": story.first}
    sides = [
        {"of": "yes", "base": 0.2, "prediction": 0.4, "entries": [{"feature": "age", "contribution": by}]}
        for by in (0.1, 0.3)
    ]
    case = {
        "ordinal": 6, "values": {"age": 40}, "true": "no", "before": "no", "after": "yes", "score_before": 0.4,
        "score_after": 0.6, "contributions": {"before": sides[0], "after": sides[1]},
    }  # fmt: skip
    counts = {"n_rows": 200, "n_changed": 20, "n_corrected": 15, "n_broken": 5}
    with workspace.write() as session:
        record_analysis(
            session,
            evaluation_id=story.evaluations[1],
            kind="changes",
            options=options,
            result={
                **options, **counts, "by_slice": [{"slice": "job = cook", "n": 20, "changed": 3, "corrected": 1,
                "broken": 2}], "broken": [case], "corrected": [], "contributions_missing": None,
            },
            now=NOW,
        )  # fmt: skip
    told = said(open_as(viewer, "compare", runs=story.both, look="decisions"))
    assert "decides 20 of 200 rows differently (10.0 %): 15 corrected, 5 broken" in told
    assert "job = cook" in told
    assert "age +0.200" in told


def test_names_on_the_page_are_literal(open_as: OpenAs, workspace: Workspace, viewer: Actor, story: Story):
    with workspace.write() as session:
        third = key(
            make_run(session, dataset_version_id=story.version_id, features=["age", "**b** [x](https://evil.example)"])
        )
        make_evaluation(session, run_id=third, evaluation_set_id=story.set_id, curves=ROC)
    page = open_as(viewer, "compare", runs=f"{story.both},{third}")
    assert "added **b** [x](https://evil.example)" in said(page)
    assert not any("[x](https" in one.value for one in page.markdown)


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


def test_regressions_are_compared_by_residuals_and_have_no_decisions(
    open_as: OpenAs, workspace: Workspace, viewer: Actor
):
    curves = {
        "residuals": {"edges": [-1.0, 0.0, 1.0], "counts": [4, 6]},
        "predicted_true": {"y_true": [1.0, 2.0], "y_pred": [1.5, 1.5]},
    }
    with workspace.write() as session:
        version = make_dataset_version(session)
        rows = make_evaluation_set(session, version=version)
        runs = []
        for place in range(20):
            run = make_run(session, dataset_version_id=key(version), task="regression", target="pay",
                           algorithm="ridge", parameters={"alpha": 0.1 * 3**place})  # fmt: skip
            make_evaluation(session, run_id=key(run), evaluation_set_id=key(rows), task="regression",
                            metrics={"rmse": 1.0 - place / 100, "r2": 0.5}, curves=curves)  # fmt: skip
            runs.append(key(run))
    page = open_as(viewer, "compare", runs=",".join(map(str, runs)))
    told = said(page)
    assert page.segmented_control(key="address_look").options == ["Curves", "Trade-offs", "Parameters"]
    assert "They differ in regularisation" in told
    differing = next(one.value for one in page.dataframe if "Regularisation" in one.value.columns)
    assert len(differing) == 20
    assert "The baseline and the first 7 others of 20 runs are drawn." in told
    assert "A narrow hill over zero" in told
    page.segmented_control(key="address_look").select("parameters").run()
    assert "What Ridge regression was tried with" in said(page)
