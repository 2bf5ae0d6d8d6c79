"""How a column's streams vary where nothing changed. PURE.

The reference is one sample, not the truth. A further window is drawn as the reference predicts it
(`core.statistics.predictive`): first what the truth may be given the reference, then the window's rows. This is
two-sample resampling with the reference held as it is, and exact for continuous columns whatever their distribution.
Drawing both samples from the reference instead takes what it holds once, or never, for the truth: rejected, for rare
values would call far too often. What the reference never held gets its due: half a row for a missing value, the gaps
beyond its two ends for a number, Good and Turing's share for new categories.

Where the reference carries a time, `dependence` tells from its blocks how far windows lie though nothing changed;
where that is more than independent rows explain, a value test's windows are drawn as the blocks lie, and shares as if
there were only so many independent rows.

A share's distribution is worked out exactly. A value test is drawn, through the catalogue's ``effects``, at a few
sizes, and carried on into the tail by `core.statistics.tails`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from core.datasets.tables import ColumnKind
from core.drift.dependence import Blocks, Dependence, Deviations, dependence_of, deviations
from core.drift.drift_tests import DRIFT_TESTS, Sample, missing
from core.statistics.predictive import JEFFREYS, ShareTail, draw_counts, draw_shares, share_tail
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

Floats = NDArray[np.float64]

DRAWN_CELLS = 500_000
LEAST_DRAWS, MOST_DRAWS = 1_000, 50_000
BLOCK_CELLS = 2_000_000
NEVER_SEEN = 0.05
RARE_ROWS = 32
FINEST = 1 / 1_024
BLOCK_DRAWS = 1_000
POWERS = {"psi": 2.0}
"""Effects that go with another power of a deviation than its first."""
UNSEEN_NAME = "a name the reference never held"


@dataclass(frozen=True, eq=False)
class Column:
    """One watched column.

    Parameters
    ----------
    sketch : NumericSketch or CategorySketch
        Its reference; of one season, where windows are held against the same season.
    kind : ColumnKind
    streams : sequence of str
        Keys of the tests that decide (`measuring.streams_of`).
    blocks : Blocks or None
        The rows in blocks as long as a window; None takes rows for independent.
    """

    sketch: NumericSketch | CategorySketch
    kind: ColumnKind | str
    streams: Sequence[str]
    blocks: Blocks | None = None


@dataclass(frozen=True)
class Share:
    """A stream whose effect is how far a share lies from the reference's: nothing is drawn for it.

    Parameters
    ----------
    seen : float
        The share in the reference.
    with_it, without : float
        The beta distribution of the true share.
    weight : float
        Which part of a stream's level it gets, in (0, 1].
    common : float
        What rows of a window share (`dependence.Dependence.common`); 0 where they are independent.
    """

    seen: float
    with_it: float
    without: float
    weight: float
    common: float = 0.0

    def tail(self, n_rows: int) -> ShareTail:
        """How far the share of a window of so many rows lies from the reference's."""
        rows = n_rows / (1 + n_rows * self.common)
        return share_tail(self.seen, self.with_it, self.without, max(1, round(rows)))


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

    def attained(self, place: int, level: float) -> float:
        """With which chance it exceeds its threshold at a stream's level, for windows of the size at this place."""
        return self.tails[place].attained(level * self.weight)


@dataclass(frozen=True, eq=False)
class ShareNull:
    """A share's distribution in windows of each size."""

    share: Share
    tails: list[ShareTail]

    @property
    def weight(self) -> float:
        """Which part of a stream's level it gets, in (0, 1]."""
        return self.share.weight

    def attained(self, place: int, level: float) -> float:
        """As `DrawnNull.attained`."""
        return self.tails[place].attained(level * self.share.weight)


