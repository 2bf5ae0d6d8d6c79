"""What a rule would have said of the past, before it is saved. PURE.

Past windows are judged by their stored effects, so a replay costs nothing but the thresholds. How many alerts a month
that makes is shown with its 95 % Poisson interval: a few months tell little. More than promised does not mean that the
rule is wrong; it means that there was something, or that the reference does not fit these windows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from core.drift.calibrating import Key, WindowThresholds
from core.drift.promises import Promise, fires
from core.errors import InvalidInput
from core.statistics.intervals import CONFIDENCE


@dataclass(frozen=True)
class PastEffect:
    """What one deciding stream of a column showed: its effect, None where it had none, and the rows it looked at."""

    test: str
    effect: float | None
    n_current: int


@dataclass(frozen=True, eq=False)
class PastWindow:
    """One window as it was measured.

    Parameters
    ----------
    label : str
    effects : mapping of Key to sequence of PastEffect
        Of the deciding streams. Empty where the window had too few rows: then it is neither quiet nor an alert, and k
        of n passes over it.
    """

    label: str
    effects: Mapping[Key, Sequence[PastEffect]]


@dataclass(frozen=True)
class ReplayedWindow:
    """What the rule would have said of one window.

    Parameters
    ----------
    label : str
    enough : bool
        Whether it could be judged.
    columns : tuple of Key
        Those that would have alerted, the largest effect for its threshold first; empty where it was quiet.
    """

    label: str
    enough: bool
    columns: tuple[Key, ...]


@dataclass(frozen=True)
class Replay:
    """What the rule would have said of all of them.

    Parameters
    ----------
    windows : tuple of ReplayedWindow
        In the order given.
    n_alerts : int
        Windows that would have alerted.
    months : float
        How long the windows that could be judged lasted.
    alerts_a_month, low, high : float or None
        With the 95 % interval; None without a window that could be judged.
    promised : float
        False alerts a month.
    """

    windows: tuple[ReplayedWindow, ...]
    n_alerts: int
    months: float
    alerts_a_month: float | None
    low: float | None
    high: float | None
    promised: float

    @property
    def above_promise(self) -> bool:
        """Whether there were more alerts than the promise explains."""
        return self.low is not None and self.low > self.promised

    @property
    def sentence(self) -> str:
        """The replay in words."""
        if self.alerts_a_month is None:
            return "No past window has enough data to be judged, so nothing can be said about this rule yet."
        judged = sum(window.enough for window in self.windows)
        said = (
            f"Of {judged:,} past windows, {self.n_alerts:,} would have alerted: {self.alerts_a_month:.2g} a month "
            f"({self.low:.2g} to {self.high:.2g}) where {self.promised:.2g} false ones are accepted."
        )
        if self.above_promise:
            return f"{said} That is more than chance explains: something changed, or the reference does not fit."
        return f"{said} That is no more than chance explains."


def replay(
    history: Sequence[PastWindow],
    thresholds: WindowThresholds | Sequence[WindowThresholds],
    promise: Promise,
    min_effect: float = 0.0,
) -> Replay:
    """Judge past windows by a rule.

    Parameters
    ----------
    history : sequence of PastWindow
        Oldest first, of one version.
    thresholds : WindowThresholds, or one for each window
        The rule's; several where sizes or seasons were calibrated apart.
    promise : Promise
    min_effect : float
        The smallest effect that counts.

    Raises
    ------
    NotFound
        A window holds a column or stream that was not calibrated.
    InvalidInput
        Not as many thresholds as windows.
    """
    each = [thresholds] * len(history) if isinstance(thresholds, WindowThresholds) else list(thresholds)
    if len(each) != len(history):
        raise InvalidInput(f"There are {len(each)} thresholds for {len(history)} windows; give one for each.")
    before: dict[Key, list[bool]] = {}
    replayed = []
    for window, of_window in zip(history, each, strict=True):
        fired: dict[Key, float] = {}
        for key, effects in window.effects.items():
            excess = _excess(key, effects, of_window, min_effect)
            earlier = before.setdefault(key, [])
            if fires(excess > 0, earlier, windows_needed=promise.windows_needed, windows_of=promise.windows_of):
                fired[key] = excess
            earlier.append(excess > 0)
        columns = tuple(sorted(fired, key=lambda key: (-fired[key], key)))
        replayed.append(ReplayedWindow(window.label, bool(window.effects), columns))
    judged = sum(window.enough for window in replayed)
    n_alerts = sum(bool(window.columns) for window in replayed)
    months = judged / promise.windows_a_month
    if not judged:
        return Replay(tuple(replayed), 0, 0.0, None, None, None, promise.false_alerts)
    low, high = _poisson(n_alerts)
    return Replay(
        tuple(replayed), n_alerts, months, n_alerts / months, low / months, high / months, promise.false_alerts
    )


def _excess(key: Key, effects: Sequence[PastEffect], thresholds: WindowThresholds, min_effect: float) -> float:
    """The largest ratio of an effect to its threshold among those that exceed; 0 where none does."""
    largest = 0.0
    for one in effects:
        if one.effect is None or one.n_current < 1:
            continue
        threshold = thresholds.of(key, one.test, one.n_current)
        if one.effect > threshold and one.effect >= min_effect:
            largest = max(largest, one.effect / max(threshold, min_effect, 1e-12))
    return largest


def _poisson(n: int) -> tuple[float, float]:
    """The exact 95 % interval of a Poisson mean (Garwood 1936, Biometrika 28, 437-442)."""
    from scipy.special import gammainccinv, gammaincinv

    tail = (1 - CONFIDENCE) / 2
    return float(gammaincinv(n, tail)) if n else 0.0, float(gammainccinv(n + 1, tail))
