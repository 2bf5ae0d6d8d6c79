"""What every figure starts from: the one template at a height, and names made harmless for it."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import plotly.graph_objects as go

from dashboard.theme import Colours, template

LONGEST_LABEL = 24
PERCENT: Mapping[str, Any] = {"ticksuffix": " %"}
"""An axis of `percents`: plotly's own format for shares leaves out the space that stands everywhere else."""
# So that the two zeros at the origin do not print over each other.
_OFF_THE_AXIS = {"ticklabelstandoff": 4}


def blank(*, height: int, colours: Colours) -> go.Figure:
    """An empty figure in the one template."""
    drawn = go.Figure()
    drawn.update_layout(template=template(colours), height=height)
    drawn.update_xaxes(**_OFF_THE_AXIS)
    drawn.update_yaxes(**_OFF_THE_AXIS)
    return drawn


def whole(
    traces: Sequence[Mapping[str, Any]],
    *,
    height: int,
    colours: Colours,
    x: Mapping[str, Any],
    y: Mapping[str, Any],
    **layout: Any,
) -> go.Figure:
    """A figure in the one template, made in one go from plain values that plotly does not check.

    It costs a tenth of adding part after part, each of which plotly checks and copies with all that came before. What
    is drawn this way is checked by the tests instead.

    Parameters
    ----------
    traces : sequence of mapping
        As plotly.js takes them, each with its ``type``.
    x, y : mapping
        The axes.
    **layout
        The rest of the layout.
    """
    drawn = _Sent(
        data=[{"type": trace["type"]} for trace in traces],
        layout={
            "template": _template(colours),
            "height": height,
            "xaxis": {**_OFF_THE_AXIS, **x},
            "yaxis": {**_OFF_THE_AXIS, **y},
            **layout,
        },
        _validate=False,
    )
    for kept, trace in zip(drawn._data, traces, strict=True):
        kept.update(trace)
    return drawn


class _Sent(go.Figure):  # type: ignore[misc]
    """A figure of plain values, which are sent as they were given: plotly would copy each of thousands twice."""

    def to_dict(self) -> dict[str, Any]:
        """What plotly.js draws."""
        return {"data": self._data, "layout": self._layout}


@lru_cache(maxsize=4)
def _template(colours: Colours) -> dict[str, Any]:
    return dict(template(colours).to_plotly_json())


def percents(shares: Iterable[float | None]) -> list[float | None]:
    """Shares of one as percent, for an axis that is `PERCENT`; a hover says them as "%{y:.1f} %"."""
    return [None if share is None else 100 * share for share in shares]


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
    drawn.update_yaxes(**named_rows(labels), title=None)


def named_rows(labels: Sequence[str]) -> dict[str, Any]:
    """The upright axis that `name_rows` gives a chart."""
    return {
        "tickmode": "array",
        "tickvals": list(range(len(labels))),
        "ticktext": [short(label) for label in labels],
        "range": [-0.6, len(labels) - 0.4],
        "showgrid": False,
        "zeroline": False,
    }
