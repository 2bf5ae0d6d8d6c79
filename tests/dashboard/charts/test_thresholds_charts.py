"""Trade-off curves: what is drawn, where the chosen threshold lies on it, what is said of it."""

from __future__ import annotations

import numpy as np
import pytest

from core.datasets.costs import BinaryCosts
from core.evaluation.predictions import Predictions
from core.evaluation.tables import Task
from core.evaluation.threshold_grids import Grid, grid
from dashboard import theme
from dashboard.charts import thresholds as charts
from dashboard.charts.thresholds import AXES, Kind

COSTS = BinaryCosts(1, 5)


@pytest.fixture
def found() -> Grid:
    rng = np.random.default_rng(3)

    def rows(n: int) -> Predictions:
        positive = rng.random(n) < 0.4
        score = (rng.random(n) + positive) / 2
        labels = np.where(positive, "yes", "no")
        return Predictions(
            Task.BINARY, np.arange(n), labels, labels, np.column_stack([1 - score, score]), ("no", "yes")
        )

    return grid(rows(60), rows(40))


@pytest.mark.parametrize("kind", AXES)
@pytest.mark.parametrize("colours", [theme.LIGHT, theme.DARK])
def test_the_chosen_threshold_is_a_dot_on_each_line(found: Grid, kind: Kind, colours: theme.Colours) -> None:
    place = found.nearest(0.5)
    lines = charts.lines(found, place, kind, costs=COSTS)
    drawn = charts.curve(lines, kind, threshold=0.5, colours=colours)
    assert (drawn.layout.xaxis.title.text, drawn.layout.yaxis.title.text) == (AXES[kind].x, AXES[kind].y)
    curves = [trace for trace in drawn.data if trace.name in ("Validation", "Test")]
    dots = [trace for trace in drawn.data if str(trace.name).endswith("at 0.5")]
    assert [trace.line.color for trace in curves] == [colours.reference, colours.candidate]
    for line, dot in zip(lines, dots, strict=True):
        assert line.chosen is not None
        unit = 1 if kind == "cost" else 100
        assert (dot.x[0], dot.y[0]) == pytest.approx((unit * line.chosen[0], unit * line.chosen[1]))
        assert line.chosen in zip(line.x, line.y, strict=True)
    assert [trace.text for trace in dots] == [None, ("0.5",)]


def test_a_figure_that_is_not_defined_leaves_a_gap_and_says_so(found: Grid) -> None:
    place = len(found.thresholds) - 1
    assert np.isnan(found.test.values("precision")[place])
    lines = charts.lines(found, place, "precision_recall")
    assert [line.chosen for line in lines] == [None, None]
    assert len(charts.curve(lines, "precision_recall", threshold=1.0, colours=theme.LIGHT).data) == 2
    assert charts.in_words(lines, "precision_recall", threshold=1.0).endswith("at the threshold 1: not defined")


def test_the_words_hold_both_points(found: Grid) -> None:
    place = found.nearest(0.5)
    said = charts.in_words(charts.lines(found, place, "cost", costs=COSTS), "cost", threshold=0.5)
    cost = found.test.estimate("cost", place, COSTS)
    assert cost is not None
    assert said.startswith("expected cost a row by threshold; at the threshold 0.5: validation expected cost a row ")
    assert f"test expected cost a row {cost.value:.3g}" in said
