"""Drift in one window of a monitor: one feature then and now, in slices, every feature in a table."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import streamlit as st

from core.datasets.tables import ColumnKind
from core.drift.drift_tests import DRIFT_TESTS
from core.monitoring import drift_queries, performance_queries
from core.monitoring.drift_queries import DriftMap, WatchedColumn
from core.monitoring.examples import example_rows
from core.monitoring.queries import MonitorRow
from core.monitoring.tables import DriftResult, WindowState
from core.monitoring.window_measures import WINDOW_MEASURES
from dashboard import panels, reads, selection, session, theme
from dashboard.charts.monitoring import FEATURES_SHOWN
from dashboard.charts.then_and_now import then_and_now as then_and_now_chart
from dashboard.panels import Row

PREDICTION = "the prediction"
TIMES = {ColumnKind.DATE, ColumnKind.TIMESTAMP}
STATES = {
    WindowState.DRIFTED: theme.mark("Drifted", "attention"),
    WindowState.QUIET: theme.mark("No drift", "healthy"),
    WindowState.NOT_ENOUGH_DATA: theme.mark("Not enough data", "neutral"),
    WindowState.PENDING: theme.mark("Computing", "running"),
    "no_data": theme.mark("No data yet", "neutral"),
}
MEASURE_STATES = STATES | {
    WindowState.DRIFTED: theme.mark("Shows", "attention"),
    WindowState.QUIET: theme.mark("Quiet", "healthy"),
}
"""Of what is measured on a window as a whole: a stretch without rows is no drift."""


def shown_name(one: WatchedColumn | DriftResult) -> str:
    """What a row is called; the prediction is kept apart from a feature of that name."""
    return PREDICTION if one.is_prediction else one.feature


def one_window(row: MonitorRow, found: DriftMap, part: str) -> int | None:
    """One window: a feature then and now, and every feature in a table; tells which window is shown."""
    told = {one.place for one in found.squares if one.state != WindowState.NOT_ENOUGH_DATA}
    # The page opens on the newest window that tells something.
    newest = sorted(range(len(found.windows)), key=lambda place: (place not in told, -place))
    newest_first = {str(found.windows[place].id): found.windows[place].label for place in newest}
    picked = selection.pick("Window", newest_first, name="window")
    label = newest_first[picked]
    results = reads.fresh(drift_queries.drift_results, int(picked), part=part)
    if not results:
        panels.quiet(f"Nothing was measured in {label} yet.")
        return None
    then_and_now(chosen_result(results), label)
    features_table(row, results, picked)
    return int(picked)


def features_table(row: MonitorRow, results: Sequence[DriftResult], window_id: str) -> None:
    """The features of a window that moved most, each a click away; all of them on request."""
    kept = {name: st.query_params[name] for name in ("slice", "against", "windows", "list") if name in st.query_params}
    folded = len(results) - FEATURES_SHOWN
    if folded > 0:
        lists = {"": f"The {FEATURES_SHOWN} that moved most", "all": f"All {len(results)}"}
        if selection.view("Which features to list", lists, name="list") != "all":
            results = results[:FEATURES_SHOWN]
    panels.table(
        [
            Row(
                {
                    "Feature": shown_name(one),
                    "State": STATES.get(one.state, one.state),
                    "Effect": theme.number(one.effect),
                    "Threshold": theme.number(one.threshold),
                    "Against before": theme.number(one.effect_before),
                    "Test": DRIFT_TESTS[one.test].title,
                    "Rows": theme.number(one.n_current),
                },
                page="monitor",
                query={"monitor": row.id, "window": window_id, "feature": shown_name(one), **kept},
            )
            for one in results
        ],
        key="monitor_features",
        right=("Effect", "Threshold", "Against before", "Rows"),
    )


def chosen_result(results: Sequence[DriftResult]) -> DriftResult:
    """The feature in the address, else the one that drifted most, else the first."""
    asked = session.chosen_text("feature")
    named = [one for one in results if shown_name(one) == asked]
    moved = [one for one in results if one.state == WindowState.DRIFTED and not one.is_prediction]
    return (named or moved or list(results))[0]


def together(window_id: int) -> None:
    """What is said of the window as a whole, beside each column by itself."""
    found = reads.fresh(performance_queries.window_measures, window_id)
    if not found:
        return
    moved = [one for one in found if one.state == WindowState.DRIFTED]
    panels.section(
        moved[0].sentence.rstrip(".") if moved else "Nothing more shows when all columns are taken together",
        "Columns taken together, what a score means, and what training never held. They raise no alert: they tell "
        "where to look.",
    )
    panels.table(
        [
            Row(
                {
                    "What": WINDOW_MEASURES[one.kind].title,
                    "State": MEASURE_STATES.get(one.state, one.state),
                    "Value": theme.interval(one.value, one.low, one.high),
                    "What was found": one.sentence,
                }
            )
            for one in found
        ],
        key="monitor_together",
        right=("Value",),
        columns={"What was found": st.column_config.TextColumn(width=560)},
        two_lines=True,
    )
    with st.expander("What do these mean?"):
        for one in found:
            kind = WINDOW_MEASURES[one.kind]
            st.text(f"{kind.title}: {kind.sentence} The value is the {kind.value}.")


GOES_ON = (
    "A date moves with time by itself: rows of today hold later dates than those the model was trained on. That is no "
    "sign of a fault; a model that leans on the date itself ages with it."
)
PARTS = {"distribution": "Distribution", "tests": "Every test", "rows": "Example rows", "slices": "Slices"}


def then_and_now(result: DriftResult, label: str) -> None:
    """One feature in the reference and in the window."""
    name, test = shown_name(result), DRIFT_TESTS[result.test]
    rows = f"{theme.count(result.n_reference, 'reference row')}, {theme.count(result.n_current, 'current row')}"
    if result.state == WindowState.NOT_ENOUGH_DATA:
        panels.section(f"{label} does not hold enough data to say how {name} moved", f"{rows}.")
    else:
        panels.section(
            f"{name} {'moved' if result.state == WindowState.DRIFTED else 'looks as before'} in {label}",
            f"{test.title}: effect {theme.number(result.effect)}, where {theme.number(result.threshold)} or more "
            f"counts; {theme.pvalue(result.pvalue)} by itself; {rows}. {test.sentence}",
        )
        if result.state == WindowState.DRIFTED and result.column_kind in TIMES and not result.is_prediction:
            panels.quiet(GOES_ON)
    part = selection.view("How to look at it", PARTS, name="part")
    match part:
        case "tests":
            every_test(result)
        case "rows":
            examples(result, name, label)
        case "slices":
            in_slices(result, label)
        case _ if result.bins:
            panels.figure(
                then_and_now_chart(
                    {**result.bins, "of_time": result.column_kind in TIMES}, feature=name, colours=theme.colours()
                ),
                key="monitor_then_and_now",
                alt=f"Distribution of {name} in the reference and in {label}.",
            )


def every_test(result: DriftResult) -> None:
    """What each test of the catalogue says of this feature; those that decide are marked."""
    panels.table(
        [
            Row(
                {
                    "Test": DRIFT_TESTS[one["test"]].title,
                    "Decides": "yes" if one.get("decides") else "no",
                    "Effect": theme.number(one.get("effect")),
                    "Threshold": theme.number(one.get("threshold")),
                    "p": theme.pvalue(one.get("pvalue")).removeprefix("p ").removeprefix("= "),
                    "p-value is": theme.words(str(one.get("method") or theme.MISSING)),
                    "What it says": DRIFT_TESTS[one["test"]].sentence,
                }
            )
            for one in result.tests
            if one["test"] in DRIFT_TESTS
        ],
        key="monitor_every_test",
        right=("Effect", "Threshold", "p"),
        two_lines=True,
    )
    panels.quiet(
        "Several tests look at the same change in different units. Only those that decide can raise an alert, so that "
        "looking at more of them costs no false alert."
    )


def examples(result: DriftResult, name: str, label: str) -> None:
    """Some rows of the window where it has most more than the reference."""
    found = example_rows(session.workspace(), result.id or 0)
    if not found:
        panels.quiet(f"No kept row of {label} lies where {name} grew most.")
        return
    columns = list(dict.fromkeys(column for row in found for column in row))
    panels.table([Row({column: _cell(row.get(column)) for column in columns}) for row in found], key="monitor_rows")
    panels.quiet(f"Rows of {label} where {name} grew most against the reference; the oldest first.")


def _cell(value: object) -> str:
    match value:
        case None:
            return theme.MISSING
        case datetime():
            return theme.stamp(value)
        case bool() | str():
            return str(value)
        case int() | float():
            return f"{value:,.0f}" if value == round(value) and abs(value) < 1e15 else theme.number(value)
        case _:
            return str(value)


def in_slices(result: DriftResult, label: str) -> None:
    """The same feature in each slice of the window."""
    name = shown_name(result)
    found = reads.fresh(
        drift_queries.feature_in_slices, result.window_id, feature=result.feature, is_prediction=result.is_prediction
    )
    if not found:
        panels.quiet("This monitor measures all rows only. Its settings name the columns to slice by.")
        return
    panels.table(
        [
            Row(
                {
                    "Rows": one.slice or "all rows",
                    "State": STATES.get(one.state, one.state),
                    "Effect": theme.number(one.effect),
                    "Threshold": theme.number(one.threshold),
                    "Number of rows": theme.number(one.n_current),
                }
            )
            for one in found
        ],
        key="monitor_slices",
        right=("Effect", "Threshold", "Number of rows"),
    )
    panels.quiet(f"{name} in {label}, slice by slice: a change in few rows hides in all of them.")
