"""Rows made by hand, for tests of what stands above them: each fills in what it needs and takes keyword overrides."""

from __future__ import annotations

import hashlib
import itertools
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from sqlmodel import Session, SQLModel, func, select

from core.artifacts import ArtifactStore
from core.datasets.tables import CheckResult, Dataset, DatasetVersion, EvaluationSet, Split, Upload
from core.evaluation.tables import Evaluation, MetricValue
from core.governance import binding, standing
from core.governance.gates import GATES
from core.governance.policies import ensure_seeded_policy
from core.governance.service import store_card
from core.governance.tables import GateResult, ModelCard, PromotionRequest, RequestState
from core.permissions import system_actor
from core.registry.tables import ModelVersion, RegisteredModel
from core.training.tables import Run

NOW = datetime(2026, 3, 12, 14, 5, tzinfo=UTC)
SIGNATURE = {
    "task": "binary",
    "target": "income",
    "classes": ["<=50K", ">50K"],
    "features": [{"name": "age", "kind": "integer", "categories": None, "low": 17, "high": 90, "nullable": False}],
}
_numbers = itertools.count(1)
Row = TypeVar("Row", bound=SQLModel)


def fresh_sha256() -> str:
    """A hash no other row has; no file stands behind it."""
    return hashlib.sha256(str(next(_numbers)).encode()).hexdigest()


def add(session: Session, row: Row) -> Row:
    session.add(row)
    session.flush()
    return row


def key(row: Any) -> int:
    assert isinstance(row.id, int)
    return row.id


def make_upload(session: Session, **over: Any) -> Upload:
    return add(
        session,
        Upload(**{"file_name": "income.csv", "sha256": fresh_sha256(), "size_bytes": 10, "uploaded_at": NOW, **over}),
    )


def make_dataset(session: Session, **over: Any) -> Dataset:
    return add(session, Dataset(**{"name": f"data {next(_numbers)}", "target": "income", "created_at": NOW, **over}))


def make_dataset_version(
    session: Session, *, uploaded_by: int | None = None, checks: bool = True, **over: Any
) -> DatasetVersion:
    """A dataset version with its upload and one passed check."""
    if "dataset_id" not in over:
        over["dataset_id"] = key(make_dataset(session))
    if "upload_id" not in over:
        over["upload_id"] = key(make_upload(session, uploaded_by=uploaded_by))
    if "number" not in over:
        of_dataset = select(func.max(DatasetVersion.number)).where(DatasetVersion.dataset_id == over["dataset_id"])
        over["number"] = (session.exec(of_dataset).one() or 0) + 1
    version = add(
        session,
        DatasetVersion(
            **{
                "relation": "new",
                "content_hash": fresh_sha256(),
                "data_sha256": fresh_sha256(),
                "columns": [{"name": "age", "kind": "integer"}, {"name": "income", "kind": "category"}],
                "n_rows": 1000,
                "n_columns": 2,
                "created_by": uploaded_by,
                "created_at": NOW,
                **over,
            }
        ),
    )
    if checks:
        make_check(session, version_id=key(version))
    return version


def make_check(session: Session, **over: Any) -> CheckResult:
    return add(
        session,
        CheckResult(
            **{
                "code": "schema_kept",
                "severity": "block",
                "outcome": "passed",
                "explanation": "All columns are there.",
                "checked_at": NOW,
                **over,
            }
        ),
    )


def make_split(session: Session, **over: Any) -> Split:
    return add(
        session,
        Split(
            **{
                "key": f"split {next(_numbers)}",
                "method": "random",
                "validation_share": 0.2,
                "test_share": 0.2,
                "assignment_sha256": fresh_sha256(),
                "n_train": 600,
                "n_validation": 200,
                "n_test": 200,
                "n_excluded": 0,
                "created_at": NOW,
                **over,
            }
        ),
    )


def make_evaluation_set(session: Session, *, version: DatasetVersion | None = None, **over: Any) -> EvaluationSet:
    version = version or make_dataset_version(session)
    return add(
        session,
        EvaluationSet(
            **{
                "dataset_id": version.dataset_id,
                "version_id": key(version),
                "split_id": key(make_split(session, version_id=key(version))),
                "kind": "fixed",
                "rows_sha256": fresh_sha256(),
                "n_rows": 200,
                "created_at": NOW,
                **over,
            }
        ),
    )


