"""Comments."""

from datetime import datetime

from sqlmodel import Field, SQLModel

from core.database import moment


class Comment(SQLModel, table=True):
    """One remark on one subject, shown literally."""

    __tablename__ = "comment"

    id: int | None = Field(default=None, primary_key=True)
    subject_kind: str = Field(max_length=32, index=True)
    subject_id: int = Field(index=True)
    body: str
    author_id: int = Field(foreign_key="user_account.id")
    written_at: datetime = moment()
