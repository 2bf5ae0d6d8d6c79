"""What calibrating found: thresholds as they are stored, and as they are in a window of so many rows. PURE.

Shares are stored as what they are worked out from, and so have their own threshold at every number of rows. A drawn
stream is stored at the calibrated sizes and at some levels from a stream's own on to four times that; between
sizes the effect times the root of the effective size, ``n m / (n + m)``, is interpolated.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.drift.dependence import Dependence
from core.drift.drift_tests import DRIFT_TESTS
from core.drift.share_nulls import Share
from core.drift.window_levels import FEW, RAISES, DrawnPart, SharedRows, WindowColumn, last_raise, present_rows, raised
from core.errors import InvalidInput, NotFound

Key = tuple[bool, str]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class _Place:
    """Where a number of rows lies among some, in logarithms; at the end where it lies beyond."""

    low: int
    high: int
    part: float

    @staticmethod
    def of(n_rows: float, sizes: Floats) -> _Place:
        place = float(np.interp(np.log(n_rows), np.log(sizes), np.arange(len(sizes))))
        low = int(place)
        return _Place(low, min(low + 1, len(sizes) - 1), place - low)

    def read(self, known: Floats) -> Any:
        """What is known at these numbers of rows, along the first axis, between two of them."""
        return known[self.low] * (1 - self.part) + known[self.high] * self.part


@dataclass(frozen=True, eq=False)
class Drawn:
    """A stream whose effect was drawn, by rows that hold a value and how often its level is raised.

    Parameters
    ----------
    n_reference : int
        Rows of the reference that hold a value.
    weight : float
        Which part of a stream's level it gets, in (0, 1].
    n_current : ndarray of shape (s,)
        Rows of a window that hold a value, rising.
    scaled : ndarray of shape (s, r)
        Thresholds times the root of the effective size, at each of `RAISES`; at a few of them where draws are not tied.
    attained : ndarray of shape (s, r) or None
        How much of its level it attains there; None where that is all of it, as draws are not tied.
    """

    n_reference: int
    weight: float
    n_current: Floats
    scaled: Floats
    attained: Floats | None

    def threshold(self, n_current: int, by: float) -> float:
        """The largest effect that does not fire where the level is raised so many times."""
        scaled = _Place.of(n_current, self.n_current).read(self.scaled)
        tied = self.attained is not None
        found = scaled[last_raise(by)] if tied else np.interp(np.log(by), np.log(RAISES[FEW]), scaled)
        return float(found) / root_size(self.n_reference, n_current)


@dataclass(frozen=True, eq=False)
class CalibratedColumn:
    """One column's streams.

    Parameters
    ----------
    streams : mapping of str to Share or Drawn
        By key of the test.
    missing : Share
        Of rows that hold no value.
    shared : ndarray of shape (s,)
        `nulls.Null.shared`, at the calibrated sizes.
    dependence : mapping of str to Dependence
        How rows hang together where that was looked at.
    """

    streams: Mapping[str, Share | Drawn]
    missing: Share
    shared: Floats
    dependence: Mapping[str, Dependence] = field(default_factory=dict)

    def in_window(self, n_rows: int, place: _Place) -> WindowColumn:
        """What its streams attain in a window of so many rows, at this place among the calibrated sizes."""
        present = present_rows(self.missing, n_rows)
        return [
            DrawnPart(stream.weight, None if stream.attained is None else place.read(stream.attained))
            if isinstance(stream, Drawn)
            else SharedRows(stream, [(n_rows, 1.0)] if DRIFT_TESTS[test].role == "missing" else present)
            for test, stream in self.streams.items()
        ]


@dataclass(frozen=True, eq=False)
class Thresholds:
    """What each stream of each column may show before it fires.

    Parameters
    ----------
    level : float
        Of one window, as asked for.
    windows_needed, windows_of : int
        The promise's k and n.
    sizes : ndarray of shape (s,)
        Rows of a window at which thresholds were worked out, rising.
    levels : ndarray of shape (s,)
        Of one stream at these sizes, if every level could be attained.
    columns : mapping of Key to CalibratedColumn
    """

    level: float
    windows_needed: int
    windows_of: int
    sizes: Floats
    levels: Floats
    columns: Mapping[Key, CalibratedColumn]
    _windows: dict[int, WindowThresholds] = field(default_factory=dict, init=False, repr=False)

    @property
    def dependence(self) -> dict[Key, Mapping[str, Dependence]]:
        """How rows hang together, of the columns where that was looked at."""
        return {key: column.dependence for key, column in self.columns.items() if column.dependence}

    def at(self, n_rows: int) -> WindowThresholds:
        """The thresholds of windows of so many rows, worked out once for each number.

        Parameters
        ----------
        n_rows : int
            All rows of the window, at least 1. Beyond the calibrated sizes thresholds go with the root of the effective
            size.

        Raises
        ------
        InvalidInput
            There is no row.
        """
        if n_rows < 1:
            raise InvalidInput("A window without a row has no threshold; it is not enough data.")
        if n_rows not in self._windows:
            place = _Place.of(n_rows, self.sizes)
            smooth = float(np.exp(place.read(np.log(self.levels))))
            by = raised(
                [column.in_window(n_rows, place) for column in self.columns.values()],
                np.array([place.read(column.shared) for column in self.columns.values()]),
                smooth=smooth,
                level=self.level,
                windows_needed=self.windows_needed,
                windows_of=self.windows_of,
            )
            self._windows[n_rows] = WindowThresholds(self, smooth * by, by)
        return self._windows[n_rows]

    def to_json(self) -> dict[str, Any]:
        """As a JSON document: the promise, ``sizes``, ``levels``, and of each of ``columns`` what it holds."""
        return {
            "level": self.level,
            "windows_needed": self.windows_needed,
            "windows_of": self.windows_of,
            "sizes": self.sizes.tolist(),
            "levels": self.levels.tolist(),
            "columns": [
                {
                    "is_prediction": key[0],
                    "name": key[1],
                    "streams": {test: _to_json(stream) for test, stream in column.streams.items()},
                    "missing": asdict(column.missing),
                    "shared": column.shared.tolist(),
                    "dependence": {test: asdict(found) for test, found in column.dependence.items()},
                }
                for key, column in self.columns.items()
            ],
        }

    @staticmethod
    def from_json(document: Mapping[str, Any]) -> Thresholds:
        """The thresholds that `to_json` wrote."""
        found = stored_dependence(document)
        columns = {}
        for column in document["columns"]:
            key = bool(column["is_prediction"]), str(column["name"])
            columns[key] = CalibratedColumn(
                {test: _from_json(stream) for test, stream in column["streams"].items()},
                Share(**column["missing"]),
                np.array(column["shared"], dtype=np.float64),
                found.get(key, {}),
            )
        return Thresholds(
            float(document["level"]),
            int(document["windows_needed"]),
            int(document["windows_of"]),
            np.array(document["sizes"], dtype=np.float64),
            np.array(document["levels"], dtype=np.float64),
            columns,
        )


@dataclass(frozen=True, eq=False)
class WindowThresholds:
    """The thresholds of windows of one number of rows.

    Parameters
    ----------
    calibrated : Thresholds
    level : float
        Of one stream.
    raised : float
        How many times that is what it were if every level could be attained.
    """

    calibrated: Thresholds
    level: float
    raised: float

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
            Above what the effect can reach where the window is too small for the promise.

        Raises
        ------
        NotFound
            The column or its stream was not calibrated.
        InvalidInput
            There is no row.
        """
        if n_current < 1:
            raise InvalidInput("A window without a row has no threshold; it is not enough data.")
        column = self.calibrated.columns.get(key)
        stream = None if column is None else column.streams.get(test)
        if stream is None:
            raise NotFound("threshold of", f"{key[1]} for {test}.", "Calibrate the monitor again.")
        if isinstance(stream, Drawn):
            return stream.threshold(n_current, self.raised)
        return stream.tail(n_current).threshold(self.level * stream.weight)


