"""What kind of bytes a file holds, and its text as UTF-8.

The kind is told by the bytes, never by the file's name. Text is UTF-8, UTF-16 (told by its byte order mark or by its
zero bytes), or else one byte per character: Windows-1252 where a byte from 0x80 to 0x9F occurs, Latin-1 where none
does. The last two fit any bytes, so they are reported and never taken silently.
"""

from __future__ import annotations

import codecs
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from core.errors import UnreadableFile

BLOCK = 8 << 20
_CONTAINERS: tuple[tuple[bytes, str], ...] = (
    (b"PK\x03\x04", "a zip archive or an Excel workbook"),
    (b"PK\x05\x06", "an empty zip archive"),
    (b"\x1f\x8b", "compressed with gzip"),
    (b"BZh", "compressed with bzip2"),
    (b"\xfd7zXZ\x00", "compressed with xz"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"Rar!", "a rar archive"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook"),
    (b"%PDF", "a PDF document"),
    (b"SQLite format 3\x00", "a SQLite database"),
    (b"ARROW1", "an Arrow or Feather file"),
    (b"\x89HDF", "an HDF5 file"),
)
_BYTE_ORDER_MARKS = {"utf-8": codecs.BOM_UTF8, "utf-16-le": codecs.BOM_UTF16_LE, "utf-16-be": codecs.BOM_UTF16_BE}


@dataclass(frozen=True)
class Encoding:
    """A file's encoding, and whether it is known or only the likeliest.

    Parameters
    ----------
    name : str
        One of `options.ENCODINGS`.
    note : str
        What a person should know; empty for plain UTF-8.
    """

    name: str
    note: str = ""


def is_parquet(path: Path) -> bool:
    """Whether the file begins as Parquet does."""
    with path.open("rb") as file:
        return file.read(4) == b"PAR1"


def refuse_containers(path: Path) -> None:
    """Refuse an empty file and anything that is not plain text, by what it is.

    Raises
    ------
    UnreadableFile
    """
    with path.open("rb") as file:
        head = file.read(16)
    if not head:
        raise UnreadableFile("The file is empty: it has 0 bytes. Export it again.")
    for magic, what in _CONTAINERS:
        if head.startswith(magic):
            raise UnreadableFile(
                f"The file is {what}. Nothing was unpacked; give a CSV text file or an uncompressed Parquet file."
            )


def detect(path: Path) -> Encoding:
    """Tell the encoding from all bytes of the file.

    Raises
    ------
    UnreadableFile
        Bytes that are no text in any encoding read here.
    """
    with path.open("rb") as file:
        head = file.read(4096)
    if head.startswith(codecs.BOM_UTF8):
        return Encoding("utf-8", "The file begins with a UTF-8 byte order mark, which is left out.")
    if head.startswith(codecs.BOM_UTF16_LE):
        return Encoding("utf-16-le", "The file is UTF-16 (little endian), told by its byte order mark.")
    if head.startswith(codecs.BOM_UTF16_BE):
        return Encoding("utf-16-be", "The file is UTF-16 (big endian), told by its byte order mark.")
    even, odd = head[0::2].count(0), head[1::2].count(0)
    if max(even, odd) > 0.4 * max(1, len(head) // 2) and min(even, odd) == 0:
        name = "utf-16-le" if odd > even else "utf-16-be"
        return Encoding(name, f"Every other byte is zero: the file is read as {name.upper()}. Check the preview.")
    line = _first_line_not_utf8(path)
    if line is None:
        return Encoding("utf-8")
    with path.open("rb") as file:
        windows = any(block.translate(None, _NOT_C1) for block in iter(lambda: file.read(BLOCK), b""))
    name, title = ("cp1252", "Windows-1252") if windows else ("latin-1", "Latin-1 (ISO 8859-1)")
    return Encoding(
        name, f"Line {line:,} is not UTF-8: the file is read as {title}, an inference. Check accented letters."
    )


_NOT_C1 = bytes(byte for byte in range(256) if not 0x80 <= byte <= 0x9F)


def _first_line_not_utf8(path: Path) -> int | None:
    decoder, line = codecs.getincrementaldecoder("utf-8")(), 1
    with path.open("rb") as file:
        while True:
            block = file.read(BLOCK)
            pending = decoder.getstate()[0]
            try:
                decoder.decode(block, final=not block)
            except UnicodeDecodeError as error:
                return line + (pending + block)[: error.start].count(b"\n")
            if not block:
                return None
            line += block.count(b"\n")


@contextmanager
def as_utf8(path: Path, encoding: str) -> Iterator[Path]:
    """The file's text as UTF-8 without a byte order mark: the file itself where it is that, else a temporary copy.

    Raises
    ------
    UnreadableFile
        Bytes the encoding does not allow, or a NUL character; names the line.
    """
    with path.open("rb") as file:
        head = file.read(3)
        file.seek(0)
        text = file.read(BLOCK)
        old_mac = b"\r" in text and b"\n" not in text and path.stat().st_size <= BLOCK
    mark = _BYTE_ORDER_MARKS.get(encoding, b"")
    marked = bool(mark) and head.startswith(mark)
    if encoding == "utf-8" and not marked and not old_mac:
        _check_utf8(path)
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="gatehouse-") as folder:
        copy = Path(folder) / "text.csv"
        decoder, line = codecs.getincrementaldecoder(encoding)(), 1
        with path.open("rb") as source, copy.open("wb") as target:
            source.seek(len(mark) if marked else 0)
            while True:
                block = source.read(BLOCK)
                try:
                    piece = decoder.decode(block, final=not block)
                except UnicodeDecodeError as error:
                    raise _undecodable(encoding, line + block[: error.start].count(b"\n")) from error
                if "\0" in piece:
                    raise _nul(line + piece[: piece.index("\0")].count("\n"))
                if old_mac:
                    piece = piece.replace("\r", "\n")
                target.write(piece.encode())
                if not block:
                    break
                line += piece.count("\n")
        yield copy


def _check_utf8(path: Path) -> None:
    line = _first_line_not_utf8(path)
    if line is not None:
        raise _undecodable("utf-8", line)
    line = 1
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            if (at := block.find(b"\0")) >= 0:
                raise _nul(line + block[:at].count(b"\n"))
            line += block.count(b"\n")


def _undecodable(encoding: str, line: int) -> UnreadableFile:
    return UnreadableFile(
        f"bytes that are not {encoding.upper()} text. Choose the encoding it was written in, or save it as UTF-8.",
        line=line,
    )


def _nul(line: int) -> UnreadableFile:
    return UnreadableFile(
        "a NUL character (a zero byte), which no text holds. The file may be damaged, or in another encoding than the "
        "one chosen; export it again as UTF-8.",
        line=line,
    )


def blocks(path: Path) -> Iterator[bytes]:
    """A file's bytes, piece by piece."""
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            yield block
