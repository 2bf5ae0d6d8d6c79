"""Sketches: a column counted so that any window is a sum of parts.

A *sketch* holds counts, no rows: numbers by cell (`cells`), categories by name. Merging adds counts, so it is exactly
associative and commutative: hours sum to days, days to months, in any order. A cell that holds one single value knows
it, so constants, whole numbers near the anchor, ties and zero inflation are exact; a mixed cell knows its bounds.

Two sketches come together as `counted` points (`align`). What a distribution function is off by within a mixed cell is
at most that cell's share of the rows, the `coarseness`: above `MAX_COARSENESS` count the values themselves.

Chosen over t-digests and KLL, whose merges depend on their order and which keep no ties.
"""

from __future__ import annotations

import json
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from core.errors import InvalidInput
from core.statistics import sketch_bytes
from core.statistics.cells import CellCounter, Scale, bounds, fit_scale
from core.statistics.counted import (
    MAX_COARSENESS,
    OTHER,
    Counted,
    CountedCategories,
    coarseness,
    counted,
    counted_categories,
    side_by_side,
)

__all__ = [
    "MAX_COARSENESS",
    "OTHER",
    "CategorySketch",
    "Counted",
    "CountedCategories",
    "NumericSketch",
    "Scale",
    "align",
    "align_categories",
    "coarseness",
    "counted",
    "counted_categories",
    "fit_scale",
    "fit_vocabulary",
    "from_bytes",
    "merge",
    "numeric_sketch",
    "sketch_categories",
    "sketch_counts",
    "sketch_numbers",
    "text_lengths",
    "to_bytes",
]

MAX_VOCABULARY = 1_000
MAX_FURTHER = 1_000


@dataclass(frozen=True, eq=False)
class NumericSketch:
    """Numbers counted by cell.

    Parameters
    ----------
    scale : Scale
        Sketches can be merged and aligned where they share it.
    keys : ndarray of shape (k,), uint16
        Cells that hold something, rising; a higher key holds higher values.
    counts : ndarray of shape (k,), int64
        At least 1 each.
    values : ndarray of shape (k,), float64
        The value where the cell holds one single value, else NaN.
    n_missing : int
        How many rows were NaN.
    """

    scale: Scale
    keys: NDArray[np.uint16]
    counts: NDArray[np.int64]
    values: NDArray[np.float64]
    n_missing: int

    @property
    def n_present(self) -> int:
        """Rows that hold a value."""
        return int(self.counts.sum())

    @property
    def n_rows(self) -> int:
        """Rows, those of missing values among them."""
        return self.n_present + self.n_missing


@dataclass(frozen=True, eq=False)
class CategorySketch:
    """Categories counted by name.

    Parameters
    ----------
    names : tuple of k str
        Those that are counted one by one, sorted.
    counts : ndarray of shape (k,), int64
        At least 1 each, exact.
    n_other : int
        Rows of all further names.
    vocabulary : frozenset of str
        Names that are always counted one by one; sketches can be merged and aligned where they share it.
    n_missing : int
        How many rows were None.
    """

    names: tuple[str, ...]
    counts: NDArray[np.int64]
    n_other: int
    vocabulary: frozenset[str]
    n_missing: int

    @property
    def n_present(self) -> int:
        """Rows that hold a name."""
        return int(self.counts.sum()) + self.n_other

    @property
    def n_rows(self) -> int:
        """Rows, those of missing values among them."""
        return self.n_present + self.n_missing


Sketch = TypeVar("Sketch", NumericSketch, CategorySketch)


