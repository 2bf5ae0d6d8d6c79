"""A table with a column of each kind, from which each task can be learnt."""

from datetime import date, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest


@pytest.fixture(scope="session")
def people() -> pa.Table:
    n_rows = 300
    rng = np.random.default_rng(0)
    age = rng.integers(18, 80, n_rows)
    pay = rng.normal(size=n_rows).round(4)
    strength = age / 20 + pay
    jobs = rng.choice(["cook", "nurse", "pilot"], n_rows)
    hours = [datetime(2026, 1, 1) + timedelta(hours=int(v)) for v in rng.integers(0, 900, n_rows)]  # noqa: DTZ001
    return pa.table(
        {
            "age": pa.array([None if i % 40 == 3 else int(v) for i, v in enumerate(age)], pa.int64()),
            "pay": pay,
            "member": [bool(v) for v in rng.integers(0, 2, n_rows)],
            "job": pa.array([None if i % 30 == 5 else str(v) for i, v in enumerate(jobs)], pa.string()),
            "born": [date(1950, 1, 1) + timedelta(days=int(v)) for v in rng.integers(0, 9000, n_rows)],
            "seen": pa.array(hours, pa.timestamp("us")),
            "binary": np.where(strength > 2.4, "yes", "no"),
            "multiclass": np.digitize(strength, [1.5, 3.0]),
            "regression": strength,
        }
    )
