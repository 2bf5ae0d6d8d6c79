"""The job that says what changed settings would have alerted on over past windows; it saves nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from core.drift.calibrating import WindowThresholds
from core.drift.columns import sample
from core.drift.measuring import ColumnMeasure, measure_deciding
from core.drift.replaying import PastEffect, PastWindow, Replay, replay
from core.drift.sketching import Sketch
from core.errors import InvalidInput
from core.jobs.context import JobContext
from core.monitoring import cells, queries
from core.monitoring.alerting import LEAST_REFERENCE_ROWS
from core.monitoring.counting import Key, column_of, count_rows
from core.monitoring.kept_rows import KeptRows, kept_rows
from core.monitoring.monitor_settings import MonitorSettings
from core.monitoring.reference import Reference, Some, reference_of
from core.monitoring.row_dependence import dependence
from core.monitoring.tables import Monitor
from core.monitoring.thresholds import MonitorThresholds, promise_of
from core.monitoring.window_drift import watched_columns
from core.monitoring.windows import (
    COUNT,
    Span,
    bucket_of,
    rows_a_month,
    season_of,
    spans_between,
    spans_of_buckets,
    spans_of_rows,
    windows_a_month,
)
from core.permissions import Permission, require
from core.registry.queries import live
from core.serving.frames import PREDICTION
from core.workspace import Workspace

PREVIEWED = 60
"""How many of the newest windows are looked at."""


@dataclass(frozen=True)
class _Past:
    """One past window as it was measured, and what the changed rule allows it."""

    window: PastWindow
    thresholds: WindowThresholds | None


def preview_rule(workspace: Workspace, context: JobContext) -> None:
    """Try ``settings`` on the past windows of ``monitor_id``; the result is `previewed`'s document."""
    require(context.actor, Permission.MONITOR_EDIT)
    result = previewed(
        workspace,
        monitor_id=context.payload["monitor_id"],
        settings=MonitorSettings.from_json(context.payload["settings"]),
        report=context.report,
    )
    with context.record():
        context.result = result


def previewed(
    workspace: Workspace,
    *,
    monitor_id: int,
    settings: MonitorSettings,
    report: Callable[[float, str], None] = lambda _share, _note: None,
) -> dict[str, Any]:
    """Measure the newest past windows of the version that is live as these settings would, and judge them.

    Returns
    -------
    dict
        ``settings``; ``promised``, false alerts a month; ``n_windows`` that could be judged, ``months`` they lasted,
        ``n_alerts``, ``alerts_a_month`` with its 95 % interval ``low`` to ``high`` (None without a window),
        ``above_promise`` and ``sentence``. ``windows``: oldest first with ``window``, ``enough`` and ``columns`` (the
        names that would have alerted, foremost first). ``would_have_alerted``: those with any. ``thresholds``: of the
        newest window that could be judged, by ``feature``, ``is_prediction`` and ``test``. ``dependence``: how its rows
        hang together, as `row_dependence.dependence` says it.

    Raises
    ------
    InvalidInput
        Nothing is live.
    """
    with workspace.read() as session:
        monitor = queries.monitor(session, monitor_id)
        deployment = live(session, model_id=monitor.model_id, environment=monitor.environment, alias=monitor.alias)
        if deployment is None:
            raise InvalidInput("Nothing is live here any more, so there are no windows to try settings on.")
        version_id = deployment.version_id
        kept = kept_rows(workspace, session, monitor, version_id)
        buckets = cells.buckets(session, monitor_id, version_id)
    reference = reference_of(workspace, version_id)
    a_month = windows_a_month(settings.window, window_rows=settings.window_rows, rows_a_month=rows_a_month(buckets))
    promise = promise_of(settings, a_month)
    thresholds = MonitorThresholds(workspace, monitor_id, settings, reference, promise, keeps=False)
    past = []
    spans = _spans(settings, monitor, buckets)[-PREVIEWED:]
    for number, span in enumerate(spans):
        report(number / len(spans), f"measuring {span.label}")
        past.append(_past(workspace, monitor, settings, thresholds, kept, span))
    told = [one for one in past if one.thresholds is not None]
    found = replay(
        [one.window for one in told],
        [one.thresholds for one in told if one.thresholds is not None],
        promise,
        settings.min_effect,
    )
    newest = told[-1] if told else None
    found_of = {} if newest is None or newest.thresholds is None else newest.thresholds.calibrated.dependence
    how = dependence(found_of, settings, thresholds.time_column)
    return {"settings": settings.to_json(), "dependence": how} | _document(found, past, newest)


