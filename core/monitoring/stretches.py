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
KNOWN_FOR = timedelta(days=8)
"""How much of a stream must be known before a stretch at the edge of a window is told from its nights and weekends."""
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
    moments = _moments(times)
    usual = _usual_step(moments)
    if usual is None:
        return None
    told = [one for one, by_chance in _pauses(moments, usual) if not by_chance]
    return Rhythm(timedelta(microseconds=usual), tuple(one for one in told if not _is_own(one, told, moments)))


def at_edges(times: NDArray[Any], around: NDArray[Any], *, begins: datetime, ends: datetime) -> tuple[Stretch, ...]:
    """The stretches without rows over the begin or the end of a window, where rows on both sides of it make them plain.

    Parameters
    ----------
    times : ndarray of shape (n,), datetime64
        Of the window's rows, as for `rhythm`.
    around : ndarray of shape (m,), datetime64
        Of the stream's rows for some weeks before and after it.
    begins, ends : datetime
        The window is [begins, ends).

    Returns
    -------
    tuple of Stretch
        At most two, the begin's first, each reaching clearly into the window. None where the stream came at another
        step before the window than within, and none where less than eight days of it are known beside the stretch: its
        nights and its free days are not known then.
    """
    own, moments = _moments(times), _moments(np.concatenate([_moments(times), _moments(around)]))
    usual = _usual_step(own)
    if usual is None:
        return ()
    step = timedelta(microseconds=usual)
    pauses = _pauses(moments, usual)
    every = [one for one, _ in pauses]
    known = _moment(moments[-1]) - _moment(moments[0])
    told = []
    for one, by_chance in pauses:
        within = min(one.before, ends) - max(one.after, begins)
        at_begin, at_end = one.after < begins, one.before >= ends
        if not (at_begin or at_end) or within <= LONGER * step or by_chance:
            continue
        if at_begin and not _comes_at(moments[moments < np.datetime64(begins.replace(tzinfo=None))], usual):
            continue
        if known - (one.before - one.after) >= KNOWN_FOR and not _is_own(one, every, moments):
            told.append(one)
    return tuple(told)


def _moments(times: NDArray[Any]) -> NDArray[Any]:
    """Different moments, rising."""
    moments = np.asarray(times).astype("datetime64[us]")
    return np.unique(moments[~np.isnat(moments)])


def _usual_step(moments: NDArray[Any]) -> float | None:
    """Microseconds between one moment and the next; None where there are too few, or they come at no regular step."""
    steps = np.diff(moments).astype(np.float64)
    if len(steps) < FEWEST:
        return None
    usual = float(np.median(steps))
    regular = float((np.abs(steps - usual) <= TOLERANCE * usual).mean()) >= REGULAR
    return usual if regular else None


def _comes_at(moments: NDArray[Any], step: float) -> bool:
    usual = _usual_step(moments)
    return usual is not None and abs(step - usual) <= TOLERANCE * usual


def _pauses(moments: NDArray[Any], usual: float) -> list[tuple[Stretch, bool]]:
    """Every stretch of more than a few steps, and whether rows that go missing one by one explain it."""
    steps = np.diff(moments).astype(np.float64)
    places = np.rint(steps / usual)
    missing = np.maximum(places - 1, 0.0)
    n_all, n_missing = float(places.sum()), float(missing.sum())
    return [
        (
            Stretch(_moment(moments[place]), _moment(moments[place + 1]), int(missing[place])),
            not n_all * (max(n_missing - missing[place], 1.0) / n_all) ** missing[place] < CHANCE,
        )
        for place in np.flatnonzero(steps > LONGER * usual)
    ]


def _is_own(one: Stretch, others: Sequence[Stretch], moments: NDArray[Any]) -> bool:
    """Whether a stretch is the stream's rhythm: its nights, its weekends."""
    if any(_same_hours(one, other) for other in others if other is not one):
        return True
    return not _on_weekends(moments) and _over_a_weekend(one)


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
