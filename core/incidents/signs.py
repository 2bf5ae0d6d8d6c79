"""What the then-and-now shape of a column betrays: marks that faults of a pipeline leave. PURE.

Each mark is a simple change of the reference (all values multiplied by 1,000, all values below 40 set to 40, two
columns exchanged) after which it looks like the current values. A mark is told only where the column differs as it is
and no longer differs once the change is undone, so that an ordinary shift carries none.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from core.statistics.sketches import Counted, CountedCategories

Array = NDArray[np.float64]

FEWEST = 50
"""Values each sample needs before a shape is told."""
ALIKE = 0.05
"""Two samples are alike where their distance is below this, or below what chance explains."""
MOST_APART = 0.15
UNLIKE = 0.1
"""A shape is looked for only where the distance is at least this."""
SLACK = 0.005
"""Values this share of the spread apart count as one value."""
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
MISSING_RISE = 0.05
NEW_SHARE = 0.01
PERIODS = (24, 7, 12)
"""Hours, weekdays and months go round."""
CONSTANT_BEFORE = 0.95
"""A column of which one value held this share already says nothing by holding it alone."""


@dataclass(frozen=True)
class Sign:
    """One mark.

    Parameters
    ----------
    key : str
        Key in `SIGNS`.
    sentence : str
        What is seen, with the column's name and numbers.
    """

    key: str
    sentence: str


@dataclass(frozen=True)
class SignKind:
    """One entry of the catalogue of marks.

    Parameters
    ----------
    key, title : str
    speaks : {"fault", "world"}
        Whether it is a fault's mark, or something the world does too.
    weight : int
        How strongly, 1 to 5: `triage` adds it to the cause it speaks for.
    sentence : str
        Why it is one.
    """

    key: str
    title: str
    speaks: Literal["fault", "world"]
    weight: int
    sentence: str


SIGNS: dict[str, SignKind] = {
    sign.key: sign
    for sign in (
        SignKind("all_missing", "Gone", "fault", 5, "A column that was filled does not empty by itself."),
        SignKind("missing", "More missing", "fault", 4, "Values go missing where they are read or joined."),
        SignKind("constant", "Constant", "fault", 5, "A column that varied does not stand still by itself."),
        SignKind("swapped", "Columns exchanged", "fault", 6, "Each of two columns looks as the other did."),
        SignKind("unit_change", "Another unit", "fault", 5, "All values changed by what lies between two units."),
        SignKind("sign_flip", "Sign turned", "fault", 5, "All values changed their sign."),
        SignKind("clipped", "Cut off", "fault", 4, "What lay beyond a limit lies on it now; the rest is unmoved."),
        SignKind("clock_shift", "Clock set differently", "fault", 5, "The same day, begun at another hour."),
        SignKind("filled", "Filled with one value", "fault", 4, "One value took a share of all others alike."),
        SignKind("respelled", "Spelled differently", "fault", 5, "The same names in other letters."),
        SignKind("renamed", "Renamed", "fault", 4, "A new name stands where an old one vanished, as often."),
        SignKind("recoded", "Coded differently", "fault", 5, "Hardly any value is one the reference knows."),
        SignKind("rescaled", "Multiplied", "world", 1, "All values grew by one factor, which no unit change has."),
        SignKind("new_category", "New value", "world", 2, "The world brings new values; a model has not learned them."),
    )
}


@dataclass(frozen=True)
class Conversion:
    """A known change of unit: current = factor × reference + offset."""

    factor: float
    offset: float
    words: str


CONVERSIONS: tuple[Conversion, ...] = (
    *(
        Conversion(factor, 0.0, f"all values {done} by {abs(round(math.log10(factor)))} decimal places")
        for factor, done in (
            (1e6, "moved up"),
            (1e3, "moved up"),
            (1e2, "moved up"),
            (1e1, "moved up"),
            (1e-1, "moved down"),
            (1e-2, "moved down"),
            (1e-3, "moved down"),
            (1e-6, "moved down"),
        )
    ),
    Conversion(60.0, 0.0, "all values times 60, as from minutes to seconds"),
    Conversion(1 / 60, 0.0, "all values divided by 60, as from seconds to minutes"),
    Conversion(3600.0, 0.0, "all values times 3,600, as from hours to seconds"),
    Conversion(1 / 3600, 0.0, "all values divided by 3,600, as from seconds to hours"),
    Conversion(24.0, 0.0, "all values times 24, as from days to hours"),
    Conversion(1 / 24, 0.0, "all values divided by 24, as from hours to days"),
    Conversion(7.0, 0.0, "all values times 7, as from weeks to days"),
    Conversion(1 / 7, 0.0, "all values divided by 7, as from days to weeks"),
    Conversion(12.0, 0.0, "all values times 12, as from years to months"),
    Conversion(1 / 12, 0.0, "all values divided by 12, as from months to years"),
    Conversion(52.0, 0.0, "all values times 52, as from weekly to yearly"),
    Conversion(1 / 52, 0.0, "all values divided by 52, as from yearly to weekly"),
    Conversion(2.54, 0.0, "all values times 2.54, as from inches to centimetres"),
    Conversion(1 / 2.54, 0.0, "all values divided by 2.54, as from centimetres to inches"),
    Conversion(1.609344, 0.0, "all values times 1.609, as from miles to kilometres"),
    Conversion(1 / 1.609344, 0.0, "all values divided by 1.609, as from kilometres to miles"),
    Conversion(2.204623, 0.0, "all values times 2.205, as from kilograms to pounds"),
    Conversion(1 / 2.204623, 0.0, "all values divided by 2.205, as from pounds to kilograms"),
    Conversion(3.28084, 0.0, "all values times 3.281, as from metres to feet"),
    Conversion(1 / 3.28084, 0.0, "all values divided by 3.281, as from feet to metres"),
    Conversion(1.8, 32.0, "all values times 1.8 plus 32, as from Celsius to Fahrenheit"),
    Conversion(1 / 1.8, -32 / 1.8, "all values less 32 divided by 1.8, as from Fahrenheit to Celsius"),
    Conversion(1.0, 273.15, "all values plus 273.15, as from Celsius to Kelvin"),
    Conversion(1.0, -273.15, "all values less 273.15, as from Kelvin to Celsius"),
)
SMALLEST_FACTOR = 1.5


@dataclass(frozen=True, eq=False)
class Column:
    """A column's values present, counted in both samples, and the shares of rows without a value."""

    counted: Counted | CountedCategories
    missing_then: float = 0.0
    missing_now: float = 0.0