@dataclass(frozen=True, eq=False)
class Null:
    """How one column's streams vary where nothing changed.

    Parameters
    ----------
    n_reference : int
        All rows of the reference.
    streams : mapping of str to DrawnNull or ShareNull
        By key of the test; without the value test where the reference holds no value.
    shared : ndarray of shape (s,)
        Which part of the variance of a window's distance is the reference's, so that windows have it in common.
    dependence : mapping of str to Dependence
        How the rows hang together, of the value test and the missing share; empty where that was not looked at.
    """

    n_reference: int
    streams: Mapping[str, DrawnNull | ShareNull]
    shared: Floats
    dependence: Mapping[str, Dependence]

    def exceeding(self, place: int, level: float, whole: bool) -> float:
        """With which chance any stream exceeds: as far as whole counts allow, or as if each level could be attained."""
        quiet = 1.0
        for stream in self.streams.values():
            quiet *= 1 - (stream.attained(place, level) if whole else level * stream.weight)
        return 1 - quiet


def null(column: Column, grid: Floats, rng: np.random.Generator) -> Null:
    """Work out how a column's streams vary.

    Parameters
    ----------
    column : Column
    grid : ndarray of shape (s,)
        Rows of a window, rising.
    rng : Generator
    """
    sketch = column.sketch
    present = np.maximum(1.0, np.round(grid * (sketch.n_present / max(1, sketch.n_rows))))
    shared = grid / (grid + max(1, sketch.n_rows))
    streams: dict[str, DrawnNull | ShareNull] = {}
    found: dict[str, Dependence] = {}
    common, fewer = 0.0, 1.0
    for key in column.streams:
        match DRIFT_TESTS[key].role:
            case "missing":
                share = _missing(sketch)
                if column.blocks is not None:
                    found[key] = _missing_dependence(column.blocks, share.seen, rng)
                    share = _of_fewer(share, found[key].common, _fewer(found[key]))
                streams[key] = ShareNull(share, [share.tail(int(n)) for n in grid])
            case "support":
                share = _outside(sketch) if isinstance(sketch, NumericSketch) else _new_names(sketch)
                # Extremes and new names come with what else a window shares.
                share = _of_fewer(share, common, fewer)
                streams[key] = ShareNull(share, [share.tail(int(n)) for n in present])
            case _ if sketch.n_present:
                drawn = _Drawing(key, column)
                weight = NEVER_SEEN if _is_constant(sketch) else 1.0
                apart = None if column.blocks is None else drawn.apart(column.blocks)
                if apart is not None:
                    found[key] = one = drawn.dependence(apart, rng)
                    if one.seen:
                        common, fewer = one.common, _fewer(one)
                        own = np.array([one.wider(n) for n in present])
                        of_reference = one.n_rows / sketch.n_present
                        shared = of_reference / (own + of_reference)
                        tails = [
                            UnsureTail(drawn.blocks_tail(apart, n, wider, rng), one.freedom, POWERS.get(key, 1.0))
                            for n, wider in zip(present, own + of_reference, strict=True)
                        ]
                        streams[key] = DrawnNull(sketch.n_present, present, tails, weight)
                        continue
                streams[key] = DrawnNull(sketch.n_present, present, drawn.tails(present, rng), weight)
            case _:
                continue
    return Null(sketch.n_rows, streams, shared, found)


def _fewer(found: Dependence) -> float:
    """How many rows of the reference tell as much as one independent one."""
    return max(1.0, found.design_effect) if found.seen else 1.0


def _of_fewer(share: Share, common: float, fewer: float) -> Share:
    """A share as sure as it is where so many rows of the reference count as one."""
    if fewer == 1:
        return share
    return replace(share, with_it=max(JEFFREYS, share.with_it / fewer), without=share.without / fewer, common=common)


def _missing_dependence(blocks: Blocks, share: float, rng: np.random.Generator) -> Dependence:
    gone = missing(blocks.values).astype(np.float64)
    apart = deviations(replace(blocks, values=gone), lambda values, _: values.astype(np.intp), 2)
    return dependence_of(
        apart,
        np.array([1 - share, share]),
        lambda shares, _: np.abs(shares[..., 1] - share),
        power=1.0,
        n_draws=BLOCK_DRAWS,
        rng=rng,
    )