def sketch_numbers(values: NDArray[np.float64], scale: Scale) -> NumericSketch:
    """Count numbers by cell: O(n) beside about 1 MB, or O(n log n) for few rows.

    What becomes of unusual columns: a constant, ties, zero inflation and whole numbers up to 256 units from the anchor
    are exact, each value a cell. NaN only gives no cell at all. Values of any size from 1e-300 to 1e300 are counted as
    finely as others, because the unit follows the reference; current ones beyond float32's range in that unit share the
    end cell with infinity. Identifiers and times in seconds or microseconds are spread over cells of at most 0.4 % of
    the reference, and coarse where they move on beyond it. A mode that lies far from the anchor and is narrower than a
    cell there is one mixed cell. `coarseness` tells of the last three.

    Parameters
    ----------
    values : ndarray of shape (n,)
        NaN is missing; infinities are values at the ends. Whole numbers above 2**53 are rounded to float64 first.
    scale : Scale
        The reference's, see `fit_scale`.
    """
    counter = CellCounter(scale)
    counter.add(values)
    return numeric_sketch(counter)


def numeric_sketch(counter: CellCounter) -> NumericSketch:
    """What a counter counted so far, as `sketch_numbers` of all those values would be."""
    found = counter.tally()
    return NumericSketch(counter.scale, found.keys, found.counts, found.values, found.n_missing)


def text_lengths(values: NDArray[Any]) -> NDArray[np.float64]:
    """Characters of each text, NaN where it is None: what `sketch_numbers` takes of a text column's lengths."""
    return np.array([np.nan if value is None else len(value) for value in values.tolist()], dtype=np.float64)


def fit_vocabulary(counts: Mapping[str, int]) -> frozenset[str]:
    """The names a reference counts one by one: its most frequent, up to 1,000; of equally frequent ones the first."""
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return frozenset(name for name, _ in ranked[:MAX_VOCABULARY])


def sketch_categories(values: NDArray[Any], vocabulary: frozenset[str]) -> CategorySketch:
    """Count categories by name.

    Parameters
    ----------
    values : ndarray of shape (n,), object
        str, or None where missing.
    vocabulary : frozenset of str
        The reference's, see `fit_vocabulary`. These names are counted exactly, always. Of the further ones up to 1,000
        are kept, those of the smallest hash: a sample of the names that does not depend on how often they occur nor on
        how the rows are parted, each with its exact count. The rest is counted together as other.
    """
    counts = Counter(values.tolist())
    n_missing = counts.pop(None, 0)
    return sketch_counts(counts, vocabulary, n_missing)


def sketch_counts(counts: Mapping[str, int], vocabulary: frozenset[str], n_missing: int = 0) -> CategorySketch:
    """Categories that are counted already, as `sketch_categories` keeps them."""
    return _category_sketch(counts, 0, vocabulary, n_missing)


def merge(sketches: Sequence[Sketch]) -> Sketch:
    """The sketch of all rows together. Associative and commutative, exactly.

    Raises
    ------
    InvalidInput
        None was given, or they differ in kind, scale or vocabulary.
    """
    if not sketches:
        raise InvalidInput("There is nothing to merge; give at least one sketch.")
    if len({type(one) for one in sketches}) > 1:
        raise InvalidInput("Numbers and categories do not merge; give sketches of one kind.")
    merged: Sketch = _MERGES[type(sketches[0])](sketches)
    return merged


def to_bytes(sketch: NumericSketch | CategorySketch) -> bytes:
    """A sketch as bytes to store: some 4 KB for 100,000 rows of a continuous column, less for whole numbers."""
    if isinstance(sketch, NumericSketch):
        scale = sketch.scale
        body = sketch_bytes.number_body(
            scale.anchor, scale.unit, sketch.n_missing, sketch.keys, sketch.counts, sketch.values
        )
        return sketch_bytes.pack("numbers", body)
    found = dict(zip(sketch.names, sketch.counts.tolist(), strict=True))
    vocabulary = sorted(sketch.vocabulary)
    document = {
        "vocabulary": vocabulary,
        "counts": [found.pop(name, 0) for name in vocabulary],
        "further": found,
        "n_other": sketch.n_other,
        "n_missing": sketch.n_missing,
    }
    return sketch_bytes.pack("categories", json.dumps(document, separators=(",", ":")).encode())


