"""How the installation is: one sentence, one line for the overview, and its figures over a span."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import streamlit as st

from core.health import queries as samples
from core.health.figures import FIGURES, in_words
from core.health.queries import Series
from core.jobs import processes
from core.jobs.parts import PARTS
from core.monitoring.alert_queries import AlertRow
from core.monitoring.liveness import Outlook, upper
from core.monitoring.rule_queries import RuleRow, rules_of_installation
from dashboard import monitor_panels, panels, reads, selection, session, theme
from dashboard.charts import health as charts
from dashboard.theme import Role

# How long each span is, and into how many steps it is cut; a step holds two samples of its figure at least.
SPANS = {"hour": (timedelta(hours=1), 30), "day": (timedelta(days=1), 96), "week": (timedelta(days=7), 84)}


@dataclass(frozen=True)
class Look:
    """One chart of the view.

    Parameters
    ----------
    title : str
        What it shows.
    keys : tuple of str
        Figures; their sentences explain it.
    unit : str
        The axis, after dividing by ``scale``.
    scale : float
    say : callable
        Puts a value of the axis in words.
    rules : tuple of str
        The alert rules that judge it.
    limit : tuple of str, float
        The first rule's parameter that is drawn, and what it is divided by to lie on the axis.
    """

    title: str
    keys: tuple[str, ...]
    unit: str
    scale: float
    say: Callable[[float], str]
    rules: tuple[str, ...] = ()
    limit: tuple[str, float] | None = None
    below: bool = False


LOOKS = (
    Look(
        "Failed or refused requests",
        ("errors", "refused"),
        "requests a minute",
        1,
        lambda v: in_words(v, "a minute"),
        ("errors", "refused"),
    ),
    Look(
        "Latency",
        ("latency_p95_ms", "latency_p50_ms", "latency_p99_ms"),
        "ms",
        1,
        lambda v: in_words(v, "ms"),
        ("latency",),
        ("limit_ms", 1),
    ),
    Look("Requests", ("requests",), "requests a minute", 1, lambda v: in_words(v, "a minute")),
    Look("Rows predicted", ("rows",), "rows a second", 1, lambda v: in_words(v, "rows a second")),
    Look("Memory by process", ("memory_bytes",), "MB", 1e6, lambda v: f"{v:,.0f} MB"),
    Look(
        "Memory still available",
        ("memory_free_share",),
        "% of the machine",
        0.01,
        lambda v: f"{v:.0f} %",
        ("memory",),
        ("free_percent", 1),
        below=True,
    ),
    Look("Processor", ("cpu_cores",), "busy cores", 1, lambda v: f"{v:.2f} cores"),
    Look(
        "Disk, free", ("disk_free_bytes",), "GB", 1e9, lambda v: f"{v:,.1f} GB", ("disk",), ("free_gb", 1), below=True
    ),
    Look(
        "Disk, used by the home",
        ("home_bytes", "database_bytes"),
        "MB",
        1e6,
        lambda v: f"{v:,.1f} MB",
    ),
    Look(
        "Jobs that wait or failed", ("queue_jobs", "jobs_failed"), "jobs", 1, lambda v: in_words(v, "jobs"), ("queue",)
    ),
)


@dataclass(frozen=True)
class State:
    """The installation in two sentences, the finding without its full stop, and the role it has."""

    finding: str
    detail: str
    role: Role


def state_of(rules: Sequence[RuleRow], missing: Sequence[str], *, stands: bool = False) -> State:
    """What is wrong, else what nobody can tell, else that nothing is.

    Parameters
    ----------
    rules : sequence of RuleRow
        The installation's.
    missing : sequence of str
        Processes that were not seen alive.
    stands : bool
        Whether an alert of the installation is not resolved.
    """
    firing = [row for row in rules if row.finding and row.finding.outlook is Outlook.FIRES]
    unknown = [row.kind.key for row in rules if row.finding and row.finding.outlook is Outlook.UNKNOWN]
    off = [row.kind.key for row in rules if not row.enabled]
    if firing and firing[0].finding:
        more = f" And {theme.count(len(firing) - 1, 'more fault')}." if len(firing) > 1 else ""
        return State(firing[0].kind.title, f"{upper(firing[0].finding.sentence)}{more}", "attention")
    if missing:
        return State(f"Not running: {', '.join(missing)}", "What it does waits until it is started.", "attention")
    if stands:
        detail = (
            "What it told of is over or cannot be told now; within three minutes it is closed, or stands until it can."
        )
        return State("An alert still stands", detail, "attention")
    if len(unknown) + len(off) == len(rules):
        return State("Nothing was measured lately", "So nothing can be told.", "neutral")
    notes = [
        f"Not judged for want of requests or samples: {', '.join(unknown)}." if unknown else "",
        f"Switched off: {', '.join(off)}." if off else "",
    ]
    return State("Nothing is wrong", " ".join(note for note in notes if note), "healthy")


def overview_line() -> None:
    """One quiet line; a notice with a way in where something is wrong."""
    now = session.now()
    state = _state(reads.fresh(rules_of_installation, now), now)
    if state.role == "attention":
        panels.notice(f"{state.finding}. {state.detail}", "attention")
        st.page_link(
            session.page_file("monitoring"), label="See the infrastructure", query_params={"view": "infrastructure"}
        )
        return
    newest = {row.key: row.value for row in reads.fresh(samples.latest, now) if row.fresh and not row.subject}
    figures = [
        f"95 of 100 answers within {newest['latency_p95_ms']:,.0f} ms" if "latency_p95_ms" in newest else "",
        f"{newest['disk_free_bytes'] / 1e9:,.0f} GB of disk free" if "disk_free_bytes" in newest else "",
        theme.count(round(newest["queue_jobs"]), "job waits", "jobs wait") if newest.get("queue_jobs") else "",
    ]
    told = upper("; ".join(one for one in figures if one))
    said = [f"Infrastructure: {theme.inside(state.finding)}.", state.detail, f"{told}." if told else ""]
    panels.quiet(" ".join(one for one in said if one))


def infrastructure(unresolved: Sequence[AlertRow]) -> None:
    """The view: its state, then each figure over a span, what is unhealthy first.

    Parameters
    ----------
    unresolved : sequence of AlertRow
        Of all subjects; those of the installation are shown.
    """
    to_at = session.now()
    rules = reads.fresh(rules_of_installation, to_at)
    opened = [one for one in unresolved if one.monitor_id is None]
    state = _state(rules, to_at, stands=bool(opened))
    told_by_alert = opened and any(map(_fires, rules))
    panels.section(
        state.finding, "" if told_by_alert else state.detail or "Every process tells how it is once a minute."
    )
    monitor_panels.alerts(opened)
    span = selection.view("Span", {"hour": "Last hour", "day": "Last day", "week": "Last week"}, name="span")
    length, n_points = SPANS[span]
    by_kind = {row.kind.key: row for row in rules}
    shown = sorted(LOOKS, key=lambda look: not any(_fires(by_kind.get(kind)) for kind in look.rules))
    with st.grid(columns=2, min_column_width=320):
        for look in shown:
            found = {
                key: reads.fresh(
                    samples.series,
                    key,
                    from_at=to_at - length,
                    to_at=to_at,
                    n_points=min(n_points, int(length.total_seconds() / (2 * FIGURES[key].every_seconds))),
                )
                for key in look.keys
            }
            with st.container(gap="xxsmall"):
                judged = [by_kind[kind] for kind in look.rules if kind in by_kind]
                _chart(look, found, judged, to_at - length, to_at)


def _chart(
    look: Look, found: Mapping[str, Sequence[Series]], judged: Sequence[RuleRow], from_at: datetime, to_at: datetime
) -> None:
    lines = [
        charts.Line(
            _label(look, key, one, sum(map(len, found.values()))),
            one.at,
            tuple(None if value is None else value / look.scale for value in one.values),
        )
        for key, series in found.items()
        for one in series
    ]
    word = theme.mark(look.title, "attention") if any(map(_fires, judged)) else look.title
    st.markdown(f"**{theme.plain(word)}**")
    # Two rules that have nothing to judge say so in the same words.
    told = " ".join(dict.fromkeys(upper(row.finding.sentence) for row in judged if row.finding))
    if not lines:
        panels.quiet(f"{upper(told)} Nothing was measured in this span.".strip())
        return
    ends = {line.label: next(value for value in reversed(line.values) if value is not None) for line in lines}
    last = "; ".join(
        look.say(value) if len(ends) == 1 else f"{label} {look.say(value)}" for label, value in ends.items()
    )
    panels.quiet(upper(told) or f"{upper(last)}.")
    limit = None
    if judged and look.limit and judged[0].enabled:
        value = judged[0].parameters[look.limit[0]]
        limit = None if value is None else value / look.limit[1]
    panels.figure(
        charts.over_time(
            lines,
            unit=look.unit,
            from_at=from_at,
            to_at=to_at,
            say=look.say,
            colours=theme.colours(),
            limit=limit,
            below=look.below,
        ),
        key=f"health_{look.keys[0]}",
        alt=f"{look.title} in {look.unit} over time. Last: {last}.",
    )
    with st.popover("What is this?", type="tertiary"):
        for key in look.keys:
            st.text(f"{FIGURES[key].title}: {FIGURES[key].sentence}")


def _label(look: Look, key: str, one: Series, n_lines: int) -> str:
    """A line's name: the figure where the chart has several, the process where several measured it."""
    title = theme.inside(FIGURES[key].title)
    if n_lines == 1:
        return title
    if len(look.keys) == 1:
        return one.process
    return title if one.process in {"scoring", "worker"} else f"{title}, {one.process}"


def _state(rules: Sequence[RuleRow], now: datetime, *, stands: bool = False) -> State:
    running = {process.role for process in reads.fresh(processes.alive, now)}
    return state_of(rules, [role for role in PARTS if role not in running], stands=stands)


def _fires(rule: RuleRow | None) -> bool:
    return rule is not None and rule.finding is not None and rule.finding.outlook is Outlook.FIRES
