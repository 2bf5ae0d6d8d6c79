"""Processor time of drift: counting a window, holding it against its reference, and two peers on the same rows.

A window of 50 columns (40 of numbers, of which 10 with missing values, and 10 of names) lies in a Parquet file. All
times are of the processor, all threads. The peers are Evidently's DataDriftPreset and NannyML's univariate drift
calculator, run in the same minutes by their own interpreter. The work is the same for all: a file with a new window is
read and held against a reference that is known. Ours is what a monitor does with it: every column counted, its sketch
stored, every test of the catalogue, those that decide with their p-values, and then and now on the same bins. NannyML
has fitted its reference before; Evidently fits none, its reference is a frame in memory. "From nothing" adds what the
reference costs each.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from core.drift.calibrating import WINDOWS_A_MONTH, Column, Promise, Thresholds, calibrate, window_level
from core.drift.drift_tests import DRIFT_TESTS
from core.drift.evidence import binned
from core.drift.measuring import measure, streams_of
from core.drift.sketching import Basis, fit_basis, sketch_table
from core.monitoring.monitor_settings import MonitorSettings
from core.monitoring.window_drift import measure_window
from core.statistics.sketches import CategorySketch, align, align_categories, from_bytes, merge, to_bytes
from tests.benchmarks.figures import Figure, cpu_ms, sampled

N_COLUMNS, PEER_ROWS = 50, 100_000
# By rows: seconds, and how much of the bare read in %. At 100,000 rows what a column costs at least weighs more.
WINDOWS = {100_000: (0.15, None), 1_000_000: (1.0, 160.0)}
FROM_STORED_S = 0.05
OF_EVIDENTLY, OF_NANNYML = 100 / 100, 100 / 30
N_BUCKETS = 4
SETTINGS = MonitorSettings("day", None, 100, 0.1, 0.1, 1, 1, "none", None, {}, ())
SCRIPT = Path(__file__).with_name("drift_peers.py")


@dataclass(frozen=True)
class Watched:
    """A reference, counted and stored: what a monitor has at hand when a window comes in."""

    kinds: Mapping[str, str]
    bases: Mapping[str, Basis]
    stored: Mapping[str, bytes]


def figures(rounds: int = 3, peers: str | None = None) -> list[Figure]:
    """Measure windows of both sizes, and the peers where their interpreter is given."""
    found: list[Figure] = []
    with tempfile.TemporaryDirectory() as folder:
        reference = table_of(PEER_ROWS, seed=1)
        watched = watch(reference)
        for n_rows, targets in WINDOWS.items():
            file = Path(folder) / f"{n_rows}.parquet"
            pq.write_table(table_of(n_rows, seed=2, shift=0.1), file, row_group_size=122_880)
            found += window_figures(file, f"{n_rows:,} rows", watched, targets, rounds)
        found += stored_figures(pq.read_table(Path(folder) / f"{PEER_ROWS}.parquet"), watched, rounds)
        found += peer_figures(reference, Path(folder), watched, rounds, peers)
    return found


def window_figures(
    file: Path, what: str, watched: Watched, targets: tuple[float, float | None], rounds: int
) -> list[Figure]:
    """Counting a window and holding it against the reference, and how that stands to reading its file.

    To reading columns of numbers alone: names are counted without being spelled out, which reading cannot do.
    """
    numbers = {name: basis for name, basis in watched.bases.items() if watched.kinds[name] == "number"}
    bare, counting, whole = [], [], []
    for _ in range(rounds):  # in turn, so that a busy moment is shared
        # In one thread: two that wait for each other on a busy machine spend more than the reading takes.
        bare.append(_cpu_s(lambda: pq.read_table(file, columns=[*numbers], use_threads=False)))
        counting.append(_cpu_s(lambda: sketch_table(file, numbers)))
        whole.append(_cpu_s(lambda: decide(watched, sketch_table(file, watched.bases))))
    ratio = 100 * min(counting) / min(bare)
    return [
        Figure(f"drift, a window of {what}: counted, tested and binned", tuple(whole), "s", targets[0]),
        Figure(f"drift, a window of {what}: bare Parquet read of the numbers", tuple(bare), "s"),
        Figure(
            f"drift, a window of {what}: numbers counted, of the bare read (best of each)", (ratio,), "%", targets[1]
        ),
    ]


def stored_figures(window: pa.Table, watched: Watched, rounds: int) -> list[Figure]:
    """From stored sketches: of one bucket, and of several that are summed."""
    n = window.num_rows // N_BUCKETS
    buckets = [sketch_table(window.slice(part * n, n), watched.bases) for part in range(N_BUCKETS)]
    stored = {name: [to_bytes(bucket[name]) for bucket in buckets] for name in watched.kinds}
    one = {name: to_bytes(merge([bucket[name] for bucket in buckets])) for name in watched.kinds}  # type: ignore[type-var]
    calibrated = calibrated_for(watched, window.num_rows)

    def summed() -> None:
        decide(watched, {name: merge([from_bytes(some) for some in stored[name]]) for name in watched.kinds})  # type: ignore[type-var]

    def judged(before: Mapping[str, bytes] | None) -> None:
        held = [
            None if stored is None else {(False, name): from_bytes(content) for name, content in stored.items()}
            for stored in (watched.stored, one, before)
        ]
        measure_window(
            kinds={(False, name): kind for name, kind in watched.kinds.items()},
            reference=held[0] or {},
            current=held[1] or {},
            before=held[2],
            thresholds=Thresholds.from_json(calibrated).at(window.num_rows),
            settings=SETTINGS,
            n_rows=window.num_rows,
            n_before=window.num_rows,
            alpha=0.01,
            exactly=_never,
        )

    return [
        Figure(what, _spent(work, rounds), "s", target)
        for what, work, target in (
            ("drift from a stored bucket: tested and binned", lambda: decide_stored(watched, one), FROM_STORED_S),
            (f"drift from {N_BUCKETS} stored buckets: summed, tested and binned", summed, FROM_STORED_S),
            ("drift from a stored bucket: every test of the catalogue, judged", lambda: judged(None), FROM_STORED_S),
            (
                "drift from a stored bucket: the same, and held against the window before",
                lambda: judged(watched.stored),
                FROM_STORED_S,
            ),
        )
    ]


def calibrated_for(watched: Watched, n_rows: int) -> dict[str, Any]:
    """The thresholds for windows of about so many rows, as a monitor keeps them."""
    columns = {}
    for name, kind in watched.kinds.items():
        sketch = from_bytes(watched.stored[name])
        columns[False, name] = Column(sketch, kind, streams_of(kind, sketch.n_present))
    level = window_level(Promise(SETTINGS.false_alerts, WINDOWS_A_MONTH[SETTINGS.window]))
    return calibrate(columns, sizes=(n_rows // 2, 2 * n_rows), level=level, rng=np.random.default_rng(3)).to_json()


def peer_figures(reference: pa.Table, folder: Path, watched: Watched, rounds: int, peers: str | None) -> list[Figure]:
    """Ours as a share of each peer's processor time, both samples from nothing, and a further window alone."""
    if not peers:
        sys.stderr.write("The peers are absent: give their interpreter with --peers or GATEHOUSE_PEERS.\n")
        return []
    current = folder / f"{PEER_ROWS}.parquet"
    pq.write_table(reference, folder / "reference.parquet")

    def new_window(known: Watched) -> list[bytes]:
        kept = []
        for name, sketch in sketch_table(current, known.bases).items():
            kept.append(to_bytes(sketch))
            measure(from_bytes(known.stored[name]), sketch, known.kinds[name], rng=np.random.default_rng(1))
        return kept

    def from_nothing() -> None:
        new_window(watch(pq.read_table(folder / "reference.parquet", use_threads=False)))

    alone, both = (_spent(work, rounds) for work in (lambda: new_window(watched), from_nothing))
    names = [name for name, kind in watched.kinds.items() if kind == "category"]
    found = [
        Figure("drift, ours, from nothing", both, "s"),
        Figure("drift, ours, a new window's file against the stored reference", alone, "s"),
    ]
    evidently = run_peer(peers, "evidently", folder / "reference.parquet", current, names)
    nannyml = run_peer(peers, "nannyml", folder / "reference.parquet", current, names)
    for what, ours, theirs, target in (
        ("Evidently's preset, from nothing", both, evidently["reference"] + evidently["window"], None),
        ("Evidently's preset, a new window", alone, evidently["window"], OF_EVIDENTLY),
        (
            "NannyML with all its tests, from nothing",
            both,
            nannyml["all reference"] + nannyml["all window"],
            None,
        ),
        ("NannyML with all its tests, a new window", alone, nannyml["all window"], OF_NANNYML),
        ("NannyML as it comes, from nothing", both, nannyml["default reference"] + nannyml["default window"], None),
        ("NannyML as it comes, a new window", alone, nannyml["default window"], None),
    ):
        shares = tuple(100 * one / theirs for one in ours)
        found += [
            Figure(f"drift, {what}", (theirs,), "s"),
            Figure(f"drift, ours of {what}: 1/{100 / statistics.median(shares):,.0f}", shares, "%", target),
        ]
    return found


