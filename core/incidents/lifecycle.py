"""PURE: the legal moves of an incident."""

from __future__ import annotations

from core.errors import InvalidTransition
from core.incidents.tables import IncidentState

# What comes back after it was resolved is another incident: the record of the first stays as it ended.
INCIDENT_MOVES: dict[IncidentState, frozenset[IncidentState]] = {
    IncidentState.OPEN: frozenset({IncidentState.ACTING, IncidentState.RESOLVED}),
    IncidentState.ACTING: frozenset({IncidentState.RESOLVED}),
    IncidentState.RESOLVED: frozenset(),
}


def move_incident(current: str, wanted: IncidentState) -> IncidentState:
    """The state after a move.

    Raises
    ------
    InvalidTransition
        The table of moves has no such move.
    """
    if wanted not in INCIDENT_MOVES[IncidentState(current)]:
        raise InvalidTransition("incident", current, wanted)
    return wanted
