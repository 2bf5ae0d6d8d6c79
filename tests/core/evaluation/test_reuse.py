"""How worn an evaluation set is by the candidates it has judged."""

from __future__ import annotations

import numpy as np
import pytest

from core.errors import InvalidInput
from core.evaluation.reuse import expected_largest, reuse


@pytest.mark.parametrize("n", [1, 2, 5, 20, 100])
def test_the_expected_largest_is_what_simulation_gives(n: int) -> None:
    drawn = np.random.default_rng(0).standard_normal((40_000, n)).max(axis=1)
    assert expected_largest(n) == pytest.approx(drawn.mean(), abs=0.03)


def test_no_value_has_no_largest() -> None:
    with pytest.raises(InvalidInput, match="at least one"):
        expected_largest(0)


def test_a_set_wears_out_by_candidates_and_the_sooner_the_fewer_rows_it_has() -> None:
    wide, narrow = {"low": -0.012, "high": 0.008, "margin": 0.01}, {"low": -0.003, "high": 0.001, "margin": 0.01}

    first = reuse(1, **wide)
    assert (first.flattery, first.worn, first.warns) == (0.0, False, False)
    assert reuse(8, **wide).warns
    assert not reuse(8, **wide).worn
    assert reuse(40, **wide).worn
    assert not reuse(40, **narrow).warns


def test_the_best_of_equal_models_is_flattered_by_about_what_is_said() -> None:
    rng, n_models, n_rows = np.random.default_rng(3), 15, 400
    gains = []
    for _ in range(400):
        right = rng.random((n_models, n_rows)) < 0.8
        gains.append(right.mean(axis=1).max() - 0.8)
    half = 1.96 * np.sqrt(0.8 * 0.2 / n_rows)
    assert reuse(n_models, low=-half, high=half, margin=0.01).flattery == pytest.approx(np.mean(gains), rel=0.1)
