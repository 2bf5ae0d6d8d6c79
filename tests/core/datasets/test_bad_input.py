"""Every kind of bad file gives the right cells or a refusal that says what to do; a refusal leaves nothing behind."""

from __future__ import annotations

import bz2
import gzip
import io
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqlmodel import select

from core.datasets.ingest import inspect, read_exactly
from core.datasets.tables import Dataset, DatasetVersion, Intake, Split, VersionState
from core.errors import InvalidInput, UnreadableFile
from core.workspace import Workspace


@dataclass(frozen=True)
class Good:
    """A file, the cells it must give by column, and words a note must hold."""

    content: bytes
    cells: dict[str, list[Any]]
    notes: tuple[str, ...] = ()
    kinds: dict[str, str] = field(default_factory=dict)
    overrides: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Bad:
    """A file, the line of the refusal (None: about the whole file), and words it must hold."""

    content: bytes
    line: int | None
    words: tuple[str, ...]
    overrides: dict[str, Any] = field(default_factory=dict)


def parquet(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="none")
    return sink.getvalue()


def zipped(content: bytes) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("data.csv", content)
    return sink.getvalue()


def flipped(content: bytes, old: bytes, new: bytes) -> bytes:
    assert old in content
    return content.replace(old, new)


INTEGERS = pa.table({"a": pa.array(range(1000), pa.int64())})

