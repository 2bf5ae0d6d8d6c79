"""What current data is held against: the training part of the version's own data, and its predictions.

Features are held against the rows the version was trained on. Predictions are held against what the version says of
rows it was *not* trained on (the validation part, else the test part): a model is surer of the rows it has seen, so
its predictions of them differ from any later ones without any drift.

The reference is counted once, when a job first needs it, and kept with the version (`ReferenceSketch`); pages read what
jobs stored. Beside all of it, its rows of one season or slice are counted when a monitor asks for them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sqlmodel import Session, col, select

from core.datasets import queries as datasets
from core.datasets import splits
from core.datasets.splitting import Part
from core.datasets.tables import ColumnKind, DatasetVersion, Split
from core.drift.columns import kept, moments, sample
from core.drift.drift_tests import Sample
from core.drift.sketching import NAMED_KINDS, Basis, Sketch, fit_basis, sketch_table
from core.errors import NotApplicable
from core.evaluation.tables import Task
from core.monitoring.counting import Key, Slice
from core.monitoring.monitor_settings import TIME_KINDS
from core.monitoring.tables import ReferenceSketch
from core.monitoring.windows import in_season
from core.registry import queries as registry
from core.registry.tables import ModelVersion
from core.serving.frames import PREDICTION, score_column
from core.statistics.sketches import NumericSketch, from_bytes, to_bytes
from core.training import queries as training
from core.training.models import load_model
from core.workspace import Workspace

if TYPE_CHECKING:
    import pyarrow as pa

MAX_PREDICTED_ROWS = 10_000
MIN_PREDICTED_ROWS = 100
MAX_ROWS_TOGETHER = 4_000
VALUES_AT_ONCE = 20_000_000
LONGEST_KEY = 200
COLUMNS_AT_HAND = 8
SEED = 20_260_312


@dataclass(frozen=True)
class Some:
    """Which rows of a reference: those of one season, of one slice, of both, or all.

    Parameters
    ----------
    season, season_column : str
        A season as `windows.season_of` gives it, told by that column of the training data; "" for all.
    slice : Slice, optional
    """

    season: str = ""
    season_column: str = ""
    slice: Slice | None = None

    @property
    def key(self) -> str:
        """What these rows are kept under: "", "month=06 of day", "|job=cook" or "month=06 of day|job=cook"."""
        season = f"{self.season} of {self.season_column}" if self.season else ""
        whole = season + ("" if self.slice is None else f"|{self.slice.label}")
        if len(whole) <= LONGEST_KEY:
            return whole
        return f"{whole[: LONGEST_KEY - 17]} {hashlib.sha256(whole.encode()).hexdigest()[:16]}"


ALL = Some()


@dataclass(frozen=True, eq=False)
class Reference:
    """A version's reference; its sketches are read, or made and kept, when they are first asked for.

    Parameters
    ----------
    version : ModelVersion
    data : DatasetVersion
        What the version was trained on.
    split : Split
    """

    workspace: Workspace
    version: ModelVersion
    data: DatasetVersion
    split: Split
    _at_hand: dict[Some, dict[Key, Sketch]] = field(default_factory=dict)
    _values_at_hand: dict[tuple[Key, Some], NDArray[np.float64]] = field(default_factory=dict)
    _rows_at_hand: dict[Some, dict[str, Sample]] = field(default_factory=dict)

    @property
    def version_id(self) -> int:
        """The model version's."""
        assert self.version.id is not None
        return self.version.id

    @property
    def signature(self) -> Mapping[str, Any]:
        """The model version's."""
        return self.version.signature

    @property
    def kinds(self) -> dict[Key, str]:
        """Every column that is held against the reference, with its kind.

        The features; the prediction; and, of a binary model, the score of its positive class, which tells more than
        the label where current rows have it.
        """
        found: dict[Key, str] = {(False, one["name"]): str(one["kind"]) for one in self.signature["features"]}
        if self.signature["task"] == Task.REGRESSION:
            return found | {(True, PREDICTION): ColumnKind.NUMBER.value}
        found[True, PREDICTION] = ColumnKind.CATEGORY.value
        if self.signature["task"] == Task.BINARY:
            found[True, score_column(self.signature["classes"][1])] = ColumnKind.NUMBER.value
        return found

    @cached_property
    def bases(self) -> dict[Key, Basis]:
        """How each column is counted, see `counting`. A score is among them only where the version gives scores."""
        return {key: _basis_of(sketch) for key, sketch in self.sketches([ALL])[ALL].items()}

    def sketches(self, wanted: Sequence[Some]) -> dict[Some, dict[Key, Sketch]]:
        """The counted columns of some of the rows, read or made; the same version always has the same bytes.

        Raises
        ------
        ArtifactCorrupted
        """
        for read in (self._read, self._make):
            if missing := [one for one in wanted if one not in self._at_hand]:
                read(missing)
        return {one: self._at_hand[one] for one in wanted}

    def slices(self, columns: Sequence[str]) -> list[Slice]:
        """The values that the training rows hold in these columns."""
        counted = self.sketches([ALL])[ALL]
        return [
            Slice(column, name)
            for column in columns
            if (False, column) in counted and not isinstance(counted[False, column], NumericSketch)
            for name in counted[False, column].names  # type: ignore[union-attr]
        ]

    def values(self, key: Key, some: Some = ALL) -> NDArray[np.float64]:
        """The rows themselves of a column that is counted as numbers, NaN where missing: for what cells do not tell."""
        if (key, some) not in self._values_at_hand:
            while len(self._values_at_hand) >= COLUMNS_AT_HAND:
                self._values_at_hand.pop(next(iter(self._values_at_hand)))
            self._values_at_hand[key, some] = self._read_values(key, some)
        return self._values_at_hand[key, some]

    def _read_values(self, key: Key, some: Some) -> NDArray[np.float64]:
        kind = self.kinds[key]
        mask = self._masks([some])[some]
        if key[0]:
            column = self._predicted[key].filter(_bools(mask[self._unseen]))
        else:
            rows = self._trained[mask[self._trained]]
            column = kept(datasets.read_table(self.workspace.artifacts, self.data, columns=[key[1]])[key[1]], kind)
            column = column.take(_indices(rows))
        return sample(column, kind)

    def rows(self, some: Some = ALL, *, predicted: bool = False) -> NDArray[np.int64]:
        """Which rows of the dataset version `values` gives, in its order: a feature's, or a prediction's."""
        rows = self._unseen if predicted else self._trained
        return rows if some == ALL else rows[self._masks([some])[some][rows]]

    @cached_property
    def time_column(self) -> str | None:
        """The column that says when a row of the training data was: the one its dataset names, else the first time."""
        with self.workspace.read() as session:
            named = datasets.dataset(session, self.data.dataset_id).time_column
        times = [one["name"] for one in self.data.columns if one["kind"] in TIME_KINDS]
        return named if named in times else next(iter(times), None)

    def moments(self, column: str) -> NDArray[Any]:
        """When each row of the whole dataset version was, datetime64 in UTC, NaT where missing."""
        return moments(datasets.read_table(self.workspace.artifacts, self.data, columns=[column])[column])

    def some_rows(self, some: Some = ALL) -> dict[str, Sample]:
        """At most 4,000 of the training rows, every feature aligned by row: for what no column tells by itself."""
        if some in self._rows_at_hand:
            return self._rows_at_hand[some]
        rows = self._trained if some == ALL else self._trained[self._masks([some])[some][self._trained]]
        if len(rows) > MAX_ROWS_TOGETHER:
            rows = np.sort(np.random.default_rng(SEED).choice(rows, MAX_ROWS_TOGETHER, replace=False))
        kinds = {name: kind for (is_prediction, name), kind in self.kinds.items() if not is_prediction}
        table = datasets.read_table(self.workspace.artifacts, self.data, columns=list(kinds)).take(_indices(rows))
        found = {name: sample(kept(table[name], kind), kind) for name, kind in kinds.items()}
        return self._rows_at_hand.setdefault(some, found)

    def _read(self, wanted: Sequence[Some]) -> None:
        with self.workspace.read() as session:
            rows = session.exec(
                select(ReferenceSketch).where(
                    col(ReferenceSketch.version_id) == self.version_id,
                    col(ReferenceSketch.slice).in_([one.key for one in wanted]),
                )
            ).all()
        by_key: dict[str, dict[Key, Sketch]] = {}
        for row in rows:
            by_key.setdefault(row.slice, {})[row.is_prediction, row.feature] = from_bytes(row.cells)
        self._at_hand.update({one: by_key[one.key] for one in wanted if one.key in by_key})

    def _make(self, wanted: Sequence[Some]) -> None:
        while True:
            with self.workspace.read() as session:
                known = _line_bases(session, self.version.model_id)
            made = list(self._count(wanted, known))
            with self.workspace.write() as session:
                if _line_bases(session, self.version.model_id) != known:
                    continue  # another version of the line was counted meanwhile: its bases hold
                _put(session, self.version_id, made)
            return self._read(wanted)

    def _count(self, wanted: Sequence[Some], known: Mapping[Key, Basis]) -> Iterator[tuple[Some, Key, str, Sketch]]:
        import pyarrow as pa

        masks = self._masks(wanted)
        trained, unseen = self._trained, self._unseen
        for key, column in self._columns():
            rows = unseen if key[0] else trained
            kind = self.kinds[key]
            basis = known.get(key)
            if basis is None or isinstance(basis, frozenset) != (kind in NAMED_KINDS):
                basis = fit_basis(column, kind)
            for some in wanted:
                counted = column if some == ALL else column.filter(_bools(masks[some][rows]))
                yield some, key, kind, sketch_table(pa.table({"column": counted}), {"column": basis})["column"]

    def _columns(self) -> Iterator[tuple[Key, pa.ChunkedArray]]:
        """Every column: the training rows of features, the unseen rows of predictions."""
        names = [name for is_prediction, name in self.kinds if not is_prediction]
        at_once = max(1, VALUES_AT_ONCE // max(1, self.data.n_rows))
        for start in range(0, len(names), at_once):
            group = names[start : start + at_once]
            table = datasets.read_table(self.workspace.artifacts, self.data, columns=group)
            for name in group:
                yield (False, name), kept(table[name], self.kinds[False, name]).take(_indices(self._trained))
        yield from self._predicted.items()

    @cached_property
    def _parts(self) -> NDArray[np.uint8]:
        return splits.assignment(self.workspace.artifacts, self.split)

    @cached_property
    def _trained(self) -> NDArray[np.int64]:
        return np.flatnonzero(self._parts == Part.TRAIN)

    @cached_property
    def _unseen(self) -> NDArray[np.int64]:
        """Some rows the version was not trained on; of its training rows where there are too few others."""
        rows = self._trained
        for part in (Part.TEST, Part.VALIDATION):
            others = np.flatnonzero(self._parts == part)
            rows = others if len(others) >= MIN_PREDICTED_ROWS else rows
        if len(rows) <= MAX_PREDICTED_ROWS:
            return rows
        return np.sort(np.random.default_rng(SEED).choice(rows, MAX_PREDICTED_ROWS, replace=False))

    @cached_property
    def _predicted(self) -> dict[Key, pa.ChunkedArray]:
        import pyarrow as pa

        store = self.workspace.artifacts
        names = [feature["name"] for feature in self.signature["features"]]
        table = datasets.read_table(store, self.data, columns=names).take(_indices(self._unseen))
        model = load_model(store, model_sha256=self.version.model_sha256, signature=self.signature)
        labels, scores = model.predict_table(table)
        kind = pa.float64() if self.signature["task"] == Task.REGRESSION else pa.string()
        found: dict[Key, pa.ChunkedArray] = {(True, PREDICTION): pa.chunked_array([pa.array(labels.tolist(), kind)])}
        if self.signature["task"] == Task.BINARY and scores is not None:
            found[True, score_column(self.signature["classes"][1])] = pa.chunked_array([pa.array(scores[:, 1])])
        return found

    def _masks(self, wanted: Sequence[Some]) -> dict[Some, NDArray[np.bool_]]:
        """Which rows of the whole dataset version are meant."""
        import pyarrow as pa
        import pyarrow.compute as pc

        store, n_rows = self.workspace.artifacts, self.data.n_rows
        columns = {one.slice.column for one in wanted if one.slice} | {
            one.season_column for one in wanted if one.season
        }
        table = datasets.read_table(store, self.data, columns=sorted(columns)) if columns else None
        masks = {}
        for one in wanted:
            mask = np.ones(n_rows, dtype=bool)
            if table is not None and one.season:
                mask &= in_season(moments(table[one.season_column]), one.season)
            if table is not None and one.slice is not None:
                names = kept(table[one.slice.column], self.kinds[False, one.slice.column]).cast(pa.string())
                mask &= pc.fill_null(pc.equal(names, one.slice.value), False).to_numpy()
            masks[one] = mask
        return masks


def reference_of(workspace: Workspace, version_id: int) -> Reference:
    """The reference of a model version.

    Raises
    ------
    NotFound
    NotApplicable
        Its run had no split.
    """
    with workspace.read() as session:
        version = registry.version(session, version_id)
        run = training.run(session, version.run_id)
        data = datasets.version(session, run.dataset_version_id)
        split = session.get(Split, run.split_id) if run.split_id is not None else None
    if split is None:
        raise NotApplicable(f"Run {run.id} has no split, so its model version has no reference.")
    return Reference(workspace, version, data, split)


def _line_bases(session: Session, model_id: int) -> dict[Key, Basis]:
    """How the columns of a model line are counted, as the first of its versions that was watched made them."""
    query = (
        select(ReferenceSketch)
        .join(ModelVersion, col(ModelVersion.id) == col(ReferenceSketch.version_id))
        .where(col(ModelVersion.model_id) == model_id, col(ReferenceSketch.slice) == ALL.key)
        .order_by(col(ReferenceSketch.id))
    )
    found: dict[Key, Basis] = {}
    for row in session.exec(query):
        key = (row.is_prediction, row.feature)
        if key not in found:
            found[key] = _basis_of(from_bytes(row.cells))
    return found


def _basis_of(sketch: Sketch) -> Basis:
    return sketch.scale if isinstance(sketch, NumericSketch) else sketch.vocabulary


def _put(session: Session, version_id: int, made: Sequence[tuple[Some, Key, str, Sketch]]) -> None:
    query = select(ReferenceSketch.slice).where(col(ReferenceSketch.version_id) == version_id).distinct()
    there = set(session.exec(query))
    session.add_all(
        ReferenceSketch(
            version_id=version_id,
            slice=some.key,
            feature=name,
            is_prediction=is_prediction,
            column_kind=kind,
            anchor=sketch.scale.anchor if isinstance(sketch, NumericSketch) else 0.0,
            unit=sketch.scale.unit if isinstance(sketch, NumericSketch) else 1.0,
            n_rows=sketch.n_rows,
            cells=to_bytes(sketch),
        )
        for some, (is_prediction, name), kind, sketch in made
        if some.key not in there
    )


def _indices(rows: NDArray[np.int64]) -> pa.Array:
    import pyarrow as pa

    return pa.array(rows)


def _bools(mask: NDArray[np.bool_]) -> pa.Array:
    import pyarrow as pa

    return pa.array(mask)
