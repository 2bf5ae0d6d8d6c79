"""Every run: filters and place in the address, the queue, and the basket of runs to compare."""

import zlib
from collections.abc import Sequence

import pandas as pd
import streamlit as st

from core.datasets import queries as datasets
from core.evaluation.metrics import METRICS
from core.jobs import queries as jobs
from core.jobs.kinds import JOB_KINDS
from core.permissions import Permission
from core.training import queries
from core.training.algorithms import ALGORITHMS
from core.training.service import request_comparison
from core.training.tables import RunState
from dashboard import panels, reads, selection, session, theme
from dashboard.theme import Role

LOOKS: dict[str, Role] = {
    RunState.QUEUED: "neutral",
    RunState.RUNNING: "running",
    RunState.FINISHED: "healthy",
    RunState.FAILED: "harm",
    RunState.CANCELLED: "neutral",
}
MOST_COMPARED = 20

now = session.now()
may_start = session.may(Permission.RUN_START)
basket = selection.ids("basket")[:MOST_COMPARED]
all_datasets = reads.audited(datasets.list_datasets)
total = reads.audited(queries.count_runs)


def choose(key: str, shown: Sequence[int]) -> None:
    """Keep the ticked rows of this page, and those of other pages, in the basket."""
    ticked = [shown[index] for index in st.session_state[key]["selection"]["rows"] if index < len(shown)]
    kept = [run_id for run_id in selection.ids("basket") if run_id not in shown]
    selection.keep_ids("basket", [*kept, *ticked][:MOST_COMPARED])


def compare(run_ids: Sequence[int]) -> None:
    """Ask for the verdicts against the oldest run of the basket and show them."""
    baseline, *others = sorted(run_ids)
    with session.act() as act:
        job = request_comparison(
            act, baseline_run_id=baseline, candidate_run_ids=others, actor=session.actor(), now=session.now()
        )
    session.open_page("compare", runs=selection.joined([baseline, *others]), baseline=baseline, job=job.id)


def label_of(row: queries.RunRow) -> str:
    """A run's name: its number, which everything else refers to."""
    return f"Run {row.id}" + (" (retraining)" if row.retrained_from_id else "")


def state_of(row: queries.RunRow) -> str:
    """State with its mark, and how far it is while it runs."""
    said = f"{theme.words(row.state)} {theme.percent(row.progress, 0)}" if row.state == RunState.RUNNING else row.state
    return theme.mark(theme.words(said), LOOKS[row.state])


def metric_of(row: queries.RunRow) -> str:
    """The metric's name, value and interval; an en dash until there is one."""
    if row.primary_value is None:
        return theme.MISSING
    return f"{METRICS[row.primary_key].title} {theme.interval(row.primary_value, row.primary_low, row.primary_high)}"


@st.fragment(run_every=3)
def queue(shown: tuple[int | None, ...]) -> None:
    """What runs and waits, looked at every three seconds; the page reruns when a job came or ended."""
    busy = reads.fresh(jobs.queue, 10)
    if tuple(job.id for job in busy) != shown:
        st.rerun()
    for job in busy:
        said = "cancelling" if job.cancel_requested_at else job.progress_note or job.state
        about = f"Run {job.subject_id}" if job.subject_kind == "run" else JOB_KINDS[job.kind].title
        st.progress(min(max(job.progress, 0.0), 1.0), text=theme.plain(f"{about}: {said}"))


with panels.header("Runs", theme.count(total, "run") if total else ""):
    if len(basket) >= 2:
        if st.button("Clear", key="runs_clear", type="tertiary"):
            selection.keep_ids("basket", [])
            st.rerun()
        if st.button(f"Compare ({len(basket)})", icon=":material/compare_arrows:", key="runs_compare"):
            compare(basket)
    if total and may_start and st.button("New run", icon=":material/play_arrow:", type="primary", key="runs_new"):
        session.open_page("new_run")

