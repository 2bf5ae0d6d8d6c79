import pytest

from dashboard.charts import monitoring as charts
from dashboard.charts.monitoring import Measured, Square
from dashboard.theme import LIGHT

WINDOWS = ["2026-01", "2026-02", "2026-03"]


def square(column: int, feature: str, ratio: float | None, *, drifted: bool = False) -> Square:
    return Square(column, feature, ratio, drifted, f"{feature} in {WINDOWS[column]}")


def map_of(*squares: Square, features: list[str], swaps: dict[int, str] | None = None):
    return charts.heat_map(squares, windows=WINDOWS, features=features, swaps=swaps or {}, colours=LIGHT)


def test_what_is_quiet_looks_alike_and_what_is_strong_is_capped():
    drawn = map_of(square(0, "age", 0.1), square(1, "age", 0.9), square(2, "age", 7.0), features=["age"])
    [row] = drawn.data[0].z
    assert list(row) == [1.0, 1.0, 3.0]


def test_only_what_drifted_is_outlined():
    drawn = map_of(square(0, "age", 2.0), square(2, "age", 2.0, drifted=True), features=["age"])
    [outline] = drawn.layout.shapes
    assert (outline.x0, outline.x1) == pytest.approx((1.52, 2.48))


def test_too_little_data_is_a_stroke_and_no_colour():
    drawn = map_of(square(1, "age", None), features=["age"])
    assert list(drawn.data[0].z[0]) == [None, None, None]
    [stroke] = [trace for trace in drawn.data if trace.type == "scatter" and trace.marker.symbol == "line-ne"]
    assert list(stroke.x) == [1]


def test_every_square_can_be_chosen_by_its_window_and_feature():
    drawn = map_of(square(0, "age", 0.1), square(2, "<b>pay</b>", 2.0), features=["<b>pay</b>", "age"])
    [overlay] = [trace for trace in drawn.data if trace.name == "squares"]
    assert [tuple(entry) for entry in overlay.customdata] == [(0, "age"), (2, "<b>pay</b>")]
    assert overlay.marker.opacity == 0


def test_the_most_important_feature_is_at_the_top_and_names_are_literal():
    drawn = map_of(square(0, "age", 0.1), features=["<b>pay</b>", "age"])
    assert list(drawn.layout.yaxis.ticktext) == ["age", "&lt;b&gt;pay&lt;/b&gt;"]
    assert list(drawn.layout.xaxis.ticktext) == WINDOWS


def test_another_version_going_live_is_a_line_with_its_name():
    drawn = map_of(square(0, "age", 0.1), features=["age"], swaps={2: "churn v2"})
    assert [shape.x0 for shape in drawn.layout.shapes] == [1.5]
    assert drawn.layout.annotations[0].text == "churn v2 live"


def test_numbers_share_their_bins_then_and_now():
    bins = {"edges": [0.0, 10.0, 30.0], "reference": [0.7, 0.3], "current": [0.2, 0.8]}
    drawn = charts.then_and_now(bins, feature="<i>age</i>", colours=LIGHT)
    reference, current = drawn.data
    assert list(reference.width) == [10.0, 20.0]
    assert list(current.x) == bins["edges"]
    assert list(current.y) == [0.2, 0.8, 0.8]
    assert current.line.shape == "hv"
    assert drawn.layout.xaxis.title.text == "&lt;i&gt;age&lt;/i&gt;"
    assert drawn.layout.yaxis.title.text == "share of rows"


def test_categories_are_dumbbells_with_one_key_of_two_entries():
    bins = {"values": ["no", "<b>yes</b>"], "reference": [0.6, 0.4], "current": [0.5, 0.5]}
    drawn = charts.then_and_now(bins, feature="left", colours=LIGHT)
    assert [trace.name for trace in drawn.data if trace.showlegend] == ["reference", "current"]
    assert list(drawn.layout.yaxis.ticktext) == ["&lt;b&gt;yes&lt;/b&gt;", "no"]
    assert drawn.layout.xaxis.title.text == "share of rows by left"


def test_a_window_without_labels_is_a_gap_and_not_a_line():
    points = [Measured("2026-01", 0.80, 0.75, 0.85, 200), Measured("2026-03", 0.70, None, None, 90)]
    drawn = charts.performance(points, windows=WINDOWS, metric="ROC AUC", colours=LIGHT)
    [line] = drawn.data
    assert list(line.y) == [0.80, None, 0.70]
    assert line.connectgaps is False
    assert line.error_y.array == pytest.approx((0.05, 0.0, 0.0))
    assert drawn.layout.yaxis.title.text == "ROC AUC"
    assert list(drawn.layout.xaxis.ticktext) == WINDOWS
