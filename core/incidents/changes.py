"""What changed just before a window: what answers, the data it was trained on, how many rows come in."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from statistics import median

from sqlmodel import Session, col, select

from core.datasets.queries import version_label
from core.datasets.tables import DatasetVersion
from core.incidents.evidence import Change
from core.monitoring.kept_rows import is_timed
from core.monitoring.tables import Monitor, Window, WindowState
from core.registry.tables import Deployment, ModelVersion, RegisteredModel
from core.training.tables import Run

USUAL_FROM = 3
HALF, DOUBLE = 0.5, 2.0


def changes_before(
    session: Session, monitor: Monitor, window: Window, before: Sequence[Window], run: Run, now: datetime
) -> tuple[Change, ...]:
    """What changed from the beginning of the last quiet window on, until this one ended."""
    quiet = [one for one in before if one.state == WindowState.QUIET]
    from_at = quiet[-1].from_at if quiet else window.from_at - max(window.to_at - window.from_at, timedelta(days=1))
    span = (from_at, max(window.to_at, window.from_at))
    return (
        *_deployments(session, monitor, *span),
        *_datasets(session, run, *span),
        *_volume(window, before, now),
    )


def _deployments(session: Session, monitor: Monitor, from_at: datetime, to_at: datetime) -> list[Change]:
    model = session.get_one(RegisteredModel, monitor.model_id)
    query = (
        select(Deployment, ModelVersion.number)
        .join(ModelVersion, col(ModelVersion.id) == col(Deployment.version_id))
        .where(
            Deployment.model_id == monitor.model_id,
            Deployment.environment == monitor.environment,
            Deployment.alias == monitor.alias,
        )
        .order_by(col(Deployment.from_at), col(Deployment.id))
    )
    changes, last = [], None
    for row, number in session.exec(query):
        # The first deployment replaced nothing, so nothing changed with it.
        if last is not None and from_at <= row.from_at <= to_at:
            changes.append(
                Change(
                    "deployment",
                    f"{model.name} v{number} went live in place of v{last} ({row.cause}) on {_stamp(row.from_at)}.",
                    row.from_at,
                )
            )
        last = number
    return changes


def _datasets(session: Session, run: Run, from_at: datetime, to_at: datetime) -> list[Change]:
    trained = session.get_one(DatasetVersion, run.dataset_version_id)
    query = select(DatasetVersion).where(
        DatasetVersion.dataset_id == trained.dataset_id,
        DatasetVersion.created_at >= from_at,
        DatasetVersion.created_at <= to_at,
        DatasetVersion.id != trained.id,
    )
    return [
        Change(
            "dataset", f"{version_label(session, one.id or 0)} was added on {_stamp(one.created_at)}.", one.created_at
        )
        for one in session.exec(query)
    ]


def _volume(window: Window, before: Sequence[Window], now: datetime) -> list[Change]:
    """More or fewer rows than usual; a window that is not over yet is not judged."""
    if len(before) < USUAL_FROM or not is_timed(window) or window.to_at > now:
        return []
    usual = median(one.n_rows for one in before)
    if usual and HALF <= window.n_rows / usual <= DOUBLE:
        return []
    return [Change("volume", f"{window.n_rows:,} rows came in, where {usual:,.0f} are usual.", window.to_at)]


def _stamp(at: datetime) -> str:
    return f"{at:%-d %b %Y, %H:%M} UTC"
