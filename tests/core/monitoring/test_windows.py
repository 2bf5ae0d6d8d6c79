from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InvalidInput
from core.monitoring.windows import (
    SEASON_CHOICES,
    WINDOW_CHOICES,
    Span,
    cut,
    cut_in_words,
    in_season,
    length_of,
    season_of,
    span_at,
    spans_between,
    spans_of_rows,
    windows_a_month,
)

moments = st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1))  # noqa: DTZ001


@pytest.mark.parametrize(
    ("at", "window", "label", "from_day", "to_day"),
    [
        ("2026-01-31T23:59:59.999999", "month", "2026-01", "2026-01-01", "2026-02-01"),
        ("2026-02-01T00:00:00", "month", "2026-02", "2026-02-01", "2026-03-01"),
        ("2026-12-31T12:00:00", "month", "2026-12", "2026-12-01", "2027-01-01"),
        ("2024-02-29T12:00:00", "month", "2024-02", "2024-02-01", "2024-03-01"),
        ("2026-01-04T23:59:59", "week", "2026-W01", "2025-12-29", "2026-01-05"),
        ("2027-01-01T00:00:00", "week", "2026-W53", "2026-12-28", "2027-01-04"),
        ("2026-03-08T00:00:00", "day", "2026-03-08", "2026-03-08", "2026-03-09"),
        ("2026-03-08T23:59:59", "hour", "2026-03-08 23:00", "2026-03-08", "2026-03-09"),
        ("1969-12-31T23:00:00", "week", "1970-W01", "1969-12-29", "1970-01-05"),
    ],
)
def test_a_moment_lies_in_its_window(at: str, window: str, label: str, from_day: str, to_day: str) -> None:
    span = span_at(datetime.fromisoformat(at).replace(tzinfo=UTC), window)
    assert span.label == label
    assert (f"{span.from_at:%Y-%m-%d}", f"{span.to_at:%Y-%m-%d}") == (from_day, to_day)


def test_windows_are_cut_in_utc() -> None:
    at = datetime(2026, 2, 1, 0, 30, tzinfo=timezone(timedelta(hours=2)))
    assert span_at(at, "month").label == "2026-01"


def test_rows_are_cut_at_the_boundary_in_any_order_and_without_a_time_into_none() -> None:
    times = np.array(
        ["2026-02-01T00:00:00", "2026-01-31T23:59:59.999999", "NaT", "2026-01-01", "2026-03-15"], dtype="datetime64[us]"
    )
    pieces = cut(times, "month")
    assert [(span.label, rows.tolist()) for span, rows in pieces] == [
        ("2026-01", [1, 3]),
        ("2026-02", [0]),
        ("2026-03", [4]),
    ]
    assert cut(np.array(["NaT"], dtype="datetime64[us]"), "day") == []


@given(st.lists(moments, max_size=30), st.sampled_from(["hour", "day", "week", "month"]))
def test_cutting_agrees_with_asking_row_by_row(given_moments: list[datetime], window: str) -> None:
    times = np.array(given_moments, dtype="datetime64[us]")
    seen: list[int] = []
    previous = None
    for span, rows in cut(times, window):
        assert previous is None or previous.to_at <= span.from_at
        for row in rows.tolist():
            assert span_at(given_moments[row].replace(tzinfo=UTC), window) == span
        seen += rows.tolist()
        previous = span
    assert sorted(seen) == list(range(len(given_moments)))


def test_spans_between_two_moments() -> None:
    first, last = datetime(2025, 12, 31, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)
    assert [span.label for span in spans_between(first, last, "month")] == ["2025-12", "2026-01", "2026-02"]


def test_other_windows_are_refused() -> None:
    for call in (lambda: span_at(datetime.now(UTC), "year"), lambda: cut(np.empty(0, "datetime64[us]"), "count")):
        with pytest.raises(InvalidInput, match="hour, day, week, month"):
            call()


def day(number: int) -> datetime:
    return datetime(2026, 3, number, tzinfo=UTC)


def test_windows_of_rows_close_at_the_end_of_the_day_that_fills_them() -> None:
    days = [(day(1), 40), (day(2), 70), (day(5), 300), (day(6), 99)]
    spans = spans_of_rows(days, 100)
    assert [(span.label, span.from_at, span.to_at) for span in spans] == [
        ("rows from 2026-03-01", day(1), day(3)),
        ("rows from 2026-03-05", day(5), day(6)),
    ]
    assert spans_of_rows([], 100) == []


