"""How often each metric's 95 % interval holds the truth, over a grid of cases. Run by hand.

    python -m tests.benchmarks.interval_coverage [--quick] [--case WORDS] [--rows N ...] [--truth-parts N] [--out FILE]

Truth is what the metric is on eight million rows of the same kind. One line a metric, case and number of rows: how
often an interval was given, how many of those given held the truth, the band in which that share lies in 99 of 100 such
simulations if the promise is kept, and the mean width; at the end the cells outside their band. Seeded: the same
command prints the same table.

Of hundreds of cells some lie outside their band by chance, and metrics of one confusion matrix do so together. A cell
that does is drawn again, four times as often and from another seed, and judged by that sample and its narrower band
alone ("again").

Where a cell is above its band, `interval_bounds` says how often the best of all intervals that hold everywhere would
hold there; one that holds no more often than that is "least", the least possible.

A metric that counts rows takes few values on few rows, and how often any interval holds then jumps with the truth, up
and down by several in a hundred, as a saw does (Brown, Cai and DasGupta 2001). Up to `FEW_ROWS` rows such a metric is
judged by its mean over a small neighbourhood of the truth: a ninth of the simulations each at models from a tenth
weaker to a tenth stronger. Those lines say "around"; metrics of the scores themselves are judged at one truth, "at".
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.errors import NotApplicable
from core.evaluation.measures import calibration_gaps
from core.evaluation.metrics import METRICS, estimates_of, measure, metrics_for
from core.evaluation.outcomes import Outcome
from core.evaluation.predictions import Predictions
from core.evaluation.tables import Task
from tests.benchmarks.interval_bounds import Least, class_shares

WORDS = np.array(["no", "yes"], dtype=object)
LETTERS = np.array(["a", "b", "c", "d"], dtype=object)
ROWS = (50, 200, 1_000, 5_000, 50_000)
REPETITIONS = dict.fromkeys(ROWS, 400)
AGAIN = 4
QUICK = {50: 200, 200: 200, 1_000: 200}
FEW_ROWS = 1_000
NUDGES = (0.9, 0.925, 0.95, 0.975, 1.0, 1.025, 1.05, 1.075, 1.1)
TRUTH_ROWS = 500_000
TRUTH_PARTS = 16
SHARE_GIVEN = 0.5
CALIBRATION = "expected_calibration_error"
Make = Callable[[np.random.Generator, int, float], Predictions]


@dataclass(frozen=True)
class Case:
    """One kind of data and model; ``make`` takes what the model's strength is multiplied by, besides the rows."""

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
    silent : int
        In how many it had a value without one.
    held : int
        How many of those given held the truth.
    width : float
        Mean width of the intervals given; NaN where none was.
    around : bool
        Whether judged by the mean over a neighbourhood of the truth.
    again : bool
        Whether drawn again, since a first sample was outside its band.
    least : float, optional
        How often the best of all intervals that hold everywhere would hold here; None where nobody knows.
    """

    metric: str
    case: str
    n: int
    repetitions: int
    given: int
    silent: int
    held: int
    width: float
    around: bool = False
    again: bool = False
    least: float | None = None

    @property
    def coverage(self) -> float:
        """Share of the intervals given that held the truth."""
        return self.held / self.given if self.given else float("nan")

    @property
    def band(self) -> tuple[float, float]:
        """Where the coverage lies in 99 of 100 simulations if the promise is kept.

        A sample that is not told an interval since too few rows carry one may be one that no interval would have held;
        it is counted as such in the upper end, for no choice of intervals can make up for it.
        """
        if not self.given:
            return 0.0, 1.0
        low, high = band(self.given)[0], band(self.given + self.silent)[1] * (self.given + self.silent) / self.given
        return low, min(1.0, high)

    @property
    def verdict(self) -> str:
        """In words: inside the band, below or above it, at the least possible, or mostly withheld.

        Where an interval is given in under half of the simulations the samples that give one are not like the others
        (a rare class came up often), and no interval could hold for those alone.
        """
        if self.given < SHARE_GIVEN * self.repetitions:
            return "withheld"
        low, high = self.band
        if self.coverage < low:
            return "BELOW"
        if self.coverage <= high:
            return "inside"
        return "least" if self.least is not None and self.coverage <= band(self.given, self.least)[1] else "above"


def binary(share: float, lift: float, *, weighted: bool = False) -> Make:
    """Normal scores, ``lift`` standard deviations apart, turned into probabilities that are a little too sure."""

    def make(rng: np.random.Generator, n: int, nudge: float = 1.0) -> Predictions:
        apart = lift * nudge
        positive = rng.random(n) < share
        seen = rng.normal(size=n) + apart * positive + 0.5 * rng.normal(size=n)
        score = 1 / (1 + np.exp(-(apart * seen - apart * apart / 2 + np.log(share / (1 - share)))))
        truth, label = WORDS[positive.astype(int)], WORDS[(score > share).astype(int)]
        weight = rng.gamma(2.0, size=n) * (1 + positive) if weighted else None
        return Predictions(Task.BINARY, np.arange(n), truth, label, np.c_[1 - score, score], ("no", "yes"), weight)

    return make


def multiclass(shares: tuple[float, ...], lift: float) -> Make:
    """Four classes; ``lift`` is how far the true class's logit stands out."""

    def make(rng: np.random.Generator, n: int, nudge: float = 1.0) -> Predictions:
        truth = rng.choice(4, size=n, p=shares)
        logit = lift * nudge * np.eye(4)[truth] + 1.2 * rng.normal(size=(n, 4))
        scores = np.exp(logit)
        scores /= scores.sum(axis=1, keepdims=True)
        label = LETTERS[scores.argmax(axis=1)]
        return Predictions(Task.MULTICLASS, np.arange(n), LETTERS[truth], label, scores, tuple(LETTERS))

    return make


