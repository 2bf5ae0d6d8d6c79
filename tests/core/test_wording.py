"""Figures as sentences write them."""

from __future__ import annotations

import pytest

from core.wording import brief, brief_interval, enumerated, percent


@pytest.mark.parametrize(
    ("value", "written"),
    [(0.8123, "0.812"), (98.123, "98.1"), (158.4, "158"), (29_812.4, "29,812"), (-29_812.4, "-29,812"), (0.0, "0")],
)
def test_a_figure_has_three_digits_and_all_before_the_point(value: float, written: str) -> None:
    assert brief(value) == written


def test_an_interval_is_left_out_where_none_is_known() -> None:
    assert brief_interval(29_812.4, 28_000.0, 31_000.0) == "29,812 [28,000, 31,000]"
    assert brief_interval(0.8, None, None) == "0.8"


@pytest.mark.parametrize(
    ("names", "most", "said"),
    [
        (["age"], None, "age"),
        (["age", "pay"], None, "age and pay"),
        (["age", "pay", "job"], 3, "age, pay and job"),
        (["age", "pay", "job", "sex"], 3, "age, pay, job and 1 more"),
        (["age", "pay"], 1, "age and 1 more"),
        (["x" * 61], None, "x" * 59 + "…"),
    ],
)
def test_names_are_written_one_after_the_other(names: list[str], most: int | None, said: str) -> None:
    assert enumerated(names, most) == said


def test_a_share_is_written_in_per_cent_with_a_space():
    assert [percent(0.66), percent(0.0334, 1), percent(1.0), percent(12.5)] == ["66 %", "3.3 %", "100 %", "1,250 %"]
