"""A census-like CSV of 32,561 rows and 15 columns, from upload to its profile on screen.

    python -m tests.benchmarks.ingest [FILE]

FILE is a CSV to take instead, such as the census income data itself.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from playwright.sync_api import BrowserContext

from core.datasets.ingest import inspect, read_exactly
from core.datasets.profiling import profile
from core.settings import Settings
from core.workspace import opened
from tests.benchmarks.figures import Figure, cpu_ms, table
from tests.benchmarks.homes import settled_home
from tests.benchmarks.scripts import serving, token_of
from tests.benchmarks.visiting import PATIENCE_MS, browsing, running, settle, signed_in

N_ROWS = 32_561


def census(seed: int = 0) -> pd.DataFrame:
    """Rows like those of a census: six whole numbers, eight categories of 2 to 42 values, an income class."""
    rng = np.random.default_rng(seed)
    age = np.clip(rng.gamma(7, 5.5, N_ROWS), 17, 90).astype(int)
    education = rng.integers(1, 17, N_ROWS)
    gain = np.where(rng.random(N_ROWS) < 0.08, rng.integers(100, 99_999, N_ROWS), 0)
    rich = rng.random(N_ROWS) < 1 / (1 + np.exp(5.2 - 0.3 * education - 0.02 * age - gain / 9_000))

    def words(stem: str, count: int) -> list[str]:
        return [f"{stem}-{one}" for one in rng.zipf(1.6, N_ROWS) % count]

    return pd.DataFrame(
        {
            "age": age,
            "workclass": words("Work", 9),
            "weight": rng.integers(12_000, 1_484_000, N_ROWS),
            "education": [f"Grade-{one}" for one in education],
            "education_years": education,
            "marital_status": words("Status", 7),
            "occupation": words("Occupation", 15),
            "relationship": words("Relation", 6),
            "ethnicity": words("Group", 5),
            "sex": np.where(rng.random(N_ROWS) < 0.67, "Male", "Female"),
            "capital_gain": gain,
            "capital_loss": np.where(rng.random(N_ROWS) < 0.05, rng.integers(150, 4_300, N_ROWS), 0),
            "hours_per_week": np.clip(rng.normal(40, 12, N_ROWS), 1, 99).astype(int),
            "country": words("Country", 42),
            "income": np.where(rich, ">50K", "<=50K"),
        }
    )


def on_screen_s(context: BrowserContext, base: str, file: Path) -> tuple[float, float]:
    """Seconds from giving the file to the question what it is, and from the answer to the profile on screen."""
    page = context.new_page()
    page.goto(f"{base}/intake")
    settle(page, "/intake")
    began = time.perf_counter()
    page.locator("input[type=file]").set_input_files(file)
    button = page.locator(".st-key-intake_confirm button:enabled")
    button.wait_for(timeout=PATIENCE_MS)
    asked = time.perf_counter() - began
    settle(page, "/intake")
    began = time.perf_counter()
    button.click()
    settle(page, "/dataset")
    shown = time.perf_counter() - began
    page.close()
    return asked, shown


def figures(file: Path | None = None, rounds: int = 3) -> list[Figure]:
    """Add a file to fresh homes, each time after another of its size with other columns; then read and profile here."""
    with tempfile.TemporaryDirectory() as folder:
        seeded, first_file, second_file = (Path(folder) / name for name in ("home", "first.csv", "second.csv"))
        rows = census()
        rows.add_prefix("first_").to_csv(first_file, index=False)
        second_file.write_bytes(file.read_bytes() if file else rows.to_csv(index=False).encode())
        with opened(Settings(home=seeded)) as workspace:
            settled_home(workspace, months=1)
        with serving(seeded, demo=False):
            token = token_of("data-scientist")
        first, later = [], []
        for one in range(rounds):
            home = shutil.copytree(seeded, Path(folder) / f"home-{one}")
            with running(home) as gatehouse, browsing() as context:
                signed_in(context, gatehouse.url, token)
                first.append(on_screen_s(context, gatehouse.url, first_file))
                later.append(on_screen_s(context, gatehouse.url, second_file))
        options = inspect(second_file, file_name=second_file.name).options
        table_read = read_exactly(second_file, options)
        kinds = [(column.name, column.kind) for column in options.included]
        steps = {
            "inspect": lambda: inspect(second_file, file_name=second_file.name),
            "read": lambda: read_exactly(second_file, options),
            "profile": lambda: profile(table_read, kinds, n_evaluation_rows=0),
        }
        cpu = {name: tuple(cpu_ms(step) for _ in range(rounds)) for name, step in steps.items()}
    what = f"{file.name if file else 'census-like CSV'}, {table_read.num_rows:,} rows"
    return [
        Figure(f"{what}: upload to profile on screen", tuple(sum(one) for one in later), "s", 3.0),
        Figure(f"{what}: the same for the first file after starting", tuple(sum(one) for one in first), "s"),
        Figure(f"{what}: upload to the question what it is", tuple(one for one, _ in later), "s"),
        Figure(f"{what}: answer to profile on screen", tuple(one for _, one in later), "s"),
        *(Figure(f"{what}: CPU of {name}", samples, "ms") for name, samples in cpu.items()),
    ]


if __name__ == "__main__":
    print(table(figures(*(Path(argument) for argument in sys.argv[1:]))))  # noqa: T201