def from_bytes(content: bytes) -> NumericSketch | CategorySketch:
    """The sketch that `to_bytes` wrote.

    Raises
    ------
    ArtifactCorrupted
        The bytes are no sketch, damaged, or of a newer version.
    """
    kind, body = sketch_bytes.unpack(content)
    if kind == "numbers":
        anchor, unit, n_missing, keys, cell_counts, values = sketch_bytes.read_number_body(body)
        return NumericSketch(Scale(anchor, unit), keys, cell_counts, values, n_missing)
    document = json.loads(body)
    found = dict(zip(document["vocabulary"], document["counts"], strict=True)) | document["further"]
    names = tuple(sorted(name for name, count in found.items() if count))
    counts = np.array([found[name] for name in names], dtype=np.int64)
    vocabulary = frozenset(document["vocabulary"])
    return CategorySketch(names, counts, document["n_other"], vocabulary, document["n_missing"])


def align(reference: NumericSketch, current: NumericSketch) -> Counted:
    """Two sketches as counts of the same points: single values, and cells that hold several.

    A cell in which each sample holds one single value, but not the same, becomes two points.

    Raises
    ------
    InvalidInput
        The sketches have different scales.
    """
    _same([reference.scale, current.scale], "scales")
    n_first = len(reference.keys)
    # As 32 bits: a stable sort then merges the two rising runs, where it would count the digits of 16 bits.
    keys = np.concatenate([reference.keys, current.keys]).astype(np.int32)
    order = np.argsort(keys, kind="stable")
    keys, values = keys[order], np.concatenate([reference.values, current.values])
    # Of a cell that both hold, the reference's entry comes right before the current one.
    begins = np.ones(len(keys), dtype=bool)
    np.not_equal(keys[1:], keys[:-1], out=begins[1:])
    pairs = (~begins).nonzero()[0] - 1
    mine, other = order[pairs], order[pairs + 1]
    ours, theirs = values[mine], values[other]
    # NaN, the mark of a mixed cell, is neither less nor greater: such a pair is one mixed point.
    values[other] = np.where(np.isnan(ours), ours, theirs)
    apart = ((ours < theirs) | (ours > theirs)).nonzero()[0]
    begins[pairs[apart] + 1] = True
    starts = begins.nonzero()[0]
    place = np.empty(len(keys), dtype=np.intp)
    place[order[starts]] = np.arange(len(starts))
    place[other] = place[mine]
    place[other[apart]] += 1
    swapped = apart[ours[apart] > theirs[apart]]
    place[mine[swapped]] += 1
    place[other[swapped]] -= 1
    first, second = place[:n_first], place[n_first:]
    before, now = np.zeros((2, len(starts)), dtype=np.int64)
    before[first], now[second] = reference.counts, current.counts
    single = np.empty(len(starts))
    single[first], single[second] = values[:n_first], values[n_first:]
    return Counted(*_between(keys[starts], single, reference.scale), before, now)


def align_categories(reference: CategorySketch, current: CategorySketch) -> CountedCategories:
    """Two sketches as counts of the same names, those the reference holds most of first.

    Where a sketch has rows of other names, names beyond the vocabulary are told apart only as far as both kept all of
    them; the rest comes last as one entry, `OTHER`. The reference knows it where it holds such rows itself.

    Raises
    ------
    InvalidInput
        The sketches have different vocabularies.
    """
    _same([reference.vocabulary, current.vocabulary], "vocabularies")
    sketches = reference, current
    samples = [dict(zip(one.names, one.counts.tolist(), strict=True)) for one in sketches]
    others = [one.n_other for one in sketches]
    limits = [max(_ranks(set(one.names) - one.vocabulary), default=(-1, "")) for one in sketches if one.n_other]
    if limits:
        limit = min(limits)
        further = {name for sample in samples for name in sample} - reference.vocabulary
        beyond = {rank[1] for rank in _ranks(further) if rank > limit}
        for place, sample in enumerate(samples):
            others[place] += sum(sample.pop(name) for name in beyond & sample.keys())
    return side_by_side(samples[0], samples[1], others[0], others[1])


