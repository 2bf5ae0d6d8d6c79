"""Computing windows anew: which of them, in which order, and beside what. `recording` writes them.

What flowed in is counted once (`cells`); a window is a sum of what is counted, held against the version's reference,
which is counted once too, and against the window before (`one_window`).
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import sqlalchemy
from sqlmodel import Session, col, select

from core.database import utc_now
from core.monitoring import cells, queries
from core.monitoring.counting import Key
from core.monitoring.kept_rows import KeptRows, kept_rows
from core.monitoring.monitor_settings import MonitorSettings, settings_of
from core.monitoring.one_window import ComputedWindow, Counted, Piece, Watched, computed_window, counted, emptied_window
from core.monitoring.performance_watch import performance_watch
from core.monitoring.reference import Reference, reference_of
from core.monitoring.tables import Batch, BucketSketch, CountedSource, DriftResult, Window, WindowState
from core.monitoring.thresholds import MonitorThresholds, promise_of
from core.monitoring.window_edges import Stream
from core.monitoring.windows import (
    BATCH,
    BUCKETS,
    COUNT,
    Bucket,
    Span,
    bucket_of,
    holds_rows,
    length_of,
    rows_a_month,
    spans_of_buckets,
    spans_of_rows,
    windows_a_month,
)
from core.registry.tables import RegisteredModel
from core.workspace import Workspace

LOOKED_AT_TOGETHER = 30
"""How many of the newest windows a computation looks at as a whole: it costs half a second each."""


def compute_windows(
    workspace: Workspace,
    *,
    monitor_id: int,
    version_id: int,
    touched: Sequence[tuple[datetime, datetime]] | None,
    batch_ids: Sequence[int] | None = None,
    grown: Sequence[tuple[datetime, datetime]] = (),
    report: Callable[[float, str], None] | None = None,
    tell: Callable[[str], None] | None = None,
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
    tell : callable, optional
        Told what is wrong with what flowed in, a sentence each.

    Returns
    -------
    list of ComputedWindow
        Oldest first. Where all are computed, recorded windows of which no row is left are among them, with no figure.
    """
    say = report or (lambda _share, _note: None)
    # Taken before anything is read: whoever reads later knows more, so their figures win (`recording`).
    read_at = utc_now()
    _set_right(workspace, monitor_id, version_id, read_at)
    with workspace.read() as session:
        monitor = queries.monitor(session, monitor_id)
        model = session.get(RegisteredModel, monitor.model_id)
        assert model is not None
        kept = kept_rows(workspace, session, monitor, version_id)
    settings = settings_of(monitor)
    say(0.0, "counting")
    reference = reference_of(workspace, version_id)
    if _count(kept, cells_of(monitor_id, settings, reference, read_at), grown, tell or (lambda _sentence: None)):
        touched = None
    with workspace.read() as session:
        buckets = cells.buckets(session, monitor_id, version_id)
        kept = replace(kept, reach=cells.reach(session, monitor_id, version_id))
        stored = _stored(session, monitor_id, version_id)
    length = length_of(settings.window, settings.window_rows)
    starts, bucket = [at for at, _ in buckets], bucket_of(settings.window)
    gone = _gone(stored, starts, bucket, kept.batches)
    before = {one.span.label: one for one in stored if one.length == length and one not in gone}
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
        stream=Stream(monitor_id, version_id, kept, buckets, read_at),
        performance=performance_watch(workspace, version=reference.version, now=read_at),
        read_at=read_at,
    )
    wanted = None if batch_ids is None and touched is None else set(batch_ids or ())
    spans = _spans(settings, buckets, [one.span for one in before.values()])
    open_ended = {label for label, one in before.items() if _is_open_ended(one, starts, bucket)}
    done = _timed(watched, spans, touched, _Recorded(frozenset(before), frozenset(open_ended)), say)
    done += _untimed(watched, kept.batches, wanted)
    if touched is None:
        done += [emptied_window(watched, length=one.length, span=one.span) for one in gone]
    return sorted(done, key=lambda window: window.span)


def _set_right(workspace: Workspace, monitor_id: int, version_id: int, read_at: datetime) -> None:
    """Let nothing that is stored by now count as read later: it was dated while the clock was ahead."""
    ahead = {
        table: (
            col(table.monitor_id) == monitor_id,
            col(table.version_id) == version_id,
            col(table.read_at) > read_at,
        )
        for table in (Window, CountedSource, BucketSketch)
    }
    with workspace.read() as session:
        # Not asked of the buckets, which are many: a window or a source is dated with them.
        found = [
            session.exec(select(table.read_at).where(*ahead[table]).limit(1)).first()
            for table in (Window, CountedSource)
        ]
    if not any(found):
        return
    with workspace.write() as session:
        for table, which in ahead.items():
            session.connection().execute(sqlalchemy.update(table).where(*which).values(read_at=read_at))


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


