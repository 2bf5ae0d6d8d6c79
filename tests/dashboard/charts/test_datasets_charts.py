import pytest

from dashboard.charts import datasets as charts
from dashboard.theme import DARK, LIGHT

AGE = {
    "name": "age",
    "kind": "integer",
    "histogram": {"edges": [17.0, 30.0, 45.0, 90.0], "counts": [5, 9, 2]},
    "top": None,
}
PLAN = {
    "name": "plan",
    "kind": "category",
    "histogram": None,
    "top": [{"value": "<b>gold</b>", "count": 7}, {"value": "basic", "count": 3}],
}


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
def test_a_histogram_shows_each_bin_at_its_place_and_width(colours):
    drawn = charts.distribution(AGE, colours=colours)
    assert list(drawn.data[0].y) == [5, 9, 2]
    assert list(drawn.data[0].x) == [23.5, 37.5, 67.5]
    assert list(drawn.data[0].width) == [13.0, 15.0, 45.0]
    assert drawn.layout.xaxis.title.text == "age"


def test_the_most_frequent_value_is_on_top_and_tags_in_it_are_not_interpreted():
    drawn = charts.distribution(PLAN, colours=LIGHT)
    assert list(drawn.data[0].x) == [3, 7]
    assert list(drawn.layout.yaxis.ticktext) == ["basic", "&lt;b&gt;gold&lt;/b&gt;"]


def test_a_column_without_values_has_no_figure():
    assert charts.distribution({"name": "note", "histogram": None, "top": None}, colours=LIGHT) is None


def test_the_largest_shift_is_on_top_and_the_smallest_are_left_out():
    entries = [{"column": f"c{i}", "effect": i / 10, "measure": "KS"} for i in range(12)]
    drawn = charts.shifts(entries, colours=LIGHT, most=3)
    assert list(drawn.layout.yaxis.ticktext) == ["c9", "c10", "c11"]
    assert list(drawn.data[0].x) == [0.9, 1.0, 1.1]


def test_what_a_figure_shows_is_said_in_words_too():
    assert "fullest bin, 30 to 45, holds 9 rows" in charts.distribution_in_words(AGE)
    assert "basic 3" in charts.distribution_in_words(PLAN)
