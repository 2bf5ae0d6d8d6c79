"""Health and alert rules as a person types them."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from core.cli import main
from core.database import utc_now
from core.errors import LifecycleError
from core.health.tables import HealthSample
from core.monitoring.service import ensure_monitor
from core.permissions import Actor
from core.workspace import Workspace
from tests.factories import key, make_model

Run = Callable[..., Result]


@pytest.fixture
def run(home: Path) -> Run:
    def command(*arguments: str) -> Result:
        result = CliRunner().invoke(main.app, [*arguments, "--home", str(home)])
        if result.exception is not None and not isinstance(result.exception, SystemExit | LifecycleError):
            raise result.exception
        return result

    return command


def test_health_says_what_was_measured_last_and_what_the_rules_make_of_it(run: Run, workspace: Workspace) -> None:
    assert "no process is running" in run("health").stdout
    now = utc_now()
    with workspace.write() as session:
        for name, value in (("disk_free_bytes", 3e8), ("disk_free_share", 0.4), ("queue_jobs", 2.0)):
            session.add(HealthSample(at=now - timedelta(minutes=1), process="worker", key=name, value=value))
    said = run("health").stdout
    assert "Jobs that wait" in said
    assert "300.0 MB" in said
    assert "Disk runs full: 0.3 GB" in said
    document = json.loads(run("health", "--json").stdout)
    assert [one["value"] for one in document["figures"] if one["key"] == "queue_jobs"] == [2.0]
    assert {one["rule"]: one["outlook"] for one in document["rules"]}["disk"] == "fires"
    assert {one["rule"]: one["outlook"] for one in document["rules"]}["latency"] == "unknown"


def test_rules_are_listed_and_set(run: Run, workspace: Workspace, operator: Actor, administrator: Actor) -> None:
    with workspace.write() as session:
        model = make_model(session, name="pay")
        ensure_monitor(session, model_id=key(model), environment="production", alias="champion", now=utc_now())
    listed = {one["rule"]: one for one in json.loads(run("alert", "rules", "--model", "pay", "--json").stdout)}
    assert listed["no_predictions"]["parameters"] == ["hours=learned"]
    assert listed["drift"]["says"] == "No alert is open; each window decides."
    asked = ("alert", "set-rule", "no_predictions", "--model", "pay", "--as", operator.name, "--json")
    assert json.loads(run(*asked, "--set", "hours=12").stdout)["parameters"] == ["hours=12"]
    off = json.loads(run(*asked, "--off").stdout)
    assert (off["on"], off["parameters"]) == (False, ["hours=12"])
    on = json.loads(run(*asked, "--on", "--set", "hours=learned").stdout)
    assert (on["on"], on["parameters"]) == (True, ["hours=learned"])
    disk = ("alert", "set-rule", "disk", "--set", "free_gb=20")
    assert run(*disk, "--as", operator.name).exit_code == 1
    assert run(*disk, "--as", administrator.name).exit_code == 0
    assert "free_gb=20" in run("alert", "rules").stdout


@pytest.mark.parametrize("wrong", ["hours", "hours=soon", "=3", "hours="])
def test_a_parameter_that_is_none_is_refused_with_an_example(
    wrong: str, run: Run, workspace: Workspace, operator: Actor
) -> None:
    with workspace.write() as session:
        model = make_model(session, name="pay")
        ensure_monitor(session, model_id=key(model), environment="production", alias="champion", now=utc_now())
    refused = run("alert", "set-rule", "no_predictions", "--model", "pay", "--as", operator.name, "--set", wrong)
    assert refused.exit_code == 1
    assert "hours" in str(refused.exception)
