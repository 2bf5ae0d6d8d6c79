"""What every worker does now and then, besides jobs."""

from __future__ import annotations

from dataclasses import dataclass

from core.health.figures import FIGURES


@dataclass(frozen=True)
class Periodic:
    """One thing done again and again.

    Parameters
    ----------
    function : str
        ``"module:function"`` taking ``(workspace, now)``; called in a process of its own. Several workers may call it
        at about the same time, so what it enqueues carries an idempotency key.
    every_seconds : float
    """

    function: str
    every_seconds: float


PERIODIC: tuple[Periodic, ...] = (
    Periodic("core.incidents.opening:open_due", every_seconds=60.0),
    Periodic("core.incidents.triage_job:enqueue_due", every_seconds=60.0),
    Periodic("core.monitoring.log_job:enqueue_due", every_seconds=60.0),
    Periodic("core.serving.compaction:enqueue_due", every_seconds=600.0),
    Periodic("core.automation.sweeping:sweep", every_seconds=3600.0),
    Periodic("core.monitoring.liveness_job:judge_all", every_seconds=180.0),
    Periodic("core.automation.watching:look_after_others", every_seconds=60.0),
    Periodic("core.health.sampling:sample_home", every_seconds=FIGURES["home_bytes"].every_seconds),
    Periodic("core.health.sampling:thin", every_seconds=3600.0),
)
