"""Computing windows: sums of stored cells, measured, judged, with what labels say. `recording` writes them.

What flowed in is counted once (`cells`); a window is a sum of what is counted, held against the version's reference,
which is counted once too, and against the window before. Rows are read again only for performance, and for columns that
cells are too coarse for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

import sqlalchemy
from sqlmodel import Session, col, select

from core.database import utc_now
from core.drift.calibrating import window_level
from core.drift.columns import sample
from core.drift.drift_tests import Sample
from core.drift.sketching import Sketch
from core.monitoring import cells, queries, together
from core.monitoring.alerting import Firing, fires, firings, window_state
from core.monitoring.counting import Key, Slice, column_of, of_slice
from core.monitoring.kept_rows import KeptRows, kept_rows
from core.monitoring.monitor_settings import MonitorSettings, settings_of
from core.monitoring.reference import Reference, Some, reference_of
from core.monitoring.tables import Batch, DriftResult, Monitor, Window, WindowState
from core.monitoring.thresholds import MonitorThresholds, promise_of
from core.monitoring.window_drift import MeasuredColumn, measure_window, watched_columns
from core.monitoring.window_measures import WindowFigure
from core.monitoring.window_performance import (
    PerformanceWatch,
    WindowPerformance,
    concept_of,
    performance_firings,
    performance_watch,
    window_performance,
)
from core.monitoring.windows import (
    BATCH,
    COUNT,
    Span,
    bucket_of,
    length_of,
    rows_a_month,
    season_of,
    spans_of_buckets,
    spans_of_rows,
    windows_a_month,
)
from core.registry.tables import RegisteredModel
from core.serving.frames import feature_column
from core.workspace import Workspace

if TYPE_CHECKING:
    import pyarrow as pa

LOOKED_AT_TOGETHER = 30
"""How many of the newest windows a computation looks at as a whole: it costs half a second each."""


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
        What all columns say together; None where nobody looked: see `LOOKED_AT_TOGETHER`.
    firings : tuple of Firing
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
    read_at: datetime


@dataclass(frozen=True)
class _Piece:
    """One window to be computed: a span of time, or a batch without times."""

    span: Span
    length: str
    batch: Batch | None = None


@dataclass(frozen=True)
class _Counted:
    """A window's rows as they were counted, by slice."""

    piece: _Piece
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
    performance: PerformanceWatch
    read_at: datetime


def compute_windows(
    workspace: Workspace,
    *,
    monitor_id: int,
    version_id: int,
    touched: Sequence[tuple[datetime, datetime]] | None,
    batch_ids: Sequence[int] | None = None,
    grown: Sequence[tuple[datetime, datetime]] = (),
    report: Callable[[float, str], None] | None = None,
) -> list[ComputedWindow]:
    """Compute a monitor's windows anew from every batch and log segment of one version, labels that came late included.

    Parameters
    ----------
    touched : sequence of (from, to), or None
        Only the windows these spans of time reach into, and those after them that look back on them; all when None.
    batch_ids : sequence of int, optional
        Of the batches without times, each a window of its own, only these; by default all when ``touched`` is None,
        else none.
    grown : sequence of (from, to)
        Spans of time into which the log has grown: there it is counted anew. What was never counted is in any case.
    report : callable, optional
        Told how far it is, 0 to 1, and what is being done.

    Returns
    -------
    list of ComputedWindow
        Oldest first.
    """
    say = report or (lambda _share, _note: None)
    # Taken before anything is read: whoever reads later knows more, so their figures win (`recording`).
    read_at = utc_now()
    with workspace.read() as session:
        monitor = queries.monitor(session, monitor_id)
        model = session.get(RegisteredModel, monitor.model_id)
        assert model is not None
        kept = kept_rows(workspace, session, monitor, version_id)
    settings = settings_of(monitor)
    say(0.0, "counting")
    reference = reference_of(workspace, version_id)
    _count(kept, cells_of(monitor_id, settings, reference, read_at), grown)
    with workspace.read() as session:
        buckets = cells.buckets(session, monitor_id, version_id)
        kept = replace(kept, reach=cells.reach(session, monitor_id, version_id))
        closed = _closed(session, monitor_id, version_id, length_of(settings.window, settings.window_rows))
    a_month = windows_a_month(settings.window, window_rows=settings.window_rows, rows_a_month=rows_a_month(buckets))
    by_itself = replace(settings, windows_needed=1, windows_of=1)
    watched = Watched(
        workspace=workspace,
        monitor=monitor,
        settings=settings,
        title=f"{model.name} {monitor.alias}",
        reference=reference,
        thresholds=MonitorThresholds(workspace, monitor_id, settings, reference, promise_of(settings, a_month)),
        alone=MonitorThresholds(workspace, monitor_id, by_itself, reference, promise_of(by_itself, a_month)),
        kept=kept,
        performance=performance_watch(workspace, model_id=monitor.model_id, version=reference.version, now=read_at),
        read_at=read_at,
    )
    wanted = None if batch_ids is None and touched is None else set(batch_ids or ())
    done = _timed(watched, _spans(settings, buckets, closed), touched, say)
    done += _untimed(watched, kept.batches, wanted)
    return sorted(done, key=lambda window: window.span)


