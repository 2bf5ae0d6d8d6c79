"""How each live version is: one row per version that holds an alias, worst first, and the sentence above them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session

from core.evaluation.metrics import METRICS, primary_metric
from core.monitoring import alert_queries, performance_queries, window_queries
from core.monitoring import queries as monitoring
from core.monitoring.queries import MonitorRow
from core.monitoring.tables import Source, WindowState
from core.registry import queries as registry
from core.registry.queries import LiveRow
from core.serving import queries as serving
from core.training import queries as training
from dashboard import theme
from dashboard.theme import Role

SHOWN_WINDOWS = 30
FROM = {Source.REALISED: "", Source.CORRECTED: "corrected ", Source.ESTIMATED: "estimated "}
"""What is said of where a figure comes from; nothing where labels say it."""


@dataclass(frozen=True)
class LiveModel:
    """A live version and how it is.

    Parameters
    ----------
    live : LiveRow
    monitor : MonitorRow or None
    word, role : str, Role
        The state as a status: "Healthy", "Needs attention", "Not watched", "No data yet".
    sentence : str
        The state in words.
    metric, metric_source : str
        The primary metric with its interval, and where it is from: the newest window with a figure to be believed, or
        the evaluation at release.
    drifted_by_window : tuple of float
        Drifted features of the newest windows, oldest first.
    last_prediction_at : datetime or None
    """

    live: LiveRow
    monitor: MonitorRow | None
    word: str
    role: Role
    sentence: str
    metric: str
    metric_source: str
    drifted_by_window: tuple[float, ...]
    last_prediction_at: datetime | None

    @property
    def needs_attention(self) -> bool:
        """Whether somebody should look."""
        return self.role in {"attention", "harm"}


def live_models(session: Session) -> list[LiveModel]:
    """Every version that holds an alias, those that need attention first, then by name."""
    monitors = {(row.model_id, row.environment, row.alias): row for row in monitoring.list_monitors(session)}
    predicted = serving.last_predictions_at(session)
    # The newest of what windows do not tell: silence, lateness.
    silent = {
        alert.monitor_id: alert.sentence for alert in alert_queries.open_alerts(session)[::-1] if not alert.window_id
    }
    rows = [
        _live_model(session, live, monitors.get((live.model_id, live.environment, live.alias)), predicted, silent)
        for live in registry.live_now(session)
    ]
    order: dict[Role, int] = {"harm": 0, "attention": 1, "neutral": 2, "healthy": 3}
    return sorted(rows, key=lambda row: (order.get(row.role, 9), row.live.model_name, row.live.alias))


def status_of(monitor: MonitorRow | None) -> tuple[str, Role]:
    """Put a monitor's state in a word and a colour role; silence is never health."""
    if monitor is None:
        return "Not watched", "neutral"
    if monitor.open_alerts or monitor.state == WindowState.DRIFTED:
        return "Needs attention", "attention"
    if monitor.state == WindowState.QUIET:
        return "Healthy", "healthy"
    return "Too little data" if monitor.state == WindowState.NOT_ENOUGH_DATA else "No data yet", "neutral"


def headline(models: Sequence[LiveModel]) -> str:
    """The one sentence on top: how many are healthy, and the first that needs attention with its reason."""
    if not models:
        return "No model is live yet."
    healthy = sum(model.role == "healthy" for model in models)
    noun = "live model is" if len(models) == 1 else "live models are"
    first = f"{healthy} of {len(models)} {noun} healthy."
    worst = models[0]
    if worst.needs_attention:
        return f"{first} {worst.live.model_name} needs attention: {worst.sentence[:1].lower()}{worst.sentence[1:]}"
    unknown = len(models) - healthy
    return first if not unknown else f"{first} {theme.count(unknown, 'model')} cannot be judged yet."


def _live_model(
    session: Session,
    live: LiveRow,
    monitor: MonitorRow | None,
    predicted: dict[int, datetime],
    silent: dict[int | None, str],
) -> LiveModel:
    word, role = status_of(monitor)
    sentence = monitor.sentence if monitor else "Nothing watches it."
    if monitor is not None and monitor.id in silent:
        told = silent[monitor.id].removeprefix(f"{live.model_name} {live.alias}: ")
        sentence = f"{told[:1].upper()}{told[1:]}"
    counts = window_queries.drifted_counts(session, monitor.id, limit=SHOWN_WINDOWS) if monitor else []
    metric, source = _primary_metric(session, live, monitor)
    return LiveModel(
        live=live,
        monitor=monitor,
        word=word,
        role=role,
        sentence=sentence,
        metric=metric,
        metric_source=source,
        drifted_by_window=tuple(float(count) for count in counts),
        last_prediction_at=predicted.get(live.model_id) or (monitor.last_prediction_at if monitor else None),
    )


def _primary_metric(session: Session, live: LiveRow, monitor: MonitorRow | None) -> tuple[str, str]:
    model = registry.model(session, live.model_id)
    key = primary_metric(model.task)
    title = METRICS[key].title
    if monitor is not None:
        newest = performance_queries.newest_figure(session, monitor.id, key=key, version_id=live.version_id)
        if newest is not None:
            told = f"{title} {FROM[Source(newest.source)]}in {newest.window}"
            return theme.interval(newest.value, newest.low, newest.high), told
    released = training.fixed_metric(session, registry.version(session, live.version_id).run_id, key)
    if released is None:
        return theme.MISSING, f"{title} not known"
    return theme.interval(released.value, released.low, released.high), f"{title} at release"
