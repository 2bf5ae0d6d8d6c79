"""Counting requests: quantiles within the stated error, bounded room, nothing lost between two samples."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from core.health.traffic import MOST_SUBJECTS, N_BINS, Traffic


def figures(traffic: Traffic, seconds: float = 60.0, subject: str = "") -> dict[str, float]:
    return {one.key: one.value for one in traffic.take(seconds) if one.subject == subject}


@pytest.mark.parametrize("spread", [0.05, 0.5, 1.5])
def test_quantiles_are_within_their_stated_error_of_numpy(spread: float, rng: np.random.Generator) -> None:
    latencies = rng.lognormal(3.0, spread, size=5_000)
    traffic = Traffic()
    for latency in latencies:
        traffic.answered("", latency_ms=float(latency), n_rows=1)
    found = figures(traffic)
    for key, share in (("latency_p50_ms", 0.5), ("latency_p95_ms", 0.95), ("latency_p99_ms", 0.99)):
        exact = float(np.quantile(latencies, share, method="inverted_cdf"))
        assert found[key] == pytest.approx(exact, rel=0.0251)


@pytest.mark.parametrize("latency", [0.0, -1.0, 1e-9, 7.0, 1e12])
def test_one_request_has_one_latency(latency: float) -> None:
    traffic = Traffic()
    traffic.answered("", latency_ms=latency, n_rows=1)
    found = figures(traffic)
    assert found["latency_p50_ms"] == found["latency_p95_ms"] == found["latency_p99_ms"]
    assert 0.05 <= found["latency_p50_ms"] <= 15 * 60 * 1000


def test_counts_become_rates_of_the_time_gone_by() -> None:
    traffic = Traffic()
    for _ in range(6):
        traffic.answered("model 1 champion production", latency_ms=5, n_rows=10)
    traffic.refused("model 1 champion production", 422)
    traffic.failed("")
    taken = traffic.take(30)
    whole = {one.key: one.value for one in taken if not one.subject}
    model = {one.key: one.value for one in taken if one.subject.startswith("model")}
    assert (whole["requests"], whole["errors"], whole["refused"], whole["rows"]) == (16, 2, 2, 2)
    assert (model["requests"], model["errors"], model["refused"], model["rows"]) == (14, 0, 2, 2)
    assert [(one.subject, one.value) for one in taken if one.key == "refused_for"] == [("422", 2)]


def test_nothing_asked_is_said_as_zero_and_has_no_latency() -> None:
    traffic = Traffic()
    traffic.answered("model 1", latency_ms=5, n_rows=1)
    traffic.take(60)
    again = traffic.take(60)
    assert {one.key: one.value for one in again} == {"requests": 0, "errors": 0, "refused": 0, "rows": 0}


def test_room_is_bounded_whatever_is_asked() -> None:
    traffic = Traffic()
    for number in range(10 * MOST_SUBJECTS):
        traffic.answered(f"model {number}", latency_ms=float(number), n_rows=1)
    taken = traffic.take(60)
    assert len({one.subject for one in taken}) <= MOST_SUBJECTS + 1
    assert next(one.value for one in taken if one.key == "requests" and not one.subject) == 10 * MOST_SUBJECTS
    assert N_BINS < 1_000


def test_threads_lose_no_request_between_two_samples() -> None:
    traffic, seen = Traffic(), []

    def ask() -> None:
        for _ in range(2_000):
            traffic.answered("model 1", latency_ms=1, n_rows=1)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        seen.append(figures(traffic)["requests"])
    seen.append(figures(traffic)["requests"])
    assert sum(seen) == 8_000
