"""One incident's page, the list of open ones, the panel of the likely cause: what is said, who may do what."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlmodel import col, select
from streamlit.testing.v1 import AppTest

from core.automation.inline import run_all
from core.database import utc_now
from core.incidents import kept_triage, service, triage_job
from core.incidents.evidence import Change, Evidence, FeatureEvidence, Figure, PerformanceEvidence
from core.incidents.signs import Sign
from core.incidents.tables import Incident, IncidentAction, IncidentState
from core.incidents.triage import triage
from core.jobs.tables import Job, JobState
from core.monitoring.service import resolve_alert
from core.monitoring.tables import Alert, AlertState, DriftResult, Window, WindowMeasure
from core.permissions import Actor, Role, system_actor
from core.workspace import Workspace
from tests.dashboard.conftest import OpenAs
from tests.dashboard.factories import make_live_model
from tests.dashboard.said import offered, said
from tests.factories import key

HOSTILE = ":red[x] **b** <img src=x>"


@pytest.fixture
def incident_id(workspace: Workspace, scientist: Actor, operator: Actor) -> int:
    now = utc_now()
    with workspace.write() as session:
        made = make_live_model(session, name="churn", actor=scientist, now=now, drifted=1, n_windows=3)
        window = session.exec(select(Window).where(Window.monitor_id == made.monitor_id)).all()[-1]
        found = triage(
            Evidence(
                window.label, 500, 100,
                features=(
                    FeatureEvidence(
                        HOSTILE, "number", True, 0.9, 0.1, importance=0.4,
                        signs=(Sign("unit_change", f"{HOSTILE} looks like another unit: all values times 60."),),
                    ),
                    FeatureEvidence("age", "number", False, 0.02, 0.1, importance=0.6),
                ),
                performance=PerformanceEvidence(
                    "ROC AUC", True, Figure(0.93, 0.92, 0.94), Figure(0.7, 0.66, 0.74), n_labelled=310
                ),
                changes=(Change("dataset", "churn data v2 was added.", now - timedelta(days=1)),),
            )
        )  # fmt: skip
        return key(service.open_from_window(session, window_id=key(window), triage=found, actor=operator, now=now))


def press(page: AppTest, name: str) -> AppTest:
    page.button(key=name).click().run()
    return page


def test_the_page_says_what_since_when_harm_cause_and_remedies(
    open_as: OpenAs, viewer: Actor, incident_id: int
) -> None:
    told = said(open_as(viewer, "incident", incident=incident_id))
    assert "churn: data arrives wrong in 2026-03" in told
    assert "nobody sees to it yet" in told
    assert "ROC AUC is 0.7 [0.66, 0.74] from 310 labels; it was 0.93 [0.92, 0.94] on the evaluation set." in told
    assert "churn data v2 was added." in told
    assert "Likely cause: pipeline fault" in told
    assert "looks like another unit: all values times 60" in told
    assert "Advised: fix the pipeline" in told
    assert "There is nothing to roll back to: no version was live before churn v1." in told
    assert "Not before the pipeline is fixed: a new version would learn the fault." in told
    assert "1 of 2 features is touched" in told
    assert "What happened so far" in told


def test_whoever_may_only_read_is_told_who_may_act(open_as: OpenAs, viewer: Actor, incident_id: int) -> None:
    page = open_as(viewer, "incident", incident=incident_id)
    assert {"Take over", "Resolve", "Look again", "Record what was done", "Add the note"}.isdisjoint(offered(page))
    assert "Taking over, notes and resolving take the role operator." in said(page)


def test_taking_over_makes_resolving_the_next_step(
    open_as: OpenAs, workspace: Workspace, operator: Actor, incident_id: int
) -> None:
    page = press(open_as(operator, "incident", incident=incident_id), "incident_take_over")
    assert "olga sees to it" in said(page)
    assert "Take over" not in offered(page)
    assert "Resolve" in offered(page)
    with workspace.read() as session:
        assert session.get_one(Incident, incident_id).state == IncidentState.ACTING


def test_a_note_stands_in_the_record_as_it_was_typed(
    open_as: OpenAs, workspace: Workspace, operator: Actor, incident_id: int
) -> None:
    page = open_as(operator, "incident", incident=incident_id)
    page.text_area(key="incident_note_text").set_value(HOSTILE)
    next(button for button in page.button if button.label == "Add the note").click().run()
    assert HOSTILE in [text.value for text in page.text]
    with workspace.read() as session:
        assert session.exec(select(IncidentAction)).one().note == HOSTILE


def test_a_resolved_incident_is_a_record(
    open_as: OpenAs, workspace: Workspace, operator: Actor, incident_id: int
) -> None:
    with workspace.write() as session:
        service.resolve(
            session, incident_id=incident_id, outcome="The feed sent minutes.", actor=operator, now=utc_now()
        )
        assert {alert.state for alert in session.exec(select(Alert)).all() if alert.incident_id} == {
            AlertState.RESOLVED
        }
    page = open_as(operator, "incident", incident=incident_id)
    told = said(page)
    assert "The feed sent minutes." in told
    assert "Advised" not in told
    assert {"Take over", "Resolve", "Look again", "Record what was done"}.isdisjoint(offered(page))
    assert "Add the note" in offered(page)


def test_remedies_lead_to_where_they_are_carried_out(
    open_as: OpenAs, scientist: Actor, operator: Actor, incident_id: int
) -> None:
    page = open_as(operator, "incident", incident=incident_id)
    assert {"Open the data", "See the infrastructure", "Add labels"} <= set(offered(page))
    assert "Go to deployments" not in offered(page)  # there is nothing to roll back to
    assert "Set up a run without them" not in offered(page)
    assert "Set up a run without them" in offered(open_as(scientist, "incident", incident=incident_id))


def test_looking_again_keeps_what_is_known_now(
    open_as: OpenAs, workspace: Workspace, operator: Actor, incident_id: int
) -> None:
    page = press(open_as(operator, "incident", incident=incident_id), "incident_look_again")
    press(page, "incident_look_again")  # asked twice, looked at once
    assert "jobs wait" in said(page)  # no worker runs here
    assert "Likely cause: pipeline fault" in said(page)
    run_all(workspace)
    page.run()
    assert "jobs wait" not in said(page)
    # The window of this home holds no results, so nothing speaks for a fault any more.
    assert "Likely cause: pipeline fault" not in said(page)
    with workspace.read() as session:
        assert session.get_one(Incident, incident_id).cause != "pipeline_fault"
        assert len(session.exec(select(Job).where(Job.kind == "look_again")).all()) == 1


def test_why_it_could_not_be_looked_at_again_is_said(
    open_as: OpenAs, workspace: Workspace, operator: Actor, viewer: Actor, incident_id: int
) -> None:
    press(open_as(operator, "incident", incident=incident_id), "incident_look_again")
    with workspace.write() as session:
        job = session.exec(select(Job).where(Job.kind == "look_again")).one()
        job.state, job.error, job.finished_at = JobState.FAILED, "The memory ran out.", utc_now()
    page = open_as(viewer, "incident", incident=incident_id)
    assert "The memory ran out." in said(page)
    assert "Likely cause: pipeline fault" in said(page)


@pytest.mark.parametrize("address", ["99", "x", ""])
def test_an_incident_that_does_not_exist_leads_back(open_as: OpenAs, viewer: Actor, address: str) -> None:
    page = open_as(viewer, "incident", incident=address)
    assert "There is no such incident" in said(page)
    assert "See what is open" in offered(page)


def test_the_monitoring_page_lists_what_is_open(
    open_as: OpenAs, workspace: Workspace, operator: Actor, viewer: Actor, incident_id: int
) -> None:
    told = said(open_as(viewer, "monitoring"))
    assert "1 incident is open" in told
    assert "churn: data arrives wrong in 2026-03" in told
    with workspace.write() as session:
        service.resolve(session, incident_id=incident_id, outcome="Over.", actor=operator, now=utc_now())
    assert "incident is open" not in said(open_as(viewer, "monitoring"))


def test_an_incident_waits_in_the_inbox_in_place_of_its_alerts(
    open_as: OpenAs, workspace: Workspace, operator: Actor, viewer: Actor, make_actor: Any, incident_id: int
) -> None:
    told = said(open_as(operator, "inbox"))
    assert "churn: data arrives wrong in 2026-03" in told
    assert "Nobody sees to it yet." in told
    assert "1 thing waiting for you." in told
    with workspace.write() as session:
        service.take_over(session, incident_id=incident_id, actor=operator, now=utc_now())
    assert "You see to it, and it is not resolved yet." in said(open_as(operator, "inbox"))
    for other in (viewer, make_actor("otto", Role.OPERATOR)):
        assert "Nothing waits for you" in said(open_as(other, "inbox"))


def test_an_incident_that_is_over_by_itself_says_so_and_is_one_click_from_resolved(
    open_as: OpenAs, workspace: Workspace, operator: Actor, viewer: Actor, incident_id: int
) -> None:
    assert "have been over" not in said(open_as(operator, "incident", incident=incident_id))
    with workspace.write() as session:
        for alert in session.exec(select(Alert).where(Alert.incident_id == incident_id)):
            resolve_alert(session, alert_id=key(alert), note="Quiet.", actor=operator, now=utc_now())
    page = open_as(operator, "incident", incident=incident_id)
    assert "All its alerts have been over since" in said(page)
    assert {"Resolve", "Take over"} <= set(offered(page))
    inbox = open_as(operator, "inbox")
    assert "All its alerts have been over since" in said(inbox)
    assert "Resolve" in offered(inbox)
    assert "Alerts are over" in said(open_as(viewer, "monitoring"))


def test_that_it_became_worse_stands_in_the_record(
    open_as: OpenAs, workspace: Workspace, viewer: Actor, incident_id: int
) -> None:
    with workspace.write() as session:
        incident = session.get_one(Incident, incident_id)
        incident.severity = "warning"
        alert = session.exec(select(Alert).where(Alert.incident_id == incident_id)).first()
        assert alert is not None
        alert.severity, alert.sentence = "critical", f"{HOSTILE} fell."
        service.follow_severity(session, incident=incident, alerts=[alert], actor=system_actor(), now=utc_now())
    told = said(open_as(viewer, "incident", incident=incident_id))
    assert f"It became critical with an alert: {HOSTILE} fell." in told
    assert "Critical, 1 alert" in told


def test_the_inbox_says_how_it_is_ordered_and_what_is_critical(
    open_as: OpenAs, workspace: Workspace, operator: Actor, incident_id: int
) -> None:
    assert "Critical first" not in said(open_as(operator, "inbox"))  # there is one thing alone
    with workspace.write() as session:
        session.add(
            Alert(
                kind="disk", severity="critical", sentence="Disk is full.", since="now", since_at=utc_now(),
                opened_at=utc_now(),
            )
        )  # fmt: skip
    told = said(open_as(operator, "inbox"))
    assert "Critical first, then warnings and what is overdue, then the rest" in told
    assert "Critical alert" in told
    assert told.index("Disk is full.") < told.index("churn: data arrives wrong")
    with workspace.write() as session:
        session.add(
            Alert(
                kind="queue", severity="warning", sentence="Jobs wait.", since="now", since_at=utc_now(),
                opened_at=utc_now(),
            )
        )  # fmt: skip
    listed = said(open_as(operator, "monitoring"))
    assert listed.index("✕ Critical Disk is full.") < listed.index("▲ Open Jobs wait.")


def test_a_run_is_set_up_without_the_features_of_the_link(open_as: OpenAs, scientist: Actor, trained_on: Any) -> None:
    page = open_as(scientist, "new_run", version=trained_on, without="hours\nage")
    chosen = next(one for one in page.multiselect if one.label == "Features").value
    assert chosen == ["job", "member"]


@pytest.fixture
def trained_on(workspace: Workspace) -> int:
    from core.datasets.tables import Dataset
    from tests.live_models import keep_version, stream

    version = keep_version(workspace, stream(300, seed=1))
    with workspace.write() as session:
        session.get_one(Dataset, version.dataset_id).target = "paid"
    return key(version)


def likely_cause_of(monitor_id: int, window_id: int) -> None:
    from core.monitoring import queries as monitoring
    from dashboard import incident_panels, reads

    row = next(one for one in reads.fresh(monitoring.list_monitors) if one.id == monitor_id)
    incident_panels.triage_of(row, window_id)
    incident_panels.remedies(row, window_id)


def test_the_likely_cause_of_a_window_leads_to_an_incident(
    open_as: OpenAs, workspace: Workspace, scientist: Actor, viewer: Actor, operator: Actor
) -> None:
    with workspace.write() as session:
        made = make_live_model(session, name="churn", actor=scientist, now=utc_now(), drifted=1, n_windows=3)
        windows = session.exec(select(Window).where(Window.monitor_id == made.monitor_id)).all()
        for window, effect in ((windows[0], 0.02), (windows[-1], 0.5)):
            bins = {"edges": [0.0, 10.0, 20.0], "reference": [0.7, 0.3], "current": [0.7 - effect, 0.3 + effect]}
            state = "drifted" if effect > 0.1 else "quiet"
            session.add(
                DriftResult(
                    window_id=key(window), feature=HOSTILE, column_kind="number", test="kolmogorov_smirnov",
                    effect=effect, threshold=0.1, state=state, n_reference=600, n_current=500, bins=bins,
                )
            )  # fmt: skip
        ids = [key(windows[0]), key(windows[-1])]

    def shown(actor: Actor, window_id: int) -> AppTest:
        open_as(actor)  # signs in
        kwargs = {"monitor_id": made.monitor_id, "window_id": window_id}
        return AppTest.from_function(likely_cause_of, kwargs=kwargs, default_timeout=30).run()

    waits = said(shown(viewer, ids[1]))
    assert "A worker is looking for the causes of what this window shows." in waits
    assert "Likely cause" not in waits
    triage_job.enqueue_due(workspace, utc_now())
    run_all(workspace)
    page = shown(viewer, ids[1])
    told = said(page)
    assert "Likely cause in 2026-03: input shift" in told
    assert f"{HOSTILE} drifted (1 of 1 features) without the mark of a fault." in told
    assert "Harm: Not known" in told
    assert "Opening an incident takes the role operator." in told
    assert "A worker is looking" not in told
    assert "While performance holds, waiting is free" in told
    calm = said(shown(viewer, ids[0]))
    assert "Nothing is wrong in 2026-01" in calm
    assert "waiting is free" not in calm
    assert "Open an incident" in offered(shown(operator, ids[1]))

    with workspace.write() as session:
        session.get_one(Window, ids[1]).computed_at = utc_now()
        session.add(
            WindowMeasure(
                window_id=ids[1], kind="missing_stretch", state="drifted", sentence="Rows come every hour, but stopped."
            )
        )
    old = said(shown(viewer, ids[1]))
    assert "What is said here is of earlier figures or by earlier rules. A worker is looking for the causes" in old
    assert "Likely cause in 2026-03: input shift" in old
    assert "but stopped." not in old
    triage_job.enqueue_due(workspace, utc_now())
    run_all(workspace)
    anew = said(shown(viewer, ids[1]))
    assert "Rows come every hour, but stopped." in anew
    assert "earlier rules" not in anew


def test_a_window_far_back_is_looked_into_when_somebody_asks(
    open_as: OpenAs, workspace: Workspace, scientist: Actor, viewer: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_triage, "LOOKED_INTO", 1)
    with workspace.write() as session:
        made = make_live_model(session, name="churn", actor=scientist, now=utc_now(), n_windows=3)
        oldest = key(session.exec(select(Window).order_by(col(Window.from_at))).first())
    triage_job.enqueue_due(workspace, utc_now())
    run_all(workspace)
    open_as(viewer)
    page = AppTest.from_function(
        likely_cause_of, kwargs={"monitor_id": made.monitor_id, "window_id": oldest}, default_timeout=30
    ).run()
    assert "A window this far back is looked into when somebody asks." in said(page)
    press(page, "triage_ask")
    assert "A worker is looking for the causes of what this window shows." in said(page)
    run_all(workspace)
    assert "Nothing is wrong in 2026-01" in said(page.run())
