"""A whole table as sketches: the same from a file in pieces as from its columns one by one."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from core.drift import sketching
from core.drift.sketching import fit_basis, sketch_table
from core.errors import SchemaMismatch
from core.statistics.sketches import (
    CategorySketch,
    NumericSketch,
    Scale,
    merge,
    sketch_categories,
    sketch_numbers,
    to_bytes,
)

N = 20_000
KINDS = {
    "age": "integer",
    "wage": "number",
    "born": "date",
    "seen": "timestamp",
    "single": "boolean",
    "job": "category",
    "order": "text",
}


@pytest.fixture(scope="module")
def table() -> pa.Table:
    rng = np.random.default_rng(3)
    gone = rng.random(N) < 0.1
    return pa.table(
        {
            "age": pa.array(rng.integers(17, 90, N), pa.int64(), mask=gone),
            "wage": pa.array(rng.lognormal(10, 0.5, N), pa.float64(), mask=gone),
            "born": pa.array(rng.integers(0, 20_000, N).astype("datetime64[D]")),
            "seen": pa.array((1_700_000_000 + np.arange(N)).astype("datetime64[s]")),
            "single": pa.array(rng.random(N) < 0.3, mask=gone),
            "job": pa.array(rng.choice(["cook", "clerk", "Grüner"], N), mask=gone),
            "order": pa.array([f"order-{number}" for number in range(N)]),
        }
    )


@pytest.fixture(scope="module")
def bases(table: pa.Table) -> dict[str, sketching.Basis]:
    return {name: fit_basis(table[name], kind) for name, kind in KINDS.items()}


def test_columns_are_counted_as_their_kind_is(table: pa.Table, bases: dict[str, sketching.Basis]) -> None:
    found = sketch_table(table, bases)
    assert list(found) == list(KINDS)
    age = found["age"]
    assert isinstance(age, NumericSketch)
    assert age.n_rows == N
    assert age.n_missing == table["age"].null_count
    assert dict(zip(age.values.tolist(), age.counts.tolist(), strict=True)) == {
        value: table["age"].to_pylist().count(value) for value in range(17, 90)
    }
    single, job = found["single"], found["job"]
    assert isinstance(single, CategorySketch)
    assert isinstance(job, CategorySketch)
    assert single.names == ("false", "true")
    assert job.names == ("Grüner", "clerk", "cook")
    assert job.n_missing == table["job"].null_count
    order = found["order"]
    assert isinstance(order, CategorySketch)
    assert len(order.names) == 2_000
    assert order.n_rows == N


def test_times_are_microseconds_since_1970() -> None:
    days, moments = pa.array([date(1970, 1, 2), None]), pa.array([datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC), None])
    found = sketch_table(pa.table({"day": days, "moment": moments}), {"day": Scale(0, 1), "moment": Scale(0, 1)})
    for name, value in (("day", 86_400e6), ("moment", 1e6)):
        sketch = found[name]
        assert isinstance(sketch, NumericSketch)
        assert sketch.values.tolist() == [value]
        assert sketch.n_missing == 1


@pytest.mark.parametrize("group_rows", [N, 3_000, 700])
def test_a_file_is_counted_as_its_rows_are_however_it_is_parted(
    table: pa.Table,
    bases: dict[str, sketching.Basis],
    group_rows: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sketching, "VALUES_AT_ONCE", 5_000)
    pq.write_table(table, tmp_path / "rows.parquet", row_group_size=group_rows)
    whole, parts = sketch_table(table, bases), sketch_table(tmp_path / "rows.parquet", bases)
    assert list(parts) == list(whole)
    for name in KINDS:
        assert to_bytes(parts[name]) == to_bytes(whole[name])


def test_tables_sum_as_their_rows_do(table: pa.Table, bases: dict[str, sketching.Basis]) -> None:
    whole, first, second = (sketch_table(part, bases) for part in (table, table.slice(0, 7_000), table.slice(7_000)))
    for name in KINDS:
        assert to_bytes(merge([first[name], second[name]])) == to_bytes(whole[name])  # type: ignore[type-var]


def test_a_column_alone_is_counted_alike(table: pa.Table, bases: dict[str, sketching.Basis]) -> None:
    found = sketch_table(table.select(["wage", "job"]), {name: bases[name] for name in ("wage", "job")})
    scale, vocabulary = bases["wage"], bases["job"]
    assert isinstance(scale, Scale)
    assert isinstance(vocabulary, frozenset)
    assert to_bytes(found["wage"]) == to_bytes(sketch_numbers(table["wage"].to_numpy(), scale))
    assert to_bytes(found["job"]) == to_bytes(sketch_categories(table["job"].to_numpy(), vocabulary))


def test_a_table_without_rows_has_empty_sketches(
    table: pa.Table, bases: dict[str, sketching.Basis], tmp_path: Path
) -> None:
    pq.write_table(table.slice(0, 0), tmp_path / "none.parquet")
    for source in (table.slice(0, 0), tmp_path / "none.parquet"):
        assert {sketch.n_rows for sketch in sketch_table(source, bases).values()} == {0}


def test_a_column_that_is_gone_or_of_another_kind_is_refused(table: pa.Table, tmp_path: Path) -> None:
    pq.write_table(table, tmp_path / "rows.parquet")
    for source in (table, tmp_path / "rows.parquet"):
        with pytest.raises(SchemaMismatch, match="no column 'height'"):
            sketch_table(source, {"height": Scale(0.0, 1.0)})
        with pytest.raises(SchemaMismatch, match="watched as numbers"):
            sketch_table(source, {"job": Scale(0.0, 1.0)})


@pytest.mark.parametrize(
    "values",
    [
        pa.DictionaryArray.from_arrays(pa.array([0, 2, None, 2, 0], pa.int8()), ["a", "never", "b"]),
        pa.DictionaryArray.from_arrays(pa.array([1, 0, 0], pa.int32()), pa.array(["a", None])),
        pa.DictionaryArray.from_arrays(pa.array([None, 127] * 3, pa.int8()), [f"n{one}" for one in range(128)]),
        pa.DictionaryArray.from_arrays(pa.array([0, 1, None], pa.int32()), pa.array([1.0, 2.5])),
        pa.array([], pa.string()).dictionary_encode(),
    ],
    ids=["unused", "null among the names", "full", "numbers", "empty"],
)
def test_names_stored_once_are_counted_as_names_spelled_out(values: pa.DictionaryArray) -> None:
    assert sketching.name_counts(values) == sketching.name_counts(values.cast(values.type.value_type))
