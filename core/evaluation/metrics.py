"""The catalogue of metrics: one literal entry each, complete, read by every page, gate and test.

The positive class of a binary task is the second of the model's classes in sorted order. A metric that is not defined
on the rows given (one class only, no scores, a true value of 0, no costs) is left out with its reason; nothing
undefined is ever stored. Intervals are 95 % and are conditional on the model: they say how far other rows of the same
kind would move the figure, not how far another training would. Where too few rows carry a figure it stands without an
interval.

Multiclass averages are stated in each sentence: *macro* takes the mean over the classes, a rare one counting as much
as a common one; *weighted* lets a class count by how often it is the truth. Every metric counts rows by their weights
where the predictions have any (`Predictions.sample_weight`); otherwise rows count alike.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from core.errors import InvalidInput, NotApplicable
from core.evaluation import measures
from core.evaluation.measures import Measured
from core.evaluation.metric_intervals import (
    accuracy_interval,
    average_precision_interval,
    balanced_accuracy_interval,
    calibration_error_interval,
    correlation_interval,
    cost_interval,
    explained_interval,
    f_beta_interval,
    lift_interval,
    loss_interval,
    macro_f1_interval,
    macro_precision_interval,
    median_error_interval,
    precision_interval,
    recall_interval,
    roc_auc_interval,
    root_loss_interval,
    score_loss_interval,
    share_interval,
    top_classes_interval,
)
from core.evaluation.outcomes import Outcome
from core.evaluation.predictions import Predictions
from core.evaluation.tables import Task
from core.statistics.intervals import Interval

BINARY, MULTICLASS, REGRESSION = Task.BINARY, Task.MULTICLASS, Task.REGRESSION


@dataclass(frozen=True)
class Metric:
    """One way of saying how good predictions are.

    Parameters
    ----------
    key, title : str
        As stored, and as shown.
    tasks : tuple of Task
        Where it applies.
    greater_is_better : bool
    needs : {"labels", "scores"}
        What of the predictions it reads: predicted classes or values, or class scores.
    low, high : float
        The range of its values, ends included; infinite where open.
    function : callable
        Outcome -> Measured; raises NotApplicable with the reason.
    interval : callable
        (Outcome, Measured) -> Interval, or None where too few rows allow none.
    margin : float
        By how much a candidate may be worse and still count as not worse, unless a policy says otherwise.
    margin_is_share : bool
        Whether ``margin`` is a share of the baseline's value (metrics in the target's own unit) instead of absolute.
    sentence : str
        What it means, plainly.
    reference : str
        Where it and its interval come from.
    """

    key: str
    title: str
    tasks: tuple[Task, ...]
    greater_is_better: bool
    needs: Literal["labels", "scores"]
    low: float
    high: float
    function: Callable[[Outcome], Measured]
    interval: Callable[[Outcome, Measured], Interval | None]
    margin: float
    margin_is_share: bool
    sentence: str
    reference: str


@dataclass(frozen=True)
class MetricEstimate:
    """One metric's value with its 95 % interval; no ends where too few rows allow none."""

    key: str
    value: float
    low: float | None
    high: float | None


