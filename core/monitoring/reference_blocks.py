"""The rows of a reference in blocks as long as a monitor's windows. PURE but for reading the reference.

Windows of time are cut from the reference as from live data. Windows of a number of rows are so many rows of the whole
dataset one after the other, of which the reference's own are taken: the dataset flows as live data does, the part that
was trained on is thinner.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.drift.dependence import LEAST_ROWS, MOST_BLOCKS, Blocks
from core.monitoring.counting import Key
from core.monitoring.monitor_settings import MonitorSettings
from core.monitoring.reference import Reference, Some
from core.monitoring.windows import COUNT, cut, in_season, season_of

Ints = NDArray[np.intp]


@dataclass(frozen=True)
class ReferenceBlocks:
    """Which block each row of a reference lies in.

    Parameters
    ----------
    reference : Reference
    settings : MonitorSettings
    time_column : str
        Of the training data.
    """

    reference: Reference
    settings: MonitorSettings
    time_column: str

    def of(self, some: Some) -> Callable[[Key], Blocks]:
        """Gives the blocks of each column, of the rows of all seasons: each is held against its own."""
        part = Some(slice=some.slice)
        cut_rows: dict[bool, tuple[Ints, Ints, Ints]] = {}

        def blocks(key: Key) -> Blocks:
            if key[0] not in cut_rows:
                cut_rows[key[0]] = self._cut(self.reference.rows(part, predicted=key[0]))
            return Blocks(self.reference.values(key, part), *cut_rows[key[0]])

        return blocks

    def _cut(self, rows: NDArray[np.int64]) -> tuple[Ints, Ints, Ints]:
        """The block and the season of each of these rows, and the season of each block."""
        times = self._moments[rows]
        if self.settings.window == COUNT:
            assert self.settings.window_rows is not None
            number = self._ranks[rows] // self.settings.window_rows
            number[np.isnat(times)] = -1
            found = [np.flatnonzero(number == one) for one in np.unique(number[number >= 0])]
            middles = [times[part[len(part) // 2]].item().replace(tzinfo=UTC) for part in found]
        else:
            spans = cut(times, self.settings.window)
            found, middles = [part for _, part in spans], [span.middle for span, _ in spans]
        large = [place for place, part in enumerate(found) if len(part) >= LEAST_ROWS]
        if len(large) > MOST_BLOCKS:
            large = [large[at] for at in np.linspace(0, len(large) - 1, MOST_BLOCKS).round().astype(int)]
        names = [season_of(middles[place], self.settings.season) for place in large]
        seasons = sorted(set(names))
        block = np.full(len(rows), -1, dtype=np.intp)
        for number_of, place in enumerate(large):
            block[found[place]] = number_of
        season = np.zeros(len(rows), dtype=np.intp)
        if self.settings.season != "none":
            season -= 1
            for place, name in enumerate(seasons):
                season[in_season(times, name)] = place
        return block, season, np.array([seasons.index(name) for name in names], dtype=np.intp)

    @cached_property
    def _moments(self) -> NDArray[Any]:
        return self.reference.moments(self.time_column)

    @cached_property
    def _ranks(self) -> Ints:
        """The place of each row of the dataset version in time; those of the same time as they stand."""
        ranks = np.empty(len(self._moments), dtype=np.intp)
        ranks[np.argsort(self._moments, kind="stable")] = np.arange(len(ranks))
        return ranks


def blocks_of(reference: Reference, settings: MonitorSettings) -> ReferenceBlocks | None:
    """The blocks that tell how rows hang together; None where that is switched off or the training data has no time."""
    column = settings.season_column or reference.time_column
    if not settings.dependent_rows or column is None:
        return None
    return ReferenceBlocks(reference, settings, column)
