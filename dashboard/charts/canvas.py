"""What every figure starts from: the one template at a height, and names made harmless for it."""

from __future__ import annotations

import html

import plotly.graph_objects as go

from dashboard.theme import Colours, template

LONGEST_LABEL = 24


def blank(*, height: int, colours: Colours) -> go.Figure:
    """An empty figure in the one template."""
    drawn = go.Figure()
    drawn.update_layout(template=template(colours), height=height)
    # Off the axes, so that the two zeros at the origin do not print over each other.
    drawn.update_xaxes(ticklabelstandoff=4)
    drawn.update_yaxes(ticklabelstandoff=4)
    return drawn


def literal(text: object) -> str:
    """Show a name letter by letter: plotly reads tags such as ``<b>`` and ``<a href>`` in any text it draws."""
    return html.escape(" ".join(str(text).split()), quote=False)


def short(text: object, length: int = LONGEST_LABEL) -> str:
    """A name cut to fit beside an axis, literally."""
    joined = " ".join(str(text).split())
    return literal(joined if len(joined) <= length else joined[: length - 1] + "…")


def halfway(first: str, second: str) -> str:
    """The colour between two, in hexadecimal."""
    pairs = zip(*(bytes.fromhex(colour.removeprefix("#")) for colour in (first, second)), strict=True)
    return "#" + bytes((one + other) // 2 for one, other in pairs).hex()


def name_rows(drawn: go.Figure, labels: list[str]) -> None:
    """Label the rows of a horizontal chart by position.

    As categories, "2012-06" would be read as a date, "1" as a number, and two equal names would fall together.
    """
    drawn.update_yaxes(
        tickmode="array",
        tickvals=list(range(len(labels))),
        ticktext=[short(label) for label in labels],
        range=[-0.6, len(labels) - 0.4],
        showgrid=False,
        zeroline=False,
        title=None,
    )
