"""The job that holds any two windows of a model against each other, column by column."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlmodel import Session

from core.drift.columns import sample
from core.drift.drift_tests import Sample
from core.drift.measuring import ColumnMeasure, measure
from core.drift.sketching import Sketch
from core.errors import InvalidInput
from core.jobs.context import JobContext
from core.monitoring import cells, queries, window_queries
from core.monitoring.alerting import decide
from core.monitoring.counting import Key, Slice, column_of, count_rows, of_slice
from core.monitoring.kept_rows import KeptRows, is_timed, rows_of_window, span_of
from core.monitoring.reference import Reference, reference_of
from core.monitoring.tables import Batch, Monitor, Window, WindowState
from core.monitoring.window_drift import outcome_rows, watched_columns
from core.monitoring.windows import BATCH, Span, bucket_of
from core.permissions import Permission, require
from core.serving.frames import PREDICTION, feature_column
from core.workspace import Workspace

ALPHA = 0.05
SEED = 20_260_619


@dataclass(frozen=True)
class _Side:
    """One of the two windows: its rows as they were counted, and where to read them."""

    window: Window
    monitor: Monitor
    reference: Reference
    kept: KeptRows
    batch: Batch | None
    counted: Mapping[Key, Sketch]

    @property
    def span(self) -> Span:
        return span_of(self.window)

    def values(self, key: Key, part: Slice | None) -> Sample:
        """The rows' own values of a column."""
        columns = [column_of(key), *([feature_column(part.column)] if part else [])]
        if self.batch is not None:
            rows = self.kept.of_batch(self.batch, columns)
        else:
            rows = self.kept.of_span(self.span, columns)
        if part is not None:
            rows = of_slice(rows, part)
        return sample(rows[column_of(key)], self.reference.kinds[key])


def compare_windows(workspace: Workspace, context: JobContext) -> None:
    """Compare the windows ``first_id`` and ``second_id``; the result is `windows_compared`'s document."""
    require(context.actor, Permission.MONITORING_READ)
    context.report(0.0, "measuring")
    payload = context.payload
    result = windows_compared(
        workspace,
        first_id=payload["first_id"],
        second_id=payload["second_id"],
        part=payload.get("slice", ""),
    )
    with context.record():
        context.result = result


def windows_compared(workspace: Workspace, *, first_id: int, second_id: int, part: str = "") -> dict[str, Any]:
    """Measure how far each column moved from one window of a model to another.

    Parameters
    ----------
    first_id, second_id : int
        Windows of one model, of any length and version.
    part : str
        A slice's label, "job=cook"; "" for all rows.

    Returns
    -------
    dict
        ``first`` and ``second``: ``window_id``, ``window``, ``version_id``, ``n_rows`` of each. ``features``: one entry
        per column both have, the prediction last, with ``feature``, ``is_prediction``, ``kind``, ``test``, ``effect``,
        ``statistic``, ``pvalue``, ``pvalue_corrected``, ``drifted``, ``state``, ``tests`` (the whole catalogue, with
        p-values that take drawing) and ``bins`` (``reference`` is the first window). ``slice``, ``alpha``,
        ``min_effect``, ``min_rows``: what was looked at and decided by. ``not_compared``: columns only one of them has.

    Raises
    ------
    NotFound, ArtifactCorrupted
    InvalidInput
        The windows are of two models.
    """
    with workspace.read() as session:
        windows = [window_queries.window(session, one) for one in (first_id, second_id)]
        monitors = [queries.monitor(session, one.monitor_id) for one in windows]
    if monitors[0].model_id != monitors[1].model_id:
        raise InvalidInput("The two windows are of different models. Choose two windows of one.")
    references = [reference_of(workspace, one.version_id) for one in windows]
    named = _slice(references, monitors, part)
    first, second = (_side(workspace, *one, part=named) for one in zip(windows, monitors, references, strict=True))
    kinds = _shared_kinds(first, second)
    measures, exact = {}, set()
    for key, kind in kinds.items():
        chosen = None if key[0] else monitors[1].tests.get(key[1])
        rng = np.random.default_rng(SEED)
        found = measure(first.counted[key], second.counted[key], kind, chosen, rng=rng, draw_all=True)
        if found.too_coarse:
            exact.add(key)
            samples = first.values(key, named), second.values(key, named)
            found = measure(*samples, kind, chosen, rng=rng, draw_all=True)
        measures[key] = found
    settings = monitors[1]
    n_rows = [max((one.n_rows for one in side.counted.values()), default=0) for side in (first, second)]
    decisions = decide(
        measures, n_rows=min(n_rows), alpha=ALPHA, min_effect=settings.min_effect, min_rows=settings.min_rows
    )
    return {
        **{
            name: {
                "window_id": side.window.id,
                "window": side.window.label,
                "version_id": side.window.version_id,
                "n_rows": rows,
            }
            for name, side, rows in zip(("first", "second"), (first, second), n_rows, strict=True)
        },
        "slice": part,
        "alpha": ALPHA,
        "min_effect": settings.min_effect,
        "min_rows": settings.min_rows,
        "features": [
            {
                **_told(key, kinds[key], found, exact=key in exact),
                "pvalue_corrected": decisions[key].pvalue_corrected,
                "drifted": decisions[key].state is WindowState.DRIFTED,
                "state": decisions[key].state.value,
            }
            for key, found in measures.items()
        ],
        "not_compared": sorted(
            name for is_prediction, name in first.counted.keys() ^ second.counted.keys() if not is_prediction
        ),
    }


