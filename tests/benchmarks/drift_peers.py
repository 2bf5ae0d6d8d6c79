"""What Evidently and NannyML spend on one window of drift. Run by their own interpreter, from `drift_speed`.

    python drift_peers.py evidently|nannyml REFERENCE.parquet CURRENT.parquet CATEGORICAL,COLUMNS

Prints one line of JSON: seconds of processor time of all threads. A reference is read and fitted once, so that is
counted apart; a window's time begins with its file. Importing the package is not counted. Knows nothing of this
project, whose packages are not installed there.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from collections.abc import Callable

import pandas as pd
from pandas.core.dtypes import common


def evidently(reference_file: str, current_file: str, names: list[str]) -> dict[str, float]:
    """The data drift preset with its defaults: which test for which column is its own choice."""
    # Version 0.7.23 imports this private function, which pandas 3 no longer has, for tests that the preset never runs.
    if not hasattr(common, "infer_dtype_from_object"):
        common.infer_dtype_from_object = None
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    reference = pd.read_parquet(reference_file)
    numbers = [name for name in reference.columns if name not in names]
    definition = DataDefinition(numerical_columns=numbers, categorical_columns=names)
    then = Dataset.from_pandas(reference, data_definition=definition)

    def run() -> None:
        now = Dataset.from_pandas(pd.read_parquet(current_file), data_definition=definition)
        Report([DataDriftPreset()]).run(now, then).dict()

    # It keeps nothing of a reference but the frame, so a window costs it both samples.
    return {"reference": _cpu_s(lambda: pd.read_parquet(reference_file)), "window": _cpu_s(run)}


def nannyml(reference_file: str, current_file: str, names: list[str]) -> dict[str, float]:
    """The univariate drift calculator on the window as one chunk: as it comes, and with all of its tests by columns."""
    from nannyml import UnivariateDriftCalculator

    columns = list(pd.read_parquet(reference_file).columns)
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
            column_names=columns, treat_as_categorical=names, chunk_number=1, **tests
        )
        for part, do, file in (
            ("reference", calculator.fit, reference_file),
            ("window", calculator.calculate, current_file),
        ):
            found[f"{called} {part}"] = _cpu_s(lambda do=do, file=file: do(pd.read_parquet(file)))
    return found


def _cpu_s(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    peer, reference_file, current_file, categorical = sys.argv[1:]
    found = {"evidently": evidently, "nannyml": nannyml}[peer](
        reference_file, current_file, [name for name in categorical.split(",") if name]
    )
    print(json.dumps(found))  # noqa: T201
