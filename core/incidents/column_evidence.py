"""What is known of each column of a window: its drift as the monitor decided, its importance, its marks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlmodel import Session, col, select

from core.drift.columns import sample
from core.incidents.evidence import FeatureEvidence
from core.incidents.marking import Column, signs_of
from core.incidents.seasons import follows_calendar
from core.incidents.shapes import Sketch, column_of
from core.incidents.signs import Sign
from core.incidents.window_rows import WindowRows
from core.monitoring import cells
from core.monitoring.kept_rows import is_timed, span_of
from core.monitoring.tables import DriftResult, ReferenceSketch, Window, WindowState
from core.serving.frames import feature_column
from core.statistics.sketches import from_bytes
from core.training.tables import Run


def features_of(
    results: Sequence[DriftResult],
    *,
    importance: Mapping[str, float],
    signs: Mapping[str, tuple[Sign, ...]],
    earlier: Sequence[Mapping[str, float | None]],
) -> tuple[FeatureEvidence, ...]:
    """Every feature as the monitor judged it; ``earlier`` holds the effects of the windows before, oldest first."""
    return tuple(
        FeatureEvidence(
            name=one.feature,
            kind=one.column_kind,
            drifted=one.state == WindowState.DRIFTED,
            effect=one.effect,
            threshold=one.threshold,
            test=one.test,
            missing_then=float(one.bins.get("reference_missing", 0.0)),
            missing_now=float(one.bins.get("current_missing", 0.0)),
            importance=importance.get(one.feature),
            moved_since_before=None if not one.state_before else one.state_before == WindowState.DRIFTED,
            earlier_effects=tuple(effects.get(one.feature) for effects in earlier),
            signs=signs.get(one.feature, ()),
        )
        for one in results
    )


def importance_of(run: Run) -> dict[str, float]:
    """Each feature's share of what all matter, from the run's permutation importance; empty where none was kept."""
    kept = {str(one["name"]): max(0.0, float(one["mean"])) for one in (run.importance or {}).get("features", [])}
    total = sum(kept.values())
    return {name: mean / total for name, mean in kept.items()} if total > 0 else {}


def current_sketches(session: Session, window: Window) -> dict[str, Sketch]:
    """The window's rows as they were counted, by feature."""
    where: dict[str, Any] = {"span": span_of(window)} if is_timed(window) else {"source": window.label}
    counted = cells.sums(session, window.monitor_id, window.version_id, **where).get("", {})
    return {name: sketch for (is_prediction, name), sketch in counted.items() if not is_prediction}


def reference_sketches(session: Session, version_id: int) -> dict[str, Sketch]:
    """All of a version's training rows as they were counted, by feature."""
    query = select(ReferenceSketch).where(
        ReferenceSketch.version_id == version_id,
        ReferenceSketch.slice == "",
        col(ReferenceSketch.is_prediction).is_(False),
    )
    return {one.feature: from_bytes(one.cells) for one in session.exec(query)}


def columns_of(
    results: Sequence[DriftResult], reference: Mapping[str, Sketch], current: Mapping[str, Sketch], rows: WindowRows
) -> dict[str, Column]:
    """The columns of some results, counted in both samples; from the values where cells hide them."""
    kinds = {one.feature: one.column_kind for one in results}

    def exact(feature: str) -> NDArray[np.float64] | None:
        column = feature_column(feature)
        table = rows.read([column])
        if table is None or column not in table.column_names:
            return None
        return sample(table[column], kinds[feature])

    found = {
        one.feature: column_of(one, reference.get(one.feature), current.get(one.feature), exact) for one in results
    }
    return {name: column for name, column in found.items() if column is not None}


def marks_of(
    window: Window, results: Sequence[DriftResult], columns: Mapping[str, Column], before: Sequence[DriftResult]
) -> dict[str, tuple[Sign, ...]]:
    """The marks of the columns; standing still is none where the season or the window before does so too."""
    bins = {one.feature: one.bins for one in results}
    earlier = {one.feature: one for one in before if not one.is_prediction}

    def moves_on(name: str) -> bool:
        last = earlier.get(name)
        return follows_calendar(
            bins[name], None if last is None else last.bins, window.from_at, window.to_at - window.from_at
        )

    return {
        name: tuple(sign for sign in signs if sign.key != "constant" or not moves_on(name))
        for name, signs in signs_of(columns).items()
    }
