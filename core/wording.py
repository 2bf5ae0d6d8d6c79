"""How figures and names are written in a sentence. PURE."""

from __future__ import annotations

from collections.abc import Sequence

LONGEST_NAME = 60


def brief(value: float) -> str:
    """Write 0.812, 98.1, 158 or 29,812: three significant digits, and never fewer than all before the point."""
    return f"{value:,.0f}" if 1_000 <= abs(value) < 1e12 else f"{value:.3g}"


def brief_interval(value: float, low: float | None, high: float | None) -> str:
    """Write 0.812 [0.79, 0.83]; the value alone where no interval is known."""
    if low is None or high is None:
        return brief(value)
    return f"{brief(value)} [{brief(low)}, {brief(high)}]"


def percent(share: float, digits: int = 0) -> str:
    """Write a share of 0.66 as 66 %."""
    return f"{100 * share:,.{digits}f} %"


def enumerated(names: Sequence[str], most: int | None = None) -> str:
    """Write names one after the other: "age", "age and pay", "age, pay, job and 4 more".

    Parameters
    ----------
    names : sequence of str
        At least one; each is cut at 60 characters.
    most : int, optional
        How many are written out; all by default.
    """
    shown = [name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…" for name in names[:most]]
    rest = len(names) - len(shown)
    last = f"{rest} more" if rest else shown.pop()
    return f"{', '.join(shown)} and {last}" if shown else last
