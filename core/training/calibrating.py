"""Recalibration: bending a fitted classifier's scores until they are the shares of rows that come true. Pure.

The estimator stays as fitted; a calibrator is learnt on rows it has not seen, the validation part. What is chosen on
that part afterwards, such as a threshold, has therefore met these rows once before; the evaluation set has not.

References
----------
Platt (1999), Probabilistic outputs for support vector machines, for the sigmoid; Zadrozny and Elkan (2002), KDD, for
isotonic regression and for one calibrator per class, normalised; Niculescu-Mizil and Caruana (2005), ICML, section 4,
for how many rows each needs.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from core.errors import InsufficientData, InvalidInput, NotApplicable
from core.evaluation.tables import Task

if TYPE_CHECKING:
    import pandas as pd

FEWEST_ROWS = 50
FEWEST_OF_A_CLASS = 5
STEADY_ISOTONIC_ROWS = 1000


@dataclass(frozen=True)
class Calibration:
    """One way to recalibrate.

    Parameters
    ----------
    key, title : str
    sentence : str
        What it does, and when to choose it.
    """

    key: str
    title: str
    sentence: str


CALIBRATIONS: dict[str, Calibration] = {
    "sigmoid": Calibration(
        key="sigmoid",
        title="Sigmoid",
        sentence="Bends all scores by one S-shaped curve: two numbers to learn, so a few hundred rows are enough.",
    ),
    "isotonic": Calibration(
        key="isotonic",
        title="Isotonic",
        sentence="Replaces scores by the shares seen, in steps that only rise: mends any bend, and wants a thousand "
        "validation rows or more.",
    ),
}


def require_calibration(key: str, task: Task) -> Calibration:
    """One entry of the catalogue, for a task.

    Raises
    ------
    InvalidInput
        There is no such method; names those there are.
    NotApplicable
        A regression, whose predictions are no shares.
    """
    if key not in CALIBRATIONS:
        raise InvalidInput(f"There is no calibration {key!r}. Choose one of: {', '.join(CALIBRATIONS)}.")
    if task == Task.REGRESSION:
        raise NotApplicable("A regression predicts numbers, not shares; there is nothing to calibrate.")
    return CALIBRATIONS[key]


def require_rows(n_rows: int) -> None:
    """Refuse to calibrate on too few rows.

    Raises
    ------
    InsufficientData
    """
    if n_rows < FEWEST_ROWS:
        raise InsufficientData(
            f"{n_rows:,} validation rows are too few to calibrate on; at least {FEWEST_ROWS} are needed. "
            "Give validation a larger share of the rows, or add rows."
        )


def calibrate(
    pipeline: Any,
    frame: pd.DataFrame,
    y_true: NDArray[np.object_],
    *,
    method: str,
    sample_weight: NDArray[np.float64] | None = None,
) -> Any:
    """Put a calibrator behind a fitted pipeline.

    Parameters
    ----------
    pipeline : Pipeline
        As `preprocessing.build_pipeline` makes it, fitted as a classifier; it is left as it is.
    frame, y_true
        Rows it was not fitted on. Rows of a class it does not know teach nothing and are passed over.
    method : {"sigmoid", "isotonic"}
    sample_weight : ndarray of shape (n_rows,), optional
        How much each row counts for the calibrator.

    Returns
    -------
    Pipeline
        The same columns, and as its last step scikit-learn's ``CalibratedClassifierCV`` around the same estimator. Its
        isotonic steps are kept within 1 / (n + 2) and 1 - 1 / (n + 2) of n rows: that none of a few rows came true
        does not mean that none ever will, and a score of 0 or 1 that is wrong once makes the log loss boundless.

    Raises
    ------
    InsufficientData
        Fewer than 50 rows of positive weight, or fewer than 5 of a class.
    """
    from sklearn.base import clone
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.frozen import FrozenEstimator
    from sklearn.pipeline import Pipeline

    columns, estimator = pipeline.named_steps["columns"], pipeline.named_steps["model"]
    counted = np.isin(y_true.astype(str), estimator.classes_.astype(str))
    if sample_weight is not None:
        counted &= sample_weight > 0
    require_rows(int(counted.sum()))
    for label in estimator.classes_:
        n_rows = int((y_true[counted] == label).sum())
        if n_rows < FEWEST_OF_A_CLASS:
            raise InsufficientData(
                f"Only {n_rows} validation rows are of class {label!r}; at least {FEWEST_OF_A_CLASS} are needed to "
                "calibrate. Stratify the split, or add rows of that class."
            )
    calibrated = CalibratedClassifierCV(FrozenEstimator(estimator), method=method, cv=FEWEST_OF_A_CLASS, ensemble=False)
    with warnings.catch_warnings():
        # That weights reach the calibrator only is what is wanted: the estimator was fitted with its own.
        warnings.filterwarnings("ignore", message="Since FrozenEstimator does not appear to accept sample_weight")
        calibrated.fit(
            columns.transform(frame.loc[counted]),
            y_true[counted],
            sample_weight=None if sample_weight is None else sample_weight[counted],
        )
    if method == "isotonic":
        _keep_off_the_ends(calibrated, n_rows=int(counted.sum()))
    # The fitted estimator is kept in ``calibrated_classifiers_``; as a parameter it would be written a second time.
    calibrated.set_params(estimator=clone(estimator))
    return Pipeline([("columns", columns), ("model", calibrated)])


def _keep_off_the_ends(calibrated: Any, *, n_rows: int) -> None:
    """Clip the steps of fitted isotonic calibrators, in place."""
    from sklearn.isotonic import IsotonicRegression

    least = 1 / (n_rows + 2)  # Laplace's rule for an event not seen in n_rows trials
    for one in calibrated.calibrated_classifiers_:
        # A step function that rises is its own isotonic regression, but for the bounds.
        one.calibrators = [
            IsotonicRegression(y_min=least, y_max=1 - least, out_of_bounds="clip").fit(
                calibrator.X_thresholds_, calibrator.y_thresholds_
            )
            for calibrator in one.calibrators
        ]
