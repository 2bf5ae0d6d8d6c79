"""Marks in a column of numbers: the simplest change of the reference that explains the current values. PURE."""

from __future__ import annotations

import math

import numpy as np

from core.incidents.conversions import CONVERSIONS, Conversion
from core.incidents.samples import ALIKE, FEWEST, UNLIKE, Array, Sample, limit, samples_of
from core.incidents.signs import CONSTANT_BEFORE, Sign, percent
from core.statistics.sketches import Counted

PILED = 0.02
"""Share of values that must lie on an end for it to be called clipped."""
MOST_PILED = 0.9
"""Where more lies there the column is as good as constant, and cut off is not what happened."""
SEVERAL = 10
"""Of fewer different values no shape is told."""
ONE_BY_ONE = 0.9
"""Where this share of values is known one by one, it is told whether they are the old values."""
OFTEN = 20
"""Rows a value has on average where values are said to come from a list."""
FILLED = 0.1
"""Share of rows that must have turned into one value for it to be called filled."""
PERIODS = (24, 7, 12)
"""Hours, weekdays and months go round."""
SMALLEST_FACTOR = 1.5


def number_signs(name: str, counted: Counted) -> tuple[Sign, ...]:
    """The marks in a column of numbers; at most one, the simplest that explains it.

    Parameters
    ----------
    counted : Counted
        Both samples' values present, counted at the same rising points.

    Returns
    -------
    tuple of Sign
        Empty where either sample has fewer than 50 values, or where they are alike as they are.
    """
    then, now = samples_of(counted)
    if min(then.n, now.n) < FEWEST or then.distance(now) < UNLIKE:
        return ()
    top = int(np.argmax(counted.current))
    of_values = bool(counted.low[top] == counted.high[top])
    for look in (_constant, _clock, _turned, _converted, _clipped, _filled, _multiplied):
        # A cell of several values must not pass for one value.
        if (of_values or look not in (_constant, _filled)) and (found := look(name, then, now)):
            return (found,)
    return ()


def _constant(name: str, then: Sample, now: Sample) -> Sign | None:
    if len(now.at) != 1 or float(then.share.max()) >= CONSTANT_BEFORE:
        return None
    reach = f"from {_number(then.at[0])} to {_number(then.at[-1])}"
    return Sign("constant", f"{name} is {_number(now.at[0])} in every row; it went {reach}.")


def _clock(name: str, then: Sample, now: Sample) -> Sign | None:
    for period in PERIODS:
        low = 0.0 if then.at[0] == 0 else 1.0
        both = np.concatenate([then.at, now.at])
        inside = (both >= low) & (both < low + period) & (both == np.floor(both))
        if not inside.all() or len(then.at) < 0.75 * period:
            continue
        steps = range(1, period)
        # Rotated shares are compared by total variation: on a circle there is no order to begin from.
        old, new = _dense(then, low, period), _dense(now, low, period)
        apart = [0.5 * float(np.abs(np.roll(old, step) - new).sum()) for step in steps]
        best = int(np.argmin(apart))
        as_is = 0.5 * float(np.abs(old - new).sum())
        limit = max(ALIKE, 0.9 * math.sqrt(period * (1 / then.n + 1 / now.n)))
        if apart[best] < min(limit, as_is / 2):
            step = steps[best] if steps[best] <= period / 2 else steps[best] - period
            unit = {24: "hour", 7: "day", 12: "month"}[period]
            words = f"{abs(step)} {unit}{'s' if abs(step) > 1 else ''} {'later' if step > 0 else 'earlier'}"
            return Sign("clock_shift", f"{name} runs {words} than before and is otherwise the same.")
    return None


def _dense(sample: Sample, low: float, period: int) -> Array:
    shares = np.zeros(period)
    shares[(sample.at - low).astype(int)] = sample.share
    return shares


def _turned(name: str, then: Sample, now: Sample) -> Sign | None:
    if not then.moved(np.negative).explains(now):
        return None
    return Sign("sign_flip", f"{name} has changed its sign: its middle value is {_number(now.median())}, it was "
                f"{_number(then.median())}.")  # fmt: skip


