"""Users, roles, sessions, tokens."""

from datetime import datetime

from sqlalchemy import UniqueConstraint
from sqlmodel import Field, SQLModel

from core.database import moment


class User(SQLModel, table=True):
    """One account."""

    __tablename__ = "user_account"

    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(unique=True, max_length=200)
    password_hash: str | None = None
    active: bool = True
    created_at: datetime = moment()


class UserRole(SQLModel, table=True):
    """One role one account holds."""

    __tablename__ = "user_role"

    user_id: int = Field(primary_key=True, foreign_key="user_account.id")
    role: str = Field(primary_key=True, max_length=32)


class SignIn(SQLModel, table=True):
    """One server-side session of a browser; the cookie holds the secret, the row its hash."""

    __tablename__ = "sign_in"

    token_hash: str = Field(primary_key=True, max_length=64)
    user_id: int = Field(foreign_key="user_account.id", index=True)
    created_at: datetime = moment()
    expires_at: datetime = moment()
    revoked_at: datetime | None = moment(nullable=True)


class SignInAttempt(SQLModel, table=True):
    """One failed sign-in: limits the rate, whatever process it came to."""

    __tablename__ = "sign_in_attempt"

    id: int | None = Field(default=None, primary_key=True)
    user_name: str = Field(index=True, max_length=200)
    at: datetime = moment(index=True)


class ApiToken(SQLModel, table=True):
    """A secret for scripts; only its hash is kept."""

    __tablename__ = "api_token"
    __table_args__ = (UniqueConstraint("user_id", "name"),)

    id: int | None = Field(default=None, primary_key=True)
    user_id: int = Field(foreign_key="user_account.id", index=True)
    name: str = Field(max_length=200)
    token_hash: str = Field(unique=True, max_length=64)
    created_at: datetime = moment()
    expires_at: datetime | None = moment(nullable=True)
    revoked_at: datetime | None = moment(nullable=True)


class SetupCode(SQLModel, table=True):
    """Hash of the one-time code that makes the first administrator."""

    __tablename__ = "setup_code"

    code_hash: str = Field(primary_key=True, max_length=64)
    created_at: datetime = moment()
    used_at: datetime | None = moment(nullable=True)
