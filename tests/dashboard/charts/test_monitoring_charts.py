import pytest

from dashboard.charts import monitoring as charts
from dashboard.charts import performance
from dashboard.charts.monitoring import Event, Square
from dashboard.charts.performance import Maturity, Measured
from dashboard.theme import LIGHT

WINDOWS = ["2026-01", "2026-02", "2026-03"]


def square(column: int, feature: str, ratio: float | None, *, drifted: bool = False) -> Square:
    return Square(column, feature, ratio, drifted, "effect 0.2")


def map_of(*squares: Square, features: list[str], events: list[Event] | None = None):
    return charts.heat_map(squares, windows=WINDOWS, features=features, events=events or [], colours=LIGHT)


def trace(drawn, name: str):
    [found] = [one for one in drawn.data if one.name == name]
    return found


def test_what_is_quiet_looks_alike_and_what_is_strong_is_capped():
    drawn = map_of(square(0, "age", 0.1), square(1, "age", 0.9), square(2, "age", 7.0), features=["age"])
    [row] = drawn.data[0].z
    assert list(row) == [1.0, 1.0, 3.0]


def test_only_what_drifted_is_outlined():
    drawn = map_of(square(0, "age", 2.0), square(2, "age", 2.0, drifted=True), features=["age"])
    outline = trace(drawn, "drifted")
    assert list(outline.x)[:5] == pytest.approx([1.52, 2.48, 2.48, 1.52, 1.52])
    assert list(outline.x)[5:] == [None]
    assert (min(outline.y[:5]), max(outline.y[:5])) == pytest.approx((-0.46, 0.46))


def test_too_little_data_is_a_stroke_and_no_colour():
    drawn = map_of(square(1, "age", None), features=["age"])
    assert list(drawn.data[0].z[0]) == [None, None, None]
    assert list(trace(drawn, "not enough data").x) == [1]
    assert list(trace(drawn, "drifted").x) == []


def test_every_square_can_be_chosen_by_its_window_and_feature():
    drawn = map_of(square(0, "age", 0.1), square(2, "<b>pay</b>", 2.0), features=["<b>pay</b>", "age"])
    overlay = trace(drawn, "squares")
    assert [tuple(entry) for entry in overlay.customdata] == [(0, "age"), (2, "<b>pay</b>")]
    assert overlay.marker.opacity == 0
    assert list(overlay.text) == ["age in 2026-01: effect 0.2", "&lt;b&gt;pay&lt;/b&gt; in 2026-03: effect 0.2"]


def test_squares_of_a_year_of_days_can_be_told_apart():
    days = [f"day {place}" for place in range(365)]
    squares = [Square(place, "age", 0.2, False, "") for place in range(365)]
    drawn = charts.heat_map(squares, windows=days, features=["age"], events=[], colours=LIGHT)
    assert trace(drawn, "squares").marker.size <= 4
    assert len(drawn.layout.xaxis.ticktext) <= 24


def test_the_most_important_feature_is_at_the_top_and_names_are_literal():
    drawn = map_of(square(0, "age", 0.1), features=["<b>pay</b>", "age"])
    assert list(drawn.layout.yaxis.ticktext) == ["age", "&lt;b&gt;pay&lt;/b&gt;"]
    assert list(drawn.layout.xaxis.ticktext) == WINDOWS


def test_what_happened_is_a_line_with_its_words_told_apart_by_colour():
    happened = [Event(0.5, "v2 live", "deployment"), Event(2.2, "<b>wrong</b> unit", "incident")]
    drawn = map_of(square(0, "age", 0.1), features=["age"], events=happened)
    assert [shape.x0 for shape in drawn.layout.shapes] == [0.5, 2.2]
    assert [one.text for one in drawn.layout.annotations] == ["v2 live", "&lt;b&gt;wrong&lt;/b&gt; unit"]
    assert len({shape.line.color for shape in drawn.layout.shapes}) == 2