def signs_of(columns: Mapping[str, Column]) -> dict[str, tuple[Sign, ...]]:
    """Every column's marks: of missing values, then of its shape; an exchanged column needs no other explanation."""
    exchanged = swapped({name: column.counted for name, column in columns.items()})
    found: dict[str, tuple[Sign, ...]] = {}
    for name, column in columns.items():
        gone = missing_signs(name, column.missing_then, column.missing_now)
        if name in exchanged:
            shape: tuple[Sign, ...] = (exchanged[name],)
        elif isinstance(column.counted, Counted):
            shape = number_signs(name, column.counted)
        else:
            shape = category_signs(name, column.counted)
        found[name] = gone + shape
    return found


def missing_signs(name: str, then: float, now: float) -> tuple[Sign, ...]:
    """The marks of missing values.

    Parameters
    ----------
    then, now : float
        Shares of rows without a value, in [0, 1].
    """
    if now - then < MISSING_RISE:
        return ()
    if now >= 0.99:
        return (Sign("all_missing", f"{name} is missing in every row; it was missing in {_share(then)}."),)
    return (Sign("missing", f"{name} is missing in {_share(now)} of the rows; it was in {_share(then)}."),)


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
    then, now = _samples(counted)
    if min(then.n, now.n) < FEWEST or then.distance(now) < UNLIKE:
        return ()
    top = int(np.argmax(counted.current))
    of_values = bool(counted.low[top] == counted.high[top])
    for look in (_constant, _clock, _turned, _converted, _clipped, _filled, _multiplied):
        # A cell of several values must not pass for one value.
        if (of_values or look not in (_constant, _filled)) and (found := look(name, then, now)):
            return (found,)
    return ()


