"""PURE: deciding whether a monitor is silent, late or fed unusually many or few rows, given what came and the time.

What is usual is learned from the past eight weeks, never assumed. Three choices keep a quiet place quiet:

- Silence is counted in *usual hours*: an hour of the week in which the model answered in 3 of 4 weeks counts 0.75, so
  that nights and weekends without work count nothing. The limit is twice the *second* longest silence there was: the
  longest may have been an outage itself.
- What has no past has no rule. A log must hold six hours with predictions over a day, volume three values of the same
  hour and weekday.
- Two weeks tell nights from weekends. Before, a stream that pauses is missed after four days at the earliest, the
  length of a weekend with a holiday; one that never pauses is missed at once, on a Saturday or Sunday only where it has
  answered on one.
- A limit in hours that a person set holds at once, and from the moment the version went live.

Whatever cannot be told is `Outlook.UNKNOWN`: it opens nothing, and it closes nothing either. What arrives now and then
(batches, labels) is judged in `arrivals`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

HOUR, DAY, WEEK = timedelta(hours=1), timedelta(days=1), timedelta(weeks=1)
HISTORY = 8 * WEEK
HOURS_A_WEEK = 168
FEWEST_ACTIVE_HOURS = 6
FEWEST_ALIKE = 3
FEWEST_USUAL_ROWS = 20
WEEKEND_FROM = 5 * 24
LEARNING = 2 * WEEK
LONG_WEEKEND = 4 * DAY
NEVER_PAUSES = 0.9
HOUR_S = 3600


class Outlook(StrEnum):
    """What a rule makes of what it saw."""

    FIRES = "fires"
    QUIET = "quiet"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Finding:
    """A rule's decision, in a sentence without its subject, and since when where it fires."""

    outlook: Outlook
    sentence: str
    since_at: datetime | None = None


@dataclass(frozen=True)
class Hours:
    """Rows by whole hours of UTC.

    Parameters
    ----------
    first : datetime
        The begin of the first hour.
    rows : ndarray of shape (n_hours,)
        The last is the hour that still runs.
    """

    first: datetime
    rows: NDArray[np.float64]

    def of_week(self) -> NDArray[np.int64]:
        """The hour of the week of each, 0 is Monday's first."""
        start = self.first.weekday() * 24 + self.first.hour
        return np.asarray((start + np.arange(len(self.rows))) % HOURS_A_WEEK)


def hours_of(spans: Sequence[tuple[datetime, datetime, int]], now: datetime) -> Hours:
    """Count rows by the hour over the last eight weeks.

    Parameters
    ----------
    spans : sequence of (from, to, rows)
        Rows lie evenly in [from, to], both included; what lies before or after is left out.
    now : datetime
    """
    last = _hour(now)
    first = last - HISTORY
    rows = np.zeros(int((last - first) / HOUR) + 1)
    for from_at, to_at, count in spans:
        low, high = int((_hour(from_at) - first) / HOUR), int((_hour(to_at) - first) / HOUR)
        share = count / (high - low + 1)
        rows[max(low, 0) : max(high + 1, 0)] += share
    return Hours(first, rows)


def no_predictions(
    hours: Hours, *, last_at: datetime | None, live_since: datetime, now: datetime, limit_hours: float | None
) -> Finding:
    """Decide whether a live version is silent.

    Parameters
    ----------
    hours : Hours
    last_at : datetime or None
        The newest prediction ever; None for never.
    live_since : datetime
        When the present version went live.
    limit_hours : float or None
        None to learn it.
    """
    ended = max(last_at, live_since) if last_at and limit_hours is not None else last_at or live_since
    silent = now - ended
    said = f"no prediction for {in_words(silent)}" if last_at else f"no prediction since it went live {ago(silent)}"
    if limit_hours is not None:
        if silent > limit_hours * HOUR:
            return Finding(Outlook.FIRES, f"{said}; {limit_hours:g} h is the limit that was set.", ended)
        return Finding(Outlook.QUIET, _last(last_at, now))
    if last_at is None:
        return Finding(Outlook.UNKNOWN, "It has never answered through the scoring address; its silence says nothing.")
    active = np.flatnonzero(hours.rows > 0)
    if len(active) < FEWEST_ACTIVE_HOURS or active[-1] - active[0] < 24:
        return Finding(Outlook.UNKNOWN, f"{_last(last_at, now)} That is too little to know its usual pauses.")
    usual = _usual_share(hours, int(active[0]), int(active[-1]))
    weight = np.concatenate(([0.0], np.cumsum(usual)))
    pauses = weight[active[1:]] - weight[active[:-1] + 1]
    second = float(np.sort(pauses)[-2])
    # The hour that still runs may yet bring a prediction.
    n_silent_hours = float(weight[-2] - weight[active[-1] + 1]) if active[-1] + 1 < len(weight) - 1 else 0.0
    limit = max(1.0, 2 * second)
    fires = n_silent_hours > limit if second else n_silent_hours >= 1
    # A steady stream misses one hour now and then; a model asked once a day or week that misses its turn is late.
    if fires and (n_silent_hours >= 2 or silent >= DAY):
        if _young(active) and len(active) < NEVER_PAUSES * (active[-1] - active[0] + 1) and silent < LONG_WEEKEND:
            return Finding(Outlook.UNKNOWN, f"{_last(last_at, now)} Its nights and weekends are known after two weeks.")
        sentence = f"{said}, of which it usually answers in {n_silent_hours:.0f} h; at most {limit:.0f} h is usual."
        return Finding(Outlook.FIRES, sentence, last_at)
    return Finding(Outlook.QUIET, _last(last_at, now))


