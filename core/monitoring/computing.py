"""Computing windows: reads what is kept, measures, decides. Writes nothing; `recording` does."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
from sqlmodel import Session, col, select

from core.database import utc_now
from core.datasets.tables import ColumnKind, EvaluationSet
from core.drift.columns import moments, sample
from core.drift.measuring import DriftMeasure, measure
from core.evaluation.metrics import METRICS, compute_metrics, primary_metric
from core.evaluation.predictions import Predictions
from core.evaluation.tables import Evaluation, MetricValue, Task
from core.monitoring import queries
from core.monitoring.alerting import Decision, Firing, decide, firings, performance_firing, window_state
from core.monitoring.reference import Reference, reference_of
from core.monitoring.tables import Batch, BatchState, Monitor, WindowState
from core.monitoring.windows import A_MONTH, Span, cut, spans_between
from core.registry.tables import RegisteredModel
from core.serving import queries as serving
from core.serving.frames import AT, LABEL, PREDICTION, PREDICTION_ID, feature_column, score_column
from core.workspace import Workspace

if TYPE_CHECKING:
    import pyarrow as pa

MIN_LABELLED = 10
READ_STATES = (BatchState.MEASURING, BatchState.READY)

Key = tuple[bool, str]
"""(whether it is the prediction, name): a feature may be called "prediction" too."""


@dataclass(frozen=True)
class MeasuredColumn:
    """One feature, or the prediction, in one window."""

    name: str
    kind: str
    is_prediction: bool
    measure: DriftMeasure
    decision: Decision


@dataclass(frozen=True)
class LabelledMetric:
    """One metric of one window, from ``n_labelled`` rows whose label has arrived."""

    key: str
    value: float
    low: float | None
    high: float | None
    n_labelled: int


@dataclass(frozen=True)
class ComputedWindow:
    """One window as it is to be recorded."""

    version_id: int
    span: Span
    n_rows: int
    state: WindowState
    columns: tuple[MeasuredColumn, ...]
    metrics: tuple[LabelledMetric, ...]
    firings: tuple[Firing, ...]
    min_effect: float
    read_at: datetime


@dataclass(frozen=True)
class _Watched:
    """What of a monitor holds for all its windows."""

    monitor: Monitor
    title: str
    reference: Reference
    labels: Mapping[str, str]
    evaluated: tuple[float, float, float] | None
    read_at: datetime


def compute_windows(
    workspace: Workspace,
    *,
    monitor_id: int,
    version_id: int,
    touched: Sequence[tuple[datetime, datetime]] | None,
    batch_ids: Sequence[int] | None = None,
    report: Callable[[float, str], None] | None = None,
) -> list[ComputedWindow]:
    """Compute a monitor's windows anew from every batch and log segment of one version, labels that came late included.

    Parameters
    ----------
    touched : sequence of (from, to), or None
        Only the windows these spans of time reach into; all when None.
    batch_ids : sequence of int, optional
        Of the batches without times, each a window of its own, only these; by default all when ``touched`` is None,
        else none.
    report : callable, optional
        Told how far it is, 0 to 1, and what is being done.

    Returns
    -------
    list of ComputedWindow
        Oldest first.
    """
    # Taken before anything is read: whoever reads later knows more, so their figures win (`recording`).
    read_at = utc_now()
    with workspace.read() as session:
        monitor = queries.monitor(session, monitor_id)
        model = session.get(RegisteredModel, monitor.model_id)
        assert model is not None
        batches = _batches(session, monitor_id, version_id)
        segments = serving.segments(
            session,
            monitor.model_id,
            version_id=version_id,
            environment=monitor.environment,
            alias=monitor.alias,
        )
        labels = serving.labels(session, monitor.model_id)
    reference = reference_of(workspace, version_id)
    with workspace.read() as session:
        evaluated = _evaluated(session, reference)
    watched = _Watched(monitor, f"{model.name} {monitor.alias}", reference, labels, evaluated, read_at)

    wanted = None if touched is None else {span for pair in touched for span in spans_between(*pair, monitor.window)}
    if wanted is not None:
        first, last = (
            min((span.from_at for span in wanted), default=read_at),
            max((s.to_at for s in wanted), default=read_at),
        )
        segments = [segment for segment in segments if segment.to_at >= first and segment.from_at < last]
    parts = []
    if segments and (wanted is None or wanted):
        parts.append(serving.read_segments(workspace.artifacts, segments))
    work: list[tuple[Span, pa.Table]] = []
    for batch in batches:
        if batch.time_column is None:
            if batch.id in (batch_ids or ()) or (touched is None and batch_ids is None):
                span = Span(batch.added_at, batch.added_at, f"batch {batch.id}")
                work.append((span, _read(workspace, batch)))
        elif wanted is None or wanted:
            parts.append(_read(workspace, batch))
    work += _cut(parts, monitor.window, wanted)
    computed = []
    for number, (span, rows) in enumerate(sorted(work, key=lambda entry: entry[0])):
        if report is not None:
            report(number / len(work), f"measuring {span.label}")
        computed.append(_window(watched, span, rows))
    return computed


def _batches(session: Session, monitor_id: int, version_id: int) -> list[Batch]:
    query = (
        select(Batch)
        .where(
            col(Batch.monitor_id) == monitor_id,
            col(Batch.version_id) == version_id,
            col(Batch.state).in_(READ_STATES),
        )
        .order_by(col(Batch.id))
    )
    return list(session.exec(query))


def _read(workspace: Workspace, batch: Batch) -> pa.Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    assert batch.data_sha256 is not None
    return pq.read_table(pa.BufferReader(workspace.artifacts.get_bytes(batch.data_sha256)))


def _cut(parts: list[pa.Table], window: str, wanted: set[Span] | None) -> list[tuple[Span, pa.Table]]:
    import pyarrow as pa

    if not parts:
        return []
    rows = pa.concat_tables(parts, promote_options="permissive")
    pieces = cut(moments(rows[AT]), window)
    return [(span, rows.take(pa.array(at))) for span, at in pieces if wanted is None or span in wanted]


def _window(watched: _Watched, span: Span, rows: pa.Table) -> ComputedWindow:
    monitor, reference = watched.monitor, watched.reference
    kinds: dict[Key, str] = {}
    measures: dict[Key, DriftMeasure] = {}
    for feature in reference.signature["features"]:
        key = (False, feature["name"])
        kinds[key] = feature["kind"]
        current = sample(rows[feature_column(feature["name"])], feature["kind"])
        measures[key] = measure(reference.features[feature["name"]], current, feature["kind"])
    predicted = (True, PREDICTION)
    kinds[predicted], measures[predicted] = _measure_prediction(reference, rows)
    decisions = decide(
        measures,
        n_rows=rows.num_rows,
        alpha=min(0.5, monitor.false_alerts / A_MONTH[monitor.window]),
        min_effect=monitor.min_effect,
        min_rows=monitor.min_rows,
    )
    columns = tuple(
        MeasuredColumn(name, kinds[is_prediction, name], is_prediction, found, decisions[is_prediction, name])
        for (is_prediction, name), found in measures.items()
    )
    metrics = _performance(watched, rows)
    state = window_state(list(decisions.values()))
    return ComputedWindow(
        version_id=reference.version_id,
        span=span,
        n_rows=rows.num_rows,
        state=state,
        columns=columns,
        metrics=metrics,
        firings=_firings(watched, span, columns, metrics),
        min_effect=monitor.min_effect,
        read_at=watched.read_at,
    )


def _measure_prediction(reference: Reference, rows: pa.Table) -> tuple[str, DriftMeasure]:
    """The positive class's score where there is one, the predicted value of a regression, else the predicted label."""
    signature = reference.signature
    if signature["task"] == Task.REGRESSION:
        current = sample(rows[PREDICTION], ColumnKind.NUMBER)
        return ColumnKind.NUMBER, measure(reference.labels, current, ColumnKind.NUMBER)
    if signature["task"] == Task.BINARY and reference.scores is not None:
        scored = score_column(signature["classes"][1])
        if scored in rows.column_names and rows[scored].null_count == 0:
            current = sample(rows[scored], ColumnKind.NUMBER)
            return ColumnKind.NUMBER, measure(reference.scores[:, 1], current, ColumnKind.NUMBER)
    current = sample(rows[PREDICTION], ColumnKind.CATEGORY)
    return ColumnKind.CATEGORY, measure(reference.labels, current, ColumnKind.CATEGORY)


