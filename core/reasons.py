"""PURE: the words a person has to give with a deed."""

from __future__ import annotations

from core.errors import InvalidInput

COMMENT_LENGTH = 10_000


def stated(text: str, what: str) -> str:
    """Give back what was said, trimmed; a deed without its reason is refused.

    Parameters
    ----------
    text : str
    what : str
        Begins the refusal: "A rollback's reason".

    Raises
    ------
    InvalidInput
        Empty, or longer than 10,000 characters.
    """
    words = text.strip()
    if not words:
        raise InvalidInput(f"{what} is empty. Write why, in at most {COMMENT_LENGTH:,} characters.")
    if len(words) > COMMENT_LENGTH:
        raise InvalidInput(f"{what} has at most {COMMENT_LENGTH:,} characters; {len(words):,} were given.")
    return words
