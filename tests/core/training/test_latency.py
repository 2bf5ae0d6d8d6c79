from typing import Any

import pyarrow as pa
import pytest

from core.training.algorithms import ALGORITHMS
from core.training.fitting import fit
from core.training.latency import ONE_ROW_CALLS, measure_latency
from core.training.models import FittedModel

FEATURES = [
    ("age", "integer"),
    ("pay", "number"),
    ("member", "boolean"),
    ("job", "category"),
    ("born", "date"),
    ("seen", "timestamp"),
]


def fitted(people: pa.Table, key: str = "logistic_regression", parameters: dict[str, Any] | None = None) -> FittedModel:
    task = ALGORITHMS[key].tasks[0]
    return fit(
        people, task=task, target=task.value, features=FEATURES, algorithm_key=key, parameters=parameters or {}, seed=0
    ).model


def test_every_kind_of_column_is_asked_about_as_a_caller_would(
    people: pa.Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[dict[str, Any]]] = []
    answer = FittedModel.predict_rows

    def listen(model: FittedModel, rows: list[dict[str, Any]]) -> Any:
        asked.append(rows)
        return answer(model, rows)

    monkeypatch.setattr(FittedModel, "predict_rows", listen)
    found = measure_latency(fitted(people), people)
    assert found is not None
    assert found["n_calls"] == ONE_ROW_CALLS >= 50
    assert 0 < found["one_row_ms"] <= found["one_row_p95_ms"]
    assert found["one_row_ms"] < found["thousand_rows_ms"]
    assert {len(rows) for rows in asked} == {1, 1000}
    kinds = {name: {type(row[name]) for rows in asked for row in rows} for name, _ in FEATURES}
    assert kinds["age"] == {float, type(None)}
    assert kinds["member"] == {bool}
    assert kinds["job"] == {str, type(None)}
    assert kinds["seen"] == {str}


def test_rows_that_scoring_would_refuse_are_not_asked_about(people: pa.Table) -> None:
    model = fitted(people.filter(pa.array([age is not None for age in people["age"].to_pylist()])))
    assert measure_latency(model, people) is not None
    blank = people.set_column(0, "age", pa.nulls(people.num_rows, pa.int64()))
    assert measure_latency(model, blank) is None
    assert measure_latency(model, people.slice(0, 0)) is None
