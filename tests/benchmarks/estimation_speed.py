"""Performance without labels, in CPU, beside NannyML on the same rows in the same run.

python -m tests.benchmarks.estimation_speed [--peer PYTHON] [--rows 100000] [--rounds 3]

``--peer`` is a Python interpreter that has NannyML (or set the variable GATEHOUSE_PEERS to it); without one the peer's
lines are left out, and that is said. Prints a table; nothing here fails on time.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.estimation.estimating import estimate_scores, fit_scores
from core.estimation.loss_estimating import estimate_losses, fit_losses
from tests.benchmarks.figures import Figure, cpu_ms, sampled, table

TARGET_MS = 60.0
METRICS = ("roc_auc", "accuracy", "precision", "recall", "f1")

PEER = """
import json, os, sys, time, warnings
os.environ["NML_DISABLE_USAGE_LOGGING"] = "1"
warnings.filterwarnings("ignore")
import numpy as np, pandas as pd, nannyml
rows = dict(np.load(sys.argv[1]))
def cpu():
    return time.process_time()
def frame(part, names):
    return pd.DataFrame({name: rows[part + "_" + name] for name in names})
metrics = sys.argv[4].split(",")
size = 10_000_000
out = {}
for _ in range(int(sys.argv[2])):
    cbpe = nannyml.CBPE(y_pred_proba="score", y_pred="predicted", y_true="truth", metrics=metrics,
                        problem_type="classification_binary", chunk_size=size)
    began = cpu(); cbpe.fit(frame("reference", ["score", "predicted", "truth"])); fitted = cpu()
    found = cbpe.estimate(frame("current", ["score", "predicted"])).filter(period="analysis").to_df(); ended = cpu()
    out.setdefault("cbpe_fit", []).append(fitted - began); out.setdefault("cbpe", []).append(ended - fitted)
    out["values"] = {key: float(found[(key, "value")].iloc[0]) for key in metrics}
    dle = nannyml.DLE(feature_column_names=["x", "z"], y_pred="said", y_true="paid", metrics=["rmse", "mae"],
                      chunk_size=size)
    began = cpu(); dle.fit(frame("reference", ["x", "z", "said", "paid"])); fitted = cpu()
    found = dle.estimate(frame("current", ["x", "z", "said"])).filter(period="analysis").to_df(); ended = cpu()
    out.setdefault("dle_fit", []).append(fitted - began); out.setdefault("dle", []).append(ended - fitted)
    out["values"] |= {key: float(found[(key, "value")].iloc[0]) for key in ("rmse", "mae")}
with open(sys.argv[3], "w") as file:
    json.dump(out, file)
"""


def made(n: int, seed: int, shift: float) -> dict[str, NDArray[Any]]:
    """Rows of a classifier whose scores are too sure, and of a regression that errs more far from 0."""
    rng = np.random.default_rng(seed)
    logit = rng.normal(shift, 1.5, n)
    score = 1 / (1 + np.exp(-1.8 * logit - 0.3))
    x, z = rng.normal(shift / 2, 1, n), rng.random(n)
    return {
        "score": score,
        "predicted": (score >= 0.5).astype(np.int64),
        "truth": (rng.random(n) < 1 / (1 + np.exp(-logit))).astype(np.int64),
        "x": x,
        "z": z,
        "said": 3 * x + 1,
        "paid": 3 * x + 2 * z + rng.normal(0, 1, n) * (0.5 + np.abs(x)),
    }


def figures(rows: int, rounds: int, peer: str | None) -> list[Figure]:
    """Both estimates, fitted on as many rows as are estimated, here and by the peer."""
    reference, current = made(rows, 1, 0.0), made(rows, 2, 0.5)
    both = [np.column_stack([1 - part["score"], part["score"]]) for part in (reference, current)]
    inputs = [np.column_stack([part["x"], part["z"]]) for part in (reference, current)]
    plain = np.zeros(2, dtype=bool)
    found: dict[str, Any] = {}

    def rng() -> np.random.Generator:
        return np.random.default_rng(0)

    def fit_both() -> None:
        found["losses"] = fit_losses(inputs[0], plain, reference["said"], reference["paid"], rng=rng())

    def estimate_both() -> None:
        for one in estimate_losses(found["losses"], inputs[1], current["said"], rng=rng()):
            found[one.key] = one.value

    def fit() -> None:
        found["scores"] = fit_scores(both[0], reference["truth"], rng=rng())

    def estimate() -> None:
        for one in estimate_scores(found["scores"], both[1], current["predicted"], rng=rng()):
            found[one.key] = one.value

    fit()  # imports
    lines = [
        Figure(f"CBPE: {rows:,} rows learnt from", sampled(lambda: cpu_ms(fit), rounds), "ms"),
        Figure(
            f"CBPE: {rows:,} rows estimated, band and all", sampled(lambda: cpu_ms(estimate), rounds), "ms", TARGET_MS
        ),
        Figure(f"DLE: 10,000 of {rows:,} rows learnt from", sampled(lambda: cpu_ms(fit_both), rounds), "ms"),
        Figure(f"DLE: {rows:,} rows estimated, band and all", sampled(lambda: cpu_ms(estimate_both), rounds), "ms"),
    ]
    if peer is None:
        sys.stderr.write("NannyML is absent: give its interpreter with --peer or GATEHOUSE_PEERS.\n")
        return lines
    theirs = _peer(peer, reference, current, rounds)
    for key, what in (
        ("cbpe_fit", "CBPE learning"),
        ("cbpe", "CBPE estimating"),
        ("dle_fit", "DLE learning"),
        ("dle", "DLE estimating"),
    ):
        lines.append(Figure(f"NannyML: {what}", tuple(1_000 * one for one in theirs[key]), "ms"))
    for ours, other in zip(lines[:4], lines[4:], strict=True):
        lines.append(Figure(f"{other.what}, times ours", (other.median / ours.median,), "×"))
    for key, value in theirs["values"].items():
        lines.append(Figure(f"{key}: distance from NannyML's", (abs(found[key] - value),), "", None))
    return lines


def _peer(
    interpreter: str, reference: dict[str, NDArray[Any]], current: dict[str, NDArray[Any]], rounds: int
) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = {
            f"{part}_{key}": values
            for part, some in (("reference", reference), ("current", current))
            for key, values in some.items()
        }
        np.savez(folder / "rows.npz", allow_pickle=False, **rows)
        command = [
            interpreter,
            "-c",
            PEER,
            str(folder / "rows.npz"),
            str(rounds),
            str(folder / "out.json"),
            ",".join(METRICS),
        ]
        subprocess.run(command, check=True, capture_output=True)
        return dict(json.loads((folder / "out.json").read_text()))


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.estimation_speed")
    parser.add_argument("--peer", default=os.environ.get("GATEHOUSE_PEERS"), help="a Python interpreter with NannyML")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    print(table(figures(given.rows, given.rounds, given.peer)))  # noqa: T201


if __name__ == "__main__":
    main()