def _converted(name: str, then: Sample, now: Sample) -> Sign | None:
    if len(then.at) < 2:
        return None

    def distance(one: Conversion) -> float:
        return then.moved(lambda at: at * one.factor + one.offset).distance(now)

    best = min(CONVERSIONS, key=distance)
    if distance(best) >= min(limit(then.n, now.n), then.distance(now) / 3) or _on_the_old_values(then, now, best):
        return None
    middle = f"its middle value is {_number(now.median())}, it was {_number(then.median())}"
    return Sign("unit_change", f"{name} looks like another unit: {best.words}; {middle}.")


def _on_the_old_values(then: Sample, now: Sample, one: Conversion) -> bool:
    """Whether values are of the old kind still: what is counted grows by 1.6 too, but it stays whole."""
    if min(then.known, now.known) < ONE_BY_ONE:
        return False
    if then.share_whole() >= ONE_BY_ONE and now.share_whole() >= ONE_BY_ONE:
        # Of whole numbers a conversion leaves whole ones only where its factor is whole, and then its multiples.
        back = (now.at - one.offset) / one.factor
        return float(now.share[np.abs(back - np.round(back)) < 1e-6].sum()) < ONE_BY_ONE
    # Of values rounded finely nearly all occur by chance.
    as_is = then.holds(now) if then.n >= OFTEN * len(then.at) else 0.0
    return as_is >= ONE_BY_ONE and then.moved(lambda at: at * one.factor + one.offset).holds(now) < as_is


def _clipped(name: str, then: Sample, now: Sample) -> Sign | None:
    if len(then.at) < SEVERAL:
        return None
    low, high = float(now.at[0]), float(now.at[-1])
    for end, beyond, word in (
        (high, float(then.share[then.at > high].sum()), "above"),
        (low, float(then.share[then.at < low].sum()), "below"),
    ):
        piled = now.share_of(end)
        if beyond < PILED or piled < max(PILED, 2 * then.share_of(end)) or piled > MOST_PILED:
            continue
        if then.moved(lambda at: np.clip(at, low, high)).explains(now):
            return Sign("clipped", f"{name} is cut off: nothing lies {word} {_number(end)}, where {percent(beyond)} "
                        f"lay, and {percent(piled)} lie on it.")  # fmt: skip
    return None


def _filled(name: str, then: Sample, now: Sample) -> Sign | None:
    place = np.clip(np.searchsorted(then.at, now.at), 0, len(then.at) - 1)
    gains = now.share - np.where(then.at[place] == now.at, then.share[place], 0.0)
    value, gained = float(now.at[int(np.argmax(gains))]), float(gains.max())
    if gained < FILLED or len(now.at) < 2 or then.share_of(value) > 0.98:
        return None
    rest_then, rest_now = then.without(value), now.without(value)
    # Of few values the rest is soon the same: there only a value that is new tells.
    few = len(rest_then.at) < (2 if then.share_of(value) == 0 else SEVERAL)
    if few or rest_now.n < FEWEST or not rest_then.explains(rest_now):
        return None
    held = f"{percent(now.share_of(value))} of the rows, {percent(then.share_of(value))} before"
    return Sign("filled", f"{name} is {_number(value)} in {held}; the other values lie as they did.")


def _multiplied(name: str, then: Sample, now: Sample) -> Sign | None:
    if then.median() == 0 or now.median() / then.median() <= 0 or len(then.at) < 10:
        return None
    factor = now.median() / then.median()
    if max(factor, 1 / factor) < SMALLEST_FACTOR or not then.moved(lambda at: at * factor).explains(now):
        return None
    return Sign("rescaled", f"All values of {name} are {factor:.3g} times what they were; no common unit change is.")


def _number(value: float) -> str:
    return f"{value:,.0f}" if 1_000 <= abs(value) < 1e12 or value == round(value) else f"{value:.4g}"