METRICS: dict[str, Metric] = {
    "roc_auc": Metric(
        key="roc_auc",
        title="ROC AUC",
        tasks=(
            BINARY,
            MULTICLASS,
        ),
        greater_is_better=True,
        needs="scores",
        low=0.0,
        high=1.0,
        function=measures.roc_auc,
        interval=roc_auc_interval,
        margin=0.01,
        margin_is_share=False,
        sentence="How often a positive row outscores another; 0.5 is chance. Multiclass: one against the rest, macro.",
        reference="DeLong et al. (1988), Biometrics 44:837, logit scale; widened by what may be unseen (3 in n)",
    ),
    "average_precision": Metric(
        key="average_precision",
        title="Average precision",
        tasks=(BINARY,),
        greater_is_better=True,
        needs="scores",
        low=0.0,
        high=1.0,
        function=measures.average_precision,
        interval=average_precision_interval,
        margin=0.01,
        margin_is_share=False,
        sentence="Precision averaged over the positives as they are found; chance is the share of positives.",
        reference="Boyd, Eng and Page (2013), ECML PKDD, logit interval; infinitesimal jackknife; Wilson (1927)",
    ),
    "lift": Metric(
        key="lift",
        title="Lift in the top tenth",
        tasks=(BINARY,),
        greater_is_better=True,
        needs="scores",
        low=0.0,
        high=10.0,
        function=measures.lift,
        interval=lift_interval,
        margin=0.1,
        margin_is_share=False,
        sentence="How many times as many positives the best-scored tenth holds as a random tenth; 1 is chance.",
        reference="Wilson (1927), JASA 22:209, at the effective size of a ratio of two shares",
    ),
    "accuracy": Metric(
        key="accuracy",
        title="Accuracy",
        tasks=(BINARY, MULTICLASS),
        greater_is_better=True,
        needs="labels",
        low=0.0,
        high=1.0,
        function=measures.accuracy,
        interval=accuracy_interval,
        margin=0.01,
        margin_is_share=False,
        sentence="The share of rows predicted as their true class.",
        reference="Wilson (1927), JASA 22:209",
    ),
    "balanced_accuracy": Metric(
        key="balanced_accuracy",
        title="Balanced accuracy",
        tasks=(BINARY, MULTICLASS),
        greater_is_better=True,
        needs="labels",
        low=0.0,
        high=1.0,
        function=measures.balanced_accuracy,
        interval=balanced_accuracy_interval,
        margin=0.01,
        margin_is_share=False,
        sentence="The share found of each class, averaged so that rare ones count as much as common ones (macro).",
        reference="Brodersen et al. (2010), ICPR; Wilson intervals combined as in Zou and Donner (2008); delta method",
    ),
    "precision": Metric(
        key="precision",
        title="Precision",
        tasks=(BINARY,),
        greater_is_better=True,
        needs="labels",
        low=0.0,
        high=1.0,
        function=measures.precision,
        interval=precision_interval,
        margin=0.02,
        margin_is_share=False,
        sentence="Of the rows called positive, the share that are.",
        reference="Wilson (1927), JASA 22:209, given how many rows were called positive",
    ),
    "recall": Metric(
        key="recall",
        title="Recall",
        tasks=(BINARY,),
        greater_is_better=True,
        needs="labels",
        low=0.0,
        high=1.0,
        function=measures.recall,
        interval=recall_interval,
        margin=0.02,
        margin_is_share=False,
        sentence="Of the truly positive rows, the share that was found.",
        reference="Wilson (1927), JASA 22:209, given how many rows are positive",
    ),
    "f1": Metric(
        key="f1",
        title="F1",
        tasks=(BINARY,),
        greater_is_better=True,
        needs="labels",
        low=0.0,
        high=1.0,
        function=measures.f_beta(1.0),
        interval=f_beta_interval(1.0),
        margin=0.02,
        margin_is_share=False,
        sentence="One figure for precision and recall together; high only when both are.",
        reference="van Rijsbergen (1979); Wilson interval of TP / (TP + FP + FN), of which F1 is a monotone function",
    ),
    "f0_5": Metric(
        key="f0_5",
        title="F0.5",
        tasks=(BINARY,),
        greater_is_better=True,
        needs="labels",
        low=0.0,
        high=1.0,
        function=measures.f_beta(0.5),
        interval=f_beta_interval(0.5),
        margin=0.02,
        margin_is_share=False,
        sentence="Precision and recall together, precision counting twice as much: for where a false alarm is dear.",
        reference="van Rijsbergen (1979); Wilson intervals of TP / (TP + FP + FN) and of FN / (FP + FN), combined",
    ),
    "f2": Metric(
        key="f2",
        title="F2",
        tasks=(BINARY,),
        greater_is_better=True,
        needs="labels",
        low=0.0,
        high=1.0,
        function=measures.f_beta(2.0),
        interval=f_beta_interval(2.0),
        margin=0.02,
        margin_is_share=False,
        sentence="Precision and recall together, recall counting twice as much: for where a miss is dear.",
        reference="van Rijsbergen (1979); Wilson intervals of TP / (TP + FP + FN) and of FN / (FP + FN), combined",
    ),
    "matthews_correlation": Metric(
        key="matthews_correlation",
        title="Matthews correlation",
        tasks=(BINARY, MULTICLASS),
        greater_is_better=True,
        needs="labels",
        low=-1.0,
        high=1.0,
        function=measures.matthews,
        interval=correlation_interval,
        margin=0.02,
        margin_is_share=False,
        sentence="Correlation of prediction with truth: 1 is perfect, 0 is no better than guessing.",
        reference="Matthews (1975), BBA 405:442; Gorodkin (2004) for more classes; Fisher's scale, Wilson",
    ),
    "log_loss": Metric(
        key="log_loss",
        title="Log loss",
        tasks=(BINARY, MULTICLASS),
        greater_is_better=False,
        needs="scores",
        low=0.0,
        high=math.inf,
        function=measures.log_loss,
        interval=score_loss_interval,
        margin=0.01,
        margin_is_share=False,
        sentence="How surprised the scores are by the truth; sure mistakes cost most, and 0 is perfect.",
        reference="Good (1952), JRSS B 14:107; Hall (1992), JRSS B 54:221, skewness taken out of Student's",
    ),
    "brier": Metric(
        key="brier",
        title="Brier score",
        tasks=(BINARY, MULTICLASS),
        greater_is_better=False,
        needs="scores",
        low=0.0,
        high=1.0,
        function=measures.brier,
        interval=score_loss_interval,
        margin=0.005,
        margin_is_share=False,
        sentence="Mean squared distance of the scores from what happened, over the classes and halved; 0 is perfect.",
        reference="Brier (1950), Monthly Weather Review 78:1; Hall (1992), JRSS B 54:221",
    ),
    "expected_calibration_error": Metric(
        key="expected_calibration_error",
        title="Calibration error",
        tasks=(BINARY, MULTICLASS),
        greater_is_better=False,
        needs="scores",
        low=0.0,
        high=1.0,
        function=measures.calibration_error,
        interval=calibration_error_interval,
        margin=0.01,
        margin_is_share=False,
        sentence="How far scores are from how often they come true; multiclass: the score of the class predicted.",
        reference="Naeini et al. (2015), AAAI; 10 bins of equal size (Nixon et al. 2019); folded normal bins",
    ),
    "top_3_accuracy": Metric(
        key="top_3_accuracy",
        title="Top-3 accuracy",
        tasks=(MULTICLASS,),
        greater_is_better=True,
        needs="scores",
        low=0.0,
        high=1.0,
        function=measures.top_classes_accuracy,
        interval=top_classes_interval,
        margin=0.01,
        margin_is_share=False,
        sentence="The share of rows whose true class is among the three scored highest; for more than three classes.",
        reference="Wilson (1927), JASA 22:209",
    ),
    "macro_f1": Metric(
        key="macro_f1",
        title="Macro F1",
        tasks=(MULTICLASS,),
        greater_is_better=True,
        needs="labels",
        low=0.0,
        high=1.0,
        function=measures.macro_f1,
        interval=macro_f1_interval,
        margin=0.02,
        margin_is_share=False,
        sentence="F1 of each class, averaged so that rare classes count as much as common ones (macro).",
        reference="Takahashi et al. (2022), Applied Intelligence 52:4961, and the classes' Wilson intervals combined",
    ),
    "weighted_f1": Metric(
        key="weighted_f1",
        title="Weighted F1",
        tasks=(MULTICLASS,),
        greater_is_better=True,
        needs="labels",
        low=0.0,
        high=1.0,
        function=measures.weighted_f1,
        interval=share_interval,
        margin=0.02,
        margin_is_share=False,
        sentence="F1 of each class, averaged by how often the class is the truth (weighted).",
        reference="Takahashi et al. (2022), Applied Intelligence 52:4961, with estimated shares, logit scale",
    ),
    "macro_precision": Metric(
        key="macro_precision",
        title="Macro precision",
        tasks=(MULTICLASS,),
        greater_is_better=True,
        needs="labels",
        low=0.0,
        high=1.0,
        function=measures.macro_precision,
        interval=macro_precision_interval,
        margin=0.02,
        margin_is_share=False,
        sentence="The share right of the rows called each class, averaged over the classes (macro).",
        reference="Takahashi et al. (2022), Applied Intelligence 52:4961, and the classes' Wilson intervals combined",
    ),
    "cohen_kappa": Metric(
        key="cohen_kappa",
        title="Cohen's kappa",
        tasks=(BINARY, MULTICLASS),
        greater_is_better=True,
        needs="labels",
        low=-1.0,
        high=1.0,
        function=measures.kappa,
        interval=correlation_interval,
        margin=0.02,
        margin_is_share=False,
        sentence="Agreement with the truth beyond what guessing by class shares would give; 0 is guessing.",
        reference="Cohen (1960); variance of Fleiss, Cohen and Everitt (1969), Psychological Bulletin 72:323",
    ),
    "average_cost": Metric(
        key="average_cost",
        title="Average cost",
        tasks=(
            BINARY,
            MULTICLASS,
        ),
        greater_is_better=False,
        needs="labels",
        low=-math.inf,
        high=math.inf,
        function=measures.average_cost,
        interval=cost_interval,
        margin=0.02,
        margin_is_share=True,
        sentence="What a row costs on average, by the dataset's cost matrix; left out where it has none.",
        reference="Elkan (2001), IJCAI; Wilson intervals of the shares at each cost, as in Zou and Donner (2008)",
    ),
    "rmse": Metric(
        key="rmse",
        title="RMSE",
        tasks=(REGRESSION,),
        greater_is_better=False,
        needs="labels",
        low=0.0,
        high=math.inf,
        function=measures.rmse,
        interval=root_loss_interval,
        margin=0.02,
        margin_is_share=True,
        sentence="The typical error in the target's own unit; large errors count most.",
        reference="Hall (1992), JRSS B 54:221, interval of the mean squared error, its root taken; Satterthwaite's df",
    ),
    "mae": Metric(
        key="mae",
        title="Mean absolute error",
        tasks=(REGRESSION,),
        greater_is_better=False,
        needs="labels",
        low=0.0,
        high=math.inf,
        function=measures.mae,
        interval=loss_interval,
        margin=0.02,
        margin_is_share=True,
        sentence="The average error in the target's own unit.",
        reference="Hall (1992), JRSS B 54:221, skewness taken out of Student's interval of the mean",
    ),
    "median_absolute_error": Metric(
        key="median_absolute_error",
        title="Median absolute error",
        tasks=(REGRESSION,),
        greater_is_better=False,
        needs="labels",
        low=0.0,
        high=math.inf,
        function=measures.median_absolute_error,
        interval=median_error_interval,
        margin=0.02,
        margin_is_share=True,
        sentence="Half of the rows are predicted closer than this, in the target's own unit.",
        reference="Thompson (1936), Annals of Mathematical Statistics 7:122, order statistics",
    ),
    "r2": Metric(
        key="r2",
        title="R²",
        tasks=(REGRESSION,),
        greater_is_better=True,
        needs="labels",
        low=-math.inf,
        high=1.0,
        function=measures.r2,
        interval=explained_interval,
        margin=0.01,
        margin_is_share=False,
        sentence="The share of the target's variance accounted for; 0 is no better than always saying the mean.",
        reference="Infinitesimal jackknife, Efron (1982), on the log scale of 1 - R²; Satterthwaite's df",
    ),
    "mape": Metric(
        key="mape",
        title="Mean absolute percentage error",
        tasks=(REGRESSION,),
        greater_is_better=False,
        needs="labels",
        low=0.0,
        high=math.inf,
        function=measures.mape,
        interval=loss_interval,
        margin=0.01,
        margin_is_share=False,
        sentence="The average error as a share of the true value; left out where a true value is 0.",
        reference="Hall (1992), JRSS B 54:221, skewness taken out of Student's interval of the mean",
    ),
    "quantile_loss_10": Metric(
        key="quantile_loss_10",
        title="Quantile loss at 0.1",
        tasks=(REGRESSION,),
        greater_is_better=False,
        needs="labels",
        low=0.0,
        high=math.inf,
        function=measures.quantile_loss(0.1),
        interval=loss_interval,
        margin=0.02,
        margin_is_share=True,
        sentence="The error, too high counting nine times too low; least for a forecast of the lowest tenth.",
        reference="Koenker and Bassett (1978), Econometrica 46:33; Hall (1992), JRSS B 54:221",
    ),
    "quantile_loss_90": Metric(
        key="quantile_loss_90",
        title="Quantile loss at 0.9",
        tasks=(REGRESSION,),
        greater_is_better=False,
        needs="labels",
        low=0.0,
        high=math.inf,
        function=measures.quantile_loss(0.9),
        interval=loss_interval,
        margin=0.02,
        margin_is_share=True,
        sentence="The error, too low counting nine times too high; least for a forecast of the highest tenth.",
        reference="Koenker and Bassett (1978), Econometrica 46:33; Hall (1992), JRSS B 54:221",
    ),
}

