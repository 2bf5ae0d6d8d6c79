"""The catalogue of analyses: what can be worked out of one evaluation beyond its metrics. Pure.

Each is computed once by a job (`analysis_job`) and kept as an `Analysis` row; pages read rows. A handler takes the
`Material` of one evaluation and the options asked for and gives a JSON document.
"""

from __future__ import annotations

from dataclasses import dataclass

from core.errors import NotApplicable, NotFound
from core.evaluation.tables import Task

CLASSIFICATION = (Task.BINARY, Task.MULTICLASS)
EVERY_TASK = (Task.BINARY, Task.MULTICLASS, Task.REGRESSION)


@dataclass(frozen=True)
class AnalysisKind:
    """One entry of the catalogue.

    Parameters
    ----------
    key, title : str
    handler : str
        ``"module:function"`` taking ``(material, options)`` and giving a JSON document; a dotted name, so that
        reading the catalogue is free. Its docstring says what the options and the document hold.
    tasks : tuple of Task
    automatic : bool
        Whether each training works it out, without options, on the fixed evaluation set.
    sentence : str
        What it answers.
    """

    key: str
    title: str
    handler: str
    tasks: tuple[Task, ...]
    automatic: bool
    sentence: str


ANALYSES: dict[str, AnalysisKind] = {
    "slices": AnalysisKind(
        key="slices",
        title="Slices",
        handler="core.training.slice_analysis:slices",
        tasks=EVERY_TASK,
        automatic=True,
        sentence="Where the model does better or worse than on the other rows.",
    ),
    "weak_slices": AnalysisKind(
        key="weak_slices",
        title="Weak slices",
        handler="core.training.slice_analysis:weak",
        tasks=EVERY_TASK,
        automatic=True,
        sentence="Parts of the rows on which the model is worse: searched on one half, confirmed on the other.",
    ),
    "errors": AnalysisKind(
        key="errors",
        title="Errors",
        handler="core.training.error_analysis:hardest_and_suspected",
        tasks=EVERY_TASK,
        automatic=True,
        sentence="The rows the model is most wrong on, and labels that may be wrong.",
    ),
    "fairness": AnalysisKind(
        key="fairness",
        title="Fairness",
        handler="core.training.fairness_analysis:by_group",
        tasks=EVERY_TASK,
        automatic=True,
        sentence="How differently groups of people fare.",
    ),
    "thresholds": AnalysisKind(
        key="thresholds",
        title="Thresholds",
        handler="core.training.threshold_analysis:grid",
        tasks=(Task.BINARY,),
        automatic=True,
        sentence="What each threshold finds, misses and costs.",
    ),
    "changes": AnalysisKind(
        key="changes",
        title="Changed decisions",
        handler="core.training.change_analysis:changed",
        tasks=CLASSIFICATION,
        automatic=False,
        sentence="The rows that it and another run decide differently, by slice and with examples.",
    ),
    "partial_dependence": AnalysisKind(
        key="partial_dependence",
        title="Partial dependence",
        handler="core.training.explanation_analysis:dependence",
        tasks=EVERY_TASK,
        automatic=True,
        sentence="How the prediction moves when one feature moves, on average and row by row.",
    ),
    "contributions": AnalysisKind(
        key="contributions",
        title="Contributions",
        handler="core.training.explanation_analysis:contributions",
        tasks=EVERY_TASK,
        automatic=False,
        sentence="What each feature of one row adds to its prediction.",
    ),
}


def analysis_kind(key: str, task: Task | str) -> AnalysisKind:
    """One entry of the catalogue, for a task.

    Raises
    ------
    NotFound
        Names the kinds there are.
    NotApplicable
        It is not for this task.
    """
    if key not in ANALYSES:
        raise NotFound("analysis", repr(key), f"Choose one of: {', '.join(ANALYSES)}.")
    found = ANALYSES[key]
    if Task(task) not in found.tasks:
        raise NotApplicable(f"{found.title} is not defined for a {Task(task).value} task.")
    return found


def automatic(task: Task | str) -> tuple[AnalysisKind, ...]:
    """What each training of a task works out by itself."""
    return tuple(kind for kind in ANALYSES.values() if kind.automatic and Task(task) in kind.tasks)
