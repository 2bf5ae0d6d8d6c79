"""PURE: every figure of health that is sampled: what it is called, its unit, and how many become one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from core.errors import NotFound
from core.jobs.parts import PARTS

Unit = Literal["ms", "a minute", "rows a second", "bytes", "share", "cores", "seconds", "jobs"]
Group = Literal["latency", "errors", "throughput", "memory", "disk", "queue"]

SAMPLE_SECONDS = 60.0
FIRST_AFTER_SECONDS = 5.0  # a page opened right after the start has something to show


@dataclass(frozen=True)
class Figure:
    """One figure.

    Parameters
    ----------
    key : str
    title : str
        As a chart's axis and a table's row say it.
    unit : str
    group : str
        Which chart it stands in.
    processes : tuple of str
        The parts that measure it, of `core.jobs.parts.PARTS`.
    worst : {"high", "low"} or None
        Which end is bad; None where neither is, as for throughput.
    merged : {"mean", "max"}
        What several samples become when they are drawn or kept as one. A mean would hide a peak of latency.
    sentence : str
        What it means, and how it is measured.
    every_seconds : float
        How often it is sampled.
    """

    key: str
    title: str
    unit: Unit
    group: Group
    processes: tuple[str, ...]
    worst: Literal["high", "low"] | None
    merged: Literal["mean", "max"]
    sentence: str
    every_seconds: float = SAMPLE_SECONDS


EVERY = tuple(PARTS)
SCORING, WORKER = ("scoring",), ("worker",)


def _by_key(figures: Iterable[Figure]) -> dict[str, Figure]:
    return {figure.key: figure for figure in figures}


FIGURES: dict[str, Figure] = _by_key(
    (
        Figure(
            key="latency_p50_ms",
            title="Latency, median",
            unit="ms",
            group="latency",
            processes=SCORING,
            worst="high",
            merged="mean",
            sentence="Half of the answered requests took at most this long, from the whole body being there to the "
            "answer being ready; within 2.5 %.",
        ),
        Figure(
            key="latency_p95_ms",
            title="Latency, 95 of 100",
            unit="ms",
            group="latency",
            processes=SCORING,
            worst="high",
            merged="max",
            sentence="95 of 100 answered requests took at most this long.",
        ),
        Figure(
            key="latency_p99_ms",
            title="Latency, 99 of 100",
            unit="ms",
            group="latency",
            processes=SCORING,
            worst="high",
            merged="max",
            sentence="99 of 100 answered requests took at most this long.",
        ),
        Figure(
            key="requests",
            title="Requests",
            unit="a minute",
            group="throughput",
            processes=SCORING,
            worst=None,
            merged="mean",
            sentence="Requests to predict, whatever became of them.",
        ),
        Figure(
            key="rows",
            title="Rows predicted",
            unit="rows a second",
            group="throughput",
            processes=SCORING,
            worst=None,
            merged="mean",
            sentence="Rows that were answered with a prediction.",
        ),
        Figure(
            key="errors",
            title="Failed requests",
            unit="a minute",
            group="errors",
            processes=SCORING,
            worst="high",
            merged="mean",
            sentence="Requests that failed through no fault of the caller (status 500 and above).",
        ),
        Figure(
            key="refused",
            title="Refused requests",
            unit="a minute",
            group="errors",
            processes=SCORING,
            worst="high",
            merged="mean",
            sentence="Requests that were refused with a reason: no valid token, no such model, rows that do not fit.",
        ),
        Figure(
            key="refused_for",
            title="Refused requests by reason",
            unit="a minute",
            group="errors",
            processes=SCORING,
            worst="high",
            merged="mean",
            sentence="The refused requests by the status they were answered with: 401 is no valid token, 404 a model "
            "that is not live, 422 rows that do not fit.",
        ),
        Figure(
            key="memory_bytes",
            title="Memory",
            unit="bytes",
            group="memory",
            processes=EVERY,
            worst="high",
            merged="mean",
            sentence="Memory of the process and of those it started; what they share counts once (on Linux).",
        ),
        Figure(
            key="memory_free_share",
            title="Memory still available",
            unit="share",
            group="memory",
            processes=WORKER,
            worst="low",
            merged="mean",
            sentence="Share of the machine's memory, or of the container's limit, that programs could still get.",
        ),
        Figure(
            key="cpu_cores",
            title="Processor",
            unit="cores",
            group="throughput",
            processes=EVERY,
            worst="high",
            merged="mean",
            sentence="Cores the process and those it started kept busy since the last sample: 1 is one whole core.",
        ),
        Figure(
            key="disk_free_bytes",
            title="Disk, free",
            unit="bytes",
            group="disk",
            processes=WORKER,
            worst="low",
            merged="mean",
            sentence="What is free on the disk that holds the home.",
        ),
        Figure(
            key="disk_free_share",
            title="Disk, free share",
            unit="share",
            group="disk",
            processes=WORKER,
            worst="low",
            merged="mean",
            sentence="The same as a share of the whole disk.",
        ),
        Figure(
            key="home_bytes",
            title="Disk, used by the home",
            unit="bytes",
            group="disk",
            processes=WORKER,
            worst="high",
            merged="mean",
            sentence="Everything in the home: database, stored files, the log on its way; counted every ten minutes.",
            every_seconds=600.0,
        ),
        Figure(
            key="database_bytes",
            title="Database",
            unit="bytes",
            group="disk",
            processes=WORKER,
            worst="high",
            merged="mean",
            sentence="The database file with its write-ahead log; not known where the database is a server.",
        ),
        Figure(
            key="queue_jobs",
            title="Jobs that wait",
            unit="jobs",
            group="queue",
            processes=WORKER,
            worst="high",
            merged="max",
            sentence="Jobs that are due and that no worker has taken yet.",
        ),
        Figure(
            key="queue_age_seconds",
            title="Longest wait",
            unit="seconds",
            group="queue",
            processes=WORKER,
            worst="high",
            merged="max",
            sentence="How long the oldest of the jobs that wait has been due.",
        ),
        Figure(
            key="jobs_failed",
            title="Jobs failed in the hour before",
            unit="jobs",
            group="queue",
            processes=WORKER,
            worst="high",
            merged="max",
            sentence="Jobs that failed within the hour before the sample, but for those that were refused what they "
            "asked, as for a file that does not fit.",
        ),
    )
)


def in_words(value: float, unit: Unit) -> str:
    """A value with its unit as people say it: "66.6 MB", "93 %", "12 ms", "3 a minute"."""
    match unit:
        case "bytes":
            return f"{value / 1e9:,.1f} GB" if value >= 1e9 else f"{value / 1e6:,.1f} MB"
        case "share":
            return f"{value * 100:.0f} %"
        case "seconds":
            return f"{value:,.0f} s" if value < 90 else f"{value / 60:,.0f} min"
        case _:
            return f"{value:,.0f} {unit}" if abs(value) >= 100 else f"{value:.3g} {unit}"


def figure(key: str) -> Figure:
    """The figure of this key.

    Raises
    ------
    NotFound
        Names the figures there are.
    """
    try:
        return FIGURES[key]
    except KeyError:
        raise NotFound("figure", key, f"There are: {', '.join(FIGURES)}.") from None
