import re
import tomllib
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from dashboard import theme

CONFIG = tomllib.loads((Path(theme.__file__).parent / ".streamlit" / "config.toml").read_text())["theme"]
NOW = datetime(2026, 3, 12, 14, 5, tzinfo=UTC)


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_text_can_be_read_on_every_ground(mode: str) -> None:
    look = CONFIG[mode]
    grounds = [
        look["backgroundColor"],
        look["secondaryBackgroundColor"],
        look["sidebar"]["backgroundColor"],
        look["sidebar"]["secondaryBackgroundColor"],
    ]
    for ground in grounds:
        for text in ("textColor", "linkColor", "grayTextColor"):
            assert contrast(look[text], ground) >= 4.5, (text, ground)
    for name in ("green", "red", "orange", "yellow", "blue", "gray"):
        text, badge = look[f"{name}TextColor"], look[f"{name}BackgroundColor"]
        assert contrast(text, badge) >= 4.5, name
        assert contrast(text, look["backgroundColor"]) >= 4.5, name
    assert contrast(look["dataframeHeaderTextColor"], look["dataframeHeaderBackgroundColor"]) >= 4.5
    assert contrast("#FFFFFF", look["primaryColor"]) >= 4.5, "a primary button's word"


@pytest.mark.parametrize(("mode", "palette"), [("light", theme.LIGHT), ("dark", theme.DARK)])
def test_figures_and_pages_draw_with_the_same_colours(mode: str, palette: theme.Colours) -> None:
    look = CONFIG[mode]
    assert list(palette.categorical) == look["chartCategoricalColors"]
    assert list(palette.sequential) == look["chartSequentialColors"]
    assert (palette.text, palette.background) == (look["textColor"], look["backgroundColor"])
    for name in ("champion", "candidate", "attention", "harm", "text", "muted"):
        assert contrast(getattr(palette, name), palette.background) >= 4.5, name


@pytest.mark.parametrize("palette", [theme.LIGHT, theme.DARK])
def test_the_sequential_scale_goes_one_way(palette: theme.Colours) -> None:
    steps = [luminance(after) - luminance(before) for before, after in pairwise(palette.sequential)]
    assert all(step < 0 for step in steps) or all(step > 0 for step in steps)


@pytest.mark.parametrize("palette", [theme.LIGHT, theme.DARK])
def test_no_group_is_drawn_in_the_colours_of_attention_or_harm(palette: theme.Colours) -> None:
    import colorsys

    for colour in palette.categorical:
        hue, _, saturation = colorsys.rgb_to_hls(*(int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)))
        assert saturation < 0.2 or 55 < hue * 360 < 345, colour


@pytest.mark.parametrize(
    ("given", "escaped"),
    [
        (":red[x]", ":\u2060red\\[x\\]"),
        ("![](http://a.b/x.png)", "!\\[\\](http:\u2060//a.b/x.png)"),
        ("<script>", "\\<script\\>"),
        ("=HYPERLINK(1)", "=HYPERLINK(1)"),
        ("$x$", "\\$x\\$"),
        ("**b**", "\\*\\*b\\*\\*"),
        ("[a](b)", "\\[a\\](b)"),
        (":material/home:", ":\u2060material/home:"),
        ("a->b", "a-\u2060\\>b"),
        ("a @ b@c.d", "a @ b@\u2060c.d"),
        ("www.a.b", "www\u2060.a.b"),
        ("hours_per_week", "hours\\_per\\_week"),
        ("1. first", "1\\. first"),
        ("- item", "\\- item"),
        ("# head", "\\# head"),
        ("two\nlines", "two lines"),
        ("`code` ~~gone~~ a|b & &lt;", "\\`code\\` \\~\\~gone\\~\\~ a\\|b \\& \\&lt;"),
        ("data-scientist 0.93", "data-scientist 0.93"),
    ],
)
def test_names_are_escaped_letter_by_letter(given: str, escaped: str) -> None:
    assert theme.plain(given) == escaped


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (theme.number(0.9271), "0.927"),
        (theme.number(-0.5), "−0.500"),
        (theme.number(1234), "1,234"),
        (theme.number(29_812.4), "29,812"),
        (theme.number(3.2e15), "3.2e+15"),
        (theme.number(0.00012), "0.00012"),
        (theme.number(None), "–"),
        (theme.number(float("nan")), "–"),
        (theme.interval(0.927, 0.921, 0.933), "0.927 [0.921, 0.933]"),
        (theme.interval(0.927, None, None), "0.927"),
        (theme.difference(0.0112), "+0.011"),
        (theme.difference(-0.0041), "−0.004"),
        (theme.difference(0.0), "0.000"),
        (theme.percent(0.0329), "3.3 %"),
        (theme.pvalue(0.0), "p < 0.001"),
        (theme.pvalue(0.0321), "p = 0.032"),
        (theme.ago(NOW - timedelta(seconds=5), NOW), "just now"),
        (theme.ago(NOW - timedelta(minutes=6), NOW), "6 min ago"),
        (theme.ago(NOW - timedelta(hours=3), NOW), "3 h ago"),
        (theme.ago(NOW - timedelta(days=1), NOW), "1 day ago"),
        (theme.ago(NOW - timedelta(days=90), NOW), "12 Dec 2025"),
        (theme.ago(None, NOW), "–"),
        (theme.stamp(NOW), "12 Mar 2026, 14:05 UTC"),
        (theme.duration(0.84), "0.8 s"),
        (theme.duration(185), "3 min 5 s"),
        (theme.duration(7800), "2 h 10 min"),
        (theme.duration(180), "3 min"),
        (theme.duration(47 * 3600), "47 h"),
        (theme.duration(48 * 3600 - 1), "47 h 59 min"),
        (theme.duration(48 * 3600), "2 days"),
        (theme.duration(76 * 3600), "3 days 4 h"),
        (theme.duration(192 * 3600), "8 days"),
        (theme.duration(200 * 3600), "8 days"),
        (theme.duration(2000 * 86_400), "2,000 days"),
        (theme.size(3_400_000), "3.4 MB"),
        (theme.short_hash("ab" * 32), "abababab"),
        (theme.count(1, "run"), "1 run"),
        (theme.count(1204, "run"), "1,204 runs"),
        (theme.words("changes_requested"), "Changes requested"),
    ],
)
def test_formats(shown: str, expected: str) -> None:
    assert shown == expected


def test_a_share_is_written_in_one_way_everywhere() -> None:
    """Python's and plotly's own percent format leave out the space: `percent`, and `canvas.PERCENT` on an axis."""
    root = Path(theme.__file__).parents[1]
    lines = [
        f"{path.relative_to(root)}:{number}"
        for folder in ("core", "dashboard")
        for path in sorted((root / folder).rglob("*.py"))
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if re.search(r"""\.[0-9]~?%["'}]""", line)
    ]
    assert lines == []


@pytest.mark.parametrize(
    ("title", "within"),
    [
        ("Accuracy", "accuracy"),
        ("Log loss", "log loss"),
        ("Top-3 accuracy", "top-3 accuracy"),
        ("ROC AUC", "ROC AUC"),
        ("F0.5", "F0.5"),
        ("R²", "R²"),
        ("Brier score", "Brier score"),
        ("Cohen's kappa", "Cohen's kappa"),
        ("", ""),
    ],
)
def test_a_title_within_a_sentence_is_small_unless_it_is_a_name(title: str, within: str) -> None:
    assert theme.inside(title) == within
