"""Model cards: their sections, and the draft made from the records.

After Mitchell et al. (2019), "Model Cards for Model Reporting", doi:10.1145/3287560.3287596.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class CardSection:
    """One section; a drafted one is filled from the records, the others only people can write."""

    key: str
    title: str
    drafted: bool
    prompt: str


CARD_SECTIONS: dict[str, CardSection] = {
    section.key: section
    for section in (
        CardSection("intended_use", "Intended use", False, "Which decisions is it made for, and who acts on them?"),
        CardSection("out_of_scope", "Out of scope", False, "For which uses or people must it not be used?"),
        CardSection("training_data", "Training data", True, "What was it trained on?"),
        CardSection("evaluation", "Evaluation", True, "How good is it, on which rows?"),
        CardSection("limitations", "Limitations", False, "Where does it fail, and what was not tested?"),
        CardSection("fairness", "Fairness", True, "Which groups are concerned, and how do they fare?"),
        CardSection("owner", "Owner", True, "Who answers for it?"),
    )
}
SECTION_LENGTH = 20_000


@dataclass(frozen=True)
class MetricFact:
    """One metric on one evaluation set, with its interval where it has one."""

    evaluation_set: str
    n_rows: int
    title: str
    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class CardFacts:
    """What the draft is made from; ``threshold`` is the sentence on the version's own, empty where it has none."""

    dataset_label: str
    n_rows: int
    n_train: int | None
    n_features: int
    target: str
    task: str
    algorithm: str
    metrics: Sequence[MetricFact]
    sensitive: Sequence[str]
    owner: str | None
    threshold: str = ""


def draft_card(facts: CardFacts) -> dict[str, str]:
    """Draft every section from the records; what only people can know stays blank."""
    trained = f"{facts.n_train:,} of " if facts.n_train is not None else ""
    lines = []
    for metric in facts.metrics:
        interval = (
            f" ({metric.low:.4g} to {metric.high:.4g})" if metric.low is not None and metric.high is not None else ""
        )
        lines.append(
            f"{metric.title} {metric.value:.4g}{interval} on {metric.n_rows:,} rows of the "
            f"{metric.evaluation_set} evaluation set"
        )
    drafted = {
        "training_data": f"{facts.dataset_label}: {trained}{facts.n_rows:,} rows, {facts.n_features} features; "
        f"predicts {facts.target} ({facts.task}) with {facts.algorithm}.",
        "evaluation": " ".join(part for part in ("; ".join(lines) + "." if lines else "", facts.threshold) if part),
        "fairness": f"Sensitive columns: {', '.join(facts.sensitive)}." if facts.sensitive else "",
        "owner": facts.owner or "",
    }
    return {key: drafted.get(key, "") for key in CARD_SECTIONS}


def blanks(sections: Mapping[str, str]) -> list[str]:
    """Titles of the sections that hold no words, in the card's order."""
    return [section.title for key, section in CARD_SECTIONS.items() if not str(sections.get(key, "")).strip()]
