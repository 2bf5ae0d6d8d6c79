"""Whatever is written as CSV or Parquet is read back cell by cell; content is known whatever file it came in."""

from __future__ import annotations

import csv
import io
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from core.datasets.content import align, append, content_hash
from core.datasets.exporting import to_csv
from core.datasets.ingest import inspect, read_exactly
from core.datasets.options import ColumnOption, ParseOptions
from core.datasets.rowhash import row_hashes
from core.datasets.tables import ColumnKind
from core.errors import SchemaMismatch

CELLS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
TABLES = st.integers(1, 4).flatmap(lambda width: st.lists(st.lists(CELLS, min_size=width, max_size=width), min_size=1))


def as_text(path: Path, rows: list[list[str]], delimiter: str, encoding: str) -> list[list[str | None]]:
    names = [f"c{i}" for i in range(len(rows[0]))]
    inspection = inspect(
        path,
        file_name="file.csv",
        overrides={
            "delimiter": delimiter,
            "encoding": encoding,
            "has_header": True,
            "trim": False,
            "missing_tokens": [""],
            "columns": {name: {"kind": "text"} for name in names},
        },
    )
    table = read_exactly(path, inspection.options)
    return [list(row.values()) for row in table.to_pylist()]


@settings(deadline=None, max_examples=20)
@given(rows=TABLES, delimiter=st.sampled_from([",", ";", "\t", "|"]), quote_all=st.booleans(), utf16=st.booleans())
def test_written_csv_reads_back_cell_by_cell(
    rows: list[list[str]], delimiter: str, quote_all: bool, utf16: bool
) -> None:
    sink = io.StringIO()
    quoting = csv.QUOTE_ALL if quote_all else csv.QUOTE_MINIMAL
    writer = csv.writer(sink, delimiter=delimiter, quoting=quoting)
    writer.writerow([f"c{i}" for i in range(len(rows[0]))])
    writer.writerows(rows)
    encoding = "utf-16-le" if utf16 else "utf-8"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file.csv"
        path.write_bytes(sink.getvalue().encode(encoding))
        assert as_text(path, rows, delimiter, encoding) == [[cell or None for cell in row] for row in rows]


NUMBERS = st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False))
WHOLE = st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1))


