"""Health over time: a line breaks where nobody measured, and the limit shows where it is near."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from dashboard.charts.health import Line, over_time
from dashboard.theme import LIGHT

NOW = datetime(2026, 3, 12, 14, 0, tzinfo=UTC)
AT = tuple(NOW - timedelta(minutes=2 * place) for place in range(30, 0, -1))


def drawn(*lines: Line, limit: float | None = None, hours: float = 1):  # type: ignore[no-untyped-def]
    return over_time(
        lines, unit="ms", from_at=NOW - timedelta(hours=hours), to_at=NOW, say=lambda v: f"{v:g} ms", colours=LIGHT,
        limit=limit,
    )  # fmt: skip


def test_what_nobody_measured_is_a_gap_and_not_zero() -> None:
    values = (*[5.0] * 10, *[None] * 5, *[7.0] * 15)
    figure = drawn(Line("latency", AT, values))
    (trace,) = figure.data
    assert list(trace.y) == list(values)
    assert trace.connectgaps is False
    assert trace.customdata[0] == "12 Mar, 13:00: latency 5 ms"
    assert trace.customdata[12] == ""
    assert figure.layout.yaxis.title.text == "ms"
    assert figure.layout.yaxis.range[0] == 0
    assert figure.layout.showlegend is False


def test_several_lines_are_named_and_a_hostile_name_is_literal() -> None:
    figure = drawn(Line("<b>web</b>", AT, (1.0,) * 30), Line("worker", AT, (2.0,) * 30))
    assert [trace.name for trace in figure.data] == ["&lt;b&gt;web&lt;/b&gt;", "worker"]
    assert figure.layout.showlegend is True


def test_the_limit_is_drawn_where_it_is_near() -> None:
    near, far = (drawn(Line("latency", AT, (500.0,) * 30), limit=limit) for limit in (1000.0, 5000.0))
    assert [shape.y0 for shape in near.layout.shapes] == [1000.0]
    assert near.layout.yaxis.range[1] > 1000
    assert not far.layout.shapes
    assert far.layout.yaxis.range[1] < 1000


def test_zeros_have_room_and_few_points_are_marked() -> None:
    figure = drawn(Line("errors", AT, (0.0,) * 30))
    assert figure.layout.yaxis.range == (0, 1)
    assert figure.data[0].mode == "lines+markers"
    long = tuple(NOW - timedelta(minutes=15 * place) for place in range(96, 0, -1))
    assert drawn(Line("errors", long, (1.0,) * 96), hours=24).data[0].mode == "lines"
