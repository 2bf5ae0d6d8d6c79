"""How a monitor cuts and decides: what holds now, and changing it."""

from __future__ import annotations

from typing import Any

import streamlit as st

from core.drift.drift_tests import DRIFT_TESTS
from core.jobs import queries as jobs
from core.jobs.tables import JobState
from core.monitoring import queries as monitoring
from core.monitoring import service
from core.monitoring.monitor_settings import (
    MOST_SLICES,
    SLICED_KINDS,
    TIME_KINDS,
    Changes,
    MonitorSettings,
    Trained,
    settings_of,
)
from core.monitoring.queries import MonitorRow
from core.monitoring.row_dependence import kept_dependence
from core.monitoring.windows import SEASONS_OF
from core.permissions import Permission
from dashboard import panels, reads, session, theme
from dashboard.drift_panels import PREDICTION
from dashboard.panels import Row

WINDOWS = {"hour": "Hour", "day": "Day", "week": "Week", "month": "Month", "count": "Number of rows"}
SEASONS = {"none": "All rows", "hour": "The same hour", "weekday": "The same weekday", "month": "The same month"}
USUAL = "the usual one"
OPENED = "monitor_settings_opened"


def settings(row: MonitorRow) -> None:
    """What decides about drift, in a sentence, and the form that changes it."""
    found = reads.fresh(monitoring.monitor, row.id)
    kept = settings_of(found)
    panels.section(f"Drift may alert falsely {often(kept.false_alerts)}", in_words(kept))
    if row.version_id is not None:
        how = reads.fresh(kept_dependence, monitor_id=row.id, version_id=row.version_id, settings=kept)
        if how is not None:
            dependence(how, key="monitor")
    if not session.may(Permission.MONITOR_EDIT):
        panels.quiet("Changing how a monitor decides takes the role operator.")
        return
    trained = reads.fresh(service.trained_on, found)
    opened = st.session_state.get(OPENED, {}).get(row.id, kept)
    # Whoever is told of another's change has seen it from then on.
    st.session_state[OPENED] = {row.id: kept}
    pressed, changes = form(kept, trained)
    if pressed == "save":
        with session.act("Monitor changed") as writing:
            service.edit_monitor(
                writing, monitor_id=row.id, actor=session.actor(), now=session.now(), opened=opened, **changes
            )
        st.rerun()
    if pressed == "preview":
        with session.act() as writing:
            job = service.request_preview(
                writing, monitor_id=row.id, actor=session.actor(), now=session.now(), **changes
            )
            st.query_params["preview"] = str(job.id)
    preview(row)


def preview(row: MonitorRow) -> None:
    """What the settings last tried would have alerted on, before they are saved."""
    job_id = session.chosen_id("preview")
    if job_id is None:
        return
    job = reads.fresh(jobs.job, job_id)
    if job.kind != "preview_rule" or job.payload["monitor_id"] != row.id:
        return
    if job.state != JobState.SUCCEEDED:
        panels.job_progress(job_id)
        return
    found = job.result or {}
    alerts = found["would_have_alerted"]
    panels.section(
        f"These settings would have alerted in {len(alerts)} of {theme.count(found['n_windows'], 'past window')}",
        f"{found['sentence']} Nothing is saved yet.",
    )
    panels.table(
        [Row({"Window": one["window"], "Would have alerted by": ", ".join(one["columns"])}) for one in alerts[::-1]],
        key="preview_windows",
    )
    if "dependence" in found:
        dependence(found["dependence"], key="preview")
    if found["thresholds"]:
        with st.expander("Thresholds of the newest window"):
            panels.table(
                [
                    Row(
                        {
                            "Feature": PREDICTION if one["is_prediction"] else one["feature"],
                            "Test": DRIFT_TESTS[one["test"]].title,
                            "Effect has to exceed": theme.number(one["threshold"]),
                        }
                    )
                    for one in found["thresholds"]
                ],
                key="preview_thresholds",
                right=("Effect has to exceed",),
            )


