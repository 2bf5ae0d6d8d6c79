"""The parts of incidents: the list, the likely cause, what matters, what can be done, what was done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import streamlit as st
from sqlmodel import Session

from core.incidents import kept_triage, queries, service, triage_job
from core.incidents.causes import CAUSES, cause_title
from core.incidents.remedies import REMEDIES, Option, options
from core.incidents.signs import SIGNS
from core.incidents.situation import situation_of
from core.incidents.tables import Incident, IncidentState
from core.jobs.tables import JobState
from core.monitoring import window_queries
from core.monitoring.alert_rules import ALERT_RULES
from core.monitoring.queries import MonitorRow
from core.monitoring.tables import AlertState
from core.permissions import Permission
from dashboard import incident_actions, panels, reads, session, theme
from dashboard.panels import Moment, Row

STATES = {
    IncidentState.OPEN: theme.mark("Open", "attention"),
    IncidentState.ACTING: theme.mark("Acted on", "running"),
    IncidentState.RESOLVED: theme.mark("Resolved", "healthy"),
}
ENDED = theme.mark("Alerts are over", "healthy")
WAYS = {
    "deployments": ("Go to deployments", ":material/rocket_launch:"),
    "dataset": ("Open the data", ":material/database:"),
    "intake": ("Add labels", ":material/upload_file:"),
    "new_run": ("Set up a run without them", ":material/play_arrow:"),
    "monitoring": ("See the infrastructure", ":material/dns:"),
    "monitor": ("Open the monitor", ":material/monitoring:"),
}
"""What the button to each page says."""
NEEDS = {
    "new_run": (Permission.RUN_START, "Starting a run takes the role data-scientist."),
    "intake": (Permission.BATCH_ADD, "Adding labels takes the role operator or data-scientist."),
}
"""What it takes to do anything on a page, and how that is said to who may not."""
HAPPENED = {service.NOTE: ":material/edit_note:", service.WORSENED: ":material/trending_up:"}
"""What stands in a record in its own words, with its icon; all else is a remedy that was carried out."""


def open_incidents() -> None:
    """The incidents nobody has resolved; silent where there are none."""
    rows = reads.fresh(queries.list_incidents, unresolved=True)
    if not rows:
        return
    waiting = sum(row.owner is None for row in rows)
    panels.section(
        f"{theme.count(len(rows), 'incident')} {'is' if len(rows) == 1 else 'are'} open",
        f"{waiting} {'has' if waiting == 1 else 'have'} no owner yet." if waiting else "Somebody sees to each.",
    )
    panels.table(
        [
            Row(
                {
                    "Incident": row.title,
                    "State": ENDED if row.ended else STATES[IncidentState(row.state)],
                    "Likely cause": row.cause,
                    "Owner": row.owner or "nobody",
                    "Since": theme.day(row.since_at),
                    "Alerts": str(row.n_alerts),
                },
                page="incident",
                query={"incident": row.id},
            )
            for row in rows
        ],
        key="incidents",
        right=("Alerts",),
    )


def triage_of(row: MonitorRow, window_id: int) -> None:
    """What is the likely cause of what a window shows, and the way to an incident about it."""
    kept = reads.fresh(kept_triage.kept, window_id)
    if kept is None or not kept.present:
        _awaited(row.id, window_id)
    if kept is None:
        return
    window = reads.fresh(window_queries.window, window_id)
    found = kept.triage
    document = found.to_json()
    if found.cause == "none":
        panels.section(f"Nothing is wrong in {window.label}", _blind(document) or found.harm)
        return
    likely_cause(document, heading=f"Likely cause in {window.label}: {theme.inside(cause_title(found.cause))}")
    panels.quiet(f"Harm: {found.harm}")
    for sentence in found.remarks:
        panels.quiet(sentence)
    unresolved = reads.fresh(queries.unresolved_of, row.id)
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        if unresolved is not None:
            if st.button("Open the incident", icon=":material/emergency_home:", key="triage_to_incident"):
                session.open_page("incident", incident=unresolved.id)
        elif not session.may(Permission.ALERT_ACKNOWLEDGE):
            panels.quiet("Opening an incident takes the role operator.")
        elif st.button("Open an incident", icon=":material/emergency_home:", key="triage_open"):
            incident_actions.open_about(window, found)


@st.fragment(run_every=1.0)
def _awaited(monitor_id: int, window_id: int) -> None:
    """One line while the worker has not looked into a window's present figures; the page shows them once it has."""
    kept = reads.fresh(kept_triage.kept, window_id)
    if kept is not None and kept.present:
        st.rerun()
    wait = reads.fresh(triage_job.wait_of, monitor_id, window_id)
    old = "What is said here is of earlier figures or by earlier rules. " if kept is not None else ""
    match wait.state:
        case "unasked":
            with st.container(horizontal=True, gap="small", vertical_alignment="center"):
                panels.quiet(f"{old}A window this far back is looked into when somebody asks.")
                st.button(
                    "Look for causes",
                    icon=":material/search:",
                    key="triage_ask",
                    on_click=incident_actions.look_into,
                    args=(window_id,),
                )
        case "failed":
            panels.refusal(f"{old}The causes could not be looked for: {wait.error}")
        case _:
            panels.quiet(f"{old}A worker is looking for the causes of what this window shows.")
            panels.worker_notice()


