"""Gathering the evidence about a window from what is stored: results, sketches, labels, deployments, alerts.

Reads only, and outside any writing transaction: labels are read back from the kept rows. What is not stored stays None,
and triage says what it could not see.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import defer
from sqlmodel import Session, col, select

from core.datasets.queries import read_table, version_label
from core.datasets.rowhash import row_hashes
from core.datasets.tables import DatasetVersion, EvaluationSet
from core.drift.columns import sample
from core.errors import LifecycleError
from core.estimation import believing
from core.evaluation.metrics import METRICS, primary_metric
from core.evaluation.queries import load_predictions
from core.evaluation.tables import Evaluation, Task
from core.incidents.evidence import (
    Change,
    ConceptEvidence,
    Evidence,
    FeatureEvidence,
    Figure,
    LabelEvidence,
    PerformanceEvidence,
    SeasonEvidence,
)
from core.incidents.kept_triage import falling_into, open_troubles
from core.incidents.labels import label_evidence
from core.incidents.marking import signs_of
from core.incidents.seasons import Earlier, follows_calendar, season_evidence
from core.incidents.shapes import column_of
from core.incidents.signs import Sign
from core.monitoring import cells, queries, window_queries
from core.monitoring.kept_rows import KeptRows
from core.monitoring.performance import evaluated, truths
from core.monitoring.tables import (
    Batch,
    BatchState,
    DriftResult,
    Monitor,
    PerformanceResult,
    ReferenceSketch,
    Season,
    Source,
    Window,
    WindowMeasure,
    WindowState,
)
from core.monitoring.windows import BATCH, Span
from core.registry.tables import Deployment, ModelVersion, RegisteredModel
from core.serving import queries as serving
from core.serving.frames import AT, LABEL, PREDICTION_ID, feature_column, score_column
from core.serving.tables import PredictionSegment
from core.statistics.sketches import from_bytes
from core.training.tables import Run
from core.workspace import Workspace

if TYPE_CHECKING:
    import pyarrow as pa

EARLIER = 12
"""Windows before that are looked at."""
DECIDED = (WindowState.QUIET, WindowState.DRIFTED)
MOST_READ = 200_000
MOST_HASHED = 50_000
"""Rows up to which a window is read back: for its labels and values; for rows that repeat."""
USUAL_FROM = 3
HALF, DOUBLE = 0.5, 2.0


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
        rows = _Rows.of(workspace, session, monitor, window)
        results = _results(session, [window_id])[window_id]
        before = _windows_before(session, window)
        # With its documents, in one statement; of the windows before it only effects are looked at.
        just_before = _results(session, [before[-1].id or 0])[before[-1].id or 0] if before else []
        effects = _results(session, [one.id or 0 for one in before], light=True)
        features = _features(
            [one for one in results if not one.is_prediction],
            importance=_importance(run),
            signs=_signs(session, window, results, rows, just_before),
            earlier=[
                {one.feature: one.effect for one in effects[row.id or 0] if not one.is_prediction} for row in before
            ],
        )
        performance = _performance(session, window, before, run)
        measures = {
            one.kind: one for one in session.exec(select(WindowMeasure).where(WindowMeasure.window_id == window_id))
        }
        primary = performance.pop("", None)
        repeated = _repeated(session, rows, version, run)
        return Evidence(
            window=window.label,
            n_rows=window.n_rows,
            min_rows=monitor.min_rows,
            features=features,
            prediction_drifted=any(one.is_prediction and one.state == WindowState.DRIFTED for one in results),
            performance=primary,
            slices=performance,
            labels=None if primary is None or primary.realised is None else _labels(session, rows, version, run),
            concept=_concept(measures.get("concept")),
            repeated_then=repeated[0],
            repeated_now=repeated[1],
            contract=_contract(measures.get("contract")),
            season=_season(session, monitor, window, results),
            changes=_changes(session, monitor, window, before, run, now),
            troubles=tuple(one.sentence for one in falling_into(open_troubles(session, monitor.id), window.to_at)),
        )


def evidence_of_alerts(session: Session, monitor_id: int | None) -> Evidence:
    """What is known where no window tells anything: the open alerts about faults and silence."""
    troubles = tuple(one.sentence for one in open_troubles(session, monitor_id))
    return Evidence(window="now", n_rows=0, min_rows=0, troubles=troubles)


def _results(
    session: Session, window_ids: Sequence[int], *, features: Sequence[str] | None = None, light: bool = False
) -> dict[int, list[DriftResult]]:
    """Results of all rows by window, of some features where given.

    Parameters
    ----------
    light : bool
        Whether the documents are left in the database until one is looked at: a year of days holds a hundred megabytes.
    """
    query = select(DriftResult).where(col(DriftResult.window_id).in_(window_ids), DriftResult.slice == "")
    if features is not None:
        query = query.where(col(DriftResult.feature).in_(features))
    if light:
        query = query.options(defer(DriftResult.bins), defer(DriftResult.tests))  # type: ignore[arg-type]
    found: dict[int, list[DriftResult]] = {one: [] for one in window_ids}
    for result in session.exec(query.order_by(col(DriftResult.id))):
        found[result.window_id].append(result)
    return found


def _windows_before(session: Session, window: Window) -> list[Window]:
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
    found = [one for one in session.exec(query) if _timed(one) == _timed(window)]
    return found[::-1]


def _timed(window: Window) -> bool:
    return not window.label.startswith(f"{BATCH} ")


def _features(
    results: Sequence[DriftResult],
    *,
    importance: Mapping[str, float],
    signs: Mapping[str, tuple[Sign, ...]],
    earlier: Sequence[Mapping[str, float | None]],
) -> tuple[FeatureEvidence, ...]:
    return tuple(
        FeatureEvidence(
            name=one.feature,
            kind=one.column_kind,
            drifted=one.state == WindowState.DRIFTED,
            effect=one.effect,
            threshold=one.threshold,
            test=one.test,
            missing_then=float(one.bins.get("reference_missing", 0.0)),
            missing_now=float(one.bins.get("current_missing", 0.0)),
            importance=importance.get(one.feature),
            moved_since_before=None if not one.state_before else one.state_before == WindowState.DRIFTED,
            earlier_effects=tuple(effects.get(one.feature) for effects in earlier),
            signs=signs.get(one.feature, ()),
        )
        for one in results
    )


def _importance(run: Run) -> dict[str, float]:
    """Each feature's share of what all matter, from the run's permutation importance; empty where none was kept."""
    kept = {str(one["name"]): max(0.0, float(one["mean"])) for one in (run.importance or {}).get("features", [])}
    total = sum(kept.values())
    return {name: mean / total for name, mean in kept.items()} if total > 0 else {}


def _signs(
    session: Session,
    window: Window,
    results: Sequence[DriftResult],
    rows: _Rows,
    before: Sequence[DriftResult],
) -> dict[str, tuple[Sign, ...]]:
    """Marks from stored sketches; from the values where cells hide them; from the drawn bins where nothing is kept."""
    where: dict[str, Any] = {"span": _span(window)} if _timed(window) else {"source": window.label}
    current = cells.sums(session, window.monitor_id, window.version_id, **where).get("", {})
    query = select(ReferenceSketch).where(
        ReferenceSketch.version_id == window.version_id,
        ReferenceSketch.slice == "",
        col(ReferenceSketch.is_prediction).is_(False),
    )
    reference = {one.feature: from_bytes(one.cells) for one in session.exec(query)}
    kinds = {one.feature: one.column_kind for one in results if not one.is_prediction}

    def exact(feature: str) -> NDArray[np.float64] | None:
        column = feature_column(feature)
        table = rows.read([column])
        if table is None or column not in table.column_names:
            return None
        return sample(table[column], kinds[feature])

    columns = {
        one.feature: column_of(one, reference.get(one.feature), current.get((False, one.feature)), exact)
        for one in results
        if not one.is_prediction
    }
    found = signs_of({name: column for name, column in columns.items() if column is not None})
    bins = {one.feature: one.bins for one in results if not one.is_prediction}
    earlier = {one.feature: one for one in before if not one.is_prediction}

    def moves_on(name: str) -> bool:
        last = earlier.get(name)
        return follows_calendar(
            bins[name], None if last is None else last.bins, window.from_at, window.to_at - window.from_at
        )

    return {
        name: tuple(sign for sign in signs if sign.key != "constant" or not moves_on(name))
        for name, signs in found.items()
    }


@dataclass(frozen=True)
class _Rows:
    """The kept rows of one window."""

    workspace: Workspace
    window: Window
    segments: Sequence[PredictionSegment]
    batches: Sequence[Batch]

    @classmethod
    def of(cls, workspace: Workspace, session: Session, monitor: Monitor, window: Window) -> _Rows:
        batches = session.exec(
            select(Batch).where(
                Batch.monitor_id == monitor.id,
                Batch.version_id == window.version_id,
                col(Batch.data_sha256).is_not(None),
                col(Batch.state).in_((BatchState.READY, BatchState.MEASURING)),
            )
        ).all()
        segments = serving.segments(
            session,
            monitor.model_id,
            version_id=window.version_id,
            environment=monitor.environment,
            alias=monitor.alias,
        )
        return cls(workspace, window, segments, batches)

    def read(self, columns: Sequence[str]) -> pa.Table | None:
        """Some columns; None where the rows are no longer kept, or are too many to be read for a page."""
        if self.window.n_rows > MOST_READ:
            return None
        kept = KeptRows(self.workspace, self.segments, self.batches)
        try:
            if _timed(self.window):
                return kept.of_span(_span(self.window), columns)
            batch = next((one for one in self.batches if cells.source_of(one) == self.window.label), None)
            return None if batch is None else kept.of_batch(batch, columns)
        except LifecycleError:
            return None


def _span(window: Window) -> Span:
    return Span(window.from_at, window.to_at, window.label)


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
        )
    return found


def _concept(measured: WindowMeasure | None) -> ConceptEvidence | None:
    if measured is None or measured.state not in DECIDED:
        return None
    return ConceptEvidence(measured.state == WindowState.DRIFTED, measured.sentence)


def _contract(measured: WindowMeasure | None) -> tuple[str, ...]:
    return (measured.sentence,) if measured is not None and measured.state == WindowState.DRIFTED else ()


def _season(
    session: Session, monitor: Monitor, window: Window, results: Sequence[DriftResult]
) -> SeasonEvidence | None:
    """Whether the window looks as the one of the same season before; None where there is none."""
    drifted = [one for one in results if one.state == WindowState.DRIFTED and not one.is_prediction]
    if not drifted or not _timed(window):
        return None
    if monitor.season != Season.NONE:
        return SeasonEvidence(False, f"It is held against rows of the same {monitor.season} already.")
    query = (
        select(Window)
        .where(
            Window.monitor_id == window.monitor_id,
            Window.length == window.length,
            col(Window.state).in_(DECIDED),
            Window.from_at < window.from_at,
            Window.from_at >= window.from_at - timedelta(days=370),
        )
        .order_by(col(Window.from_at))
    )
    rows = [one for one in session.exec(query) if _timed(one)]
    names = [one.feature for one in drifted]
    by_window = _results(session, [one.id or 0 for one in rows], features=names, light=True)
    earlier = [
        Earlier(
            one.from_at, one.label, {held.feature: held for held in by_window[one.id or 0] if not held.is_prediction}
        )
        for one in rows
    ]
    return season_evidence(window.from_at, window.to_at - window.from_at, drifted, earlier)


def _changes(
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
    if len(before) < USUAL_FROM or not _timed(window) or window.to_at > now:
        return []
    usual = median(one.n_rows for one in before)
    if usual and HALF <= window.n_rows / usual <= DOUBLE:
        return []
    return [Change("volume", f"{window.n_rows:,} rows came in, where {usual:,.0f} are usual.", window.to_at)]


def _labels(session: Session, rows: _Rows, version: ModelVersion, run: Run) -> LabelEvidence | None:
    """The window's labels against those of the fixed evaluation set, read back from the kept rows."""
    classes = list(version.signature.get("classes") or ())
    score = score_column(classes[1]) if len(classes) == 2 else None
    query = (
        select(Evaluation)
        .join(EvaluationSet, col(EvaluationSet.id) == col(Evaluation.evaluation_set_id))
        .where(Evaluation.run_id == run.id, EvaluationSet.kind == "fixed")
    )
    evaluation = session.exec(query).first()
    table = rows.read([PREDICTION_ID, LABEL, *([score] if score else [])])
    if evaluation is None or table is None or table.num_rows == 0:
        return None
    try:
        judged = load_predictions(rows.workspace.artifacts, evaluation)
    except LifecycleError:
        return None  # its file is gone or damaged: unknown, not wrong
    truth = truths(table, serving.labels(session, version.model_id))
    held = np.array([one is not None for one in truth], dtype=bool)
    now: NDArray[Any] = np.array(truth, dtype=object)[held]
    if Task(run.task) is Task.REGRESSION:
        return label_evidence(judged.y_true, now.astype(np.float64))
    scores = None
    if score is not None and score in table.column_names and judged.scores is not None:
        scores = table[score].to_numpy()[held].astype(np.float64)
    if scores is None or judged.scores is None or np.isnan(scores).any():
        return label_evidence(judged.y_true, now)
    return label_evidence(judged.y_true, now, scores_then=judged.scores[:, 1], scores_now=scores)