def dependence(how: dict[str, Any], *, key: str) -> None:
    """How rows hang together: a sentence, and the columns whose windows vary most for how many rows they have."""
    panels.quiet(" ".join(said for said in (how["sentence"], how["advice"]) if said))
    if not how["columns"]:
        return
    with st.expander("How rows hang together"):
        panels.table(
            [
                Row(
                    {
                        "Feature": PREDICTION if one["is_prediction"] else one["feature"],
                        "Test": DRIFT_TESTS[one["test"]].title,
                        "Rows of a window": theme.number(round(one["n_rows"])),
                        "As independent rows": theme.number(max(1.0, one["independent_rows"]), 1),
                        "Design effect": f"{theme.number(one['design_effect'], 1)} "
                        f"[{theme.number(one['low'], 1)}, {theme.number(one['high'], 1)}]",
                    }
                )
                for one in how["columns"]
            ],
            key=f"{key}_together",
            right=("Rows of a window", "As independent rows", "Design effect"),
        )
        panels.quiet(
            "The training data is cut as the windows are. The design effect is how many times as far such parts lie "
            "from the rest, in squares, as so many independent rows would, with its 95 % interval; rows divided by it "
            "are how many independent ones they carry as much as. Told are columns with more than chance explains."
        )


def often(false_alerts: float) -> str:
    """A rate a month as people say it: "about once a year"."""
    a_year = false_alerts * 12
    if false_alerts >= 1.5:
        return f"about {false_alerts:.2g} times a month"
    if false_alerts >= 0.75:
        return "about once a month"
    if a_year >= 1.5:
        return f"about {a_year:.2g} times a year"
    return "about once a year" if a_year >= 0.75 else f"about once in {1 / a_year:.2g} years"


def in_words(kept: MonitorSettings) -> str:
    """The settings as sentences."""
    cut = f"{kept.window_rows or 0:,} rows" if kept.window == "count" else f"the {kept.window}"
    said = [
        f"Data is cut by {cut}; a window needs {kept.min_rows:,} rows to tell anything.",
        "Each feature's threshold comes from resampling the reference at the window's own size, so that all features "
        "together keep that promise; an effect below "
        f"{theme.number(kept.min_effect)} never counts.",
    ]
    if not kept.dependent_rows:
        said.append(
            "The promise takes rows to be independent of each other: rows that share their hour, weather or customer "
            "alert more often."
        )
    if kept.windows_of > 1:
        said.append(f"A feature alerts when it was beyond in {kept.windows_needed} of the last {kept.windows_of}.")
    if kept.season != "none":
        said.append(f"A window is held against reference rows of {SEASONS[kept.season].lower()}.")
    if kept.slice_columns:
        said.append(f"Slices: {', '.join(kept.slice_columns)}.")
    return " ".join(said)


