"""Incidents by command: listed, shown, noted, resolved; refused to who may not."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import pytest
from typer.testing import CliRunner

from core.cli.main import app
from core.errors import PermissionDenied
from core.incidents.evidence import Evidence, FeatureEvidence
from core.incidents.service import open_from_window
from core.incidents.signs import Sign
from core.incidents.triage import triage
from core.monitoring.service import ensure_monitor
from core.monitoring.tables import Alert, Window
from core.permissions import Actor
from core.workspace import Workspace
from tests.factories import add, key, make_model, make_model_version

FOUND = triage(
    Evidence(
        "2026-02", 500, 100,
        features=(
            FeatureEvidence("hours", "number", True, 0.9, 0.1, signs=(Sign("unit_change", "hours is in minutes."),)),
        ),
    )
)  # fmt: skip


@pytest.fixture
def incident_id(workspace: Workspace, operator: Actor, now: datetime) -> int:
    with workspace.write() as session:
        version = make_model_version(session, model_id=key(make_model(session, name="pay")))
        monitor = ensure_monitor(
            session, model_id=version.model_id, environment="production", alias="champion", now=now
        )
        window = add(
            session,
            Window(
                monitor_id=key(monitor), version_id=key(version), label="2026-02", from_at=now, to_at=now, n_rows=500,
                n_features=1, n_drifted=1, state="drifted", computed_at=now, read_at=now,
            ),
        )  # fmt: skip
        add(
            session,
            Alert(
                monitor_id=key(monitor), window_id=key(window), kind="drift", severity="warning",
                sentence="pay champion: hours has drifted.", since="2026-02", since_at=now, opened_at=now,
            ),
        )  # fmt: skip
        return key(open_from_window(session, window_id=key(window), triage=FOUND, actor=operator, now=now))


def run(workspace: Workspace, *arguments: object, who: str = "olga", as_json: bool = True) -> Any:
    line = [*map(str, arguments), "--home", str(workspace.home), "--as", who, *(["--json"] if as_json else [])]
    ran = CliRunner().invoke(app, line)
    if ran.exception is not None:
        raise ran.exception
    assert ran.exit_code == 0, ran.output
    return json.loads(ran.stdout) if as_json else ran.stdout


def test_an_incident_is_listed_and_shown_with_its_remedies(
    workspace: Workspace, incident_id: int, viewer: Actor
) -> None:
    (row,) = run(workspace, "incident", "list", who="vera")
    assert (row["id"], row["title"], row["state"]) == (incident_id, "pay: data arrives wrong in 2026-02", "open")
    shown = run(workspace, "incident", "show", incident_id, who="vera")
    assert shown["cause"] == "Pipeline fault"
    assert shown["why"] == "Pipeline fault: hours is in minutes."
    assert shown["alerts"] == ["pay champion: hours has drifted."]
    assert [one["remedy"] for one in shown["remedies"] if one["advised"]] == ["Fix the pipeline"]
    words = run(workspace, "incident", "show", incident_id, who="vera", as_json=False)
    assert "hours is in minutes." in words
    assert "Remedies" in words


def test_a_note_and_the_outcome_are_kept(workspace: Workspace, incident_id: int) -> None:
    run(workspace, "incident", "note", incident_id, "Asked the supplier.")
    run(workspace, "incident", "resolve", incident_id, "--outcome", "The feed sent minutes.")
    shown = run(workspace, "incident", "show", incident_id)
    assert (shown["state"], shown["outcome"]) == ("resolved", "The feed sent minutes.")
    assert [(one["note"], one["actor"]) for one in shown["done"]] == [("Asked the supplier.", "olga")]
    (alert,) = run(workspace, "alert", "list")
    assert alert["state"] == "resolved"


def test_a_viewer_resolves_nothing(workspace: Workspace, incident_id: int, viewer: Actor) -> None:
    with pytest.raises(PermissionDenied, match="operator"):
        run(workspace, "incident", "resolve", incident_id, "--outcome", "Over.", who="vera")
    assert run(workspace, "incident", "show", incident_id)["state"] == "open"


def test_an_incident_is_opened_from_an_alert_once(workspace: Workspace, operator: Actor, viewer: Actor, now: datetime):
    with workspace.write() as session:
        version = make_model_version(session, model_id=key(make_model(session, name="tips")))
        monitor = ensure_monitor(
            session, model_id=version.model_id, environment="production", alias="champion", now=now
        )
        silent = add(
            session,
            Alert(
                monitor_id=key(monitor), kind="no_predictions", severity="critical", since="today", since_at=now,
                sentence="tips champion: no prediction for 30 hours.", opened_at=now,
            ),
        )  # fmt: skip
        alert_id = key(silent)
    with pytest.raises(PermissionDenied):
        run(workspace, "incident", "open", alert_id, who="vera")
    opened = run(workspace, "incident", "open", alert_id)
    assert "tips" in opened["title"]
    assert run(workspace, "incident", "open", alert_id)["id"] == opened["id"]
    shown = run(workspace, "incident", "show", opened["id"])
    assert shown["alerts"] == ["tips champion: no prediction for 30 hours."]
