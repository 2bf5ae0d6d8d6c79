"""What is said of incidents, to somebody who never heard of triage."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from core.incidents import words
from core.incidents.causes import CAUSES


@pytest.mark.parametrize(
    ("cause", "kinds", "window", "told"),
    [
        ("pipeline_fault", ["drift", "performance"], "2026-02", "pay: data arrives wrong in 2026-02"),
        ("label_shift", [], None, "pay: one outcome became more frequent"),
        ("infrastructure", ["parts"], None, "pay: a part stopped"),
        ("infrastructure", ["no_predictions", "drift"], "2026-02", "pay: no predictions in 2026-02"),
        ("infrastructure", ["disk", "memory", "queue"], None, "pay: memory runs out, disk runs full and 1 more"),
        ("infrastructure", ["performance"], None, "pay: the service or what feeds it fails"),
        ("infrastructure", ["of a later release"], None, "pay: the service or what feeds it fails"),
        ("cannot_tell", ["performance"], "2026-02", "pay: performance fell in 2026-02, cause not known yet"),
        ("cannot_tell", [], None, "pay: something changed, cause not known yet"),
        ("none", ["drift"], "2026-02", "pay: features drifted in 2026-02"),
    ],
)
def test_a_title_says_what_happened(cause: str, kinds: list[str], window: str | None, told: str) -> None:
    assert words.title("pay", cause=cause, kinds=kinds, window=window) == told


def test_no_title_is_the_bare_name_of_a_cause() -> None:
    for key, cause in CAUSES.items():
        assert not words.title("pay", cause=key, kinds=[]).endswith(f": {cause.title.lower()}") or key == "none"


def test_that_it_is_over_is_said_with_since_when_where_that_is_known() -> None:
    at = datetime(2026, 3, 12, 14, 5, tzinfo=UTC)
    assert words.ended(at) == "All its alerts have been over since 12 Mar 2026, 14:05 UTC."
    assert words.ended(None) == "All its alerts are over."
