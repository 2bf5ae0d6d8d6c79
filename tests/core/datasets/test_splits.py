"""The fixed evaluation set is locked, the latest comes from new rows, what equals a locked row never trains."""

from __future__ import annotations

import inspect as inspecting
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.datasets import queries, splits
from core.datasets.splits import FEWEST_LATEST
from core.datasets.splitting import Part, SplitOptions, hold_out
from core.datasets.tables import Relation
from core.errors import InsufficientData, InvalidInput
from core.workspace import Workspace
from tests.core.datasets.conftest import AddVersion


def rows_of(first: int, last: int) -> str:
    days = [f"2020-{1 + i // 28 % 12:02d}-{1 + i % 28:02d}" for i in range(first, last)]
    return "x,day,y\n" + "\n".join(
        f"{i},{day},{'yes' if i % 4 == 0 else 'no'}" for i, day in zip(range(first, last), days, strict=True)
    )


def test_the_first_split_locks_the_fixed_set(workspace: Workspace, add_version: AddVersion, now: datetime) -> None:
    version = add_version(rows_of(0, 200))
    version_id = version.id or 0
    split, sets = splits.ensure_split(workspace, version_id=version_id, options=SplitOptions(), now=now)
    parts = splits.assignment(workspace.artifacts, split)
    assert np.bincount(parts, minlength=4).tolist() == [120, 40, 40, 0]
    assert (split.n_train, split.n_validation, split.n_test, split.n_excluded) == (120, 40, 40, 0)
    assert [one.kind for one in sets] == ["fixed"]
    rows = splits.evaluation_rows(workspace.artifacts, sets[0])
    assert rows.ordinals.tolist() == np.flatnonzero(parts == Part.TEST).tolist()
    assert rows.columns == ("x", "day", "y")
    again, same = splits.ensure_split(workspace, version_id=version_id, options=SplitOptions(), now=now)
    assert (again.id, [one.id for one in same]) == (split.id, [sets[0].id])
    other = SplitOptions("time", "day", validation_share=0.1, test_share=0.5, seed=9)
    second, same = splits.ensure_split(workspace, version_id=version_id, options=other, now=now)
    assert second.id != split.id
    assert [one.id for one in same] == [sets[0].id]
    moved = splits.assignment(workspace.artifacts, second)
    assert np.flatnonzero(moved == Part.TEST).tolist() == rows.ordinals.tolist()


def test_a_later_version_holds_out_its_new_rows_and_leaves_out_the_fixed_ones(
    workspace: Workspace, add_version: AddVersion, now: datetime
) -> None:
    first = add_version(rows_of(0, 200))
    _, (fixed,) = splits.ensure_split(workspace, version_id=first.id or 0, options=SplitOptions(), now=now)
    second = add_version(rows_of(200, 400), relation=Relation.ADDS_TO)
    assert "40 evaluation rows inside, kept out of training" in second.summary
    split, sets = splits.ensure_split(workspace, version_id=second.id or 0, options=SplitOptions(), now=now)
    assert (sets[0].kind, sets[0].id) == ("fixed", fixed.id)
    assert sets[1].kind == "latest"
    parts = splits.assignment(workspace.artifacts, split)
    held = splits.evaluation_rows(workspace.artifacts, fixed).ordinals
    assert set(parts[held]) == {Part.EXCLUDED}
    assert split.n_excluded == len(held) == 40
    latest = splits.evaluation_rows(workspace.artifacts, sets[1]).ordinals
    assert latest.min() >= 200
    assert len(latest) == split.n_test == 40
    other = SplitOptions("stratified", "y", seed=5)
    again, same = splits.ensure_split(workspace, version_id=second.id or 0, options=other, now=now)
    assert [one.id for one in same] == [one.id for one in sets]
    assert np.flatnonzero(splits.assignment(workspace.artifacts, again) == Part.TEST).tolist() == latest.tolist()
    with workspace.read() as session:
        assert len(queries.evaluation_sets(session, first.dataset_id)) == 2
        assert [one.id for one in queries.splits(session, second.id or 0)] == [split.id, again.id]


def test_a_version_without_enough_new_rows_has_no_latest_set(
    workspace: Workspace, add_version: AddVersion, now: datetime
) -> None:
    first = add_version(rows_of(0, 200))
    splits.ensure_split(workspace, version_id=first.id or 0, options=SplitOptions(), now=now)
    few = FEWEST_LATEST * 5 - 10
    second = add_version(rows_of(200, 200 + few), relation=Relation.ADDS_TO)
    split, sets = splits.ensure_split(workspace, version_id=second.id or 0, options=SplitOptions(), now=now)
    assert [one.kind for one in sets] == ["fixed"]
    assert split.n_test == 0


def test_rows_equal_to_a_test_row_are_excluded_and_counted(
    workspace: Workspace, add_version: AddVersion, now: datetime
) -> None:
    lines = rows_of(0, 100).splitlines()
    version = add_version("\n".join([*lines, *lines[1:]]))
    split, (fixed,) = splits.ensure_split(workspace, version_id=version.id or 0, options=SplitOptions(), now=now)
    parts = splits.assignment(workspace.artifacts, split)
    table = queries.read_table(workspace.artifacts, version)
    values = np.array(table["x"].to_pylist())
    tested = set(values[parts == Part.TEST])
    assert not tested & set(values[(parts == Part.TRAIN) | (parts == Part.VALIDATION)])
    assert split.n_excluded == int(np.isin(values, list(tested)).sum()) - fixed.n_rows > 0


