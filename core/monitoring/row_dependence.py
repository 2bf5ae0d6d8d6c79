"""What is told of how rows hang together: a sentence, and the columns that vary most. PURE but for one query."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlmodel import Session, col, select

from core.drift.calibrated import Key, stored_dependence
from core.drift.dependence import LEAST_BLOCKS, Dependence
from core.monitoring.monitor_settings import MonitorSettings
from core.monitoring.tables import Calibration
from core.monitoring.windows import COUNT, SEASONS_OF
from core.serving.frames import PREDICTION
from core.wording import brief

TOLD = 5
LARGE = 10.0
"""From how many times the variance of independent rows on a season is suspected."""


def dependence(
    found: Mapping[Key, Mapping[str, Dependence]], settings: MonitorSettings, time_column: str | None
) -> dict[str, Any]:
    """How rows hang together, as a JSON document.

    Parameters
    ----------
    found : mapping of Key to mapping of test to Dependence
        As `Thresholds.dependence`.
    time_column : str or None
        Of the training data, None where it has none.

    Returns
    -------
    dict
        ``sentence``; ``advice``, "" where there is none; ``time_column``; ``columns``: at most five that vary most
        beyond what independent rows explain, with ``feature``, ``is_prediction``, ``test``, ``n_blocks``, ``n_rows``,
        ``independent_rows``, ``design_effect``, ``low`` and ``high``.
    """
    by_column = {key: tests for key, tests in found.items() if any(one.enough for one in tests.values())}
    seen = [
        (key, test, one) for key, tests in by_column.items() for test, one in tests.items() if one.enough and one.seen
    ]
    seen.sort(key=lambda line: (-line[2].design_effect, line[0]))
    said = {"time_column": time_column, "advice": "", "columns": [_line(*line) for line in seen[:TOLD]]}
    if not settings.dependent_rows:
        sentence = "How rows hang together is not looked at: each counts as independent of the others."
    elif time_column is None:
        sentence = (
            "The training data has no time, so how its rows hang together cannot be told: each counts as independent "
            "of the others."
        )
    elif not by_column and settings.season != "none":
        sentence = (
            "How rows hang together cannot be told: held against the same season, it takes training data with "
            f"{_windows(LEAST_BLOCKS, settings)} beyond the first of each season. Until then each row counts as "
            "independent of the others."
        )
    elif not by_column:
        there = max((one.n_blocks for tests in found.values() for one in tests.values()), default=0)
        sentence = (
            f"The training data holds {_windows(there, settings)}; from {LEAST_BLOCKS + 1} on it would tell how rows "
            "hang together. Until then each counts as independent of the others."
        )
    elif not seen:
        n_blocks = max(one.n_blocks for tests in by_column.values() for one in tests.values())
        sentence = (
            f"Over {_windows(n_blocks, settings)} of training data no column varies more than independent rows do, so "
            "each row counts in full."
        )
    else:
        key, _, one = seen[0]
        columns = len({line[0] for line in seen})
        sentence = (
            f"Over {_windows(one.n_blocks, settings)} of training data {columns:,} of {len(by_column):,} columns vary "
            f"more than independent rows do, and their thresholds are wider by that: a {_window(settings)} of "
            f"{_name(key)}, {one.n_rows:,.0f} rows, carries as much as {_some(one.independent_rows(one.n_rows))}."
        )
        if one.design_effect >= LARGE and settings.season == "none" and len(SEASONS_OF[settings.window]) > 1:
            said["advice"] = (
                "So much is often a season: what comes back every year counts as such variation, and drift within it "
                "goes unseen. Held against the same season, smaller changes show."
            )
    return said | {"sentence": sentence}


def kept_dependence(
    session: Session, *, monitor_id: int, version_id: int, settings: MonitorSettings
) -> dict[str, Any] | None:
    """As `dependence`, of what was last calibrated for all rows of a window; None where nothing was."""
    rows = session.exec(
        select(Calibration)
        .where(col(Calibration.monitor_id) == monitor_id, col(Calibration.version_id) == version_id)
        .order_by(col(Calibration.id).desc())
        .limit(200)
    )
    for row in rows:
        of = row.thresholds.get("of")
        if of is not None and not of["slice"] and of["dependent_rows"] == settings.dependent_rows:
            return dependence(stored_dependence(row.thresholds), settings, of["time_column"])
    return None


def _line(key: Key, test: str, one: Dependence) -> dict[str, Any]:
    return {
        "feature": _name(key),
        "is_prediction": key[0],
        "test": test,
        "n_blocks": one.n_blocks,
        "n_rows": one.n_rows,
        "independent_rows": one.independent_rows(one.n_rows),
        "design_effect": one.design_effect,
        "low": one.low,
        "high": one.high,
    }


def _name(key: Key) -> str:
    return PREDICTION if key[0] else key[1]


def _window(settings: MonitorSettings) -> str:
    return "window" if settings.window == COUNT else settings.window


def _windows(n: int, settings: MonitorSettings) -> str:
    return f"{n:,} {_window(settings)}{'' if n == 1 else 's'}"


def _some(n: float) -> str:
    return "a single independent one" if n < 1.5 else f"{brief(n)} independent ones"
