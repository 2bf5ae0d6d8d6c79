"""What being wrong costs: a matrix that belongs to the question, and so to the dataset. Pure.

``{"labels": [...], "matrix": [[...], ...]}``: labels of the target in sorted order, rows by the true label, columns by
the predicted one, all in any one unit; a gain is a negative cost. `BinaryCosts` are those of a question with two
answers, by the outcomes of a decision.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.datasets.tables import ColumnKind
from core.errors import InvalidInput

MOST_LABELS = 20


@dataclass(frozen=True)
class BinaryCosts:
    """What each outcome of a decision between two answers costs.

    Parameters
    ----------
    false_alarm, miss : float
        A negative row called positive, a positive row not called.
    hit, rest : float
        A positive row called positive, a negative one not called.

    Raises
    ------
    InvalidInput
        A cost that is not a finite number, or what `checked` refuses of a matrix.
    """

    false_alarm: float
    miss: float
    hit: float = 0.0
    rest: float = 0.0

    def __post_init__(self) -> None:
        _require_worth_weighing([[self.rest, self.false_alarm], [self.miss, self.hit]])

    @property
    def by_cell(self) -> tuple[float, float, float, float]:
        """In the order in which outcomes are counted: hit, false alarm, rest, miss."""
        return self.hit, self.false_alarm, self.rest, self.miss

    @classmethod
    def of(cls, costs: Mapping[str, Any] | None, classes: Sequence[str]) -> BinaryCosts | None:
        """A dataset's costs, as `checked` gave them, for a model's two classes, negative first.

        None where there are none or they are of another question: there are not two classes, or they have other labels.
        """
        if costs is None or len(classes) != 2 or set(costs["labels"]) != set(classes):
            return None
        negative, positive = (list(costs["labels"]).index(label) for label in classes)
        matrix = costs["matrix"]
        return cls(
            false_alarm=float(matrix[negative][positive]),
            miss=float(matrix[positive][negative]),
            hit=float(matrix[positive][positive]),
            rest=float(matrix[negative][negative]),
        )

    def in_words(self) -> str:
        """Say them, as in "a false alarm costs 1 and a miss 10", with what being right costs where it is not 0."""
        said = f"a false alarm costs {self.false_alarm:g} and a miss {self.miss:g}"
        return said + (f", a hit {self.hit:g} and a rightly left row {self.rest:g}" if self.hit or self.rest else "")


def of_mistakes(labels: Sequence[str], *, miss: float, false_alarm: float) -> dict[str, Any]:
    """The costs of a question with two answers, being right costing nothing.

    Parameters
    ----------
    labels : sequence of str
        The two labels; the second in sorted order is the positive one.
    miss, false_alarm : float
        Of a positive row taken for negative, and of a negative one taken for positive.

    Raises
    ------
    InvalidInput
        There are not two labels, or a cost is refused by `checked`.
    """
    if len(set(labels)) != 2:
        raise InvalidInput(
            f"A miss and a false alarm belong to a question with two answers; this one has {len(set(labels))}. "
            "Give a cost for each pair of labels."
        )
    return checked({"labels": sorted(labels), "matrix": [[0.0, false_alarm], [miss, 0.0]]}, labels)


def checked(costs: Mapping[str, Any], labels: Sequence[str] | None) -> dict[str, Any]:
    """The costs as they are kept.

    Parameters
    ----------
    costs : mapping
        As somebody gave them.
    labels : sequence of str, optional
        Of the target in the newest version; costs must name exactly these. Not checked where they are not known.

    Returns
    -------
    dict
        Labels sorted, the matrix in their order, every cost a float.

    Raises
    ------
    InvalidInput
        Labels that are not 2 to 20 different texts or not those of the target, a matrix of another shape, a cost that
        is not a finite number, being wrong cheaper than being right, or no mistake that costs anything.
    """
    lists = set(costs) == {"labels", "matrix"} and isinstance(costs["matrix"], Sequence)
    if not lists or not all(_is_list(one) for one in (costs["labels"], *costs["matrix"])):
        raise InvalidInput('Costs are {"labels": [...], "matrix": [[...]]}, true labels as rows, predicted as columns.')
    names, matrix = list(costs["labels"]), [list(row) for row in costs["matrix"]]
    if not all(isinstance(name, str) for name in names) or not 2 <= len(set(names)) == len(names) <= MOST_LABELS:
        raise InvalidInput(f"Costs name 2 to {MOST_LABELS} different labels; {len(names)} were given.")
    if labels is not None and set(names) != set(labels):
        raise InvalidInput(
            f"The costs name {', '.join(map(repr, sorted(names)))}; the target has "
            f"{', '.join(map(repr, sorted(labels)[:MOST_LABELS]))}. Give a cost for each pair of its labels."
        )
    if len(matrix) != len(names) or any(len(row) != len(names) for row in matrix):
        raise InvalidInput(f"The matrix of costs must have {len(names)} rows and columns, one for each label.")
    _require_worth_weighing(matrix)
    order = sorted(range(len(names)), key=names.__getitem__)
    return {
        "labels": [names[place] for place in order],
        "matrix": [[float(matrix[row][column]) for column in order] for row in order],
    }


def labels_of(column: Mapping[str, Any] | None) -> tuple[str, ...] | None:
    """The labels of a target, sorted, by its profile; None where the profile does not hold them all.

    Parameters
    ----------
    column : mapping or None
        Its entry in a version's profile, see `profiling.profile`.
    """
    from core.datasets.profiling import LONGEST_SHOWN

    if column is None:
        return None
    distinct, top = column.get("n_distinct"), column.get("top")
    if top and len(top) == distinct and all(len(str(entry["value"])) < LONGEST_SHOWN for entry in top):
        return tuple(sorted(str(entry["value"]) for entry in top))
    ends: list[Any] = [column.get("min"), column.get("max")]
    # Two different numbers are the smallest and the largest; whole ones are written without decimals, as labels are.
    if distinct == 2 and column.get("kind") in (ColumnKind.INTEGER, ColumnKind.NUMBER) and None not in ends:
        return tuple(sorted(f"{end:.0f}" if end == int(end) else repr(end) for end in ends))
    return None


def in_words(costs: Mapping[str, Any]) -> str:
    """Each mistake that costs something: "no taken for yes costs 1, yes taken for no 10"."""
    names, matrix = costs["labels"], costs["matrix"]
    pairs = [
        (true, predicted, matrix[row][column])
        for row, true in enumerate(names)
        for column, predicted in enumerate(names)
        if row != column
    ]
    first, *rest = pairs[:6]
    said = [f"{first[0]} taken for {first[1]} costs {first[2]:g}", *(f"{a} taken for {b} {c:g}" for a, b, c in rest)]
    right = [
        f"{name} rightly called so {matrix[place][place]:g}"
        for place, name in enumerate(names)
        if matrix[place][place] != 0
    ]
    more = [f"and {len(pairs) - 6} more"] if len(pairs) > 6 else []
    return ", ".join([*said, *right[:6], *more])


def _require_worth_weighing(matrix: Sequence[Sequence[float]]) -> None:
    """Refuse numbers that are none, and those by which being wrong is cheaper than being right, or never dearer."""
    if not all(_is_number(cost) for row in matrix for cost in row):
        raise InvalidInput("A cost is not a finite number. Give each pair of labels a number.")
    if any(cost < row[place] for place, row in enumerate(matrix) for cost in row):
        raise InvalidInput("A mistake costs less than being right about the same row. Check the costs.")
    if all(cost == row[place] for place, row in enumerate(matrix) for cost in row):
        raise InvalidInput("No mistake costs anything, so nothing could be weighed. Give one of them a cost above 0.")


def _is_list(given: object) -> bool:
    return isinstance(given, Sequence) and not isinstance(given, str)


def _is_number(cost: object) -> bool:
    return isinstance(cost, int | float) and not isinstance(cost, bool) and math.isfinite(cost)
