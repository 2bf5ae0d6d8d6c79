"""Gathering the evidence about a window from what is stored: results, sketches, labels, deployments, alerts.

Outside any writing transaction: labels are read back from the kept rows, and the training rows of a season are counted
where nobody did so before. What is not stored stays None, and triage says what it could not see.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.orm import defer
from sqlmodel import Session, col, select

from core.estimation import believing
from core.evaluation.metrics import METRICS, primary_metric
from core.evaluation.tables import Task
from core.incidents.changes import changes_before
from core.incidents.column_evidence import (
    columns_of,
    current_sketches,
    features_of,
    importance_of,
    marks_of,
    reference_sketches,
)
from core.incidents.evidence import ConceptEvidence, Evidence, Figure, PerformanceEvidence
from core.incidents.kept_triage import falling_into, open_troubles
from core.incidents.row_evidence import labels_of, repeated_in
from core.incidents.season_reading import DECIDED, season_evidence_of
from core.incidents.window_rows import rows_of
from core.monitoring import queries, window_queries
from core.monitoring.kept_rows import is_timed
from core.monitoring.performance import evaluated
from core.monitoring.tables import DriftResult, PerformanceResult, Source, Window, WindowMeasure, WindowState
from core.registry.tables import ModelVersion
from core.training.tables import Run
from core.workspace import Workspace

EARLIER = 12
"""Windows before that are looked at."""


def evidence_of(workspace: Workspace, *, window_id: int, now: datetime) -> Evidence:
    """Everything known about one window.

    Raises
    ------
    NotFound
    """
    with workspace.read() as session:
        window = window_queries.window(session, window_id)
        monitor = queries.monitor(session, window.monitor_id)
        version = session.get_one(ModelVersion, window.version_id)
        run = session.get_one(Run, version.run_id)
        rows = rows_of(workspace, session, monitor, window)
        results = _results(session, [window_id])[window_id]
        before = windows_before(session, window)
        # With its documents, in one statement; of the windows before it only effects are looked at.
        just_before = _results(session, [before[-1].id or 0])[before[-1].id or 0] if before else []
        effects = _results(session, [one.id or 0 for one in before], light=True)
        inputs = [one for one in results if not one.is_prediction]
        current = current_sketches(session, window)
        columns = columns_of(inputs, reference_sketches(session, window.version_id), current, rows)
        features = features_of(
            inputs,
            importance=importance_of(run),
            signs=marks_of(window, inputs, columns, just_before),
            earlier=[
                {one.feature: one.effect for one in effects[row.id or 0] if not one.is_prediction} for row in before
            ],
        )
        performance = _performance(session, window, before, run)
        measures = {
            one.kind: one for one in session.exec(select(WindowMeasure).where(WindowMeasure.window_id == window_id))
        }
        primary = performance.pop("", None)
        repeated = repeated_in(session, rows, version, run)
        return Evidence(
            window=window.label,
            n_rows=window.n_rows,
            min_rows=monitor.min_rows,
            features=features,
            prediction_drifted=any(one.is_prediction and one.state == WindowState.DRIFTED for one in results),
            performance=primary,
            slices=performance,
            labels=None if primary is None or primary.realised is None else labels_of(session, rows, version, run),
            concept=_concept(measures.get("concept")),
            repeated_then=repeated[0],
            repeated_now=repeated[1],
            contract=_contract(measures.get("contract")),
            stopped=_told(measures.get("missing_stretch")),
            season=season_evidence_of(
                workspace, session, monitor, window, run, results=inputs, columns=columns, current=current, rows=rows
            ),
            changes=changes_before(session, monitor, window, before, run, now),
            troubles=tuple(one.sentence for one in falling_into(open_troubles(session, monitor.id), window.to_at)),
        )


def evidence_of_alerts(session: Session, monitor_id: int | None) -> Evidence:
    """What is known where no window tells anything: the open alerts about faults and silence."""
    troubles = tuple(one.sentence for one in open_troubles(session, monitor_id))
    return Evidence(window="now", n_rows=0, min_rows=0, troubles=troubles)


def _results(session: Session, window_ids: Sequence[int], *, light: bool = False) -> dict[int, list[DriftResult]]:
    """Results of all rows by window.

    Parameters
    ----------
    light : bool
        Whether the documents are left in the database until one is looked at: a year of days holds a hundred megabytes.
    """
    query = select(DriftResult).where(col(DriftResult.window_id).in_(window_ids), DriftResult.slice == "")
    if light:
        query = query.options(defer(DriftResult.bins), defer(DriftResult.tests))  # type: ignore[arg-type]
    found: dict[int, list[DriftResult]] = {one: [] for one in window_ids}
    for result in session.exec(query.order_by(col(DriftResult.id))):
        found[result.window_id].append(result)
    return found


def windows_before(session: Session, window: Window) -> list[Window]:
    """The decided windows before, of one version and length, oldest first."""
    query = (
        select(Window)
        .where(
            Window.monitor_id == window.monitor_id,
            Window.version_id == window.version_id,
            Window.length == window.length,
            col(Window.state).in_(DECIDED),
            Window.from_at < window.from_at,
        )
        .order_by(col(Window.from_at).desc(), col(Window.id).desc())
        .limit(EARLIER)
    )
    found = [one for one in session.exec(query) if is_timed(one) == is_timed(window)]
    return found[::-1]


def _performance(
    session: Session, window: Window, before: Sequence[Window], run: Run
) -> dict[str, PerformanceEvidence]:
    """The primary metric by slice; "" for all rows."""
    key = primary_metric(Task(run.task))
    metric = METRICS[key]
    ids = [window.id, *(one.id for one in before)]
    query = select(PerformanceResult).where(col(PerformanceResult.window_id).in_(ids), PerformanceResult.key == key)
    by_place = {(one.window_id, one.slice, one.source): one for one in session.exec(query)}
    judged = evaluated(session, run_id=run.id or 0, task=run.task)
    slices = {place[1] for place in by_place if place[0] == window.id}
    found = {}
    for name in sorted(slices | {""}):
        realised = by_place.get((window.id or 0, name, Source.REALISED))
        estimated = by_place.get((window.id or 0, name, Source.ESTIMATED))
        earlier = []
        for one in before:
            known = [by_place.get((one.id or 0, name, source)) for source in (Source.REALISED, Source.ESTIMATED)]
            earlier.append(next((result.value for result in known if result is not None), None))
        found[name] = PerformanceEvidence(
            title=metric.title,
            greater_is_better=metric.greater_is_better,
            then=Figure(*judged) if judged is not None and not name else None,
            realised=None if realised is None else Figure(realised.value, realised.low, realised.high),
            estimated=None if estimated is None else Figure(estimated.value, estimated.low, estimated.high),
            n_labelled=0 if realised is None else realised.n_labelled,
            earlier=tuple(earlier),
            # Labels that contradict an estimate speak for a changed concept, not against holding the two together.
            note="" if estimated is None or believing.contradicted(estimated.note) else estimated.note,
            contradiction=estimated.note if estimated is not None and believing.contradicted(estimated.note) else "",
        )
    return found


def _concept(measured: WindowMeasure | None) -> ConceptEvidence | None:
    if measured is None or measured.state not in DECIDED:
        return None
    return ConceptEvidence(measured.state == WindowState.DRIFTED, measured.sentence)


def _contract(measured: WindowMeasure | None) -> tuple[str, ...]:
    told = _told(measured)
    return (told,) if told else ()


def _told(measured: WindowMeasure | None) -> str:
    return measured.sentence if measured is not None and measured.state == WindowState.DRIFTED else ""
