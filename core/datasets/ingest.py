"""Reading a file exactly, or refusing it: `inspect` says how it would be read, `read_exactly` reads it so.

A file that cannot be read exactly is refused with the line, what was found, what was expected and what to do. Whatever
was inferred is said in a note before anyone confirms it, and can be overridden. Duplicate column names are renamed
("a", "a_2"), blank ones named by position ("column_1"), both with a note.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from core.datasets import csv_reading, dates, inference, numbers, parquet_reading, structure
from core.datasets.encodings import as_utf8, blocks, detect, is_parquet, refuse_containers
from core.datasets.options import MAX_NAME_LENGTH, ColumnOption, ParseOptions
from core.datasets.tables import ColumnKind
from core.errors import InvalidInput, SchemaMismatch, UnreadableFile
from core.wording import enumerated

PREVIEW_ROWS = 50
HEADER_SAMPLE = 200
MOST_NOTES = 40
NAMED = 5
DEFAULT_MEMORY_MB = 1024


@dataclass(frozen=True)
class Inspection:
    """How a file would be read.

    Parameters
    ----------
    options : ParseOptions
        Inferred, with the overrides applied: what `read_exactly` takes.
    preview : pandas.DataFrame
        The first rows as text, by column name.
    n_rows : int
        Rows of data.
    notes : tuple of str
        What was inferred, in words.
    """

    options: ParseOptions
    preview: pd.DataFrame
    n_rows: int
    notes: tuple[str, ...]


def inspect(
    path: Path,
    *,
    file_name: str,
    overrides: Mapping[str, object] | None = None,
    memory_limit_mb: int = DEFAULT_MEMORY_MB,
) -> Inspection:
    """Tell how a file would be read, from all of it.

    Parameters
    ----------
    path : Path
    file_name : str
        As the person calls it; only ever shown.
    overrides : mapping, optional
        Fields of `ParseOptions` that are chosen rather than inferred. "columns" maps a column's name in the file (or
        its new name) to any of "kind", "name", "included", "date_format"; or it is a sequence of `ColumnOption`.
    memory_limit_mb : int

    Raises
    ------
    UnreadableFile
        The file cannot be read exactly.
    InvalidInput
        An override is not possible.
    """
    check_file_name(file_name)
    chosen = dict(overrides or {})
    columns = _column_overrides(chosen.pop("columns", None))
    refuse_containers(path)
    if chosen.pop("format", None) == "parquet" or is_parquet(path):
        table = parquet_reading.read(path, memory_limit_mb=memory_limit_mb)
        options, notes = parquet_reading.infer(table)
        options = replace(options, columns=_override(options.columns, columns))
        preview = table.slice(0, PREVIEW_ROWS).rename_columns([column.name for column in options.columns])
        texts = {name: [_shown(cell) for cell in preview[name].to_pylist()] for name in preview.column_names}
        return Inspection(options, pd.DataFrame(texts, dtype=object), table.num_rows, notes)
    return _inspect_csv(path, chosen, columns, memory_limit_mb)


def check_file_name(file_name: str) -> None:
    """Refuse a file name nobody could read; whatever else it holds is only ever shown.

    Raises
    ------
    InvalidInput
    """
    if not file_name.strip() or len(file_name) > MAX_NAME_LENGTH:
        raise InvalidInput(
            f"The file's name has {len(file_name):,} characters; 1 to {MAX_NAME_LENGTH} are expected. Rename the file."
        )


def _inspect_csv(
    path: Path, chosen: dict[str, Any], columns: Mapping[str, Mapping[str, Any]], memory_limit_mb: int
) -> Inspection:
    known = {field for field in ParseOptions.__dataclass_fields__ if field != "columns"}
    if unknown := sorted(set(chosen) - known):
        raise InvalidInput(f"There is no reading option {unknown[0]!r}. Known: {', '.join(sorted(known))}.")
    if "missing_tokens" in chosen:
        chosen["missing_tokens"] = tuple(chosen["missing_tokens"])
    notes: list[str] = []
    if "encoding" not in chosen:
        encoding = detect(path)
        chosen["encoding"] = encoding.name
        notes += [encoding.note] if encoding.note else []
    options = replace(ParseOptions(), **{k: v for k, v in chosen.items() if k not in ("decimal", "thousands")})
    with as_utf8(path, options.encoding) as text:
        if "delimiter" not in chosen:
            delimiter, certain = structure.infer_delimiter(csv_reading.sample_of(text), options.quote)
            options = replace(options, delimiter=delimiter)
            if not certain or delimiter != ",":
                shown = "a tab" if delimiter == "\t" else repr(delimiter)
                notes.append(
                    f"Cells are delimited by {shown}" + (", though not every row agrees." if not certain else ".")
                )
        table, found = csv_reading.read_text(
            text, delimiter=options.delimiter, quote=options.quote, memory_limit_mb=memory_limit_mb
        )
    if found.n_blank:
        notes.append(f"{_count(found.n_blank, 'blank line')} left out.")
    if "has_header" not in chosen:
        has_header, reason = _infer_header(table, options)
        options = replace(options, has_header=has_header)
        if not has_header:
            notes.append(f"{reason}, so there is no header: columns are named by position.")
    body = _body(table, options)
    sources, names, name_notes = _names(table, options)
    notes += name_notes
    coded = [inference.code(column, options.missing_tokens, options.trim) for column in body.columns]
    if any(column.trimmed for column in coded):
        notes.append("White space around values is dropped.")
    notes += _missing_notes(coded, names)
    marks = {key: chosen[key] for key in ("decimal", "thousands") if key in chosen}
    if not marks:
        decimal, thousands, mark_notes = inference.infer_marks(coded, options.delimiter)
        marks = {"decimal": decimal, "thousands": thousands}
        notes += mark_notes
    elif "thousands" not in marks:
        marks["thousands"] = ""
    options = replace(options, **marks)
    read, column_notes = [], []
    for column, name, source in zip(coded, names, sources, strict=True):
        wanted = columns.get(name) or (columns.get(source) if sources.count(source) == 1 else None) or {}
        option, said = _column_option(column, name, source, wanted, options)
        read.append(option)
        column_notes += [f"{option.name} {note}." for note in said]
    _refuse_unknown(columns, read)
    if len(column_notes) > MOST_NOTES:
        column_notes[MOST_NOTES:] = [f"{len(column_notes) - MOST_NOTES:,} more columns were read in the same way."]
    options = replace(options, columns=tuple(read))
    preview = body.slice(0, PREVIEW_ROWS)
    cells: dict[str, list[str]] = {}
    for option, data in zip(read, preview.columns, strict=True):
        shown_cells = pc.fill_null(data, "")
        key = option.name if option.name not in cells else f"{option.name} (left out)"
        cells[key] = (pc.utf8_trim_whitespace(shown_cells) if options.trim else shown_cells).to_pylist()
    return Inspection(options, pd.DataFrame(cells, dtype=object), body.num_rows, tuple(notes + column_notes))


def read_exactly(path: Path, options: ParseOptions, *, memory_limit_mb: int = DEFAULT_MEMORY_MB) -> pa.Table:
    """Read a file as its confirmed options say, every cell, or refuse it.

    Returns
    -------
    pyarrow.Table
        The included columns under their new names, typed by kind (`inference.ARROW_TYPES`); null where missing.

    Raises
    ------
    UnreadableFile
        A cell is not of its column's kind, or the file cannot be read exactly: names the line.
    SchemaMismatch
        The file's columns are not those of the options.
    """
    refuse_containers(path)
    if options.format == "parquet":
        return parquet_reading.read_as(path, options, memory_limit_mb=memory_limit_mb)
    if is_parquet(path):
        raise UnreadableFile("The file is Parquet, but it was to be read as CSV. Inspect it again.")
    with as_utf8(path, options.encoding) as text:
        table, _ = csv_reading.read_text(
            text, delimiter=options.delimiter, quote=options.quote, memory_limit_mb=memory_limit_mb
        )
        sources = _source_names(table, options)
        expected = [column.source_name for column in options.columns]
        if sources != expected:
            raise SchemaMismatch(_difference(expected, sources))
        body = _body(table, options)
        arrays, fields = [], []
        for option, data in zip(options.columns, body.columns, strict=True):
            if not option.included:
                continue
            column = inference.code(data, options.missing_tokens, options.trim)
            array, readable = inference.cast(
                column,
                option.kind,
                decimal=options.decimal,
                thousands=options.thousands,
                date_format=option.date_format,
            )
            if not readable.all():
                raise _wrong_cell(text, options, option, column, readable)
            arrays.append(array)
            fields.append(pa.field(option.name, array.type))
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields))


def _wrong_cell(
    text: Path, options: ParseOptions, option: ColumnOption, column: inference.Coded, readable: np.ndarray
) -> UnreadableFile:
    codes = pc.fill_null(column.codes, -1).to_numpy(zero_copy_only=False)
    wrong = np.append(~readable, False)[codes]
    row = int(np.flatnonzero(wrong)[0])
    line = structure.line_of(blocks(text), options.delimiter, options.quote, row + int(options.has_header))
    value = column.values[int(codes[row])].as_py()
    looks = f" in the format {option.date_format}" if option.date_format else ""
    others = int(wrong.sum()) - 1
    return UnreadableFile(
        f"the cell {value[:60]!r} of column {option.name!r} is not "
        f"{'an' if option.kind is ColumnKind.INTEGER else 'a'} {option.kind.value}{looks}"
        + (f", nor are {_count(others, 'other cell')} of it" if others else "")
        + ". Correct the file, choose another kind for the column, or count this value as missing.",
        line=line,
    )


def _body(table: pa.Table, options: ParseOptions) -> pa.Table:
    body = table.slice(1) if options.has_header else table
    if body.num_rows == 0:
        raise UnreadableFile("The file holds a header and no rows of data. Export it again, with its rows.")
    return body


def _first_row(table: pa.Table, options: ParseOptions) -> list[str]:
    cells = [column[0].as_py() or "" for column in table.columns]
    return [cell.strip() for cell in cells] if options.trim else cells


def _source_names(table: pa.Table, options: ParseOptions) -> list[str]:
    if options.has_header:
        return _first_row(table, options)
    return [f"column_{i + 1}" for i in range(table.num_columns)]


def _names(table: pa.Table, options: ParseOptions) -> tuple[list[str], list[str], list[str]]:
    sources = _source_names(table, options)
    taken, names, notes = set(sources), [], []
    used: set[str] = set()
    for position, source in enumerate(sources):
        name = source
        if not source.strip():
            name = _free(f"column_{position + 1}", taken | used)
            notes.append(f"Column {position + 1} has a blank name and is called {name}.")
        elif source in used:
            name = _free(f"{source}_2", taken | used)
            notes.append(f"The name {source!r} occurs again: column {position + 1} is called {name!r}.")
        used.add(name)
        names.append(name)
    if (
        options.has_header
        and options.trim
        and any((column[0].as_py() or "") != (column[0].as_py() or "").strip() for column in table.columns)
    ):
        notes.append("White space around column names is dropped.")
    return sources, names, notes


def _free(wanted: str, taken: set[str]) -> str:
    stem, number = wanted.rpartition("_")[0], 2
    while wanted in taken:
        number += 1
        wanted = f"{stem}_{number}"
    return wanted


def _infer_header(table: pa.Table, options: ParseOptions) -> tuple[bool, str]:
    first = _first_row(table, options)
    for cell in first:
        if any(numbers.matches(pa.array([cell]), numbers.number_pattern(mark, "")).all() for mark in ".,"):
            return False, f"The first row holds the number {cell[:40]}"
        if cell and cell in options.missing_tokens:
            return False, f"The first row holds {cell!r}, which means missing"
        if cell and dates.infer(pa.array([cell])) is not None:
            return False, f"The first row holds the date {cell[:40]}"
    if all(not cell for cell in first):
        return False, "The first row is blank"
    rest = table.slice(1, HEADER_SAMPLE)
    repeated = 0
    for cell, column in zip(first, rest.columns, strict=True):
        values = inference.code(column, options.missing_tokens, options.trim).values
        if len(values) and numbers.matches(values, numbers.number_pattern(".", "")).all():
            return True, ""
        repeated += bool(cell) and cell in values.to_pylist()
    return not repeated, "The first row repeats values of the rows below"


def _column_option(
    column: inference.Coded, name: str, source: str, wanted: Mapping[str, Any], options: ParseOptions
) -> tuple[ColumnOption, tuple[str, ...]]:
    reading = inference.KindReading(ColumnKind.TEXT)
    if "kind" not in wanted:
        reading = inference.infer_kind(column, options.decimal, options.thousands)
    kind = ColumnKind(wanted.get("kind", reading.kind))
    date_format = wanted.get("date_format") or reading.date_format
    if kind in (ColumnKind.DATE, ColumnKind.TIMESTAMP):
        found = dates.infer(column.values) if date_format is None else None
        date_format = date_format or (found.date_format if found else "%Y-%m-%d")
        dates.pattern_of(date_format)
    else:
        date_format = None
    option = ColumnOption(
        name=str(wanted.get("name") or name),
        source_name=source,
        kind=kind,
        included=bool(wanted.get("included", True)),
        date_format=date_format,
    )
    return option, reading.notes if "kind" not in wanted else ()


def _column_overrides(given: object) -> dict[str, Mapping[str, Any]]:
    if given is None:
        return {}
    if isinstance(given, Mapping):
        return {str(name): dict(wish) for name, wish in given.items()}
    if not isinstance(given, Iterable):
        raise InvalidInput("Column overrides are a mapping from column name to what is chosen for it.")
    return {
        option.source_name or option.name: {
            "kind": option.kind,
            "name": option.name,
            "included": option.included,
            "date_format": option.date_format,
        }
        for option in given
        if isinstance(option, ColumnOption)
    }


def _override(columns: tuple[ColumnOption, ...], wishes: Mapping[str, Mapping[str, Any]]) -> tuple[ColumnOption, ...]:
    read = []
    for column in columns:
        wish = dict(wishes.get(column.source_name) or wishes.get(column.name) or {})
        if "kind" in wish:
            wish["kind"] = ColumnKind(wish["kind"])
        read.append(replace(column, **wish))
    _refuse_unknown(wishes, read)
    return tuple(read)


def _refuse_unknown(wishes: Mapping[str, object], read: Iterable[ColumnOption]) -> None:
    known = {name for column in read for name in (column.source_name, column.name)}
    known |= {f"column_{i + 1}" for i, column in enumerate(read) if not column.source_name}
    if unknown := [name for name in wishes if name not in known]:
        raise InvalidInput(f"The file has no column {unknown[0][:60]!r} to override. Inspect it again.")


def _missing_notes(coded: list[inference.Coded], names: list[str]) -> list[str]:
    found: dict[str, tuple[int, list[str]]] = {}
    for column, name in zip(coded, names, strict=True):
        for token, count in column.counts.items():
            total, where = found.get(token, (0, []))
            found[token] = (total + count, [*where, name])
    notes = []
    for token, (count, where) in sorted(found.items()):
        what = f"{token!r} is" if token else "An empty cell is"
        notes.append(f"{what} read as missing: {_count(count, 'cell')} in {enumerated(where, NAMED)}.")
    return notes


def _difference(expected: list[str], found: list[str]) -> str:
    missing = [name for name in expected if name not in found]
    extra = [name for name in found if name not in expected]
    if missing or extra:
        said = [f"it lacks {', '.join(map(repr, missing[:5]))}"] if missing else []
        said += [f"it has {', '.join(map(repr, extra[:5]))}, which was not expected"] if extra else []
        return f"The file's columns are not those that were confirmed: {'; '.join(said)}. Inspect the file again."
    return "The file's columns are in another order than confirmed. Inspect the file again."


def _shown(cell: object) -> str:
    return "" if cell is None else str(cell)


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
