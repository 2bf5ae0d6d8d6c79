"""How often each metric's 95 % interval holds the truth, over a grid of cases. Run by hand.

    python -m tests.benchmarks.interval_coverage [--quick] [--case WORDS] [--rows N ...] [--out FILE]

Truth is what the metric is on two million rows of the same kind. One line a metric, case and number of rows: how often
an interval was given, how many of those given held the truth, the band in which that share lies in 99 of 100 such
simulations if the promise is kept, and the mean width. Seeded: the same command prints the same table.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.evaluation.metrics import compute_metrics
from core.evaluation.predictions import Predictions
from core.evaluation.tables import Task

WORDS = np.array(["no", "yes"], dtype=object)
LETTERS = np.array(["a", "b", "c", "d"], dtype=object)
ROWS = (50, 200, 1_000, 5_000, 50_000)
REPETITIONS = {50: 400, 200: 400, 1_000: 400, 5_000: 200, 50_000: 60}
QUICK = {50: 200, 200: 200, 1_000: 200}
TRUTH_ROWS = 500_000
TRUTH_PARTS = 4
SHARE_GIVEN = 0.5
Make = Callable[[np.random.Generator, int], Predictions]


@dataclass(frozen=True)
class Case:
    """One kind of data and model."""

    name: str
    make: Make
    costs: dict[str, Any] | None = None


@dataclass(frozen=True)
class Line:
    """How one metric's interval did in one case at one number of rows.

    Parameters
    ----------
    given : int
        In how many of ``repetitions`` the metric had an interval.
    held : int
        How many of those held the truth.
    low, high : float
        The band of ``held / given`` under the promise; 0 to 1 where none was given.
    width : float
        Mean width of the intervals given; NaN where none was.
    """

    metric: str
    case: str
    n: int
    repetitions: int
    given: int
    held: int
    low: float
    high: float
    width: float

    @property
    def coverage(self) -> float:
        """Share of the intervals given that held the truth."""
        return self.held / self.given if self.given else float("nan")

    @property
    def verdict(self) -> str:
        """In words: inside the band, below or above it, or mostly withheld.

        Where an interval is given in under half of the simulations the samples that give one are not like the others
        (a rare class came up often), and no interval could hold for those alone.
        """
        if self.given < SHARE_GIVEN * self.repetitions:
            return "withheld"
        if self.coverage < self.low:
            return "BELOW"
        return "above" if self.coverage > self.high else "inside"


def binary(share: float, lift: float, *, weighted: bool = False) -> Make:
    """Normal scores, ``lift`` standard deviations apart, turned into probabilities that are a little too sure."""

    def make(rng: np.random.Generator, n: int) -> Predictions:
        positive = rng.random(n) < share
        seen = rng.normal(size=n) + lift * positive + 0.5 * rng.normal(size=n)
        score = 1 / (1 + np.exp(-(lift * seen - lift * lift / 2 + np.log(share / (1 - share)))))
        truth, label = WORDS[positive.astype(int)], WORDS[(score > share).astype(int)]
        weight = rng.gamma(2.0, size=n) * (1 + positive) if weighted else None
        return Predictions(Task.BINARY, np.arange(n), truth, label, np.c_[1 - score, score], ("no", "yes"), weight)

    return make


def multiclass(shares: tuple[float, ...], lift: float) -> Make:
    """Four classes; ``lift`` is how far the true class's logit stands out."""

    def make(rng: np.random.Generator, n: int) -> Predictions:
        truth = rng.choice(4, size=n, p=shares)
        logit = lift * np.eye(4)[truth] + 1.2 * rng.normal(size=(n, 4))
        scores = np.exp(logit)
        scores /= scores.sum(axis=1, keepdims=True)
        label = LETTERS[scores.argmax(axis=1)]
        return Predictions(Task.MULTICLASS, np.arange(n), LETTERS[truth], label, scores, tuple(LETTERS))

    return make


def regression(error: Callable[[np.random.Generator, int], NDArray[np.float64]], *, weighted: bool = False) -> Make:
    """True values around 10, predicted with the errors given."""

    def make(rng: np.random.Generator, n: int) -> Predictions:
        truth = 10 + rng.normal(size=n)
        weight = rng.gamma(2.0, size=n) if weighted else None
        return Predictions(Task.REGRESSION, np.arange(n), truth, truth + error(rng, n), None, (), weight)

    return make


