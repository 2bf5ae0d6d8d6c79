from dashboard.charts import comparing as charts
from dashboard.charts.comparing import Difference, Point
from dashboard.theme import LIGHT

ROWS = [
    Difference("Run 2", 0.011, 0.006, 0.016, "better"),
    Difference("Run 3", -0.05, -0.07, -0.03, "worse", harm=True),
]


def test_differences_show_zero_the_margin_and_the_word_of_each_verdict():
    drawn = charts.differences(ROWS, margin=0.01, metric="ROC AUC", colours=LIGHT)
    margin, zero = drawn.layout.shapes
    assert (margin.x0, margin.x1) == (-0.01, 0)
    assert zero.x0 == zero.x1 == 0
    assert [note.text for note in drawn.layout.annotations] == ["worse", "better"]
    assert list(drawn.layout.yaxis.ticktext) == ["Run 3", "Run 2"]


def test_only_a_verdict_that_does_harm_is_red():
    drawn = charts.differences(ROWS, margin=0.01, metric="ROC AUC", colours=LIGHT)
    dots = drawn.data[-1]
    assert list(dots.marker.color) == [LIGHT.harm, LIGHT.candidate]


def test_the_axis_says_which_direction_is_better():
    drawn = charts.differences(ROWS, margin=0.01, metric="RMSE", colours=LIGHT)
    assert drawn.layout.xaxis.title.text == "difference in RMSE; right of zero is better"


def test_the_baseline_has_its_own_shape_in_the_plane_of_two_metrics():
    drawn = charts.plane(
        [Point("Run 1", 0.9, 0.1, True), Point("Run 2", 0.8, 0.2)], x_title="AUC", y_title="Brier", colours=LIGHT
    )
    assert [trace.marker.symbol for trace in drawn.data] == ["circle", "diamond"]
    assert list(drawn.data[1].x) == [0.9]
    assert drawn.layout.xaxis.title.text == "AUC"


def test_a_difference_is_said_with_its_sign_and_interval():
    assert charts.in_words(ROWS[0]) == "Run 2: +0.0110 [+0.0060, +0.0160], better"