def form(kept: MonitorSettings, trained: Trained | None) -> tuple[str, Changes]:
    """The form: "save", "preview" or "" for which button was pressed, and the settings in it."""
    with st.form("monitor_settings", border=False):
        given: dict[str, Any] = {}
        with st.grid(columns=3, min_column_width=240):
            given["false_alerts"] = st.number_input(
                "False alerts a month that are acceptable",
                min_value=0.001,
                max_value=30.0,
                value=kept.false_alerts,
                step=0.1,
                format="%.3f",
                help="Over all features and the prediction together, so that more features do not mean more of them.",
            )
            given["window"] = st.selectbox(
                "Cut data into windows by",
                list(WINDOWS),
                index=list(WINDOWS).index(kept.window),
                format_func=WINDOWS.__getitem__,
            )
            rows = st.number_input(
                "Rows of a window",
                min_value=10,
                max_value=100_000_000,
                value=kept.window_rows or 1_000,
                help="Only for windows by number of rows; a window closes at the end of the day that fills it.",
            )
            given["window_rows"] = int(rows) if given["window"] == "count" else None
            given["min_rows"] = int(
                st.number_input("Rows a window needs", min_value=10, max_value=1_000_000, value=kept.min_rows)
            )
            given["min_effect"] = st.number_input(
                "Smallest effect that counts",
                min_value=0.0,
                max_value=0.99,
                value=kept.min_effect,
                step=0.01,
                help="A share of rows: 0.1 means that a tenth of the rows lies elsewhere than in the reference. With "
                "many rows a harmless shift is certain too; this keeps it quiet.",
            )
            given["windows_needed"] = int(
                st.number_input("Windows beyond their threshold", min_value=1, max_value=12, value=kept.windows_needed)
            )
            given["windows_of"] = int(
                st.number_input("out of the last", min_value=1, max_value=12, value=kept.windows_of)
            )
            if trained is not None:
                _against_the_season(given, kept, trained)
                given["dependent_rows"] = st.checkbox(
                    "Look at how rows hang together",
                    value=kept.dependent_rows,
                    help="Rows that share their hour, weather or customer alert more often than promised. Where the "
                    "training data has a time, thresholds follow how far parts of it as long as a window lie from the "
                    "rest. Columns whose rows are independent lose nothing.",
                )
                given["slice_columns"] = st.multiselect(
                    "Look at slices too, by",
                    [
                        name
                        for name, kind in trained.features.items()
                        if kind in SLICED_KINDS and trained.n_distinct.get(name, 0) <= MOST_SLICES
                    ],
                    default=list(kept.slice_columns),
                    max_selections=5,
                )
        if trained is not None:
            given["tests"] = _tests(kept, trained)
        panels.quiet(
            "All windows are computed anew in the background, and open alerts follow them; those of windows cut "
            "otherwise stay."
        )
        with st.container(horizontal=True, gap="small"):
            saved = st.form_submit_button("Save", type="primary")
            tried = st.form_submit_button("Try on past windows", icon=":material/history:")
    return "save" if saved else "preview" if tried else "", Changes(**given)  # type: ignore[typeddict-item]


def _against_the_season(given: dict[str, Any], kept: MonitorSettings, trained: Trained) -> None:
    times = [name for name, kind in trained.columns.items() if kind in TIME_KINDS]
    if not times:
        return
    given["season"] = st.selectbox(
        "Hold a window against",
        list(SEASONS),
        index=list(SEASONS).index(kept.season),
        format_func=SEASONS.__getitem__,
        help="Reference rows of the same season only: summer is then not called drift in a model trained on a year. "
        + "Suits windows by "
        + ", ".join(window for window, fitting in SEASONS_OF.items() if len(fitting) > 1)
        + ".",
    )
    column = st.selectbox(
        "Time of the training rows",
        times,
        index=times.index(kept.season_column) if kept.season_column in times else 0,
        help="The column of the training data that says when a row was; only a season needs it. How rows hang together "
        "is told by the time that the dataset names where no season is held against.",
    )
    given["season_column"] = None if given["season"] == "none" else column


def _tests(kept: MonitorSettings, trained: Trained) -> dict[str, str]:
    """Which test decides for which feature, where it is not the usual one of its kind."""
    from core.drift.measuring import value_tests

    titles = {key: test.title for key, test in DRIFT_TESTS.items()}
    with st.expander("The test that decides, by feature"):
        chosen = {}
        with st.grid(columns=3, min_column_width=240):
            for name, kind in trained.features.items():
                options = [USUAL, *value_tests(kind)]
                picked = st.selectbox(
                    theme.plain(name),
                    options,
                    index=options.index(kept.tests.get(name, USUAL)),
                    format_func=lambda key: titles.get(key, USUAL),
                    key=f"monitor_test_{name}",
                )
                if picked != USUAL:
                    chosen[name] = picked
    return chosen
