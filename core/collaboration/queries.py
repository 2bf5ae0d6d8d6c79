"""Reads: what was said about a subject."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session, col, select

from core.access.tables import User
from core.collaboration.tables import Comment


@dataclass(frozen=True)
class CommentRow:
    """One remark with its author's name."""

    id: int
    body: str
    author_id: int
    author: str
    written_at: datetime


def comments(session: Session, subject_kind: str, subject_id: int) -> list[CommentRow]:
    """List the remarks on one subject, oldest first."""
    rows = session.exec(
        select(Comment, User.name)
        .join(User, col(User.id) == col(Comment.author_id))
        .where(Comment.subject_kind == subject_kind, Comment.subject_id == subject_id)
        .order_by(col(Comment.id))
    ).all()
    listed = []
    for comment, author in rows:
        assert comment.id is not None
        listed.append(CommentRow(comment.id, comment.body, comment.author_id, author, comment.written_at))
    return listed