def stored_dependence(document: Mapping[str, Any]) -> dict[Key, dict[str, Dependence]]:
    """How rows hang together, as `Thresholds.to_json` wrote it, today or in an edition before."""
    return {
        (bool(column["is_prediction"]), str(column["name"])): {
            test: Dependence(**found) for test, found in column["dependence"].items()
        }
        for column in document["columns"]
        if column.get("dependence")
    }


def root_size(n_reference: int, n_current: float) -> float:
    """The root of the effective size."""
    return float(np.sqrt(n_reference * n_current / (n_reference + n_current)))


def _to_json(stream: Share | Drawn) -> dict[str, Any]:
    if isinstance(stream, Share):
        return {"kind": "share", **asdict(stream)}
    return {
        "kind": "drawn",
        "n_reference": stream.n_reference,
        "weight": stream.weight,
        "n_current": stream.n_current.tolist(),
        "scaled": stream.scaled.tolist(),
        "attained": None if stream.attained is None else stream.attained.tolist(),
    }


def _from_json(document: Mapping[str, Any]) -> Share | Drawn:
    fields = {name: found for name, found in document.items() if name != "kind"}
    if document["kind"] == "share":
        return Share(**fields)
    return Drawn(
        int(fields["n_reference"]),
        float(fields["weight"]),
        np.array(fields["n_current"], dtype=np.float64),
        np.array(fields["scaled"], dtype=np.float64),
        None if fields["attained"] is None else np.array(fields["attained"], dtype=np.float64),
    )
