"""The catalogue of marks that the then-and-now shape of a column betrays, most of them left by faults. PURE.

Each mark is a simple change of the reference (all values multiplied by 1,000, all values below 40 set to 40, two
columns exchanged) after which it looks like the current values. A mark is told only where the column differs as it is
and no longer differs once the change is undone, so that an ordinary shift carries none. `marking` looks for them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from core import wording

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


def percent(share: float) -> str:
    """Write a share of rows as marks say it: "12 %", below a tenth "3.4 %"."""
    return wording.percent(share, 0 if share >= 0.1 or share == 0 else 1)
