"""How rows hang together: how far parts of the reference itself lie from the rest of it. PURE.

Rows that share their hour, weather or customer tell less than as many independent ones. A *block* is a part of the
reference as long as a window, and how far blocks lie from the rest shows how far windows lie where nothing changed.
Were rows independent, that follows from their number. How many times as large the squared effects are on average is
the *design effect*; a window of n rows that share ``common`` of their variance with each other carries as much as
``n / (1 + n * common)`` independent ones.

Median effects of blocks matched to those of fewer independent rows were rejected: a common shift of a whole window has
other tails than few rows have. Between the median and a chance of 1 in 10,000 lies a factor of 4.9 for a normal shift
and of 2.4 for Kolmogorov's distribution: thresholds matched at the median would be crossed in 7 of 100 windows. So the
blocks' own deviations are drawn, with normal weights, which keeps how columns' values move together (the multiplier
bootstrap), and divided by the root of a chi-square over its degrees of freedom, as few blocks tell little: Student's t
instead of the normal distribution.

Where the blocks' mean squared effect is no larger than in 95 of 100 cases of independent rows, nothing of this is done:
independent rows keep their threshold and their power. What that leaves unseen is told by ``high``.

References
----------
Kish (1965), Survey Sampling, section 5.4, for the design effect; Shao (2010), Journal of the American Statistical
Association 105, 218-235, for multipliers of dependent data.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.drift.drift_tests import Sample, missing

Floats = NDArray[np.float64]
Effects = Callable[[Floats, float], Floats]
"""Effects of windows of so many rows, given as shares of shape (b, k)."""

LEAST_BLOCKS = 12
MOST_BLOCKS = 200
LEAST_ROWS = 10
GATE = 0.95
N_MEANS = 2_000


@dataclass(frozen=True, eq=False)
class Blocks:
    """The rows of a column's reference, and the blocks they lie in.

    Parameters
    ----------
    values : ndarray of shape (n,)
        float64 with NaN, or str and None.
    block : ndarray of shape (n,)
        0 to B - 1; -1 for rows of no block.
    season : ndarray of shape (n,)
        A block is held against rows of its own season; all 0 where there are none.
    season_of : ndarray of shape (B,)
        Each block's.
    """

    values: Sample
    block: NDArray[np.intp]
    season: NDArray[np.intp]
    season_of: NDArray[np.intp]


@dataclass(frozen=True)
class Dependence:
    """How the rows of a stream hang together.

    Parameters
    ----------
    n_blocks : int
        That were looked at.
    freedom : int
        Blocks less one for each season: at least 12 or nothing is claimed.
    n_rows : float
        Of a block, the median.
    design_effect : float
        Mean squared effect of the blocks over that of as many independent rows; 1 where there were too few blocks.
    low, high : float
        Its 95 % interval, were all of it one common shift.
    seen : bool
        Whether it is more than chance explains; only then thresholds are widened.
    """

    n_blocks: int
    freedom: int
    n_rows: float
    design_effect: float
    low: float
    high: float
    seen: bool

    @property
    def enough(self) -> bool:
        """Whether there were blocks enough to tell."""
        return self.freedom >= LEAST_BLOCKS

    @property
    def common(self) -> float:
        """Which part of a row's variance is its window's, as a ratio of variances, >= 0; 0 where none was seen."""
        return max(0.0, self.design_effect - 1) / self.n_rows if self.seen else 0.0

    def independent_rows(self, n_rows: float) -> float:
        """How many independent rows a window of so many carries, at most as many."""
        return n_rows / (1 + n_rows * self.common)

    def wider(self, n_rows: float) -> float:
        """Variance of a window of so many rows over that of a block.

        Larger windows than blocks vary less, by how much depends on ``common``: the larger of what its estimate and its
        upper limit say is taken.
        """
        limits = [self.common, max(0.0, self.high - 1) / self.n_rows]
        return max((1 / n_rows + common) / (1 / self.n_rows + common) for common in limits)


NOTHING_KNOWN = Dependence(0, 0, 1.0, 1.0, 1.0, 1.0, False)
"""Of a reference without a time."""


@dataclass(frozen=True, eq=False)
class Deviations:
    """How far the shares of blocks lie from the rest of their season.

    Parameters
    ----------
    shares : ndarray of shape (B, k)
        Their differences, as large as from the truth: what the rest is off by itself is taken out.
    n_rows : ndarray of shape (B,)
        Rows that hold a value.
    n_seasons : int
    """

    shares: Floats
    n_rows: Floats
    n_seasons: int

    @property
    def freedom(self) -> int:
        """Blocks less one for each season."""
        return max(0, len(self.n_rows) - self.n_seasons)

    def draw(self, n_draws: int, rng: np.random.Generator) -> Floats:
        """Deviations that vary as the blocks' do, of shape (n_draws, k)."""
        weights = rng.standard_normal((n_draws, len(self.shares)))
        drawn: Floats = weights @ self.shares / np.sqrt(len(self.shares))
        return drawn


