"""PURE: the states of a job, and what follows when an attempt ends without success."""

from __future__ import annotations

from enum import StrEnum

from core.errors import InvalidTransition
from core.jobs.tables import JobState

MOVES: dict[JobState, frozenset[JobState]] = {
    JobState.QUEUED: frozenset({JobState.RUNNING, JobState.CANCELLED}),
    JobState.RUNNING: frozenset({JobState.QUEUED, JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED}),
    JobState.SUCCEEDED: frozenset(),
    JobState.FAILED: frozenset(),
    JobState.CANCELLED: frozenset(),
}


class Ending(StrEnum):
    """How an attempt ended, success apart; damaged: a stored file is not what it was, which no asker can mend."""

    REFUSED = "refused"
    DAMAGED = "damaged"
    DEFECT = "defect"
    LOST = "lost"
    TIMED_OUT = "timed_out"
    CANCELLED = "cancelled"
    RELEASED = "released"


RETRIED = frozenset({Ending.DEFECT, Ending.LOST})


def check_move(current: str, wanted: JobState) -> None:
    """Refuse a move the table does not have.

    Raises
    ------
    InvalidTransition
    """
    if wanted not in MOVES[JobState(current)]:
        raise InvalidTransition("job", current, wanted)


def state_after(ending: Ending, *, attempts: int, max_attempts: int, cancel_requested: bool) -> JobState:
    """The state a running job goes to when its attempt ends without success.

    Parameters
    ----------
    ending : Ending
        A refusal and a time-out would only repeat themselves, so they fail at once; a defect and a lost owner are
        tried again while attempts remain; a released job (its worker was told to stop) always goes back.
    attempts, max_attempts : int
        Attempts started, this one included, and how many are allowed.
    cancel_requested : bool
        Cancelling was asked for: it wins over trying again.
    """
    if ending is Ending.CANCELLED or (cancel_requested and ending in RETRIED | {Ending.RELEASED}):
        return JobState.CANCELLED
    if ending is Ending.RELEASED or (ending in RETRIED and attempts < max_attempts):
        return JobState.QUEUED
    return JobState.FAILED
