"""Gates: automatic rules over the evidence of one request.

Each is a pure function of an `Evidence` value and ends as passed, failed, not applicable or skipped with an
explanation in numbers. Whether a gate that did not pass blocks is the policy's business, not the gate's. Missing
evidence is never a pass.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from core.datasets.tables import Outcome, Severity
from core.errors import InvalidInput
from core.evaluation.reuse import Reuse
from core.evaluation.tables import Verdict
from core.evaluation.verdicts import figure
from core.governance.tables import GateSeverity


@dataclass(frozen=True)
class ComparisonFact:
    """A paired comparison as the gates see it; ``effect`` above 0 means the candidate is better."""

    verdict: Verdict
    metric: str
    effect: float
    low: float
    high: float
    margin: float
    n_rows: int


@dataclass(frozen=True)
class CheckFact:
    """How one data check ended."""

    title: str
    severity: Severity
    outcome: Outcome
    explanation: str


@dataclass(frozen=True)
class SmokeFact:
    """The stored model against its own recorded predictions; ``error`` where it could not be loaded or asked."""

    n_rows: int
    n_identical: int
    error: str | None = None


@dataclass(frozen=True)
class BehaviourFact:
    """How the candidate did on its model's behaviour suite: titles of the tests by how they ended."""

    suite: int
    passed: tuple[str, ...]
    failed: tuple[str, ...]
    skipped: tuple[str, ...]


@dataclass(frozen=True)
class Evidence:
    """Everything the gates look at.

    Parameters
    ----------
    champion : str or None
        Label of the version to be replaced; None for a first champion.
    fixed, latest : ComparisonFact or None
        Candidate against champion on the fixed and on the latest evaluation set.
    has_latest_set : bool
        Whether rows newer than the fixed set's are held out.
    dummy : ComparisonFact or None
        Candidate against the trivial model.
    checks : tuple of CheckFact
        Of the dataset version the candidate was trained on.
    smoke : SmokeFact or None
    blanks : tuple of str
        Titles of empty card sections.
    n_sections : int
    quarantined : tuple of str
        Labels of quarantined dataset versions in the lineage.
    missing : mapping of str to str
        Why a comparison ("fixed", "latest", "dummy") could not be made.
    behaviour : BehaviourFact or None
        None where the suite was not run.
    reuse : Reuse or None
        What judging others has done to the fixed evaluation set; None where nothing was compared on it.
    """

    champion: str | None
    fixed: ComparisonFact | None
    latest: ComparisonFact | None
    has_latest_set: bool
    dummy: ComparisonFact | None
    checks: tuple[CheckFact, ...]
    smoke: SmokeFact | None
    blanks: tuple[str, ...]
    n_sections: int
    quarantined: tuple[str, ...]
    missing: Mapping[str, str] = field(default_factory=dict)
    behaviour: BehaviourFact | None = None
    reuse: Reuse | None = None


Answer = tuple[Outcome, str]


@dataclass(frozen=True)
class Gate:
    """One entry of the catalogue."""

    code: str
    title: str
    severity: GateSeverity
    rule: Callable[[Evidence], Answer]
    sentence: str


@dataclass(frozen=True)
class GateAnswer:
    """How one gate ended, with the severity the policy gives it."""

    code: str
    title: str
    severity: GateSeverity
    outcome: Outcome
    explanation: str


def _in_numbers(fact: ComparisonFact) -> str:
    from core.evaluation.metrics import METRICS

    effect, low, high = (figure(value, signed=True) for value in (fact.effect, fact.low, fact.high))
    return f"{effect} {METRICS[fact.metric].title} ({low} to {high}) on {fact.n_rows:,} rows, margin {fact.margin:g}"


def _missing(evidence: Evidence, what: str, words: str) -> str:
    return f"{words} {evidence.missing[what]}" if what in evidence.missing else words


def _not_worse(fact: ComparisonFact, champion: str, where: str) -> Answer:
    numbers = _in_numbers(fact)
    if fact.verdict in (Verdict.BETTER, Verdict.NOT_WORSE):
        words = "better" if fact.verdict == Verdict.BETTER else "not worse"
        return Outcome.PASSED, f"The candidate is {words} than {champion} on the {where}: {numbers}."
    if fact.verdict == Verdict.WORSE:
        return Outcome.FAILED, f"The candidate is worse than {champion} on the {where}: {numbers}."
    return (
        Outcome.FAILED,
        f"It cannot be told whether the candidate is worse than {champion} on the {where}: {numbers}.",
    )


