"""How complete a window's labels are: how many are in, how many are due by now and will come in the end. PURE.

Labels come late. How late is learnt from the past: the *arrival curve* says which share of predictions has a label
after so long. A prediction that has none yet is not one that never gets one, it has only not had the time; so the
curve is a survival curve in which what still waits counts for as long as it has waited (Kaplan and Meier, by the life
table of delays in bins). It may level off below 1: some predictions never get a label.

Only predictions that a label can be joined to are counted; a label that came in the prediction's own row was there at
once and says nothing of delays.

References
----------
Kaplan and Meier (1958), JASA 53, 457-481, doi:10.1080/01621459.1958.10501452; variance by Greenwood (1926). A life
table's row with rows that leave during a bin counts half of them: Cutler and Ederer (1958), Journal of Chronic Diseases
8, 699-712.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from core.statistics.intervals import normal_quantile
from core.wording import percent

Floats = NDArray[np.float64]

HOUR, DAY = 3_600.0, 86_400.0
EDGES: tuple[float, ...] = (
    *(0.0, 60.0, 300.0, 900.0, 1_800.0),
    *(HOUR * hours for hours in (1, 2, 3, 4, 6, 8, 12, 18)),
    *(DAY * days for days in (1, 1.5, *range(2, 15), 17, 21, 24, 28, 31, 35, 42, 49, 60, 75, 90, 120, 150, 180, 270)),
    *(DAY * days for days in (365, 540, 730)),
)
"""Where bins of delay begin, in seconds; the last is open. Stored delays are counted by these: append, never change."""
ENDS = np.array([*EDGES, 2 * EDGES[-1]])
"""The edges, and where the last bin is taken to end."""

PIECES = 48
MIN_ARRIVED = 50
MIN_WINDOWS = 2
MATURE = 0.9


@dataclass(frozen=True)
class Arrivals:
    """How the labels of one window came in.

    Parameters
    ----------
    n_at_once : int
        Rows whose label came with them.
    delays : tuple of int
        Labels that came later, by bin of `EDGES`.
    pieces : tuple of (float, int, int)
        Of predictions that a label can be joined to, by time: seconds since 1970, predictions, and those of them with a
        label.
    """

    n_at_once: int
    delays: tuple[int, ...]
    pieces: tuple[tuple[float, int, int], ...]

    @cached_property
    def n_joined(self) -> int:
        """Labels that came later."""
        return sum(joined for _, _, joined in self.pieces)


@dataclass(frozen=True, eq=False)
class ArrivalCurve:
    """Which share of predictions has a label after so long; made by `arrival_curve`.

    Parameters
    ----------
    share : ndarray of shape (len(EDGES) + 1,)
        By age at `EDGES`, and last in the end; rising from 0, at most 1.
    greenwood : ndarray of the same shape
        Greenwood's sum up to that age: the variance of the logarithm of the share still waiting.
    n_arrived : int
        Labels it is learnt from.
    """

    share: Floats
    greenwood: Floats
    n_arrived: int

    @property
    def final(self) -> float:
        """The share that gets a label in the end, as far as the past reaches."""
        return float(self.share[-1])

    def by(self, age: Floats) -> tuple[Floats, Floats]:
        """The share with a label at each age in seconds, and Greenwood's sum; straight between the edges."""
        return np.interp(age, ENDS, self.share), np.interp(age, ENDS, self.greenwood)

    def median_delay(self) -> float | None:
        """Seconds until half of all predictions have a label; None where half never get one."""
        reached = np.flatnonzero(self.share[: len(EDGES)] >= 0.5)
        return float(EDGES[reached[0]]) if len(reached) else None