def regression(error: Callable[[np.random.Generator, int], NDArray[np.float64]], *, weighted: bool = False) -> Make:
    """True values around 10, predicted with the errors given."""

    def make(rng: np.random.Generator, n: int, nudge: float = 1.0) -> Predictions:
        del nudge
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


def truths(case: Case, rows: int = TRUTH_ROWS, parts: int = TRUTH_PARTS, nudge: float = 1.0) -> dict[str, float]:
    """Each metric on eight million rows: the mean over parts, whose own error is far below any interval's.

    The calibration error is taken of the parts' summed gaps, since noise pushes that of each part up. Besides, the
    shares of `class_shares`, for the bounds.
    """
    found: dict[str, list[float]] = {}
    gaps, n = np.zeros(1), 0
    for part in range(parts):
        outcome = Outcome(case.make(np.random.default_rng([7, part]), rows, nudge), costs=case.costs)
        for entry in metrics_for(outcome.predictions.task):
            try:
                found.setdefault(entry.key, []).append(measure(entry, outcome).value)
            except NotApplicable:
                continue
        if not outcome.is_regression:
            values, bins = calibration_gaps(outcome)
            gaps, n = gaps + np.bincount(bins, weights=values), n + outcome.n_counted
            for key, (inside, whole) in class_shares(outcome).items():
                found.setdefault(key, []).append(inside / whole)
    means = {key: float(np.mean(values)) for key, values in found.items()}
    return means if not n else means | {CALIBRATION: float(np.abs(gaps).sum()) / n}


def counts_rows(key: str) -> bool:
    """Whether a metric is a function of counts of rows, and so takes few values on few of them."""
    entry = METRICS[key]
    return Task.REGRESSION not in entry.tasks and (entry.needs == "labels" or key in ("lift", "top_3_accuracy"))


def band(given: int, holds: float = 0.95) -> tuple[float, float]:
    """Where the share of intervals that hold lies in 99 of 100 simulations, if each holds with 95 %."""
    from scipy.stats import binom

    if not given:
        return 0.0, 1.0
    return float(binom.ppf(0.005, given, holds)) / given, float(binom.ppf(0.995, given, holds)) / given


def cover(case: Case, n: int, repetitions: int, truth: dict[str, float]) -> Iterator[Line]:
    """Simulate one case at one number of rows, each metric at the truth given."""
    yield from _simulated(case, n, repetitions, {1.0: truth}, METRICS.keys() & truth.keys(), around=False)


def cover_around(
    case: Case, n: int, repetitions: int, truth_by_nudge: Mapping[float, dict[str, float]]
) -> Iterator[Line]:
    """Simulate one case at one number of rows, the metrics that count rows each at several truths, in turn."""
    keys = {key for found in truth_by_nudge.values() for key in METRICS.keys() & found.keys() if counts_rows(key)}
    yield from _simulated(case, n, repetitions, truth_by_nudge, keys, around=True)


def _simulated(
    case: Case,
    n: int,
    repetitions: int,
    truth_by_nudge: Mapping[float, dict[str, float]],
    keys: Collection[str],
    *,
    around: bool,
    again: bool = False,
) -> Iterator[Line]:
    rng = np.random.default_rng([13 if again else 11, CASES.index(case), n, int(around)])
    nudges = list(truth_by_nudge)
    held = {key: 0 for key in truth_by_nudge[nudges[0]] if key in keys}
    silent = dict.fromkeys(held, 0)
    widths: dict[str, list[float]] = {key: [] for key in held}
    least = {key: Least(key) for key in held} if again else {}
    for place in range(repetitions):
        nudge = nudges[place % len(nudges)]
        truth = truth_by_nudge[nudge]
        outcome = Outcome(case.make(rng, n, nudge), costs=case.costs)
        for one in estimates_of(outcome, held):
            if one.low is None or one.high is None:
                silent[one.key] += 1
                continue
            held[one.key] += one.low <= truth[one.key] <= one.high
            widths[one.key].append(one.high - one.low)
            if again:
                least[one.key].add(outcome, truth)
    for key, found in widths.items():
        width = float(np.mean(found)) if found else float("nan")
        bound = least[key].coverage() if again else None
        yield Line(key, case.name, n, repetitions, len(found), silent[key], held[key], width, around, again, bound)


