"""Cutting rows into windows of time. PURE. Windows are cut in UTC; a week begins on Monday (ISO 8601)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.errors import InvalidInput

DAYS_A_MONTH = 365.25 / 12
A_MONTH = {"day": DAYS_A_MONTH, "week": DAYS_A_MONTH / 7, "month": 1.0}
"""How many windows of each length a month has."""


@dataclass(frozen=True, order=True)
class Span:
    """A window's span of time [from, to) and its label: "2012-06-05", "2012-W23" or "2012-06"."""

    from_at: datetime
    to_at: datetime
    label: str


def span_at(at: datetime, window: str) -> Span:
    """The window a moment lies in.

    Parameters
    ----------
    at : datetime
        Aware.
    window : {"day", "week", "month"}

    Raises
    ------
    InvalidInput
        No such window.
    """
    day = at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    match window:
        case "day":
            return Span(day, day + timedelta(days=1), f"{day:%Y-%m-%d}")
        case "week":
            start = day - timedelta(days=day.weekday())
            year, week, _ = start.isocalendar()
            return Span(start, start + timedelta(days=7), f"{year:04d}-W{week:02d}")
        case "month":
            start = day.replace(day=1)
            return Span(start, (start + timedelta(days=31)).replace(day=1), f"{start:%Y-%m}")
        case _:
            raise InvalidInput(f"{window!r} is no window. Choose one of: day, week, month.")


def spans_between(from_at: datetime, to_at: datetime, window: str) -> list[Span]:
    """The windows that two moments lie in, and all between, oldest first."""
    spans = [span_at(from_at, window)]
    while spans[-1].to_at <= to_at:
        spans.append(span_at(spans[-1].to_at, window))
    return spans


def cut(times: NDArray[Any], window: str) -> list[tuple[Span, NDArray[np.int64]]]:
    """Cut rows into windows, oldest first; empty windows are left out.

    Parameters
    ----------
    times : ndarray of shape (n,), datetime64
        In UTC, in any order; rows without a time (NaT) fall into no window.
    window : {"day", "week", "month"}

    Returns
    -------
    list of (Span, ndarray)
        With the positions of the window's rows, rising.
    """
    moments = np.asarray(times).astype("datetime64[us]")
    days = moments.astype("datetime64[D]")
    if window == "week":
        # 1970-01-01 was a Thursday: shifted by three days, whole weeks begin on Mondays.
        buckets = (days.astype(np.int64) + 3) // 7
    elif window == "month":
        buckets = days.astype("datetime64[M]").astype(np.int64)
    elif window == "day":
        buckets = days.astype(np.int64)
    else:
        raise InvalidInput(f"{window!r} is no window. Choose one of: day, week, month.")
    rows = np.flatnonzero(~np.isnat(moments))
    rows = rows[np.argsort(buckets[rows], kind="stable")]
    parts = np.split(rows, np.flatnonzero(np.diff(buckets[rows])) + 1) if len(rows) else []
    return [(span_at(moments[part[0]].item().replace(tzinfo=UTC), window), part) for part in parts]