def _usual_share(hours: Hours, first: int, last: int) -> NDArray[np.float64]:
    """How usual a prediction is in each hour, 0 to 1, from the weeks between the first and the last.

    Below two weeks 1, but 0 in weekends where it has answered in none.
    """
    of_week = hours.of_week()
    seen = slice(first, last + 1)
    if last - first < 2 * HOURS_A_WEEK:
        weekend = of_week >= WEEKEND_FROM
        answered = bool(np.any(hours.rows[seen][weekend[seen]] > 0))
        return np.where(weekend & (not answered), 0.0, 1.0)
    active = np.bincount(of_week[seen], weights=hours.rows[seen] > 0, minlength=HOURS_A_WEEK)
    return np.asarray((active / np.bincount(of_week[seen], minlength=HOURS_A_WEEK))[of_week])


def _young(active: NDArray[np.int64]) -> bool:
    return bool(active[-1] - active[0] < LEARNING / HOUR)


def volume(hours: Hours, *, width: float) -> Finding:
    """Decide whether the last whole hour or day had unusually many or few rows.

    Rows are compared as square roots, which makes the noise of counts alike whatever their size. The band around the
    median of the same hour (or weekday) reaches ``width`` robust deviations (1.4826 times the median absolute residual
    of the past, 0.5 at least, the deviation of pure counting), and 1.5 times the second largest residual on that side.
    Besides, the hour must have less than half of, or more than twice, the usual rows by four such deviations: an hour
    that was lived through twice, because the clock was set back, has just twice as many.

    Parameters
    ----------
    hours : Hours
    width : float
        > 0.
    """
    active = np.flatnonzero(hours.rows > 0)
    if len(active) == 0:
        return Finding(Outlook.UNKNOWN, "No rows in eight weeks.")
    whole = hours.rows[active[0] : -1]
    of_week = hours.of_week()[active[0] : -1]
    found = _judge_volume(whole, of_week, "hour", width)
    if found is None:
        begin = int(np.argmax(hours.of_week() % 24 == 0))
        begin += 24 * -(-max(0, int(active[0]) - begin) // 24)
        n_days = (len(hours.rows) - 1 - begin) // 24
        if n_days > 0:
            days = hours.rows[begin : begin + 24 * n_days].reshape(n_days, 24).sum(axis=1)
            found = _judge_volume(days, hours.of_week()[begin : begin + 24 * n_days : 24] // 24, "day", width)
    return found or Finding(Outlook.UNKNOWN, "Too few rows, or weeks, to know how many are usual.")


def _judge_volume(rows: NDArray[np.float64], season: NDArray[np.int64], noun: str, width: float) -> Finding | None:
    if len(rows) == 0:
        return None
    expected = np.full(len(rows), np.nan)
    for place in range(len(rows)):
        alike = np.flatnonzero(season == season[place])
        others = rows[alike[alike != place]]
        if len(others) >= FEWEST_ALIKE:
            expected[place] = np.median(others)
    usual, last = expected[-1], rows[-1]
    if not usual >= FEWEST_USUAL_ROWS:
        return None
    if last == 0:
        return Finding(Outlook.UNKNOWN, f"No rows in the last {noun}: that is silence, which has its own rule.")
    residuals = np.sqrt(rows) - np.sqrt(expected)
    residual, past = residuals[-1], residuals[:-1][np.isfinite(residuals[:-1])]
    side = np.sort(past * np.sign(residual))
    spread = max(0.5, 1.4826 * float(np.median(np.abs(past))))
    reach = max(width * spread, 1.5 * float(side[-2]) if len(side) > 1 else 0.0)
    said = f"{last:,.0f} rows in the last whole {noun}; about {usual:,.0f} are usual"
    # `usual` is a median of few and varies itself; its square root by up to as much as a single hour's.
    far = 4 * spread
    if abs(residual) > reach and not np.sqrt(usual / 2) - far <= np.sqrt(last) <= np.sqrt(2 * usual) + far:
        low, high = max(0.0, np.sqrt(usual) - reach) ** 2, (np.sqrt(usual) + reach) ** 2
        return Finding(Outlook.FIRES, f"{said} at that time, {low:,.0f} to {high:,.0f}.")
    return Finding(Outlook.QUIET, f"{said}.")


def in_words(span: timedelta) -> str:
    """A length of time in its one largest unit: "45 min", "5 h", "3 days"; "0 min" for one below zero."""
    minutes = max(0.0, span / timedelta(minutes=1))  # a clock may have been set back
    if minutes < 90:
        return f"{minutes:.0f} min"
    if minutes < 48 * 60:
        return f"{minutes / 60:.0f} h"
    return f"{minutes / 1440:.0f} days"


def ago(span: timedelta) -> str:
    """How long ago: "5 h ago"."""
    return f"{in_words(span)} ago"


def _last(last_at: datetime | None, now: datetime) -> str:
    return f"The last prediction was {ago(now - last_at)}." if last_at else "It has not answered yet."


def upper(sentence: str) -> str:
    """A sentence with its first letter made large."""
    return sentence[:1].upper() + sentence[1:]


def _hour(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