def _count(
    kept: KeptRows,
    watching: cells.Watching,
    grown: Sequence[tuple[datetime, datetime]],
    tell: Callable[[str], None],
) -> bool:
    """Count what was never counted in these buckets and slices, and the log where it has grown.

    Rows of the log that are still missing after all of it was read are told, and nobody looks for them again until
    their number is another.

    Returns
    -------
    bool
        Whether rows of the log had been left out before: a clock that was ahead for a while lets segments look as if
        they had been counted. They are now, wherever they lie.
    """
    workspace = kept.workspace
    with workspace.read() as session:
        new = [
            one
            for one in kept.batches
            if not cells.is_counted(session, watching, cells.source_of(one), timed=one.time_column is not None)
        ]
        log_is_counted = cells.is_counted(session, watching, cells.LOG, timed=True)
    for batch in new:
        cells.count_batch(workspace, watching, batch, kept.of_batch(batch))
    if not kept.segments:
        return False
    if log_is_counted and grown:
        cells.count_log(workspace, watching, kept.segments, grown)
    with workspace.read() as session:
        n_short, known = cells.n_short(session, watching, kept.segments), cells.known_short(session, watching)
    if log_is_counted and n_short == known:
        return False
    cells.count_log(workspace, watching, kept.segments, None)
    with workspace.read() as session:
        n_short = cells.known_short(session, watching)
    if n_short:
        n_all = sum(one.n_rows for one in kept.segments)
        tell(
            f"{n_short:,} of {n_all:,} rows that the log is said to hold are in none of its files, or bear no time. "
            "The windows go without them; the log is read whole again when their number changes."
        )
    return log_is_counted


@dataclass(frozen=True)
class _Stored:
    """A window that is recorded with rows, and when those were read."""

    length: str
    span: Span
    read_at: datetime


@dataclass(frozen=True)
class _Recorded:
    """Labels of the windows that are recorded, and of those among them that may have ended before their end."""

    labels: frozenset[str] = frozenset()
    open_ended: frozenset[str] = frozenset()


def _stored(session: Session, monitor_id: int, version_id: int) -> list[_Stored]:
    """Every window of a version that is recorded with rows, however it was cut."""
    query = select(Window).where(
        col(Window.monitor_id) == monitor_id, col(Window.version_id) == version_id, col(Window.n_rows) > 0
    )
    return [_Stored(one.length, Span(one.from_at, one.to_at, one.label), one.read_at) for one in session.exec(query)]


def _gone(
    stored: Sequence[_Stored], starts: Sequence[datetime], bucket: Bucket, batches: Sequence[Batch]
) -> list[_Stored]:
    """Those of the recorded windows of which no row is left: they held a batch that came to nothing."""
    untimed = {cells.source_of(one) for one in batches if one.time_column is None}
    return [
        one
        for one in stored
        if not (one.span.label in untimed if one.length == BATCH else holds_rows(one.span, starts, bucket))
    ]


def _is_open_ended(one: _Stored, starts: Sequence[datetime], bucket: Bucket) -> bool:
    """Whether it was not known how a window ends: it still ran, or its last bucket is empty."""
    last = replace(one.span, from_at=one.span.to_at - BUCKETS[bucket])
    return one.read_at < one.span.to_at or not holds_rows(last, starts, bucket)


def _spans(settings: MonitorSettings, buckets: Sequence[tuple[datetime, int]], closed: Sequence[Span]) -> list[Span]:
    if settings.window != COUNT:
        return spans_of_buckets([at for at, _ in buckets], settings.window)
    assert settings.window_rows is not None
    return spans_of_rows(buckets, settings.window_rows, closed=closed)


def _timed(
    watched: Watched,
    spans: Sequence[Span],
    touched: Sequence[tuple[datetime, datetime]] | None,
    recorded: _Recorded,
    say: Callable[[float, str], None],
) -> list[ComputedWindow]:
    """Compute windows of time, oldest first, each beside the one before."""
    settings = watched.settings
    length = length_of(settings.window, settings.window_rows)
    exceeded = _stored_exceeded(watched, length) if settings.windows_of > 1 else {}
    wanted = _to_compute(spans, touched, exceeded, recorded, looks_back=settings.windows_of - 1)
    done: list[ComputedWindow] = []
    last: Counted | None = None
    for number, place in enumerate(wanted):
        say(number / len(wanted), f"measuring {spans[place].label}")
        if place and (last is None or last.piece.span != spans[place - 1]):
            last = counted(watched, Piece(spans[place - 1], length))
        now = counted(watched, Piece(spans[place], length))
        earlier = _newest(exceeded, spans[:place], settings.windows_of - 1)
        whole = len(wanted) - number <= LOOKED_AT_TOGETHER
        computed = computed_window(watched, now, last, earlier, n_looks=len(spans) if whole else 0)
        done.append(computed)
        exceeded.pop(computed.span.label, None)
        if computed.state is not WindowState.NOT_ENOUGH_DATA and settings.windows_of > 1:
            exceeded[computed.span.label] = computed.exceeded()
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
    last: Counted | None = None
    for batch in batches:
        if batch.time_column is not None or not (wanted is None or wanted):
            continue
        now = counted(watched, Piece(Span(batch.added_at, batch.added_at, cells.source_of(batch)), BATCH, batch))
        if wanted is None or batch.id in wanted:
            done.append(computed_window(watched, now, last, None, n_looks=max(1, len(batches))))
        last = now
    return done


def _to_compute(
    spans: Sequence[Span],
    touched: Sequence[tuple[datetime, datetime]] | None,
    judged: Container[str],
    recorded: _Recorded,
    *,
    looks_back: int,
) -> list[int]:
    """Places of the windows that were touched, and of those after that are held beside or counted with them.

    k of n counts only windows that had enough data, here ``judged`` by their labels, so it reaches past the others. The
    window before one that is new is among them where it was not known how it ends: now it is.
    """
    if touched is None:
        return list(range(len(spans)))
    places: list[int] = []
    beside, left = False, 0
    for place, span in enumerate(spans):
        hit = any(first < span.to_at and last >= span.from_at for first, last in touched)
        if hit and place and span.label not in recorded.labels and spans[place - 1].label in recorded.open_ended:
            places.append(place - 1)
        if hit or beside or left:
            places.append(place)
        left = looks_back if hit else max(0, left - (span.label in judged))
        beside = hit
    return sorted(set(places))


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
