"""Reading datasets, versions and what belongs to them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import func
from sqlmodel import Session, col, select

from core.artifacts import ArtifactStore
from core.database import LONGEST_NUMBER
from core.datasets.costs import labels_of
from core.datasets.recognition import KnownDataset
from core.datasets.tables import (
    CheckResult,
    ColumnKind,
    Dataset,
    DatasetVersion,
    EvaluationSet,
    Intake,
    Outcome,
    Severity,
    Split,
    Upload,
    VersionState,
)
from core.errors import ArtifactCorrupted, InvalidInput, NotFound

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


@dataclass(frozen=True)
class DatasetRow:
    """One line of the list of datasets: the dataset and its latest version.

    Parameters
    ----------
    failed_checks : int
        Of the latest version, those that block or warn.
    updated_at : datetime
        When the latest version was made.
    quarantined : bool
        Whether the latest version is.
    """

    id: int
    name: str
    target: str | None
    latest_number: int
    latest_version_id: int
    n_rows: int
    n_columns: int
    failed_checks: int
    updated_at: datetime
    quarantined: bool


def list_datasets(session: Session) -> list[DatasetRow]:
    """All datasets by their latest version, the newest first."""
    latest = (
        select(col(DatasetVersion.dataset_id), func.max(DatasetVersion.number).label("number"))
        .group_by(col(DatasetVersion.dataset_id))
        .subquery()
    )
    failed = (
        select(func.count())
        .select_from(CheckResult)
        .where(
            CheckResult.version_id == DatasetVersion.id,
            CheckResult.outcome == Outcome.FAILED,
            CheckResult.severity != Severity.LOG,
        )
        .scalar_subquery()
    )
    rows = session.execute(
        select(  # type: ignore[call-overload]
            Dataset.id,
            Dataset.name,
            Dataset.target,
            DatasetVersion.number,
            DatasetVersion.id,
            DatasetVersion.n_rows,
            DatasetVersion.n_columns,
            failed,
            DatasetVersion.created_at,
            DatasetVersion.quarantined_at,
        )
        .join(latest, latest.c.dataset_id == Dataset.id)
        .join(
            DatasetVersion,
            (col(DatasetVersion.dataset_id) == col(Dataset.id)) & (col(DatasetVersion.number) == latest.c.number),
        )
        .order_by(col(DatasetVersion.created_at).desc(), col(Dataset.id).desc())
    )
    return [
        DatasetRow(
            id=row[0],
            name=row[1],
            target=row[2],
            latest_number=row[3],
            latest_version_id=row[4],
            n_rows=row[5],
            n_columns=row[6],
            failed_checks=row[7],
            updated_at=row[8],
            quarantined=row[9] is not None,
        )
        for row in rows
    ]


def dataset(session: Session, dataset_id: int) -> Dataset:
    """One dataset.

    Raises
    ------
    NotFound
    """
    found = session.get(Dataset, dataset_id)
    if found is None:
        raise NotFound("dataset", dataset_id)
    return found


def dataset_by_name(session: Session, name: str) -> Dataset:
    """One dataset by its name.

    Raises
    ------
    NotFound
    """
    found = session.exec(select(Dataset).where(Dataset.name == name)).first()
    if found is None:
        raise NotFound("dataset", repr(name[:60]), "The list of datasets shows their names.")
    return found


def versions(session: Session, dataset_id: int) -> list[DatasetVersion]:
    """A dataset's versions, newest first."""
    return list(
        session.exec(
            select(DatasetVersion)
            .where(DatasetVersion.dataset_id == dataset_id)
            .order_by(col(DatasetVersion.number).desc())
        )
    )


def version(session: Session, version_id: int) -> DatasetVersion:
    """One dataset version.

    Raises
    ------
    NotFound
    """
    found = session.get(DatasetVersion, version_id)
    if found is None:
        raise NotFound("dataset version", version_id)
    return found


def latest_version(session: Session, dataset_id: int) -> DatasetVersion:
    """A dataset's newest version.

    Raises
    ------
    NotFound
    """
    found = versions(session, dataset_id)
    if not found:
        raise NotFound("dataset version of dataset", dataset_id)
    return found[0]


def target_labels(session: Session, dataset_id: int) -> tuple[str, ...] | None:
    """The labels of the dataset's target in its newest version, sorted; None where they are not known or too many."""
    target = dataset(session, dataset_id).target
    columns = latest_version(session, dataset_id).profile.get("columns", [])
    return labels_of(next((column for column in columns if column["name"] == target), None))


def resolve_version(session: Session, reference: str) -> DatasetVersion:
    """The version a person means: "income" is the newest, "income@2" the second.

    A dataset whose whole name is the reference comes first.

    Raises
    ------
    NotFound, InvalidInput
    """
    whole = session.exec(select(Dataset).where(Dataset.name == reference)).first()
    if whole is not None and whole.id is not None:
        return latest_version(session, whole.id)
    name, at, number = reference.rpartition("@")
    if not at:
        raise NotFound("dataset", repr(reference[:60]), "The list of datasets shows their names.")
    if not (number.isascii() and number.isdigit()):
        raise InvalidInput(f"{reference[:60]!r} does not end in a version number. Write a name and a number: income@2.")
    line = dataset_by_name(session, name)
    found = None
    if len(number) <= LONGEST_NUMBER:
        found = session.exec(
            select(DatasetVersion).where(DatasetVersion.dataset_id == line.id, DatasetVersion.number == int(number))
        ).first()
    if found is None:
        raise NotFound("version", f"{number[:60]} of {name}", f"{name} shows its versions.")
    return found