def likely_cause(document: Mapping[str, Any], *, heading: str) -> None:
    """The cause with what speaks for and against it; the others folded."""
    cause = str(document["cause"])
    ranked = list(document["ranked"])
    named = [one for one in ranked if one["cause"] == cause]
    panels.section(heading, CAUSES[cause].sentence if named and cause in CAUSES else str(document["sentence"]))
    # Where none can be named, those that are in question are the answer.
    shown = named or ranked[:2]
    for one in shown:
        _finding(one, titled=not named)
    if shown:
        against = any(one["speaks_against"] for one in shown)
        panels.quiet("A plus speaks for it, a minus against it." if against else "A plus speaks for it.")
    others = [one for one in ranked if one not in shown]
    if others or document["unseen"]:
        with st.expander("What else was looked at" if others else "What could not be seen"):
            for one in others:
                _finding(one, titled=True)
            for sentence in document["unseen"]:
                panels.quiet(str(sentence))


def _finding(one: Mapping[str, Any], *, titled: bool) -> None:
    with st.container(gap="xsmall"):
        if titled:
            st.markdown(f"**{theme.plain(cause_title(str(one['cause'])))}**")
        for icon, side in ((":material/add:", "speaks_for"), (":material/remove:", "speaks_against")):
            for sentence in one[side]:
                st.markdown(f":gray[{icon}] {theme.plain(sentence)}")


def _blind(document: Mapping[str, Any]) -> str:
    return " ".join(str(sentence) for sentence in document["unseen"])


def looking_again(incident: Incident) -> None:
    """How far the worker is with looking at it again; why it could not, where that is so; silent otherwise."""
    job = reads.fresh(queries.look_job, incident.id or 0)
    if job is None or job.state in (JobState.SUCCEEDED, JobState.CANCELLED):
        return
    if job.finished_at is None or job.enqueued_at > datetime.fromisoformat(str(incident.findings["looked_at"])):
        panels.job_progress(job.id or 0)


def facts(incident: Incident) -> None:
    """What, since when, the harm, and what changed just before."""
    findings = incident.findings
    changes = [str(change["sentence"]) for change in findings["changes"]]
    panels.facts(
        {
            "Since": theme.stamp(incident.since_at),
            "Estimated harm": str(findings["harm"]),
            "Changed in that time": " ".join(changes) or "Nothing that is recorded here.",
            **({"Also seen": " ".join(findings["remarks"])} if findings.get("remarks") else {}),
            "Looked at": _looked_at(findings),
        }
    )


def _looked_at(findings: Mapping[str, Any]) -> str:
    at = theme.stamp(datetime.fromisoformat(str(findings["looked_at"])))
    return f"{findings['window']}, on {at}" if findings.get("window") else at


def remedies(row: MonitorRow, window_id: int) -> None:
    """What can be done about what a window shows, each with its consequence here; silent where nothing is wrong."""
    kept = reads.fresh(kept_triage.kept, window_id)
    if kept is None or kept.triage.cause == "none":
        return
    window = reads.fresh(window_queries.window, window_id)
    since = reads.fresh(queries.began_at, window)
    _remedies(reads.fresh(_options, row.id, kept.triage.to_json(), since), on="monitor")


def incident_remedies(incident: Incident) -> None:
    """What can be done about an incident, each with its consequence here."""
    _remedies(reads.fresh(_options, incident.monitor_id, incident.findings, incident.since_at), on="incident")


