"""Silence, rhythm, volume: what is usual is learned, what is not known opens nothing, quiet streams stay quiet."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from numpy.typing import NDArray

from core.monitoring import arrivals, liveness
from core.monitoring.liveness import DAY, HISTORY, HOUR, WEEK, Hours, Outlook, hours_of

NOW = datetime(2026, 3, 12, 14, 5, tzinfo=UTC)  # a Thursday
LONG_AGO = NOW - 52 * WEEK
FIRES, QUIET, UNKNOWN = Outlook.FIRES, Outlook.QUIET, Outlook.UNKNOWN


def stream(rows_at: Callable[[int], float], *, now: datetime = NOW, silent_hours: int = 0, weeks: float = 8) -> Hours:
    """Rows by the hour of the week, for some weeks up to a silence."""
    hours = hours_of([], now)
    rows = np.array([float(rows_at(int(hour))) for hour in hours.of_week()])
    rows[-1] = 0  # the running hour has brought nothing yet
    if silent_hours:
        rows[-1 - silent_hours :] = 0
    rows[: max(0, len(rows) - int(weeks * 168))] = 0
    return Hours(hours.first, rows)


def silence(hours: Hours, *, now: datetime = NOW, limit_hours: float | None = None) -> liveness.Finding:
    active = np.flatnonzero(hours.rows)
    last_at = hours.first + int(active[-1]) * HOUR + timedelta(minutes=59) if len(active) else None
    return liveness.no_predictions(hours, last_at=last_at, live_since=LONG_AGO, now=now, limit_hours=limit_hours)


def at_work(hour: int) -> float:
    return 30.0 if hour < 120 and 9 <= hour % 24 < 17 else 0.0


def test_rows_are_counted_in_the_hours_they_lie_in() -> None:
    hours = hours_of(
        [
            (NOW - timedelta(hours=3), NOW - timedelta(hours=3), 6),
            (NOW - timedelta(hours=3), NOW - timedelta(hours=1), 30),  # a file over three hours
            (NOW - HISTORY - DAY, NOW - HISTORY - DAY, 99),
        ],
        NOW,
    )
    assert hours.rows[-4:].tolist() == [16, 10, 10, 0]
    assert hours.rows.sum() == 36
    assert hours.of_week()[-1] == 3 * 24 + 14


@pytest.mark.parametrize(
    ("name", "rows_at", "silent_hours", "expected"),
    [
        ("steady, one hour missing", lambda _h: 50, 1, QUIET),
        ("steady, two hours missing", lambda _h: 50, 2, FIRES),
        ("office hours, asked at two o'clock", at_work, 1, QUIET),
        ("office hours, all of today missing", at_work, 5, FIRES),
        ("once a day at three, today's came", lambda h: 500 * (h % 24 == 3), 10, QUIET),
        ("once a day at three, today's missing", lambda h: 500 * (h % 24 == 3), 12, FIRES),
        ("once a week on Thursday at ten, came", lambda h: 500 * (h == 82), 2, QUIET),
        ("once a week on Thursday at ten, missing", lambda h: 500 * (h == 82), 10, FIRES),
        ("never", lambda _h: 0, 0, UNKNOWN),
    ],
)  # fmt: skip
def test_silence_is_judged_by_the_hours_in_which_it_usually_answers(
    name: str, rows_at: Callable[[int], float], silent_hours: int, expected: Outlook
) -> None:
    assert silence(stream(rows_at, silent_hours=silent_hours)).outlook is expected


def test_a_weekend_without_work_is_no_silence_but_a_monday_is() -> None:
    sunday, monday = datetime(2026, 3, 15, 20, 5, tzinfo=UTC), datetime(2026, 3, 16, 13, 5, tzinfo=UTC)
    assert silence(stream(at_work, now=sunday), now=sunday).outlook is QUIET
    found = silence(stream(at_work, now=monday, silent_hours=8), now=monday)
    assert found.outlook is FIRES
    assert found.since_at == datetime(2026, 3, 13, 16, 59, tzinfo=UTC)
    assert found.sentence == "no prediction for 3 days, of which it usually answers in 4 h; at most 1 h is usual."


def test_one_outage_in_the_past_does_not_excuse_the_next() -> None:
    hours = stream(lambda _h: 50, silent_hours=6)
    hours.rows[500:540] = 0
    assert silence(hours).outlook is FIRES


def test_pauses_that_come_again_and_again_are_usual() -> None:
    hours = stream(lambda _h: 50, silent_hours=6)
    for start in range(100, 1300, 150):  # each in another hour of the week
        hours.rows[start : start + 6] = 0
    assert silence(hours).outlook is QUIET


@pytest.mark.parametrize("weeks", [0.02, 0.1])
def test_too_short_a_past_has_no_rule(weeks: float) -> None:
    found = silence(stream(lambda _h: 50, silent_hours=20, weeks=20 / 168 + weeks))
    assert found.outlook is UNKNOWN
    assert "too little" in found.sentence


def test_a_limit_that_was_set_holds_at_once_and_from_going_live() -> None:
    never = hours_of([], NOW)
    live_since = NOW - timedelta(hours=5)
    for limit, expected in ((4.0, FIRES), (6.0, QUIET)):
        found = liveness.no_predictions(never, last_at=None, live_since=live_since, now=NOW, limit_hours=limit)
        assert found.outlook is expected
        swapped = liveness.no_predictions(never, last_at=NOW - DAY, live_since=live_since, now=NOW, limit_hours=limit)
        assert swapped.outlook is expected
    assert silence(stream(lambda _h: 50, silent_hours=1), limit_hours=0.5).outlook is FIRES


@pytest.mark.parametrize(
    "rows",
    [
        lambda rng, n: rng.poisson(0.2, n),
        lambda rng, n: rng.poisson(3, n),
        lambda rng, n: rng.poisson(100 * rng.lognormal(0, 1, n)),
        lambda rng, n: np.where(rng.random(n) < 0.1, rng.poisson(50, n), 0),
    ],
    ids=["sparse", "some", "heavy tails", "bursts"],
)  # fmt: skip
def test_quiet_streams_stay_quiet(
    rows: Callable[[np.random.Generator, int], NDArray[np.int64]], rng: np.random.Generator
) -> None:
    """Twelve quiet weeks, judged every hour of the last four: at most one false call of silence and one of volume."""
    n = 12 * 168
    drawn = rows(rng, n).astype(float)
    start = NOW.replace(minute=0) - (n - 1) * HOUR
    calls = {"silence": 0, "volume": 0}
    before = dict.fromkeys(calls, False)
    for place in range(8 * 168, n):
        seen = drawn[place - 1344 : place + 1].copy()
        seen[-1] = 0
        now = start + place * HOUR + timedelta(minutes=5)
        hours = Hours(now.replace(minute=0) - HISTORY, seen)
        found = {"silence": silence(hours, now=now)}
        if place % 40 == 0:
            found["volume"] = liveness.volume(hours, width=5)
        for name, one in found.items():
            fires = one.outlook is FIRES
            calls[name] += fires and not before[name]
            before[name] = fires
    assert max(calls.values()) <= 1


@pytest.mark.parametrize(
    ("factor", "expected"), [(0.3, FIRES), (0.8, QUIET), (1.3, QUIET), (4.0, FIRES), (0.0, UNKNOWN)]
)
def test_volume_is_held_against_the_same_hour_and_weekday(
    factor: float, expected: Outlook, rng: np.random.Generator
) -> None:
    hours = stream(lambda h: 400.0 if h < 120 else 40.0)
    rows = rng.poisson(hours.rows).astype(float)
    rows[-2] = round(rows[-2] * factor)
    found = liveness.volume(Hours(hours.first, rows), width=5)
    assert found.outlook is expected
    if expected is FIRES:
        assert "about" in found.sentence
        assert " to " in found.sentence


def test_few_rows_an_hour_are_judged_by_the_day(rng: np.random.Generator) -> None:
    hours = stream(lambda _h: 4.0)
    rows = rng.poisson(hours.rows).astype(float)
    assert liveness.volume(Hours(hours.first, rows), width=5).sentence.count("day") == 1
    assert liveness.volume(Hours(hours.first, rows), width=5).outlook is QUIET
    yesterday = slice(-15 - 24, -15)  # it is between two and three in the afternoon
    rows[yesterday] *= 5
    found = liveness.volume(Hours(hours.first, rows), width=5)
    assert found.outlook is FIRES
    assert "in the last whole day" in found.sentence


@pytest.mark.parametrize("weeks", [0, 1, 2.5])
def test_volume_needs_three_weeks(weeks: float) -> None:
    hours = stream(lambda _h: 100, weeks=weeks)
    hours.rows[-2] *= 50
    assert liveness.volume(hours, width=5).outlook is UNKNOWN


def test_a_wider_band_fires_later() -> None:
    hours = stream(lambda _h: 100)
    hours.rows[-2] = 270
    assert liveness.volume(hours, width=5).outlook is FIRES
    assert liveness.volume(hours, width=20).outlook is QUIET


MONTHLY = [NOW - timedelta(days=30 * back + 10) for back in range(5, -1, -1)]


@pytest.mark.parametrize(
    ("name", "batches", "limit_hours", "expected"),
    [
        ("none", [], None, UNKNOWN),
        ("a monthly rhythm", MONTHLY, None, QUIET),
        ("a monthly rhythm that stopped", [at - timedelta(days=60) for at in MONTHLY], None, FIRES),
        ("a history handed in at once, long ago", [NOW - 90 * DAY + place * HOUR / 9 for place in range(12)], None,
         UNKNOWN),
        ("a history at once, then monthly", [NOW - 90 * DAY] * 12 + MONTHLY[-3:], None, QUIET),
        ("a limit that was set", MONTHLY, 24 * 9, FIRES),
        ("a wider limit that was set", MONTHLY, 24 * 11, QUIET),
        ("a limit, and nothing ever came", [], 24, UNKNOWN),
    ],
)  # fmt: skip
def test_batches_are_held_against_their_own_rhythm(
    name: str, batches: list[datetime], limit_hours: float | None, expected: Outlook
) -> None:
    found = arrivals.freshness(batches, last_prediction_at=None, now=NOW, limit_hours=limit_hours)
    assert found.outlook is expected


def test_with_a_limit_predictions_are_data_too() -> None:
    recent = NOW - timedelta(hours=1)
    assert arrivals.freshness(MONTHLY, last_prediction_at=recent, now=NOW, limit_hours=24).outlook is QUIET


@pytest.mark.parametrize(
    ("name", "came", "last_prediction_at", "limit_hours", "expected"),
    [
        ("labels every day, then none", [NOW - (30 - day) * DAY for day in range(26)], NOW - HOUR, None, FIRES),
        ("labels every day", [NOW - (30 - day) * DAY for day in range(30)], NOW - HOUR, None, QUIET),
        ("no predictions either", [NOW - (30 - day) * DAY for day in range(26)], NOW - 6 * DAY, None, QUIET),
        ("labels once", [NOW - 60 * DAY], NOW - HOUR, None, UNKNOWN),
        ("labels never", [], NOW - HOUR, None, UNKNOWN),
        ("a limit that was set", [NOW - 3 * DAY], NOW - HOUR, 48.0, FIRES),
        ("a limit, and labels never", [], NOW - HOUR, 48.0, UNKNOWN),
    ],
)  # fmt: skip
def test_labels_are_missed_where_they_used_to_come(
    name: str,
    came: list[datetime],
    last_prediction_at: datetime,
    limit_hours: float | None,
    expected: Outlook,
) -> None:
    found = arrivals.no_labels(came, last_prediction_at=last_prediction_at, now=NOW, limit_hours=limit_hours)
    assert found.outlook is expected


def test_data_that_waits_to_be_measured() -> None:
    assert arrivals.not_run(None, now=NOW, limit_hours=2).outlook is QUIET
    assert arrivals.not_run(NOW - HOUR, now=NOW, limit_hours=2).outlook is QUIET
    late = arrivals.not_run(NOW - 3 * HOUR, now=NOW, limit_hours=2)
    assert (late.outlook, late.since_at) == (FIRES, NOW - 3 * HOUR)
