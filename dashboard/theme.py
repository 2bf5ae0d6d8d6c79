"""How things look and read: colour roles, the one plotly template, number and time formats, and `plain`.

The theme file beside it (``.streamlit/config.toml``) holds the colours Streamlit itself uses. A colour never speaks
alone: each role comes with an icon and is shown with a word.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

import streamlit as st

if TYPE_CHECKING:
    import plotly.graph_objects as go

MISSING = "–"
PERSONS = frozenset({"Brier", "Cohen's", "Matthews"})

Role = Literal["champion", "candidate", "reference", "attention", "harm", "healthy", "done", "running", "neutral"]


@dataclass(frozen=True)
class RoleLook:
    """How one colour role appears as a badge: Streamlit's colour name, an icon, a mark for table cells."""

    color: Literal["red", "orange", "green", "gray", "primary"]
    icon: str
    mark: str


ROLES: dict[Role, RoleLook] = {
    "champion": RoleLook("gray", ":material/verified:", "◆"),
    "candidate": RoleLook("primary", ":material/change_history:", "△"),
    "reference": RoleLook("gray", ":material/horizontal_rule:", "–"),
    "attention": RoleLook("orange", ":material/error:", "▲"),
    "harm": RoleLook("red", ":material/dangerous:", "✕"),
    "healthy": RoleLook("gray", ":material/check_circle:", "✓"),
    "done": RoleLook("green", ":material/check:", "✓"),
    "running": RoleLook("gray", ":material/progress_activity:", "…"),
    "neutral": RoleLook("gray", ":material/circle:", "○"),
}


@dataclass(frozen=True)
class Colours:
    """The colours a figure draws with, one set for light and one for dark.

    Parameters
    ----------
    champion, candidate, reference, attention, harm : str
        The roles, in hexadecimal.
    text, muted, grid, background, fill : str
        Text, secondary text, hairlines, the page, a neutral area.
    categorical : tuple of str
        For unordered groups; holds no red and no orange.
    sequential : tuple of str
        From neutral grey to one orange, monotonic in luminance.
    """

    champion: str
    candidate: str
    reference: str
    attention: str
    harm: str
    text: str
    muted: str
    grid: str
    background: str
    fill: str
    categorical: tuple[str, ...]
    sequential: tuple[str, ...]


LIGHT = Colours(
    champion="#475569",
    candidate="#0F766E",
    reference="#94A3B8",
    attention="#B45309",
    harm="#DC2626",
    text="#17212B",
    muted="#55636F",
    grid="#DFE5EA",
    background="#FFFFFF",
    fill="#E3E8ED",
    categorical=("#0F766E", "#2563EB", "#7E22CE", "#64748B", "#0E7490", "#4D7C0F", "#BE185D", "#3F3F46"),
    sequential=(
        "#F1F4F6", "#E7E3DF", "#E0D2C5", "#DAC1AA", "#D5AF8E", "#D09D71", "#CA8A54", "#C47738", "#BD651F", "#B45309",
    ),
)  # fmt: skip
DARK = Colours(
    champion="#CBD5E1",
    candidate="#2DD4BF",
    reference="#64748B",
    attention="#FBBF24",
    harm="#F87171",
    text="#E6EDF3",
    muted="#9DABB9",
    grid="#2A3642",
    background="#0E141A",
    fill="#27323D",
    categorical=("#2DD4BF", "#60A5FA", "#C084FC", "#94A3B8", "#22D3EE", "#A3E635", "#F472B6", "#D4D4D8"),
    sequential=(
        "#1B252F", "#2B2C2D", "#3D342B", "#503D29", "#644627", "#7A5025", "#915A22", "#A9651F", "#C2711A", "#DC7D12",
    ),
)  # fmt: skip


def colours() -> Colours:
    """The set for how the reader's browser shows the page now."""
    return DARK if st.context.theme.type == "dark" else LIGHT


def template(palette: Colours) -> go.layout.Template:
    """The one plotly template: no title, no legend box, hairline grid, Inter at 13 px."""
    import plotly.graph_objects as go

    axis = {
        "gridcolor": palette.grid,
        "linecolor": palette.grid,
        "zerolinecolor": palette.muted,
        "zerolinewidth": 1,
        "ticks": "",
        "automargin": True,
        "tickfont": {"color": palette.muted},
        "title": {"font": {"color": palette.muted, "size": 13}, "standoff": 8},
    }
    return go.layout.Template(
        layout={
            "font": {"family": "Inter, sans-serif", "size": 13, "color": palette.text},
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "colorway": palette.categorical,
            "colorscale": {"sequential": _scale(palette.sequential)},
            "margin": {"l": 8, "r": 8, "t": 8, "b": 8},
            "height": 280,
            "showlegend": False,
            "hoverlabel": {"font": {"family": "Inter, sans-serif", "size": 13}},
            "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
            "xaxis": axis,
            "yaxis": axis,
        }
    )


def _scale(colours_: tuple[str, ...]) -> list[list[float | str]]:
    last = len(colours_) - 1
    return [[index / last, colour] for index, colour in enumerate(colours_)]


