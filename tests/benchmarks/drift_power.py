"""How often a shift is found, and how often nothing is called something, beside Evidently and NannyML. Run by hand.

    python -m tests.benchmarks.drift_power [--references 20] [--peers INTERPRETER]

Prints the second part of docs/false-alerts.md. ``--peers`` is a Python interpreter that has both (or set the variable
GATEHOUSE_PEERS to it); without one their lines are missing, which is said. All judge the same rows: a table of ten
columns is watched day by day; beside it stand copies of a column that shifted. References are drawn anew each time.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from core.drift.calibrating import WINDOWS_A_MONTH, Column, Key, Promise, Thresholds, calibrate, window_level
from core.drift.measuring import measure, streams_of
from core.statistics.sketches import (
    CategorySketch,
    NumericSketch,
    fit_scale,
    fit_vocabulary,
    sketch_categories,
    sketch_numbers,
)

N_WINDOWS = 10
SIZES = ((1_000, 200), (5_000, 200), (5_000, 1_000))
PROMISED = (0.1, 1.0)
NAMES = ("plan", "region")
Rng = np.random.Generator
Values = np.ndarray


def _kinds(rng: Rng, n: int) -> Values:
    return rng.choice(np.array(list("abcd"), dtype=object), n, p=[0.48, 0.24, 0.16, 0.12])


def _missing(rng: Rng, n: int, share: float) -> Values:
    values = rng.normal(size=n)
    values[rng.random(n) < share] = np.nan
    return values


def _with_new(rng: Rng, n: int, share: float) -> Values:
    values = _kinds(rng, n)
    values[rng.random(n) < share] = "new"
    return values


QUIET: dict[str, Callable[[Rng, int], Values]] = {
    **{f"number {place}": lambda rng, n: rng.normal(size=n) for place in range(4)},
    "amount 0": lambda rng, n: rng.lognormal(size=n),
    "amount 1": lambda rng, n: rng.lognormal(size=n),
    "count": lambda rng, n: rng.poisson(3, size=n).astype(float),
    "gaps": lambda rng, n: _missing(rng, n, 0.02),
    "plan": _kinds,
    "region": _kinds,
}
SHIFTED: dict[str, tuple[str, Callable[[Rng, int], Values]]] = {
    "mean + 0.1 sd": ("number 0", lambda rng, n: rng.normal(0.1, size=n)),
    "mean + 0.2 sd": ("number 0", lambda rng, n: rng.normal(0.2, size=n)),
    "mean + 0.5 sd": ("number 0", lambda rng, n: rng.normal(0.5, size=n)),
    "spread × 1.5": ("number 0", lambda rng, n: rng.normal(0, 1.5, size=n)),
    "new category 1 %": ("plan", lambda rng, n: _with_new(rng, n, 0.01)),
    "new category 5 %": ("plan", lambda rng, n: _with_new(rng, n, 0.05)),
    "missing + 2 %": ("gaps", lambda rng, n: _missing(rng, n, 0.04)),
}


def frames(n_reference: int, n_rows: int, rng: Rng) -> tuple[pd.DataFrame, pd.DataFrame]:
    """A reference, and ten windows one after the other; shifted columns have the reference of the column they copy."""
    reference = {name: draw(rng, n_reference) for name, draw in QUIET.items()}
    current = {name: draw(rng, n_rows * N_WINDOWS) for name, draw in QUIET.items()}
    for name, (of, draw) in SHIFTED.items():
        reference[name], current[name] = reference[of], draw(rng, n_rows * N_WINDOWS)
    return pd.DataFrame(reference), pd.DataFrame(current)


def ours(
    reference: pd.DataFrame, current: pd.DataFrame, n_rows: int, promised: float, rng: Rng
) -> dict[str, list[bool]]:
    """By column, whether each window exceeds its calibrated thresholds."""
    columns: dict[Key, Column] = {}
    for name in QUIET:
        kind = "category" if name in NAMES else "number"
        sketch = _sketch(reference[name].to_numpy(), None)
        columns[False, name] = Column(sketch, kind, streams_of(kind, sketch.n_present))
    level = window_level(Promise(promised, WINDOWS_A_MONTH["day"]))
    thresholds = calibrate(columns, sizes=[n_rows], level=level, rng=rng)
    found: dict[str, list[bool]] = {}
    for name in reference.columns:
        key = (False, SHIFTED[name][0] if name in SHIFTED else name)
        found[name] = [
            _exceeds(columns[key], key, thresholds, current[name].iloc[begin : begin + n_rows].to_numpy())
            for begin in range(0, len(current), n_rows)
        ]
    return found


def _sketch(values: Values, like: NumericSketch | CategorySketch | None) -> NumericSketch | CategorySketch:
    if values.dtype == object:
        counts = pd.Series(values).value_counts().to_dict()
        return sketch_categories(
            values, like.vocabulary if isinstance(like, CategorySketch) else fit_vocabulary(counts)
        )
    return sketch_numbers(values, like.scale if isinstance(like, NumericSketch) else fit_scale(values))


def _exceeds(column: Column, key: Key, thresholds: Thresholds, values: Values) -> bool:
    outcomes = measure(column.sketch, _sketch(values, column.sketch), column.kind).outcomes
    return any(
        one.effect is not None and one.effect > thresholds.at(len(values)).of(key, one.test, one.n_current)
        for one in outcomes
        if one.test in column.streams
    )


def peers(interpreter: str, peer: str, directory: Path, n_rows: int) -> list[dict[str, list[bool]]]:
    """What one of them calls drifted."""
    names = ",".join((*NAMES, *(name for name, (of, _) in SHIFTED.items() if of in NAMES)))
    script = Path(__file__).with_name("power_peers.py")
    done = subprocess.run(
        [interpreter, str(script), peer, str(directory), str(n_rows), names],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.stderr.write(f"{peer} failed: {done.stderr[-2_000:]}\n")
        return []
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def line(who: str, n_reference: int, n_rows: int, found: list[dict[str, list[bool]]]) -> str:
    """One line of the table: false alerts a month, and in how many of the windows each shifted column was called."""
    quiet = np.array([np.any([one[name] for name in QUIET], axis=0) for one in found])
    shares = [f"{np.mean([one[name] for one in found]):.0%}" for name in SHIFTED]
    return (
        f"| {who} | {n_reference:,} | {n_rows:,} | {quiet.mean() * WINDOWS_A_MONTH['day']:.1f} | "
        + " | ".join(shares)
        + " |"
    )


def main() -> None:
    """Draw the streams, have all judge them, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.drift_power")
    parser.add_argument("--references", type=int, default=20, help="references to draw, with ten windows each")
    parser.add_argument("--peers", default=os.environ.get("GATEHOUSE_PEERS"), help="an interpreter that has both peers")
    given = parser.parse_args()
    if not given.peers:
        sys.stderr.write("The peers are absent: give their interpreter with --peers or GATEHOUSE_PEERS.\n")
    print("| who | reference rows | window | false alerts a month | " + " | ".join(SHIFTED) + " |")  # noqa: T201
    print("|---" * (4 + len(SHIFTED)) + "|")  # noqa: T201
    for place, (n_reference, n_rows) in enumerate(SIZES):
        rng = np.random.default_rng([5, place])
        with tempfile.TemporaryDirectory() as directory:
            drawn = [frames(n_reference, n_rows, rng) for _ in range(given.references)]
            for number, pair in enumerate(drawn):
                for name, frame in zip(("reference", "current"), pair, strict=True):
                    frame.to_parquet(Path(directory) / f"{number:04}-{name}.parquet")
            for promised in PROMISED:
                found = [ours(*pair, n_rows, promised, rng) for pair in drawn]
                print(line(f"Gatehouse, {promised:g} promised", n_reference, n_rows, found), flush=True)  # noqa: T201
            for peer in ("evidently", "nannyml") if given.peers else ():
                if called := peers(given.peers, peer, Path(directory), n_rows):
                    print(line(peer, n_reference, n_rows, called), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
