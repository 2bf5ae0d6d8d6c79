"""Whether everything is as it was written: the audit chain, every stored file, and the evidence of every request."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sqlmodel import Session, col, select

from core.artifacts import sha256_of
from core.audit.service import ChainReport, verify
from core.datasets.tables import Dataset, DatasetVersion, EvaluationSet, Split, Upload
from core.evaluation.tables import Evaluation
from core.governance.binding import digest
from core.governance.standing import request_label
from core.governance.tables import PromotionRequest
from core.monitoring.tables import Batch
from core.permissions import Actor, Permission, require
from core.registry.tables import ModelVersion, RegisteredModel
from core.serving.tables import PredictionSegment
from core.training.tables import Run
from core.workspace import Workspace


@dataclass(frozen=True)
class DamagedFile:
    """One thing that is not as it was written.

    Parameters
    ----------
    what : str
        What it is, in words: "model file of income v3".
    sha256 : str
        The hash it should have.
    reason : str
        "missing", or what it is now.
    """

    what: str
    sha256: str
    reason: str


@dataclass(frozen=True)
class IntegrityReport:
    """What a check of everything found.

    Parameters
    ----------
    chain : ChainReport
    damaged : tuple of DamagedFile
        Every reference to a file that is missing or changed, so one damaged file may stand here more than once.
    n_files : int
        Different stored files looked at.
    """

    chain: ChainReport
    damaged: tuple[DamagedFile, ...]
    n_files: int

    @property
    def intact(self) -> bool:
        """Whether nothing was found."""
        return self.chain.intact and not self.damaged


def verify_everything(workspace: Workspace, *, actor: Actor | None = None) -> IntegrityReport:
    """Walk the audit chain and hash every file a row refers to; changes nothing.

    Reads one snapshot of the rows, then the files, each once; takes as long as reading the store.

    Parameters
    ----------
    actor : Actor, optional
        For whom it is done; refused without the permission to verify.

    Raises
    ------
    PermissionDenied
    """
    if actor is not None:
        require(actor, Permission.AUDIT_VERIFY)
    with workspace.read() as session:
        chain = verify(session)
        references = list(_references(session))
        damaged = list(_changed_evidence(session))
    found: dict[str, str | None] = {}
    for _, sha256 in references:
        if sha256 not in found:
            found[sha256] = _fault(workspace, sha256)
    damaged.extend(
        DamagedFile(what, sha256, fault) for what, sha256 in references if (fault := found[sha256]) is not None
    )
    return IntegrityReport(chain, tuple(damaged), len(found))


def _fault(workspace: Workspace, sha256: str) -> str | None:
    path = workspace.artifacts.path(sha256)
    if not path.exists():
        return "missing"
    present = sha256_of(path)
    return None if present == sha256 else f"its bytes were changed: they hash to {present[:8]}, not {sha256[:8]}"


def _references(session: Session) -> Iterator[tuple[str, str]]:
    for upload in session.exec(select(Upload)):
        yield f"uploaded file {upload.file_name}", upload.sha256
    labels: dict[int, str] = {}
    for version, name in session.exec(
        select(DatasetVersion, Dataset.name).join(Dataset, col(Dataset.id) == col(DatasetVersion.dataset_id))
    ):
        assert version.id is not None
        labels[version.id] = f"{name} v{version.number}"
        yield f"data file of {labels[version.id]}", version.data_sha256
    for split in session.exec(select(Split)):
        yield f"split {split.id} of {labels[split.version_id]}", split.assignment_sha256
    for rows in session.exec(select(EvaluationSet)):
        yield f"{rows.kind} evaluation set of {labels[rows.version_id]}", rows.rows_sha256
    for evaluation in session.exec(select(Evaluation)):
        yield (
            f"predictions of run {evaluation.run_id} on evaluation set {evaluation.evaluation_set_id}",
            evaluation.predictions_sha256,
        )
    for run in session.exec(select(Run).where(col(Run.model_sha256).is_not(None))):
        assert run.model_sha256 is not None
        yield f"model file of run {run.id}", run.model_sha256
    versions: dict[int, str] = {}
    for model_version, model_name in session.exec(
        select(ModelVersion, RegisteredModel.name).join(
            RegisteredModel, col(RegisteredModel.id) == col(ModelVersion.model_id)
        )
    ):
        assert model_version.id is not None
        versions[model_version.id] = f"{model_name} v{model_version.number}"
        yield f"model file of {versions[model_version.id]}", model_version.model_sha256
    for segment in session.exec(select(PredictionSegment)):
        yield f"prediction log of {versions[segment.version_id]}, segment {segment.id}", segment.sha256
    for batch in session.exec(select(Batch).where(col(Batch.data_sha256).is_not(None))):
        assert batch.data_sha256 is not None
        yield f"batch {batch.id}", batch.data_sha256


def _changed_evidence(session: Session) -> Iterator[DamagedFile]:
    for found in session.exec(select(PromotionRequest).where(col(PromotionRequest.evidence_digest).is_not(None))):
        assert found.evidence_digest is not None
        present = digest(found.evidence)
        if present != found.evidence_digest:
            yield DamagedFile(
                f"evidence of request {found.id} ({request_label(session, found)})",
                found.evidence_digest,
                f"it was changed after it was prepared: it hashes to {present[:8]}, not {found.evidence_digest[:8]}",
            )
