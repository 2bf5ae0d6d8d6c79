"""Every kind of job: what it is called, what runs it, and how long and how often it may try."""

from __future__ import annotations

from dataclasses import dataclass

from core.errors import NotFound


@dataclass(frozen=True)
class JobKind:
    """One kind of job.

    Parameters
    ----------
    title : str
        What the queue calls it.
    handler : str
        ``"module:function"`` taking ``(workspace, context)``. A dotted name, so that nothing is imported upward.
    settle : str or None
        ``"module:function"`` taking ``(session, job, now)``; called in the transaction of every change of the job's
        state but success, so that the row the job is about follows. Success is the handler's own ``record`` block.
    timeout_seconds : float
        An attempt that runs longer is killed, and the job fails.
    max_attempts : int
        How many times it is started before a lost or defective attempt fails it.
    followed_by : str or None
        ``"module:function"`` taking ``(session, job, now)``; called in the transaction of the job's success, so that
        what a higher layer makes of its outcome is queued with it or not at all.
    """

    title: str
    handler: str
    settle: str | None
    timeout_seconds: float
    max_attempts: int
    followed_by: str | None = None


HOUR = 3600.0

JOB_KINDS: dict[str, JobKind] = {
    "read_dataset": JobKind(
        title="Read a dataset",
        handler="core.datasets.intake:read_dataset",
        settle="core.datasets.intake:settle",
        timeout_seconds=HOUR,
        max_attempts=2,
    ),
    "train_run": JobKind(
        title="Train a run",
        handler="core.training.training_job:train_run",
        settle="core.training.training_job:settle",
        timeout_seconds=12 * HOUR,
        max_attempts=2,
    ),
    "score_run": JobKind(
        title="Score a run on an evaluation set",
        handler="core.training.scoring_job:score_run",
        settle=None,
        timeout_seconds=HOUR,
        max_attempts=2,
    ),
    "compare_runs": JobKind(
        title="Compare runs",
        handler="core.training.comparison_job:compare_runs",
        settle=None,
        timeout_seconds=HOUR,
        max_attempts=2,
    ),
    "analyse_run": JobKind(
        title="Analyse a run",
        handler="core.training.analysis_job:analyse_run",
        settle=None,
        timeout_seconds=HOUR,
        max_attempts=2,
    ),
    "run_behaviour": JobKind(
        title="Run a behaviour suite",
        handler="core.registry.behaviour_job:run_behaviour",
        settle=None,
        timeout_seconds=HOUR,
        max_attempts=2,
    ),
    "prepare_request": JobKind(
        title="Gather the evidence of a promotion request",
        handler="core.governance.preparation:prepare_request",
        settle="core.governance.preparation:settle",
        timeout_seconds=HOUR,
        max_attempts=2,
    ),
    "read_batch": JobKind(
        title="Read a batch",
        handler="core.monitoring.batch_job:read_batch",
        settle="core.monitoring.batch_job:settle",
        timeout_seconds=HOUR,
        max_attempts=2,
        followed_by="core.incidents.triage_job:follow",
    ),
    "read_labels": JobKind(
        title="Read labels",
        handler="core.monitoring.label_job:read_labels",
        settle=None,
        timeout_seconds=HOUR,
        max_attempts=2,
        followed_by="core.incidents.triage_job:follow",
    ),
    "watch_log": JobKind(
        title="Measure the prediction log",
        handler="core.monitoring.log_job:watch_log",
        settle=None,
        timeout_seconds=HOUR,
        max_attempts=2,
        followed_by="core.incidents.triage_job:follow",
    ),
    "compact_log": JobKind(
        title="Put the prediction log together",
        handler="core.serving.compaction:compact_log",
        settle=None,
        timeout_seconds=12 * HOUR,
        max_attempts=2,
    ),
    "compare_windows": JobKind(
        title="Compare two windows",
        handler="core.monitoring.windows_job:compare_windows",
        settle=None,
        timeout_seconds=HOUR,
        max_attempts=2,
    ),
    "triage_windows": JobKind(
        title="Look for causes",
        handler="core.incidents.triage_job:triage_windows",
        settle=None,
        timeout_seconds=HOUR,
        max_attempts=2,
    ),
    "look_again": JobKind(
        title="Look at an incident again",
        handler="core.incidents.triage_job:look_again",
        settle=None,
        timeout_seconds=HOUR,
        max_attempts=2,
    ),
    "preview_rule": JobKind(
        title="Try a monitor's settings on the past",
        handler="core.monitoring.preview_job:preview_rule",
        settle=None,
        timeout_seconds=HOUR,
        max_attempts=2,
    ),
    "compare_versions": JobKind(
        title="Compare two dataset versions",
        handler="core.monitoring.versions_job:compare_versions",
        settle=None,
        timeout_seconds=HOUR,
        max_attempts=2,
    ),
}


def job_kind(key: str) -> JobKind:
    """The kind of this key.

    Raises
    ------
    NotFound
        Names the kinds there are.
    """
    try:
        return JOB_KINDS[key]
    except KeyError:
        raise NotFound("kind of job", key, f"There are: {', '.join(JOB_KINDS)}.") from None
