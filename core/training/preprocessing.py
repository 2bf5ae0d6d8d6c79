"""How columns become numbers, inside the saved pipeline, so that a model file takes rows as they are. Pure.

For linear models numbers are completed with the median (with an indicator where values were missing), scaled to unit
variance, and categories become one column each, rare ones together. Trees take missing numbers as they are and
categories as codes; a category never seen in training counts as rare or missing. Dates and timestamps become calendar
parts. A frame must have the columns and dtypes of `frames`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

from core.datasets.tables import ColumnKind
from core.training.algorithms import Encoding

RARE_SHARE = 0.002
RARE_ROWS = 5
MOST_CATEGORIES = 100
DAY_US = 86_400_000_000


class CalendarParts(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Turns each date into year, month, day of the week (Monday 0), hour and days since 1970; missing into NaN.

    Parameters
    ----------
    hours : bool
        Whether to give the hour; dates have none.
    """

    def __init__(self, hours: bool = False) -> None:
        self.hours = hours

    def fit(self, X: pd.DataFrame, y: object = None) -> CalendarParts:  # noqa: ARG002 - scikit-learn's names
        """Learn how many columns there are; the parts themselves need no learning."""
        self.n_features_in_ = X.shape[1]
        return self

    def transform(self, X: pd.DataFrame) -> NDArray[np.float64]:
        """Array of shape (n_rows, n_columns × 4 or 5), the parts of each column side by side."""
        parts: list[NDArray[np.float64]] = []
        for position in range(X.shape[1]):
            moments = X.iloc[:, position].to_numpy(dtype="datetime64[us]")
            missing = np.isnat(moments)
            moments = np.where(missing, np.datetime64(0, "us"), moments)
            microseconds = moments.astype(np.int64)
            days = microseconds // DAY_US
            months = moments.astype("datetime64[M]").astype(np.int64)
            columns = [1970 + months // 12, 1 + months % 12, (days + 3) % 7, days]
            if self.hours:
                columns.insert(3, (microseconds - days * DAY_US) // 3_600_000_000)
            block = np.column_stack(columns).astype(np.float64)
            block[missing] = np.nan
            parts.append(block)
        return np.hstack(parts) if parts else np.empty((len(X), 0))


def build_pipeline(
    estimator: Any, *, encoding: Encoding, kinds: Sequence[str], n_rows: int, empty: Sequence[int] = ()
) -> Pipeline:
    """An unfitted pipeline from a frame to predictions.

    Parameters
    ----------
    estimator : scikit-learn estimator
    encoding : {"linear", "tree"}
    kinds : sequence of ColumnKind
        Of the frame's columns, in order.
    n_rows : int
        Training rows; a category with fewer than ``max(5, 0.2 %)`` of them is rare.
    empty : sequence of int
        Positions of columns without a value in any training row that counts. The model takes them and does not read
        them: there is nothing to learn from, and boosted trees cannot put into bins what is not there.
    """
    kinds = ["" if position in empty else kind for position, kind in enumerate(kinds)]
    numbers = _positions(kinds, ColumnKind.INTEGER, ColumnKind.NUMBER, ColumnKind.BOOLEAN)
    categories = _positions(kinds, ColumnKind.CATEGORY)
    dates = _positions(kinds, ColumnKind.DATE)
    timestamps = _positions(kinds, ColumnKind.TIMESTAMP)
    linear = encoding == "linear"
    steps: list[tuple[str, Any, list[int]]] = []
    if numbers:
        steps.append(("numbers", _complete_and_scale() if linear else "passthrough", numbers))
    if categories:
        rare = max(RARE_ROWS, int(RARE_SHARE * n_rows))
        steps.append(("categories", _one_hot(rare) if linear else _ordinal(rare), categories))
    for name, positions, hours in (("dates", dates, False), ("timestamps", timestamps, True)):
        if positions:
            parts = CalendarParts(hours=hours)
            chosen = Pipeline([("parts", parts), ("scale", _complete_and_scale())]) if linear else parts
            steps.append((name, chosen, positions))
    return Pipeline([("columns", ColumnTransformer(steps, sparse_threshold=0)), ("model", estimator)])


def _complete_and_scale() -> Pipeline:
    # A column with no value at all would vanish at fit and shift the others; it is kept, as zeros.
    complete = SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True)
    return Pipeline([("complete", complete), ("scale", StandardScaler())])


def _one_hot(rare: int) -> OneHotEncoder:
    return OneHotEncoder(
        handle_unknown="infrequent_if_exist",
        min_frequency=rare,
        max_categories=MOST_CATEGORIES,
        sparse_output=False,
    )


def _ordinal(rare: int) -> OrdinalEncoder:
    return OrdinalEncoder(
        handle_unknown="use_encoded_value",
        unknown_value=np.nan,
        encoded_missing_value=np.nan,
        min_frequency=rare,
        max_categories=MOST_CATEGORIES,
    )


def _positions(kinds: Sequence[str], *wanted: ColumnKind) -> list[int]:
    return [position for position, kind in enumerate(kinds) if kind in wanted]
