"""The report of a comparison: what it says, and that it is one page that asks for nothing."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest
from sqlmodel import Session

from core.errors import InvalidInput, NotApplicable
from core.evaluation.tables import Analysis, Comparison
from core.training import report, svg
from core.training.report import comparison_report
from core.workspace import Workspace
from tests.factories import NOW, add, key, make_dataset, make_dataset_version, make_evaluation, make_evaluation_set
from tests.factories import make_run as factory_run

HOSTILE = '<script src="https://evil.example/x.js"></script><b>"&\''
CURVES = {
    "roc": {"fpr": [0.0, 0.2, 1.0], "tpr": [0.0, 0.7, 1.0], "low": [0.0, 0.6, 1.0], "high": [0.0, 0.8, 1.0]},
    "calibration": {
        "mean_score": [0.1, 0.9], "share_positive": [0.2, 0.8], "low": [0.1, 0.7], "high": [0.3, 0.9],
        "count": [10, 10], "class": "yes",
    },
}  # fmt: skip


class Page(HTMLParser):
    """Tags, attributes and text of a page, and whether every tag is closed."""

    EMPTY = frozenset({"meta", "rect", "line", "circle", "polyline", "polygon", "br"})

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.feed(source)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


@pytest.fixture
def runs(workspace: Workspace) -> tuple[list[int], int]:
    """A baseline and two candidates on one set, of which the first has a verdict and its changed decisions."""
    with workspace.write() as session:
        data = make_dataset(session, name=HOSTILE, target=HOSTILE)
        version = make_dataset_version(session, dataset_id=key(data))
        rows = make_evaluation_set(session, version=version)
        made = [
            factory_run(
                session,
                dataset_version_id=key(version),
                target=HOSTILE,
                features=["age", name],
                parameters={"C": 1.0 + place},
                model_size_bytes=12_000,
            )
            for place, name in enumerate((HOSTILE, "hours", HOSTILE))
        ]
        scored = [
            make_evaluation(
                session,
                run_id=key(run),
                evaluation_set_id=key(rows),
                metrics={"roc_auc": 0.8 + 0.01 * place, "accuracy": 0.7},
                curves=CURVES,
            )
            for place, run in enumerate(made)
        ]
        for one in scored[1:2]:
            add(
                session,
                Comparison(
                    baseline_evaluation_id=key(scored[0]), candidate_evaluation_id=key(one), metric="roc_auc",
                    margin=0.01, verdict="inconclusive", effect=-0.004, low=-0.02, high=0.012, pvalue=0.4, n_rows=200,
                    smallest_effect=0.02, rows_needed=1_234, n_candidates=2, method="DeLong", created_at=NOW,
                    tests=[{"key": "mcnemar", "title": "Exact McNemar", "effect": 0.0, "low": -0.1, "high": 0.1,
                            "pvalue": 0.9}],
                    changed={"n_changed": 9, "n_corrected": 5, "n_broken": 4, "n_rows": 200},
                ),
            )  # fmt: skip
        add(
            session,
            Analysis(
                evaluation_id=key(scored[1]),
                kind="changes",
                options={"baseline_run_id": key(made[0])},
                options_digest=_digest({"baseline_run_id": key(made[0])}),
                result={
                    "n_rows": 200, "n_changed": 9, "n_corrected": 5, "n_broken": 4,
                    "by_slice": [{"slice": f"job = {HOSTILE}", "n": 20, "changed": 3, "corrected": 1, "broken": 2}],
                    "broken": [{
                        "ordinal": 4, "true": HOSTILE, "before": HOSTILE, "after": "no",
                        "contributions": {
                            "before": {"of": "yes", "entries": [{"feature": HOSTILE, "contribution": 0.3}]},
                            "after": {"of": "yes", "entries": [{"feature": HOSTILE, "contribution": 0.1}]},
                        },
                    }],
                    "corrected": [],
                },
                created_at=NOW,
            ),
        )  # fmt: skip
        return [key(run) for run in made], key(rows)


def _digest(options: dict[str, object]) -> str:
    from core.evaluation.queries import options_digest

    return options_digest(options)


def written(session: Session, runs: tuple[list[int], int], **over: object) -> str:
    ids, set_id = runs
    given = {"run_ids": ids, "baseline_id": ids[0], "metric": "roc_auc", "set_id": set_id, "now": NOW}
    return comparison_report(session, **(given | over))  # type: ignore[arg-type]


def test_a_report_is_one_page_that_asks_for_nothing_and_runs_nothing(workspace: Workspace, runs):
    with workspace.read() as session:
        source = written(session, runs)
    page = Page(source)
    assert page.open == []
    assert not {"script", "link", "img", "iframe", "a", "object", "embed", "image", "use", "base"} & set(page.tags)
    assert not {"src", "href", "xlink:href", "style", "srcset"} & {name for name, _ in page.attributes}
    assert not any(name.startswith("on") for name, _ in page.attributes)
    styles = source[source.index("<style>") : source.index("</style>")]
    assert "url(" not in styles
    assert "@import" not in styles
    assert "@font-face" not in styles


def test_names_are_shown_letter_by_letter(workspace: Workspace, runs):
    with workspace.read() as session:
        source = written(session, runs)
    assert "<script" not in source
    assert "<b>" not in source
    assert "".join(Page(source).words).count(HOSTILE) >= 4


def test_it_says_the_verdict_its_doubt_what_differs_and_who_is_affected(workspace: Workspace, runs):
    ids, _ = runs
    with workspace.read() as session:
        told = "".join(Page(written(session, runs)).words)
    assert f"Run {ids[1]}, Logistic regression: inconclusive. ROC AUC −0.004 [−0.020, +0.012]" in told
    assert "About 1,300 rows would be needed" in told
    assert "It agrees: no certain difference." in told
    assert "allowing for 2 candidates tried" in told
    assert f"No verdict has been worked out for run {ids[2]}" in told
    assert "They differ in inverse regularisation" in told
    assert "added hours; removed" in told
    assert "Decided differentlyCorrectedBroken" in told
    assert f"Run {ids[1]}, Logistic regression9 of 200 (4.5 %)54" in told
    assert f"Whom Run {ids[1]}, Logistic regression decides differently on" in told
    assert "−0.200" in told
    assert "0.810 [0.790,\u00a00.810]" in told


def test_the_same_rows_give_the_same_report(workspace: Workspace, runs):
    with workspace.read() as session:
        assert written(session, runs) == written(session, runs)


def test_a_run_scored_elsewhere_is_named_and_not_ranked(workspace: Workspace, runs):
    ids, set_id = runs
    with workspace.write() as session:
        stray = key(factory_run(session, target=HOSTILE))
        told = "".join(Page(written(session, ([*ids, stray], set_id))).words)
    assert f"Scored on other rows, so not ranked with the others: run {stray}." in told


@pytest.mark.parametrize("wrong", ["one run", "stray baseline"])
def test_it_needs_two_runs_and_the_baseline_among_them(workspace: Workspace, runs, wrong):
    ids, _ = runs
    over = {"run_ids": ids[:1]} if wrong == "one run" else {"baseline_id": ids[-1] + 1}
    with workspace.read() as session, pytest.raises(InvalidInput, match="at least two runs"):
        written(session, runs, **over)


def test_runs_of_another_question_or_without_a_model_are_refused(workspace: Workspace, runs):
    ids, set_id = runs
    with workspace.write() as session:
        other = key(factory_run(session, target="age", task="regression"))
        failed = key(factory_run(session, target=HOSTILE, state="failed", model_sha256=None))
        for run_id in (other, failed):
            with pytest.raises(NotApplicable):
                written(session, ([*ids, run_id], set_id))
        with pytest.raises(NotApplicable, match="RMSE"):
            written(session, runs, metric="rmse")


def test_what_moved_a_prediction_is_the_difference_of_contributions():
    before = {
        "of": "yes",
        "entries": [{"feature": "age", "contribution": 0.3}, {"feature": "job", "contribution": 0.1}],
    }
    after = {"of": "yes", "entries": [{"feature": "age", "contribution": 0.1}, {"feature": "pay", "contribution": 0.5}]}
    found = report.movers({"before": before, "after": after})
    assert [name for name, _ in found] == ["pay", "age", "job"]
    assert [by for _, by in found] == pytest.approx([0.5, -0.2, -0.1])
    assert report.movers(None) == []
    assert report.movers({"before": before, "after": after | {"of": "no"}}) == []


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 1, [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (-0.07, 0.06, [-0.05, 0.0, 0.05]),
        (0, 23_000, [0, 5_000, 10_000, 15_000, 20_000]),
        (2, 2, [2]),
    ],
)
def test_ticks_are_round_numbers(low, high, expected):
    assert svg.ticks(low, high)[: len(expected)] == pytest.approx(expected)
