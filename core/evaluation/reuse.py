"""How far a set of rows that has judged many candidates flatters the best of them. Pure.

Whoever picks the best of several on the same rows picks luck too: of k equally good candidates the best looks better
by about the expected largest of k normal errors. That is a floor: candidates made *after* looking at the set fit it
more closely still (Dwork et al. 2015, Science 349:636, doi:10.1126/science.aaa9375).
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

from core.errors import InvalidInput

# Blom (1958): the expected largest of k standard normals is close to the quantile at (k - 0.375) / (k + 0.25).
BLOM = 0.375
WARN_SHARE = 0.5


@dataclass(frozen=True)
class Reuse:
    """What reuse has done to one evaluation set.

    Parameters
    ----------
    n_candidates : int
        Different runs judged on it.
    flattery : float
        By how much the best of so many equal candidates looks better by luck, in the metric's unit.
    margin : float
        What a loss must stay under to count as not worse, in the same unit.
    """

    n_candidates: int
    flattery: float
    margin: float

    @property
    def worn(self) -> bool:
        """Whether luck alone may be as large as what is judged: fresh data or a written exception is due."""
        return self.flattery > self.margin

    @property
    def warns(self) -> bool:
        """Whether luck may be more than half of it."""
        return self.flattery > WARN_SHARE * self.margin


def expected_largest(n: int) -> float:
    """The expected largest of n independent standard normals, within 1 % for n up to 1,000; 0 for one.

    Raises
    ------
    InvalidInput
        n < 1.
    """
    if n < 1:
        raise InvalidInput(f"The largest of {n} values is not defined; give at least one.")
    return 0.0 if n == 1 else NormalDist().inv_cdf((n - BLOM) / (n + 1 - 2 * BLOM))


def reuse(n_candidates: int, *, low: float, high: float, margin: float) -> Reuse:
    """Judge an evaluation set by how many candidates it has judged.

    Parameters
    ----------
    n_candidates : int
        Different runs judged on it, this one included.
    low, high : float
        The 95 % interval of a paired difference on it; its half width over 1.96 is the standard error of luck.
    margin : float
        In the same unit, >= 0.
    """
    error = (high - low) / 2 / NormalDist().inv_cdf(0.975)
    return Reuse(n_candidates, expected_largest(max(1, n_candidates)) * error, margin)