def make_run(session: Session, **over: Any) -> Run:
    """A finished run."""
    if "dataset_version_id" not in over:
        over["dataset_version_id"] = key(make_dataset_version(session))
    return add(
        session,
        Run(
            **{
                "split_options": {"method": "random", "column": None, "seed": 0},
                "target": "income",
                "task": "binary",
                "features": ["age"],
                "algorithm": "logistic_regression",
                "state": "finished",
                "requested_at": NOW,
                "finished_at": NOW,
                "model_sha256": fresh_sha256(),
                "signature": SIGNATURE,
                "n_train": 600,
                **over,
            }
        ),
    )


def make_evaluation(session: Session, *, metrics: dict[str, float] | None = None, **over: Any) -> Evaluation:
    if "run_id" not in over:
        over["run_id"] = key(make_run(session))
    if "evaluation_set_id" not in over:
        run = session.get_one(Run, over["run_id"])
        version = session.get_one(DatasetVersion, run.dataset_version_id)
        over["evaluation_set_id"] = key(make_evaluation_set(session, version=version))
    evaluation = add(
        session,
        Evaluation(
            **{"task": "binary", "predictions_sha256": fresh_sha256(), "n_rows": 200, "created_at": NOW, **over}
        ),
    )
    for name, value in (metrics or {"roc_auc": 0.9}).items():
        add(session, MetricValue(evaluation_id=key(evaluation), key=name, value=value, low=value - 0.02, high=value))
    return evaluation


def make_model(session: Session, **over: Any) -> RegisteredModel:
    return add(
        session,
        RegisteredModel(
            **{
                "name": f"model {next(_numbers)}",
                "task": "binary",
                "target": "income",
                "created_at": NOW,
                **over,
            }
        ),
    )


def make_model_version(session: Session, **over: Any) -> ModelVersion:
    if "model_id" not in over:
        over["model_id"] = key(make_model(session))
    if "run_id" not in over:
        over["run_id"] = key(make_run(session))
    if "number" not in over:
        of_model = select(func.max(ModelVersion.number)).where(ModelVersion.model_id == over["model_id"])
        over["number"] = (session.exec(of_model).one() or 0) + 1
    run = session.get_one(Run, over["run_id"])
    return add(
        session,
        ModelVersion(**{"model_sha256": run.model_sha256, "signature": run.signature, "registered_at": NOW, **over}),
    )


def make_stored_version(session: Session, store: ArtifactStore, **over: Any) -> ModelVersion:
    """A model version whose model file is in the store (bytes that only a hash is ever asked of)."""
    stored = store.put_bytes(f"model {next(_numbers)}".encode())
    run_over = {name: over.pop(name) for name in ("dataset_version_id", "requested_by") if name in over}
    run = make_run(session, model_sha256=stored.sha256, model_size_bytes=stored.size_bytes, **run_over)
    return make_model_version(session, run_id=key(run), **over)


def make_open_request(
    session: Session,
    *,
    version: ModelVersion,
    requested_by: int | None = None,
    gates: dict[str, str] | None = None,
    **over: Any,
) -> PromotionRequest:
    """A request whose evidence was prepared: each gate of the policy passed unless ``gates`` names its outcome."""
    policy = ensure_seeded_policy(session, NOW)
    environment, alias = over.pop("environment", "production"), over.pop("alias", "champion")
    evaluation = make_evaluation(session, run_id=version.run_id)
    if session.get(ModelCard, key(version)) is None:
        draft = standing.card(session, key(version)).sections
        store_card(session, version_id=key(version), sections=draft, actor=system_actor(), now=NOW)
    bound = standing.bound_values(
        session, version_id=key(version), environment=environment, alias=alias, evaluation_ids=[key(evaluation)]
    )
    outcomes = dict.fromkeys(GATES, "passed") | (gates or {})
    answers = [
        {
            "code": code,
            "severity": policy.gates[code],
            "outcome": outcome,
            "explanation": f"The gate {outcome.replace('_', ' ')}.",
        }
        for code, outcome in outcomes.items()
        if code in policy.gates
    ]
    evidence = {"comparisons": [], "gates": answers, "bound": bound, "prepared_at": NOW.isoformat()}
    request = add(
        session,
        PromotionRequest(
            **{
                "version_id": key(version),
                "environment": environment,
                "alias": alias,
                "replaces_id": bound["champion"],
                "policy_id": key(policy),
                "comment": "Better on every slice.",
                "state": RequestState.OPEN,
                "evidence": evidence,
                "evidence_digest": binding.digest(evidence),
                "requested_by": requested_by,
                "requested_at": NOW,
                "due_at": NOW + timedelta(days=3),
                **over,
            }
        ),
    )
    for answer in answers:
        add(session, GateResult(request_id=key(request), **answer))
    return request