def better_than_dummy(evidence: Evidence) -> Answer:
    """Fail unless the candidate is better than a model that ignores its input."""
    fact = evidence.dummy
    if fact is None:
        return Outcome.FAILED, _missing(evidence, "dummy", "There is no comparison with the trivial model.")
    if fact.verdict == Verdict.BETTER:
        return Outcome.PASSED, f"The candidate is better than the trivial model: {_in_numbers(fact)}."
    return Outcome.FAILED, f"The candidate is not shown to be better than the trivial model: {_in_numbers(fact)}."


def not_worse_fixed(evidence: Evidence) -> Answer:
    """Fail unless the candidate is better or not worse than the champion on the fixed evaluation set."""
    if evidence.champion is None:
        return Outcome.NOT_APPLICABLE, "Nothing is live yet: this would be the first."
    if evidence.fixed is None:
        words = f"There is no comparison with {evidence.champion} on the fixed evaluation set."
        return Outcome.FAILED, _missing(evidence, "fixed", words)
    return _not_worse(evidence.fixed, evidence.champion, "fixed evaluation set")


def not_worse_latest(evidence: Evidence) -> Answer:
    """Fail unless the candidate is better or not worse than the champion on the newest labelled rows."""
    if evidence.champion is None:
        return Outcome.NOT_APPLICABLE, "Nothing is live yet: this would be the first."
    if not evidence.has_latest_set:
        return Outcome.NOT_APPLICABLE, "There are no newer labelled rows than those of the fixed evaluation set."
    if evidence.latest is None:
        words = f"There is no comparison with {evidence.champion} on the latest evaluation set."
        return Outcome.FAILED, _missing(evidence, "latest", words)
    return _not_worse(evidence.latest, evidence.champion, "latest evaluation set")


def data_checks(evidence: Evidence) -> Answer:
    """Fail when a blocking check of the training data did not pass; checks that warn or log never fail it."""
    if not evidence.checks:
        return Outcome.FAILED, "No check of the training data was recorded."
    failed = [check for check in evidence.checks if check.outcome == Outcome.FAILED]
    blocking = [check for check in failed if check.severity == Severity.BLOCK]
    counted = f"{len(evidence.checks) - len(failed)} of {len(evidence.checks)} checks did not fail"
    if blocking:
        return Outcome.FAILED, f"{counted}; blocking: {' '.join(check.explanation for check in blocking)}"
    warned = [check.title for check in failed if check.severity == Severity.WARN]
    return Outcome.PASSED, f"{counted}" + (f"; warnings: {', '.join(warned)}." if warned else ".")


def smoke_test(evidence: Evidence) -> Answer:
    """Fail unless the stored model loads and repeats its recorded predictions exactly."""
    smoke = evidence.smoke
    if smoke is None or (smoke.n_rows == 0 and smoke.error is None):
        return Outcome.FAILED, "The stored model was not asked for any recorded prediction."
    if smoke.error is not None:
        return Outcome.FAILED, f"The stored model could not be asked: {smoke.error}"
    words = f"The stored model repeats {smoke.n_identical} of {smoke.n_rows} recorded predictions."
    return (Outcome.PASSED if smoke.n_identical == smoke.n_rows else Outcome.FAILED), words


def card_complete(evidence: Evidence) -> Answer:
    """Fail when a section of the model card is blank."""
    if not evidence.blanks:
        return Outcome.PASSED, f"All {evidence.n_sections} sections of the model card are filled."
    return (
        Outcome.FAILED,
        f"{len(evidence.blanks)} of {evidence.n_sections} sections of the model card are blank: "
        f"{', '.join(evidence.blanks)}.",
    )


def no_quarantine(evidence: Evidence) -> Answer:
    """Fail when data the candidate was trained on is quarantined."""
    if evidence.quarantined:
        return Outcome.FAILED, f"The candidate was trained on quarantined data: {', '.join(evidence.quarantined)}."
    return Outcome.PASSED, "No data the candidate was trained on is quarantined."


def behaviour_suite(evidence: Evidence) -> Answer:
    """Fail when a test of the model's behaviour suite failed or was skipped."""
    found = evidence.behaviour
    if found is None:
        return Outcome.FAILED, "The behaviour suite was not run on this version."
    n_tests = len(found.passed) + len(found.failed) + len(found.skipped)
    counted = f"{len(found.passed)} of {n_tests} tests of behaviour suite {found.suite} passed"
    if not n_tests:
        return Outcome.FAILED, f"No test of behaviour suite {found.suite} applies to this version."
    if found.failed or found.skipped:
        failed = [f"failed: {', '.join(found.failed)}"] if found.failed else []
        skipped = [f"not run: {', '.join(found.skipped)}"] if found.skipped else []
        return Outcome.FAILED, f"{counted}; {'; '.join(failed + skipped)}."
    return Outcome.PASSED, f"{counted}."


