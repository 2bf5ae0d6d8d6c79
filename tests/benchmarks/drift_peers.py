"""What Evidently and NannyML spend on one window of drift. Run by their own interpreter, from `drift_speed`.

    python drift_peers.py evidently|nannyml REFERENCE.parquet CURRENT.parquet CATEGORICAL,COLUMNS

Prints one line of JSON: seconds of processor time of all threads. Importing the package and reading the files is not
counted. Knows nothing of this project, whose packages are not installed there.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from collections.abc import Callable

import pandas as pd
from pandas.core.dtypes import common


def evidently(reference: pd.DataFrame, current: pd.DataFrame, names: list[str]) -> dict[str, float]:
    """The data drift preset with its defaults: which test for which column is its own choice."""
    # Version 0.7.23 imports this private function, which pandas 3 no longer has, for tests that the preset never runs.
    if not hasattr(common, "infer_dtype_from_object"):
        common.infer_dtype_from_object = None
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    numbers = [name for name in reference.columns if name not in names]
    definition = DataDefinition(numerical_columns=numbers, categorical_columns=names)

    def run() -> None:
        datasets = [Dataset.from_pandas(one, data_definition=definition) for one in (current, reference)]
        Report([DataDriftPreset()]).run(*datasets).dict()

    return {"both": _cpu_s(run)}


def nannyml(reference: pd.DataFrame, current: pd.DataFrame, names: list[str]) -> dict[str, float]:
    """The univariate drift calculator on the window as one chunk: as it comes, and with all of its tests by columns."""
    from nannyml import UnivariateDriftCalculator

    found = {}
    for called, tests in (
        ("default", {}),
        (
            "all",
            {
                "continuous_methods": ["kolmogorov_smirnov", "jensen_shannon", "wasserstein", "hellinger"],
                "categorical_methods": ["chi2", "jensen_shannon", "l_infinity", "hellinger"],
            },
        ),
    ):
        calculator = UnivariateDriftCalculator(
            column_names=list(reference.columns), treat_as_categorical=names, chunk_number=1, **tests
        )
        found[f"{called} reference"] = _cpu_s(lambda calculator=calculator: calculator.fit(reference))
        found[f"{called} window"] = _cpu_s(lambda calculator=calculator: calculator.calculate(current))
    return found


def _cpu_s(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    peer, reference_file, current_file, categorical = sys.argv[1:]
    frames = [pd.read_parquet(file) for file in (reference_file, current_file)]
    found = {"evidently": evidently, "nannyml": nannyml}[peer](
        *frames, [name for name in categorical.split(",") if name]
    )
    print(json.dumps(found))  # noqa: T201
