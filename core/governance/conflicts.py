"""Who may not decide because they took part."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Part(StrEnum):
    """A hand somebody had in what is decided."""

    UPLOADED = "uploaded the data"
    LAUNCHED = "launched the run"
    WROTE_POLICY = "wrote the promotion policy"
    WROTE_SUITE = "wrote the behaviour suite"
    REQUESTED = "made the request"


@dataclass(frozen=True)
class Participants:
    """The accounts behind a request; None where a built-in actor did it.

    Parameters
    ----------
    uploaders : frozenset of int
        Whoever uploaded or added a dataset version in the model version's lineage.
    launcher, policy_author, requester, suite_author : int or None
    """

    uploaders: frozenset[int]
    launcher: int | None
    policy_author: int | None
    requester: int | None
    suite_author: int | None = None


def parts_taken(user_id: int | None, participants: Participants) -> tuple[Part, ...]:
    """Name each part an account took; empty when it may decide. No account never took part."""
    if user_id is None:
        return ()
    taken = {
        Part.UPLOADED: user_id in participants.uploaders,
        Part.LAUNCHED: user_id == participants.launcher,
        Part.WROTE_POLICY: user_id == participants.policy_author,
        Part.WROTE_SUITE: user_id == participants.suite_author,
        Part.REQUESTED: user_id == participants.requester,
    }
    return tuple(part for part, took in taken.items() if took)


def in_words(parts: tuple[Part, ...]) -> str:
    """Put parts in a row: "uploaded the data and launched the run"."""
    words = [part.value for part in parts]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
