"""How often the calibration error's interval holds, by the rows of a bin and by where the true gaps lie. Run by hand.

    python -m tests.benchmarks.calibration_gaps [--samples 1500]

Prints the table of docs/interval-coverage.md from which `metric_intervals.FEW_A_BIN` follows. Gaps are normal, with a
standard deviation of 1, in ten bins: in one of them, in two, the same in all, or of alternating sign, and as large as
said, in standard errors of a bin. Seeded: the same command prints the same table.
"""

from __future__ import annotations

import argparse

import numpy as np

from core.evaluation.measures import N_BINS
from core.statistics.resampling import gap_interval

ROWS_A_BIN = (5, 8, 10, 20)
SIZES = (0.0, 1.0, 2.0, 3.0, 5.0)
PATTERNS = {
    "all in one bin": np.eye(N_BINS)[0],
    "in two bins": np.eye(N_BINS)[:2].sum(axis=0),
    "the same in every bin": np.ones(N_BINS),
    "of alternating sign": np.where(np.arange(N_BINS) % 2, -1.0, 1.0),
}


def held(gaps: np.ndarray, n_samples: int, rows_a_bin: int, rng: np.random.Generator) -> float:
    """In which share of samples the interval of the summed gaps holds their true sum."""
    bins = np.repeat(np.arange(N_BINS), rows_a_bin)
    truth = float(np.abs(gaps).sum()) * rows_a_bin
    found = 0
    for _ in range(n_samples):
        low, high = gap_interval(gaps[bins] + rng.standard_normal(len(bins)), bins)
        found += low <= truth <= high
    return found / n_samples


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.calibration_gaps")
    parser.add_argument("--samples", type=int, default=1_500)
    given = parser.parse_args()
    print("| Rows of a bin | True gaps | " + " | ".join(f"{size:g}" for size in SIZES) + " |")  # noqa: T201
    print("|---|---|" + "---|" * len(SIZES))  # noqa: T201
    rng = np.random.default_rng(23)
    for rows in ROWS_A_BIN:
        for name, pattern in PATTERNS.items():
            shares = [held(pattern * size / np.sqrt(rows), given.samples, rows, rng) for size in SIZES]
            print(f"| {rows} | {name} | " + " | ".join(f"{100 * one:.1f}" for one in shares) + " |")  # noqa: T201


if __name__ == "__main__":
    main()