def _repeated(
    session: Session, rows: _Rows, version: ModelVersion, run: Run
) -> tuple[float, float] | tuple[None, None]:
    """Shares of rows that repeat an earlier one: of as many training rows, and of the window's."""
    if rows.window.n_rows > MOST_HASHED:
        return None, None
    names = [str(feature["name"]) for feature in version.signature.get("features", ())]
    table = rows.read([feature_column(name) for name in names])
    data = session.get(DatasetVersion, run.dataset_version_id)
    if table is None or data is None or table.num_rows == 0 or data.n_rows > MOST_READ:
        return None, None
    try:
        trained = read_table(rows.workspace.artifacts, data, names)
    except LifecycleError:
        return None, None
    n = min(table.num_rows, trained.num_rows)
    # The first rows of an ordered file are more alike than any others: as many drawn from all of it.
    drawn = trained.take(np.sort(np.random.default_rng(0).choice(trained.num_rows, n, replace=False)))
    kept = [name for name in table.column_names if name != AT]
    return _repeats(drawn, names), _repeats(table.slice(0, n), kept)


def _repeats(table: pa.Table, columns: Sequence[str]) -> float:
    hashes = row_hashes(table, columns)
    return 1 - len(np.unique(hashes)) / len(hashes)


def _stamp(at: datetime) -> str:
    return f"{at:%-d %b %Y, %H:%M} UTC"
