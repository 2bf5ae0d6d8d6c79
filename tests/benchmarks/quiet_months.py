"""Quiet months: streams in which nothing changes, judged by calibrated thresholds.

A *population* is a column's truth: the probability of each value, and of a missing one. References and windows are
drawn from it as counts, so that windows of 100,000 rows cost no more than those of 1,000. Or it is drawn *row by row*
and counted in sketches, as the product does: of a continuous column, whose values counts of few cells tie together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from core.drift.calibrating import Column, Key, Thresholds
from core.drift.drift_tests import DRIFT_TESTS
from core.drift.evidence import CountedRows
from core.drift.measuring import measure_deciding, streams_of
from core.statistics.sketches import (
    CategorySketch,
    Counted,
    CountedCategories,
    NumericSketch,
    Scale,
    fit_scale,
    sketch_numbers,
)

MONTHS = 1_000
BLOCK_CELLS = 4_000_000


@dataclass(frozen=True, eq=False)
class Population:
    """The truth of one column: ``values`` with their probabilities, and the probability that a row has none."""

    kind: str
    values: NDArray[np.float64]
    shares: NDArray[np.float64]
    missing: float = 0.0

    def draw(self, n_rows: int, n_windows: int, rng: np.random.Generator) -> NDArray[np.int64]:
        """Counts of shape (n_windows, k + 1); the last is the missing rows'."""
        return rng.multinomial(n_rows, np.append(self.shares * (1 - self.missing), self.missing), size=n_windows)

    def sketch(self, counts: NDArray[np.int64]) -> NumericSketch | CategorySketch:
        held = np.flatnonzero(counts[:-1])
        present, n_missing = counts[:-1][held].astype(np.int64), int(counts[-1])
        if self.kind == "number":
            return NumericSketch(Scale(0.0, 1.0), held.astype(np.uint16), present, self.values[held], n_missing)
        names = tuple(f"c{place:05}" for place in held)
        return CategorySketch(names, present, 0, frozenset(names), n_missing)


def continuous(quantile: object, missing: float = 0.0, ratio: float = 2 / 3) -> Population:
    """A continuous column in cells: 64 equal ones in the middle, ever smaller by a ratio towards both ends."""
    n_ends = round(np.log(2.5e-6) / np.log(ratio))
    ends = 0.015 * ratio ** np.arange(n_ends, 0.0, -1.0)
    edges = np.concatenate([[0.0], ends, np.linspace(0.015, 0.985, 65), 1 - ends[::-1], [1.0]])
    middle = (edges[1:] + edges[:-1]) / 2
    return Population("number", np.asarray(quantile(middle)), np.diff(edges), missing)  # type: ignore[operator]


def inflated(zero: float, ratio: float = 2 / 3) -> Population:
    """Zeros, and lognormal values beside them."""
    rest = continuous(stats.lognorm(1).ppf, ratio=ratio)
    return Population("number", np.append(0.0, rest.values), np.append(zero, (1 - zero) * rest.shares))


def counts_of(mean: float) -> Population:
    """Poisson counts."""
    values = np.arange(0, int(mean + 12 * np.sqrt(mean) + 12), dtype=float)
    shares = stats.poisson(mean).pmf(values)
    return Population("number", values, shares / shares.sum())


def categories(n: int, missing: float = 0.0) -> Population:
    """Categories whose shares fall as one over their rank."""
    shares = 1 / np.arange(1, n + 1)
    return Population("category", np.arange(n, dtype=float), shares / shares.sum(), missing)


POPULATIONS: dict[str, Population] = {
    "normal": continuous(stats.norm.ppf),
    "lognormal, 2 % missing": continuous(stats.lognorm(1).ppf, 0.02),
    "heavy tails (t, 2 df)": continuous(stats.t(2).ppf),
    "whole numbers (Poisson 3)": counts_of(3.0),
    "60 % zeros": inflated(0.6),
    "95 % zeros": inflated(0.95),
    "boolean, 10 %": Population("boolean", np.arange(2.0), np.array([0.9, 0.1])),
    "4 categories, 1 % missing": categories(4, 0.01),
    "300 categories": categories(300),
}


@dataclass(frozen=True)
class RowByRow:
    """The truth of one column of numbers, from which rows are drawn.

    Parameters
    ----------
    values : callable
        Takes a generator and how many, and returns that many values.
    missing : float
        The probability that a row has none.
    """

    values: Callable[[np.random.Generator, int], NDArray[np.float64]]
    missing: float = 0.0
    kind = "number"

    def draw(self, n_rows: int, rng: np.random.Generator) -> NDArray[np.float64]:
        """Values, NaN where missing."""
        drawn = self.values(rng, n_rows)
        if self.missing:
            drawn[rng.random(n_rows) < self.missing] = np.nan
        return drawn


