import pytest

from dashboard.charts.then_and_now import then_and_now, whole_numbers
from dashboard.theme import LIGHT


def test_numbers_share_their_bins_then_and_now():
    bins = {"edges": [0.0, 10.0, 30.0], "reference": [0.7, 0.3], "current": [0.2, 0.8]}
    drawn = then_and_now(bins, feature="<i>age</i>", colours=LIGHT)
    reference, current = drawn.data
    assert list(reference.width) == [10.0, 20.0]
    assert list(current.x) == bins["edges"]
    assert list(current.y) == [20, 80, 80]
    assert current.line.shape == "hv"
    assert drawn.layout.xaxis.title.text == "&lt;i&gt;age&lt;/i&gt;"
    assert drawn.layout.yaxis.title.text == "share of rows"
    assert drawn.layout.yaxis.ticksuffix == " %"
    assert current.hovertemplate == "current %{y:.1f} %<extra></extra>"


def test_a_few_whole_numbers_are_bars_named_by_their_values():
    bins = {"edges": [0.5, 1.5, 2.5, 3.5], "reference": [0.5, 0.3, 0.2], "current": [0.2, 0.2, 0.6]}
    drawn = then_and_now(bins, feature="month", colours=LIGHT)
    assert [(one.type, one.name, list(one.y)) for one in drawn.data] == [
        ("bar", "reference", [50, 30, 20]),
        ("bar", "current", [20, 20, 60]),
    ]
    assert list(drawn.layout.xaxis.ticktext) == ["1", "2", "3"]
    assert drawn.layout.xaxis.title.text == "month"


@pytest.mark.parametrize(
    ("edges", "values"),
    [
        ([-0.5, 0.5, 1.5], [0, 1]),
        ([-1.5, -0.5, 0.5], [-1, 0]),
        ([0.5 + place for place in range(32)], list(range(1, 32))),
        ([0.5 + place for place in range(33)], []),  # more is a distribution
        ([0.0, 1.0, 2.0], []),  # a bin holds what lies between
        ([0.5, 2.5, 4.5], []),  # a bin holds two
    ],
)
def test_only_bins_of_one_whole_number_each_are_named_by_it(edges: list[float], values: list[int]):
    assert whole_numbers(edges) == values


def test_times_are_drawn_as_dates():
    day = 86_400_000_000
    bins = {"edges": [0, day, 3 * day], "reference": [0.7, 0.3], "current": [0.2, 0.8], "of_time": True}
    drawn = then_and_now(bins, feature="day", colours=LIGHT)
    assert drawn.layout.xaxis.type == "date"
    assert list(drawn.data[1].x) == [0, 86_400_000, 3 * 86_400_000]


def test_categories_are_dumbbells_with_one_key_of_two_entries():
    bins = {"values": ["no", "<b>yes</b>"], "reference": [0.6, 0.4], "current": [0.5, 0.5]}
    drawn = then_and_now(bins, feature="left", colours=LIGHT)
    assert [trace.name for trace in drawn.data if trace.showlegend] == ["reference", "current"]
    assert list(drawn.layout.yaxis.ticktext) == ["&lt;b&gt;yes&lt;/b&gt;", "no"]
    assert drawn.layout.xaxis.title.text == "share of rows by left"
