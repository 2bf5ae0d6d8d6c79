"""The catalogue of remedies: each with its consequence in this very situation, and whether it is advised. PURE."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from core.wording import enumerated, percent

ENOUGH_SHARE = 0.1
ENOUGH_ROWS = 200
"""Retraining is advised once as many labelled rows lie after the change as a tenth of the training rows, and 200."""
EXPENDABLE = 0.05
"""A feature with less than this share of what all features matter can be left out without much loss."""
NAMED = 3


@dataclass(frozen=True)
class Situation:
    """What the consequences of remedies depend on.

    Parameters
    ----------
    cause : str
        Key in `causes.CAUSES`.
    live : str or None
        The version that answers, "pay v2"; None when nothing is live.
    live_since : datetime or None
    since : datetime
        Since when the incident's data shows it.
    earlier : str or None
        The version a rollback makes live.
    earlier_features : frozenset of str or None
        What that version uses; None where there is none.
    faulty : tuple of str
        Features with the mark of a fault.
    drifted : tuple of str
        Features that drifted without one.
    importance : mapping of feature to share
        Empty where unknown.
    n_features : int
        Features of the live version.
    n_train : int
        Rows the live version was trained on.
    n_labelled : int
        Labelled production rows from ``since`` on, by the rows' own time.
    newer_version : int or None
        The newest dataset version of the same dataset that is newer than the one it was trained on, by id.
    newer_label : str
        What people call it.
    newer_rows : int
        Its rows from ``since`` on, by their own time where they have one.
    dataset_id, dataset_number, dataset_version_id : int or None
        The dataset version it was trained on: its dataset, its number, itself.
    monitor_id, model_id : int or None
    season_watched : bool
        Whether the monitor already compares like seasons.
    """

    cause: str
    since: datetime
    live: str | None = None
    live_since: datetime | None = None
    earlier: str | None = None
    earlier_features: frozenset[str] | None = None
    faulty: tuple[str, ...] = ()
    drifted: tuple[str, ...] = ()
    importance: Mapping[str, float] = field(default_factory=dict)
    n_features: int = 0
    n_train: int = 0
    n_labelled: int = 0
    newer_version: int | None = None
    newer_label: str = ""
    newer_number: int | None = None
    newer_rows: int = 0
    dataset_id: int | None = None
    dataset_number: int | None = None
    dataset_version_id: int | None = None
    monitor_id: int | None = None
    model_id: int | None = None
    season_watched: bool = False

    @property
    def touched(self) -> tuple[str, ...]:
        """Features something is wrong with: the faulty ones, else those that drifted."""
        return self.faulty or self.drifted

    @property
    def rows_needed(self) -> int:
        """Labelled rows from the change on that a retraining should have."""
        return max(ENOUGH_ROWS, round(ENOUGH_SHARE * self.n_train))

    @property
    def rows_there(self) -> int:
        """Those there are: of a newer dataset version, or production rows with labels."""
        return max(self.newer_rows, self.n_labelled)


@dataclass(frozen=True)
class Destination:
    """The page where a remedy is carried out, and its selection."""

    page: str
    query: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Remedy:
    """One entry of the catalogue.

    Parameters
    ----------
    key, title : str
    done : str
        What an incident's record says was done: "rolled back".
    advised : callable
        Whether the situation calls for it.
    consequence : callable
        What it will and will not do here, in words.
    leads_to : callable
        Where it is carried out; None where there is nothing to do it with.
    """

    key: str
    title: str
    done: str
    advised: Callable[[Situation], bool]
    consequence: Callable[[Situation], str]
    leads_to: Callable[[Situation], Destination | None]


@dataclass(frozen=True)
class Option:
    """A remedy in one situation."""

    key: str
    title: str
    advised: bool
    consequence: str
    destination: Destination | None


def options(situation: Situation) -> tuple[Option, ...]:
    """Every remedy in this situation, those advised first."""
    found = [
        Option(one.key, one.title, one.advised(situation), one.consequence(situation), one.leads_to(situation))
        for one in REMEDIES.values()
    ]
    return tuple(sorted(found, key=lambda one: not one.advised))


def _rollback_helps(situation: Situation) -> bool:
    if situation.earlier is None:
        return False
    if situation.cause == "new_version":
        return True
    spared = situation.earlier_features is not None and not set(situation.touched) & situation.earlier_features
    return situation.cause == "pipeline_fault" and bool(situation.touched) and spared


def _rollback(situation: Situation) -> str:
    live, earlier = situation.live or "The version", situation.earlier
    if earlier is None:
        return f"There is nothing to roll back to: no version was live before {live}."
    match situation.cause:
        case "new_version":
            since = f" only since {_day(situation.live_since)}" if situation.live_since else ""
            return f"{live} is live{since}. {earlier} answered before and answers again from the next request on."
        case "pipeline_fault" | "input_shift" | "seasonal_return" if _rollback_helps(situation):
            return f"{earlier} does not use {enumerated(situation.touched, NAMED)}, so it is not touched by this."
        case "pipeline_fault" | "input_shift" | "seasonal_return":
            return f"A rollback will not help: {earlier} receives the same input."
        case "label_shift" | "concept_change":
            return f"A rollback will not help: {earlier} learned from older outcomes still."
        case "infrastructure":
            return "A rollback will not help: the service is at fault, not the version."
        case "none":
            return f"Nothing calls for it. {earlier} would answer again."
        case _:
            return f"It helps only if {live} itself is the cause; {earlier} receives the same input."


def _retraining_helps(situation: Situation) -> bool:
    changed = situation.cause in {"input_shift", "label_shift", "concept_change"}
    return changed and situation.rows_there >= situation.rows_needed


def _retrain(situation: Situation) -> str:
    match situation.cause:
        case "pipeline_fault":
            return "Not before the pipeline is fixed: a new version would learn the fault."
        case "infrastructure" | "none":
            return "It would change nothing about this."
        case "seasonal_return":
            return "It would chase the season: by the time it is over the version is wrong again."
        case "new_version":
            return "First find out what the new version does differently; more of the same data will not tell."
    since = f"from {_day(situation.since)} on, when this began"
    needed = f"It needs {situation.rows_needed:,} labelled rows {since}; {situation.rows_there:,} are in."
    if situation.rows_there < situation.rows_needed:
        return f"{needed} Add labels, or a newer version of the data, first."
    source = f" {situation.newer_label} holds them." if situation.newer_rows >= situation.rows_needed else (
        " They are production rows: add them as a version of the data."
    )  # fmt: skip
    return f"{needed}{source} It takes a new promotion request to go live."


def _retrain_at(situation: Situation) -> Destination | None:
    if situation.dataset_id is None:
        return None
    return Destination("dataset", {"dataset": situation.dataset_id, "version": situation.newer_number})


def _leaving_out_helps(situation: Situation) -> bool:
    matter = [situation.importance.get(name) for name in situation.touched]
    known = [one for one in matter if one is not None]
    expendable = bool(matter) and len(known) == len(matter) and sum(known) < EXPENDABLE
    return situation.cause in {"pipeline_fault", "input_shift"} and expendable


def _leave_out(situation: Situation) -> str:
    if not situation.touched:
        return "No single feature is to blame, so there is none to leave out."
    if situation.n_features and len(situation.touched) >= situation.n_features:
        return "Every feature is touched: leaving them out leaves none."
    matter = [situation.importance[name] for name in situation.touched if name in situation.importance]
    names = enumerated(situation.touched, NAMED)
    loss = f"{_percent(sum(matter))} of what the features tell it" if matter else "an unknown part of what it knows"
    return f"A new version without {names} is not touched by this, and loses {loss}. It takes a new run."


def _leave_out_at(situation: Situation) -> Destination | None:
    whole = situation.n_features and len(situation.touched) >= situation.n_features
    if not situation.touched or whole or situation.dataset_version_id is None:
        return None
    # Names are told apart by a line break, which no column's name holds.
    return Destination("new_run", {"version": situation.dataset_version_id, "without": "\n".join(situation.touched)})


def _fix(situation: Situation) -> str:
    if situation.cause != "pipeline_fault":
        return "Nothing shows a fault of the pipeline."
    what = enumerated(situation.faulty, NAMED) if situation.faulty else "the rows"
    return (
        f"Put right what delivers {what}. Rows that came as a batch are withdrawn under the monitor's data and sent "
        "again: windows are computed anew and alerts close. "
        "Answers given meanwhile stay as they are. If a dataset version took the fault in, quarantine it."
    )


def _fix_at(situation: Situation) -> Destination | None:
    """The newest data that may hold the fault, where it can be set apart."""
    if situation.dataset_id is None:
        return None
    number = situation.newer_number if situation.newer_number is not None else situation.dataset_number
    return Destination("dataset", {"dataset": situation.dataset_id, "version": number})


def _scale(situation: Situation) -> str:
    if situation.cause != "infrastructure":
        return "No alert says that the service falls behind; more of it changes no answer."
    return (
        "More workers or a larger machine help where requests wait or memory is short; where nothing arrives, look at "
        "who sends first. Nothing about the version changes."
    )


def _watch(situation: Situation) -> str:
    match situation.cause:
        case "seasonal_return" if not situation.season_watched:
            return "Nothing is harmed by waiting. Have the monitor compare like seasons, and it will not alert again."
        case "seasonal_return" | "none":
            return "Nothing is harmed by waiting; the next window tells more."
        case "cannot_tell":
            return "The next window, or labels of this one, will tell more. Until then answers go out as they are."
        case "input_shift":
            return "While performance holds, waiting is free; the monitor alerts when it no longer does."
        case _:
            return "Answers stay as they are while you wait."


def _monitor(situation: Situation) -> Destination | None:
    if situation.monitor_id is None:
        return None
    # Where like seasons should be compared, that is set among the monitor's settings.
    set_it = situation.cause == "seasonal_return" and not situation.season_watched
    return Destination("monitor", {"monitor": situation.monitor_id} | ({"view": "settings"} if set_it else {}))


def _add_labels(situation: Situation) -> str:
    if situation.monitor_id is None:
        return "Labels tell nothing here: this is about the installation, not about a model."
    if situation.cause == "cannot_tell":
        return "Labels of this window tell an input shift from a label shift, and say what harm is done."
    return f"{situation.n_labelled:,} labelled rows are in; more make what is known of the harm surer."


REMEDIES: dict[str, Remedy] = {
    remedy.key: remedy
    for remedy in (
        Remedy(
            "fix_pipeline", "Fix the pipeline", "fixed the pipeline",
            lambda one: one.cause == "pipeline_fault", _fix, _fix_at,
        ),
        Remedy(
            "roll_back", "Roll back", "rolled back",
            _rollback_helps, _rollback,
            lambda one: Destination("deployments", {"model": one.model_id}) if one.earlier is not None else None,
        ),
        Remedy("retrain", "Retrain on newer data", "retrained", _retraining_helps, _retrain, _retrain_at),
        Remedy(
            "add_labels", "Add labels", "added labels",
            lambda one: one.cause == "cannot_tell" and one.monitor_id is not None, _add_labels,
            lambda one: (
                None if one.monitor_id is None else Destination("intake", {"use": "labels", "monitor": one.monitor_id})
            ),
        ),
        Remedy(
            "change_features", "Leave features out", "changed the features",
            _leaving_out_helps, _leave_out, _leave_out_at,
        ),
        Remedy(
            "scale", "Scale", "scaled",
            lambda one: one.cause == "infrastructure", _scale,
            lambda _: Destination("monitoring", {"view": "infrastructure"}),
        ),
        Remedy(
            "watch", "Watch", "kept watching",
            lambda one: one.cause in {"seasonal_return", "none", "cannot_tell"}, _watch, _monitor,
        ),
    )
}  # fmt: skip


def _percent(share: float) -> str:
    return "less than 1 %" if share < 0.01 else percent(share)


def _day(at: datetime | None) -> str:
    return "" if at is None else f"{at:%-d %b %Y}"
