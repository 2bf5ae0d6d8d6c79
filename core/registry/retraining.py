"""The champion's set-up on a new dataset version, in one step."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from sqlmodel import Session, col, select

from core.datasets import queries as datasets
from core.datasets.tables import DatasetVersion
from core.errors import NotApplicable, NotFound, SchemaMismatch
from core.permissions import Actor, Permission, require
from core.registry import queries
from core.registry.tables import Alias, Deployment, Environment, ModelVersion, RegisteredModel
from core.training.service import request_run, spec_of
from core.training.specification import RunSpec
from core.training.tables import Run


@dataclass(frozen=True)
class ChampionRow:
    """A model whose champion in production was trained on some version of a dataset."""

    model_id: int
    model_name: str
    version_id: int
    version_number: int
    run_id: int
    dataset_version_id: int
    dataset_version_number: int


def models_for_dataset(session: Session, dataset_id: int) -> list[ChampionRow]:
    """List the champions in production that were trained on any version of a dataset, by name."""
    rows = session.exec(
        select(RegisteredModel, ModelVersion, DatasetVersion)
        .join(Deployment, col(Deployment.model_id) == col(RegisteredModel.id))
        .join(ModelVersion, col(ModelVersion.id) == col(Deployment.version_id))
        .join(Run, col(Run.id) == col(ModelVersion.run_id))
        .join(DatasetVersion, col(DatasetVersion.id) == col(Run.dataset_version_id))
        .where(
            DatasetVersion.dataset_id == dataset_id,
            Deployment.environment == Environment.PRODUCTION,
            Deployment.alias == Alias.CHAMPION,
            col(Deployment.to_at).is_(None),
        )
        .order_by(col(RegisteredModel.name))
    ).all()
    listed = []
    for model, version, data in rows:
        assert model.id is not None
        assert version.id is not None
        assert data.id is not None
        listed.append(
            ChampionRow(model.id, model.name, version.id, version.number, version.run_id, data.id, data.number)
        )
    return listed


def champion_spec(session: Session, *, model_id: int, dataset_version_id: int) -> RunSpec:
    """Take over everything the champion in production was trained with, but the data.

    Raises
    ------
    NotApplicable
        The model has no champion in production.
    SchemaMismatch
        The dataset version lacks columns the champion needs; names them.
    """
    run = _champion_run(session, model_id)
    data = datasets.version(session, dataset_version_id)
    present = {str(column["name"]) for column in data.columns}
    needed = [*run.features, run.target, *([run.weight_column] if run.weight_column else [])]
    missing = [name for name in needed if name not in present]
    if missing:
        raise SchemaMismatch(
            f"{datasets.version_label(session, dataset_version_id)} lacks {len(missing)} of the columns the champion "
            f"was trained on: {', '.join(missing)}. Add them to the data, or start a new run with other features."
        )
    return replace(spec_of(run), dataset_version_id=dataset_version_id)


def request_retraining(session: Session, *, model_id: int, dataset_version_id: int, actor: Actor, now: datetime) -> Run:
    """Queue a run with the champion's set-up on another dataset version; the run remembers what it came from."""
    require(actor, Permission.RUN_RETRAIN)
    spec = champion_spec(session, model_id=model_id, dataset_version_id=dataset_version_id)
    champion = _champion_run(session, model_id)
    return request_run(session, spec=spec, actor=actor, now=now, retrained_from_id=champion.id)


def _champion_run(session: Session, model_id: int) -> Run:
    model = queries.model(session, model_id)
    deployment = queries.live(session, model_id=model_id)
    if deployment is None:
        raise NotApplicable(
            f"{model.name} has no champion in production, so there is no set-up to repeat. "
            "Promote a version first, or start a new run."
        )
    run = session.get(Run, queries.version(session, deployment.version_id).run_id)
    if run is None:
        raise NotFound("run", deployment.version_id)
    return run
