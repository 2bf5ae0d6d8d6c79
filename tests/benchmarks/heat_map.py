"""A year of days of a monitor with a hundred features: the squares read, and the page that draws them.

python -m tests.benchmarks.heat_map [ROUNDS]
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sqlalchemy import insert
from sqlmodel import Session, SQLModel, col, select

from core.cli.demo.narrator import Narrator
from core.cli.demo.people import Cast
from core.database import utc_now
from core.estimation.maturity import EDGES
from core.incidents import kept_triage, opening
from core.incidents.service import record_incident
from core.incidents.tables import Incident, IncidentState
from core.monitoring import alert_queries, drift_queries, window_queries
from core.monitoring.drift_queries import DriftMap
from core.monitoring.service import edit_monitor, ensure_monitor
from core.monitoring.tables import (
    Alert,
    AlertState,
    Batch,
    BucketSketch,
    DriftResult,
    LabelArrival,
    PerformanceResult,
    Source,
    Window,
    WindowMeasure,
)
from core.permissions import Role
from core.registry.service import assign
from core.registry.tables import Alias, Cause, Environment
from core.settings import Settings
from core.workspace import Workspace, opened
from dashboard.charts.monitoring import FEATURES_SHOWN
from tests.benchmarks.figures import Figure, cpu_ms, sampled, table, wall_ms, worst
from tests.benchmarks.homes import peopled_home
from tests.benchmarks.pages import FRESH_S, INSIDE_S, scripts, settled
from tests.benchmarks.scripts import Visit
from tests.benchmarks.visiting import browsing, running

N_DAYS, N_FEATURES = 365, 100
MEASURED_DAYS, ROWS_A_DAY, TRAINED_ROWS = 7, 600, 4_000
N_INTEGERS, N_CATEGORIES, N_BOOLEANS = 20, 20, 4
N_INCIDENTS = 6
QUERY_S, REPEATS = 0.3, 15


def rows(n_rows: int, first: datetime, days: int, *, seed: int, moved: float = 0.0) -> pd.DataFrame:
    """Rows of a hundred features, a label that follows from some, and when each was; one feature is a date.

    Parameters
    ----------
    moved : float
        How far five of the numbers lie from where they were, in their standard deviations.
    """
    rng = np.random.default_rng(seed)
    n_numbers = N_FEATURES - N_INTEGERS - N_CATEGORIES - N_BOOLEANS - 1
    numbers = rng.normal(size=(n_rows, n_numbers)).round(4)
    numbers[:, :5] += moved
    at = pd.Timestamp(first.replace(tzinfo=None)) + pd.to_timedelta(np.sort(rng.random(n_rows)) * days, unit="D")
    columns: dict[str, Any] = {f"number_{place:02}": numbers[:, place] for place in range(n_numbers)}
    columns |= {f"count_{place:02}": rng.poisson(3 + place, n_rows) for place in range(N_INTEGERS)}
    columns |= {
        f"kind_{place:02}": rng.choice([f"k{one}" for one in range(2 + place)], n_rows) for place in range(N_CATEGORIES)
    }
    columns |= {f"flag_{place}": rng.random(n_rows) < 0.3 for place in range(N_BOOLEANS)}
    signal = numbers[:, :8].sum(axis=1) / 2 + rng.normal(size=n_rows)
    return pd.DataFrame(
        columns
        | {
            "signed_on": at.floor("D").strftime("%Y-%m-%d"),
            "at": at.floor("s").strftime("%Y-%m-%dT%H:%M:%S"),
            "label": np.where(signal > 0, "yes", "no"),
        }
    )


def fill(workspace: Workspace) -> int:
    """A live model, a week of its days measured as ever, and that week's results told again for a year; the monitor."""
    now = utc_now()
    newest = now.replace(hour=0, minute=0, second=0, microsecond=0)
    narrator, cast = peopled_home(workspace, ago=timedelta(days=N_DAYS + 30))
    model_id, monitor_id = _live(narrator, cast, newest - timedelta(days=N_DAYS + 60))
    first = newest - timedelta(days=MEASURED_DAYS)
    half = MEASURED_DAYS // 2
    for seed, (start, days, moved) in enumerate(((0, half, 0.0), (half, MEASURED_DAYS - half, 0.4)), start=1):
        frame = rows(ROWS_A_DAY * days, first + timedelta(days=start), days, seed=seed, moved=moved)
        narrator.add_batch(model_id, frame, file_name=f"week {seed}.csv", time_column="at", who=cast.olga)
    _incident(workspace, monitor_id, cast, now)
    with workspace.read() as session:
        measured = [one.id or 0 for one in window_queries.windows(session, monitor_id)]
    found = {one: opening.triage_now(workspace, monitor_id=monitor_id, window_id=one, now=now) for one in measured}
    with workspace.write() as session:
        copies = _tell_again(session, monitor_id)
        # Else the worker would look into a year of windows while the page is timed.
        for window_id, told in {**{one: one for one in measured}, **copies}.items():
            mark = kept_triage.mark_of(session, session.get_one(Window, window_id))
            kept_triage.put(session, window_id=window_id, mark=mark, triage=found[told], now=now)
        assert not kept_triage.waiting(session, monitor_id)
    return monitor_id


