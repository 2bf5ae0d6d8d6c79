"""How many weeks of bike rentals alert, with and without looking at how rows hang together. Run by hand.

    python -m tests.benchmarks.bike_weeks BIKE_HOUR.csv

Prints a part of docs/false-alerts.md. The file is the UCI bike sharing data by the hour (Fanaee-T and Gama 2014,
doi:10.1007/s13748-013-0040-3): 2011 is the reference, weeks of 2012 are windows; and weeks of 2011 against the rest of
2011. One false alert a month is promised over ten columns.
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.drift.calibrating import WINDOWS_A_MONTH, Column, Key, Promise, Thresholds, calibrate, window_level
from core.drift.dependence import Blocks
from core.drift.measuring import measure, streams_of
from core.statistics.sketches import fit_scale, fit_vocabulary, sketch_categories, sketch_numbers

NUMBERS = ("hr", "temp", "atemp", "hum", "windspeed", "cnt")
NAMES = ("holiday", "workingday", "weekday", "weathersit")
FULL_WEEK = 100


def _values(held: pd.Series[Any]) -> NDArray[Any]:
    if held.name in NAMES:
        return np.array([None if pd.isna(value) else f"{value:.0f}" for value in held], dtype=object)
    return held.to_numpy(dtype=np.float64)


def column(values: NDArray[Any], blocks: Blocks | None) -> Column:
    """A reference's column."""
    if values.dtype == object:
        sketch: Any = sketch_categories(values, fit_vocabulary(Counter(values.tolist())))
        kind = "category"
    else:
        sketch, kind = sketch_numbers(values, fit_scale(values)), "number"
    return Column(sketch, kind, streams_of(kind, sketch.n_present), blocks)


def calibrated(
    rows: pd.DataFrame, inside: NDArray[np.bool_], season: NDArray[np.intp], *, looks: bool
) -> tuple[dict[Key, Column], Thresholds]:
    """The columns of the reference rows inside, and their thresholds for a week; blocks are the weeks of all rows."""
    weeks, block = np.unique(rows["week"], return_inverse=True)
    season_of = np.array([np.median(season[block == place]) for place in range(len(weeks))]).astype(np.intp)
    columns = {}
    for name in (*NUMBERS, *NAMES):
        values = _values(rows[name])
        blocks = Blocks(values, block.astype(np.intp), season, season_of) if looks else None
        columns[False, name] = column(values[inside], blocks)
    level = window_level(Promise(1.0, WINDOWS_A_MONTH["week"]))
    return columns, calibrate(columns, sizes=[168], level=level, rng=np.random.default_rng(7))


def alerts(columns: dict[Key, Column], thresholds: Thresholds, window: pd.DataFrame) -> list[str]:
    """Which columns alert in a week."""
    fired, here = [], thresholds.at(len(window))
    for key, one in columns.items():
        values, sketch = _values(window[key[1]]), one.sketch
        current = sketch_categories(values, sketch.vocabulary) if hasattr(sketch, "vocabulary") else None
        current = current or sketch_numbers(values, sketch.scale)  # type: ignore[union-attr]
        found = measure(sketch, current, one.kind).outcomes
        if any(
            test.effect is not None and test.effect > here.of(key, test.test, test.n_current)
            for test in found
            if test.test in one.streams
        ):
            fired.append(key[1])
    return fired


def main() -> None:
    """Judge the weeks and print them as a table."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.bike_weeks")
    parser.add_argument("data", type=Path, help="the bike sharing data by the hour")
    rows = pd.read_csv(parser.parse_args().data)
    day = pd.to_datetime(rows["dteday"], format="%m/%d/%y")
    rows["week"] = (day - pd.to_timedelta(day.dt.day_of_week, unit="D")).astype("datetime64[ns]")
    year, month = day.dt.year.to_numpy(), day.dt.month.to_numpy()
    reference, later = rows[year == 2011], rows[year == 2012]
    print("| weeks of 2012 that alert | | weeks of 2011 against the rest | | columns that alert most in 2012 |")  # noqa: T201
    for title, looks, seasonal in (
        ("all rows, independent", False, False),
        ("the same month, independent", False, True),
        ("all rows, as they hang together", True, False),
        ("the same month, as they hang together", True, True),
    ):
        season = (month[year == 2011] if seasonal else np.zeros(len(reference))).astype(np.intp)
        held: dict[int, Any] = {}
        counts = []
        by_column: Counter[str] = Counter()
        for part, leaves_out in ((later, False), (reference, True)):
            fired = []
            for _, window in part.groupby("week"):
                if len(window) < FULL_WEEK:
                    continue
                of = int(day[window.index].dt.month.median()) if seasonal else 0
                if of not in held:
                    held[of] = calibrated(reference, season == of, season, looks=looks)
                columns, thresholds = held[of]
                if leaves_out:
                    rest = reference[(season == of) & ~reference.index.isin(window.index)]
                    columns = {key: column(_values(rest[key[1]]), None) for key in columns}
                called = alerts(columns, thresholds, window)
                fired.append(bool(called))
                if not leaves_out:
                    by_column.update(called)
            counts.append(f"{sum(fired)} of {len(fired)} | {np.mean(fired) * WINDOWS_A_MONTH['week']:.1f} a month")
        most = ", ".join(f"{name} {n}" for name, n in by_column.most_common(4))
        print(f"| {title} | {' | '.join(counts)} | {most} |", flush=True)  # noqa: T201
        if looks:
            for (_, name), tests in held[0 if not seasonal else 6][1].dependence.items():
                one = next(iter(tests.values()))
                print(  # noqa: T201
                    f"    {name}: {one.n_blocks} weeks, design effect {one.design_effect:.1f} "
                    f"[{one.low:.1f}, {one.high:.1f}], {one.n_rows:.0f} rows as {one.independent_rows(one.n_rows):.1f}"
                )


if __name__ == "__main__":
    main()
