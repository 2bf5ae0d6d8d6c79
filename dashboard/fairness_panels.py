"""The run page's view of fairness: groups by a measure, the criteria, and thresholds by group as a what-if."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from core.datasets import queries as datasets
from core.errors import NotApplicable
from core.evaluation.group_thresholds import Goal, GroupEffect, GroupGrid, WhatIf, what_if
from core.training.queries import RunRecord
from dashboard import analysis_panels, panels, reads, selection, theme
from dashboard.charts import fairness as charts
from dashboard.charts.runs import Dot, in_words
from dashboard.panels import Row
from dashboard.theme import Role

READINGS: dict[str, tuple[str, Role]] = {
    "gap": ("Groups differ", "attention"),
    "may_be_chance": ("May be chance", "neutral"),
    "no_gap_shown": ("No gap shown", "healthy"),
    "below": ("Below 0.8", "attention"),
    "above": ("Above 0.8", "healthy"),
    "cannot_be_told": ("Cannot be told", "neutral"),
    "undefined": ("Not defined", "reference"),
}
NUMBERS = {"mean_error", "mean_absolute_error", "calibration_gap", "calibration_error"}
GOALS: dict[Goal, str] = {
    "selection_rate": "the share predicted positive",
    "true_positive_rate": "the share of true positives found",
}


def show(record: RunRecord) -> None:
    """How groups of people fare on one evaluation of a run."""
    scored = analysis_panels.choose(record)
    if scored is None:
        return
    if analysis_panels.known(scored, "fairness") is None and not _sensitive(record):
        panels.section(
            "No column is marked sensitive",
            "Groups of people are told apart by sensitive columns. Mark one when the dataset's next version is read; "
            f"by command any column can be named: gatehouse analyse {record.run.id} --kind fairness --column NAME.",
        )
        return
    found = analysis_panels.document(record, scored, "fairness", button="Measure how groups fare")
    if found is None:
        return
    single = [one for one in found["groupings"] if len(one["columns"]) == 1]
    crossed = [one for one in found["groupings"] if len(one["columns"]) > 1]
    names = {one["words"]: one["words"] for one in single}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        by = selection.pick("Groups by", names, name="by") if len(names) > 1 else next(iter(names))
        grouping = next(one for one in single if one["words"] == by)
        measures = {one["key"]: theme.words(one["title"]) for one in found["measures"]}
        told = _told(grouping)["measure"]
        measure = selection.pick("Measure", {told: measures[told], **measures}, name="measure", width=300)
    panels.section(
        finding(grouping, found),
        f"On {theme.count(found['n_rows'], 'row')} of {scored.set_label} that the model was not trained on"
        + (", counted by their weight" if found["weighted"] else "")
        + ". Brackets hold the 95 % interval.",
    )
    groups(grouping, measure, found)
    criteria(grouping, found)
    for one in crossed:
        with st.expander(f"{theme.plain(' × '.join(one['columns']))}: {_stands(one)}"):
            panels.quiet(finding(one, found))
            groups(one, measure, found)
            criteria(one, found)
    thresholds(by, found)


def finding(grouping: Mapping[str, Any], found: Mapping[str, Any]) -> str:
    """The criterion of a grouping that is not met, else the first, as a sentence with its figures."""
    first = _told(grouping)
    title = next(one["title"] for one in found["measures"] if one["key"] == first["measure"])
    if first["difference"] is None:
        return f"Too few rows to say whether groups by {grouping['words']} differ"
    gap = theme.interval(first["difference"], first["difference_low"], first["difference_high"])
    if first["reading"] != "gap":
        return f"No difference by {grouping['words']} is shown in the {title}: a gap of {gap}"
    high, low = (_value(first["measure"], first[key]) for key in ("highest_value", "lowest_value"))
    return (
        f"{theme.words(title)} differs by {grouping['words']}: {high} in {first['highest']} against {low} in "
        f"{first['lowest']}, a gap of {gap}"
    )


def _told(grouping: Mapping[str, Any]) -> Mapping[str, Any]:
    """The criterion that is told: that groups are alike in one must not hide that they differ in another."""
    criteria_: list[Mapping[str, Any]] = grouping["criteria"]
    return next((one for one in criteria_ if one["reading"] == "gap"), criteria_[0])


def groups(grouping: Mapping[str, Any], measure: str, found: Mapping[str, Any]) -> None:
    """One measure in each group as dots, then the groups that are too small to say."""
    kind = next(one for one in found["measures"] if one["key"] == measure)
    figures = [(group["group"], group["figures"][measure]) for group in grouping["groups"]]
    dots = [Dot(name, one["value"], one["low"], one["high"]) for name, one in figures if one["value"] is not None]
    panels.quiet(f"{theme.words(kind['title'])}. {kind['sentence']}")
    as_share = measure not in NUMBERS
    if dots:
        panels.figure(
            charts.group_dots(
                sorted(dots, key=lambda dot: -dot.value),
                title=kind["title"],
                as_share=as_share,
                colours=theme.colours(),
            ),
            key=f"fairness_dots_{'_'.join(grouping['columns'])}",
            alt=f"{theme.words(kind['title'])} by group: "
            + "; ".join(in_words(dot, as_share=as_share) for dot in dots),
        )
    small = [f"{name} ({theme.number(one['n'])})" for name, one in figures if one["value"] is None]
    if small:
        panels.quiet(f"Too small to say, with fewer than {found['min_rows']} rows that count: {', '.join(small)}.")
    if grouping["n_not_listed"]:
        panels.quiet(f"{theme.count(grouping['n_not_listed'], 'smaller group')} not listed.")


def criteria(grouping: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    """Each criterion as difference and ratio with its reading, and what it asks."""
    panels.table(
        [
            Row(
                {
                    "Criterion": one["title"],
                    "Difference": theme.interval(one["difference"], one["difference_low"], one["difference_high"]),
                    "Ratio": theme.interval(one["ratio"], one["ratio_low"], one["ratio_high"]),
                    "All equal": theme.MISSING if one["corrected"] is None else theme.pvalue(one["corrected"]),
                    "Reading": theme.mark(*READINGS[one["reading"]]),
                    "In words": one["words"],
                }
            )
            for one in grouping["criteria"]
        ],
        key=f"fairness_criteria_{'_'.join(grouping['columns'])}",
        right=("Difference", "Ratio", "All equal"),
        columns={"In words": st.column_config.TextColumn(width=430)},
        two_lines=True,
    )
    with st.expander("What does this mean?"):
        for one in grouping["criteria"]:
            panels.quiet(f"{one['title']}: {one['sentence']}")
        panels.quiet(
            "The difference is the largest group's value minus the smallest, the ratio the smallest over the largest. "
            "Their intervals allow for looking at all pairs of groups at once, so that equal groups do not look apart."
        )
        panels.quiet(
            f"All equal: how often figures this far apart would come about if all groups were alike, corrected for "
            f"the {found['n_tests']} tests here. Groups differ where it is at most 0.05 and the interval leaves out 0."
        )


@st.fragment
def thresholds(column: str, found: Mapping[str, Any]) -> None:
    """What thresholds by group would even out, cost and change; stored nowhere and applied nowhere."""
    document = next((one for one in found["thresholds"] if one["column"] == column), None)
    if document is None:
        if found["no_thresholds"]:
            panels.quiet(f"No what-if of thresholds by group: {found['no_thresholds']}")
        return
    grid = GroupGrid.from_document(document)
    place = _place(grid)
    goal: Goal = "selection_rate" if st.query_params.get("even") != "true_positive_rate" else "true_positive_rate"
    try:
        asked = what_if(grid, goal, common=place)
    except NotApplicable as error:
        panels.section("What if every group had a threshold of its own?", str(error))
        return
    panels.section(f"What if: {_effect(asked)}")
    panels.notice(
        "This is a what-if: it is stored nowhere and applied nowhere. Treating groups differently may be unlawful.",
        "attention",
    )
    with st.container(horizontal=True, vertical_alignment="bottom"):
        selection.pick("Even out", {key: theme.words(said) for key, said in GOALS.items()}, name="even", width=320)
        _slider(grid, place)
    panels.quiet(
        f"Accuracy {theme.percent(asked.accuracy_before)} → {theme.percent(asked.accuracy)}. "
        f"{theme.count(asked.n_gained, 'row')} more called positive, {theme.number(asked.n_lost)} no longer."
    )
    effects(asked)
    panels.quiet(
        "Each group's threshold is chosen on validation rows, so that its rate there comes nearest to that of all rows "
        "at the one threshold for all; the figures are those of the evaluation set, which did not choose it. Lower a "
        "threshold, and more of a group are called positive."
    )


def effects(asked: WhatIf) -> None:
    """One line a group: its threshold, its rate before and after, whom it moves."""
    panels.table(
        [
            Row(
                {
                    "Group": one.group,
                    "Threshold": theme.number(one.threshold) + ("" if one.chosen else ", kept: too few rows"),
                    "Selected": f"{_share(one.selected_before, one.n_rows)} → {_share(one.selected, one.n_rows)}",
                    "Found": f"{_share(one.found_before, one.n_positive)} → {_share(one.found, one.n_positive)}",
                    "Whom it moves": _moved(one),
                }
            )
            for one in asked.groups
        ],
        key="fairness_what_if",
    )


def _effect(asked: WhatIf) -> str:
    change = theme.interval(asked.accuracy - asked.accuracy_before, asked.change.low, asked.change.high)
    if asked.gap is None:
        return f"thresholds by group change accuracy by {change}"
    return (
        f"the gap goes from {theme.number(asked.gap_before)} to {theme.number(asked.gap)}, and accuracy changes by "
        f"{change}"
    )


def _moved(one: GroupEffect) -> str:
    moved = one.selected - one.selected_before
    if not moved:
        return "nobody"
    right = abs(one.found - one.found_before)
    word = "more called positive" if moved > 0 else "no longer called positive"
    return f"{theme.number(abs(moved))} {word}, {theme.number(right)} of them truly positive"


def _share(part: int, whole: int) -> str:
    return theme.percent(part / whole) if whole else theme.MISSING


def _value(measure: str, value: float) -> str:
    return theme.number(value) if measure in NUMBERS else theme.percent(value, 0)


def _stands(grouping: Mapping[str, Any]) -> str:
    apart = sum(one["reading"] in ("gap", "below") for one in grouping["criteria"])
    small = f", {theme.number(grouping['n_small'])} too small to say" if grouping["n_small"] else ""
    return (
        f"{theme.count(grouping['n_groups'], 'group')}{small}; "
        f"{apart} of {theme.count(len(grouping['criteria']), 'criterion', 'criteria')} not met"
    )


def _place(grid: GroupGrid) -> int:
    """The one threshold for all, as the address says it; the nearest of the grid where it is none of its."""
    try:
        asked = float(st.query_params.get("common", ""))
    except ValueError:
        return grid.common
    return min(range(len(grid.thresholds)), key=lambda place: abs(float(grid.thresholds[place]) - asked))


def _slider(grid: GroupGrid, place: int) -> None:
    st.session_state["fairness_common"] = place

    def keep() -> None:
        threshold = float(grid.thresholds[st.session_state["fairness_common"]])
        st.query_params["common"] = repr(threshold)

    st.select_slider(
        "One threshold for all",
        list(range(len(grid.thresholds))),
        format_func=lambda one: f"{grid.thresholds[one]:.3g}",
        key="fairness_common",
        on_change=keep,
        width=320,
    )


def _sensitive(record: RunRecord) -> Sequence[str]:
    version = reads.audited(datasets.version, record.run.dataset_version_id)
    return reads.audited(datasets.dataset, version.dataset_id).sensitive