def number(value: float | int | None, digits: int = 3) -> str:
    """0.927; whole numbers with thousands separators; a missing one is an en dash."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return MISSING
    if isinstance(value, int):
        return f"{value:,}".replace("-", "−")
    if 10_000 <= abs(value) < 1e12:
        return f"{value:,.0f}".replace("-", "−")
    if value != 0 and (abs(value) >= 1e12 or abs(value) < 0.5 * 10**-digits):
        return f"{value:.{digits}g}".replace("-", "−")
    return f"{value:,.{digits}f}".replace("-", "−")


def interval(value: float | None, low: float | None, high: float | None, digits: int = 3) -> str:
    """0.927 [0.921, 0.933]; the value alone where no interval is known."""
    if value is None or low is None or high is None:
        return number(value, digits)
    return f"{number(value, digits)} [{number(low, digits)}, {number(high, digits)}]"


def difference(value: float | None, digits: int = 3) -> str:
    """+0.011, −0.004, 0.000: always that many digits, and no sign where it rounds to zero."""
    if value is None or not math.isfinite(value):
        return MISSING
    rounded = round(float(value), digits)
    return f"{rounded:+,.{digits}f}".replace("-", "−") if rounded else f"{0:.{digits}f}"


def percent(share: float | None, digits: int = 1) -> str:
    """A share of 0.033 is 3.3 %."""
    return MISSING if share is None or not math.isfinite(share) else f"{share * 100:,.{digits}f} %".replace("-", "−")


def pvalue(value: float | None) -> str:
    """Write p = 0.032, or p < 0.001; never p = 0."""
    if value is None or not math.isfinite(value):
        return f"p {MISSING}"
    return "p < 0.001" if value < 0.001 else f"p = {value:.3f}"


def ago(at: datetime | None, now: datetime) -> str:
    """For lists: just now, 6 min ago, 3 h ago, 2 days ago, then the date."""
    if at is None:
        return MISSING
    seconds = (now - at).total_seconds()
    if seconds < 0:
        return stamp(at)
    if seconds < 60:
        return "just now"
    if seconds < 3600:
        return f"{int(seconds // 60)} min ago"
    if seconds < 24 * 3600:
        return f"{int(seconds // 3600)} h ago"
    days = int(seconds // (24 * 3600))
    if days < 30:
        return "1 day ago" if days == 1 else f"{days} days ago"
    return day(at)


def day(at: datetime | None) -> str:
    """12 Mar 2026."""
    return MISSING if at is None else f"{at.astimezone(UTC):%-d %b %Y}"


def stamp(at: datetime | None) -> str:
    """For records: 12 Mar 2026, 14:05 UTC."""
    return MISSING if at is None else f"{at.astimezone(UTC):%-d %b %Y, %H:%M} UTC"


def duration(seconds: float | None) -> str:
    """0.8 s, 42 s, 3 min 5 s, 2 h 10 min, 3 days 4 h, 8 days: what is nothing is left out."""
    if seconds is None:
        return MISSING
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min" + (f" {rest} s" if rest else "")
    if minutes < 48 * 60:
        return f"{minutes // 60} h" + (f" {minutes % 60} min" if minutes % 60 else "")
    days, hours = divmod(round(seconds / 3600), 24)
    if days < 7:
        return f"{days} days" + (f" {hours} h" if hours else "")
    return count(round(seconds / 86_400), "day")


def size(n_bytes: int | None) -> str:
    """12 kB, 3.4 MB: powers of a thousand."""
    if n_bytes is None:
        return MISSING
    value = float(n_bytes)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit in {"B", "kB"} else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"


def short_hash(sha256: str | None) -> str:
    """First eight characters of a hash."""
    return sha256[:8] if sha256 else MISSING


def count(n: int, one: str, many: str | None = None) -> str:
    """Say 1 run, 2 runs, 1,204 runs."""
    return f"{number(n)} {one if n == 1 else many or one + 's'}"


def words(value: str) -> str:
    """A stored code in words, capitalised: changes_requested is "Changes requested"."""
    text = value.replace("_", " ")
    return text[:1].upper() + text[1:]


def inside(title: str) -> str:
    """A title as it stands within a sentence: "accuracy", "log loss"; but "ROC AUC", "F1", "Brier score"."""
    if title.split(" ", 1)[0] in PERSONS or not title[1:2].islower():
        return title
    return title[:1].lower() + title[1:]


def mark(word: str, role: Role) -> str:
    """A status for a table cell: the role's mark and the word."""
    return f"{ROLES[role].mark} {word}"


# Streamlit replaces icons, emoji, arrows and bare addresses in text that is already unescaped, so a backslash alone
# does not stop it: an invisible word joiner between the characters does.
_JOINER = "\u2060"
_REPLACED_AFTER_PARSING = re.compile(r":(?=[\w+/-])|@(?=\w)|(?<=[wW]{3})(?=\.)|[-<=>~](?=[-<=>])")
_INLINE = re.compile(r"([\\`*_\[\]<>$~&|])")
_LINE_START = re.compile(r"^(\d*)([-+#.)])")
_SPACE = re.compile(r"\s+")


def plain(text: object) -> str:
    """Escape whatever a person typed so that markdown shows it letter by letter.

    Every place that takes markdown (labels, titles, badges, toasts, tooltips) gets names through this one function;
    cells of tables and `streamlit.text` need none. Line breaks become spaces.
    """
    joined = _REPLACED_AFTER_PARSING.sub(lambda found: found.group() + _JOINER, _SPACE.sub(" ", str(text)).strip())
    return _LINE_START.sub(r"\1\\\2", _INLINE.sub(r"\\\1", joined))
