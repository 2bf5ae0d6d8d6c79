from typing import Any

import pytest

from dashboard.charts import runs as charts
from dashboard.charts.runs import Dot
from dashboard.theme import LIGHT

CURVE = {"fpr": [0.0, 0.2, 1.0], "tpr": [0.0, 0.9, 1.0], "threshold": [None, 0.5, 0.1]}
CALIBRATION = {
    "mean_score": [0.1, 0.8],
    "share_positive": [0.12, 0.7],
    "low": [0.08, 0.6],
    "high": [0.2, 0.78],
    "count": [90, 40],
    "class": "yes",
}


def test_dots_are_sorted_with_the_largest_on_top_and_carry_their_intervals():
    drawn = charts.metric_dots([Dot("b", 0.9, 0.88, 0.93), Dot("a", 0.7, None, None)], colours=LIGHT)
    assert list(drawn.layout.yaxis.ticktext) == ["a", "b"]
    assert drawn.data[0].error_x.array == pytest.approx((0.0, 0.03))
    assert drawn.data[0].error_x.arrayminus == pytest.approx((0.0, 0.02))


def test_values_are_drawn_as_dots_so_that_no_axis_has_to_begin_at_zero():
    drawn = charts.metric_dots([Dot("b", 0.92), Dot("a", 0.91)], colours=LIGHT)
    assert {trace.type for trace in drawn.data} == {"scatter"}
    assert drawn.layout.xaxis.rangemode is None


def test_the_baseline_is_a_vertical_rule_with_its_name():
    drawn = charts.metric_dots([Dot("a", 0.7), Dot("b", 0.9)], colours=LIGHT, rule=Dot("champion", 0.8))
    assert [shape.x0 for shape in drawn.layout.shapes] == [0.8]
    assert drawn.layout.annotations[0].text == "champion"


def test_dots_keep_the_given_order_from_top_to_bottom_when_not_sorted():
    drawn = charts.metric_dots([Dot("first", 0.1), Dot("second", 0.9)], colours=LIGHT, sort=False)
    assert list(drawn.layout.yaxis.ticktext) == ["second", "first"]


def test_curves_of_several_runs_are_told_apart_by_a_legend_and_one_needs_none():
    assert charts.roc({"Run 1": CURVE}, colours=LIGHT).layout.showlegend is False
    two = charts.roc({"Run 1": CURVE, "<i>x</i>": CURVE}, colours=LIGHT)
    assert two.layout.showlegend is True
    assert [trace.name for trace in two.data[1:]] == ["Run 1", "&lt;i&gt;x&lt;/i&gt;"]
    assert two.layout.xaxis.title.text == "negatives flagged by mistake"


@pytest.mark.parametrize(("drawing", "across"), [(charts.roc, "fpr"), (charts.precision_recall, "recall")])
def test_a_curve_is_drawn_with_the_band_that_is_stored_with_it(drawing: Any, across: str):
    bare = {
        across: [0.0, 0.2, 1.0],
        "tpr": [0.0, 0.9, 1.0],
        "precision": [1.0, 0.8, 0.4],
        "threshold": [None, 0.5, 0.1],
    }
    assert "band" not in [trace.name for trace in drawing({"Run 1": bare}, colours=LIGHT).data]
    kept = {**bare, "low": [0.0, 0.8, 1.0], "high": [0.1, 0.95, 1.0]}
    (band,) = [trace for trace in drawing({"Run 1": kept}, colours=LIGHT).data if trace.name == "band"]
    assert list(band.x) == [0, 20, 100, 100, 20, 0]
    assert list(band.y) == pytest.approx([10, 95, 100, 100, 80, 0])


def test_calibration_shows_its_intervals_the_diagonal_and_how_many_rows_each_bin_has():
    drawn = charts.calibration({"Run 1": CALIBRATION}, colours=LIGHT)
    diagonal, line, strip = drawn.data
    assert list(diagonal.x) == list(diagonal.y) == [0, 100]
    assert line.error_y.array == pytest.approx((8, 8))
    assert line.error_y.arrayminus == pytest.approx((4, 10))
    assert list(strip.y) == [90, 40]


def test_a_confusion_square_is_shaded_by_the_share_of_its_true_class():
    drawn = charts.confusion({"labels": ["no", "yes"], "matrix": [[90, 10], [5, 5]]}, colours=LIGHT)
    assert [list(row) for row in drawn.data[0].z] == [[0.9, 0.1], [0.5, 0.5]]
    assert [list(row) for row in drawn.data[0].text] == [["90", "10"], ["5", "5"]]
    assert drawn.layout.yaxis.autorange == "reversed"


def test_a_class_without_rows_does_not_divide_by_zero():
    drawn = charts.confusion({"labels": ["a", "b"], "matrix": [[0, 0], [1, 1]]}, colours=LIGHT)
    assert list(drawn.data[0].z[0]) == [0.0, 0.0]


def test_predictions_are_held_against_the_line_of_a_perfect_model():
    drawn = charts.predicted_true({"y_true": [1.0, 4.0], "y_pred": [2.0, 3.0]}, colours=LIGHT, target="cnt")
    assert list(drawn.data[0].x) == list(drawn.data[0].y) == [1.0, 4.0]
    assert drawn.layout.yaxis.title.text == "predicted cnt"


def test_residuals_mark_zero_and_name_their_direction():
    drawn = charts.residuals({"edges": [-2.0, 0.0, 2.0], "counts": [3, 4]}, colours=LIGHT, target="cnt")
    assert drawn.layout.shapes[0].x0 == 0
    assert drawn.layout.xaxis.title.text == "predicted minus true cnt"


def test_a_value_without_interval_is_said_without_brackets():
    assert charts.in_words(Dot("auc", 0.9123)) == "auc 0.912"
    assert charts.in_words(Dot("auc", 0.9123, 0.9, 0.92)) == "auc 0.912 [0.900, 0.920]"