def cells_of(monitor_id: int, settings: MonitorSettings, reference: Reference, read_at: datetime) -> cells.Watching:
    """How a monitor counts what flows in for a version."""
    return cells.Watching(
        monitor_id=monitor_id,
        version_id=reference.version_id,
        bucket=bucket_of(settings.window),
        bases=reference.bases,
        slices=tuple(reference.slices(settings.slice_columns)),
        read_at=read_at,
    )


def _count(kept: KeptRows, watching: cells.Watching, grown: Sequence[tuple[datetime, datetime]]) -> None:
    """Count what was never counted in these buckets and slices, and the log where it has grown."""
    workspace = kept.workspace
    with workspace.read() as session:
        new = [
            one
            for one in kept.batches
            if not cells.is_counted(session, watching, cells.source_of(one), timed=one.time_column is not None)
        ]
        first_at = min((one.from_at for one in kept.segments), default=None)
        log_is_counted = cells.is_counted(session, watching, cells.LOG, timed=True, first_at=first_at)
    for batch in new:
        cells.count_batch(workspace, watching, batch, kept.of_batch(batch))
    if kept.segments and not log_is_counted:
        cells.count_log(workspace, watching, kept.segments, None)
    elif grown:
        cells.count_log(workspace, watching, kept.segments, grown)


def _closed(session: Session, monitor_id: int, version_id: int, length: str) -> list[Span]:
    query = select(Window).where(
        col(Window.monitor_id) == monitor_id, col(Window.version_id) == version_id, col(Window.length) == length
    )
    return [Span(row.from_at, row.to_at, row.label) for row in session.exec(query)]


def _spans(settings: MonitorSettings, buckets: Sequence[tuple[datetime, int]], closed: Sequence[Span]) -> list[Span]:
    if settings.window != COUNT:
        return spans_of_buckets([at for at, _ in buckets], settings.window)
    assert settings.window_rows is not None
    return spans_of_rows(buckets, settings.window_rows, closed=closed)


def _timed(
    watched: Watched,
    spans: Sequence[Span],
    touched: Sequence[tuple[datetime, datetime]] | None,
    say: Callable[[float, str], None],
) -> list[ComputedWindow]:
    """Compute windows of time, oldest first, each beside the one before."""
    settings = watched.settings
    length = length_of(settings.window, settings.window_rows)
    wanted = _to_compute(spans, touched, looks_back=max(1, settings.windows_of - 1))
    exceeded = _stored_exceeded(watched, length) if settings.windows_of > 1 else {}
    done: list[ComputedWindow] = []
    last: _Counted | None = None
    for number, place in enumerate(wanted):
        say(number / len(wanted), f"measuring {spans[place].label}")
        if place and (last is None or last.piece.span != spans[place - 1]):
            last = _sum(watched, _Piece(spans[place - 1], length))
        now = _sum(watched, _Piece(spans[place], length))
        earlier = _newest(exceeded, spans[:place], settings.windows_of - 1)
        whole = len(wanted) - number <= LOOKED_AT_TOGETHER
        computed = _window(watched, now, last, earlier, n_looks=len(spans) if whole else 0)
        done.append(computed)
        exceeded.pop(computed.span.label, None)
        if computed.state is not WindowState.NOT_ENOUGH_DATA and settings.windows_of > 1:
            exceeded[computed.span.label] = {_name(one) for one in computed.columns if one.judgement.exceeded}
        last = now
    return done


def _newest(exceeded: Mapping[str, set[Key]], spans: Sequence[Span], n_windows: int) -> list[set[Key]]:
    """What is known of the last so many windows that had enough data, oldest first."""
    found: list[set[Key]] = []
    for span in reversed(spans):
        if len(found) == n_windows:
            break
        if span.label in exceeded:
            found.append(exceeded[span.label])
    return found[::-1]


def _untimed(watched: Watched, batches: Sequence[Batch], wanted: set[int] | None) -> list[ComputedWindow]:
    """Compute the windows of batches without times; k of n is not asked of them, for nothing says what came before."""
    done: list[ComputedWindow] = []
    last: _Counted | None = None
    for batch in batches:
        if batch.time_column is not None or not (wanted is None or wanted):
            continue
        now = _sum(watched, _Piece(Span(batch.added_at, batch.added_at, f"batch {batch.id}"), BATCH, batch))
        if wanted is None or batch.id in wanted:
            done.append(_window(watched, now, last, None, n_looks=max(1, len(batches))))
        last = now
    return done


