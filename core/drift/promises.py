"""So many false alerts a month, as the level of one window. PURE.

In quiet months, in which nothing changed, the rule fires on average for as many windows as the user accepts. It fires
for a window when in some column some deciding stream exceeds its threshold and, with k of n, any stream of that column
did so in k - 1 of the n - 1 windows before too. An alert that stays open while later windows fire again counts once
with people and more than once here, so they see at most what was promised.

Windows that share a reference are not independent: where it is off, they all are. That leaves the average rate alone,
but not k of n: see `firing_chance`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.errors import InvalidInput

Floats = NDArray[np.float64]

WINDOWS_A_MONTH = {"hour": 24 * 365.25 / 12, "day": 365.25 / 12, "week": 365.25 / 84, "month": 1.0}
MOST_LEVEL = 0.5


@dataclass(frozen=True)
class Promise:
    """How many false alerts a month are acceptable, and how windows become alerts.

    Parameters
    ----------
    false_alerts : float
        A month, above 0.
    windows_a_month : float
        Above 0: `WINDOWS_A_MONTH` for windows of time, the observed rate for windows of so many rows.
    windows_needed, windows_of : int
        k and n, ``1 <= k <= n``: a column alerts in a window if it exceeds there and in k of the last n in all.

    Raises
    ------
    InvalidInput
    """

    false_alerts: float
    windows_a_month: float
    windows_needed: int = 1
    windows_of: int = 1

    def __post_init__(self) -> None:
        if not (self.false_alerts > 0 and self.windows_a_month > 0):
            raise InvalidInput(
                f"{self.false_alerts:g} false alerts in {self.windows_a_month:g} windows a month cannot be promised; "
                "give numbers above 0."
            )
        if not 1 <= self.windows_needed <= self.windows_of:
            raise InvalidInput(
                f"{self.windows_needed} of {self.windows_of} windows cannot be asked for; give at least 1 and at most "
                "as many as are looked at."
            )


def window_level(promise: Promise) -> float:
    """The chance that the rule may fire for one quiet window: promised alerts over windows of a month, at most 0.5."""
    return min(MOST_LEVEL, promise.false_alerts / promise.windows_a_month)


def firing_chance(exceeding: Floats, correlation: Floats, *, windows_needed: int, windows_of: int) -> Floats:
    """With which probability a window exceeds and k - 1 of the n - 1 windows before it did.

    The windows' deviations are normal in the direction that leads far out, with equal correlation from the reference
    they share; at 0 this is ``p * P(Binomial(n - 1, p) >= k - 1)``, at 1 it is p.

    Parameters
    ----------
    exceeding : ndarray of shape (m,)
        With which probability one window exceeds, in [0, 1).
    correlation : ndarray of shape (m,)
        In [0, 1].
    windows_needed, windows_of : int
        k and n.

    Returns
    -------
    ndarray of shape (m,)
    """
    if windows_needed == 1:
        return exceeding
    from scipy.special import betainc, ndtr, ndtri

    # Sums in steps of a tenth are exact to 15 digits while a window's own part is not the smaller by far.
    at = np.linspace(-9.0, 9.0, 181 if correlation.max(initial=0.0) <= 0.9 else 721)
    mass = np.exp(-(at**2) / 2)
    mass /= mass.sum()
    shared = np.minimum(correlation, 1 - 1e-6)[:, None]
    border = -ndtri(np.maximum(exceeding, 1e-300) / 2)[:, None]
    own = np.sqrt(1 - shared)
    chance = ndtr((np.sqrt(shared) * at - border) / own) + ndtr((-np.sqrt(shared) * at - border) / own)
    # The chance of k - 1 or more among n - 1, as an incomplete beta function.
    before = betainc(windows_needed - 1, windows_of - windows_needed + 1, np.clip(chance, 0, 1))
    fired: Floats = (chance * before) @ mass
    return np.where(exceeding > 0, fired, 0.0)


def fires(exceeded: bool, before: Sequence[bool], *, windows_needed: int, windows_of: int) -> bool:
    """Whether a column alerts in a window: it exceeds there, and in k of the last n windows in all.

    Parameters
    ----------
    exceeded : bool
        Whether any of the column's streams exceeds its threshold in this window.
    before : sequence of bool
        The same of the windows before, oldest first, those without enough data left out; the last ``windows_of - 1``
        count.
    windows_needed, windows_of : int
        k and n.
    """
    earlier = list(before)[max(0, len(before) - windows_of + 1) :]
    return exceeded and 1 + sum(earlier) >= windows_needed
