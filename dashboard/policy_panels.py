"""The promotion policy: what is in force, writing the next version, earlier versions."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from core.evaluation.metrics import METRICS, primary_metric
from core.evaluation.tables import Task
from core.governance import policies
from core.governance.gates import GATES
from core.governance.queries import PolicyRow
from core.governance.tables import GateSeverity
from core.permissions import Permission
from dashboard import panels, session, theme
from dashboard.panels import Row

NOT_ASKED = "not asked"
SEVERITIES = {GateSeverity.BLOCKING.value: "Blocks", GateSeverity.WARNING.value: "Warns", NOT_ASKED: "Not asked"}
PRIMARY = tuple(dict.fromkeys(primary_metric(task) for task in Task))


def in_force(newest: PolicyRow) -> None:
    """Every gate and what it does when it does not pass, and the margins."""
    margins = "; ".join(margin_in_words(key, newest.margins[key]) for key in PRIMARY if key in newest.margins)
    panels.section(
        f"Policy {newest.number} is in force",
        f"It takes {theme.count(newest.approvals, 'approval')}. Written {theme.stamp(newest.created_at)} by "
        f"{newest.author or 'Gatehouse'}: {newest.reason}",
    )
    if not session.may(Permission.POLICY_EDIT):
        panels.quiet("Writing the next version takes the role reviewer.")
    elif st.button("Write the next version", icon=":material/edit:", key="policy_edit"):
        edit(newest)
    panels.table(
        [
            Row(
                {
                    "Gate": gate.title,
                    "If it does not pass": SEVERITIES[newest.gates.get(code, NOT_ASKED)],
                    "What it asks": gate.sentence,
                }
            )
            for code, gate in GATES.items()
        ],
        key="policy_gates",
        columns={"What it asks": st.column_config.TextColumn(width=560)},
    )
    panels.quiet(f"A loss that still counts as not worse: {margins}.")


def margin_in_words(key: str, margin: float) -> str:
    """A metric's margin in its own unit, or as a share of the champion's value."""
    metric = METRICS[key]
    shown = f"{theme.percent(margin)} of the champion's" if metric.margin_is_share else f"{margin:g}"
    return f"{metric.title} {shown}"


@st.dialog("Write the next policy version", width="large")
def edit(policy: PolicyRow) -> None:
    """Severities, margins, approvals and the reason."""
    panels.quiet("Open requests go stale, and whoever writes a policy version does not decide under it.")
    with st.form("policy", border=False):
        gates: dict[str, str] = {}
        with st.grid(columns=2, min_column_width=260):
            for code, gate in GATES.items():
                chosen = st.selectbox(
                    gate.title,
                    list(SEVERITIES),
                    index=list(SEVERITIES).index(policy.gates.get(code, NOT_ASKED)),
                    format_func=SEVERITIES.__getitem__,
                    help=gate.sentence,
                    key=f"policy_gate_{code}",
                )
                if chosen != NOT_ASKED:
                    gates[code] = chosen
            approvals = st.number_input("Approvals needed", min_value=1, max_value=5, value=policy.approvals)
            margins = {
                key: st.number_input(
                    f"Margin in {METRICS[key].title}",
                    min_value=0.0,
                    value=float(policy.margins.get(key, METRICS[key].margin)),
                    step=0.005,
                    format="%.3f",
                    help="A share of the champion's value." if METRICS[key].margin_is_share else None,
                    key=f"policy_margin_{key}",
                )
                for key in PRIMARY
            }
        reason = st.text_area("Why does it change?", key="policy_reason")
        if st.form_submit_button("Save as the next version", type="primary"):
            with session.act(f"Policy {policy.number + 1} is in force") as writing:
                policies.save_policy(
                    writing,
                    gates=gates,
                    margins=margins,
                    approvals=int(approvals),
                    reason=reason,
                    actor=session.actor(),
                    now=session.now(),
                )
            st.rerun()


def earlier(written: Sequence[PolicyRow]) -> None:
    """The versions before the one in force."""
    panels.section("Earlier versions")
    panels.table(
        [
            Row(
                {
                    "Version": f"policy {row.number}",
                    "Written": theme.stamp(row.created_at),
                    "By": row.author or "Gatehouse",
                    "Why": row.reason,
                }
            )
            for row in written
        ],
        key="policies",
    )
