"""Drift of one monitor: over time, one feature then and now, in slices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import streamlit as st

from core.datasets.tables import ColumnKind
from core.drift.drift_tests import DRIFT_TESTS
from core.monitoring import drift_queries, performance_queries, window_queries
from core.monitoring.drift_queries import DriftCell
from core.monitoring.examples import example_rows
from core.monitoring.queries import MonitorRow
from core.monitoring.tables import DriftResult, Window, WindowState
from core.monitoring.window_measures import WINDOW_MEASURES
from core.registry import queries as registry
from core.wording import enumerated
from dashboard import panels, reads, selection, session, theme
from dashboard.charts import monitoring as charts
from dashboard.panels import Row

PREDICTION = "the prediction"
TIMES = {ColumnKind.DATE, ColumnKind.TIMESTAMP}
SHOWN = {"60": "60 newest windows", "365": "365 newest windows"}
AGAINST = {"reference": "the reference", "before": "the window before"}
STATES = {
    WindowState.DRIFTED: theme.mark("Drifted", "attention"),
    WindowState.QUIET: theme.mark("No drift", "healthy"),
    WindowState.NOT_ENOUGH_DATA: theme.mark("Not enough data", "neutral"),
    WindowState.PENDING: theme.mark("Computing", "running"),
    "no_data": theme.mark("No data yet", "neutral"),
}


def shown_name(one: DriftCell | DriftResult) -> str:
    """What a row is called; the prediction is kept apart from a feature of that name."""
    return PREDICTION if one.is_prediction else one.feature


@dataclass(frozen=True)
class Choices:
    """What of a monitor's drift is looked at, from the address."""

    part: str
    against: str
    limit: int


@dataclass(frozen=True)
class Overview:
    """The drift of every window, arranged: window labels from the left, features by their largest effect."""

    cells: Sequence[DriftCell]
    labels: Sequence[str]
    window_of: dict[str, int]
    ranked: Sequence[str]
    fired: Sequence[str]
    against: str = "reference"

    @property
    def finding(self) -> str:
        """The heading: what drifted, and when first."""
        if not self.fired:
            return "No feature drifted in the windows shown"
        names = [name for name in self.fired if name != PREDICTION][:3]
        rest = len(self.fired) - len(names) - (PREDICTION in self.fired)
        if rest:
            names.append(f"{rest} more")
        if PREDICTION in self.fired:
            names.append(PREDICTION)
        said = enumerated(names)
        first = next(cell.window for cell in self.cells if drifted(cell, self.against))
        return f"{said[:1].upper() + said[1:] if said == PREDICTION else said} drifted, first in {first}"


def effect_of(cell: DriftCell, against: str) -> float | None:
    """How far a cell moved from the reference, or from the window before."""
    return cell.effect if against == "reference" else cell.effect_before


def drifted(cell: DriftCell, against: str) -> bool:
    """Whether a cell moved further than chance and what counts."""
    return (cell.state if against == "reference" else cell.state_before) == WindowState.DRIFTED


def choices(row: MonitorRow, n_windows: int) -> Choices:
    """The row of choices above the map; what there is only one of is not asked for."""
    slices = reads.fresh(drift_queries.slices, row.id)
    part, limit = "", 60
    with st.container(horizontal=True, gap="small"):
        against = selection.pick("Held against", AGAINST, name="against")
        if slices:
            part = selection.pick("Rows", {"": "all rows", **{one: one for one in slices}}, name="slice")
        if n_windows > 60:
            limit = int(selection.pick("Windows", SHOWN, name="windows"))
    return Choices(part, against, limit)


def arrange(cells: Sequence[DriftCell], against: str = "reference") -> Overview:
    """Order windows and features for the heat map; one pass, for a year of days is tens of thousands of cells."""
    strength: dict[str, float] = {}
    moved: set[str] = set()
    window_of: dict[str, int] = {}
    for cell in cells:
        name = shown_name(cell)
        window_of[cell.window] = cell.window_id
        ratio = (effect_of(cell, against) or 0.0) / (cell.threshold or 1.0)
        if ratio > strength.get(name, -1.0):
            strength[name] = ratio
        if drifted(cell, against):
            moved.add(name)
    ranked = sorted(strength, key=lambda name: (-strength[name], name))
    return Overview(
        cells=cells,
        labels=list(window_of),
        window_of=window_of,
        ranked=ranked,
        fired=[name for name in ranked if name in moved],
        against=against,
    )


def events(
    row: MonitorRow, overview: Overview, windows: Sequence[Window], incidents: Sequence[tuple[datetime, str]]
) -> list[charts.Event]:
    """What happened over the windows shown: versions that went live and incidents that began."""
    by_id = {window.id: window for window in windows}
    spans = [by_id[overview.window_of[label]] for label in overview.labels]
    found = [
        charts.Event(place, f"v{one.version_number} live", "deployment")
        for one in reads.audited(registry.deployments, row.model_id)
        if (one.environment, one.alias) == (row.environment, row.alias)
        and (place := place_of(one.from_at, spans)) is not None
    ]
    return found + [
        charts.Event(place, title, "incident") for at, title in incidents if (place := place_of(at, spans)) is not None
    ]


