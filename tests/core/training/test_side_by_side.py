import pytest

from core.datasets.tables import EvaluationSet
from core.evaluation.tables import Comparison, Evaluation, MetricValue
from core.training import side_by_side as sides
from tests.factories import NOW


def made(candidate: int, n_candidates: int, **over: object) -> Comparison:
    return Comparison(
        **{
            "baseline_evaluation_id": 1, "candidate_evaluation_id": candidate, "metric": "roc_auc", "margin": 0.01,
            "verdict": "better", "effect": 0.02, "low": 0.01, "high": 0.03, "n_rows": 10, "smallest_effect": 0.01,
            "n_candidates": n_candidates, "method": "DeLong", "created_at": NOW, **over,
        }
    )  # fmt: skip


def test_a_verdict_that_allows_for_fewer_candidates_is_no_answer():
    known = [made(11, 1), made(12, 2), made(13, 5), made(13, 3), made(99, 2)]
    found = sides.verdicts_of(known, {11: 1, 12: 2, 13: 3}, n_candidates=2)
    assert {run: one.n_candidates for run, one in found.items()} == {2: 2, 3: 3}


def test_a_verdict_at_another_margin_is_no_answer_however_new_it_is():
    known = [made(11, 1, margin=0.05), made(11, 1, margin=0.01), made(12, 1, margin=0.05)]
    runs = {11: 1, 12: 2}
    assert {run: one.margin for run, one in sides.verdicts_of(known, runs, n_candidates=1, margin=0.01).items()} == {
        1: 0.01
    }
    assert {run: one.margin for run, one in sides.verdicts_of(known, runs, n_candidates=1).items()} == {
        1: 0.05,
        2: 0.05,
    }


def test_a_margin_that_is_a_share_is_known_again_though_it_was_taken_of_fewer_rows():
    known = [made(11, 1, metric="rmse", margin=margin) for margin in (4.0, 2.1, 1.95)]
    assert sides.verdicts_of(known, {11: 1}, n_candidates=1, margin=2.0)[1].margin == 1.95


@pytest.mark.parametrize(
    ("metric", "value", "given", "margin"),
    [
        ("roc_auc", 0.9, None, 0.01),
        ("roc_auc", 0.9, 0.05, 0.05),
        ("rmse", 50.0, None, 1.0),
        ("rmse", 50.0, 0.1, 5.0),
        ("rmse", None, 0.1, None),
    ],
)
def test_the_margin_is_said_in_the_unit_of_the_metric(metric, value, given, margin):
    known = {} if value is None else {metric: MetricValue(evaluation_id=1, metric=metric, value=value)}
    scored = sides.ScoredOn(Evaluation(), EvaluationSet(), "fixed", known)
    assert sides.margin_on(scored, metric, given) == margin


def test_pvalues_are_corrected_by_holm_over_all_candidates():
    found = {2: made(12, 3, pvalue=0.01), 3: made(13, 3, pvalue=0.02), 4: made(14, 3, pvalue=None)}
    # Holm (1979) of 0.01, 0.02 and 1: 3 x 0.01, 2 x 0.02.
    assert sides.pvalues_of(found) == {2: pytest.approx(0.03), 3: pytest.approx(0.04), 4: None}
    assert sides.pvalues_of({}) == {}


@pytest.mark.parametrize(
    ("tests", "said"),
    [
        ([], ""),
        ([{"low": 0.01, "high": 0.02}], "It agrees: a gain."),
        ([{"low": 0.01, "high": 0.02}, {"effect": 0.1, "pvalue": 0.001}], "All 2 agree: a gain."),
        ([{"low": -0.01, "high": 0.02}, {"effect": 0.1, "pvalue": 0.001}], "1 of 2 agree on a gain"),
        ([{"effect": None, "pvalue": None}], ""),
    ],
)
def test_other_tests_are_said_to_agree_or_not(tests, said):
    assert sides.agreement(made(11, 1, tests=tests)).startswith(said)
    assert bool(sides.agreement(made(11, 1, tests=tests))) is bool(said)


@pytest.mark.parametrize(
    ("points", "greater_y", "front"),
    [
        ([(0.9, 10.0), (0.8, 5.0), (0.7, 6.0)], False, [True, True, False]),
        ([(0.9, 10.0), (0.9, 10.0)], False, [True, True]),
        ([(0.9, 10.0), (0.9, 5.0)], False, [False, True]),
        ([(0.9, 0.9), (0.8, 0.8)], True, [True, False]),
        ([], True, []),
    ],
)
def test_the_front_holds_what_no_other_point_beats(points, greater_y, front):
    assert sides.pareto_front(points, greater_x=True, greater_y=greater_y) == front


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ([0.5, 0.62], "At 20 % false alarms 50 to 62 % of the positives are found"),
        ([0.5], "At 20 % false alarms 50 % of the positives are found"),
    ],
)
def test_curves_are_said_where_they_are_told_apart(found, said):
    curves = [{"fpr": [0.0, 0.21, 1.0], "tpr": [0.0, at, 1.0]} for at in found]
    assert sides.curves_finding("roc", curves) == said


def test_curves_without_a_point_there_and_of_other_kinds_are_not_said():
    assert sides.curves_finding("roc", [{"fpr": [0.0, 1.0], "tpr": [0.0, 1.0]}]) == "Their curves on the same rows"
    assert sides.curves_finding("residuals", [{"edges": [0, 1], "counts": [3]}]) == "How far they are from the truth"


def test_features_are_said_as_added_and_removed():
    assert sides.features_against(["a", "b"], ["b", "a"]) == "the baseline's 2"
    assert sides.features_against(["a", "b"], ["b", "c"]) == "added c; removed a"
    assert sides.features_against(["a"], ["a", *"bcdefghij"]) == "added b, c, d, e, f, g and 3 more"


def test_numbers_read_side_by_side_are_written_alike():
    assert sides.together(-0.0001, -0.02, 0.012, signed=True) == ["0.000", "−0.020", "+0.012"]
    assert sides.together(12_345.6, 12_000.0) == ["12,346", "12,000"]
