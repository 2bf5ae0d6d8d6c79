"""The rows and cells of delimited text, counted byte by byte: nothing is guessed and no row is dropped unsaid.

A record ends at a line end outside quotes; a quote opens a cell only at its beginning and closes it only at its end; a
doubled quote inside stands for one. Lines are counted from 1 as an editor shows them, so a record that spans lines is
named by its first. Works on numpy arrays of one block at a time, some 100 MB a second.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.datasets.options import DELIMITERS
from core.errors import UnreadableFile

LINE_FEED, CARRIAGE_RETURN = 10, 13


@dataclass(frozen=True)
class Records:
    """The records that end in one block.

    Parameters
    ----------
    found : ndarray of uint8
        The block's bytes.
    ends : ndarray of shape (n,)
        Position in ``found`` of the line feed that ends each.
    returned : ndarray of bool, shape (n,)
        Whether a carriage return stands before that line feed.
    lines : ndarray of shape (n,)
        Line each record begins on.
    cells : ndarray of shape (n,)
        Cells in each; 0 for a blank line.
    """

    found: NDArray[np.uint8]
    ends: NDArray[np.int64]
    returned: NDArray[np.bool_]
    lines: NDArray[np.int64]
    cells: NDArray[np.int64]


@dataclass(frozen=True)
class Structure:
    """What a whole file is made of.

    Parameters
    ----------
    n_records : int
        Blank lines left out, the header counted.
    n_cells : int
        Cells in each record.
    n_blank : int
        Blank lines.
    plain : bool
        Whether every line ends in a line feed alone and none is blank.
    """

    n_records: int
    n_cells: int
    n_blank: int
    plain: bool


def records(blocks: Iterable[bytes], delimiter: str, quote: str) -> Iterator[Records]:
    """Walk a file's records, block by block.

    Parameters
    ----------
    blocks : iterable of bytes
        UTF-8 text, cut anywhere.

    Raises
    ------
    UnreadableFile
        A quote or a carriage return in the wrong place, or a quote that is never closed.
    """
    line, begun, inside, cells = 1, 1, 0, 0
    for block in _whole_lines(blocks):
        found = np.frombuffer(block, dtype=np.uint8)
        feeds = np.flatnonzero(found == LINE_FEED)
        marks = np.flatnonzero(found == ord(delimiter))
        ends = feeds
        if (quote and quote.encode() in block) or inside:
            ends, marks, inside_after = _outside_quotes(found, feeds, marks, ord(delimiter), ord(quote), inside, line)
        else:
            inside_after = inside
        starts = np.concatenate((np.zeros(min(1, len(ends)), np.int64), ends[:-1] + 1))
        returned = (found[np.maximum(ends - 1, 0)] == CARRIAGE_RETURN) & (ends > starts)
        _refuse_lone_returns(found, feeds, ends[returned] - 1, quote, inside, line)
        counts = np.diff(np.searchsorted(marks, ends), prepend=0)
        if len(ends) == 0:
            cells += len(marks)
            yield Records(found, ends, returned, ends, ends)
        else:
            blank = (ends - starts - returned == 0) & (counts == 0)
            blank[0] &= begun == line
            counts[0] += cells
            end_lines = line + np.searchsorted(feeds, ends)
            lines = np.concatenate(([begun], end_lines[:-1] + 1))
            yield Records(found, ends, returned, lines, np.where(blank, 0, counts + 1))
            cells, begun = len(marks) - int(np.searchsorted(marks, ends[-1])), int(end_lines[-1]) + 1
        line += len(feeds)
        inside = inside_after
    if inside:
        raise UnreadableFile(
            f"a cell opens with {quote} here and is never closed. Close it, or choose that quotes are plain text.",
            line=begun,
        )


def _outside_quotes(
    found: NDArray[np.uint8],
    feeds: NDArray[np.int64],
    marks: NDArray[np.int64],
    delimiter: int,
    quote: int,
    inside: int,
    line: int,
) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
    quotes = np.flatnonzero(found == quote)
    opening = (np.arange(len(quotes)) + inside) % 2 == 0
    before = np.where(quotes == 0, LINE_FEED, found[np.maximum(quotes - 1, 0)])
    after = found[np.minimum(quotes + 1, len(found) - 1)]
    # A quote right before or after another one is the doubled quote that stands for one.
    bad_open = opening & ~np.isin(before, [LINE_FEED, delimiter, quote])
    bad_close = ~opening & ~np.isin(after, [LINE_FEED, CARRIAGE_RETURN, delimiter, quote])
    bad = np.flatnonzero(bad_open | bad_close)
    if len(bad):
        at = line + int(np.searchsorted(feeds, quotes[bad[0]]))
        what = "stands inside a cell that does not begin with one" if bad_open[bad[0]] else "is followed by more text"
        raise UnreadableFile(
            f"a {chr(quote)} {what}; a quoted cell is quoted whole, and a quote inside it is doubled. "
            "Correct the line, or choose that quotes are plain text.",
            line=at,
        )

    def free(positions: NDArray[np.int64]) -> NDArray[np.int64]:
        outside: NDArray[np.int64] = positions[(np.searchsorted(quotes, positions) + inside) % 2 == 0]
        return outside

    return free(feeds), free(marks), (inside + len(quotes)) % 2


def _refuse_lone_returns(
    found: NDArray[np.uint8],
    feeds: NDArray[np.int64],
    paired: NDArray[np.int64],
    quote: str,
    inside: int,
    line: int,
) -> None:
    lone = np.setdiff1d(np.flatnonzero(found == CARRIAGE_RETURN), paired, assume_unique=True)
    if len(lone) and quote:
        quotes = np.flatnonzero(found == ord(quote))
        lone = lone[(np.searchsorted(quotes, lone) + inside) % 2 == 0]
    if len(lone):
        raise UnreadableFile(
            "a carriage return in the middle of a line, outside quotes. Quote the cell that holds it, or save the file "
            "with one kind of line end.",
            line=line + int(np.searchsorted(feeds, lone[0])),
        )


def normalised(blocks: Iterable[bytes], delimiter: str, quote: str) -> Iterator[bytes]:
    """The same records, each ended by a line feed alone, without blank lines; quoted cells are untouched."""
    for part in records(blocks, delimiter, quote):
        keep = np.ones(len(part.found), dtype=np.bool_)
        keep[part.ends[part.returned] - 1] = False
        keep[part.ends[part.cells == 0]] = False
        yield part.found[keep].tobytes()


def _whole_lines(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Cut after line feeds, so that each byte's neighbours are in its block; the last line gets one if it has none."""
    pending: list[bytes] = []
    for block in blocks:
        cut = block.rfind(b"\n") + 1
        if cut:
            yield b"".join([*pending, block[:cut]])
            pending = [block[cut:]] if cut < len(block) else []
        else:
            pending.append(block)
    if tail := b"".join(pending):
        yield tail + b"\n"