PRIMARY: dict[Task, str] = {BINARY: "roc_auc", MULTICLASS: "accuracy", REGRESSION: "rmse"}


def primary_metric(task: Task | str) -> str:
    """Key of the metric a task is ranked and judged by unless somebody chooses another."""
    return PRIMARY[Task(task)]


def metrics_for(task: Task | str) -> tuple[Metric, ...]:
    """The metrics of a task, the primary one first, then in the catalogue's order."""
    found = [metric for metric in METRICS.values() if Task(task) in metric.tasks]
    return tuple(sorted(found, key=lambda metric: metric.key != primary_metric(task)))


def metric(key: str) -> Metric:
    """One entry of the catalogue.

    Raises
    ------
    InvalidInput
        There is no such metric; the message lists those there are.
    """
    if key not in METRICS:
        raise InvalidInput(f"There is no metric {key!r}. Choose one of: {', '.join(METRICS)}.")
    return METRICS[key]


def measure(entry: Metric, outcome: Outcome) -> Measured:
    """Compute one metric.

    Raises
    ------
    NotApplicable
        It is not for this task, there is no row with weight, or it is not defined on these rows; the message says
        which.
    """
    task = outcome.predictions.task
    if task not in entry.tasks:
        raise NotApplicable(f"{entry.title} is not for a {task.value} task; use one of: {_keys(task)}.")
    if outcome.n_rows == 0:
        raise NotApplicable(f"{entry.title} needs rows; there are none.")
    if outcome.n_counted == 0:
        raise NotApplicable(f"{entry.title} needs rows that count; all of them have weight 0.")
    try:
        measured = entry.function(outcome)
    except NotApplicable as error:
        raise NotApplicable(f"{entry.title} is not defined here. {error}") from error
    # Sums of shares end a rounding error above 1.
    return replace(measured, value=float(min(max(measured.value, entry.low), entry.high)))


