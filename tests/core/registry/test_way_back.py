"""Where a rollback leads."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.registry.way_back import Step, way_back


def history(text: str) -> list[Step]:
    """ "p1 p2 r1": promoted 1, promoted 2, rolled back to 1."""
    return [Step(int(word[1:]), word[0] == "p") for word in text.split()]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", None),
        ("p1", None),
        ("p1 p2", 1),
        ("p1 p2 p3", 2),
        ("p1 p2 r1", None),
        ("p1 p2 p3 r2", 1),
        ("p1 p2 p3 r2 r1", None),
        ("p1 p2 r1 p2", 1),
        ("p1 p2 r1 p3", 1),
        ("p1 p2 p1", 2),
        ("p1 p2 p1 r2", 1),
    ],
)
def test_two_rollbacks_lead_two_promotions_back(text: str, expected: int | None) -> None:
    assert way_back(history(text)) == expected


@given(st.lists(st.one_of(st.integers(1, 5), st.none()), max_size=30))
def test_rolling_back_ends_and_never_goes_where_it_is(moves: list[int | None]) -> None:
    """None is a rollback; a number is a promotion of another version than the live one."""
    steps: list[Step] = []
    promotions = 0
    for move in moves:
        live = steps[-1].version_id if steps else None
        target = way_back(steps) if move is None else move
        if target is None or target == live:
            continue
        steps.append(Step(target, move is not None))
        promotions += move is not None
    for _ in range(promotions):
        target = way_back(steps)
        if target is None:
            break
        assert target != steps[-1].version_id
        steps.append(Step(target, False))
    assert way_back(steps) is None
