"""Everything that waits for the reader: what, why, since when, and the next click."""

import streamlit as st

from core.governance import queries as governance
from dashboard import panels, reads, session, theme

LOOKS: dict[str, tuple[str, theme.Role]] = {
    "decide": ("Decide", "candidate"),
    "stale": ("Went stale", "attention"),
    "changes_requested": ("Changes requested", "attention"),
    "preparation_failed": ("Preparing failed", "attention"),
    "run_failed": ("Run failed", "attention"),
    "incident": ("Incident", "attention"),
    "alert": ("Alert", "attention"),
    "decided": ("News", "neutral"),
}

now = session.now()
items = reads.fresh(governance.inbox, session.actor(), now)
waiting = [item for item in items if item.kind != "decided"]
panels.header("Inbox", f"{theme.count(len(waiting), 'thing')} waiting for you." if waiting else "")
panels.worker_notice()

if not items:
    panels.empty_state(
        "Nothing waits for you",
        "Requests you may decide on, runs of yours that failed and alerts of models you look after appear here.",
    )

for place, item in enumerate(items):
    word, role = LOOKS.get(item.kind, (theme.words(item.kind), "neutral"))
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
        if st.button(
            "Review" if item.kind == "decide" else "Open",
            key=f"inbox_open_{place}",
            type="primary" if first else "secondary",
        ):
            session.open_page(item.page, **item.params)
