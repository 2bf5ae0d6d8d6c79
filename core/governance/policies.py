"""Writing the promotion policy: the seeded first version, and each next one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime

from sqlmodel import Session

from core.audit.service import record
from core.errors import InvalidInput
from core.governance import standing
from core.governance.gates import GATES, check_severities
from core.governance.tables import PromotionPolicy
from core.permissions import Actor, Permission, require, system_actor
from core.reasons import stated

MOST_APPROVALS = 5


def ensure_seeded_policy(session: Session, now: datetime) -> PromotionPolicy:
    """Get the policy in force, writing version 1 with its default margins where there is none yet."""
    found = standing.current_policy(session)
    if found is not None:
        return found
    from core.evaluation.comparing import default_margin
    from core.evaluation.metrics import METRICS

    return _add_policy(
        session,
        number=1,
        gates={code: gate.severity.value for code, gate in GATES.items()},
        margins={key: float(default_margin(key)) for key in METRICS},
        approvals=1,
        reason="The policy Gatehouse starts with.",
        actor=system_actor(),
        now=now,
    )


def save_policy(
    session: Session,
    *,
    gates: Mapping[str, str],
    margins: Mapping[str, float],
    approvals: int,
    reason: str,
    actor: Actor,
    now: datetime,
) -> PromotionPolicy:
    """Write the next version of the promotion policy; open requests go stale, and its author decides none under it.

    Parameters
    ----------
    gates : mapping of str to str
        Gate code to "blocking" or "warning"; a gate left out is not asked.
    margins : mapping of str to float
        Metric key to the loss that still counts as not worse, >= 0; a metric left out keeps its default.
    approvals : int
        How many different people have to approve, 1 to 5.

    Raises
    ------
    PermissionDenied, InvalidInput
    """
    require(actor, Permission.POLICY_EDIT)
    from core.evaluation.metrics import METRICS

    check_severities(gates)
    unknown = sorted(set(margins) - set(METRICS))
    if unknown:
        raise InvalidInput(f"There is no metric {', '.join(unknown)}; there are {', '.join(METRICS)}.")
    wrong = {key: value for key, value in margins.items() if not (math.isfinite(value) and value >= 0)}
    if wrong:
        raise InvalidInput(f"A margin is a number of at least 0; given: {wrong}.")
    if not 1 <= approvals <= MOST_APPROVALS:
        raise InvalidInput(f"It takes 1 to {MOST_APPROVALS} approvals; {approvals} were given.")
    seeded = ensure_seeded_policy(session, now)
    return _add_policy(
        session,
        number=seeded.number + 1,
        gates={code: str(severity) for code, severity in gates.items()},
        margins={**seeded.margins, **{key: float(value) for key, value in margins.items()}},
        approvals=approvals,
        reason=stated(reason, "A policy's reason"),
        actor=actor,
        now=now,
    )


def _add_policy(
    session: Session,
    *,
    number: int,
    gates: dict[str, str],
    margins: dict[str, float],
    approvals: int,
    reason: str,
    actor: Actor,
    now: datetime,
) -> PromotionPolicy:
    policy = PromotionPolicy(
        number=number,
        gates=gates,
        margins=margins,
        approvals=approvals,
        author_id=actor.user_id,
        reason=reason,
        created_at=now,
    )
    session.add(policy)
    session.flush()
    assert policy.id is not None
    record(
        session,
        actor=actor,
        action="promotion_policy.saved",
        subject_kind="promotion_policy",
        subject_id=policy.id,
        subject_label=f"promotion policy v{number}",
        now=now,
        details={"gates": gates, "margins": margins, "approvals": approvals, "reason": reason},
    )
    return policy
