"""Taking a batch back that should not have been handed in: its rows leave every window.

So do those of a batch that came to nothing. That it was there, who took it back and why stays in the audit log, and its
file stays stored.
"""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Session

from core.errors import InvalidTransition
from core.jobs.service import enqueue
from core.monitoring import cells, queries
from core.monitoring.lifecycle import move_batch
from core.monitoring.service import record
from core.monitoring.tables import Batch, BatchState
from core.permissions import Actor, Permission, require, system_actor
from core.reasons import stated


def withdraw_batch(session: Session, *, batch_id: int, reason: str, actor: Actor, now: datetime) -> Batch:
    """Take a batch that was measured out of every window; they are computed anew in the background.

    The target that its rows held goes with them; labels that were handed in by themselves are kept. The same file can
    be handed in again afterwards.

    Raises
    ------
    PermissionDenied, NotFound
    InvalidInput
        No reason was given, or too long a one.
    InvalidTransition
        It is still being read, came to nothing, or was withdrawn already.
    """
    require(actor, Permission.BATCH_ADD)
    found = queries.batch(session, batch_id)
    words = stated(reason, "A withdrawal's reason")
    if found.state == BatchState.WITHDRAWN:  # to `move_batch` staying there would be a move, and here an event
        raise InvalidTransition("batch", found.state, BatchState.WITHDRAWN)
    found.state = move_batch(found.state, BatchState.WITHDRAWN)
    session.add(found)
    details: dict[str, object] = {"batch_id": batch_id, "rows": found.n_rows, "reason": words}
    record(session, queries.monitor(session, found.monitor_id), "batch.withdrawn", actor, now, details)
    leave_windows(session, found, now)
    return found


def leave_windows(session: Session, batch: Batch, now: datetime) -> None:
    """Drop what was counted of a batch whose rows do not count any more, and have its windows computed anew."""
    if cells.forget_batch(session, batch):
        enqueue(
            session,
            kind="watch_log",
            payload={"monitor_id": batch.monitor_id, "everything": True},
            subject_kind="monitor",
            subject_id=batch.monitor_id,
            actor=system_actor("monitoring"),
            now=now,
        )
