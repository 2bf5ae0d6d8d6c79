"""Everything that waits for the reader: what, why, since when, and the next click."""

import streamlit as st

from core.governance import queries as governance
from core.governance.inbox import ORDER, Urgency
from dashboard import incident_actions, panels, reads, session, theme

LOOKS: dict[str, tuple[str, theme.Role]] = {
    "decide": ("Decide", "candidate"),
    "stale": ("Went stale", "attention"),
    "changes_requested": ("Changes requested", "attention"),
    "preparation_failed": ("Preparing failed", "attention"),
    "run_failed": ("Run failed", "attention"),
    "incident": ("Incident", "attention"),
    "ended_incident": ("Incident, its alerts are over", "healthy"),
    "alert": ("Alert", "attention"),
    "decided": ("News", "neutral"),
}

now = session.now()
items = reads.fresh(governance.inbox, session.actor(), now)
waiting = [item for item in items if item.kind != "decided"]
waits = f"{theme.count(len(waiting), 'thing')} waiting for you." if waiting else ""
panels.header("Inbox", f"{waits} {ORDER}" if len(items) > 1 else waits)
panels.worker_notice()

if not items:
    panels.empty_state(
        "Nothing waits for you",
        "Requests you may decide on, runs of yours that failed and alerts of models you look after appear here.",
    )

for place, item in enumerate(items):
    word, role = LOOKS.get(item.kind, (theme.words(item.kind), "neutral"))
    if item.urgency == Urgency.CRITICAL:
        word, role = f"Critical {theme.inside(word)}", "harm"
    with (
        st.container(border=True, key=f"inbox_{place}"),
        st.container(horizontal=True, vertical_alignment="center", gap="medium"),
    ):
        with st.container(gap="xxsmall", width="stretch"):
            with st.container(horizontal=True, vertical_alignment="center", gap="small"):
                panels.status(word, role)
                panels.quiet(theme.ago(item.since, now))
            st.markdown(f"**{theme.plain(item.sentence)}**")
            panels.quiet(item.reason)
        first = place == 0 and item.kind != "decided"
        with st.container(width="content", gap="xsmall"):  # one below the other, as a phone needs
            if st.button(
                "Review" if item.kind == "decide" else "Open",
                key=f"inbox_open_{place}",
                type="primary" if first else "secondary",
            ):
                session.open_page(item.page, **item.params)
            if item.kind == "ended_incident" and st.button("Resolve", key=f"inbox_resolve_{place}"):
                incident_actions.resolve(item.subject_id, 0)
