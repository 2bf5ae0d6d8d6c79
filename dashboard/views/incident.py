"""One incident: what, since when, the harm, what changed just before, the likely cause, and what can be done."""

import streamlit as st

from core.errors import NotFound
from core.incidents import queries, words
from core.incidents.causes import cause_title
from core.incidents.tables import IncidentState
from core.monitoring.tables import AlertState
from core.permissions import Permission
from dashboard import incident_actions, incident_panels, panels, reads, session, theme

incident_id = session.chosen_id("incident") or 0
try:
    incident = reads.fresh(queries.incident, incident_id)
except NotFound:
    panels.empty_state(
        "There is no such incident",
        "It may have been named wrongly in the address.",
        button="See what is open",
        page="monitoring",
    )
    st.stop()

owner = reads.fresh(queries.owner_name, incident_id)
alerts = reads.fresh(queries.alerts_of, incident_id)
resolved = incident.state == IncidentState.RESOLVED
may_act = session.may(Permission.ALERT_ACKNOWLEDGE)
mine, ending = owner == session.actor().name, False
ended = reads.fresh(queries.ended)
over = incident_id in ended
how_it_ended = f"{words.ended(ended[incident_id])} Resolve it once you know how it ended. " if over else ""
seen_to = f"{owner} sees to it" if owner else "nobody sees to it yet"

with panels.header(
    incident.title,
    f"Resolved on {theme.stamp(incident.resolved_at)}. {incident.outcome}"
    if resolved
    else f"{how_it_ended}{theme.words(incident.severity)}, {theme.count(len(alerts), 'alert')}; {seen_to}.",
):
    if may_act and not resolved:
        if not mine:
            st.button(
                "Take over",
                type="secondary" if over else "primary",
                icon=":material/back_hand:",
                key="incident_take_over",
                on_click=incident_actions.take_over,
                args=(incident_id,),
            )
        ending = st.button(
            "Resolve", type="primary" if mine or over else "secondary", icon=":material/check:", key="incident_end"
        )

incident_panels.facts(incident)
with st.container(horizontal=True, gap="small"):
    if incident.monitor_id is not None and st.button(
        "Open the monitor", icon=":material/monitoring:", key="incident_monitor"
    ):
        session.open_page("monitor", monitor=incident.monitor_id, window=incident.window_id)
    if may_act and not resolved:
        st.button(
            "Look again",
            icon=":material/refresh:",
            key="incident_look_again",
            on_click=incident_actions.look_again,
            args=(incident_id,),
        )
if ending:
    incident_actions.resolve(incident_id, sum(one.state != AlertState.RESOLVED for one in alerts))

incident_panels.looking_again(incident)
incident_panels.likely_cause(
    incident.findings,
    heading=f"Likely cause: {theme.inside(cause_title(incident.cause))}"
    if incident.cause != "cannot_tell"
    else "The cause cannot be told yet",
)
if not resolved:
    incident_panels.incident_remedies(incident)
incident_panels.features(incident.findings)
incident_panels.record(incident)
if may_act:
    if not resolved and st.button("Record what was done", icon=":material/build:", key="incident_record"):
        incident_actions.record_action(incident_id)
    incident_actions.write_note(incident_id)
elif not resolved:
    panels.quiet("Taking over, notes and resolving take the role operator.")
