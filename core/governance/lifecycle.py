"""The legal moves of a promotion request."""

from __future__ import annotations

from core.errors import InvalidTransition
from core.governance.tables import RequestState as State

# Preparing leads to itself when the evidence is prepared again after a failure.
MOVES: dict[State, frozenset[State]] = {
    State.PREPARING: frozenset({State.PREPARING, State.OPEN, State.WITHDRAWN}),
    State.OPEN: frozenset({State.PREPARING, State.CHANGES_REQUESTED, State.APPROVED, State.REJECTED, State.WITHDRAWN}),
    State.CHANGES_REQUESTED: frozenset({State.PREPARING, State.WITHDRAWN}),
    State.APPROVED: frozenset(),
    State.REJECTED: frozenset(),
    State.WITHDRAWN: frozenset(),
}
UNDECIDED: frozenset[State] = frozenset(state for state, moves in MOVES.items() if moves)


def move(current: str, wanted: State) -> State:
    """Return the wanted state where a request may go there.

    Raises
    ------
    InvalidTransition
    """
    if wanted not in MOVES[State(current)]:
        raise InvalidTransition("promotion request", current, wanted)
    return wanted


def stands(state: str) -> str:
    """Where a request is, to follow its name in a sentence: "is open", "waits for changes"."""
    return "waits for changes" if state == State.CHANGES_REQUESTED else f"is {State(state).value}"
