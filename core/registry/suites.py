"""Writing behaviour suites and their results: the seeded first version, each next one, and how a version did."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlmodel import Session

from core.audit.service import record
from core.datasets import queries as datasets
from core.errors import InvalidInput, NotFound
from core.jobs import service as jobs
from core.jobs.tables import Job
from core.permissions import Actor, Permission, require, system_actor
from core.registry import queries
from core.registry.behaviour import checked_suite, default_suite
from core.registry.tables import BehaviourResult, BehaviourSuite, ModelVersion
from core.training.tables import Run

LONGEST_REASON = 10_000


def ensure_suite(session: Session, *, version: ModelVersion, now: datetime) -> BehaviourSuite:
    """Get the suite in force for a version's model, writing version 1 from the records where there is none yet."""
    found = queries.suite(session, version.model_id)
    if found is not None:
        return found
    run = session.get(Run, version.run_id)
    if run is None:
        raise NotFound("run", version.run_id)
    data = datasets.version(session, run.dataset_version_id)
    sensitive = datasets.dataset(session, data.dataset_id).sensitive
    return _add(
        session,
        model_id=version.model_id,
        number=1,
        tests=default_suite(run.features, sensitive),
        reason="The suite Gatehouse starts with.",
        actor=system_actor(),
        now=now,
    )


def save_suite(
    session: Session, *, model_id: int, tests: Sequence[Mapping[str, Any]], reason: str, actor: Actor, now: datetime
) -> BehaviourSuite:
    """Write the next version of a model's suite; its author decides no request judged by it.

    Parameters
    ----------
    tests : sequence of {"test", "column", "limit", "direction"}
        As `behaviour.checked_suite` takes them, against the newest version's features.
    reason : str
        Why; 1 to 10,000 characters.

    Raises
    ------
    PermissionDenied, NotFound, InvalidInput
    """
    require(actor, Permission.SUITE_EDIT)
    words = reason.strip()
    if not 0 < len(words) <= LONGEST_REASON:
        raise InvalidInput(
            f"Say why the suite changes, in 1 to {LONGEST_REASON:,} characters; {len(words):,} were given."
        )
    queries.model(session, model_id)
    newest = queries.versions(session, model_id)[0]
    kinds = {entry["name"]: entry["kind"] for entry in newest.signature["features"]}
    complete = checked_suite(tests, kinds)
    before = ensure_suite(session, version=newest, now=now)
    return _add(
        session, model_id=model_id, number=before.number + 1, tests=complete, reason=words, actor=actor, now=now
    )


def request_behaviour(session: Session, *, version_id: int, actor: Actor, now: datetime) -> Job:
    """Put the run of a model's suite on one of its versions in the queue. Whoever may read models may ask.

    Raises
    ------
    PermissionDenied, NotFound
    """
    require(actor, Permission.MODEL_READ)
    version = queries.version(session, version_id)
    suite = ensure_suite(session, version=version, now=now)
    record(
        session,
        actor=actor,
        action="model_version.behaviour_requested",
        subject_kind="model_version",
        subject_id=version_id,
        subject_label=queries.version_label(session, version_id),
        now=now,
        details={"suite": suite.number},
    )
    return jobs.enqueue(
        session,
        kind="run_behaviour",
        payload={"version_id": version_id},
        subject_kind="model_version",
        subject_id=version_id,
        actor=actor,
        now=now,
    )


def record_behaviour(
    session: Session,
    *,
    version_id: int,
    suite_id: int,
    outcomes: Sequence[Mapping[str, Any]],
    n_rows: int,
    actor: Actor,
    now: datetime,
) -> BehaviourResult:
    """Write down how a version did on a suite; the same pair again gives the row that is there."""
    found = queries.behaviour_result(session, version_id=version_id, suite_id=suite_id)
    if found is not None:
        return found
    found = BehaviourResult(
        version_id=version_id,
        suite_id=suite_id,
        outcomes=[dict(one) for one in outcomes],
        n_failed=sum(one["outcome"] == "failed" for one in outcomes),
        n_rows=n_rows,
        created_at=now,
    )
    session.add(found)
    session.flush()
    record(
        session,
        actor=actor,
        action="model_version.behaviour_tested",
        subject_kind="model_version",
        subject_id=version_id,
        subject_label=queries.version_label(session, version_id),
        now=now,
        details={"suite_id": suite_id, "n_tests": len(found.outcomes), "n_failed": found.n_failed},
    )
    return found


def _add(
    session: Session,
    *,
    model_id: int,
    number: int,
    tests: list[dict[str, Any]],
    reason: str,
    actor: Actor,
    now: datetime,
) -> BehaviourSuite:
    suite = BehaviourSuite(
        model_id=model_id, number=number, tests=tests, author_id=actor.user_id, reason=reason, created_at=now
    )
    session.add(suite)
    session.flush()
    record(
        session,
        actor=actor,
        action="behaviour_suite.saved",
        subject_kind="registered_model",
        subject_id=model_id,
        subject_label=queries.model(session, model_id).name,
        now=now,
        details={"number": number, "tests": tests, "reason": reason},
    )
    return suite
