"""Passwords: Argon2id, one hash each, checked outside any transaction (a check costs about 0.2 s and 64 MB)."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING

from core.errors import InvalidInput

if TYPE_CHECKING:
    from pwdlib import PasswordHash

SHORTEST, LONGEST = 8, 1000


@dataclass(frozen=True)
class HashedPassword:
    """A password's Argon2id hash, made before the transaction that keeps it."""

    text: str = field(repr=False)


def hashed(password: str | HashedPassword) -> HashedPassword:
    """Hash a password; one that is hashed already is given back.

    Raises
    ------
    InvalidInput
        Shorter than 8 or longer than 1,000 characters.
    """
    if isinstance(password, HashedPassword):
        return password
    if not SHORTEST <= len(password) <= LONGEST:
        raise InvalidInput(
            f"The password has {len(password):,} characters; it needs {SHORTEST} to {LONGEST:,}. Choose another."
        )
    return HashedPassword(_hasher().hash(password))


def verify(password: str, password_hash: str | None) -> bool:
    """Whether a password matches a stored hash.

    Where there is none (no such account, or one without a password) a hash is checked all the same, so that the time
    taken does not tell which names exist.
    """
    if len(password) > LONGEST:
        return False
    matches = _hasher().verify(password, password_hash or _decoy())
    return matches and password_hash is not None


@cache
def _hasher() -> PasswordHash:
    # Imported on use: most commands never see a password.
    from pwdlib import PasswordHash
    from pwdlib.hashers.argon2 import Argon2Hasher

    return PasswordHash((Argon2Hasher(),))


@cache
def _decoy() -> str:
    return _hasher().hash("no account has this one")
