"""The run page's view that explains: what the model relies on, how it moves with a feature, one row, and what if."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from core.datasets.tables import ColumnKind
from core.errors import LifecycleError
from core.evaluation import queries as evaluations
from core.evaluation.metrics import METRICS
from core.evaluation.tables import Task
from core.serving.inputs import check_rows
from core.training.queries import RunRecord, ScoredOn
from core.wording import enumerated
from dashboard import analysis_panels, panels, reads, selection, session, theme
from dashboard.charts import explanation as charts
from dashboard.charts.runs import Dot, in_words

DATES = (ColumnKind.DATE, ColumnKind.TIMESTAMP)
LARGEST_WHOLE = 2**53 - 1
FIELDS_SHOWN = 12
MOST_GROUPS = 3
UNKNOWN = "missing"
ROW, WHAT_IF = "row", "if"


def show(record: RunRecord) -> None:
    """Explain a run: as a whole, or one of its rows."""
    parts = {"model": "The model", "row": "One row"}
    if selection.view("What to explain", parts, name="part") == "model":
        relied_on(record)
        scored = analysis_panels.choose(record)
        if scored is not None:
            moves(record, scored)
        return
    scored = analysis_panels.choose(record)
    if scored is not None:
        one_row(record, scored)


def relied_on(record: RunRecord) -> None:
    """Permutation importance with its interval, and the features that share theirs."""
    kept = record.run.importance
    if not kept or not kept["features"]:
        panels.notice("No importance was computed: too few rows to shuffle, or nothing to predict from.")
        return
    metric = METRICS[kept["metric"]]
    dots = [_dot(one) for one in kept["features"]]
    top = dots[0]
    bar = (
        "The bar is the 95 % interval over other rows and other shuffles"
        if "low" in kept["features"][0]
        else "The bar is one standard deviation over the shuffles alone, which understates what other rows would change"
    )
    panels.section(
        f"The model relies most on {top.label}" if top.value > 0 else "The model relies on no single feature",
        f"How much {theme.inside(metric.title)} worsens when one feature's values are shuffled: the mean of "
        f"{kept['repeats']} shuffles of {theme.number(kept['rows'])} validation rows"
        f"{', which count alike whatever their weights' if record.run.weight_column else ''}. {bar}. "
        "Features that say the same thing share their importance.",
    )
    panels.figure(
        charts.importance(dots, colours=theme.colours(), metric=theme.inside(metric.title)),
        key="run_importance",
        alt="Permutation importance: " + "; ".join(in_words(dot) for dot in dots[:15]),
    )
    if len(dots) > 15:
        panels.quiet(f"{len(dots) - 15} more matter less.")
    for group in kept.get("groups", [])[:MOST_GROUPS]:
        panels.notice(
            f"{enumerated(group['features'])} say much the same (association {theme.number(group['association'], 2)}): "
            "look at them as one. Shuffled together they cost "
            f"{theme.interval(group['mean'], group['low'], group['high'])}."
        )


def _dot(entry: Mapping[str, Any]) -> Dot:
    if "low" in entry:
        return Dot(entry["name"], entry["mean"], entry["low"], entry["high"])
    return Dot(entry["name"], entry["mean"], entry["mean"] - entry["std"], entry["mean"] + entry["std"])


def moves(record: RunRecord, scored: ScoredOn) -> None:
    """Partial dependence of a chosen feature, with individual lines."""
    first = analysis_panels.document(record, scored, "partial_dependence", button="Show how the prediction moves")
    if first is None:
        return
    kinds = {entry["name"]: entry["kind"] for entry in _features(record)}
    names = [one["name"] for one in first["features"]]
    names += [name for name, kind in kinds.items() if name not in names and kind not in DATES]
    classes = [first["of"], *(one for one in (record.run.signature or {})["classes"] or () if one != first["of"])]
    with st.container(horizontal=True, gap="small"):
        name = selection.pick("Feature", {one: one for one in names}, name="feature")
        of = first["of"]
        if record.run.task == Task.MULTICLASS:
            of = selection.pick("Score of", {one: one for one in classes}, name="class")
    document: dict[str, Any] | None = first
    if of != first["of"] or name not in [one["name"] for one in first["features"]]:
        options: dict[str, Any] = {"features": [name]} | ({"class": of} if record.run.task == Task.MULTICLASS else {})
        document = analysis_panels.document(
            record, scored, "partial_dependence", options, button=f"Show how the prediction moves with {name}"
        )
    if document is None:
        return
    feature = next(one for one in document["features"] if one["name"] == name)
    if not feature["values"]:
        panels.notice(f"{name} has no value in any row of {scored.set_label}, so nothing can be shown.")
        return
    _moves_with(feature, document)


def _moves_with(feature: Mapping[str, Any], document: Mapping[str, Any]) -> None:
    name, values, average = feature["name"], feature["values"], feature["average"]
    known = [place for place, share in enumerate(feature["share"]) if share >= charts.SPARSE] or [*range(len(values))]
    low, high = (pick(known, key=average.__getitem__) for pick in (min, max))
    what = "prediction" if document["of"] is None else f"score of {document['of']}"
    same = math.isclose(average[low], average[high], abs_tol=1e-9)
    numbers = feature["kind"] not in (ColumnKind.CATEGORY, ColumnKind.BOOLEAN)

    def said(value: float) -> str:
        # A score of 0.00001 is nothing, and is said so.
        return theme.number(value if document["of"] is None else round(value, 3))

    drawn_as = "each faint line" if numbers else "each faint mark"
    sparse = "Dotted" if numbers else "Hollow"
    panels.section(
        f"The {what} does not move with {name}"
        if same
        else f"The mean {what} is lowest at {name} {charts.worded(values[low])} ({said(average[low])}), "
        f"highest at {charts.worded(values[high])} ({said(average[high])})",
        f"What the model would say of {theme.number(document['n_rows'])} rows if {name} alone were changed: the "
        f"strong {'line' if numbers else 'dot'} is their mean, {drawn_as} one row. {sparse} where fewer than one row "
        "in 200 lies near. Everything else is left as it is, so where features depend on each other some of these "
        "rows never occur.",
    )
    lines = selection.view(
        "Lines",
        {"level": "As predicted", "change": f"Change from {charts.worded(values[0])}"},
        name="lines",
    )
    panels.figure(
        charts.dependence(
            feature,
            colours=theme.colours(),
            title=("change of " if lines == "change" else "") + charts.output_title(document["of"]),
            centred=lines == "change",
        ),
        key="run_dependence",
        alt=f"Mean {what} by {name}: "
        + "; ".join(f"{charts.worded(x)} {theme.number(y)}" for x, y in zip(values, average, strict=True)),
    )
    if feature["missing"]:
        panels.quiet(
            f"Where {name} is missing ({theme.percent(feature['missing']['share'])} of the rows) the mean would be "
            f"{theme.number(feature['missing']['average'])}."
        )
    if feature["n_values"] > len(values) and not numbers:
        panels.quiet(f"{theme.number(feature['n_values'] - len(values))} rarer values are not drawn.")


def one_row(record: RunRecord, scored: ScoredOn) -> None:
    """Choose a row of the evaluation set; what made its prediction; what would be if it were different."""
    row = choose_row(record, scored)
    if row is None:
        panels.empty_state(
            "Choose a row",
            "By its number, or let one be picked: you then see what each of its features adds to its prediction, and "
            "what the model would say if some of its values were different.",
        )
        return
    known = _ordinals(scored)
    if row - 1 not in known:
        near = sorted(known[np.argsort(np.abs(known - (row - 1)), kind="stable")[:3]] + 1)
        panels.section(
            f"Row {theme.number(row)} is not among the rows of {scored.set_label}",
            f"It was trained on, or is not there. The set holds {theme.count(len(known), 'row')}; nearest are the rows "
            f"{enumerated([theme.number(int(one)) for one in near])}.",
        )
        return
    found = analysis_panels.document(
        record, scored, "contributions", {"ordinal": row - 1}, button=f"Explain row {theme.number(row)}"
    )
    if found is not None:
        explained(row, found)
        what_if(record, scored, row, found)


def choose_row(record: RunRecord, scored: ScoredOn) -> int | None:
    """The row in the address, counted from 1 in its dataset version; None where none is chosen."""
    chosen = session.chosen_id(ROW) or None
    st.session_state["explained_row"] = chosen

    def typed() -> None:
        go_to(st.session_state["explained_row"])

    def go_to(number: int | None) -> None:
        st.query_params.pop(WHAT_IF, None)
        if number is None:
            st.query_params.pop(ROW, None)
        else:
            st.query_params[ROW] = str(number)

    def pick(ordinal: int) -> None:
        go_to(ordinal + 1)
        if analysis_panels.known(scored, "contributions", {"ordinal": ordinal}) is None:
            analysis_panels.ask(record, scored, "contributions", {"ordinal": ordinal}, in_callback=True)

    def pick_any() -> None:
        pick(int(random.choice(_ordinals(scored))))  # noqa: S311 - which row is looked at is no secret

    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        st.number_input(
            "Row", min_value=1, max_value=LARGEST_WHOLE, step=1, key="explained_row", on_change=typed, width=160,
            help="Counted from 1 in the dataset version of the evaluation set.",
        )  # fmt: skip
        st.button("A random row", icon=":material/casino:", key="explain_random", on_click=pick_any)
        errors = analysis_panels.known(scored, "errors")
        if errors and errors["hardest"]:
            furthest = "The furthest off" if record.run.task == Task.REGRESSION else "The surest mistake"
            ordinal = int(errors["rows"][errors["hardest"][0]]["ordinal"])
            st.button(furthest, icon=":material/target:", key="explain_mistake", on_click=pick, args=(ordinal,))
    return chosen


def _ordinals(scored: ScoredOn) -> NDArray[np.int64]:
    return reads.immutable(
        evaluations.predictions_file, session.workspace().artifacts, scored.evaluation.predictions_sha256
    ).ordinals


def explained(row: int, found: Mapping[str, Any]) -> None:
    """One row's way from the mean prediction to its own."""
    digits = digits_of(found)
    panels.section(f"Row {theme.number(row)} {_said_of(found, digits)}", found["sentence"])
    panels.figure(
        charts.way(found, colours=theme.colours(), digits=digits), key="run_contributions", alt=found["sentence"]
    )
    panels.quiet(found["meaning"])
    with st.expander(f"All {theme.count(len(found['entries']), 'feature')}"):
        panels.table(
            [
                panels.Row(
                    {
                        "Feature": one["feature"],
                        "Value": charts.worded(one["value"]),
                        "Adds": theme.difference(one["contribution"], digits + 1),
                        "Error": theme.number(one["standard_error"], digits + 2),
                    }
                )
                for one in found["entries"]
            ],
            key="run_contribution_table",
            right=("Adds", "Error"),
        )
        panels.quiet(
            "The error is how far a figure would typically move with other training rows and other orders"
            + ("; all orders were gone through." if found["exact"] else ".")
        )


