"""Reads: models, versions, what is or was live, and where a version came from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func
from sqlmodel import Session, col, or_, select

from core.access.tables import User
from core.database import LONGEST_NUMBER
from core.datasets.tables import DatasetVersion, Relation, Upload
from core.errors import NotFound
from core.registry.tables import (
    Alias,
    BehaviourResult,
    BehaviourSuite,
    Cause,
    Deployment,
    Environment,
    ModelVersion,
    RegisteredModel,
)
from core.registry.way_back import Step, way_back
from core.training.tables import Run


@dataclass(frozen=True)
class ModelRow:
    """One line of the models' list; the live fields speak of the champion in production."""

    id: int
    name: str
    description: str
    task: str
    target: str
    owner: str | None
    created_at: datetime
    n_versions: int
    latest_number: int | None
    latest_version_id: int | None
    live_version_id: int | None
    live_number: int | None
    live_since: datetime | None


@dataclass(frozen=True)
class VersionRow:
    """One line of a model's versions."""

    id: int
    number: int
    run_id: int
    dataset_version_id: int
    algorithm: str
    registered_by: str | None
    registered_at: datetime
    live_as: tuple[str, ...]
    threshold: dict[str, Any] | None


@dataclass(frozen=True)
class LiveRow:
    """A version that held an alias at a moment, in one span from ``from_at`` until before ``to_at``."""

    model_id: int
    model_name: str
    environment: str
    alias: str
    version_id: int
    version_number: int
    deployment_id: int
    from_at: datetime
    to_at: datetime | None
    request_id: int | None
    cause: str
    reason: str
    deployed_by: str | None


@dataclass(frozen=True)
class Source:
    """One dataset version whose rows went into a run: the given one, or one it adds to."""

    dataset_version_id: int
    upload_id: int | None
    uploaded_by: int | None
    added_by: int | None
    quarantined: bool


@dataclass(frozen=True)
class Lineage:
    """Where a model version came from, and through whose hands.

    Parameters
    ----------
    sources : tuple of Source
        The dataset version trained on first, then each version it adds to.
    uploaded_by : frozenset of int
        Accounts that uploaded or added any of the sources.
    launched_by, registered_by : int or None
        Accounts; None where the built-in shell acted.
    """

    version_id: int
    run_id: int
    retrained_from_id: int | None
    dataset_version_id: int
    split_id: int | None
    upload_id: int | None
    sources: tuple[Source, ...]
    uploaded_by: frozenset[int]
    launched_by: int | None
    registered_by: int | None

    @property
    def dataset_version_ids(self) -> tuple[int, ...]:
        """Every dataset version in the lineage."""
        return tuple(source.dataset_version_id for source in self.sources)


def model(session: Session, model_id: int) -> RegisteredModel:
    """Get a registered model."""
    found = session.get(RegisteredModel, model_id)
    if found is None:
        raise NotFound("registered model", model_id)
    return found


def model_by_name(session: Session, name: str) -> RegisteredModel:
    """Get a registered model by its name."""
    found = session.exec(select(RegisteredModel).where(RegisteredModel.name == name)).first()
    if found is None:
        known = session.exec(select(RegisteredModel.name).order_by(col(RegisteredModel.name)).limit(10)).all()
        raise NotFound(
            "registered model", repr(name), f"Known: {', '.join(known)}." if known else "Register a finished run first."
        )
    return found


def version(session: Session, version_id: int) -> ModelVersion:
    """Get a model version."""
    found = session.get(ModelVersion, version_id)
    if found is None:
        raise NotFound("model version", version_id)
    return found


def versions(session: Session, model_id: int) -> list[ModelVersion]:
    """List a model's versions, newest first."""
    return list(
        session.exec(
            select(ModelVersion).where(ModelVersion.model_id == model_id).order_by(col(ModelVersion.number).desc())
        )
    )


def version_rows(session: Session, model_id: int) -> list[VersionRow]:
    """List a model's versions with their runs and the aliases they hold, newest first."""
    rows = session.exec(
        select(ModelVersion, Run.dataset_version_id, Run.algorithm, User.name)
        .join(Run, col(Run.id) == col(ModelVersion.run_id))
        .join(User, col(User.id) == col(ModelVersion.registered_by), isouter=True)
        .where(ModelVersion.model_id == model_id)
        .order_by(col(ModelVersion.number).desc())
    ).all()
    held: dict[int, list[str]] = {}
    for deployment in session.exec(
        select(Deployment).where(Deployment.model_id == model_id, col(Deployment.to_at).is_(None))
    ):
        held.setdefault(deployment.version_id, []).append(f"{deployment.alias} in {deployment.environment}")
    return [
        VersionRow(
            _id(found.id),
            found.number,
            found.run_id,
            dataset_version_id,
            algorithm,
            name,
            found.registered_at,
            tuple(sorted(held.get(_id(found.id), ()))),
            found.threshold,
        )
        for found, dataset_version_id, algorithm, name in rows
    ]


