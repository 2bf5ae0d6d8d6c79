"""Drift of one monitor over time: what moved most, when, and what happened meanwhile."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

import streamlit as st

from core.monitoring import drift_queries
from core.monitoring import queries as monitoring
from core.monitoring.drift_queries import DriftMap, DriftSquare
from core.monitoring.queries import MonitorRow
from core.monitoring.tables import Season, WindowState
from core.monitoring.window_queries import WindowSpan
from core.monitoring.windows import SEASONS_OF
from core.registry import queries as registry
from core.wording import enumerated
from dashboard import panels, reads, selection, theme
from dashboard.charts import monitoring as charts
from dashboard.drift_panels import PREDICTION, shown_name

FEW_WINDOWS = 60
SHOWN = {"60": "60 newest windows", "365": "365 newest windows"}
MANY = 3
"""From so many windows on, that all of them drift may be the seasons' doing."""
AGAINST = {"reference": "the reference", "before": "the window before"}


@dataclass(frozen=True)
class Choices:
    """What of a monitor's drift is looked at, from the address."""

    part: str
    against: str
    limit: int


def choices(row: MonitorRow, n_windows: int) -> Choices:
    """The row of choices above the map; what there is only one of is not asked for."""
    slices = reads.fresh(drift_queries.slices, row.id)
    part, limit = "", FEW_WINDOWS
    with st.container(horizontal=True, gap="small"):
        against = selection.pick("Held against", AGAINST, name="against")
        if slices:
            part = selection.pick("Rows", {"": "all rows", **{one: one for one in slices}}, name="slice")
        if n_windows > FEW_WINDOWS:
            limit = int(selection.pick("Windows", SHOWN, name="windows"))
    return Choices(part, against, limit)


def finding(found: DriftMap) -> str:
    """The heading: what drifted, and when first."""
    fired = [shown_name(one) for one in found.columns if one.drifted]
    if not fired:
        return "No feature drifted in the windows shown"
    names = [name for name in fired if name != PREDICTION][:3]
    rest = len(fired) - len(names) - (PREDICTION in fired)
    if rest:
        names.append(f"{rest} more")
    if PREDICTION in fired:
        names.append(PREDICTION)
    said = enumerated(names)
    return f"{said[:1].upper() + said[1:] if said == PREDICTION else said} drifted, first in {found.first_drifted}"


def events(
    row: MonitorRow, spans: Sequence[WindowSpan], incidents: Sequence[tuple[datetime, str]]
) -> list[charts.Event]:
    """What happened over the windows shown: versions that went live and incidents that began."""
    found = [
        charts.Event(place, f"v{one.version_number} live", "deployment")
        for one in reads.audited(registry.deployments, row.model_id)
        if (one.environment, one.alias) == (row.environment, row.alias)
        and (place := place_of(one.from_at, spans)) is not None
    ]
    return found + [
        charts.Event(place, title, "incident") for at, title in incidents if (place := place_of(at, spans)) is not None
    ]


def place_of(at: datetime, spans: Sequence[WindowSpan]) -> float | None:
    """Where a moment lies on the axis of windows; None before the first."""
    if not spans or at < spans[0].from_at:
        return None
    for column, window in enumerate(spans):
        if at < window.to_at:
            length = (window.to_at - window.from_at).total_seconds()
            inside = max(0.0, (at - window.from_at).total_seconds()) / length if length else 0.0
            return column - 0.5 + inside
    return len(spans) - 0.5


def heat_map(row: MonitorRow, found: DriftMap, happened: Sequence[charts.Event], against: str) -> None:
    """Drift over time; choosing a square writes its window and feature into the address."""
    heading = finding(found)
    panels.section(
        heading,
        f"Colour is the effect against {AGAINST[against]}, divided by the threshold it has to exceed: grey is "
        "below, full orange three times it. Outlined squares drifted; a stroke means not enough data. Choose a square "
        "to see the feature then and now.",
    )
    shown = found.columns[: charts.FEATURES_SHOWN]

    def address(point: Mapping[str, Any]) -> dict[str, str]:
        window, feature = found.windows[int(point["x"])], shown[len(shown) - 1 - int(point["y"])]
        return {"window": str(window.id), "feature": shown_name(feature)}

    panels.choosable(
        charts.heat_map(
            [square(one) for one in found.squares],
            windows=[one.label for one in found.windows],
            features=[shown_name(one) for one in shown],
            events=happened,
            colours=theme.colours(),
        ),
        key=f"monitor_map_{row.id}",
        alt=f"Drift of {len(shown)} features over {theme.count(len(found.windows), 'window')}. {heading}.",
        address=address,
    )
    if folded := len(found.columns) - len(shown):
        panels.quiet(f"{theme.count(folded, 'quieter feature')} {'is' if folded == 1 else 'are'} in the table below.")
    if against == "reference":
        _like_seasons(row, found)


def _like_seasons(row: MonitorRow, found: DriftMap) -> None:
    """The way out where every window drifts: a month is no sample of a year, whatever else is the case."""
    if len({one.place for one in found.squares if one.state == WindowState.DRIFTED}) < max(MANY, len(found.windows)):
        return
    monitor = reads.fresh(monitoring.monitor, row.id)
    if monitor.season == Season.NONE and len(SEASONS_OF[monitor.window]) > 1:
        panels.quiet(
            "Every window drifts. Where seasons do it, hold each window against the same season of the training rows, "
            "under Settings; that takes training data with a time."
        )


def square(one: DriftSquare) -> charts.Square:
    """A square of the map as it is drawn, and what it says when pointed at."""
    place, rank, effect, threshold, state = one
    drifted = state == WindowState.DRIFTED
    if effect is None:
        return charts.Square(place, rank, None, drifted, _words(None, threshold, drifted))
    # As far as it is written, so that squares share their words; a smaller one is written with its own digits.
    written = round(effect, 3) if effect >= 0.001 else effect
    return charts.Square(place, rank, effect / (threshold or 1.0), drifted, _words(written, threshold, drifted))


@lru_cache(maxsize=16_384)
def _words(effect: float | None, threshold: float, drifted: bool) -> str:
    """What a square says, made once for the many that say the same."""
    said = "drifted" if drifted else "no drift" if effect is not None else "not enough data"
    return f"effect {theme.number(effect)}, threshold {theme.number(threshold)}, {said}"
