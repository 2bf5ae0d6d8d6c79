"""One window as it is computed: a sum of stored cells, measured and judged, with what its rows and labels say.

Its rows are read again only for what counts do not tell, and then once for all that asks: performance, columns that
cells are too coarse for, and all columns together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from core.drift.calibrating import window_level
from core.drift.columns import sample
from core.drift.drift_tests import Sample
from core.drift.sketching import Sketch
from core.estimation.maturity import arrivals_of
from core.monitoring import cells, together
from core.monitoring.alerting import Firing, fires, firings, window_state
from core.monitoring.counting import Key, Slice, column_of, of_slice
from core.monitoring.kept_rows import KeptRows
from core.monitoring.monitor_settings import MonitorSettings
from core.monitoring.performance_watch import PerformanceWatch, with_labels
from core.monitoring.reference import Reference, Some
from core.monitoring.tables import Batch, Monitor, WindowState
from core.monitoring.thresholds import MonitorThresholds
from core.monitoring.window_drift import MeasuredColumn, measure_window, watched_columns
from core.monitoring.window_edges import Stream
from core.monitoring.window_measures import WindowFigure
from core.monitoring.window_performance import (
    WindowPerformance,
    performance_firings,
    performance_judged,
    window_performance,
)
from core.monitoring.windows import Span, season_of
from core.serving.frames import feature_column
from core.workspace import Workspace

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class ComputedWindow:
    """One window as it is to be recorded.

    Parameters
    ----------
    version_id : int
    length : str
        As `windows.length_of` gives it, or "batch".
    span : Span
    season : str
        "" where the window is held against all of the reference.
    n_rows : int
    state : WindowState
    columns : tuple of MeasuredColumn
        Of all rows; the prediction last.
    sliced : tuple of MeasuredColumn
        Of slices. They tell where to look; alerts and the window's state come from all rows alone, or the promise of
        so many false alerts would have to be shared out among the slices.
    performance : WindowPerformance
    together : tuple of WindowFigure, or None
        What all columns say together; None where nobody looked: see `computing.LOOKED_AT_TOGETHER`.
    firings : tuple of Firing
    judged : frozenset of str
        The kinds of alerts of which it can be told whether they fire.
    read_at : datetime
    """

    version_id: int
    length: str
    span: Span
    season: str
    n_rows: int
    state: WindowState
    columns: tuple[MeasuredColumn, ...]
    sliced: tuple[MeasuredColumn, ...]
    performance: WindowPerformance
    together: tuple[WindowFigure, ...] | None
    firings: tuple[Firing, ...]
    judged: frozenset[str]
    read_at: datetime

    def exceeded(self) -> set[Key]:
        """Which columns of all rows are beyond their thresholds."""
        return {name_of(one) for one in self.columns if one.judgement.exceeded}


@dataclass(frozen=True)
class Piece:
    """One window to be computed: a span of time, or a batch without times."""

    span: Span
    length: str
    batch: Batch | None = None

    def rows(self, kept: KeptRows, columns: Sequence[str]) -> pa.Table:
        """Its rows, with these columns as far as they were kept."""
        return kept.of_span(self.span, columns) if self.batch is None else kept.of_batch(self.batch, columns)


@dataclass(frozen=True)
class Counted:
    """A window's rows as they were counted, by slice."""

    piece: Piece
    n_rows: int
    parts: Mapping[str, Mapping[Key, Sketch]]


@dataclass(frozen=True)
class Watched:
    """What of a monitor and a version holds for all their windows.

    ``alone`` are the thresholds of what is judged by itself, with no windows before: batches without times, slices.
    """

    workspace: Workspace
    monitor: Monitor
    settings: MonitorSettings
    title: str
    reference: Reference
    thresholds: MonitorThresholds
    alone: MonitorThresholds
    kept: KeptRows
    stream: Stream
    performance: PerformanceWatch
    read_at: datetime


def counted(watched: Watched, piece: Piece) -> Counted:
    """Sum up the stored cells of a window."""
    assert watched.monitor.id is not None
    with watched.workspace.read() as session:
        parts = cells.sums(
            session,
            watched.monitor.id,
            watched.reference.version_id,
            span=piece.span if piece.batch is None else None,
            source=None if piece.batch is None else cells.source_of(piece.batch),
        )
    return Counted(piece, _n_rows(parts.get("", {})), parts)


@dataclass(frozen=True, eq=False)
class _Rows:
    """A window's rows, read when somebody asks for them: at once all columns that it takes."""

    watched: Watched
    piece: Piece
    columns: tuple[str, ...]

    @cached_property
    def whole(self) -> pa.Table:
        return self.piece.rows(self.watched.kept, self.columns)

    def of(self, columns: Sequence[str]) -> pa.Table:
        """These columns, as far as they were kept."""
        if set(columns) <= set(self.columns):
            return self.whole.select([name for name in columns if name in self.whole.column_names])
        return self.piece.rows(self.watched.kept, columns)


