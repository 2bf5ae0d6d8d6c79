"""The table from interval to verdict, case by case."""

import pytest

from core.errors import InvalidInput
from core.evaluation.tables import Verdict
from core.evaluation.verdicts import decide, figure, sentence


@pytest.mark.parametrize(
    ("low", "high", "margin", "expected"),
    [
        pytest.param(0.001, 0.02, 0.01, Verdict.BETTER, id="wholly above 0"),
        pytest.param(0.0, 0.02, 0.01, Verdict.NOT_WORSE, id="touches 0 from above"),
        pytest.param(-0.009, 0.02, 0.01, Verdict.NOT_WORSE, id="around 0, within the margin"),
        pytest.param(-0.01, 0.02, 0.01, Verdict.NOT_WORSE, id="low end exactly at the margin"),
        pytest.param(-0.011, 0.02, 0.01, Verdict.INCONCLUSIVE, id="around 0, beyond the margin"),
        pytest.param(-0.02, 0.0, 0.01, Verdict.INCONCLUSIVE, id="touches 0 from below, beyond the margin"),
        pytest.param(-0.009, -0.002, 0.01, Verdict.NOT_WORSE, id="wholly below 0, within the margin"),
        pytest.param(-0.02, -0.002, 0.01, Verdict.WORSE, id="wholly below 0, straddles the margin"),
        pytest.param(-0.04, -0.02, 0.01, Verdict.WORSE, id="wholly below the margin"),
        pytest.param(0.0, 0.0, 0.0, Verdict.NOT_WORSE, id="equal models, no margin"),
        pytest.param(0.0, 0.0, 0.01, Verdict.NOT_WORSE, id="equal models"),
        pytest.param(-0.001, 0.001, 0.0, Verdict.INCONCLUSIVE, id="no margin, around 0"),
        pytest.param(-0.002, -0.001, 0.0, Verdict.WORSE, id="no margin, below 0"),
        pytest.param(0.001, 0.002, 0.0, Verdict.BETTER, id="no margin, above 0"),
    ],
)
def test_decide(low: float, high: float, margin: float, expected: Verdict) -> None:
    assert decide(low, high, margin) is expected


@pytest.mark.parametrize(
    ("low", "high", "margin"),
    [(0, 1, -0.01), (0, 1, float("nan")), (0, 1, float("inf")), (1, 0, 0), (float("nan"), 1, 0)],
)
def test_what_is_no_interval_or_margin_is_refused(low: float, high: float, margin: float) -> None:
    with pytest.raises(InvalidInput):
        decide(low, high, margin)


@pytest.mark.parametrize(
    ("value", "signed", "expected"),
    [
        (0.0112, True, "+0.011"),
        (-0.0112, True, "−0.011"),
        (0.0, True, "0.000"),
        (-0.0001054, True, "−0.00011"),
        (1234.56, False, "1235"),
        (-29_812.4, True, "−29,812"),
        (1e-5, False, "1e−05"),
    ],
)
def test_figure(value: float, signed: bool, expected: str) -> None:
    assert figure(value, signed=signed) == expected


def test_the_sentence_holds_effect_interval_size_and_power() -> None:
    words = sentence(
        Verdict.BETTER,
        title="ROC AUC",
        baseline_value=0.901,
        candidate_value=0.912,
        effect=0.011,
        low=0.006,
        high=0.016,
        margin=0.01,
        n_rows=6512,
        smallest_effect=0.007,
    )

    assert words == (
        "The candidate is better: ROC AUC 0.912 against 0.901, a difference of +0.011 (95 % interval +0.006 to +0.016) "
        "on 6,512 rows. A difference of 0.007 would have been seen four times out of five."
    )


def test_one_model_at_two_thresholds_is_told_as_such() -> None:
    shared = {"title": "ROC AUC", "baseline_value": 0.9, "candidate_value": 0.9, "effect": 0.0, "low": 0.0, "high": 0.0}
    words = sentence(Verdict.NOT_WORSE, **shared, margin=0.01, n_rows=500, smallest_effect=0.0, n_changed=37)  # type: ignore[arg-type]
    assert words == (
        "No row tells the two apart by this metric, ROC AUC 0.900 on 500 rows, though 37 of them are decided "
        "differently: choose a metric of decisions to compare those."
    )
    alike = sentence(Verdict.NOT_WORSE, **shared, margin=0.01, n_rows=500, smallest_effect=0.0)  # type: ignore[arg-type]
    assert alike == "The candidate predicts as the baseline does: ROC AUC 0.900 on 500 rows."


def test_a_difference_that_no_row_contradicts_has_no_smallest_one() -> None:
    words = sentence(
        Verdict.BETTER, title="RMSE", baseline_value=2.0, candidate_value=1.0, effect=1.0, low=1.0, high=1.0,
        margin=0.01, n_rows=500, smallest_effect=0.0,
    )  # fmt: skip
    assert "0.000" not in words
