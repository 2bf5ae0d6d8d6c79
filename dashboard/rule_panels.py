"""Alert rules: what raises an alert, what each says now, and changing one."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from core.monitoring.alert_rules import Family, rule_kind
from core.monitoring.liveness import Outlook, upper
from core.monitoring.queries import MonitorRow
from core.monitoring.rule_queries import RuleRow, rules_of_installation, rules_of_monitor
from core.monitoring.rule_service import edit_rule
from core.permissions import Permission
from dashboard import panels, reads, selection, session, theme
from dashboard.panels import Row

INSTALLATION = "installation"
WORDS = {
    Outlook.FIRES: theme.mark("Fires", "attention"),
    Outlook.QUIET: theme.mark("Quiet", "neutral"),
    Outlook.UNKNOWN: theme.mark("Cannot tell", "neutral"),
}
FAMILIES = {Family.HARM: "harm", Family.FAULT: "fault", Family.SILENCE: "silence", Family.DRIFT: "drift"}


def rules(monitors: Sequence[MonitorRow]) -> None:
    """One table of every rule of a monitor or of the installation; a rule's name opens what can be set."""
    whose = {str(row.id): f"{row.model_name} {row.alias} ({row.environment})" for row in monitors}
    chosen = selection.pick("Rules of", {INSTALLATION: "This installation"} | whose, name="rules_of", width=320)
    monitor_id = None if chosen == INSTALLATION else int(chosen)
    now = session.now()
    found = (
        reads.fresh(rules_of_installation, now)
        if monitor_id is None
        else reads.fresh(rules_of_monitor, monitor_id, now)
    )
    firing = sum(row.finding is not None and row.finding.outlook is Outlook.FIRES for row in found)
    may = session.may(Permission.STORAGE_EDIT if monitor_id is None else Permission.MONITOR_EDIT)
    panels.section(
        theme.count(firing, "rule fires", "rules fire") if firing else "No rule fires",
        "Harm, faults and silence cannot wait; drift alone waits for the morning. "
        + (
            "A rule's name opens what can be set."
            if may
            else f"{'Administrators' if monitor_id is None else 'Operators'} may change them."
        ),
    )
    panels.table(
        [
            Row(
                {
                    "Rule": row.kind.title,
                    "Now": _word(row),
                    "What it says": _said(row),
                    "Set to": _settings(row),
                    "About": FAMILIES[row.kind.family],
                    "Can wait": "no" if row.kind.wakes else "yes",
                },
                page="monitoring" if may else "",
                query={"view": "rules", "rules_of": chosen, "rule": row.kind.key},
            )
            for row in found
        ],
        key=f"rules_{chosen}",
        columns={
            "What it says": st.column_config.TextColumn(width=420),
            "Now": st.column_config.TextColumn(width=120),
        },
        two_lines=True,
    )
    row = next((one for one in found if one.kind.key == session.chosen_text("rule")), None)
    if row is not None and may:
        if row.kind.decided_by_monitor:
            _follows(row)
        else:
            _change(row)


def _close() -> None:
    st.query_params.pop("rule", None)


@st.dialog("This rule follows from the monitor", on_dismiss=_close)
def _follows(row: RuleRow) -> None:
    st.text(f"{row.kind.title}: {row.kind.sentence}")
    panels.quiet("How often it may be wrong, and from which effect on it counts, is set with the monitor.")
    if st.button("Open the monitor", type="primary", key="rule_open_monitor"):
        session.open_page("monitor", monitor=row.monitor_id)


@st.dialog("Change this rule", on_dismiss=_close)
def _change(row: RuleRow) -> None:
    st.text(row.kind.title)
    panels.quiet(row.kind.sentence)
    with st.form("change_rule", border=False):
        enabled = st.toggle("Raise alerts", value=row.enabled, key="rule_enabled")
        values: dict[str, float | None] = {}
        for parameter in row.kind.parameters:
            value = row.parameters[parameter.key]
            values[parameter.key] = st.number_input(
                parameter.title,
                min_value=float(parameter.low),
                max_value=float(parameter.high),
                value=None if value is None else float(value),
                step=1.0,
                placeholder="Learned from the past",
                help=f"From {parameter.low:g} to {parameter.high:g}; empty "
                + ("learns it." if parameter.default is None else f"is {parameter.default:g}."),
                key=f"rule_{parameter.key}",
            )
        panels.quiet("What is open now follows within three minutes.")
        if st.form_submit_button("Save", type="primary"):
            with session.act("Alert rule changed") as writing:
                edit_rule(
                    writing,
                    monitor_id=row.monitor_id,
                    kind=rule_kind(row.kind.key).key,
                    enabled=enabled,
                    parameters=values,
                    actor=session.actor(),
                    now=session.now(),
                    opened=(row.enabled, dict(row.parameters)),
                )
            _close()
            st.rerun()


def _word(row: RuleRow) -> str:
    return WORDS[row.finding.outlook] if row.finding else theme.mark("Off", "neutral")


def _said(row: RuleRow) -> str:
    if row.finding is None:
        return "It is switched off."
    said = row.finding.sentence
    return said if row.kind.decided_by_monitor else upper(said)  # what an alert says begins with a name


def _settings(row: RuleRow) -> str:
    if row.kind.decided_by_monitor:
        return "with the monitor"
    parts = []
    for one in row.kind.parameters:
        value, unit = row.parameters[one.key], theme.inside(one.title.rsplit(", ", 1)[-1])
        parts.append("learned" if value is None else f"{value:,g} {unit.removesuffix('s') if value == 1 else unit}")
    return ", ".join(parts) + (" (changed)" if row.edited else "")