def computed_window(
    watched: Watched, now: Counted, last: Counted | None, earlier: Sequence[set[Key]] | None, *, n_looks: int
) -> ComputedWindow:
    """Measure and judge one window, beside the one before.

    Parameters
    ----------
    last : Counted or None
        The window before; None where there is none.
    earlier : sequence of set of Key, or None
        Which columns were beyond their thresholds in the windows before, as far as the rule looks back; None for a
        window that is judged by itself.
    n_looks : int
        How many windows are looked at as a whole; 0 where this one is not.
    """
    settings, piece = watched.settings, now.piece
    season = season_of(piece.span.middle, settings.season) if piece.batch is None else ""
    rows = _Rows(watched, piece, _columns(watched, together_too=n_looks > 0))
    columns = _measured(
        watched, now, last, season, None, rows, watched.alone if earlier is None else watched.thresholds
    )
    if earlier is not None:
        columns = [
            replace(
                column,
                state=fires(
                    column.judgement,
                    [name_of(column) in one for one in earlier],
                    windows_needed=settings.windows_needed,
                    windows_of=settings.windows_of,
                ),
            )
            for column in columns
        ]
    sliced = [
        column
        for one in watched.reference.slices(settings.slice_columns)
        if one.label in now.parts
        for column in _measured(watched, now, last, season, one, rows, watched.alone)
    ]
    slices = watched.reference.slices(settings.slice_columns)
    watch = with_labels(watched.workspace, watched.performance, model_id=watched.monitor.model_id, rows=rows.whole)
    performance = window_performance(watch, rows.whole, slices, n_looks=n_looks)
    fired = _firings(watched, piece.span, now.n_rows, columns, performance)
    return ComputedWindow(
        version_id=watched.reference.version_id,
        length=piece.length,
        span=piece.span,
        season=season,
        n_rows=now.n_rows,
        state=window_state(columns),
        columns=tuple(columns),
        sliced=tuple(sliced),
        performance=performance,
        together=_together(watched, rows, season, performance) if n_looks else None,
        firings=fired,
        judged=_judged(watched, now.n_rows, columns, performance, fired),
        read_at=watched.read_at,
    )


def emptied_window(watched: Watched, *, length: str, span: Span) -> ComputedWindow:
    """A window whose rows are gone, with no figure left: it stays for the alerts that were told of it."""
    return ComputedWindow(
        version_id=watched.reference.version_id,
        length=length,
        span=span,
        season="",
        n_rows=0,
        state=WindowState.NOT_ENOUGH_DATA,
        columns=(),
        sliced=(),
        performance=WindowPerformance((), arrivals_of(np.empty(0), np.empty(0)), frozenset()),
        together=(),
        firings=(),
        judged=frozenset(),
        read_at=watched.read_at,
    )


def _measured(
    watched: Watched,
    now: Counted,
    last: Counted | None,
    season: str,
    part: Slice | None,
    rows: _Rows,
    thresholds: MonitorThresholds,
) -> list[MeasuredColumn]:
    """Every column of a window, or of one slice of it."""
    settings, reference = watched.settings, watched.reference
    label = "" if part is None else part.label
    some = Some(season, settings.season_column or "" if season else "", part)
    current = now.parts.get(label, {})
    before = None if last is None else last.parts.get(label)
    kinds = watched_columns(reference.kinds, current)
    n_rows = _n_rows(current)

    def exactly(key: Key) -> tuple[Sample, Sample]:
        held = rows.of([column_of(key), *([feature_column(part.column)] if part else [])])
        if part is not None:
            held = of_slice(held, part)
        return reference.values(key, some), sample(held[column_of(key)], kinds[key])

    return measure_window(
        kinds=kinds,
        reference=reference.sketches([some])[some],
        current=current,
        before=before,
        thresholds=thresholds.of(kinds, some, n_rows) if n_rows >= settings.min_rows else None,
        settings=settings,
        n_rows=n_rows,
        n_before=0 if before is None else _n_rows(before),
        alpha=window_level(thresholds.promise),
        exactly=exactly,
        part=label,
    )


def _columns(watched: Watched, *, together_too: bool) -> tuple[str, ...]:
    """Which columns of its rows a window takes."""
    reference = watched.reference
    found = watched.performance.columns(reference.slices(watched.settings.slice_columns))
    return tuple(dict.fromkeys([*found, *(together.columns(reference) if together_too else ())]))


def _together(watched: Watched, rows: _Rows, season: str, performance: WindowPerformance) -> tuple[WindowFigure, ...]:
    settings, piece = watched.settings, rows.piece
    some = Some(season, settings.season_column or "" if season else "")
    return tuple(
        together.together(
            watched.reference,
            rows.whole,
            some=some,
            concept=performance.concept,
            gap=performance.gap,
            times=watched.stream.rhythm(piece.span, rows.whole) if piece.batch is None else None,
            min_rows=settings.min_rows,
        )
    )


def _firings(
    watched: Watched, span: Span, n_rows: int, columns: Sequence[MeasuredColumn], performance: WindowPerformance
) -> tuple[Firing, ...]:
    drifted = [column for column in columns if column.state is WindowState.DRIFTED]
    fired = firings(
        model=watched.title,
        window=span.label,
        features=[(one.name, one.judgement.outcome.effect or 0.0) for one in drifted if not one.is_prediction],
        n_features=sum(not column.is_prediction for column in columns),
        prediction_effect=next((one.judgement.outcome.effect for one in drifted if one.is_prediction), None),
    )
    fired += performance_firings(
        watched.performance,
        performance,
        model=watched.title,
        window=span.label,
        n_rows=n_rows,
        min_rows=watched.settings.min_rows,
    )
    return tuple(fired)


def _judged(
    watched: Watched,
    n_rows: int,
    columns: Sequence[MeasuredColumn],
    performance: WindowPerformance,
    fired: Sequence[Firing],
) -> frozenset[str]:
    told = [column for column in columns if column.state is not WindowState.NOT_ENOUGH_DATA]
    kinds = frozenset("prediction_drift" if column.is_prediction else "drift" for column in told)
    min_rows = watched.settings.min_rows
    return kinds | performance_judged(watched.performance, performance, fired, n_rows=n_rows, min_rows=min_rows)


def name_of(column: MeasuredColumn) -> Key:
    """What a column's stored results are found by."""
    return column.is_prediction, column.name


def _n_rows(sketches: Mapping[Key, Sketch]) -> int:
    return max((sketch.n_rows for sketch in sketches.values()), default=0)
