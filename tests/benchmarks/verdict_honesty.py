"""How often paired tests and verdicts are wrong, and how often they see a difference that is there. Run by hand.

    python -m tests.benchmarks.verdict_honesty [--share 1.0] [--metrics roc_auc,f1] [--rows 50 200 1000]
        [--case WORDS] [--deciding]

Two runs over the same rows are drawn many times: of equal quality, and one worse by a known step. What the step is
worth in each metric is measured on two million rows and taken as the margin. Prints the Markdown kept in
docs/verdict-honesty.md; the same seed gives the same figures.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from core.errors import NotApplicable
from core.evaluation.comparing import compare
from core.evaluation.metrics import METRICS, measure
from core.evaluation.outcomes import Outcome
from core.evaluation.predictions import Predictions
from core.evaluation.tables import Task, Verdict

WORDS = np.array(["no", "yes"], dtype=object)
SIZES = {50: 400, 200: 400, 1_000: 400, 5_000: 120, 50_000: 20}
# With more rows only what decides is computed, not the bootstrap and the permutation beside it.
MOST_RESAMPLED = 1_000
N_RESAMPLES, N_PERMUTATIONS = 399, 199
TRUTH_ROWS = 2_000_000
BAND = 0.99
SEED = 20

Pair = tuple[Predictions, Predictions]


@dataclass(frozen=True)
class Case:
    """One kind of data: a drawing of two runs, the second worse by a step from 0 to 1, and the metrics asked for."""

    name: str
    draw: Callable[[np.random.Generator, int, float], Pair]
    metrics: tuple[str, ...]


@dataclass
class Cell:
    """What was counted for one case, size and metric."""

    n_equal: int = 0
    n_worse: int = 0
    better: int = 0
    worse: int = 0
    not_worse: int = 0
    found_worse: int = 0
    size: dict[str, list[bool]] = field(default_factory=lambda: defaultdict(list))
    power: dict[str, list[bool]] = field(default_factory=lambda: defaultdict(list))


def binary(share: float, lift: float) -> Callable[[np.random.Generator, int, float], Pair]:
    """Scores of one signal seen twice, each with noise of its own; the second with more by the step."""

    def draw(rng: np.random.Generator, n: int, step: float) -> Pair:
        positive = rng.random(n) < share
        signal = rng.normal(size=n) + lift * positive
        runs = []
        for noise in (0.5, 0.5 + 0.3 * step):
            seen = (signal + noise * rng.normal(size=n)) / np.sqrt(1 + noise * noise)
            real = lift / np.sqrt(1 + noise * noise)
            score = 1 / (1 + np.exp(-(real * seen - real * real / 2 + np.log(share / (1 - share)))))
            runs.append(_binary(positive, score, share))
        return runs[0], runs[1]

    return draw


def _binary(positive: NDArray[np.bool_], score: NDArray[np.float64], threshold: float) -> Predictions:
    labels = WORDS[(score > threshold).astype(int)]
    truth = WORDS[positive.astype(int)]
    return Predictions(Task.BINARY, np.arange(len(score)), truth, labels, np.c_[1 - score, score], ("no", "yes"))


def regression(tail: float) -> Callable[[np.random.Generator, int, float], Pair]:
    """Errors that half belong to the row and half to the model; Student's t with ``tail`` degrees of freedom."""

    def draw(rng: np.random.Generator, n: int, step: float) -> Pair:
        truth, shared = 10 + rng.normal(size=n), rng.standard_t(tail, size=n)
        first, second = (
            Predictions(
                Task.REGRESSION, np.arange(n), truth, truth + scale * (shared + rng.standard_t(tail, size=n)), None, ()
            )
            for scale in (0.5, 0.5 + 0.05 * step)
        )
        return first, second

    return draw


CLASSIFIED = ("roc_auc", "average_precision", "accuracy", "balanced_accuracy", "f1", "log_loss")
CASES = (
    Case("balanced", binary(0.5, 1.5), CLASSIFIED),
    Case("1 % positive", binary(0.01, 2.0), CLASSIFIED),
    Case("regression, normal", regression(1e6), ("rmse", "mae")),
    Case("regression, heavy tails", regression(4.5), ("rmse", "mae")),
)


def simulate(
    case: Case,
    n: int,
    repetitions: int,
    *,
    seed: int = SEED,
    metrics: tuple[str, ...] | None = None,
    n_resamples: int = N_RESAMPLES,
    n_permutations: int = N_PERMUTATIONS,
    truth_rows: int = TRUTH_ROWS,
) -> dict[str, Cell]:
    """Count right and wrong answers for one kind of data and one number of rows.

    Samples on which a metric is not defined (no positive row) are not counted.
    """
    wanted = case.metrics if metrics is None else metrics
    if not wanted:
        return {}
    margins = step_in_metrics(case, wanted, truth_rows)
    rng = np.random.default_rng([seed, n, sum(map(ord, case.name))])
    cells = {key: Cell() for key in wanted}
    for _ in range(repetitions):
        for step in (0.0, 1.0):
            pair = case.draw(rng, n, step)
            for key in wanted:
                try:
                    found = compare(
                        *pair,
                        metric=key,
                        margin=margins[key],
                        n_resamples=n_resamples,
                        n_permutations=n_permutations,
                        rng=rng,
                    )
                except NotApplicable:
                    continue
                _count(cells[key], found.verdict, found.low, found.high, found.tests, equal=step == 0)
    return cells


