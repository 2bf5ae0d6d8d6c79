"""How often the search for weak slices confirms something, on pure noise and on what was planted. Run by hand.

    python -m tests.benchmarks.weak_slice_honesty [repetitions]

Prints the table of docs/weak-slice-honesty.md. On noise at most 5 % of the searches may confirm anything.
"""

from __future__ import annotations

import sys

import numpy as np

from core.evaluation.slices import Grouped
from core.evaluation.weak_slices import find_weak_slices

SIZES = (200, 1_000, 5_000, 20_000)
COLUMNS = (3, 10, 20)
GROUPS = 5
KINDS = ("error", "rare error", "absolute_error")


def columns(rng: np.random.Generator, n: int, n_columns: int) -> list[Grouped]:
    """Columns of five groups of unequal size."""
    shares = np.array([0.4, 0.25, 0.2, 0.1, 0.05])
    return [Grouped(f"c{place}", tuple("abcde"), rng.choice(GROUPS, n, p=shares)) for place in range(n_columns)]


def noise(rng: np.random.Generator, n: int, kind: str) -> np.ndarray:
    """Losses that no column tells anything of; the errors of a number have heavy tails."""
    if kind == "absolute_error":
        return np.abs(rng.standard_t(4, size=n))
    return (rng.random(n) < (0.15 if kind == "error" else 0.02)).astype(float)


def planted(rng: np.random.Generator, given: list[Grouped], n: int, kind: str) -> np.ndarray:
    """The same, but a fifth of the rows, where the first column is c, is wrong twice as often or twice as far off."""
    weak = given[0].codes == 2
    if kind == "absolute_error":
        return noise(rng, n, kind) * np.where(weak, 2.0, 1.0)
    return (rng.random(n) < np.where(weak, 2, 1) * (0.15 if kind == "error" else 0.02)).astype(float)


def main(repetitions: int = 400) -> None:
    """Run the grid and print it as a table."""
    print("| loss | rows | columns | conditions | confirmed on noise | planted slice found |")  # noqa: T201
    print("|---|---|---|---|---|---|")  # noqa: T201
    for kind in KINDS:
        loss = "absolute_error" if kind == "absolute_error" else "error"
        for n in SIZES:
            for n_columns in COLUMNS:
                rng = np.random.default_rng([n, n_columns])
                rounds = max(50, repetitions if n <= 5_000 else repetitions // 4)
                false, found, looked_at = 0, 0, 0
                for _ in range(rounds):
                    given = columns(rng, n, n_columns)
                    searched = find_weak_slices(noise(rng, n, kind), given, loss=loss, rng=rng)
                    false += searched.n_confirmed > 0
                    looked_at = searched.n_searched
                    again = find_weak_slices(planted(rng, given, n, kind), given, loss=loss, rng=rng)
                    found += any(one.confirmed and "c0 = c" in one.words for one in again.slices)
                print(  # noqa: T201
                    f"| {kind.replace('_', ' ')} | {n:,} | {n_columns} | {looked_at:,} | {false / rounds:.1%} "
                    f"| {found / rounds:.0%} |",
                    flush=True,
                )


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:2]))
