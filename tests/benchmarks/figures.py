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
    peer : tuple of str and float, optional
        Who else was measured in the same run, and its median.
    """

    what: str
    samples: tuple[float, ...]
    unit: str
    target: float | None = None
    peer: tuple[str, float] | None = None

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
    return Figure(
        f"{what}, worst of {len(figures)}: {name} ({missed} miss)", slowest.samples, slowest.unit, target, slowest.peer
    )


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
    """The figures as lines of text: figure, target, median, range of the measurements, peer."""
    rows = [("figure", "target", "median", "range", "", "peer")]
    for one in figures:
        target = "" if one.target is None else f"< {one.target:g} {one.unit}"
        said = "" if one.target is None else "reached" if one.median < one.target else "MISSED"
        span = f"{_short(min(one.samples))} to {_short(max(one.samples))}, n={len(one.samples)}"
        peer = ""
        if one.peer is not None:
            name, value = one.peer
            peer = f"{name} {_short(value)} {one.unit}, {value / one.median:.1f} times ours"
        rows.append((one.what, target, f"{_short(one.median)} {one.unit}", span, said, peer))
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _short(value: float) -> str:
    return f"{value:.3g}" if value < 100 else f"{value:,.0f}"