def _count(cell: Cell, verdict: Verdict, low: float, high: float, tests: list[dict[str, Any]], *, equal: bool) -> None:
    rejected = {f"{one['key']}": bool(one["pvalue"] <= 0.05) for one in tests if one["pvalue"] is not None}
    rejected["interval"] = low > 0 or high < 0
    kept = cell.size if equal else cell.power
    for key, value in rejected.items():
        kept[key].append(value)
    if equal:
        cell.n_equal += 1
        cell.better += verdict is Verdict.BETTER
        cell.worse += verdict is Verdict.WORSE
    else:
        cell.n_worse += 1
        cell.not_worse += verdict in (Verdict.NOT_WORSE, Verdict.BETTER)
        cell.found_worse += verdict is Verdict.WORSE


_STEPS: dict[tuple[str, str], float] = {}


def step_in_metrics(case: Case, metrics: tuple[str, ...], truth_rows: int = TRUTH_ROWS) -> dict[str, float]:
    """By how much the worse run is worse in each metric; as `compare` takes a margin."""
    absent = [key for key in metrics if (case.name, key) not in _STEPS]
    if absent:
        first, second = (Outcome(one) for one in case.draw(np.random.default_rng(0), truth_rows, 1.0))
        for key in absent:
            before, after = (measure(METRICS[key], one).value for one in (first, second))
            step = abs(after - before)
            _STEPS[case.name, key] = step / before if METRICS[key].margin_is_share else step
    return {key: _STEPS[case.name, key] for key in metrics}


def outside(wrong: int, n: int, nominal: float) -> str:
    """ "above" or "below" where a count of wrong answers lies outside the binomial band of its nominal share."""
    low, high = stats.binom.interval(BAND, n, nominal)
    return "above" if wrong > high else "below" if wrong < low else ""


def main(
    share: float,
    metrics: tuple[str, ...],
    rows: tuple[int, ...] = tuple(SIZES),
    cases: tuple[Case, ...] = CASES,
    most_resampled: int = MOST_RESAMPLED,
) -> None:
    """Print the tables, then every cell outside its band."""
    began = time.process_time()
    print(  # noqa: T201
        "| Data | Rows | Metric | Samples | Method: size, power | False better | False worse | False not worse "
        "| Worse found |\n|---|---|---|---|---|---|---|---|---|",
        flush=True,
    )
    named: dict[str, list[str]] = {"above": [], "below": []}
    for case in cases:
        wanted = tuple(key for key in case.metrics if not metrics or key in metrics)
        for n, repetitions in ((n, SIZES[n]) for n in rows):
            drawn = {} if n <= most_resampled else {"n_resamples": 0, "n_permutations": 0}
            for key, cell in simulate(case, n, max(20, round(repetitions * share)), metrics=wanted, **drawn).items():
                if not cell.n_equal or not cell.n_worse:
                    continue
                where = f"{case.name}, {n:,} rows, {METRICS[key].title}"
                methods = []
                for method, answers in cell.size.items():
                    if method == "same" or len(answers) < cell.n_equal / 2:
                        continue
                    said = outside(sum(answers), len(answers), 0.05)
                    if said:
                        named[said].append(f"{where}: {method} {np.mean(answers):.1%} of {len(answers)}")
                    methods.append(f"{method} {np.mean(answers):.1%}, {np.mean(cell.power[method] or [0]):.0%}")
                shares = []
                for what, wrong, of in (
                    ("false better", cell.better, cell.n_equal),
                    ("false worse", cell.worse, cell.n_equal),
                    ("false not worse", cell.not_worse, cell.n_worse),
                ):
                    said = outside(wrong, of, 0.025)
                    if said:
                        named[said].append(f"{where}: {what} {wrong / of:.1%} of {of}")
                    shares.append(f"{wrong / of:.1%}")
                print(  # noqa: T201
                    f"| {case.name} | {n:,} | {METRICS[key].title} | {cell.n_equal} | {'; '.join(methods)} | "
                    f"{' | '.join(shares)} | {cell.found_worse / cell.n_worse:.0%} |",
                    flush=True,
                )
    steps = [f"- {name}: {METRICS[key].title} {value:.4f}" for (name, key), value in _STEPS.items()]
    parts = ["", "## What the step is worth", "\n".join(steps)]
    for said, title in (("above", "## Above the band: wrong too often"), ("below", "## Below the band: too careful")):
        parts += [title, "\n".join(f"- {one}" for one in named[said]) or "None."]
    print("\n\n".join(parts))  # noqa: T201
    print(f"\n{time.process_time() - began:.0f} s of processor time.")  # noqa: T201


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.verdict_honesty")
    parser.add_argument("--share", type=float, default=1.0, help="of the repetitions")
    parser.add_argument("--metrics", default="", help="only these, separated by commas")
    parser.add_argument("--rows", type=int, nargs="*", choices=SIZES, default=list(SIZES), help="only these")
    parser.add_argument("--case", default="", help="only cases whose name contains these words")
    parser.add_argument("--deciding", action="store_true", help="without the bootstrap and the permutation")
    given = parser.parse_args()
    main(
        given.share,
        tuple(filter(None, given.metrics.split(","))),
        tuple(given.rows),
        tuple(case for case in CASES if given.case in case.name),
        0 if given.deciding else MOST_RESAMPLED,
    )
