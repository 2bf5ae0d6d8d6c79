"""Gaps between groups of people over the windows of one monitor."""

from __future__ import annotations

from collections.abc import Sequence

from core.evaluation.fairness import criterion_kind
from core.evaluation.group_measures import measure_kind
from core.monitoring import performance_queries
from core.monitoring.queries import MonitorRow
from core.monitoring.tables import WindowState
from core.monitoring.window_queries import WindowSpan
from dashboard import panels, reads, selection, theme
from dashboard.charts import performance as charts
from dashboard.charts.monitoring import Event


def gaps(row: MonitorRow, spans: Sequence[WindowSpan], happened: Sequence[Event]) -> None:
    """One gap over the windows; silent where no sensitive column is kept or its groups are too small."""
    found = reads.fresh(performance_queries.measures_over_time, row.id, kind="group_gap", since=spans[0].from_at)
    measured = [(label, one) for label, one in found if one.value is not None]
    if not measured:
        return
    newest_label, newest = measured[-1]
    # The newest window's widest leads; the rest are a choice away.
    kinds = {
        f"{gap['column']}.{gap['criterion']}": f"{gap['column']}: {measure_kind(gap['measure']).title}"
        for _, one in measured[::-1]
        for gap in sorted(one.details["gaps"], key=lambda gap: gap["difference"] != one.value)
    }
    panels.section(
        f"Groups fare further apart in {newest_label} than on the evaluation set"
        if newest.state == WindowState.DRIFTED
        else f"No gap between groups has widened in {newest_label}",
        newest.sentence,
    )
    chosen = selection.pick("Gap", kinds, name="gap", width=360) if len(kinds) > 1 else next(iter(kinds))
    shown = [
        (label, one, gap)
        for label, one in measured
        for gap in one.details["gaps"]
        if f"{gap['column']}.{gap['criterion']}" == chosen
    ]
    # A window keeps the evaluation set's figure of its leading gap alone.
    then = [one.details["then"] for _, one, gap in shown if gap["difference"] == one.value and one.details["then"]]
    panels.figure(
        charts.gaps(
            [
                charts.Gap(label, gap["difference"], gap["low"], gap["high"], gap["highest"], gap["lowest"])
                for label, _, gap in shown
            ],
            windows=[one.label for one in spans],
            evaluated=tuple(then[-1]) if then else None,
            events=happened,
            colours=theme.colours(),
        ),
        key="monitor_gaps",
        alt=f"Gap by {kinds[chosen]}, newest windows: "
        + "; ".join(
            f"{label} {theme.interval(gap['difference'], gap['low'], gap['high'])}" for label, _, gap in shown[-12:]
        ),
    )
    kind = criterion_kind(shown[-1][2]["criterion"])
    band = " The shaded band is the gap on the evaluation set." if then else ""
    panels.quiet(f"{kind.title}: {theme.inside(kind.sentence)} A gap of 0 is none.{band}")