def check(blocks: Iterable[bytes], delimiter: str, quote: str) -> Structure:
    """Walk the whole file and refuse it unless each record has as many cells as the first.

    Raises
    ------
    UnreadableFile
        Names the line, how many cells it has and how many were expected.
    """
    expected, n_records, n_blank, returned = 0, 0, 0, 0
    for part in records(blocks, delimiter, quote):
        full = part.cells > 0
        if expected == 0 and full.any():
            expected = int(part.cells[full][0])
        wrong = np.flatnonzero(full & (part.cells != expected))
        if len(wrong):
            got, line = int(part.cells[wrong[0]]), int(part.lines[wrong[0]])
            raise UnreadableFile(
                f"{got:,} cell{'s' if got > 1 else ''}, but the first row has {expected:,}. "
                f"{'Cells are missing' if got < expected else 'There are too many'}: quote a cell that holds "
                f"the delimiter {_shown(delimiter)}, correct the line, or choose another delimiter.",
                line=line,
            )
        n_records += int(full.sum())
        n_blank += int((~full).sum())
        returned += int(part.returned.sum())
    return Structure(n_records, expected, n_blank, plain=returned == 0 and n_blank == 0)


def line_of(blocks: Iterable[bytes], delimiter: str, quote: str, record: int) -> int:
    """Line the given record (0 is the first, blank lines left out) begins on."""
    seen = 0
    for part in records(blocks, delimiter, quote):
        lines = part.lines[part.cells > 0]
        if record < seen + len(lines):
            return int(lines[record - seen])
        seen += len(lines)
    raise IndexError(record)


def infer_delimiter(sample: bytes, quote: str) -> tuple[str, bool]:
    """Choose the delimiter that cuts every sampled record into the same number of cells, more than one.

    Parameters
    ----------
    sample : bytes
        The first lines of the file, cut after a line feed unless it is the whole.

    Returns
    -------
    delimiter : str
        Where several fit: tab before ``;`` before ``|`` before ``,``, for a comma is also a decimal mark. Where none
        does, the one most records agree on.
    certain : bool
        Whether it fits every record.
    """
    best, agreeing = ",", 0.0
    for delimiter in sorted(DELIMITERS, key="\t;|,".index):
        parts: list[NDArray[np.int64]] = []
        # The sample may end inside a quoted cell; a quote in the wrong place is reported with its line later.
        with suppress(UnreadableFile):
            parts.extend(part.cells for part in records([sample], delimiter, quote))
        counts = np.concatenate([np.empty(0, np.int64), *parts])
        counts = counts[counts > 0]
        if len(counts) == 0 or counts.max() == 1:
            continue
        if counts.min() == counts.max():
            return delimiter, True
        share = float((counts == counts[0]).mean()) if counts[0] > 1 else 0.0
        if share > agreeing:
            best, agreeing = delimiter, share
    return best, agreeing == 0.0


def _shown(delimiter: str) -> str:
    return "(a tab)" if delimiter == "\t" else repr(delimiter)