def _said_of(found: Mapping[str, Any], digits: int) -> str:
    """What is predicted, and whether it is so, after "Row 12"."""
    if found["of"] is None:
        said = f"is predicted {theme.number(found['prediction'], digits)}"
        return said if found["truth"] is None else f"{said}; it is {theme.number(found['truth'], digits)}"
    said = f"is predicted {found['label']}; its score of {found['of']} is {theme.number(found['prediction'])}"
    if found["truth"] is None:
        return said
    return f"{said}, and {'that is right' if found['truth'] == found['label'] else 'it is ' + found['truth']}"


def what_if(record: RunRecord, scored: ScoredOn, row: int, found: Mapping[str, Any]) -> None:
    """A form with the row's values; what the model would say of what was typed, beside what it says."""
    panels.section("What if it were different?", "Change any value and have it predicted; nothing is stored as data.")
    asked = _asked_values(scored)
    values = _form(record, row, asked or found["values"])
    if values is not None:
        try:
            check_rows([values], record.run.signature or {"features": []})
        except LifecycleError as error:
            panels.refusal(str(error).removeprefix("Row 1, "))  # there is only the one
            return
        options = {"values": values}
        if analysis_panels.known(scored, "contributions", options) is None:
            analysis_panels.ask(record, scored, "contributions", options)
        st.session_state["what_if_asked"] = options
        st.query_params[WHAT_IF] = _code(options)
        st.rerun()
    if asked is None:
        return
    answer = analysis_panels.document(record, scored, "contributions", {"values": asked}, button="Predict again")
    if answer is not None:
        side_by_side(found, answer)


