"""The run page's view of errors: the rows behind each kind of mistake, the hardest rows, labels that may be wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from core.training.queries import RunRecord
from dashboard import analysis_panels, panels, selection, session, theme
from dashboard.charts import errors as charts
from dashboard.charts.explanation import worded

MOST_VALUES = 4
CELL = "cell"


def show(record: RunRecord) -> None:
    """The errors of one evaluation of a run."""
    scored = analysis_panels.choose(record)
    if scored is None:
        return
    found = analysis_panels.document(record, scored, "errors", button="Look at the errors")
    if found is None:
        return
    views = {"mistakes": "Mistakes"} if found["cells"] else {}
    views |= {"hardest": "Hardest rows", "labels": "Suspected labels"}
    match selection.view("Kind of error", views, name="errors"):
        case "mistakes":
            mistakes(record, found)
        case "hardest":
            hardest(record, found)
        case _:
            suspected(record, found)


def mistakes(record: RunRecord, found: Mapping[str, Any]) -> None:
    """The confusion square, of which a cell is chosen by a click or in the box, and that cell's rows."""
    cells = found["cells"]
    labels = sorted({cell[side] for cell in cells for side in ("true", "predicted")})
    place = {label: number for number, label in enumerate(labels)}
    counts = [[0] * len(labels) for _ in labels]
    for cell in cells:
        counts[place[cell["true"]]][place[cell["predicted"]]] = cell["n"]
    codes = {str(number): cell for number, cell in enumerate(cells)}
    worst = cells[0]
    panels.section(
        f"Most often {worst['true']} is taken for {worst['predicted']}: {theme.count(worst['n'], 'row')}"
        if worst["true"] != worst["predicted"]
        else "No row is mistaken for another class",
        f"{theme.number(found['n_wrong'])} of {theme.number(found['n_rows'])} rows are predicted wrong. Each row of "
        "the square is a true class; choose a cell to see the rows in it.",
    )
    chosen = codes.get(st.query_params.get(CELL, "0"), worst)
    code_of = {(cell["true"], cell["predicted"]): code for code, cell in codes.items()}
    panels.choosable(
        charts.choosable_confusion(
            labels, counts, chosen=(chosen["true"], chosen["predicted"]), colours=theme.colours()
        ),
        key=f"errors_square_{record.run.id}",
        alt="Rows by true and predicted class: "
        + "; ".join(f"{cell['true']} as {cell['predicted']} {cell['n']:,}" for cell in cells),
        address=lambda point: {CELL: code_of[clicked]} if (clicked := tuple(point["customdata"])) in code_of else {},
    )
    if found["n_cells_left_out"]:
        panels.quiet(f"{theme.number(found['n_cells_left_out'])} rarer cells are not kept.")
    code = selection.pick("Rows that are", {code: _cell(cell) for code, cell in codes.items()}, name=CELL, width=420)
    cell = codes[code]
    right = cell["true"] == cell["predicted"]
    shown = len(cell["rows"])
    panels.section(
        f"{cell['true']}, predicted so" if right else f"{cell['true']}, taken for {cell['predicted']}",
        (f"The {shown} surest of {theme.count(cell['n'], 'row')}. " if shown < cell["n"] else f"All {shown}. ")
        + (
            "Sure is the score that the model gave its answer: a mistake it was sure of says more than a close call."
            if not right
            else "Sure is the score that the model gave its answer."
        ),
    )
    _rows(record, found, [found["rows"][number] for number in cell["rows"]], key="errors_cell", pair=False)


def _cell(cell: Mapping[str, Any]) -> str:
    rows = theme.count(cell["n"], "row")
    if cell["true"] == cell["predicted"]:
        return f"{cell['true']}, predicted so ({rows})"
    return f"{cell['true']} taken for {cell['predicted']} ({rows})"


def hardest(record: RunRecord, found: Mapping[str, Any]) -> None:
    """The rows with the highest loss."""
    rows = [found["rows"][number] for number in found["hardest"]]
    if not rows:
        panels.section("No row is predicted wrong")
        return
    numbers = found["task"] == "regression"
    panels.section(
        f"The {theme.count(len(rows), 'row')} furthest off"
        if numbers
        else f"The {theme.count(len(rows), 'row')} it was most surely wrong about",
        f"By {found['loss']}, "
        + (
            "the distance of the prediction from the truth."
            if numbers
            else "which is highest where the model was sure of another class."
        )
        + " Look for what they have in common: a value that never occurs elsewhere, a unit, a missing field.",
    )
    _rows(record, found, rows, key="errors_hardest", pair=True)


