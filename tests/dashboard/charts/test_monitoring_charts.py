import pytest

from dashboard.charts import monitoring as charts
from dashboard.charts import performance
from dashboard.charts.monitoring import Event, Square
from dashboard.charts.performance import Maturity, Measured
from dashboard.theme import LIGHT

WINDOWS = ["2026-01", "2026-02", "2026-03"]


def square(column: int, rank: int, ratio: float | None, *, drifted: bool = False) -> Square:
    return Square(column, rank, ratio, drifted, "effect 0.2")


def map_of(*squares: Square, features: list[str], events: list[Event] | None = None):
    return charts.heat_map(squares, windows=WINDOWS, features=features, events=events or [], colours=LIGHT)


def trace(drawn, name: str):
    [found] = [one for one in drawn.data if one.name == name]
    return found


def drawn_shape(drawn, name: str) -> list[list[tuple[float, float]]]:
    """The lines of a shape, each as its points."""
    [found] = [one for one in drawn.layout.shapes if one.name == name]
    lines = [line.split("L") for line in found.path.split("M")[1:]]
    points = [[tuple(float(value) for value in point.split(",")) for point in line] for line in lines]
    return [line for line in points if len(line) > 1]


def test_what_is_quiet_looks_alike_and_what_is_strong_is_capped():
    drawn = map_of(square(0, 0, 0.1), square(1, 0, 0.9), square(2, 0, 7.0), features=["age"])
    [row] = drawn.data[0].z
    assert list(row) == [1.0, 1.0, 3.0]


def test_only_what_drifted_is_outlined():
    drawn = map_of(square(0, 0, 2.0), square(2, 0, 2.0, drifted=True), features=["age"])
    [outline] = drawn_shape(drawn, "drifted")
    left, right = min(x for x, _ in outline), max(x for x, _ in outline)
    assert outline == [(left, -0.42), (right, -0.42), (right, 0.42), (left, 0.42), (left, -0.42)]
    assert 1.5 < left < 1.51
    assert 2.49 < right < 2.5  # few windows are wide: a frame further in would not look like its square's


def test_of_a_single_window_too_what_happened_after_it_is_said_to_the_left():
    drawn = charts.heat_map(
        [square(0, 0, 0.1)],
        windows=["2026-01"],
        features=["age"],
        events=[Event(0.5, "v1 live", "deployment")],
        colours=LIGHT,
    )
    assert [one.xanchor for one in drawn.layout.annotations] == ["right"]


def test_too_little_data_is_a_stroke_and_no_colour():
    drawn = map_of(square(1, 0, None), features=["age"])
    assert list(drawn.data[0].z[0]) == [None, None, None]
    [stroke] = drawn_shape(drawn, "not enough data")
    assert [(x + y) / 2 for x, y in zip(*stroke, strict=True)] == [1, 0]
    assert drawn_shape(drawn, "drifted") == []


def test_every_square_can_be_pointed_at_by_its_window_and_feature():
    drawn = map_of(square(0, 1, 0.1), square(2, 0, 2.0), features=["<b>pay</b>", "age"])
    overlay = trace(drawn, "squares")
    assert (list(overlay.x), list(overlay.y)) == ([0, 2], [0, 1])
    assert overlay.marker.opacity == 0
    assert drawn.layout.hoverdistance == -1
    assert list(overlay.text) == ["age in 2026-01: effect 0.2", "&lt;b&gt;pay&lt;/b&gt; in 2026-03: effect 0.2"]


def test_a_year_of_days_is_not_thousands_of_things_to_draw():
    days = [f"day {place}" for place in range(365)]
    squares = [Square(place, rank, 2.0, True, "") for place in range(365) for rank in range(20)]
    drawn = charts.heat_map(squares, windows=days, features=list("abcdefghijklmnopqrst"), events=[], colours=LIGHT)
    overlay = trace(drawn, "squares")
    assert len(overlay.x) == 365 * 20
    assert overlay.marker.maxdisplayed == 1
    assert len(drawn.layout.shapes) == 2
    assert len(drawn.layout.xaxis.ticktext) <= 14


def test_over_many_windows_a_stretch_that_drifted_has_one_frame():
    days = [f"day {place}" for place in range(100)]
    squares = [Square(place, 0, 2.0, place in {3, 4, 5, 9}, "") for place in range(100)]
    drawn = charts.heat_map(squares, windows=days, features=["age"], events=[], colours=LIGHT)
    frames = drawn_shape(drawn, "drifted")
    assert [(min(x for x, _ in frame), max(x for x, _ in frame)) for frame in frames] == [(2.52, 5.48), (8.52, 9.48)]


def test_the_most_important_feature_is_at_the_top_and_names_are_literal():
    drawn = map_of(square(0, 1, 0.1), features=["<b>pay</b>", "age"])
    assert list(drawn.layout.yaxis.ticktext) == ["age", "&lt;b&gt;pay&lt;/b&gt;"]
    assert list(drawn.layout.xaxis.ticktext) == WINDOWS


