"""Uploads, intakes and quarantine: what a person does to data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlmodel import Session, select

from core.artifacts import StoredArtifact
from core.audit.service import record
from core.datasets import costs as cost_matrices
from core.datasets import queries
from core.datasets.tables import Dataset, DatasetVersion, Intake, Relation, Upload
from core.errors import AlreadyExists, InvalidInput, InvalidTransition, NotFound
from core.jobs.service import enqueue
from core.permissions import Actor, Permission, require
from core.wording import enumerated

if TYPE_CHECKING:
    from core.datasets.options import ParseOptions

LONGEST_NAME = 200
NAMED = 12

blocking = queries.blocking


def store_upload(session: Session, *, artifact: StoredArtifact, file_name: str, actor: Actor, now: datetime) -> Upload:
    """Keep a file as it was given, before anyone says what it is.

    Parameters
    ----------
    artifact : StoredArtifact
        The file's bytes, already in the artifact store.
    file_name : str
        As the person calls it; only ever shown, never a path.

    Raises
    ------
    PermissionDenied
        The actor may add neither datasets nor batches.
    InvalidInput
        The name is blank or too long.
    """
    if not actor.may(Permission.DATASET_ADD):  # the one that fewer lack is named in the refusal
        require(actor, Permission.BATCH_ADD)
    _check_name(file_name, "file")
    upload = Upload(
        file_name=file_name,
        sha256=artifact.sha256,
        size_bytes=artifact.size_bytes,
        uploaded_by=actor.user_id,
        uploaded_at=now,
    )
    session.add(upload)
    session.flush()
    assert upload.id is not None
    record(
        session,
        actor=actor,
        action="upload.stored",
        subject_kind="upload",
        subject_id=upload.id,
        subject_label=file_name,
        now=now,
        details={"sha256": artifact.sha256, "size_bytes": artifact.size_bytes},
    )
    return upload


def request_intake(
    session: Session,
    *,
    upload_id: int,
    dataset_name: str,
    relation: Relation,
    options: ParseOptions,
    target: str | None,
    sensitive: Sequence[str],
    time_column: str | None,
    parent_id: int | None = None,
    actor: Actor,
    now: datetime,
) -> Intake:
    """Ask for a dataset version to be made of an upload, read as confirmed; a job reads it.

    Parameters
    ----------
    relation : Relation
        A new dataset, or a version that replaces or adds to an earlier one.
    options : ParseOptions
        As inspected and confirmed.
    target, sensitive, time_column
        Names of included columns. For a later version None or empty inherits the dataset's; adding rows inherits
        always.
    parent_id : int, optional
        The version that is replaced or added to; the dataset's newest unless given.

    Raises
    ------
    PermissionDenied, NotFound, InvalidInput
    AlreadyExists
        A new dataset under a name that is taken.
    """
    require(actor, Permission.DATASET_ADD)
    relation = Relation(relation)
    dataset_name = dataset_name.strip()
    _check_name(dataset_name, "dataset")
    upload = queries.upload(session, upload_id)
    _check_columns(options, target, sensitive, time_column)
    existing = session.exec(select(Dataset).where(Dataset.name == dataset_name)).first()
    if relation is Relation.NEW:
        if existing is not None:
            raise AlreadyExists(
                f"There is already a dataset called {dataset_name!r}. Choose another name, or say that this file "
                "replaces or adds to its newest version."
            )
        if parent_id is not None:
            raise InvalidInput("A new dataset has no earlier version. Leave the version out.")
    else:
        if existing is None or existing.id is None:
            raise NotFound("dataset", repr(dataset_name[:60]), "To begin one, say that the file is a new dataset.")
        parent = queries.latest_version(session, existing.id) if parent_id is None else _version(session, parent_id)
        if parent.dataset_id != existing.id:
            raise InvalidInput(f"Version {parent_id} belongs to another dataset than {dataset_name!r}.")
        parent_id = parent.id
    intake = Intake(
        upload_id=upload_id,
        dataset_name=dataset_name,
        relation=relation,
        parent_id=parent_id,
        options={
            "parse": options.to_json(),
            "target": target,
            "sensitive": list(sensitive),
            "time_column": time_column,
        },
        requested_by=actor.user_id,
        requested_at=now,
    )
    session.add(intake)
    session.flush()
    assert intake.id is not None
    job = enqueue(
        session,
        kind="read_dataset",
        payload={"intake_id": intake.id},
        subject_kind="intake",
        subject_id=intake.id,
        actor=actor,
        now=now,
    )
    intake.job_id = job.id
    session.add(intake)
    record(
        session,
        actor=actor,
        action="intake.requested",
        subject_kind="intake",
        subject_id=intake.id,
        subject_label=dataset_name,
        now=now,
        details={"upload_id": upload_id, "sha256": upload.sha256, "relation": relation.value, "parent_id": parent_id},
    )
    return intake


def quarantine(session: Session, *, version_id: int, reason: str, actor: Actor, now: datetime) -> DatasetVersion:
    """Set a version apart: it is not to be trained on or promoted from until the quarantine is lifted.

    Raises
    ------
    PermissionDenied, NotFound, InvalidInput
    InvalidTransition
        It is in quarantine already.
    """
    require(actor, Permission.DATASET_QUARANTINE)
    version = queries.version(session, version_id)
    reason = reason.strip()
    if not reason:
        raise InvalidInput("A quarantine needs a reason: whoever meets it wants to know why.")
    if version.quarantined_at is not None:
        raise InvalidTransition("dataset version", "in quarantine", "in quarantine")
    version.quarantined_at, version.quarantine_reason = now, reason
    return _record_quarantine(session, version, "dataset_version.quarantined", reason, actor, now)


def lift_quarantine(
    session: Session, *, version_id: int, reason: str = "", actor: Actor, now: datetime
) -> DatasetVersion:
    """Let a version be used again.

    Raises
    ------
    PermissionDenied, NotFound
    InvalidTransition
        It is not in quarantine.
    """
    require(actor, Permission.DATASET_QUARANTINE)
    version = queries.version(session, version_id)
    if version.quarantined_at is None:
        raise InvalidTransition("dataset version", "not in quarantine", "released")
    version.quarantined_at = version.quarantine_reason = None
    return _record_quarantine(session, version, "dataset_version.quarantine_lifted", reason.strip(), actor, now)


def set_costs(
    session: Session, *, dataset_id: int, costs: Mapping[str, Any] | None, actor: Actor, now: datetime
) -> Dataset:
    """Say what being wrong about the dataset's question costs; evaluations and thresholds weigh by it from then on.

    Parameters
    ----------
    costs : mapping or None
        ``{"labels", "matrix"}`` as `core.datasets.costs` describes them; None takes them back.

    Raises
    ------
    PermissionDenied, NotFound
    InvalidInput
        The dataset has no target, or `costs.checked` refuses them.
    """
    require(actor, Permission.DATASET_ADD)
    dataset = queries.dataset(session, dataset_id)
    if costs is not None:
        if dataset.target is None:
            raise InvalidInput(
                f"{dataset.name} has no target, so there is nothing to be wrong about. Declare one first."
            )
        costs = cost_matrices.checked(costs, queries.target_labels(session, dataset_id))
    before, dataset.costs = dataset.costs, None if costs is None else dict(costs)
    session.add(dataset)
    session.flush()
    record(
        session,
        actor=actor,
        action="dataset.costs_set",
        subject_kind="dataset",
        subject_id=dataset_id,
        subject_label=dataset.name,
        now=now,
        details={"costs": dataset.costs, "before": before},
    )
    return dataset


def _record_quarantine(
    session: Session, version: DatasetVersion, action: str, reason: str, actor: Actor, now: datetime
) -> DatasetVersion:
    session.add(version)
    session.flush()
    assert version.id is not None
    record(
        session,
        actor=actor,
        action=action,
        subject_kind="dataset_version",
        subject_id=version.id,
        subject_label=queries.version_label(session, version.id),
        now=now,
        details={"reason": reason},
    )
    return version


def _version(session: Session, version_id: int) -> DatasetVersion:
    return queries.version(session, version_id)


def _check_name(name: str, what: str) -> None:
    if not name.strip() or len(name) > LONGEST_NAME:
        raise InvalidInput(
            f"The {what}'s name has {len(name):,} characters; 1 to {LONGEST_NAME} are expected. Choose another."
        )


def _check_columns(
    options: ParseOptions, target: str | None, sensitive: Sequence[str], time_column: str | None
) -> None:
    names = {column.name for column in options.included}
    if not names:
        raise InvalidInput("The reading options name no columns. Inspect the file first.")
    for role, name in (
        ("target", target),
        ("time column", time_column),
        *(("sensitive column", name) for name in sensitive),
    ):
        if name is not None and name not in names:
            raise InvalidInput(
                f"The {role} {name[:60]!r} is not a column that is kept. Kept are {enumerated(sorted(names), NAMED)}."
            )