def suspected(record: RunRecord, found: Mapping[str, Any]) -> None:
    """Labels that may be wrong, where there are more than chance would give."""
    told = found["suspected"]
    if told["reason"]:
        panels.section("Whether labels are wrong cannot be told", told["reason"])
        return
    numbers = found["task"] == "regression"
    expected = theme.number(round(told["n_expected"]))
    counted = (
        f"Rows far off for what is usual around them: {theme.number(told['n_observed'])}; about {expected} would be by "
        "chance"
        if numbers
        else f"Rows that surely contradict their label: {theme.number(told['n_observed'])}; with every label right, a "
        f"model as good as this one would have about {expected}"
    )
    if not told["stands_out"]:
        panels.section(
            "No labels stand out as wrong",
            f"{counted}. That is no more than chance explains ({theme.pvalue(told['pvalue'])}), so none is listed. A "
            "model trained on labels as wrong as these may have learnt to expect them: if you doubt the labels, begin "
            "with the hardest rows.",
        )
        _explained(numbers, weighted=bool(found.get("weighted")))
        return
    share = theme.percent(told["share"])
    panels.section(
        f"About {share} of the {'values' if numbers else 'labels'} look wrong",
        f"{counted} ({theme.pvalue(told['pvalue'])}). Check these first, correct them in the file and add it as a new "
        "version: nothing here changes the data.",
    )
    st.page_link(session.page_file("intake"), label="Add a corrected file", icon=":material/upload_file:")
    rows, extra = [], []
    for one in told["labels"]:
        rows.append(found["rows"][one["row"]])
        extra.append(
            {
                "It says": worded(rows[-1]["true"]),
                "Rather": worded(one["suggested"]),
                "Off by": f"{one['likelihood']:.1f} spreads" if numbers else "",
                "Chance it is wrong": "" if numbers else theme.percent(one["likelihood"], 0),
            }
        )
    hidden = {"Chance it is wrong"} if numbers else {"Off by"}
    _rows(
        record, found, rows, key="errors_labels", pair=False,
        extra=[{name: value for name, value in one.items() if name not in hidden} for one in extra],
    )  # fmt: skip
    _explained(numbers, weighted=bool(found.get("weighted")))


def _explained(numbers: bool, *, weighted: bool) -> None:
    with st.expander("What does this mean?"):
        if weighted:
            panels.quiet("Rows count alike here, whatever their weights.")
        if numbers:
            panels.quiet(
                "Off by: how far the true value lies from the prediction, in spreads of the rows that are predicted "
                "alike. By chance at most about one row in the whole set lies beyond the limit."
            )
        else:
            panels.quiet(
                "A row contradicts its label where the score of another class is at least what rows of that class "
                "usually get (confident learning)."
            )
            panels.quiet(
                "By chance: a good model contradicts some right labels too. How many follows from its scores, made as "
                "calibrated as these rows allow. Only more than that counts."
            )
        panels.quiet(
            "p-value: how often so many would contradict if every label were right. A model that is sure without "
            "reason looks the same as wrong labels: check the rows before you change one."
        )


def _rows(
    record: RunRecord,
    found: Mapping[str, Any],
    rows: Sequence[Mapping[str, Any]],
    *,
    key: str,
    pair: bool,
    extra: Sequence[Mapping[str, str]] = (),
) -> None:
    """Rows with what the model said of them and their most telling values; every value folded, and as a file."""
    columns: list[str] = found["columns"]
    ranked = [one["name"] for one in (record.run.importance or {}).get("features", [])]
    telling = [name for name in dict.fromkeys([*ranked, *columns]) if name in columns]
    numbers = found["task"] == "regression"
    listed = []
    for place, row in enumerate(rows):
        cells: dict[str, str] = {"Row": f"Row {row['ordinal'] + 1:,}"}
        if pair:
            cells["Truth → prediction"] = f"{worded(row['true'])} → {worded(row['predicted'])}"
        if extra:
            cells |= extra[place]
        elif numbers:
            cells["Off by"] = theme.number(row["loss"])
        else:
            cells["Sure"] = theme.percent(row["score"]) if row["score"] is not None else theme.MISSING
        values = dict(zip(columns, row["values"], strict=True))
        free = [name for name in telling if name not in cells][: min(MOST_VALUES, 7 - len(cells))]
        told = cells | {name: worded(values[name]) for name in free}
        listed.append(panels.Row(told, page="run", query=_explanation(record, row)))
    panels.table(listed, key=key)
    with st.expander(f"All {theme.count(len(columns), 'column')} of these rows"):
        st.dataframe(
            _frame(found, rows),
            hide_index=True,
            row_height=panels.ROW_HEIGHT,
            column_config={"row": st.column_config.NumberColumn(pinned=True)},
            key=f"{key}_all",
            alt="Every column of these rows",
        )
    st.download_button(
        "Download as CSV",
        data=lambda: _csv(found, rows),
        file_name=f"run-{record.run.id}-{key.replace('_', '-')}.csv",
        mime="text/csv",
        icon=":material/download:",
        key=f"{key}_csv",
        on_click="ignore",
    )
    left_out = found["n_columns_left_out"]
    panels.quiet(
        "A row opens its explanation. Rows are counted from 1 in the dataset version."
        + (f" {theme.count(left_out, 'column')} that matter less are not kept." if left_out else "")
    )


def _explanation(record: RunRecord, row: Mapping[str, Any]) -> dict[str, object]:
    """The address of a row's explanation, on the evaluation set looked at."""
    on = {"set": st.query_params["set"]} if "set" in st.query_params else {}
    return {"run": record.run.id, "view": "explanation", "part": "row", "row": row["ordinal"] + 1, **on}


def _frame(found: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    told = {
        "row": [row["ordinal"] + 1 for row in rows],
        f"{found['target']} (true)": [row["true"] for row in rows],
        f"{found['target']} (predicted)": [row["predicted"] for row in rows],
        **({} if found["task"] == "regression" else {"score": [row["score"] for row in rows]}),
        found["loss"]: [row["loss"] for row in rows],
    }
    values = {name: [row["values"][place] for row in rows] for place, name in enumerate(found["columns"])}
    return pd.DataFrame({**told, **{name: value for name, value in values.items() if name not in told}})


def _csv(found: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> bytes:
    import pyarrow as pa

    from core.datasets.exporting import to_csv

    return to_csv(pa.Table.from_pandas(_frame(found, rows), preserve_index=False))