def compute_metrics(
    predictions: Predictions, *, rng: np.random.Generator | None = None, costs: Mapping[str, Any] | None = None
) -> list[MetricEstimate]:
    """Compute every metric of the task that is defined on these rows, with its interval.

    Parameters
    ----------
    predictions : Predictions
        Zero rows give an empty list.
    rng : Generator, optional
        Not drawn from: every interval of the catalogue is in closed form, so the same rows give the same figures.
    costs : mapping, optional
        As `Outcome` takes them; without them the metrics that need a cost are left out.

    Returns
    -------
    list of MetricEstimate
        Primary metric first; all values finite. `omitted_metrics` says why one is missing.
    """
    del rng
    return estimates_of(Outcome(predictions, costs=costs))


def estimates_of(outcome: Outcome, keys: Collection[str] | None = None) -> list[MetricEstimate]:
    """As `compute_metrics`, of an outcome; only those of ``keys`` where given."""
    estimates = []
    for entry in metrics_for(outcome.predictions.task):
        if keys is not None and entry.key not in keys:
            continue
        try:
            measured = measure(entry, outcome)
        except NotApplicable:
            continue
        interval = entry.interval(outcome, measured) if outcome.n_counted > 1 else None
        if interval is None or not (math.isfinite(interval.low) and math.isfinite(interval.high)):
            estimates.append(MetricEstimate(entry.key, measured.value, None, None))
            continue
        low, high = max(entry.low, interval.low), min(entry.high, interval.high)
        estimates.append(MetricEstimate(entry.key, measured.value, float(low), float(high)))
    return estimates


def omitted_metrics(predictions: Predictions, *, costs: Mapping[str, Any] | None = None) -> dict[str, str]:
    """The metrics of the task that are not defined on these rows, each with the reason."""
    outcome = Outcome(predictions, costs=costs)
    reasons = {}
    for entry in metrics_for(predictions.task):
        try:
            measure(entry, outcome)
        except NotApplicable as error:
            reasons[entry.key] = str(error)
    return reasons


def _keys(task: Task) -> str:
    return ", ".join(entry.key for entry in metrics_for(task))
