from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest

from core.drift.sketching import Basis, Sketch, fit_basis, sketch_table
from core.monitoring.counting import Key, Slice, column_of, count_rows
from core.statistics.sketches import CategorySketch, merge, to_bytes

AT = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def rows(rng: np.random.Generator) -> pa.Table:
    n = 3_000
    times = np.datetime64("2026-01-01", "us") + rng.integers(0, 3 * 86_400_000_000, n).astype("timedelta64[us]")
    times[::50] = np.datetime64("NaT")
    return pa.table(
        {
            "at": pa.array(times, pa.timestamp("us", tz="UTC")),
            "feature:hours": pa.array(rng.normal(size=n), mask=rng.random(n) < 0.1),
            "feature:job": pa.array(rng.choice(["cook", "nurse"], n), mask=rng.random(n) < 0.1),
            "feature:member": rng.random(n) < 0.5,
            "prediction": rng.choice(["no", "yes"], n),
        }
    )


@pytest.fixture
def bases(rows: pa.Table) -> dict[Key, Basis]:
    return {
        (False, "hours"): fit_basis(rows["feature:hours"], "number"),
        (False, "job"): fit_basis(rows["feature:job"], "category"),
        (False, "member"): fit_basis(rows["feature:member"], "boolean"),
        (True, "prediction"): fit_basis(rows["prediction"], "category"),
    }


def total(buckets: list[dict[Key, Sketch]], key: Key) -> bytes:
    return to_bytes(merge([one[key] for one in buckets]))


@pytest.mark.parametrize("bucket", ["hour", "day"])
def test_buckets_sum_to_all_rows_that_have_a_time(rows: pa.Table, bases: dict[Key, Basis], bucket: str) -> None:
    counted = count_rows(rows, bases, bucket=bucket, at=AT)  # type: ignore[arg-type]
    assert len(counted) == {"hour": 72, "day": 3}[bucket]
    timed = rows.filter(rows["at"].is_valid())
    assert sum(one.n_rows for one in counted) == timed.num_rows == 2_940
    whole = sketch_table(timed, {column_of(key): basis for key, basis in bases.items()})
    for key in bases:
        assert total([dict(one.sketches) for one in counted], key) == to_bytes(whole[column_of(key)])


def test_rows_in_any_order_count_the_same(rows: pa.Table, bases: dict[Key, Basis], rng: np.random.Generator) -> None:
    shuffled = rows.take(pa.array(rng.permutation(rows.num_rows)))
    first, second = (count_rows(one, bases, bucket="hour", at=AT) for one in (rows, shuffled))
    for before, after in zip(first, second, strict=True):
        assert (before.at, before.n_rows) == (after.at, after.n_rows)
        assert [to_bytes(one) for one in before.sketches.values()] == [to_bytes(one) for one in after.sketches.values()]


def test_slices_hold_their_own_rows(rows: pa.Table, bases: dict[Key, Basis]) -> None:
    slices = (Slice("job", "cook"), Slice("job", "nurse"), Slice("member", "true"), Slice("job", "pilot"))
    counted = count_rows(rows, bases, bucket=None, at=AT, slices=slices)
    jobs = rows["feature:job"].to_pylist()
    assert {(one.slice, one.n_rows) for one in counted} == {
        ("", 3_000),
        ("job=cook", jobs.count("cook")),
        ("job=nurse", jobs.count("nurse")),
        ("member=true", sum(rows["feature:member"].to_pylist())),
    }
    cooks = next(one for one in counted if one.slice == "job=cook").sketches[False, "job"]
    assert isinstance(cooks, CategorySketch)
    assert (cooks.names, cooks.n_missing) == (("cook",), 0)


def test_a_column_that_is_gone_or_of_another_kind_is_missing_in_every_row(
    rows: pa.Table, bases: dict[Key, Basis]
) -> None:
    odd = rows.drop_columns(["feature:hours", "prediction"])
    odd = odd.set_column(odd.column_names.index("feature:job"), "feature:job", pa.array(np.arange(3_000.0)))
    sketches = count_rows(odd, bases, bucket=None, at=AT)[0].sketches
    assert (sketches[False, "hours"].n_missing, sketches[False, "hours"].n_rows) == (3_000, 3_000)
    assert (sketches[False, "job"].n_missing, sketches[False, "job"].n_rows) == (3_000, 3_000)
    assert (True, "prediction") not in sketches  # without predictions there is nothing to count
    assert count_rows(odd.drop_columns(["at"]), bases, bucket="day", at=AT) == []
    assert count_rows(odd.slice(0, 0), bases, bucket=None, at=AT) == []


def test_a_slice_of_a_long_value_has_a_short_name() -> None:
    assert Slice("a=b", "c").label == "a=b=c"
    assert len(Slice("job", "x" * 500).label) == 200
