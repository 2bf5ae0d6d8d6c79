"""Pieces every page is built from.

Whatever text is passed in is shown literally: the panels escape it. Nothing here reads more than a job or a
heartbeat, and nothing writes.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

import streamlit as st

from core.errors import LifecycleError
from core.jobs import queries as jobs
from core.jobs.tables import JobState
from dashboard import reads, session, theme
from dashboard.theme import ROLES, Role, plain

if TYPE_CHECKING:
    import plotly.graph_objects as go
    from streamlit.delta_generator import DeltaGenerator

log = logging.getLogger("gatehouse.web")

FINAL = {JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED}
ROWS_PER_PAGE = 50
ROW_HEIGHT = 36
# Streamlit wraps text in rows higher than 4 rem.
TWO_LINES_HEIGHT = 57
UNSAID = {"", theme.MISSING}
MOST_ROWS_SHOWN = 25


def header(title: str, sentence: str = "") -> DeltaGenerator:
    """The page's title and one sentence; returns the place at the right for the page's one or two buttons.

    ``with panels.header("Runs", "12 runs, 1 waiting"): st.button("New run", type="primary")``
    """
    with st.container(gap="xsmall", key="page-header"):
        with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
            with st.container(width="stretch", gap=None):
                st.title(plain(title), anchor=False)
            actions = st.container(horizontal=True, width="content", vertical_alignment="center", gap="small")
        if sentence:
            quiet(sentence)
    return actions


def section(finding: str, sentence: str = "") -> None:
    """A heading that states the finding ("hours shifted in June"), with a quiet sentence below it."""
    st.subheader(plain(finding), anchor=False)
    if sentence:
        quiet(sentence)


def quiet(sentence: str) -> None:
    """Secondary text at the size of the body."""
    st.markdown(f":gray[{plain(sentence)}]")


def status(word: str, role: Role) -> None:
    """A status badge: the role's colour and icon, always with its word."""
    look = ROLES[role]
    st.badge(plain(word), icon=look.icon, color=look.color)


def notice(sentence: str, role: Role = "neutral", *, detail: str = "") -> None:
    """A sentence the reader must not miss: attention and harm are coloured, the rest is quiet."""
    body = plain(sentence) + (f"  \n{plain(detail)}" if detail else "")
    if role == "harm":
        st.error(body, icon=ROLES[role].icon)
    elif role == "attention":
        st.warning(body, icon=ROLES[role].icon)
    elif role == "done":
        st.success(body, icon=ROLES[role].icon)
    else:
        st.markdown(f":gray[{ROLES[role].icon} {body}]")


def refusal(error: LifecycleError | str) -> None:
    """Why something was refused, and what to do next: the error's own message, literally."""
    notice(str(error), "harm")


def empty_state(
    title: str, sentence: str, *, button: str = "", page: str = "", query: Mapping[str, object] | None = None
) -> None:
    """Nothing here yet: what would be here, and the one click that changes it."""
    with st.container(gap="small"):
        st.space("small")
        st.subheader(plain(title), anchor=False)
        quiet(sentence)
        if button and st.button(plain(button), type="primary", key=f"empty_{page}_{button}"):
            session.open_page(page, **dict(query or {}))


def metrics(values: Sequence[tuple[str, str, str]]) -> None:
    """Up to four plain numbers in a row: label, value as text, quiet note (may be empty)."""
    assert len(values) <= 4, "a page holds at most four metrics"
    with st.grid(columns=len(values), min_column_width=150):
        for label, value, note in values:
            with st.container(gap=None):
                st.metric(plain(label), value)
                if note:
                    quiet(note)


def facts(values: Mapping[str, str]) -> None:
    """A list of label and value, one line each; wraps on a phone."""
    with st.container(gap="xxsmall"):
        for label, value in values.items():
            with st.container(horizontal=True, gap="xsmall"):
                st.markdown(f":gray[{plain(label)}]", width=200)
                st.text(value, width="content")


def technical(values: Mapping[str, str]) -> None:
    """Hashes, seeds and versions, folded away."""
    with st.expander("Technical details"):
        facts(values)


def record_stamp(verb: str, at: datetime | None, who: str | None) -> None:
    """Quiet line under a record: "Registered 12 Mar 2026, 14:05 UTC by ana"."""
    quiet(f"{verb} {theme.stamp(at)}" + (f" by {who}" if who else ""))


@dataclass(frozen=True)
class Row:
    """One row of a list.

    Parameters
    ----------
    cells : mapping
        Column title to what is shown, ready formatted; the first is the name. A list of numbers is a sparkline.
    page : str
        Key of the page the row opens; empty for none.
    query : mapping
        Selection for that page, ``{"run": 12}``.
    """

    cells: Mapping[str, object]
    page: str = ""
    query: Mapping[str, object] = field(default_factory=dict)


