import pytest
from plotly import graph_objects as go

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


def test_the_baseline_has_its_own_shape_and_the_front_is_joined_and_named():
    points = [
        Point("Run 1", 0.9, 0.1, is_baseline=True, on_front=True),
        Point("Run 2", 0.8, 0.05, x_ends=(0.78, 0.83), on_front=True),
        Point("Run 3", 0.7, 0.2),
    ]
    front, circles, diamond = charts.plane(points, x_title="AUC", y_title="Brier", colours=LIGHT).data
    assert list(front.x) == [0.8, 0.9]
    assert [circles.marker.symbol, diamond.marker.symbol] == ["circle", "diamond"]
    assert list(circles.text) == ["Run 2 (front)", "Run 3"]
    assert list(diamond.text) == ["Run 1 (baseline, front)"]
    assert list(circles.error_x.array) == pytest.approx([0.03, 0.0])


def test_of_many_points_only_the_baseline_and_the_front_are_named():
    points = [Point(f"Run {place}", place / 10, 1.0, is_baseline=place == 0, on_front=place == 7) for place in range(8)]
    _, circles, diamond = charts.plane(points, x_title="AUC", y_title="Brier", colours=LIGHT).data
    assert [text for text in circles.text if text] == ["Run 7 (front)"]
    assert list(diamond.text) == ["Run 0 (baseline)"]
    assert circles.textposition[-1].endswith("left")


def test_curves_carry_their_bands_and_their_names_in_the_order_they_lie():
    low = {"fpr": [0, 0.2, 1], "tpr": [0, 0.5, 1], "low": [0, 0.4, 1], "high": [0, 0.6, 1]}
    high = {"fpr": [0, 0.2, 1], "tpr": [0, 0.8, 1]}
    drawn = charts.overlaid(
        [charts.Curve("Run 1", low, is_baseline=True), charts.Curve("Run <b>", high)], "roc", colours=LIGHT
    )
    assert [trace.name for trace in drawn.data] == [None, "band", "Run 1", "Run &lt;b&gt;"]
    assert [note.text for note in drawn.layout.annotations] == ["— Run &lt;b&gt;", "— Run 1"]
    assert drawn.layout.xaxis.title.text == "negatives flagged by mistake"


def test_residuals_are_compared_as_shares_whatever_their_bins():
    x, y = charts.xy_of({"edges": [0.0, 2.0, 4.0], "counts": [30, 10]}, "residuals")
    assert x == [1.0, 3.0]
    assert y == [0.375, 0.125]


def test_parallel_axes_say_their_ends_and_take_texts_and_orders_of_magnitude():
    drawn = charts.parallel(
        [
            charts.Ruler("C", (0.01, 1.0, 100.0)),
            charts.Ruler("class weight", ("none", "balanced", None)),
            charts.Ruler("AUC", (0.7, 0.8, 0.9)),
        ],
        ["Run 1", "Run 2", "Run 3"],
        [True, False, False],
        colours=LIGHT,
    )
    assert list(drawn.data[1].y) == pytest.approx([0.5, 0.0, 0.5])
    assert drawn.data[2].y[1] is None
    told = [note.text for note in drawn.layout.annotations]
    assert {"0.01", "100", "balanced", "none", "0.7", "0.9", "AUC"} <= set(told)


def test_a_difference_is_said_with_its_sign_and_interval():
    assert charts.in_words(ROWS[0]) == "Run 2: +0.0110 [+0.0060, +0.0160], better"


@pytest.mark.parametrize("code", ["roc", "precision_recall", "gain", "calibration", "residuals", "predicted_true"])
def test_every_kind_of_curve_is_one_that_plotly_takes(code):
    ends, counts = [0.0, 0.5, 1.0], [3, 4]
    data = {
        "fpr": ends, "tpr": ends, "recall": ends, "precision": ends, "share": ends, "found": ends, "mean_score": ends,
        "share_positive": ends, "low": ends, "high": ends, "edges": ends, "counts": counts, "y_true": ends,
        "y_pred": ends,
    }  # fmt: skip
    drawn = charts.overlaid([charts.Curve("Run 1", data, is_baseline=True)], code, colours=LIGHT)
    assert len(go.Figure(drawn.to_dict()).data) == len(drawn.data) >= 1


def test_the_other_figures_are_ones_that_plotly_takes():
    points = [Point("Run 1", 0.9, 0.1, is_baseline=True), Point("Run 2", 0.8, 0.05, x_ends=(0.78, 0.83))]
    rulers = [charts.Ruler("C", (0.01, None)), charts.Ruler("AUC", (0.7, 0.8))]
    for drawn in (
        charts.differences(ROWS, margin=0.01, metric="ROC AUC", colours=LIGHT),
        charts.plane(points, x_title="AUC", y_title="Brier", colours=LIGHT),
        charts.parallel(rulers, ["Run 1", "Run 2"], [True, False], colours=LIGHT),
    ):
        assert go.Figure(drawn.to_dict()).layout.height == drawn.layout.height
