"""Stretches without rows in a stream whose rows come in regular steps. PURE.

Of a stream without a regular step nothing is told: in a Poisson stream any pause is chance. In a regular one a stretch
is told where it is clearly longer than the usual step, where rows that go missing one by one do not explain it, and
where it is not the stream's own rhythm (its nights, its weekends).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.wording import enumerated

FEWEST = 24
"""Steps a stream needs before its usual one is told."""
REGULAR = 0.9
"""Share of the steps that must be the usual one, within a tenth of it."""
TOLERANCE = 0.1
LONGER = 4.0
"""A stretch is longer than so many usual steps."""
CHANCE = 0.01
"""Expected number of runs of missing rows so long, below which chance does not explain one."""
SAME_HOUR = timedelta(hours=1)
NAMED = 3
UNITS = (("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1))
FRIDAY, SATURDAY = 4, 5


@dataclass(frozen=True)
class Stretch:
    """A stretch of time in which no row came: the last moment before it, the first after it, how many are missing."""

    after: datetime
    before: datetime
    n_missing: int

    def to_json(self) -> dict[str, Any]:
        """The fields by name, moments as ISO 8601."""
        return {"after": self.after.isoformat(), "before": self.before.isoformat(), "n_missing": self.n_missing}


@dataclass(frozen=True)
class Rhythm:
    """How often rows come, and where none did; oldest stretch first."""

    step: timedelta
    stretches: tuple[Stretch, ...]

    @property
    def sentence(self) -> str:
        """What was found, in words."""
        every = f"Rows come {_every(self.step)}"
        if not self.stretches:
            return f"{every}, without a gap that is not usual."
        told = [f"{_stamp(one.after)} to {_stamp(one.before)} ({one.n_missing:,} missing)" for one in self.stretches]
        return f"{every}, but none came from {enumerated(told, NAMED)}."


def rhythm(times: NDArray[Any]) -> Rhythm | None:
    """The usual step of a stream and the stretches in which it stopped, between its first moment and its last.

    Parameters
    ----------
    times : ndarray of shape (n,), datetime64
        In UTC, in any order; several rows of one moment count once, rows without a time (NaT) not at all.

    Returns
    -------
    Rhythm or None
        None for fewer than 25 different moments, and where fewer than 90 % of the steps between them are within a tenth
        of the median step.

    Notes
    -----
    With q the share of moments missing elsewhere and N all there should be, a run of m missing by chance is expected
    N q^m times. A stretch that begins and ends within an hour of the hours at which another one does is the stream's
    rhythm, and so is one from a Friday to the Monday after where no row at all lies on a weekend.
    """
    moments = np.asarray(times).astype("datetime64[us]")
    moments = np.unique(moments[~np.isnat(moments)])
    steps = np.diff(moments).astype(np.float64)
    if len(steps) < FEWEST:
        return None
    usual = float(np.median(steps))
    if float((np.abs(steps - usual) <= TOLERANCE * usual).mean()) < REGULAR:
        return None
    places = np.rint(steps / usual)
    missing = np.maximum(places - 1, 0.0)
    candidates = np.flatnonzero(steps > LONGER * usual)
    n_all, n_missing = float(places.sum()), float(missing.sum())
    found = [
        Stretch(_moment(moments[place]), _moment(moments[place + 1]), int(missing[place]))
        for place in candidates
        if n_all * (max(n_missing - missing[place], 1.0) / n_all) ** missing[place] < CHANCE
    ]
    rests = not _on_weekends(moments)
    told = [
        one
        for one in found
        if not any(_same_hours(one, other) for other in found if other is not one)
        and not (rests and _over_a_weekend(one))
    ]
    return Rhythm(timedelta(microseconds=usual), tuple(told))


def _on_weekends(moments: NDArray[Any]) -> bool:
    # 1970-01-01 was a Thursday.
    weekdays = (moments.astype("datetime64[D]").astype(np.int64) + 3) % 7
    return bool((weekdays >= SATURDAY).any())


def _over_a_weekend(one: Stretch) -> bool:
    days = (one.before.date() - one.after.date()).days
    return one.after.weekday() == FRIDAY and days == 3


def _same_hours(one: Stretch, other: Stretch) -> bool:
    return _near(one.after, other.after) and _near(one.before, other.before)


def _near(one: datetime, other: datetime) -> bool:
    day = timedelta(days=1)
    apart = (one - other) % day
    return min(apart, day - apart) <= SAME_HOUR


def _moment(at: np.datetime64) -> datetime:
    microseconds = int(at.astype(np.int64))
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)


def _every(step: timedelta) -> str:
    seconds = step.total_seconds()
    for name, length in UNITS:
        if seconds >= 0.95 * length:
            count = seconds / length
            return f"every {name}" if abs(count - 1) < 0.05 else f"every {count:.3g} {name}s"
    return f"every {seconds:.3g} seconds"


def _stamp(at: datetime) -> str:
    return f"{at:%-d %b %Y, %H:%M}"


def longest_hours(stretches: Sequence[Stretch]) -> float:
    """Hours from the last row before the longest stretch to the first after it; 0 without any."""
    return max(((one.before - one.after).total_seconds() / 3600 for one in stretches), default=0.0)
