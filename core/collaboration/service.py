"""Writing remarks."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Session, SQLModel

from core.audit.service import record
from core.collaboration.tables import Comment
from core.datasets.tables import DatasetVersion
from core.errors import InvalidInput, NotFound, PermissionDenied
from core.governance.tables import PromotionRequest
from core.monitoring.tables import Alert, Monitor
from core.permissions import Actor, Permission, require
from core.registry.tables import ModelVersion, RegisteredModel
from core.training.tables import Run

BODY_LENGTH = 10_000
SUBJECTS: dict[str, type[SQLModel]] = {
    "alert": Alert,
    "dataset_version": DatasetVersion,
    "model_version": ModelVersion,
    "monitor": Monitor,
    "promotion_request": PromotionRequest,
    "registered_model": RegisteredModel,
    "run": Run,
}


def add_comment(
    session: Session, *, subject_kind: str, subject_id: int, body: str, actor: Actor, now: datetime
) -> Comment:
    """Say something about a subject; kept and shown literally.

    Parameters
    ----------
    subject_kind : str
        One of ``SUBJECTS``.
    body : str
        1 to 10,000 characters after trimming.

    Raises
    ------
    PermissionDenied
        The role may not, or a built-in actor without an account speaks.
    InvalidInput, NotFound
    """
    require(actor, Permission.COMMENT_ADD)
    if actor.user_id is None:
        raise PermissionDenied(f"{actor.name} has no account to speak for. Choose one with --as NAME.")
    if subject_kind not in SUBJECTS:
        raise InvalidInput(f"{subject_kind!r} cannot be commented on; these can: {', '.join(SUBJECTS)}.")
    if session.get(SUBJECTS[subject_kind], subject_id) is None:
        raise NotFound(subject_kind.replace("_", " "), subject_id)
    text = body.strip()
    if not 0 < len(text) <= BODY_LENGTH:
        raise InvalidInput(f"A comment has 1 to {BODY_LENGTH:,} characters; {len(text):,} were given.")
    comment = Comment(
        subject_kind=subject_kind, subject_id=subject_id, body=text, author_id=actor.user_id, written_at=now
    )
    session.add(comment)
    session.flush()
    assert comment.id is not None
    record(
        session,
        actor=actor,
        action="comment.added",
        subject_kind=subject_kind,
        subject_id=subject_id,
        subject_label=f"{subject_kind.replace('_', ' ')} {subject_id}",
        now=now,
        details={"comment_id": comment.id, "body": text},
    )
    return comment