def test_what_happened_is_a_line_with_its_words_told_apart_by_colour():
    happened = [Event(0.1, "v2 live", "deployment"), Event(2.2, "<b>wrong</b> unit", "incident")]
    drawn = map_of(square(0, 0, 0.1), features=["age"], events=happened)
    lines = [shape for shape in drawn.layout.shapes if shape.type == "line"]
    assert [line.x0 for line in lines] == [0.1, 2.2]
    assert [one.text for one in drawn.layout.annotations] == ["v2 live", "&lt;b&gt;wrong&lt;/b&gt; unit"]
    assert len({line.line.color for line in lines}) == 2


def test_what_happened_at_the_right_edge_is_said_to_its_left():
    happened = [Event(-0.5, "incident", "incident"), Event(2.5, "v1 live", "deployment")]
    drawn = map_of(square(0, 0, 0.1), features=["age"], events=happened)
    assert [one.xanchor for one in drawn.layout.annotations] == ["left", "right"]


def test_words_that_are_written_towards_each_other_are_said_together():
    happened = [Event(1.4, "incident", "incident"), Event(2.4, "incident", "incident")]
    drawn = map_of(square(0, 0, 0.1), features=["age"], events=happened)
    assert [(one.x, one.xanchor, one.text) for one in drawn.layout.annotations] == [(1.4, "left", "2 incidents")]


def test_words_that_have_room_stay_where_they_happened():
    happened = [Event(0.7, "incident", "incident"), Event(2.5, "v1 live", "deployment")]
    drawn = map_of(square(0, 0, 0.1), features=["age"], events=happened)
    assert [(one.x, one.xanchor, one.text) for one in drawn.layout.annotations] == [
        (0.7, "left", "incident"),
        (2.5, "right", "v1 live"),
    ]


def test_what_happened_at_nearly_the_same_time_is_said_together():
    happened = [
        Event(0.3, "v2 live", "deployment"),
        Event(0.4, "v1 live", "deployment"),
        Event(2.4, "fault", "incident"),
    ]
    drawn = map_of(square(0, 0, 0.1), features=["age"], events=happened)
    assert [(one.x, one.text) for one in drawn.layout.annotations] == [(0.3, "v2 live, v1 live"), (2.4, "fault")]
    assert [shape.type for shape in drawn.layout.shapes].count("line") == 3


def test_what_happened_again_and_again_is_counted():
    happened = [Event(0.1 * place, "incident", "incident") for place in range(3)]
    drawn = map_of(square(0, 0, 0.1), features=["age"], events=happened)
    assert [one.text for one in drawn.layout.annotations] == ["3 incidents"]


def test_a_version_that_came_back_is_named_again():
    words = ["v1 live", "v2 live", "v1 live"]
    happened = [Event(0.1 * place, one, "deployment") for place, one in enumerate(words)]
    drawn = map_of(square(0, 0, 0.1), features=["age"], events=[*happened, Event(0.15, "incident", "incident")])
    assert [one.text for one in drawn.layout.annotations] == ["v1 live, v2 live, incident, v1 live"]


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
    assert list(trace(drawn, "in").y) == [90, None, None]
    assert list(trace(drawn, "expected in the end").y) == [95, None, None]


DAYS = [f"day {place}" for place in range(100)]


def long_strip(*points: Measured):
    return performance.strip(points, windows=DAYS, metric="ROC AUC", evaluated=None, events=[], colours=LIGHT)


def test_over_many_windows_a_line_has_no_mark_and_no_bar_of_its_own_for_each():
    points = [Measured(day, "realised", 0.8, 0.7, 0.9, 100) for day in DAYS]
    drawn = long_strip(*points)
    [line] = drawn.data
    assert line.mode == "lines"
    assert line.error_y.array is None
    intervals = drawn_shape(drawn, "realised intervals")
    assert len(intervals) == 100
    assert intervals[3] == [(3.0, 0.7), (3.0, 0.9)]


def test_over_many_windows_doubt_is_faint_and_a_window_by_itself_is_a_dot():
    points = [Measured(day, "estimated", 0.8, 0.7, 0.9, 0, believed=place != 40) for place, day in enumerate(DAYS)]
    drawn = long_strip(*(one for place, one in enumerate(points) if place not in {9, 11}))
    believed, doubted, alone = drawn.data
    assert believed.y[40] is None
    assert [place for place, value in enumerate(doubted.y) if value is not None] == [39, 40, 41]
    assert doubted.opacity < 0.5
    assert [one.showlegend for one in (doubted, alone)] == [False, False]
    assert list(alone.x) == [10]


def test_over_many_windows_labels_are_areas_with_the_same_shares():
    bars = [Maturity(day, 200, 50, 100.0) for day in DAYS]
    few = performance.maturity(bars[:3], windows=DAYS[:3], colours=LIGHT)
    many = performance.maturity(bars, windows=DAYS, colours=LIGHT)
    assert {one.type for one in few.data} == {"bar"}
    assert {(one.type, one.line.shape, one.fill) for one in many.data} == {("scatter", "hvh", "tozeroy")}
    assert [set(one.y) for one in many.data] == [set(one.y) for one in few.data] == [{50}, {25}]
