"""Reads of the prediction log: its sealed segments and the labels that arrived."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from sqlmodel import Session, col, func, select

from core.artifacts import ArtifactStore
from core.serving.frames import PREDICTION_ID
from core.serving.row_batches import read_batches, rows_at_once
from core.serving.tables import Label, PredictionSegment

if TYPE_CHECKING:
    import pyarrow as pa


def segments(
    session: Session,
    model_id: int,
    from_at: datetime | None = None,
    to_at: datetime | None = None,
    *,
    version_id: int | None = None,
    environment: str | None = None,
    alias: str | None = None,
) -> list[PredictionSegment]:
    """Sealed segments that hold predictions of a span of time, oldest first.

    Parameters
    ----------
    model_id : int
    from_at, to_at : datetime, optional
        The span [from, to); open where not given. A segment that only touches the span is among them, so its rows
        still have to be cut.
    version_id, environment, alias : optional
        Only those of one version, environment or alias.
    """
    query = select(PredictionSegment).where(col(PredictionSegment.model_id) == model_id)
    if from_at is not None:
        query = query.where(col(PredictionSegment.to_at) >= from_at)
    if to_at is not None:
        query = query.where(col(PredictionSegment.from_at) < to_at)
    if version_id is not None:
        query = query.where(col(PredictionSegment.version_id) == version_id)
    if environment is not None:
        query = query.where(col(PredictionSegment.environment) == environment)
    if alias is not None:
        query = query.where(col(PredictionSegment.alias) == alias)
    return list(session.exec(query.order_by(col(PredictionSegment.from_at), col(PredictionSegment.id))))


def read_segments(
    store: ArtifactStore, segments: Sequence[PredictionSegment], columns: Sequence[str] | None = None
) -> Iterator[pa.Table]:
    """Read segments of one model version as tables of bounded size, verified against their hashes.

    Parameters
    ----------
    store : ArtifactStore
    segments : sequence of PredictionSegment
        Of one version: those of different signatures do not share their columns.
    columns : sequence of str, optional
        Only these, as far as they are there; see `core.serving.frames` for their names.

    Yields
    ------
    pyarrow.Table
        The rows in their order; small segments together, large ones in parts. ``prediction_id``, ``at``,
        ``latency_ms``, ``prediction``, ``score:<class>`` per class and ``feature:<name>`` per feature: features carry a
        prefix because one may be called "prediction".

    Raises
    ------
    NotFound, ArtifactCorrupted
    """
    import pyarrow as pa

    waiting: list[pa.Table] = []
    n_waiting = 0
    for segment in segments:
        for batch in read_batches(store, segment.sha256, columns):
            waiting.append(pa.Table.from_batches([batch]))
            n_waiting += batch.num_rows
            if n_waiting >= rows_at_once(batch.num_columns):
                yield pa.concat_tables(waiting, promote_options="permissive")
                waiting, n_waiting = [], 0
    if waiting:
        yield pa.concat_tables(waiting, promote_options="permissive")


def holds(store: ArtifactStore, segment: PredictionSegment, prediction_id: str) -> bool:
    """Whether a prediction is among a segment's.

    Raises
    ------
    NotFound, ArtifactCorrupted
    """
    import pyarrow.parquet as pq

    path = store.verified_path(segment.sha256)
    found = pq.read_table(path, columns=[PREDICTION_ID], filters=[(PREDICTION_ID, "=", prediction_id)])
    return bool(found.num_rows)


def last_prediction_at(session: Session, model_id: int) -> datetime | None:
    """When a model last answered, as far as its log is sealed; None for never."""
    query = select(func.max(col(PredictionSegment.to_at))).where(col(PredictionSegment.model_id) == model_id)
    return session.exec(query).one()


def last_predictions_at(session: Session) -> dict[int, datetime]:
    """When each model last answered, by model id; models that never did are left out."""
    query = select(PredictionSegment.model_id, func.max(col(PredictionSegment.to_at))).group_by(
        col(PredictionSegment.model_id)
    )
    return {model_id: at for model_id, at in session.exec(query) if at is not None}


def labels(session: Session, model_id: int) -> dict[str, str]:
    """What turned out to be true, by prediction id."""
    query = select(Label.prediction_id, Label.value).where(col(Label.model_id) == model_id)
    return dict(session.exec(query).all())
