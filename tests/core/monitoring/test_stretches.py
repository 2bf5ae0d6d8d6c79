"""Stretches without rows: told in regular streams, not in irregular ones, nor of a stream's nights."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from numpy.typing import NDArray

from core.monitoring.stretches import CHANCE, FEWEST, at_edges, rhythm

MONDAY = np.datetime64("2026-06-01T00:00", "us")
HOUR, DAY, MINUTE = np.timedelta64(1, "h"), np.timedelta64(1, "D"), np.timedelta64(1, "m")


def every(step: np.timedelta64, n: int, start: np.datetime64 = MONDAY) -> NDArray[np.datetime64]:
    return start + np.arange(n) * step


def without(times: NDArray[np.datetime64], after: str, before: str) -> NDArray[np.datetime64]:
    return times[(times <= np.datetime64(after)) | (times >= np.datetime64(before))]


def told(times: NDArray[np.datetime64]) -> list[tuple[str, str, int]]:
    found = rhythm(times)
    assert found is not None
    return [(f"{one.after:%m-%d %H:%M}", f"{one.before:%m-%d %H:%M}", one.n_missing) for one in found.stretches]


def test_a_storm_in_an_hourly_month_is_told_with_its_ends() -> None:
    times = without(every(HOUR, 720), "2026-06-09T00:00", "2026-06-10T13:00")
    assert told(times) == [("06-09 00:00", "06-10 13:00", 36)]
    found = rhythm(times)
    assert found is not None
    assert found.step == timedelta(hours=1)
    assert found.sentence == (
        "Rows come every hour, but none came from 9 Jun 2026, 00:00 to 10 Jun 2026, 13:00 (36 missing)."
    )


@pytest.mark.parametrize(
    ("step", "n", "after", "before", "words"),
    [
        (DAY, 60, "2026-06-10", "2026-06-20", "every day"),
        (10 * MINUTE, 1000, "2026-06-03T10:00", "2026-06-03T14:00", "every 10 minutes"),
        (MINUTE, 1000, "2026-06-01T10:00", "2026-06-01T11:00", "every minute"),
    ],
)
def test_any_regular_step_will_do(step: np.timedelta64, n: int, after: str, before: str, words: str) -> None:
    found = rhythm(without(every(step, n), after, before))
    assert found is not None
    assert len(found.stretches) == 1
    assert found.sentence.startswith(f"Rows come {words}, but none came")


def test_several_rows_of_one_moment_any_order_and_rows_without_a_time_change_nothing(rng: np.random.Generator) -> None:
    times = without(every(HOUR, 720), "2026-06-09T00:00", "2026-06-10T13:00")
    many = np.concatenate([times, times[::3], np.array([np.datetime64("NaT")] * 5)])
    assert told(rng.permutation(many)) == told(times)


def test_steps_that_waver_are_regular_still(rng: np.random.Generator) -> None:
    times = without(every(HOUR, 720), "2026-06-09T00:00", "2026-06-10T13:00")
    wavering = times + (rng.uniform(-90, 90, len(times)) * 1e6).astype("timedelta64[us]")
    assert [one[2] for one in told(wavering)] == [36]


def test_single_missing_hours_are_no_stretch(rng: np.random.Generator) -> None:
    times = every(HOUR, 720)
    assert told(times[rng.random(720) > 0.03]) == []
    assert told(times) == []


@pytest.mark.parametrize("rate", [0.2, 1.0, 3.0, 30.0])
@pytest.mark.parametrize("grain", ["us", "m", "h"])
def test_a_poisson_stream_is_never_told_to_stop(rate: float, grain: str) -> None:
    """Rows at random, 0.2 to 30 an hour, as they are or rounded to what a clock shows: 200 windows of each."""
    n_told = 0
    for seed in range(200):
        drawn = np.random.default_rng(seed)
        waits = drawn.exponential(3.6e9 / rate, 800).astype("timedelta64[us]")
        times = (MONDAY + np.cumsum(waits)).astype(f"datetime64[{grain}]")
        found = rhythm(times)
        n_told += found is not None and bool(found.stretches)
    # Rounded to hours thirty an hour are regular; what is expected there is stated.
    assert n_told <= 200 * CHANCE


def test_nights_and_weekends_are_the_streams_own() -> None:
    minutes = every(10 * MINUTE, 6 * 24 * 28)
    hour = (minutes - minutes.astype("datetime64[D]")) / HOUR
    day = (minutes.astype("datetime64[D]").astype(int) + 3) % 7
    by_day = minutes[(hour >= 6) & (hour < 20)]
    assert told(by_day) == []
    in_the_office = minutes[(hour >= 6) & (hour < 20) & (day < 5)]
    assert told(in_the_office) == []
    hours = every(HOUR, 24 * 7 * 2)
    on_weekdays = hours[(hours.astype("datetime64[D]").astype(int) + 3) % 7 < 5]
    assert told(on_weekdays) == []
    assert told(without(by_day, "2026-06-10T10:00", "2026-06-10T16:00")) == [("06-10 10:00", "06-10 16:00", 35)]


def test_a_weekend_that_is_missing_where_others_are_not_is_told() -> None:
    times = without(every(HOUR, 24 * 14), "2026-06-05T23:00", "2026-06-08T00:00")
    assert told(times) == [("06-05 23:00", "06-08 00:00", 48)]


@pytest.mark.parametrize(
    "times",
    [
        np.array([], dtype="datetime64[us]"),
        np.array([np.datetime64("NaT")] * 100),
        np.repeat(MONDAY, 500),
        every(HOUR, FEWEST),
    ],
)
def test_too_few_moments_say_nothing(times: NDArray[np.datetime64]) -> None:
    assert rhythm(times) is None


def test_the_ends_of_the_window_are_no_stretch() -> None:
    """A month in which rows begin on the tenth may be the month in which the stream began."""
    found = rhythm(every(HOUR, 300, np.datetime64("2026-06-10T00:00", "us")))
    assert found is not None
    assert found.stretches == ()
    assert found.step == timedelta(hours=1)


def at(moment: str) -> datetime:
    return datetime.fromisoformat(moment).replace(tzinfo=UTC)


def edges(times: NDArray[np.datetime64], begins: str, ends: str) -> list[tuple[str, str, int]]:
    """What is told at the edges of a window of a stream that is known as a whole."""
    first, last = np.datetime64(begins), np.datetime64(ends)
    inside = (times >= first) & (times < last)
    found = at_edges(times[inside], times[~inside], begins=at(begins), ends=at(ends))
    return [(f"{one.after:%m-%d %H:%M}", f"{one.before:%m-%d %H:%M}", one.n_missing) for one in found]


JUNE = "2026-06-15T00:00", "2026-06-30T00:00"


@pytest.mark.parametrize(
    ("after", "before", "expected"),
    [
        ("2026-06-13T10:00", "2026-06-16T05:00", [("06-13 10:00", "06-16 05:00", 66)]),
        ("2026-06-15T00:00", "2026-06-16T05:00", []),  # within the window, which `rhythm` tells
        ("2026-06-14T00:00", "2026-06-15T00:00", []),  # up to the window, none of it within
        ("2026-06-29T12:00", "2026-07-01T00:00", [("06-29 12:00", "07-01 00:00", 35)]),
        ("2026-06-29T23:00", "2026-07-02T00:00", []),  # the window's last row came
        ("2026-06-14T10:00", "2026-06-15T05:00", [("06-14 10:00", "06-15 05:00", 18)]),
        ("2026-06-14T10:00", "2026-06-15T03:00", []),  # too little of it within
    ],
)
def test_a_gap_over_a_windows_edge_is_told_with_its_ends(
    after: str, before: str, expected: list[tuple[str, str, int]]
) -> None:
    assert edges(without(every(HOUR, 40 * 24), after, before), *JUNE) == expected


def test_both_edges_may_be_gaps() -> None:
    times = without(every(HOUR, 40 * 24), "2026-06-13T10:00", "2026-06-16T05:00")
    times = without(times, "2026-06-28T00:00", "2026-07-01T07:00")
    assert [one[2] for one in edges(times, *JUNE)] == [66, 78]


def test_where_the_stream_begins_or_ends_nothing_is_told() -> None:
    times = every(HOUR, 40 * 24)
    assert edges(times[times >= np.datetime64("2026-06-18")], *JUNE) == []
    assert edges(times[times < np.datetime64("2026-06-26")], *JUNE) == []
    assert edges(times[:0], *JUNE) == []


def test_a_stream_that_is_hardly_known_or_changed_its_step_tells_nothing_at_the_edges(rng: np.random.Generator) -> None:
    times = without(every(HOUR, 40 * 24), "2026-06-13T10:00", "2026-06-16T05:00")
    short = times[(times >= np.datetime64("2026-06-12")) & (times < np.datetime64("2026-06-19"))]
    assert edges(short, "2026-06-15T00:00", "2026-06-19T00:00") == []
    before, within = times[times < np.datetime64(JUNE[0])], times[times >= np.datetime64(JUNE[0])]
    assert edges(np.concatenate([before[::6], within]), *JUNE) == []
    waits = rng.exponential(3.6e9, 40 * 24).astype("timedelta64[us]")
    assert edges(MONDAY + np.cumsum(waits), *JUNE) == []


@pytest.mark.parametrize("closed", [(), (6,), (5, 6)], ids=["nights", "Sundays too", "weekends too"])
def test_no_day_is_told_of_its_night_nor_a_monday_of_its_weekend(closed: tuple[int, ...]) -> None:
    """A stream of three weeks, day by day, as it is known on each: two weeks before, and the day after."""
    minutes = every(10 * MINUTE, 6 * 24 * 28)
    hour = (minutes - minutes.astype("datetime64[D]")) / HOUR
    day = (minutes.astype("datetime64[D]").astype(int) + 3) % 7
    times = minutes[(hour >= 6) & (hour < 20) & ~np.isin(day, closed)]
    for number in range(28):
        first = MONDAY + number * DAY
        known = times[(times >= first - 15 * DAY) & (times < first + 16 * DAY)]
        begins, ends = (str(one.astype("datetime64[m]")) for one in (first, first + DAY))
        assert edges(known, begins, ends) == []
    late = without(times, "2026-06-23T19:50", "2026-06-24T11:00")
    known = late[late < np.datetime64("2026-06-26")]
    assert edges(known, "2026-06-24T00:00", "2026-06-25T00:00") == [("06-23 19:50", "06-24 11:00", 90)]


@pytest.mark.parametrize("rate", [0.2, 3.0])
@pytest.mark.parametrize("grain", ["us", "h"])
def test_the_edges_of_a_poisson_stream_are_no_gaps(rate: float, grain: str) -> None:
    n_told = 0
    for seed in range(100):
        waits = np.random.default_rng(seed).exponential(3.6e9 / rate, 3_000).astype("timedelta64[us]")
        times = (MONDAY + np.cumsum(waits)).astype(f"datetime64[{grain}]")
        n_told += bool(edges(times, *JUNE))
    assert n_told <= 100 * CHANCE
