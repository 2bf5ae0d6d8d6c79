from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InvalidInput
from core.monitoring.windows import cut, span_at, spans_between

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


@given(st.lists(moments, max_size=30), st.sampled_from(["day", "week", "month"]))
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
    for call in (lambda: span_at(datetime.now(UTC), "hour"), lambda: cut(np.empty(0, "datetime64[us]"), "year")):
        with pytest.raises(InvalidInput, match="day, week, month"):
            call()
