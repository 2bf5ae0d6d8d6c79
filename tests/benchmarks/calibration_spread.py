"""How often the calibration error's interval holds where the true error lies otherwise than in the table. Run by hand.

    python -m tests.benchmarks.calibration_spread [--samples N] [--case WORDS]

With five rows to a bin, how often the interval misses at its low end depends on where the true error lies: all of it in
one bin, in two, or spread. Here it is computed at several levels, of 50 rows with the scores of a case of
`interval_coverage` and the same true error, spread as in the case and otherwise. The level at which the worst of those
truths is held 95 in 100 is as narrow as an interval of this kind may be; the case's own line says how often that one
would hold there. Seeded: the same command prints the same table.
"""

from __future__ import annotations

import argparse

import numpy as np
from numpy.typing import NDArray

from core.evaluation.measures import N_BINS, calibration_gaps
from core.evaluation.metric_intervals import FEW
from core.evaluation.outcomes import Outcome
from core.evaluation.predictions import Predictions
from core.evaluation.tables import Task
from core.statistics.resampling import gap_interval
from tests.benchmarks.interval_coverage import CALIBRATION, CASES, WORDS, Case, truths

Floats = NDArray[np.float64]

NAMES = ("binary balanced poor", "binary 30 % weighted")
ROWS, SAMPLES, POPULATION = 50, 1_200, 400_000
# Bins, from 0, that the true error is put into.
PLACES = (1, 4, 6)
LEVELS = (0.90, 0.92, 0.93, 0.94, 0.95)
# A true share of positives is kept within these, and a pattern left out that would need another.
NEAREST = 0.02


def patterns(mean: Floats, truth: float) -> dict[str, Floats]:
    """Each bin's true gap, score less share of positives, in units of the true error; means of absolutes are 1."""
    found = {"same": np.ones(N_BINS), "alternating": np.where(np.arange(N_BINS) % 2, -1.0, 1.0)}
    for n_bins in (1, 2):
        for place in PLACES:
            for sign in (1.0, -1.0):
                gaps = np.zeros(N_BINS)
                gaps[place : place + n_bins] = sign * N_BINS / n_bins
                shares = (mean - truth * gaps)[place : place + n_bins]
                if shares.min() > NEAREST and shares.max() < 1 - NEAREST:
                    found[f"{n_bins} from bin {place + 1}, {'too high' if sign > 0 else 'too low'}"] = gaps
    return found


def held(case: Case, truth: float, gaps: Floats | None, edges: Floats, samples: int) -> tuple[Floats, int]:
    """Share of samples held at each of `LEVELS`, and how many had an interval; the case's own outcomes for no gaps."""
    rng = np.random.default_rng(7)
    counted, given = np.zeros(len(LEVELS)), 0
    for _ in range(samples):
        made = case.make(rng, ROWS, 1.0)
        outcome = Outcome(made if gaps is None else _with_gaps(made, truth * gaps, edges, rng))
        if min(outcome.effective(1), outcome.effective(0)) < FEW:
            continue
        values, bins = calibration_gaps(outcome)
        given += 1
        for place, level in enumerate(LEVELS):
            low, high = gap_interval(values, bins, level)
            counted[place] += low <= truth * outcome.n_counted <= high
    return counted / given, given


def _with_gaps(made: Predictions, gaps: Floats, edges: Floats, rng: np.random.Generator) -> Predictions:
    """The same scores with outcomes drawn so that each bin's share of positives, by weight, is its score less its gap.

    A positive weighs twice as much as a negative where rows have weights, as in the cases.
    """
    assert made.scores is not None
    score = made.scores[:, 1]
    share = np.clip(score - gaps[np.searchsorted(edges, score)], 0.001, 0.999)
    positive = rng.random(len(score)) < (share if made.sample_weight is None else share / (2 - share))
    weight = None if made.sample_weight is None else rng.gamma(2.0, size=len(score)) * (1 + positive)
    truth = WORDS[positive.astype(int)]
    return Predictions(Task.BINARY, np.arange(len(score)), truth, made.y_pred, made.scores, made.classes, weight)


def main(samples: int, words: str) -> None:
    """Print, by case, how often each truth is held at each level, the case's own first."""
    print("| Case | True error | Samples | " + " | ".join(f"{level:.0%}" for level in LEVELS) + " |")  # noqa: T201
    print("|---" * (3 + len(LEVELS)) + "|", flush=True)  # noqa: T201
    for case in (one for one in CASES if one.name in NAMES and words in one.name):
        truth = truths(case, parts=2)[CALIBRATION]
        many = Outcome(case.make(np.random.default_rng(1), POPULATION, 1.0))
        order = np.argsort(many.score)
        # A bin's own calibrated outcomes would move its edges a little, which is left out.
        reached = np.cumsum(many.weight[order]) / many.weight.sum()
        edges = np.interp(np.linspace(0, 1, N_BINS + 1)[1:-1], reached, many.score[order])
        bins = np.searchsorted(edges, many.score)
        mean = np.bincount(bins, many.score * many.weight) / np.bincount(bins, many.weight)
        for name, gaps in {"as in the case": None, **patterns(mean, truth)}.items():
            shares, given = held(case, truth, gaps, edges, samples)
            figures = " | ".join(f"{100 * share:.1f}" for share in shares)
            print(f"| {case.name} | {name} | {given} | {figures} |", flush=True)  # noqa: T201


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.calibration_spread")
    parser.add_argument("--samples", type=int, default=SAMPLES)
    parser.add_argument("--case", default="", help="only the case whose name contains these words")
    asked = parser.parse_args()
    main(asked.samples, asked.case)
