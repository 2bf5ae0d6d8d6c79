"""How often the interval of a difference of two calibration errors holds, and how wide it is. Run by hand.

    python -m tests.benchmarks.paired_calibration [--samples N] [--pair WORDS]

Two models are made of one signal, whose slope of 1 is calibrated and above 1 too sure; the lines are those of
docs/verdict-honesty.md. Beside the interval its paired part alone, and the width that 1.96 times the true spread of the
difference to either side would have. Seeded: the same command prints the same table.
"""

from __future__ import annotations

import argparse

import numpy as np
from numpy.typing import NDArray

from core.evaluation.measures import N_BINS
from core.statistics.intervals import normal_quantile
from core.statistics.resampling import _without_push, gap_difference, gap_difference_interval

Gaps = tuple[NDArray[np.float64], NDArray[np.int64]]

ROWS, SAMPLES, TRUTH_ROWS = 1_000, 200, 2_000_000
OWN_NOISE = 0.15
PAIRS = {
    "1 and 1": (1.0, 1.0),
    "2.5 and 2.5": (2.5, 2.5),
    "2 and 2.5": (2.0, 2.5),
    "1 and 1.3": (1.0, 1.3),
    "1 and 2.5": (1.0, 2.5),
    "2 and 0.5": (2.0, 0.5),
}


def models(rng: np.random.Generator, n: int, slopes: tuple[float, float]) -> tuple[Gaps, Gaps]:
    """Gaps and bins of two models; two of one slope see the signal each with a little noise of its own."""
    signal = rng.normal(size=n)
    happened = rng.random(n) < 1 / (1 + np.exp(-signal))
    made = []
    for slope in slopes:
        seen = signal + OWN_NOISE * rng.normal(size=n) if slopes[0] == slopes[1] else signal
        score = 1 / (1 + np.exp(-slope * seen))
        made.append((score - happened, np.argsort(np.argsort(score)) * N_BINS // n))
    return made[0], made[1]


def difference(first: Gaps, second: Gaps) -> float:
    """Of the two calibration errors, in rows."""
    return float(np.diff([np.abs(np.bincount(bins, weights=gaps)).sum() for gaps, bins in (first, second)])[0])


def main(samples: int, words: str) -> None:
    """Print a line for each pair of models."""
    print("| Slopes | True difference | Holds | Width | Paired part alone | Its width | Least |\n" + "|---" * 7 + "|")  # noqa: T201
    for name, slopes in PAIRS.items():
        if words not in name:
            continue
        truth = difference(*models(np.random.default_rng(1), TRUTH_ROWS, slopes)) / TRUTH_ROWS
        rng, seen = np.random.default_rng(5), []
        held, width = np.zeros(2), np.zeros(2)
        for _ in range(samples):
            first, second = models(rng, ROWS, slopes)
            whole = gap_difference_interval(first, second, rng=rng)
            half = normal_quantile() * gap_difference(first, second, rng=rng)[1]
            middle = _without_push(*second) - _without_push(*first)
            for place, (low, high) in enumerate((whole, (middle - half, middle + half))):
                held[place] += low <= truth * ROWS <= high
                width[place] += (high - low) / ROWS
            seen.append(difference(first, second) / ROWS)
        (holds, paired), (wide, narrow) = held / samples, width / samples
        least = 2 * normal_quantile() * np.std(seen)
        print(f"| {name} | {truth:.3f} | {holds:.1%} | {wide:.3f} | {paired:.1%} | {narrow:.3f} | {least:.3f} |")  # noqa: T201


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.paired_calibration")
    parser.add_argument("--samples", type=int, default=SAMPLES)
    parser.add_argument("--pair", default="", help="only pairs whose name contains these words")
    asked = parser.parse_args()
    main(asked.samples, asked.pair)
