"""PURE: the legal moves of a batch and of an alert."""

from __future__ import annotations

from core.errors import InvalidTransition
from core.monitoring.tables import AlertState, BatchState

# Any move back leads to a job that is tried again.
BATCH_MOVES: dict[BatchState, frozenset[BatchState]] = {
    BatchState.PENDING: frozenset({BatchState.READING, BatchState.FAILED, BatchState.CANCELLED}),
    BatchState.READING: frozenset({BatchState.PENDING, BatchState.MEASURING, BatchState.FAILED, BatchState.CANCELLED}),
    BatchState.MEASURING: frozenset({BatchState.PENDING, BatchState.READY, BatchState.FAILED, BatchState.CANCELLED}),
    BatchState.READY: frozenset({BatchState.WITHDRAWN}),
    BatchState.FAILED: frozenset(),
    BatchState.CANCELLED: frozenset(),
    BatchState.WITHDRAWN: frozenset(),
}

# What was resolved because later data no longer showed it opens again when still later data does.
ALERT_MOVES: dict[AlertState, frozenset[AlertState]] = {
    AlertState.OPEN: frozenset({AlertState.ACKNOWLEDGED, AlertState.RESOLVED}),
    AlertState.ACKNOWLEDGED: frozenset({AlertState.RESOLVED}),
    AlertState.RESOLVED: frozenset({AlertState.OPEN}),
}


def move_batch(current: str, wanted: BatchState) -> BatchState:
    """The state after a move; staying where it is counts as one.

    Raises
    ------
    InvalidTransition
        The table of moves has no such move.
    """
    state = BatchState(current)
    if wanted != state and wanted not in BATCH_MOVES[state]:
        raise InvalidTransition("batch", state, wanted)
    return wanted


def move_alert(current: str, wanted: AlertState) -> AlertState:
    """The state after a move.

    Raises
    ------
    InvalidTransition
        The table of moves has no such move.
    """
    if wanted not in ALERT_MOVES[AlertState(current)]:
        raise InvalidTransition("alert", current, wanted)
    return wanted
