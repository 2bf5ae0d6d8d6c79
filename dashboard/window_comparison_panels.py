"""Any two windows of a monitor against each other: chosen in the address, measured by a job, kept by its number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from core.drift.drift_tests import DRIFT_TESTS
from core.jobs import queries as jobs
from core.jobs.tables import JobState
from core.monitoring import service, window_queries
from core.monitoring.queries import MonitorRow
from core.monitoring.tables import Window, WindowState
from core.wording import enumerated
from dashboard import panels, reads, selection, session, theme
from dashboard.charts.then_and_now import then_and_now
from dashboard.drift_panels import PREDICTION, STATES, TIMES
from dashboard.panels import Row


def compare(row: MonitorRow) -> None:
    """Two windows to choose, and what a finished job says of them."""
    windows = [one for one in reads.fresh(window_queries.windows, row.id) if one.state != WindowState.PENDING]
    if len(windows) < 2:
        panels.empty_state(
            "There are not two windows yet", "As soon as there are, any two of them can be held against each other."
        )
        return
    labels = named(windows)
    with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
        second = selection.pick("This window", labels, name="second")
        first = selection.pick("against", {one: labels[one] for one in reversed(labels)}, name="first")
        st.button(
            "Compare",
            key="compare_windows",
            icon=":material/compare_arrows:",
            disabled=first == second,
            on_click=start,
            args=(row.id, int(first), int(second)),
        )
    if first == second:
        panels.quiet("Choose two different windows.")
    job_id = session.chosen_id("compared")
    if job_id is None:
        panels.quiet("Versions, lengths and seasons may differ: the rows themselves are held against each other.")
        return
    job = reads.fresh(jobs.job, job_id)
    asked = job.kind == "compare_windows" and (job.payload["first_id"], job.payload["second_id"])
    if asked != (int(first), int(second)):
        panels.quiet("Press Compare to measure these two.")
        return
    if job.state != JobState.SUCCEEDED:
        panels.job_progress(job_id)
        return
    show(row, job.result or {})


def named(windows: Sequence[Window]) -> dict[str, str]:
    """Every window by its id, newest first, told apart by its version where two share a label."""
    labels = reads.fresh(window_queries.window_labels, list(windows))
    return {str(one.id): labels[one.id or 0] for one in reversed(windows)}


def start(monitor_id: int, first_id: int, second_id: int) -> None:
    """Have two windows measured; a callback."""
    with session.act("Comparing", in_callback=True) as writing:
        job = service.request_window_comparison(
            writing, first_id=first_id, second_id=second_id, actor=session.actor(), now=session.now()
        )
        st.query_params["compared"] = str(job.id)
        st.query_params["monitor"] = str(monitor_id)


def show(row: MonitorRow, found: Mapping[str, Any]) -> None:
    """What moved, one feature then and now, and every feature in a table."""
    first, second = found["first"], found["second"]
    features: list[dict[str, Any]] = list(found["features"])
    moved = [shown_name(one) for one in features if one["drifted"]]
    heading = (
        f"{enumerated(moved, 3)} moved from {first['window']} to {second['window']}"
        if moved
        else f"Nothing moved from {first['window']} to {second['window']}"
    )
    panels.section(
        heading,
        f"{theme.count(first['n_rows'], 'row')} then, {theme.count(second['n_rows'], 'row')} now. A feature moved when "
        f"its p-value, corrected for all that were looked at, is below {found['alpha']:g} and its effect at least "
        f"{theme.number(found['min_effect'])}.",
    )
    if not features:
        panels.quiet("The two windows share no column.")
        return
    features.sort(key=lambda one: (not one["drifted"], -(one["effect"] or 0.0)))
    asked = session.chosen_text("feature")
    one = next((one for one in features if shown_name(one) == asked), features[0])
    if one["bins"]:
        panels.figure(
            then_and_now(
                {**one["bins"], "of_time": one["kind"] in TIMES},
                feature=shown_name(one),
                colours=theme.colours(),
                names=(first["window"], second["window"]),
            ),
            key="compared_then_and_now",
            alt=f"Distribution of {shown_name(one)} in {first['window']} and in {second['window']}.",
        )
    kept = {name: st.query_params[name] for name in ("first", "second", "compared") if name in st.query_params}
    panels.table(
        [
            Row(
                {
                    "Feature": shown_name(one),
                    "State": STATES.get(one["state"], one["state"]),
                    "Effect": theme.number(one["effect"]),
                    "Corrected p": theme.pvalue(one["pvalue_corrected"]).removeprefix("p ").removeprefix("= "),
                    "Test": DRIFT_TESTS[one["test"]].title,
                },
                page="monitor",
                query={"monitor": row.id, "view": "compare", "feature": shown_name(one), **kept},
            )
            for one in features
        ],
        key="compared_features",
        right=("Effect", "Corrected p"),
    )
    if found["not_compared"]:
        panels.quiet(f"Only one of the two has: {', '.join(found['not_compared'])}.")


def shown_name(one: Mapping[str, Any]) -> str:
    """What a column is called; the prediction is kept apart from a feature of that name."""
    return PREDICTION if one["is_prediction"] else str(one["feature"])