def table(
    rows: Sequence[Row],
    *,
    key: str,
    right: Iterable[str] = (),
    columns: Mapping[str, Any] | None = None,
    two_lines: bool = False,
) -> None:
    """A list at full width: a table whose pinned name opens the row, or wrapping rows where the window is narrow.

    Parameters
    ----------
    rows : sequence of Row
        All with the same columns, at most seven.
    key : str
        Unique on the page.
    right : iterable of str
        Columns of numbers.
    columns : mapping, optional
        Streamlit column configurations that replace the default ones.
    two_lines : bool
        Whether text wraps to a second line: where a column holds whole sentences.
    """
    if not rows:
        return
    import pandas as pd

    names = list(rows[0].cells)
    frame = pd.DataFrame([dict(row.cells) for row in rows], columns=names)
    config: dict[str, Any] = {
        name: st.column_config.TextColumn(alignment="right" if name in set(right) else "left") for name in names
    }
    config |= {
        name: st.column_config.LineChartColumn(color="gray", width=100)
        for name in names
        if any(isinstance(row.cells[name], list) for row in rows)
    }
    config |= dict(columns or {})
    row_height = TWO_LINES_HEIGHT if two_lines else ROW_HEIGHT
    clicked = f"{key}_open"
    if any(row.page for row in rows):
        # A pinned text column is drawn too faint to read; a pinned button is not, and opens the row.
        config[names[0]] = st.column_config.ButtonColumn(type="tertiary", alignment="left", pinned=True, key=clicked)
    with st.container(key=f"wide-{key}"):
        st.dataframe(
            frame,
            hide_index=True,
            row_height=row_height,
            height="content" if len(rows) <= MOST_ROWS_SHOWN else row_height * (MOST_ROWS_SHOWN + 1),
            column_config=config,
            key=f"{key}_table",
            lazy=False,
        )
    with st.container(key=f"narrow-{key}", gap="small"):
        for row in rows:
            _wrapping_row(row)
    click = st.session_state.get(clicked)
    if click:
        row = rows[click["row"]]
        session.open_page(row.page, **row.query)


def _wrapping_row(row: Row) -> None:
    name, *others = row.cells.items()
    with st.container(gap=None):
        if row.page:
            st.page_link(
                session.page_file(row.page),
                label=f"**{plain(name[1])}**",
                query_params={key: str(value) for key, value in row.query.items()},
            )
        else:
            st.markdown(f"**{plain(name[1])}**")
        shown = [(title, value) for title, value in others if isinstance(value, str) and value not in UNSAID]
        quiet(" · ".join(f"{title}{':' if value.endswith('.') else ''} {value}" for title, value in shown))


STYLE = """<style>
@media (max-width: 640px) { [class*="st-key-wide-"] { display: none; } }
@media (min-width: 640.02px) { [class*="st-key-narrow-"] { display: none; } }
@media (max-width: 640px) { /* a long title takes the line for itself, before it is squeezed beside the buttons */
  .st-key-page-header > :first-child > :first-child > :first-child { flex: 1 1 max-content; min-width: 0; } }
@media (max-width: 640px) { /* more views than fit on one line: two even lines of four */
  .st-key-address_view [role="radiogroup"]:has(> :nth-child(7)) {
    display: grid; grid-template-columns: repeat(4, minmax(0, 1fr)); gap: 4px; width: 100%; max-width: none;
    padding-right: 2px; }
  .st-key-address_view:has([role="radio"]:nth-child(7)), .st-key-address_view:has([role="radio"]:nth-child(7)) > div {
    width: 100%; }
  .st-key-address_view [role="radiogroup"]:has(> :nth-child(7)) > button {
    margin: 0; padding-left: 0; padding-right: 0; border-radius: 8px; justify-content: center; }
  .st-key-address_view [role="radiogroup"]:has(> :nth-child(7)) > button[aria-checked="false"] {
    border-color: color-mix(in srgb, currentColor 14%, transparent); }
}
[class*="st-key-narrow-"] [data-testid="stPageLink-NavLink"] { padding-left: 0; background: none; }
[class*="st-key-narrow-"] p { font-size: 14px; }
.stApp { font-variant-ligatures: no-contextual; } /* Inter would draw the typed -> as an arrow */
.stHeading h1 { padding: 4px 0; }
button[data-variant][data-selected]:not([data-disabled]) { color: inherit; } /* teal on black is too dark */
.st-key-page-header .stHeading [data-testid="stMarkdownContainer"] { margin-bottom: 0; }
[data-testid="stElementToolbarButton"]:has([aria-label="Download as CSV"]), /* keeps formulas: see exports.csv_bytes */
[data-testid="stElementToolbar"] [aria-label="Download as CSV"] { display: none; }
.gatehouse-demo { display: flex; flex-wrap: wrap; gap: 6px 24px; justify-content: space-between; align-items: center;
  margin: 0 0 8px; padding: 8px 12px; border-radius: 8px;
  background: color-mix(in srgb, currentColor 5%, transparent); }
.gatehouse-demo span { display: flex; flex-wrap: wrap; gap: 4px; align-items: baseline; }
.gatehouse-demo button, .gatehouse-out button, .gatehouse-link {
  font: inherit; color: inherit; background: transparent; cursor: pointer; text-decoration: none !important;
  border: 1px solid color-mix(in srgb, currentColor 22%, transparent); border-radius: 8px; padding: 3px 10px;
}
.gatehouse-demo button:hover, .gatehouse-out button:hover {
  background: color-mix(in srgb, currentColor 7%, transparent);
}
.gatehouse-demo button:disabled { background: color-mix(in srgb, currentColor 14%, transparent); cursor: default; }
</style>"""


