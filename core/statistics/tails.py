"""Far tails of distributions that are known from draws alone.

A threshold that is crossed once in 100,000 windows cannot be read off a few thousand draws. `fit_tail` reads what it
can and carries the rest on with an exponential tail in a coordinate that suits a distance between samples.
"""

from __future__ import annotations

from dataclasses import dataclass

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
