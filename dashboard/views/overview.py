"""What is live and how it is, what waits for the reader, and this week."""

from datetime import timedelta

import streamlit as st

from core.audit import queries as audit
from core.audit.sentences import sentence
from core.governance import queries as governance
from core.permissions import Permission
from dashboard import health, health_panels, panels, reads, session, theme
from dashboard.panels import Row

WAITING_SHOWN, FEED_SHOWN = 3, 12
# What changed, was decided or went wrong. What was merely asked for or worked out on the way stands in the audit log.
TOLD = (
    "dataset_version.added",
    "dataset_version.quarantined",
    "dataset_version.quarantine_lifted",
    "run.finished",
    "run.failed",
    "model_version.registered",
    "behaviour_suite.saved",
    "promotion_policy.saved",
    "promotion_request.made",
    "promotion_request.preparation_failed",
    "promotion_request.gate_waived",
    "promotion_request.approval_given",
    "promotion_request.approved",
    "promotion_request.changes_requested",
    "promotion_request.rejected",
    "promotion_request.withdrawn",
    "deployment.started",
    "registered_model.rolled_back",
    "alert.opened",
    "alert.reopened",
    "alert.worsened",
    "alert.acknowledged",
    "alert.resolved",
)

now = session.now()
actor = session.actor()
models = reads.fresh(health.live_models)
worst = models[0] if models and models[0].needs_attention else None


def _place(model: health.LiveModel) -> str:
    alias = "" if model.live.alias == "champion" else f" {model.live.alias}"
    return f"v{model.live.version_number}{alias}, {theme.day(model.live.from_at)}"


with panels.header("Overview", health.headline(models)):
    if worst and worst.monitor and st.button("Look into it", type="primary", icon=":material/monitoring:"):
        session.open_page("monitor", monitor=worst.monitor.id)
    elif not models and actor.may(Permission.DATASET_ADD) and st.button("Add data", type="primary"):
        session.open_page("intake")
panels.worker_notice()

waiting = [item for item in reads.fresh(governance.inbox, actor, now) if item.kind != "decided"]
if waiting:
    panels.section(f"{theme.count(len(waiting), 'thing waits', 'things wait')} for you")
    for place, item in enumerate(waiting[:WAITING_SHOWN]):
        with st.container(horizontal=True, vertical_alignment="center", gap="medium", key=f"overview_item_{place}"):
            with st.container(gap=None, width="stretch"):
                st.text(item.sentence)
                panels.quiet(f"{item.reason} {theme.ago(item.since, now)}")
            if st.button("Review", key=f"overview_review_{place}"):
                session.open_page(item.page, **item.params)
    if len(waiting) > WAITING_SHOWN:
        st.page_link(session.page_file("inbox"), label=f"All {len(waiting)} in the inbox")

if models:
    panels.section("Live models")
    panels.table(
        [
            Row(
                {
                    "Model": model.live.model_name,
                    "State": theme.mark(model.word, model.role),
                    "Live since": _place(model),
                    "Primary metric": f"{model.metric} {model.metric_source}",
                    "Drifting": f"{model.monitor.n_drifted} of {model.monitor.n_features}"
                    if model.monitor and model.monitor.last_window
                    else theme.MISSING,
                    "By window": list(model.drifted_by_window),
                    "Last prediction": theme.ago(model.last_prediction_at, now),
                },
                page="monitor" if model.monitor else "model",
                query={"monitor": model.monitor.id} if model.monitor else {"model": model.live.model_id},
            )
            for model in models
        ],
        key="overview_live",
        right=("Drifting",),
        columns={"State": st.column_config.TextColumn(width=130)},
    )
else:
    panels.empty_state(
        "The way to a first live model",
        "Add a dataset, train a run on it, register the run as a model version, and ask for its promotion. "
        "A reviewer who took no part in it decides.",
    )

panels.section("This week")
since = now - timedelta(days=7)
done = reads.fresh(audit.counts_since, since)
panels.metrics(
    [
        ("Dataset versions added", theme.number(done.get("dataset_version.added", 0)), ""),
        ("Runs finished", theme.number(done.get("run.finished", 0)), ""),
        (
            "Requests decided",
            theme.number(done.get("promotion_request.approved", 0) + done.get("promotion_request.rejected", 0)),
            "",
        ),
        ("Versions made live", theme.number(done.get("deployment.started", 0)), ""),
    ]
)
with st.container(gap="xxsmall"):
    for event in reads.audited(audit.events, limit=FEED_SHOWN, any_action=TOLD):
        if event.at >= since:
            with st.container(horizontal=True, gap="small"):
                st.markdown(f":gray[{theme.ago(event.at, now)}]", width=96)
                with st.container(gap=None, width="stretch"):
                    st.text(f"{event.actor_name} {sentence(event.action, event.subject_label)}")

health_panels.overview_line()
