"""Predictions: what goes into the file comes out, and what is not predictions does not get in."""

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import ArtifactCorrupted, InvalidInput, NotApplicable
from core.evaluation.predictions import Predictions, from_parquet, to_parquet
from core.evaluation.tables import Task

LABELS = st.text(max_size=12)


@st.composite
def classified(draw: st.DrawFn) -> Predictions:
    classes = tuple(sorted(draw(st.sets(LABELS, min_size=2, max_size=5))))
    n = draw(st.integers(0, 20))
    truth = draw(st.lists(st.sampled_from([*classes, "unknown"]), min_size=n, max_size=n))
    predicted = draw(st.lists(st.sampled_from(classes), min_size=n, max_size=n))
    ordinals = draw(st.lists(st.integers(0, 2**40), min_size=n, max_size=n, unique=True))
    scores = None
    if draw(st.booleans()):
        cells = n * len(classes)
        scores = np.array(draw(st.lists(st.floats(0, 1), min_size=cells, max_size=cells))).reshape(n, len(classes))
    weight = None
    if draw(st.booleans()):
        weight = np.array([1e-50, *draw(st.lists(st.floats(1e-50, 1e50), min_size=n, max_size=n))])[:n]
    task = Task.BINARY if len(classes) == 2 else Task.MULTICLASS
    return Predictions(task, np.array(ordinals, dtype=np.int64), truth, predicted, scores, classes, weight)  # type: ignore[arg-type]


@given(classified())
def test_classes_come_back_as_they_went_in(made: Predictions) -> None:
    back = from_parquet(to_parquet(made))

    assert (back.task, back.classes) == (made.task, made.classes)
    assert back.ordinals.tolist() == made.ordinals.tolist()
    assert back.y_true.tolist() == made.y_true.tolist()
    assert back.y_pred.tolist() == made.y_pred.tolist()
    assert (back.scores is None) == (made.scores is None)
    if back.scores is not None and made.scores is not None:
        assert back.scores.tobytes() == made.scores.tobytes()
    assert (back.sample_weight is None) == (made.sample_weight is None)
    if back.sample_weight is not None and made.sample_weight is not None:
        assert back.sample_weight.tobytes() == made.sample_weight.tobytes()


@given(st.lists(st.tuples(st.floats(-1e60, 1e60), st.floats(-1e60, 1e60)), max_size=30))
def test_numbers_come_back_exactly(rows: list[tuple[float, float]]) -> None:
    truth, predicted = [row[0] for row in rows], [row[1] for row in rows]
    made = Predictions(Task.REGRESSION, np.arange(len(rows)), np.array(truth), np.array(predicted), None, ())

    back = from_parquet(to_parquet(made))

    assert back.y_true.tolist() == truth
    assert back.y_pred.tolist() == predicted
    assert back.scores is None


def test_the_same_predictions_are_the_same_bytes_and_few(rng: np.random.Generator) -> None:
    score = rng.random(10_000)
    truth = np.where(rng.random(10_000) < 0.3, "yes", "no").astype(object)
    label = np.where(score > 0.5, "yes", "no").astype(object)
    made = Predictions(Task.BINARY, np.arange(10_000), truth, label, np.c_[1 - score, score], ("no", "yes"))

    first, second = to_parquet(made), to_parquet(made.take(np.arange(10_000)))

    assert hashlib.sha256(first).digest() == hashlib.sha256(second).digest()
    assert len(first) < 17 * 10_000


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y_pred": ["no"]}, "one value per row"),
        ({"ordinals": [4, 4]}, "occurs twice"),
        ({"classes": ("yes", "no")}, "not sorted"),
        ({"classes": ("no", "so", "yes")}, "has 2 classes; 3 were given"),
        ({"y_true": ["no", None]}, "labels are strings"),
        ({"y_true": [0, 1]}, "labels are strings"),
        ({"scores": [[0.5, 0.5]]}, "one column per class"),
        ({"scores": [[0.5, 0.5], [float("nan"), 0.5]]}, "missing or outside"),
        ({"scores": [[0.5, 0.5], [-2.0, 3.0]]}, "missing or outside"),
        ({"sample_weight": [1.0]}, "one per row"),
        ({"sample_weight": [1.0, -1.0]}, "infinite or negative"),
        ({"sample_weight": [1.0, float("nan")]}, "missing, infinite"),
        ({"sample_weight": [float("inf"), 1.0]}, "missing, infinite"),
        ({"sample_weight": [0.0, 0.0]}, "Every row has weight 0"),
    ],
)
def test_what_is_not_predictions_is_refused(change: dict[str, object], message: str) -> None:
    right: dict[str, object] = {
        "task": "binary",
        "ordinals": [3, 4],
        "y_true": ["no", "yes"],
        "y_pred": ["no", "no"],
        "scores": [[0.6, 0.4], [0.7, 0.3]],
        "classes": ("no", "yes"),
    }

    with pytest.raises(InvalidInput, match=message):
        Predictions(**(right | change))  # type: ignore[arg-type]


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_missing_or_infinite_value_is_refused(bad: float) -> None:
    with pytest.raises(InvalidInput, match="missing or infinite"):
        Predictions(Task.REGRESSION, np.arange(2), np.array([1.0, bad]), np.array([1.0, 2.0]), None, ())


