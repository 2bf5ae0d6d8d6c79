"""No false alarm in quiet months, each planted silence found once: streams and arrivals, judged by the hour."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from numpy.typing import NDArray

from core.monitoring import arrivals, liveness
from core.monitoring.liveness import DAY, HISTORY, HOUR, Finding, Hours, Outlook

MONDAY = datetime(2026, 1, 5, tzinfo=UTC)
PAST_DAYS = 42
Rates = Callable[[NDArray[np.int64], NDArray[np.int64]], NDArray[np.float64]]

# Predictions an hour, by the hour of the day and the weekday, Monday 0.
STREAMS: dict[str, Rates] = {
    "daily and weekly rhythm": lambda hour, day: 100 * (1.2 + np.sin(hour / 12 * np.pi)) * np.where(day < 5, 1, 0.5),
    "weekends off": lambda hour, day: 120.0 * ((day < 5) & (hour >= 8) & (hour < 19)),
    "Friday and Saturday off": lambda hour, day: 30.0 * (~np.isin(day, (4, 5)) & (hour >= 8) & (hour < 18)),
    "few, in office hours": lambda hour, day: 6.0 * ((day < 5) & (hour >= 9) & (hour < 17)),
    "few, at any time": lambda hour, _day: 0.4 * (1.2 + np.sin(hour / 12 * np.pi)),
    "round the clock": lambda hour, _day: np.full(len(hour), 50.0),
    "round the clock, weekends off": lambda _hour, day: 40.0 * (day < 5),
    "once a night": lambda hour, _day: 500.0 * (hour == 3),
}


def rows_of(name: str, days: int, rng: np.random.Generator, first_weekday: int = 0) -> NDArray[np.float64]:
    """Rows by the hour from a midnight on."""
    hours = np.arange(24 * days)
    rates = STREAMS[name](hours % 24, (hours // 24 + first_weekday) % 7)
    return rng.poisson(rates).astype(float)


def judged(rows: NDArray[np.float64], begin: datetime, place: int) -> dict[str, Finding]:
    """What the two rules of a log say five minutes into an hour, which has brought nothing yet."""
    now = begin + place * HOUR + timedelta(minutes=5)
    n_kept = int(HISTORY / HOUR)
    seen = np.zeros(n_kept + 1)
    past = rows[max(0, place - n_kept) : place]
    seen[-1 - len(past) : -1] = past
    active = np.flatnonzero(rows[:place])
    last_at = begin + int(active[-1]) * HOUR + timedelta(minutes=59) if len(active) else None
    hours = Hours(now.replace(minute=0) - HISTORY, seen)
    found = {
        "no_predictions": liveness.no_predictions(hours, last_at=last_at, live_since=begin, now=now, limit_hours=None)
    }
    if place % 29 == 0:  # each hour of the day and of the week now and then: it is the costlier one
        found["volume"] = liveness.volume(hours, width=5)
    return found


def raised(found: Iterator[Finding]) -> int:
    """How often an alert is opened: what cannot be told neither opens nor closes one."""
    n, stands = 0, False
    for one in found:
        if one.outlook is not Outlook.UNKNOWN:
            n += one.outlook is Outlook.FIRES and not stands
            stands = one.outlook is Outlook.FIRES
    return n


@pytest.mark.parametrize("name", STREAMS)
def test_thirty_quiet_days_of_a_known_stream_raise_nothing(name: str, rng: np.random.Generator) -> None:
    rows = rows_of(name, PAST_DAYS + 30, rng)
    found = [judged(rows, MONDAY, place) for place in range(24 * PAST_DAYS, len(rows))]
    for kind in ("no_predictions", "volume"):
        assert raised(one[kind] for one in found if kind in one) == 0, kind


@pytest.mark.parametrize("first_weekday", [0, 3, 5])
@pytest.mark.parametrize("name", STREAMS)
def test_a_fresh_monitor_raises_nothing_in_its_first_month(
    name: str, first_weekday: int, rng: np.random.Generator
) -> None:
    """Its first nights and weekends are not silence, whichever weekday it begins on."""
    rows = rows_of(name, 30, rng, first_weekday)
    begin = MONDAY + first_weekday * DAY
    found = [judged(rows, begin, place) for place in range(1, len(rows))]
    for kind in ("no_predictions", "volume"):
        assert raised(one[kind] for one in found if kind in one) == 0, kind


def test_a_clock_set_back_by_an_hour_raises_nothing(rng: np.random.Generator) -> None:
    """One hour is lived through twice: it has twice the rows, and what was last seen lies in the future."""
    alarms = 0
    for _ in range(15):
        rows = rows_of("round the clock", 60, rng)
        rows[-25] += rows[-26]
        alarms += raised(liveness.volume(Hours(MONDAY, np.append(rows[: -24 + k], 0)), width=5) for k in range(3))
    assert alarms == 0
    now = MONDAY + 60 * DAY
    hours = Hours(now - HISTORY, np.append(rows_of("round the clock", 56, rng), 0))
    ahead = now + timedelta(minutes=55)
    silent = liveness.no_predictions(hours, last_at=ahead, live_since=MONDAY, now=now, limit_hours=None)
    assert (silent.outlook, silent.sentence) == (Outlook.QUIET, "The last prediction was 0 min ago.")
    days = [now - day * DAY for day in range(20, 0, -1)]
    assert arrivals.freshness([*days, ahead], last_prediction_at=None, now=now, limit_hours=None).outlook is (
        Outlook.QUIET
    )
    assert arrivals.not_run(ahead, now=now, limit_hours=2, worked=DAY).outlook is Outlook.QUIET


@pytest.mark.parametrize("name", [name for name in STREAMS if name != "few, at any time"])
def test_a_stream_that_stops_is_missed_once_and_until_it_goes_on(name: str, rng: np.random.Generator) -> None:
    """Eight days of silence on a Tuesday after six weeks: one alert, before the next day ends, closed by the first row.

    A stream of a row every other hour needs the week to be sure.
    """
    rows = rows_of(name, PAST_DAYS + 21, rng)
    stops, goes_on = 24 * (PAST_DAYS + 1) + 10, 24 * (PAST_DAYS + 9) + 10
    rows[stops:goes_on] = 0
    found = [judged(rows, MONDAY, place)["no_predictions"] for place in range(stops, len(rows))]
    fires = [place for place, one in enumerate(found) if one.outlook is Outlook.FIRES]
    assert raised(iter(found)) == 1
    assert fires[0] <= 38
    next_row = int(np.flatnonzero(rows[goes_on:])[0]) + goes_on - stops
    assert fires[-1] <= next_row
    assert fires == list(range(fires[0], fires[-1] + 1))


@pytest.mark.parametrize("factor", [0.2, 5.0])
def test_an_unusual_hour_is_raised_once_and_over_with_the_next(factor: float, rng: np.random.Generator) -> None:
    rows = rows_of("daily and weekly rhythm", PAST_DAYS + 2, rng)
    odd = 24 * PAST_DAYS + 14
    rows[odd] = round(rows[odd] * factor)
    found = [
        liveness.volume(Hours(MONDAY, np.append(rows[: place + 1], 0)), width=5) for place in range(odd - 3, odd + 4)
    ]
    assert [one.outlook is Outlook.FIRES for one in found] == [False] * 3 + [True] + [False] * 3


def each_hour(came: Sequence[datetime], days: int) -> Iterator[tuple[datetime, list[datetime]]]:
    """Every hour of some days, with what had come by then."""
    for hour in range(24 * days):
        now = MONDAY + hour * HOUR
        yield now, [at for at in came if at <= now]


@pytest.mark.parametrize("first_weekday", [0, 2, 4])
@pytest.mark.parametrize(
    "rhythm",
    [
        lambda day: day.weekday() < 5,
        lambda day: day.weekday() == 0,
        lambda _day: True,
        lambda day: day.day == 3,
        lambda day: day.weekday() not in {4, 5},
    ],
    ids=["weekdays", "Mondays", "daily", "monthly", "Friday and Saturday off"],
)
def test_batches_and_labels_in_their_rhythm_are_never_missed(
    rhythm: Callable[[datetime], bool], first_weekday: int, rng: np.random.Generator
) -> None:
    """From the first arrival on; each comes up to three hours late."""
    days = [MONDAY + day * DAY for day in range(first_weekday, 60)]
    came = [day + timedelta(hours=8 + float(rng.uniform(0, 3))) for day in days if rhythm(day)]
    seen = list(each_hour(came, 60))
    assert raised(arrivals.freshness(so_far, last_prediction_at=None, now=now, limit_hours=None)
                  for now, so_far in seen) == 0  # fmt: skip
    assert raised(arrivals.no_labels(so_far, last_prediction_at=now, now=now, limit_hours=None)
                  for now, so_far in seen) == 0  # fmt: skip
    # Each holds the rows of the days since the one before, up to its own midnight.
    rows = [(at, at.replace(hour=0, minute=0, second=0, microsecond=0)) for at in came]
    assert raised(arrivals.late_rows(rows[:n], limit_hours=None) for n in range(1, len(rows) + 1)) == 0


def test_batches_that_stop_are_missed_once_until_the_next_comes() -> None:
    came = [MONDAY + day * DAY + 8 * HOUR for day in [*range(30), *range(40, 50)]]
    found = [
        arrivals.freshness(so_far, last_prediction_at=None, now=now, limit_hours=None)
        for now, so_far in each_hour(came, 50)
    ]
    fires = [place for place, one in enumerate(found) if one.outlook is Outlook.FIRES]
    assert raised(iter(found)) == 1
    assert (fires[0], fires[-1]) == (24 * 31 + 9, 24 * 40 + 7)  # two days after the last, until the hour of the next


def test_batches_of_old_rows_are_late_though_they_come() -> None:
    """What fills the batches stops after a month; what hands them in goes on, then newer rows come again."""

    def batch(day: int) -> tuple[datetime, datetime]:
        return MONDAY + day * DAY + 8 * HOUR, MONDAY + (min(day, 30) if day < 40 else day) * DAY

    rows = [batch(day) for day in range(45)]
    found = [arrivals.late_rows(rows[: day + 1], limit_hours=None) for day in range(45)]
    assert [day for day, one in enumerate(found) if one.outlook is Outlook.FIRES] == list(range(33, 40))
    assert found[33].sentence == (
        "the newest row was 3 days old when the last batch came; 3 days would be usual at most. "
        "Rows come, but no newer ones."
    )
    assert found[33].since_at == MONDAY + 30 * DAY
    assert arrivals.late_rows(rows[:32], limit_hours=24).outlook is Outlook.FIRES  # a limit that was set holds at once
    assert arrivals.late_rows([], limit_hours=24).outlook is Outlook.UNKNOWN


def test_a_batch_that_fills_a_gap_of_the_past_makes_nothing_late() -> None:
    rows = [(MONDAY + day * DAY + 8 * HOUR, MONDAY + day * DAY) for day in range(20)]
    rows.append((MONDAY + 19 * DAY + 12 * HOUR, MONDAY - 90 * DAY))
    assert arrivals.late_rows(rows, limit_hours=None).outlook is Outlook.QUIET


def test_history_handed_in_at_once_is_not_late() -> None:
    rows = [(MONDAY + place * HOUR / 4, MONDAY - (400 - 30 * place) * DAY) for place in range(12)]
    assert arrivals.late_rows(rows, limit_hours=None).outlook is Outlook.UNKNOWN


@pytest.mark.parametrize(("worked_h", "expected"), [(0.2, Outlook.QUIET), (1.9, Outlook.QUIET), (2.5, Outlook.FIRES)])
def test_data_that_waited_for_a_worker_to_come_back_is_not_late_yet(worked_h: float, expected: Outlook) -> None:
    """A worker was down for six hours: what waits is missed once one has run for as long as the limit."""
    now = MONDAY + DAY
    found = arrivals.not_run(now - 6 * HOUR, now=now, limit_hours=2, worked=worked_h * HOUR)
    assert found.outlook is expected