def _to_compute(
    spans: Sequence[Span], touched: Sequence[tuple[datetime, datetime]] | None, *, looks_back: int
) -> list[int]:
    """Places of the windows that were touched, and of those after that are held beside or counted with them."""
    if touched is None:
        return list(range(len(spans)))
    places: set[int] = set()
    for place, span in enumerate(spans):
        if any(first < span.to_at and last >= span.from_at for first, last in touched):
            places.update(range(place, min(len(spans), place + looks_back + 1)))
    return sorted(places)


def _stored_exceeded(watched: Watched, length: str) -> dict[str, set[Key]]:
    """Which columns were beyond their thresholds in each stored window that had enough data, by its label."""
    of_this = (
        col(Window.monitor_id) == watched.monitor.id,
        col(Window.version_id) == watched.reference.version_id,
        col(Window.length) == length,
        col(Window.state) != WindowState.NOT_ENOUGH_DATA,
    )
    results = (
        sqlalchemy.select(col(Window.label), col(DriftResult.is_prediction), col(DriftResult.feature))
        .join(DriftResult, col(DriftResult.window_id) == col(Window.id))
        .where(*of_this, col(DriftResult.slice) == "", col(DriftResult.exceeded))
    )
    with watched.workspace.read() as session:
        found: dict[str, set[Key]] = {label: set() for label in session.exec(select(Window.label).where(*of_this))}
        for label, is_prediction, feature in session.connection().execute(results):
            found[label].add((is_prediction, feature))
    return found


def _sum(watched: Watched, piece: _Piece) -> _Counted:
    assert watched.monitor.id is not None
    with watched.workspace.read() as session:
        parts = cells.sums(
            session,
            watched.monitor.id,
            watched.reference.version_id,
            span=piece.span if piece.batch is None else None,
            source=None if piece.batch is None else cells.source_of(piece.batch),
        )
    return _Counted(piece, _n_rows(parts.get("", {})), parts)


def _window(
    watched: Watched, now: _Counted, last: _Counted | None, earlier: Sequence[set[Key]] | None, *, n_looks: int
) -> ComputedWindow:
    settings, piece = watched.settings, now.piece
    season = season_of(piece.span.middle, settings.season) if piece.batch is None else ""
    columns = _measured(watched, now, last, season, None, watched.alone if earlier is None else watched.thresholds)
    if earlier is not None:
        columns = [
            replace(
                column,
                state=fires(
                    column.judgement,
                    [_name(column) in one for one in earlier],
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
        for column in _measured(watched, now, last, season, one, watched.alone)
    ]
    performance, whole = _from_rows(watched, piece, season, n_looks)
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
        together=whole,
        firings=_firings(watched, piece.span, columns, performance),
        read_at=watched.read_at,
    )


def _measured(
    watched: Watched,
    now: _Counted,
    last: _Counted | None,
    season: str,
    part: Slice | None,
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
        rows = _rows(watched, now.piece, [column_of(key), *([feature_column(part.column)] if part else [])])
        if part is not None:
            rows = of_slice(rows, part)
        return reference.values(key, some), sample(rows[column_of(key)], kinds[key])

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


def _rows(watched: Watched, piece: _Piece, columns: Sequence[str]) -> pa.Table:
    if piece.batch is not None:
        return watched.kept.of_batch(piece.batch, columns)
    return watched.kept.of_span(piece.span, columns)


def _from_rows(
    watched: Watched, piece: _Piece, season: str, n_looks: int
) -> tuple[WindowPerformance, tuple[WindowFigure, ...] | None]:
    """What only the rows tell; of all columns together only where somebody looks."""
    reference, settings = watched.reference, watched.settings
    slices = reference.slices(settings.slice_columns)
    wanted = watched.performance.columns(slices)
    if n_looks:
        wanted = list(dict.fromkeys([*wanted, *together.columns(reference)]))
    rows = _rows(watched, piece, wanted)
    performance = window_performance(watched.performance, rows, slices)
    if not n_looks:
        return performance, None
    concept = concept_of(watched.performance, rows, n_looks=n_looks)
    some = Some(season, settings.season_column or "" if season else "")
    found = together.together(
        reference, rows, some=some, concept=concept, gap=performance.gap, min_rows=settings.min_rows
    )
    return performance, tuple(found)


def _firings(
    watched: Watched, span: Span, columns: Sequence[MeasuredColumn], performance: WindowPerformance
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
        watched.performance, performance, model=watched.title, window=span.label, min_rows=watched.settings.min_rows
    )
    return tuple(fired)


def _name(column: MeasuredColumn) -> Key:
    return column.is_prediction, column.name


def _n_rows(sketches: Mapping[Key, Sketch]) -> int:
    return max((sketch.n_rows for sketch in sketches.values()), default=0)
