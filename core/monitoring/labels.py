"""Labels as they are kept: written in any order, and known or not yet known to belong to a prediction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy
from sqlalchemy import ColumnElement, and_, bindparam, case, or_, update
from sqlmodel import Session, col, func, select

from core.serving.tables import Label

ASKED_AT_ONCE = 10_000
"""Ids in one statement; SQLite takes 32,766."""
SHOWN = 5


@dataclass(frozen=True)
class UnknownLabels:
    """Labels whose prediction was never seen: kept, and used as soon as it comes.

    Parameters
    ----------
    n : int
    ids : tuple of str
        The first few, the oldest first.
    since : datetime or None
        When the oldest came; None where there are none.
    """

    n: int
    ids: tuple[str, ...]
    since: datetime | None


@dataclass(frozen=True, slots=True)  # there may be millions at once
class KeptLabel:
    """What turned out to be true for one prediction, and when that was first told."""

    value: str
    first_at: datetime
    known: bool


def put_labels(session: Session, *, model_id: int, labels: Mapping[str, str], received_at: datetime) -> None:
    """Write labels, each unless a later one is there; at the same moment the greater value wins, in either order.

    Parameters
    ----------
    labels : dict of prediction id to value
        At least one.
    received_at : datetime
        When their file was handed in.
    """
    if session.get_bind().dialect.name == "postgresql":
        from sqlalchemy.dialects.postgresql import insert
    else:
        from sqlalchemy.dialects.sqlite import insert  # type: ignore[assignment]
    # One statement compiled once for all rows: a file of millions holds the database for seconds otherwise.
    statement = insert(Label)
    new = statement.excluded
    first = func.coalesce(col(Label.first_at), col(Label.received_at))
    session.connection().execute(
        statement.on_conflict_do_update(
            index_elements=["model_id", "prediction_id"],
            set_={
                "value": case((_newer(new), new.value), else_=col(Label.value)),
                "received_at": case((_newer(new), new.received_at), else_=col(Label.received_at)),
                "first_at": case((new.first_at < first, new.first_at), else_=first),
            },
        ),
        [
            {
                "model_id": model_id,
                "prediction_id": one,
                "value": value,
                "received_at": received_at,
                "first_at": received_at,
                "known": False,
            }
            for one, value in labels.items()
        ],
    )


def _newer(new: Any) -> ColumnElement[bool]:
    return or_(
        new.received_at > col(Label.received_at),
        and_(new.received_at == col(Label.received_at), new.value > col(Label.value)),
    )


def mark_known(session: Session, *, model_id: int, ids: Iterable[str]) -> None:
    """Say of labels that their predictions have been found."""
    found = [{"id_of_prediction": one} for one in sorted(ids)]
    if not found:
        return
    statement = (
        update(Label)
        .where(
            col(Label.model_id) == model_id,
            col(Label.prediction_id) == bindparam("id_of_prediction"),
            col(Label.known).is_(False),
        )
        .values(known=True)
    )
    session.connection().execute(statement, found)


def kept_labels(session: Session, model_id: int, ids: Iterable[str]) -> dict[str, KeptLabel]:
    """The labels that came for these predictions of a model, by prediction id."""
    asked = sorted(set(ids))
    of_model = col(Label.model_id) == model_id
    if not asked or session.exec(select(Label.prediction_id).where(of_model).limit(1)).first() is None:
        return {}
    query = sqlalchemy.select(
        col(Label.prediction_id), col(Label.value), col(Label.first_at), col(Label.received_at), col(Label.known)
    ).where(of_model)
    found: dict[str, KeptLabel] = {}
    for start in range(0, len(asked), ASKED_AT_ONCE):
        some = query.where(col(Label.prediction_id).in_(asked[start : start + ASKED_AT_ONCE]))
        for one, value, first, received, known in session.connection().execute(some):
            found[one] = KeptLabel(value, first or received, known)
    return found


def unknown_labels(session: Session, model_id: int) -> UnknownLabels:
    """Labels of a model for predictions that neither its log nor any batch holds."""
    unknown = (col(Label.model_id) == model_id, col(Label.known).is_(False))
    n, since = session.exec(select(func.count(), func.min(col(Label.first_at))).where(*unknown)).one()
    if n == 0:
        return UnknownLabels(0, (), None)
    query = select(Label.prediction_id).where(*unknown).order_by(col(Label.first_at), col(Label.prediction_id))
    return UnknownLabels(n, tuple(session.exec(query.limit(SHOWN))), since)
