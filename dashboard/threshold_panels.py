"""Choosing a threshold: the slider with what follows from it, a suggestion by a rule, and registering with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from core.datasets import queries as datasets
from core.datasets.costs import BinaryCosts
from core.errors import InvalidInput
from core.evaluation.threshold_choices import ThresholdChoice, choice
from core.evaluation.threshold_figures import FIGURES, FigureKey, Tally
from core.evaluation.threshold_grids import DEFAULT, Grid
from core.evaluation.threshold_rules import Rule, Suggestion, suggest
from core.permissions import Permission
from core.training.queries import RunRecord, ScoredOn
from core.training.threshold_analysis import NO_VALIDATION
from dashboard import analysis_panels, panels, reads, selection, session, theme
from dashboard.charts import runs as run_charts
from dashboard.charts import thresholds as charts
from dashboard.charts.thresholds import Kind
from dashboard.panels import Row

RULES = {
    "cost": "Lowest expected cost",
    "recall": "Recall of at least",
    "precision": "Precision of at least",
    "share": "Share called at most",
    "f1": "Highest F1",
}
USUAL_BOUND = {"recall": 0.9, "precision": 0.8, "share": 0.1}
CURVES: dict[Kind, str] = {
    "roc": "ROC",
    "precision_recall": "Precision and recall",
    "gain": "Gain",
    "cost": "Cost",
}
CURVE_SENTENCES: dict[Kind, tuple[str, str]] = {
    "roc": (
        "Positives found against false alarms",
        "Each point of a line is a threshold; the dotted diagonal is what calling by chance would give.",
    ),
    "precision_recall": (
        "What finding more costs in precision",
        "Further right finds more; higher up means fewer false alarms among the rows called.",
    ),
    "gain": (
        "Positives found by the work it takes",
        "Across is the share of all rows called positive, upwards the share of the positives among them.",
    ),
    "cost": (
        "What a row costs on average",
        "The lowest point of the grey line is where the validation rows cost least; the teal line is what it comes to "
        "on rows that did not choose it.",
    ),
}


def show(record: RunRecord, register: Callable[[RunRecord, ThresholdChoice], None]) -> None:
    """The whole view.

    Parameters
    ----------
    register : callable
        Opens the dialog that registers the run with a threshold.
    """
    scored = analysis_panels.choose(record)
    if scored is None:
        return
    if record.run.validation_sha256 is None:
        panels.notice(NO_VALIDATION, "attention")
        return
    document = analysis_panels.document(record, scored, "thresholds", button="Measure every threshold")
    if document is not None:
        explore(record, Grid.from_document(document), scored, register)


# A fragment, so that a move of the slider draws this part alone.
@st.fragment
def explore(
    record: RunRecord, grid: Grid, scored: ScoredOn, register: Callable[[RunRecord, ThresholdChoice], None]
) -> None:
    """A rule, the slider, and everything that follows from where it stands."""
    costs, note = _costs(record, grid)
    rule = _rule_form(grid, costs, note)
    place = _slider(grid)
    _finding(grid, place, scored.set_label)
    found = _of_the_slider(grid, rule, place)
    if found is not None:
        for sentence in found.sentences:
            panels.quiet(sentence)
    if session.may(Permission.MODEL_REGISTER) and st.button(
        "Register with this threshold", icon=":material/deployed_code:", key="threshold_register"
    ):
        assert record.run.validation_sha256 is not None
        chosen = choice(
            grid,
            place,
            validation_sha256=record.run.validation_sha256,
            predictions_sha256=scored.evaluation.predictions_sha256,
            rule=None if found is None else rule,
            costs=costs,
        )
        register(record, chosen)
    _figures(grid, place, costs)
    _confusions(grid, place)
    _curve(grid, place, costs)


def _costs(record: RunRecord, grid: Grid) -> tuple[BinaryCosts | None, str]:
    """What a mistake costs: as the address says for this page, else as the dataset keeps it; and what to know of it."""
    version = reads.audited(datasets.version, record.run.dataset_version_id)
    kept = BinaryCosts.of(reads.audited(datasets.dataset, version.dataset_id).costs, (grid.negative, grid.positive))
    false_alarm, miss = _number("false_alarm"), _number("miss")
    if false_alarm is None or miss is None:
        return kept, "" if kept else "The dataset keeps no costs yet: what is written here counts on this page alone."
    try:
        given = BinaryCosts(false_alarm, miss, hit=kept.hit if kept else 0.0, rest=kept.rest if kept else 0.0)
    except InvalidInput as error:
        return kept, str(error)
    return given, "" if given == kept else "These costs are this page's alone; the dataset's page keeps those of all."


def _rule_form(grid: Grid, costs: BinaryCosts | None, note: str) -> Rule:
    """The rule with its values, and the click that moves the slider to what it finds; gives the rule last asked for."""
    panels.section(
        "Suggest a threshold",
        "It is chosen on validation rows. The test rows do not choose, so what they show is not flattered by it.",
    )
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        key: Any = selection.pick("What for", RULES, name="rule", resets=("bound", "found"), width=240)
        bound = USUAL_BOUND.get(key)
        if bound is not None:
            bound = min(max(_number("bound") or bound, 0.001), 1.0)
            st.session_state["threshold_bound"] = bound
            st.number_input(
                "Share", min_value=0.001, max_value=1.0, step=0.01, format="%.3f", width=140, key="threshold_bound",
                on_change=_keep, args=("bound", "threshold_bound"),
            )  # fmt: skip
        if key == "cost":
            for name, label, value in (
                ("false_alarm", "A false alarm costs", costs.false_alarm if costs else 1.0),
                ("miss", "A miss costs", costs.miss if costs else 1.0),
            ):
                st.session_state[f"threshold_{name}"] = value
                st.number_input(
                    label, min_value=0.0, step=1.0, format="%g", width=140, key=f"threshold_{name}",
                    on_change=_keep_costs,
                )  # fmt: skip
        rule = Rule(key, bound, (costs or BinaryCosts(1.0, 1.0)) if key == "cost" else None)
        st.button("Find it", icon=":material/search:", key="threshold_find", on_click=_find, args=(grid, rule))
    if key == "cost" and note:
        panels.quiet(note)
    if st.query_params.get("found") == "none":
        for sentence in suggest(grid, rule).sentences:
            panels.notice(sentence, "attention")
    return rule


def _find(grid: Grid, rule: Rule) -> None:
    """Move the slider to what the rule finds; the address holds both."""
    suggestion = suggest(grid, rule)
    st.query_params["found"] = "none" if suggestion.threshold is None else "yes"
    if suggestion.threshold is not None:
        st.query_params["threshold"] = repr(suggestion.threshold)
    if rule.key == "cost" and rule.costs is not None:
        st.query_params["false_alarm"], st.query_params["miss"] = f"{rule.costs.false_alarm:g}", f"{rule.costs.miss:g}"


def _slider(grid: Grid) -> int:
    """The threshold, as the address says it; the nearest of the grid where it is none of its."""
    options = list(range(len(grid.thresholds)))
    asked = _number("threshold")
    place = grid.nearest(DEFAULT if asked is None else asked)
    st.session_state["threshold_place"] = place

    def keep() -> None:
        threshold = float(grid.thresholds[st.session_state["threshold_place"]])
        st.query_params.pop("found", None)
        if threshold == DEFAULT:
            st.query_params.pop("threshold", None)
        else:
            st.query_params["threshold"] = repr(threshold)

    st.select_slider(
        f"Call {theme.plain(grid.positive)} from a score of … on",
        options,
        format_func=lambda one: f"{grid.thresholds[one]:.6g}",
        key="threshold_place",
        on_change=keep,
    )
    return place


def _of_the_slider(grid: Grid, rule: Rule, place: int) -> Suggestion | None:
    """What the rule says, where the slider stands on what it found."""
    if st.query_params.get("found") != "yes":
        return None
    found = suggest(grid, rule)
    return found if found.place == place else None


def _finding(grid: Grid, place: int, rows: str) -> None:
    recall, precision = (grid.test.estimate(key, place) for key in ("recall", "precision"))
    threshold = f"{grid.thresholds[place]:.6g}"
    if recall is None:
        panels.section(f"At {threshold}", f"On {rows} no row is positive, so what it finds is not known.")
    elif precision is None:
        panels.section(f"At {threshold} no row is called {grid.positive}", f"On {rows}.")
    else:
        panels.section(
            f"At {threshold} it finds {theme.percent(recall.value)} of {grid.positive}; "
            f"{theme.percent(precision.value)} of its calls are right",
            f"On the {theme.number(grid.test.n_rows)} test rows of {rows}, "
            f"{theme.number(grid.test.n_positive)} of them {grid.positive}.",
        )


def _figures(grid: Grid, place: int, costs: BinaryCosts | None) -> None:
    """Every figure on validation and on test rows, side by side."""

    def shown(rows: Tally, key: FigureKey) -> str:
        estimate = rows.estimate(key, place, costs)
        return theme.MISSING if estimate is None else theme.interval(*estimate)

    panels.table(
        [
            Row(
                {
                    "Figure": figure.title,
                    "Test": shown(grid.test, key),
                    "Validation": shown(grid.validation, key),
                    "What it means": figure.sentence,
                }
            )
            for key, figure in FIGURES.items()
            if key != "cost" or costs is not None
        ],
        key="threshold_figures",
        right=("Test", "Validation"),
        columns={"What it means": st.column_config.TextColumn(width=480)},
    )
    panels.quiet("The brackets hold the 95 % interval: where the figure would lie on other rows of the same kind.")


def _confusions(grid: Grid, place: int) -> None:
    """The four outcomes on both sets of rows."""
    panels.section(
        "The four outcomes",
        "Each row of a square is a true class; a stronger shade is a larger share of it."
        + (" Rows count by their weight, a row of average weight as one." if grid.test.weighted else ""),
    )
    for column, (words, rows) in zip(
        st.columns(2), (("Test", grid.test), ("Validation", grid.validation)), strict=True
    ):
        # Weights may come in any unit; scaled to the number of rows the cells are read as rows.
        scale = rows.n_rows / float(rows.cells[:, place].sum()) if rows.weighted else 1.0
        tp, fp, tn, fn = (float(cell) * scale for cell in rows.cells[:, place])
        matrix = {"labels": [grid.negative, grid.positive], "matrix": [[tn, fp], [fn, tp]]}
        with column:
            panels.quiet(f"{words}, {theme.count(rows.n_rows, 'row')}")
            panels.figure(
                run_charts.confusion(matrix, colours=theme.colours()),
                key=f"threshold_confusion_{words}",
                alt=f"{words} rows: {tp:,.0f} {grid.positive} found, {fn:,.0f} missed, {fp:,.0f} false alarms, "
                f"{tn:,.0f} rightly left",
            )


def _curve(grid: Grid, place: int, costs: BinaryCosts | None) -> None:
    """One trade-off curve at a time, the chosen threshold marked on it."""
    kinds = {kind: words for kind, words in CURVES.items() if kind != "cost" or costs is not None}
    kind: Any = selection.view("Curve", {str(kind): words for kind, words in kinds.items()}, name="curve")
    panels.section(*CURVE_SENTENCES[kind])
    threshold = float(grid.thresholds[place])
    drawn = charts.lines(grid, place, kind, costs=costs)
    panels.figure(
        charts.curve(drawn, kind, threshold=threshold, colours=theme.colours()),
        key=f"threshold_curve_{kind}",
        alt=charts.in_words(drawn, kind, threshold=threshold),
    )


def _number(name: str) -> float | None:
    """A number >= 0 from the address; None where there is none."""
    try:
        value = float(st.query_params.get(name, ""))
    except ValueError:
        return None
    return value if 0 <= value < 1e12 else None


def _keep(name: str, key: str) -> None:
    st.query_params.pop("found", None)
    st.query_params[name] = f"{st.session_state[key]:g}"


def _keep_costs() -> None:
    for name in ("false_alarm", "miss"):
        _keep(name, f"threshold_{name}")
