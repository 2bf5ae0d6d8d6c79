"""What is said of an incident: its title, that its alerts are over, that it became worse. PURE.

In words that need no knowledge of triage: whoever opens the inbox for the first time is to know what happened.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from core.incidents.causes import CAUSES
from core.monitoring.alert_rules import ALERT_RULES, Family
from core.wording import enumerated

NAMED = 2
UNKNOWN = ", cause not known yet"
TROUBLES = (Family.FAULT, Family.SILENCE)


def title(
    subject: str, *, cause: str, kinds: Sequence[str], window: str | None = None, since: str | None = None
) -> str:
    """Say "pay: data arrives wrong since 2026-01" or "This installation: a part stopped".

    The words are those of the cause where it says what happened, else those of the alerts.

    Parameters
    ----------
    cause : str
        Key in `CAUSES`.
    kinds : sequence of str
        Keys in `ALERT_RULES` of the alerts it is about, in any order; others are passed over.
    window : str, optional
        The window it was seen in.
    since : str, optional
        The window it was first seen in, where that is an earlier one.
    """
    told = [key for key in ALERT_RULES if key in kinds]
    if cause == "infrastructure":
        told = [key for key in told if ALERT_RULES[key].family in TROUBLES]
    happened = CAUSES[cause].happened
    if told and CAUSES[cause].told_by_alerts:
        happened = enumerated([_inside(ALERT_RULES[key].title) for key in told], NAMED)
    within = f" since {since}" if since else f" in {window}" if window else ""
    return f"{subject}: {happened}{within}{UNKNOWN if cause == 'cannot_tell' else ''}"


def ended(at: datetime | None) -> str:
    """Say that nothing of an incident goes on; ``at`` is when the last of its alerts ended, None where not known."""
    if at is None:
        return "All its alerts are over."
    return f"All its alerts have been over since {at.astimezone(UTC):%-d %b %Y, %H:%M} UTC."


def worsened(severity: str, sentence: str) -> str:
    """Say what made it worse: the alert of this sentence."""
    return f"It became {severity} with an alert: {sentence}"


def _inside(words: str) -> str:
    return f"{words[:1].lower()}{words[1:]}"