def test_what_happened_at_nearly_the_same_time_is_said_together():
    happened = [
        Event(0.5, "v2 live", "deployment"),
        Event(0.6, "v1 live", "deployment"),
        Event(2.4, "fault", "incident"),
    ]
    drawn = map_of(square(0, "age", 0.1), features=["age"], events=happened)
    assert [(one.x, one.text) for one in drawn.layout.annotations] == [(0.5, "v2 live, v1 live"), (2.4, "fault")]
    assert len(drawn.layout.shapes) == 3


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


def test_times_are_drawn_as_dates():
    day = 86_400_000_000
    bins = {"edges": [0, day, 3 * day], "reference": [0.7, 0.3], "current": [0.2, 0.8], "of_time": True}
    drawn = charts.then_and_now(bins, feature="day", colours=LIGHT)
    assert drawn.layout.xaxis.type == "date"
    assert list(drawn.data[1].x) == [0, 86_400_000, 3 * 86_400_000]


def test_categories_are_dumbbells_with_one_key_of_two_entries():
    bins = {"values": ["no", "<b>yes</b>"], "reference": [0.6, 0.4], "current": [0.5, 0.5]}
    drawn = charts.then_and_now(bins, feature="left", colours=LIGHT)
    assert [trace.name for trace in drawn.data if trace.showlegend] == ["reference", "current"]
    assert list(drawn.layout.yaxis.ticktext) == ["&lt;b&gt;yes&lt;/b&gt;", "no"]
    assert drawn.layout.xaxis.title.text == "share of rows by left"


def strip_of(*points: Measured, evaluated: tuple[float, float, float] | None = None):
    return performance.strip(points, windows=WINDOWS, metric="ROC AUC", evaluated=evaluated, events=[], colours=LIGHT)


def test_a_window_without_a_figure_is_a_gap_and_not_a_line():
    drawn = strip_of(
        Measured("2026-01", "realised", 0.80, 0.75, 0.85, 200), Measured("2026-03", "realised", 0.70, None, None, 90)
    )
    [line] = drawn.data
    assert list(line.y) == [0.80, None, 0.70]
    assert line.connectgaps is False
    assert line.error_y.array == pytest.approx((0.05, 0.0, 0.0))
    assert drawn.layout.yaxis.title.text == "ROC AUC"
    assert list(drawn.layout.xaxis.ticktext) == WINDOWS


def test_what_is_estimated_looks_other_than_what_is_known_and_doubt_is_faint():
    drawn = strip_of(
        Measured("2026-01", "realised", 0.80, 0.75, 0.85, 200),
        Measured("2026-01", "estimated", 0.81, 0.78, 0.84, 0),
        Measured("2026-02", "estimated", 0.60, 0.5, 0.7, 0, believed=False),
    )
    known, estimated = trace(drawn, "realised"), trace(drawn, "estimated")
    assert known.line.dash != estimated.line.dash
    assert estimated.marker.opacity[0] == 1.0
    assert estimated.marker.opacity[1] < 0.5
    assert "not to be believed" in estimated.customdata[1][2]
    assert drawn.layout.showlegend


def test_the_evaluation_set_is_a_band_over_all_windows():
    drawn = strip_of(Measured("2026-01", "realised", 0.80, 0.75, 0.85, 200), evaluated=(0.9, 0.88, 0.92))
    band, line = drawn.layout.shapes
    assert (band.y0, band.y1, line.y0) == (0.88, 0.92, 0.9)
    assert band.xref == "paper"


def test_labels_that_are_in_stand_against_those_expected():
    found = [Maturity("2026-01", 200, 180, 190.0), Maturity("2026-03", 0, 0, 0.0)]
    drawn = performance.maturity(found, windows=WINDOWS, colours=LIGHT)
    assert list(trace(drawn, "in").y) == [0.9, None, None]
    assert list(trace(drawn, "expected in the end").y) == [0.95, None, None]
