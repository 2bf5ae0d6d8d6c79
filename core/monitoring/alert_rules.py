"""PURE: every kind of alert: what it is about, whom it wakes, and what can be set.

A rule holds for one monitor or for the whole installation. Where nobody edited it, the defaults here hold; a parameter
whose default is "learned" is worked out from the past (`liveness`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from core.errors import InvalidInput, NotFound

SEVERITIES = ("warning", "critical")
"""Of alerts, the worse the later."""


class Family(StrEnum):
    """What an alert is about: harm, faults and silence wake people; drift alone waits for the morning."""

    HARM = "harm"
    FAULT = "fault"
    SILENCE = "silence"
    DRIFT = "drift"


@dataclass(frozen=True)
class Parameter:
    """One number of a rule.

    Parameters
    ----------
    key : str
    title : str
        With its unit.
    default : float or None
        None means that it is learned from the past.
    low, high : float
        Both allowed.
    """

    key: str
    title: str
    default: float | None
    low: float
    high: float


@dataclass(frozen=True)
class AlertRuleKind:
    """One kind of rule.

    Parameters
    ----------
    key : str
        The `kind` of the alerts it raises.
    title : str
    family : Family
    subject : {"monitor", "installation"}
    severity : {"warning", "critical"} or None
        Of its alerts; None where how bad it is decides.
    parameters : tuple of Parameter
    decided_by_monitor : bool
        Whether the monitor's own settings decide, so that nothing is set here.
    sentence : str
        When it fires.
    """

    key: str
    title: str
    family: Family
    subject: Literal["monitor", "installation"]
    severity: Literal["warning", "critical"] | None
    parameters: tuple[Parameter, ...]
    decided_by_monitor: bool
    sentence: str

    @property
    def wakes(self) -> bool:
        """Whether it cannot wait for the morning."""
        return self.family is not Family.DRIFT

    def defaults(self) -> dict[str, float | None]:
        """What holds where nobody edited it."""
        return {parameter.key: parameter.default for parameter in self.parameters}


def _by_key(kinds: Iterable[AlertRuleKind]) -> dict[str, AlertRuleKind]:
    return {kind.key: kind for kind in kinds}


_MINUTES = Parameter("minutes", "Looks back, minutes", 15, 5, 1440)

ALERT_RULES: dict[str, AlertRuleKind] = _by_key(
    (
        AlertRuleKind(
            key="performance",
            title="Performance fell",
            family=Family.HARM,
            subject="monitor",
            severity="critical",
            parameters=(),
            decided_by_monitor=True,
            sentence="A metric on a window's labels is worse than on the evaluation set, and their intervals are "
            "apart.",
        ),
        AlertRuleKind(
            key="estimated_performance",
            title="Estimated performance fell",
            family=Family.HARM,
            subject="monitor",
            severity="warning",
            parameters=(),
            decided_by_monitor=True,
            sentence="A metric estimated without labels is worse than it can be by chance. An estimate warns; that it "
            "is so only labels show.",
        ),
        AlertRuleKind(
            key="prediction_drift",
            title="Predictions drifted",
            family=Family.DRIFT,
            subject="monitor",
            severity=None,
            parameters=(),
            decided_by_monitor=True,
            sentence="What the model answers is spread differently from what it answered on its training data.",
        ),
        AlertRuleKind(
            key="drift",
            title="Features drifted",
            family=Family.DRIFT,
            subject="monitor",
            severity=None,
            parameters=(),
            decided_by_monitor=True,
            sentence="What the model is asked is spread differently from what it was trained on, beyond the false "
            "alerts the monitor allows.",
        ),
        AlertRuleKind(
            key="no_predictions",
            title="No predictions",
            family=Family.SILENCE,
            subject="monitor",
            severity="critical",
            parameters=(Parameter("hours", "Longest silence, hours", None, 0.25, 8760),),
            decided_by_monitor=False,
            sentence="The live version has answered nothing for longer than is usual: over twice the second longest "
            "silence of eight weeks, counted in hours of the week in which it usually answers.",
        ),
        AlertRuleKind(
            key="no_labels",
            title="No labels",
            family=Family.SILENCE,
            subject="monitor",
            severity="warning",
            parameters=(Parameter("hours", "Longest wait, hours", None, 1, 8760),),
            decided_by_monitor=False,
            sentence="Predictions go on, but no label has come for over twice the second longest gap there was, and "
            "at least a day.",
        ),
        AlertRuleKind(
            key="not_run",
            title="Monitor not computed",
            family=Family.SILENCE,
            subject="monitor",
            severity="critical",
            parameters=(Parameter("hours", "Longest delay, hours", 2, 0.25, 168),),
            decided_by_monitor=False,
            sentence="Data came in and was not measured for this long, though a worker ran: what the monitor says is "
            "old.",
        ),
        AlertRuleKind(
            key="freshness",
            title="No new data",
            family=Family.SILENCE,
            subject="monitor",
            severity="warning",
            parameters=(Parameter("hours", "Longest gap, hours", None, 1, 8760),),
            decided_by_monitor=False,
            sentence="By when data arrives, whatever times its rows bear: batches usually come in a rhythm, and the "
            "last came longer ago than twice the second longest gap there was; with hours given, predictions count "
            "too.",
        ),
        AlertRuleKind(
            key="late_rows",
            title="Late data",
            family=Family.SILENCE,
            subject="monitor",
            severity="warning",
            parameters=(Parameter("hours", "Oldest newest row, hours", None, 1, 8760),),
            decided_by_monitor=False,
            sentence="By the times that rows bear, whenever they arrive: batches come, but their newest row is older "
            "than twice the second oldest it usually gets. Rows of an hour or a day are dated at its end.",
        ),
        AlertRuleKind(
            key="volume",
            title="Unusual number of rows",
            family=Family.SILENCE,
            subject="monitor",
            severity="warning",
            parameters=(Parameter("width", "Half width of the usual band, deviations", 5, 2, 20),),
            decided_by_monitor=False,
            sentence="The last whole hour (or day, where hours hold few rows) had less than half or more than twice "
            "the rows of the same hour and weekday, beyond chance, and lies outside the band of the past eight weeks.",
        ),
        AlertRuleKind(
            key="parts",
            title="A part stopped",
            family=Family.FAULT,
            subject="installation",
            severity="critical",
            parameters=(Parameter("minutes", "Patience, minutes", 3, 2, 1440),),
            decided_by_monitor=False,
            sentence="The pages, scoring or a worker fell silent for this long without having been stopped, while "
            "another part ran on.",
        ),
        AlertRuleKind(
            key="restarts",
            title="A part keeps ending",
            family=Family.FAULT,
            subject="installation",
            severity="critical",
            parameters=(
                Parameter("times", "Ended, times", 5, 2, 100),
                Parameter("minutes", "Looks back, minutes", 60, 5, 1440),
            ),
            decided_by_monitor=False,
            sentence="The pages, scoring or a worker ended this often without having been stopped, and was started "
            "again each time: it is never missing for long, and does little.",
        ),
        AlertRuleKind(
            key="errors",
            title="Requests fail",
            family=Family.FAULT,
            subject="installation",
            severity="critical",
            parameters=(Parameter("percent", "Failed requests, %", 5, 0.1, 100), _MINUTES),
            decided_by_monitor=False,
            sentence="At least this share of requests failed through no fault of the caller, five at least.",
        ),
        AlertRuleKind(
            key="refused",
            title="Requests are refused",
            family=Family.FAULT,
            subject="installation",
            severity="warning",
            parameters=(Parameter("percent", "Refused requests, %", 20, 0.1, 99), _MINUTES),
            decided_by_monitor=False,
            sentence="More than this share of requests, twenty at least, were refused for the caller's fault, beyond "
            "chance: no valid token, a model that is not live, rows that do not fit.",
        ),
        AlertRuleKind(
            key="latency",
            title="Answers are slow",
            family=Family.FAULT,
            subject="installation",
            severity="warning",
            parameters=(Parameter("limit_ms", "Latency of 95 of 100, ms", 1000, 1, 600_000), _MINUTES),
            decided_by_monitor=False,
            sentence="In at least half of the minutes with requests, and in three at least, 5 of 100 answers took "
            "longer than this.",
        ),
        AlertRuleKind(
            key="memory",
            title="Memory runs out",
            family=Family.FAULT,
            subject="installation",
            severity="critical",
            parameters=(Parameter("free_percent", "Memory available, %", 5, 0.5, 50),),
            decided_by_monitor=False,
            sentence="Less than this share of the machine's memory has been available for five minutes.",
        ),
        AlertRuleKind(
            key="disk",
            title="Disk runs full",
            family=Family.FAULT,
            subject="installation",
            severity="critical",
            parameters=(
                Parameter("free_percent", "Disk free, %", 5, 0.1, 50),
                Parameter("free_gb", "Disk free, GB", 1, 0.05, 10_000),
            ),
            decided_by_monitor=False,
            sentence="Less than this share, and less than ten times these gigabytes, is free; or less than these "
            "gigabytes whatever the share.",
        ),
        AlertRuleKind(
            key="queue",
            title="Jobs wait or fail",
            family=Family.FAULT,
            subject="installation",
            severity="warning",
            parameters=(
                Parameter("minutes", "Longest wait, minutes", 60, 1, 1440),
                Parameter("failed", "Failed jobs in an hour", 5, 1, 1000),
            ),
            decided_by_monitor=False,
            sentence="A job has waited longer than this while workers ran, or this many have failed within an hour; "
            "one that was refused, as for a file that does not fit, is no fault.",
        ),
    )
)


def rule_kind(key: str) -> AlertRuleKind:
    """The kind of rule of this key.

    Raises
    ------
    NotFound
        Names the kinds there are.
    """
    try:
        return ALERT_RULES[key]
    except KeyError:
        raise NotFound("alert rule", key, f"There are: {', '.join(ALERT_RULES)}.") from None


def checked_parameters(kind: AlertRuleKind, given: Mapping[str, float | None]) -> dict[str, float | None]:
    """The parameters that were given and differ from the defaults, each within its range.

    None means the default.

    Raises
    ------
    InvalidInput
        There is no such parameter, or its value is out of range or no number.
    """
    known = {parameter.key: parameter for parameter in kind.parameters}
    kept: dict[str, float | None] = {}
    for key, value in given.items():
        parameter = known.get(key)
        if parameter is None:
            has = f"It has: {', '.join(known)}." if known else "It has none."
            raise InvalidInput(f"The rule {kind.title!r} has no parameter {key!r}. {has}")
        if value is None or value == parameter.default:
            continue
        if not parameter.low <= value <= parameter.high:  # NaN too
            raise InvalidInput(
                f"{parameter.title} is {value:g}; it must be from {parameter.low:g} to {parameter.high:g}."
            )
        kept[key] = float(value)
    return kept
