"""Changed decisions: which rows two runs decide differently, by slice, and the clearest of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from core.evaluation.tables import Comparison, Task
from core.training import report
from core.training.queries import RunRecord
from core.training.side_by_side import Side, label_of
from dashboard import analysis_panels, panels, selection, theme

MOST_SLICES = 12
MOVERS = 3


def changed(scored: Sequence[Side], baseline: RunRecord, found: Mapping[int, Comparison]) -> None:
    """The decisions of one candidate that are not the baseline's: how many, for whom, and the clearest cases."""
    others = {str(side.run_id): side for side in scored if side.record.run.id != baseline.run.id}
    heading = st.container()
    first = sorted(others, key=lambda one: -found[int(one)].effect if int(one) in found else 0.0)
    names = {one: label_of(others[one].record) for one in first}
    side = others[selection.pick("Decisions of", names, name="changed", width=320)]
    one = found.get(side.run_id)
    counted = one.changed if one is not None else None
    document = analysis_panels.document(
        side.record,
        side.scored,
        "changes",
        {"baseline_run_id": baseline.run.id or 0},
        button="Work out who is affected",
    )
    counted = document or counted
    with heading:
        panels.section(
            f"Run {side.run_id} decides {counted['n_changed']:,} of {counted['n_rows']:,} rows differently "
            f"({theme.percent(counted['n_changed'] / max(1, counted['n_rows']))}): {counted['n_corrected']:,} "
            f"corrected, {counted['n_broken']:,} broken"
            if counted
            else "Which decisions change",
            "Corrected: wrong by the baseline, right now. Broken: right by the baseline, wrong now.",
        )
    if document:
        by_slice(document["by_slice"])
        examples(document, "broken", "Broken: the clearest cases")
        examples(document, "corrected", "Corrected: the clearest cases")


def decides(scored: Sequence[Side], baseline: RunRecord) -> bool:
    """Whether there are decisions of the baseline and of another run."""
    return baseline.run.task != Task.REGRESSION and len(scored) > 1 and any(one.record is baseline for one in scored)


def by_slice(entries: Sequence[Mapping[str, Any]]) -> None:
    """Where decisions change, the slices that lose most first; those where none does are left out."""
    entries = [entry for entry in entries if entry["changed"]]
    panels.table(
        [
            panels.Row(
                {
                    "Slice": entry["slice"],
                    "Rows": theme.number(entry["n"]),
                    "Changed": f"{theme.number(entry['changed'])} "
                    f"({theme.percent(entry['changed'] / max(1, entry['n']))})",
                    "Corrected": theme.number(entry["corrected"]),
                    "Broken": theme.number(entry["broken"]),
                }
            )
            for entry in entries[:MOST_SLICES]
        ],
        key="compare_changed_slices",
        right=("Rows", "Changed", "Corrected", "Broken"),
    )
    if len(entries) > MOST_SLICES:
        panels.quiet(f"The {MOST_SLICES} slices of {len(entries)} with the most broken beyond corrected.")


def examples(document: Mapping[str, Any], kind: str, title: str) -> None:
    """The rows of one kind with both decisions and the features that moved them."""
    rows = document[kind]
    if not rows:
        return
    with st.expander(f"{title} ({len(rows)})"):
        panels.table(
            [
                panels.Row(
                    {
                        "Row": theme.number(row["ordinal"] + 1),
                        "True": row["true"],
                        "Before": row["before"],
                        "Now": row["after"],
                        "Score": theme.MISSING
                        if row["score_before"] is None or row["score_after"] is None
                        else f"{theme.number(row['score_before'])} to {theme.number(row['score_after'])}",
                        "What moved it": moved(row["contributions"]),
                    }
                )
                for row in rows
            ],
            key=f"compare_{kind}",
            columns={"What moved it": st.column_config.TextColumn(width=420)},
        )
        of = f" Score: that of {document['score_of']}." if document.get("score_of") else ""
        panels.quiet(
            f"What moved it: the features whose contribution to the prediction differs most between the two.{of}"
        )
        if document.get("contributions_missing"):
            panels.quiet(str(document["contributions_missing"]))
        st.dataframe(
            [
                {"row": row["ordinal"] + 1, **{k: v if v is None else str(v) for k, v in row["values"].items()}}
                for row in rows
            ],
            hide_index=True,
            row_height=panels.ROW_HEIGHT,
            column_config={"row": st.column_config.NumberColumn(pinned=True)},
            key=f"compare_{kind}_values",
            alt="Every column of these rows",
        )


def moved(contributions: Mapping[str, Any] | None) -> str:
    """The features whose contribution differs most: "age +0.21, hours −0.08"."""
    return ", ".join(f"{name} {theme.difference(by)}" for name, by in report.movers(contributions)[:MOVERS])
