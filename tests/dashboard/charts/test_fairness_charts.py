"""The figure of groups: the first on top, the two furthest apart full, names literal."""

from __future__ import annotations

import pytest

from dashboard.charts.fairness import group_dots
from dashboard.charts.runs import Dot
from dashboard.theme import LIGHT


def test_groups_are_drawn_with_their_intervals_and_the_furthest_apart_full():
    dots = [Dot("<b>m</b>", 0.3, 0.25, 0.35), Dot("x", 0.2, 0.1, 0.3), Dot("f", 0.1, 0.05, 0.2)]
    drawn = group_dots(dots, title="share predicted positive", as_share=True, colours=LIGHT)
    points = drawn.data[0]
    assert list(points.x) == pytest.approx([10, 20, 30])
    assert list(points.marker.symbol) == ["circle", "circle-open", "circle"]
    assert [round(one, 6) for one in points.error_x.array] == [10, 10, 5]
    assert list(drawn.layout.yaxis.ticktext) == ["f", "x", "&lt;b&gt;m&lt;/b&gt;"]
    assert drawn.layout.xaxis.title.text == "share predicted positive"
    assert drawn.layout.xaxis.ticksuffix == " %"
    assert points.customdata[-1] == "&lt;b&gt;m&lt;/b&gt; 30.0 % [25.0 %, 35.0 %]"


def test_numbers_are_not_drawn_as_percent_and_a_value_may_lack_an_interval():
    drawn = group_dots([Dot("a", 2.5)], title="mean error", as_share=False, colours=LIGHT)
    assert list(drawn.data[0].error_x.array) == [0]
    assert drawn.layout.xaxis.ticksuffix is None
    assert drawn.data[0].customdata[0] == "a 2.500"