@settings(deadline=None, max_examples=20)
@given(numbers=st.lists(st.tuples(NUMBERS, WHOLE), min_size=1))
def test_numbers_come_back_to_the_last_bit(numbers: list[tuple[float | None, int | None]]) -> None:
    lines = ["n,w,x", *(f"{'' if n is None else repr(n)},{'' if w is None else w},word" for n, w in numbers)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file.csv"
        path.write_text("\n".join(lines))
        options = inspect(path, file_name="file.csv").options
        wanted = {"n": {"kind": "number"}, "w": {"kind": "integer"}}
        table = read_exactly(path, inspect(path, file_name="file.csv", overrides={"columns": wanted}).options)
        inferred = {column.name: column.kind for column in options.columns}
    assert [(row["n"], row["w"]) for row in table.to_pylist()] == numbers
    if any(n is not None for n, _ in numbers):
        assert inferred["n"] in (ColumnKind.NUMBER, ColumnKind.INTEGER)


@settings(deadline=None, max_examples=15)
@given(st.lists(st.lists(st.text('ab,"\n 1', max_size=4), min_size=2, max_size=2), min_size=1, max_size=6))
@example([["", ",1"]])
def test_inferring_never_loses_a_row_or_a_cell(rows: list[list[str]]) -> None:
    sink = io.StringIO()
    writer = csv.writer(sink, lineterminator="\n")
    writer.writerow(["name", "other"])
    writer.writerows(rows)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file.csv"
        path.write_bytes(sink.getvalue().encode())
        inspection = inspect(path, file_name="file.csv", overrides={"has_header": True, "delimiter": ","})
        table = read_exactly(path, inspection.options)
    assert table.num_rows == len(rows)
    for read, written in zip(table.to_pylist(), rows, strict=True):
        for value, cell in zip(read.values(), written, strict=True):
            if isinstance(value, float):  # read with a decimal comma, which the inspection says
                assert value == float(cell.replace(",", "."))
            else:
                assert str(value or "").strip() in (cell.strip(), str(int(cell)) if cell.strip().isdigit() else "")


KINDS = [("a", ColumnKind.INTEGER), ("b", ColumnKind.CATEGORY)]
TABLE = pa.table({"a": pa.array([1, None, 3]), "b": pa.array(["x", "y", None])})


def test_content_is_the_same_whatever_file_and_chunks_it_came_in(tmp_path: Path) -> None:
    (tmp_path / "one.csv").write_bytes(b"a,b\n1,x\n,y\n3,NA\n")
    (tmp_path / "two.csv").write_bytes('\ufeffa;b\r\n1;"x"\r\n;y\r\n3;\r\n'.encode("utf-16-le"))
    pq.write_table(TABLE, tmp_path / "three.parquet", compression="gzip", row_group_size=1)
    found = set()
    for path in sorted(tmp_path.iterdir()):
        options = inspect(path, file_name=path.name).options
        found.add(content_hash(read_exactly(path, options), [(one.name, one.kind) for one in options.columns]))
    assert found == {content_hash(pa.concat_tables([TABLE[:1], TABLE[1:]]), KINDS)}


@pytest.mark.parametrize(
    ("table", "kinds"),
    [
        (TABLE.slice(0, 2), KINDS),
        (TABLE.take([1, 0, 2]), KINDS),
        (TABLE.select(["b", "a"]), KINDS[::-1]),
        (TABLE.rename_columns(["a", "c"]), [KINDS[0], ("c", ColumnKind.CATEGORY)]),
        (TABLE, [KINDS[0], ("b", ColumnKind.TEXT)]),
        (TABLE.set_column(1, "b", pa.array(["x", "y", ""])), KINDS),
        (TABLE.set_column(1, "b", pa.array(["xy", "", None])), KINDS),
        (TABLE.set_column(0, "a", pa.array([1, 0, 3])), KINDS),
        (TABLE.set_column(0, "a", pa.array([1.0, None, 3.0])), [("a", ColumnKind.NUMBER), KINDS[1]]),
    ],
    ids=["fewer rows", "other order", "column order", "name", "kind", "empty text", "moved text", "zero", "floats"],
)
def test_any_difference_is_another_content(table: pa.Table, kinds: list[tuple[str, ColumnKind]]) -> None:
    assert content_hash(table, kinds) != content_hash(TABLE, KINDS)


def test_a_row_is_known_by_its_values_across_column_order_and_kind_of_number() -> None:
    floats = TABLE.set_column(0, "a", TABLE["a"].cast(pa.float64())).select(["b", "a"])
    assert row_hashes(TABLE, ["a", "b"]).tolist() == row_hashes(floats, ["a", "b"]).tolist()
    swapped = pa.table({"a": pa.array(["x"]), "b": pa.array(["y"])})
    other = pa.table({"a": pa.array(["y"]), "b": pa.array(["x"])})
    assert row_hashes(swapped, ["a", "b"])[0] != row_hashes(other, ["a", "b"])[0]
    assert len(set(row_hashes(pa.table({"a": pa.array([None, 0, 1, -1])}), ["a"]).tolist())) == 4


def test_a_later_file_takes_the_earlier_kinds_only_where_nothing_is_lost() -> None:
    month = pa.table({"amount": [1, 2], "code": [7, 8], "late": pa.array([None, None], pa.string()), "big": [2**60, 1]})
    kinds = [
        ("amount", ColumnKind.INTEGER),
        ("code", ColumnKind.INTEGER),
        ("late", ColumnKind.TEXT),
        ("big", ColumnKind.INTEGER),
    ]
    parent = [
        ("amount", ColumnKind.NUMBER),
        ("code", ColumnKind.CATEGORY),
        ("late", ColumnKind.DATE),
        ("big", ColumnKind.NUMBER),
    ]
    table, aligned, changed = align(month, kinds, parent)
    assert changed == ["amount", "code", "late"]
    assert aligned == [*parent[:3], kinds[3]]
    assert table["amount"].to_pylist() == [1.0, 2.0]
    assert table["code"].to_pylist() == ["7", "8"]


def test_adding_rows_of_another_schema_is_refused_with_every_difference() -> None:
    rows = pa.table({"a": ["x"], "c": [1]})
    with pytest.raises(SchemaMismatch) as refusal:
        append(TABLE, KINDS, rows, [("a", ColumnKind.CATEGORY), ("c", ColumnKind.INTEGER)])
    for words in ("lacks 'b'", "has 'c'", "'a' is category and was integer"):
        assert words in str(refusal.value)


def test_options_survive_being_stored() -> None:
    options = ParseOptions(
        delimiter=";",
        decimal=",",
        thousands=".",
        missing_tokens=("", "-"),
        columns=(
            ColumnOption("d", "D", ColumnKind.DATE, date_format="%d/%m/%y"),
            ColumnOption("e", "", ColumnKind.TEXT),
        ),
    )
    assert ParseOptions.from_json(options.to_json()) == options


def test_exported_csv_holds_no_formula() -> None:
    table = pa.table({"=a": ["=1+1", "@x", "-2", "plain", None, "\n=1"], "n": [-1, 2, 3, 4, 5, 6]})
    rows = list(csv.reader(io.StringIO(to_csv(table).decode(), newline="")))
    assert rows[0] == ["'=a", "n"]
    assert [row[0] for row in rows[1:]] == ["'=1+1", "'@x", "'-2", "plain", "", "'\n=1"]
    assert [row[1] for row in rows[1:]] == ["-1", "2", "3", "4", "5", "6"]