def _spans(settings: MonitorSettings, monitor: Monitor, buckets: Sequence[tuple[datetime, int]]) -> list[Span]:
    starts = [at for at, _ in buckets]
    if settings.window == COUNT:
        assert settings.window_rows is not None
        return spans_of_rows(buckets, settings.window_rows)
    if _needs_rows(settings, monitor):
        days = starts[-(PREVIEWED // 24 + 1) :]
        return [hour for day in days for hour in spans_between(day, day + timedelta(hours=23), "hour")]
    return spans_of_buckets(starts, settings.window)


def _needs_rows(settings: MonitorSettings, monitor: Monitor) -> bool:
    """Whether windows of hours are asked for while days are counted."""
    return bucket_of(settings.window) == "hour" and bucket_of(monitor.window) == "day"


def _counted(
    workspace: Workspace, monitor: Monitor, settings: MonitorSettings, reference: Reference, kept: KeptRows, span: Span
) -> Mapping[Key, Sketch]:
    if _needs_rows(settings, monitor):
        found = count_rows(kept.of_span(span), reference.bases, bucket=None, at=span.from_at)
        return found[0].sketches if found else {}
    assert monitor.id is not None
    with workspace.read() as session:
        return cells.sums(session, monitor.id, reference.version_id, span=span).get("", {})


def _past(
    workspace: Workspace,
    monitor: Monitor,
    settings: MonitorSettings,
    thresholds: MonitorThresholds,
    kept: KeptRows,
    span: Span,
) -> _Past:
    reference = thresholds.reference
    current = _counted(workspace, monitor, settings, reference, kept, span)
    n_rows = max((sketch.n_rows for sketch in current.values()), default=0)
    if n_rows < settings.min_rows:
        return _Past(PastWindow(span.label, {}), None)
    season = season_of(span.middle, settings.season)
    some = Some(season, settings.season_column or "" if season else "")
    kinds = watched_columns(reference.kinds, current)
    against = reference.sketches([some])[some]
    effects = {}
    for key, kind in kinds.items():
        if key not in current:
            continue
        chosen = None if key[0] else settings.tests.get(key[1])
        found = measure_deciding(against[key], current[key], kind, chosen)
        if found.too_coarse:
            column = column_of(key)
            samples = reference.values(key, some), sample(kept.of_span(span, [column])[column], kind)
            found = measure_deciding(*samples, kind, chosen)
        if found.n_reference >= LEAST_REFERENCE_ROWS:
            effects[key] = _effects(found)
    return _Past(PastWindow(span.label, effects), thresholds.of(kinds, some, n_rows))


def _effects(found: ColumnMeasure) -> list[PastEffect]:
    return [PastEffect(one.test, one.effect, one.n_current) for one in found.deciding if one.effect is not None]


def _document(found: Replay, past: Sequence[_Past], newest: _Past | None) -> dict[str, Any]:
    alerts = {window.label: [_name(key) for key in window.columns] for window in found.windows}
    windows = [
        {"window": one.window.label, "enough": one.thresholds is not None, "columns": alerts.get(one.window.label, [])}
        for one in past
    ]
    return {
        "promised": found.promised,
        "n_windows": len(found.windows),
        "months": found.months,
        "n_alerts": found.n_alerts,
        "alerts_a_month": found.alerts_a_month,
        "low": found.low,
        "high": found.high,
        "above_promise": found.above_promise,
        "sentence": found.sentence,
        "windows": windows,
        "would_have_alerted": [one for one in windows if one["columns"]],
        "thresholds": [] if newest is None else _allowed(newest),
    }


def _allowed(one: _Past) -> list[dict[str, Any]]:
    assert one.thresholds is not None
    return [
        {
            "feature": _name(key),
            "is_prediction": key[0],
            "test": effect.test,
            "threshold": one.thresholds.of(key, effect.test, effect.n_current),
        }
        for key, effects in one.window.effects.items()
        for effect in effects
    ]


def _name(key: Key) -> str:
    return PREDICTION if key[0] else key[1]