def place_of(at: datetime, spans: Sequence[Window]) -> float | None:
    """Where a moment lies on the axis of windows; None before the first."""
    if not spans or at < spans[0].from_at:
        return None
    for column, window in enumerate(spans):
        if at < window.to_at:
            length = (window.to_at - window.from_at).total_seconds()
            inside = max(0.0, (at - window.from_at).total_seconds()) / length if length else 0.0
            return column - 0.5 + inside
    return len(spans) - 0.5


def heat_map(row: MonitorRow, overview: Overview, happened: Sequence[charts.Event]) -> None:
    """Drift over time; choosing a square writes its window and feature into the address."""
    panels.section(
        overview.finding,
        f"Colour is the effect against {AGAINST[overview.against]}, divided by the threshold it has to exceed: grey is "
        "below, full orange three times it. Outlined squares drifted; a stroke means not enough data. Choose a square "
        "to see the feature then and now.",
    )
    labels = overview.labels
    positions = {label: index for index, label in enumerate(labels)}
    shown = overview.ranked[: charts.FEATURES_SHOWN]
    rows_of = set(shown)
    squares = [
        charts.Square(
            column=positions[cell.window],
            feature=shown_name(cell),
            ratio=None if (effect := effect_of(cell, overview.against)) is None else effect / (cell.threshold or 1.0),
            drifted=drifted(cell, overview.against),
            words=f"effect {theme.number(effect)}, threshold {theme.number(cell.threshold)}, "
            + (
                "drifted"
                if drifted(cell, overview.against)
                else "no drift"
                if effect is not None
                else "not enough data"
            ),
        )
        for cell in overview.cells
        if shown_name(cell) in rows_of
    ]
    event = st.plotly_chart(
        charts.heat_map(squares, windows=labels, features=shown, events=happened, colours=theme.colours()),
        theme=None,
        key=f"monitor_map_{row.id}",
        config={"displayModeBar": False},
        on_select="rerun",
        selection_mode="points",
        alt=f"Drift of {len(shown)} features over {theme.count(len(labels), 'window')}. {overview.finding}.",
    )
    if folded := len(overview.ranked) - len(shown):
        panels.quiet(f"{theme.count(folded, 'quieter feature')} {'is' if folded == 1 else 'are'} in the table below.")
    follow(row, [point["customdata"] for point in event["selection"]["points"]], overview)


def follow(row: MonitorRow, chosen: Sequence[Sequence[object]], overview: Overview) -> None:
    """Turn a newly chosen square into the page's selection; a choice is followed once, until another is made."""
    last = f"monitor_square_{row.id}"
    if not chosen:
        st.session_state.pop(last, None)
    for column, feature in chosen:
        window_id = overview.window_of[overview.labels[int(str(column))]]
        if st.session_state.get(last) != (window_id, feature):
            st.session_state[last] = (window_id, feature)
            st.query_params["window"] = str(window_id)
            st.query_params["feature"] = str(feature)
            st.rerun()


def one_window(row: MonitorRow, overview: Overview, part: str) -> int | None:
    """One window: a feature then and now, and every feature in a table; tells which window is shown."""
    told = {cell.window for cell in overview.cells if cell.state != WindowState.NOT_ENOUGH_DATA}
    # The page opens on the newest window that tells something.
    newest = overview.labels[::-1]
    ordered = [label for label in newest if label in told] + [label for label in newest if label not in told]
    newest_first = {str(overview.window_of[label]): label for label in ordered}
    picked = selection.pick("Window", newest_first, name="window")
    window = reads.fresh(window_queries.window, int(picked))
    label = newest_first[picked]
    results = reads.fresh(drift_queries.drift_results, int(picked), part=part)
    if not results:
        panels.quiet(f"Nothing was measured in {label} yet.")
        return None
    then_and_now(chosen_result(results), window, label)
    features_table(row, results, picked)
    return int(picked)


def features_table(row: MonitorRow, results: Sequence[DriftResult], window_id: str) -> None:
    """The features of a window that moved most, each a click away; all of them on request."""
    kept = {name: st.query_params[name] for name in ("slice", "against", "windows", "list") if name in st.query_params}
    folded = len(results) - charts.FEATURES_SHOWN
    if folded > 0:
        lists = {"": f"The {charts.FEATURES_SHOWN} that moved most", "all": f"All {len(results)}"}
        if selection.view("Which features to list", lists, name="list") != "all":
            results = results[: charts.FEATURES_SHOWN]
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
                    "State": STATES.get(one.state, one.state),
                    "Value": theme.interval(one.value, one.low, one.high),
                    "What was found": one.sentence,
                }
            )
            for one in found
        ],
        key="monitor_together",
        right=("Value",),
        columns={"What was found": st.column_config.TextColumn(width=640)},
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


def then_and_now(result: DriftResult, window: Window, label: str) -> None:
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
            in_slices(result, window, label)
        case _ if result.bins:
            panels.figure(
                charts.then_and_now(
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


def in_slices(result: DriftResult, window: Window, label: str) -> None:
    """The same feature in each slice of the window."""
    name = shown_name(result)
    found = reads.fresh(
        drift_queries.feature_in_slices, window.id or 0, feature=result.feature, is_prediction=result.is_prediction
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
