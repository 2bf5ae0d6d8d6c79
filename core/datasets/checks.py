"""The checks every version is held against: a literal catalogue of rules with a severity, each ending with numbers.

A check ends as passed, failed, not applicable (the question has no meaning here) or skipped (it could not be answered).
A failed blocking check does not refuse the version, it refuses to train on it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from core.datasets.content import Kinds
from core.datasets.diffs import NAMED
from core.datasets.leakage import AUC_LIMIT, R2_LIMIT, Leak, find_leaks, is_classification
from core.datasets.tables import Outcome, Severity
from core.wording import enumerated, percent

MISSING_LIMIT = 0.3
DUPLICATE_LIMIT = 0.01


@dataclass(frozen=True)
class CheckEvidence:
    """All that checks may look at.

    Parameters
    ----------
    table : pyarrow.Table
    kinds : sequence of (name, ColumnKind)
    profile : dict
        `profiling.profile` of the table.
    target : str or None
    diff : dict or None
        `diffs.diff` against the version before; None for a first version.
    has_evaluation_set : bool
        Whether the dataset has a fixed evaluation set yet.
    """

    table: pa.Table
    kinds: Kinds
    profile: dict[str, Any]
    target: str | None = None
    diff: dict[str, Any] | None = None
    has_evaluation_set: bool = False
    has_target: bool = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "has_target", self.target is not None and self.target in dict(self.kinds))


@dataclass(frozen=True)
class Finding:
    """How a check ended: its outcome, why with numbers, and the column where it is about a single one."""

    outcome: Outcome
    explanation: str
    column: str | None = None


@dataclass(frozen=True)
class Check:
    """One rule.

    Parameters
    ----------
    code : str
        Stable; what `CheckResult.code` holds.
    title : str
    severity : Severity
    function : callable
        Evidence in, finding out; pure.
    """

    code: str
    title: str
    severity: Severity
    function: Callable[[CheckEvidence], Finding]


def _passed(explanation: str) -> Finding:
    return Finding(Outcome.PASSED, explanation)


def _failed(explanation: str, columns: list[str] | None = None) -> Finding:
    return Finding(Outcome.FAILED, explanation, columns[0] if columns and len(columns) == 1 else None)


def _not_applicable(explanation: str) -> Finding:
    return Finding(Outcome.NOT_APPLICABLE, explanation)


NO_TARGET = "No target is declared."
FIRST = "There is no earlier version to compare with."


def schema_kept(evidence: CheckEvidence) -> Finding:
    """Columns of the version before are there, with their kinds; new columns are allowed."""
    if evidence.diff is None:
        return _not_applicable(FIRST)
    removed, changed = evidence.diff["columns_removed"], evidence.diff["kinds_changed"]
    if removed or changed:
        said = [f"{len(removed)} columns are gone: {enumerated(removed, NAMED)}"] if removed else []
        said += [f"{one['name']} was {one['before']} and is {one['after']}" for one in changed[:5]]
        return _failed("; ".join(said) + ".", [*removed, *(one["name"] for one in changed)])
    added = evidence.diff["columns_added"]
    return _passed(
        f"All columns of version {evidence.diff['base_number']} are there"
        + (f"; new: {enumerated(added, NAMED)}." if added else ".")
    )


def target_present(evidence: CheckEvidence) -> Finding:
    """The target's column is there and has at least two values to tell apart."""
    if evidence.target is None:
        return _not_applicable(NO_TARGET)
    if not evidence.has_target:
        return _failed(f"The target {evidence.target} is not among the {len(evidence.kinds)} columns.")
    distinct = _column(evidence, evidence.target)["n_distinct"]
    if distinct < 2:
        return _failed(
            f"The target {evidence.target} has {distinct} different values; 2 are needed.", [evidence.target]
        )
    return _passed(f"The target {evidence.target} has {distinct:,} different values.")