def category_signs(name: str, counted: CountedCategories) -> tuple[Sign, ...]:
    """The marks in a column of categories, simplest first."""
    reference, current = counted.reference.astype(float), counted.current.astype(float)
    if min(reference.sum(), current.sum()) < FEWEST:
        return ()
    then = dict(zip(counted.names, (reference / reference.sum()).tolist(), strict=True))
    now = dict(zip(counted.names, (current / current.sum()).tolist(), strict=True))
    knows = dict(zip(counted.names, counted.known.tolist(), strict=True))
    limit = _limit(float(reference.sum()), float(current.sum()))
    new = [one for one in counted.names if not knows[one] and now[one] > 0]
    new_share = sum(now[one] for one in new)
    vanished = [one for one in counted.names if knows[one] and now[one] == 0 and then[one] >= NEW_SHARE]
    top = max(now, key=lambda one: now[one])
    if now[top] == 1.0 and max(then.values()) < CONSTANT_BEFORE:
        return (Sign("constant", f"{name} is {_said(top)} in every row; it held {_counted(then)} different values."),)
    if new_share < NEW_SHARE:
        return ()
    spelled = {one: old for one in new for old in vanished if _letters(one) == _letters(old)}
    if spelled and _changed(then, now, spelled) < max(limit, ALIKE):
        one, old = next(iter(spelled.items()))
        return (Sign("respelled", f"{name} now says {_said(one)} where it said {_said(old)}."),)
    if len(vanished) > 1 and new_share >= 0.9:
        return (Sign("recoded", f"{_share(new_share)} of {name} are values the reference does not know."),)
    for one in new:
        for old in vanished:
            if _changed(then, now, {one: old}) < max(limit, ALIKE) and abs(now[one] - then[old]) < limit:
                words = f"{name} now says {_said(one)} in {_share(now[one])}; {_said(old)}, which vanished, was in "
                return (Sign("renamed", words + f"{_share(then[old])}."),)
    names = ", ".join(_said(one) for one in new[:3]) + (f" and {len(new) - 3} more" if len(new) > 3 else "")
    return (Sign("new_category", f"{name} holds {names}, which the reference does not know, in {_share(new_share)}."),)


def swapped(columns: Mapping[str, Counted | CountedCategories]) -> dict[str, Sign]:
    """Pairs of columns that look as the other did.

    Cost is quadratic in the columns that differ from their reference.

    Returns
    -------
    dict
        A sign for each column of such a pair.
    """
    found: dict[str, Sign] = {}
    names = [name for name, counted in columns.items() if _differs(counted)]
    for position, first in enumerate(names):
        for second in names[position + 1 :]:
            if first in found or second in found or type(columns[first]) is not type(columns[second]):
                continue
            if _exchanged(columns[first], columns[second]):
                words = f"{first} looks as {second} did, and {second} as {first} did."
                found |= {first: Sign("swapped", words), second: Sign("swapped", words)}
    return found


