"""Slices, weak slices and errors of a real run: worked out by each training, on asking, and by command."""

from __future__ import annotations

import json
from datetime import datetime

import pytest
from typer.testing import CliRunner

from core.automation.inline import run_all
from core.cli.main import app
from core.errors import LifecycleError
from core.evaluation import queries as evaluations
from core.jobs import queries as jobs
from core.permissions import Actor
from core.training.service import request_analysis
from core.workspace import Workspace
from tests.core.training.conftest import AddVersion, Train


def stored(workspace: Workspace, run_id: int, kind: str, options: dict | None = None) -> dict:
    with workspace.read() as session:
        evaluation = evaluations.evaluations_of_run(session, run_id)[0]
        found = evaluations.analysis(session, evaluation_id=evaluation.id, kind=kind, options=options)
        assert found is not None
        return found.result


def ask(workspace: Workspace, run_id: int, kind: str, options: dict, actor: Actor, now: datetime) -> str | None:
    """Ask for an analysis and work it out; the job's reason where it failed."""
    with workspace.write() as session:
        evaluation = evaluations.evaluations_of_run(session, run_id)[0]
        job = request_analysis(
            session, run_id=run_id, evaluation_id=evaluation.id, kind=kind, options=options, actor=actor, now=now
        )
        job_id = job.id
    run_all(workspace)
    with workspace.read() as session:
        return jobs.job(session, job_id).error


def test_a_training_leaves_slices_weak_slices_and_errors(
    workspace: Workspace, add_version: AddVersion, train: Train, viewer: Actor, now: datetime
) -> None:
    run = train(add_version(n_rows=1200).id)
    assert run.id is not None

    slices = stored(workspace, run.id, "slices")
    assert slices["metric"] == "roc_auc"
    assert set(slices["columns"]) <= {"age", "pay", "job"}
    assert sum(one["n_rows"] for one in slices["slices"] if one["words"].startswith("job")) == slices["n_rows"]

    weak = stored(workspace, run.id, "weak_slices")
    assert weak["n_search"] + weak["n_confirm"] == weak["n_rows"]
    assert weak["n_searched"] > 3

    errors = stored(workspace, run.id, "errors")
    rows = errors["rows"]
    losses = [rows[place]["loss"] for place in errors["hardest"]]
    assert losses == sorted(losses, reverse=True)
    assert sum(cell["n"] for cell in errors["cells"]) == errors["n_rows"]
    for cell in errors["cells"]:
        shown = [rows[place] for place in cell["rows"]]
        assert {(row["true"], row["predicted"]) for row in shown} == {(cell["true"], cell["predicted"])}
        assert [row["score"] for row in shown] == sorted((row["score"] for row in shown), reverse=True)
    assert len(json.dumps(errors, allow_nan=False)) < 1_000_000

    options = {"columns": ["job", "age"], "metric": "accuracy"}
    assert ask(workspace, run.id, "slices", options, viewer, now) is None
    crossed = stored(workspace, run.id, "slices", options)
    assert crossed["asked"]
    assert all(len(one["conditions"]) == 2 for one in crossed["slices"])
    assert sum(one["n_rows"] for one in crossed["slices"]) == crossed["n_rows"]

    for wrong, said in (
        ({"columns": ["salary"]}, "has no column 'salary'"),
        ({"columns": ["age", "job", "pay", "member"]}, "at most 3"),
        ({"by": "age"}, "no option by"),
        ({"metric": "rmse"}, "not for a binary task"),
    ):
        assert said in (ask(workspace, run.id, "slices", wrong, viewer, now) or "")


def test_a_command_works_an_analysis_out_and_shows_it_again(
    workspace: Workspace, add_version: AddVersion, train: Train
) -> None:
    run = train(add_version().id)
    line = ["analyse", str(run.id), "--kind", "slices", "--column", "job", "--option", "metric=accuracy"]
    home = ["--home", str(workspace.home), "--as", "sam"]
    ran = CliRunner().invoke(app, [*line, *home, "--json"])
    assert ran.exit_code == 0, ran.output
    assert json.loads(ran.stdout)["columns"] == ["job"]
    again = CliRunner().invoke(app, [*line, *home])
    assert "job = " in again.stdout
    for wrong, said in (
        (["--kind", "moods"], "Choose one of"),
        (["--kind", "slices", "--set", "latest"], "fixed"),
        (["--kind", "slices", "--option", "metric"], "key=value"),
    ):
        refused = CliRunner().invoke(app, ["analyse", str(run.id), *wrong, *home])
        assert isinstance(refused.exception, LifecycleError)
        assert said in str(refused.exception)


@pytest.mark.parametrize("target", ["age", "job"])
def test_every_task_can_be_analysed(workspace: Workspace, add_version: AddVersion, train: Train, target: str) -> None:
    run = train(add_version().id, algorithm="dummy", target=target)
    errors = stored(workspace, run.id or 0, "errors")
    assert (errors["cells"] == []) == (errors["task"] == "regression")
    assert errors["rows"]
    assert not errors["suspected"]["stands_out"]
