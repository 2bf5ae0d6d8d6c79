"""Marks in a column of categories: names that changed, came or went. PURE."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from core.incidents.samples import ALIKE, FEWEST, limit
from core.incidents.signs import CONSTANT_BEFORE, Sign, percent
from core.statistics.sketches import CountedCategories
from core.wording import enumerated

NEW_SHARE = 0.01
NAMED = 3


def category_signs(name: str, counted: CountedCategories) -> tuple[Sign, ...]:
    """The marks in a column of categories, simplest first."""
    reference, current = counted.reference.astype(float), counted.current.astype(float)
    if min(reference.sum(), current.sum()) < FEWEST:
        return ()
    then = dict(zip(counted.names, (reference / reference.sum()).tolist(), strict=True))
    now = dict(zip(counted.names, (current / current.sum()).tolist(), strict=True))
    knows = dict(zip(counted.names, counted.known.tolist(), strict=True))
    alike = limit(float(reference.sum()), float(current.sum()))
    new = [one for one in counted.names if not knows[one] and now[one] > 0]
    new_share = sum(now[one] for one in new)
    vanished = [one for one in counted.names if knows[one] and now[one] == 0 and then[one] >= NEW_SHARE]
    top = max(now, key=lambda one: now[one])
    if now[top] == 1.0 and max(then.values()) < CONSTANT_BEFORE:
        return (Sign("constant", f"{name} is {_said(top)} in every row; it held {_counted(then)} different values."),)
    if new_share < NEW_SHARE:
        return ()
    spelled = {one: old for one in new for old in vanished if _letters(one) == _letters(old)}
    if spelled and _changed(then, now, spelled) < max(alike, ALIKE):
        one, old = next(iter(spelled.items()))
        return (Sign("respelled", f"{name} now says {_said(one)} where it said {_said(old)}."),)
    if len(vanished) > 1 and new_share >= 0.9:
        return (Sign("recoded", f"{percent(new_share)} of {name} are values the reference does not know."),)
    for one in new:
        for old in vanished:
            if _changed(then, now, {one: old}) < max(alike, ALIKE) and abs(now[one] - then[old]) < alike:
                words = f"{name} now says {_said(one)} in {percent(now[one])}; {_said(old)}, which vanished, was in "
                return (Sign("renamed", words + f"{percent(then[old])}."),)
    names = enumerated([_said(one) for one in new], NAMED)
    return (Sign("new_category", f"{name} holds {names}, which the reference does not know, in {percent(new_share)}."),)


def shares_of(names: Sequence[str], counts: NDArray[np.int64]) -> dict[str, float]:
    """Each name's share of the values; those that never occur are left out."""
    total = float(counts.sum()) or 1.0
    return {name: float(count) / total for name, count in zip(names, counts, strict=True) if count}


def apart(first: Mapping[str, float], second: Mapping[str, float]) -> float:
    """Total variation of two sets of shares, in [0, 1]."""
    return 0.5 * sum(abs(first.get(one, 0.0) - second.get(one, 0.0)) for one in {*first, *second})


def _changed(then: Mapping[str, float], now: Mapping[str, float], back: Mapping[str, str]) -> float:
    """How far the current shares are from the reference's once new names are read as the old ones."""
    read: dict[str, float] = {}
    for one, share in now.items():
        old = back.get(one, one)
        read[old] = read.get(old, 0.0) + share
    return apart(then, read)


def _letters(name: str) -> str:
    return re.sub(r"[\W_]+", "", name).casefold()


def _counted(shares: Mapping[str, float]) -> int:
    return sum(share > 0 for share in shares.values())


def _said(value: str) -> str:
    return f'"{value if len(value) <= 40 else value[:39] + "…"}"'