def evaluation_set_worn(evidence: Evidence) -> Answer:
    """Fail when so many candidates were judged on the fixed set that luck alone may exceed the margin."""
    if evidence.champion is None:
        return Outcome.NOT_APPLICABLE, "Nothing is live yet: nothing is chosen over anything."
    found = evidence.reuse
    if found is None:
        return Outcome.FAILED, "It is not known how often the fixed evaluation set has been used."
    words = (
        f"{found.n_candidates:,} candidates have been judged on the fixed evaluation set; the best of so many equal "
        f"ones looks better by about {figure(found.flattery)} by luck, the margin is {figure(found.margin)}."
    )
    if found.worn:
        return Outcome.FAILED, f"{words} Bring newer labelled data, or have it waived in writing."
    return Outcome.PASSED, words + (" That is more than half of it: bring fresh data soon." if found.warns else "")


GATES: dict[str, Gate] = {
    gate.code: gate
    for gate in (
        Gate(
            "better_than_dummy",
            "Better than the trivial model",
            GateSeverity.BLOCKING,
            better_than_dummy,
            "The candidate beats a model that ignores its input, beyond doubt.",
        ),
        Gate(
            "not_worse_fixed",
            "Not worse on the fixed set",
            GateSeverity.BLOCKING,
            not_worse_fixed,
            "Held against the champion on the locked evaluation set, within the margin. Not for a first champion.",
        ),
        Gate(
            "not_worse_latest",
            "Not worse on the latest data",
            GateSeverity.BLOCKING,
            not_worse_latest,
            "The same on the newest labelled rows, where there are any.",
        ),
        Gate(
            "data_checks",
            "Data checks passed",
            GateSeverity.BLOCKING,
            data_checks,
            "No blocking check of the training data failed.",
        ),
        Gate(
            "smoke_test",
            "Smoke test",
            GateSeverity.BLOCKING,
            smoke_test,
            "The stored model loads and repeats its recorded predictions.",
        ),
        Gate(
            "card_complete",
            "Model card filled",
            GateSeverity.WARNING,
            card_complete,
            "No section of the model card is blank.",
        ),
        Gate(
            "no_quarantine",
            "No quarantined data",
            GateSeverity.BLOCKING,
            no_quarantine,
            "None of the data the candidate was trained on is quarantined.",
        ),
        Gate(
            "behaviour_suite",
            "Behaviour suite passed",
            GateSeverity.WARNING,
            behaviour_suite,
            "The candidate passes every test of its model's behaviour suite.",
        ),
        Gate(
            "evaluation_set_worn",
            "Evaluation set not worn out",
            GateSeverity.BLOCKING,
            evaluation_set_worn,
            "Not so many candidates were judged on the fixed set that luck alone could exceed the margin.",
        ),
    )
}


def evaluate(evidence: Evidence, severities: Mapping[str, str]) -> tuple[GateAnswer, ...]:
    """Ask each gate the policy names, in the catalogue's order.

    Parameters
    ----------
    evidence : Evidence
    severities : mapping of str to str
        Gate code to "blocking" or "warning", as in `PromotionPolicy.gates`.

    Raises
    ------
    InvalidInput
        The policy names a gate that is not in the catalogue.
    """
    check_severities(severities)
    answers = []
    for code, gate in GATES.items():
        if code in severities:
            outcome, explanation = gate.rule(evidence)
            answers.append(GateAnswer(code, gate.title, GateSeverity(severities[code]), outcome, explanation))
    return tuple(answers)


def check_severities(severities: Mapping[str, str]) -> None:
    """Refuse gates that are not in the catalogue and severities other than blocking and warning."""
    unknown = sorted(set(severities) - set(GATES))
    if unknown:
        raise InvalidInput(f"There is no gate {', '.join(unknown)}; there are {', '.join(GATES)}.")
    wrong = sorted({severity for severity in severities.values() if severity not in set(GateSeverity)})
    if wrong:
        raise InvalidInput(f"A gate is blocking or warning, not {', '.join(map(repr, wrong))}.")