GOOD = {
    "plain": Good(b"a,b\n1,x\n2,y\n", {"a": [1, 2], "b": ["x", "y"]}, kinds={"a": "integer", "b": "category"}),
    "no line end at the end": Good(b"a,b\n1,x", {"a": [1], "b": ["x"]}),
    "windows line ends": Good(b"a,b\r\n1,x\r\n2,y\r\n", {"a": [1, 2], "b": ["x", "y"]}),
    "old mac line ends": Good(b"a,b\r1,x\r2,y\r", {"a": [1, 2], "b": ["x", "y"]}),
    "line ends mixed": Good(
        b'a,b\r\n1,"x\r\ny"\n\r\n2,"z\r"\r\n', {"a": [1, 2], "b": ["x\r\ny", "z\r"]}, overrides={"trim": False}
    ),
    "quoted delimiter, quote and line end": Good(b'a,b\n1,"x, ""y""\nz"\n', {"a": [1], "b": ['x, "y"\nz']}),
    "utf-8 mark": Good(b"\xef\xbb\xbfa,b\n1,x\n", {"a": [1], "b": ["x"]}, ("byte order mark",)),
    "utf-16 with mark": Good("\ufeffa,b\n1,é\n".encode("utf-16-le"), {"a": [1], "b": ["é"]}, ("UTF-16",)),
    "utf-16 big endian": Good(b"\xfe\xff" + "a,b\n1,é\n".encode("utf-16-be"), {"a": [1], "b": ["é"]}, ("UTF-16",)),
    "utf-16 without mark": Good("a,b\n1,x\n".encode("utf-16-le"), {"a": [1], "b": ["x"]}, ("UTF-16", "preview")),
    "latin-1": Good("a,b\n1,Zürich\n".encode("latin-1"), {"b": ["Zürich"]}, ("Line 2", "Latin-1", "inference")),
    "windows-1252": Good("a,b\n1,5 €\n".encode("cp1252"), {"b": ["5 €"]}, ("Windows-1252",)),
    "semicolons": Good(b"a;b\n1;x\n", {"a": [1], "b": ["x"]}, ("';'",)),
    "tabs": Good(b"a\tb\n1\tx, y\n", {"a": [1], "b": ["x, y"]}, ("a tab",)),
    "bars": Good(b"a|b\n1|x\n", {"a": [1], "b": ["x"]}, ("'|'",)),
    "decimal commas": Good(b"a;b\n1,5;x\n2,25;y\n", {"a": [1.5, 2.25]}, ("decimal comma",), {"a": "number"}),
    "decimal commas and thousands": Good(b"a;b\n1.234,5;x\n12,0;y\n", {"a": [1234.5, 12.0]}, ("'.'",)),
    "thousands": Good(b'a,b\n"1,234,567",x\n12,y\n', {"a": [1234567, 12]}, ("','",), {"a": "integer"}),
    "thousands or decimals is said": Good(b'a,b\n"1,234",x\n', {"a": [1234]}, ("could be", "thousands mark")),
    "thousands or decimals under semicolons": Good(b"a;b\n1,234;x\n", {"a": [1.234]}, ("could be", "decimal mark")),
    "thousands chosen": Good(
        b"a;b\n1.234;x\n", {"a": [1234]}, overrides={"decimal": ",", "thousands": "."}, kinds={"a": "integer"}
    ),
    "one late decimal": Good(b"a\n" + b"1\n" * 5000 + b"1.5\n", {"a": [1.0] * 5000 + [1.5]}, kinds={"a": "number"}),
    "one late word": Good(
        b"a,b\n" + b"1,2\n" * 5000 + b"none,2\n",
        {"a": ["1"] * 5000 + ["none"]},
        ("mostly numbers", "'none'"),
        {"a": "category"},
    ),
    "leading zeros": Good(b"zip,b\n00501,1\n10001,2\n", {"zip": ["00501", "10001"]}, ("leading zeros",)),
    "integers beyond 64 bits": Good(
        b"id,b\n123456789012345678901234567890,1\n", {"id": ["123456789012345678901234567890"]}, ("more than",)
    ),
    "an integer a float would round": Good(
        b"a,b\n9007199254740993,1\n1.5,2\n", {"a": ["9007199254740993", "1.5"]}, ("9007199254740993",)
    ),
    "the same integer alone": Good(b"a,b\n9007199254740993,1\n", {"a": [9007199254740993]}),
    "floats with all their digits": Good(
        b"a,b\n0.1,1\n0.30000000000000004,2\n1e-3,3\n", {"a": [0.1, 0.1 + 0.2, 0.001]}, kinds={"a": "number"}
    ),
    "day first is clear": Good(
        b"d,b\n01/02/2020,1\n13/02/2020,2\n", {"d": [date(2020, 2, 1), date(2020, 2, 13)]}, ("%d/%m/%Y",)
    ),
    "month first is clear": Good(b"d,b\n1/2/11,1\n1/13/11,2\n", {"d": [date(2011, 1, 2), date(2011, 1, 13)]}),
    "day or month is said": Good(b"d,b\n01/02/2020,1\n", {"d": [date(2020, 1, 2)]}, ("day or month", "month first")),
    "day or month with points": Good(b"d,b\n01.02.2020,1\n", {"d": [date(2020, 2, 1)]}, ("read day first",)),
    "day first chosen": Good(
        b"d,b\n01/02/2020,1\n",
        {"d": [date(2020, 2, 1)]},
        overrides={"columns": {"d": {"kind": "date", "date_format": "%d/%m/%Y"}}},
    ),
    "two-digit years": Good(
        b"d,b\n31.12.68,1\n31.12.69,2\n", {"d": [date(2068, 12, 31), date(1969, 12, 31)]}, ("two-digit years",)
    ),
    "a day that does not exist": Good(b"d,b\n2021-02-30,1\n", {"d": ["2021-02-30"]}, kinds={"d": "category"}),
    "timestamps": Good(
        b"t,b\n2020-01-01 12:30:15.25,1\n2020-01-01 00:00:00,2\n",
        {"t": [datetime.fromisoformat("2020-01-01T12:30:15.250"), datetime.fromisoformat("2020-01-01")]},
        kinds={"t": "timestamp"},
    ),
    "missing tokens": Good(
        b"a,b\n1,x\nNA,?\n,null\nN/A,y\nNaN,\n",
        {"a": [1, None, None, None, None], "b": ["x", None, None, "y", None]},
        ("'?' is read as missing: 1 cell in b", "'NA'"),
        {"a": "integer"},
    ),
    "a token that is a value": Good(
        b"country\nNA\nDE\nFR\n", {"country": ["NA", "DE", "FR"]}, overrides={"missing_tokens": ["", "?"]}
    ),
    "padding": Good(
        b"age, workclass \n39, Private\n40, ?\n",
        {"age": [39, 40], "workclass": ["Private", None]},
        ("around column names", "around values"),
    ),
    "padding kept": Good(
        b"a, b\n1, x\n", {"a": ["1"], " b": [" x"]}, overrides={"trim": False, "columns": {"a": {"kind": "text"}}}
    ),
    "a formula": Good(
        b'a,b\n"=HYPERLINK(""http://x"",""y"")",1\n+1+2,2\n', {"a": ['=HYPERLINK("http://x","y")', "+1+2"]}
    ),
    "duplicate names": Good(
        b"a,a,a_2\n1,2,3\n", {"a": [1], "a_3": [2], "a_2": [3]}, ("occurs again", "column 2 is called 'a_3'")
    ),
    "blank first name": Good(b'"",b\n1,2\n', {"column_1": [1], "b": [2]}, ("blank name", "column_1")),
    "no header": Good(b"1,x\n2,y\n", {"column_1": [1, 2], "column_2": ["x", "y"]}, ("there is no header",)),
    "no header, all words": Good(b"x,y\nx,z\n", {"column_1": ["x", "x"], "column_2": ["y", "z"]}, ("repeats",)),
    "a header of numbers chosen": Good(b"2019,2020\n1,2\n", {"2019": [1], "2020": [2]}, overrides={"has_header": True}),
    "blank lines": Good(b"a,b\n1,x\n\n2,y\n\n", {"a": [1, 2]}, ("2 blank lines",)),
    "blank lines in one column": Good(b"a\n1\n\n2\n", {"a": [1, 2]}, ("1 blank line",)),
    "an empty quoted cell in one column": Good(b'a\n1\n""\n', {"a": [1, None]}),
    "a column left out": Good(b"a,b\n1,x\n", {"b": ["x"]}, overrides={"columns": {"a": {"included": False}}}),
    "quotes as text": Good(b'a,b\n5" pipe,1\n', {"a": ['5" pipe']}, overrides={"quote": ""}),
    "truth": Good(b"a,b\ntrue,1\nFALSE,2\n", {"a": [True, False]}, kinds={"a": "boolean"}),
    "parquet": Good(
        parquet(pa.table({"a": [1, None], "b": ["007", "x"], "c": [1.5, float("nan")], "d": [date(2020, 1, 1), None]})),
        {"a": [1, None], "b": ["007", "x"], "c": [1.5, None], "d": [date(2020, 1, 1), None]},
        kinds={"a": "integer", "b": "category", "c": "number", "d": "date"},
    ),
    "parquet with a dictionary": Good(
        parquet(pa.table({"a": pa.array(["x", "y", "x"]).dictionary_encode()})), {"a": ["x", "y", "x"]}
    ),
}

