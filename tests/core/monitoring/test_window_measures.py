from __future__ import annotations

import numpy as np
import pytest

from core.drift.contract import kept_by
from core.estimation.concept import ConceptChange
from core.monitoring.bias import GapChange, GroupGap
from core.monitoring.tables import WindowState
from core.monitoring.window_measures import WINDOW_MEASURES, WindowFigure, figures

Columns = dict[str, np.ndarray]


def sample(n: int, seed: int, **over: float) -> Columns:
    rng = np.random.default_rng(seed)
    hours = rng.normal(40, 8, n) + over.get("shift", 0.0)
    return {
        "hours": hours,
        "pay": hours * over.get("rate", 20.0) + rng.normal(0, 40, n),
        "job": rng.choice(np.array(["cook", "nurse"], dtype=object), n),
    }


REFERENCE = sample(1_500, 1)
KEPT = {name: kept_by(values) for name, values in REFERENCE.items()}


def of(
    current: Columns, *, concept: ConceptChange | None = None, gap: GapChange | None = None, min_rows: int = 100
) -> dict[str, WindowFigure]:
    found = figures(
        reference=REFERENCE, kept=KEPT, current=current, concept=concept, gap=gap, min_rows=min_rows,
        rng=np.random.default_rng(0),
    )  # fmt: skip
    assert [one.kind for one in found] == list(WINDOW_MEASURES)
    return {one.kind: one for one in found}


def test_a_window_like_the_reference_is_quiet_in_every_way() -> None:
    found = of(sample(600, 2))
    assert {kind: one.state for kind, one in found.items()} == {
        "domain_classifier": WindowState.QUIET,
        "reconstruction": WindowState.QUIET,
        "concept": WindowState.NOT_ENOUGH_DATA,
        "contract": WindowState.QUIET,
        "group_gap": WindowState.NOT_ENOUGH_DATA,
        "missing_stretch": WindowState.NOT_ENOUGH_DATA,
    }


def test_a_changed_rate_of_pay_is_told_with_the_columns_that_tell() -> None:
    found = of(sample(600, 3, rate=18.0))
    assert found["domain_classifier"].state is WindowState.DRIFTED
    assert {name for name, _ in found["domain_classifier"].details["telling"][:2]} == {"hours", "pay"}
    assert "pay" in found["domain_classifier"].sentence


def test_broken_promises_of_the_training_rows_are_listed_and_counted() -> None:
    current = sample(600, 4)
    current["job"][:60] = "poet"
    current["hours"][:30] = np.nan
    contract = of(current)["contract"]
    assert contract.state is WindowState.DRIFTED
    assert contract.value == pytest.approx(0.1)
    assert [one["feature"] for one in contract.details["breaks"]] == ["job", "hours"]
    assert contract.sentence.endswith("And 1 more.")


def test_too_few_rows_say_nothing_at_all() -> None:
    found = of(sample(40, 5, shift=30.0))
    assert {one.state for one in found.values()} == {WindowState.NOT_ENOUGH_DATA}
    assert all(one.value is None for one in found.values())


@pytest.mark.parametrize(("pvalue", "state"), [(0.0001, WindowState.DRIFTED), (0.3, WindowState.QUIET)])
def test_the_concept_is_what_labels_say(pvalue: float, state: WindowState) -> None:
    change = ConceptChange(0.2, pvalue, 400, "yes", (), "Scores no longer mean what they meant.")
    found = of(sample(600, 6), concept=change)["concept"]
    assert (found.state, found.value, found.sentence) == (state, 0.2, change.sentence)
    assert found.details["n_labelled"] == 400


@pytest.mark.parametrize(("widened", "state"), [(True, WindowState.DRIFTED), (False, WindowState.QUIET)])
def test_a_gap_between_groups_is_told_beside_the_evaluation_sets(widened: bool, state: WindowState) -> None:
    gap = GroupGap("sex", "demographic_parity", "selection_rate", 0.2, 0.15, 0.25, "Male", "Female", 0.5, 0.3, 600, 0)
    change = GapChange(gap, (0.1, 0.07, 0.13), widened, (gap,), "Groups of sex fare further apart than they did.")
    found = of(sample(600, 7), gap=change)["group_gap"]
    assert (found.state, found.value, found.threshold, found.sentence) == (state, 0.2, 0.13, change.sentence)
    assert found.details["gaps"][0]["highest"] == "Male"
