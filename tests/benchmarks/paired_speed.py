"""What paired comparisons cost in processor time, and how that stands against scikit-learn with scipy. Run by hand.

    python -m tests.benchmarks.paired_speed [--rows 100000]

Set OPENBLAS_NUM_THREADS=1 to measure one thread. The peer is scipy.stats.bootstrap(paired=True) on scikit-learn's
metric; it draws few resamples and its cost is scaled up to 2,000, less what it takes without any. Nothing here fails
on time.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from sklearn.metrics import accuracy_score, average_precision_score, f1_score, roc_auc_score

from core.evaluation.measures import roc_auc
from core.evaluation.metrics import METRICS
from core.evaluation.outcomes import Outcome
from core.evaluation.paired_metrics import paired_effect
from core.evaluation.paired_tests import bootstrap_differences, permute
from core.evaluation.predictions import Predictions
from core.evaluation.tables import Task
from tests.benchmarks.figures import cpu_ms

WORDS = np.array(["no", "yes"], dtype=object)
N_RESAMPLES, PEER_RESAMPLES, DELONG_ROWS = 2_000, 12, 1_000_000
TARGETS = {"roc_auc": 5.0, "accuracy": 0.2, "f1": 0.2}


def pair(n: int) -> tuple[Outcome, Outcome]:
    """Two models of 30 % positives that differ in noise."""
    rng = np.random.default_rng(1)
    positive = rng.random(n) < 0.3
    signal = rng.normal(size=n) + 1.5 * positive
    made = []
    for noise in (0.5, 0.6):
        score = 1 / (1 + np.exp(-(signal + noise * rng.normal(size=n) - 1)))
        labels = WORDS[(score > 0.5).astype(int)]
        truth = WORDS[positive.astype(int)]
        scores = np.c_[1 - score, score]
        made.append(Outcome(Predictions(Task.BINARY, np.arange(n), truth, labels, scores, ("no", "yes"))))
    return made[0], made[1]


PEERS: dict[str, Callable[..., float]] = {
    "roc_auc": roc_auc_score,
    "average_precision": average_precision_score,
    "accuracy": accuracy_score,
    "f1": f1_score,
}


def peer_seconds(metric: Callable[..., float], columns: tuple[NDArray[np.float64], ...]) -> float:
    """Processor time of the peer for 2,000 resamples, from two smaller numbers of them."""

    def run(n_resamples: int) -> float:
        return cpu_ms(
            lambda: stats.bootstrap(
                columns,
                lambda y, a, b: metric(y, b) - metric(y, a),
                paired=True,
                vectorized=False,
                n_resamples=n_resamples,
                method="percentile",
                rng=np.random.default_rng(0),
            )
        )

    return (run(PEER_RESAMPLES) - run(2)) / (PEER_RESAMPLES - 2) * N_RESAMPLES / 1000


def main(n: int) -> None:
    """Print the table."""
    first, second = pair(n)
    for outcome in (first, second):
        outcome.y_true, outcome.y_pred, outcome.ranking  # noqa: B018 - read by every comparison, worked out once
    print("| Figure | Processor time | Target | Peer, scaled | Ratio |\n|---|---|---|---|---|")  # noqa: T201
    for key, metric in PEERS.items():
        entry = METRICS[key]
        ours = (
            cpu_ms(
                lambda entry=entry: bootstrap_differences(  # type: ignore[misc]
                    entry, first, second, n_resamples=N_RESAMPLES, rng=np.random.default_rng(0)
                )
            )
            / 1000
        )
        scored = entry.needs == "scores"
        columns = first.y_true, *(one.score if scored else one.y_pred for one in (first, second))
        theirs = peer_seconds(metric, columns)
        target = f"< {TARGETS[key]:g} s" if key in TARGETS else ""
        print(  # noqa: T201
            f"| {entry.title}, {N_RESAMPLES:,} resamples, {n:,} rows | {ours:.3f} s | {target} | {theirs:.0f} s | "
            f"{theirs / ours:,.0f}x |"
        )
    swaps = cpu_ms(lambda: permute(METRICS["roc_auc"], first, second, 0.001, rng=np.random.default_rng(0))) / 1000
    print(f"| ROC AUC, 999 swaps, {n:,} rows | {swaps:.3f} s | | | |")  # noqa: T201
    large = pair(DELONG_ROWS)

    def delong() -> None:
        measured = roc_auc(large[0]), roc_auc(large[1])
        paired_effect(METRICS["roc_auc"], *large, measured, rng=np.random.default_rng(0))

    print(f"| Paired DeLong, {DELONG_ROWS:,} rows | {cpu_ms(delong) / 1000:.3f} s | < 2 s | | |")  # noqa: T201


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.paired_speed")
    parser.add_argument("--rows", type=int, default=100_000)
    main(parser.parse_args().rows)
