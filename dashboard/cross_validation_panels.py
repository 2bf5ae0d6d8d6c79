"""What a run's folds say: how much its figures move when it is trained on other rows."""

from __future__ import annotations

import statistics

import streamlit as st

from core.evaluation.metrics import Metric, metrics_for
from core.training.queries import RunRecord
from dashboard import panels, theme
from dashboard.charts.cross_validation import FoldValues, fold_dots, in_words


def show(record: RunRecord) -> None:
    """Every metric's mean, spread and folds; nothing for a run that was not to be cross-validated."""
    run = record.run
    if not run.folds:
        return
    found = run.cross_validation
    known = [entry for entry in metrics_for(run.task) if found and entry.key in found["metrics"]]
    if not found or not known:
        panels.notice(f"Cross-validation in {run.folds} folds could not be worked out. The log says why.", "attention")
        return
    values = {entry.key: tuple(found["metrics"][entry.key]) for entry in known}
    first = values[known[0].key]
    n_rows = sum(found["n_test"])
    if found["forward"]:
        made = (
            f"{found['folds']} models, each trained on the rows before those it was scored on and so on more rows "
            f"than the one before: {theme.number(min(found['n_train']))} to {theme.number(max(found['n_train']))}."
        )
    else:
        made = (
            f"{found['folds']} models, each trained without one part of the {theme.number(n_rows)} training and "
            "validation rows and scored on that part."
        )
    panels.section(
        f"Trained on other rows, {theme.inside(known[0].title)} lies between {theme.number(min(first))} and "
        f"{theme.number(max(first))}",
        f"How much the figure moves when it is trained on other rows: mean {theme.number(statistics.fmean(first))}, "
        f"standard deviation {theme.number(statistics.stdev(first))}. {made} The folds' values are not independent, "
        "as the models share most of their rows, so no interval follows from them. The model that is kept is none of "
        "these: it is trained on the training rows alone.",
    )
    drawn = drawn_together(known)
    rows = [FoldValues(entry.title, values[entry.key]) for entry in drawn]
    panels.figure(
        fold_dots(rows, colours=theme.colours()),
        key="run_folds",
        alt="Folds, mean and ends: " + "; ".join(in_words(row) for row in rows),
    )
    with st.expander("Mean and spread of every metric"):
        panels.table(
            [
                panels.Row(
                    {
                        "Metric": entry.title,
                        "Mean": theme.number(statistics.fmean(values[entry.key])),
                        "Standard deviation": theme.number(statistics.stdev(values[entry.key])),
                        "Lowest fold": theme.number(min(values[entry.key])),
                        "Highest fold": theme.number(max(values[entry.key])),
                    }
                )
                for entry in known
            ],
            key="run_fold_table",
            right=("Mean", "Standard deviation", "Lowest fold", "Highest fold"),
        )


def drawn_together(known: list[Metric]) -> list[Metric]:
    """The metrics that fit one axis: those between -1 and 1 where there are several, else the first alone."""
    bounded = [entry for entry in known if entry.low >= -1 and entry.high <= 1]
    return bounded if len(bounded) >= 2 else known[:1]
