"""Every figure to reach, measured and printed in one table: ``make bench``. Nothing here fails on time.

python -m tests.benchmarks [--only start,pages] [--rounds 3] [--adult FILE] [--peers INTERPRETER]
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path

from tests.benchmarks import compare_page, drift_speed, heat_map, ingest, many_runs, pages, start
from tests.benchmarks.figures import Figure, table


def main() -> None:
    """Measure what was asked for, one part after the other."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks")
    parser.add_argument(
        "--only",
        default="start,pages,compare_page,many_runs,heat_map,ingest,drift_speed",
        help="parts, separated by commas",
    )
    parser.add_argument("--rounds", type=int, default=3, help="measurements of each figure; the median counts")
    parser.add_argument("--adult", type=Path, help="a CSV to take instead of the generated one")
    parser.add_argument(
        "--peers",
        default=os.environ.get("GATEHOUSE_PEERS"),
        help="an interpreter that has Evidently and NannyML, to measure them beside drift_speed",
    )
    given = parser.parse_args()
    rounds = given.rounds
    parts: dict[str, Callable[[], list[Figure]]] = {
        "start": lambda: start.figures(rounds),
        "pages": lambda: pages.figures(rounds),
        "compare_page": lambda: compare_page.figures(rounds),
        "many_runs": lambda: many_runs.figures(rounds=rounds),
        "heat_map": lambda: heat_map.figures(rounds),
        "ingest": lambda: ingest.figures(given.adult, rounds),
        "drift_speed": lambda: drift_speed.figures(rounds, given.peers),
    }
    wanted = given.only.split(",")
    if unknown := [name for name in wanted if name not in parts]:
        parser.error(f"no part is called {', '.join(unknown)}; there are {', '.join(parts)}")
    found: list[Figure] = []
    for name in wanted:
        sys.stderr.write(f"Measuring {name} …\n")
        found += parts[name]()
    print(table(found))  # noqa: T201


if __name__ == "__main__":
    main()