def _told(key: Key, kind: str, found: ColumnMeasure, *, exact: bool) -> dict[str, Any]:
    return {
        "feature": PREDICTION if key[0] else key[1],
        "is_prediction": key[0],
        "kind": kind,
        "test": found.test,
        "effect": found.effect,
        "statistic": found.statistic,
        "pvalue": found.pvalue,
        "tests": outcome_rows(found, {}, exact=exact),
        "bins": found.bins,
    }


def _shared_kinds(first: _Side, second: _Side) -> dict[Key, str]:
    """The columns both have, the prediction by the score where both have one for every row."""
    kinds = {key: kind for key, kind in first.reference.kinds.items() if second.reference.kinds.get(key) == kind}
    watched = watched_columns(kinds, first.counted).keys() & watched_columns(kinds, second.counted).keys()
    if not any(key[0] for key in watched):
        watched |= {(True, PREDICTION)}
    return {
        key: kind for key, kind in kinds.items() if key in watched and key in first.counted and key in second.counted
    }


def _slice(references: list[Reference], monitors: list[Monitor], part: str) -> Slice | None:
    if not part:
        return None
    known = {one.label: one for one in references[1].slices(monitors[1].slice_columns)}
    if part not in known:
        raise InvalidInput(f"There is no slice {part!r}. There are: {', '.join(known) or 'none'}.")
    return known[part]


def _side(workspace: Workspace, window: Window, monitor: Monitor, reference: Reference, *, part: Slice | None) -> _Side:
    assert monitor.id is not None
    with workspace.read() as session:
        kept = rows_of_window(workspace, session, monitor, window)
        batch = _batch(session, window)
        stored = cells.sums(
            session,
            monitor.id,
            window.version_id,
            span=span_of(window) if batch is None else None,
            source=None if batch is None else cells.source_of(batch),
        )
    side = _Side(window, monitor, reference, kept, batch, {})
    counted: Mapping[Key, Sketch] | None = stored.get("" if part is None else part.label)
    if counted is None or (batch is None and _is_shorter(window, monitor)):
        rows = kept.of_batch(batch) if batch is not None else kept.of_span(side.span)
        found = count_rows(
            rows, reference.bases, bucket=None, at=window.from_at, slices=() if part is None else (part,)
        )
        counted = next((one.sketches for one in found if one.slice == ("" if part is None else part.label)), None)
    return _Side(window, monitor, reference, kept, batch, counted or {})


def _is_shorter(window: Window, monitor: Monitor) -> bool:
    """Whether the window is of an hour while cells are kept by day now."""
    return bucket_of(window.length) == "hour" and bucket_of(monitor.window) == "day"


def _batch(session: Session, window: Window) -> Batch | None:
    if is_timed(window):
        return None
    return queries.batch(session, int(window.label.removeprefix(f"{BATCH} ")))