def _is_constant(sketch: NumericSketch | CategorySketch) -> bool:
    """Whether the reference holds one value only, so that any other is something it never held."""
    return len(sketch.counts) == 1 and (isinstance(sketch, CategorySketch) or not np.isnan(sketch.values[0]))


def _missing(sketch: NumericSketch | CategorySketch) -> Share:
    seen, n_rows = sketch.n_missing, sketch.n_rows
    ordinary = 0 < seen < n_rows
    return Share(seen / max(1, n_rows), seen + JEFFREYS, n_rows - seen + JEFFREYS, 1.0 if ordinary else NEVER_SEEN)


def _outside(sketch: NumericSketch) -> Share:
    open_ends = sum(_ends(sketch))
    weight = 1.0 if open_ends == 2 else NEVER_SEEN
    return Share(0.0, open_ends, max(1.0, sketch.n_present - 1.0), weight)


def _ends(sketch: NumericSketch) -> tuple[float, float]:
    """Dirichlet weights of the gaps below and above the reference: a whole gap each, half a row where the end is tied.

    A value at the end that occurs more than once looks like a bound, such as 0 of a count.
    """
    tied = ~np.isnan(sketch.values) & (sketch.counts > 1)
    return tuple(JEFFREYS if len(tied) and tied[end] else 1.0 for end in (0, -1))  # type: ignore[return-value]


def _new_names(sketch: CategorySketch) -> Share:
    """Of the mass of names never seen: Good and Turing's estimate, the share of rows whose name occurred once."""
    once, twice = (float((sketch.counts == times).sum()) for times in (1, 2))
    n_rows = max(1.0, float(sketch.n_present))
    rare = int((sketch.counts <= RARE_ROWS).sum())
    if not once and rare:
        # A name as rare as these may have been missed as a whole: of each with a share above s the chance is exp(-n s).
        return Share(0.0, 1.0, n_rows, NEVER_SEEN / rare)
    unseen = min(0.5, (once + JEFFREYS) / (n_rows + 1))
    # As sure as the estimate is: its variance is (once + 2 twice) / n**2 (Robbins 1968, equation 4).
    with_it = max(JEFFREYS, (once + JEFFREYS) ** 2 / (once + 2 * twice + JEFFREYS))
    return Share(0.0, with_it, with_it * (1 - unseen) / unseen, 1.0 if once else NEVER_SEEN)


class _Drawing:
    """A value test's effect on windows drawn as the reference, or its blocks, predict them."""

    def __init__(self, test: str, column: Column) -> None:
        sketch = column.sketch
        self.test = test
        self.unseen: Share | None = None
        self.points: Counted | CountedCategories
        if isinstance(sketch, NumericSketch):
            self.points, self.weights = _numbers(sketch)
        else:
            # A boolean that was seen both ways has no third value.
            open_ended = ColumnKind(column.kind) != ColumnKind.BOOLEAN or len(sketch.counts) < 2
            self.points, self.weights = _names(sketch, open_ended)
            self.unseen = _new_names(sketch) if open_ended else None
        self.shares = self.points.reference / self.points.reference.sum()

    def tails(self, present: Floats, rng: np.random.Generator) -> list[Tail]:
        """Of independent rows, at each size."""
        n_draws = int(np.clip(DRAWN_CELLS // len(self.weights), LEAST_DRAWS, MOST_DRAWS))
        drawn = np.empty((len(present), n_draws))
        block = max(1, BLOCK_CELLS // len(self.weights))
        for begin in range(0, n_draws, block):
            here = slice(begin, min(begin + block, n_draws))
            shares = draw_shares(self.weights, n_draws=here.stop - here.start, rng=rng)
            if self.unseen:
                new = rng.beta(self.unseen.with_it, self.unseen.without, size=(len(shares), 1))
                shares = np.hstack([shares * (1 - new), new])
            for place, n in enumerate(present):
                counts = draw_counts(shares, int(n), rng=rng)
                drawn[place, here] = DRIFT_TESTS[self.test].effects(self.points, self.points.reference, counts)
        return [self._tail(line) for line in drawn]

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
    left, right = _ends(sketch)
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
