"""Which moves a run can make. Pure."""

from __future__ import annotations

from core.errors import InvalidTransition
from core.training.tables import RunState

MOVES: dict[RunState, frozenset[RunState]] = {
    RunState.QUEUED: frozenset({RunState.RUNNING, RunState.FAILED, RunState.CANCELLED}),
    RunState.RUNNING: frozenset({RunState.QUEUED, RunState.FINISHED, RunState.FAILED, RunState.CANCELLED}),
    RunState.FINISHED: frozenset(),
    RunState.FAILED: frozenset(),
    RunState.CANCELLED: frozenset(),
}
FINAL = frozenset(state for state, moves in MOVES.items() if not moves)


def move(current: str, wanted: RunState) -> RunState:
    """The state after a move; staying where it is counts as one.

    Raises
    ------
    InvalidTransition
        The table of moves has no such move.
    """
    state = RunState(current)
    if wanted != state and wanted not in MOVES[state]:
        raise InvalidTransition("run", state, wanted)
    return wanted