def side_by_side(was: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """The old and the new prediction, what was changed, and what each feature adds in both."""
    changed = [name for name, value in was["values"].items() if now["values"][name] != value]
    if not changed:
        panels.notice("Nothing was changed: these are the row's own values.")
        return
    digits = digits_of(was)
    of = "the prediction" if now["of"] is None else f"the score of {now['of']}"
    if was["of"] == now["of"]:
        old, new = (theme.number(one["prediction"], digits if one["of"] is None else 3) for one in (was, now))
        moved = f"moves {of} from {old} to {new}"
    else:
        moved = f"makes it {now['label']} instead of {was['label']}"
    panels.section(
        f"Changing {enumerated(changed[:4])} {moved}",
        ("" if was["of"] is None or was["label"] == now["label"] else f"It would be predicted {now['label']}. ")
        + now["sentence"],
    )
    panels.table(
        [
            panels.Row(
                {
                    "Changed": name,
                    "Was": charts.worded(was["values"][name]),
                    "What if": charts.worded(now["values"][name]),
                    "Added": theme.difference(_of(was, name), digits + 1),
                    "Would add": theme.difference(_of(now, name), digits + 1),
                }
            )
            for name in changed
        ],
        key="run_what_if_table",
        right=("Was", "What if", "Added", "Would add"),
    )
    if was["of"] == now["of"]:
        panels.figure(
            charts.what_if(was, now, colours=theme.colours(), digits=digits),
            key="run_what_if",
            alt="What each feature adds, before and after: "
            + "; ".join(
                f"{one['feature']} {theme.difference(_of(was, one['feature']), digits)} and "
                f"{theme.difference(one['contribution'], digits)}"
                for one in now["entries"][:10]
            ),
        )
    panels.quiet(
        "It is what the model says of such a row, not what would happen to a person or thing: other features would "
        "change along with these."
    )


def digits_of(found: Mapping[str, Any]) -> int:
    """How many digits of a prediction mean something: two of a share, else three in all."""
    scale = max(abs(found["base"]), abs(found["prediction"]))
    if found["of"] is not None or scale == 0:
        return 2
    return min(6, max(0, 2 - math.floor(math.log10(scale))))


def _form(record: RunRecord, row: int, start: Mapping[str, Any]) -> dict[str, Any] | None:
    """The form; what it holds when it was sent, else None."""
    ranked = [one["name"] for one in (record.run.importance or {}).get("features", [])]
    order = {name: place for place, name in enumerate(ranked)}
    features = sorted(_features(record), key=lambda entry: order.get(entry["name"], len(order)))
    values: dict[str, Any] = {}
    with st.form(f"what_if_{record.run.id}_{row}", border=False):
        with st.grid(columns=4, min_column_width=150):
            for entry in features[:FIELDS_SHOWN]:
                values[entry["name"]] = _field(record, row, entry, start.get(entry["name"]))
        if len(features) > FIELDS_SHOWN:
            folded = theme.count(
                len(features) - FIELDS_SHOWN, "more feature that matters less", "more features that matter less"
            )
            with st.expander(folded), st.grid(columns=4, min_column_width=150):
                for entry in features[FIELDS_SHOWN:]:
                    values[entry["name"]] = _field(record, row, entry, start.get(entry["name"]))
        sent = st.form_submit_button("Predict", icon=":material/play_arrow:", key="what_if_predict")
    return {entry["name"]: values[entry["name"]] for entry in _features(record)} if sent else None


def _field(record: RunRecord, row: int, entry: Mapping[str, Any], value: Any) -> Any:
    """One feature's input, begun with a value; what it holds as a caller would send it."""
    name, kind = entry["name"], entry["kind"]
    label, key = theme.plain(name), f"what_if_{record.run.id}_{row}_{name}"
    may_miss = "Leave it empty for a missing value." if entry["nullable"] else None
    numeric = kind in (ColumnKind.INTEGER, ColumnKind.NUMBER)
    whole = kind == ColumnKind.INTEGER and abs(value or 0) <= LARGEST_WHOLE
    if numeric and value is not None:
        value = int(value) if whole else float(value)
    if key not in st.session_state:
        # Handed over here, not as the widget's default: a field with a default springs back to it when it is emptied.
        st.session_state[key] = value
    if numeric:
        return st.number_input(
            label,
            value=None,
            step=1 if whole else None,
            format=None if whole else "%.10g",
            placeholder=UNKNOWN,
            help=may_miss,
            key=key,
        )
    if kind == ColumnKind.BOOLEAN or (kind == ColumnKind.CATEGORY and entry["categories"]):
        known = [True, False] if kind == ColumnKind.BOOLEAN else list(entry["categories"])
        kept = st.session_state[key]
        known += [kept] if kept is not None and kept not in known else []
        return st.selectbox(
            label, known, index=None, format_func=charts.worded, placeholder=UNKNOWN, help=may_miss, key=key
        )
    return st.text_input(label, value=None, placeholder=UNKNOWN, help=may_miss, key=key) or None


def _asked_values(scored: ScoredOn) -> dict[str, Any] | None:
    """The values last asked about: from this session, or of a stored answer that the address names."""
    code = session.chosen_text(WHAT_IF)
    if code is None:
        return None
    options = st.session_state.get("what_if_asked")
    if options is not None and _code(options) == code:
        return dict(options["values"])
    return reads.audited(_stored_values, scored.evaluation.id or 0, code)


def _stored_values(db: Any, evaluation_id: int, code: str) -> dict[str, Any] | None:
    return next(
        (
            one.options["values"]
            for one in evaluations.analyses(db, evaluation_id=evaluation_id, kind="contributions")
            if one.options_digest.startswith(code) and "values" in one.options
        ),
        None,
    )


def _code(options: Mapping[str, Any]) -> str:
    """What stands for typed values in the address."""
    return evaluations.options_digest(options)[:16]


def _features(record: RunRecord) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (record.run.signature or {}).get("features", [])
    return found


def _of(document: Mapping[str, Any], name: str) -> float:
    return next(float(one["contribution"]) for one in document["entries"] if one["feature"] == name)
