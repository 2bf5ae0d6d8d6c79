"""Which dataset a file looks like, by its column names and kinds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from core.datasets.tables import ColumnKind

LIKENESS = 0.8


@dataclass(frozen=True)
class KnownDataset:
    """A dataset as its newest version stands: what a file is held against."""

    id: int
    name: str
    number: int
    columns: tuple[tuple[str, ColumnKind], ...]
    target: str | None


@dataclass(frozen=True)
class Recognition:
    """The dataset a file looks like.

    Parameters
    ----------
    dataset : KnownDataset
    likeness : float
        Shared columns among all of both, 0 to 1.
    missing, extra : tuple of str
        Columns the file lacks, and those only it has.
    lacks_target : bool
        Then it may be data to monitor or to score.
    sentence : str
        A question for the person.
    """

    dataset: KnownDataset
    likeness: float
    missing: tuple[str, ...]
    extra: tuple[str, ...]
    lacks_target: bool
    sentence: str

    @property
    def dataset_id(self) -> int:
        """The dataset's number."""
        return self.dataset.id


def recognise(columns: Sequence[tuple[str, ColumnKind | str]], known: Sequence[KnownDataset]) -> Recognition | None:
    """Find the dataset most like a file.

    Parameters
    ----------
    columns : sequence of (name, kind)
        Of the file.
    known : sequence of KnownDataset

    Returns
    -------
    Recognition or None
        The most alike, of equals the one with more columns of the same kind; None where none reaches `LIKENESS`, the
        target apart, which a file to score lacks.
    """
    kinds = {name: ColumnKind(kind) for name, kind in columns}
    best: tuple[float, float, KnownDataset] | None = None
    for dataset in known:
        theirs = dict(dataset.columns)
        ours = set(kinds) | ({dataset.target} if dataset.target and dataset.target in theirs else set())
        shared = ours & set(theirs)
        likeness = len(shared) / max(1, len(ours | set(theirs)))
        same = sum(kinds.get(name) is theirs[name] for name in shared) / max(1, len(shared))
        if likeness >= LIKENESS and (best is None or (likeness, same) > best[:2]):
            best = (likeness, same, dataset)
    if best is None:
        return None
    likeness, _, dataset = best
    theirs = dict(dataset.columns)
    missing = tuple(name for name in theirs if name not in kinds)
    lacks_target = dataset.target is not None and dataset.target in missing
    question = (
        f"It looks like {dataset.name} without its target {dataset.target}: is it data to monitor or to score?"
        if lacks_target
        else f"It looks like {dataset.name}; make version {dataset.number + 1}?"
    )
    return Recognition(
        dataset=dataset,
        likeness=likeness,
        missing=missing,
        extra=tuple(name for name in kinds if name not in theirs),
        lacks_target=lacks_target,
        sentence=question,
    )