def suites(session: Session, model_id: int) -> list[BehaviourSuite]:
    """List every version of a model's behaviour suite, newest first."""
    return list(
        session.exec(
            select(BehaviourSuite)
            .where(BehaviourSuite.model_id == model_id)
            .order_by(col(BehaviourSuite.number).desc())
        )
    )


def suite(session: Session, model_id: int) -> BehaviourSuite | None:
    """Get the behaviour suite in force, the newest; None before the first was seeded."""
    return next(iter(suites(session, model_id)), None)


def behaviour_result(session: Session, *, version_id: int, suite_id: int) -> BehaviourResult | None:
    """Get how a version did on a suite; None where it was not run."""
    return session.exec(
        select(BehaviourResult).where(BehaviourResult.version_id == version_id, BehaviourResult.suite_id == suite_id)
    ).first()


def resolve_version(session: Session, text: str) -> ModelVersion:
    """Find a model version by what a person types: "income@3", or "income" for the newest.

    Raises
    ------
    NotFound
        Says which versions there are.
    """
    name, at, number = text.strip().rpartition("@")
    if at and number.isdecimal():
        parent = model_by_name(session, name)
        found = None
        if len(number) <= LONGEST_NUMBER:
            found = session.exec(
                select(ModelVersion).where(ModelVersion.model_id == parent.id, ModelVersion.number == int(number))
            ).first()
        if found is None:
            known = ", ".join(str(one.number) for one in versions(session, _id(parent.id)))
            raise NotFound("model version", repr(text[:200]), f"{name!r} has versions {known}.")
        return found
    return versions(session, _id(model_by_name(session, text.strip()).id))[0]


def version_label(session: Session, version_id: int) -> str:
    """Name a model version as people do: "income v3"."""
    return version_labels(session, [version_id])[version_id]


def version_labels(session: Session, version_ids: Sequence[int]) -> dict[int, str]:
    """Name many model versions in one read."""
    rows = session.exec(
        select(ModelVersion.id, RegisteredModel.name, ModelVersion.number)
        .join(RegisteredModel, col(RegisteredModel.id) == col(ModelVersion.model_id))
        .where(col(ModelVersion.id).in_(set(version_ids)))
    ).all()
    labels = {_id(key): f"{name} v{number}" for key, name, number in rows}
    for missing in set(version_ids) - set(labels):
        raise NotFound("model version", missing)
    return labels


def versions_of_run(session: Session, run_id: int) -> list[ModelVersion]:
    """List the model versions registered from a run."""
    return list(session.exec(select(ModelVersion).where(ModelVersion.run_id == run_id)))


def list_models(session: Session) -> list[ModelRow]:
    """List registered models by name, with their newest version and their champion in production."""
    newest = (
        select(
            col(ModelVersion.model_id).label("model_id"),
            func.count().label("n_versions"),
            func.max(ModelVersion.number).label("number"),
        )
        .group_by(col(ModelVersion.model_id))
        .subquery()
    )
    rows = session.exec(
        select(RegisteredModel, User.name, newest.c.n_versions, newest.c.number)
        .join(User, col(User.id) == col(RegisteredModel.owner_id), isouter=True)
        .join(newest, newest.c.model_id == col(RegisteredModel.id), isouter=True)
        .order_by(col(RegisteredModel.name))
    ).all()
    ids = {
        (model_id, number): _id(version_id)
        for model_id, number, version_id in session.exec(
            select(ModelVersion.model_id, ModelVersion.number, ModelVersion.id)
        )
    }
    champions = {
        deployment.model_id: (deployment, number)
        for deployment, number in session.exec(
            select(Deployment, ModelVersion.number)
            .join(ModelVersion, col(ModelVersion.id) == col(Deployment.version_id))
            .where(
                col(Deployment.to_at).is_(None),
                Deployment.environment == Environment.PRODUCTION,
                Deployment.alias == Alias.CHAMPION,
            )
        )
    }
    listed = []
    for found, owner, n_versions, number in rows:
        key = _id(found.id)
        champion, live_number = champions.get(key, (None, None))
        listed.append(
            ModelRow(
                id=key,
                name=found.name,
                description=found.description,
                task=found.task,
                target=found.target,
                owner=owner,
                created_at=found.created_at,
                n_versions=n_versions or 0,
                latest_number=number,
                latest_version_id=ids.get((key, number)) if number else None,
                live_version_id=champion.version_id if champion else None,
                live_number=live_number,
                live_since=champion.from_at if champion else None,
            )
        )
    return listed