def version_label(session: Session, version_id: int) -> str:
    """What people call a version: "income v2"."""
    row = session.execute(
        select(Dataset.name, DatasetVersion.number)
        .join(DatasetVersion, col(DatasetVersion.dataset_id) == col(Dataset.id))
        .where(DatasetVersion.id == version_id)
    ).first()
    if row is None:
        raise NotFound("dataset version", version_id)
    return f"{row[0]} v{row[1]}"


def checks(session: Session, version_id: int) -> list[CheckResult]:
    """How each check ended on a version, in the catalogue's order."""
    return list(
        session.exec(select(CheckResult).where(CheckResult.version_id == version_id).order_by(col(CheckResult.id)))
    )


def blocking(session: Session, version_id: int) -> list[str]:
    """Why a version must not be trained on: the explanations of its failed blocking checks; empty if it may."""
    return [
        check.explanation
        for check in checks(session, version_id)
        if check.severity == Severity.BLOCK and check.outcome == Outcome.FAILED
    ]


def upload(session: Session, upload_id: int) -> Upload:
    """One uploaded file.

    Raises
    ------
    NotFound
    """
    found = session.get(Upload, upload_id)
    if found is None:
        raise NotFound("upload", upload_id, "Upload the file again.")
    return found


def intake(session: Session, intake_id: int) -> Intake:
    """One intake.

    Raises
    ------
    NotFound
    """
    found = session.get(Intake, intake_id)
    if found is None:
        raise NotFound("intake", intake_id)
    return found


def pending_intakes(session: Session) -> list[Intake]:
    """Intakes still being read, newest first."""
    return list(
        session.exec(select(Intake).where(Intake.state == VersionState.PENDING).order_by(col(Intake.id).desc()))
    )


def evaluation_sets(session: Session, dataset_id: int) -> list[EvaluationSet]:
    """A dataset's evaluation sets: the fixed one, then the latest of each version, oldest first."""
    return list(
        session.exec(
            select(EvaluationSet).where(EvaluationSet.dataset_id == dataset_id).order_by(col(EvaluationSet.id))
        )
    )


def splits(session: Session, version_id: int) -> list[Split]:
    """A version's splits, oldest first."""
    return list(session.exec(select(Split).where(Split.version_id == version_id).order_by(col(Split.id))))


def known_datasets(session: Session) -> list[KnownDataset]:
    """Every dataset by its newest version's columns: what `recognition.recognise` holds a file against."""
    found = []
    for row in list_datasets(session):
        columns = version(session, row.latest_version_id).columns
        kinds = tuple((column["name"], ColumnKind(column["kind"])) for column in columns)
        found.append(KnownDataset(row.id, row.name, row.latest_number, kinds, row.target))
    return found


def diff_versions(
    store: ArtifactStore, before: DatasetVersion, after: DatasetVersion, target: str | None
) -> dict[str, Any]:
    """What changed between any two versions, as `diffs.diff` tells it."""
    from core.datasets import content, diffs

    assert before.id is not None
    return diffs.diff(
        read_table(store, before),
        content.kinds_of(before.columns),
        read_table(store, after),
        content.kinds_of(after.columns),
        base_id=before.id,
        base_number=before.number,
        target=target,
    )


def read_table(store: ArtifactStore, version: DatasetVersion, columns: list[str] | None = None) -> pa.Table:
    """A version's rows, after its file was checked against its hash.

    Parameters
    ----------
    columns : list of str, optional
        Only these, in this order.

    Raises
    ------
    ArtifactCorrupted, InvalidInput
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    known = {column["name"] for column in version.columns}
    if unknown := [name for name in columns or () if name not in known]:
        raise InvalidInput(f"Version {version.number} has no column {unknown[0][:60]!r}. It has {version.n_columns}.")
    path = store.verified_path(version.data_sha256)
    try:
        with pq.ParquetFile(path, memory_map=False) as file:
            table = file.read(columns=columns, use_threads=False)
    except pa.ArrowException as error:
        raise ArtifactCorrupted(f"The stored rows of version {version.number} cannot be read: {error}.") from error
    return table if columns is None else table.select(columns)


def preview(store: ArtifactStore, version: DatasetVersion, *, offset: int, limit: int) -> pd.DataFrame:
    """Some of a version's rows, in order, for showing.

    Parameters
    ----------
    offset, limit : int
        First row, from 0, and how many at most.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    offset, limit = max(0, offset), max(0, limit)
    with pq.ParquetFile(store.verified_path(version.data_sha256), memory_map=False) as file:
        wanted: list[pa.Table] = []
        begun = first = 0
        for group in range(file.metadata.num_row_groups):
            rows = file.metadata.row_group(group).num_rows
            if begun < offset + limit and begun + rows > offset:
                first = begun if not wanted else first
                wanted.append(file.read_row_group(group, use_threads=False))
            begun += rows
        if not wanted:
            wanted.append(file.schema_arrow.empty_table())
    frame: pd.DataFrame = pa.concat_tables(wanted).slice(max(0, offset - first), limit).to_pandas()
    return frame