@dataclass(frozen=True)
class _Sample:
    """Values at rising points with their shares; ``known`` is the share of values that are known one by one."""

    at: Array
    share: Array
    n: float
    known: float

    @classmethod
    def of(cls, at: Array, counts: NDArray[np.int64], single: NDArray[np.bool_]) -> _Sample:
        held = (counts > 0) & np.isfinite(at)
        total = float(counts[held].sum())
        if not total:
            return cls(np.array([]), np.array([]), 0.0, 0.0)
        return cls(at[held], counts[held] / total, total, float(counts[held & single].sum()) / total)

    def distance(self, other: _Sample) -> float:
        """Largest difference of the distribution functions, in [0, 1], where values a hair apart count as equal.

        Rounding after a conversion would otherwise part what is one step of both.
        """
        hair = max(
            SLACK * min(self._spread(), other._spread()), 1e-9 * float(max(abs(self.at).max(), abs(other.at).max()))
        )
        points = np.concatenate([self.at, other.at])
        more = (self._below(points) - other._below(points + hair)).max()
        fewer = (other._below(points) - self._below(points + hair)).max()
        return float(max(more, fewer, 0.0))

    def moved(self, change: Callable[[Array], Array]) -> _Sample:
        at = change(self.at)
        order = np.argsort(at, kind="stable")
        return _Sample(at[order], self.share[order], self.n, self.known)

    def without(self, value: float) -> _Sample:
        kept = self.at != value
        share = self.share[kept]
        return _Sample(self.at[kept], share / share.sum(), self.n * float(share.sum()), self.known)

    def share_of(self, value: float) -> float:
        return float(self.share[self.at == value].sum())

    def median(self) -> float:
        return float(self.at[np.searchsorted(np.cumsum(self.share), 0.5 - 1e-12)])

    def share_whole(self) -> float:
        """Share of values that are whole numbers."""
        return float(self.share[self.at == np.round(self.at)].sum())

    def holds(self, other: _Sample) -> float:
        """Share of the other sample's values that occur in this one, but for rounding."""
        hair = 1e-9 * float(max(abs(self.at).max(), abs(other.at).max()))
        place = np.clip(np.searchsorted(self.at, other.at - hair), 0, len(self.at) - 1)
        return float(other.share[np.abs(self.at[place] - other.at) <= hair].sum())

    def explains(self, other: _Sample) -> bool:
        """Whether the other sample looks as if it were this one."""
        return self.distance(other) < _limit(self.n, other.n)

    def _spread(self) -> float:
        low, high = np.searchsorted(np.cumsum(self.share), [0.05, 0.95 - 1e-12])
        return float(self.at[high] - self.at[low])

    def _below(self, points: Array) -> Array:
        reached = np.concatenate([[0.0], np.cumsum(self.share)])
        values: Array = reached[np.searchsorted(self.at, points, side="right")]
        return values


def _samples(counted: Counted) -> tuple[_Sample, _Sample]:
    at = np.asarray(counted.low / 2 + counted.high / 2, dtype=np.float64)
    single = counted.low == counted.high
    return _Sample.of(at, counted.reference, single), _Sample.of(at, counted.current, single)


def _limit(n: float, m: float) -> float:
    # 1.95: the Kolmogorov-Smirnov quantile of 0.1 %. Of few values nearly any shape would do: hence the upper end.
    return min(max(ALIKE, 1.95 * math.sqrt(1 / n + 1 / m)), MOST_APART)


def _constant(name: str, then: _Sample, now: _Sample) -> Sign | None:
    if len(now.at) != 1 or float(then.share.max()) >= CONSTANT_BEFORE:
        return None
    reach = f"from {_number(then.at[0])} to {_number(then.at[-1])}"
    return Sign("constant", f"{name} is {_number(now.at[0])} in every row; it went {reach}.")


def _clock(name: str, then: _Sample, now: _Sample) -> Sign | None:
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


def _dense(sample: _Sample, low: float, period: int) -> Array:
    shares = np.zeros(period)
    shares[(sample.at - low).astype(int)] = sample.share
    return shares


def _turned(name: str, then: _Sample, now: _Sample) -> Sign | None:
    if not then.moved(np.negative).explains(now):
        return None
    return Sign("sign_flip", f"{name} has changed its sign: its middle value is {_number(now.median())}, it was "
                f"{_number(then.median())}.")  # fmt: skip


def _converted(name: str, then: _Sample, now: _Sample) -> Sign | None:
    if len(then.at) < 2:
        return None

    def distance(one: Conversion) -> float:
        return then.moved(lambda at: at * one.factor + one.offset).distance(now)

    best = min(CONVERSIONS, key=distance)
    if distance(best) >= min(_limit(then.n, now.n), then.distance(now) / 3) or _on_the_old_values(then, now, best):
        return None
    middle = f"its middle value is {_number(now.median())}, it was {_number(then.median())}"
    return Sign("unit_change", f"{name} looks like another unit: {best.words}; {middle}.")


