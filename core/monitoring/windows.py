"""Cutting rows into windows of time or of rows, and the seasons they lie in. PURE.

Windows are cut in UTC; a week begins on Monday (ISO 8601). Rows are counted by *bucket* (an hour or a day) and a window
is always whole buckets, so that it can be summed from what is stored.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from core.drift.promises import WINDOWS_A_MONTH
from core.errors import InvalidInput

Bucket = Literal["hour", "day"]
BUCKETS: dict[Bucket, timedelta] = {"hour": timedelta(hours=1), "day": timedelta(days=1)}
"""How long each bucket is."""

A_MONTH = WINDOWS_A_MONTH
"""How many windows of each length of time a month has."""
DAYS_A_MONTH = A_MONTH["day"]
COUNT, BATCH = "count", "batch"
WINDOW_CHOICES = (*A_MONTH, COUNT)
SEASON_CHOICES = ("none", "hour", "weekday", "month")
SEASONS_OF: dict[str, tuple[str, ...]] = {
    "hour": ("none", "hour", "weekday", "month"),
    "day": ("none", "weekday", "month"),
    "week": ("none", "month"),
    "month": ("none", "month"),
    "count": ("none", "month"),
}
"""Which seasons a window of each length can have: a week holds every weekday, so it lies in none of them."""
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


@dataclass(frozen=True, order=True)
class Span:
    """A window's span of time [from, to) and its label.

    "2012-06-05 14:00" for an hour, "2012-06-05" for a day, "2012-W23", "2012-06", and "rows from 2012-06-05" for
    a window of a number of rows.
    """

    from_at: datetime
    to_at: datetime
    label: str

    @property
    def middle(self) -> datetime:
        """The moment whose season is the window's."""
        return self.from_at + (self.to_at - self.from_at) / 2


def length_of(window: str, window_rows: int | None) -> str:
    """What a stored window says of its length: "month", or "count 5000" for 5,000 rows."""
    return f"{COUNT} {window_rows}" if window == COUNT else window


def cut_in_words(length: str) -> str:
    """A stored window's length as part of a sentence: "by month", "by 5,000 rows", "by batch"."""
    kind, _, n_rows = length.partition(" ")
    return f"by {int(n_rows):,} rows" if kind == COUNT and n_rows else f"by {kind}"


def bucket_of(window: str) -> Bucket:
    """In which buckets rows are counted for windows of this length: hours for hours, days for all else."""
    return "hour" if window == "hour" else "day"


def span_at(at: datetime, window: str) -> Span:
    """The window of time a moment lies in.

    Parameters
    ----------
    at : datetime
        Aware.
    window : {"hour", "day", "week", "month"}

    Raises
    ------
    InvalidInput
        No such window.
    """
    hour = at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    day = hour.replace(hour=0)
    match window:
        case "hour":
            return Span(hour, hour + timedelta(hours=1), f"{hour:%Y-%m-%d %H}:00")
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
            raise _no_such_window(window)


def spans_between(from_at: datetime, to_at: datetime, window: str) -> list[Span]:
    """The windows of time that two moments lie in, and all between, oldest first."""
    spans = [span_at(from_at, window)]
    while spans[-1].to_at <= to_at:
        spans.append(span_at(spans[-1].to_at, window))
    return spans


def cut(times: NDArray[Any], window: str) -> list[tuple[Span, NDArray[np.int64]]]:
    """Cut rows into windows of time, oldest first; empty windows are left out.

    Parameters
    ----------
    times : ndarray of shape (n,), datetime64
        In UTC, in any order; rows without a time (NaT) fall into no window.
    window : {"hour", "day", "week", "month"}

    Returns
    -------
    list of (Span, ndarray)
        With the positions of the window's rows, rising.
    """
    moments = np.asarray(times).astype("datetime64[us]")
    if window == "week":
        # 1970-01-01 was a Thursday: shifted by three days, whole weeks begin on Mondays.
        buckets = (moments.astype("datetime64[D]").astype(np.int64) + 3) // 7
    elif window in ("hour", "day", "month"):
        unit = {"hour": "h", "day": "D", "month": "M"}[window]
        buckets = moments.astype(f"datetime64[{unit}]").astype(np.int64)
    else:
        raise _no_such_window(window)
    rows = np.flatnonzero(~np.isnat(moments))
    rows = rows[np.argsort(buckets[rows], kind="stable")]
    parts = np.split(rows, np.flatnonzero(np.diff(buckets[rows])) + 1) if len(rows) else []
    return [(span_at(moments[part[0]].item().replace(tzinfo=UTC), window), part) for part in parts]


def spans_of_buckets(starts: Sequence[datetime], window: str) -> list[Span]:
    """The windows of time that buckets beginning at these moments lie in, oldest first."""
    return sorted({span_at(start, window) for start in starts})