def _remedies(found: Sequence[Option], *, on: str) -> None:
    """Those advised stand first, the others folded; ``on`` is the page they are shown on."""
    advised = [one for one in found if one.advised]
    panels.section(
        f"Advised: {' or '.join(theme.inside(one.title) for one in advised)}"
        if advised
        else "Nothing is advised over the rest",
        "Each with what it does and does not help against here.",
    )
    for one in advised:
        _remedy(one, on)
    rest = [one for one in found if not one.advised]
    if rest:
        words = ("other way", "other ways") if advised else ("way", "ways")
        with st.expander(theme.count(len(rest), *words), expanded=on == "incident" and not advised):
            for one in rest:
                _remedy(one, on)


def _options(
    reading: Session, monitor_id: int | None, findings: Mapping[str, Any], since: datetime
) -> tuple[Option, ...]:
    return options(situation_of(reading, monitor_id=monitor_id, findings=findings, since=since))


def _remedy(one: Option, on: str) -> None:
    with st.container(gap="xsmall"):
        st.markdown(f"**{theme.plain(one.title)}**")
        st.text(one.consequence)
        if one.destination is None or (one.destination.page == on and "view" not in one.destination.query):
            return
        needs = NEEDS.get(one.destination.page)
        if needs is not None and not session.may(needs[0]):
            panels.quiet(needs[1])
            return
        words, icon = WAYS[one.destination.page]
        if st.button(words, icon=icon, key=f"remedy_{one.key}"):
            session.open_page(one.destination.page, **dict(one.destination.query))


def features(document: Mapping[str, Any]) -> None:
    """Every feature, what matters first."""
    ranked = list(document["features"])
    if not ranked:
        return
    linked = any(one["link"] is not None for one in ranked)
    touched = sum(bool(one["drifted"] or one["signs"]) for one in ranked)
    panels.section(
        f"{touched} of {theme.count(len(ranked), 'feature')} {'is' if touched == 1 else 'are'} touched",
        "Those with a mark in their shape first, then by importance times drift. Importance is a feature's share of "
        "what all features matter; "
        "an effect counts from its threshold on."
        + (
            " The link says how closely its drift went with performance, window by window (1: always)."
            if linked
            else ""
        ),
    )
    panels.table(
        [
            Row(
                {
                    "Feature": one["name"],
                    "State": theme.mark("Drifted", "attention")
                    if one["drifted"]
                    else theme.mark("No drift", "healthy"),
                    "Importance": theme.MISSING if one["importance"] is None else theme.percent(one["importance"]),
                    "Effect": theme.number(one["effect"]),
                    "Threshold": theme.number(one["threshold"]),
                    **({"Link": theme.number(one["link"])} if linked else {}),
                    "Mark": ", ".join(_mark(key) for key in one["sign_keys"]) or theme.MISSING,
                }
            )
            for one in ranked
        ],
        key="incident_features",
        right=("Importance", "Effect", "Threshold", "Link"),
    )


def _mark(key: str) -> str:
    return SIGNS[key].title if key in SIGNS else theme.words(key)


def record(incident: Incident) -> None:
    """What happened, in order: alerts, the opening, what was done, how it ended."""
    alerts = reads.fresh(queries.alerts_of, incident.id or 0)
    moments = [
        Moment(
            ":material/notifications:",
            alert.sentence,
            _alert_kind(alert.kind) + (", resolved" if alert.state == AlertState.RESOLVED else ""),
            alert.opened_at,
        )
        for alert in alerts
    ]
    moments.append(Moment(":material/emergency_home:", "The incident was opened.", "", incident.opened_at))
    moments += [
        Moment(
            HAPPENED.get(one.kind, ":material/build:"),
            one.note if one.kind in HAPPENED else _done(one.kind, one.note),
            one.actor or "Gatehouse",
            one.at,
        )
        for one in reads.fresh(queries.actions, incident.id or 0)
    ]
    if incident.resolved_at is not None:
        moments.append(Moment(":material/check:", f"Resolved: {incident.outcome}", "", incident.resolved_at))
    panels.section("What happened so far")
    panels.timeline(sorted(moments, key=lambda one: one.at or incident.opened_at))


def _alert_kind(kind: str) -> str:
    return ALERT_RULES[kind].title if kind in ALERT_RULES else theme.words(kind)


def _done(kind: str, note: str) -> str:
    words = theme.words(REMEDIES[kind].done if kind in REMEDIES else kind)
    return f"{words}: {note}" if note else f"{words}."
