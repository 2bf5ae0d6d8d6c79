"""A model's whole life by command, as three people at a shell."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from typer.testing import CliRunner

from core.cli.demo.stream import PRICE_RISE, month
from core.cli.main import app
from core.errors import LifecycleError

START = date(2026, 1, 1)


class Shell:
    """Runs commands on one home and gives back what they answered."""

    def __init__(self, home: Path) -> None:
        self.home, self.runner = home, CliRunner()

    def __call__(self, *arguments: object, who: str | None = None) -> Any:
        line = [*map(str, arguments), "--home", str(self.home), "--json", *(["--as", who] if who else [])]
        ran = self.runner.invoke(app, line)
        if isinstance(ran.exception, LifecycleError):
            raise ran.exception
        assert ran.exit_code == 0, f"{line}: {ran.output}"
        return json.loads(ran.stdout)


@pytest.fixture
def shell(home: Path) -> Shell:
    shell = Shell(home)
    for name, role in (
        ("ada", "administrator"),
        ("sam", "data-scientist"),
        ("rita", "reviewer"),
        ("olga", "operator"),
        ("aldo", "auditor"),
    ):
        shell("user", "add", name, "--role", role, who=None if name == "ada" else "ada")
    return shell


def write(folder: Path, name: str, frame: pd.DataFrame) -> Path:
    frame.drop(columns="subscriber").to_csv(folder / name, index=False)
    return folder / name


@pytest.mark.slow
def test_from_a_file_to_a_rollback_and_back_in_the_audit_log(shell: Shell, tmp_path: Path) -> None:
    first = write(tmp_path, "first.csv", pd.concat(month(START, index, n_rows=700) for index in range(4)))
    added = shell("dataset", "add", first, "--name", "subscribers", "--target", "left", "--sensitive", "gender",
                  "--time", "observed_on", who="sam")  # fmt: skip
    assert added["columns"]["monthly_charge"] == "number"

    dummy = shell("train", "--dataset", "subscribers", "--algorithm", "dummy", "--wait", who="sam")["id"]
    run = shell("train", "--dataset", "subscribers@1", "--algorithm", "logistic_regression", "--wait", who="sam")["id"]
    page = tmp_path / "report.html"
    (said,) = shell("compare", dummy, run, "--report", page, who="sam")["comparisons"]
    assert f"Run {run}, Logistic regression is better than run {dummy} in ROC AUC" in page.read_text("utf-8")
    assert said["verdict"] == "better"
    assert said["interval"][0] > 0

    shell("model", "register", run, "--name", "churn", who="sam")
    request = shell("promote", "churn@1", "--comment", "First one", who="sam")
    assert request["blocking"] == 0
    with pytest.raises(LifecycleError, match="may not decide"):
        shell("request", "approve", request["id"], who="sam")
    assert shell("request", "approve", request["id"], who="rita")["state"] == "approved"

    later = write(tmp_path, "later.csv", month(START, PRICE_RISE, n_rows=3_000))
    batch = shell("monitor", "add-batch", "churn", later, "--time", "observed_on", who="olga")
    assert batch["state"] == "drifted"
    (window,) = shell("monitor", "show", "churn", who="olga")["windows"]
    assert [(one["label"], one["drifted"]) for one in batch["windows"]] == [(window["window"], ["monthly_charge"])]
    assert [name for name in window["drifted"] if name in added["columns"]] == ["monthly_charge"]
    tried = shell("monitor", "set", "churn", "false_alerts=0.5", "min_effect=0.9", "--try", who="olga")
    assert (tried["promised"], tried["would_have_alerted"]) == (0.5, [])
    assert shell("monitor", "set", "churn", "false_alerts=0.2", who="olga")["false_alerts"] == 0.2
    with pytest.raises(LifecycleError, match="is no setting"):
        shell("monitor", "set", "churn", "alpha=0.2", who="olga")
    alert = shell("alert", "list", who="olga")[0]
    shell("alert", "acknowledge", alert["id"], "--note", "price rise", who="olga")

    version = shell("dataset", "add", later, "--name", "subscribers", "--adds-to", 1, who="sam")
    assert version["label"] == "subscribers v2"
    again = shell("monitor", "add-version", "churn", "subscribers@2", who="olga")
    windows = {one["window"]: one for one in shell("monitor", "show", "churn", who="olga")["windows"]}
    moved = shell("monitor", "compare", window["id"], windows[f"batch {again['id']}"]["id"], who="olga")
    assert moved["second"]["n_rows"] == again["rows"] > moved["first"]["n_rows"]  # the new version adds to the first
    assert [one["feature"] for one in moved["features"] if one["drifted"]] == ["monthly_charge"]
    measured = shell("drift", "--reference", "subscribers@1", "--current", "subscribers@2", who="sam")["features"]
    assert {"feature", "statistic", "effect", "pvalue", "drifted"} <= set(measured[0])

    second = shell("train", "--dataset", "subscribers", "--algorithm", "logistic_regression", "--wait", who="sam")["id"]
    shell("model", "register", second, "--name", "churn", who="sam")
    request = shell("promote", "churn@2", "--comment", "With the new prices", who="sam")
    shell("request", "approve", request["id"], who="rita")
    shell("score", "churn@2", "--input", later, "--output", tmp_path / "scored.csv", who="sam")
    assert "prediction" in pd.read_csv(tmp_path / "scored.csv").columns

    assert shell("rollback", "churn", "--reason", "too many calls", who="olga")["version"] == "churn v1"
    (live,) = shell("audit", "as-of", "2100-01-01T00:00:00Z", who="aldo")["live"]
    assert live["version_label"] == "churn v1"
    assert live["cause"] == "rollback"
    assert shell("audit", "verify", who="aldo")["intact"] is True


def test_what_is_wrong_with_a_parameter_is_said(shell: Shell, tmp_path: Path) -> None:
    file = write(tmp_path, "one.csv", month(START, 0, n_rows=60))
    shell("dataset", "add", file, "--name", "subscribers", "--target", "left", who="sam")
    with pytest.raises(LifecycleError, match="--param 'C'"):
        shell("train", "--dataset", "subscribers", "--algorithm", "logistic_regression", "--param", "C", who="sam")
    with pytest.raises(LifecycleError, match="no parameter 'depth'"):
        shell(
            "train", "--dataset", "subscribers", "--algorithm", "logistic_regression", "--param", "depth=3", who="sam"
        )


def test_a_viewer_changes_nothing_by_command(shell: Shell, tmp_path: Path) -> None:
    file = write(tmp_path, "one.csv", month(START, 0, n_rows=60))
    shell("user", "add", "vera", "--role", "viewer", who="ada")
    with pytest.raises(LifecycleError, match="vera"):
        shell("dataset", "add", file, "--name", "subscribers", who="vera")
    assert shell("dataset", "list", who="vera") == []


def test_a_finished_run_is_told_in_words(shell: Shell, tmp_path: Path) -> None:
    rows = write(tmp_path, "rows.csv", month(START, 0, n_rows=300))
    shell("dataset", "add", rows, "--name", "subscribers", "--target", "left", who="sam")
    line = [
        "train",
        "--dataset",
        "subscribers",
        "--algorithm",
        "dummy",
        "--wait",
        "--home",
        str(shell.home),
        "--as",
        "sam",
    ]
    told = shell.runner.invoke(app, line).stdout
    assert "Run 1 is finished." in told
    assert "On fixed (subscribers v1), with 95 % intervals:" in told
    assert "  ROC AUC 0.5" in told
    assert "{" not in told
