"""False alerts a month at every number of rows a window may have, worked out and not drawn. Run by hand.

    python -m tests.benchmarks.window_sizes

Prints a table of docs/false-alerts.md. One false alert a month is promised, windows are days, references hold 10,000
rows, and thresholds are calibrated as the product does: at the powers of four around a window's rows. What whole counts
do in a window of n rows follows from the beta-binomial distribution (scipy's): two names of a boolean, missing rows,
numbers out of range. Numbers' value tests count as exceeding with the chance they were calibrated to; whether they do
is what `tests.benchmarks.false_alerts` draws. Each monitor comes twice: with the level of a stream *read between* the
powers of four, as it was before, and worked out *at the size*.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from core.drift.calibrated import Drawn
from core.drift.calibrating import (
    WINDOWS_A_MONTH,
    Column,
    Key,
    Promise,
    Thresholds,
    WindowThresholds,
    calibrate,
    window_level,
)
from core.drift.measuring import streams_of
from core.statistics.sketches import CategorySketch, fit_scale, sketch_numbers

N_REFERENCE = 10_000
A_MONTH = WINDOWS_A_MONTH["day"]
SIZES = (20, 30, 40, 50, 64, 75, 100, 150, 333, 1_000, 5_000)
MEANS = (60, 100, 500)
"""Of windows whose rows vary as Poisson numbers do."""


@dataclass(frozen=True, eq=False)
class Watched:
    """A column, and what its reference holds of what is counted."""

    column: Column
    n_missing: int
    n_yes: int | None = None
    ends: int = 0


def boolean(n_yes: int, n_missing: int = 0) -> Watched:
    """So many of the rows that hold a value say yes."""
    counts = np.array([N_REFERENCE - n_missing - n_yes, n_yes], dtype=np.int64)
    sketch = CategorySketch(("no", "yes"), counts, 0, frozenset({"no", "yes"}), n_missing)
    return Watched(Column(sketch, "boolean", streams_of("boolean", sketch.n_present)), n_missing, n_yes)


def number(seed: int, n_missing: int = 0) -> Watched:
    """A normal column, open at both ends."""
    values = np.random.default_rng(seed).normal(size=N_REFERENCE)
    values[:n_missing] = np.nan
    sketch = sketch_numbers(values, fit_scale(values))
    return Watched(Column(sketch, "number", streams_of("number", sketch.n_present)), n_missing, ends=2)


MONITORS: dict[str, list[Watched]] = {
    "1 boolean": [boolean(1_000)],
    "5 booleans": [boolean(n) for n in (930, 960, 1_000, 1_010, 1_060)],
    "5 booleans, all alike": [boolean(1_000)] * 5,
    "50 booleans": [boolean(int(n)) for n in np.geomspace(100, 5_000, 50)],
    "5 booleans and 5 numbers, of each 3 with 1 to 10 % missing": [
        *(boolean(n, gone) for n, gone in ((930, 0), (960, 100), (1_000, 0), (2_010, 500), (3_060, 1_000))),
        *(number(seed, gone) for seed, gone in enumerate((0, 0, 100, 500, 1_000))),
    ],
}


@functools.lru_cache(maxsize=100_000)
def beyond(with_it: float, without: float, seen: float, n_rows: int, threshold: float) -> float:
    """With which chance a share of so many rows lies further than a threshold from the reference's."""
    found = np.arange(n_rows + 1)
    mass = stats.betabinom(n_rows, with_it, without).pmf(found)
    return float(mass[np.abs(found / n_rows - seen) > threshold].sum())


def column_exceeds(key: Key, one: Watched, thresholds: WindowThresholds, n_rows: int) -> float:
    """With which chance any stream of a column exceeds in a window of so many rows."""
    drawn = sum(
        thresholds.level * stream.weight
        for stream in thresholds.calibrated.columns[key].streams.values()
        if isinstance(stream, Drawn)
    )
    missing_limit = thresholds.of(key, "missing_share", n_rows)
    n_present = N_REFERENCE - one.n_missing
    gone = np.arange(n_rows + 1)
    chances = stats.betabinom(n_rows, one.n_missing + 0.5, n_present + 0.5).pmf(gone)
    quiet = 0.0
    for n_gone in gone[chances > 1e-9]:
        if abs(n_gone / n_rows - one.n_missing / N_REFERENCE) > missing_limit:
            continue
        rows, found = int(n_rows - n_gone), 1 - drawn
        if rows and one.n_yes is not None:
            no = n_present - one.n_yes
            limit = thresholds.of(key, "chi_square", rows)
            found *= 1 - beyond(one.n_yes + 0.5, no + 0.5, one.n_yes / n_present, rows, limit)
        if rows and one.ends:
            limit = thresholds.of(key, "range_violations", rows)
            found *= 1 - beyond(one.ends, n_present - 1.0, 0.0, rows, limit)
        quiet += float(chances[n_gone]) * found
    return 1 - quiet


class Realised:
    """Alerts a month of one monitor, by the rows of its windows."""

    def __init__(self, watched: Sequence[Watched]) -> None:
        self.watched: Mapping[Key, Watched] = {(False, f"c{at}"): one for at, one in enumerate(watched)}
        self.calibrated = functools.cache(self._calibrated)
        self.at = functools.cache(self._at)

    def _calibrated(self, low: int) -> Thresholds:
        columns = {key: one.column for key, one in self.watched.items()}
        level = window_level(Promise(1.0, A_MONTH))
        return calibrate(columns, sizes=[low, 4 * low], level=level, rng=np.random.default_rng(1))

    def _at(self, n_rows: int, read_between: bool) -> float:
        low = 4 ** int(np.log2(n_rows) / 2 + 1e-9)
        thresholds = self.calibrated(low)
        here = thresholds.at(n_rows)
        if read_between:
            ends = np.log([thresholds.at(low).level, thresholds.at(4 * low).level])
            level = float(np.exp(np.interp(np.log(n_rows), np.log([low, 4 * low]), ends)))
            here = WindowThresholds(thresholds, level, here.raised * level / here.level)
        exceeds = [column_exceeds(key, one, here, n_rows) for key, one in self.watched.items()]
        return A_MONTH * float(1 - np.prod(1 - np.array(exceeds)))

    def of_poisson(self, mean: int, read_between: bool) -> float:
        """Where the rows of a window vary as a Poisson number, at least 1."""
        sizes = np.arange(1, 3 * mean + 30)
        chances = stats.poisson(mean).pmf(sizes)
        held = chances > 1e-5
        found = [self.at(int(n), read_between) for n in sizes[held]]
        return float(np.average(found, weights=chances[held]))


def line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Print the table."""
    print(line(["watched", "level", *(f"{n:,}" for n in SIZES), *(f"about {mean}" for mean in MEANS)]))  # noqa: T201
    print("|" + "---|" * (2 + len(SIZES) + len(MEANS)))  # noqa: T201
    for title, watched in MONITORS.items():
        realised = Realised(watched)
        for how in (True, False):
            found = [realised.at(n, how) for n in SIZES] + [realised.of_poisson(mean, how) for mean in MEANS]
            said = "read between" if how else "at the size"
            print(line([title, said, *(f"{one:.2f}" for one in found)]), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
