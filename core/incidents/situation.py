"""What the consequences of remedies depend on, read from what is stored."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sqlmodel import Session, col, func, select

from core.datasets.queries import version_label as dataset_label
from core.datasets.tables import ColumnKind, DatasetVersion
from core.incidents.remedies import Situation
from core.incidents.signs import SIGNS
from core.monitoring.tables import Monitor, PerformanceResult, Season, Source, Window
from core.monitoring.windows import BATCH, length_of
from core.registry import queries as registry
from core.registry.tables import ModelVersion
from core.training.tables import Run

MOMENTS = (ColumnKind.DATE, ColumnKind.TIMESTAMP)


def situation_of(
    session: Session, *, monitor_id: int | None, findings: Mapping[str, Any], since: datetime
) -> Situation:
    """The situation of an incident, or of a window that was triaged.

    Parameters
    ----------
    monitor_id : int or None
        None for the installation: then only what the cause says is known.
    findings : mapping
        The document `triage` made.
    since : datetime
        Since when the data shows it, in the data's own time.
    """
    cause = str(findings["cause"])
    monitor = None if monitor_id is None else session.get(Monitor, monitor_id)
    if monitor is None:
        return Situation(cause=cause, since=since)
    live = registry.live(session, model_id=monitor.model_id, environment=monitor.environment, alias=monitor.alias)
    back_to = registry.rollback_target(
        session, model_id=monitor.model_id, environment=monitor.environment, alias=monitor.alias
    )
    known: dict[str, Any] = {
        "monitor_id": monitor_id,
        "model_id": monitor.model_id,
        "season_watched": monitor.season != Season.NONE,
    }
    if back_to is not None:
        known |= {
            "earlier": registry.version_label(session, back_to),
            "earlier_features": frozenset(_feature_names(registry.version(session, back_to))),
        }
    if live is not None:
        version = registry.version(session, live.version_id)
        known |= {
            "live": registry.version_label(session, live.version_id),
            "live_since": live.from_at,
            "n_features": len(_feature_names(version)),
            "n_labelled": _n_labelled(session, monitor, live.version_id, since),
            **_data(session, session.get_one(Run, version.run_id), since),
        }
    features = list(findings.get("features", []))
    return Situation(
        cause=cause,
        since=since,
        faulty=tuple(one["name"] for one in features if _faulty(one)),
        drifted=tuple(one["name"] for one in features if one["drifted"] and not _faulty(one)),
        importance={one["name"]: one["importance"] for one in features if one["importance"] is not None},
        **known,
    )


def _faulty(feature: Mapping[str, Any]) -> bool:
    return any(SIGNS[key].speaks == "fault" for key in feature["sign_keys"] if key in SIGNS)


def _feature_names(version: ModelVersion) -> list[str]:
    return [str(feature["name"]) for feature in version.signature.get("features", [])]


def _n_labelled(session: Session, monitor: Monitor, version_id: int, since: datetime) -> int:
    """Labelled production rows of a version from a moment on: what it answered, it was not trained on.

    By the windows they lie in, so by the rows' own time; those of a batch without times by when it was added. A row
    lies in one window of each length that was ever cut by; it counts once.
    """
    per_window = (
        select(func.max(col(PerformanceResult.n_labelled)).label("n"))
        .join(Window, col(Window.id) == col(PerformanceResult.window_id))
        .where(
            Window.monitor_id == monitor.id,
            Window.version_id == version_id,
            Window.from_at >= since,
            col(Window.length).in_((length_of(monitor.window, monitor.window_rows), BATCH)),
            PerformanceResult.slice == "",
            PerformanceResult.source == Source.REALISED,
        )
        .group_by(col(Window.id))
        .subquery()
    )
    return int(session.exec(select(func.coalesce(func.sum(per_window.c.n), 0))).one())


def _data(session: Session, run: Run, since: datetime) -> dict[str, Any]:
    trained = session.get_one(DatasetVersion, run.dataset_version_id)
    newest = session.exec(
        select(DatasetVersion)
        .where(
            DatasetVersion.dataset_id == trained.dataset_id,
            DatasetVersion.number > trained.number,
            col(DatasetVersion.quarantined_at).is_(None),
        )
        .order_by(col(DatasetVersion.number).desc())
    ).first()
    found: dict[str, Any] = {
        "n_train": run.n_train or 0,
        "dataset_id": trained.dataset_id,
        "dataset_number": trained.number,
        "dataset_version_id": trained.id,
    }
    if newest is not None:
        added = newest.n_rows - trained.n_rows if newest.relation == "adds_to" else newest.n_rows
        found |= {
            "newer_version": newest.id,
            "newer_label": dataset_label(session, newest.id or 0),
            "newer_number": newest.number,
            "newer_rows": round(max(0, added) * _share_since(newest, since)),
        }
    return found


def _share_since(data: DatasetVersion, since: datetime) -> float:
    """The part of the rows' own time that lies after a moment; all of it where they have no time, or several.

    Rows are taken to come evenly: the profile keeps the first and the last moment.
    """
    times = [one for one in data.profile.get("columns", ()) if one.get("kind") in MOMENTS and one.get("min")]
    if len(times) != 1:
        return 1.0
    first, last = (_moment(times[0][end]) for end in ("min", "max"))
    if last <= first:
        return float(first >= since)
    return min(1.0, max(0.0, (last - since) / (last - first)))


def _moment(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)
