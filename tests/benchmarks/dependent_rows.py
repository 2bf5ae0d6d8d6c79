"""How many false alerts a month come where rows depend on each other, with and without looking at that. Run by hand.

    python -m tests.benchmarks.dependent_rows [--references 60] [--only WORDS] [--output FILE]

Prints the table of docs/false-alerts.md on rows that hang together. Five normal columns are watched by windows of a day
for one false alert a month; the reference is as many windows long as said. Nothing ever changes: what differs is only
how rows depend on each other.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from core.drift.calibrating import WINDOWS_A_MONTH, Column, Promise, Thresholds, calibrate, window_level
from core.drift.dependence import Blocks
from core.drift.measuring import streams_of
from core.statistics.sketches import fit_scale, sketch_numbers

N_COLUMNS, N_WINDOWS = 5, 200
A_MONTH = WINDOWS_A_MONTH["day"]
Floats = NDArray[np.float64]
Rows = Callable[[np.random.Generator, int, int], Floats]


def independent(rng: np.random.Generator, n_windows: int, n_rows: int) -> Floats:
    """Rows that do not depend on each other, of shape (n_windows, n_rows)."""
    return rng.standard_normal((n_windows, n_rows))


def following(correlation: float) -> Rows:
    """Each row follows the one before: AR(1), also from one window to the next."""

    def draw(rng: np.random.Generator, n_windows: int, n_rows: int) -> Floats:
        noise = rng.standard_normal(n_windows * n_rows) * np.sqrt(1 - correlation**2)
        noise[0] /= np.sqrt(1 - correlation**2)
        found: Floats = lfilter([1.0], [1.0, -correlation], noise).reshape(n_windows, n_rows)
        return found

    return draw


def clusters(size: int, share: float) -> Rows:
    """Rows in clusters of so many, which have a share of their variance in common: a customer, an hour."""

    def draw(rng: np.random.Generator, n_windows: int, n_rows: int) -> Floats:
        n = n_windows * n_rows
        common = np.repeat(rng.standard_normal(-(-n // size)), size)[:n]
        rows = np.sqrt(share) * common + np.sqrt(1 - share) * rng.standard_normal(n)
        return rows.reshape(n_windows, n_rows)

    return draw


def shifting(share: float) -> Rows:
    """All rows of a window have a share of their variance in common: the weather of its day."""

    def draw(rng: np.random.Generator, n_windows: int, n_rows: int) -> Floats:
        common = rng.standard_normal((n_windows, 1))
        return np.sqrt(share) * common + np.sqrt(1 - share) * rng.standard_normal((n_windows, n_rows))

    return draw


def weekly(by: float) -> Rows:
    """Each weekday moves the mean its own way, by so many standard deviations at most: a season nobody declared."""

    def draw(rng: np.random.Generator, n_windows: int, n_rows: int) -> Floats:
        moved = by * np.sin(2 * np.pi * np.arange(n_windows) / 7)
        return moved[:, None] + rng.standard_normal((n_windows, n_rows))

    return draw


@dataclass(frozen=True)
class Case:
    """How rows depend on each other, rows of a window, and windows that the reference is long."""

    title: str
    rows: Rows
    n_rows: int
    n_blocks: int


CASES: tuple[Case, ...] = (
    *(Case("independent", independent, n, b) for n, b in ((50, 52), (500, 20), (500, 52), (5_000, 52))),
    *(
        Case(f"each follows the one before, {r:g}", following(r), n, b)
        for r, n, b in (
            (0.5, 50, 52),
            (0.5, 500, 20),
            (0.5, 500, 52),
            (0.9, 50, 52),
            (0.9, 500, 20),
            (0.9, 500, 52),
            (0.9, 5_000, 52),
            (0.99, 500, 52),
            (0.99, 5_000, 52),
        )
    ),
    *(
        Case(f"clusters of {size}, {share:.0%} in common", clusters(size, share), n, b)
        for size, share, n, b in (
            (5, 1.0, 50, 52),
            (10, 0.5, 500, 20),
            (10, 0.5, 500, 52),
            (10, 1.0, 500, 52),
            (50, 0.2, 5_000, 52),
        )
    ),
    *(
        Case(f"{share:.1%} in common in a window", shifting(share), n, b)
        for share, n, b in ((0.02, 50, 52), (0.02, 500, 20), (0.02, 500, 52), (0.02, 5_000, 52), (0.2, 500, 52))
    ),
    *(Case("weekdays, not declared", weekly(0.25), n, b) for n, b in ((200, 52), (1_000, 21), (1_000, 52))),
)


@dataclass(frozen=True)
class Found:
    """False alerts a month with their standard error, and how often a shift was found."""

    alerts: float
    error: float
    power: float


def run(case: Case, n_references: int, rng: np.random.Generator) -> tuple[Found, Found, float]:
    """Let windows pass, without and with looking at how rows hang together; and the mean design effect found.

    A shift is one of the mean of one column by six standard errors of as many independent rows.
    """
    level = window_level(Promise(1.0, A_MONTH))
    shift = 6.0 / np.sqrt(case.n_rows)
    n_reference = case.n_rows * case.n_blocks
    block = np.repeat(np.arange(case.n_blocks), case.n_rows)
    no_season = np.zeros(n_reference, dtype=np.intp)
    fired: tuple[list[float], list[float]] = ([], [])
    power: tuple[list[float], list[float]] = ([], [])
    design_effects = []
    for _ in range(n_references):
        streams = [case.rows(rng, case.n_blocks + N_WINDOWS, case.n_rows) for _ in range(N_COLUMNS)]
        references = [rows[: case.n_blocks].ravel() for rows in streams]
        effects = [_effects(one, rows[case.n_blocks :]) for one, rows in zip(references, streams, strict=True)]
        shifted = _effects(references[0], streams[0][case.n_blocks :] + shift)
        for looks in (False, True):
            columns = {}
            for place, one in enumerate(references):
                sketch = sketch_numbers(one, fit_scale(one))
                blocks = Blocks(one, block, no_season, no_season[: case.n_blocks]) if looks else None
                columns[False, f"c{place}"] = Column(sketch, "number", streams_of("number", n_reference), blocks)
            thresholds = calibrate(columns, sizes=[case.n_rows], level=level, rng=rng)
            design_effects += [one["kolmogorov_smirnov"].design_effect for one in thresholds.dependence.values()]
            called = [_fires(thresholds, key, one, case.n_rows) for key, one in zip(columns, effects, strict=True)]
            fired[looks].append(float(np.any(called, axis=0).mean()))
            power[looks].append(float(_fires(thresholds, (False, "c0"), shifted, case.n_rows).mean()))
    plain, mended = (
        Found(
            float(np.mean(fired[looks])) * A_MONTH,
            float(np.std(fired[looks]) / np.sqrt(n_references)) * A_MONTH,
            float(np.mean(power[looks])),
        )
        for looks in (0, 1)
    )
    return plain, mended, float(np.mean(design_effects))


def _effects(reference: Floats, windows: Floats) -> dict[str, Floats]:
    """What both streams that can move show of each window: the values are all different, so ranks tell it exactly."""
    n = windows.shape[1]
    below = np.searchsorted(np.sort(reference), np.sort(windows, axis=1)) / len(reference)
    steps = np.arange(n) / n
    gaps = np.maximum(below - steps, steps + 1 / n - below)
    outside = (windows < reference.min()) | (windows > reference.max())
    return {"kolmogorov_smirnov": gaps.max(axis=1), "range_violations": outside.mean(axis=1)}


def _fires(thresholds: Thresholds, key: tuple[bool, str], effects: dict[str, Floats], n_rows: int) -> NDArray[np.bool_]:
    return np.any([found > thresholds.at(n_rows).of(key, test, n_rows) for test, found in effects.items()], axis=0)


def main() -> None:
    """Run the cases and print them as a table."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.dependent_rows")
    parser.add_argument("--references", type=int, default=60, help="to draw, with two hundred windows each")
    parser.add_argument("--only", default="", help="cases whose line holds these words")
    parser.add_argument("--output", type=Path, help="a file to which each line is appended as soon as it is known")
    given = parser.parse_args()
    titles = ("rows", "of a window", "windows in the reference", "design effect", "not looked at", "looked at", "±")
    print("| " + " | ".join((*titles, "shift found")) + " |\n" + "|---" * 8 + "|")  # noqa: T201
    for place, case in enumerate(CASES):
        head = f"| {case.title} | {case.n_rows:,} | {case.n_blocks} |"
        if given.only not in head:
            continue
        began = time.process_time()
        plain, mended, design_effect = run(case, given.references, np.random.default_rng([6, place]))
        said = (
            f"{head} {design_effect:.1f} | {plain.alerts:.2f} | {mended.alerts:.2f} | {mended.error:.2f} "
            f"| {plain.power:.0%} → {mended.power:.0%} |"
        )
        print(said, f"<!-- {time.process_time() - began:.0f} s -->", flush=True)  # noqa: T201
        if given.output:
            with given.output.open("a") as file:
                file.write(said + "\n")


if __name__ == "__main__":
    main()
