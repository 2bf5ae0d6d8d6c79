"""PURE: the newest samples in the text format that Prometheus reads.

Every figure is a gauge, ``gatehouse_<key>{process="scoring",subject=""}``; a sample that is older than five minutes is
left out, so that silence reads as absence there too.

References
----------
Prometheus text-based exposition format 0.0.4.
"""

from __future__ import annotations

from collections.abc import Iterable

from core.health.figures import FIGURES
from core.health.queries import Latest

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def exposition(samples: Iterable[Latest]) -> str:
    """One block a figure, in the catalogue's order, each with its help and type."""
    by_key: dict[str, list[Latest]] = {}
    for sample in samples:
        if sample.fresh:
            by_key.setdefault(sample.key, []).append(sample)
    lines = []
    for key, figure in FIGURES.items():
        if key not in by_key:
            continue
        lines += [f"# HELP gatehouse_{key} {_escaped(figure.sentence)}", f"# TYPE gatehouse_{key} gauge"]
        lines += [
            f'gatehouse_{key}{{process="{_label(one.process)}",subject="{_label(one.subject)}"}} {one.value!r}'
            for one in by_key[key]
        ]
    return "\n".join(lines) + "\n" if lines else ""


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n")


def _label(text: str) -> str:
    return _escaped(text).replace('"', '\\"')