def spans_of_rows(
    buckets: Sequence[tuple[datetime, int]], window_rows: int, *, closed: Sequence[Span] = ()
) -> list[Span]:
    """Cut days into windows of a number of rows: each closes at the end of the day that fills it.

    Parameters
    ----------
    buckets : sequence of (start, n_rows)
        Days with rows, by their start, rising.
    window_rows : int
        A window has at least so many rows when it closes, unless it is shut in by one that was closed before.
    closed : sequence of Span
        Windows that were closed before. They keep their span whatever comes late: rows of their days join them.

    Returns
    -------
    list of Span
        Closed windows, oldest first. Rows after the last one wait for more. Late rows of days before a closed window
        have nothing to wait for: those too few to fill a window join the one that others of them fill, and make a
        shorter one of their own, up to the closed one, where there is none.
    """
    found = sorted(closed)
    starts = [span.from_at for span in found]

    def next_closed(at: datetime) -> datetime | None:
        place = bisect_right(starts, at)
        return starts[place] if place < len(starts) else None

    def is_closed(at: datetime) -> bool:
        place = bisect_right(starts, at)
        return place > 0 and at < found[place - 1].to_at

    late = [bucket for bucket in buckets if not is_closed(bucket[0])]
    cuts: list[Span] = []
    for until, days in groupby(late, key=lambda bucket: next_closed(bucket[0])):
        between: list[Span] = []
        start, n_rows = None, 0
        for at, count in days:
            start, n_rows = (at, count) if start is None else (start, n_rows + count)
            if n_rows >= window_rows:
                between.append(_of_rows(start, at + timedelta(days=1)))
                start = None
        if start is not None and until is not None:
            between.append(_of_rows(between.pop().from_at if between else start, until))
        cuts += between
    return sorted([*found, *cuts])


def _of_rows(from_at: datetime, to_at: datetime) -> Span:
    return Span(from_at, to_at, f"rows from {from_at:%Y-%m-%d}")


def holds_rows(span: Span, starts: Sequence[datetime], bucket: Bucket) -> bool:
    """Whether any bucket reaches into a span of time.

    Parameters
    ----------
    starts : sequence of datetime
        Of the buckets with rows, rising.
    bucket : {"hour", "day"}
        What each is.
    """
    place = bisect_right(starts, span.from_at - BUCKETS[bucket])
    return place < len(starts) and starts[place] < span.to_at


def rows_a_month(buckets: Sequence[tuple[datetime, int]]) -> float:
    """How many rows flow in a month, from the first bucket to the last; 0 without any."""
    if not buckets:
        return 0.0
    days = (buckets[-1][0] - buckets[0][0]).days + 1
    return sum(count for _, count in buckets) / days * DAYS_A_MONTH


def windows_a_month(window: str, *, window_rows: int | None = None, rows_a_month: float = 0.0) -> float:
    """How many windows a month has.

    Parameters
    ----------
    window : {"hour", "day", "week", "month", "count"}
    window_rows : int, optional
        Needed for "count".
    rows_a_month : float
        What flows, for "count". The result is rounded up to a power of two, so that thresholds do not follow every
        change of the flow; there is at most one window a day.
    """
    if window != COUNT:
        return A_MONTH[window]
    assert window_rows is not None
    needed = max(1.0, rows_a_month / window_rows)
    return min(DAYS_A_MONTH, 2.0 ** math.ceil(math.log2(needed)))


def season_of(at: datetime, season: str) -> str:
    """The season a moment lies in: "" for none, "hour=13", "weekday=Monday" or "month=06"."""
    at = at.astimezone(UTC)
    match season:
        case "none":
            return ""
        case "hour":
            return f"hour={at.hour:02d}"
        case "weekday":
            return f"weekday={WEEKDAYS[at.weekday()]}"
        case "month":
            return f"month={at.month:02d}"
        case _:
            raise InvalidInput(f"{season!r} is no season. Choose one of: {', '.join(SEASON_CHOICES)}.")


def in_season(times: NDArray[Any], key: str) -> NDArray[np.bool_]:
    """Which rows lie in a season.

    Parameters
    ----------
    times : ndarray of shape (n,), datetime64
        In UTC; rows without a time (NaT) lie in none.
    key : str
        As `season_of` gives it, not "".
    """
    moments = np.asarray(times).astype("datetime64[us]")
    hours = moments.astype("datetime64[h]").astype(np.int64)
    season, _, value = key.partition("=")
    match season:
        case "hour":
            inside = hours % 24 == int(value)
        case "weekday":
            inside = (hours // 24 + 3) % 7 == WEEKDAYS.index(value)
        case "month":
            inside = moments.astype("datetime64[M]").astype(np.int64) % 12 + 1 == int(value)
        case _:
            raise InvalidInput(f"{key!r} names no season.")
    lies_in: NDArray[np.bool_] = inside & ~np.isnat(moments)
    return lies_in


def _no_such_window(window: str) -> InvalidInput:
    return InvalidInput(f"{window!r} is no window of time. Choose one of: {', '.join(A_MONTH)}.")