def _on_the_old_values(then: _Sample, now: _Sample, one: Conversion) -> bool:
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


def _clipped(name: str, then: _Sample, now: _Sample) -> Sign | None:
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
            return Sign("clipped", f"{name} is cut off: nothing lies {word} {_number(end)}, where {_share(beyond)} "
                        f"lay, and {_share(piled)} lie on it.")  # fmt: skip
    return None


def _filled(name: str, then: _Sample, now: _Sample) -> Sign | None:
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
    held = f"{_share(now.share_of(value))} of the rows, {_share(then.share_of(value))} before"
    return Sign("filled", f"{name} is {_number(value)} in {held}; the other values lie as they did.")


def _multiplied(name: str, then: _Sample, now: _Sample) -> Sign | None:
    if then.median() == 0 or now.median() / then.median() <= 0 or len(then.at) < 10:
        return None
    factor = now.median() / then.median()
    if max(factor, 1 / factor) < SMALLEST_FACTOR or not then.moved(lambda at: at * factor).explains(now):
        return None
    return Sign("rescaled", f"All values of {name} are {factor:.3g} times what they were; no common unit change is.")


def _differs(counted: Counted | CountedCategories) -> bool:
    if isinstance(counted, Counted):
        then, now = _samples(counted)
        return min(then.n, now.n) >= FEWEST and then.distance(now) >= UNLIKE
    enough = min(counted.reference.sum(), counted.current.sum()) >= FEWEST
    then_shares, now_shares = _shares(counted.names, counted.reference), _shares(counted.names, counted.current)
    return bool(enough) and _apart(then_shares, now_shares) >= UNLIKE


def _exchanged(first: Counted | CountedCategories, second: Counted | CountedCategories) -> bool:
    if isinstance(first, Counted) and isinstance(second, Counted):
        (a_then, a_now), (b_then, b_now) = _samples(first), _samples(second)
        if min(a_then.n, a_now.n, b_then.n, b_now.n) < FEWEST:
            return False
        return a_then.explains(b_now) and b_then.explains(a_now)
    if isinstance(first, CountedCategories) and isinstance(second, CountedCategories):
        shares = [(_shares(one.names, one.reference), _shares(one.names, one.current)) for one in (first, second)]
        (c_then, c_now), (d_then, d_now) = shares
        return max(_apart(c_then, d_now), _apart(d_then, c_now)) < ALIKE
    return False


def _shares(names: Sequence[str], counts: NDArray[np.int64]) -> dict[str, float]:
    total = float(counts.sum()) or 1.0
    return {name: float(count) / total for name, count in zip(names, counts, strict=True) if count}


def _apart(first: Mapping[str, float], second: Mapping[str, float]) -> float:
    return 0.5 * sum(abs(first.get(one, 0.0) - second.get(one, 0.0)) for one in {*first, *second})


def _changed(then: Mapping[str, float], now: Mapping[str, float], back: Mapping[str, str]) -> float:
    """How far the current shares are from the reference's once new names are read as the old ones."""
    read: dict[str, float] = {}
    for one, share in now.items():
        old = back.get(one, one)
        read[old] = read.get(old, 0.0) + share
    return _apart(then, read)


def _letters(name: str) -> str:
    return re.sub(r"[\W_]+", "", name).casefold()


def _counted(shares: Mapping[str, float]) -> int:
    return sum(share > 0 for share in shares.values())


def _said(value: str) -> str:
    return f'"{value if len(value) <= 40 else value[:39] + "…"}"'


def _share(value: float) -> str:
    return f"{100 * value:.0f} %" if value >= 0.1 or value == 0 else f"{100 * value:.1f} %"


def _number(value: float) -> str:
    return f"{value:,.0f}" if 1_000 <= abs(value) < 1e12 or value == round(value) else f"{value:.4g}"
