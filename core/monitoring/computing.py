"""Computing windows: reads what is kept, measures, decides. Writes nothing; `recording` does."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from sqlmodel import Session, col, select

from core.database import utc_now
from core.datasets.tables import ColumnKind
from core.drift.columns import moments, sample
from core.drift.measuring import DriftMeasure, measure
from core.evaluation.metrics import METRICS, primary_metric
from core.evaluation.tables import Task
from core.monitoring import queries
from core.monitoring.alerting import Decision, Firing, decide, firings, performance_firing, window_state
from core.monitoring.performance import LabelledMetric, evaluated, realised
from core.monitoring.reference import Reference, reference_of
from core.monitoring.tables import Batch, BatchState, Monitor, WindowState
from core.monitoring.windows import A_MONTH, BATCH, Span, cut, length_of, spans_between
from core.registry.tables import RegisteredModel
from core.serving import queries as serving
from core.serving.frames import AT, PREDICTION, feature_column, score_column
from core.workspace import Workspace

if TYPE_CHECKING:
    import pyarrow as pa

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
class ComputedWindow:
    """One window as it is to be recorded."""

    version_id: int
    length: str
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
        evaluation = evaluated(session, run_id=reference.run_id, task=reference.signature["task"])
    watched = _Watched(monitor, f"{model.name} {monitor.alias}", reference, labels, evaluation, read_at)

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
    metrics = realised(reference.signature, rows, watched.labels)
    state = window_state(list(decisions.values()))
    return ComputedWindow(
        version_id=reference.version_id,
        length=BATCH if span.from_at == span.to_at else length_of(monitor.window, monitor.window_rows),
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