def _live(narrator: Narrator, cast: Cast, first: datetime) -> tuple[int, int]:
    frame = rows(TRAINED_ROWS, first, 30, seed=0)
    version_id = narrator.add_version(
        frame, dataset="wide", file_name="wide.csv", who=cast.sam, target="label", time_column="at"
    )
    features = [name for name in frame.columns if name not in {"at", "label"}]
    run_id = narrator.train(
        version_id, target="label", features=features, algorithm="logistic_regression", who=cast.sam
    )
    model_version = narrator.register(run_id, model="wide", who=cast.sam)
    with narrator.workspace.write() as session:
        deployment = assign(
            session,
            version_id=model_version,
            environment=Environment.PRODUCTION,
            alias=Alias.CHAMPION,
            cause=Cause.PROMOTION,
            actor=cast.sam,
            now=narrator.now,
        )
        place = {"environment": Environment.PRODUCTION, "alias": Alias.CHAMPION}
        monitor = ensure_monitor(session, model_id=deployment.model_id, now=narrator.now, **place)
        edit_monitor(session, monitor_id=monitor.id or 0, window="day", actor=cast.olga, now=narrator.now)
        return deployment.model_id, monitor.id or 0


def _incident(workspace: Workspace, monitor_id: int, cast: Cast, now: datetime) -> None:
    with workspace.read() as session:
        newest = window_queries.windows(session, monitor_id)[-1]
        alerts = alert_queries.alerts(session, monitor_id=monitor_id)
    found = opening.triage_now(workspace, monitor_id=monitor_id, window_id=newest.id, now=now)
    with workspace.write() as session:
        record_incident(
            session,
            monitor_id=monitor_id,
            window=session.get(Window, newest.id),
            alerts=[session.get_one(Alert, one.id) for one in alerts],
            triage=found,
            since_at=newest.from_at,
            actor=cast.olga,
            now=now,
        )