def _performance(watched: _Watched, rows: pa.Table) -> tuple[LabelledMetric, ...]:
    signature = watched.reference.signature
    task = Task(signature["task"])
    truth = _truth(watched, rows)
    predicted = rows[PREDICTION].to_pylist()
    known = np.array(
        [label is not None and answer is not None for label, answer in zip(truth, predicted, strict=True)], dtype=bool
    )
    positions = np.flatnonzero(known)
    if task is Task.REGRESSION:
        numbers = np.array([_number(truth[at]) for at in positions], dtype=np.float64)
        answers = np.array([predicted[at] for at in positions], dtype=np.float64)
        usable = np.isfinite(numbers) & np.isfinite(answers)
        if usable.sum() < MIN_LABELLED:
            return ()
        found = Predictions(task, np.flatnonzero(usable), numbers[usable], answers[usable], None, ())
    else:
        if len(positions) < MIN_LABELLED:
            return ()
        classes = tuple(signature["classes"])
        found = Predictions(
            task,
            positions,
            np.array([truth[at] for at in positions], dtype=object),
            np.array([predicted[at] for at in positions], dtype=object),
            _scores(rows, classes, positions),
            classes,
        )
    return tuple(
        LabelledMetric(entry.key, entry.value, entry.low, entry.high, found.n_rows)
        for entry in compute_metrics(found, rng=np.random.default_rng(0))
    )


