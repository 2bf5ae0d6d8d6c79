"""Which columns of which windows Evidently and NannyML call drifted. Run by their own interpreter, from `drift_power`.

    python power_peers.py evidently|nannyml DIRECTORY ROWS CATEGORICAL,COLUMNS

For each ``<number>-reference.parquet`` and ``<number>-current.parquet``, whose current rows are windows of so many rows
one after the other, prints one line of JSON: by column, whether each window was called. Everything is left at its
default. Knows nothing of this project, whose packages are not installed there.
"""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path

import pandas as pd


def evidently(reference: pd.DataFrame, current: pd.DataFrame, n_rows: int, names: list[str]) -> dict[str, list[bool]]:
    """The test and threshold that its drift preset takes for each column, called by themselves: the same verdict."""
    from evidently.legacy.calculations.stattests import get_stattest
    from evidently.legacy.core import ColumnType

    found: dict[str, list[bool]] = {}
    for name in reference.columns:
        kind = ColumnType.Categorical if name in names else ColumnType.Numerical
        before = reference[name].dropna()
        found[name] = []
        for begin in range(0, len(current), n_rows):
            now = current[name].iloc[begin : begin + n_rows].dropna()
            test = get_stattest(before, now, kind, None)
            found[name].append(bool(test(before, now, kind, None).drifted))
    return found


def nannyml(reference: pd.DataFrame, current: pd.DataFrame, n_rows: int, names: list[str]) -> dict[str, list[bool]]:
    """The univariate drift calculator, windows as chunks; thresholds from as large chunks of the reference."""
    from nannyml import UnivariateDriftCalculator

    calculator = UnivariateDriftCalculator(
        column_names=list(reference.columns), treat_as_categorical=names, chunk_size=n_rows
    )
    calculator.fit(reference)
    frame = calculator.calculate(current).filter(period="analysis").to_df()
    return {name: frame[(name, "jensen_shannon", "alert")].astype(bool).tolist() for name in reference.columns}


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    peer, directory, rows, categorical = sys.argv[1:]
    judge = {"evidently": evidently, "nannyml": nannyml}[peer]
    for file in sorted(Path(directory).glob("*-reference.parquet")):
        frames = [pd.read_parquet(one) for one in (file, file.with_name(file.name.replace("reference", "current")))]
        print(json.dumps(judge(*frames, int(rows), [name for name in categorical.split(",") if name])))  # noqa: T201