DEAR_MISS = {"labels": ["no", "yes"], "matrix": [[0.0, 1.0], [10.0, 0.0]]}
FAR_OFF = {"labels": list("abcd"), "matrix": [[abs(one - other) for other in range(4)] for one in range(4)]}
CASES = (
    Case("binary balanced good", binary(0.5, 3.0), DEAR_MISS),
    Case("binary balanced poor", binary(0.5, 0.7), DEAR_MISS),
    Case("binary 1 % good", binary(0.01, 4.0), DEAR_MISS),
    Case("binary 1 % poor", binary(0.01, 1.5), DEAR_MISS),
    Case("binary 30 % weighted", binary(0.3, 1.5, weighted=True), DEAR_MISS),
    Case("multiclass balanced", multiclass((0.25, 0.25, 0.25, 0.25), 2.0), FAR_OFF),
    Case("multiclass 1 %", multiclass((0.6, 0.3, 0.09, 0.01), 3.5), FAR_OFF),
    Case("regression normal", regression(lambda rng, n: 0.5 * rng.normal(size=n))),
    Case("regression heavy", regression(lambda rng, n: 0.5 * rng.standard_t(4.5, size=n))),
    Case("regression weighted", regression(lambda rng, n: 0.5 * rng.normal(size=n), weighted=True)),
)


def truths(case: Case, rows: int = TRUTH_ROWS, parts: int = TRUTH_PARTS) -> dict[str, float]:
    """Each metric on two million rows: the mean over parts, whose own error is far below any interval's."""
    found: dict[str, list[float]] = {}
    for part in range(parts):
        whole = case.make(np.random.default_rng([7, part]), rows)
        for one in compute_metrics(whole, costs=case.costs):
            found.setdefault(one.key, []).append(one.value)
    return {key: float(np.mean(values)) for key, values in found.items()}


def band(given: int) -> tuple[float, float]:
    """Where the share of intervals that hold lies in 99 of 100 simulations, if each holds with 95 %."""
    from scipy.stats import binom

    if not given:
        return 0.0, 1.0
    return float(binom.ppf(0.005, given, 0.95)) / given, float(binom.ppf(0.995, given, 0.95)) / given


def cover(case: Case, n: int, repetitions: int, truth: dict[str, float]) -> Iterator[Line]:
    """Simulate one case at one number of rows."""
    rng = np.random.default_rng([11, CASES.index(case), n])
    held = dict.fromkeys(truth, 0)
    widths: dict[str, list[float]] = {key: [] for key in truth}
    for _ in range(repetitions):
        for one in compute_metrics(case.make(rng, n), costs=case.costs):
            if one.low is not None and one.high is not None:
                held[one.key] += one.low <= truth[one.key] <= one.high
                widths[one.key].append(one.high - one.low)
    for key, found in widths.items():
        width = float(np.mean(found)) if found else float("nan")
        yield Line(key, case.name, n, repetitions, len(found), held[key], *band(len(found)), width)


def header() -> str:
    """The table's first line."""
    return f"{'metric':27} {'case':21} {'rows':>6} {'given':>6} {'holds':>6}  {'band':15} {'verdict':8} {'width':>9}"


def text(line: Line) -> str:
    """One line of the table."""
    start = f"{line.metric:27} {line.case:21} {line.n:6} {line.given / line.repetitions:6.1%}"
    if not line.given:
        return f"{start} {'-':>6}  {'-':15} {line.verdict:8} {'-':>9}"
    inside = f"{line.low:.1%} to {line.high:.1%}"
    return f"{start} {line.coverage:6.1%}  {inside:15} {line.verdict:8} {line.width:9.4g}"


def main(arguments: list[str]) -> None:
    """Print the table, line by line as it is found."""
    parser = argparse.ArgumentParser(description="Coverage of the metrics' 95 % intervals.")
    parser.add_argument("--quick", action="store_true", help="200 simulations of up to 1,000 rows")
    parser.add_argument("--case", default="", help="only cases whose name contains these words")
    parser.add_argument("--rows", type=int, nargs="*", choices=ROWS, help="only these numbers of rows")
    parser.add_argument("--out", type=Path, help="append the table to this file too")
    asked = parser.parse_args(arguments)
    repetitions = QUICK if asked.quick else REPETITIONS

    def say(words: str) -> None:
        print(words, flush=True)  # noqa: T201
        if asked.out:
            with asked.out.open("a", encoding="utf-8") as file:
                file.write(words + "\n")

    say(header())
    for case in CASES:
        if asked.case not in case.name:
            continue
        truth = truths(case)
        for n in repetitions:
            if not asked.rows or n in asked.rows:
                for line in cover(case, n, repetitions[n], truth):
                    say(text(line))


if __name__ == "__main__":
    main(sys.argv[1:])
