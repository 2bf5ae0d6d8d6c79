"""Splits and evaluation sets of stored versions.

The test part of a dataset's first split becomes its *fixed* evaluation set, locked. Every later split keeps the rows
equal to one of it (by `row_hashes` over the columns both versions have) out of training. A version that comes after
others holds out a test part of the rows none of them has: its *latest* set, locked too. Splitting a version again, in
whatever way, reuses the locked sets and only assigns the other rows anew.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray
from sqlmodel import Session, col, select

from core.artifacts import ArtifactStore
from core.audit.service import record
from core.datasets import queries
from core.datasets.rowhash import moments, row_hashes
from core.datasets.splitting import Part, SplitOptions, hold_out
from core.datasets.tables import DatasetVersion, EvaluationSet, Relation, Split
from core.errors import InsufficientData, InvalidInput
from core.permissions import system_actor

if TYPE_CHECKING:
    from core.workspace import Workspace

FIXED, LATEST = "fixed", "latest"
FEWEST_ROWS = 5
FEWEST_LATEST = 20


@dataclass(frozen=True)
class EvaluationRows:
    """The locked rows of an evaluation set.

    Parameters
    ----------
    ordinals : ndarray of int64, shape (n,)
        Positions in the set's version, ascending.
    hashes : ndarray of uint64, shape (n,)
        `row_hashes` over ``columns``.
    columns : tuple of str
    """

    ordinals: NDArray[np.int64]
    hashes: NDArray[np.uint64]
    columns: tuple[str, ...]


@dataclass(frozen=True)
class _Known:
    """What the database says before a split is computed."""

    version: DatasetVersion
    split: Split | None
    sets: tuple[EvaluationSet, ...]
    fixed: EvaluationSet | None
    fixed_version: DatasetVersion | None
    earlier: tuple[DatasetVersion, ...]

    @property
    def latest(self) -> EvaluationSet | None:
        return next((rows for rows in self.sets if rows.kind == LATEST and rows.version_id == self.version.id), None)


def ensure_split(
    workspace: Workspace, *, version_id: int, options: SplitOptions, now: datetime
) -> tuple[Split, tuple[EvaluationSet, ...]]:
    """The version's split of these options, made where there is none, and the sets models on it are judged on.

    Commits on its own. Asking twice, at once too, gives the same split.

    Returns
    -------
    split : Split
    evaluation_sets : tuple of EvaluationSet
        The dataset's fixed set, then the version's latest set where it has one.

    Raises
    ------
    NotFound, InvalidInput
    InsufficientData
        Too few rows to train on or to judge by.
    """
    while True:
        with workspace.read() as session:
            known = _look_up(session, version_id, options)
        if known.split is not None:
            return known.split, _sets_of(known)
        prepared = _prepare(workspace.artifacts, known, options)
        with workspace.write() as session:
            again = _look_up(session, version_id, options)
            if again.split is not None:
                return again.split, _sets_of(again)
            same_fixed = (again.fixed and again.fixed.id) == (known.fixed and known.fixed.id)
            same_latest = (again.latest and again.latest.id) == (known.latest and known.latest.id)
            if same_fixed and same_latest:
                return _record(session, known, prepared, options, now)


def assignment(store: ArtifactStore, split: Split) -> NDArray[np.uint8]:
    """The part of each row, as `Part` numbers; shape (n_rows,)."""
    return np.frombuffer(store.get_bytes(split.assignment_sha256), dtype=np.uint8)


def evaluation_rows(store: ArtifactStore, evaluation_set: EvaluationSet) -> EvaluationRows:
    """The rows of an evaluation set, verified against their hash."""
    table = pq.read_table(pa.BufferReader(store.get_bytes(evaluation_set.rows_sha256)), use_threads=False)
    columns = json.loads(table.schema.metadata[b"columns"])
    return EvaluationRows(ordinals=table["ordinal"].to_numpy(), hashes=table["hash"].to_numpy(), columns=tuple(columns))


def count_evaluation_rows(
    store: ArtifactStore, fixed: EvaluationSet, fixed_version: DatasetVersion, table: pa.Table
) -> int:
    """How many rows of a table equal one of the fixed evaluation set."""
    return int(_equal_rows(store, fixed, fixed_version, table).sum())


@dataclass(frozen=True)
class _Prepared:
    parts: NDArray[np.uint8]
    assignment_sha256: str
    new_kind: str | None
    rows_sha256: str
    n_set_rows: int


def _look_up(session: Session, version_id: int, options: SplitOptions) -> _Known:
    version = queries.version(session, version_id)
    split = session.exec(select(Split).where(Split.version_id == version_id, Split.key == options.key)).first()
    sets = tuple(queries.evaluation_sets(session, version.dataset_id))
    fixed = next((rows for rows in sets if rows.kind == FIXED), None)
    earlier = session.exec(
        select(DatasetVersion)
        .where(DatasetVersion.dataset_id == version.dataset_id, DatasetVersion.number < version.number)
        .order_by(col(DatasetVersion.number))
    ).all()
    # What a version was added to is inside it: its rows need not be read again.
    contained = {one.parent_id for one in earlier if one.relation == Relation.ADDS_TO}
    return _Known(
        version=version,
        split=split,
        sets=sets,
        fixed=fixed,
        fixed_version=None if fixed is None else queries.version(session, fixed.version_id),
        earlier=tuple(one for one in earlier if one.id not in contained),
    )


def _sets_of(known: _Known) -> tuple[EvaluationSet, ...]:
    return tuple(rows for rows in (known.fixed, known.latest) if rows is not None)


def _prepare(store: ArtifactStore, known: _Known, options: SplitOptions) -> _Prepared:
    table = queries.read_table(store, known.version)
    n_rows = table.num_rows
    if n_rows < FEWEST_ROWS:
        raise InsufficientData(f"The version has {n_rows} rows; at least {FEWEST_ROWS} are needed to split it.")
    keys, usable = _keys(table, options)
    names = table.column_names
    parts = np.full(n_rows, Part.TRAIN, dtype=np.uint8)
    hashes = row_hashes(table, names)
    new_kind: str | None = None
    test = np.zeros(n_rows, dtype=np.bool_)
    held = np.zeros(n_rows, dtype=np.bool_)
    if known.fixed is None:
        new_kind = FIXED
        test = hold_out(usable, keys, options.test_share, options, stream=0)
    elif known.fixed.version_id == known.version.id:
        test[evaluation_rows(store, known.fixed).ordinals] = True
    else:
        assert known.fixed_version is not None
        held = _equal_rows(store, known.fixed, known.fixed_version, table)
        if known.latest is not None:
            test[evaluation_rows(store, known.latest).ordinals] = True
        elif known.version.number > known.fixed_version.number:
            fresh = _fresh_rows(store, known, table, hashes) & usable & ~held
            test = hold_out(fresh, keys, options.test_share, options, stream=0)
            if test.sum() >= FEWEST_LATEST:
                new_kind = LATEST
            else:
                test[:] = False
    held |= np.isin(hashes, hashes[test]) & ~test
    free = usable & ~held & ~test
    left = 1 - (options.test_share if test.any() else 0.0)
    validation = hold_out(free, keys, options.validation_share / left, options, stream=1)
    parts[validation] = Part.VALIDATION
    parts[held | ~usable] = Part.EXCLUDED
    parts[test] = Part.TEST
    if not (parts == Part.TRAIN).any() or (new_kind == FIXED and not test.any()):
        raise InsufficientData(
            f"Of {n_rows:,} rows, {int((parts == Part.TRAIN).sum()):,} would train and {int(test.sum()):,} would test. "
            "Choose other shares or another way to split; by time, rows of one moment stay together."
        )
    rows_sha256 = ""
    if new_kind is not None:
        rows_sha256 = _put_rows(store, np.flatnonzero(test), hashes[test], names)
    stored = store.put_bytes(parts.tobytes())
    return _Prepared(parts, stored.sha256, new_kind, rows_sha256, int(test.sum()))


def _record(
    session: Session, known: _Known, prepared: _Prepared, options: SplitOptions, now: datetime
) -> tuple[Split, tuple[EvaluationSet, ...]]:
    assert known.version.id is not None
    counts = np.bincount(prepared.parts, minlength=len(Part))
    split = Split(
        version_id=known.version.id,
        key=options.key,
        method=options.method,
        column=options.column,
        seed=options.seed,
        validation_share=options.validation_share,
        test_share=options.test_share,
        assignment_sha256=prepared.assignment_sha256,
        n_train=int(counts[Part.TRAIN]),
        n_validation=int(counts[Part.VALIDATION]),
        n_test=int(counts[Part.TEST]),
        n_excluded=int(counts[Part.EXCLUDED]),
        created_at=now,
    )
    session.add(split)
    session.flush()
    assert split.id is not None
    label = queries.version_label(session, known.version.id)
    record(
        session,
        actor=system_actor(),
        action="split.made",
        subject_kind="split",
        subject_id=split.id,
        subject_label=label,
        now=now,
        details={"method": options.method, "assignment": prepared.assignment_sha256},
    )
    sets = list(_sets_of(known))
    if prepared.new_kind is not None:
        made = EvaluationSet(
            dataset_id=known.version.dataset_id,
            version_id=known.version.id,
            split_id=split.id,
            kind=prepared.new_kind,
            rows_sha256=prepared.rows_sha256,
            n_rows=prepared.n_set_rows,
            created_at=now,
        )
        session.add(made)
        session.flush()
        assert made.id is not None
        record(
            session,
            actor=system_actor(),
            action="evaluation_set.locked",
            subject_kind="evaluation_set",
            subject_id=made.id,
            subject_label=f"{prepared.new_kind} set of {label}",
            now=now,
            details={"rows": prepared.n_set_rows, "sha256": prepared.rows_sha256},
        )
        sets.append(made)
    return split, tuple(sets)


def _keys(table: pa.Table, options: SplitOptions) -> tuple[NDArray[np.int64] | None, NDArray[np.bool_]]:
    usable = np.ones(table.num_rows, dtype=np.bool_)
    if options.method == "random":
        return None, usable
    if options.column not in table.column_names:
        raise InvalidInput(f"There is no column {str(options.column)[:60]!r} to split by. Choose another.")
    array = table[options.column].combine_chunks()
    if options.method == "stratified":
        coded = array.dictionary_encode(null_encoding="encode").indices
        return np.asarray(coded.to_numpy(zero_copy_only=False), dtype=np.int64), usable
    present = np.asarray(array.is_valid().to_numpy(zero_copy_only=False), dtype=np.bool_)
    if pa.types.is_integer(array.type):
        return np.asarray(pc.fill_null(array, 0).to_numpy(zero_copy_only=False), dtype=np.int64), present
    if pa.types.is_floating(array.type):
        ranks = pc.rank(array, sort_keys="ascending", tiebreaker="dense")
        return np.asarray(ranks.to_numpy(zero_copy_only=False), dtype=np.int64), present
    if not (pa.types.is_date(array.type) or pa.types.is_timestamp(array.type)):
        raise InvalidInput(
            f"Column {options.column!r} holds {array.type}, which has no order in time. Choose a date or a number."
        )
    return moments(array), present


def _fresh_rows(store: ArtifactStore, known: _Known, table: pa.Table, hashes: NDArray[np.uint64]) -> NDArray[np.bool_]:
    fresh = np.ones(table.num_rows, dtype=np.bool_)
    for one in known.earlier:
        shared = [column["name"] for column in one.columns if column["name"] in table.column_names]
        if not shared:
            continue
        whole = len(shared) == table.num_columns
        mine = hashes if whole else row_hashes(table, shared)
        fresh &= ~np.isin(mine, row_hashes(queries.read_table(store, one, columns=shared), shared))
    return fresh


def _equal_rows(
    store: ArtifactStore, fixed: EvaluationSet, fixed_version: DatasetVersion, table: pa.Table
) -> NDArray[np.bool_]:
    rows = evaluation_rows(store, fixed)
    shared = [name for name in rows.columns if name in table.column_names]
    if not shared:
        return np.zeros(table.num_rows, dtype=np.bool_)
    theirs = rows.hashes
    if len(shared) < len(rows.columns):
        theirs = row_hashes(queries.read_table(store, fixed_version, columns=shared), shared)[rows.ordinals]
    return np.isin(row_hashes(table, shared), theirs)


def _put_rows(store: ArtifactStore, ordinals: NDArray[np.int64], hashes: NDArray[np.uint64], names: list[str]) -> str:
    table = pa.table({"ordinal": ordinals.astype(np.int64), "hash": hashes})
    table = table.replace_schema_metadata({"columns": json.dumps(names)})
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    return store.put_bytes(sink.getvalue().to_pybytes()).sha256