@dataclass(frozen=True)
class Expected:
    """A number of labels with its 95 % interval, ``low <= value <= high``."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Maturity:
    """How complete the labels of one window are.

    Parameters
    ----------
    n_rows : int
        Predictions in the window.
    n_labelled : int
        Labels that are in.
    due : Expected or None
        How many should be in by now, by the arrival curve; None where too few labels ever came to know.
    final : Expected or None
        How many there will be in the end.
    is_mature : bool
        Whether at least 90 % of those that will come are in, and they are not fewer than are due.
    is_late : bool
        Whether fewer are in than even the low end of what is due.
    can_grow : bool
        Whether any of its rows still waits for a label that could be joined to it.
    sentence : str
    """

    n_rows: int
    n_labelled: int
    due: Expected | None
    final: Expected | None
    is_mature: bool
    is_late: bool
    can_grow: bool
    sentence: str


def arrivals_of(predicted_at: Floats, received_at: Floats, *, n_at_once: int = 0, n_pieces: int = PIECES) -> Arrivals:
    """Count how a window's labels came in.

    Parameters
    ----------
    predicted_at, received_at : ndarray of shape (n,)
        Seconds since 1970 of predictions that a label can be joined to, and of their first label; NaN where none came.
        Rows without a time of prediction are left out; a label older than its prediction counts as coming at once.
    n_at_once : int
        Rows whose label came with them.
    n_pieces : int
        Into how many spans of like length the window's time is parted.
    """
    timed = np.isfinite(predicted_at)
    predicted, received = predicted_at[timed], received_at[timed]
    if len(predicted) == 0:
        return Arrivals(n_at_once, (0,) * len(EDGES), ())
    joined = np.isfinite(received)
    waited = np.maximum(0.0, received[joined] - predicted[joined])
    delays = np.bincount(np.searchsorted(EDGES, waited, side="right") - 1, minlength=len(EDGES))
    first, last = predicted.min(), predicted.max()
    width = max((last - first) / n_pieces, 1.0)
    place = np.minimum(((predicted - first) / width).astype(np.int64), n_pieces - 1)
    counts = np.bincount(place, minlength=n_pieces)
    with_label = np.bincount(place[joined], minlength=n_pieces)
    times = np.bincount(place, weights=predicted, minlength=n_pieces)
    pieces = tuple(
        (float(times[piece] / counts[piece]), int(counts[piece]), int(with_label[piece]))
        for piece in np.flatnonzero(counts)
    )
    return Arrivals(n_at_once, tuple(delays.tolist()), pieces)


def arrival_curve(past: Sequence[Arrivals], *, now: float) -> ArrivalCurve | None:
    """Learn from past windows how late labels come.

    Parameters
    ----------
    past : sequence of Arrivals
        All windows there are, the newest too: what still waits in them counts for as long as it has.
    now : float
        Seconds since 1970.

    Returns
    -------
    ArrivalCurve or None
        None for fewer than 50 labels that came later, or where they are of one window alone: of labels that are still
        on their way a first window says nothing.
    """
    came = np.sum([one.delays for one in past], axis=0, dtype=np.float64) if past else np.zeros(len(EDGES))
    if came.sum() < MIN_ARRIVED or sum(one.n_joined > 0 for one in past) < MIN_WINDOWS:
        return None
    at, n, joined = np.array([piece for one in past for piece in one.pieces], dtype=np.float64).reshape(-1, 3).T
    ages = np.maximum(0, np.searchsorted(EDGES, now - at, side="right") - 1)
    waiting = np.bincount(ages, weights=n - joined, minlength=len(EDGES))
    left = np.cumsum((came + waiting)[::-1])[::-1]
    exposed = np.maximum(left - waiting / 2, came)
    hazard = np.divide(came, exposed, out=np.zeros(len(EDGES)), where=exposed > 0)
    surviving = np.append(1.0, np.cumprod(1 - hazard))
    steps = np.divide(hazard, exposed * (1 - hazard), out=np.zeros(len(EDGES)), where=(exposed > 0) & (hazard < 1))
    return ArrivalCurve(1 - surviving, np.append(0.0, np.cumsum(steps)), int(came.sum()))


def maturity(window: Arrivals, curve: ArrivalCurve | None, *, n_rows: int, now: float) -> Maturity:
    """Say how complete the labels of a window are.

    Parameters
    ----------
    window : Arrivals
    curve : ArrivalCurve or None
    n_rows : int
        All predictions in the window, those that no label can be joined to as well.
    now : float
        Seconds since 1970.

    Returns
    -------
    Maturity
        The intervals contain the chance of each prediction and the curve being learnt from few labels. They assume that
        labels come as they came before.
    """
    n_in = window.n_at_once + window.n_joined
    can_grow = any(joined < n for _, n, joined in window.pieces)
    if curve is None or not window.pieces:
        whole = n_rows > 0 and n_in >= n_rows
        known = "every label is in" if whole else "how many are still to come is not known: too few came before"
        if not whole and not window.pieces and n_rows > 0:
            known = "none can be joined to its rows, which have no prediction ids" if n_in == 0 else "no more can come"
            whole = n_in > 0
        return Maturity(
            n_rows, n_in, None, None, whole, False, can_grow, f"{_labels(n_in)} for {_rows(n_rows)}; {known}."
        )
    times, counts, joined = np.ascontiguousarray(np.array(window.pieces, dtype=np.float64).T)
    share, spread = curve.by(now - times)
    due = _expected(window.n_at_once, counts, share, (1 - share) * np.sqrt(spread), highest=n_rows)
    still = counts - joined
    keeps = np.divide(1 - curve.final, 1 - share, out=np.ones(len(share)), where=share < 1)
    unsure = np.sqrt(np.maximum(0.0, curve.greenwood[-1] - spread))
    final = _expected(n_in, still, 1 - keeps, keeps * unsure, highest=n_rows)
    is_late = n_in < math.floor(due.low)
    is_mature = n_in >= MATURE * final.value and n_in > 0 and not is_late
    said = f"{_labels(n_in)} for {_rows(n_rows)}"
    if is_late:
        said += (
            f", fewer than the {due.low:,.0f} to {due.high:,.0f} due by now; {final.value:,.0f} are expected in all."
        )
    elif is_mature:
        said += f", {_share(n_in, final.value)} of those that will come."
    else:
        said += f"; {final.value:,.0f} ({final.low:,.0f} to {final.high:,.0f}) are expected in the end."
    return Maturity(n_rows, n_in, due, final, is_mature, is_late, can_grow, said)


def _expected(certain: int, counts: Floats, share: Floats, error: Floats, *, highest: int) -> Expected:
    """So many for certain, and of each piece's predictions a share that is itself only known by so much."""
    value = certain + float(counts @ share)
    chance = float(counts @ (share * (1 - share)))
    # The curve is one and the same for all pieces: its errors add up rather than cancel.
    half = normal_quantile() * math.hypot(math.sqrt(chance), float(counts @ error))
    return Expected(value, max(float(certain), value - half), min(float(max(highest, certain)), value + half))


def _labels(n: int) -> str:
    return "1 label is in" if n == 1 else f"{n:,} labels are in"


def _rows(n: int) -> str:
    return "1 prediction" if n == 1 else f"{n:,} predictions"


def _share(n: int, of: float) -> str:
    return percent(min(1.0, n / of)) if of > 0 else "all"


def seconds(at: datetime) -> float:
    """An aware moment as seconds since 1970."""
    return at.timestamp()
