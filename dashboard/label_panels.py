"""How many labels of one monitor are in, how many are still to come, and those that wait for their prediction."""

from __future__ import annotations

from collections.abc import Sequence

from core.monitoring.label_maturity import WindowLabels, label_maturity
from core.monitoring.labels import UnknownLabels
from core.monitoring.queries import MonitorRow
from core.monitoring.window_queries import WindowSpan
from dashboard import panels, reads, session, theme
from dashboard.charts import performance as charts

SAID = 12
"""Windows a figure's text alternative tells of; a year of days would never end."""


def labels(row: MonitorRow, spans: Sequence[WindowSpan]) -> None:
    """Every window's labels against those expected; silent where no label ever came."""
    found = reads.fresh(label_maturity, row.id, now=session.now(), since=spans[0].from_at)
    unknown(found.unknown)
    there = {one.id for one in spans}
    shown = [one for one in found.windows if one.window_id in there]
    if not any(one.maturity.n_labelled for one in shown):
        return
    young = [one for one in shown if not one.maturity.is_mature and one.maturity.can_grow]
    delay = f" Half of all labels come within {theme.duration(found.median_delay_s)}." if found.median_delay_s else ""
    means = (
        "A window is complete enough to judge when nine tenths of the labels that will come are in; how many will is "
        "learnt from how late labels came before."
    )
    if not young:
        whole = sum(one.maturity.is_mature for one in shown)
        panels.section(
            f"Labels are in for {whole} of {theme.count(len(shown), 'window')}, and none waits", f"{means}{delay}"
        )
        return
    panels.section(
        f"{theme.count(len(young), 'window')} of {len(shown)} still {_wait(len(young))} for labels", f"{means}{delay}"
    )
    panels.figure(
        charts.maturity([_bar(one) for one in shown], windows=[one.label for one in spans], colours=theme.colours()),
        key="monitor_labels",
        alt="Labels, newest windows: " + "; ".join(f"{one.window}: {one.maturity.sentence}" for one in shown[-SAID:]),
    )
    panels.quiet(f"{young[-1].window}: {young[-1].maturity.sentence}")
    if late := [one.window for one in young if one.maturity.is_late]:
        panels.notice(
            f"Fewer labels have come than are due in {', '.join(late[-3:])}.",
            "attention",
            detail="Figures from labels rest on those rows alone. See whether whoever sends labels still does.",
        )


def unknown(found: UnknownLabels) -> None:
    """Labels that wait for their prediction; silent where there are none."""
    if found.n == 0:
        return
    shown = ", ".join(found.ids) + (", …" if found.n > len(found.ids) else "")
    panels.notice(
        f"{theme.count(found.n, 'label')} {_wait(found.n)} for a prediction that was never seen.",
        "attention",
        detail=f"The oldest came {theme.ago(found.since, session.now())}: {shown}. They are kept, and count as soon as "
        "the prediction is in the log or in a batch; if they never do, look at the column the ids were taken from.",
    )


def _bar(one: WindowLabels) -> charts.Maturity:
    state = one.maturity
    known = float(state.n_labelled) if state.is_mature else None
    expected = known if state.final is None else state.final.value
    return charts.Maturity(one.window, state.n_rows, state.n_labelled, expected)


def _wait(n: int) -> str:
    return "waits" if n == 1 else "wait"
