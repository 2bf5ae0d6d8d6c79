"""Each check passes, fails and does not apply where it should; profiles and diffs give reference numbers."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ks_2samp

from core.datasets.checks import CHECKS, CheckEvidence, run_checks, summarise
from core.datasets.diffs import diff, ks_distance
from core.datasets.leakage import find_leaks
from core.datasets.profiling import profile
from core.datasets.recognition import KnownDataset, recognise
from core.datasets.tables import ColumnKind, Outcome, Severity

WORDS = {pa.string(): ColumnKind.CATEGORY, pa.int64(): ColumnKind.INTEGER, pa.float64(): ColumnKind.NUMBER}
N = 200


def kinds_of(table: pa.Table) -> list[tuple[str, ColumnKind]]:
    return [(field.name, WORDS[field.type]) for field in table.schema]


def base_table(**over: Any) -> pa.Table:
    rng = np.random.default_rng(1)
    columns: dict[str, Any] = {
        "x": rng.normal(size=N),
        "colour": rng.choice(["red", "blue"], size=N).tolist(),
        "y": rng.choice(["yes", "no"], size=N).tolist(),
    }
    columns |= over
    return pa.table({name: value for name, value in columns.items() if value is not None})


def evidence(
    table: pa.Table, *, before: pa.Table | None = None, inside: int | None = None, **over: Any
) -> CheckEvidence:
    kinds, target = kinds_of(table), over.get("target", "y")
    changed = None
    if before is not None:
        changed = diff(before, kinds_of(before), table, kinds, base_id=1, base_number=1, target=target)
    return CheckEvidence(
        table=table,
        kinds=kinds,
        profile=profile(table, kinds, n_evaluation_rows=inside or 0),
        target=target,
        diff=changed,
        has_evaluation_set=inside is not None,
    )


BASE = base_table()
COPY = [None if i % 3 == 0 else float(i) for i in range(N)]
CASES: list[tuple[str, CheckEvidence, Outcome, str]] = [
    ("schema_kept", evidence(BASE), Outcome.NOT_APPLICABLE, "no earlier version"),
    ("schema_kept", evidence(base_table(z=COPY), before=BASE), Outcome.PASSED, "new: z"),
    ("schema_kept", evidence(base_table(x=None), before=BASE), Outcome.FAILED, "gone: x"),
    ("schema_kept", evidence(base_table(x=list(range(N))), before=BASE), Outcome.FAILED, "x was number and is integer"),
    ("target_present", evidence(BASE, target=None), Outcome.NOT_APPLICABLE, "No target"),
    ("target_present", evidence(BASE), Outcome.PASSED, "2 different values"),
    ("target_present", evidence(base_table(y=["yes"] * N)), Outcome.FAILED, "1 different values; 2 are needed"),
    ("target_present", evidence(BASE, target="gone"), Outcome.FAILED, "gone is not among the 3 columns"),
    ("target_missing", evidence(BASE, target=None), Outcome.NOT_APPLICABLE, "No target"),
    ("target_missing", evidence(BASE), Outcome.PASSED, "All 200 rows"),
    ("target_missing", evidence(base_table(y=[None, "a", "b", "a"] * 50)), Outcome.FAILED, "50 of 200 rows (25.0 %)"),
    ("missing_share", evidence(BASE), Outcome.PASSED, "No cell is missing"),
    ("missing_share", evidence(base_table(z=COPY)), Outcome.FAILED, "z 33.5 %"),
    ("missing_share", evidence(base_table(z=[None, *COPY[1:2] * (N - 1)])), Outcome.PASSED, "At most 0.5 %"),
    ("duplicate_rows", evidence(BASE), Outcome.PASSED, "0 of 200 rows"),
    ("duplicate_rows", evidence(pa.concat_tables([BASE, BASE[:10]])), Outcome.FAILED, "10 of 210 rows (4.76 %)"),
    ("constant_columns", evidence(BASE), Outcome.PASSED, "at least two"),
    ("constant_columns", evidence(base_table(z=[7] * N)), Outcome.FAILED, "1 column never changes: z"),
    ("constant_columns", evidence(base_table(z=[7] * (N - 1) + [None])), Outcome.PASSED, "at least two"),
    ("leaking_feature", evidence(BASE, target=None), Outcome.NOT_APPLICABLE, "No target"),
    ("leaking_feature", evidence(BASE), Outcome.PASSED, "No feature alone"),
    ("leaking_feature", evidence(base_table(z=BASE["y"])), Outcome.FAILED, "z alone predicts y (AUC 1.000"),
    ("leaking_feature", evidence(BASE[:20]), Outcome.SKIPPED, "Too few rows"),
    ("evaluation_rows_inside", evidence(BASE), Outcome.NOT_APPLICABLE, "no evaluation set yet"),
    ("evaluation_rows_inside", evidence(BASE, inside=0), Outcome.PASSED, "No row equals"),
    ("evaluation_rows_inside", evidence(BASE, inside=12), Outcome.FAILED, "12 rows equal"),
    ("new_labels", evidence(BASE), Outcome.NOT_APPLICABLE, "no earlier version"),
    ("new_labels", evidence(BASE, before=BASE), Outcome.PASSED, "those of version 1"),
    (
        "new_labels",
        evidence(base_table(y=["yes", "maybe"] * 100), before=BASE),
        Outcome.FAILED,
        "new: maybe; vanished: no",
    ),
    ("new_labels", evidence(BASE, before=BASE, target="x"), Outcome.NOT_APPLICABLE, "not a label"),
    ("new_categories", evidence(BASE), Outcome.NOT_APPLICABLE, "no earlier version"),
    ("new_categories", evidence(BASE, before=BASE), Outcome.PASSED, "has a new value"),
    ("new_categories", evidence(base_table(colour=["red", "pink"] * 100), before=BASE), Outcome.FAILED, "colour: pink"),
]


@pytest.mark.parametrize(("code", "given_evidence", "outcome", "words"), CASES)
def test_check(code: str, given_evidence: CheckEvidence, outcome: Outcome, words: str) -> None:
    finding = CHECKS[code].function(given_evidence)
    assert finding.outcome is outcome
    assert words in finding.explanation


def test_every_check_has_cases_for_passed_failed_and_not_applicable() -> None:
    seen: dict[str, set[Outcome]] = {}
    for code, _, outcome, _ in CASES:
        seen.setdefault(code, set()).add(outcome)
    always = {"missing_share", "duplicate_rows", "constant_columns"}
    for code, check in CHECKS.items():
        assert check.code == code
        wanted = {Outcome.PASSED, Outcome.FAILED} | (set() if code in always else {Outcome.NOT_APPLICABLE})
        assert wanted <= seen[code]


def test_a_sum_that_is_the_target_is_named_with_its_parts() -> None:
    rng = np.random.default_rng(3)
    casual, registered = rng.poisson(40, N), rng.poisson(40, N)
    table = pa.table(
        {"hour": rng.integers(0, 24, N), "casual": casual, "registered": registered, "count": casual + registered}
    )
    leaks = find_leaks(table, kinds_of(table), "count")
    assert leaks is not None
    assert [(leak.columns, leak.measure) for leak in leaks] == [(("casual", "registered"), "sum")]


def test_a_column_of_distinct_values_is_no_leak() -> None:
    rng = np.random.default_rng(4)
    table = pa.table(
        {"id": [f"r{i}" for i in range(N)], "n": rng.permutation(N), "y": rng.choice(["a", "b"], N).tolist()}
    )
    assert find_leaks(table, kinds_of(table), "y") == []
    numeric = table.set_column(2, "y", pa.array(rng.normal(size=N)))
    assert find_leaks(numeric, kinds_of(numeric), "y") == []


def test_the_sentence_says_state_checks_shift_and_evaluation_rows() -> None:
    moved = base_table(x=np.random.default_rng(1).normal(size=N) + 3)
    given_evidence = evidence(moved, before=BASE, inside=0)
    findings = run_checks(given_evidence)
    assert (
        summarise(findings, given_evidence) == "Usable: 10 of 10 checks passed; x shifted; no evaluation rows inside."
    )
    known = evidence(moved, before=BASE, inside=12)
    assert summarise(run_checks(known), known) == (
        "Usable: 10 of 10 checks passed; x shifted; 12 evaluation rows inside, kept out of training."
    )
    failing = evidence(base_table(y=["yes"] * N), before=BASE, inside=3)
    said = summarise(run_checks(failing), failing)
    assert said.startswith("Not to be trained on: ")
    assert CHECKS["target_present"].severity is Severity.BLOCK


@given(st.lists(st.integers(-50, 50), min_size=2, max_size=60), st.lists(st.integers(-50, 50), min_size=2, max_size=60))
def test_ks_distance_is_scipys(before: list[int], after: list[int]) -> None:
    expected = ks_2samp(before, after, method="asymp").statistic
    assert ks_distance(np.sort(before), np.sort(after)) == pytest.approx(expected, abs=1e-12)


def test_total_variation_of_known_shares() -> None:
    before = base_table(colour=["red"] * 150 + ["blue"] * 50)
    after = base_table(colour=["red"] * 100 + ["blue"] * 50 + [None] * 50)
    found = diff(before, kinds_of(before), after, kinds_of(after), base_id=4, base_number=2, target="y")
    shift = found["shifts"][0]
    assert shift["column"] == "colour"
    assert shift["effect"] == pytest.approx(0.25)
    assert shift["sentence"].startswith("colour shifted: ")
    assert (found["base_id"], found["base_number"]) == (4, 2)
    assert json.dumps(found, allow_nan=False)


def test_equal_versions_have_no_shift() -> None:
    found = diff(BASE, kinds_of(BASE), BASE, kinds_of(BASE), base_id=1, base_number=1, target="y")
    assert all(shift["effect"] == 0 for shift in found["shifts"])
    assert found["sentences"] == ["200 rows, as before."]


def test_profile_of_known_numbers() -> None:
    table = pa.table({"n": pa.array([1, 2, 3, 4, None, 4]), "w": pa.array(["a", "b", "a", None, "a", "b"])})
    found = profile(table, kinds_of(table), n_evaluation_rows=2)
    number, word = found["columns"]
    assert (found["n_rows"], found["n_duplicate_rows"], found["n_evaluation_rows"]) == (6, 0, 2)
    assert (number["n_missing"], number["n_distinct"], number["min"], number["max"]) == (1, 4, 1, 4)
    assert number["mean"] == pytest.approx(2.8)
    assert number["std"] == pytest.approx(np.std([1, 2, 3, 4, 4], ddof=1))
    assert number["quantiles"]["0.5"] == 3
    assert number["histogram"] == {"edges": [0.5, 1.5, 2.5, 3.5, 4.5], "counts": [1, 1, 1, 2]}
    assert word["top"] == [{"value": "a", "count": 3}, {"value": "b", "count": 2}]
    assert word["share_missing"] == pytest.approx(1 / 6)


@given(st.lists(st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False)), min_size=1, max_size=40))
def test_any_numbers_give_a_storable_profile_that_counts_every_value(values: list[float | None]) -> None:
    table = pa.table({"n": pa.array(values, pa.float64())})
    (column,) = profile(table, [("n", ColumnKind.NUMBER)], n_evaluation_rows=0)["columns"]
    assert json.dumps(column, allow_nan=False)
    present = [value for value in values if value is not None]
    if column["histogram"] is not None:
        assert sum(column["histogram"]["counts"]) == len(present)
    assert column["n_missing"] == len(values) - len(present)


KNOWN = [
    KnownDataset(
        1, "income", 4, (("age", ColumnKind.INTEGER), ("sex", ColumnKind.CATEGORY), ("y", ColumnKind.CATEGORY)), "y"
    ),
    KnownDataset(2, "bikes", 1, (("hour", ColumnKind.INTEGER), ("count", ColumnKind.INTEGER)), "count"),
]


def test_a_file_is_recognised_by_its_columns() -> None:
    found = recognise([("age", "integer"), ("sex", "category"), ("y", "category")], KNOWN)
    assert found is not None
    assert (found.dataset_id, found.likeness, found.lacks_target) == (1, 1.0, False)
    assert found.sentence == "It looks like income; make version 5?"


def test_a_file_without_the_target_may_be_data_to_monitor() -> None:
    found = recognise([("age", "integer"), ("sex", "category")], KNOWN)
    assert found is not None
    assert found.lacks_target
    assert found.missing == ("y",)


def test_an_unlike_file_is_not_recognised() -> None:
    assert recognise([("height", "number"), ("age", "integer")], KNOWN) is None
    assert recognise([], KNOWN) is None
