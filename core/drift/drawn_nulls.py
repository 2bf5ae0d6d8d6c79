"""How a value test's effect varies where nothing changed: drawn on windows as the reference predicts them. PURE.

Drawn through the catalogue's ``effects`` at a few sizes, and carried on into the tail by `core.statistics.tails`; where
rows hang together, as the reference's blocks lie.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from core.datasets.tables import ColumnKind
from core.drift import share_nulls
from core.drift.dependence import Blocks, Dependence, Deviations, dependence_of, deviations
from core.drift.drift_tests import DRIFT_TESTS, Sample
from core.drift.share_nulls import Share
from core.statistics.predictive import draw_counts, draw_shares
from core.statistics.sketches import (
    MAX_COARSENESS,
    CategorySketch,
    Counted,
    CountedCategories,
    NumericSketch,
    align,
    align_categories,
    coarseness,
)
from core.statistics.tails import Tail, UnsureTail, fit_tail
from core.statistics.two_sample import never_common, pooled_total_variation

Floats = NDArray[np.float64]

DRAWN_CELLS = 500_000
LEAST_DRAWS, MOST_DRAWS = 1_000, 50_000
BLOCK_CELLS = 2_000_000
FINEST = 1 / 1_024
BLOCK_DRAWS = 1_000
POWERS = {"psi": 2.0}
"""Effects that go with another power of a deviation than its first."""
UNSEEN_NAME = "a name the reference never held"


@dataclass(frozen=True, eq=False)
class DrawnNull:
    """A value test's effect on windows as the reference predicts them.

    Parameters
    ----------
    n_reference : int
        Rows of the reference that hold a value.
    n_current : ndarray of shape (s,)
        Rows that hold a value in windows of each size.
    tails : sequence of s Tail or UnsureTail
    weight : float
        Which part of a stream's level it gets, in (0, 1].
    """

    n_reference: int
    n_current: Floats
    tails: Sequence[Tail | UnsureTail]
    weight: float


class Drawing:
    """A value test's effect on windows drawn as the reference, or its blocks, predict them."""

    def __init__(self, test: str, sketch: NumericSketch | CategorySketch, kind: ColumnKind | str) -> None:
        self.test = test
        self.unseen: Share | None = None
        self.points: Counted | CountedCategories
        if isinstance(sketch, NumericSketch):
            self.points, self.weights = _numbers(sketch)
        else:
            # A boolean that was seen both ways has no third value.
            open_ended = ColumnKind(kind) != ColumnKind.BOOLEAN or len(sketch.counts) < 2
            self.points, self.weights = _names(sketch, open_ended)
            self.unseen = share_nulls.of_new_names(sketch) if open_ended else None
        self.shares = self.points.reference / self.points.reference.sum()

    def tails(self, present: Floats, rng: np.random.Generator) -> list[Tail]:
        """Of independent rows, at each size."""
        weights, effects = self.weights, self._of_points
        rare_as_one = self.test == "chi_square"
        if rare_as_one:
            # What stays rare in any window counts as one there: drawn as one, far more windows can be drawn.
            rare = never_common(self.weights, int(present.max()))
            weights = np.append(self.weights[~rare], self.weights[rare].sum())
            effects = partial(pooled_total_variation, weights.astype(np.int64), rest_last=True)
        n_draws = int(np.clip(DRAWN_CELLS // len(weights), LEAST_DRAWS, MOST_DRAWS))
        drawn = np.empty((len(present), n_draws))
        block = max(1, BLOCK_CELLS // len(weights))
        for begin in range(0, n_draws, block):
            here = slice(begin, min(begin + block, n_draws))
            shares = draw_shares(weights, n_draws=here.stop - here.start, rng=rng)
            if self.unseen:
                new = rng.beta(self.unseen.with_it, self.unseen.without, size=(len(shares), 1))
                shares *= 1 - new
                if rare_as_one:
                    shares[:, -1:] += new
                else:
                    shares = np.hstack([shares, new])
            for place, n in enumerate(present):
                drawn[place, here] = effects(draw_counts(shares, int(n), rng=rng))
        return [self._tail(line) for line in drawn]

    def _of_points(self, counts: NDArray[np.int64]) -> Floats:
        return DRIFT_TESTS[self.test].effects(self.points, self.points.reference, counts)

    def apart(self, blocks: Blocks) -> Deviations | None:
        """How far blocks lie from the rest; None where their rows are not what the column is counted in."""
        named = isinstance(self.points, CountedCategories)
        if named != (blocks.values.dtype == object):
            return None
        return deviations(blocks, self._names_at if named else self._numbers_at, len(self.shares))

    def dependence(self, apart: Deviations, rng: np.random.Generator) -> Dependence:
        """How the rows hang together."""
        power = POWERS.get(self.test, 1.0)
        return dependence_of(apart, self.shares, self._effects, power=power, n_draws=BLOCK_DRAWS, rng=rng)

    def blocks_tail(self, apart: Deviations, n_rows: float, wider: float, rng: np.random.Generator) -> Tail:
        """Of windows that lie as far away as blocks do, whose variance is so many times as large."""
        drawn = self.shares + apart.draw(BLOCK_DRAWS, rng) * np.sqrt(wider)
        return self._tail(self._effects(drawn, n_rows))

    def _effects(self, shares: Floats, n_rows: float) -> Floats:
        test = DRIFT_TESTS[self.test]
        # An index of bins takes logarithms and roots, a distance does not mind a share just below 0.
        shares = np.maximum(shares, 0.0) if test.over == "bins" else shares
        return test.effects(self.points, self.points.reference, cast(Any, shares * n_rows))

    def _tail(self, drawn: Floats) -> Tail:
        return fit_tail(drawn[np.isfinite(drawn)], from_zero=self.test == "kolmogorov_smirnov")

    def _numbers_at(self, values: Sample, season: Sample) -> NDArray[np.intp]:
        """By rank in the season: so blocks of different seasons tell of one another, and ties stay together."""
        ordered = np.sort(season)
        rank = (np.searchsorted(ordered, values, "left") + np.searchsorted(ordered, values, "right")) / 2
        reached = np.cumsum(self.points.reference)
        places = np.searchsorted(reached, rank * (reached[-1] / len(ordered)), side="right")
        found: NDArray[np.intp] = np.minimum(places, len(reached) - 1)
        return found

    def _names_at(self, values: Sample, _: Sample) -> NDArray[np.intp]:
        assert isinstance(self.points, CountedCategories)
        at = {name: place for place, name in enumerate(self.points.names)}
        other = len(at) - 1
        return np.array([at.get(value, other) for value in values.tolist()], dtype=np.intp)


def _numbers(sketch: NumericSketch) -> tuple[Counted, Floats]:
    """The reference's points with one more at either end for what it never held, and their Dirichlet weights.

    Where cells are so coarse that windows are measured on the values themselves, a cell of several values is parted
    evenly; where they are finer than a thousandth of the rows, neighbours are taken together.
    """
    points = align(sketch, sketch)
    n_rows = sketch.n_present
    if coarseness(points) > MAX_COARSENESS:
        parts = np.where(
            points.low < points.high, np.minimum(points.reference, np.ceil(points.reference / (n_rows * FINEST))), 1
        ).astype(np.int64)
        of = np.repeat(np.arange(len(parts)), parts)
        part = np.arange(len(of)) - np.repeat(np.cumsum(parts) - parts, parts)
        step = (part + 0.5) / parts[of]
        # Not low + step * (high - low): the difference of two huge values overflows, and that of infinities is none.
        at = np.where(parts[of] == 1, points.low[of], points.low[of] * (1 - step) + points.high[of] * step)
        counts = points.reference[of] // parts[of] + (part < points.reference[of] % parts[of])
        points = Counted(at, at, counts, counts)
    if len(points.low) > 1:
        middle = np.cumsum(points.reference) - points.reference / 2
        starts = np.flatnonzero(np.diff(np.floor(middle / (n_rows * FINEST)), prepend=-1))
        counts = np.add.reduceat(points.reference, starts)
        points = Counted(points.low[starts], points.high[np.append(starts[1:], len(points.high)) - 1], counts, counts)
    below, above = _beyond(points)
    low, high = np.concatenate([[below], points.low, [above]]), np.concatenate([[below], points.high, [above]])
    counts = np.concatenate([[0], points.reference, [0]])
    left, right = share_nulls.ends(sketch)
    return Counted(low, high, counts, counts), np.concatenate([[left], points.reference, [right]])


def _beyond(points: Counted) -> tuple[float, float]:
    """Where a value beyond either end lies: as far out as the outermost ten rows' mean is from the tenth of them."""
    found = []
    for low, counts, away in ((points.low, points.reference, -1.0), (points.high[::-1], points.reference[::-1], 1.0)):
        tenth = min(int(np.searchsorted(np.cumsum(counts), 10)), len(low) - 1)
        with np.errstate(over="ignore", invalid="ignore"):
            place = low[0] + away * abs(low[0] - low[tenth]) / np.log(10)
        found.append(
            float(place) if np.isfinite(place) and place != low[0] else float(np.nextafter(low[0], away * np.inf))
        )
    return found[0], found[1]


def _names(sketch: CategorySketch, open_ended: bool) -> tuple[CountedCategories, Floats]:
    """The reference's names, with one more at the end for those it never held; weights of the names it holds."""
    points = align_categories(sketch, sketch)
    counts = points.reference
    if not open_ended:
        return points, counts.astype(np.float64)
    with_new = np.append(counts, 0)
    known = np.append(points.known, False)
    return CountedCategories((*points.names, UNSEEN_NAME), with_new, with_new, known), counts.astype(np.float64)