busy = reads.fresh(jobs.queue, 10)
if busy:
    panels.worker_notice()
    queue(tuple(job.id for job in busy))

if not total:
    has_data = any(row.latest_version_id for row in all_datasets)
    panels.empty_state(
        "No runs yet",
        "A run is one training from declared inputs: a dataset version, features, an algorithm and its parameters. "
        + ("" if has_data else "It needs data first. ")
        + ("" if may_start else "Starting one takes the role data-scientist."),
        button=("New run" if has_data else "Upload a file") if may_start else "",
        page="new_run" if has_data else "intake",
    )
    st.stop()

with st.container(horizontal=True, gap="small"):
    state = selection.pick(
        "State",
        {"any": "Any state"} | {one.value: theme.words(one) for one in RunState},
        name="state",
        resets=("before",),
    )
    dataset = selection.pick(
        "Dataset",
        {"any": "Any dataset"} | {str(row.id): row.name for row in all_datasets},
        name="data",
        resets=("before",),
    )
    algorithm = selection.pick(
        "Algorithm",
        {"any": "Any algorithm"} | {key: entry.title for key, entry in ALGORITHMS.items()},
        name="algorithm",
        resets=("before",),
    )
    sort = selection.pick(
        "Order",
        {"newest": "Newest first"} | {key: f"Best {entry.title}" for key, entry in METRICS.items()},
        name="sort",
        resets=("before",),
    )
rows = reads.fresh(
    queries.list_runs,
    limit=panels.ROWS_PER_PAGE,
    before_id=panels.cursor(),
    state=None if state == "any" else state,
    dataset_id=None if dataset == "any" else int(dataset),
    algorithm=None if algorithm == "any" else algorithm,
    sort_metric=None if sort == "newest" else sort,
)
if not rows:
    panels.quiet("No run matches these filters.")
    st.stop()
if sort != "newest":
    panels.quiet(
        "Best first within each dataset, on its fixed evaluation set: values on different rows are not ranked together."
    )

shown = [row.id for row in rows]
frame = pd.DataFrame(
    {
        "Run": [label_of(row) for row in rows],
        "Algorithm": [ALGORITHMS[row.algorithm].title for row in rows],
        "Data": [row.dataset_label for row in rows],
        "State": [state_of(row) for row in rows],
        "Metric": [metric_of(row) for row in rows],
        "Asked for": [
            theme.ago(row.requested_at, now) + (f" by {row.requested_by}" if row.requested_by else "") for row in rows
        ],
        "Took": [theme.duration(row.duration_s) for row in rows],
    }
)
# The key names the rows shown: a tick belongs to a run, and must not stay in place while the list moves under it.
key = f"runs_{zlib.crc32(repr(shown).encode())}"
with st.container(key="wide-runs"):
    st.dataframe(
        frame,
        hide_index=True,
        row_height=panels.ROW_HEIGHT,
        key=key,
        lazy=False,
        selection_mode="multi-row",
        selection_default={"selection": {"rows": [place for place, one in enumerate(shown) if one in basket]}},
        on_select=lambda: choose(key, shown),
        column_config={
            "Run": st.column_config.ButtonColumn(type="tertiary", key="runs_open", pinned=True, alignment="left")
        },
        alt="Runs",
    )
with st.container(key="narrow-runs", gap="small"):
    for row, (_, cells) in zip(rows, frame.iterrows(), strict=True):
        with st.container(gap=None):
            st.page_link(session.page_file("run"), label=str(cells["Run"]), query_params={"run": str(row.id)})
            panels.quiet(
                " · ".join(str(cell) for name, cell in cells.items() if name != "Run" and cell != theme.MISSING)
            )
if click := st.session_state.get("runs_open"):
    session.open_page("run", run=shown[click["row"]])
panels.pager(shown[-1] if len(shown) == panels.ROWS_PER_PAGE else None)
