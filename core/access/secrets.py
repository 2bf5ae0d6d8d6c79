"""Random secrets and their hashes. The secret is shown once; the database keeps the hash.

A fast hash is enough: unlike a password, a secret of 256 random bits cannot be guessed.
"""

from __future__ import annotations

import hashlib
import secrets

TOKEN_PREFIX = "gh_"  # noqa: S105 - tells a leaked token apart, is none
CODE_LETTERS = "ABCDEFGHJKMNPQRSTUVWXYZ23456789"  # none that reads as another


def new_secret() -> str:
    """Make a random string of 256 bits, safe in a cookie or a header."""
    return secrets.token_urlsafe(32)


def new_api_token() -> str:
    """Make a random API token, ``gh_…``."""
    return TOKEN_PREFIX + new_secret()


def new_setup_code() -> str:
    """Make a random one-time code to type: three groups of four, 59 bits."""
    letters = [secrets.choice(CODE_LETTERS) for _ in range(12)]
    return "-".join("".join(letters[start : start + 4]) for start in (0, 4, 8))


def secret_hash(secret: str) -> str:
    """SHA-256 of a secret, in hexadecimal."""
    return hashlib.sha256(secret.encode()).hexdigest()


def setup_code_hash(code: str) -> str:
    """SHA-256 of a setup code as a person types it: case, spaces and dashes do not matter."""
    return secret_hash("".join(letter for letter in code.upper() if letter in CODE_LETTERS))
