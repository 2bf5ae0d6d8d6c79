from __future__ import annotations

from datetime import UTC, date, datetime

import numpy as np
import pyarrow as pa
import pytest

from core.datasets.tables import ColumnKind
from core.drift.columns import kept, sample
from core.training.frames import class_labels


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        ([1, None, 3], ColumnKind.INTEGER, [1.0, np.nan, 3.0]),
        ([0.5, float("inf"), None], ColumnKind.NUMBER, [0.5, np.inf, np.nan]),
        ([date(1970, 1, 2), None], ColumnKind.DATE, [86_400e6, np.nan]),
        ([datetime(1970, 1, 1, 0, 0, 1, 5, tzinfo=UTC), None], ColumnKind.TIMESTAMP, [1_000_005.0, np.nan]),
    ],
)
def test_numbers_and_times_become_numbers(values: list[object], kind: ColumnKind, expected: list[float]) -> None:
    column = pa.chunked_array([pa.array(values)])
    assert sample(column, kind).tolist() == pytest.approx(expected, nan_ok=True)
    # What is kept is measured alike.
    assert sample(kept(column, kind), kind).tolist() == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([True, None, False], ColumnKind.BOOLEAN),
        (["a", None, "b"], ColumnKind.CATEGORY),
        (["a b", None], ColumnKind.TEXT),
    ],
)
def test_names_stay_names_with_none_for_missing(values: list[object], kind: ColumnKind) -> None:
    found = sample(pa.chunked_array([pa.array(values)]), kind)
    assert found.dtype == object
    assert [value is None for value in found] == [value is None for value in values]
    assert sample(kept(pa.chunked_array([pa.array(values)]), kind), kind).tolist() == found.tolist()


def test_text_becomes_its_length_where_a_test_of_numbers_is_chosen() -> None:
    column = pa.chunked_array([pa.array(["abc", "", None, "äöü€"])])
    assert sample(column, ColumnKind.TEXT, "wasserstein").tolist() == pytest.approx([3, 0, np.nan, 4], nan_ok=True)
    assert sample(column, ColumnKind.TEXT, "psi").tolist() == ["abc", "", None, "äöü€"]


@pytest.mark.parametrize(
    "values",
    [
        pa.array(["b", None, "a", "b"] * 3),
        pa.array([True, None, False] * 3),
        pa.array([1.0, float("nan"), None, -0.0, 0.0, 2.5] * 3),
        pa.array([1, None, 2] * 3),
        pa.array(["a", None, "b"] * 3).dictionary_encode(),
        pa.array([f"each its own {one}" for one in range(9)]),
        pa.nulls(3),
        pa.array([], pa.string()),
    ],
    ids=["names", "booleans", "numbers", "integers", "dictionary", "identifiers", "nothing", "empty"],
)
def test_names_that_repeat_are_spelled_as_names_one_by_one(values: pa.Array) -> None:
    whole = pa.chunked_array([values, values.slice(0, 2)])
    found = sample(whole, ColumnKind.CATEGORY)
    assert found.dtype == object
    assert found.tolist() == class_labels(whole).tolist()