def _zeros(share: float) -> Callable[[np.random.Generator, int], NDArray[np.float64]]:
    return lambda rng, n: np.where(rng.random(n) < share, 0.0, rng.lognormal(size=n))


ROW_BY_ROW = {
    "normal": RowByRow(lambda rng, n: rng.normal(size=n)),
    "lognormal, 2 % missing": RowByRow(lambda rng, n: rng.lognormal(size=n), 0.02),
    "heavy tails (t, 2 df)": RowByRow(lambda rng, n: rng.standard_t(2, size=n)),
    "60 % zeros": RowByRow(_zeros(0.6)),
    "95 % zeros": RowByRow(_zeros(0.95)),
}


@dataclass(frozen=True, eq=False)
class Watched:
    """A column's truth, and its reference: as counts of the truth's values, none where rows are drawn."""

    key: Key
    population: Population | RowByRow
    reference: NDArray[np.int64]
    column: Column


def watch(populations: Sequence[Population | RowByRow], n_reference: int, rng: np.random.Generator) -> list[Watched]:
    """Draw a reference of each population."""
    watched = []
    for place, population in enumerate(populations):
        sketch: NumericSketch | CategorySketch
        if isinstance(population, RowByRow):
            rows = population.draw(n_reference, rng)
            counts, sketch = np.empty(0, dtype=np.int64), sketch_numbers(rows, fit_scale(rows))
        else:
            counts = population.draw(n_reference, 1, rng)[0]
            sketch = population.sketch(counts)
        column = Column(sketch, population.kind, streams_of(population.kind, sketch.n_present))
        watched.append(Watched((False, f"c{place}"), population, counts, column))
    return watched


def exceeding(
    one: Watched,
    thresholds: Thresholds,
    n_rows: int,
    n_windows: int,
    rng: np.random.Generator,
    truth: Population | RowByRow | None = None,
) -> dict[str, NDArray[np.bool_]]:
    """In which of so many fresh windows each stream of a column exceeds its threshold."""
    truth = truth or one.population
    if isinstance(truth, RowByRow):
        return _of_rows(one, truth, thresholds, n_rows, n_windows, rng)
    found: dict[str, list[NDArray[np.bool_]]] = {test: [] for test in one.column.streams}
    block = max(1, BLOCK_CELLS // (len(truth.shares) + 1))
    for begin in range(0, n_windows, block):
        counts = truth.draw(n_rows, min(block, n_windows - begin), rng)
        for test, fired in judged(one, thresholds, counts).items():
            found[test].append(fired)
    return {test: np.concatenate(parts) for test, parts in found.items()}


def _of_rows(
    one: Watched, truth: RowByRow, thresholds: Thresholds, n_rows: int, n_windows: int, rng: np.random.Generator
) -> dict[str, NDArray[np.bool_]]:
    reference = one.column.sketch
    assert isinstance(reference, NumericSketch)
    found = {test: np.zeros(n_windows, dtype=bool) for test in one.column.streams}
    limits: dict[tuple[str, int], float] = {}
    for window in range(n_windows):
        current = sketch_numbers(truth.draw(n_rows, rng), reference.scale)
        for outcome in measure_deciding(reference, current, truth.kind).deciding:
            key = outcome.test, outcome.n_current
            if key not in limits:
                limits[key] = thresholds.at(n_rows).of(one.key, *key)
            found[outcome.test][window] = outcome.effect is not None and outcome.effect > limits[key]
    return found


def judged(one: Watched, thresholds: Thresholds, counts: NDArray[np.int64]) -> dict[str, NDArray[np.bool_]]:
    """Whether each stream exceeds its threshold, for windows of like size as counts of shape (n_windows, k + 1)."""
    known = one.reference[:-1] > 0
    reference, current = one.reference[:-1], counts[:, :-1]
    n_rows = counts.sum(axis=1)
    here = thresholds.at(int(n_rows[0]))
    values: Counted | CountedCategories
    if one.population.kind == "number":
        values = Counted(one.population.values, one.population.values, reference, reference)
    else:
        values = CountedCategories(tuple(map(str, range(len(known)))), reference, reference, known)
    found = {}
    for test in one.column.streams:
        entry = DRIFT_TESTS[test]
        if entry.role == "missing":
            rows = np.array([one.reference[-1], reference.sum()])
            pairs = np.column_stack([counts[:, -1], current.sum(axis=1)])
            effects, n = entry.effects(CountedRows(rows, rows), rows, pairs), n_rows
        else:
            effects, n = entry.effects(values, reference, current), current.sum(axis=1)
        # No threshold is below 0, so only windows with an effect need theirs.
        exceeded, some = np.zeros(len(n), dtype=bool), np.flatnonzero(effects > 0)
        sizes, which = np.unique(n[some], return_inverse=True)
        limits = np.array([here.of(one.key, test, int(size)) for size in sizes])
        exceeded[some] = effects[some] > limits[which] if len(some) else False
        found[test] = exceeded
    return found
