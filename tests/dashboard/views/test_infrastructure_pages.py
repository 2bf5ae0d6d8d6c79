"""Infrastructure and alert rules: the state in a sentence, figures over a span, rules that can be set."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlmodel import select
from streamlit.testing.v1 import AppTest

from core.database import utc_now
from core.health.tables import HealthSample
from core.jobs import processes
from core.jobs.tables import Process
from core.monitoring.liveness_job import judge_all, judge_parts
from core.monitoring.tables import Alert, AlertRule, AlertState
from core.permissions import Actor
from core.workspace import Workspace
from dashboard import reads
from tests.dashboard.conftest import OpenAs
from tests.dashboard.factories import make_live_model
from tests.dashboard.said import offered, said

HEALTHY = {
    "scoring": {"requests": 20.0, "errors": 0.0, "refused": 1.0, "rows": 2.0, "latency_p50_ms": 8.0,
                "latency_p95_ms": 20.0, "latency_p99_ms": 40.0, "memory_bytes": 1.4e8, "cpu_cores": 0.05},
    "worker": {"memory_free_share": 0.6, "disk_free_bytes": 8e10, "disk_free_share": 0.3, "database_bytes": 3e6,
               "home_bytes": 9e7, "queue_jobs": 0.0, "queue_age_seconds": 0.0, "jobs_failed": 0.0,
               "memory_bytes": 2.5e8, "cpu_cores": 0.02},
    "web": {"memory_bytes": 2.1e8, "cpu_cores": 0.02},
}  # fmt: skip


def measured(workspace: Workspace, **over: float) -> None:
    """Half an hour of samples; every process beats."""
    now = utc_now()
    with workspace.write() as session:
        for process, figures in HEALTHY.items():
            processes.beat(session, role=process, pid=1, host="elsewhere", address="", started_at=now, now=now)
            for key, value in figures.items():
                session.add_all(
                    HealthSample(at=now - timedelta(minutes=m), process=process, key=key, value=over.get(key, value))
                    for m in range(30)
                )


def heading(page: AppTest) -> str:
    return page.subheader[0].value


def test_a_healthy_installation_is_one_sentence_and_its_charts(
    workspace: Workspace, open_as: OpenAs, viewer: Actor
) -> None:
    measured(workspace)
    page = open_as(viewer, "monitoring", view="infrastructure")
    told = said(page)
    assert heading(page) == "Nothing is wrong"
    assert "0 of 300 requests failed in 15 min." in told
    assert "80.0 GB of the home's disk are free (30 %)." in told
    assert len(page.get("plotly_chart")) == 10
    for span in ("day", "week"):
        assert "Nothing was measured" not in said(open_as(viewer, "monitoring", view="infrastructure", span=span))


def test_nothing_measured_is_not_called_healthy(workspace: Workspace, open_as: OpenAs, viewer: Actor) -> None:
    page = open_as(viewer, "monitoring", view="infrastructure")
    assert heading(page) == "Not running: web, scoring, worker"
    assert said(page).count("Nothing was measured in this span.") == 10
    assert len(page.get("plotly_chart")) == 0


def test_what_is_unhealthy_comes_first_and_is_taken_up(
    workspace: Workspace, open_as: OpenAs, operator: Actor, viewer: Actor
) -> None:
    measured(workspace, disk_free_bytes=3e8)
    judge_all(workspace, utc_now())
    page = open_as(operator, "monitoring", view="infrastructure")
    assert heading(page) == "Disk runs full"
    titles = [part.value for part in page.markdown if part.value.startswith("**")]
    assert "Disk, free" in titles[0]
    assert "Acknowledge" in offered(page)
    assert "Acknowledge" not in offered(open_as(viewer, "monitoring", view="infrastructure"))
    assert "This installation: 0.3 GB" in said(open_as(operator, "inbox"))


def test_a_part_that_died_is_said_and_stands_until_it_is_judged_again(
    workspace: Workspace, open_as: OpenAs, operator: Actor
) -> None:
    measured(workspace)
    now = utc_now()
    with workspace.write() as session:
        for row in session.exec(select(Process)):
            row.started_at = row.beating_since = now - timedelta(hours=1)
            row.seen_at = now - timedelta(minutes=5 if row.role == "scoring" else 0)
            session.add(row)
    judge_parts(workspace, now)
    page = open_as(operator, "monitoring", view="infrastructure")
    assert heading(page) == "A part stopped"
    assert "scoring has not been heard from for 5 min, so requests to predict are not answered." in said(page)
    inbox = open_as(operator, "inbox")
    assert "This installation: scoring has not been heard from" in said(inbox)
    next(button for button in inbox.button if button.label == "Open").click().run()
    assert heading(inbox) == "A part stopped"
    measured(workspace)
    page = open_as(operator, "monitoring", view="infrastructure")
    assert heading(page) == "An alert still stands"
    assert "Acknowledge" in offered(page)
    judge_parts(workspace, utc_now())
    page = open_as(operator, "monitoring", view="infrastructure")
    assert heading(page) == "Nothing is wrong"
    assert "Acknowledge" not in offered(page)


def test_what_most_requests_were_refused_for_is_said_beside_the_errors(
    workspace: Workspace, open_as: OpenAs, viewer: Actor
) -> None:
    measured(workspace, refused=15.0)
    with workspace.write() as session:
        refused = session.exec(select(HealthSample).where(HealthSample.key == "refused")).all()
        session.add_all(
            HealthSample(at=one.at, process="scoring", key="refused_for", subject="422", value=one.value)
            for one in refused
        )
    page = open_as(viewer, "monitoring", view="infrastructure")
    assert heading(page) == "Requests are refused"
    told = said(page)
    assert "refused in 15 min (75 %; 70 % at least once chance is allowed for), most often (225 times) for rows" in told
    assert "0 of 300 requests failed in 15 min." in told


def test_the_page_asks_the_rules_and_the_alerts_once(
    workspace: Workspace, open_as: OpenAs, viewer: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured(workspace)
    asked: list[str] = []
    fresh = reads.fresh
    monkeypatch.setattr(reads, "fresh", lambda query, *a, **k: (asked.append(query.__name__), fresh(query, *a, **k))[1])
    open_as(viewer, "monitoring", view="infrastructure")
    asked = asked[asked.index("list_monitors") :]  # the Overview opens first
    assert asked.count("rules_of_installation") == 1
    assert asked.count("standing_alerts") == 1


def test_the_overview_has_one_line_until_something_is_wrong(
    workspace: Workspace, open_as: OpenAs, viewer: Actor
) -> None:
    measured(workspace)
    page = open_as(viewer, "overview")
    assert "Infrastructure: nothing is wrong. 95 of 100 answers within 20 ms; 80 GB of disk free." in said(page)
    assert not page.warning
    measured(workspace, latency_p95_ms=9_000.0)
    page = open_as(viewer, "overview")
    assert "Answers are slow. In 15 of the 30 minutes" in page.warning[0].value.replace("\u2060", "")


def test_silence_is_the_headline_of_a_model_that_does_not_drift(
    workspace: Workspace, open_as: OpenAs, viewer: Actor, scientist: Actor
) -> None:
    now = utc_now()
    with workspace.write() as session:
        made = make_live_model(session, name="churn", actor=scientist, now=now)
        session.add(
            Alert(
                monitor_id=made.monitor_id, kind="no_predictions", severity="critical", since="today", since_at=now,
                opened_at=now, sentence="churn champion: no prediction for 5 h.",
            )
        )  # fmt: skip
    assert "churn needs attention: no prediction for 5 h." in said(open_as(viewer, "overview"))
    told = said(open_as(viewer, "monitoring"))
    assert "Alert open" in told
    assert "1 of 1 monitor has an open alert: churn." in told


def test_a_rule_is_set_by_who_may(
    workspace: Workspace, open_as: OpenAs, operator: Actor, viewer: Actor, scientist: Actor
) -> None:
    with workspace.write() as session:
        monitor_id = make_live_model(session, name="churn", actor=scientist, now=utc_now()).monitor_id
    query = {"view": "rules", "rules_of": monitor_id}
    page = open_as(viewer, "monitoring", **query, rule="no_predictions")
    assert "Operators may change them." in said(page)
    assert not [one for one in page.number_input if one.key == "rule_hours"]
    page = open_as(operator, "monitoring", **query, rule="no_predictions")
    assert "learned" in said(page)
    page.number_input(key="rule_hours").set_value(12.0)
    page.toggle(key="rule_enabled").set_value(False)
    next(button for button in page.button if button.label == "Save").click().run()
    with workspace.read() as session:
        (rule,) = session.exec(select(AlertRule)).all()
    assert (rule.monitor_id, rule.kind, rule.enabled, rule.parameters) == (
        monitor_id, "no_predictions", False, {"hours": 12.0},
    )  # fmt: skip
    assert "12 hours (changed)" in said(open_as(operator, "monitoring", **query))


@pytest.mark.parametrize("state", [AlertState.OPEN, AlertState.RESOLVED])
def test_what_windows_raised_stands_among_the_rules(
    state: AlertState, workspace: Workspace, open_as: OpenAs, viewer: Actor, scientist: Actor
) -> None:
    with workspace.write() as session:
        made = make_live_model(session, name="churn", actor=scientist, now=utc_now(), drifted=1, n_windows=3)
        for alert in session.exec(select(Alert)):
            alert.state = state
            session.add(alert)
    page = open_as(viewer, "monitoring", view="rules", rules_of=made.monitor_id)
    assert heading(page) == ("1 rule fires" if state == AlertState.OPEN else "No rule fires")


def test_the_installations_rules_are_the_administrators(
    workspace: Workspace, open_as: OpenAs, operator: Actor, administrator: Actor
) -> None:
    assert "Administrators may change them." in said(open_as(operator, "monitoring", view="rules"))
    page = open_as(administrator, "monitoring", view="rules", rule="disk")
    page.number_input(key="rule_free_gb").set_value(20.0)
    next(button for button in page.button if button.label == "Save").click().run()
    assert "5 %, 20 GB (changed)" in said(open_as(administrator, "monitoring", view="rules"))
