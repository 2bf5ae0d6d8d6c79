"""Monitors by health and their alerts; one monitor: drift, then and now, performance, settings, silence."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlmodel import col, select

from core.automation.inline import run_all
from core.database import utc_now
from core.datasets.service import store_upload
from core.estimation.maturity import DAY, EDGES
from core.incidents import triage_job
from core.jobs.queries import queue
from core.jobs.tables import Job, JobState
from core.monitoring.service import edit_monitor
from core.monitoring.tables import (
    Alert,
    Batch,
    Calibration,
    DriftResult,
    LabelArrival,
    Monitor,
    PerformanceResult,
    Window,
    WindowMeasure,
    WindowState,
)
from core.permissions import Actor
from core.registry.tables import RegisteredModel
from core.serving.tables import Label
from core.workspace import Workspace
from tests.dashboard.conftest import OpenAs
from tests.dashboard.factories import Made, make_live_model
from tests.dashboard.said import offered, said
from tests.factories import add, key, make_upload

HOSTILE = ":red[x] **b** <img src=x>"
BINS = {"edges": [0.0, 10.0, 20.0], "reference": [0.7, 0.3], "current": [0.2, 0.8]}


@pytest.fixture
def watched(workspace: Workspace, scientist: Actor) -> Made:
    return put_watched(workspace, scientist)


def put_watched(workspace: Workspace, actor: Actor, *, name: str = "churn", feature: str = "monthly_charge") -> Made:
    """A live model with three months; in the last one a feature and the prediction drifted."""
    with workspace.write() as session:
        made = make_live_model(session, name=name, actor=actor, now=utc_now(), drifted=1, n_windows=3)
        for window in session.exec(select(Window).where(Window.monitor_id == made.monitor_id)):
            last = window.state == WindowState.DRIFTED
            columns = ((feature, False, 0.28), ("age", False, 0.02), ("prediction", True, 0.13))
            for column, is_prediction, effect in columns:
                moved = last and column != "age"
                add(
                    session,
                    DriftResult(
                        window_id=key(window), feature=column, column_kind="number", is_prediction=is_prediction,
                        test="kolmogorov_smirnov", effect=effect if moved else 0.01, statistic=0.1, pvalue=0.0001,
                        pvalue_corrected=0.0002 if moved else 0.9, threshold=0.1, n_reference=600, n_current=500,
                        state=WindowState.DRIFTED if moved else WindowState.QUIET, bins=BINS,
                    ),
                )  # fmt: skip
        return made


def with_labels(workspace: Workspace, made: Made) -> None:
    with workspace.write() as session:
        query = select(Window).where(Window.monitor_id == made.monitor_id).order_by(col(Window.from_at))
        for window, auc in zip(session.exec(query).all()[::2], (0.81, 0.79), strict=True):
            for metric, value in (("roc_auc", auc), ("accuracy", auc + 0.05)):
                add(
                    session,
                    PerformanceResult(
                        window_id=key(window), key=metric, value=value, low=value - 0.02, high=value + 0.02,
                        n_labelled=200,
                    ),
                )  # fmt: skip


def silent(workspace: Workspace, actor: Actor) -> Made:
    with workspace.write() as session:
        return make_live_model(session, name="tumour", actor=actor, now=utc_now(), n_windows=0)


def test_before_anything_is_watched_the_models_are_the_way(open_as: OpenAs, viewer: Actor):
    page = open_as(viewer, "monitoring")
    assert "Nothing is watched yet" in said(page)
    assert "See models" in offered(page)


def test_what_drifts_is_named_and_its_alert_is_listed(open_as: OpenAs, viewer: Actor, watched: Made):
    told = said(open_as(viewer, "monitoring"))
    assert "1 of 1 monitor drifts: churn." in told
    assert "▲ Drifted" in told
    assert "1 alert to look at" in told
    assert "▲ Open" in told


def test_silence_is_not_called_health(open_as: OpenAs, workspace: Workspace, viewer: Actor, scientist: Actor):
    silent(workspace, scientist)
    told = said(open_as(viewer, "monitoring"))
    assert "none drifts, but 1 has too little data to tell." in told
    assert "○ No data yet" in told
    assert "No alert is open" in told


def test_only_who_may_add_data_is_offered_it(
    open_as: OpenAs, viewer: Actor, reviewer: Actor, operator: Actor, scientist: Actor, watched: Made
):
    for actor, may in ((viewer, False), (reviewer, False), (operator, True), (scientist, True)):
        for page in ("monitoring", "monitor"):
            assert ("Add data" in offered(open_as(actor, page, monitor=watched.monitor_id))) is may


@pytest.mark.parametrize("address", ["999", "x"])
def test_a_monitor_that_does_not_exist_leads_back(open_as: OpenAs, viewer: Actor, watched: Made, address: str):
    page = open_as(viewer, "monitor", monitor=address)
    assert "There is no such monitor" in said(page)
    assert "See all monitors" in offered(page)


def test_a_monitor_without_data_says_how_to_send_some(
    open_as: OpenAs, workspace: Workspace, viewer: Actor, scientist: Actor
):
    page = open_as(viewer, "monitor", monitor=silent(workspace, scientist).monitor_id)
    assert "Send rows to the scoring address" in said(page)
    assert "See how to send rows" in offered(page)


def test_the_finding_names_what_drifted_and_since_when(open_as: OpenAs, viewer: Actor, watched: Made):
    page = open_as(viewer, "monitor", monitor=watched.monitor_id)
    told = said(page)
    assert "monthly_charge and the prediction drifted, first in 2026-03" in told
    assert "monthly_charge moved in 2026-03" in told
    assert "effect 0.280, where 0.100 or more counts; p < 0.001 by itself" in told
    assert "600 reference rows, 500 current rows" in told
    assert "kolmogorov_smirnov" not in told


def test_window_and_feature_are_chosen_in_the_address(
    open_as: OpenAs, workspace: Workspace, viewer: Actor, watched: Made
):
    page = open_as(viewer, "monitor", monitor=watched.monitor_id, window=1, feature="age")
    assert "age looks as before in 2026-01" in said(page)
    assert page.selectbox(key="address_window").value == "1"
    predicted = open_as(viewer, "monitor", monitor=watched.monitor_id, feature="the prediction")
    assert "the prediction moved in 2026-03" in said(predicted)


def test_a_feature_called_prediction_is_not_the_prediction(
    open_as: OpenAs, workspace: Workspace, viewer: Actor, scientist: Actor
):
    made = put_watched(workspace, scientist, feature="prediction")
    page = open_as(viewer, "monitor", monitor=made.monitor_id, feature="prediction")
    assert "prediction and the prediction drifted" in said(page)
    assert {"prediction", "the prediction"} <= set(page.dataframe[0].value["Feature"])


def test_a_window_with_too_few_rows_claims_nothing(
    open_as: OpenAs, workspace: Workspace, viewer: Actor, scientist: Actor
):
    made = silent(workspace, scientist)
    with workspace.write() as session:
        window = add(
            session,
            Window(
                monitor_id=made.monitor_id, version_id=made.version_id, label="2026-01", from_at=utc_now(),
                to_at=utc_now(), n_rows=9, n_features=1, n_drifted=0, state=WindowState.NOT_ENOUGH_DATA,
                computed_at=utc_now(), read_at=utc_now(),
            ),
        )  # fmt: skip
        add(
            session,
            DriftResult(
                window_id=key(window), feature="age", column_kind="number", test="kolmogorov_smirnov", threshold=0.1,
                state=WindowState.NOT_ENOUGH_DATA, n_reference=600, n_current=9,
            ),
        )  # fmt: skip
    told = said(open_as(viewer, "monitor", monitor=made.monitor_id))
    assert "Not enough data in 2026-01: 9 rows, 100 are needed." in told
    assert "2026-01 does not hold enough data to say how age moved" in told
    assert "No feature drifted in the windows shown" in told


def test_what_all_columns_together_say_is_a_finding_of_its_own(
    open_as: OpenAs, workspace: Workspace, viewer: Actor, watched: Made
):
    with workspace.write() as session:
        newest = session.exec(
            select(Window).where(Window.monitor_id == watched.monitor_id).order_by(col(Window.from_at).desc())
        ).first()
        for kind, state, said_of_it in (
            ("domain_classifier", WindowState.DRIFTED, "A row of the window can be told by age and pay."),
            ("contract", WindowState.QUIET, "Every column keeps what the training rows kept."),
        ):
            add(session, WindowMeasure(window_id=key(newest), kind=kind, value=0.7, state=state, sentence=said_of_it))
    page = open_as(viewer, "monitor", monitor=watched.monitor_id)
    assert "A row of the window can be told by age and pay" in said(page)
    assert "They raise no alert" in said(page)
    earlier = open_as(viewer, "monitor", monitor=watched.monitor_id, window=1)
    assert "They raise no alert" not in said(earlier)


def test_performance_starts_with_the_primary_metric_and_keeps_the_choice_in_the_address(
    open_as: OpenAs, workspace: Workspace, viewer: Actor, watched: Made
):
    assert "Performance is not known yet" in said(open_as(viewer, "monitor", monitor=watched.monitor_id))
    with_labels(workspace, watched)
    page = open_as(viewer, "monitor", monitor=watched.monitor_id)
    told = said(page)
    assert "ROC AUC was 0.790 [0.770, 0.810] in 2026-03" in told
    assert "From 200 labels that arrived for 500 predictions" in told
    assert page.selectbox(key="address_metric").options == ["ROC AUC", "Accuracy"]
    page.selectbox(key="address_metric").select("accuracy").run()
    assert page.query_params["metric"] == "accuracy"
    assert "Accuracy was 0.840" in said(page)


def test_the_estimate_of_a_regression_is_said_to_come_from_errors_and_not_from_scores(
    open_as: OpenAs, workspace: Workspace, viewer: Actor, watched: Made
):
    with workspace.write() as session:
        model = session.get_one(RegisteredModel, watched.model_id)
        model.task = "regression"
        session.add(model)
        window = session.exec(select(Window).where(Window.monitor_id == watched.monitor_id)).all()[-1]
        for source in ("realised", "estimated"):
            result = PerformanceResult(
                window_id=key(window), key="rmse", value=29_812.4, low=28_000.0, high=31_000.0, n_labelled=200
            )
            result.source = source
            add(session, result)
    told = said(open_as(viewer, "monitor", monitor=watched.monitor_id))
    assert "RMSE was 29,812 [28,000, 31,000]" in told
    assert "Estimated: from how large errors were" in told
    assert "scores, without labels" not in told


def test_labels_that_are_in_are_held_against_those_expected_and_unknown_ones_are_told(
    open_as: OpenAs, workspace: Workspace, viewer: Actor, watched: Made
):
    with_labels(workspace, watched)
    with workspace.write() as session:
        query = select(Window).where(Window.monitor_id == watched.monitor_id).order_by(col(Window.from_at))
        for window, joined in zip(session.exec(query).all(), (500, 500, 40), strict=True):
            delays = [0] * len(EDGES)
            delays[EDGES.index(3 * DAY)] = joined
            came = [[window.from_at.timestamp(), 500, joined]]
            add(session, LabelArrival(window_id=key(window), n_at_once=0, delays=delays, pieces=came))
        for name in ("lost-1", "lost-2"):
            at = utc_now() - timedelta(days=2)
            add(session, Label(model_id=watched.model_id, prediction_id=name, value="yes", received_at=at, first_at=at))
    told = said(open_as(viewer, "monitor", monitor=watched.monitor_id))
    assert "1 window of 3 still waits for labels" in told
    assert "Half of all labels come within" in told
    assert "40 labels are in for 500 predictions" in told
    assert "Fewer labels have come than are due in 2026-03" in told
    assert "2 labels wait for a prediction that was never seen." in told
    assert "lost-1, lost-2" in told


def test_an_operator_handles_alerts_and_others_read_who_does(
    open_as: OpenAs, viewer: Actor, operator: Actor, watched: Made
):
    page = open_as(operator, "monitor", monitor=watched.monitor_id)
    assert {"Acknowledge", "Resolve", "Read the log now"} <= set(offered(page))
    next(button for button in page.button if button.label == "Resolve").click().run()
    assert "a later window can raise a new alert" in said(page)
    other = open_as(viewer, "monitor", monitor=watched.monitor_id)
    assert not {"Acknowledge", "Resolve", "Read the log now"} & set(offered(other))
    assert "Acknowledging and resolving take the role operator." in said(other)


def test_where_every_window_drifts_like_seasons_are_the_way_out(
    open_as: OpenAs, workspace: Workspace, viewer: Actor, watched: Made
):
    def told() -> bool:
        return "Every window drifts. Where seasons do it" in said(
            open_as(viewer, "monitor", monitor=watched.monitor_id)
        )

    assert not told()
    with workspace.write() as session:
        for one in session.exec(select(DriftResult).where(DriftResult.feature == "age")):
            one.effect, one.state = 0.5, WindowState.DRIFTED
    assert told()
    with workspace.write() as session:
        session.get_one(Monitor, watched.monitor_id).season = "month"
    assert not told()


def test_the_worst_alert_is_the_one_that_asks_for_attention(
    open_as: OpenAs, workspace: Workspace, operator: Actor, watched: Made
):
    with workspace.write() as session:
        at = utc_now() - timedelta(days=2)
        for kind, severity in (("performance", "critical"), ("late_data", "warning")):
            add(
                session,
                Alert(
                    monitor_id=watched.monitor_id, kind=kind, severity=severity, sentence=f"{kind} it is.", since="now",
                    since_at=at, opened_at=at,
                ),
            )  # fmt: skip
    page = open_as(operator, "monitor", monitor=watched.monitor_id)
    (first,) = [one.value for one in page.error]
    assert "performance it is." in first
    assert "Critical, open, raised 2 days ago" in first
    assert not [one for one in page.warning if "it is." in one.value]


def test_alerts_of_windows_cut_otherwise_say_so(open_as: OpenAs, workspace: Workspace, operator: Actor, watched: Made):
    assert "earlier cut" not in said(open_as(operator, "monitor", monitor=watched.monitor_id))
    with workspace.write() as session:
        session.get_one(Monitor, watched.monitor_id).window = "week"
    told = said(open_as(operator, "monitor", monitor=watched.monitor_id))
    assert "Of the earlier cut by month: resolve it when it is dealt with" in told
    assert "2026-03, of the earlier cut by month" in said(open_as(operator, "monitoring"))


def test_the_rules_say_what_holds_and_are_changed_by_who_may(
    open_as: OpenAs, workspace: Workspace, operator: Actor, viewer: Actor, watched: Made
):
    page = open_as(operator, "monitor", monitor=watched.monitor_id, view="settings")
    assert "Drift may alert falsely about once a year" in said(page)
    assert "Data is cut by the month; a window needs 100 rows to tell anything." in said(page)
    next(one for one in page.number_input if one.label.startswith("False alerts")).set_value(1.0)
    next(one for one in page.selectbox if one.label == "Cut data into windows by").set_value("day")
    next(one for one in page.button if one.label == "Save").click().run()
    assert "Drift may alert falsely about once a month" in said(page)
    with workspace.read() as session:
        kept = session.get_one(Monitor, watched.monitor_id)
        assert (kept.false_alerts, kept.window) == (1.0, "day")
    other = open_as(viewer, "monitor", monitor=watched.monitor_id, view="settings")
    assert "takes the role operator" in said(other)
    assert "Save" not in offered(other)


def test_a_rule_that_makes_no_sense_is_refused_in_words(
    open_as: OpenAs, workspace: Workspace, operator: Actor, watched: Made
):
    page = open_as(operator, "monitor", monitor=watched.monitor_id, view="settings")
    next(one for one in page.number_input if one.label == "Windows beyond their threshold").set_value(3)
    next(one for one in page.button if one.label == "Save").click().run()
    assert "in 3 of the last 1 window; that is more than are looked at. Ask for 1 of 1, or for 3 of 3" in said(page)
    with workspace.read() as session:
        assert session.get_one(Monitor, watched.monitor_id).windows_needed == 1


def finish(workspace: Workspace, kind: str, result: dict[str, Any]) -> int:
    """Let the newest job of a kind have succeeded."""
    with workspace.write() as session:
        job = next(one for one in queue(session, 10) if one.kind == kind)
        done = session.get_one(Job, job.id)
        done.state, done.result = JobState.SUCCEEDED, result
        session.add(done)
        return key(done)


def test_who_saves_settings_over_another_s_is_told(
    open_as: OpenAs, workspace: Workspace, operator: Actor, watched: Made
):
    page = open_as(operator, "monitor", monitor=watched.monitor_id, view="settings")
    with workspace.write() as session:
        edit_monitor(session, monitor_id=watched.monitor_id, actor=operator, now=utc_now(), min_effect=0.2)

    def saved() -> tuple[str, int, float]:
        next(one for one in page.button if one.label == "Save").click().run()
        with workspace.read() as session:
            kept = session.get_one(Monitor, watched.monitor_id)
        return said(page), kept.min_rows, kept.min_effect

    next(one for one in page.number_input if one.label == "Rows a window needs").set_value(77)
    told, *kept = saved()
    assert "olga changed this monitor after you opened it: min_effect from 0.1 to 0.2." in told
    assert kept == [100, 0.2]
    told, *kept = saved()
    assert "changed this monitor after" not in told
    assert kept == [77, 0.2]


def test_settings_are_tried_on_the_past_before_they_are_saved(
    open_as: OpenAs, workspace: Workspace, operator: Actor, watched: Made
):
    page = open_as(operator, "monitor", monitor=watched.monitor_id, view="settings")
    next(one for one in page.number_input if one.label.startswith("False alerts")).set_value(2.0)
    next(one for one in page.button if one.label == "Try on past windows").click().run()
    with workspace.read() as session:
        assert session.get_one(Monitor, watched.monitor_id).false_alerts != 2.0
    alerted = [{"window": "2026-03", "enough": True, "columns": ["monthly_charge", "age"]}]
    thresholds = [{"feature": "age", "is_prediction": False, "test": "kolmogorov_smirnov", "threshold": 0.0731}]
    found = {
        "would_have_alerted": alerted,
        "n_windows": 3,
        "sentence": "1 alert in 3 months.",
        "thresholds": thresholds,
        "dependence": {"sentence": "A month of age carries as much as 12 rows.", "advice": "", "columns": [TOGETHER]},
    }
    job_id = finish(workspace, "preview_rule", found)
    told = said(open_as(operator, "monitor", monitor=watched.monitor_id, view="settings", preview=job_id))
    assert "These settings would have alerted in 1 of 3 past windows" in told
    assert "1 alert in 3 months. Nothing is saved yet." in told
    assert "monthly_charge, age" in told
    assert "0.073" in told
    assert "A month of age carries as much as 12 rows." in told
    assert "8.3 [5.1, 14.0]" in told


def test_how_rows_hang_together_is_said_and_switched_off(
    open_as: OpenAs, workspace: Workspace, operator: Actor, watched: Made
):
    with workspace.write() as session:
        monitor = session.get_one(Monitor, watched.monitor_id)
        session.add(
            Calibration(
                monitor_id=watched.monitor_id,
                version_id=watched.version_id,
                settings_digest="1",
                thresholds={
                    "level": 0.1, "sizes": [], "levels": [],
                    "of": {"slice": "", "dependent_rows": True, "time_column": "day"},
                    "columns": [
                        {"is_prediction": False, "name": "age", "streams": {}, "dependence": {"chi_square": HANGS}}
                    ],
                },
                computed_at=utc_now(),
            )
        )  # fmt: skip
        assert monitor.dependent_rows
    page = open_as(operator, "monitor", monitor=watched.monitor_id, view="settings")
    assert "of age, 100 rows, carries as much as 12 independent ones." in said(page)
    assert "8.3 [5.1, 14.0]" in said(page)
    next(one for one in page.checkbox if one.label == "Look at how rows hang together").uncheck()
    next(one for one in page.button if one.label == "Save").click().run()
    with workspace.read() as session:
        assert not session.get_one(Monitor, watched.monitor_id).dependent_rows


HANGS = {
    "n_blocks": 30, "freedom": 29, "n_rows": 100.0, "design_effect": 8.3, "low": 5.1, "high": 14.0, "seen": True,
}  # fmt: skip
TOGETHER = {
    "feature": "age", "is_prediction": False, "test": "chi_square", "n_blocks": 30, "n_rows": 100.0,
    "independent_rows": 12.0, "design_effect": 8.3, "low": 5.1, "high": 14.0,
}  # fmt: skip


def test_any_two_windows_are_held_against_each_other(
    open_as: OpenAs, workspace: Workspace, viewer: Actor, watched: Made
):
    page = open_as(viewer, "monitor", monitor=watched.monitor_id, view="compare")
    next(one for one in page.button if one.label == "Compare").click().run()
    first, second = page.query_params.get("first", "1"), page.query_params.get("second", "3")
    feature = {
        "feature": "age", "kind": "number", "is_prediction": False, "test": "kolmogorov_smirnov", "effect": 0.31,
        "pvalue_corrected": 0.0001, "drifted": True, "state": "drifted", "bins": BINS,
    }  # fmt: skip
    found = {
        "first": {"window": "2026-01", "n_rows": 500}, "second": {"window": "2026-03", "n_rows": 500},
        "alpha": 0.05, "min_effect": 0.1, "features": [feature], "not_compared": ["gone"],
    }  # fmt: skip
    job_id = finish(workspace, "compare_windows", found)
    told = said(
        open_as(
            viewer, "monitor", monitor=watched.monitor_id, view="compare", compared=job_id, first=first, second=second
        )
    )
    assert "age moved from 2026-01 to 2026-03" in told
    assert "Only one of the two has: gone." in told
    other = open_as(viewer, "monitor", monitor=watched.monitor_id, view="compare", compared=job_id, first=2, second=3)
    assert "Press Compare to measure these two." in said(other)


def test_reading_the_log_now_queues_a_job(open_as: OpenAs, workspace: Workspace, operator: Actor, watched: Made):
    page = open_as(operator, "monitor", monitor=watched.monitor_id)
    next(button for button in page.button if button.label == "Read the log now").click().run()
    with workspace.read() as session:
        kinds = [job.subject_kind for job in queue(session, 5)]
    assert kinds.count("monitor") == 1
    assert "Reading the prediction log" in [toast.value for toast in page.toast]


def test_a_failed_batch_says_its_problem(open_as: OpenAs, workspace: Workspace, viewer: Actor, watched: Made):
    with workspace.write() as session:
        add(
            session,
            Batch(
                monitor_id=watched.monitor_id, upload_id=key(make_upload(session)), state="failed",
                error="Line 3 has 4 fields.", added_at=utc_now() - timedelta(days=1),
            ),
        )  # fmt: skip
    page = open_as(viewer, "monitor", monitor=watched.monitor_id, view="data")
    assert "1 batch was added, 1 failed" in [one.value for one in page.subheader]
    assert "Line 3 has 4 fields." in said(page)


def test_what_can_be_done_follows_from_the_cause(
    open_as: OpenAs, workspace: Workspace, scientist: Actor, watched: Made
):
    triage_job.enqueue_due(workspace, utc_now())
    run_all(workspace)
    page = open_as(scientist, "monitor", monitor=watched.monitor_id)
    assert "Each with what it does and does not help against here." in said(page)
    assert {"Roll back", "Retrain on newer data", "Fix the pipeline"} <= {
        one.value.strip("*") for one in page.markdown if one.value.startswith("**")
    }
    quiet = open_as(scientist, "monitor", monitor=watched.monitor_id, window=1)
    assert "Nothing is wrong in 2026-01" in said(quiet)
    assert "Retrain on newer data" not in said(quiet)


def test_hostile_names_are_shown_and_not_interpreted(
    open_as: OpenAs, workspace: Workspace, viewer: Actor, scientist: Actor
):
    made = put_watched(workspace, scientist, name=HOSTILE, feature=f"{HOSTILE} f")
    for page in (open_as(viewer, "monitoring"), open_as(viewer, "monitor", monitor=made.monitor_id)):
        assert HOSTILE in said(page)
        for element in [*page.title, *page.subheader, *page.markdown, *page.warning]:
            assert ":red[x]" not in element.value


def test_a_monitor_of_nothing_live_still_opens(open_as: OpenAs, workspace: Workspace, viewer: Actor, watched: Made):
    with workspace.write() as session:
        shadow = add(
            session,
            Monitor(model_id=watched.model_id, environment="staging", alias="shadow", created_at=utc_now()),
        )
        monitor_id = key(shadow)
    assert "Shadow in staging. No data yet" in said(open_as(viewer, "monitor", monitor=monitor_id))


def test_a_date_that_drifted_is_said_to_move_by_itself(
    open_as: OpenAs, workspace: Workspace, viewer: Actor, watched: Made
):
    with workspace.write() as session:
        for result in session.exec(select(DriftResult).where(DriftResult.feature == "monthly_charge")):
            result.column_kind = "date"
            session.add(result)
    moved = said(open_as(viewer, "monitor", monitor=watched.monitor_id, feature="monthly_charge"))
    assert "A date moves with time by itself" in moved
    other = said(open_as(viewer, "monitor", monitor=watched.monitor_id, feature="the prediction"))
    assert "moves with time by itself" not in other


def test_of_many_features_those_that_moved_most_are_listed_and_the_rest_is_a_choice_away(
    open_as: OpenAs, workspace: Workspace, viewer: Actor, watched: Made
):
    with workspace.write() as session:
        window = session.exec(select(Window).order_by(col(Window.from_at).desc())).first()
        assert window is not None
        for place in range(30):
            add(
                session,
                DriftResult(
                    window_id=key(window), feature=f"quiet_{place:02}", column_kind="number", test="chi_square",
                    effect=0.001 * place, threshold=0.1, n_reference=600, n_current=500, state=WindowState.QUIET,
                    bins=BINS,
                ),
            )  # fmt: skip
    page = open_as(viewer, "monitor", monitor=watched.monitor_id)
    assert len(page.dataframe[0].value) == 20
    assert "monthly_charge" in set(page.dataframe[0].value["Feature"])
    everything = open_as(viewer, "monitor", monitor=watched.monitor_id, list="all")
    assert len(everything.dataframe[0].value) == 33


def test_gaps_between_groups_are_told_window_by_window(
    open_as: OpenAs, workspace: Workspace, viewer: Actor, watched: Made
):
    assert "gap" not in said(open_as(viewer, "monitor", monitor=watched.monitor_id)).lower()
    gap = {
        "column": "sex", "criterion": "demographic_parity", "measure": "selection_rate", "difference": 0.2, "low": 0.1,
        "high": 0.3, "highest": HOSTILE, "lowest": "female", "highest_value": 0.5, "lowest_value": 0.3, "n_rows": 500,
        "n_small": 0,
    }  # fmt: skip
    with workspace.write() as session:
        for window in session.exec(select(Window)).all():
            add(
                session,
                WindowMeasure(
                    window_id=key(window), kind="group_gap", value=0.2, low=0.1, high=0.3, threshold=0.05,
                    state=WindowState.DRIFTED, sentence="Groups of sex fare further apart than they did.",
                    details={"gaps": [gap], "then": [0.01, 0.0, 0.05]},
                ),
            )  # fmt: skip
    told = said(open_as(viewer, "monitor", monitor=watched.monitor_id))
    assert "Groups fare further apart in 2026-03 than on the evaluation set" in told
    assert "Demographic parity: every group is called positive equally often." in told


def test_of_doubts_the_newest_windows_are_told_and_the_rest_is_folded(
    open_as: OpenAs, workspace: Workspace, viewer: Actor, watched: Made
):
    with_labels(workspace, watched)
    with workspace.write() as session:
        for place, result in enumerate(session.exec(select(PerformanceResult).order_by(col(PerformanceResult.id)))):
            result.note = f"Doubt number {place} **b**."
            session.add(result)
    page = open_as(viewer, "monitor", monitor=watched.monitor_id)
    assert [one.value for one in page.warning if "Doubt" in one.value] != []
    assert "Said of 2026-03" in said(page)
    assert any("1 earlier window with doubts of its own" in one.label for one in page.expander)


def test_labels_handed_in_from_a_monitor_are_meant_for_its_model(
    open_as: OpenAs, workspace: Workspace, scientist: Actor, operator: Actor, watched: Made
):
    other = put_watched(workspace, scientist, name="income", feature="hours")
    text = "prediction_id,label\n" + "".join(f"p{i},{'yes' if i % 2 else 'no'}\n" for i in range(20))
    stored = workspace.artifacts.put_bytes(text.encode())
    with workspace.write() as session:
        upload = store_upload(session, artifact=stored, file_name="labels.csv", actor=operator, now=utc_now())
        upload_id = key(upload)
    page = open_as(operator, "intake", upload=upload_id, use="labels", monitor=other.monitor_id)
    chosen = {box.label: box.value for box in page.selectbox}
    assert other.model_id != watched.model_id
    assert (chosen["Model"], chosen["Prediction id"], chosen["What was true"]) == (
        other.model_id, "prediction_id", "label",
    )  # fmt: skip
    page.button(key="intake_labels_confirm").click().run()
    run_all(workspace)
    page = page.run()
    assert "0 of 20 labels joined. The others wait for their predictions" in " ".join(one.value for one in page.toast)


def test_the_data_view_names_files_tells_failures_in_full_and_offers_to_withdraw(
    open_as: OpenAs, workspace: Workspace, operator: Actor, viewer: Actor, watched: Made
):
    why = "The data lacks 'temp', which the model needs. It has: " + ", ".join(f"column {i}" for i in range(30)) + "."
    with workspace.write() as session:
        for name, state, error in (("june.csv", "ready", None), ("july.csv", "failed", why)):
            add(
                session,
                Batch(
                    monitor_id=watched.monitor_id,
                    upload_id=key(make_upload(session, file_name=name)),
                    time_column="day",
                    state=state,
                    error=error,
                    n_rows=None if error else 500,
                    added_at=utc_now(),
                ),
            )
    page = open_as(operator, "monitor", monitor=watched.monitor_id, view="data")
    assert f"july.csv failed: {why}" in said(page)
    assert "june.csv" in said(page)
    assert "Withdraw a batch" in offered(page)
    page = open_as(viewer, "monitor", monitor=watched.monitor_id, view="data")
    assert "Withdraw a batch" not in offered(page)


def test_a_batch_that_was_not_taken_says_so_and_can_be_read_another_way(
    open_as: OpenAs, workspace: Workspace, operator: Actor, watched: Made
):
    stored = workspace.artifacts.put_bytes(b"day,age\n2026-01-01,soon\n")
    with workspace.write() as session:
        upload = store_upload(session, artifact=stored, file_name="june.csv", actor=operator, now=utc_now())
        failed = Batch(
            monitor_id=watched.monitor_id,
            upload_id=upload.id,
            state="failed",
            error="Line 2: the cell 'soon' of column 'age' is not a number.",
            added_at=utc_now(),
        )
        batch_id, upload_id = key(add(session, failed)), key(upload)
    page = open_as(operator, "intake", upload=upload_id, batch=batch_id, use="monitor", monitor=watched.monitor_id)
    assert "This file was not taken" in said(page)
    assert "the work goes on" not in said(page)
    page.button(key="intake_again").click().run()
    assert "june.csv" in said(page)
    assert "Measure drift" in offered(page)


def test_after_an_edit_the_page_says_that_its_windows_are_still_the_earlier_ones(
    open_as: OpenAs, workspace: Workspace, operator: Actor, viewer: Actor, watched: Made
):
    assert "being computed anew" not in said(open_as(viewer, "monitor", monitor=watched.monitor_id))
    with workspace.write() as session:
        edit_monitor(session, monitor_id=watched.monitor_id, window="week", actor=operator, now=utc_now())
    assert "Every window is being computed anew" in said(open_as(viewer, "monitor", monitor=watched.monitor_id))
