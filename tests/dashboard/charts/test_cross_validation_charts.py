from dashboard import theme
from dashboard.charts.cross_validation import FoldValues, fold_dots, in_words

ROWS = [FoldValues("ROC AUC", (0.9, 0.92, 0.91)), FoldValues("<b>F1</b>", (0.5, 0.7, 0.6))]


def test_each_fold_is_a_dot_as_far_from_the_mean_of_its_metric_as_it_is():
    drawn = fold_dots(ROWS, colours=theme.LIGHT)
    (folds,) = drawn.data
    assert [round(value, 6) for value in folds.x] == [-0.1, 0.1, 0.0, -0.01, 0.01, 0.0]
    assert list(folds.y) == [0, 0, 0, 1, 1, 1]
    assert list(drawn.layout.yaxis.ticktext) == ["&lt;b&gt;F1&lt;/b&gt;", "ROC AUC"]
    assert drawn.layout.xaxis.title.text == "difference from the mean of the folds"
    assert folds.customdata[0] == "&lt;b&gt;F1&lt;/b&gt;, fold 1: 0.5, mean of the folds 0.6"


def test_a_row_in_words_gives_mean_and_ends():
    assert in_words(ROWS[0]) == "ROC AUC 0.910 from 0.900 to 0.920"
