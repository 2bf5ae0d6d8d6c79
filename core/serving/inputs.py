"""Checking rows from outside against a model's signature, with errors that name the field. PURE."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from core.datasets.tables import ColumnKind
from core.errors import SchemaMismatch
from core.wording import enumerated

MAX_ROWS = 10_000
NAMED = 20
SHOWN_CHARACTERS = 80
LARGEST_NUMBER = 1e308

EXPECTED: dict[ColumnKind, str] = {
    ColumnKind.INTEGER: "a whole number",
    ColumnKind.NUMBER: "a number",
    ColumnKind.BOOLEAN: "true or false",
    ColumnKind.CATEGORY: "text",
    ColumnKind.TEXT: "text",
    ColumnKind.DATE: 'a date such as "2026-03-12"',
    ColumnKind.TIMESTAMP: 'a time such as "2026-03-12T14:05:00Z"',
}


class RowRefused(SchemaMismatch):
    """One row does not fit the signature.

    Parameters
    ----------
    row : int
        Which, counted from 1.
    field : str
        The feature, as the model or the caller names it.
    given, expected : str
        In words.
    """

    def __init__(self, row: int, field: str, given: str, expected: str) -> None:
        self.row, self.field, self.given, self.expected = row, field, given, expected
        super().__init__(f"Row {row}, {shorten(field)}: given {given}, expected {expected}.")


def check_rows(rows: Any, signature: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Refuse rows a model cannot score as meant; give them back as they are.

    A category never seen in training is let through: the model has an answer for it and the monitor must see it. So
    is null, where training had missing values. A feature left out or one the model does not know is refused, because
    either is most often a misspelt name.

    Parameters
    ----------
    rows : object
        What was sent as ``rows``: to be a list of 1 to 10,000 objects of feature to value.
    signature : mapping
        ``{"features": [{"name", "kind", "nullable", ...}], ...}``; without "nullable" null is let through.

    Raises
    ------
    RowRefused
        The first row and field that do not fit.
    SchemaMismatch
        ``rows`` is no list, is empty or too long.
    """
    if not isinstance(rows, list):
        raise SchemaMismatch('"rows" must be a list of objects, each with one value per feature.')
    if not 1 <= len(rows) <= MAX_ROWS:
        raise SchemaMismatch(f'"rows" holds {len(rows):,} rows; send 1 to {MAX_ROWS:,} at a time.')
    features: Sequence[Mapping[str, Any]] = signature["features"]
    names = {feature["name"] for feature in features}
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, dict):
            raise RowRefused(number, "row", describe(row), "an object with one value per feature")
        for feature in features:
            name, kind = feature["name"], ColumnKind(feature["kind"])
            if name not in row:
                raise RowRefused(number, name, "nothing", EXPECTED[kind])
            value = row[name]
            if value is None:
                if not feature.get("nullable", True):
                    raise RowRefused(number, name, "null", f"{EXPECTED[kind]}; it was never missing in training")
            elif not _fits(value, kind):
                raise RowRefused(number, name, describe(value), EXPECTED[kind])
        for name in row:
            if name not in names:
                raise RowRefused(number, name, "a feature the model does not know", f"only: {_listed(names)}")
    return rows


def describe(value: object) -> str:
    """A JSON value in words, shortened."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case float() if not math.isfinite(value):
            return "a number that is not finite"
        case int() | float():
            # Written out, an integer of thousands of digits would be refused by Python itself.
            return f"the number {value}" if abs(value) <= LARGEST_NUMBER else "a number too large"
        case str():
            return f'the text "{shorten(value)}"'
        case list():
            return "a list"
        case _:
            return "an object"


def shorten(text: str) -> str:
    """The beginning of a text that may be long."""
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[: SHOWN_CHARACTERS - 1]}…"


def _fits(value: object, kind: ColumnKind) -> bool:
    match kind:
        case ColumnKind.BOOLEAN:
            return isinstance(value, bool)
        case ColumnKind.INTEGER | ColumnKind.NUMBER:
            if isinstance(value, bool) or not isinstance(value, int | float):
                return False
            if not abs(value) <= LARGEST_NUMBER:
                return False
            return kind is ColumnKind.NUMBER or value == math.floor(value)
        case ColumnKind.DATE | ColumnKind.TIMESTAMP:
            return isinstance(value, str) and _is_moment(value)
        case _:
            return isinstance(value, str)


def _is_moment(text: str) -> bool:
    try:
        datetime.fromisoformat(text.strip())
    except ValueError:
        return False
    return True


def _listed(names: set[str]) -> str:
    return enumerated([shorten(name) for name in sorted(names)], NAMED)
