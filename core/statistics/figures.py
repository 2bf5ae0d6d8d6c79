"""How a measured figure is written in a sentence. PURE."""

from __future__ import annotations


def brief(value: float) -> str:
    """Write 0.812, 98.1, 158 or 29,812: three significant digits, and never fewer than all before the point."""
    return f"{value:,.0f}" if 1_000 <= abs(value) < 1e12 else f"{value:.3g}"


def brief_interval(value: float, low: float | None, high: float | None) -> str:
    """Write 0.812 [0.79, 0.83]; the value alone where no interval is known."""
    if low is None or high is None:
        return brief(value)
    return f"{brief(value)} [{brief(low)}, {brief(high)}]"
