"""Recalibrating a run: the button, the choice of a method, and the runs that came of it."""

from __future__ import annotations

import streamlit as st

from core.permissions import Permission
from core.training import queries
from core.training.calibrating import CALIBRATIONS
from core.training.queries import RunRecord
from core.training.service import request_recalibration
from dashboard import panels, reads, session


def offer(record: RunRecord) -> None:
    """Runs that repeat this one with a calibrator, and for who may start one the button for another."""
    run = record.run
    assert run.id is not None
    for again in reads.audited(queries.recalibrations, run.id):
        link(f"Recalibrated by {again.calibration} as run {again.id}", again.id or 0)
    if session.may(Permission.RUN_START) and st.button("Recalibrate", icon=":material/tune:", key="run_recalibrate"):
        recalibrate(run.id, run.calibration)


def link(label: str, run_id: int) -> None:
    """A way to another run."""
    st.page_link(session.page_file("run"), label=label, icon=":material/experiment:", query_params={"run": str(run_id)})


@st.dialog("Recalibrate this run")
def recalibrate(run_id: int, present: str | None) -> None:
    """Choose a method and start the run.

    Parameters
    ----------
    present : str or None
        How the run is calibrated now; not offered again.
    """
    offered = {key: entry for key, entry in CALIBRATIONS.items() if key != present}
    panels.quiet(
        "A new run repeats this one and learns on the validation rows how its scores have to be bent, so that of the "
        "rows scored 30 % about three in ten come true. Which row scores above which hardly changes. This run stays "
        "as it is."
    )
    method = st.radio(
        "Method",
        list(offered),
        format_func=lambda key: offered[key].title,
        captions=[entry.sentence for entry in offered.values()],
        key="run_recalibrate_method",
    )
    if st.button("Start the run", icon=":material/play_arrow:", type="primary", key="run_recalibrate_confirm"):
        with session.act("Run queued") as act:
            run = request_recalibration(act, run_id=run_id, method=method, actor=session.actor(), now=session.now())
        session.open_page("run", run=run.id)