def test_late_rows_move_no_window_that_was_closed() -> None:
    days = [(day(1), 40), (day(2), 70), (day(5), 60), (day(6), 60)]
    closed = spans_of_rows(days, 100)
    late = [(day(1), 500), (day(2), 70), (day(3), 20), (day(4), 90), (day(5), 60), (day(6), 60), (day(7), 100)]
    assert spans_of_rows(late, 100, closed=closed) == [
        closed[0],
        Span(day(3), day(5), "rows from 2026-03-03"),
        closed[1],
        Span(day(7), day(8), "rows from 2026-03-07"),
    ]


def test_late_rows_shut_in_by_a_closed_window_make_a_shorter_one_or_join_what_they_fill() -> None:
    closed = [Span(day(4), day(6), "rows from 2026-03-04"), Span(day(9), day(11), "rows from 2026-03-09")]
    rows = [(day(4), 60), (day(5), 60), (day(9), 60), (day(10), 60)]
    late = [(day(1), 20), (day(2), 30), (day(6), 120), (day(8), 5), (day(11), 20)]
    assert spans_of_rows(sorted([*rows, *late]), 100, closed=closed) == [
        Span(day(1), day(4), "rows from 2026-03-01"),
        closed[0],
        Span(day(6), day(9), "rows from 2026-03-06"),
        closed[1],
    ]
    # None is cut across a closed window, were its rows taken back.
    assert spans_of_rows(late, 100, closed=closed[:1])[0] == Span(day(1), day(4), "rows from 2026-03-01")


@given(
    st.lists(st.tuples(st.integers(0, 30), st.integers(1, 300)), max_size=40),
    st.integers(1, 400),
)
def test_whatever_comes_late_every_day_before_the_last_closed_window_is_in_one(
    arrivals: list[tuple[int, int]], window_rows: int
) -> None:
    closed: list[Span] = []
    counted: dict[datetime, int] = {}
    for number, count in arrivals:
        counted[day(1) + timedelta(days=number)] = counted.get(day(1) + timedelta(days=number), 0) + count
        spans = spans_of_rows(sorted(counted.items()), window_rows, closed=closed)
        assert set(closed) <= set(spans)
        assert all(before.to_at <= after.from_at for before, after in pairwise(spans))
        closed = spans
        last = max((span.to_at for span in closed), default=day(1))
        for at in counted:
            assert sum(span.from_at <= at < span.to_at for span in closed) == (at < last)


@given(st.lists(st.integers(1, 300), max_size=40), st.integers(1, 400), st.integers(0, 40))
def test_windows_of_rows_never_overlap_and_are_the_same_in_two_passes(
    counts: list[int], window_rows: int, first: int
) -> None:
    days = [(day(1) + timedelta(days=position), count) for position, count in enumerate(counts)]
    spans = spans_of_rows(days, window_rows)
    for before, after in pairwise(spans):
        assert before.to_at <= after.from_at
    for span in spans:
        assert sum(count for at, count in days if span.from_at <= at < span.to_at) >= window_rows
    assert spans_of_rows(days, window_rows, closed=spans_of_rows(days[:first], window_rows)) == spans


def test_a_month_of_windows_by_rows_follows_the_flow_in_steps() -> None:
    assert [
        windows_a_month("count", window_rows=1_000, rows_a_month=rows) for rows in (0, 900, 1_100, 2_100, 10**7)
    ] == pytest.approx([1, 1, 2, 4, 365.25 / 12])
    assert windows_a_month("week") == pytest.approx(4.35, abs=0.01)
    lengths = [length_of(window, 5_000) for window in WINDOW_CHOICES]
    assert lengths == ["hour", "day", "week", "month", "count 5000"]
    assert [cut_in_words(one) for one in lengths] == ["by hour", "by day", "by week", "by month", "by 5,000 rows"]


@given(st.lists(moments, min_size=1, max_size=30), st.sampled_from([one for one in SEASON_CHOICES if one != "none"]))
def test_seasons_agree_with_asking_row_by_row(given_moments: list[datetime], season: str) -> None:
    times = np.array([*given_moments, "NaT"], dtype="datetime64[us]")
    keys = [season_of(at.replace(tzinfo=UTC), season) for at in given_moments]
    for key in set(keys):
        assert in_season(times, key).tolist() == [*(key == one for one in keys), False]


def test_seasons_have_names() -> None:
    at = datetime(2026, 6, 3, 7, 59, tzinfo=UTC)
    assert [season_of(at, season) for season in SEASON_CHOICES] == ["", "hour=07", "weekday=Wednesday", "month=06"]
    with pytest.raises(InvalidInput, match="none, hour, weekday, month"):
        season_of(at, "year")
