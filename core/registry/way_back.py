"""Where a rollback leads, from the deployments an alias has had."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Step:
    """One deployment of an alias: which version, and whether a promotion (or else a rollback) made it live."""

    version_id: int
    promoted: bool


def way_back(history: Sequence[Step]) -> int | None:
    """Name the version a rollback of this alias would make live.

    A promotion stands on what was live before it; a rollback takes it off again. So two rollbacks in a row lead two
    promotions back, and never forward to a version somebody has already rolled away from.

    Parameters
    ----------
    history : sequence of Step
        The deployments of one model, environment and alias, oldest first; the last is live.

    Returns
    -------
    int or None
        None when nothing was live before.
    """
    stack: list[int] = []
    for step in history:
        if step.promoted:
            stack.append(step.version_id)
            continue
        while stack and stack[-1] != step.version_id:
            stack.pop()
        if not stack:
            stack.append(step.version_id)
    return stack[-2] if len(stack) > 1 else None