def scored(score: list[float], weight: list[float] | None = None) -> Predictions:
    scores = np.array(score)
    truth = np.array(["no", "yes"] * len(score), dtype=object)[: len(score)]
    return Predictions(
        Task.BINARY,
        np.arange(len(score)),
        truth,
        np.full(len(score), "no", dtype=object),
        np.c_[1 - scores, scores],
        ("no", "yes"),
        None if weight is None else np.array(weight),
    )


def test_rows_are_taken_with_their_weights() -> None:
    made = scored([0.1, 0.2, 0.3], [1.0, 0.0, 2.5])

    assert made.take(np.array([2, 0])).sample_weight.tolist() == [2.5, 1.0]  # type: ignore[union-attr]
    assert made.take(np.array([False, True, False])).sample_weight.tolist() == [0.0]  # type: ignore[union-attr]
    assert scored([0.1, 0.2]).take(np.array([0])).sample_weight is None
    with pytest.raises(InvalidInput, match="occurs twice"):
        made.take(np.array([0, 0]))


def test_the_file_of_unweighted_rows_holds_no_weights() -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = pq.read_table(pa.BufferReader(to_parquet(scored([0.1, 0.2])))).column_names

    assert columns == ["ordinal", "y_true", "y_pred", "score_0", "score_1"]


def test_a_threshold_decides_at_its_own_value_and_above() -> None:
    made = scored([0.2, 0.5, 0.7], [1.0, 2.0, 3.0])

    decided = made.decided_at(0.5)

    assert decided.y_pred.tolist() == ["no", "yes", "yes"]
    assert (decided.y_true is made.y_true, decided.scores is made.scores) == (True, True)
    assert decided.sample_weight is made.sample_weight
    assert made.y_pred.tolist() == ["no", "no", "no"]
    assert made.decided_at(0.0).y_pred.tolist() == ["yes"] * 3
    assert made.decided_at(1.1).y_pred.tolist() == ["no"] * 3


def test_a_threshold_needs_two_classes_with_scores_and_a_number() -> None:
    made = scored([0.2, 0.5])
    bare = Predictions(Task.BINARY, made.ordinals, made.y_true, made.y_pred, None, made.classes)

    with pytest.raises(NotApplicable, match="without scores"):
        bare.decided_at(0.5)
    with pytest.raises(NotApplicable, match="regression task"):
        Predictions(Task.REGRESSION, np.arange(1), np.ones(1), np.ones(1), None, ()).decided_at(0.5)
    with pytest.raises(InvalidInput, match="threshold is nan"):
        made.decided_at(float("nan"))


@pytest.mark.parametrize("content", [b"", b"PAR1 and nothing else", b"x" * 100])
def test_other_bytes_are_not_read(content: bytes) -> None:
    with pytest.raises(ArtifactCorrupted, match="score the run again"):
        from_parquet(content)


def test_a_parquet_file_of_something_else_is_not_read() -> None:
    import io

    import pyarrow as pa
    import pyarrow.parquet as pq

    out = io.BytesIO()
    pq.write_table(pa.table({"ordinal": [1], "y_true": ["a"], "y_pred": ["a"]}), out)

    with pytest.raises(ArtifactCorrupted):
        from_parquet(out.getvalue())