def target_missing(evidence: CheckEvidence) -> Finding:
    """Every row has a target."""
    if not evidence.has_target or evidence.target is None:
        return _not_applicable(NO_TARGET if evidence.target is None else "The target is not among the columns.")
    column = _column(evidence, evidence.target)
    if column["n_missing"]:
        return _failed(
            f"{column['n_missing']:,} of {evidence.table.num_rows:,} rows ({percent(column['share_missing'], 1)}) have "
            f"no {evidence.target} and cannot be trained on.",
            [evidence.target],
        )
    return _passed(f"All {evidence.table.num_rows:,} rows have {evidence.target}.")


def missing_share(evidence: CheckEvidence) -> Finding:
    """No column lacks more than `MISSING_LIMIT` of its cells."""
    columns = sorted(evidence.profile["columns"], key=lambda column: -column["share_missing"])
    bad = [column for column in columns if column["share_missing"] > MISSING_LIMIT]
    if bad:
        shares = enumerated([f"{column['name']} {percent(column['share_missing'], 1)}" for column in bad], NAMED)
        return _failed(
            f"Missing in more than {percent(MISSING_LIMIT)} of the rows: {shares}.", [column["name"] for column in bad]
        )
    worst = columns[0]
    if worst["n_missing"] == 0:
        return _passed("No cell is missing.")
    return _passed(
        f"At most {percent(worst['share_missing'], 1)} of a column is missing ({worst['name']}; limit "
        f"{percent(MISSING_LIMIT)})."
    )


def duplicate_rows(evidence: CheckEvidence) -> Finding:
    """At most `DUPLICATE_LIMIT` of the rows equal an earlier one."""
    repeated, rows = evidence.profile["n_duplicate_rows"], evidence.table.num_rows
    share = repeated / rows if rows else 0.0
    limit = percent(DUPLICATE_LIMIT)
    said = f"{repeated:,} of {rows:,} rows ({percent(share, 2)}) equal an earlier one; the limit is {limit}."
    return _failed(said) if share > DUPLICATE_LIMIT else _passed(said)


def constant_columns(evidence: CheckEvidence) -> Finding:
    """Every column has at least two values; a missing cell counts as one."""
    constant = [
        column["name"] for column in evidence.profile["columns"] if column["n_distinct"] + (column["n_missing"] > 0) < 2
    ]
    if constant and evidence.table.num_rows > 1:
        never = "1 column never changes" if len(constant) == 1 else f"{len(constant)} columns never change"
        return _failed(f"{never}: {enumerated(constant, NAMED)}.", constant)
    return _passed("Every column has at least two values.")


def leaking_feature(evidence: CheckEvidence) -> Finding:
    """No feature tells the target almost alone, and no numbers add up to it (`leakage`)."""
    if not evidence.has_target or evidence.target is None:
        return _not_applicable(NO_TARGET if evidence.target is None else "The target is not among the columns.")
    leaks = find_leaks(evidence.table, evidence.kinds, evidence.target)
    if leaks is None:
        return Finding(Outcome.SKIPPED, "Too few rows, too many labels or a target of another kind: nothing to say.")
    if leaks:
        names = sorted({name for leak in leaks for name in leak.columns})
        return _failed(" ".join(_leak(leak, evidence.target) for leak in leaks[:5]), names)
    return _passed(
        f"No feature alone reaches an AUC of {AUC_LIMIT} or explains {percent(R2_LIMIT)} of the target, and no sum is "
        "it."
    )


def _leak(leak: Leak, target: str) -> str:
    if leak.measure == "sum":
        return f"{target} is a weighted sum of {enumerated(list(leak.columns), NAMED)}."
    limit = AUC_LIMIT if leak.measure == "AUC" else R2_LIMIT
    return f"{leak.columns[0]} alone predicts {target} ({leak.measure} {leak.value:.3f}, limit {limit})."


def evaluation_rows_inside(evidence: CheckEvidence) -> Finding:
    """No row equals one of the fixed evaluation set; those that do are kept out of training."""
    if not evidence.has_evaluation_set:
        return _not_applicable("The dataset has no evaluation set yet; the first split makes it.")
    inside = evidence.profile["n_evaluation_rows"]
    if inside:
        return _failed(f"{inside:,} rows equal one of the fixed evaluation set; they are kept out of training.")
    return _passed("No row equals one of the fixed evaluation set.")


