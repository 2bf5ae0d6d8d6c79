"""Tables as CSV that a spreadsheet opens without running anything."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")


def csv_bytes(header: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    """Write rows as UTF-8 CSV with a byte-order mark; a text that a spreadsheet would compute is led by an apostrophe.

    Numbers are left as they are; None becomes an empty cell.
    """
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow([_safe(title) for title in header])
    writer.writerows([_safe(value) for value in row] for row in rows)
    return text.getvalue().encode("utf-8-sig")


def _safe(value: object) -> object:
    if value is None:
        return ""
    if isinstance(value, bool | int | float):
        return value
    shown = str(value)
    return "'" + shown if shown.startswith(FORMULA_STARTS) else shown
