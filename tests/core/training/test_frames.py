from datetime import date, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from core.errors import InvalidInput, SchemaMismatch
from core.training.frames import class_labels, frame_from_rows, frame_from_table

KINDS = {
    "count": "integer",
    "pay": "number",
    "member": "boolean",
    "job": "category",
    "born": "date",
    "seen": "timestamp",
}
SIGNATURE: dict[str, Any] = {
    "features": [{"name": name, "kind": kind, "nullable": name == "pay"} for name, kind in KINDS.items()]
}
ROW: dict[str, Any] = {
    "count": 3,
    "pay": 1.5,
    "member": False,
    "job": "cook",
    "born": "1980-05-06",
    "seen": "2026-03-12T15:05:00+01:00",
}


def test_a_row_and_a_table_of_the_same_values_give_the_same_frame() -> None:
    table = pa.table(
        {
            "extra": [1],
            "seen": pa.array([datetime(2026, 3, 12, 14, 5)], pa.timestamp("us")),  # noqa: DTZ001
            "born": [date(1980, 5, 6)],
            "job": pa.array(["cook"]).dictionary_encode(),
            "member": [False],
            "pay": pa.array([Decimal("1.5")]),
            "count": pa.array([3], pa.int32()),
        }
    )
    pd.testing.assert_frame_equal(
        frame_from_table(table, SIGNATURE["features"]), frame_from_rows([ROW], SIGNATURE), check_exact=True
    )


@pytest.mark.parametrize("values", [["a", "b"], ["a", None], [None, None]])
def test_dtypes_never_depend_on_the_values(values: list[str | None]) -> None:
    features = [{"name": "job", "kind": "category"}]
    frame = frame_from_table(pa.table({"job": pa.array(values, pa.string())}), features)
    assert frame.dtypes["job"] is np.dtype(object)
    assert frame["job"].tolist() == values


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("count", 3.5, "'count' was 3.5; expected a whole number"),
        ("count", True, "'count' was True; expected a whole number"),
        ("count", None, "'count' is null; it never was in training"),
        ("pay", "1.5", "'pay' was '1.5'; expected a number"),
        ("pay", float("inf"), "'pay' was inf; expected a number"),
        ("pay", 10**400, "expected a number"),
        ("member", 1, "'member' was 1; expected true or false"),
        ("job", 7, "'job' was 7; expected text"),
        ("born", "yesterday", "expected a date such as"),
        ("seen", 1710252300, "expected a timestamp such as"),
    ],
)
def test_a_wrong_value_is_refused_by_row_and_feature(name: str, value: object, message: str) -> None:
    with pytest.raises(SchemaMismatch, match="^Row 2: .*" + message):
        frame_from_rows([ROW, {**ROW, name: value}], SIGNATURE)


def test_missing_and_unknown_features_are_named() -> None:
    short = {name: value for name, value in ROW.items() if name != "job"}
    with pytest.raises(SchemaMismatch, match="Row 1: the feature 'job' is missing; expected text"):
        frame_from_rows([short], SIGNATURE)
    with pytest.raises(SchemaMismatch, match="Row 1: the model has no feature 'jbo'"):
        frame_from_rows([{**ROW, "jbo": "cook"}], SIGNATURE)
    with pytest.raises(InvalidInput, match="No rows"):
        frame_from_rows([], SIGNATURE)


def test_null_is_a_gap_where_training_had_gaps() -> None:
    assert np.isnan(frame_from_rows([{**ROW, "pay": None}], SIGNATURE)["pay"].iloc[0])


def test_a_table_that_lacks_a_feature_or_holds_another_kind_is_refused() -> None:
    features = [{"name": "pay", "kind": "number"}]
    with pytest.raises(SchemaMismatch, match=r"needs 'pay'.*It has: 'wage'"):
        frame_from_table(pa.table({"wage": [1.0]}), features)
    with pytest.raises(SchemaMismatch, match="'pay' holds string"):
        frame_from_table(pa.table({"pay": ["much"]}), features)
    with pytest.raises(SchemaMismatch, match="'born' holds int64"):
        frame_from_table(pa.table({"born": [1]}), [{"name": "born", "kind": "date"}])


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        ([True, False, None], ["true", "false", None]),
        ([1, 0, None], ["1", "0", None]),
        ([1.0, 0.5, float("nan")], ["1", "0.5", None]),
        ([">50K", "", None], [">50K", "", None]),
    ],
)
def test_labels_are_text_and_say_the_same_whatever_type_holds_them(values: list[Any], labels: list[Any]) -> None:
    assert class_labels(pa.chunked_array([values])).tolist() == labels