BAD = {
    "empty": Bad(b"", None, ("empty", "0 bytes")),
    "only blank lines": Bad(b"\n\n  \n"[:2], None, ("blank lines",)),
    "header only": Bad(b"a,b\n", None, ("header and no rows",)),
    "a short row": Bad(b"a,b,c\n1,2,3\n4,5\n", 3, ("2 cells", "first row has 3", "missing")),
    "a long row": Bad(b"a,b\n1,2\n3,4,5\n", 3, ("3 cells", "first row has 2", "too many")),
    "a short row after a cell of several lines": Bad(b'a,b\n"x\ny\n",2\n3\n', 5, ("1 cell",)),
    "a long row after a blank line": Bad(b"a,b\n1,2\n\n3,4,5\n", 4, ("3 cells",)),
    "a quote never closed": Bad(b'a,b\n1,2\n"x,4\n5,6\n', 3, ("never closed",)),
    "text after a quote": Bad(b'a,b\n1,"x"y\n', 2, ("followed by more text", "doubled")),
    "a quote inside a cell": Bad(b'a,b\n1,2\n1,x"y\n', 3, ("does not begin with one", "plain text")),
    "a carriage return in a line": Bad(b"a,b\n1,2\n3\r,4\n", 3, ("carriage return",)),
    "nul": Bad(b"a,b\n1,2\n3,\x004\n", 3, ("NUL",)),
    "not the encoding chosen": Bad("a,b\n1,ü\n".encode("latin-1"), 2, ("UTF-8",), {"encoding": "utf-8"}),
    "no windows-1252 either": Bad(b"a,b\n1,\x85\x81\n", 2, ("CP1252",)),
    "a gzip": Bad(gzip.compress(b"a,b\n1,2\n"), None, ("gzip", "Nothing was unpacked")),
    "a bzip2": Bad(bz2.compress(b"a,b\n1,2\n"), None, ("bzip2",)),
    "a zip bomb": Bad(zipped(b"a,b\n" + b"1,2\n" * 1_000_000), None, ("zip archive", "Nothing was unpacked")),
    "10,000 columns": Bad(
        b",".join(b"c%d" % i for i in range(10_000)) + b"\n" + b",".join(b"1" for _ in range(10_000)) + b"\n",
        None,
        ("10,000 columns", "2,000"),
    ),
    "a name of 10,000 characters": Bad(b"a" * 10_000 + b",b\n1,2\n", None, ("10,000 characters", "200")),
    "a late decimal in an integer column": Bad(
        b"a\n" + b"1\n" * 5000 + b"1.5\n", 5002, ("'1.5'", "not an integer"), {"columns": {"a": {"kind": "integer"}}}
    ),
    "a late word in a number column": Bad(
        b"a,b\n1,x\nnone,y\n", 3, ("'none'", "not a number"), {"columns": {"a": {"kind": "number"}}}
    ),
    "leading zeros in an integer column": Bad(
        b"a,b\n1,x\n007,y\n", 3, ("'007'",), {"columns": {"a": {"kind": "integer"}}}
    ),
    "a wrong day in a date column": Bad(
        b"d,b\n2020-01-31,1\n2020-02-30,1\n",
        3,
        ("'2020-02-30'", "%Y-%m-%d"),
        {"columns": {"d": {"kind": "date", "date_format": "%Y-%m-%d"}}},
    ),
    "a wrong cell after a cell of several lines": Bad(
        b'a,b\n1,"x\ny"\nz,y\n', 4, ("'z'",), {"columns": {"a": {"kind": "integer"}}}
    ),
    "two columns of one name": Bad(b"a,b\n1,2\n", None, ("called 'b'",), {"columns": {"a": {"name": "b"}}}),
    "an override for no column": Bad(b"a,b\n1,2\n", None, ("no column 'c'",), {"columns": {"c": {"kind": "text"}}}),
    "a parquet cut short": Bad(parquet(INTEGERS)[:-40], None, ("damaged",)),
    "a parquet without its footer": Bad(b"PAR1" + b"\x00" * 100, None, ("damaged",)),
    "a parquet that calls text what is none": Bad(
        flipped(parquet(pa.table({"a": ["wordword"] * 5})), b"wordword", b"\xff\xfe\xff\xfe\xff\xfe\xff\xfe"),
        None,
        ("not what its own schema says", "UTF8"),
    ),
    "a parquet of bytes": Bad(parquet(pa.table({"a": [b"x"]})), None, ("'a'", "binary", "not read")),
    "a parquet of lists": Bad(parquet(pa.table({"a": [[1], [2]]})), None, ("'a'", "list")),
    "a parquet without rows": Bad(parquet(INTEGERS.slice(0, 0)), None, ("no rows",)),
    "a parquet with infinity": Bad(parquet(pa.table({"a": [1.0, float("inf")]})), None, ("Row 2", "infinite")),
    "a parquet of two columns of one name": Bad(
        parquet(pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"])), None, ("'a'",)
    ),
    "a parquet of 10,000 columns": Bad(
        parquet(pa.table({f"c{i}": pa.array([1]) for i in range(10_000)})), None, ("10,000 columns", "2,000")
    ),
    "a parquet beyond 64 bits": Bad(parquet(pa.table({"a": pa.array([2**63], pa.uint64())})), None, ("exactly",)),
}


@pytest.fixture
def written(tmp_path: Path) -> Callable[[bytes], Path]:
    def write(content: bytes) -> Path:
        path = tmp_path / "upload"
        path.write_bytes(content)
        return path

    return write


@pytest.mark.parametrize("case", GOOD.values(), ids=GOOD.keys())
def test_a_readable_file_gives_its_cells(case: Good, written: Callable[[bytes], Path]) -> None:
    path = written(case.content)
    inspection = inspect(path, file_name="file.csv", overrides=case.overrides)
    table = read_exactly(path, inspection.options)
    assert {name: table[name].to_pylist() for name in case.cells} == case.cells
    assert table.num_rows == inspection.n_rows
    said = "\n".join(inspection.notes)
    for words in case.notes:
        assert words in said
    kinds = {column.name: column.kind.value for column in inspection.options.columns}
    assert {name: kinds[name] for name in case.kinds} == case.kinds


@pytest.mark.parametrize("case", BAD.values(), ids=BAD.keys())
def test_an_unreadable_file_is_refused_with_its_line(case: Bad, written: Callable[[bytes], Path]) -> None:
    path = written(case.content)
    with pytest.raises(InvalidInput) as refusal:
        read_exactly(path, inspect(path, file_name="file.csv", overrides=case.overrides).options)
    for words in case.words:
        assert words in str(refusal.value)
    assert getattr(refusal.value, "line", None) == case.line


@pytest.mark.parametrize("case", BAD.values(), ids=BAD.keys())
def test_a_refusal_stores_nothing(
    case: Bad, written: Callable[[bytes], Path], workspace: Workspace, ask_for: Callable[..., Intake]
) -> None:
    path = written(case.content)
    try:
        options = inspect(path, file_name="file.csv", overrides=case.overrides).options
    except InvalidInput:
        pass  # there is nothing to confirm, so nothing to ask for
    else:
        assert ask_for(case.content, options=options).state == VersionState.REFUSED
    stored = [found for found in workspace.artifacts.folder.rglob("*") if found.is_file()]
    assert [found.read_bytes() for found in stored] in ([], [case.content])  # at most the file as it was handed in
    with workspace.read() as session:
        assert session.exec(select(Dataset)).first() is None
        assert session.exec(select(DatasetVersion)).first() is None
        assert session.exec(select(Split)).first() is None


def test_a_parquet_that_holds_other_rows_than_it_says_is_refused(written: Callable[[bytes], Path]) -> None:
    content = parquet(pa.table({"a": pa.array(["word"] * 3)}))
    refused = 0
    # Every byte of the data pages changed in turn: the file reads as it was written, or not at all.
    for position in range(4, content.index(b"word") + 4):
        damaged = bytearray(content)
        damaged[position] ^= 0xFF
        path = written(bytes(damaged))
        try:
            table = read_exactly(path, inspect(path, file_name="file.parquet").options)
        except UnreadableFile:
            refused += 1
        else:
            assert table.num_rows == 3
    assert refused > 10


def test_a_huge_parquet_is_refused_before_it_is_unpacked(written: Callable[[bytes], Path]) -> None:
    table = pa.table({f"c{i}": pa.array([0], pa.int64()).take(pa.array([0] * 50_000)) for i in range(6)})
    path = written(parquet(table))
    assert path.stat().st_size < 20_000
    with pytest.raises(UnreadableFile, match="the reader may use 2 MiB"):
        inspect(path, file_name="bomb.parquet", memory_limit_mb=2)


@pytest.mark.parametrize("name", ["", "   ", "x" * 10_000])
def test_a_file_name_nobody_could_read_is_refused(name: str, written: Callable[[bytes], Path]) -> None:
    with pytest.raises(InvalidInput, match="Rename the file"):
        inspect(written(b"a\n1\n"), file_name=name)


@pytest.mark.parametrize("name", ["../../etc/passwd", ":red[x]", "![](http://x/y.png)", "<script>", "=HYPERLINK(1)"])
def test_hostile_names_of_files_and_columns_are_kept_literally(name: str, written: Callable[[bytes], Path]) -> None:
    path = written(f'"{name}",b\n{name}x,1\n{name}y,2\n'.encode())
    inspection = inspect(path, file_name=name)
    assert inspection.options.columns[0].name == name
    assert read_exactly(path, inspection.options)[name].to_pylist() == [f"{name}x", f"{name}y"]
