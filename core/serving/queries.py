"""Reads of the prediction log: its sealed segments and the labels that arrived."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from sqlmodel import Session, col, func, select

from core.artifacts import ArtifactStore
from core.serving.frames import PREDICTION_ID
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
) -> pa.Table:
    """Read segments of one model version as one table, verified against their hashes.

    Parameters
    ----------
    store : ArtifactStore
    segments : sequence of PredictionSegment
        Of one version: those of different signatures do not share their columns.
    columns : sequence of str, optional
        Only these; see `core.serving.frames` for their names.

    Returns
    -------
    pyarrow.Table
        ``prediction_id``, ``at``, ``latency_ms``, ``prediction``, ``score:<class>`` per class and
        ``feature:<name>`` per feature: features carry a prefix because one may be called "prediction". An empty
        table for no segments.

    Raises
    ------
    NotFound, ArtifactCorrupted
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    parts = [
        pq.read_table(pa.BufferReader(store.get_bytes(segment.sha256)), columns=None if columns is None else [*columns])
        for segment in segments
    ]
    return pa.concat_tables(parts, promote_options="permissive") if parts else pa.table({})


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