def deviations(blocks: Blocks, places: Callable[[Sample, Sample], NDArray[np.intp]], n_places: int) -> Deviations:
    """How far each block lies from the rest of its season.

    Parameters
    ----------
    places : callable
        ``places(values, season's values)``: where values lie among 0 to n_places - 1.
    n_places : int
    """
    present = ~missing(blocks.values)
    found: list[Floats] = []
    sizes: list[float] = []
    seasons = set()
    n_blocks = len(blocks.season_of)
    rows = np.bincount(blocks.block[(blocks.block >= 0) & present], minlength=n_blocks).astype(float)
    large = rows >= max(LEAST_ROWS, np.median(rows[rows > 0]) / 2 if rows.any() else 0)
    for season in np.unique(blocks.season_of[large]):
        inside = (blocks.season == season) & present
        here = np.flatnonzero(large & (blocks.season_of == season))
        if len(here) < 2:
            continue
        taken = np.isin(blocks.block, here) & present
        own = blocks.values[inside]
        everything = np.bincount(places(own, own), minlength=n_places).astype(float)
        at = places(blocks.values[taken], own) + n_places * np.searchsorted(here, blocks.block[taken])
        both = inside[taken]
        counts = np.bincount(at, minlength=n_places * len(here)).reshape(-1, n_places)
        counts_inside = np.bincount(at[both], minlength=n_places * len(here)).reshape(-1, n_places)
        rest = everything - counts_inside
        n_rest = rest.sum(axis=1, keepdims=True)
        kept = n_rest[:, 0] > 0
        n = counts.sum(axis=1, keepdims=True)
        apart = (counts / n - rest / np.maximum(1, n_rest)) * np.sqrt(n_rest / (n_rest + n))
        found.append(apart[kept])
        sizes.extend(n[kept, 0])
        seasons.add(season)
    shares = np.concatenate(found) if found else np.empty((0, n_places))
    return Deviations(shares, np.array(sizes), len(seasons))


def dependence_of(
    found: Deviations, shares: Floats, effects: Effects, *, power: float, n_draws: int, rng: np.random.Generator
) -> Dependence:
    """How far the blocks vary beyond what as many independent rows do.

    Parameters
    ----------
    found : Deviations
    shares : ndarray of shape (k,)
        The reference's.
    effects : callable
    power : float
        The effect goes with this power of a deviation: 1 for a distance, 2 for an index of squares.
    n_draws : int
        Of independent windows.
    """
    n_blocks = len(found.n_rows)
    if found.freedom < LEAST_BLOCKS:
        n_rows = float(np.median(found.n_rows)) if n_blocks else 1.0
        return Dependence(n_blocks, found.freedom, n_rows, 1.0, 1.0, 1.0, False)
    from scipy.stats import chi2

    n_rows = float(np.median(found.n_rows))
    drawn = rng.multinomial(round(n_rows), shares, size=n_draws) / round(n_rows)
    by_chance = n_rows * effects(drawn, n_rows) ** (2 / power)
    seen = found.n_rows * effects(shares + found.shares, n_rows) ** (2 / power)
    means = rng.choice(by_chance, size=(N_MEANS, n_blocks)).mean(axis=1)
    expected = float(by_chance.mean())
    design_effect = float(seen.mean()) / expected if expected > 0 else 1.0
    low, high = (design_effect * found.freedom / chi2.ppf(at, found.freedom) for at in (0.975, 0.025))
    exceeds = bool(seen.mean() > np.quantile(means, GATE))
    return Dependence(n_blocks, found.freedom, n_rows, design_effect, float(low), float(high), exceeds)
