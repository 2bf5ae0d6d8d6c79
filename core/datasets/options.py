"""How a file is read: what was inferred, shown, and confirmed or overridden by a person."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from core.datasets.tables import ColumnKind
from core.errors import InvalidInput

MISSING_TOKENS = ("", "?", "NA", "N/A", "n/a", "#N/A", "NaN", "nan", "NULL", "null", "<NA>")
ENCODINGS = ("utf-8", "utf-16-le", "utf-16-be", "latin-1", "cp1252")
DELIMITERS = (",", ";", "\t", "|")
THOUSANDS = ("", ",", ".", " ", "'")
MAX_COLUMNS = 2_000
MAX_NAME_LENGTH = 200

FileFormat = Literal["csv", "parquet"]


@dataclass(frozen=True)
class ColumnOption:
    """How one column of the file is read.

    Parameters
    ----------
    name : str
        What the column is called from now on.
    source_name : str
        What the file calls it: "" for a blank header cell; "column_3" where the file has no header.
    kind : ColumnKind
    included : bool
        False leaves the column out.
    date_format : str or None
        For dates and timestamps of a CSV file, in the letters of `dates.DIRECTIVES`.
    """

    name: str
    source_name: str
    kind: ColumnKind
    included: bool = True
    date_format: str | None = None

    def __post_init__(self) -> None:
        if not self.name.strip():
            raise InvalidInput(f"The column {self.source_name!r} has a blank name. Give it one.")
        if len(self.name) > MAX_NAME_LENGTH:
            raise InvalidInput(
                f"The column name {self.name[:40]!r}… has {len(self.name):,} characters; at most {MAX_NAME_LENGTH} "
                "are kept. Shorten it in the file."
            )


@dataclass(frozen=True)
class ParseOptions:
    """How a whole file is read. "Exact" means exact relative to these.

    Parameters
    ----------
    format : {"csv", "parquet"}
    delimiter, quote : str
        One ASCII character each; an empty ``quote`` takes quotes as plain text. CSV only, like all that follows but
        ``columns``.
    encoding : str
        One of `ENCODINGS`.
    has_header : bool
        Whether the first row names the columns.
    decimal, thousands : str
        "." or ","; one of `THOUSANDS`.
    missing_tokens : tuple of str
        Cells that mean "no value", compared whole and case by case after trimming.
    trim : bool
        Whether white space around names and values is dropped.
    columns : tuple of ColumnOption
        In the order of the file, those left out too.
    """

    format: FileFormat = "csv"
    delimiter: str = ","
    quote: str = '"'
    encoding: str = "utf-8"
    has_header: bool = True
    decimal: str = "."
    thousands: str = ""
    missing_tokens: tuple[str, ...] = MISSING_TOKENS
    trim: bool = True
    columns: tuple[ColumnOption, ...] = ()

    def __post_init__(self) -> None:
        if self.format not in ("csv", "parquet"):
            raise InvalidInput(f"The format {self.format!r} is not read. Choose csv or parquet.")
        if len(self.delimiter) != 1 or not self.delimiter.isascii() or self.delimiter in "\r\n\0\"'":
            raise InvalidInput(f"The delimiter {self.delimiter!r} is not one plain character such as , ; | or a tab.")
        if self.quote not in ("", '"', "'"):
            raise InvalidInput(f"The quote {self.quote!r} is not one of \", ' or nothing.")
        if self.encoding not in ENCODINGS:
            raise InvalidInput(f"The encoding {self.encoding!r} is not read. Choose one of {', '.join(ENCODINGS)}.")
        if self.decimal not in (".", ","):
            raise InvalidInput(f"The decimal mark {self.decimal!r} is neither . nor a comma.")
        if self.thousands not in THOUSANDS or self.thousands == self.decimal:
            raise InvalidInput(
                f"The thousands mark {self.thousands!r} does not go with the decimal mark {self.decimal!r}. "
                "Choose nothing, a comma, a point, a space or an apostrophe, other than the decimal mark."
            )
        names = [column.name for column in self.columns if column.included]
        if twice := sorted({name for name in names if names.count(name) > 1} if len(set(names)) < len(names) else ()):
            raise InvalidInput(f"Two columns are called {twice[0]!r}. Rename one of them, or leave one out.")
        if self.columns and not names:
            raise InvalidInput("Every column is left out. Keep at least one.")

    @property
    def included(self) -> tuple[ColumnOption, ...]:
        """The columns that are kept, in order."""
        return tuple(column for column in self.columns if column.included)

    def to_json(self) -> dict[str, Any]:
        """As a JSON document."""
        return {
            "format": self.format,
            "delimiter": self.delimiter,
            "quote": self.quote,
            "encoding": self.encoding,
            "has_header": self.has_header,
            "decimal": self.decimal,
            "thousands": self.thousands,
            "missing_tokens": list(self.missing_tokens),
            "trim": self.trim,
            "columns": [
                {
                    "name": column.name,
                    "source_name": column.source_name,
                    "kind": column.kind.value,
                    "included": column.included,
                    "date_format": column.date_format,
                }
                for column in self.columns
            ],
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> ParseOptions:
        """From what `to_json` gave.

        Raises
        ------
        InvalidInput
            A key or a value is not known.
        """
        fields = dict(document)
        try:
            fields["columns"] = tuple(
                ColumnOption(**{**column, "kind": ColumnKind(column["kind"])}) for column in fields.get("columns", ())
            )
            fields["missing_tokens"] = tuple(fields.get("missing_tokens", MISSING_TOKENS))
            return cls(**fields)
        except (TypeError, KeyError) as error:
            raise InvalidInput(f"These are not parse options: {error}. Inspect the file again.") from error
        except ValueError as error:
            if isinstance(error, InvalidInput):
                raise
            kinds = ", ".join(kind.value for kind in ColumnKind)
            raise InvalidInput(f"{error}. A column's kind is one of {kinds}.") from error
