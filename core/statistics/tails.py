"""Far tails of distributions that are known from draws alone.

A threshold that is crossed once in 100,000 windows cannot be read off a few thousand draws. `fit_tail` reads what it
can and carries the rest on with an exponential tail in a coordinate that suits a distance between samples.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from core.errors import InsufficientData

Floats = NDArray[np.float64]

N_TAIL = 200
# How many standard deviations below its mean a distance must start for the square of the rest to have an exponential
# tail, by the skewness: worked out for the normal, chi with 6, 2 and 1 degrees of freedom; beyond these carried on.
SKEWNESS = (-0.5, 0.0, 0.31, 0.63, 1.0, 1.5, 2.5)
ORIGIN_BELOW_MEAN = (0.2, 0.5, 1.5, 1.91, 2.15, 2.6, 3.5)


@dataclass(frozen=True, eq=False)
class Tail:
    """The upper tail of a distribution known from draws; see `fit_tail`.

    Parameters
    ----------
    draws : ndarray of shape (b,)
        Falling.
    n_beyond : int
        How many draws lie above the point from which the tail is carried on.
    origin, mean_excess : float
        Of the carried-on part, in the units of the draws and in their squares.
    """

    draws: Floats
    n_beyond: int
    origin: float
    mean_excess: float

    def threshold(self, level: float) -> float:
        """The value that a further draw exceeds with this probability.

        Where at least `N_TAIL` draws lie above it (a tenth of the draws, if that is fewer) it is the draw of that rank,
        which a further draw exceeds with probability rank / (b + 1), exactly, and less where draws are tied. Beyond,
        the excess is Lomax, not exponential: so a further exponential exceeds a multiple of the *mean* of n_beyond
        others, and the level holds on average over the draws too.

        Parameters
        ----------
        level : float
            In (0, 1).
        """
        n_draws = len(self.draws)
        reached = (self.n_beyond + 1) / (n_draws + 1)
        if level >= reached or self.mean_excess <= 0:
            rank = max(1, min(n_draws, int(level * (n_draws + 1) * (1 + 1e-12))))
            return float(self.draws[rank - 1])
        start = max(0.0, float(self.draws[self.n_beyond]) - self.origin) ** 2
        excess = self.n_beyond * self.mean_excess * ((reached / level) ** (1 / self.n_beyond) - 1)
        return self.origin + float(np.sqrt(start + excess))

    def attained(self, level: float) -> float:
        """With which probability a further draw exceeds `threshold(level)`: less than that where draws are tied."""
        n_draws = len(self.draws)
        if level < (self.n_beyond + 1) / (n_draws + 1):
            return level if self.mean_excess > 0 else 0.0
        above = int(np.searchsorted(-self.draws, -self.threshold(level), side="left"))
        return min(level, (above + 1) / (n_draws + 1)) if above else 0.0

    def exceeded(self, values: Floats) -> Floats:
        """With which probability a further draw exceeds each value; the inverse of `threshold`.

        Parameters
        ----------
        values : ndarray of shape (m,)
        """
        n_draws = len(self.draws)
        above = np.searchsorted(-self.draws, -values, side="left")
        by_rank = (above + 1) / (n_draws + 1)
        if self.mean_excess <= 0:
            return np.where(above > 0, by_rank, 0.0)
        start = max(0.0, float(self.draws[self.n_beyond]) - self.origin) ** 2
        excess = np.maximum(0.0, np.maximum(0.0, values - self.origin) ** 2 - start)
        reached = (self.n_beyond + 1) / (n_draws + 1)
        carried = reached * (1 + excess / (self.n_beyond * self.mean_excess)) ** -float(self.n_beyond)
        return np.where(above > self.n_beyond, by_rank, np.minimum(reached, carried))


@dataclass(frozen=True, eq=False)
class UnsureTail:
    """The tail of a distance whose scale was estimated from few samples: as Student's t is to the normal distribution.

    Parameters
    ----------
    tail : Tail
        Were the scale known.
    freedom : int
        Degrees of freedom of its square, at least 1.
    power : float
        The distance goes with this power of the scale.
    """

    tail: Tail
    freedom: int
    power: float = 1.0

    def threshold(self, level: float) -> float:
        """The value that a further draw exceeds with this probability."""
        return float(np.exp(np.interp(-np.log(level), self._levels, self._places)))

    def attained(self, level: float) -> float:
        """With which probability `threshold(level)` is exceeded: the level, or 0 where nothing ever varies."""
        return level if self._levels[0] <= -np.log(level) else 0.0

    @cached_property
    def _places(self) -> Floats:
        """Logarithms of distances, rising."""
        top = float(self.tail.draws[0])
        return np.linspace(np.log(max(top, 1e-300) / 1e3), np.log(max(top, 1e-300) * 1e3), 600)

    @cached_property
    def _levels(self) -> Floats:
        """Minus the logarithms of how often they are exceeded, rising."""
        from scipy.stats import chi2

        scales = np.exp(np.linspace(np.log(0.02), np.log(4.0), 400))
        mass = chi2.pdf(self.freedom * scales**2, self.freedom) * scales**2
        mass /= mass.sum()
        at = np.exp(self._places)[:, None] * scales**self.power
        beyond = self.tail.exceeded(at.ravel()).reshape(at.shape) @ mass
        return np.maximum.accumulate(-np.log(np.maximum(beyond, 1e-300)))


def fit_tail(draws: Floats, *, from_zero: bool = False) -> Tail:
    """Fit the upper tail of a distance between samples, from draws of it under the null.

    From the point that 200 draws exceed (a tenth of the draws, if that is fewer) the square of the distance from an
    *origin* is taken to have an exponential tail. Distances are, in the limit, norms of Gaussian vectors, whose tails
    fall like ``exp(-(t - origin)**2 / 2 s**2)``; where the origin lies is told by the skewness: half a standard
    deviation below the mean of a normal (many small differences summed up), at 0 for a chi of two degrees, below 0 for
    the size of a single normal.

    Parameters
    ----------
    draws : ndarray of shape (b,)
        Finite. O(b log b).
    from_zero : bool
        The origin is 0 or below: the largest of many differences, as in Kolmogorov's distribution ``2 exp(-2 t**2)``.

    Raises
    ------
    InsufficientData
        No draw was given.

    References
    ----------
    Ehrhard (1983), Mathematica Scandinavica 53, 281-301, for the tails of Gaussian norms.
    """
    falling = np.sort(np.asarray(draws, dtype=np.float64))[::-1]
    n_draws = len(falling)
    if n_draws == 0:
        raise InsufficientData("A tail cannot be fitted to no draws; give at least one.")
    start = falling[min(N_TAIL, max(1, n_draws // 10), n_draws - 1)]
    n_beyond = int(np.searchsorted(-falling, -start, side="left"))
    mean, deviation = float(falling.mean()), float(falling.std())
    if n_beyond == 0 or deviation <= 0:
        return Tail(falling, n_beyond, 0.0, 0.0)
    skewness = float((((falling - mean) / deviation) ** 3).mean())
    origin = mean - float(np.interp(skewness, SKEWNESS, ORIGIN_BELOW_MEAN)) * deviation
    origin = min(origin, float(start), 0.0 if from_zero else np.inf)
    beyond = (falling[:n_beyond] - origin) ** 2 - (start - origin) ** 2
    return Tail(falling, n_beyond, origin, float(beyond.mean()))