def _tell_again(session: Session, monitor_id: int) -> dict[int, int]:
    """Copy the measured days into the past, week before week: windows, results, cells, alerts, batches, incidents.

    Returns
    -------
    dict
        The id of each copy of a window, and the id of the window it is a copy of.
    """
    made: dict[int, int] = {}
    measured = window_queries.windows(session, monitor_id)
    for back in range(1, -(-N_DAYS // MEASURED_DAYS)):
        ago = timedelta(days=back * MEASURED_DAYS)
        told = measured if (back + 1) * MEASURED_DAYS <= N_DAYS else measured[-(N_DAYS % MEASURED_DAYS) :]
        copies = {}
        for window in told:
            at = window.from_at - ago
            spans = {"from_at": at, "to_at": window.to_at - ago, "label": at.strftime("%Y-%m-%d")}
            copy = Window(**window.model_dump(exclude={"id", *spans}), **spans)
            session.add(copy)
            session.flush()
            copies[window.id or 0] = copy.id or 0
        for results in (DriftResult, PerformanceResult, WindowMeasure, LabelArrival):
            _copy(session, results, copies, {})
        made |= {copy: window_id for window_id, copy in copies.items()}
        _corrected(session, list(copies.values()))
        if back <= N_INCIDENTS:
            _copy(session, Alert, copies, {"state": AlertState.RESOLVED, "since_at": told[-1].from_at - ago})
        for batch in session.exec(select(Batch).where(Batch.monitor_id == monitor_id, col(Batch.id) <= 2)).all():
            session.add(Batch(**batch.model_dump(exclude={"id", "added_at"}), added_at=batch.added_at - ago))
        cells = session.exec(select(BucketSketch).where(BucketSketch.bucket_at >= measured[0].from_at)).all()
        values = [
            {**one.model_dump(exclude={"id", "source"}), "bucket_at": one.bucket_at - ago, "source": "log"}
            for one in cells
        ]
        session.connection().execute(insert(BucketSketch), values)
    (opened_now,) = session.exec(select(Incident)).all()
    for back in range(1, N_INCIDENTS):
        then = opened_now.since_at - timedelta(days=60 * back)
        kept = opened_now.model_dump(exclude={"id", "since_at", "opened_at", "resolved_at", "state"})
        times = {"since_at": then, "opened_at": then, "resolved_at": then, "state": IncidentState.RESOLVED}
        session.add(Incident(**kept, **times))
    return made


def _corrected(session: Session, window_ids: Sequence[int]) -> None:
    """Figures of the third source, and labels that came late, beside those whose rows held their label."""
    of_these = col(PerformanceResult.window_id).in_(window_ids)
    estimated = session.exec(select(PerformanceResult).where(of_these, PerformanceResult.source == Source.ESTIMATED))
    for one in estimated.all():
        session.add(PerformanceResult(**one.model_dump(exclude={"id", "source"}), source=Source.CORRECTED))
    rng = np.random.default_rng(len(window_ids))
    for arrival in session.exec(select(LabelArrival).where(col(LabelArrival.window_id).in_(window_ids))).all():
        window = session.get_one(Window, arrival.window_id)
        share = rng.uniform(0.8, 0.95)
        n_joined = int(share * window.n_rows)
        hours = [window.from_at.timestamp() + 1800 + 3600 * hour for hour in range(24)]
        arrival.n_at_once = 0
        arrival.delays = [n_joined if place == 20 else 0 for place in range(len(EDGES))]
        arrival.pieces = [[at, window.n_rows // 24, n_joined // 24] for at in hours]
        session.add(arrival)


def _copy(session: Session, results: type[SQLModel], copies: dict[int, int], changed: dict[str, Any]) -> None:
    window_id = results.window_id  # type: ignore[attr-defined]
    found = session.exec(select(results).where(col(window_id).in_(list(copies)))).all()
    values = [
        {**row.model_dump(exclude={"id"}), **changed, "window_id": copies[row.window_id]}  # type: ignore[attr-defined]
        for row in found
    ]
    if values:
        session.connection().execute(insert(results), values)


def visits(workspace: Workspace, monitor_id: int) -> list[Visit]:
    """The monitor page with the whole year, with the newest two months, and each other look at it."""
    year = {"monitor": str(monitor_id), "windows": str(N_DAYS)}
    return [
        Visit(Role.OPERATOR, "monitor", year, f"of {N_DAYS} days"),
        Visit(Role.OPERATOR, "monitor", {"monitor": str(monitor_id)}, "of 60 days"),
        *(
            Visit(Role.OPERATOR, "monitor", year | {"part": part}, f"of {N_DAYS} days, {part}")
            for part in ("tests", "rows", "slices")
        ),
        *(
            Visit(Role.OPERATOR, "monitor", {"monitor": str(monitor_id), "view": view}, view)
            for view in ("compare", "settings", "data")
        ),
    ]


def reading(workspace: Workspace, monitor_id: int) -> list[Figure]:
    """The query of the heat map, every square ranked and those shown read: on the clock, and its CPU."""

    def ask(n_columns: int = FEATURES_SHOWN) -> DriftMap:
        with workspace.read() as session:
            return drift_queries.drift_map(session, monitor_id, limit=N_DAYS, n_columns=n_columns)

    everything = ask(n_columns=N_FEATURES + 1)
    n_features = sum(not column.is_prediction for column in everything.columns)
    assert (len(everything.windows), n_features) == (N_DAYS, N_FEATURES), (len(everything.windows), n_features)
    ranked, shown = len(everything.squares), len(ask().squares)
    what = f"heat map, {ranked:,} squares ranked, {shown:,} read"
    return [
        Figure(what, tuple(one / 1000 for one in sampled(lambda: wall_ms(ask), REPEATS)), "s", QUERY_S),
        Figure(f"{what}, CPU", tuple(one / 1000 for one in sampled(lambda: cpu_ms(ask), REPEATS)), "s", QUERY_S),
        Figure(
            f"heat map, all {ranked:,} read",
            tuple(one / 1000 for one in sampled(lambda: wall_ms(lambda: ask(N_FEATURES + 1)), REPEATS)),
            "s",
            QUERY_S,
        ),
    ]


def figures(rounds: int = 5) -> list[Figure]:
    """Fill a home, read its squares, and open its monitor again and again."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        with opened(Settings(home=home)) as workspace:
            began = time.perf_counter()
            monitor_id = fill(workspace)
            filled = time.perf_counter() - began
            read = reading(workspace, monitor_id)
            wanted = visits(workspace, monitor_id)
        with running(home, "--demo") as gatehouse, browsing() as context:
            found = settled(context, gatehouse.url, wanted[:2], rounds=rounds)
        ran = scripts(home, wanted, demo=True)
    return [
        Figure(f"{N_FEATURES} features × {N_DAYS} days made in", (filled,), "s"),
        *read,
        worst("monitor page, fresh tab", found["fresh"], target=FRESH_S),
        worst("monitor page, inside the app", found["inside"], target=INSIDE_S),
        *found["fresh"],
        *found["inside"],
        *ran,
    ]


if __name__ == "__main__":
    print(table(figures(*(int(argument) for argument in sys.argv[1:]))))  # noqa: T201
