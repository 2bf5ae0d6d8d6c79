from typing import Any

import pytest

from core.errors import InvalidInput, LifecycleError, NotApplicable, SchemaMismatch
from core.evaluation.tables import Task
from core.training.specification import (
    check_features,
    check_task,
    check_weight_column,
    choose_features,
    infer_task,
    weight_columns,
)


@pytest.mark.parametrize(
    ("kind", "n_distinct", "task"),
    [
        ("boolean", 2, Task.BINARY),
        ("category", 2, Task.BINARY),
        ("integer", 2, Task.BINARY),
        ("number", 2, Task.BINARY),
        ("category", 3, Task.MULTICLASS),
        ("category", 50, Task.MULTICLASS),
        ("integer", 10, Task.MULTICLASS),
        ("integer", 11, Task.REGRESSION),
        ("number", 3, Task.REGRESSION),
    ],
)
def test_the_target_says_which_task_it_is(kind: str, n_distinct: int, task: Task) -> None:
    assert infer_task(target="y", kind=kind, n_distinct=n_distinct) == task


@pytest.mark.parametrize(
    ("kind", "n_distinct", "error"),
    [("category", 51, InvalidInput), ("category", 1, InvalidInput), ("date", 9, NotApplicable)],
)
def test_a_target_nothing_can_predict_is_refused(kind: str, n_distinct: int, error: type[LifecycleError]) -> None:
    with pytest.raises(error):
        infer_task(target="y", kind=kind, n_distinct=n_distinct)


@pytest.mark.parametrize(
    ("task", "kind", "n_distinct"),
    [
        (Task.REGRESSION, "category", 20),
        (Task.BINARY, "category", 3),
        (Task.MULTICLASS, "integer", 51),
        (Task.MULTICLASS, "timestamp", 5),
    ],
)
def test_a_task_the_target_cannot_serve_is_refused(task: Task, kind: str, n_distinct: int) -> None:
    with pytest.raises(LifecycleError, match="'y'"):
        check_task(task, target="y", kind=kind, n_distinct=n_distinct)


def columns(**kinds: str) -> list[dict[str, Any]]:
    return [{"name": name, "kind": kind} for name, kind in kinds.items()]


def test_columns_that_would_mislead_a_model_are_left_out_with_the_reason() -> None:
    profile = {
        "n_rows": 100,
        "columns": [
            {"name": "row", "n_distinct": 100, "min": 1, "max": 100, "n_missing": 0},
            {"name": "code", "n_distinct": 100, "n_missing": 0},
            {"name": "weight", "n_distinct": 100, "min": 1, "max": 90_000, "n_missing": 0},
            {"name": "constant", "n_distinct": 1, "n_missing": 0},
            {"name": "job", "n_distinct": 4, "n_missing": 3},
        ],
    }
    given = columns(
        row="integer",
        code="category",
        weight="integer",
        constant="number",
        job="category",
        note="text",
        seen_at="date",
        born="date",
        y="boolean",
    )
    choice = choose_features(given, profile, target="y", time_column="seen_at")
    assert choice.features == ("weight", "job", "born")
    assert set(choice.left_out) == {"row", "code", "constant", "note", "seen_at"}
    assert "time column" in choice.left_out["seen_at"]


@pytest.mark.parametrize(
    ("features", "error"),
    [
        ((), InvalidInput),
        (("a", "a"), InvalidInput),
        (("y",), InvalidInput),
        (("note",), InvalidInput),
        (("gone",), SchemaMismatch),
    ],
)
def test_features_that_cannot_be_used_are_refused(features: tuple[str, ...], error: type[LifecycleError]) -> None:
    with pytest.raises(error):
        check_features(features, columns(a="number", note="text", y="boolean"), target="y", label="income v1")


WEIGHED = {
    "columns": [
        {"name": "weight", "n_missing": 0, "min": 0.0, "max": 3.5},
        {"name": "gaps", "n_missing": 2, "min": 0.0, "max": 3.5},
        {"name": "below", "n_missing": 0, "min": -1, "max": 3},
        {"name": "zeros", "n_missing": 0, "min": 0, "max": 0},
        {"name": "job", "n_missing": 0, "min": None, "max": None},
    ]
}
KINDS = {"weight": "number", "gaps": "number", "below": "integer", "zeros": "integer", "job": "category"}


def test_only_columns_of_numbers_from_0_can_weigh_rows() -> None:
    assert weight_columns(columns(**KINDS), WEIGHED, target="job") == ("weight",)
    assert weight_columns(columns(**KINDS), WEIGHED, target="weight") == ()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gaps", "2 of its values are missing"),
        ("below", "its smallest value is -1"),
        ("zeros", "it holds zeros only"),
        ("job", "it holds category values"),
    ],
)
def test_a_column_that_cannot_weigh_rows_is_refused_with_the_reason(name: str, message: str) -> None:
    with pytest.raises(InvalidInput, match=f"'{name}' cannot weigh the rows: {message}"):
        check_weight_column(name, columns(**KINDS), WEIGHED, target="y", features=(), label="people v1")