def new_labels(evidence: CheckEvidence) -> Finding:
    """The target has the labels it had before."""
    if evidence.diff is None:
        return _not_applicable(FIRST)
    if not evidence.has_target or not is_classification(dict(evidence.kinds)[str(evidence.target)]):
        return _not_applicable("The target is not a label.")
    new, vanished = evidence.diff["labels_new"], evidence.diff["labels_vanished"]
    if new or vanished:
        said = [f"new: {enumerated(new, NAMED)}"] if new else []
        said += [f"vanished: {enumerated(vanished, NAMED)}"] if vanished else []
        return _failed(f"The labels of {evidence.target} changed; {'; '.join(said)}.", [str(evidence.target)])
    return _passed(f"The labels of {evidence.target} are those of version {evidence.diff['base_number']}.")


def new_categories(evidence: CheckEvidence) -> Finding:
    """No category column has a value the version before had not."""
    if evidence.diff is None:
        return _not_applicable(FIRST)
    new = evidence.diff["categories_new"]
    if new:
        said = "; ".join(f"{one['column']}: {enumerated(one['values'], NAMED)}" for one in new[:5])
        return _failed(
            f"{sum(len(one['values']) for one in new):,} values were not there before: {said}.",
            [one["column"] for one in new],
        )
    return _passed("No category column has a new value.")


def _column(evidence: CheckEvidence, name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(column for column in evidence.profile["columns"] if column["name"] == name)
    return found


CHECKS: dict[str, Check] = {
    "schema_kept": Check("schema_kept", "Columns and kinds kept", Severity.BLOCK, schema_kept),
    "target_present": Check("target_present", "Target present", Severity.BLOCK, target_present),
    "target_missing": Check("target_missing", "Target filled in", Severity.WARN, target_missing),
    "missing_share": Check("missing_share", "Missing cells", Severity.WARN, missing_share),
    "duplicate_rows": Check("duplicate_rows", "Duplicate rows", Severity.WARN, duplicate_rows),
    "constant_columns": Check("constant_columns", "Columns that never change", Severity.WARN, constant_columns),
    "leaking_feature": Check("leaking_feature", "Feature that tells the target", Severity.WARN, leaking_feature),
    "evaluation_rows_inside": Check(
        "evaluation_rows_inside", "Evaluation rows inside", Severity.LOG, evaluation_rows_inside
    ),
    "new_labels": Check("new_labels", "Labels of the target", Severity.WARN, new_labels),
    "new_categories": Check("new_categories", "New categories", Severity.WARN, new_categories),
}


def run_checks(evidence: CheckEvidence) -> dict[str, Finding]:
    """Every check's finding, by code, in the catalogue's order."""
    return {code: check.function(evidence) for code, check in CHECKS.items()}


def summarise(findings: dict[str, Finding], evidence: CheckEvidence) -> str:
    """The version's state in one sentence: usable or not, checks, shifts, evaluation rows."""
    # What is only logged is said in words of its own: counted among the failed it would read as a defect.
    failed = {
        code
        for code, finding in findings.items()
        if finding.outcome is Outcome.FAILED and CHECKS[code].severity is not Severity.LOG
    }
    answered = [one for one in findings.values() if one.outcome in (Outcome.PASSED, Outcome.FAILED)]
    severities = {CHECKS[code].severity for code in failed}
    if Severity.BLOCK in severities:
        state = "Not to be trained on"
    else:
        state = "Usable with care" if Severity.WARN in severities else "Usable"
    said = [f"{len(answered) - len(failed)} of {len(answered)} checks passed"]
    if evidence.diff is not None:
        moved = [shift["column"] for shift in evidence.diff["shifts"] if shift["effect"] >= 0.1]
        said.append(f"{enumerated(moved, 2)} shifted" if moved else "no column shifted")
    else:
        said.append(f"{evidence.table.num_rows:,} rows and {len(evidence.kinds):,} columns")
    if evidence.has_evaluation_set:
        inside = evidence.profile["n_evaluation_rows"]
        said.append(
            f"{inside:,} evaluation rows inside, kept out of training" if inside else "no evaluation rows inside"
        )
    return f"{state}: {'; '.join(said)}."
