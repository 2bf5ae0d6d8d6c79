"""What changed between two versions, in numbers and in sentences.

The effect of a shift is a distance between 0 and 1: for numbers, dates and timestamps the Kolmogorov-Smirnov distance,
the largest gap between the two cumulative distributions; for categories and true/false the total variation distance,
half the sum of the differences between shares, a missing cell counting as a category. Text is not compared. It is a
size, not a test: nothing here says "significant".
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from core.datasets.content import Kinds
from core.datasets.leakage import is_classification
from core.datasets.rowhash import moments
from core.datasets.tables import ColumnKind
from core.wording import enumerated, percent

WORTH_SAYING = 0.1
MOST_SENTENCES = 5
MOST_VALUES = 50
NAMED = 5
KS, TOTAL_VARIATION = "Kolmogorov-Smirnov distance", "total variation distance"


def diff(
    base: pa.Table,
    base_kinds: Kinds,
    current: pa.Table,
    current_kinds: Kinds,
    *,
    base_id: int,
    base_number: int,
    target: str | None,
) -> dict[str, Any]:
    """Compare a version with the one before it.

    Parameters
    ----------
    base, current : pyarrow.Table
        Before and after. Where rows were added, ``current`` holds the earlier ones too.
    target : str or None
        Whose new and vanished labels are told apart from other categories.

    Returns
    -------
    dict
        The document kept as `DatasetVersion.diff`: rows, columns, kinds, categories, labels, all shifts (the largest
        effect first) and up to `MOST_SENTENCES` sentences.
    """
    before, after = dict(base_kinds), dict(current_kinds)
    shared = [name for name in after if name in before]
    document: dict[str, Any] = {
        "base_id": base_id,
        "base_number": base_number,
        "rows": {"before": base.num_rows, "after": current.num_rows},
        "columns_added": [name for name in after if name not in before],
        "columns_removed": [name for name in before if name not in after],
        "kinds_changed": [
            {"name": name, "before": before[name].value, "after": after[name].value}
            for name in shared
            if before[name] is not after[name]
        ],
        "categories_new": [],
        "categories_vanished": [],
        "labels_new": [],
        "labels_vanished": [],
        "shifts": [],
    }
    for name in shared:
        kind = after[name]
        if kind is not before[name]:
            continue
        labels = name == target and is_classification(kind)
        if kind is ColumnKind.CATEGORY or labels:
            new, vanished = _values_changed(base[name], current[name])
            if labels:
                document["labels_new"], document["labels_vanished"] = new, vanished
            else:
                document["categories_new"] += [{"column": name, "values": new}] if new else []
                document["categories_vanished"] += [{"column": name, "values": vanished}] if vanished else []
        if (found := shift(name, kind, base[name].combine_chunks(), current[name].combine_chunks())) is not None:
            document["shifts"].append(found)
    document["shifts"].sort(key=lambda one: (-one["effect"], one["column"]))
    document["sentences"] = _sentences(document)
    return document


def shift(name: str, kind: ColumnKind, base: pa.Array, current: pa.Array) -> dict[str, Any] | None:
    """How far a column moved, or None where that has no answer: text, or no values on a side."""
    if kind in (ColumnKind.CATEGORY, ColumnKind.BOOLEAN):
        return _category_shift(name, base, current) if len(base) and len(current) else None
    if kind is ColumnKind.TEXT:
        return None
    before, after = _ordered(base, kind), _ordered(current, kind)
    if len(before) == 0 or len(after) == 0:
        return None
    effect = ks_distance(before, after)
    low, high = before[(len(before) - 1) // 2], after[(len(after) - 1) // 2]
    return {
        "column": name,
        "effect": effect,
        "measure": KS,
        "sentence": f"{name} shifted: median {_shown(low, kind)} before, {_shown(high, kind)} now ({KS} {effect:.2f}).",
    }


def ks_distance(before: NDArray[Any], after: NDArray[Any]) -> float:
    """Largest gap between the cumulative distributions of two ascending samples, 0 to 1."""
    points = np.concatenate((before, after))
    below = np.searchsorted(before, points, side="right") / len(before)
    above = np.searchsorted(after, points, side="right") / len(after)
    return float(np.abs(below - above).max())


def _category_shift(name: str, base: pa.Array, current: pa.Array) -> dict[str, Any]:
    before, after = _shares(base), _shares(current)
    moves = {value: after.get(value, 0.0) - before.get(value, 0.0) for value in before | after}
    effect = sum(abs(move) for move in moves.values()) / 2
    most = max(moves, key=lambda value: (abs(moves[value]), str(value)))
    label = "missing" if most is None else most[:60]
    return {
        "column": name,
        "effect": effect,
        "measure": TOTAL_VARIATION,
        "sentence": (
            f"{name} shifted: {label} was {percent(before.get(most, 0.0), 1)} and is "
            f"{percent(after.get(most, 0.0), 1)} ({TOTAL_VARIATION} {effect:.2f})."
        ),
    }


def _shares(array: pa.Array) -> dict[str | None, float]:
    counted = pc.value_counts(array.cast(pa.string()))
    return {
        value: count / len(array)
        for value, count in zip(counted.field(0).to_pylist(), counted.field(1).to_pylist(), strict=True)
    }


def _ordered(array: pa.Array, kind: ColumnKind) -> NDArray[Any]:
    present = array.drop_null()
    if kind in (ColumnKind.DATE, ColumnKind.TIMESTAMP):
        return np.sort(moments(present))
    return np.sort(np.asarray(present.to_numpy(zero_copy_only=False)))


def _shown(value: Any, kind: ColumnKind) -> str:
    if kind is ColumnKind.DATE:
        return str(np.datetime64(int(value), "D"))
    if kind is ColumnKind.TIMESTAMP:
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=int(value))
        return moment.strftime("%Y-%m-%d %H:%M")
    return f"{value:,.6g}" if kind is ColumnKind.NUMBER else f"{int(value):,}"


def _values_changed(base: pa.ChunkedArray, current: pa.ChunkedArray) -> tuple[list[str], list[str]]:
    before = set(base.cast(pa.string()).unique().to_pylist()) - {None}
    after = set(current.cast(pa.string()).unique().to_pylist()) - {None}
    return sorted(after - before)[:MOST_VALUES], sorted(before - after)[:MOST_VALUES]


def _sentences(document: dict[str, Any]) -> list[str]:
    said = []
    if document["labels_new"]:
        said.append(f"New target labels: {enumerated(document['labels_new'], NAMED)}.")
    if document["labels_vanished"]:
        said.append(f"Target labels that vanished: {enumerated(document['labels_vanished'], NAMED)}.")
    if document["columns_removed"]:
        said.append(f"Columns that are gone: {enumerated(document['columns_removed'], NAMED)}.")
    if document["columns_added"]:
        said.append(f"New columns: {enumerated(document['columns_added'], NAMED)}.")
    if document["kinds_changed"]:
        said += [f"{one['name']} was {one['before']} and is {one['after']}." for one in document["kinds_changed"]]
    said += [one["sentence"] for one in document["shifts"][:3] if one["effect"] >= WORTH_SAYING]
    said += [f"New in {one['column']}: {enumerated(one['values'], NAMED)}." for one in document["categories_new"]]
    said += [
        f"Gone from {one['column']}: {enumerated(one['values'], NAMED)}." for one in document["categories_vanished"]
    ]
    before, after = document["rows"]["before"], document["rows"]["after"]
    rows = f"{after:,} rows, before {before:,}." if before != after else f"{after:,} rows, as before."
    return [*said[: MOST_SENTENCES - 1], rows]
