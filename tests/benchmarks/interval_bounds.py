"""How often the shortest interval that holds everywhere would hold at one truth, told more than the product is.

A share of few rows takes few values. An interval that holds a share p in 95 of 100 samples, whatever p is, has to hold
it at outcomes whose probabilities sum to 95 % or more; the fewest that do are the most probable ones (Sterne 1954,
Biometrika 41:275), which make intervals shortest in sum (Crow 1956, Biometrika 43:423). Where one outcome has nearly
all the probability they sum to far more than 95 %, and no interval of any kind can hold less often.

The bound of a metric is that of an interval that is told everything but one such share: of a mean over classes, all of
the other classes; of lift, how many positives there are; and of the calibration error, every bin's standard error. What
the product is not told can only make it wider. F0.5 and F2 rest on two shares, of what was found and of misses among
the mistakes: their bound has to hold whatever the second is.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from core.evaluation.measures import N_BINS, TOP_SHARE, calibration_gaps, top_hits
from core.evaluation.outcomes import Outcome

Floats = NDArray[np.float64]

HOLDS = 0.95
N_DRAWS = 20_000
RARE = "of the rarest class"
TOP = "in the top tenth"
MISSED = f"missed of the mistakes {RARE}"
SQUARED_BETA = {"f0_5": 0.25, "f2": 4.0}
N_MIXES = 11
# Which share decides a metric, binary and multiclass; see `class_shares`.
DECIDES = {
    "accuracy": "right",
    "top_3_accuracy": "top_3_accuracy",
    "lift": TOP,
    "recall": f"found {RARE}",
    "balanced_accuracy": f"found {RARE}",
    "precision": f"right {RARE}",
    "macro_precision": f"right {RARE}",
    "f1": f"joint {RARE}",
    "f0_5": f"joint {RARE}",
    "f2": f"joint {RARE}",
    "macro_f1": f"joint {RARE}",
}


def class_shares(outcome: Outcome) -> dict[str, tuple[float, float]]:
    """The shares that decide metrics, each as rows in and rows in all.

    The rarest class is the last of the model's, as the cases are made: how many of its rows are found, how many rows
    called it are right, how many are both of those that are either, and how many are of it of those that are but one.
    In a binary task also how many of the best-scored tenth are positive.
    """
    code = len(outcome.predictions.classes) - 1
    hits = float(outcome.confusion[code, code])
    actual, called = float(outcome.confusion[code].sum()), float(outcome.confusion[:, code].sum())
    shares = {
        "right": (float(outcome.confusion.trace()), float(outcome.n_counted)),
        f"found {RARE}": (hits, actual),
        f"right {RARE}": (hits, called),
        f"joint {RARE}": (hits, actual + called - hits),
        MISSED: (actual - hits, actual + called - 2 * hits),
    }
    if outcome.is_binary and actual > 0:
        found, _, total = top_hits(outcome)
        shares[TOP] = (found, TOP_SHARE * total)
    return shares


@lru_cache(maxsize=10_000)
def sterne(n: int, share: float) -> float:
    """Probability, at a share, of the fewest outcomes of ``n`` rows that reach 95 %; 1 without any row."""
    from scipy.stats import binom

    falling = np.sort(binom.pmf(np.arange(n + 1), n, share))[::-1]
    reached = np.cumsum(falling)
    return float(min(1.0, reached[min(n, int(np.searchsorted(reached, HOLDS)))]))


@lru_cache(maxsize=10_000)
def fewest(n: int, joint: float, missed: float, square: float) -> float:
    """As `sterne`, of an F-score of ``n`` rows that are, or are called, positive; the most probable of the fewest sets.

    An outcome is how many rows are found, missed and false alarms. The set reaches 95 % at every mix of the mistakes
    that goes with the same F-score.
    """
    from scipy.optimize import Bounds, LinearConstraint, milp
    from scipy.stats import multinomial

    if n == 0:
        return 1.0
    outcomes = np.array([(found, lost, n - found - lost) for found in range(n + 1) for lost in range(n + 1 - found)])
    odds = joint / (1 - joint) / (square * missed + 1 - missed)

    def probability(mix: float) -> Floats:
        ratio = odds * (square * mix + 1 - mix)
        found = ratio / (1 + ratio)
        return np.asarray(multinomial.pmf(outcomes, n, [found, (1 - found) * mix, (1 - found) * (1 - mix)]))

    own = probability(missed)
    every = np.array([own, *map(probability, np.linspace(0, 1, N_MIXES))])
    chosen = milp(
        1 - 0.5 * own,
        constraints=LinearConstraint(every, HOLDS, np.inf),
        integrality=np.ones(len(outcomes), dtype=np.int64),
        bounds=Bounds(0, 1),
    )
    return float(own @ np.round(np.asarray(chosen.x)))


class Least:
    """The bound of one metric, over the samples of a cell."""

    def __init__(self, key: str) -> None:
        self.key = key
        self.bounds: list[float] = []
        self.sums: list[float] = []
        self.bins: list[Floats] = []
        self.truth = 0.0

    def add(self, outcome: Outcome, truth: Mapping[str, float]) -> None:
        """Take in one sample, with what is true where it comes from."""
        if self.key == "expected_calibration_error":
            self._add_gaps(outcome, truth[self.key])
        elif self.key in SQUARED_BETA and not outcome.is_weighted:
            rows = class_shares(outcome)[DECIDES[self.key]][1]
            shares = truth[DECIDES[self.key]], truth[MISSED]
            self.bounds.append(fewest(round(rows), *shares, SQUARED_BETA[self.key]))
        elif self.key in DECIDES and not outcome.is_weighted:
            name = DECIDES[self.key]
            n = outcome.n_rows if name == self.key else class_shares(outcome)[name][1]
            self.bounds.append(sterne(round(n), min(1.0, truth[name])))

    def coverage(self) -> float | None:
        """How often the best interval holds, as a share; None where nobody knows."""
        if self.sums:
            return float(np.mean(np.array(self.sums) <= self._largest_sum()))
        return float(np.mean(self.bounds)) if self.bounds else None

    def _add_gaps(self, outcome: Outcome, truth: float) -> None:
        gaps, bins = calibration_gaps(outcome)
        size, total = np.bincount(bins), np.bincount(bins, weights=gaps)
        squares = np.bincount(bins, weights=(gaps - (total / size)[bins]) ** 2)
        error = np.sqrt(squares * size / np.maximum(size - 1, 1))
        score = outcome.score if outcome.is_binary else outcome.scores_of(outcome.y_pred)
        weight = np.bincount(bins, weights=outcome.weight)
        mean = np.bincount(bins, weights=score * outcome.weight) / weight
        self.sums.append(float(np.abs(total).sum()))
        if len(size) == N_BINS:
            self.bins.append(np.stack([mean, weight, error]))
        self.truth = truth * outcome.n_counted

    def _largest_sum(self) -> float:
        """The sum of gaps that the true one gives once in twenty where all of it is in one bin.

        An interval that sees the sum and holds it has to hold there too, so only a larger sum may leave it below; where
        the true sum is spread over the bins so large a one is rarer. On the other side it cannot miss, since noise
        makes the sum seen the larger. The bin is the one that gives the largest: that bin's rows then come out positive
        as often as its gap says, and vary accordingly.
        """
        mean, weight, error = np.mean(self.bins, axis=0)
        noise = np.random.default_rng(5).normal(size=(N_DRAWS, N_BINS))
        sums = np.abs(noise * error)
        largest = 0.0
        for place in range(N_BINS):
            for gap in (self.truth, -self.truth):
                share = mean[place] + gap / weight[place]
                if 0 <= share <= 1:
                    own = error[place] * np.sqrt(share * (1 - share) / (mean[place] * (1 - mean[place])))
                    moved = sums.sum(axis=1) - sums[:, place] + np.abs(gap + own * noise[:, place])
                    largest = max(largest, float(np.quantile(moved, HOLDS)))
        return largest
