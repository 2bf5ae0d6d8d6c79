"""What every page of stored analyses shares: which evaluation is looked at, and its document or the click for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from core.evaluation import queries as evaluations
from core.jobs import queries as jobs
from core.training.analyses import ANALYSES
from core.training.queries import RunRecord, ScoredOn
from core.training.service import request_analysis
from dashboard import panels, reads, selection, session


def choose(record: RunRecord) -> ScoredOn | None:
    """The evaluation to look at, by a select box where there are several; None, said, where there is none."""
    if not record.evaluations:
        panels.notice("This run has not been scored, so nothing can be said about how good it is.", "attention")
        return None
    sets = {str(one.evaluation.evaluation_set_id): one.set_label for one in record.evaluations}
    chosen = selection.pick("Evaluation set", sets, name="set", width=320) if len(sets) > 1 else next(iter(sets))
    return next(one for one in record.evaluations if str(one.evaluation.evaluation_set_id) == chosen)


def document(
    record: RunRecord, scored: ScoredOn, kind: str, options: Mapping[str, Any] | None = None, *, button: str = ""
) -> dict[str, Any] | None:
    """The stored analysis with these options; where there is none, the button that asks for it or its progress.

    Parameters
    ----------
    kind : str
        A key of `ANALYSES`.
    button : str
        What the button says, instead of "Work it out".

    Returns
    -------
    dict or None
        As the analysis's handler documents it; None while it is not there, which has then been said on the page.
    """
    wanted = dict(options or {})
    found = known(scored, kind, wanted)
    if found is not None:
        return found
    asked = _asked(scored, kind, wanted)
    job_id: int | None = st.session_state.get(asked)
    if job_id is not None:
        panels.job_progress(job_id)
        if reads.fresh(jobs.job, job_id).state not in panels.FINAL:
            return None
    panels.quiet(f"{ANALYSES[kind].sentence} Not worked out yet for {scored.set_label}.")
    if st.button(button or "Work it out", key=f"ask_{asked}", icon=":material/calculate:"):
        ask(record, scored, kind, wanted)
        st.rerun()
    return None


def known(scored: ScoredOn, kind: str, options: Mapping[str, Any] | None = None) -> dict[str, Any] | None:
    """The stored analysis with these options, where there is one; draws nothing."""
    wanted = dict(options or {})
    return reads.audited(_result, scored.evaluation.id or 0, kind, evaluations.options_digest(wanted))


def ask(
    record: RunRecord, scored: ScoredOn, kind: str, options: Mapping[str, Any], *, in_callback: bool = False
) -> None:
    """Ask for an analysis; `document` then shows its progress and, once it is there, the analysis."""
    with session.act(in_callback=in_callback) as act:
        job = request_analysis(
            act,
            run_id=record.run.id or 0,
            evaluation_id=scored.evaluation.id or 0,
            kind=kind,
            options=options,
            actor=session.actor(),
            now=session.now(),
        )
        st.session_state[_asked(scored, kind, options)] = job.id


def _asked(scored: ScoredOn, kind: str, options: Mapping[str, Any]) -> str:
    return f"analysis_job_{scored.evaluation.id}_{kind}_{evaluations.options_digest(options)[:12]}"


def _result(db: Any, evaluation_id: int, kind: str, digest: str) -> dict[str, Any] | None:
    return next(
        (
            one.result
            for one in evaluations.analyses(db, evaluation_id=evaluation_id, kind=kind)
            if one.options_digest == digest
        ),
        None,
    )
