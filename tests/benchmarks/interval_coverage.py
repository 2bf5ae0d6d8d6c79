"""How often the 95 % intervals hold the truth, and how often the paired verdicts are wrong. Run by hand.

    python tests/benchmarks/interval_coverage.py [repetitions]

Truth is what the metric is on two million rows of the same kind. Prints one line per case and metric; 95 % is aimed at.
"""

from __future__ import annotations

import sys

import numpy as np

from core.evaluation.comparing import compare
from core.evaluation.metrics import compute_metrics, metrics_for, omitted_metrics
from core.evaluation.predictions import Predictions
from core.evaluation.tables import Task

WORDS = np.array(["no", "yes"], dtype=object)
LETTERS = np.array(["a", "b", "c"], dtype=object)


def binary(rng: np.random.Generator, n: int, share: float, lift: float, noise: float = 0.0) -> tuple[Predictions, ...]:
    """Two runs of equal quality over the same rows; calibrated where ``noise`` is 0."""
    positive = rng.random(n) < share
    signal = rng.normal(size=n) + lift * positive
    runs = []
    for _ in range(2):
        seen = signal + noise * rng.normal(size=n)
        score = 1 / (1 + np.exp(-(lift * seen - lift * lift / 2 + np.log(share / (1 - share)))))
        labels = WORDS[(score > share).astype(int)]
        runs.append(
            Predictions(
                Task.BINARY, np.arange(n), WORDS[positive.astype(int)], labels, np.c_[1 - score, score], ("no", "yes")
            )
        )
    return tuple(runs)


def multiclass(rng: np.random.Generator, n: int, noise: float) -> tuple[Predictions, ...]:
    """Two runs of equal quality over three classes, one of them rare."""
    truth = rng.choice(3, size=n, p=[0.6, 0.3, 0.1])
    runs = []
    for _ in range(2):
        logit = 1.5 * np.eye(3)[truth] + (1 + noise) * rng.normal(size=(n, 3))
        scores = np.exp(logit) / np.exp(logit).sum(axis=1, keepdims=True)
        runs.append(
            Predictions(
                Task.MULTICLASS, np.arange(n), LETTERS[truth], LETTERS[scores.argmax(1)], scores, ("a", "b", "c")
            )
        )
    return tuple(runs)


def regression(rng: np.random.Generator, n: int, tail: float) -> tuple[Predictions, ...]:
    """Two runs of equal quality; errors of Student's t with ``tail`` degrees of freedom."""
    truth = 10 + rng.normal(size=n)
    return tuple(
        Predictions(Task.REGRESSION, np.arange(n), truth, truth + 0.5 * rng.standard_t(tail, size=n), None, ())
        for _ in range(2)
    )


def main(repetitions: int) -> None:
    """Print the table."""
    cases = {
        f"{kind} n={n}": (task, maker, n)
        for n in (100, 300, 1_000, 5_000)
        for kind, task, maker in (
            ("binary 30 %", Task.BINARY, lambda rng, n: binary(rng, n, 0.3, 1.5, 0.5)),
            ("binary 1 %", Task.BINARY, lambda rng, n: binary(rng, n, 0.01, 2.0, 0.5)),
            ("binary near 1", Task.BINARY, lambda rng, n: binary(rng, n, 0.3, 4.0, 0.5)),
            ("multiclass", Task.MULTICLASS, lambda rng, n: multiclass(rng, n, 0.3)),
            ("regression", Task.REGRESSION, lambda rng, n: regression(rng, n, 8.0)),
            ("regression heavy", Task.REGRESSION, lambda rng, n: regression(rng, n, 4.5)),
        )
    }
    truths: dict[str, dict[str, float]] = {}
    for name, (task, maker, n) in cases.items():
        rng = np.random.default_rng(1)
        kind = name.split(" n=")[0]
        if kind not in truths:
            whole = maker(np.random.default_rng(0), 2_000_000)[0]
            truths[kind] = {one.key: one.value for one in compute_metrics(whole, rng=rng)}
        held: dict[str, list[bool]] = {entry.key: [] for entry in metrics_for(task)}
        wrong: dict[str, list[bool]] = {entry.key: [] for entry in metrics_for(task)}
        for _ in range(repetitions):
            first, second = maker(rng, n)
            for one in compute_metrics(first, rng=rng):
                if one.low is not None and one.high is not None:
                    held[one.key].append(one.low <= truths[kind][one.key] <= one.high)
                    if one.key not in omitted_metrics(second):
                        found = compare(first, second, metric=one.key, margin=0.0, rng=rng)
                        wrong[one.key].append(found.low > 0 or found.high < 0)
        for key in held:
            if held[key]:
                alarms = f"paired false alarms {np.mean(wrong[key]):5.1%}"
                print(f"{name:26} {key:28} holds {np.mean(held[key]):6.1%}   {alarms}")  # noqa: T201


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000)
