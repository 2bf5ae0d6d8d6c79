"""Registering versions, and moving an alias."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import func
from sqlmodel import Session, select

from core.audit.service import record
from core.errors import AlreadyExists, InvalidInput, InvalidTransition, NotApplicable, NotFound
from core.evaluation.tables import Evaluation, Task
from core.permissions import Actor, Permission, require
from core.registry import queries, suites
from core.registry.tables import Alias, Cause, Deployment, Environment, ModelVersion, RegisteredModel
from core.training.tables import Run, RunState

if TYPE_CHECKING:
    from core.evaluation.threshold_choices import ThresholdChoice

NAME_LENGTH = 200


def register_version(
    session: Session,
    *,
    run_id: int,
    model_name: str,
    description: str = "",
    threshold: ThresholdChoice | None = None,
    actor: Actor,
    now: datetime,
) -> ModelVersion:
    """Make a finished run the next version of a registered model; a new name starts a new model.

    Parameters
    ----------
    run_id : int
        A finished run that no version of this model came from with the same threshold.
    model_name : str
        1 to 200 characters, taken literally after trimming.
    description : str
        Kept for a new model only.
    threshold : ThresholdChoice, optional
        The score from which on the version calls a row positive, wherever it predicts; without one the class of the
        highest score is predicted. Its figures are not counted again: `threshold_choices.choice` vouches for them.
        That the predictions it counted are this run's is checked.

    Raises
    ------
    PermissionDenied, NotFound
    InvalidTransition
        The run has not finished.
    AlreadyExists
        This run with this threshold is a version of this model already.
    NotApplicable
        A threshold for a run that is not binary.
    InvalidInput
        A blank or over-long name, the model predicts something else, or the threshold was chosen on the predictions
        of another run.
    """
    require(actor, Permission.MODEL_REGISTER)
    name = model_name.strip()
    if not 0 < len(name) <= NAME_LENGTH:
        raise InvalidInput(f"A model's name has 1 to {NAME_LENGTH} characters; {len(name)} were given.")
    run = session.get(Run, run_id)
    if run is None:
        raise NotFound("run", run_id)
    if run.state != RunState.FINISHED or run.model_sha256 is None or run.signature is None:
        raise InvalidTransition("run", run.state, "registered")
    if threshold is not None:
        _require_binary(run)
        _require_its_own(session, run, threshold)
    model = session.exec(select(RegisteredModel).where(RegisteredModel.name == name)).first()
    if model is None:
        model = RegisteredModel(
            name=name,
            description=description.strip(),
            task=run.task,
            target=run.target,
            owner_id=actor.user_id,
            created_at=now,
        )
        session.add(model)
        session.flush()
        assert model.id is not None
        record(
            session,
            actor=actor,
            action="registered_model.added",
            subject_kind="registered_model",
            subject_id=model.id,
            subject_label=name,
            now=now,
            details={"task": run.task, "target": run.target},
        )
    assert model.id is not None
    if (model.task, model.target) != (run.task, run.target):
        raise InvalidInput(
            f"Model {name!r} predicts {model.target!r} ({model.task}); run {run_id} predicts {run.target!r} "
            f"({run.task}). Register it under another name."
        )
    threshold_key = "" if threshold is None else threshold.key
    twin = session.exec(
        select(ModelVersion).where(
            ModelVersion.model_id == model.id,
            ModelVersion.run_id == run_id,
            ModelVersion.threshold_key == threshold_key,
        )
    ).first()
    if twin is not None:
        at = f" with the threshold {threshold_key}" if threshold_key else ""
        raise AlreadyExists(f"Run {run_id}{at} is {name} v{twin.number} already.")
    newest = session.exec(select(func.max(ModelVersion.number)).where(ModelVersion.model_id == model.id)).one()
    version = ModelVersion(
        model_id=model.id,
        number=(newest or 0) + 1,
        run_id=run_id,
        model_sha256=run.model_sha256,
        signature=dict(run.signature) | ({} if threshold is None else {"threshold": float(threshold.value)}),
        threshold=None if threshold is None else threshold.to_document(),
        threshold_key=threshold_key,
        registered_by=actor.user_id,
        registered_at=now,
    )
    session.add(version)
    session.flush()
    assert version.id is not None
    record(
        session,
        actor=actor,
        action="model_version.registered",
        subject_kind="model_version",
        subject_id=version.id,
        subject_label=f"{name} v{version.number}",
        now=now,
        details={"run_id": run_id, "model_sha256": version.model_sha256}
        | ({} if threshold is None else {"threshold": float(threshold.value), "rule": threshold.rule}),
    )
    suites.request_behaviour(session, version_id=version.id, actor=actor, now=now)
    return version


def _require_binary(run: Run) -> None:
    if run.task != Task.BINARY:
        raise NotApplicable(f"Run {run.id} is a {run.task} task, and only a binary one has a threshold. Leave it out.")


def _require_its_own(session: Session, run: Run, threshold: ThresholdChoice) -> None:
    scored = session.exec(select(Evaluation.predictions_sha256).where(Evaluation.run_id == run.id)).all()
    if threshold.validation_sha256 != run.validation_sha256 or threshold.predictions_sha256 not in scored:
        raise InvalidInput(
            f"The figures of the threshold {threshold.key} were not counted on the predictions of run {run.id}. "
            "Choose the threshold on this run."
        )


def assign(
    session: Session,
    *,
    version_id: int,
    environment: Environment,
    alias: Alias,
    cause: Cause,
    request_id: int | None = None,
    reason: str = "",
    actor: Actor,
    now: datetime,
) -> Deployment:
    """Point an alias at a version: close the open deployment, open the next. For `governance` alone.

    It checks no permission: whether the alias may move is what a promotion request or a rollback has settled, in the
    same transaction. A unique index over open deployments refuses a second one whatever the caller does.

    Raises
    ------
    AlreadyExists
        The version holds this alias already.
    """
    version = queries.version(session, version_id)
    label = queries.version_label(session, version_id)
    place = f"{Alias(alias).value} in {Environment(environment).value}"
    open_now = queries.live(session, model_id=version.model_id, environment=environment, alias=alias)
    if open_now is not None:
        if open_now.version_id == version_id:
            raise AlreadyExists(f"{label} is {place} already.")
        assert open_now.id is not None
        open_now.to_at = now
        session.add(open_now)
        session.flush()
        record(
            session,
            actor=actor,
            action="deployment.ended",
            subject_kind="deployment",
            subject_id=open_now.id,
            subject_label=f"{queries.version_label(session, open_now.version_id)} as {place}",
            now=now,
            details={"version_id": open_now.version_id, "cause": Cause(cause).value},
        )
    deployment = Deployment(
        model_id=version.model_id,
        environment=environment,
        alias=alias,
        version_id=version_id,
        from_at=now,
        cause=cause,
        request_id=request_id,
        reason=reason,
        deployed_by=actor.user_id,
    )
    session.add(deployment)
    session.flush()
    assert deployment.id is not None
    record(
        session,
        actor=actor,
        action="deployment.started",
        subject_kind="deployment",
        subject_id=deployment.id,
        subject_label=f"{label} as {place}",
        now=now,
        details={
            "version_id": version_id,
            "replaces_version_id": open_now.version_id if open_now else None,
            "cause": Cause(cause).value,
            "request_id": request_id,
            "reason": reason,
        },
    )
    return deployment
