"""Overview, inbox, audit and settings, each for those who may and those who may not."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import event
from sqlmodel import col, select

from core.access import queries
from core.access.service import create_token
from core.access.tables import ApiToken
from core.audit.queries import events
from core.audit.service import record
from core.database import utc_now
from core.monitoring.tables import PerformanceResult, Window
from core.permissions import Actor, Role
from core.workspace import Workspace
from dashboard import health
from tests.dashboard.conftest import OpenAs
from tests.dashboard.factories import make_live_model
from tests.factories import key


def test_an_empty_home_says_how_to_begin(open_as: OpenAs, scientist: Actor) -> None:
    test = open_as(scientist, "overview")
    assert "No model is live yet." in said(test)
    assert "Add data" in [button.label for button in test.button]


def said(test) -> str:
    assert not test.exception
    assert not test.error, [error.value for error in test.error]
    return "\n".join(element.value for element in [*test.markdown, *test.text, *test.subheader, *test.title])


def test_the_overview_names_the_model_that_needs_attention_first(
    open_as: OpenAs, workspace: Workspace, operator: Actor, scientist: Actor
) -> None:
    with workspace.write() as session:
        make_live_model(session, name="aaa", actor=scientist, now=utc_now())
        made = make_live_model(session, name="income", actor=scientist, now=utc_now(), drifted=2)
    test = open_as(operator, "overview")
    assert "1 of 2 live models are healthy. income needs attention: 2 of 14 features drifted in 2026-06." in said(test)
    table = test.dataframe[0].value
    assert list(table["Model"]) == ["income", "aaa"]
    assert list(table["State"]) == ["▲ Needs attention", "✓ Healthy"]
    assert table["Primary metric"][0] == "0.927 [0.921, 0.933] ROC AUC at release"
    assert table["Drifting"][0] == "2 of 14"
    assert len(test.metric) <= 4
    assert [button.label for button in test.button if button.proto.type == "primary"] == ["Look into it"]
    look = next(button for button in test.button if button.label == "Look into it")
    look.click().run()
    assert test.query_params["monitor"] == str(made.monitor_id)


def test_the_feed_tells_what_happened_and_not_what_was_worked_out_on_the_way(
    open_as: OpenAs, workspace: Workspace, viewer: Actor, scientist: Actor
) -> None:
    with workspace.write() as session:
        for action, kind in (
            ("model_version.registered", "model_version"),
            ("model_version.behaviour_requested", "model_version"),
            ("model_version.behaviour_tested", "model_version"),
            ("run.analysis_requested", "run"),
            ("run.analysed", "run"),
            ("promotion_request.opened", "promotion_request"),
            ("promotion_request.gate_waived", "promotion_request"),
        ):
            record(
                session, actor=scientist, action=action, subject_kind=kind, subject_id=1, subject_label="pay v2",
                now=utc_now(),
            )  # fmt: skip
    told = said(open_as(viewer, "overview"))
    assert f"{scientist.name} registered pay v2" in told
    assert f"{scientist.name} waived a gate for pay v2" in told
    for behind in ("behaviour suite", "analys", "gathered the evidence"):
        assert behind not in told


def test_the_overview_shows_the_newest_figure_to_be_believed_and_says_where_it_comes_from(
    workspace: Workspace, scientist: Actor
) -> None:
    with workspace.write() as session:
        made = make_live_model(session, name="income", actor=scientist, now=utc_now(), n_windows=3)
        windows = [
            key(one)
            for one in session.exec(
                select(Window).where(Window.monitor_id == made.monitor_id).order_by(col(Window.from_at))
            )
        ]

    def told(place: int, source: str, value: float, **over: str) -> str:
        with workspace.write() as session:
            session.add(
                PerformanceResult(
                    **{
                        "window_id": windows[place],
                        "key": "roc_auc",
                        "value": value,
                        "source": source,
                        "n_labelled": 300,
                        **over,
                    }
                )
            )
        with workspace.read() as session:
            (model,) = health.live_models(session)
        return f"{model.metric} {model.metric_source}"

    assert told(0, "realised", 0.91) == "0.910 ROC AUC in 2026-01"
    assert told(1, "realised", 0.5, key="accuracy") == "0.910 ROC AUC in 2026-01"
    assert told(1, "realised", 0.5, slice="|sex=F") == "0.910 ROC AUC in 2026-01"
    assert told(1, "estimated", 0.88) == "0.880 ROC AUC estimated in 2026-02"
    assert told(1, "realised", 0.87) == "0.870 ROC AUC in 2026-02"
    assert told(2, "estimated", 0.2, note="Not to be believed.") == "0.870 ROC AUC in 2026-02"
    assert told(2, "corrected", 0.86) == "0.860 ROC AUC corrected in 2026-03"


def test_the_overview_reads_no_more_for_a_year_of_windows_than_for_three(
    workspace: Workspace, scientist: Actor
) -> None:
    def rows_read() -> int:
        read: list[int] = []

        def counts(*_of: object) -> None:
            read.append(1)

        for table in (Window, PerformanceResult):
            event.listen(table, "load", counts)
        with workspace.read() as session:
            health.live_models(session)
        for table in (Window, PerformanceResult):
            event.remove(table, "load", counts)
        return len(read)

    seen = []
    for n_windows in (3, 60):
        with workspace.write() as session:
            made = make_live_model(session, name=f"of {n_windows}", actor=scientist, now=utc_now(), n_windows=n_windows)
            for window in session.exec(select(Window).where(Window.monitor_id == made.monitor_id)).all():
                for metric in ("roc_auc", "accuracy"):
                    session.add(PerformanceResult(window_id=key(window), key=metric, value=0.9, n_labelled=300))
        seen.append(rows_read())
    assert seen[1] == 2 * seen[0]


def test_silence_is_not_health(open_as: OpenAs, workspace: Workspace, viewer: Actor, scientist: Actor) -> None:
    with workspace.write() as session:
        make_live_model(session, name="quiet", actor=scientist, now=utc_now(), n_windows=0)
    test = open_as(viewer, "overview")
    assert list(test.dataframe[0].value["State"]) == ["○ No data yet"]
    assert "0 of 1 live model is healthy. 1 model cannot be judged yet." in said(test)


def test_the_inbox_holds_an_alert_for_the_operator_and_nothing_for_the_viewer(
    open_as: OpenAs, workspace: Workspace, operator: Actor, viewer: Actor, scientist: Actor
) -> None:
    with workspace.write() as session:
        make_live_model(session, name="income", actor=scientist, now=utc_now(), drifted=2)
    assert "2 features of income drifted." in said(open_as(operator, "inbox"))
    assert "Nothing waits for you" in said(open_as(viewer, "inbox"))


def test_the_audit_page_says_what_was_live_on_a_day(
    open_as: OpenAs, workspace: Workspace, auditor: Actor, scientist: Actor
) -> None:
    with workspace.write() as session:
        make_live_model(session, name="income", actor=scientist, now=utc_now())
    test = open_as(auditor, "audit")
    assert "1 version live now" in said(test)
    assert list(test.dataframe[0].value["Model version"]) == ["income v1"]
    before = open_as(auditor, "audit", at=(utc_now() - timedelta(days=60)).isoformat())
    assert "Nothing held an alias then." in said(before)


def test_the_log_is_filtered_and_verified(
    open_as: OpenAs, workspace: Workspace, auditor: Actor, scientist: Actor
) -> None:
    with workspace.write() as session:
        create_token(session, name="=HYPERLINK(1)", actor=scientist, now=utc_now())
    test = open_as(auditor, "audit")
    log = test.dataframe[-1].value
    assert "created token =HYPERLINK(1)" in list(log["What"])
    test.selectbox(key="audit_who").select(scientist.name).run()
    assert set(test.dataframe[-1].value["Who"]) == {scientist.name}
    test.button(key="audit_verify").click().run(timeout=60)
    assert any("intact, verified" in message.value for message in test.success)


def test_a_changed_event_is_found_by_verify(
    open_as: OpenAs, workspace: Workspace, auditor: Actor, scientist: Actor
) -> None:
    with workspace.write() as session:
        create_token(session, name="t", actor=scientist, now=utc_now())
        event = events(session, limit=1)[0]
        event.actor_name = "nobody"
        session.add(event)
        number = event.number
    test = open_as(auditor, "audit")
    test.button(key="audit_verify").click().run(timeout=60)
    assert any(f"Event {number}" in message.value for message in test.error)


def test_people_are_listed_for_those_who_may_and_changed_by_administrators_only(
    open_as: OpenAs, administrator: Actor, auditor: Actor, viewer: Actor
) -> None:
    test = open_as(administrator, "settings")
    assert {"ada", "aldo", "vera"} <= set(test.dataframe[0].value["Name"])
    assert "Add a person" in [button.label for button in test.button]
    test = open_as(auditor, "settings")
    assert "vera" in list(test.dataframe[0].value["Name"])
    assert "Add a person" not in [button.label for button in test.button]
    test = open_as(viewer, "settings")
    assert not test.dataframe
    assert "New token" in [button.label for button in test.button]


def test_the_system_section_names_what_is_not_running(open_as: OpenAs, administrator: Actor) -> None:
    test = open_as(administrator, "settings", view="system")
    told = [warning.value for warning in test.warning]
    assert any("No worker is running" in one for one in told)
    assert any("No scoring is running" in one for one in told)
    assert "Stored files" in said(test)


def test_a_token_is_revoked_with_one_click(open_as: OpenAs, workspace: Workspace, scientist: Actor) -> None:
    with workspace.write() as session:
        token, secret = create_token(session, name="nightly", actor=scientist, now=utc_now())
        token_id = token.id
    test = open_as(scientist, "settings", view="account")
    assert secret not in said(test)
    test.button(key=f"settings_revoke_{token_id}").click().run()
    with workspace.read() as session:
        assert queries.actor_of_token(session, secret, utc_now()) is None
        kept = session.get(ApiToken, token_id)
        assert kept is not None
        assert kept.revoked_at is not None


def test_an_administrator_takes_no_decision_but_reads_everything(open_as: OpenAs, administrator: Actor) -> None:
    assert administrator.roles == {Role.ADMINISTRATOR}
    assert "Nothing waits for you" in said(open_as(administrator, "inbox"))