def _between(
    keys: NDArray[np.int32], values: NDArray[np.float64], scale: Scale
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Between which values each point lies: a single one, or the bounds of its cell where that is NaN."""
    mixed = np.isnan(values)
    low, high = (np.where(mixed, bound, values) for bound in bounds(keys, scale))
    # Bounds are rounded to float64, single values are not: where they meet, the single value holds.
    meet = (mixed[1:] != mixed[:-1]).nonzero()[0]
    above, below = meet[mixed[meet + 1]] + 1, meet[mixed[meet]]
    low[above] = np.maximum(low[above], high[above - 1])
    high[below] = np.minimum(high[below], low[below + 1])
    return low, high


def _sums(numbers: NDArray[Any], starts: NDArray[np.intp]) -> NDArray[np.int64]:
    """Sums of the runs that begin at ``starts``; a difference of running sums, several times as fast as reduceat."""
    running = np.zeros(len(numbers) + 1, dtype=np.int64)
    np.cumsum(numbers, out=running[1:])
    sums = running[np.append(starts[1:], len(numbers))] if len(starts) else running[:0]
    sums[1:] -= sums[:-1].copy()
    return sums


def _same(given: Sequence[object], kind: str) -> None:
    if any(one != given[0] for one in given[1:]):
        raise InvalidInput(f"These sketches have different {kind}; sketch both samples with the reference's.")


def _merge_numbers(sketches: Sequence[NumericSketch]) -> NumericSketch:
    _same([one.scale for one in sketches], "scales")
    keys, counts, values = (
        np.concatenate([getattr(one, name) for one in sketches]) for name in ("keys", "counts", "values")
    )
    n_missing = sum(one.n_missing for one in sketches)
    order = np.argsort(keys, kind="stable")
    keys, counts, values = keys[order], counts[order], values[order]
    repeats = keys[1:] == keys[:-1]
    starts = np.flatnonzero(np.append(True, ~repeats)[: len(keys)])
    mixed = np.isnan(values)
    mixed[1:] |= repeats & (values[1:] != values[:-1])
    single = values[starts]
    single[_sums(mixed, starts) > 0] = np.nan
    return NumericSketch(sketches[0].scale, keys[starts], _sums(counts, starts), single, n_missing)


def _merge_categories(sketches: Sequence[CategorySketch]) -> CategorySketch:
    _same([one.vocabulary for one in sketches], "vocabularies")
    counts: Counter[str] = Counter()
    for one in sketches:
        counts.update(dict(zip(one.names, one.counts.tolist(), strict=True)))
    n_other, n_missing = sum(one.n_other for one in sketches), sum(one.n_missing for one in sketches)
    return _category_sketch(counts, n_other, sketches[0].vocabulary, n_missing)


_MERGES: dict[type, Callable[[Any], Any]] = {NumericSketch: _merge_numbers, CategorySketch: _merge_categories}


def _category_sketch(
    counts: Mapping[str, int], n_other: int, vocabulary: frozenset[str], n_missing: int
) -> CategorySketch:
    kept = {name: count for name, count in counts.items() if name in vocabulary}
    further = counts.keys() - kept.keys()
    chosen = further if len(further) <= MAX_FURTHER else {name for _, name in sorted(_ranks(further))[:MAX_FURTHER]}
    kept |= {name: counts[name] for name in chosen}
    names = tuple(sorted(kept))
    rest = sum(counts.values()) - sum(kept.values())
    counted_ = np.array([kept[name] for name in names], dtype=np.int64)
    return CategorySketch(names, counted_, n_other + rest, vocabulary, n_missing)


def _ranks(names: Iterable[str]) -> list[tuple[int, str]]:
    """Names by hash. A checksum is linear in its bytes; multiplying and folding it breaks up runs of like names."""
    names = list(names)
    mixed = np.fromiter(
        (zlib.crc32(name.encode(errors="surrogatepass")) for name in names), dtype=np.uint32, count=len(names)
    )
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        mixed = (mixed ^ (mixed >> np.uint32(shift))) * np.uint32(factor)
    mixed ^= mixed >> np.uint32(16)
    return list(zip(mixed.tolist(), names, strict=True))
