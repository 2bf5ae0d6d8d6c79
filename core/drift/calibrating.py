"""Thresholds that keep a promise of so many false alerts a month. PURE.

The promise over the windows of a month is the level of one window (`promises`). Columns count as independent,
``1 - (1 - a) ** m``; where they depend on each other the rate is lower: by a third for twenty columns correlated by one
half, two thirds by nine tenths, nine tenths for twenty copies of one. Rows drawn jointly would win that back, but a
thousand of such windows tell of chances of 1 in 100, and how often columns exceed together falls from there to the
chances of 1 in 10,000 that are needed (for normal columns to none, Sibuya 1960): what they tell would break the
promise. What it would win is a threshold lower by 4 % at one half, by 8 % at nine tenths, by 20 % for copies.

All streams of all columns (the value test, the missing share, what the reference never held) get one level, raised
until the levels they attain, counts being whole, use up the window's: to the last step below it, or to the next above
where that one is nearer and at most a quarter too much. A stream of something the reference never had gets a twentieth:
if it never happens in truth either, its share would be lost.

*False discoveries.* Where all is quiet every finding is false, so the chance of any finding is both the false-discovery
rate and the family-wise error. Where some columns drift, as few of the quiet ones are named as before. Benjamini and
Hochberg's rule was rejected: its threshold falls when much drifts, so that what one column may show would depend on the
others, and could not be drawn as a line beside its past.

How each stream varies where nothing changed is `nulls`'. Between the sizes at which it was worked out, the effect times
the root of the effective size, ``n m / (n + m)``, is interpolated.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.drift.dependence import Dependence
from core.drift.drawn_nulls import DrawnNull
from core.drift.nulls import Column, Null, null
from core.drift.promises import MOST_LEVEL, WINDOWS_A_MONTH, Promise, firing_chance, window_level
from core.drift.share_nulls import Share, ShareNull
from core.errors import InvalidInput, NotFound

__all__ = [
    "WINDOWS_A_MONTH",
    "Column",
    "Key",
    "Promise",
    "Thresholds",
    "calibrate",
    "window_level",
]

Key = tuple[bool, str]
Floats = NDArray[np.float64]

LEAST_LEVEL = 1e-12
N_HALVINGS = 24
SIZE_STEP = 4.0
MOST_RAISED = 4.0
MOST_OVER = 0.25


@dataclass(frozen=True, eq=False)
class _Drawn:
    """A stream whose effect was drawn: thresholds times the root of the effective size, by rows that hold a value."""

    n_reference: int
    n_current: Floats
    scaled: Floats

    def threshold(self, n_current: int) -> float:
        scaled = float(np.interp(np.log(n_current), np.log(self.n_current), self.scaled))
        return scaled / _root_size(self.n_reference, n_current)


@dataclass(frozen=True, eq=False)
class Thresholds:
    """What each stream of each column may show before it fires.

    Parameters
    ----------
    level : float
        Of one window, as asked for.
    sizes : ndarray of shape (s,)
        Rows of a window at which thresholds were worked out, rising.
    levels : ndarray of shape (s,)
        Of one stream at these sizes.
    dependence : mapping of Key to mapping of test to Dependence
        How rows hang together where that was looked at.
    """

    level: float
    sizes: Floats
    levels: Floats
    _streams: Mapping[Key, Mapping[str, Share | _Drawn]]
    dependence: Mapping[Key, Mapping[str, Dependence]] = field(default_factory=dict)

    def of(self, key: Key, test: str, n_current: int) -> float:
        """The largest effect that does not fire; one strictly above it does.

        Parameters
        ----------
        key : (is_prediction, name)
        test : str
            Key in `DRIFT_TESTS` of one of the column's streams.
        n_current : int
            The window's rows that the test looked at (`TestOutcome.n_current`), at least 1.

        Returns
        -------
        float
            Above what the effect can reach where the window is too small for the promise. Between sizes interpolated,
            beyond them by the root of the effective size.

        Raises
        ------
        NotFound
            The column or its stream was not calibrated.
        InvalidInput
            There is no row.
        """
        if n_current < 1:
            raise InvalidInput("A window without a row has no threshold; it is not enough data.")
        stream = self._streams.get(key, {}).get(test)
        if stream is None:
            raise NotFound("threshold of", f"{key[1]} for {test}.", "Calibrate the monitor again.")
        if isinstance(stream, _Drawn):
            return stream.threshold(n_current)
        level = float(np.exp(np.interp(np.log(n_current), np.log(self.sizes), np.log(self.levels))))
        return stream.tail(n_current).threshold(level * stream.weight)

    def to_json(self) -> dict[str, Any]:
        """As a JSON document: ``level``, ``sizes``, ``levels``, and ``columns`` their ``streams``, ``dependence``."""
        return {
            "level": self.level,
            "sizes": self.sizes.tolist(),
            "levels": self.levels.tolist(),
            "columns": [
                {
                    "is_prediction": key[0],
                    "name": key[1],
                    "streams": {test: _to_json(stream) for test, stream in streams.items()},
                    "dependence": {test: asdict(found) for test, found in self.dependence.get(key, {}).items()},
                }
                for key, streams in self._streams.items()
            ],
        }

    @staticmethod
    def from_json(document: Mapping[str, Any]) -> Thresholds:
        """The thresholds that `to_json` wrote."""
        return Thresholds(
            float(document["level"]),
            np.array(document["sizes"], dtype=np.float64),
            np.array(document["levels"], dtype=np.float64),
            {
                (bool(column["is_prediction"]), str(column["name"])): {
                    test: _from_json(stream) for test, stream in column["streams"].items()
                }
                for column in document["columns"]
            },
            {
                (bool(column["is_prediction"]), str(column["name"])): {
                    test: Dependence(**found) for test, found in column["dependence"].items()
                }
                for column in document["columns"]
                if column.get("dependence")
            },
        )


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
        [_stream_level(list(nulls.values()), place, level, windows_needed, windows_of) for place in range(len(grid))]
    )
    streams = {
        key: {test: _threshold(stream, levels) for test, stream in found.streams.items()}
        for key, found in nulls.items()
    }
    dependence = {key: found.dependence for key, found in nulls.items() if found.dependence}
    return Thresholds(level, grid, levels, streams, dependence)


def _stream_level(nulls: Sequence[Null], place: int, level: float, windows_needed: int, windows_of: int) -> float:
    """The one level of all streams at which the rule fires for a window with the level asked for, or nearly so."""
    correlation = np.array([one.shared[place] for one in nulls])

    def fires(stream_level: float, whole: bool) -> float:
        exceeding = np.array([one.exceeding(place, stream_level, whole) for one in nulls])
        chance = firing_chance(exceeding, correlation, windows_needed=windows_needed, windows_of=windows_of)
        return float(-np.expm1(np.log1p(-chance).sum()))

    def bracket(low: float, high: float, whole: bool) -> tuple[float, float]:
        for _ in range(N_HALVINGS):
            middle = float(np.sqrt(low * high))
            low, high = (middle, high) if fires(middle, whole) <= level else (low, middle)
        return low, high

    # First as if every level could be attained; counts being whole, less is, and the level is raised by what is left.
    smooth, _ = bracket(LEAST_LEVEL, MOST_LEVEL, False)
    below, above = bracket(smooth, min(MOST_LEVEL, smooth * MOST_RAISED), True)
    over = fires(above, True) - level
    return above if over <= min(MOST_OVER * level, level - fires(below, True)) else below


def _threshold(stream: DrawnNull | ShareNull, levels: Floats) -> Share | _Drawn:
    if isinstance(stream, ShareNull):
        return stream.share
    scaled = [
        # The last digit of a division decides nothing.
        tail.threshold(float(level) * stream.weight) * (1 + 1e-9) * _root_size(stream.n_reference, n)
        for tail, level, n in zip(stream.tails, levels, stream.n_current, strict=True)
    ]
    return _Drawn(stream.n_reference, stream.n_current, np.array(scaled))


def _grid(least: int, most: int) -> Floats:
    steps = int(np.ceil(np.log(most / least) / np.log(SIZE_STEP) - 1e-9))
    return np.unique(np.round(np.geomspace(least, most, steps + 1)))


def _root_size(n_reference: int, n_current: float) -> float:
    return float(np.sqrt(n_reference * n_current / (n_reference + n_current)))


def _to_json(stream: Share | _Drawn) -> dict[str, Any]:
    if isinstance(stream, Share):
        return {"kind": "share", **asdict(stream)}
    return {
        "kind": "drawn",
        "n_reference": stream.n_reference,
        "n_current": stream.n_current.tolist(),
        "scaled": stream.scaled.tolist(),
    }


def _from_json(document: Mapping[str, Any]) -> Share | _Drawn:
    if document["kind"] == "share":
        # Calibrations from before rows were seen to hang together know no common part.
        names = ("seen", "with_it", "without", "weight", "common")
        return Share(**{name: float(document[name]) for name in names if name in document})
    return _Drawn(
        int(document["n_reference"]),
        np.array(document["n_current"], dtype=np.float64),
        np.array(document["scaled"], dtype=np.float64),
    )
