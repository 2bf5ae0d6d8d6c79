import pytest

from core.errors import InvalidTransition
from core.training.lifecycle import FINAL, move
from core.training.tables import RunState


@pytest.mark.parametrize(
    ("current", "wanted"),
    [
        ("queued", RunState.RUNNING),
        ("queued", RunState.CANCELLED),
        ("running", RunState.QUEUED),
        ("running", RunState.FINISHED),
        ("running", RunState.FAILED),
        ("running", RunState.RUNNING),
    ],
)
def test_a_legal_move_is_made(current: str, wanted: RunState) -> None:
    assert move(current, wanted) == wanted


@pytest.mark.parametrize("current", sorted(FINAL))
@pytest.mark.parametrize("wanted", [RunState.QUEUED, RunState.RUNNING])
def test_what_has_ended_stays_ended(current: str, wanted: RunState) -> None:
    with pytest.raises(InvalidTransition):
        move(current, wanted)


def test_a_queued_run_cannot_finish_without_running() -> None:
    with pytest.raises(InvalidTransition, match="queued; it cannot become finished"):
        move("queued", RunState.FINISHED)
