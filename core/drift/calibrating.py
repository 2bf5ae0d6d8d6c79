"""Thresholds that keep a promise of so many false alerts a month. PURE.

The promise over the windows of a month is the level of one window (`promises`). Columns count as independent,
``1 - (1 - a) ** m``; where they depend on each other the rate is lower: by a third for twenty columns correlated by one
half, two thirds by nine tenths, nine tenths for twenty copies of one. Rows drawn jointly would win that back, but a
thousand of such windows tell of chances of 1 in 100, and how often columns exceed together falls from there to the
chances of 1 in 10,000 that are needed (for normal columns to none, Sibuya 1960): what they tell would break the
promise. What it would win is a threshold lower by 4 % at one half, by 8 % at nine tenths, by 20 % for copies.

All streams of all columns (the value test, the missing share, what the reference never held) get one level. In a
window of so many rows it is raised until what they attain, counts being whole, uses up the window's (`window_levels`).
A stream of something the reference never had gets a twentieth: if it never happens in truth either, its share would be
lost.

*False discoveries.* Where all is quiet every finding is false, so the chance of any finding is both the false-discovery
rate and the family-wise error. Where some columns drift, as few of the quiet ones are named as before. Benjamini and
Hochberg's rule was rejected: its threshold falls when much drifts, so that what one column may show would depend on the
others, and could not be drawn as a line beside its past.

How each stream varies where nothing changed is `nulls`', what is kept of it `calibrated`'s.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from core.drift.calibrated import CalibratedColumn, Drawn, Key, Thresholds, WindowThresholds, root_size
from core.drift.drawn_nulls import DrawnNull
from core.drift.nulls import Column, Null, null
from core.drift.promises import MOST_LEVEL, WINDOWS_A_MONTH, Promise, firing_chance, window_level
from core.drift.share_nulls import Share
from core.drift.window_levels import FEW, N_HALVINGS, RAISES
from core.errors import InvalidInput

__all__ = [
    "WINDOWS_A_MONTH",
    "Column",
    "Key",
    "Promise",
    "Thresholds",
    "WindowThresholds",
    "calibrate",
    "window_level",
]

Floats = NDArray[np.float64]

LEAST_LEVEL = 1e-12
SIZE_STEP = 4.0
ALL_BUT = 0.98
"""How much of its level a stream of draws that are not tied attains, ranks being whole."""


def calibrate(
    columns: Mapping[Key, Column],
    *,
    sizes: Sequence[int],
    level: float,
    rng: np.random.Generator,
    windows_needed: int = 1,
    windows_of: int = 1,
) -> Thresholds:
    """Work out the thresholds of all streams of all watched columns.

    Parameters
    ----------
    columns : mapping of (is_prediction, name) to Column
        All that is watched, the prediction too: the level counts them all.
    sizes : sequence of int
        Rows of the windows to be judged, as far as known: the smallest and the largest count. Thresholds are worked out
        there and at steps of at most a factor of 4 between. Time is linear in the number of columns and of these steps:
        0.05 to 0.1 s each.
    level : float
        Chance that the rule may fire for one quiet window, in (0, 0.5]; `window_level` gives it.
    rng : Generator
    windows_needed, windows_of : int
        The promise's k and n.

    Raises
    ------
    InvalidInput
        No size, one below 1, or a level outside (0, 0.5].
    """
    if not sizes or min(sizes) < 1:
        raise InvalidInput("Thresholds need the rows of the windows to be judged; give at least one size, above 0.")
    if not 0 < level <= MOST_LEVEL:
        raise InvalidInput(f"A window's level of {level:g} cannot be kept; give one above 0 and at most {MOST_LEVEL}.")
    grid = _grid(min(sizes), max(sizes))
    nulls = {key: null(column, grid, rng) for key, column in columns.items()}
    levels = np.array(
        [_smooth_level(list(nulls.values()), place, level, windows_needed, windows_of) for place in range(len(grid))]
    )
    found = {
        key: CalibratedColumn(
            {test: _stored(stream, levels) for test, stream in one.streams.items()},
            one.missing,
            one.shared,
            one.dependence,
        )
        for key, one in nulls.items()
    }
    return Thresholds(level, windows_needed, windows_of, grid, levels, found)


def _smooth_level(nulls: Sequence[Null], place: int, level: float, windows_needed: int, windows_of: int) -> float:
    """The one level of all streams at which the rule fires for a window as asked, if every level could be attained."""
    correlation = np.array([one.shared[place] for one in nulls])
    weights = [np.array([stream.weight for stream in one.streams.values()]) for one in nulls]

    def fires(stream_level: float) -> float:
        exceeding = np.array([1 - np.prod(1 - stream_level * some) for some in weights])
        chance = firing_chance(exceeding, correlation, windows_needed=windows_needed, windows_of=windows_of)
        return float(-np.expm1(np.log1p(-chance).sum()))

    low, high = LEAST_LEVEL, MOST_LEVEL
    for _ in range(N_HALVINGS):
        middle = float(np.sqrt(low * high))
        low, high = (middle, high) if fires(middle) <= level else (low, middle)
    return low


def _stored(stream: DrawnNull | Share, levels: Floats) -> Share | Drawn:
    if isinstance(stream, Share):
        return stream
    at = np.minimum(MOST_LEVEL, levels[:, None] * RAISES) * stream.weight
    each = list(zip(stream.tails, stream.n_current, at, strict=True))
    attained = np.array([[tail.attained(float(one)) / one for one in line] for tail, _, line in each])
    tied = bool(attained.min() < ALL_BUT)
    scaled = [
        # The last digit of a division decides nothing.
        [tail.threshold(float(one)) * (1 + 1e-9) * root_size(stream.n_reference, n) for one in line]
        for tail, n, line in ((tail, n, line if tied else line[FEW]) for tail, n, line in each)
    ]
    return Drawn(stream.n_reference, stream.weight, stream.n_current, np.array(scaled), attained if tied else None)


def _grid(least: int, most: int) -> Floats:
    steps = int(np.ceil(np.log(most / least) / np.log(SIZE_STEP) - 1e-9))
    return np.unique(np.round(np.geomspace(least, most, steps + 1)))
