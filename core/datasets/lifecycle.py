"""PURE: the legal moves of an intake."""

from __future__ import annotations

from core.datasets.tables import VersionState
from core.errors import InvalidTransition

INTAKE_MOVES: dict[VersionState, frozenset[VersionState]] = {
    VersionState.PENDING: frozenset({VersionState.READY, VersionState.REFUSED}),
    VersionState.READY: frozenset(),
    VersionState.REFUSED: frozenset(),
}


def move_intake(current: str, wanted: VersionState) -> VersionState:
    """The state after a move.

    Raises
    ------
    InvalidTransition
        The table of moves has no such move.
    """
    if wanted not in INTAKE_MOVES[VersionState(current)]:
        raise InvalidTransition("intake", current, wanted)
    return wanted
