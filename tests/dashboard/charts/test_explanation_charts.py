import pytest

from dashboard.charts import explanation as charts
from dashboard.charts.runs import Dot
from dashboard.theme import LIGHT

AGE = {
    "name": "<b>age</b>",
    "kind": "integer",
    "values": [20, 40, 90],
    "average": [0.1, 0.3, 0.2],
    "standard_error": [0.01, 0.02, 0.05],
    "share": [0.6, 0.399, 0.001],
    "lines": [[0.2, 0.4, 0.4], [0.0, 0.2, 0.0]],
}
JOB = AGE | {"name": "job", "kind": "category", "values": ["cook", "<i>pilot</i>", "nurse"]}
WAY = {
    "of": "yes",
    "base": 0.2,
    "prediction": 0.5,
    "entries": [
        {"feature": "age", "value": 40, "contribution": 0.4},
        {"feature": "pay", "value": None, "contribution": -0.15},
        {"feature": "job", "value": "<i>cook</i>", "contribution": 0.05},
    ],
}


def test_importance_shows_the_most_important_features_only():
    drawn = charts.importance([Dot(f"f{i}", i / 10) for i in range(20)], colours=LIGHT, metric="ROC AUC", most=2)
    assert list(drawn.layout.yaxis.ticktext) == ["f18", "f19"]


def test_each_row_is_a_line_and_the_mean_is_dotted_where_hardly_any_rows_are():
    drawn = charts.dependence(AGE, colours=LIGHT, title="score of yes")
    first, second, dotted, solid, hover, bars = drawn.data
    assert list(first.y) == [0.2, 0.4, 0.4]
    assert list(second.y) == [0.0, 0.2, 0.0]
    assert (dotted.line.dash, list(dotted.y)) == ("dot", [0.1, 0.3, 0.2])
    assert list(solid.y) == [0.1, 0.3, None]
    assert "0.1 % of the rows are nearest" in hover.customdata[2]
    assert list(bars.y) == pytest.approx([60, 39.9, 0.1])
    assert drawn.layout.xaxis2.title.text == "&lt;b&gt;age&lt;/b&gt;"
    assert drawn.layout.yaxis.title.text == "score of yes"


def test_centred_lines_begin_at_zero():
    drawn = charts.dependence(AGE, colours=LIGHT, title="change", centred=True)
    assert list(drawn.data[0].y) == pytest.approx([0, 0.2, 0.2])
    assert list(drawn.data[2].y) == pytest.approx([0, 0.2, 0.1])


def test_categories_are_rows_sorted_by_their_mean_and_hollow_where_rare():
    drawn = charts.dependence(JOB, colours=LIGHT, title="score of yes")
    assert list(drawn.layout.yaxis.ticktext) == ["cook", "nurse", "&lt;i&gt;pilot&lt;/i&gt;"]
    assert list(drawn.data[1].x) == [0.1, 0.2, 0.3]
    assert list(drawn.data[1].marker.symbol) == ["circle", "circle-open", "circle"]
    assert len(drawn.data[0].x) == 6


def test_one_value_only_is_drawn():
    one = AGE | {"values": [3.0], "average": [0.1], "standard_error": [0.0], "share": [1.0], "lines": [[0.1]]}
    assert list(charts.dependence(one, colours=LIGHT, title="").data[-1].width) == [1.0]


def test_the_way_of_a_row_leads_from_the_mean_to_its_prediction():
    drawn = charts.way(WAY, colours=LIGHT, digits=2)
    _, bars, ends = drawn.data
    assert list(bars.base) == pytest.approx([0.2, 0.6, 0.45])
    assert [one.text for one in drawn.layout.annotations] == ["0.20", "+0.40", "−0.15", "+0.05", "0.50"]
    assert list(ends.x) == [0.2, 0.5]
    assert list(drawn.layout.yaxis.ticktext) == [
        "this row",
        "job = &lt;i&gt;cook&lt;/i&gt;",
        "pay = –",
        "age = 40",
        "mean of training rows",
    ]


def test_small_contributions_are_drawn_as_one():
    drawn = charts.way(WAY, colours=LIGHT, digits=2, most=1)
    assert list(drawn.data[1].x) == pytest.approx([0.4, -0.1])
    assert "2 others" in drawn.layout.yaxis.ticktext


def test_what_if_puts_the_most_changed_feature_on_top():
    now = WAY | {"entries": [dict(one, contribution=one["contribution"] / 2) for one in WAY["entries"]]}
    drawn = charts.what_if(WAY, now, colours=LIGHT, digits=2)
    assert list(drawn.layout.yaxis.ticktext) == ["job", "pay", "age"]
    before, after = drawn.data[-2:]
    assert (before.name, list(before.x)) == ("as it is", [0.05, -0.15, 0.4])
    assert list(after.x) == pytest.approx([0.025, -0.075, 0.2])
    assert drawn.layout.xaxis.title.text == "adds to score of yes"


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "–"),
        (True, "true"),
        (3, "3"),
        (40.0, "40"),
        (0.25, "0.25"),
        (35.19, "35.19"),
        (0.00012, "0.00012"),
        ("Wife", "Wife"),
    ],
)
def test_values_are_said_as_they_are_read(value: object, said: str):
    assert charts.worded(value) == said
