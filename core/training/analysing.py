"""Working out one analysis of one evaluation: everything a handler may need, loaded when it asks for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from core.artifacts import ArtifactStore
from core.datasets import queries as datasets
from core.datasets import splits
from core.datasets.splitting import Part
from core.datasets.tables import Dataset, DatasetVersion, Split
from core.errors import NotApplicable, SchemaMismatch
from core.evaluation import queries as evaluations
from core.evaluation.predictions import Predictions
from core.evaluation.tables import Task
from core.training import queries
from core.training.analyses import AnalysisKind
from core.training.models import FittedModel, load_model
from core.training.tables import Run
from core.workspace import Workspace

if TYPE_CHECKING:
    from sqlmodel import Session


@dataclass(frozen=True, eq=False)
class Material:
    """What one evaluation of one run is analysed from.

    Parameters
    ----------
    store : ArtifactStore
    run : Run
        With what its training gave, whether or not that is written down yet.
    dataset : Dataset
        Whose rows the run was trained on: its sensitive columns and its costs.
    set_version, trained_version : DatasetVersion
        Whose rows it was scored on, and trained on.
    split : Split
        Of the trained version.
    predictions : Predictions
        On the evaluation set; ordinals are those of ``set_version``.
    validation : Predictions or None
        On the validation part; ordinals are those of ``trained_version``. None for a run that kept none.
    load : callable
        Gives the model; called when `model` is first asked for.
    other_of : callable, optional
        Gives another run's evaluation on the same set, by the run's id; without it there is none to be had.
    """

    store: ArtifactStore
    run: Run
    dataset: Dataset
    set_version: DatasetVersion
    trained_version: DatasetVersion
    split: Split
    predictions: Predictions
    validation: Predictions | None
    load: Callable[[], FittedModel]
    other_of: Callable[[int], Material] | None = None

    @property
    def task(self) -> Task:
        """What the run predicts."""
        return Task(self.run.task)

    @cached_property
    def model(self) -> FittedModel:
        """The run's model."""
        return self.load()

    def other(self, run_id: int) -> Material:
        """Another run's evaluation on the same evaluation set.

        Raises
        ------
        NotFound
        NotApplicable
            It was not scored on this set, or this material stands alone.
        """
        if self.other_of is None:
            raise NotApplicable("This analysis stands alone; ask for it on the run's page.")
        return self.other_of(run_id)

    @cached_property
    def kinds(self) -> dict[str, str]:
        """Every column of the evaluation set's version and its kind."""
        return {column["name"]: column["kind"] for column in self.set_version.columns}

    def rows(self, columns: Sequence[str] | None = None) -> pa.Table:
        """The rows predicted, in the order of the predictions.

        Parameters
        ----------
        columns : sequence of str, optional
            Only these; all columns unless given.

        Raises
        ------
        SchemaMismatch
            A column is not there.
        """
        wanted = list(self.kinds) if columns is None else list(columns)
        absent = [name for name in wanted if name not in self.kinds]
        if absent:
            raise SchemaMismatch(
                f"Version {self.set_version.number} has no column {', '.join(map(repr, absent))}. "
                f"It has: {', '.join(self.kinds)}."
            )
        return datasets.read_table(self.store, self.set_version, columns=wanted).take(
            pa.array(self.predictions.ordinals)
        )

    def training_rows(self, *, n_rows: int, rng: np.random.Generator) -> pa.Table:
        """At most so many rows that the model was fitted on, drawn at random, features only, in the file's order."""
        training = np.flatnonzero(splits.assignment(self.store, self.split) == Part.TRAIN)
        if len(training) > n_rows:
            training = np.sort(rng.choice(training, size=n_rows, replace=False))
        return datasets.read_table(self.store, self.trained_version, columns=list(self.run.features)).take(
            pa.array(training)
        )


def material_of(workspace: Workspace, *, run_id: int, evaluation_id: int) -> Material:
    """Gather what an evaluation is analysed from.

    Raises
    ------
    NotFound, ArtifactCorrupted
    NotApplicable
        The evaluation is of another run.
    """
    with workspace.read() as session:
        run = queries.run(session, run_id)
        evaluation = evaluations.evaluation(session, evaluation_id)
        if evaluation.run_id != run_id:
            raise NotApplicable(f"Evaluation {evaluation_id} is of run {evaluation.run_id}, not of run {run_id}.")
        set_version = _set_version(session, evaluation.evaluation_set_id)
        trained_version = datasets.version(session, run.dataset_version_id)
        dataset = datasets.dataset(session, trained_version.dataset_id)
        split = session.get_one(Split, run.split_id)
    store = workspace.artifacts
    return Material(
        store=store,
        run=run,
        dataset=dataset,
        set_version=set_version,
        trained_version=trained_version,
        split=split,
        predictions=evaluations.load_predictions(store, evaluation),
        validation=None
        if run.validation_sha256 is None
        else evaluations.predictions_file(store, run.validation_sha256),
        load=lambda: _model_of(store, run),
        other_of=lambda other: _beside(workspace, other, evaluation_set_id=evaluation.evaluation_set_id),
    )


def analyse(kind: AnalysisKind, material: Material, options: Mapping[str, Any]) -> dict[str, Any]:
    """Work out one analysis.

    Parameters
    ----------
    options : mapping
        As the handler's docstring says; empty for its defaults.

    Returns
    -------
    dict
        A JSON document.

    Raises
    ------
    NotApplicable, InvalidInput, InsufficientData, SchemaMismatch
        It cannot be worked out of these rows; the message says why.
    """
    module, _, function = kind.handler.partition(":")
    result: dict[str, Any] = getattr(import_module(module), function)(material, options)
    return result


def _beside(workspace: Workspace, run_id: int, *, evaluation_set_id: int) -> Material:
    with workspace.read() as session:
        queries.run(session, run_id)
        found = evaluations.evaluation_of(session, run_id=run_id, evaluation_set_id=evaluation_set_id)
    if found is None or found.id is None:
        raise NotApplicable(f"Run {run_id} was not scored on this evaluation set. Compare the two runs on it first.")
    return material_of(workspace, run_id=run_id, evaluation_id=found.id)


def _model_of(store: ArtifactStore, run: Run) -> FittedModel:
    assert run.model_sha256 is not None
    assert run.signature is not None
    return load_model(store, model_sha256=run.model_sha256, signature=run.signature)


def _set_version(session: Session, evaluation_set_id: int) -> DatasetVersion:
    from core.datasets.tables import EvaluationSet

    return datasets.version(session, session.get_one(EvaluationSet, evaluation_set_id).version_id)