def _truth(watched: _Watched, rows: pa.Table) -> list[Any]:
    """Each row's label: the one that came with it, replaced by one that came for its prediction id."""
    truth: list[Any] = rows[LABEL].to_pylist() if LABEL in rows.column_names else [None] * rows.num_rows
    if not watched.labels or PREDICTION_ID not in rows.column_names:
        return truth
    ids = rows[PREDICTION_ID].to_pylist()
    return [watched.labels.get(one, label) if one else label for one, label in zip(ids, truth, strict=True)]


def _scores(rows: pa.Table, classes: tuple[str, ...], positions: np.ndarray) -> np.ndarray | None:
    names = [score_column(label) for label in classes]
    if any(name not in rows.column_names for name in names):
        return None
    scores = np.column_stack([rows[name].to_numpy()[positions] for name in names])
    return None if np.isnan(scores).any() else scores


def _number(label: object) -> float:
    try:
        return float(label)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return float("nan")


def _evaluated(session: Session, reference: Reference) -> tuple[float, float, float] | None:
    """The primary metric with its interval on the fixed evaluation set."""
    query = (
        select(MetricValue)
        .join(Evaluation, col(Evaluation.id) == col(MetricValue.evaluation_id))
        .join(EvaluationSet, col(EvaluationSet.id) == col(Evaluation.evaluation_set_id))
        .where(
            col(Evaluation.run_id) == reference.run_id,
            col(EvaluationSet.kind) == "fixed",
            col(MetricValue.key) == primary_metric(reference.signature["task"]),
        )
    )
    found = session.exec(query).first()
    if found is None or found.low is None or found.high is None:
        return None
    return found.value, found.low, found.high


def _firings(
    watched: _Watched, span: Span, columns: Sequence[MeasuredColumn], metrics: Sequence[LabelledMetric]
) -> tuple[Firing, ...]:
    drifted = [column for column in columns if column.decision.state is WindowState.DRIFTED]
    fired = firings(
        model=watched.title,
        window=span.label,
        features=[(column.name, column.measure.effect or 0.0) for column in drifted if not column.is_prediction],
        n_features=sum(not column.is_prediction for column in columns),
        prediction_effect=next((column.measure.effect for column in drifted if column.is_prediction), None),
    )
    primary = METRICS[primary_metric(watched.reference.signature["task"])]
    now = next((metric for metric in metrics if metric.key == primary.key), None)
    enough = now is not None and now.n_labelled >= watched.monitor.min_rows
    if enough and now is not None and now.low is not None and now.high is not None and watched.evaluated is not None:
        harm = performance_firing(
            model=watched.title,
            window=span.label,
            title=primary.title,
            greater_is_better=primary.greater_is_better,
            now=(now.value, now.low, now.high),
            then=watched.evaluated,
            n_labelled=now.n_labelled,
        )
        fired += [harm] if harm is not None else []
    return tuple(fired)