def header() -> str:
    """The table's first line."""
    return (
        f"{'metric':27} {'case':21} {'rows':>6} {'given':>6} {'holds':>6}  {'band':15} {'verdict':8} {'width':>9} truth"
    )


def text(line: Line) -> str:
    """One line of the table."""
    start = f"{line.metric:27} {line.case:21} {line.n:6} {line.given / line.repetitions:6.1%}"
    where = ("around" if line.around else "at") + (" again" if line.again else "")
    if line.least is not None and line.verdict in ("least", "above"):
        where += f", best {line.least:.1%}"
    if not line.given:
        return f"{start} {'-':>6}  {'-':15} {line.verdict:8} {'-':>9} {where}"
    low, high = line.band
    inside = f"{low:.1%} to {high:.1%}"
    return f"{start} {line.coverage:6.1%}  {inside:15} {line.verdict:8} {line.width:9.4g} {where}"


def summary(lines: Sequence[Line]) -> Iterator[str]:
    """How many cells are inside their band, below, above and withheld, and which are not inside, by metric."""
    counted = Counter(line.verdict for line in lines)
    yield f"Of {len(lines)} cells " + ", ".join(f"{n} are {verdict}" for verdict, n in sorted(counted.items())) + "."
    for verdict in ("BELOW", "above", "least", "withheld"):
        cells: dict[str, list[str]] = {}
        for line in lines:
            if line.verdict == verdict:
                best = f", best {line.least:.1%}" if line.least is not None and verdict in ("above", "least") else ""
                held = f" ({line.coverage:.1%}{best})" if line.given else ""
                cells.setdefault(line.metric, []).append(f"{line.case} {line.n:,}{held}")
        yield f"{verdict}:"
        yield from (f"- `{metric}`: {'; '.join(found)}." for metric, found in cells.items())


def lines_of(
    case: Case, rows: Sequence[int], repetitions: Mapping[int, int], parts: int = TRUTH_PARTS
) -> Iterator[Line]:
    """Every line of a case, those of few rows and of metrics that count rows around the truth.

    Lines outside their band are drawn again.
    """
    truth = truths(case, parts=parts)
    few = [n for n in rows if n <= FEW_ROWS]
    counted = any(map(counts_rows, METRICS.keys() & truth.keys())) and bool(few)
    near = {nudge: truths(case, parts=1, nudge=nudge) for nudge in NUDGES} if counted else {}
    for n in rows:
        around = (
            {line.metric: line for line in cover_around(case, n, repetitions[n], near)} if n in few and near else {}
        )
        first = [around.get(line.metric, line) for line in cover(case, n, repetitions[n], truth)]
        second: dict[str, Line] = {}
        for is_around, at in ((False, {1.0: truth}), (True, near)):
            keys = {line.metric for line in first if line.around == is_around and line.verdict in ("BELOW", "above")}
            if keys:
                times = AGAIN * repetitions[n]
                drawn = _simulated(case, n, times, at, keys, around=is_around, again=True)
                second |= {line.metric: line for line in drawn}
        yield from (second.get(line.metric, line) for line in first)


def main(arguments: list[str]) -> None:
    """Print the table, line by line as it is found, and what stands out in it."""
    parser = argparse.ArgumentParser(description="Coverage of the metrics' 95 % intervals.")
    parser.add_argument("--quick", action="store_true", help="200 simulations of up to 1,000 rows")
    parser.add_argument("--case", default="", help="only cases whose name contains these words")
    parser.add_argument("--rows", type=int, nargs="*", choices=ROWS, help="only these numbers of rows")
    parser.add_argument("--truth-parts", type=int, default=TRUTH_PARTS, help="of 500,000 rows each, for the truth")
    parser.add_argument("--out", type=Path, help="append the table to this file too")
    asked = parser.parse_args(arguments)
    repetitions = QUICK if asked.quick else REPETITIONS
    rows = [n for n in repetitions if not asked.rows or n in asked.rows]
    found: list[Line] = []

    def say(words: str) -> None:
        print(words, flush=True)  # noqa: T201
        if asked.out:
            with asked.out.open("a", encoding="utf-8") as file:
                file.write(words + "\n")

    say(header())
    for case in CASES:
        if asked.case in case.name:
            for line in lines_of(case, rows, repetitions, asked.truth_parts):
                found.append(line)
                say(text(line))
    for words in summary(found):
        say(words)


if __name__ == "__main__":
    main(sys.argv[1:])
