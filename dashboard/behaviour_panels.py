"""A model's behaviour suite: what every version must do, how one did, and writing the next suite."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from core.access import queries as access
from core.datasets.tables import Outcome
from core.jobs import queries as jobs
from core.permissions import Permission
from core.registry import queries as registry
from core.registry import suites
from core.registry.behaviour import BEHAVIOUR_TESTS
from core.registry.queries import ModelRow, VersionRow
from core.registry.tables import BehaviourSuite
from dashboard import panels, reads, session, theme
from dashboard.panels import Row
from dashboard.theme import Role

# Room for lines that are added: a table that has to scroll to them jumps under the pointer.
LINES_TO_ADD = 3
LOOKS: dict[str, Role] = {
    Outcome.PASSED: "healthy",
    Outcome.FAILED: "attention",
    Outcome.NOT_APPLICABLE: "neutral",
    Outcome.SKIPPED: "neutral",
}


def show(model: ModelRow, version: VersionRow) -> None:
    """How one version did on the suite in force, and the clicks that run or change it."""
    suite = reads.audited(registry.suite, model.id)
    if suite is None:
        panels.section("No suite was run yet", "The first run holds the model to general tests; write your own then.")
        ask(version, "Run the first suite")
        return
    done = reads.audited(registry.behaviour_result, version_id=version.id, suite_id=suite.id or 0)
    label = f"{model.name} v{version.number}"
    if done is None:
        panels.section(f"Suite {suite.number} was not run on {label}")
        ask(version, "Run the suite")
    else:
        passed = sum(one["outcome"] == Outcome.PASSED for one in done.outcomes)
        panels.section(
            f"{label} passes {passed} of {theme.count(len(done.outcomes), 'test')}",
            f"Suite {suite.number}, on {theme.count(done.n_rows, 'row')} it was not trained on, "
            f"{theme.stamp(done.created_at)}. A test changes real rows and looks at what the answers do.",
        )
        outcomes_table(done.outcomes)
        with st.expander("What does this mean?"):
            meanings(done.outcomes)
    author = "Gatehouse"
    if suite.author_id is not None:
        name = reads.audited(access.user_names).get(suite.author_id, "somebody")
        author = f"{name}, who decides no request judged by it"
    panels.quiet(f"Suite {suite.number} was written on {theme.day(suite.created_at)} by {author}: {suite.reason}")
    if not session.may(Permission.SUITE_EDIT):
        panels.quiet("Writing the next suite takes the role data-scientist or reviewer.")
    elif st.button("Write the next suite", icon=":material/edit:", key="suite_edit"):
        version_row = reads.audited(registry.version, version.id)
        edit(model, suite, {entry["name"]: entry["kind"] for entry in version_row.signature["features"]})


def ask(version: VersionRow, button: str) -> None:
    """The progress of the newest run, whoever asked for it or a registration; where none is under way, the button."""
    queued = [job for job in reads.fresh(jobs.jobs_of, "model_version", version.id) if job.kind == "run_behaviour"]
    if queued:
        panels.job_progress(queued[0].id or 0)
        if queued[0].state not in panels.FINAL:
            return
    if st.button(button, icon=":material/play_arrow:", key="behaviour_run"):
        with session.act() as act:
            suites.request_behaviour(act, version_id=version.id, actor=session.actor(), now=session.now())
        st.rerun()


def outcomes_table(outcomes: Sequence[Mapping[str, Any]]) -> None:
    """One line per test: how it ended, and what was found against what is allowed."""
    panels.table(
        [
            Row(
                {
                    "Test": one["title"],
                    "Outcome": theme.mark(theme.words(one["outcome"]), LOOKS[one["outcome"]]),
                    "What was found": one["explanation"],
                }
            )
            for one in outcomes
        ],
        key="behaviour_outcomes",
        columns={"What was found": st.column_config.TextColumn(width=640)},
    )


def meanings(outcomes: Sequence[Mapping[str, Any]]) -> None:
    """What each kind of test among these asks."""
    kinds = {one["test"] for one in outcomes}
    for test in BEHAVIOUR_TESTS.values():
        if test.key in kinds:
            panels.quiet(f"{test.title}: {test.sentence}")


@st.dialog("Write the next behaviour suite", width="large")
def edit(model: ModelRow, suite: BehaviourSuite, kinds: Mapping[str, str]) -> None:
    """The tests as a table to add to and strike from; whoever writes it decides no request judged by it."""
    panels.quiet(
        f"What every version of {model.name} must do. Open requests go stale until their evidence is gathered again, "
        "and you will not decide requests that are judged by a suite of yours."
    )
    frame = pd.DataFrame(
        [
            {
                "test": one["test"],
                "column": one.get("column"),
                "direction": one.get("direction"),
                "limit": float(one["limit"]),
            }
            for one in suite.tests
        ]
    )
    units = "; ".join(f"{test.title} {test.limit:g} ({test.unit})" for test in BEHAVIOUR_TESTS.values())
    edited = st.data_editor(
        frame,
        num_rows="dynamic",
        hide_index=True,
        key="suite_tests",
        placeholder=theme.MISSING,
        row_height=panels.ROW_HEIGHT,
        height=panels.ROW_HEIGHT * (len(frame) + LINES_TO_ADD + 1) + 2,
        column_config={
            "test": st.column_config.SelectboxColumn(
                "Test",
                options=list(BEHAVIOUR_TESTS),
                format_func=lambda key: BEHAVIOUR_TESTS[key].title if key in BEHAVIOUR_TESTS else str(key),
            ),
            "column": st.column_config.SelectboxColumn("Column", options=list(kinds)),
            "direction": st.column_config.SelectboxColumn("Must go", options=["up", "down"]),
            "limit": st.column_config.NumberColumn("Allowed", min_value=0.0, help=f"Usual: {units}."),
        },
    )
    panels.quiet(
        "Add a test in the empty last row; to strike one, tick it at its left end and press the bin above the table. "
        "Invariance and direction name a column; direction says whether the prediction must go up with it, "
        "which is taken for granted, or down."
    )
    panels.quiet(f"Allowed, usually: {units}.")
    reason = st.text_input("Why", key="suite_reason")
    if st.button("Save the suite", type="primary", key="suite_save"):
        written = [
            {str(key): value for key, value in row.items() if not pd.isna(value)} for row in edited.to_dict("records")
        ]
        tests = [row for row in written if row]
        with session.act("Suite saved") as act:
            suites.save_suite(
                act, model_id=model.id, tests=tests, reason=reason, actor=session.actor(), now=session.now()
            )
        st.rerun()
