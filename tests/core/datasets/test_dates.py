from __future__ import annotations

import pytest

from core.datasets import dates


@pytest.mark.parametrize(
    ("date_format", "said"),
    [
        ("%m/%d/%y", "month/day/two-digit year"),
        ("%Y-%m-%d %H:%M:%S", "year-month-day hour:minute:second"),
        ("%d %b %Y", "day month's name year"),
    ],
)
def test_a_format_is_said_in_words(date_format: str, said: str) -> None:
    assert dates.in_words(date_format) == said


def test_every_letter_of_a_format_has_its_word() -> None:
    assert "%" not in dates.in_words(" ".join(dates.DIRECTIVES))
