"""Stretches without rows: told in regular streams, not in irregular ones, nor of a stream's nights."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest
from numpy.typing import NDArray

from core.monitoring.stretches import CHANCE, FEWEST, rhythm

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
