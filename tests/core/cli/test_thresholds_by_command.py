"""Costs and thresholds by command."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from typer.testing import CliRunner

from core.cli.demo.stream import month
from core.cli.main import app
from core.errors import InvalidInput, LifecycleError
from core.evaluation.threshold_choices import threshold_sentence


def shell(home: Path, *arguments: object, who: str = "sam") -> Any:
    ran = CliRunner().invoke(app, [*map(str, arguments), "--home", str(home), "--json", "--as", who])
    if isinstance(ran.exception, LifecycleError):
        raise ran.exception
    assert ran.exit_code == 0, ran.output
    return json.loads(ran.stdout)


def test_costs_are_set_and_a_threshold_is_found_by_them(home: Path, tmp_path: Path) -> None:
    CliRunner().invoke(app, ["user", "add", "ada", "--role", "administrator", "--home", str(home)])
    shell(home, "user", "add", "sam", "--role", "data-scientist", who="ada")
    frame = pd.concat(month(date(2026, 1, 1), index, n_rows=500) for index in range(2)).drop(columns="subscriber")
    frame.to_csv(tmp_path / "first.csv", index=False)
    shell(home, "dataset", "add", tmp_path / "first.csv", "--name", "subscribers", "--target", "left")
    assert shell(home, "dataset", "costs", "subscribers")["costs"] is None
    kept = shell(home, "dataset", "costs", "subscribers", "--miss", 10, "--false-alarm", 1)["costs"]
    assert kept["matrix"] == [[0.0, 1.0], [10.0, 0.0]]
    matrix = json.dumps({"labels": kept["labels"], "matrix": [[0, 2], [10, 0]]})
    assert shell(home, "dataset", "costs", "subscribers", "--matrix", matrix)["costs"]["matrix"][0][1] == 2
    for wrong in (("--miss", 1), ("--miss", 1, "--false-alarm", 1, "--none"), ("--matrix", "{"), ("--matrix", "[]")):
        with pytest.raises(InvalidInput):
            shell(home, "dataset", "costs", "subscribers", *wrong)

    run = shell(home, "train", "--dataset", "subscribers", "--algorithm", "logistic_regression", "--wait")["id"]
    assert shell(home, "model", "register", run, "--name", "churn")["threshold"] is None
    by_hand = shell(home, "model", "register", run, "--name", "churn", "--threshold", 0.31)
    assert (by_hand["label"], by_hand["threshold"]["value"]) == ("churn@2", 0.31)
    by_cost = shell(home, "model", "register", run, "--name", "churn", "--rule", "cost")
    assert "where a false alarm costs 2 and a miss 10" in threshold_sentence(by_cost["threshold"])
    with pytest.raises(LifecycleError, match=r"with the threshold 0\.31 is churn v2 already"):
        shell(home, "model", "register", run, "--name", "churn", "--threshold", 0.31)
    with pytest.raises(InvalidInput, match="is no rule"):
        shell(home, "model", "register", run, "--name", "churn", "--rule", "recall")
    assert shell(home, "dataset", "costs", "subscribers", "--none")["costs"] is None
