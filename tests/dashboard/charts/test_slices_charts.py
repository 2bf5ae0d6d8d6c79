from dashboard.charts.errors import choosable_confusion
from dashboard.charts.slices import SliceDot, fitting, slice_dots
from dashboard.theme import LIGHT

DOTS = [
    SliceDot("sex = <b>Male</b>", 0.91, 0.90, 0.92, 4383, "worse"),
    SliceDot("sex = Female", 0.95, 0.94, 0.96, 2129, "better"),
    SliceDot("race = Other", 0.97, 0.74, 0.99, 51, "too_small"),
]


def test_slices_stand_in_the_given_order_against_the_value_on_all_rows():
    drawn = slice_dots(DOTS, overall=0.93, metric="ROC AUC", colours=LIGHT)
    assert list(drawn.layout.yaxis.ticktext) == ["race = Other", "sex = Female", "sex = &lt;b&gt;Male&lt;/b&gt;"]
    assert [shape.x0 for shape in drawn.layout.shapes] == [0.93]
    assert drawn.layout.xaxis.title.text == "ROC AUC"
    assert list(drawn.data[0].x) == [0.74, 0.99]


def test_colour_never_speaks_alone():
    marks = slice_dots(DOTS, overall=0.93, metric="ROC AUC", colours=LIGHT).data[-1]
    assert list(marks.marker.symbol) == ["circle-open", "circle", "square"]
    assert marks.customdata[2].endswith("on 4,383 rows, worse")


def test_a_long_name_keeps_the_value_that_tells_slices_apart():
    cut = fitting("occupation of the person = Transport-moving")
    assert cut.endswith("= Transport-moving")
    assert len(cut) <= 28
    assert fitting("sex = Male") == "sex = Male"
    assert len(fitting("column = " + "long value " * 9)) <= 28
    assert len(fitting("a = b and c = " + "d" * 60)) <= 28


def test_each_cell_with_rows_can_be_clicked_and_the_chosen_one_is_outlined():
    drawn = choosable_confusion(["no", "yes"], [[90, 10], [0, 5]], chosen=("no", "yes"), colours=LIGHT)
    cells = {tuple(one) for one in drawn.data[-1].customdata}
    assert cells == {("no", "no"), ("no", "yes"), ("yes", "yes")}
    outline = drawn.layout.shapes[0]
    assert (outline.x0, outline.y0) == (0.52, -0.47)
