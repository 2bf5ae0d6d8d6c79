"""The run page's view of slices: any metric within parts of the rows, and the weak parts that a search found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from core.datasets import queries as datasets
from core.datasets.tables import ColumnKind
from core.evaluation.metrics import METRICS, metrics_for, primary_metric
from core.evaluation.slices import MOST_CROSSED
from core.training.queries import RunRecord, ScoredOn
from dashboard import analysis_panels, panels, reads, theme
from dashboard.charts import slices as charts
from dashboard.theme import Role

MOST_DRAWN = 16
MOST_LISTED = 20
BY, METRIC = "by", "metric"
READINGS: dict[str, tuple[str, Role]] = {
    "worse": ("Worse", "attention"),
    "better": ("Better", "healthy"),
    "alike": ("No difference shown", "neutral"),
    "too_small": ("Too small to say", "reference"),
}
ORDER = {"worse": 0, "better": 1, "alike": 2, "too_small": 3}


def show(record: RunRecord) -> None:
    """The slices of one evaluation of a run."""
    scored = analysis_panels.choose(record)
    if scored is None:
        return
    options = chooser(record, scored)
    found = analysis_panels.document(record, scored, "slices", options, button="Measure the slices")
    if found is not None:
        measured(found)
    weak = analysis_panels.document(record, scored, "weak_slices", button="Search for weak slices")
    if weak is not None:
        searched(weak)


def chooser(record: RunRecord, scored: ScoredOn) -> dict[str, Any]:
    """The form of columns and metric; the choice lives in the address, and asking for it starts the work."""
    version = reads.audited(datasets.version, scored.evaluation_set.version_id)
    names = [
        column["name"]
        for column in version.columns
        if column["name"] != record.run.target and column["kind"] != ColumnKind.TEXT
    ]
    fitting = {entry.key: entry.title for entry in metrics_for(record.run.task) if entry.key in scored.metrics}
    primary = primary_metric(record.run.task)
    fitting = fitting or {primary: METRICS[primary].title}
    first = next(iter(fitting))
    asked = st.query_params.get(METRIC, first)
    st.session_state["slices_by"] = [name for name in st.query_params.get_all(BY) if name in names][:MOST_CROSSED]
    st.session_state["slices_metric"] = asked if asked in fitting else first

    def keep() -> None:
        _put(BY, list(st.session_state["slices_by"]))
        metric = st.session_state["slices_metric"]
        _put(METRIC, [] if metric == first else [metric])
        options = _options(st.session_state["slices_by"], metric, primary)
        if analysis_panels.known(scored, "slices", options) is None:
            analysis_panels.ask(record, scored, "slices", options, in_callback=True)

    with st.form("slices_form", border=False), st.container(horizontal=True, vertical_alignment="bottom"):
        by: list[str] = st.multiselect(
            "Slice by",
            names,
            key="slices_by",
            max_selections=MOST_CROSSED,
            placeholder="The columns that tell most, one at a time",
            width=420,
        )
        metric: str = st.selectbox(
            "Metric", list(fitting), format_func=fitting.__getitem__, key="slices_metric", width=220
        )
        st.form_submit_button("Show", icon=":material/table_rows:", on_click=keep, key="slices_show")
    return _options(by, metric, primary)


def _options(by: Sequence[str], metric: str, primary: str) -> dict[str, Any]:
    return ({"columns": list(by)} if by else {}) | ({} if metric == primary else {"metric": metric})


def _put(name: str, values: list[str]) -> None:
    if values:
        st.query_params[name] = values
    else:
        st.query_params.pop(name, None)


def finding(found: Mapping[str, Any]) -> str:
    """What the slices say, in one line."""
    title = METRICS[found["metric"]].title
    compared = [one for one in found["slices"] if one["pvalue"] is not None]
    worse = sorted((one for one in compared if one["reading"] == "worse"), key=lambda one: -abs(one["difference"]))
    if not compared:
        return "No slice has enough rows to be compared"
    if not worse:
        return f"{title} is not shown to be worse in any of {theme.count(len(compared), 'slice')}"
    if len(worse) == 1:
        return f"{title} is worse where {worse[0]['words']}"
    return f"{title} is worse in {len(worse)} of {theme.count(len(compared), 'slice')}, most where {worse[0]['words']}"


def measured(found: Mapping[str, Any]) -> None:
    """The slices, those shown to be worse first: as dots, then as a table."""
    entry, overall = METRICS[found["metric"]], found["overall"]
    ranked = sorted(
        found["slices"], key=lambda one: (ORDER[one["reading"]], one["corrected"] or 0.0, -abs(one["difference"] or 0))
    )
    how = (
        "Every combination of the columns asked for is a slice."
        if found["asked"]
        else "Sliced by one column at a time: the sensitive ones, then those that tell most about where it is wrong."
    )
    panels.section(
        finding(found),
        f"{entry.title} on all {theme.number(found['n_rows'])} rows is "
        f"{theme.interval(overall['value'], overall['low'], overall['high'])}. {how}",
    )
    drawn = [one for one in ranked if one["low"] is not None][:MOST_DRAWN]
    if drawn:
        drawn.sort(key=lambda one: one["value"], reverse=not entry.greater_is_better)
        dots = [
            charts.SliceDot(one["words"], one["value"], one["low"], one["high"], one["n_rows"], one["reading"])
            for one in drawn
        ]
        panels.figure(
            charts.slice_dots(dots, overall=overall["value"], metric=entry.title, colours=theme.colours()),
            key="slices_figure",
            alt=f"{entry.title} in slices, {theme.number(overall['value'])} on all rows: "
            + "; ".join(charts.in_words(dot) for dot in dots),
        )
        if len(drawn) < sum(one["low"] is not None for one in ranked):
            panels.quiet(f"Drawn are the {len(drawn)} that stand out most; all are listed below.")
    _listed(ranked[:MOST_LISTED], entry.title, key="slices_table")
    if ranked[MOST_LISTED:]:
        with st.expander(f"{theme.count(len(ranked) - MOST_LISTED, 'more slice')}"):
            _listed(ranked[MOST_LISTED:], entry.title, key="slices_more")
    with st.expander("What does this mean?"):
        panels.quiet(entry.sentence)
        panels.quiet("Brackets: the 95 % interval, where the figure would lie on other rows of the same kind.")
        panels.quiet("Difference: the slice minus all rows outside it, with its own 95 % interval.")
        panels.quiet(
            "p-value: how often a difference this large would show if slice and rest were alike, corrected for the "
            f"{found['n_compared']} comparisons there were to choose from. Worse or better is said at 0.05 and below."
        )
        panels.quiet(
            f"Too small to say: fewer than {found['min_rows']} rows, or too few of a class for an interval; the "
            "reading says which. That is no sign of health."
        )
        panels.quiet("A number equal to an edge, such as 28 in 17 to 28, lies in the lower group.")
        if found["n_left_out"]:
            panels.quiet(f"{theme.number(found['n_left_out'])} smaller combinations were not measured.")


def _listed(ranked: Sequence[Mapping[str, Any]], title: str, *, key: str) -> None:
    panels.table(
        [
            panels.Row(
                {
                    "Slice": one["words"],
                    "Reading": theme.mark(one["reason"].rstrip("."), "reference")
                    if one["reason"]
                    else theme.mark(*READINGS[one["reading"]]),
                    title: theme.interval(one["value"], one["low"], one["high"]),
                    "Difference": theme.MISSING
                    if one["difference"] is None
                    else _signed(one["difference"], one["difference_low"], one["difference_high"]),
                    "p-value": theme.MISSING if one["corrected"] is None else theme.pvalue(one["corrected"]),
                    "Rows": theme.number(one["n_rows"]),
                }
            )
            for one in ranked
        ],
        key=key,
        right=(title, "Difference", "Rows"),
    )


def _signed(value: float, low: float, high: float) -> str:
    return f"{theme.difference(value)} [{theme.difference(low)}, {theme.difference(high)}]"


def searched(found: Mapping[str, Any]) -> None:
    """The weak slices, confirmed ones first, and how they were found."""
    confirmed = [one for one in found["slices"] if one["confirmed"]]
    if confirmed:
        worst = max(confirmed, key=lambda one: one["difference"])
        said = (
            f"The model is weak where {worst['words']}"
            if len(confirmed) == 1
            else f"{len(confirmed)} weak slices are confirmed, the weakest where {worst['words']}"
        )
    else:
        said = "No weak slice is confirmed"
    tried = len(found["slices"])
    panels.section(
        said,
        f"Weak is where the {found['loss_title']} is higher than elsewhere, whichever metric is shown above. "
        f"{theme.number(found['n_searched'])} conditions of one and two columns were searched on one half of the rows "
        f"({theme.number(found['n_search'])}). "
        + (
            f"The {theme.count(tried, 'worst', 'worst')} {'was' if tried == 1 else 'were'} then tested on the other "
            f"half ({theme.number(found['n_confirm'])}), which had no part in choosing them."
            if tried
            else "None was clearly worse than the rest, so there was nothing to test on the other half."
        ),
    )
    if not tried:
        return
    shares = found["loss"] == "error"
    written = _shares if shares else _numbers
    inside, outside = ("Wrong in it", "Wrong elsewhere") if shares else ("Loss in it", "Loss elsewhere")
    panels.table(
        [
            panels.Row(
                {
                    "Slice": one["words"],
                    "State": theme.mark("Confirmed", "attention")
                    if one["confirmed"]
                    else theme.mark("Not confirmed", "neutral"),
                    inside: written(one["loss_in"], one["loss_in_low"], one["loss_in_high"]),
                    outside: written(one["loss_out"], one["loss_out_low"], one["loss_out_high"]),
                    "p-value": theme.pvalue(one["corrected"]),
                    "Rows": theme.number(one["n_rows"]),
                }
            )
            for one in found["slices"]
        ],
        key="weak_table",
        right=(inside, outside, "Rows"),
    )
    with st.expander("How weak slices are found"):
        if found.get("weighted"):
            panels.quiet("Rows count alike here, whatever their weights; rows of weight 0 are left out.")
        panels.quiet(
            f"In it and elsewhere: the {found['loss_title']} on the half that was not searched, with 95 % intervals. "
            "On the half searched it looks worse, because it was chosen for that."
        )
        panels.quiet(
            "Confirmed: the other half shows it too, at a p-value of at most 0.05 after correction for those tested. "
            "Without any weakness one search in twenty, at most, would confirm something."
        )
        panels.quiet("Not confirmed: it looked weak where it was searched, and the other half does not bear it out.")
        panels.quiet(
            f"Looked at were conditions with at least {found['min_rows']} rows of that half, on "
            f"{theme.count(len(found['columns']), 'column')}: {', '.join(found['columns'])}."
        )


def _shares(value: float | None, low: float | None, high: float | None) -> str:
    if value is None or low is None or high is None:
        return theme.MISSING
    return f"{theme.percent(value)} [{theme.percent(low)}, {theme.percent(high)}]"


def _numbers(value: float | None, low: float | None, high: float | None) -> str:
    return theme.interval(value, low, high)