def run_peer(peers: str, peer: str, reference: Path, current: Path, names: list[str]) -> dict[str, float]:
    """Seconds of processor time that a peer says it spent."""
    done = subprocess.run(
        [peers, str(SCRIPT), peer, str(reference), str(current), ",".join(names)],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"NML_DISABLE_USAGE_LOGGING": "1", "DO_NOT_TRACK": "1"},
    )
    found: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def watch(reference: pa.Table) -> Watched:
    """Count and store a reference."""
    kinds = {
        name: "category" if pa.types.is_string(reference.schema.field(name).type) else "number"
        for name in reference.column_names
    }
    bases = {name: fit_basis(reference[name], kind) for name, kind in kinds.items()}
    return Watched(kinds, bases, {name: to_bytes(one) for name, one in sketch_table(reference, bases).items()})


def decide_stored(watched: Watched, stored: Mapping[str, bytes]) -> None:
    """Hold stored sketches against the reference."""
    decide(watched, {name: from_bytes(content) for name, content in stored.items()})


def decide(watched: Watched, sketches: Mapping[str, Any]) -> None:
    """Each column's own test, and then and now on the same bins."""
    for name, current in sketches.items():
        before: Any = from_bytes(watched.stored[name])
        named = isinstance(current, CategorySketch)
        points = align_categories(before, current) if named else align(before, current)
        DRIFT_TESTS["chi_square" if named else "kolmogorov_smirnov"].test(points)
        binned(points)


def table_of(n: int, seed: int, shift: float = 0.0) -> pa.Table:
    """Columns of five sorts: normal, skewed with missing values, counts, rounded, names."""
    rng = np.random.default_rng(seed)
    sorts: list[Callable[[], Any]] = [
        lambda: rng.normal(shift, 1, n),
        lambda: pa.array(rng.lognormal(shift, 1, n), mask=rng.random(n) < 0.05),
        lambda: rng.poisson(6, n).astype(float),
        lambda: rng.normal(50, 10, n).round(2),
        lambda: rng.choice([f"category {one}" for one in range(8)], n),
    ]
    return pa.table({f"f{number}": sorts[number % len(sorts)]() for number in range(N_COLUMNS)})


def _never(key: object) -> Any:
    raise AssertionError(f"{key} is too coarse for cells; these columns are not.")


def _spent(work: Callable[[], object], times: int) -> tuple[float, ...]:
    return sampled(lambda: _cpu_s(work), times)


def _cpu_s(work: Callable[[], object]) -> float:
    return cpu_ms(work) / 1000
