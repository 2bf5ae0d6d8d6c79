"""What a reader may do with an incident: open it, take it over, write a note, record what was done, resolve it."""

from __future__ import annotations

import streamlit as st

from core.incidents import service
from core.incidents.remedies import REMEDIES
from core.incidents.triage import Triage
from core.monitoring.tables import Window
from dashboard import panels, session


def open_about(window: Window, found: Triage) -> None:
    """Open an incident about a window and go there."""
    with session.act("Incident opened") as writing:
        incident = service.open_from_window(
            writing, window_id=window.id or 0, triage=found, actor=session.actor(), now=session.now()
        )
        incident_id = incident.id
    session.open_page("incident", incident=incident_id)


def take_over(incident_id: int) -> None:
    """Become the one who sees to it; a callback."""
    with session.act("It is yours", in_callback=True) as writing:
        service.take_over(writing, incident_id=incident_id, actor=session.actor(), now=session.now())


def look_again(incident_id: int) -> None:
    """Have the worker triage it anew with what is known now; a callback."""
    with session.act("Looking again", in_callback=True) as writing:
        service.request_look(writing, incident_id=incident_id, actor=session.actor(), now=session.now())


def look_into(window_id: int) -> None:
    """Have the worker look for the causes of what an older window shows; a callback."""
    with session.act("Looking for causes", in_callback=True) as writing:
        service.request_triage(writing, window_id=window_id, actor=session.actor(), now=session.now())


def write_note(incident_id: int) -> None:
    """A field for what was seen or thought."""
    with st.form("incident_note", clear_on_submit=True, border=False):
        note = st.text_area("Note", placeholder="What you saw, whom you asked", key="incident_note_text")
        if st.form_submit_button("Add the note"):
            with session.act("Note added") as writing:
                service.add_note(writing, incident_id=incident_id, note=note, actor=session.actor(), now=session.now())
            st.rerun()


@st.dialog("Record what was done")
def record_action(incident_id: int) -> None:
    """Which remedy was carried out, in words."""
    kind = st.selectbox(
        "What was done", list(REMEDIES), format_func=lambda key: REMEDIES[key].title, key="incident_action_kind"
    )
    note = st.text_area("How", placeholder="What exactly, and where", key="incident_action_note")
    panels.quiet("It tells the others that somebody acts; nothing is carried out by it.")
    if st.button("Record", type="primary", key="incident_action"):
        with session.act("Recorded") as writing:
            service.record_action(
                writing, incident_id=incident_id, kind=kind, note=note, actor=session.actor(), now=session.now()
            )
        st.rerun()


@st.dialog("Resolve this incident")
def resolve(incident_id: int, n_alerts: int) -> None:
    """How it ended."""
    closes = "Its alert is" if n_alerts == 1 else f"Its {n_alerts} alerts are"
    panels.quiet(f"{closes} resolved with it. What comes back is a new incident." if n_alerts else
                 "What comes back is a new incident.")  # fmt: skip
    outcome = st.text_area("How it ended", placeholder="The cause, and what was done", key="incident_outcome")
    if st.button("Resolve", type="primary", key="incident_resolve"):
        with session.act("Incident resolved") as writing:
            service.resolve(writing, incident_id=incident_id, outcome=outcome, actor=session.actor(), now=session.now())
        st.rerun()