def test_an_earlier_version_split_late_leaves_out_the_fixed_rows(
    workspace: Workspace, add_version: AddVersion, now: datetime
) -> None:
    first = add_version(rows_of(0, 200))
    second = add_version(rows_of(0, 300), relation=Relation.REPLACES)
    _, (fixed,) = splits.ensure_split(workspace, version_id=second.id or 0, options=SplitOptions(), now=now)
    split, sets = splits.ensure_split(workspace, version_id=first.id or 0, options=SplitOptions(), now=now)
    held = splits.evaluation_rows(workspace.artifacts, fixed).ordinals
    assert [one.id for one in sets] == [fixed.id]
    assert split.n_excluded == int((held < 200).sum())
    assert split.n_test == 0


def test_fixed_rows_are_known_again_when_columns_come_and_go(
    workspace: Workspace, add_version: AddVersion, now: datetime
) -> None:
    first = add_version(rows_of(0, 200))
    splits.ensure_split(workspace, version_id=first.id or 0, options=SplitOptions(), now=now)
    wider = "\n".join(
        f"{i},{'new' if i == 0 else i},{line.split(',')[0]},{line.split(',')[2]}"
        for i, line in enumerate(rows_of(0, 200).splitlines())
    ).replace("0,new,x,y", "index,new,x,y")
    second = add_version(wider, relation=Relation.REPLACES)
    split, _ = splits.ensure_split(workspace, version_id=second.id or 0, options=SplitOptions(), now=now)
    assert split.n_excluded == 40


def test_two_jobs_at_once_lock_one_fixed_set(workspace: Workspace, add_version: AddVersion, now: datetime) -> None:
    version_id = add_version(rows_of(0, 400)).id or 0
    choices = [SplitOptions(seed=seed) for seed in (1, 2, 1, 2)]

    def make(options: SplitOptions) -> tuple[int | None, int | None]:
        split, (fixed,) = splits.ensure_split(workspace, version_id=version_id, options=options, now=now)
        return split.id, fixed.id

    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(make, choices))
    assert len({fixed for _, fixed in made}) == 1
    assert len({split for split, _ in made}) == 2


def test_too_few_rows_and_wrong_columns_are_refused(
    workspace: Workspace, add_version: AddVersion, now: datetime
) -> None:
    small = add_version("x,y\n1,a\n2,b\n", name="small")
    with pytest.raises(InsufficientData, match="2 rows"):
        splits.ensure_split(workspace, version_id=small.id or 0, options=SplitOptions(), now=now)
    version = add_version(rows_of(0, 50), name="big")
    for options, words in (
        (SplitOptions("time", "y"), "no order in time"),
        (SplitOptions("stratified", "z"), "no column 'z'"),
    ):
        with pytest.raises(InvalidInput, match=words):
            splits.ensure_split(workspace, version_id=version.id or 0, options=options, now=now)
    with workspace.read() as session:
        assert queries.evaluation_sets(session, version.dataset_id) == []


def test_by_time_no_moment_is_in_two_parts(workspace: Workspace, add_version: AddVersion, now: datetime) -> None:
    lines = ["day,x", *(f"2020-01-{1 + i // 10:02d},{i}" for i in range(250)), ",999"]
    version = add_version("\n".join(lines))
    split, _ = splits.ensure_split(
        workspace, version_id=version.id or 0, options=SplitOptions("time", "day", 0.2, 0.25), now=now
    )
    parts = splits.assignment(workspace.artifacts, split)
    days = np.array([str(day) for day in queries.read_table(workspace.artifacts, version)["day"].to_pylist()])
    train, validation, test = (set(days[parts == part]) for part in (Part.TRAIN, Part.VALIDATION, Part.TEST))
    assert max(train) < min(validation) <= max(validation) < min(test)
    assert parts[-1] == Part.EXCLUDED


def test_the_seed_of_a_run_has_no_way_in() -> None:
    assert set(inspecting.signature(splits.ensure_split).parameters) == {"workspace", "version_id", "options", "now"}
    assert SplitOptions(seed=1).key != SplitOptions(seed=2).key


@pytest.mark.parametrize(
    ("over", "words"),
    [
        ({"method": "magic"}, "no split method"),
        ({"method": "time"}, "needs a column"),
        ({"validation_share": 0.5, "test_share": 0.5}, "nothing to train on"),
        ({"test_share": -0.1}, "nothing to train on"),
    ],
)
def test_impossible_options_are_refused(over: dict[str, object], words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        SplitOptions(**over)  # type: ignore[arg-type]


@settings(deadline=None, max_examples=80)
@given(
    codes=st.lists(st.integers(0, 3), min_size=1, max_size=80),
    share=st.floats(0.05, 0.9),
    seed=st.integers(-(2**31), 2**31),
)
def test_a_stratified_share_is_right_in_whole_and_nearly_in_each_class(
    codes: list[int], share: float, seed: int
) -> None:
    keys = np.array(codes)
    options = SplitOptions("stratified", "y", seed=seed)
    eligible = np.ones(len(keys), dtype=np.bool_)
    eligible[0] = len(keys) == 1
    chosen = hold_out(eligible, keys, share, options, stream=0)
    assert not (chosen & ~eligible).any()
    assert abs(int(chosen.sum()) - eligible.sum() * share) <= 0.5 + 1e-9
    for code in set(codes):
        inside = eligible & (keys == code)
        assert abs(int((chosen & inside).sum()) - inside.sum() * share) <= 1 + 1e-9
    assert (chosen == hold_out(eligible, keys, share, options, stream=0)).all()
