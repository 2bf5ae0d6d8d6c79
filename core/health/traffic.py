"""Counting requests in memory, in bounded room, until the next sample takes the counts."""

from __future__ import annotations

import math
import threading
from collections import Counter
from dataclasses import dataclass, field

from core.health.samples import Sample

# Bins of equal ratio from 0.05 ms to a quarter of an hour: a quantile read from them is off by half a bin at most.
LOWEST_MS, RATIO, N_BINS = 0.05, 1.05, 342
MOST_SUBJECTS = 64
QUANTILES = {"latency_p50_ms": 0.5, "latency_p95_ms": 0.95, "latency_p99_ms": 0.99}


@dataclass
class Counts:
    """What became of the requests to one model, or to all of them."""

    requests: int = 0
    errors: int = 0
    refused: int = 0
    rows: int = 0
    latencies: list[int] = field(default_factory=lambda: [0] * N_BINS)

    def quantile_ms(self, share: float) -> float | None:
        """The latency that a share of the answered requests did not exceed.

        Parameters
        ----------
        share : float
            In (0, 1].

        Returns
        -------
        float or None
            Within 2.5 % of the smallest observed latency with at least that share at or below it; None where nothing
            was answered. Latencies outside 0.05 ms to 15 min are counted as the nearer end.
        """
        total = sum(self.latencies)
        if total == 0:
            return None
        wanted, seen = math.ceil(share * total), 0
        for place, count in enumerate(self.latencies):
            seen += count
            if seen >= wanted:
                return float(LOWEST_MS * RATIO ** (place + 0.5))
        raise AssertionError("a share above 1 was asked for")


class Traffic:
    """The requests since the last sample; safe for many threads.

    Its room does not grow with the number of requests, and beyond 64 models those that come later are counted among
    all requests only.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[str, Counts] = {"": Counts()}
        self._refused_for: Counter[int] = Counter()

    def answered(self, subject: str, *, latency_ms: float, n_rows: int) -> None:
        """Count a request that was answered.

        Parameters
        ----------
        subject : str
            Which model: "model 3 champion production".
        """
        place = _bin_of(latency_ms)
        with self._lock:
            for counts in self._of(subject):
                counts.requests += 1
                counts.rows += n_rows
                counts.latencies[place] += 1

    def failed(self, subject: str) -> None:
        """Count a request that failed through no fault of the caller; "" where no model was found yet."""
        with self._lock:
            for counts in self._of(subject):
                counts.requests += 1
                counts.errors += 1

    def refused(self, subject: str, status: int) -> None:
        """Count a request that was refused with a reason, told by its status (`core.health.refusals`)."""
        with self._lock:
            self._refused_for[status] += 1
            for counts in self._of(subject):
                counts.requests += 1
                counts.refused += 1

    def take(self, elapsed_seconds: float) -> list[Sample]:
        """The figures of the time since the last call, and begin anew.

        The whole is always told, zero too, for silence is a finding; a model only where something was asked of it.

        Parameters
        ----------
        elapsed_seconds : float
            How long that time was, > 0.
        """
        with self._lock:
            taken, self._counts = self._counts, {"": Counts()}
            refused_for, self._refused_for = self._refused_for, Counter()
        samples = []
        for subject, counts in taken.items():
            minutes = elapsed_seconds / 60
            samples += [
                Sample("requests", counts.requests / minutes, subject),
                Sample("errors", counts.errors / minutes, subject),
                Sample("refused", counts.refused / minutes, subject),
                Sample("rows", counts.rows / elapsed_seconds, subject),
            ]
            for key, share in QUANTILES.items():
                if (latency := counts.quantile_ms(share)) is not None:
                    samples.append(Sample(key, latency, subject))
        samples += [
            Sample("refused_for", count / (elapsed_seconds / 60), str(status)) for status, count in refused_for.items()
        ]
        return samples

    def _of(self, subject: str) -> list[Counts]:
        whole = self._counts[""]
        if not subject:
            return [whole]
        if subject not in self._counts:
            if len(self._counts) > MOST_SUBJECTS:
                return [whole]
            self._counts[subject] = Counts()
        return [whole, self._counts[subject]]


def _bin_of(latency_ms: float) -> int:
    if not latency_ms > LOWEST_MS:
        return 0
    return min(N_BINS - 1, int(math.log(latency_ms / LOWEST_MS) / math.log(RATIO)))
