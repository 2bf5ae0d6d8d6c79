"""The job that makes a dataset version of an upload: read, compare, check, and record all of it or nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from sqlmodel import Session, select

from core.audit.service import record
from core.datasets import checks, content, diffs, ingest, profiling, queries, splits
from core.datasets.lifecycle import move_intake
from core.datasets.options import ParseOptions
from core.datasets.tables import (
    CheckResult,
    Dataset,
    DatasetVersion,
    EvaluationSet,
    Intake,
    Relation,
    Upload,
    VersionState,
)
from core.errors import AlreadyExists, InvalidInput
from core.jobs.context import JobContext
from core.jobs.tables import Job, JobState
from core.permissions import Actor, Permission, require
from core.workspace import Workspace

if TYPE_CHECKING:
    from core.datasets.checks import Finding


@dataclass(frozen=True)
class _Wish:
    """What was asked for, and what the database says about it."""

    intake: Intake
    upload: Upload
    options: ParseOptions
    dataset: Dataset | None
    parent: DatasetVersion | None
    fixed: EvaluationSet | None
    fixed_version: DatasetVersion | None
    target: str | None


@dataclass(frozen=True)
class _Prepared:
    content_hash: str
    data_sha256: str
    kinds: list[tuple[str, Any]]
    n_rows: int
    profile: dict[str, Any]
    diff: dict[str, Any] | None
    findings: dict[str, Finding]
    summary: str


def read_dataset(workspace: Workspace, context: JobContext) -> None:
    """Handle the job "read_dataset": payload ``{"intake_id"}``, result ``{"dataset_id", "version_id"}``.

    Raises
    ------
    PermissionDenied, UnreadableFile, SchemaMismatch, InvalidInput, ArtifactCorrupted
    AlreadyExists
        The dataset has a version of this very content; the message names it.
    """
    require(context.actor, Permission.DATASET_ADD)
    with workspace.read() as session:
        wish = _look_up(session, int(context.payload["intake_id"]))
    prepared = _prepare(workspace, wish, context)
    with context.record() as session:
        version = _record(session, wish, prepared, actor=context.actor, now=context.now())
        context.result = {"dataset_id": version.dataset_id, "version_id": version.id}


def settle(session: Session, job: Job, now: datetime) -> None:
    """Let the intake follow its job: refused with the reason when that failed or was cancelled."""
    if job.state not in (JobState.FAILED, JobState.CANCELLED):
        return
    intake = queries.intake(session, job.subject_id)
    if intake.state == VersionState.PENDING:
        intake.state = move_intake(intake.state, VersionState.REFUSED)
        intake.error = job.error or "It was cancelled before a version was made."
        session.add(intake)
        session.flush()
        record(
            session,
            actor=Actor(user_id=job.actor_id, name=job.actor_name, roles=frozenset(), via="job"),
            action="intake.refused",
            subject_kind="intake",
            subject_id=_id(intake.id),
            subject_label=intake.dataset_name,
            now=now,
            details={"upload_id": intake.upload_id, "error": intake.error},
        )


def _look_up(session: Session, intake_id: int) -> _Wish:
    intake = queries.intake(session, intake_id)
    dataset = session.exec(select(Dataset).where(Dataset.name == intake.dataset_name)).first()
    fixed = None
    if dataset is not None and dataset.id is not None:
        sets = queries.evaluation_sets(session, dataset.id)
        fixed = next((rows for rows in sets if rows.kind == splits.FIXED), None)
    return _Wish(
        intake=intake,
        upload=queries.upload(session, intake.upload_id),
        options=ParseOptions.from_json(intake.options["parse"]),
        dataset=dataset,
        parent=None if intake.parent_id is None else queries.version(session, intake.parent_id),
        fixed=fixed,
        fixed_version=None if fixed is None else queries.version(session, fixed.version_id),
        target=intake.options.get("target") or (dataset.target if dataset is not None else None),
    )


def _prepare(workspace: Workspace, wish: _Wish, context: JobContext) -> _Prepared:
    store, relation = workspace.artifacts, Relation(wish.intake.relation)
    context.report(0.05, "Reading the file")
    table = ingest.read_exactly(
        store.verified_path(wish.upload.sha256), wish.options, memory_limit_mb=workspace.settings.memory_limit_mb
    )
    kinds = [(column.name, column.kind) for column in wish.options.included]
    parent_table: pa.Table | None = None
    if wish.parent is not None:
        parent_kinds = content.kinds_of(wish.parent.columns)
        parent_table = queries.read_table(store, wish.parent)
        table, kinds, changed = content.align(table, kinds, parent_kinds)
        if changed:
            context.log(f"Read as in version {wish.parent.number}: {', '.join(changed)}")
        if relation is Relation.ADDS_TO:
            table, kinds = content.append(parent_table, parent_kinds, table, kinds), parent_kinds
    context.report(0.4, "Describing the columns")
    digest = content.content_hash(table, kinds)
    with workspace.read() as session:
        _refuse_known(session, wish, digest)
    inside = 0
    if wish.fixed is not None and wish.fixed_version is not None:
        inside = splits.count_evaluation_rows(store, wish.fixed, wish.fixed_version, table)
    profile = profiling.profile(table, kinds, n_evaluation_rows=inside)
    context.report(0.6, "Checking")
    diff = None
    if wish.parent is not None and parent_table is not None:
        assert wish.parent.id is not None
        diff = diffs.diff(
            parent_table,
            content.kinds_of(wish.parent.columns),
            table,
            kinds,
            base_id=wish.parent.id,
            base_number=wish.parent.number,
            target=wish.target,
        )
    evidence = checks.CheckEvidence(
        table=table,
        kinds=kinds,
        profile=profile,
        target=wish.target,
        diff=diff,
        has_evaluation_set=wish.fixed is not None,
    )
    findings = checks.run_checks(evidence)
    context.report(0.9, "Storing")
    stored = content.store_table(store, table)
    return _Prepared(
        content_hash=digest,
        data_sha256=stored.sha256,
        kinds=kinds,
        n_rows=table.num_rows,
        profile=profile,
        diff=diff,
        findings=findings,
        summary=checks.summarise(findings, evidence),
    )


def _record(session: Session, wish: _Wish, prepared: _Prepared, *, actor: Actor, now: datetime) -> DatasetVersion:
    intake = queries.intake(session, _id(wish.intake.id))
    _refuse_known(session, wish, prepared.content_hash)
    dataset = _dataset(session, intake, actor, now)
    dataset_id = _id(dataset.id)
    earlier = queries.versions(session, dataset_id)
    version = DatasetVersion(
        dataset_id=dataset_id,
        number=earlier[0].number + 1 if earlier else 1,
        relation=intake.relation,
        parent_id=intake.parent_id,
        upload_id=intake.upload_id,
        parse_options=wish.options.to_json(),
        content_hash=prepared.content_hash,
        data_sha256=prepared.data_sha256,
        columns=content.columns_json(prepared.kinds),
        n_rows=prepared.n_rows,
        n_columns=len(prepared.kinds),
        profile=prepared.profile,
        diff=prepared.diff,
        summary=prepared.summary,
        created_by=intake.requested_by,
        created_at=now,
    )
    session.add(version)
    session.flush()
    version_id = _id(version.id)
    for code, finding in prepared.findings.items():
        session.add(
            CheckResult(
                version_id=version_id,
                code=code,
                column=finding.column,
                severity=checks.CHECKS[code].severity,
                outcome=finding.outcome,
                explanation=finding.explanation,
                checked_at=now,
            )
        )
        session.flush()
    intake.state = move_intake(intake.state, VersionState.READY)
    intake.version_id, intake.error = version_id, None
    session.add(intake)
    record(
        session,
        actor=actor,
        action="dataset_version.added",
        subject_kind="dataset_version",
        subject_id=version_id,
        subject_label=queries.version_label(session, version_id),
        now=now,
        details={
            "content_hash": prepared.content_hash,
            "data_sha256": prepared.data_sha256,
            "upload_sha256": wish.upload.sha256,
            "relation": intake.relation,
            "parent_id": intake.parent_id,
            "rows": prepared.n_rows,
            "summary": prepared.summary,
        },
    )
    return version


def _dataset(session: Session, intake: Intake, actor: Actor, now: datetime) -> Dataset:
    """The line the version joins: made for a new one; its target and the like changed where they were given."""
    wanted = {
        "target": intake.options.get("target"),
        "sensitive": intake.options.get("sensitive") or None,
        "time_column": intake.options.get("time_column"),
    }
    dataset = session.exec(select(Dataset).where(Dataset.name == intake.dataset_name)).first()
    if intake.relation == Relation.NEW:
        if dataset is not None:
            raise AlreadyExists(
                f"A dataset called {intake.dataset_name!r} was made while this file was read. Choose another name."
            )
        dataset = Dataset(name=intake.dataset_name, created_by=intake.requested_by, created_at=now)
        dataset.target, dataset.time_column = wanted["target"], wanted["time_column"]
        dataset.sensitive = wanted["sensitive"] or []
        action = "dataset.created"
    else:
        if dataset is None:
            raise InvalidInput(f"The dataset {intake.dataset_name!r} is gone. Add the file as a new dataset.")
        changes = {key: value for key, value in wanted.items() if value and value != getattr(dataset, key)}
        if not changes:
            return dataset
        for key, value in changes.items():
            setattr(dataset, key, value)
        action = "dataset.changed"
    session.add(dataset)
    session.flush()
    record(
        session,
        actor=actor,
        action=action,
        subject_kind="dataset",
        subject_id=_id(dataset.id),
        subject_label=dataset.name,
        now=now,
        details={"target": dataset.target, "sensitive": dataset.sensitive, "time_column": dataset.time_column},
    )
    return dataset


def _refuse_known(session: Session, wish: _Wish, content_hash: str) -> None:
    if wish.dataset is None:
        return
    known = session.exec(
        select(DatasetVersion).where(
            DatasetVersion.dataset_id == _id(wish.dataset.id), DatasetVersion.content_hash == content_hash
        )
    ).first()
    if known is not None:
        raise AlreadyExists(
            f"{wish.dataset.name} v{known.number} has exactly this content already: the same columns and the same "
            f"{known.n_rows:,} rows. No second version was made; use that one."
        )


def _id(value: int | None) -> int:
    assert value is not None
    return value