def live(
    session: Session, *, model_id: int, environment: str = Environment.PRODUCTION, alias: str = Alias.CHAMPION
) -> Deployment | None:
    """Get the open deployment of an alias, None where nothing is live."""
    return session.exec(
        select(Deployment).where(
            Deployment.model_id == model_id,
            Deployment.environment == environment,
            Deployment.alias == alias,
            col(Deployment.to_at).is_(None),
        )
    ).first()


def live_at(session: Session, at: datetime) -> list[LiveRow]:
    """List what held each alias at a moment.

    A span includes its first moment and not its last, so that at the moment of a swap the new version is live.
    """
    return _spans(
        session, col(Deployment.from_at) <= at, or_(col(Deployment.to_at).is_(None), col(Deployment.to_at) > at)
    )


def live_now(session: Session) -> list[LiveRow]:
    """List what holds each alias now."""
    return _spans(session, col(Deployment.to_at).is_(None))


def deployments(session: Session, model_id: int | None = None) -> list[LiveRow]:
    """List deployments of one model or of all, newest first."""
    where = [] if model_id is None else [Deployment.model_id == model_id]
    return sorted(_spans(session, *where), key=lambda row: (row.from_at, row.deployment_id), reverse=True)


def rollback_target(session: Session, *, model_id: int, environment: str, alias: str) -> int | None:
    """Name the version a rollback would make live (see `way_back`), None where there is none."""
    history = session.exec(
        select(Deployment)
        .where(Deployment.model_id == model_id, Deployment.environment == environment, Deployment.alias == alias)
        .order_by(col(Deployment.from_at), col(Deployment.id))
    )
    return way_back([Step(row.version_id, row.cause == Cause.PROMOTION) for row in history])


def lineage(session: Session, version_id: int) -> Lineage:
    """Follow a model version back to its run, its data and the people who had a hand in them."""
    found = version(session, version_id)
    run = session.get(Run, found.run_id)
    if run is None:
        raise NotFound("run", found.run_id)
    sources: list[Source] = []
    next_id: int | None = run.dataset_version_id
    while next_id is not None:
        data = session.get(DatasetVersion, next_id)
        if data is None:
            raise NotFound("dataset version", next_id)
        upload = session.get(Upload, data.upload_id) if data.upload_id is not None else None
        sources.append(
            Source(
                next_id,
                data.upload_id,
                upload.uploaded_by if upload else None,
                data.created_by,
                data.quarantined_at is not None,
            )
        )
        next_id = data.parent_id if data.relation == Relation.ADDS_TO else None
    hands = {source.uploaded_by for source in sources} | {source.added_by for source in sources}
    return Lineage(
        version_id=version_id,
        run_id=found.run_id,
        retrained_from_id=run.retrained_from_id,
        dataset_version_id=run.dataset_version_id,
        split_id=run.split_id,
        upload_id=sources[0].upload_id,
        sources=tuple(sources),
        uploaded_by=frozenset(hand for hand in hands if hand is not None),
        launched_by=run.requested_by,
        registered_by=found.registered_by,
    )


def _spans(session: Session, *where: object) -> list[LiveRow]:
    rows = session.exec(
        select(Deployment, RegisteredModel.name, ModelVersion.number, User.name)
        .join(RegisteredModel, col(RegisteredModel.id) == col(Deployment.model_id))
        .join(ModelVersion, col(ModelVersion.id) == col(Deployment.version_id))
        .join(User, col(User.id) == col(Deployment.deployed_by), isouter=True)
        .where(*where)  # type: ignore[arg-type]
        .order_by(col(RegisteredModel.name), col(Deployment.environment), col(Deployment.alias), col(Deployment.id))
    ).all()
    return [
        LiveRow(
            model_id=found.model_id,
            model_name=model_name,
            environment=found.environment,
            alias=found.alias,
            version_id=found.version_id,
            version_number=number,
            deployment_id=_id(found.id),
            from_at=found.from_at,
            to_at=found.to_at,
            request_id=found.request_id,
            cause=found.cause,
            reason=found.reason,
            deployed_by=user_name,
        )
        for found, model_name, number, user_name in rows
    ]


def _id(key: int | None) -> int:
    assert key is not None
    return key
