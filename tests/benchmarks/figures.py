"""A measured figure beside the one to reach, and the table they are printed in. Nothing here fails on time."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """One line of the table.

    Parameters
    ----------
    what : str
    samples : tuple of float
        Every measurement; the median counts.
    unit : str
        "s", "ms", "MB" or "%".
    target : float, optional
        To stay under; None where no figure was set.
    """

    what: str
    samples: tuple[float, ...]
    unit: str
    target: float | None = None

    @property
    def median(self) -> float:
        """The middle measurement."""
        return statistics.median(self.samples)


def sampled(measure: Callable[[], float], times: int) -> tuple[float, ...]:
    """Measure several times."""
    return tuple(measure() for _ in range(times))


def worst(what: str, figures: Sequence[Figure], *, target: float) -> Figure:
    """The largest median of several figures, named; and how many of them miss."""
    slowest = max(figures, key=lambda figure: figure.median)
    missed = sum(figure.median >= target for figure in figures)
    name = slowest.what.split(":")[-1].strip()
    said = f"{what}, worst of {len(figures)}: {name} ({missed} miss)"
    return Figure(said, slowest.samples, slowest.unit, target)


def cpu_ms(work: Callable[[], object]) -> float:
    """CPU of this process, all threads, while something is done; in milliseconds."""
    began = time.process_time()
    work()
    return (time.process_time() - began) * 1000


def wall_ms(work: Callable[[], object]) -> float:
    """Time on the clock while something is done; in milliseconds."""
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1000


def table(figures: Sequence[Figure]) -> str:
    """The figures as lines of text: figure, target, median, range of the measurements."""
    rows = [("figure", "target", "median", "range", "")]
    for one in figures:
        target = "" if one.target is None else f"< {one.target:g} {one.unit}"
        said = "" if one.target is None else "reached" if one.median < one.target else "MISSED"
        span = f"{_short(min(one.samples))} to {_short(max(one.samples))}, n={len(one.samples)}"
        rows.append((one.what, target, f"{_short(one.median)} {one.unit}", span, said))
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _short(value: float) -> str:
    return f"{value:.3g}" if value < 100 else f"{value:,.0f}"