def style() -> None:
    """The few rules Streamlit has no setting for; called once by the main page.

    Tables show in wide windows and wrapping rows in narrow ones: the server cannot know the window's width, so both
    are sent and the browser picks. The rest dresses the plain HTML forms that leave the page.
    """
    st.html(STYLE)


def fault(error: Exception) -> None:
    """Tell of a defect without its inner workings; the trace goes to the log under the reference shown."""
    reference = uuid.uuid4().hex[:8]
    log.error("Reference %s", reference, exc_info=error)
    notice(
        "Something went wrong on this page, and nothing was changed.",
        "harm",
        detail=f"Reload it; if it happens again, give your administrator the reference {reference}.",
    )


def cursor(name: str = "before") -> int | None:
    """Where the shown page of a list starts: rows with an id below this; None for the newest."""
    return session.chosen_id(name)


def pager(next_before: int | None, *, name: str = "before") -> None:
    """Buttons to older and newest rows of a list paged by id; the place lives in the address.

    Parameters
    ----------
    next_before : int or None
        The last shown row's id when there may be more, else None.
    """
    here = cursor(name)
    if here is None and next_before is None:
        return
    with st.container(horizontal=True, gap="small"):
        if here is not None and st.button("Newest", icon=":material/first_page:", key=f"{name}_newest"):
            st.query_params.pop(name, None)
            st.rerun()
        if next_before is not None and st.button("Older", icon=":material/chevron_right:", key=f"{name}_older"):
            st.query_params[name] = str(next_before)
            st.rerun()


@dataclass(frozen=True)
class Moment:
    """One row of a time line: an icon, a sentence, who, when."""

    icon: str
    sentence: str
    who: str
    at: datetime | None


def timeline(moments: Sequence[Moment]) -> None:
    """What happened, one row each, in the order given."""
    with st.container(gap="small"):
        for moment in moments:
            with st.container(horizontal=True, gap="small"):
                st.markdown(f":gray[{moment.icon}]", width="content")
                with st.container(gap=None):
                    st.text(moment.sentence)
                    quiet(" · ".join(part for part in (moment.who, theme.stamp(moment.at)) if part))


def figure(drawn: go.Figure, *, key: str, alt: str) -> None:
    """A plotly figure without its tool bar, with its text alternative."""
    st.plotly_chart(drawn, theme=None, key=key, config={"displayModeBar": False}, alt=alt)


def choosable(
    drawn: go.Figure, *, key: str, alt: str, address: Callable[[Mapping[str, Any]], Mapping[str, str]]
) -> None:
    """A figure of which a point can be chosen, which goes into the address; chosen once more it stays chosen.

    Parameters
    ----------
    address : callable
        What the address holds of a point, given as plotly.js tells of it, in the figure as it was when it was chosen.
    """

    def follow() -> None:
        points = st.session_state[key]["selection"]["points"]
        if points:
            st.session_state[f"{key}_chosen"] = address(points[-1])
        # Written again where the point was let go: the browser may not yet have known what was chosen.
        st.query_params.update(st.session_state.get(f"{key}_chosen", {}))

    st.plotly_chart(
        drawn,
        theme=None,
        key=key,
        # Two points one right after the other are no double click, which would let go of both.
        config={"displayModeBar": False, "doubleClickDelay": 0},
        on_select=follow,
        selection_mode="points",
        alt=alt,
    )


def worker_notice() -> None:
    """Say that no worker is running, where something waits for one; silent otherwise."""
    if not reads.fresh(jobs.worker_alive, session.now()):
        notice("No worker is running: jobs wait. Start it with gatehouse worker.", "attention")


def job_progress(job_id: int, *, cancel: Callable[[], None] | None = None) -> None:
    """A job's progress, looked at twice a second while it runs; the page reruns once it ended.

    Parameters
    ----------
    job_id : int
    cancel : callable, optional
        What the Cancel button does, in a callback: open ``session.act(in_callback=True)`` in it.
    """
    job = reads.fresh(jobs.job, job_id)
    if job.state not in FINAL:
        worker_notice()
        _watch(job_id, cancel)
    elif job.state == JobState.FAILED:
        refusal(job.error or "The job failed without a reason.")
    elif job.state == JobState.CANCELLED:
        notice("This job was cancelled.")


@st.fragment(run_every=0.5)
def _watch(job_id: int, cancel: Callable[[], None] | None) -> None:
    job = reads.fresh(jobs.job, job_id)
    if job.state in FINAL:
        st.rerun()
    if job.cancel_requested_at:
        said = "Cancelling"
    elif job.state == JobState.QUEUED:
        said = "Waiting for a worker"
    else:
        said = job.progress_note or "Running"
    st.progress(min(max(job.progress, 0.0), 1.0), text=plain(said))
    if cancel and not job.cancel_requested_at:
        st.button("Cancel", key=f"cancel_job_{job_id}", on_click=cancel)
