"""Every analysis of runs on awkward data: a document of finite numbers, or a refusal with a sentence.

The data have a feature without variation, one without values, dates, a sensitive column with values missing, rows of
weight 0, a rare class, or hardly any rows.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.automation.inline import run_all
from core.datasets import queries as datasets
from core.datasets import service as datasets_service
from core.datasets.ingest import inspect
from core.datasets.tables import ColumnKind, Relation
from core.errors import LifecycleError
from core.evaluation import queries as evaluations
from core.evaluation.metrics import metrics_for
from core.evaluation.tables import Task
from core.permissions import Actor
from core.training.analyses import ANALYSES
from core.training.analysing import Material, analyse, material_of
from core.training.lifecycle import RunState
from core.training.tables import Run
from core.workspace import Workspace
from tests.core.training.conftest import Train

FEATURES = ("constant", "nothing", "day", "age", "pay", "team")


def write(folder: Path, kind: str) -> Path:
    n = {"rare": 1500, "few": 60, "classes": 1000, "numbers": 900}[kind]
    rng = np.random.default_rng(n)
    age, pay = rng.integers(18, 80, size=n), rng.normal(size=n).round(3)
    strength = (age - 49) / 18 + pay + 0.5 * rng.normal(size=n)
    y: Any
    if kind == "rare":
        y = np.where(strength > np.quantile(strength, 0.99), "yes", "no")
    elif kind == "few":
        y = np.where(strength > 0.5, "yes", "no")
    elif kind == "classes":
        cuts = np.quantile(strength, [0.35, 0.65, 0.85, 0.98])
        y = np.array(["ant", "bee", "cat", "dog", "elk"])[np.digitize(strength, cuts)]
    else:
        y = strength.round(3)
    team = rng.choice(["red", "blue", "green", ""], size=n, p=[0.5, 0.3, 0.05, 0.15])
    days = [date(2024, 1, 1) + timedelta(days=int(v)) for v in rng.integers(0, 700, size=n)]
    weight = rng.integers(0, 4, size=n)
    lines = [
        f"7,,{day},{a},{p},{t},{w},{label}"
        for day, a, p, t, w, label in zip(days, age, pay, team, weight, y, strict=True)
    ]
    path = folder / f"{kind}.csv"
    path.write_text("\n".join(["constant,nothing,day,age,pay,team,weight,y", *lines]) + "\n", "utf-8")
    return path


def uploaded(workspace: Workspace, path: Path, actor: Actor, now: datetime) -> int:
    options = inspect(path, file_name=path.name).options
    # Without a value to go by it would be read as text, which is no feature.
    kinds = [replace(one, kind=ColumnKind.NUMBER) if one.name == "nothing" else one for one in options.columns]
    options = replace(options, columns=tuple(kinds))
    stored = workspace.artifacts.put_file(path)
    with workspace.write() as session:
        upload = datasets_service.store_upload(session, artifact=stored, file_name=path.name, actor=actor, now=now)
        intake = datasets_service.request_intake(
            session, upload_id=upload.id or 0, dataset_name=path.stem, relation=Relation.NEW, options=options,
            target="y", sensitive=["team"], time_column=None, parent_id=None, actor=actor, now=now,
        )  # fmt: skip
    run_all(workspace)
    with workspace.read() as session:
        done = datasets.intake(session, intake.id)
        assert done.version_id is not None, done.error
        return done.version_id


def costs(labels: list[str]) -> dict[str, Any]:
    return {"labels": labels, "matrix": (1.0 - np.eye(len(labels))).tolist()}


def with_costs(material: Material) -> Material:
    """As if the dataset had a cost matrix."""
    classes = list(material.predictions.classes)
    dataset = type(material.dataset)(**{**material.dataset.model_dump(), "costs": costs(classes) if classes else None})
    return replace(material, dataset=dataset)


def beside(material: Material) -> Material:
    """With another run on the same rows to be held against: the same model with its answers one row off."""
    shown = material.predictions
    scores = None if shown.scores is None else np.roll(shown.scores, 1, axis=0)
    other = replace(material, predictions=replace(shown, scores=scores, y_pred=np.roll(shown.y_pred, 1)))
    return replace(material, other_of=lambda _: other)


def options_of(kind: str, material: Material) -> list[Mapping[str, Any]]:
    """Ways to ask for an analysis, odd ones too."""
    if kind == "slices":
        metrics = [{"metric": entry.key, "columns": ["team"]} for entry in metrics_for(material.task)]
        return [{}, *metrics, *({"columns": [name]} for name in FEATURES), {"columns": ["team", "age", "day"]}]
    if kind == "weak_slices":
        return [{}, {"loss": "log_loss"}, {"columns": ["constant", "nothing"]}, {"columns": ["y"]}]
    if kind == "fairness":
        return [{}, {"columns": ["team", "age", "day"]}, {"columns": ["nothing", "constant"]}]
    if kind == "changes":
        return [{"baseline_run_id": 0, "columns": ["nothing", "team"]}]
    if kind == "partial_dependence":
        return [{}, {"features": list(FEATURES)}, {"features": ["day"]}]
    if kind == "contributions":
        return [{"ordinal": int(material.predictions.ordinals[0])}, {"ordinal": -1}]
    return [{}]


def trained(workspace: Workspace, train: Train, version_id: int, **over: Any) -> tuple[Run, Material]:
    run = train(version_id, target="y", features=FEATURES, **over)
    assert run.state == RunState.FINISHED, run.error
    assert run.id is not None
    with workspace.read() as session:
        [evaluation] = evaluations.evaluations_of_run(session, run.id)
    return run, material_of(workspace, run_id=run.id, evaluation_id=evaluation.id or 0)


@pytest.mark.parametrize(
    ("kind", "task", "over"),
    [
        ("rare", Task.BINARY, {"algorithm": "logistic_regression", "weight_column": "weight"}),
        ("few", Task.BINARY, {"algorithm": "hist_gradient_boosting", "parameters": {"max_iter": 5}}),
        ("classes", Task.MULTICLASS, {"algorithm": "logistic_regression"}),
        ("numbers", Task.REGRESSION, {"algorithm": "ridge", "weight_column": "weight"}),
    ],
)
def test_every_analysis_is_worked_out_or_says_why_not(
    workspace: Workspace, train: Train, scientist: Actor, now: datetime, tmp_path: Path,
    kind: str, task: Task, over: dict[str, Any],
) -> None:  # fmt: skip
    version_id = uploaded(workspace, write(tmp_path, kind), scientist, now)
    run, material = trained(workspace, train, version_id, **over)
    assert material.task is task
    weighted = material.predictions.sample_weight is not None
    assert weighted == ("weight_column" in over)
    material, worked_out = beside(with_costs(material)), set()
    for entry in ANALYSES.values():
        if task not in entry.tasks:
            continue
        for options in options_of(entry.key, material):
            refused = found = None
            try:
                found = analyse(entry, material, options)
            except LifecycleError as refusal:
                refused = str(refusal)
            if found is None:
                assert refused is not None
                assert len(refused) > 20
                continue
            worked_out.add(entry.key)
            assert json.loads(json.dumps(found, allow_nan=False)) == found, (entry.key, options)
            if entry.key in ("weak_slices", "errors", "fairness"):
                assert found["weighted"] == weighted
    too_few = {"weak_slices"} if kind == "few" else set()
    assert worked_out == {entry.key for entry in ANALYSES.values() if task in entry.tasks} - too_few
    if weighted and kind == "rare":
        counted = int((material.predictions.sample_weight > 0).sum())
        assert analyse(ANALYSES["weak_slices"], material, {})["n_rows"] == counted
    assert run.importance is None or {one["name"] for one in run.importance["features"]} == set(FEATURES)
